"""Taking connections out of a pool for calls that may be over before there is one."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

from docstore.concurrency import acquire, current

__all__ = ["Connecting"]


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
        """Wait for what is under way: no connection comes after this."""
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
