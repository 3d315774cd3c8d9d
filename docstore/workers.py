"""Claim, and Workers: the threads behind ``process``."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from random import uniform
from threading import Event, Lock, Thread
from typing import Any, ClassVar, Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict

from docstore.backend import Row
from docstore.concurrency import check_seconds
from docstore.errors import DocstoreError, InvalidDocument, LeaseLost, shown
from docstore.models import Document, Status

__all__ = [
    "MOST_SECONDS",
    "Claim",
    "ProcessLog",
    "ProcessReport",
    "RetryDelay",
    "Stop",
    "Workers",
    "check_patience",
    "completion_of",
    "delay_after",
]


Make: TypeAlias = Callable[[Row, int], "Mapping[str, Any] | None"]


class HoldsClaims(Protocol):
    """The queue, as its claims see it."""

    def prolong(self, held: Document, token: str, lease: float) -> datetime:
        """Set the end of a claim's lease to ``lease`` seconds from now, and return it.

        Raises:
            LeaseLost: the claim is not in force any more.
        """

    def held(self, held: Document, token: str, make: Make, *, touch: bool = True) -> Document:
        """Change a claimed document as ``make`` says, and return it as it is then.

        Raises:
            LeaseLost: the claim is not in force any more.
        """

    def completing(self, **asked: Any) -> Make:
        """Return the change of :meth:`Claim.complete`, its arguments checked."""

    def failing(self, error: str) -> Make:
        """Return the change of :meth:`Claim.fail`, the error's text checked."""

    def releasing(self, error: str | None) -> Make:
        """Return the change of :meth:`Claim.release`; None leaves the document without an error."""


@dataclass(slots=True, eq=False)
class Claim:
    """A document claimed by :meth:`Documents.claim`: nobody else has it until the lease ends.

    Every method raises LeaseLost, and writes nothing, once the lease ran out, the claim was ended, or the
    document is gone.

    Attributes:
        document: as it was claimed, ``processing``.
        token: the secret that stands for this claim.
        expires_at: when the lease ends, by the database's clock; :meth:`heartbeat` moves it.
        lease: seconds that the lease was asked for.

    Example:
        >>> document = store.documents.add(filename="a.txt")
        >>> (claim,) = store.documents.claim(lease=60)
        >>> claim.complete(content="Some words").status.value
        'completed'
    """

    document: Document
    token: str = field(repr=False)
    expires_at: datetime
    lease: float
    _queue: HoldsClaims = field(repr=False)

    def heartbeat(self, lease: float | None = None) -> datetime:
        """Let the lease end later: ``lease`` seconds from now.

        Args:
            lease: seconds, more than 0; ``None`` is what was claimed for.

        Returns:
            When it ends now.

        Raises:
            LeaseLost: the claim no longer holds.

        Example:
            >>> document = store.documents.add(filename="a.txt")
            >>> (claim,) = store.documents.claim(lease=60)
            >>> claim.heartbeat(600) == claim.expires_at
            True
        """
        self.expires_at = self._queue.prolong(
            self.document, self.token, self.lease if lease is None else lease
        )
        return self.expires_at

    def complete(
        self,
        *,
        content: str | None = None,
        preview: str | None = None,
        content_state: str | None = None,
        content_note: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        processed_at: Any = None,
        touch: bool = True,
    ) -> Document:
        """Finish: the document is completed, the claim over. Arguments as for :meth:`Documents.complete`.

        Raises:
            LeaseLost: the claim no longer holds; nothing was written.
            InvalidDocument: a field cannot be stored; the claim goes on.

        Example:
            >>> document = store.documents.add(filename="a.txt")
            >>> (claim,) = store.documents.claim()
            >>> claim.complete(content="Some words").status.value
            'completed'
        """
        make = self._queue.completing(
            content=content,
            preview=preview,
            content_state=content_state,
            content_note=content_note,
            metadata=metadata,
            processed_at=processed_at,
        )
        return self._queue.held(self.document, self.token, make, touch=touch)

    def fail(self, error: str) -> Document:
        """Give up: the document is failed, the claim over.

        Args:
            error: the reason, for people.

        Raises:
            LeaseLost: the claim no longer holds; nothing was written.
            InvalidDocument: the reason is no text.

        Example:
            >>> document = store.documents.add(filename="a.txt")
            >>> (claim,) = store.documents.claim()
            >>> claim.fail("it is encrypted").status.value
            'failed'
        """
        return self._queue.held(self.document, self.token, self._queue.failing(error))

    def release(self, error: str | None = None) -> Document:
        """Give the document back: it is pending again, the claim over. The attempt counts.

        Args:
            error: what went wrong, for people; ``None`` for nothing.

        Raises:
            LeaseLost: the claim no longer holds; nothing was written.
            InvalidDocument: the reason is no text.

        Example:
            >>> document = store.documents.add(filename="a.txt")
            >>> (claim,) = store.documents.claim()
            >>> claim.release().status.value
            'pending'
        """
        return self._queue.held(self.document, self.token, self._queue.releasing(error))


# A report stays small whatever fails; each document keeps its own error.
KEPT_ERRORS = 100
# One heartbeat may be lost or late without the lease running out.
HEARTBEATS_PER_LEASE = 3
# How long a waiting worker may miss that the caller's event was set.
STOP_LOOK_SECONDS = 0.1
# 4 to the power of the attempts, up to an hour: after a night's outage all is tried within about an hour.
_LONGEST_DELAY_SECONDS = 3_600.0
# The longest lease, delay or poll: about ten years.
MOST_SECONDS = 10 * 366 * 86_400

# Seconds to the next attempt, or a function from the number of attempts so far to these.
RetryDelay: TypeAlias = float | Callable[[int], float] | None


class Stop(Protocol):
    """An event that ends ``process``: a ``threading.Event`` or an ``asyncio.Event``."""

    def is_set(self) -> bool:
        """Return whether it is time to stop."""


def check_patience(retry_delay: Any, poll: Any, stop: Any) -> None:
    """Check the arguments of ``process`` that say how it waits.

    Raises:
        InvalidDocument: one is of the wrong type or out of range.
    """
    if retry_delay is not None and not callable(retry_delay):
        expected = "at least 0, or a function or None"
        check_seconds("retry_delay", retry_delay, expected, zero=True, most=MOST_SECONDS)
    if poll is not None:
        check_seconds("poll", poll, "more than 0, or None", most=MOST_SECONDS)
    if stop is not None and not callable(getattr(stop, "is_set", None)):
        raise InvalidDocument(
            f"stop={shown(stop)}: expected an event, such as a threading.Event, or None", field="stop"
        )


def delay_after(retry_delay: RetryDelay, attempts: int) -> float:
    """Return the seconds from the failure of an attempt to the next.

    Args:
        retry_delay: as for ``process``.
        attempts: how many there were, the failed one included; at least 1.

    Raises:
        InvalidDocument: the caller's function returned no seconds.
    """
    if retry_delay is None:
        usual = min(_LONGEST_DELAY_SECONDS, 4.0 ** min(attempts - 1, 10))
        return usual * uniform(0.75, 1.25)  # so that what failed together does not come back together
    if callable(retry_delay):
        seconds = retry_delay(attempts)
        expected = "at least 0, of the function"
        return check_seconds("retry_delay", seconds, expected, zero=True, most=MOST_SECONDS)
    return float(retry_delay)


Handler = Callable[[Document], Mapping[str, Any] | str | None]


class ProcessReport(BaseModel):
    """The result of one ``process``.

    Attributes:
        completed: handled and completed.
        failed: failed for good, after as many attempts as they may have.
        retried: how often a handler failed and its document went back to the queue.
        lost: how often a claim was lost before its handler was done; nothing was written then.
        errors: the first hundred failures: the document's id and the reason.
        seconds: how long it took.
        interrupted: whether Ctrl-C or ``stop`` ended it before the queue was empty.

    Example:
        >>> document = store.documents.add(b"some text", filename="a.txt")
        >>> report = store.documents.process(lambda document: "some text")
        >>> report.completed, report.failed
        (1, 0)
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    completed: int = 0
    failed: int = 0
    retried: int = 0
    lost: int = 0
    errors: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    interrupted: bool = False


class ProcessLog:
    """The bookkeeping of one run of ``process``, shared by threads or tasks.

    Args:
        retry_delay: as for ``process``.
        poll: seconds between looks at an empty queue; None: the run ends there.
    """

    def __init__(self, retry_delay: RetryDelay, poll: float | None) -> None:
        self._retry_delay = retry_delay
        self._poll = poll
        self._begun = time.monotonic()
        self._due: list[float] = []
        """A heap of the monotonic instants at which failed documents may be tried again."""
        self._counts = {"completed": 0, "failed": 0, "retried": 0, "lost": 0}
        self._errors: list[tuple[str, str]] = []
        self._mutex = Lock()

    def seconds_to_wait(self) -> float | None:
        """Return how long to wait before the next look at an empty queue; None if nothing will come."""
        with self._mutex:
            wait = self._due[0] - time.monotonic() if self._due else None
            if wait is not None and wait <= 0:  # due before the last look, which missed it: others have it
                heapq.heappop(self._due)
                return 0.0
        if self._poll is None:
            return wait
        return self._poll if wait is None else min(wait, self._poll)

    def delay_after(self, attempts: int) -> float:
        """Return the seconds from the failure of this attempt to the next."""
        return delay_after(self._retry_delay, attempts)

    def failed(self, ended: Document, delay: float) -> str:
        """Note a document whose handler failed, as it is now; return what to count."""
        is_retried = ended.status is Status.PENDING
        with self._mutex:
            if len(self._errors) < KEPT_ERRORS:
                self._errors.append((ended.id, ended.error or ""))
            if is_retried:
                heapq.heappush(self._due, time.monotonic() + delay)
        return "retried" if is_retried else "failed"

    def count(self, outcome: str) -> int | None:
        """Count an outcome; return the number of documents finished, None if this one is not."""
        with self._mutex:
            self._counts[outcome] += 1
            finished = self._counts["completed"] + self._counts["failed"]
        return finished if outcome in ("completed", "failed") else None

    def report(self, *, interrupted: bool) -> ProcessReport:
        """Return what became of the documents so far."""
        seconds = time.monotonic() - self._begun
        return ProcessReport(
            **self._counts, errors=tuple(self._errors), seconds=seconds, interrupted=interrupted
        )


class Workers:
    """One run of ``process``.

    Args:
        handler: called with each document.
        take: claims the next document, ``None`` if there is none.
        put_back: ends a claim whose handler failed, for so many seconds; returns the document as it is then.
        retry_delay: as for ``process``.
        workers: threads.
        lease: seconds of a claim.
        on_progress: called with the number of documents finished so far.
        poll: seconds between looks at an empty queue; ``None``: the run ends there.
        stop: the caller's event.
    """

    def __init__(
        self,
        handler: Handler,
        take: Callable[[], Claim | None],
        put_back: Callable[[Claim, BaseException, float], Document],
        *,
        retry_delay: RetryDelay,
        workers: int,
        lease: float,
        on_progress: Callable[[int], object] | None,
        poll: float | None,
        stop: Stop | None,
    ) -> None:
        self._handler = handler
        self._log = ProcessLog(retry_delay, poll)
        self._asked_to_stop = stop
        self._take = take
        self._put_back = put_back
        self._on_progress = on_progress
        self._lease = lease
        self._threads = [
            Thread(target=self._work, name=f"docstore-worker-{n}", daemon=True) for n in range(workers)
        ]
        self._working = workers
        self._active: dict[str, Claim] = {}
        # Lock order: `_telling`, then `_mutex`. `_telling` is held while `on_progress` runs, which is the
        # caller's and may take long; nothing is called while `_mutex` is held.
        self._mutex, self._telling = Lock(), Lock()
        self._stop, self._ended = Event(), Event()
        self._failure: BaseException | None = None

    def run(self) -> ProcessReport:
        """Work until nothing is left to claim, or Ctrl-C.

        Raises:
            BaseException: what the database, ``on_progress`` or an exit within a handler raised, after the
                others were done.
        """
        interrupted = False
        heart = Thread(target=self._beat, name="docstore-heartbeat", daemon=True)
        for thread in (heart, *self._threads):
            thread.start()
        try:
            while not self._ended.wait(3600 if self._asked_to_stop is None else STOP_LOOK_SECONDS):
                if self._asked_to_stop is not None and self._asked_to_stop.is_set():
                    interrupted = True
                    self._stop.set()
        except KeyboardInterrupt:
            interrupted = True
            self._stop.set()
            self._ended.wait()  # a second Ctrl-C ends this, too; the leases then run out by themselves
        finally:
            self._stop.set()
            self._ended.set()
        if self._failure is not None:
            raise self._failure
        return self._log.report(interrupted=interrupted)

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                claim = self._take()
                if claim is None:
                    if not self._waited():
                        break
                    continue
                if self._stop.is_set():  # meanwhile: nobody is to begin with it any more
                    with suppress(DocstoreError):  # its lease then runs out
                        claim.release()
                    break
                self._handle(claim)
        # A thread's error would vanish with it: `run` raises it when the others are done.
        except BaseException as failure:
            with self._mutex:
                self._failure = self._failure or failure
            self._stop.set()
        finally:
            with self._mutex:
                self._working -= 1
                if self._working == 0:
                    self._ended.set()

    def _waited(self) -> bool:
        """Wait until something may be pending again; return false if nothing will be."""
        wait = self._log.seconds_to_wait()
        if wait is None:
            return False
        self._stop.wait(wait)
        return True

    def _handle(self, claim: Claim) -> None:
        document = claim.document
        with self._mutex:
            self._active[document.id] = claim
        try:
            outcome = self._outcome(claim)
        # Another worker has the document now, and says what became of it.
        except LeaseLost:
            outcome = "lost"
        finally:
            with self._mutex:
                self._active.pop(document.id, None)
        self._count(outcome)

    def _outcome(self, claim: Claim) -> str:
        """Run the handler and end the claim; return what to count."""
        try:
            fields = completion_of(self._handler(claim.document))
        except Exception as failure:
            return self._failed(claim, failure)
        except BaseException:
            claim.release()
            raise
        try:
            claim.complete(**fields)
        except (InvalidDocument, TypeError) as failure:
            return self._failed(claim, failure)
        return "completed"

    def _failed(self, claim: Claim, failure: Exception) -> str:
        try:
            delay = self._log.delay_after(claim.document.attempts)
        except Exception:
            claim.release()
            raise
        return self._log.failed(self._put_back(claim, failure, delay), delay)

    def _count(self, outcome: str) -> None:
        with self._telling:  # by one thread at a time
            finished = self._log.count(outcome)
            if self._on_progress is not None and finished is not None:
                self._on_progress(finished)

    def _beat(self) -> None:
        """Prolong the leases of what is being handled, until all is done."""
        while not self._ended.wait(self._lease / HEARTBEATS_PER_LEASE):
            with self._mutex:
                active = list(self._active.items())
            for id, claim in active:
                try:
                    claim.heartbeat()
                except LeaseLost:
                    with self._mutex:
                        self._active.pop(id, None)
                except DocstoreError:
                    continue  # the database is away: the next beat may reach it, else the lease runs out


def completion_of(result: Any) -> dict[str, Any]:
    """Return the keywords of ``complete`` for what a handler returned.

    Raises:
        TypeError: it is nothing that a handler may return.
    """
    if result is None:
        return {}
    if isinstance(result, str):
        return {"content": result}
    if isinstance(result, Mapping):
        return dict(result)
    raise TypeError(
        f"the handler returned {type(result).__name__}: expected content, a mapping of complete's "
        f"keywords, or None"
    )
