"""The bridge between the event loop and the core, which is written as plain calls: two drivers.

:func:`drive` runs a call of the core in a greenlet of SQLAlchemy's; where it has to wait (a driver's I/O,
a lock, a file) it hands what it waits for to the event loop and goes on when that is done. Each call is a
task of its own, so that a cancellation is delivered into the core once, and what the core then does to
clean up is not cancelled again. :class:`Threads` runs calls in threads, for a backend that knows nothing
of event loops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextvars import Context, copy_context
from functools import partial
from importlib.util import find_spec
from typing import Any, ParamSpec, Protocol, TypeVar

from docstore.errors import BackendNotInstalled, StoreBusy
from docstore.waits import FairLock, Turn, Waits

__all__ = ["Driver", "LoopWaits", "Threads", "drive", "in_thread", "unbroken", "waited"]

P = ParamSpec("P")
T = TypeVar("T")


def require_greenlet() -> None:
    """Raise BackendNotInstalled if the package that :func:`drive` needs is missing."""
    if find_spec("greenlet") is None:
        raise BackendNotInstalled('open_async needs greenlet: run  pip install "embedded-docstore[async]"')


async def drive(
    work: Callable[[], T], *, context: Context | None = None, undo: Callable[[T], object] | None = None
) -> T:
    """Run ``work`` of the core, its waits bridged to the running loop.

    Args:
        work: called in a greenlet.
        context: the context to run in; ``None`` is a copy of the caller's.
        undo: called in a greenlet, too, with the result of a ``work`` that was done when the cancellation
            came, so that what it opened is closed.

    Raises:
        CancelledError: the caller was cancelled; ``work`` has ended by then, one way or the other.
    """
    from sqlalchemy.util.concurrency import greenlet_spawn

    loop = asyncio.get_running_loop()
    task = loop.create_task(greenlet_spawn(work), context=context)
    try:
        await asyncio.wait((task,))
    except asyncio.CancelledError:
        task.cancel()
        await _ended(task)
        if undo is not None and not task.cancelled() and task.exception() is None:
            await _ended(loop.create_task(greenlet_spawn(undo, task.result()), context=context))
        raise
    return task.result()


async def unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end; a cancellation of the caller arrives after it."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        await asyncio.wait((task,))
    except asyncio.CancelledError:
        await _ended(task)
        raise
    return task.result()


async def _ended(future: asyncio.Future[Any]) -> None:
    """Wait until ``future`` is done, however often the caller is cancelled meanwhile; its failure is taken
    note of.
    """
    while not future.done():
        try:
            await asyncio.wait((future,))
        except asyncio.CancelledError:
            continue
    if not future.cancelled():
        future.exception()


def waited(awaitable: Awaitable[T], loop: asyncio.AbstractEventLoop) -> T:
    """Wait for ``awaitable`` from within a call of the core, whichever driver runs it, and return its
    result.
    """
    from sqlalchemy.util.concurrency import await_only, in_greenlet

    if in_greenlet():
        return await_only(awaitable)

    async def arrived() -> T:
        return await awaitable

    return asyncio.run_coroutine_threadsafe(arrived(), loop).result()


async def in_thread(
    work: Callable[[], T],
    *,
    stop: Callable[[], object] | None = None,
    executor: Executor | None = None,
    context: Context | None = None,
) -> T:
    """Run ``work`` in a thread; nothing of it goes on when this ends.

    Args:
        work: may block.
        stop: called when the caller is cancelled, to make ``work`` end early; ``None`` waits for its end.
        executor: whose thread; ``None`` is the loop's default executor.
        context: the context to run in; ``None`` is a copy of the caller's.
    """
    loop = asyncio.get_running_loop()
    future = loop.run_in_executor(executor, partial((context or copy_context()).run, work))
    try:
        await asyncio.wait((future,))
    except asyncio.CancelledError:
        if stop is not None:
            stop()
        await _ended(future)
        raise
    return future.result()


class Driver(Protocol):
    """Runs calls of the core; arguments as for :func:`drive`."""

    async def __call__(
        self,
        work: Callable[[], T],
        *,
        context: Context | None = None,
        undo: Callable[[T], object] | None = None,
    ) -> T:
        """Return what ``work`` returns."""


class Threads:
    """The driver that runs calls in threads. A call that is cancelled is finished first.

    Args:
        executor: whose threads; ``None`` is the loop's default executor.
    """

    def __init__(self, executor: ThreadPoolExecutor | None = None) -> None:
        self._executor = executor

    async def __call__(
        self,
        work: Callable[[], T],
        *,
        context: Context | None = None,
        undo: Callable[[T], object] | None = None,
    ) -> T:
        """Run ``work`` in a thread."""
        future = in_thread(work, executor=self._executor, context=context)
        if undo is None:
            return await future
        task = asyncio.get_running_loop().create_task(future)
        try:
            return await unbroken(_result(task))
        except asyncio.CancelledError:
            if task.exception() is None:
                await unbroken(
                    in_thread(partial(undo, task.result()), executor=self._executor, context=context)
                )
            raise

    def alone(self) -> Threads:
        """Return a driver that runs all its calls in one thread."""
        return Threads(ThreadPoolExecutor(1, "docstore-block"))

    def finish(self) -> None:
        """End the thread of a driver that :meth:`alone` returned."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)


async def _result(task: asyncio.Task[T]) -> T:
    return await task


class LoopTurn:
    """The turn of a task."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._given = self._loop.create_future()

    def wait(self, timeout: float) -> bool:
        """Let other tasks run meanwhile."""
        waited(asyncio.wait((self._given,), timeout=max(0.0, timeout)), self._loop)
        return self._given.done()

    def give(self) -> bool:
        """Let the task go on; a loop that is closed cannot."""
        try:
            self._loop.call_soon_threadsafe(self._give)
        except RuntimeError:
            return False
        return True

    def _give(self) -> None:
        if not self._given.done():
            self._given.set_result(None)


class LoopWaits(Waits):
    """How the asynchronous shell waits; every method is called within :func:`drive`."""

    is_async = True

    def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` in a thread and let other tasks run meanwhile."""
        return waited(in_thread(partial(work, *args, **kwargs)), asyncio.get_running_loop())

    def sleep(self, seconds: float) -> None:
        """Let other tasks run."""
        waited(asyncio.sleep(seconds), asyncio.get_running_loop())

    def turn(self) -> Turn:
        """Return a place in a queue for the task."""
        return LoopTurn()

    def lock(self, timeout: float) -> AbstractContextManager[object]:
        """Return a lock among the tasks."""
        return _TaskLock(self, timeout)


class _TaskLock:
    """A fair lock to be held for one block after another."""

    def __init__(self, waits: Waits, timeout: float) -> None:
        self._waits = waits
        self._timeout = timeout
        self._lock = FairLock()

    def __enter__(self) -> None:
        if not self._lock.acquire(self._waits, self._timeout):
            raise StoreBusy(
                f"other tasks kept the store for longer than {self._timeout:g} s; try again later"
            )

    def __exit__(self, *exception: object) -> None:
        self._lock.release()
