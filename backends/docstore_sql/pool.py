"""Idle pool of both databases: connections used last, each with its session set up; and making new ones.

Taking a connection from SQLAlchemy's pool and giving it back costs more CPU than a whole look-up by key.
So idle connections wait here, the last one first. The engine's pool makes new ones and bounds how many
there are. It gets back connections that others wait for, and any that did not end at rest.
"""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol

import sqlalchemy as sa

from docstore.concurrency import Call, Gate, acquire, current
from docstore.errors import BackendError, DocstoreError
from docstore_sql.session import Session

__all__ = ["Connecting", "IdleConnection", "IdlePool", "PoolHooks", "ReadBlock"]

# Connections of the process that this one was forked from: never touched, not even by the garbage
# collector.
_forked: list[object] = []


class PoolHooks(Protocol):
    """The backend as the pool sees it."""

    @property
    def gate(self) -> Gate:
        """The gate that every block goes through."""

    def raw_connection(self) -> Any:
        """Take a connection from the engine's pool."""

    def make_ready(self, connection: Any) -> None:
        """Set a connection up that is new from the engine's pool."""

    def idle_session(self, connection: Any) -> Session:
        """Return the session that reads on a connection as long as it is kept."""

    def is_at_rest(self, connection: Any) -> bool:
        """Return whether a connection lives, and no transaction is open on it."""

    def has_ended(self, connection: Any) -> bool:
        """Return whether the server has closed a connection."""

    def leave(self, idle: IdleConnection) -> None:
        """Leave a connection as its next user expects it."""

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
            self.known_session = self._hooks.idle_session(self.connection)
        return self.known_session

    def drop(self, *, close: bool = False) -> None:
        """Give the connection back to the engine's pool; have one that broke closed, and any if ``close``."""
        driver = self.connection.dbapi_connection
        try:
            driver.rollback()
            self._hooks.leave(self)
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

    def give(self, idle: IdleConnection) -> None:
        """Take a connection back, to wait here if it is at rest."""
        if os.getpid() != idle.process:  # a block that a fork has copied
            _forked.append(idle)
            return
        if self._hooks.is_at_rest(idle.connection):
            with self._mutex:
                if not self._asking and len(self._waiting) < self._most:
                    self._waiting.append(idle)
                    return
        idle.drop(close=self._is_closed)

    def forget(self) -> None:
        """Leave all connections to the process that this one was forked from."""
        _forked.append(self._waiting)
        self._waiting, self._mutex, self._asking = deque(), threading.Lock(), 0

    def close(self) -> None:
        """Give all that wait back to the engine's pool; none waits here again."""
        with self._mutex:
            self._most, self._is_closed = 0, True
            waiting, self._waiting = self._waiting, deque()
        for idle in waiting:
            idle.drop()


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
        self._hooks.gate.__enter__()
        try:
            self._idle = self._pool.take()
            return self._start(self._idle)
        except BaseException as error:
            self._hooks.gate.__exit__()
            self._raise(error)
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
            self._give_failed(idle)
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
            self._raise(error)

    def _leave(self, idle: IdleConnection, error: BaseException | None) -> None:
        self._call.detach(self._before)
        if self._begin is not None and os.getpid() == idle.process:
            try:
                idle.session.cursor.execute("ROLLBACK")
            except Exception:  # what the driver says of the end must not hide the failure
                idle.connection.dbapi_connection.close()
        if error is None:
            self._pool.give(idle)
        else:
            self._give_failed(idle)

    def _give_failed(self, idle: IdleConnection) -> None:
        if os.getpid() == idle.process:
            with suppress(Exception):  # it is broken, which the pool sees
                self._hooks.recover(idle)
        self._pool.give(idle)

    def _raise(self, error: BaseException) -> None:
        """Raise the meaning of an error of the driver or the pool; return for others."""
        if not isinstance(error, Exception) or isinstance(error, DocstoreError):
            return
        translated = self._hooks.translate(error)
        if translated is not None:
            raise translated from error


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
            with self._mutex:
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
