"""Connections of both databases: the idle pool, those of an event loop, and an application's transaction.

Taking a connection from SQLAlchemy's pool and giving it back costs more CPU than a whole look-up by key.
So idle connections wait here, the last one first, each with its session set up. The engine's pool makes new
ones and bounds how many there are. It gets back connections that others wait for, and any that did not end
at rest.
"""

from __future__ import annotations

import asyncio
import math
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.util.concurrency import greenlet_spawn

from docstore.concurrency import Call, Cancelled, Gate, acquire, current
from docstore.errors import BackendError, DocstoreError, QueryTimeout
from docstore_sql.session import Session

# Connections of the process that this one was forked from: never touched, not even by the garbage
# collector.
forked_connections: list[object] = []


class PoolHooks(Protocol):
    """The backend as the pool sees it."""

    @property
    def gate(self) -> Gate:
        """The gate that every block goes through."""

    def raw_connection(self) -> Any:
        """Take a connection from the engine's pool."""

    def make_ready(self, connection: Any) -> None:
        """Set a connection up that is new from the engine's pool."""

    def session(self, connection: Any) -> Session:
        """Return a session on a connection."""

    def is_at_rest(self, connection: Any) -> bool:
        """Return whether a connection lives, and no transaction is open on it."""

    def has_ended(self, connection: Any) -> bool:
        """Return whether the server has closed a connection."""

    def recover(self, idle: IdleConnection) -> None:
        """End everything that a failed block left under way on a connection."""

    def translate(self, error: Exception) -> BackendError | None:
        """Return the error for an error of the driver or the pool, None for others."""


class IdleConnection:
    """A connection that waits for its next use, or is in use.

    Attributes:
        connection: the engine pool's wrapper of it.
        process: the id of the process that it belongs to.
    """

    __slots__ = ("_hooks", "connection", "known_session", "process")

    def __init__(self, connection: Any, hooks: PoolHooks) -> None:
        self.connection = connection
        self.process = os.getpid()
        self._hooks = hooks
        self.known_session: Session | None = None

    @property
    def session(self) -> Session:
        """The session that its reads run on, made when it is first asked for."""
        if self.known_session is None:
            self.known_session = self._hooks.session(self.connection)
        return self.known_session

    def drop(self, *, close: bool = False) -> None:
        """Give the connection back to the engine's pool; have one that broke closed, and any if ``close``."""
        driver = self.connection.dbapi_connection
        try:
            driver.rollback()
        except Exception:  # it is broken
            close = True
        if close or getattr(driver, "closed", False):
            self.connection.invalidate()
        self.connection.close()


class IdlePool:
    """The idle connections of one engine. Threads may share it.

    Args:
        engine: connections wait only if its pool is a plain QueuePool that keeps them for good.
        hooks: the backend.
    """

    def __init__(self, engine: sa.Engine, hooks: PoolHooks) -> None:
        pool = engine.pool
        plain = type(pool) is sa.pool.QueuePool and pool._recycle == -1 and not pool._pre_ping
        self._hooks = hooks
        self._most = pool.size() if plain else 0  # type: ignore[attr-defined]
        self._mutex = threading.Lock()
        self._waiting: deque[IdleConnection] = deque()
        # Threads that wait for the engine's pool: a connection that comes free meanwhile goes there.
        self._asking = 0
        self._is_closed = False

    def take(self) -> IdleConnection:
        """Return a connection that lives, set up."""
        hooks = self._hooks
        while True:
            with self._mutex:
                if not self._waiting:
                    self._asking += 1
                    break
                # Looked at behind the lock: poll() is a system call.
                idle = self._waiting.pop()
            if not hooks.has_ended(idle.connection):
                return idle
            idle.drop(close=True)
        try:
            connection = hooks.raw_connection()
            try:
                hooks.make_ready(connection)
            except BaseException:
                if getattr(connection.dbapi_connection, "closed", False):
                    connection.invalidate()
                connection.close()
                raise
            return IdleConnection(connection, hooks)
        finally:
            with self._mutex:
                self._asking -= 1

    def take_waiting(self) -> IdleConnection | None:
        """Return a connection that waits here, ``None`` if none does; make none."""
        with self._mutex:
            return self._waiting.pop() if self._waiting else None

    def give(self, idle: IdleConnection, *, failed: bool = False) -> None:
        """Take a connection back, to wait here if it is at rest; ``failed``: its block did."""
        if os.getpid() != idle.process:  # a block that a fork has copied
            forked_connections.append(idle)
            return
        if failed:
            with suppress(Exception):  # it is broken, which is seen below
                self._hooks.recover(idle)
        if self._hooks.is_at_rest(idle.connection):
            with self._mutex:
                if not self._asking and len(self._waiting) < self._most:
                    self._waiting.append(idle)
                    return
        idle.drop(close=self._is_closed)

    def forget(self) -> None:
        """Leave all connections to the process that this one was forked from."""
        forked_connections.append(self._waiting)
        self._waiting, self._mutex, self._asking = deque(), threading.Lock(), 0

    def close(self) -> None:
        """Give all that wait back to the engine's pool; none waits here again."""
        with self._mutex:
            self._most, self._is_closed = 0, True
            waiting, self._waiting = self._waiting, deque()
        for idle in waiting:
            idle.drop()


class Checkout:
    """An idle connection for a block, given back at its end."""

    __slots__ = ("_hooks", "_idle", "_pool")

    def __init__(self, pool: IdlePool, hooks: PoolHooks) -> None:
        self._pool = pool
        self._hooks = hooks

    def __enter__(self) -> IdleConnection:
        """Take it."""
        self._hooks.gate.__enter__()
        try:
            self._idle = self._pool.take()
        except BaseException:
            self._hooks.gate.__exit__()
            raise
        return self._idle

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back."""
        try:
            self._pool.give(self._idle, failed=error is not None)
        finally:
            self._hooks.gate.__exit__()


def roll_back(session: Session) -> None:
    """Roll back the transaction of a block, if it is still open; an error of the driver must not hide why.

    SQLite rolls back by itself where a write is interrupted. A ROLLBACK would fail then and have the
    connection closed, and with it a database in memory.
    """
    if session.process != os.getpid():
        return
    try:
        if session.is_under_way():
            session.cursor.execute("ROLLBACK")
    except Exception:
        if isinstance(session.connection, LoopConnection):
            session.connection.invalidate()
        else:
            session.connection.dbapi_connection.close()


class WriteHooks(Protocol):
    """The backend as a block for writing sees it."""

    @property
    def gate(self) -> Gate:
        """The gate that every block goes through."""

    def take_turn(self) -> None:
        """Wait for the turn to write."""

    def end_turn(self) -> None:
        """Let the next writer have its turn."""

    def checked_out(self) -> AbstractContextManager[IdleConnection]:
        """Take a connection, set up."""

    def begun(self, idle: IdleConnection) -> Any:
        """Return a session whose transaction for writing has begun."""

    def commit(self, session: Any) -> None:
        """Commit."""

    def translate(self, error: Exception) -> BackendError | None:
        """Return the error for an error of the driver or the pool, None for others."""


class WriteBlock:
    """A block for writing: committed at its end, rolled back on an exception.

    Args:
        hooks: the backend.
    """

    # A class, as a generator with as many `with` and `try` takes three times as long.
    __slots__ = ("_before", "_call", "_connection", "_hooks", "_session")

    def __init__(self, hooks: WriteHooks) -> None:
        self._hooks = hooks

    def __enter__(self) -> Any:
        """Take the turn and a connection, and begin."""
        # Order: the turn to write, then a connection: who waits for its turn must not hold one that readers
        # need.
        hooks = self._hooks
        hooks.gate.check()  # before it waits for the turn of another process
        try:
            hooks.take_turn()
            try:
                self._connection = hooks.checked_out()
                idle = self._connection.__enter__()
                try:
                    self._session = session = hooks.begun(idle)
                    self._call = call = current()
                    self._before = call.attach(session.interrupt)
                except BaseException:
                    self._connection.__exit__(*sys.exc_info())
                    raise
            except BaseException:
                hooks.end_turn()
                raise
        except Exception as error:
            _raise_translated(hooks, error)
            raise
        return session

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit or roll back, give the connection back, and let the next one write."""
        hooks = self._hooks
        try:
            try:
                try:
                    self._call.detach(self._before)
                    if error is None:
                        hooks.commit(self._session)
                    else:
                        roll_back(self._session)
                except BaseException:
                    self._connection.__exit__(*sys.exc_info())
                    raise
                self._connection.__exit__(kind, error, trace)
            finally:
                hooks.end_turn()
        except Exception as failed:
            _raise_translated(hooks, failed)
            raise
        if error is not None:
            _raise_translated(hooks, error)


def _raise_translated(hooks: WriteHooks | PoolHooks, error: BaseException) -> None:
    """Raise the meaning of an error of the driver or the pool; return for others."""
    if isinstance(error, Exception) and not isinstance(error, DocstoreError):
        translated = hooks.translate(error)
        if translated is not None:
            raise translated from error


class ReadBlock:
    """A block for reading on an idle connection; one that needs no snapshot is no transaction.

    Args:
        pool: where connections are.
        hooks: the backend.
        begin: the statement that begins a snapshot, ``None`` for none.
        check: looks at the connection before the block begins, and raises if it will not do.
    """

    __slots__ = ("_before", "_begin", "_call", "_check", "_hooks", "_idle", "_pool")

    def __init__(
        self,
        pool: IdlePool,
        hooks: PoolHooks,
        begin: str | None,
        check: Callable[[Any], None] | None = None,
    ) -> None:
        self._pool = pool
        self._hooks = hooks
        self._begin = begin
        self._check = check

    def __enter__(self) -> Any:
        """Take a connection, and begin."""
        # Order: the gate, a connection, the call's interrupt. A fork waits at the gate for blocks that are
        # in.
        self._hooks.gate.__enter__()
        try:
            self._idle = self._pool.take()
            return self._start(self._idle)
        except BaseException as error:
            self._hooks.gate.__exit__()
            _raise_translated(self._hooks, error)
            raise

    def _start(self, idle: IdleConnection) -> Any:
        try:
            session = idle.session
        except BaseException:
            self._pool.give(idle)
            raise
        self._call: Call = current()
        self._before = self._call.attach(session.interrupt)
        try:
            if self._check is not None:
                self._check(session)
            if self._begin is not None:
                session.cursor.execute(self._begin)
            return session
        except BaseException:
            self._call.detach(self._before)
            self._pool.give(idle, failed=True)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, and give the connection back."""
        try:
            self._leave(self._idle, error)
        finally:
            self._hooks.gate.__exit__()
        if error is not None:
            _raise_translated(self._hooks, error)

    def _leave(self, idle: IdleConnection, error: BaseException | None) -> None:
        self._call.detach(self._before)
        if self._begin is not None:
            roll_back(idle.session)
        self._pool.give(idle, failed=error is not None)


class Connecting:
    """Takes connections in a thread of its own, so that a call that is over need not wait for them.

    Args:
        connect: takes a connection, which may take as long as a server does not answer.
        give: gives back one that nobody waits for any more.
    """

    def __init__(self, connect: Callable[[], Any], give: Callable[[Any], object]) -> None:
        self._connect = connect
        self._give = give
        self._under_way: set[threading.Thread] = set()

    def take(self) -> Any:
        """Return a connection.

        Raises:
            Cancelled, QueryTimeout: the call was over first; the connection goes to the pool when it comes.
        """
        if not current().is_bounded:
            return self._connect()
        attempt = _Attempt(self._connect, self._give)
        thread = threading.Thread(target=self._run, args=(attempt,), name="docstore-connect", daemon=True)
        self._under_way.add(thread)
        thread.start()
        return attempt.result()

    def close(self) -> None:
        """Wait for connections under way: none comes after this."""
        for thread in list(self._under_way):
            thread.join()

    def _run(self, attempt: _Attempt) -> None:
        try:
            attempt.run()
        finally:
            self._under_way.discard(threading.current_thread())


class _Attempt:
    """One connection on its way."""

    def __init__(self, connect: Callable[[], Any], give: Callable[[Any], object]) -> None:
        self._connect = connect
        self._give = give
        self._mutex = threading.Lock()
        # A lock that is taken here and released by the other thread: waiting for it looks at the call.
        self._done = threading.Lock()
        self._done.acquire()
        self._is_given_up = False
        self._connection: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Connect, in the thread for that."""
        try:
            connection = self._connect()
        except BaseException as error:
            self._error = error
        else:
            with self._mutex:  # either this thread sees that it was given up, or result() the connection
                self._connection = connection
                is_given_up = self._is_given_up
            if is_given_up:
                self._give(connection)
        self._done.release()

    def result(self) -> Any:
        """Wait for the connection, in the thread of the call."""
        try:
            acquire(self._done, math.inf, "a connection")
        except BaseException:
            with self._mutex:
                self._is_given_up = True
                connection = self._connection
            if connection is not None:
                self._give(connection)
            raise
        error, self._error = self._error, None
        if error is not None:
            raise error
        return self._connection


# -- connections of an event loop, statement by statement ------------------------------------------

T = TypeVar("T")
# How often a waiting thread looks whether the loop is still there.
_SLICE_SECONDS = 0.05


def on_loop(
    coroutine: Coroutine[Any, Any, T], abandon: Callable[[T], Coroutine[Any, Any, object]] | None = None
) -> T:
    """Run a coroutine on the event loop of this thread's caller, and wait for it.

    Args:
        coroutine: the coroutine.
        abandon: handles its result if the call is given up meanwhile; None to wait for the end.

    Raises:
        BackendError: the loop is gone, or there is none.
    """
    call = current()
    if call.loop is None or call.loop.is_closed():
        coroutine.close()
        raise BackendError(
            "this connection belongs to an event loop that is gone: join it in open_async(...)"
        )
    future = asyncio.run_coroutine_threadsafe(coroutine, call.loop)
    while True:
        try:
            return future.result(timeout=_SLICE_SECONDS)
        except TimeoutError:
            if future.done():
                raise
        if call.loop.is_closed():
            raise BackendError("the event loop of this connection has been closed meanwhile")
        if abandon is not None:
            try:
                call.check("a connection")
            except (Cancelled, QueryTimeout):
                future.add_done_callback(lambda done: _abandoned(done, abandon))
                raise


def _abandoned(done: Future[T], abandon: Callable[[T], Coroutine[Any, Any, object]]) -> None:
    """Give back, on the loop, a connection that no call waits for any more."""
    if not done.cancelled() and done.exception() is None:
        task = asyncio.ensure_future(abandon(done.result()))
        _abandoning.add(task)
        task.add_done_callback(_abandoning.discard)


# Tasks under way: a loop holds its tasks only weakly.
_abandoning: set[asyncio.Future[object]] = set()


class LoopConnection:
    """A connection of an event loop, with the attributes that a session uses.

    Args:
        driver: the driver's own asynchronous connection.
        cursor: makes the cursor that a session's statements run on.
        owner: the SQLAlchemy ``AsyncConnection`` to close in the end; None if the application closes it.

    Attributes:
        driver_connection, dbapi_connection: the driver's own.
        info: notes about the connection.
    """

    def __init__(self, driver: Any, cursor: Callable[[Any], Any], owner: Any = None) -> None:
        self.driver_connection = self.dbapi_connection = driver
        self.info: dict[str, Any] = {}
        self._cursor = cursor
        self._owner = owner

    @classmethod
    def taken_from(cls, engine: Any, cursor: Callable[[Any], Any]) -> LoopConnection:
        """Take a connection out of the pool of an AsyncEngine."""

        async def take() -> tuple[Any, Any]:
            owner = await engine.connect()
            return owner, (await owner.get_raw_connection()).driver_connection

        owner, driver = on_loop(take(), lambda taken: taken[0].close())
        return cls(driver, cursor, owner)

    def cursor(self) -> Any:
        """Return a cursor."""
        return self._cursor(self.driver_connection)

    def close(self) -> None:
        """Give it back."""
        if self._owner is not None:
            on_loop(self._owner.close())

    def invalidate(self) -> None:
        """Have the pool close it, as its state is unknown."""
        if self._owner is not None:
            on_loop(self._owner.invalidate())


# -- the application's own transaction -------------------------------------------------------------

_TAKEN = "a Connection, Session, AsyncConnection or AsyncSession of SQLAlchemy's"


class JoinedTransaction:
    """A transaction that the application begins, commits and rolls back.

    Args:
        given: the connection or session that the application joined with.
        dialect: the database of the store, by SQLAlchemy's name.
        drivers: the drivers that a session can use.
        example: a URL of one of them.
        cursor: makes the cursor of an asynchronous driver's connection.

    Attributes:
        connection: the connection that a session runs on.

    Raises:
        TypeError: it cannot be joined, or is of another database or driver.
        BackendError: it is closed.
    """

    def __init__(
        self, given: Any, dialect: str, drivers: tuple[str, ...], example: str, cursor: Callable[[Any], Any]
    ) -> None:
        is_session, is_async = _kind(given)
        if is_async and current().loop is None:
            raise TypeError(f"{type(given).__name__}: join it with a store of docstore.open_async")
        self._given = given.sync_session if is_session and is_async else given
        self._is_session = is_session
        self._is_async = is_async
        self._cursor = cursor
        self.connection: Any = on_loop(self._entered()) if is_async else self._enter()
        found = self._engine_dialect
        if found.name != dialect or found.driver not in drivers:
            raise TypeError(
                f"cannot join a connection of {found.name}+{found.driver} to a store in {dialect}: "
                f"expected one of an engine for {example}"
            )
        self._transaction = self._under_way()

    def check(self) -> None:
        """Raise BackendError if the application has ended the transaction; else tell it of one more call."""
        now = self._under_way()
        if now is None or now is not self._transaction or not now.is_active:
            raise BackendError(
                "the transaction that this block joined was committed or rolled back by the application: "
                "leave the block before that, and join again for what comes after it"
            )
        if self._is_session:  # it makes the savepoint of a begin_nested() when it is asked for its connection
            if self._is_async:
                on_loop(greenlet_spawn(self._given.connection))
            else:
                self._given.connection()

    def _enter(self) -> Any:
        connection = self._given.connection() if self._is_session else self._given
        if not connection.in_transaction():
            connection.begin()
        self._engine_dialect = connection.dialect
        return connection.connection

    async def _entered(self) -> Any:
        given = self._given if not self._is_session else None
        if given is None:
            sync = await greenlet_spawn(self._given.connection)
            driver = (await greenlet_spawn(lambda: sync.connection)).driver_connection
            self._engine_dialect = sync.dialect
            return LoopConnection(driver, self._cursor)
        if not given.in_transaction():
            await given.begin()
        self._engine_dialect = given.dialect
        return LoopConnection((await given.get_raw_connection()).driver_connection, self._cursor)

    def _under_way(self) -> Any:
        """Return the application's transaction, None if it has ended."""
        given = self._given
        if self._is_async and not self._is_session:
            given = given.sync_connection
        if given is None or (not self._is_session and given.closed):
            return None
        return given.get_transaction()


def no_transaction() -> BackendError:
    """Return the error of joining a connection whose statements each commit by themselves."""
    return BackendError(
        "the connection is in autocommit, and has no transaction to take part in: join one whose "
        "isolation_level is not AUTOCOMMIT"
    )


def _kind(given: Any) -> tuple[bool, bool]:
    """Return whether something is a session, and whether it is asynchronous."""
    from sqlalchemy import Connection

    if isinstance(given, Connection):
        return False, False
    orm, aio = sys.modules.get("sqlalchemy.orm"), sys.modules.get("sqlalchemy.ext.asyncio")
    if orm is not None and isinstance(given, orm.Session):
        return True, False
    if aio is not None and isinstance(given, aio.AsyncConnection):
        return False, True
    if aio is not None and isinstance(given, aio.AsyncSession):
        return True, True
    raise TypeError(f"cannot join {type(given).__name__}: expected {_TAKEN}")
