"""The SQLite backend: connection settings, the write lock, and what ``sqlite:`` URLs mean.

WAL, ``synchronous=FULL`` (an acknowledged commit survives a power cut; NORMAL does not), writers by ``BEGIN
IMMEDIATE`` under one fair lock, readers on connections of their own. A database in memory is one connection,
shared in turn.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Collection as Container
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Any, ClassVar

import sqlalchemy as sa
from docstore_sql.backend import POOL_LOOK_SECONDS, SQLBackend
from docstore_sql.migrations import upgrade_needed
from docstore_sql.pool import IdleConnection, IdlePool, LoopConnection, no_transaction
from docstore_sql.tables import Tables
from sqlalchemy.pool import QueuePool, SingletonThreadPool, StaticPool

from docstore.backend import Capabilities, Query, SortKey
from docstore.concurrency import Clock, ReentrantFairLock, current, sleep
from docstore.errors import BackendError, ReadOnlyStore, StoreBusy
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection
from docstore_sqlite import declared_indexes
from docstore_sqlite.async_cursor import SQLiteLoopCursor, in_its_thread
from docstore_sqlite.compiler import SQLiteCompiler, register
from docstore_sqlite.database_file import DatabaseFile, database_file_of, lock_of, why_not_opened
from docstore_sqlite.declared_indexes import register_order
from docstore_sqlite.delta_log import register_compaction
from docstore_sqlite.planner import SQLitePrepared
from docstore_sqlite.posting_store import FIELDS, SharedIndex, generations_of, parts_of, schema_of
from docstore_sqlite.session import SQLiteSession

# The default prefix of the tables.
_PREFIX = "docstore_"

# The setting that says whether something was erased since the file was last written anew.
_ERASED = "erased"
# An erasure rewrites a file of up to this size itself: 2 s, in which nobody else can write.
_REWRITTEN_BYTES = 256 << 20
# Threads that read at once. Of 64 calls at once the slowest hundredth took 1.9 to 2.9 times the median,
# with 8 threads 3.1 to 4.6 times (seven runs in turns): more threads wait longer for the interpreter's
# lock.
_READER_THREADS = 4


class SQLiteBackend(SQLBackend[SQLiteSession]):
    """A store in one SQLite database.

    Args:
        engine: where it is.
        tables: the tables' names.
        owned: whether to dispose of the engine on close.
        busy_timeout: seconds that a writer waits for its turn before StoreBusy.
        pool_timeout: seconds that a reader waits for a connection, or a thread of an AsyncStore, likewise.
        keeps: whether a few connections are kept at hand beside the engine's pool.
        place: where its file is.
        mmap_size: bytes of the file that a connection maps into memory; 0 is none.
    """

    name = "sqlite"
    compiler_type = SQLiteCompiler
    begin_read: ClassVar[str] = "BEGIN"
    drivers: ClassVar[tuple[str, ...]] = ("pysqlite", "aiosqlite")
    example_url: ClassVar[str] = "sqlite:///… or sqlite+aiosqlite:///…"

    def __init__(
        self,
        engine: sa.Engine,
        tables: Tables,
        *,
        owned: bool,
        busy_timeout: float = 10.0,
        pool_timeout: float = 10.0,
        keeps: bool = False,
        place: DatabaseFile | None = None,
        mmap_size: int = 0,
    ) -> None:
        super().__init__(engine, tables, owned=owned, pool_timeout=pool_timeout)
        self.busy_timeout = busy_timeout
        self.mmap_size = mmap_size
        self.place = place or database_file_of(self.engine.url)[0]
        self.path = self.place.path
        self.read_only = self.place.read_only
        self.lock = lock_of(self.path)
        # True once the file is known to hold a store of this format: nothing is compacted into another one.
        self.is_ready = False
        self.clock = Clock()
        self.index: dict[str, SharedIndex] = {name: SharedIndex() for name in FIELDS}
        # The turn to use the one connection of a database in memory.
        self._single = ReentrantFairLock() if self.path is None else None
        self._idle = IdlePool(engine, self) if keeps else None
        if owned and self.path is not None:
            sa.event.listen(engine, "do_connect", self._by_place)

    def checked_out(self) -> AbstractContextManager[IdleConnection]:
        """Take a connection; a database in memory has one, used in turn."""
        return super().checked_out() if self._single is None else self._checked_out_in_turn(self._single)

    @contextmanager
    def _checked_out_in_turn(self, turn: ReentrantFairLock) -> Iterator[IdleConnection]:
        if os.getpid() != self._pid:
            self.forked()
        if not turn.acquire(self.busy_timeout, "the one connection of a database in memory"):
            raise StoreBusy(
                f"others kept the one connection of this database in memory for longer than "
                f"{self.busy_timeout:g} s; try again later"
            )
        try:
            with super().checked_out() as idle:
                yield idle
        finally:
            turn.release()

    def _by_place(self, dialect: Any, record: Any, arguments: list[Any], keywords: dict[str, Any]) -> None:
        """Have a connection opened by what may be done where the file is."""
        arguments[:] = [self.place.uri()]
        keywords["uri"] = True

    def is_at_rest(self, connection: Any) -> bool:
        """Return whether a connection is open, and no transaction is open on it."""
        try:
            return not connection.dbapi_connection.in_transaction
        except Exception:  # it is closed
            return False

    def recover(self, idle: IdleConnection) -> None:
        """Let no statement of a block that failed be under way: it would keep its snapshot."""
        if idle.known_session is not None:
            idle.known_session.cursor.close()
            idle.known_session = None
        idle.connection.driver_connection.rollback()

    def session(self, connection: Any) -> SQLiteSession:
        """Return a session on a raw connection, which shares what the process knows of the index."""
        return SQLiteSession(connection, self.tables, self.compilers, self.index, self.clock)

    def writing_session(self, idle: IdleConnection) -> SQLiteSession:
        """Return the session that the connection's reads run on, too: a writer reads all the time."""
        session: Any = idle.known_session or idle.session
        found: SQLiteSession = session
        return found

    @staticmethod
    def loop_cursor(driver: Any) -> SQLiteLoopCursor:
        """Return a cursor on a connection of aiosqlite's."""
        return SQLiteLoopCursor(driver)

    def is_interrupt(self, error: Exception) -> bool:
        """Return whether sqlite3 says that a statement was interrupted."""
        return str(getattr(error, "orig", None) or error) == "interrupted"

    @property
    def capabilities(self) -> Capabilities:
        """What SQLite can do beyond what every backend must, and whether it can be written to."""
        return Capabilities(
            read_only=self.read_only,
            readers=_READER_THREADS if self.path is not None else 1,
            pool_timeout=self.pool_timeout,
        )

    def prepare(self, query: Query) -> SQLitePrepared:
        """Return a place for what sessions work out for ``query``."""
        return SQLitePrepared.of(query)

    def begin(self, session: SQLiteSession) -> None:
        """Begin as the writer at once, so that a busy database says so here."""
        if current().is_bounded and self.path is not None:
            self._begin_in_time(session)
        else:
            session.cursor.execute("BEGIN IMMEDIATE")
        session.indexed.is_private = True

    def _begin_in_time(self, session: SQLiteSession) -> None:
        """Begin; look at the call while another program holds the file: SQLite's wait does not."""
        end = time.monotonic() + self.busy_timeout
        session.cursor.execute("PRAGMA busy_timeout = 0")
        try:
            while True:
                try:
                    session.cursor.execute("BEGIN IMMEDIATE")
                    return
                except Exception as error:
                    is_held = "locked" in str(error) or "busy" in str(error)
                    if not is_held or time.monotonic() >= end:
                        raise
                sleep(0.005)
        finally:
            session.cursor.execute(f"PRAGMA busy_timeout = {int(self.busy_timeout * 1000)}")

    # -- indexes -----------------------------------------------------------------------------------

    def create_index(self, collection: Collection, keys: Sequence[SortKey]) -> bool:
        """Make an index of rows in the order of ``keys``; return whether it is new."""
        with self.write() as session:
            made = session.create_index(collection, keys)
        self._read_indexes(collection)
        return made

    def drop_index(self, collection: Collection, keys: Sequence[SortKey]) -> bool:
        """Remove a declared index; return whether it was there."""
        with self.write() as session:
            dropped = session.drop_index(collection, keys)
        self._read_indexes(collection)
        return dropped

    def indexes(self, collection: Collection) -> list[tuple[SortKey, ...]]:
        """Return the keys of each declared index."""
        return self._read_indexes(collection)

    def seen_orders(self, collection: Collection) -> dict[tuple[SortKey, ...], tuple[int, float]]:
        """Return, of the orders that no index had, how often each was asked for and the seconds that took."""
        return dict(self.index[collection.name].orders)

    def _read_indexes(self, collection: Collection) -> list[tuple[SortKey, ...]]:
        with self.read() as session:
            known = session.indexes(collection)
        compiler = self.compilers[collection.name]
        assert isinstance(compiler, SQLiteCompiler)
        compiler.declare(tuple(known))
        return list(known)

    def check_indexes(
        self, unreadable: Mapping[str, Container[int]] = {}
    ) -> Iterator[tuple[str | None, str]]:
        """Yield what of the index is not as the rows say."""
        with self.read(snapshot=True) as session:
            found = session.index_differences(unreadable)
        yield from ((None, difference) for difference in found)

    def rebuild_indexes(self) -> None:
        """Make the index anew from the rows."""
        with self.write() as session:
            session.rebuild_index()

    def compact(self) -> None:
        """Compact the log, merge a text index with much that is gone, rewrite the file after an erasure."""
        self._compact_all()
        self._merge_texts(begin=False)
        with self.read() as session:
            erased = session.setting(_ERASED) == "1"
        if erased:
            self._write_anew()

    def forget_values(self) -> None:
        """Leave nothing of what was removed: in the change log, the text index, the file and its WAL.

        A large file is written anew by the next :meth:`compact`.
        """
        with self.write() as session:
            session.set_setting(_ERASED, "1")
        self._compact_all()
        self._merge_texts(begin=True)
        if self.path is not None and os.path.getsize(self.path) <= _REWRITTEN_BYTES:
            self._write_anew()

    def _write_anew(self) -> None:
        """Write the file anew, as pages keep pieces of what once stood there, and empty its WAL; not where
        tables of others are in it, whose rows would get other numbers.
        """
        with self.translated(), self.write_lock(), self.checkout() as connection:
            session = self.session(connection)
            if self.owned and session.is_alone():
                session.vacuum()
            self.begin(session)
            session.set_setting(_ERASED, "0")
            self.commit(session)
            session.checkpoint()

    def _compact_all(self) -> None:
        """Compact whatever is logged; take no turn to write where nothing is."""
        with self.read() as session:
            if not session.is_noted():
                return
        with self.write() as session:
            session.compact_all()

    def _merge_texts(self, *, begin: bool) -> None:
        """Merge the text index, a part in each transaction, so that other writers take their turns."""
        while True:
            with self.write() as session:
                if not session.merge_texts(begin=begin):
                    return
            begin = False

    def read(self, *, snapshot: bool = False) -> AbstractContextManager[SQLiteSession]:
        """Open a block for reading."""
        self._look()
        block: Any = self._read(self.begin_read if snapshot else None)
        return self._read_still(block) if self.place.is_still else block

    @contextmanager
    def _read_still(self, block: AbstractContextManager[SQLiteSession]) -> Iterator[SQLiteSession]:
        """Read a file alone, which nobody locks, and find out whether it was as good as locked."""
        with block as session:
            yield session
        if self.place.has_changed():
            raise BackendError(
                f"SQLite: {self.path} was changed while it was read without a lock, as nothing may be made "
                "beside it; read again",
                retryable=True,
            )

    def sizes(self) -> dict[str, int]:
        """Return the bytes of the database, by table if SQLite has ``dbstat``, which reads the whole file."""
        with self.read() as session:
            cursor = session.cursor
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
            found = {"database": int(cursor.fetchone()[0])}
            cursor.execute("SELECT 1 FROM pragma_module_list WHERE name = 'dbstat'")
            if cursor.fetchone() is not None:
                cursor.execute(
                    "SELECT name, sum(pgsize) FROM dbstat WHERE instr(name, ?) GROUP BY 1 ORDER BY 2 DESC, 1",
                    (self.tables.prefix,),
                )
                found |= {name: int(size) for name, size in cursor.fetchall()}
        return found

    # -- another file in its place -----------------------------------------------------------------

    def _look(self, *, in_turn: bool = False) -> None:
        """Make sure that the file is still the one that was opened; begin anew on another.

        Args:
            in_turn: whether the caller has the turn to write.

        Raises:
            BackendError: there is none, or it is no store.
        """
        if not self.place.has_changed():
            return
        if not self.owned:
            raise BackendError(
                f"SQLite: another file is at {self.path} now: dispose of the engine, and open the store again"
            )
        waits = nullcontext() if in_turn or self.read_only else self.lock.held(self.busy_timeout)
        with waits:
            if self.place.has_changed():
                self._begin_anew()

    def _begin_anew(self) -> None:
        """Forget the file that was there, and look at the one that is."""
        self._leave_log()
        if self._idle is not None:
            self._idle.close()
        self.engine.dispose()
        if self._idle is not None:
            self._idle = IdlePool(self.engine, self)
        self.place.remove_log()
        self.index = {name: SharedIndex() for name in FIELDS}
        self.compilers = self.new_compilers()
        super().ensure_schema(upgrade=False)
        self.place.settle()
        for collection in (DOCUMENTS, EXTRACTIONS):
            self._read_indexes(collection)

    def _leave_log(self) -> None:
        """Take what is in the old file's log into the old file: SQLite would read it with the new one.

        Raises:
            BackendError: it cannot be done now.
        """
        if not self.place.log_is_old:
            return
        idle = None if self._idle is None else self._idle.take_waiting()
        if idle is not None and self._idle is not None:
            session = idle.session
            session.cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            is_busy = session.cursor.fetchone()[0]
            self._idle.give(idle)
            if not is_busy:
                return
        raise BackendError(
            f"SQLite: the file at {self.path} is another one now, and beside it is the log (-wal) of the one "
            "before; try again, or close all stores on it",
            retryable=True,
        )

    def commit(self, session: SQLiteSession) -> None:
        """Commit; see :meth:`SQLBackend.commit`.

        Raises:
            BackendError: another file is there now than the one that was written.
        """
        super().commit(session)
        session.indexed.committed()
        try:
            changed = self.place.has_changed()
        except BackendError:
            changed = True
        if changed:
            raise BackendError(
                f"SQLite: the database {self.path} was moved, removed or replaced while this was written: it "
                "went into the file that was there before"
            )

    def copy_to(self, path: str) -> bool:
        """Copy the database into a file, by SQLite's own backup, all of it at once; return whether that was
        done: a store with another table prefix is not found by itself.
        """
        if self.tables.prefix != _PREFIX:
            return False
        with self.translated(), self.read() as session:
            raw = session.connection.driver_connection
            target = type(raw)(path)
            try:
                raw.backup(target)
            finally:
                target.close()
        return True

    def forked(self) -> None:
        """Begin anew in a forked process.

        Raises:
            BackendError: the database is in the memory of the process that was forked.
        """
        if self._single is not None:
            raise BackendError(
                "a database in SQLite's memory does not follow a fork: open one in each process"
            )
        super().forked()

    def after_fork(self) -> None:
        """Forget what the parent knew of the index, and leave it its connections."""
        self.index = {name: SharedIndex() for name in FIELDS}

    def extra_schema(self) -> list[str]:
        """Return the statements that begin the index's generations."""
        return generations_of(self.tables)

    def derived_schema(self) -> list[str]:
        """Return the statements that make the index's tables, and the views."""
        return [*schema_of(self.tables), *super().derived_schema()]

    def index_statements(self, collection: Collection, setting: str) -> list[str]:
        """Return the statements that make a collection's declared indexes where they are missing."""
        every = declared_indexes.keys_of(setting)
        return [declared_indexes.statement(self.tables, collection, keys) for keys in every]

    def object_names(self) -> str:
        """Return the statement that reads the names of all tables, indexes and views."""
        return "SELECT name FROM sqlite_master"

    def derived_names(self, statements: Sequence[str], *, tables: bool = False) -> set[str]:
        """Return the names of what is derived, with the tables that FTS5 makes by itself."""
        return super().derived_names(statements, tables=tables) | parts_of(self.tables)

    def set_up(self, connection: Any) -> None:
        """Set up a connection: durability, waiting, and the evaluator's functions."""
        if isinstance(connection, LoopConnection):
            in_its_thread(connection.driver_connection, self._prepare)
        else:
            self._prepare(connection)

    def _prepare(self, connection: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(self.busy_timeout * 1000)}")
        if not connection.in_transaction:  # of a joined connection: its application has settled that
            cursor.execute("PRAGMA synchronous = FULL")
        if self.path is not None and self.owned and not self.read_only:
            cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA cache_size = -32768")
        if self.mmap_size:
            cursor.execute(f"PRAGMA mmap_size = {self.mmap_size}")
        cursor.execute("PRAGMA secure_delete = ON")  # what was removed is overwritten, in free pages too
        if self.owned:  # a bulk load writes the same pages again and again: they are taken over less often
            cursor.execute("PRAGMA wal_autocheckpoint = 4000")
        cursor.close()
        register(connection)
        register_compaction(connection)
        register_order(connection)

    @contextmanager
    def joining(self, connection: Any) -> Iterator[None]:
        """Set up a connection of the application's; it is the writer from here on, until it commits.

        Raises:
            BackendError: it is in autocommit, so that nobody would commit what is begun here.
        """
        driver = connection.driver_connection
        under_way = driver is not None and driver.in_transaction
        # None beside a BEGIN of the application's own is SQLAlchemy's recipe for savepoints.
        if driver is not None and not under_way and driver.isolation_level is None:
            raise no_transaction()
        self.set_up(connection)
        if not under_way:
            self.session(connection).cursor.execute("BEGIN IMMEDIATE")
        yield

    def joined_session(self, connection: Any) -> SQLiteSession:
        """Return the session of one call: what it knows of the index is its own."""
        session = self.session(connection)
        session.indexed.is_private = True
        return session

    def take_turn(self) -> None:
        """Wait for the turn to write, and look whether the file is still the one that was opened."""
        self.lock.take(self.busy_timeout)
        try:
            if self.place.has_changed():
                self._look(in_turn=True)
        except BaseException:
            self.lock.release()
            raise

    def end_turn(self) -> None:
        """Let the next writer have its turn."""
        self.lock.release()

    def ensure_schema(self, *, upgrade: bool = True) -> None:
        """Turn the file to WAL while no writer of ours works on it; then open it as any other."""
        if self.path is not None and self.owned and upgrade:
            with self.translated(), self.engine.connect() as connection:
                if connection.exec_driver_sql("PRAGMA journal_mode").scalar() != "wal":
                    with self.write_lock():
                        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        super().ensure_schema(upgrade=upgrade)
        self.place.settle()
        self.restore_derived(allowed=upgrade)
        self.place.settle()
        for collection in (DOCUMENTS, EXTRACTIONS):
            self._read_indexes(collection)
        self.place.settle()  # with the log that the first look at it has made

    @contextmanager
    def schema_transaction(self, connection: sa.Connection) -> Iterator[None]:
        """Hold an immediate transaction; the caller has the write lock."""
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")

    def meaning(self, error: Exception) -> BackendError | None:
        """Return the BackendError for what sqlite3 or the pool raised."""
        cause = getattr(error, "orig", None) or error
        text = str(cause)
        if isinstance(error, sa.exc.TimeoutError):
            return StoreBusy(f"no connection came free: {text}")
        if not isinstance(cause, sqlite3.Error) and type(cause).__module__.split(".")[0] not in (
            "sqlite3",
            "pysqlite3",
        ):
            return BackendError(text) if isinstance(error, sa.exc.SQLAlchemyError) else None
        if "locked" in text or "busy" in text:
            return StoreBusy(f"SQLite: {text}; another program holds the database {self.path}")
        if "readonly" in text:
            why = self.read_only or f"SQLite: {text} ({self.path})"
            return ReadOnlyStore(f"the store can only be read: {why}", reason=why)
        where = f"database {self.path or 'in memory'}"
        if self.path and "unable to open" in text:
            where += why_not_opened(self.path)
        return BackendError(f"SQLite: {text} ({where})", retryable="disk I/O" in text)

    def close(self) -> None:
        """Dispose of the engine under the write lock: the last connection to close checkpoints."""
        if not self.owned or (self._single is not None and os.getpid() != self._pid):
            return
        if self.gate.is_torn:  # another process has the turn, and the connections
            self.forked()
            return
        if self.is_ready and not self.read_only:
            with suppress(Exception):  # the log stays as it is: whoever opens the store next may compact it
                self._compact_all()
        with ExitStack() as held:
            # A file that turned out to be no store gets no lock file beside it.
            if not self.read_only and (self.is_ready or self.lock.is_there):
                with suppress(BackendError, OSError):  # held for good, or it cannot be opened
                    held.enter_context(self.lock.held(self.busy_timeout))
            with suppress(BackendError):
                self._leave_if_replaced()
            super().close()

    def _leave_if_replaced(self) -> None:
        try:
            changed = self.place.has_changed()
        except BackendError:
            changed = True
        if changed:
            self._leave_log()
            self.place.remove_log()


def open_backend(
    url: str | sa.Engine,
    *,
    table_prefix: str = _PREFIX,
    busy_timeout: float = 10.0,
    pool_timeout: float = 10.0,
    upgrade: bool = True,
    read_only: bool = False,
    search_marks: bool = False,
    mmap_size: int = 0,
    **engine_options: Any,
) -> SQLiteBackend:
    """Open (and create or upgrade) a store in SQLite.

    Args:
        url: ``sqlite:///path.db``, ``sqlite:///file:/path.db?mode=ro&uri=true``, ``sqlite://`` (in memory),
            or an SQLAlchemy engine for SQLite.
        table_prefix: what the tables' names begin with.
        busy_timeout: seconds that a writer waits for its turn before StoreBusy; at least 0.
        pool_timeout: seconds that a reader waits for a connection, or a thread of an AsyncStore, likewise.
        upgrade: create the store, or bring it up to this format, if need be; false changes nothing.
        read_only: nothing will be written; nothing is created or upgraded. False finds out whether the file,
            its folder or the medium allows more.
        search_marks: whether a search keeps marks; fixed when the store is made.
        mmap_size: bytes of the file that SQLite maps into memory, 0 for none. An I/O error, or a file that
            another program cuts, then ends the process (SIGBUS).
        engine_options: passed to ``sqlalchemy.create_engine``, such as ``module=`` for another sqlite3
            library.

    Raises:
        SchemaTooNew: a newer docstore wrote it.
        UpgradeNeeded: it is older, or not there, and ``upgrade`` is false.
        BackendError: the file cannot be opened.
        ValueError: ``mmap_size`` is no number of bytes.
    """
    if type(mmap_size) is not int or mmap_size < 0:
        raise ValueError(f"mmap_size={mmap_size!r:.80}: expected a whole number of bytes, 0 or more")
    owned = isinstance(url, str)
    engine: Any
    if isinstance(url, str):
        place, plain = database_file_of(sa.make_url(url), read_only=read_only)
        engine = _make_engine(plain, engine_options)
    else:
        engine = _checked(url)
        place, _ = database_file_of(engine.url, read_only=read_only)
    upgrade = upgrade and not place.read_only
    tables = Tables(table_prefix, search_marks=search_marks)
    keeps = owned and place.path is not None and not engine_options
    backend = SQLiteBackend(
        engine, tables, owned=owned, busy_timeout=busy_timeout, pool_timeout=pool_timeout, keeps=keeps,
        place=place, mmap_size=mmap_size,
    )  # fmt: skip
    try:
        if not upgrade and backend.path is not None and not os.path.exists(backend.path):
            raise upgrade_needed(None, backend.path)
        backend.ensure_schema(upgrade=upgrade)
        backend.is_ready = True
    except BaseException:
        if owned:
            backend.close()
        raise
    return backend


def _checked(engine: Any) -> Any:
    """Return an engine of the application's.

    Raises:
        ValueError: its driver is none that can be used.
    """
    if engine.dialect.driver not in SQLiteBackend.drivers:
        raise ValueError(
            f"engine for {engine.dialect.name}+{engine.dialect.driver}; "
            f"expected one for {SQLiteBackend.example_url}"
        )
    if current().loop is not None and isinstance(engine.pool, SingletonThreadPool):
        raise ValueError(
            "this engine has a database in memory for each thread: make it with poolclass=StaticPool and "
            'connect_args={"check_same_thread": False}'
        )
    return engine


def _make_engine(url: sa.URL, options: dict[str, Any]) -> sa.Engine:
    in_memory = url.database is None
    pool: dict[str, Any] = (
        {"poolclass": StaticPool}
        if in_memory
        else {
            "poolclass": QueuePool,
            "pool_size": 8,
            "max_overflow": 56,
            "pool_timeout": POOL_LOOK_SECONDS,
        }
    )
    # No isolation level: sqlite3 would begin transactions by itself, and deferred ones fail at once with
    # SQLITE_BUSY_SNAPSHOT where another has written since they read.
    connect_args = {"check_same_thread": False, "isolation_level": None, "cached_statements": 512}
    plain = url.set(drivername="sqlite")
    return sa.create_engine(plain, **{**pool, "connect_args": connect_args, **options})
