"""Waits: how a store waits for what takes time. One set of words, two shells.

The core and the backends are written once, as plain calls. Whatever in them may block without being a
statement to the database goes through a :class:`Waits`: the blocking shell runs it where it stands, the
asynchronous one (:mod:`docstore.aio`) hands it to a thread or to the event loop and lets other tasks run
meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import ParamSpec, Protocol, TypeVar

from docstore.errors import StoreBusy

__all__ = ["DIRECT", "FairLock", "Turn", "Waits"]

P = ParamSpec("P")
T = TypeVar("T")


class Turn(Protocol):
    """One waiter's place in a queue."""

    def wait(self, timeout: float) -> bool:
        """Wait until the turn is given, for so many seconds at most; return whether it was."""

    def give(self) -> bool:
        """Give the turn, from whichever thread; return false if its waiter is beyond reach."""


class ThreadTurn:
    """The turn of a thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wait(self, timeout: float) -> bool:
        """Block the thread."""
        return self._lock.acquire(timeout=max(0.0, timeout))

    def give(self) -> bool:
        """Let the thread go on."""
        self._lock.release()
        return True


class Waits:
    """How the blocking shell waits: by blocking the thread. The asynchronous shell overrides every method.

    Attributes:
        is_async: whether database drivers are to be asynchronous ones.
    """

    is_async: bool = False

    def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what ``work`` returns; it may block, and calls neither the store nor the backend."""
        return work(*args, **kwargs)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    def turn(self) -> Turn:
        """Return a fresh place in a queue for the caller."""
        return ThreadTurn()

    def lock(self, timeout: float) -> AbstractContextManager[object]:
        """Return a lock to be held for a block, again and again.

        Args:
            timeout: seconds to wait for it before StoreBusy, where the shell cannot take it a second time.
        """
        return threading.RLock()


DIRECT = Waits()
"""The blocking shell's way."""


class FairLock:
    """A lock that goes from hand to hand in the order asked for, among threads and tasks alike."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin with nobody holding or waiting: when made, and in a forked child, which inherits no lock."""
        self._mutex = threading.Lock()
        self._waiting: deque[Turn] = deque()
        self._held = False

    def acquire(self, waits: Waits, timeout: float) -> bool:
        """Take the lock, waiting for it in turn; return whether it came within ``timeout`` seconds."""
        with self._mutex:
            if not self._held:
                self._held = True
                return True
            turn = waits.turn()
            self._waiting.append(turn)
        try:
            if turn.wait(timeout):
                return True
        except BaseException:
            if not self._withdrawn(turn):
                self.release()
            raise
        return not self._withdrawn(turn)  # else it came between the time-out and now

    def release(self) -> None:
        """Hand the lock to who has waited longest."""
        with self._mutex:
            while self._waiting:
                if self._waiting.popleft().give():
                    return
            self._held = False

    @contextmanager
    def held(self, waits: Waits, timeout: float) -> Iterator[None]:
        """Hold the lock for a block.

        Raises:
            StoreBusy: others held it for longer than ``timeout`` seconds.
        """
        if not self.acquire(waits, timeout):
            raise StoreBusy(f"others kept the store for longer than {timeout:g} s; try again later")
        try:
            yield
        finally:
            self.release()

    def _withdrawn(self, turn: Turn) -> bool:
        with self._mutex:
            if turn not in self._waiting:
                return False
            self._waiting.remove(turn)
            return True
