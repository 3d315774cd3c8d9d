"""Idle pool: connections kept beside the engine's pool, each with the session that reads on it.

A point read takes some twenty microseconds; taking a connection out of a pool, wrapped, and giving it
back took four times as long. So the first few connections of a database of our own are taken from the
pool for good and lie in a stack here. More than these at once come from the pool, as ever.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from docstore.concurrency import Call, Gate, current
from docstore.errors import BackendError, DocstoreError

if TYPE_CHECKING:
    from docstore_sqlite.session import SQLiteSession

__all__ = ["IdleSessions", "RawConnection", "SessionBlock"]

_MOST = 8
_inherited: list[SQLiteSession] = []
"""What forks leave alone: closing a connection that another process has is asking for trouble."""


class RawConnection:
    """A connection of sqlite3, as a session uses one; it belongs to the process that made it."""

    __slots__ = ("cursor", "dbapi_connection", "driver_connection", "process")

    def __init__(self, raw: Any) -> None:
        self.driver_connection = self.dbapi_connection = raw
        self.cursor: Callable[[], Any] = raw.cursor
        self.process = os.getpid()


class IdleSessions:
    """The kept connections that nobody uses just now. Threads may share it.

    Args:
        connect: makes a connection of sqlite3, set up.
        session: makes the session that reads on one.
    """

    def __init__(self, connect: Callable[[], Any], session: Callable[[RawConnection], SQLiteSession]) -> None:
        self._connect = connect
        self._session = session
        self._idle: list[SQLiteSession] = []
        self._made = 0
        self._mutex = threading.Lock()
        self._closed = False

    def take(self) -> SQLiteSession | None:
        """Return a session to read with, ``None`` where as many as are kept are in use; give it back."""
        try:
            return self._idle.pop()
        except IndexError:
            pass
        with self._mutex:
            if self._made >= _MOST or self._closed:
                return None
            self._made += 1
        try:
            return self._session(RawConnection(self._connect()))
        except BaseException:
            self._made -= 1
            raise

    def take_waiting(self) -> SQLiteSession | None:
        """Return a session that waits here, ``None`` if none does; make none."""
        with suppress(IndexError):
            return self._idle.pop()
        return None

    def give(self, session: SQLiteSession) -> None:
        """Take back a session whose block went well."""
        if session.connection.process != os.getpid():  # a block that a fork has copied
            _inherited.append(session)
            return
        if session.connection.driver_connection.in_transaction:
            self.give_failed(session)
            return
        self._idle.append(session)
        if self._closed:
            self.close()

    def give_failed(self, session: SQLiteSession) -> None:
        """Take back a session whose block did not: nothing of it may be left under way on the connection."""
        if session.connection.process != os.getpid():
            _inherited.append(session)
            return
        raw = session.connection.driver_connection
        try:
            session.cursor.close()
            raw.rollback()
            fresh = self._session(session.connection)
        except Exception:
            self._made -= 1
            with suppress(Exception):
                raw.close()
            return
        self.give(fresh)

    def forget(self) -> None:
        """Let go of all connections without closing them: a fork's belong to its parent."""
        _inherited.extend(self._idle)
        self._idle = []
        self._mutex, self._made = threading.Lock(), 0

    def close(self) -> None:
        """Close the connections, those in use when they are given back."""
        self._closed = True
        while self._idle:
            with suppress(IndexError):
                self._idle.pop().connection.driver_connection.close()


class SessionBlock:
    """A block of reading on a kept session.

    Args:
        take: gives the session, ``None`` where none is kept or free.
        idle: where it goes back to.
        snapshot: whether all that is read comes from one state.
        pooled: the same block on a connection out of the pool, for where there is no kept one.
        translate: turns the driver's errors into ours.
        gate: of the backend.
    """

    __slots__ = (
        "_before", "_block", "_call", "_gate", "_idle", "_pooled", "_session", "_snapshot", "_take",
        "_translate",
    )  # fmt: skip

    def __init__(
        self,
        take: Callable[[], SQLiteSession | None],
        idle: IdleSessions,
        snapshot: bool,
        pooled: Callable[[bool], AbstractContextManager[SQLiteSession]],
        translate: Callable[[Exception], BackendError | None],
        gate: Gate,
    ) -> None:
        self._gate = gate
        self._take = take
        self._idle = idle
        self._snapshot = snapshot
        self._pooled = pooled
        self._translate = translate
        self._session: SQLiteSession | None = None

    def __enter__(self) -> SQLiteSession:
        self._gate.__enter__()
        try:
            return self._enter()
        except BaseException:
            self._gate.__exit__()
            raise

    def _enter(self) -> SQLiteSession:
        session = self._session = self._take()
        if session is None:
            self._block = self._pooled(self._snapshot)
            return self._block.__enter__()
        self._call: Call = current()
        self._before = self._call.attach(session.interrupt)
        if self._snapshot:
            self._run("BEGIN", session)
        return session

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            return self._leave(kind, error, trace)
        finally:
            self._gate.__exit__()

    def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        session = self._session
        if session is None:
            return self._block.__exit__(kind, error, trace)
        self._call.detach(self._before)
        if error is not None:
            self._failed(error, session)
            return None
        if self._snapshot:
            self._run("ROLLBACK", session)
        self._idle.give(session)
        return None

    def _run(self, text: str, session: SQLiteSession) -> None:
        try:
            session.cursor.execute(text)
        except BaseException as error:
            self._call.detach(self._before)
            self._failed(error, session)
            raise

    def _failed(self, error: BaseException, session: SQLiteSession) -> None:
        self._idle.give_failed(session)
        if isinstance(error, DocstoreError) or not isinstance(error, Exception):
            return
        translated = self._translate(error)
        if translated is not None:
            raise translated from error
