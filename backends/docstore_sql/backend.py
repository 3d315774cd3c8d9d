"""SQLBackend: what the SQL backends share above a session: connections, blocks, and the schema's creation.

Connections are taken raw from the SQLAlchemy engine's pool and set up once each; transactions are begun and
ended by statements of our own. Whatever the driver raises leaves here as a BackendError with its cause kept.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar

import sqlalchemy as sa

from docstore.backend import EXACT, Judgement, SortKey, Writer
from docstore.errors import BackendError, DocstoreError
from docstore.query.expr import Leaf
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection
from docstore.waits import DIRECT, Waits
from docstore_sql import schema
from docstore_sql.compile import Compiler
from docstore_sql.session import Session
from docstore_sql.tables import Tables

__all__ = ["SQLBackend", "sync_side"]


class SQLBackend(ABC):
    """A backend over one SQLAlchemy engine.

    Args:
        engine: where the store is.
        tables: the tables' names.
        owned: whether ``close`` disposes of the engine; false for an engine that the application brought.
        waits: how to wait for what is no statement; with an asynchronous one the engine is the synchronous
            side of an AsyncEngine, and every call is made within its greenlet.
    """

    name: str
    session_type: ClassVar[type[Session]]
    compiler_type: ClassVar[type[Compiler]]

    def __init__(self, engine: sa.Engine, tables: Tables, *, owned: bool, waits: Waits = DIRECT) -> None:
        self.engine = engine
        self.tables = tables
        self.owned = owned
        self.waits = waits
        self.compilers: Mapping[str, Compiler] = self.new_compilers()
        self._pid = os.getpid()

    def new_compilers(self) -> dict[str, Compiler]:
        """Return a compiler for each collection, which knows nothing yet."""
        return {
            collection.name: self.compiler_type(collection, self.tables)
            for collection in (DOCUMENTS, EXTRACTIONS)
        }

    # -- the seam ----------------------------------------------------------------------------------

    def judge(self, collection: Collection, leaf: Leaf) -> Judgement:
        """Say how far the database runs ``leaf``; all of it unless the dialect says otherwise."""
        return EXACT

    def sorts(self, collection: Collection, key: SortKey) -> Judgement:
        """Say whether the database orders by ``key``; it does."""
        return EXACT

    def read(self, *, snapshot: bool = False) -> AbstractContextManager[Session]:
        """Open a block for reading."""
        return self._read(snapshot)

    @contextmanager
    def _read(self, snapshot: bool) -> Iterator[Session]:
        with self.translated(), self.checkout() as connection:
            session = self.session(connection)
            if not snapshot:
                yield session
                return
            session.cursor.execute(self.begin_read)
            try:
                yield session
            finally:
                self._end(session, "ROLLBACK")

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open a block for writing; commit it at the end, roll it back on an exception."""
        with self.translated(), self.write_lock(), self.checkout() as connection:
            with self.starting(connection):
                session = self.session(connection)
                self.begin(session)
            try:
                yield session
            except BaseException:
                self._end(session, "ROLLBACK")
                raise
            self._commit(session)

    def _commit(self, session: Session) -> None:
        """Commit; where the connection is lost meanwhile nobody can say whether it happened, and the error
        says that.
        """
        try:
            session.cursor.execute("COMMIT")
        except Exception as error:
            failed = self.translate(error)
            if failed is None:
                raise
            if self.is_lost(session.connection):
                failed.retryable = failed.outcome_unknown = True
            else:
                self._end(session, "ROLLBACK")
            raise failed from error

    def is_lost(self, connection: Any) -> bool:
        """Return whether a connection is gone, so that what was sent last may or may not have been done."""
        return False

    @contextmanager
    def starting(self, connection: Any) -> Iterator[None]:
        """Tell of a connection that turns out to be lost before a block begins on it: nothing was done, and
        the next one may well live.
        """
        try:
            yield
        except Exception as error:
            failed = self.translate(error)
            if failed is None or not self.is_lost(connection):
                raise
            failed.transient = True
            raise failed from error

    @contextmanager
    def join(self, connection: sa.Connection) -> Iterator[Session]:
        """Open a write block on the application's connection, which commits it."""
        with self.translated():
            fairy = connection.connection
            connection.begin() if not connection.in_transaction() else None
            self.prepare(fairy)
            yield self.session(fairy)

    def close(self) -> None:
        """Dispose of the engine, if it is ours."""
        if self.owned:
            self.engine.dispose()

    # -- connections -------------------------------------------------------------------------------

    def session(self, connection: Any) -> Session:
        """Return a session on a raw connection."""
        return self.session_type(connection, self.tables, self.compilers)

    @contextmanager
    def checkout(self) -> Iterator[Any]:
        """Take a raw connection from the pool, set up; a fork starts with a pool of its own."""
        if os.getpid() != self._pid:
            self.forked()
        connection = self.raw_connection()
        try:
            if "docstore" not in connection.info:
                self.prepare(connection)
                connection.info["docstore"] = True
            yield connection
        finally:
            connection.close()

    def raw_connection(self) -> Any:
        """Take a connection from the engine's pool."""
        return self.engine.raw_connection()

    @contextmanager
    def connected(self) -> Iterator[sa.Connection]:
        """Take a connection for what concerns the schema; each statement is a transaction of its own."""
        with self.engine.connect() as plain:
            yield plain.execution_options(isolation_level="AUTOCOMMIT")

    def forked(self) -> None:
        """Begin anew in a forked process: its parent's connections are not its own."""
        self.engine.dispose(close=False)
        self._pid = os.getpid()
        self.after_fork()

    def after_fork(self) -> None:  # noqa: B027 - most dialects share nothing but the pool
        """Make anew what a forked process must not share."""

    @staticmethod
    def _end(session: Session, how: str) -> None:
        """End a transaction that failed; what the driver says of it must not hide the failure."""
        try:
            session.cursor.execute(how)
        except Exception:
            session.connection.dbapi_connection.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn what the driver and the pool raise into BackendError."""
        try:
            yield
        except DocstoreError:
            raise
        except Exception as error:
            translated = self.translate(error)
            if translated is None:
                raise
            raise translated from error

    # -- the schema --------------------------------------------------------------------------------

    def ensure_schema(self, *, upgrade: bool = True) -> None:
        """Create the store, or bring it up to this format; one process at a time, a transaction a step.

        Args:
            upgrade: whether to do so; false only looks.

        Raises:
            SchemaTooNew: a newer docstore wrote it.
            UpgradeNeeded: there is something to do, and ``upgrade`` is false.
        """
        with self.translated(), self.connected() as connection:
            found = schema.found_format(connection, self.tables)
            if found == schema.newest():
                return
            if not upgrade:
                raise schema.upgrade_needed(found, self.tables.setting)
            with self.schema_transaction(connection):
                found = schema.found_format(connection, self.tables)
                if found is None:
                    schema.create(connection, self.tables, self.extra_schema())
                    found = schema.newest()
            for step in schema.pending_steps(found):
                with self.schema_transaction(connection):
                    if schema.found_format(connection, self.tables) == step.to - 1:
                        schema.run_step(connection, self.tables, step)

    def extra_schema(self) -> list[str]:
        """Return statements that the dialect adds to a fresh store."""
        return []

    # -- what a dialect adds -----------------------------------------------------------------------

    begin_read: ClassVar[str]

    @abstractmethod
    def begin(self, session: Session) -> None:
        """Begin a transaction for writing."""

    @abstractmethod
    def prepare(self, connection: Any) -> None:
        """Set up a raw connection, once."""

    @abstractmethod
    def write_lock(self) -> AbstractContextManager[None]:
        """Wait for the turn to write, where the engine has a single writer."""

    @abstractmethod
    def schema_transaction(self, connection: sa.Connection) -> AbstractContextManager[None]:
        """Open a transaction that only one process at a time can hold, for the schema."""

    @abstractmethod
    def translate(self, error: Exception) -> BackendError | None:
        """Return the BackendError for what the driver raised, or ``None`` if it is not the driver's."""


def _conforms(backend: SQLBackend) -> AbstractContextManager[Writer]:
    return backend.write()  # checked by mypy: a session is a Writer


def sync_side(engine: Any, waits: Waits) -> sa.Engine:
    """Return the engine that an application brought, of an AsyncEngine its synchronous side.

    Raises:
        ValueError: an AsyncEngine was brought to the blocking shell, or an Engine to the asynchronous one.
    """
    if engine.dialect.is_async != waits.is_async:
        wanted = "docstore.open_async" if engine.dialect.is_async else "docstore.open"
        raise ValueError(f"{type(engine).__name__} for {engine.dialect.name}: open it with {wanted}")
    found: sa.Engine = getattr(engine, "sync_engine", engine)
    return found
