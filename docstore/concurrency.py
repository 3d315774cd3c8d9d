"""Deadlines, cancellation, locks and the clock: what bounds a call, and how it waits.

Each thread works on one :class:`Call` at a time, :func:`current`. Everything that waits or works for long
checks whether that call is over: locks and pools by :func:`acquire`, pauses by :func:`sleep`, walks over
records by :func:`looked_over`, chunks of bytes by :func:`check`. A running SQL statement cannot check; the
thread ``docstore-timer`` interrupts it.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias, TypeVar
from weakref import WeakSet

from docstore.errors import BackendError, InvalidDocument, InvalidPage, QueryTimeout, StoreBusy, shown

__all__ = [
    "STORE_DEFAULT",
    "Budget",
    "Call",
    "Cancelled",
    "Clock",
    "FairLock",
    "Gate",
    "Locks",
    "ReentrantFairLock",
    "StoreDefault",
    "Timeout",
    "acquire",
    "check",
    "check_seconds",
    "check_timeout",
    "current",
    "forgets_at_fork",
    "looked_over",
    "sleep",
    "working_on",
]

T = TypeVar("T")
# So often a waiting call looks whether it is over.
_SLICE_SECONDS = 0.02
# A walk over records looks at least once in so many.
_STRIDE = 256
# A walk that takes longer from one look to the next looks more often.
_QUICK_SECONDS = 0.005
# So many predicates are named in the text of a QueryTimeout.
_NAMED = 5
# An interrupt that came before its statement began was lost; it is sent again after so long.
_REPEAT_SECONDS = 0.02


class Cancelled(BaseException):  # not an Exception: nothing on the way may take it for a failure
    """The caller gave this call up; raised in the call's thread, once. It never leaves the library."""


class StoreDefault(Enum):
    """The ``timeout`` of a read that says nothing: the store's ``query_timeout``."""

    STORE_DEFAULT = "the store's query_timeout"

    def __repr__(self) -> str:
        return self.name


STORE_DEFAULT = StoreDefault.STORE_DEFAULT
# Seconds that a read may take, more than 0; `None` is without limit.
Timeout: TypeAlias = float | StoreDefault | None


def check_seconds(
    name: str, value: Any, expected: str, *, zero: bool = False, most: float = math.inf,
    refusal: Callable[[str, str], Exception] = lambda text, name: InvalidDocument(text, field=name),
) -> float:  # fmt: skip
    """Return a length of time as a float, checked: every argument in seconds is read here.

    Args:
        name: of the argument, for the error.
        value: seconds, as the caller gave them.
        expected: what the error says was expected, after "seconds, ".
        zero: whether 0 is allowed, too.
        most: the longest time allowed, in seconds.
        refusal: makes the error of a text and the argument's name; by default an InvalidDocument.

    Raises:
        InvalidDocument: the value is no number, NaN, negative or more than ``most``.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_long_enough = is_number and (value > 0 or (zero and value == 0))  # false for NaN
    if not is_long_enough or value > most:
        raise refusal(f"{name}={shown(value)}: expected seconds, {expected}", name)
    return float(value)


def check_timeout(timeout: Any, name: str = "timeout") -> float | None:
    """Return the seconds that a read may take, ``None`` for no limit.

    Raises:
        InvalidPage: it is no number more than 0.
    """
    if timeout is None:
        return None
    return check_seconds(
        name, timeout, "more than 0, or None for no limit",
        refusal=lambda text, name: InvalidPage(text, argument=name),
    )  # fmt: skip


class Forgets(Protocol):
    """An object with a lock that is held for moments only, never across a block."""

    def forget(self) -> None:
        """Take a lock that nobody holds."""


class NamesPredicates(Protocol):
    """A plan, as far as a QueryTimeout names its predicates."""

    def unindexed(self) -> tuple[str, ...]:
        """Return the predicates that no index serves, in words."""


class Locks(Protocol):
    """A lock of :mod:`threading`."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it, within ``timeout`` seconds; return whether it was taken."""

    def release(self) -> None:
        """Give it back."""


class Call:
    """The bounds of one call: its deadline, and whether it was cancelled. One thread works on it.

    Args:
        asked: when the caller asked, by ``time.monotonic()``: a budget counts from there. ``None``: when the
            budget begins.
        loop: the event loop that the caller waits on; ``None`` for a thread that nobody can cancel.

    Attributes:
        deadline: when it must have ended, by ``time.monotonic()``.
        budget: the seconds that the deadline was made of.
        has_budget: whether a budget is in force, were it one without end.
        is_cancelled: whether the caller gave it up.
    """

    __slots__ = (
        "_interrupt", "_is_sending", "_is_told", "_mutex", "asked", "budget", "deadline", "has_budget",
        "is_cancelled", "loop",
    )  # fmt: skip

    def __init__(self, *, asked: float | None = None, loop: Any = None) -> None:
        self.asked: float | None = asked
        self.loop: Any = loop
        self.deadline: float = math.inf
        self.budget: float = math.inf
        self.has_budget: bool = False
        self.is_cancelled: bool = False
        self._is_told = False
        self._interrupt: Callable[[], object] | None = None
        self._is_sending = False
        # Never held while an interrupt is sent: a driver's cancel may wait for the server. `detach` waits
        # for it by `_is_sending` instead.
        self._mutex = threading.Lock()

    @property
    def is_bounded(self) -> bool:
        """Whether it may end before its work does."""
        return self.loop is not None or self.deadline < math.inf

    @property
    def is_over(self) -> bool:
        """Whether its deadline has passed, or it was cancelled and has not been told yet."""
        if self.is_cancelled and not self._is_told:
            return True
        return self.deadline < math.inf and time.monotonic() >= self.deadline

    def check(self, waiting: str = "") -> None:
        """Raise if the call is over.

        A cancellation is told once, so that whatever cleans up after it is not disturbed again; a deadline
        every time, until its budget's block is left.

        Args:
            waiting: what for, in words, where that is what took the time.

        Raises:
            Cancelled: the caller gave it up.
            QueryTimeout: its deadline has passed.
        """
        if self.is_cancelled and not self._is_told:
            self._is_told = True
            raise Cancelled
        if self.deadline < math.inf and time.monotonic() >= self.deadline:
            raise QueryTimeout(
                f"the query's budget of {self.budget:g} s is used up{waiting and ', waiting for '}{waiting}: "
                "narrow it, or give it more with timeout= or docstore.open(query_timeout=…)",
                budget=self.budget,
            )

    def cancel(self) -> None:
        """Give the call up, from any thread: its statement is interrupted, its next look raises."""
        self.is_cancelled = True
        if self._interrupt is not None:
            _timer.watch(self)

    # -- statements --------------------------------------------------------------------------------

    def attach(self, interrupt: Callable[[], object]) -> Callable[[], object] | None:
        """Let what follows be interrupted, until :meth:`detach`.

        Args:
            interrupt: called by the timer, again and again, while the call is over; it need not work.

        Returns:
            The function attached before: hand it to :meth:`detach`.
        """
        before = self._interrupt
        if self.is_cancelled and self._is_told:  # this is the cleaning up
            return before
        # Set before the timer is told: it may look at once.
        self._interrupt = interrupt
        if self.is_cancelled or self.deadline < math.inf:
            _timer.watch(self)
        return before

    def resume(self) -> None:
        """Have what is attached already interrupted at a deadline that is new."""
        if self._interrupt is not None:
            _timer.watch(self)

    def detach(self, before: Callable[[], object] | None = None) -> None:
        """Let nothing be interrupted any more; wait for an interrupt that is on its way."""
        with self._mutex:
            self._interrupt = before
        while self._is_sending:
            time.sleep(0.0005)
        if before is None:
            _timer.forget(self)

    def interrupt(self) -> None:
        """Interrupt what is attached, if the call is over."""
        with self._mutex:
            interrupt = self._interrupt
            if interrupt is None or not self.is_over:
                return
            self._is_sending = True
        try:
            with suppress(Exception):  # the connection ended: so did its statement
                interrupt()
        finally:
            self._is_sending = False


class _Here(threading.local):
    """The call that this thread works on: a call of its own, until it is given another."""

    def __init__(self) -> None:
        self.call = Call()


_here = _Here()


def current() -> Call:
    """Return the call that this thread works on."""
    return _here.call


def check() -> None:
    """Raise if the call that this thread works on is over: :meth:`Call.check`."""
    _here.call.check()


def work_on(call: Call) -> Call:
    """Let this thread work on a call from now on; return the one that it worked on."""
    before, _here.call = _here.call, call
    return before


@contextmanager
def working_on(call: Call) -> Iterator[None]:
    """Let this thread work on a call, for a block."""
    before = work_on(call)
    try:
        yield
    finally:
        work_on(before)


class Budget:
    """Seconds that the finding of one call may take, in one block or in several together.

    Args:
        seconds: in all; ``None`` is without end.

    Attributes:
        plan: what they are spent on, if that is known yet; a QueryTimeout names what of it no index serves.
    """

    __slots__ = ("_before", "_begun", "_call", "_left", "_seconds", "plan")

    def __init__(self, seconds: float | None, plan: NamesPredicates | None = None) -> None:
        self._seconds = self._left = math.inf if seconds is None else seconds
        self.plan: NamesPredicates | None = plan

    def __enter__(self) -> Self:
        call = self._call = _here.call
        self._before = (call.deadline, call.budget, call.has_budget)
        call.has_budget = True
        # A budget without end still counts as one, so that the store's own does not apply within it.
        if self._left == math.inf:
            return self
        self._begun = time.monotonic() if call.asked is None else call.asked
        call.asked = None
        deadline = self._begun + self._left
        if deadline < call.deadline:
            call.deadline, call.budget = deadline, self._seconds
            call.resume()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        call = self._call
        call.deadline, call.budget, call.has_budget = self._before
        if self._left < math.inf:
            self._left -= time.monotonic() - self._begun
        if self.plan is not None and isinstance(error, QueryTimeout) and not error.predicates:
            error.predicates = self.plan.unindexed()
            if error.predicates:
                error.args = (f"{error.message}; no index serves {_some(error.predicates)}",)


def _some(predicates: Sequence[str]) -> str:
    """Return the first of some predicates, in words, and how many more there are."""
    first = ", ".join(predicates[:_NAMED])
    more = len(predicates) - _NAMED
    return f"{first} and {more} more" if more > 0 else first


# -- waiting ---------------------------------------------------------------------------------------


def acquire(lock: Locks, timeout: float, waiting: str) -> bool:
    """Take a lock within ``timeout`` seconds; return whether it was taken.

    Args:
        lock: to take.
        timeout: seconds, at least 0.
        waiting: what the lock stands for, in words.

    Raises:
        Cancelled, QueryTimeout: the call was over before.
    """
    call = _here.call
    call.check(waiting)
    if lock.acquire(blocking=False):
        return True
    end = time.monotonic() + timeout
    while (left := end - time.monotonic()) > 0:
        if call.is_bounded:
            left = min(left, _SLICE_SECONDS, max(0.0, call.deadline - time.monotonic()))
        if lock.acquire(timeout=min(left, threading.TIMEOUT_MAX)):
            return True
        call.check(waiting)
    return False


def sleep(seconds: float) -> None:
    """Let time pass.

    Raises:
        Cancelled, QueryTimeout: the call was over before.
    """
    call = _here.call
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _SLICE_SECONDS) if call.is_bounded else left)
        call.check()


def looked_over(records: Iterable[T]) -> Iterable[T]:
    """Return records as they come, with a look at the call at least every 256.

    Raises:
        Cancelled, QueryTimeout: while they are walked, where the call is over.
    """
    return _looking(records, _here.call) if _here.call.is_bounded else records


def _looking(records: Iterable[T], call: Call) -> Iterator[T]:
    # A look costs a clock reading: it doubles its distance while rows are quick, and halves it when they
    # are slow.
    stride = left = 1
    last = time.monotonic()
    for record in records:
        yield record
        left -= 1
        if left:
            continue
        call.check()
        now = time.monotonic()
        stride = min(2 * stride, _STRIDE) if now - last < _QUICK_SECONDS else max(stride // 2, 1)
        left, last = stride, now


class FairLock:
    """A lock that goes from hand to hand in the order asked for."""

    def __init__(self) -> None:
        self.forget()
        forgets_at_fork(self)

    def forget(self) -> None:
        """Begin with nobody holding or waiting: when made, and in a forked child, which inherits no lock."""
        self._mutex = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._held = False

    def acquire(self, timeout: float, waiting: str = "the turn to write") -> bool:
        """Take the lock, waiting for it in turn; return whether it came within ``timeout`` seconds."""
        # `_mutex` is held for moments and no other lock is taken under it; the turn is waited for outside.
        with self._mutex:
            if not self._held:
                self._held = True
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        try:
            if acquire(turn, timeout, waiting):
                return True
        except BaseException:
            if not self._withdrawn(turn):
                self.release()
            raise
        return not self._withdrawn(turn)  # else it came between the time-out and now

    def release(self) -> None:
        """Hand the lock to who has waited longest."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False

    @contextmanager
    def held(self, timeout: float) -> Iterator[None]:
        """Hold the lock for a block.

        Raises:
            StoreBusy: others held it for longer than ``timeout`` seconds.
        """
        if not self.acquire(timeout):
            raise StoreBusy(f"others kept the store for longer than {timeout:g} s; try again later")
        try:
            yield
        finally:
            self.release()

    def _withdrawn(self, turn: threading.Lock) -> bool:
        with self._mutex:
            if turn not in self._waiting:
                return False
            self._waiting.remove(turn)
            return True


class ReentrantFairLock:
    """A fair lock that the thread that holds it may take again."""

    def __init__(self) -> None:
        self._lock = FairLock()
        # Only the holder itself can find its own identity here, so that reading it needs no lock.
        self._holder: int | None = None
        self._depth = 0

    def acquire(self, timeout: float, waiting: str) -> bool:
        """Take the lock, waiting for it in turn; return whether it came within ``timeout`` seconds."""
        me = threading.get_ident()
        if self._holder != me:
            if not self._lock.acquire(timeout, waiting):
                return False
            self._holder = me
        self._depth += 1
        return True

    def release(self) -> None:
        """Give it back, as often as it was taken."""
        self._depth -= 1
        if not self._depth:
            self._holder = None
            self._lock.release()


# -- the timer -------------------------------------------------------------------------------------


class _Timer:
    """The thread that interrupts the statements of calls that are over; started when first needed."""

    def __init__(self) -> None:
        self._watched: dict[Call, None] = {}
        self._wake = threading.Event()
        self._next = math.inf
        """When the thread looks again; infinite while it is looking, so that whatever comes wakes it."""
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, call: Call) -> None:
        """Interrupt a call as soon as it is over, until :meth:`forget`."""
        self._watched[call] = None
        if self._thread is None:
            self._start()
        if call.is_cancelled or call.deadline < self._next:
            self._wake.set()

    def forget(self, call: Call) -> None:
        """Leave a call alone."""
        self._watched.pop(call, None)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="docstore-timer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            # Cleared before the look: a call that is watched after it sets the event again, and none is
            # missed.
            self._wake.clear()
            self._next = math.inf
            calls = list(self._watched)
            over = [call for call in calls if call.is_over]
            for call in over:
                call.interrupt()
            first = min((call.deadline for call in calls), default=math.inf)
            if over:
                # An interrupt between two statements hits nothing, and the next statement would run to its
                # end.
                first = time.monotonic() + _REPEAT_SECONDS
            self._next = first
            self._wake.wait(None if first == math.inf else max(0.0, first - time.monotonic()))


_timer = _Timer()


# -- forks -----------------------------------------------------------------------------------------


class Gate:
    """A gate that threads pass to use a store, so that a fork finds none in the middle of it.

    Before a fork new blocks wait, and those under way are waited for, a second at most; never those of the
    thread that forks. Where one does not end, the store is of no use in the child, and says so.
    """

    def __init__(self) -> None:
        self._inside: dict[int, int] = {}
        """How many blocks each thread is in."""
        self.is_torn: bool = False
        """Whether this process was forked while another thread was inside."""
        _gates.add(self)

    def __enter__(self) -> None:
        """Go in.

        Raises:
            BackendError: this process was forked while another thread was inside.
        """
        me = threading.get_ident()
        depth = self._inside.get(me, 0)
        self._inside[me] = depth + 1
        # First say that it is inside, then look for a fork; the fork does the reverse. So one sees the
        # other.
        if _forks.forker is not None and not depth:  # it looks who is inside after it has said so
            self._wait(me)
        if self.is_torn:
            self.__exit__()
            self.check()

    def check(self) -> None:
        """Raise BackendError if this process was forked while another thread was inside."""
        if self.is_torn:
            raise BackendError(
                "this process was forked while another thread was in the middle of using this store: "
                "open one of its own here"
            )

    def __exit__(self, *exception: object) -> None:
        """Go out."""
        me = threading.get_ident()
        depth = self._inside.get(me, 1) - 1
        if depth:
            self._inside[me] = depth
        else:
            self._inside.pop(me, None)

    def _wait(self, me: int) -> None:
        while _forks.forker not in (None, me):
            del self._inside[me]
            while _forks.forker not in (None, me):
                time.sleep(0.001)
            self._inside[me] = 1

    def is_quiet(self) -> bool:
        """Return whether no other thread is inside."""
        me = threading.get_ident()
        return all(thread == me for thread in list(self._inside))

    def after_fork(self, *, is_torn: bool) -> None:
        """Begin anew in the child, which has this thread alone."""
        me = threading.get_ident()
        self._inside = {me: self._inside[me]} if me in self._inside else {}
        self.is_torn = self.is_torn or is_torn


class _Forks:
    """The fork that is under way."""

    def __init__(self) -> None:
        self.forker: int | None = None
        """The thread that forks."""
        self.busy: list[Gate] = []
        """The gates that somebody did not come out of in time."""
        self._turn = threading.Lock()

    def before(self) -> None:
        """Let nobody in, and wait for those that are."""
        # With a limit: a fork from within a fork's own handlers must not wait for itself for ever.
        self._turn.acquire(timeout=2 * _FORK_SECONDS)
        self.forker = threading.get_ident()
        end = time.monotonic() + _FORK_SECONDS
        for gate in list(_gates):
            while not gate.is_quiet():
                if time.monotonic() >= end:
                    self.busy.append(gate)
                    break
                time.sleep(0.0005)

    def after(self) -> None:
        """Let them in again."""
        self.forker, self.busy = None, []
        with suppress(RuntimeError):  # another fork took too long
            self._turn.release()

    def after_in_child(self) -> None:
        """Begin anew in the child."""
        global _timer
        # Every lock is made anew: the thread that held one does not exist here.
        for gate in list(_gates):
            gate.after_fork(is_torn=gate in self.busy)
        for one in list(_forgetful):
            one.forget()
        self.forker, self.busy, self._turn = None, [], threading.Lock()
        _timer = _Timer()
        _here.call = Call()


# A fork waits so long for blocks that are under way.
_FORK_SECONDS = 1.0
_gates: WeakSet[Gate] = WeakSet()
_forgetful: WeakSet[Forgets] = WeakSet()
_forks = _Forks()


def forgets_at_fork(one: Forgets) -> None:
    """Have something forget, in a forked child, who held its lock: that thread is not there."""
    _forgetful.add(one)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_forks.before, after_in_parent=_forks.after, after_in_child=_forks.after_in_child
    )


class Clock:
    """Microseconds since the epoch, as one process tells them for one store."""

    def __init__(self) -> None:
        self._last = 0
        self._told_at = 0
        self._is_ahead = False
        self.forget()
        forgets_at_fork(self)

    def forget(self) -> None:
        """Take a lock that nobody holds."""
        self._mutex = threading.Lock()

    def now(self, wall: int | None = None) -> int:
        """Return the time.

        Args:
            wall: a reading of the clock that the store goes by; ``None``: this machine's.
        """
        read = time.time_ns() // 1000 if wall is None else wall
        with self._mutex:
            self._is_ahead = read < self._last
            if self._is_ahead:
                return self._tell(self._passed())
            self._last, self._told_at = read, time.monotonic_ns() // 1000
            return read

    def go_on(self, told: int, told_when: int, wall: int | None = None) -> int:
        """Return the time in a store that was told one before, maybe by another process.

        Args:
            told: the instant that the store remembers.
            told_when: what the wall clock said then.
            wall: as for :meth:`now`.
        """
        read = time.time_ns() // 1000 if wall is None else wall
        self.now(read)
        with self._mutex:
            since = told + max(0, read - told_when)
            if since > self._last:
                self._is_ahead = True
                return self._tell(since)
            return self._last

    def at_least(self) -> int:
        """Return an instant that no reading to come may be before: the last one, or where the clock stands
        that is ahead of the wall's.
        """
        with self._mutex:
            return self._tell(self._passed()) if self._is_ahead else self._last

    def _passed(self) -> int:
        return self._last + max(0, time.monotonic_ns() // 1000 - self._told_at)

    def _tell(self, instant: int) -> int:
        # Never backwards, whatever the wall clock does: order by time is order of commits.
        self._last, self._told_at = max(self._last, instant), time.monotonic_ns() // 1000
        return self._last
