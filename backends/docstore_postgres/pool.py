"""Idle pool: connections used last stay out of the engine's pool, each with its session set up.

Taking a connection from SQLAlchemy's pool and giving it back costs more CPU than a whole look-up by key.
So idle connections wait here, the last one first. The engine's pool makes new ones and bounds how many
there are. It gets back connections that others wait for, and any that did not end at rest.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg.pq import TransactionStatus

from docstore.concurrency import Call, Gate, current
from docstore.errors import BackendError, DocstoreError
from docstore_postgres.errors import is_full
from docstore_postgres.session import PostgresSession

__all__ = ["IdleConnection", "IdlePool", "ReadBlock", "connected_within", "has_ended", "spoken"]

_IDLE = TransactionStatus.IDLE
_forked: list[object] = []
"""Connections of the process that this one was forked from: never touched, not even by the collector."""


_SPOKEN = {"client_encoding": "UTF8", "standard_conforming_strings": "on"}
"""How statements are written here; the server reports these settings by itself."""
T = TypeVar("T")


def connected_within(seconds: float, sleep: Callable[[float], object], connect: Callable[[], T]) -> T:
    """Return what ``connect`` does, waiting while the server has no connection free.

    Args:
        seconds: how long; then the error of the last attempt is raised.
        sleep: lets so many seconds pass.
        connect: takes a connection, of the pool or a new one.
    """
    end, pause = time.monotonic() + seconds, 0.01
    while True:
        try:
            return connect()
        except (psycopg.OperationalError, sa.exc.OperationalError) as error:
            left = end - time.monotonic()
            if not is_full(error) or left <= 0:
                raise
        sleep(min(pause, left))
        pause = min(2 * pause, 0.25)


@contextmanager
def spoken(connection: Any) -> Iterator[None]:
    """Have a connection that is not ours take statements as they are written here, and put it back."""
    info = connection.driver_connection.info
    found = {name: info.parameter_status(name) for name in _SPOKEN}
    changed = {name: was for name, was in found.items() if was and was != _SPOKEN[name]}
    if not changed:
        yield
        return
    cursor = connection.cursor()
    for name in changed:
        cursor.execute("SELECT set_config(%s, %s, false)", (name, _SPOKEN[name]))
    try:
        yield
    finally:
        with suppress(psycopg.Error):  # the transaction failed, and takes it back by itself
            for name, was in changed.items():
                cursor.execute("SELECT set_config(%s, %s, false)", (name, was))


def has_ended(driver: Any) -> bool:
    """Return whether the server has closed the connection: then its end is there to read."""
    if driver.closed:
        return True
    poll = select.poll()
    poll.register(driver.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class IdleConnection:
    """A connection that is in use, or at hand.

    Attributes:
        fairy: the pool's wrapper of it.
        driver: psycopg's connection.
        process: that it belongs to.

    ``keeps`` is whether the server's session behind it stays the same.
    """

    __slots__ = ("_keeps", "_make", "_session", "driver", "fairy", "process")

    def __init__(self, fairy: Any, make: Callable[[Any], PostgresSession], *, keeps: bool = True) -> None:
        self.fairy = fairy
        self.driver = fairy.dbapi_connection
        self.process = os.getpid()
        self._make = make
        self._keeps = keeps
        self._session: PostgresSession | None = None

    @property
    def session(self) -> PostgresSession:
        """The session that its reads run on, made when it is first asked for."""
        if self._session is None:
            self._session = self._make(self.fairy)
            self._session.keeps_connection = self._keeps
        return self._session

    def drop(self) -> None:
        """Give the connection back to the pool, one that broke as broken."""
        with suppress(psycopg.Error):  # it is closed
            self.driver.rollback()
            self.restore()
        if self.driver.closed:
            self.fairy.invalidate()
        self.fairy.close()

    def restore(self) -> None:
        """Leave the connection as it is expected to be by whoever else uses it."""
        if self._session is not None:
            self._session.plan(False)


class IdlePool:
    """The connections of one engine that wait for their next use.

    Args:
        engine: whose pool they are from; none waits here unless it is a plain pool that keeps connections
            for good.
        held: sets one up that is new from the pool.
        connect: takes one from the pool.
    """

    def __init__(
        self, engine: sa.Engine, held: Callable[[Any], IdleConnection], connect: Callable[[], Any]
    ) -> None:
        pool = engine.pool
        plain = type(pool) is sa.pool.QueuePool and pool._recycle == -1 and not pool._pre_ping
        self._engine = engine
        self._held = held
        self._connect = connect
        self._most = pool.size() if plain else 0  # type: ignore[attr-defined]
        self._mutex = threading.Lock()
        self._waiting: deque[IdleConnection] = deque()
        self._pid = os.getpid()
        self._asking = 0
        """Threads that the pool is to serve: what comes free meanwhile goes there."""

    def take(self) -> IdleConnection:
        """Return a connection that lives, set up; a fork starts with none."""
        if os.getpid() != self._pid:
            self._forget()
        while True:
            with self._mutex:
                if not self._waiting:
                    self._asking += 1
                    break
                held = self._waiting.pop()
            if not has_ended(held.driver):
                return held
            held.fairy.invalidate()
            held.fairy.close()
        try:
            return self._held(self._connect())
        finally:
            with self._mutex:
                self._asking -= 1

    def give(self, held: IdleConnection) -> None:
        """Take a connection back, to wait here if it is at rest."""
        if os.getpid() != held.process:
            _forked.append(held)
            return
        if held.driver.pgconn.transaction_status == _IDLE:
            with self._mutex:
                if not self._asking and len(self._waiting) < self._most:
                    self._waiting.append(held)
                    return
        held.drop()

    def close(self) -> None:
        """Give all that wait back to the pool; none waits here again."""
        if os.getpid() != self._pid:
            self._forget()
        with self._mutex:
            self._most = 0
            waiting, self._waiting = self._waiting, deque()
        for held in waiting:
            held.drop()

    def _forget(self) -> None:
        """Leave all to the process that this one was forked from."""
        _forked.append(self._waiting)
        self._waiting, self._mutex, self._asking = deque(), threading.Lock(), 0
        self._engine.dispose(close=False)
        self._pid = os.getpid()


class ReadBlock:
    """A block for reading on a connection that was at hand; one that needs no snapshot is no transaction.

    Args:
        at_hand: where connections are.
        gate: of the backend.
        begin: the statement that begins a snapshot, ``None`` for none.
        translate: returns the error for what the driver or the pool raised, ``None`` if neither did.
        check: looks at the connection before the block begins, and raises if it will not do.
    """

    __slots__ = ("_at_hand", "_before", "_begin", "_call", "_check", "_gate", "_held", "_translate")

    def __init__(
        self,
        at_hand: IdlePool,
        gate: Gate,
        begin: str | None,
        translate: Callable[[Exception], BackendError | None],
        check: Callable[[PostgresSession], None] | None = None,
    ) -> None:
        self._check = check
        self._at_hand = at_hand
        self._gate = gate
        self._begin = begin
        self._translate = translate

    def __enter__(self) -> PostgresSession:
        """Take a connection, and begin."""
        self._gate.__enter__()
        try:
            return self._enter()
        except BaseException:
            self._gate.__exit__()
            raise

    def _enter(self) -> PostgresSession:
        try:
            self._held = self._at_hand.take()
            return self._start(self._held)
        except Exception as error:
            self._raise(error)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, and give the connection back."""
        try:
            self._leave(error)
        finally:
            self._gate.__exit__()

    def _leave(self, error: BaseException | None) -> None:
        held = self._held
        self._call.detach(self._before)
        if self._begin is not None:
            try:
                held.session.cursor.execute("ROLLBACK")
            except Exception:  # what the driver says of the end must not hide the failure
                held.driver.close()
        self._at_hand.give(held)
        if isinstance(error, Exception):
            self._raise(error)

    def _start(self, held: IdleConnection) -> PostgresSession:
        try:
            session = held.session
        except BaseException:
            self._at_hand.give(held)
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
            self._at_hand.give(held)
            raise

    def _raise(self, error: Exception) -> None:
        """Raise what an error of the driver or the pool means; return if it is another."""
        translated = None if isinstance(error, DocstoreError) else self._translate(error)
        if translated is not None:
            raise translated from error
