"""Shell: what all views of one asynchronous store share. It opens the store on its loop and drives the
core.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from contextvars import Context, ContextVar, copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from docstore.aio.bridge import Driver, LoopWaits, Threads, drive, require_greenlet, unbroken
from docstore.errors import BackendError, StoreClosed
from docstore.root import Root

__all__ = ["Shell"]

P = ParamSpec("P")
T = TypeVar("T")


class _Block:
    """A transaction under way: its calls come one after another, in one context, whichever tasks make them.

    The core's own record of the transaction lives in that context.

    Args:
        driver: runs its calls; by threads, all of them in one.
        outer: the block that this one lies in, if any: it shares the context and the turns.
    """

    def __init__(self, driver: Driver, outer: _Block | None) -> None:
        self._inner = outer is not None
        self._driver: Driver = _for_block(driver) if outer is None else outer._driver
        self._context: Context = copy_context() if outer is None else outer._context
        self._turn: asyncio.Lock = asyncio.Lock() if outer is None else outer._turn
        self._ended = False

    async def drive(self, work: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
        """Run a call of the core in this block.

        Raises:
            BackendError: the block is over; the task was started in it and went on.
        """
        async with self._turn:
            if self._ended:
                raise BackendError("the transaction that this task was started in has ended")
            return await self._driver(work, context=self._context, undo=undo)

    async def end(self, leave: Callable[[], bool | None]) -> bool | None:
        """Leave the block, behind the call that another task may be making in it."""
        self._ended = True
        async with self._turn:
            try:
                return await self._driver(leave, context=self._context)
            finally:
                self.release()

    def release(self) -> None:
        """End the thread that ran the block, if it had one."""
        if isinstance(self._driver, Threads) and not self._inner:
            self._driver.finish()


def _for_block(driver: Driver) -> Driver:
    return driver.alone() if isinstance(driver, Threads) else driver


class Shell:
    """One open asynchronous store: its root, its loop, and the transaction of each task.

    Args:
        opening: opens the root; called once, in a greenlet.
    """

    def __init__(self, opening: Callable[[], Root]) -> None:
        self._opening = opening
        self._root: Root | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened = asyncio.Lock()
        self._closed = False
        self._pid = os.getpid()
        self._driver: Driver = drive
        self._reads_at_once = False
        self._block: ContextVar[_Block | None] = ContextVar("docstore_block", default=None)

    async def root(self) -> Root:
        """Return the root; the first call opens it.

        Raises:
            BackendError: another event loop, or a forked process, than the one that the store was opened in.
            StoreClosed: it was closed before it was opened.
        """
        if self._root is None:
            await self._open()
        self._check_place()
        assert self._root is not None
        return self._root

    async def _open(self) -> None:
        self._check_place()
        async with self._opened:
            if self._closed:
                raise StoreClosed("this store was closed: open it again with docstore.open_async(...)")
            if self._root is None:
                require_greenlet()
                self._loop = asyncio.get_running_loop()
                root = await drive(self._opening, undo=Root.close)
                if not isinstance(root.waits, LoopWaits):
                    self._driver = Threads()
                self._reads_at_once = getattr(root.backend, "reads_at_once", False)
                self._root = root

    def _check_place(self) -> None:
        if os.getpid() != self._pid:
            raise BackendError("this store was opened before a fork: open one of its own in each process")
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            raise BackendError("this store belongs to another event loop: open one of its own in each loop")

    @property
    def closed(self) -> bool:
        """Whether the store was closed."""
        return self._closed

    # -- calls -------------------------------------------------------------------------------------

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call of the core, within the transaction of this task if there is one."""
        return await self.run_undoing(partial(work, *args, **kwargs), None)

    async def read(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call of the core that only reads rows; at once, where the backend has nothing to wait for."""
        if self._reads_at_once and self._block.get() is None:
            return work(*args, **kwargs)
        return await self.run_undoing(partial(work, *args, **kwargs), None)

    async def run_undoing(self, work: Callable[[], T], undo: Callable[[T], object] | None) -> T:
        """As :meth:`run`; ``undo`` closes what was opened for a caller who was cancelled just then."""
        block = self._block.get()
        if block is None:
            return await self._driver(work, undo=undo)
        return await block.drive(work, undo)

    @asynccontextmanager
    async def block(self, manager: AbstractContextManager[object]) -> AsyncIterator[None]:
        """Make ``manager`` (a transaction of the core) the block that this task's calls take part in."""
        cancelled = asyncio.CancelledError()
        block = _Block(self._driver, self._block.get())
        try:
            await block.drive(manager.__enter__, undo=lambda _: _leave(manager, cancelled))
        except BaseException:
            block.release()
            raise
        token = self._block.set(block)
        try:
            yield
        except BaseException as failed:
            if not await unbroken(block.end(partial(_leave, manager, failed))):
                raise
        else:
            await unbroken(block.end(partial(manager.__exit__, None, None, None)))
        finally:
            self._block.reset(token)

    async def close(self) -> None:
        """Close the store; idempotent. Calls that are under way fail."""
        self._closed = True
        root = self._root
        if root is not None and not root.closed:
            self._check_place()
            await unbroken(self._driver(root.close))


def _leave(manager: AbstractContextManager[object], failed: BaseException) -> bool | None:
    return manager.__exit__(type(failed), failed, failed.__traceback__)
