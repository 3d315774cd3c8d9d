"""Opening a store in Postgres: what a URL and its options come to, and what is refused."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from docstore_sql.backend import sync_side
from docstore_sql.tables import Tables

from docstore.errors import BackendError
from docstore.waits import DIRECT, Waits
from docstore_postgres.backend import PostgresBackend, Timeouts
from docstore_postgres.connections import has_ended

__all__ = ["open_backend"]


def _refuse_ended(driver: Any, record: Any, proxy: Any) -> None:
    """Have the pool connect anew if the server has closed this connection."""
    if driver.closed or has_ended(record.driver_connection):
        raise sa.exc.InvalidatePoolError("the server has closed the connection")


def open_backend(
    url: str | sa.Engine,
    *,
    table_prefix: str = "docstore_",
    schema: str | None = None,
    lock_timeout: float = 30.0,
    statement_timeout: float = 300.0,
    idle_timeout: float = 600.0,
    upgrade: bool = True,
    read_only: bool = False,
    waits: Waits = DIRECT,
    **engine_options: Any,
) -> PostgresBackend:
    """Open (and create or upgrade) a store in Postgres.

    Args:
        url: ``postgresql://user@host/database`` (psycopg 3), or an SQLAlchemy engine for Postgres with
            psycopg.
        table_prefix: what the names of tables and functions begin with.
        schema: the schema that they are in; ``None`` is the first of the connection's search path. It must
            exist.
        lock_timeout: seconds to wait for what others hold before StoreBusy; 0 is without end.
        statement_timeout: seconds that one statement may take; 0 is without end.
        idle_timeout: seconds that a transaction may wait for its next statement; 0 is without end.
        upgrade: create the store, or bring it up to this format, if need be; false changes nothing.
        read_only: nothing will be written; nothing is created or upgraded.
        waits: how to wait; the asynchronous shell gives its own, and an ``AsyncEngine`` may come with it.
        engine_options: passed to ``sqlalchemy.create_engine``, such as ``pool_size=``.

    Raises:
        SchemaTooNew: a newer docstore wrote it.
        UpgradeNeeded: it is older, or not there, and ``upgrade`` is false.
        BackendError: the database cannot be reached (``retryable``), or is no UTF-8 database.
        ValueError: the engine is not one for psycopg.
    """
    timeouts = Timeouts(lock_timeout, statement_timeout, idle_timeout)
    upgrade = upgrade and not read_only
    owned = isinstance(url, str)
    engine = _make_engine(url, engine_options, waits) if isinstance(url, str) else sync_side(url, waits)
    if engine.dialect.name != "postgresql" or engine.dialect.driver != "psycopg":
        raise ValueError(
            f"engine for {engine.dialect.name}+{engine.dialect.driver}; expected postgresql+psycopg"
        )
    backend = PostgresBackend(
        engine, Tables(table_prefix, schema), owned=owned, timeouts=timeouts, waits=waits
    )
    try:
        _check_encoding(backend)
        backend.ensure_schema(upgrade=upgrade)
    except BaseException:
        backend.close()
        raise
    return backend


def _make_engine(url: str, options: dict[str, Any], waits: Waits) -> sa.Engine:
    parsed = sa.make_url(url).set(drivername="postgresql+psycopg")
    pool: dict[str, Any] = {"pool_size": 8, "max_overflow": 24, "pool_timeout": 30.0}
    given = {"isolation_level": "AUTOCOMMIT", "use_native_hstore": False, **pool, **options}
    if waits.is_async:
        from sqlalchemy.ext.asyncio import create_async_engine

        engine = create_async_engine(parsed, **given).sync_engine
    else:
        engine = sa.create_engine(parsed, **given)
    sa.event.listen(engine, "checkout", _refuse_ended)
    return engine


def _check_encoding(backend: PostgresBackend) -> None:
    with backend.translated(), backend.engine.connect() as connection:  # the schema's, too, goes to the pool
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    if encoding != "UTF8":
        raise BackendError(
            f"the database's encoding is {encoding}; docstore needs UTF8: CREATE DATABASE … ENCODING 'UTF8'"
        )
