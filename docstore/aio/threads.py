"""Groups of worker threads, started when first needed, and the seats that tasks queue for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

__all__ = ["Errand", "Seats", "ThreadGroup"]


class Errand(Protocol):
    """A piece of work for a thread of a group."""

    def begin(self) -> bool:
        """Say that a thread has it in hand; return false if nobody wants it any more. The group's lock is
        held.
        """

    def run(self) -> None:
        """Do it; raise nothing."""


class ThreadGroup:
    """Up to so many threads that do errands in the order in which they were handed in.

    Args:
        name: what the threads are called.
        most: how many there may be.

    Attributes:
        mutex: held while an errand changes hands.
    """

    def __init__(self, name: str, most: int) -> None:
        self.mutex: threading.Lock = threading.Lock()
        self._name = name
        self._most = most
        self._queue: deque[Errand] = deque()
        self._idle: list[threading.Lock] = []
        self._threads: set[threading.Thread] = set()
        self._made = 0
        self._is_closed = False

    def submit(self, errand: Errand, *, first: bool = False) -> bool:
        """Hand in an errand.

        Args:
            errand: what to do.
            first: before all that wait already.

        Returns:
            Whether a thread is free for it.

        Raises:
            RuntimeError: the group is closed.
        """
        with self.mutex:
            if self._is_closed:
                raise RuntimeError(f"{self._name}: closed")
            (self._queue.appendleft if first else self._queue.append)(errand)
            if self._idle:
                self._idle.pop().release()
                return True
            if len(self._threads) < self._most:
                self._made += 1
                thread = threading.Thread(target=self._work, name=f"{self._name}-{self._made}", daemon=True)
                self._threads.add(thread)
                thread.start()
                return True
            return False

    def close(self) -> None:
        """Let the threads end when nothing is left to do; idempotent."""
        with self.mutex:
            self._is_closed = True
            while self._idle:
                self._idle.pop().release()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the threads of a closed group, for so many seconds at most; return whether all ended."""
        end = None if timeout is None else time.monotonic() + timeout
        for thread in list(self._threads):
            thread.join(None if end is None else max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in list(self._threads))

    def _work(self) -> None:
        mine = threading.Lock()
        mine.acquire()
        while True:
            with self.mutex:
                if self._queue:
                    errand: Errand | None = self._queue.popleft()
                    if errand is not None and not errand.begin():
                        continue
                elif self._is_closed:
                    self._threads.discard(threading.current_thread())
                    return
                else:
                    errand = None
                    self._idle.append(mine)
            if errand is None:
                mine.acquire()
                continue
            errand.run()
            del errand  # what it holds must not live until the next one


class Seats:
    """So many seats; tasks of any event loop wait for one in turn.

    Args:
        number: of seats.
    """

    def __init__(self, number: int) -> None:
        self._free = number
        self._mutex = threading.Lock()
        self._waiting: deque[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()

    async def take(self, timeout: float | None = None) -> bool:
        """Take a seat, within ``timeout`` seconds; return whether there was one. Give it back."""
        loop = asyncio.get_running_loop()
        with self._mutex:
            if self._free:
                self._free -= 1
                return True
            waiter = (loop, loop.create_future())
            self._waiting.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter[1]
        except BaseException as stopped:
            with self._mutex:
                is_waiting = waiter in self._waiting
                if is_waiting:
                    self._waiting.remove(waiter)
            if not is_waiting:  # it was given in the meantime
                self.give()
            if isinstance(stopped, TimeoutError):
                return False
            raise
        return True

    def give(self) -> None:
        """Give a seat back, from whichever thread: to who has waited longest."""
        with self._mutex:
            while self._waiting:
                loop, given = self._waiting.popleft()
                try:
                    loop.call_soon_threadsafe(_given, given)
                except RuntimeError:  # its loop is closed
                    continue
                return
            self._free += 1

    async def __aenter__(self) -> None:
        await self.take()

    async def __aexit__(self, *exception: object) -> None:
        self.give()


def _given(given: asyncio.Future[None]) -> None:
    if not given.done():
        given.set_result(None)


class Chore:
    """An errand that nobody waits for on a loop.

    Args:
        work: to do; what it raises is dropped.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work

    def begin(self) -> bool:
        """Return true: it has to be done."""
        return True

    def run(self) -> None:
        """Do it."""
        try:
            self._work()
        except BaseException:
            return
