"""Workers: the threads of ``process``: claim, handle while the lease is kept alive, write what became of it,
until nothing is left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from docstore.claims import Claim
from docstore.errors import DocstoreError, InvalidDocument, LeaseLost
from docstore.models import Document, Status

__all__ = ["ProcessReport", "Workers"]

_KEPT_ERRORS = 100
_BEATS = 3
"""Heartbeats in the time of one lease."""

Handler = Callable[[Document], Mapping[str, Any] | str | None]


class ProcessReport(BaseModel):
    """What became of the documents that one ``process`` handled.

    Attributes:
        completed: handled and completed.
        failed: failed for good, after as many attempts as they may have.
        retried: how often a handler failed and its document went back to the queue.
        lost: how often a claim was lost before its handler was done; nothing was written then.
        errors: the first hundred failures: the document's id and the reason.
        seconds: how long it took.
        interrupted: whether Ctrl-C ended it before the queue was empty.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    completed: int = 0
    failed: int = 0
    retried: int = 0
    lost: int = 0
    errors: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    interrupted: bool = False


class Workers:
    """One run of ``process``.

    Args:
        handler: called with each document.
        take: claims the next document, ``None`` if there is none.
        put_back: ends a claim whose handler failed; returns the document as it is then.
        workers: threads.
        lease: seconds of a claim.
        on_progress: called with the number of documents finished so far.
    """

    def __init__(
        self,
        handler: Handler,
        take: Callable[[], Claim | None],
        put_back: Callable[[Claim, BaseException], Document],
        *,
        workers: int,
        lease: float,
        on_progress: Callable[[int], object] | None,
    ) -> None:
        self._handler = handler
        self._take = take
        self._put_back = put_back
        self._on_progress = on_progress
        self._lease = lease
        self._threads = [
            Thread(target=self._work, name=f"docstore-worker-{n}", daemon=True) for n in range(workers)
        ]
        self._working = workers
        self._active: dict[str, Claim] = {}
        self._counts = {"completed": 0, "failed": 0, "retried": 0, "lost": 0}
        self._errors: list[tuple[str, str]] = []
        self._mutex = Lock()
        self._stop, self._ended = Event(), Event()
        self._failure: BaseException | None = None

    def run(self) -> ProcessReport:
        """Work until nothing is left to claim, or Ctrl-C.

        Raises:
            BaseException: what the database, ``on_progress`` or an exit within a handler raised, after the
                others were done.
        """
        begun, interrupted = time.monotonic(), False
        heart = Thread(target=self._beat, name="docstore-heartbeat", daemon=True)
        for thread in (heart, *self._threads):
            thread.start()
        try:
            while not self._ended.wait(3600):
                pass
        except KeyboardInterrupt:
            interrupted = True
            self._stop.set()
            self._ended.wait()  # a second Ctrl-C ends this, too; the leases then run out by themselves
        finally:
            self._stop.set()
            self._ended.set()
        if self._failure is not None:
            raise self._failure
        seconds = time.monotonic() - begun
        return ProcessReport(
            **self._counts, errors=tuple(self._errors), seconds=seconds, interrupted=interrupted
        )

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                claim = self._take()
                if claim is None:
                    break
                if self._stop.is_set():  # meanwhile: nobody is to begin with it any more
                    with suppress(DocstoreError):  # its lease then runs out
                        claim.release()
                    break
                self._handle(claim)
        except BaseException as failure:
            with self._mutex:
                self._failure = self._failure or failure
            self._stop.set()
        finally:
            with self._mutex:
                self._working -= 1
                if self._working == 0:
                    self._ended.set()

    def _handle(self, claim: Claim) -> None:
        document = claim.document
        with self._mutex:
            self._active[document.id] = claim
        try:
            outcome = self._outcome(claim)
        except LeaseLost:
            outcome = "lost"
        finally:
            with self._mutex:
                self._active.pop(document.id, None)
        self._count(outcome)

    def _outcome(self, claim: Claim) -> str:
        """Run the handler and end the claim; return what to count."""
        try:
            asked = _asked(self._handler(claim.document))
        except Exception as failure:
            return self._failed(claim, failure)
        except BaseException:
            claim.release()
            raise
        try:
            claim.complete(**asked)
        except (InvalidDocument, TypeError) as failure:
            return self._failed(claim, failure)
        return "completed"

    def _failed(self, claim: Claim, failure: Exception) -> str:
        ended = self._put_back(claim, failure)
        with self._mutex:
            if len(self._errors) < _KEPT_ERRORS:
                self._errors.append((ended.id, ended.error or ""))
        return "failed" if ended.status is Status.FAILED else "retried"

    def _count(self, outcome: str) -> None:
        with self._mutex:
            self._counts[outcome] += 1
            if self._on_progress is not None and outcome in ("completed", "failed"):
                self._on_progress(self._counts["completed"] + self._counts["failed"])

    def _beat(self) -> None:
        """Prolong the leases of what is being handled, until all is done."""
        while not self._ended.wait(self._lease / _BEATS):
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


def _asked(result: Any) -> dict[str, Any]:
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
