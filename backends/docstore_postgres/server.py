"""Opening a store in Postgres: URL, options, and the checks of the server."""

from __future__ import annotations

import math
import re
from typing import Any
from urllib.parse import unquote

import sqlalchemy as sa
from docstore_sql.backend import POOL_LOOK_SECONDS
from docstore_sql.tables import Tables

from docstore.errors import BackendError
from docstore_postgres.backend import PostgresBackend, Timeouts
from docstore_postgres.connections import has_ended

__all__ = ["OLDEST", "open_backend"]

_MOST_PARTITIONS = 1024
# The oldest major version of Postgres that the tests run on.
OLDEST = 14
_SEVERAL_HOSTS = re.compile(
    r"(?P<start>[^:/]+://(?:[^/?#@]*@)?)(?P<hosts>[^/?#]*,[^/?#]*)(?P<rest>.*)", re.DOTALL
)
_HOST = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<name>[^:]*))(?::(?P<port>\d*))?\Z")


def _refuse_ended(driver: Any, record: Any, proxy: Any) -> None:
    """Have the pool connect anew if the server has closed this connection."""
    if driver.closed or has_ended(record.driver_connection):
        raise sa.exc.InvalidatePoolError("the server has closed the connection")


def open_backend(
    url: str | sa.Engine,
    *,
    table_prefix: str = "docstore_",
    schema: str | None = None,
    lock_timeout: float = 10.0,
    statement_timeout: float = 300.0,
    idle_timeout: float = 600.0,
    upgrade: bool = True,
    read_only: bool = False,
    search_marks: bool = False,
    pool_timeout: float = 10.0,
    pooled: bool = False,
    replica: str | None = None,
    connect_timeout: float = 10.0,
    partitions: int | None = None,
    **engine_options: Any,
) -> PostgresBackend:
    """Open (and create or upgrade) a store in Postgres.

    Args:
        url: ``postgresql://user@host/database`` (psycopg 3), several hosts as libpq takes them
            (``postgresql://h1:5432,h2:5432/database``), or an SQLAlchemy engine for Postgres with psycopg.
        table_prefix: what the names of tables and functions begin with; at most 36 letters, digits and
            underscores.
        schema: the schema that they are in; ``None`` is the first of the connection's search path. It must
            exist.
        lock_timeout: seconds to wait for what others hold before StoreBusy; 0 is without end.
        statement_timeout: seconds that one statement may take; 0 is without end.
        idle_timeout: seconds that a transaction may wait for its next statement; 0 is without end.
        upgrade: create the store, or bring it up to this format, if need be; false changes nothing.
        read_only: nothing will be written; nothing is created or upgraded. False finds out whether the
            server, its settings or the role's rights allow more.
        search_marks: whether a search keeps marks; fixed when the store is made.
        pool_timeout: seconds to wait for a connection, of the pool or of a server that has no more to give,
            before StoreBusy.
        pooled: whether a pooler in transaction mode (PgBouncer, Supabase's port 6543, Neon) stands before the
            server: each call is then a transaction of its own that begins with all settings it relies on.
        replica: the URL of a server that follows this one by streaming replication: reads outside of
            transactions go there once it has replayed what this store wrote last, and to this one else.
        connect_timeout: seconds to wait for a server to answer, at least 2, in whole ones; the URL's comes
            first.
        partitions: hash partitions by tenant, 1 to 1024, that a new store's tables are made in; ``None``: one
            table each, or what an existing store has.
        engine_options: passed to ``sqlalchemy.create_engine``: ``pool_size=`` (8 by default),
            ``max_overflow=`` (8), ``poolclass=`` and others.

    Raises:
        SchemaTooNew: a newer docstore wrote it.
        UpgradeNeeded: it is older, or not there, and ``upgrade`` is false.
        StoreBusy: the server has no connection free.
        BackendError: the database cannot be reached (``retryable``), is no UTF-8 database, is older than
            Postgres 14, or only speaks its language.
        ValueError: the engine is not one for psycopg, or a name is too long.
    """
    timeouts = Timeouts(lock_timeout, statement_timeout, idle_timeout)
    if partitions is not None and (type(partitions) is not int or not 1 <= partitions <= _MOST_PARTITIONS):
        raise ValueError(
            f"partitions={partitions!r:.80}: expected a whole number from 1 to {_MOST_PARTITIONS}, or None"
        )
    tables = Tables(table_prefix, schema, search_marks, partitions or 0)
    owned = isinstance(url, str)
    engine: Any = url
    if isinstance(url, str):
        engine = _make_engine(url, connect_timeout, engine_options, pooled=pooled)
    if engine.dialect.name != "postgresql" or engine.dialect.driver != "psycopg":
        raise ValueError(
            f"engine for {engine.dialect.name}+{engine.dialect.driver}; expected postgresql+psycopg"
        )
    backend = PostgresBackend(
        engine, tables, owned=owned, timeouts=timeouts, pool_timeout=pool_timeout, pooled=pooled,
        read_only="it was opened with read_only=True" if read_only else "",
    )  # fmt: skip
    if replica is not None:
        following = _make_engine(replica, connect_timeout, engine_options, pooled=pooled)
        backend.replica = PostgresBackend(
            following, tables, owned=True, timeouts=timeouts,
            pool_timeout=pool_timeout, pooled=pooled, read_only="it is a replica",
        )  # fmt: skip
    try:
        _check_server(backend)
        backend.read_only = backend.read_only or _forbidden(backend)
        backend.ensure_schema(upgrade=upgrade and not backend.read_only)
        backend.look_at_parts()
        there = backend.tables.partitions
        if partitions not in (None, there):
            raise BackendError(
                f"this store's tables are in {there or 'no'} partitions, and it is opened with "
                f"partitions={partitions}: a store keeps those that it was made with; the command docstore "
                "partition changes that"
            )
        backend.restore_derived(allowed=upgrade and not backend.read_only)
    except BaseException:
        backend.close()
        raise
    return backend


def _make_engine(url: str, connect_timeout: float, options: dict[str, Any], *, pooled: bool) -> sa.Engine:
    parsed = _parsed(url).set(drivername="postgresql+psycopg")
    given: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "use_native_hstore": False, **options}
    if issubclass(given.get("poolclass") or sa.QueuePool, sa.QueuePool):
        given = {"pool_size": 8, "max_overflow": 8, **given, "pool_timeout": POOL_LOOK_SECONDS}
    # said while connecting, so that what the role's or the environment's settings say never counts
    given["connect_args"] = {**given.get("connect_args", {}), "client_encoding": "utf8"}
    if pooled:
        given["connect_args"]["prepare_threshold"] = None  # no statement is ever prepared
    if "connect_timeout" not in parsed.query:
        given["connect_args"].setdefault("connect_timeout", max(2, math.ceil(connect_timeout)))
    engine = sa.create_engine(parsed, **given)
    sa.event.listen(engine, "checkout", _refuse_ended)
    return engine


def _parsed(url: str) -> sa.URL:
    """Return a URL, of which SQLAlchemy would not read several hosts."""
    found = _SEVERAL_HOSTS.match(url)
    if found is None:
        return sa.make_url(url)
    hosts, ports = [], []
    for one in found["hosts"].split(","):
        host = _HOST.match(one)
        if host is None:
            raise ValueError(f"host {one!r} in the URL: expected name, name:port or [address]:port")
        hosts.append(unquote(host["name"] if host["v6"] is None else host["v6"]))
        ports.append(host["port"] or "")
    query = {"host": ",".join(hosts), **({"port": ",".join(ports)} if any(ports) else {})}
    return sa.make_url(found["start"] + found["rest"]).update_query_dict(query)


def _check_server(backend: PostgresBackend) -> None:
    """Refuse a server that is not Postgres as this backend knows it.

    Raises:
        BackendError: it is too old, is another database, or its encoding is not UTF-8.
    """
    asked = "SELECT version(), current_setting('server_version_num')::int, current_setting('server_encoding')"
    try:
        with backend.translated():
            version, number, encoding = backend.with_connection(lambda one: one.exec_driver_sql(asked).one())
    except AssertionError as error:  # SQLAlchemy asks for the version, too, and reads Postgres' alone
        version, number, encoding = str(error), 0, "UTF8"
    if "CockroachDB" in version or not number:
        raise BackendError(f"the server is no PostgreSQL, but says {version!r}: docstore relies on its locks")
    named = re.search(r"PostgreSQL (\d+)", version)
    major = min(number // 10_000, int(named[1]) if named else number)
    if major < OLDEST:
        raise BackendError(
            f"the server is Postgres {major}; docstore needs {OLDEST} or newer: upgrade the server"
        )
    if encoding != "UTF8":
        raise BackendError(
            f"the database's encoding is {encoding}; docstore needs UTF8: CREATE DATABASE … ENCODING 'UTF8'"
        )


_RIGHTS = """
SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')::bool, current_user,
    bool_or(has_any_column_privilege(found, 'INSERT, UPDATE') OR has_table_privilege(found, 'DELETE'))
FROM unnest(ARRAY[to_regclass(%s), to_regclass(%s), to_regclass(%s)]) AS found
"""


def _forbidden(backend: PostgresBackend) -> str:
    """Return why a store that is there cannot be written to; ``""``: it can, or there is none."""
    tables = tuple(backend.tables.named(name) for name in ("document", "extraction", "blob"))
    with backend.translated():
        found = backend.with_connection(lambda one: one.exec_driver_sql(_RIGHTS, tables).one())
    standby, reads, role, writes = found
    if standby:
        return "the server is a standby: write to its primary"
    if reads:
        return "default_transaction_read_only is on for this server, database or role"
    return f"the role {role} may only read its tables" if writes is False else ""
