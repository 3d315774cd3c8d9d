"""Postgres backend: connections, isolation, timeouts, and upkeep of the data derived from rows.

Reads of one statement run in autocommit. A snapshot is one ``REPEATABLE READ READ ONLY`` transaction. A
write block is ``READ COMMITTED`` with a synchronous commit. A block that needs more locks by name
(``Writer.lock``) or by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Collection as Container
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import psycopg
import sqlalchemy as sa
from docstore_sql.backend import SQLBackend
from docstore_sql.pool import IdleConnection, IdlePool, ReadBlock, no_transaction, on_loop
from docstore_sql.tables import Tables
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8Dumper

from docstore.backend import Capabilities, Query, Row, SortKey, Support, TermSupport
from docstore.concurrency import sleep
from docstore.errors import BackendError, QueryTimeout, StoreClosed
from docstore.query.expr import Leaf
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection
from docstore_postgres import connections, declared_indexes, schema
from docstore_postgres.compiler import FlatCompiler, PostgresCompiler, leaf_support
from docstore_postgres.connections import (
    Behind,
    PostgresLoopCursor,
    ReplicaPositions,
    check_server,
    connected_within,
    forbidden,
    make_engine,
    spoken,
    translated,
)
from docstore_postgres.declared_indexes import DeclaredIndex
from docstore_postgres.partitions import MOST_PARTITIONS, cancel, distribute, partition, partition_statements
from docstore_postgres.planner import PlannerState, PostgresPrepared
from docstore_postgres.prefilters import PrefilterFinder
from docstore_postgres.schema import erase_traces
from docstore_postgres.session import PostgresSession, folds
from docstore_postgres.term_index import forget, repair, term_faults

# The settings that our statements rely on, beside the timeouts, whatever the database or the role is set
# to.
_SETTINGS = {
    "jit": "off",  # it would compile for estimates that are wrong by orders of magnitude
    "work_mem": "'16MB'",
    "synchronous_commit": "on",
    "client_encoding": "'UTF8'",
    "standard_conforming_strings": "on",
    "gin_fuzzy_search_limit": "0",  # any other value has an index find a part of what there is
}


def _local(settings: Mapping[str, Any]) -> str:
    """Return statements that follow a BEGIN and set these values until the transaction ends."""
    return "".join(f"; SET LOCAL {name} = {value}" for name, value in settings.items())


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long the server waits, in seconds; 0 is without end.

    Attributes:
        lock: for a row or a name that others hold, then StoreBusy.
        statement: for one statement, then BackendError.
        idle: for a transaction's next statement, then the server ends the connection.
    """

    lock: float = 10.0
    statement: float = 300.0
    idle: float = 600.0

    def settings(self) -> dict[str, int]:
        """Return them as the server's settings, in milliseconds."""
        named = (
            ("lock_timeout", self.lock),
            ("statement_timeout", self.statement),
            ("idle_in_transaction_session_timeout", self.idle),
        )
        return {name: int(seconds * 1000) for name, seconds in named}


# Citus refuses sub-selects that are not confined to one tenant.
_NOT_FLAT = TermSupport(Support.UNSUPPORTED, "a sub-select is not asked of distributed tables")


class PostgresBackend(SQLBackend[PostgresSession]):
    """A store in one Postgres database.

    Args:
        engine: where it is.
        tables: the tables' names.
        owned: whether to dispose of the engine on close, and to set its connections up.
        timeouts: how long the server waits.
        pool_timeout: seconds to wait for a server that has no connection free.
        pooled: whether a pooler gives each transaction another of the server's sessions. Then everything is a
            transaction that begins with the settings it relies on, and nothing is left in a session: neither
            settings nor prepared statements.
        read_only: why nothing can be written, in words; ``""`` where it can.
    """

    name = "postgresql"
    compiler_type = PostgresCompiler
    drivers: ClassVar[tuple[str, ...]] = ("psycopg",)
    connects_slowly: ClassVar[bool] = True
    example_url: ClassVar[str] = "postgresql+psycopg://…"
    begin_read: ClassVar[str] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

    def __init__(
        self,
        engine: sa.Engine,
        tables: Tables,
        *,
        owned: bool,
        timeouts: Timeouts = Timeouts(),
        pool_timeout: float = 10.0,
        pooled: bool = False,
        read_only: str = "",
    ) -> None:
        super().__init__(engine, tables, owned=owned, pool_timeout=pool_timeout)
        self.read_only = read_only
        self.timeouts = timeouts
        # Set after construction by open_backend; a replica has none of its own.
        self.replica: PostgresBackend | None = None
        self._positions = ReplicaPositions(self._wal_position)
        self._transactions = 8
        pool = self.engine.pool
        # A pool without bounds has no attributes to ask; eight is what our own pool holds.
        if isinstance(pool, sa.QueuePool):  # one is left: a call within a transaction may need a second
            self._transactions = max(1, pool.size() + pool._max_overflow - 1)
        self._planner: PlannerState | None = None
        self._idle = IdlePool(self.engine, self) if owned else None
        self.pooled = pooled
        begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
        durable = {"synchronous_commit": "on", **timeouts.settings()}
        self._begin = begin if owned else begin + _local(durable)
        self._begin_one = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY" if pooled else None
        self._begin_snapshot = self.begin_read
        if pooled:
            local = _local({**_SETTINGS, **timeouts.settings()})
            self._begin, self._begin_one = begin + local, f"{self._begin_one}{local}"
            self._begin_snapshot = self.begin_read + local

    def support(self, collection: Collection, leaf: Leaf) -> TermSupport:
        """Say how far Postgres runs ``leaf``."""
        if self.tables.distributed and "SELECT" in FlatCompiler(collection, self.tables).leaf(leaf).text:
            return _NOT_FLAT
        return leaf_support(collection, leaf)

    @property
    def capabilities(self) -> Capabilities:
        """The optional abilities of Postgres, and why this store cannot be written to, if so."""
        return Capabilities(
            single_writer=False,
            read_only=self.read_only,
            readers=8,
            transactions=self._transactions,
            pool_timeout=self.pool_timeout,
        )

    def prepare(self, query: Query) -> PostgresPrepared:
        """Return a place where sessions keep the compiled form of ``query``."""
        return PostgresPrepared.of(query)

    # -- connections -----------------------------------------------------------------------------------------

    def sizes(self) -> dict[str, int]:
        """Return bytes of the store, and by table and index, as Postgres keeps them."""
        with self.read() as session:
            session.cursor.execute(
                "SELECT c.relname, pg_table_size(c.oid) FROM pg_class AS c "
                "WHERE c.relkind IN ('r', 'i', 'm') AND starts_with(c.relname, %s) "
                "AND c.relnamespace = coalesce(%s, current_schema())::regnamespace ORDER BY 2 DESC, 1",
                (self.tables.prefix, self.tables.schema),
            )
            found = {name: int(size) for name, size in session.cursor.fetchall()}
        return {"database": sum(found.values()), **found}

    def read(self, *, snapshot: bool = False) -> AbstractContextManager[PostgresSession]:
        """Open a block for reading; one that needs no snapshot is no transaction."""
        return self._read(self._begin_snapshot if snapshot else self._begin_one)

    # -- the replica -----------------------------------------------------------------------------------------

    def read_anywhere(self, *, snapshot: bool = False) -> AbstractContextManager[PostgresSession]:
        """Open a block for reading, at the replica if it has all that this store must see."""
        return self.read(snapshot=snapshot) if self.replica is None else self._read_anywhere(snapshot)

    @contextmanager
    def _read_anywhere(self, snapshot: bool) -> Iterator[PostgresSession]:
        with ExitStack() as stack:
            yield self._at_replica(stack, snapshot) or stack.enter_context(self.read(snapshot=snapshot))

    def _at_replica(self, stack: ExitStack, snapshot: bool) -> PostgresSession | None:
        replica, positions = self.replica, self._positions
        idle = None if replica is None else replica._idle_pool()
        if replica is None or idle is None or positions.is_away:
            return None
        begin = replica._begin_snapshot if snapshot else replica._begin_one
        block = ReadBlock(idle, replica, begin, positions.check)
        positions.now()  # a primary that is away is no fault of the replica's
        try:
            session: PostgresSession = stack.enter_context(block)
        except Behind:
            return None
        except BackendError as error:
            if isinstance(error, QueryTimeout | StoreClosed):
                raise
            positions.went_away(error)
            return None
        positions.came_back()
        return session

    def position(self) -> str:
        """Return the position in the log that holds all that this store has written."""
        return self._positions.now()

    def see(self, position: str) -> None:
        """Let no later read see less than the log holds up to ``position``."""
        self._positions.see(position)

    def _wal_position(self) -> str:
        with self.read() as session:
            session.cursor.execute("SELECT pg_current_wal_insert_lsn()::text")
            return str(session.cursor.fetchone()[0])

    def checked_out(self) -> AbstractContextManager[IdleConnection]:
        """Take a connection in autocommit; one that broke does not go back to the pool."""
        return super().checked_out() if self._idle is not None else self._checked_out_in_autocommit()

    @contextmanager
    def _checked_out_in_autocommit(self) -> Iterator[IdleConnection]:
        with super().checked_out() as idle:
            connection = idle.connection
            driver = connection.dbapi_connection
            autocommit = driver.autocommit
            if not autocommit:
                _set_autocommit(driver, True)
            try:
                with nullcontext() if self.owned else self._spoken(connection):
                    yield idle
            finally:
                if driver.closed:
                    connection.invalidate()
                elif not autocommit:
                    _set_autocommit(driver, False)

    @contextmanager
    def _spoken(self, connection: Any) -> Iterator[None]:
        """Have a connection of an engine that was brought take our statements, and put it back."""
        if not self.pooled:
            with spoken(connection):
                yield
            return
        driver = connection.driver_connection
        threshold, driver.prepare_threshold = driver.prepare_threshold, None
        try:
            yield
        finally:
            driver.prepare_threshold = threshold

    def raw_connection(self) -> Any:
        """Take a connection from the engine's pool, waiting for a server that has none free."""
        return connected_within(self.pool_timeout, sleep, super().raw_connection)

    @contextmanager
    def connected(self) -> Iterator[sa.Connection]:
        """Take a connection for work on the schema, with our settings if the engine is ours."""
        with ExitStack() as stack:
            taken = super().connected
            connection = connected_within(self.pool_timeout, sleep, lambda: stack.enter_context(taken()))
            if self.owned:
                self.set_up(connection.connection)
                connection.connection.info["docstore"] = True
            else:
                stack.enter_context(self._spoken(connection.connection))
            yield connection

    def is_at_rest(self, connection: Any) -> bool:
        """Return whether a connection lives, and no transaction is open on it."""
        return bool(connection.dbapi_connection.pgconn.transaction_status == TransactionStatus.IDLE)

    def has_ended(self, connection: Any) -> bool:
        """Return whether the server has closed a connection."""
        return connections.has_ended(connection.dbapi_connection)

    def close(self) -> None:
        """Close the connections, if they are ours."""
        if self.replica is not None:
            self.replica.close()
        super().close()

    def session(self, connection: Any) -> PostgresSession:
        """Return a session on a raw connection; the first one reads which indexes there are."""
        planner = self._planner
        if planner is None:
            planner = PlannerState(PrefilterFinder(self.tables, self._has_trigrams(connection)))
            self._read_indexes(connection, planner)
            self._planner = planner  # whole: a task may be cancelled at any statement
        return PostgresSession(connection, self.tables, self.compilers, planner)

    def _read_indexes(self, connection: Any, planner: PlannerState) -> None:
        with closing(connection.cursor()) as cursor:
            for collection in (DOCUMENTS, EXTRACTIONS):
                planner.declared[collection.name] = declared_indexes.read(cursor, self.tables, collection)
        planner.epoch += 1

    # -- one record in one statement -------------------------------------------------------------------------

    @property
    def writes_single_statements(self) -> bool:
        """Whether a statement by itself is as durable as a block: on connections of our own it is."""
        return self.owned and not self.pooled and not self.tables.distributed

    def select_now(self, query: Query) -> tuple[list[Row], int]:
        """Return the rows of one key, and the clock."""
        with self._single_statement() as session:
            return session.select_now(query)

    def insert_single(
        self, collection: Collection, row: Row, clocked: Sequence[str]
    ) -> tuple[int, int] | None:
        """Add a row, committed; return its number and the clock, or ``None`` where a unique key is taken."""
        with self._single_statement(of=row) as session:
            return session.insert_single(collection, row, clocked)

    def update_single(self, collection: Collection, before: Row, changes: Mapping[str, Any]) -> bool:
        """Set columns of a row, committed, if it is still as it was read; return whether it was."""
        with self._single_statement(of=before) as session:
            return session.update_single(collection, before, changes)

    @contextmanager
    def _single_statement(self, *, of: Row | None = None) -> Iterator[PostgresSession]:
        with self.read() as session:
            try:
                yield session
            except Exception as error:
                failed = self.translate(error)
                if failed is None:
                    raise
                if of is not None and self.is_lost(session.connection):
                    failed.retryable = failed.outcome_unknown = True
                raise failed from error
            finally:
                if of is not None:
                    self._positions.wrote()
        if of is not None and folds():
            with suppress(BackendError), self.write() as block:
                block.counters.sum_up([of["tenant"] or ""])
                if of["tenant"] is None:
                    block.learn()

    # -- declared indexes ------------------------------------------------------------------------------------

    def create_index(self, collection: Collection, keys: Sequence[SortKey]) -> bool:
        """Make an index of records in the order of ``keys``; return whether it is new."""
        return self._declare(declared_indexes.create, collection, keys)

    def drop_index(self, collection: Collection, keys: Sequence[SortKey]) -> bool:
        """Remove a declared index; return whether it was there."""
        return self._declare(declared_indexes.drop, collection, keys)

    def _declare(
        self, change: Callable[[Any, DeclaredIndex], bool], collection: Collection, keys: Sequence[SortKey]
    ) -> bool:
        with self.write() as session:
            session.lock("indexes")
            changed = change(session.cursor, DeclaredIndex(collection, self.tables, tuple(keys)))
        with self.translated(), self.checkout() as connection:
            if self._planner is not None:
                self._read_indexes(connection, self._planner)
        if self.replica is not None:
            self.replica._planner = None  # looked at anew by its next connection
        return changed

    def indexes(self, collection: Collection) -> list[tuple[SortKey, ...]]:
        """Return the keys of each declared index."""
        with self.read() as session:
            return [one.keys for one in declared_indexes.read(session.cursor, self.tables, collection)]

    def seen_orders(self, collection: Collection) -> dict[tuple[SortKey, ...], tuple[int, float]]:
        """Return, of the orders that no index had, how often each was asked for and the seconds that took."""
        return dict(self._planner.orders) if self._planner and collection is DOCUMENTS else {}

    # -- counts ----------------------------------------------------------------------------------------------

    def check_indexes(
        self, unreadable: Mapping[str, Container[int]] = {}
    ) -> Iterator[tuple[str | None, str]]:
        """Yield each counter and each term that differs from the rows; Postgres checks its indexes itself."""
        with self.read() as session:
            faults = session.counters.faults(len(unreadable.get(DOCUMENTS.name, ())))
        yield from ((None, fault) for fault in faults)
        for collection in (DOCUMENTS, EXTRACTIONS):
            for one in term_faults(self.read, self.tables, collection):
                if one.number in unreadable.get(collection.name, ()):
                    continue
                fault = f"the words of the metadata of {one.id!r} are not those of what it holds"
                yield one.id if collection is DOCUMENTS else None, fault

    def rebuild_indexes(self) -> None:
        """Mend the kept counts and words."""
        with self.write() as session:
            session.counters.repair()
        for collection in (DOCUMENTS, EXTRACTIONS):
            for one in term_faults(self.read, self.tables, collection):
                with self.write() as session:
                    repair(session, self.tables, collection, one)

    def forget_values(self) -> None:
        """Forget common values and counters that no document has any more, and leave no dead rows."""
        with self.write() as session:
            forget(session)
            session.counters.sum_up(wait=True)
        with self.translated(), self.checkout() as connection:
            erase_traces(self.session(connection).cursor, self.tables, settings=not self.pooled)

    def _has_trigrams(self, connection: Any) -> bool:
        with closing(connection.cursor()) as cursor:
            cursor.execute(
                "SELECT indexdef LIKE %s FROM pg_indexes"
                " WHERE indexname = %s AND schemaname = coalesce(%s, current_schema)",
                ("%gin_trgm_ops%", f"{self.tables.prefix}document_names", self.tables.schema),
            )
            found = cursor.fetchone()
        return bool(found and found[0])

    def set_up(self, connection: Any) -> None:
        """Set up a connection of our own: timeouts, plans without delay, integers of one width."""
        if not self.owned:
            return
        driver = connection.dbapi_connection
        driver.adapters.register_dumper(int, Int8Dumper)
        if self.pooled:
            return
        # Its own estimates of what is inside JSON and text are wrong by orders of magnitude: a statement that
        # is prepared has one plan that is right, and planning W5 for its values took 0.3 ms of 0.45.
        settings = {**self.timeouts.settings(), **_SETTINGS, "plan_cache_mode": "force_generic_plan"}
        if self.read_only:
            settings["default_transaction_read_only"] = "on"
        with self.starting(connection), closing(driver.cursor()) as cursor:
            cursor.execute("; ".join(f"SET {name} = {value}" for name, value in settings.items()))

    def begin(self, session: PostgresSession) -> None:
        """Begin a transaction that is durable once it is committed."""
        session.cursor.execute(self._begin)

    def commit(self, session: PostgresSession) -> None:
        """Commit; see :meth:`SQLBackend.commit`."""
        try:
            super().commit(session)
        finally:
            self._positions.wrote()
        if self.owned and session.copied:
            with suppress(BackendError), self.translated():  # what was asked for is done
                session.analyze_new()

    def is_lost(self, connection: Any) -> bool:
        """Return whether a connection is gone."""
        return bool(connection.driver_connection.closed)

    # -- the schema ------------------------------------------------------------------------------------------

    @contextmanager
    def schema_transaction(self, connection: sa.Connection) -> Iterator[None]:
        """Hold an advisory lock of the tables' names within a transaction."""
        connection.exec_driver_sql("BEGIN")
        try:
            settings = {**self.timeouts.settings(), **(_SETTINGS if self.pooled else {})}
            for name, value in settings.items():
                connection.exec_driver_sql(f"SET LOCAL {name} = {value}")
            connection.exec_driver_sql(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s::text, 1))", (self.tables.setting,)
            )
            yield
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")

    def extra_schema(self) -> list[str]:
        """Return the statement that keeps the number of partitions."""
        count = self.tables.partitions
        kept = f"INSERT INTO {self.tables.setting} (name, value) VALUES ('partitions', '{count}')"
        return [kept] if count else []

    def derived_schema(self) -> list[str]:
        """Return the statements for functions, indexes over them, the sequences of the clock, and views."""
        searched = schema.search_statements(self.tables)
        clocks = [
            f"CREATE SEQUENCE IF NOT EXISTS {self.tables.named(name)}" for name in ("clock", "clock_wall")
        ]
        functions = schema.function_statements(self.tables)
        made = (*partition_statements(self.tables), *functions, *searched, *clocks)
        return [*made, *super().derived_schema()]

    def index_statements(self, collection: Collection, setting: str) -> list[str]:
        """Return the statements that make a collection's declared indexes where they are missing."""
        every = declared_indexes.listed(setting, self.tables, collection)
        made = [statement for one in every for statement in one.statements()]
        return [declared_indexes.settling(self.tables), *made] if made else []

    def object_names(self) -> str:
        """Return the statement that reads the names of all relations and functions in the store's schema."""
        home = f"(SELECT relnamespace FROM pg_class WHERE oid = to_regclass('{self.tables.setting}'))"
        return (
            f"SELECT relname::text FROM pg_class WHERE relnamespace = {home} "
            f"UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = {home}"
        )

    def restore_derived(self, *, allowed: bool) -> None:
        """Make missing derived objects; the next session reads anew which indexes there are."""
        super().restore_derived(allowed=allowed)
        # Trigrams or our own function, and which indexes were declared, may be others now.
        self._planner = None

    def partition(self, count: int) -> Iterator[tuple[str, int]]:
        """Make the tables into hash partitions by tenant; yield each stage and how much of it is done."""
        return partition(self, count)

    def cancel_partition(self) -> bool:
        """Forget a run that was not ended; return whether there was one."""
        return cancel(self)

    def distribute(self) -> Iterator[tuple[str, int]]:
        """Distribute the tables by tenant with Citus; yield each when it is done."""
        return distribute(self)

    def look_at_parts(self) -> None:
        """Look how many partitions the tables are in, or whether they are distributed; between blocks."""
        count = f"SELECT value FROM {self.tables.setting} WHERE name = 'partitions'"
        citus = "SELECT EXISTS (SELECT 1 FROM pg_dist_partition WHERE logicalrelid = to_regclass(%s))"

        def look(connection: sa.Connection) -> tuple[int, bool]:
            found = int(connection.exec_driver_sql(count).scalar() or 0)
            if connection.exec_driver_sql("SELECT to_regclass('pg_dist_partition')").scalar() is None:
                return found, False
            return found, bool(connection.exec_driver_sql(citus, (self.tables.of(DOCUMENTS),)).scalar())

        with self.translated():
            partitions, distributed = self.with_connection(look)
        for backend in (self, self.replica):
            if backend is not None:
                backend.tables = replace(backend.tables, partitions=partitions, distributed=distributed)
                backend.compilers = backend.new_compilers()
                backend._planner = None

    def is_interrupt(self, error: Exception) -> bool:
        """Return whether the server says that a statement was interrupted."""
        return isinstance(getattr(error, "orig", None) or error, psycopg.errors.QueryCanceled)

    def meaning(self, error: Exception) -> BackendError | None:
        """Return the BackendError for an error of psycopg or the pool, None for others."""
        return translated(error)

    @staticmethod
    def loop_cursor(driver: Any) -> PostgresLoopCursor:
        """Return a cursor on an asynchronous connection of psycopg's."""
        return PostgresLoopCursor(driver)

    @contextmanager
    def joining(self, connection: Any) -> Iterator[None]:
        """Leave a connection of the application's as it is, but for how statements are written.

        Raises:
            BackendError: each of its statements would commit by itself.
        """
        if connection.driver_connection.autocommit:
            raise no_transaction()
        with spoken(connection):
            try:
                yield
            finally:
                self._positions.wrote(joined=True)


def _set_autocommit(driver: Any, value: bool) -> None:
    if isinstance(driver, psycopg.AsyncConnection):
        on_loop(driver.set_autocommit(value))
    else:
        driver.autocommit = value


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
    if partitions is not None and (type(partitions) is not int or not 1 <= partitions <= MOST_PARTITIONS):
        raise ValueError(
            f"partitions={partitions!r:.80}: expected a whole number from 1 to {MOST_PARTITIONS}, or None"
        )
    tables = Tables(table_prefix, schema, search_marks, partitions or 0)
    owned = isinstance(url, str)
    engine: Any = url
    if isinstance(url, str):
        engine = make_engine(url, connect_timeout, engine_options, pooled=pooled)
    if engine.dialect.name != "postgresql" or engine.dialect.driver != "psycopg":
        raise ValueError(
            f"engine for {engine.dialect.name}+{engine.dialect.driver}; expected postgresql+psycopg"
        )
    backend = PostgresBackend(
        engine, tables, owned=owned, timeouts=timeouts, pool_timeout=pool_timeout, pooled=pooled,
        read_only="it was opened with read_only=True" if read_only else "",
    )  # fmt: skip
    if replica is not None:
        following = make_engine(replica, connect_timeout, engine_options, pooled=pooled)
        backend.replica = PostgresBackend(
            following, tables, owned=True, timeouts=timeouts,
            pool_timeout=pool_timeout, pooled=pooled, read_only="it is a replica",
        )  # fmt: skip
    try:
        check_server(backend)
        backend.read_only = backend.read_only or forbidden(backend)
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
