"""Calls on their way from a task into a thread and back, with their cancellation (class Hop).

The threads are in groups, started when first needed; tasks queue for seats.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import Context, copy_context
from enum import Enum
from functools import partial
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from docstore.concurrency import Call, Cancelled, acquire, current, work_on
from docstore.errors import BackendError, StoreClosed

__all__ = [
    "Errand",
    "Hop",
    "Seats",
    "ThreadGroup",
    "ask",
    "shielded",
    "unbroken",
]


class Errand(Protocol):
    """A piece of work for a thread of a group."""

    def begin(self) -> bool:
        """Mark it as begun, under the group's lock; return false if nobody wants it any more."""

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
        # Innermost: nothing is called while it is held, and an errand's `begin` takes no other lock.
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

    @property
    def is_pressed(self) -> bool:
        """Whether errands wait for a thread."""
        return bool(self._queue)

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
    """A bounded number of seats; tasks of any event loop wait for one in turn.

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
        # Nobody waits for a chore: what it raises must not end the thread that others wait for.
        except BaseException:
            return


T = TypeVar("T")
A = TypeVar("A")
Patience: TypeAlias = Callable[[], tuple[float, Callable[[], BaseException]]]


class CallState(Enum):
    """Where a hop is: ``GONE`` if nobody wants it done any more, or nobody may."""

    QUEUED = 1
    RUNNING = 2
    DONE = 3
    GONE = 4


_QUEUED, _RUNNING, _DONE, _GONE = CallState.QUEUED, CallState.RUNNING, CallState.DONE, CallState.GONE


class Wake:
    """What one task awaits until a thread sets it; it may be awaited again.

    A Future is set on its loop, and wakes its task a round of the loop later. This one has the thread put
    the task itself on the loop: a fifth of a hop.

    Args:
        loop: the task's.
    """

    __slots__ = ("_asyncio_future_blocking", "_cancelled", "_is_set", "_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_set = False
        self._cancelled: asyncio.CancelledError | None = None
        # The task's callback, of which each thread that wants to call it takes the only one.
        self._waiting: list[tuple[Callable[[Wake], object], Context | None]] = []
        self._asyncio_future_blocking = False

    def set(self, *, later: bool = False) -> None:
        """Wake the task, or have it not wait; from any thread.

        Args:
            later: a round of the loop later, as a Future does: a loop with many tasks takes several together.

        Raises:
            RuntimeError: its loop is closed.
        """
        # First set, then look for a callback; a task does the reverse. So one of them sees the other.
        self._is_set = True
        if later:
            self._loop.call_soon_threadsafe(self._call, self._loop.call_soon)
        else:
            self._call(self._loop.call_soon_threadsafe)

    def _call(self, soon: Callable[..., object]) -> None:
        try:
            callback, context = self._waiting.pop()
        except IndexError:
            return
        soon(callback, self, context=context)

    # -- what asyncio asks of an object that a task awaits -----------------------------------------------

    def __await__(self) -> Generator[Wake, None, None]:
        """Wait, and begin anew."""
        if not self._is_set:
            self._asyncio_future_blocking = True
            yield self
        self._is_set = False

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the task's loop."""
        return self._loop

    def add_done_callback(
        self, callback: Callable[[Wake], object], *, context: Context | None = None
    ) -> None:
        """Have the task called when it is set."""
        self._waiting.append((callback, context))
        if self._is_set:
            self._call(self._loop.call_soon)

    def cancel(self, msg: Any = None) -> bool:
        """Wake the task with a cancellation, unless it is about to wake."""
        if self._is_set or self._cancelled is not None:
            return False
        self._cancelled = asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)
        self._call(self._loop.call_soon)
        return True

    def result(self) -> None:
        """Raise CancelledError if this was cancelled, by whom the message says: anyio looks at it."""
        cancelled, self._cancelled = self._cancelled, None
        if cancelled is not None:
            try:
                raise cancelled
            finally:
                del cancelled  # else its traceback holds this frame, and this frame it


class Hop(Call, Generic[T]):
    """A call of the blocking core, made for a task by a thread.

    Args:
        work: the call.
        group: whose threads make it.
        undo: called in the thread with the result of a call that nobody waits for any more: it closes what
            was opened.
        context: to run in; ``None``: a copy of the caller's.
        foreign: whether the work is not the library's own, so that nothing of ours may break it off.

    Attributes:
        error: what it raised, or why it was never made; ``None`` if all is well.
    """

    __slots__ = (
        "_context",
        "_foreign",
        "_group",
        "_is_closed",
        "_question",
        "_replied",
        "_reply",
        "_state",
        "_undo",
        "_value",
        "_woken",
        "_work",
        "error",
    )  # fmt: skip

    def __init__(
        self,
        work: Callable[[], T],
        group: ThreadGroup,
        *,
        undo: Callable[[T], object] | None = None,
        context: Context | None = None,
        foreign: bool = False,
    ) -> None:
        super().__init__(asked=time.monotonic(), loop=asyncio.get_running_loop())
        self._work = work
        self._group = group
        self._undo = undo
        self._context = copy_context() if context is None else context
        self._foreign = foreign
        self._state = _QUEUED
        self._is_closed = False
        self._woken = Wake(self.loop)
        self._question: Callable[[], Awaitable[Any]] | None = None
        self._reply: tuple[Any, BaseException | None] = (None, None)
        self._value: Any = None
        self.error: BaseException | None = None

    # -- the task's side ---------------------------------------------------------------------------

    async def made(self, *, first: bool = False, patience: Patience | None = None) -> T:
        """Hand the call in, wait for it, and return what it returned.

        Args:
            first: whether it goes before those that wait for a thread already.
            patience: returns the seconds that it may wait for a thread, and what makes the error for
                when none came free; it is asked only where none is free.

        Raises:
            CancelledError: the caller was cancelled. The call has ended by then, and is undone.
            StoreClosed: the store was closed meanwhile.
        """
        try:
            is_free = self._group.submit(self, first=first)
        except RuntimeError:
            raise _closed() from None
        giving_up: asyncio.TimerHandle | None = None
        if not is_free and patience is not None:
            seconds, late = patience()
            giving_up = self.loop.call_later(seconds, lambda: self.refuse(late()))
        try:
            await self._woken
            while self._state is not _DONE and self._state is not _GONE:
                await self._answer()
                await self._woken
        except GeneratorExit:  # the task is thrown away, and can wait for nothing
            self.close()
            raise
        except BaseException:
            await self._give_up()
            raise
        finally:
            if giving_up is not None:
                giving_up.cancel()
        return self._outcome()

    async def _answer(self) -> None:
        """Do what the thread asks for, if it does, as only the task can."""
        question, self._question = self._question, None
        if question is None:
            return
        try:
            self._reply = (await question(), None)
        # It is the caller's: the thread that asked raises it.
        except Exception as raised:
            self._reply = (None, raised)
        self._replied.release()

    async def _give_up(self) -> None:
        """End the call: nothing of it happens after this."""
        if self.refuse(asyncio.CancelledError()):
            return
        self.cancel()
        await shielded(self._ended())
        undo, self._undo = self._undo, None
        if undo is not None and self.error is None:  # it was done when the cancellation came
            work, self._value = partial(undo, self._value), None
            # The caller hears of the cancellation; an undo that fails leaves what a collection removes.
            with suppress(Exception):
                await shielded(Hop(work, self._group, context=self._context).made())

    async def _ended(self) -> None:
        while self._state not in (_DONE, _GONE):
            await self._woken

    def _outcome(self) -> T:
        error, self.error = self.error, None
        if error is None:
            value: T = self._value
            return value
        try:
            if isinstance(error, Cancelled):
                raise _closed() if self._is_closed else asyncio.CancelledError()
            raise error
        finally:
            del error  # else its traceback holds this frame, and this frame it

    def refuse(self, error: BaseException) -> bool:
        """Have the call never made, if no thread has it in hand yet; return whether it is so."""
        with self._group.mutex:
            if self._state is not _QUEUED:
                return False
            self._state, self.error = _GONE, error
        self._wake_task()
        return True

    def close(self) -> None:
        """End the call, as its store is being closed; from whichever thread."""
        if not self.refuse(_closed()):
            self._is_closed = True
            self.cancel()

    # -- the thread's side -------------------------------------------------------------------------

    def begin(self) -> bool:
        """Take it in hand."""
        if self._state is not _QUEUED:
            return False
        self._state = _RUNNING
        return True

    def run(self) -> None:
        """Make the call, and tell the task."""
        before = work_on(Call() if self._foreign else self)
        try:
            self._value = self._context.run(self._work)
        # Whatever it is, the task raises it; this thread goes on to the next call.
        except BaseException as error:
            self.error = error
        if self.is_cancelled or self.loop.is_closed():
            self._undone()
        self._state = _DONE
        if not self._wake_task():
            self._undone()
        work_on(before)

    def _undone(self) -> None:
        undo, self._undo = self._undo, None
        if undo is None or self.error is not None:
            return
        self._is_told = True  # what cleans up is not broken off
        with suppress(Exception):
            self._context.run(undo, self._value)
        self._value = None

    def ask(self, question: Callable[[], Awaitable[A]]) -> A:
        """Have the task await something, and return what that gave.

        Raises:
            Exception: what it raised.
            Cancelled: the call was given up, or its loop is gone.
        """
        self._replied = threading.Lock()
        self._replied.acquire()
        self._question = question
        self._wake_task()
        while not acquire(self._replied, 1.0, "what the caller gave"):
            if self.loop.is_closed():
                self._is_told = True
                raise Cancelled
        (value, raised), self._reply = self._reply, (None, None)
        if raised is None:
            answer: A = value
            return answer
        try:
            raise raised
        finally:
            del raised

    def _wake_task(self) -> bool:
        """Wake the task; return false if its loop is gone."""
        try:
            # 64 pages at once on SQLite took a fifth more CPU where each task was woken by itself.
            self._woken.set(later=self._group.is_pressed)
        except RuntimeError:
            return False
        return True


def ask(question: Callable[[], Awaitable[A]]) -> A:
    """Have this thread's task await something; return its result: :meth:`Hop.ask`."""
    hop = current()
    if not isinstance(hop, Hop):
        raise BackendError(
            "what is awaited was handed to another thread: read it in the call that it was given to"
        )
    return hop.ask(question)


async def shielded(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work``, in a task of its own, to its end, however often the caller is cancelled meanwhile.

    A cancel scope of anyio's cancels anew in every round of the loop; within a shielding one it waits.
    """
    task = asyncio.ensure_future(work)
    anyio = sys.modules.get("anyio")
    if anyio is None:
        return await _outlasted(task)
    with anyio.CancelScope(shield=True):
        return await _outlasted(task)


async def unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end; a cancellation of the caller arrives after it."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait((task,))
    except asyncio.CancelledError:
        await shielded(_quietly(task))
        raise
    return task.result()


async def _outlasted(task: asyncio.Task[T]) -> T:
    while not task.done():
        try:
            await asyncio.wait((task,))
        # The task is waited for to its end, however often its caller is cancelled: its thread still runs.
        except asyncio.CancelledError:
            continue
    return task.result()


async def _quietly(task: asyncio.Task[Any]) -> None:
    await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()


def _closed() -> StoreClosed:
    return StoreClosed("this store was closed: open it again with docstore.open_async(...)")
