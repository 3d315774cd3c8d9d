"""Shell: the state that all views of one asynchronous store share.

It holds the store context of the blocking core, the groups of threads, and the transactions under way.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from functools import partial
from typing import Any, Concatenate, Generic, Literal, ParamSpec, TypeAlias, TypeVar
from weakref import WeakSet

from docstore.aio.calls import Chore, Hop, Patience, Seats, ThreadGroup, unbroken
from docstore.backend import Capabilities
from docstore.concurrency import STORE_DEFAULT, StoreDefault, Timeout
from docstore.context.store_context import StoreContext
from docstore.errors import BackendError, QueryTimeout, StoreBusy, StoreClosed

__all__ = ["Group", "Shell", "Twin"]

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")
Group: TypeAlias = Literal["read", "write", "bytes"]
# A single-writer engine gains nothing from more threads that wait for its turn: the second prepares while
# the first writes.
_WRITERS, _WRITERS_IN_TURN, _UPLOADERS = 8, 2, 16
# So long the end of the process waits for the threads of a store that was never closed.
_EXIT_SECONDS = 5.0
_open_shells: WeakSet[Shell] = WeakSet()


class Block:
    """A transaction under way: its calls come one after another, in one thread, whichever tasks make them.

    Args:
        shell: of the store.
        root: of the store.
        outer: the block that this one lies in, if any: it shares the thread.
        manager: the transaction of the core; entered and left in one context.
    """

    def __init__(
        self, shell: Shell, root: StoreContext, outer: Block | None, manager: AbstractContextManager[object]
    ) -> None:
        self.outer = outer
        self.lane: ThreadGroup = shell.take_lane() if outer is None else outer.lane
        self._shell = shell
        self._context = root
        self._manager = manager
        self._variables: Context = copy_context()
        self._transaction: Any = None
        self._has_ended = False
        self._closed = False

    async def enter(self) -> None:
        """Begin."""
        undo = partial(self._leave, asyncio.CancelledError())
        try:
            await self._shell.follow(
                Hop(self._enter, self.lane, undo=lambda _: undo(), context=self._variables)
            )
        except BaseException:
            self._shell.give_lane(self)
            raise

    def _enter(self) -> None:
        if self.outer is not None:
            self._context.resume(self.outer._transaction)
        self._manager.__enter__()
        self._transaction = self._context.transaction_in_force

    async def run(self, work: Callable[[], T], undo: Callable[[T], object] | None) -> T:
        """Make a call in this block.

        Raises:
            BackendError: the block is over; the task was started in it and went on.
        """
        self.check()
        return await self._shell.follow(Hop(partial(self._within, work), self.lane, undo=undo))

    def check(self) -> None:
        """Raise BackendError if the block is over."""
        if self._has_ended:
            raise BackendError("the transaction that this task was started in has ended")

    def _within(self, work: Callable[[], T]) -> T:
        self.check()
        self._context.resume(self._transaction)
        return work()

    async def leave(self, failed: BaseException | None) -> bool:
        """End after the call that another task makes in it; return whether ``failed`` is dealt with."""
        if self._has_ended and self._closed:
            if failed is None:
                raise StoreClosed("this store was closed while the transaction was open: it was rolled back")
            return False
        self._has_ended = True
        try:
            hop = Hop(partial(self._leave, failed), self.lane, context=self._variables)
            return await unbroken(hop.made())
        finally:
            self._shell.give_lane(self)

    def _leave(self, failed: BaseException | None) -> bool:
        if failed is None:
            return bool(self._manager.__exit__(None, None, None))
        return bool(self._manager.__exit__(type(failed), failed, failed.__traceback__))

    def abandon(self) -> None:
        """Roll back, as the store is being closed; from whichever thread."""
        if self._has_ended:
            return
        self._has_ended = self._closed = True
        failed = StoreClosed("this store was closed while the transaction was open")
        # A lane that is closed already has rolled back.
        with suppress(RuntimeError):
            self.lane.submit(Chore(partial(self._variables.run, self._leave, failed)))


class Shell:
    """One open asynchronous store.

    Args:
        opening: opens the root; called once, in a thread.
    """

    def __init__(self, opening: Callable[[], StoreContext]) -> None:
        self._opening = opening
        self._context: StoreContext | None = None
        self._door = Seats(1)
        self._is_closed = False
        self._pid = os.getpid()
        self._groups: dict[Group, ThreadGroup] = {}
        self._lanes: list[ThreadGroup] = []
        self._spare_lanes: list[ThreadGroup] = []
        self._seats = Seats(Capabilities().transactions)
        self._hops: set[Hop[Any]] = set()
        self._blocks: set[Block] = set()
        self._pool_timeout = Capabilities().pool_timeout
        self._block: ContextVar[Block | None] = ContextVar("docstore_block", default=None)

    async def root(self) -> StoreContext:
        """Return the root; the first call opens it.

        Raises:
            BackendError: this is another process than the one that made it, or no event loop of asyncio's.
            StoreClosed: it was closed before it was opened.
        """
        root = self.opened
        if root is None:
            self._check_place()
            root = await self._open()
        return root

    @property
    def opened(self) -> StoreContext | None:
        """The root; None if it is to be opened first, or was by another process."""
        return self._context if os.getpid() == self._pid else None

    async def _open(self) -> StoreContext:
        async with self._door:
            if self._context is not None:
                return self._context
            if self._is_closed:
                raise StoreClosed("this store was closed: open it again with docstore.open_async(...)")
            group = ThreadGroup("docstore-open", 1)
            try:
                root = await Hop(self._opening, group, undo=StoreContext.close).made()
            finally:
                group.close()
            self._staff(root)
            self._context = root
            _open_shells.add(self)
            return root

    def _staff(self, root: StoreContext) -> None:
        """Say how many threads there may be."""
        can = root.capabilities
        numbers: dict[Group, int] = {
            "read": can.readers,
            "write": _WRITERS_IN_TURN if root.single_writer else _WRITERS,
            "bytes": getattr(root.blobs, "upload_workers", _UPLOADERS),
        }
        self._groups = {name: ThreadGroup(f"docstore-{name}", most) for name, most in numbers.items()}
        self._seats = Seats(can.transactions)
        self._pool_timeout = can.pool_timeout

    def _check_place(self) -> None:
        if os.getpid() != self._pid:
            raise BackendError("this store was opened before a fork: open one of its own in each process")
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise BackendError(
                "an AsyncStore needs an event loop of asyncio: elsewhere use docstore.open, and hand its "
                "calls to anyio.to_thread.run_sync"
            ) from None

    @property
    def is_closed(self) -> bool:
        """Whether the store was closed."""
        return self._is_closed

    # -- calls -------------------------------------------------------------------------------------

    async def run(
        self,
        group: Group,
        work: Callable[[], T],
        *,
        undo: Callable[[T], object] | None = None,
        timeout: Timeout = None,
        first: bool = False,
    ) -> T:
        """Make a call of the core in a thread, within the transaction of this task if there is one.

        Args:
            group: whose threads.
            work: the call.
            undo: closes what was opened for a caller who was cancelled just then.
            timeout: of the call, if it has one: waiting for a thread counts.
            first: whether it goes before those that wait for a thread already.
        """
        root = self.opened or await self.root()
        block = self._block.get()
        if block is not None:
            return await block.run(work, undo)
        hop = Hop(work, self._groups[group], undo=undo)
        if group == "bytes":
            return await self.follow(hop)
        return await self.follow(hop, first=first, patience=partial(self._patience, root, timeout))

    async def follow(self, hop: Hop[T], *, first: bool = False, patience: Patience | None = None) -> T:
        """Make a call that :meth:`close` ends."""
        if self._is_closed:
            raise StoreClosed("this store was closed: open it again with docstore.open_async(...)")
        self._hops.add(hop)
        try:
            return await hop.made(first=first, patience=patience)
        finally:
            self._hops.discard(hop)

    def _patience(self, root: StoreContext, timeout: Timeout) -> tuple[float, Callable[[], BaseException]]:
        """Return how long a call may wait for a thread, and what it is told then."""
        budget = root.query_timeout if isinstance(timeout, StoreDefault) else timeout
        if isinstance(budget, int | float) and budget < self._pool_timeout:
            text = f"the query's budget of {budget:g} s is used up, waiting for a thread: others are busy"
            return budget, lambda: QueryTimeout(text, budget=budget)
        text = (
            f"no thread came free within {self._pool_timeout:g} s (pool_timeout): others are busy; "
            "try again later"
        )
        return self._pool_timeout, lambda: StoreBusy(text)

    @asynccontextmanager
    async def block(
        self, make: Callable[[StoreContext], AbstractContextManager[object]]
    ) -> AsyncIterator[None]:
        """Make a transaction of the core the block that this task's calls take part in."""
        root = await self.root()
        outer = self._block.get()
        if outer is not None:
            outer.check()
        elif not await self._seats.take(self._pool_timeout):
            raise StoreBusy(
                f"no connection came free for a transaction within {self._pool_timeout:g} s (pool_timeout): "
                "others are open; try again later"
            )
        block = Block(self, root, outer, make(root))
        self._blocks.add(block)  # before it is entered: close() then leaves it behind that
        try:
            await block.enter()
        except BaseException:
            self._blocks.discard(block)
            raise
        self._block.set(block)
        try:
            yield
        except BaseException as failed:
            if not await block.leave(failed):
                raise
        else:
            await block.leave(None)
        finally:
            self._blocks.discard(block)
            if self._block.get() is block:  # else it is left in another context, as async fixtures do
                self._block.set(outer)

    def take_lane(self) -> ThreadGroup:
        """Return a thread for one transaction."""
        if self._spare_lanes:
            return self._spare_lanes.pop()
        lane = ThreadGroup(f"docstore-transaction-{len(self._lanes) + 1}", 1)
        self._lanes.append(lane)
        return lane

    def give_lane(self, block: Block) -> None:
        """Take the thread and the seat of a transaction that is over back."""
        if block.outer is None:
            self._spare_lanes.append(block.lane)
            self._seats.give()

    # -- the end -----------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close the store; idempotent. Running calls are ended, open blocks rolled back."""
        self._is_closed = True
        if os.getpid() != self._pid:
            return
        self._check_place()
        async with self._door:
            if self._context is not None and not self._context.closed:
                group = ThreadGroup("docstore-close", 1)
                try:
                    await unbroken(Hop(self.end, group, foreign=True).made())
                finally:
                    group.close()

    def end(self, timeout: float | None = None) -> None:
        """End everything, in this thread; what does not end within ``timeout`` seconds is left."""
        self._is_closed = True
        deadline = None if timeout is None else time.monotonic() + timeout
        for hop in list(self._hops):
            hop.close()
        for block in list(self._blocks):
            block.abandon()
        groups = [*self._groups.values(), *self._lanes]
        for group in groups:
            group.close()
        while not all(group.join(0.02) for group in groups):
            for hop in list(self._hops):  # the timer may be gone where the process ends
                hop.interrupt()
            if deadline is not None and time.monotonic() >= deadline:
                return
        if self._context is not None:
            self._context.close()


class Twin(ABC, Generic[S]):
    """An object whose methods are those of one of the core, awaited: each is one line that names it."""

    _shell: Shell

    @abstractmethod
    def _of(self, root: StoreContext) -> S:
        """Return the object of the core."""

    async def _blocking(self) -> S:
        """Return the object of the core, the store opened if it is not yet."""
        return self._of(await self._shell.root())

    async def _read(self, work: Callable[Concatenate[S, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method that only reads rows."""
        blocking = self._of(self._shell.opened or await self._shell.root())
        timeout: Any = kwargs.get("timeout", STORE_DEFAULT)
        return await self._shell.run("read", partial(work, blocking, *args, **kwargs), timeout=timeout)

    async def _write(self, work: Callable[Concatenate[S, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method that writes rows, and reads no source."""
        blocking = self._of(self._shell.opened or await self._shell.root())
        return await self._shell.run("write", partial(work, blocking, *args, **kwargs))

    async def _bytes(self, work: Callable[Concatenate[S, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method that reads a source, or reads or writes objects, or walks over all there is."""
        blocking = self._of(self._shell.opened or await self._shell.root())
        return await self._shell.run("bytes", partial(work, blocking, *args, **kwargs))


def _end_all() -> None:
    """End what was never closed, so that it is not torn apart; the process does not wait for it for long."""
    end = time.monotonic() + _EXIT_SECONDS
    for shell in list(_open_shells):
        if shell._pid == os.getpid() and not shell.is_closed:
            shell.end(max(0.0, end - time.monotonic()))


atexit.register(_end_all)
