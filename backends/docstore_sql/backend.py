"""SQL backend: connections, blocks and the creation of the schema, shared by both databases.

Connections are taken raw from the pool of the SQLAlchemy engine and set up once each. Our own statements
begin and end transactions. Every error of the driver leaves here as a BackendError with its cause.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, ClassVar, Generic, TypeVar

import sqlalchemy as sa

from docstore.backend import EXACT, Location, SortKey, TermSupport, Writer
from docstore.concurrency import Gate, current
from docstore.errors import BackendError, DocstoreError, StoreBusy
from docstore.query.expr import Leaf
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection
from docstore_sql import migrations
from docstore_sql.compiler import Compiler
from docstore_sql.pool import (
    Checkout,
    Connecting,
    IdleConnection,
    IdlePool,
    JoinedTransaction,
    LoopConnection,
    ReadBlock,
    WriteBlock,
    forked_connections,
    on_loop,
    roll_back,
)
from docstore_sql.session import Session
from docstore_sql.tables import Tables, view_statements

T = TypeVar("T")
_COLLECTIONS = {one.name: one for one in (DOCUMENTS, EXTRACTIONS)}

# A pool of our own says after so long that it is full. The waiting call then looks at its deadline and asks
# again.
POOL_LOOK_SECONDS = 0.02


S = TypeVar("S", bound=Session)


class SQLBackend(ABC, Generic[S]):
    """A backend over one SQLAlchemy engine.

    Args:
        engine: where the store is; of an AsyncEngine connections are taken, and used, on the caller's loop.
        tables: the tables' names.
        owned: whether ``close`` disposes of the engine; false for an engine that the application brought.
        pool_timeout: seconds to wait for a connection of our own before StoreBusy.
    """

    name: str
    compiler_type: ClassVar[type[Compiler]]

    def __init__(self, engine: Any, tables: Tables, *, owned: bool, pool_timeout: float = 10.0) -> None:
        self.loop_engine: Any = engine if is_async(engine) else None
        self.engine: sa.Engine = engine.sync_engine if is_async(engine) else engine
        self.tables = tables
        self.owned = owned
        self.pool_timeout = pool_timeout
        self._connecting = Connecting(self.engine.raw_connection, lambda connection: connection.close())
        self.compilers: Mapping[str, Compiler] = self.new_compilers()
        self._pid = os.getpid()
        self.gate = Gate()
        self._idle: IdlePool | None = None

    @property
    def location(self) -> Location:
        """Where the database is."""
        url = self.engine.url
        socket = url.query.get("host", "")
        host = url.host or (socket if isinstance(socket, str) else socket[0])
        parts = [part for part in (url.database, self.tables.schema) if part]
        return Location(self.name, "|".join(parts), host, url.port)

    def new_compilers(self) -> dict[str, Compiler]:
        """Return a compiler for each collection, which knows nothing yet."""
        return {
            collection.name: self.compiler_type(collection, self.tables)
            for collection in (DOCUMENTS, EXTRACTIONS)
        }

    # -- the seam ----------------------------------------------------------------------------------

    def support(self, collection: Collection, leaf: Leaf) -> TermSupport:
        """Say how far the database runs ``leaf``; all of it unless the dialect says otherwise."""
        return EXACT

    def sorts(self, collection: Collection, key: SortKey) -> TermSupport:
        """Say whether the database orders by ``key``; it does."""
        return EXACT

    def read(self, *, snapshot: bool = False) -> AbstractContextManager[S]:
        """Open a block for reading."""
        return self._read(self.begin_read if snapshot else None)

    def _read(self, begin: str | None) -> AbstractContextManager[S]:
        pool = self._idle_pool()
        return self._read_checked_out(begin) if pool is None else ReadBlock(pool, self, begin)

    @contextmanager
    def _read_checked_out(self, begin: str | None) -> Iterator[S]:
        with self.translated(), self.checkout() as connection:
            session = self.session(connection)
            with self._interruptible(session):
                if begin is not None:
                    session.cursor.execute(begin)
                try:
                    yield session
                finally:
                    current().detach()
                    if begin is not None:
                        roll_back(session)

    def write(self) -> AbstractContextManager[S]:
        """Open a block for writing; commit it at the end, roll it back on an exception."""
        return WriteBlock(self)

    def begun(self, idle: IdleConnection) -> S:
        """Return a session whose transaction for writing has begun."""
        try:
            session = self.writing_session(idle)
            self.begin(session)
        except Exception as error:
            self._raise_lost(idle.connection, error)
            raise
        return session

    def writing_session(self, idle: IdleConnection) -> S:
        """Return the session of a block that writes."""
        return self.session(idle.connection)

    @staticmethod
    @contextmanager
    def _interruptible(session: Session) -> Iterator[None]:
        """Let the statements of a block be interrupted."""
        call = current()
        before = call.attach(session.interrupt)
        try:
            yield
        finally:
            call.detach(before)

    def commit(self, session: S) -> None:
        """Commit; if the connection is lost meanwhile, raise an error that says the outcome is unknown."""
        if session.process != os.getpid():
            raise BackendError("this transaction belongs to the process that was forked: end it there")
        try:
            session.cursor.execute("COMMIT")
        except Exception as error:
            failed = self.translate(error)
            if failed is None:
                raise
            if self.is_lost(session.connection):
                failed.retryable = failed.outcome_unknown = True
            else:
                roll_back(session)
            raise failed from error

    def is_lost(self, connection: Any) -> bool:
        """Return whether a connection is gone, so that its last statement may or may not have been done."""
        return False

    @contextmanager
    def starting(self, connection: Any) -> Iterator[None]:
        """Tell of a connection that turns out to be lost before a block begins on it: nothing was done, and
        the next one may well live.
        """
        try:
            yield
        except Exception as error:
            self._raise_lost(connection, error)
            raise

    def _raise_lost(self, connection: Any, error: Exception) -> None:
        failed = self.translate(error)
        if failed is not None and self.is_lost(connection):
            failed.transient = True
            raise failed from error

    @contextmanager
    def join(self, connection: Any) -> Iterator[Callable[[], S]]:
        """Take part in the application's transaction; yield what makes the session of each call."""
        with ExitStack() as stack:
            with self.translated():
                joined = JoinedTransaction(
                    connection, self.engine.dialect.name, self.drivers, self.example_url, self.loop_cursor
                )
                stack.enter_context(self.joining(joined.connection))

            def session() -> S:
                joined.check()
                return self.joined_session(joined.connection)

            yield session

    @abstractmethod
    def joining(self, connection: Any) -> AbstractContextManager[None]:
        """Set up a connection of the application's, for a block."""

    def joined_session(self, connection: Any) -> S:
        """Return the session of one call on a connection of the application's."""
        return self.session(connection)

    def close(self) -> None:
        """Dispose of the engine, if it is ours."""
        if os.getpid() != self._pid:
            self.forked()
        if self._idle is not None:
            self._idle.close()
        self._connecting.close()
        if self.owned:
            self.engine.dispose()

    # -- connections -------------------------------------------------------------------------------

    @abstractmethod
    def session(self, connection: Any) -> S:
        """Return a session on a raw connection."""

    def _idle_pool(self) -> IdlePool | None:
        """Return the idle connections, ``None`` if none are kept; a fork starts with none."""
        if os.getpid() != self._pid:
            self.forked()
        return self._idle

    @contextmanager
    def checkout(self) -> Iterator[Any]:
        """Take a raw connection, set up."""
        with self.checked_out() as idle:
            yield idle.connection

    def checked_out(self) -> AbstractContextManager[IdleConnection]:
        """Take a connection, set up: one that is idle, or one from the engine's pool."""
        pool = self._idle_pool()
        return self._checked_out() if pool is None else Checkout(pool, self)

    @contextmanager
    def _checked_out(self) -> Iterator[IdleConnection]:
        with self.gate:
            connection: Any
            if self.loop_engine is None:
                connection = self.raw_connection()
            else:
                connection = LoopConnection.taken_from(self.loop_engine, self.loop_cursor)
            try:
                self.make_ready(connection)
                yield IdleConnection(connection, self)
            finally:
                if os.getpid() == self._pid:
                    connection.close()
                else:
                    forked_connections.append(connection)

    def make_ready(self, connection: Any) -> None:
        """Set a raw connection up, unless that was done before."""
        if "docstore" not in connection.info:
            self.set_up(connection)
            connection.info["docstore"] = True

    def raw_connection(self) -> Any:
        """Take a connection from the engine's pool.

        Raises:
            StoreBusy: none came free.
            Cancelled, QueryTimeout: the call was over before.
        """
        end = time.monotonic() + self.pool_timeout
        while True:
            try:
                return self._connecting.take() if self._may_take_long() else self.engine.raw_connection()
            except sa.exc.TimeoutError as full:  # our own pool says so at once: who waits looks at its call
                if not self.owned:
                    raise
                if time.monotonic() >= end:
                    raise StoreBusy(
                        f"no connection came free within {self.pool_timeout:g} s (pool_timeout): "
                        "all are in use; try again later"
                    ) from full
            current().check("a connection")

    def _may_take_long(self) -> bool:
        """Return whether there may be none to be had at once."""
        pool = self.engine.pool
        return self.connects_slowly and not (isinstance(pool, sa.QueuePool) and pool.checkedin())

    @contextmanager
    def connected(self) -> Iterator[sa.Connection]:
        """Take a connection for work on the schema; each statement is a transaction of its own."""
        with self.engine.connect() as plain:
            # Our own BEGIN and COMMIT: SQLAlchemy must not open a transaction around them.
            yield plain.execution_options(isolation_level="AUTOCOMMIT")

    def forked(self) -> None:
        """Begin anew in a forked process: its parent's connections are not its own."""
        self.engine.dispose(close=False)
        self._connecting = Connecting(self.engine.raw_connection, lambda connection: connection.close())
        if self._idle is not None:
            self._idle.forget()
        self._pid = os.getpid()
        self.after_fork()

    def after_fork(self) -> None:
        """Replace the state that a forked process must not share."""

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn errors of the driver and the pool into BackendError."""
        try:
            yield
        except Exception as error:
            self._raise_translated(error)
            raise

    def _raise_translated(self, error: Exception) -> None:
        translated = None if isinstance(error, DocstoreError) else self.translate(error)
        if translated is not None:
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
        with self.translated():
            found = self.with_connection(lambda connection: migrations.found_format(connection, self.tables))
            if found == migrations.newest():
                return
            if not upgrade:
                raise migrations.upgrade_needed(found, self.tables.setting)
            with self.write_lock():
                self.with_connection(self._make_schema)

    def _make_schema(self, connection: sa.Connection) -> None:
        with self.schema_transaction(connection):
            found = migrations.found_format(connection, self.tables)
            if found is None:
                extra = [*self.extra_schema(), *self.derived_schema()]
                migrations.create(connection, self.tables, extra)
                found = migrations.newest()
        for step in migrations.pending_steps(found):
            with self.schema_transaction(connection):
                if migrations.found_format(connection, self.tables) == step.to - 1:
                    migrations.run_step(connection, self.tables, step)

    def with_connection(self, work: Callable[[sa.Connection], T]) -> T:
        """Run ``work`` on a connection of :meth:`connected`, of an AsyncEngine on the caller's loop."""
        if self.loop_engine is None:
            with self.connected() as connection:
                return work(connection)

        async def run() -> T:
            async with self.loop_engine.connect() as connection:
                quiet = await connection.execution_options(isolation_level="AUTOCOMMIT")
                result: T = await quiet.run_sync(work)
                return result

        return on_loop(run())

    def extra_schema(self) -> list[str]:
        """Return statements that only a fresh store needs."""
        return []

    def derived_schema(self) -> list[str]:
        """Return statements that make the dialect's derived objects where they are missing."""
        return view_statements(self.tables, self.engine.dialect.name)

    @abstractmethod
    def index_statements(self, collection: Collection, setting: str) -> list[str]:
        """Return the statements that make a collection's declared indexes where they are missing.

        Args:
            collection: of the indexed records.
            setting: the text of the setting that lists them.
        """

    @abstractmethod
    def object_names(self) -> str:
        """Return the statement that reads the names of all objects in the store's database or schema."""

    def restore_derived(self, *, allowed: bool) -> None:
        """Make missing objects that are derived from the rows: counters, the index and its tables, views.

        Args:
            allowed: whether to make them; else only look.

        Raises:
            BackendError: a table with data is missing, or an object that reads need, and nothing may be
                made.
        """
        # Rows exist nowhere else; counters, indexes and views can be made again from them.
        data = {f"{self.tables.prefix}{name}" for name in migrations.DATA}
        declared: list[str] = []

        def look(connection: sa.Connection) -> set[str]:
            names = set(connection.exec_driver_sql(self.object_names()).scalars())
            if data <= names:
                declared.extend(self._declared(connection.exec_driver_sql(self._settings()).all()))
            return names

        with self.translated():
            there = self.with_connection(look)
        if gone := data - there:
            raise BackendError(
                f"the store lacks the table {', '.join(sorted(gone))}, whose rows nothing else holds: "
                "restore the database from a backup"
            )
        statements = [*self._restoring(), *declared]
        missing = self.derived_names(statements) - there
        if not missing:
            return
        is_needed = not missing.isdisjoint(self.derived_names(statements, tables=True))
        if not allowed:
            if is_needed:
                raise BackendError(
                    f"the store lacks {', '.join(sorted(missing))}, which are derived from its rows: open it "
                    "once with the right to create them"
                )
            return
        try:
            self._restore()
        except BackendError:  # a role that may not create anything still reads and writes
            if is_needed:
                raise

    def _restoring(self) -> list[str]:
        return [*migrations.derived_statements(self.tables, self.engine.dialect), *self.derived_schema()]

    def derived_names(self, statements: Sequence[str], *, tables: bool = False) -> set[str]:
        """Return the names of the derived objects.

        Args:
            statements: the statements that make them.
            tables: leave out objects that calls can do without: indexes and views.
        """
        passive = ("INDEX", "VIEW") if tables else ()
        return {name for name, kind in migrations.made_by(statements).items() if kind not in passive}

    def _settings(self) -> str:
        """Return the statement that reads which indexes are declared."""
        names = ", ".join(f"'indexes of {name}'" for name in _COLLECTIONS)
        return f"SELECT name, value FROM {self.tables.setting} WHERE name IN ({names})"

    def _declared(self, settings: Iterable[Sequence[Any]]) -> list[str]:
        """Return the statements that make the declared indexes."""
        declared = [(_COLLECTIONS[name.removeprefix("indexes of ")], text) for name, text in settings]
        return [one for of, text in declared for one in self.index_statements(of, text)]

    def _restore(self) -> None:
        with self.write() as session:
            session.lock("schema")
            session.cursor.execute(self._settings())
            statements = [*self._restoring(), *self._declared(session.cursor.fetchall())]
            session.cursor.execute(self.object_names())
            missing = self.derived_names(statements) - {str(name) for (name,) in session.cursor.fetchall()}
            if missing:
                session.restore(statements, missing)

    # -- what a dialect adds -----------------------------------------------------------------------

    begin_read: ClassVar[str]
    drivers: ClassVar[tuple[str, ...]]
    """What SQLAlchemy calls the drivers whose connections can be used."""
    example_url: ClassVar[str]
    connects_slowly: ClassVar[bool] = False
    """Whether a connection goes to a server, that may not answer."""

    @staticmethod
    @abstractmethod
    def loop_cursor(driver: Any) -> Any:
        """Return a cursor on a connection of the asynchronous driver."""

    @abstractmethod
    def is_interrupt(self, error: Exception) -> bool:
        """Return whether the driver says that a statement was interrupted."""

    @abstractmethod
    def is_at_rest(self, connection: Any) -> bool:
        """Return whether a connection lives, and no transaction is open on it."""

    def has_ended(self, connection: Any) -> bool:
        """Return whether the server has closed a connection."""
        return False

    def recover(self, idle: IdleConnection) -> None:
        """End everything that a failed block left under way on a connection."""

    @abstractmethod
    def begin(self, session: S) -> None:
        """Begin a transaction for writing."""

    @abstractmethod
    def set_up(self, connection: Any) -> None:
        """Set up a raw connection, once."""

    def take_turn(self) -> None:
        """Wait for the turn to write, where the engine has a single writer."""

    def end_turn(self) -> None:
        """Let the next writer have its turn."""

    @contextmanager
    def write_lock(self) -> Iterator[None]:
        """Have the turn to write for a block."""
        self.take_turn()
        try:
            yield
        finally:
            self.end_turn()

    @abstractmethod
    def schema_transaction(self, connection: sa.Connection) -> AbstractContextManager[None]:
        """Open a transaction that only one process at a time can hold, for the schema."""

    def translate(self, error: Exception) -> BackendError | None:
        """Return the BackendError for an error of the driver, None for others.

        Raises:
            Cancelled, QueryTimeout: a statement was interrupted because its call is over.
        """
        if self.is_interrupt(error):
            current().check()
        return self.meaning(error)

    @abstractmethod
    def meaning(self, error: Exception) -> BackendError | None:
        """Return the BackendError for an error of the driver or the pool, None for others."""


def _conforms(backend: SQLBackend[Session]) -> AbstractContextManager[Writer]:
    return backend.write()  # checked by mypy: a session is a Writer


def is_async(engine: Any) -> bool:
    """Return whether an engine is an AsyncEngine.

    Raises:
        ValueError: it is, and no event loop waits for this call.
    """
    found: bool = engine.dialect.is_async
    if found and current().loop is None:
        raise ValueError(
            f"{type(engine).__name__} for {engine.dialect.name}: open it with docstore.open_async"
        )
    return found
