"""The queue: the steps of a document's status, claims with leases, and the workers that use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from math import isfinite
from operator import itemgetter
from secrets import token_hex
from typing import Any

from docstore import lifecycle
from docstore.backend import KeepsClock, Lock, Query, Row, Writer
from docstore.collection import Filter, Make, Writes
from docstore.concurrency import STORE_DEFAULT, Timeout
from docstore.errors import BackendError, DocstoreError, InvalidDocument, NotFound, Permanent, shown
from docstore.models import Document
from docstore.query import executor
from docstore.query.expr import And, Expr, In
from docstore.query.fields import DOCUMENTS, fault_of
from docstore.query.instants import to_datetime
from docstore.query.optimizer import normalize
from docstore.workers import Claim, ProcessReport, RetryDelay, Stop, Workers, check_patience
from docstore.writes.updates import document_changes

__all__ = [
    "WorkQueue",
]

_MOST_CLAIMED = 1000
_MOST_SECONDS = 10 * 366 * 86_400


class WorkQueue(Writes[Document]):
    """The part of the documents that processes them."""

    _collection = DOCUMENTS

    # -- status ------------------------------------------------------------------------------------

    def start(self, id: str | Document) -> Document:
        """Begin processing: pending → processing, one attempt more.

        Raises:
            NotFound: there is none in this scope.
            InvalidTransition: it is not pending.
        """
        self._ready_to_write("start")
        return self._changed(id, lambda row, now: {**_to("start", row), "attempts": row["attempts"] + 1})

    def complete(
        self,
        id: str | Document,
        *,
        content: str | None = None,
        preview: str | None = None,
        content_state: str | None = None,
        content_note: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        processed_at: Any = None,
        touch: bool = True,
    ) -> Document:
        """Finish processing: processing (or pending) → completed.

        Args:
            id: which.
            content: the extracted text; ``None`` leaves what is there.
            preview: by default the first 200 characters of ``content``.
            content_state: how much of the file's text the content holds: ``none``, ``partial`` or
                ``complete``; ``None`` if nobody looked.
            content_note: why the content is not complete, for people.
            metadata: an RFC 7396 merge patch.
            processed_at: by default now.
            touch: set ``updated_at`` to now.

        Raises:
            NotFound: there is none in this scope.
            InvalidTransition: it is completed or failed already.
            InvalidDocument: a field cannot be stored.
        """
        self._ready_to_write("complete")
        make = self._completing(
            content=content,
            preview=preview,
            content_state=content_state,
            content_note=content_note,
            metadata=metadata,
            processed_at=processed_at,
        )
        return self._changed(id, make, touch=touch)

    def fail(self, id: str | Document, error: str) -> Document:
        """Give up on processing: processing (or pending) → failed.

        Args:
            id: which.
            error: the reason, for people.

        Raises:
            NotFound: there is none in this scope.
            InvalidTransition: it is completed or failed already.
            InvalidDocument: the reason is no text.
        """
        self._ready_to_write("fail")
        return self._changed(id, self._failing(error))

    def retry(self, id: str | Document) -> Document:
        """Process again: failed or completed → pending. The error is cleared; ``attempts`` goes on counting.

        Raises:
            NotFound: there is none in this scope.
            InvalidTransition: it is pending or processing.
        """
        self._ready_to_write("retry")
        return self._changed(id, lambda row, now: self._retried(row))

    @staticmethod
    def _retried(row: Row) -> Row:
        """Return the columns of a document that goes back to the queue."""
        return {**_to("retry", row), "processed_at": None}

    # -- claims ------------------------------------------------------------------------------------

    def claim(
        self,
        limit: int = 1,
        *,
        filter: Filter | None = None,
        lease: float = 300.0,
        worker: str | None = None,
        max_attempts: int | None = None,
        timeout: Timeout = STORE_DEFAULT,
    ) -> list[Claim]:
        """Take documents out of the queue, for this caller alone: pending → processing, one attempt more.

        Documents whose lease ran out count as pending; those that were :meth:`start`\\ ed without a lease do
        not. The oldest (by ``number``) come first, every version counts. A worker that dies is found out by
        its lease. A call that is cancelled (by Ctrl-C, or its task) leaves nothing claimed.

        Args:
            limit: how many at most, 1 to 1000.
            filter: which of them; ``None`` is any.
            lease: seconds that they are held, unless :meth:`Claim.heartbeat` says longer; more than 0.
            worker: a name for people, kept while the claim holds.
            max_attempts: claims and starts that a document may have, at least 1. One whose lease ran out at
                the last of them is failed instead of claimed. ``None``: any number.
            timeout: seconds that finding them may take, as for :meth:`find`.

        Returns:
            The claims, possibly none.

        Raises:
            FilterError: the filter is wrong.
            InvalidDocument: ``limit``, ``lease``, ``worker`` or ``max_attempts`` is of the wrong type or out
                of range.
        """
        self._ready_to_write("claim")
        if max_attempts is not None:
            _check_count("max_attempts", max_attempts, 2**31)
        return self._claim(limit, filter, lease, worker, max_attempts, timeout)

    def process(
        self,
        handler: Callable[[Document], Mapping[str, Any] | str | None],
        *,
        workers: int = 1,
        on_progress: Callable[[int], object] | None = None,
        max_attempts: int = 3,
        filter: Filter | None = None,
        lease: float = 300.0,
        worker: str | None = None,
        retry_delay: RetryDelay = None,
        poll: float | None = None,
        stop: Stop | None = None,
    ) -> ProcessReport:
        """Claim and handle documents in threads until none is left to claim.

        While a handler runs its lease is prolonged. A handler that raises gives its document back to the
        queue, to be tried again after ``retry_delay``, until the document had ``max_attempts``: then it is
        failed, with the exception as its error. So is one whose worker died as often. A handler that raises
        :class:`docstore.Permanent` fails its document at once. The call waits for the documents that it will
        try again. Ctrl-C lets the handlers under way finish and then returns; a second one gives up on them.

        Args:
            handler: called with each document (``processing``, without its content), in several threads at
                once where ``workers`` is more than 1. It returns the content, or a mapping of
                :meth:`complete`'s keywords, or ``None``.
            workers: threads, 1 to 256.
            on_progress: called after each document with the number finished so far, by one thread at a time.
            max_attempts: claims and starts that a document may have, at least 1.
            filter: which documents; ``None`` is any.
            lease: seconds after which a silent worker counts as dead; more than 0.
            worker: a name for people, kept on what is claimed.
            retry_delay: seconds from a failure to the next attempt, at least 0, or a function from the number
                of attempts so far to these. ``None``: about 1, 4, 16 … seconds, at most an hour, a quarter
                more or less by chance.
            poll: seconds between looks at the queue when nothing is pending, more than 0; the call then ends
                by ``stop`` or Ctrl-C alone. ``None``: it ends when nothing is pending.
            stop: an event, such as a ``threading.Event``; once it is set, handlers under way finish, and the
                call returns. What waits for its next attempt stays pending.

        Returns:
            What became of the documents.

        Raises:
            FilterError, InvalidDocument: an argument is wrong.
            BackendError: the database failed, or this is called within a transaction; what was done stays.

        Example:
            >>> def read(document):
            ...     return store.documents.read_bytes(document.id).decode()
            >>> report = store.documents.process(read, workers=4)
            >>> print(report.completed, report.failed)
        """
        self._check_processing(
            workers=workers, max_attempts=max_attempts, filter=filter, lease=lease, retry_delay=retry_delay,
            poll=poll, stop=stop,
        )  # fmt: skip

        def take() -> Claim | None:
            return self._take(filter=filter, lease=lease, worker=worker, max_attempts=max_attempts)

        def put_back(claim: Claim, failure: BaseException, delay: float) -> Document:
            return self._put_back(claim, failure, max_attempts, delay)

        return Workers(
            handler, take, put_back, retry_delay=retry_delay, workers=workers, lease=lease,
            on_progress=on_progress, poll=poll, stop=stop,
        ).run()  # fmt: skip

    # what both shells' ``process`` is made of

    def _check_processing(
        self, *, workers: int, max_attempts: int, filter: Filter | None, lease: float, retry_delay: Any,
        poll: Any, stop: Any,
    ) -> None:  # fmt: skip
        self._ready_to_write("process")
        check_patience(retry_delay, poll, stop)
        _check_count("workers", workers, 256)
        _check_count("max_attempts", max_attempts, 2**31)
        _check_lease(lease)
        self._parsed(filter)
        if self._context.in_transaction:
            raise BackendError("process() commits as it goes: call it outside of a transaction")

    def _take(
        self, *, filter: Filter | None, lease: float, worker: str | None, max_attempts: int
    ) -> Claim | None:
        return next(iter(self._claim(1, filter, lease, worker, max_attempts)), None)

    def _put_back(self, claim: Claim, failure: BaseException, max_attempts: int, delay: float) -> Document:
        return self._held(claim.document, claim.token, self._failing_again(failure, max_attempts, delay))

    def _claim(
        self,
        limit: int,
        filter: Filter | None,
        lease: float,
        worker: str | None,
        max_attempts: int | None,
        timeout: Timeout = STORE_DEFAULT,
    ) -> list[Claim]:
        """Claim; with ``max_attempts``, fail what was lost so often instead."""
        _check_count("limit", limit, _MOST_CLAIMED)
        span = _check_lease(lease)
        name = None if worker is None else self._checks.text("worker", worker)
        with (budget := self._context.budget(timeout)):
            wanted = self._parsed(filter)
        token, tried = token_hex(16), list[Row]()

        def work(writer: Writer) -> list[Row]:
            now = writer.kept_now() if isinstance(writer, KeepsClock) else writer.now()
            kept = self._still(writer, tried, token)
            if kept:  # by the commit whose outcome was unknown
                return kept
            tried.clear()
            while True:
                with self._context.finding(writer, budget):
                    rows = self._claimable(writer, wanted, now, limit - len(tried))
                lost = [
                    row for row in rows if max_attempts is not None and lifecycle.is_spent(row, max_attempts)
                ]
                for row in lost:
                    self._write(writer, row, lifecycle.given_up(row["attempts"]), now, touch=True)
                for row in (row for row in rows if row not in lost):
                    tried.append(
                        self._write(
                            writer, row, lifecycle.claimed(row, token, name, now + span), now, touch=True
                        )
                    )
                if not lost:
                    return list(tried)

        try:
            rows = self._context.written(work, recognises=True, budget=budget)
        except Exception:
            raise
        except BaseException as stopped:  # maybe in the middle of the commit: nobody will get the claims
            self._give_back(tried, token, stopped)
            raise
        return [
            Claim(self._made(row), token, to_datetime(row["lease_expires_at"]), float(lease), self)
            for row in rows
        ]

    def _give_back(self, tried: Sequence[Row], token: str, stopped: BaseException) -> None:
        """Release what a claim that was cancelled has committed all the same; where that fails, its lease
        runs out.
        """
        if not tried or self._context.in_transaction:  # a part of a transaction is undone
            return

        def work(writer: Writer) -> None:
            now: int = writer.now()
            for row in self._still(writer, tried, token, lock="wait"):  # behind a commit still under way
                self._write(writer, row, lifecycle.released(None), now, touch=True)

        try:
            self._context.written(work, recognises=True)
        except DocstoreError as also:
            stopped.add_note(f"and what was claimed could not be given back, its lease runs out: {also}")

    def _claimable(self, writer: Writer, wanted: Expr, now: int, limit: int) -> list[Row]:
        """Return rows that may be claimed, locked, those that others are just claiming left out.

        What is pending and what was lost are looked for apart: each is a short way along an index, while of
        both at once a database walks all documents, however many are done.
        """
        if limit < 1:
            return []
        found: list[Row] = []
        for kind in lifecycle.claimable(now):
            where = normalize(And((wanted, kind)))
            query = Query(DOCUMENTS, self._scope, where, include=lifecycle.LEASE, lock="skip", limit=limit)
            planned, plan = self._planned(query)
            rows = executor.rows(writer, plan, planned)
            if any(fault_of(DOCUMENTS, row) is not None for row in rows):
                rows = executor.rows(writer, executor.careful(plan), planned)
            found += rows
        return sorted(found, key=itemgetter("number"))[:limit]

    def _still(self, writer: Writer, tried: Sequence[Row], token: str, lock: Lock | None = None) -> list[Row]:
        """Return those of the rows that have the token."""
        if not tried:
            return []
        where = In(("number",), tuple(row["number"] for row in tried))
        query = Query(DOCUMENTS, self._scope, where, include=lifecycle.LEASE, lock=lock)
        rows = self._run_exactly(writer, query)
        return [row for row in rows if row["lease_token"] == token]

    def _held(self, held: Document, token: str, make: Make, *, touch: bool = True) -> Document:
        """Write to a document if the claim with this token holds it."""

        def checked(row: Row, now: int) -> Mapping[str, Any] | None:
            return make(lifecycle.check_held(row, held.id, token, now), now)

        self._context.check_open()
        self._context.check_writable("a claim")
        try:
            return self._changed(held.id, checked, touch=touch, include=lifecycle.LEASE, number=held.number)
        except NotFound:
            lifecycle.check_held(None, held.id, token, 0)
            raise

    def _prolong(self, held: Document, token: str, lease: float) -> datetime:
        """Move the end of a lease if the claim with this token holds it; the revision stays."""
        span = _check_lease(lease)

        def work(writer: Writer) -> int:
            now: int = writer.now()
            found = self._mine(writer, held.id, include=lifecycle.LEASE, number=held.number)
            row = lifecycle.check_held(found, held.id, token, now)
            writer.update(DOCUMENTS, row, {"lease_expires_at": now + span})
            return now + span

        try:
            return to_datetime(self._context.written(work, recognises=True))
        except NotFound:
            lifecycle.check_held(None, held.id, token, 0)
            raise

    # -- what the steps write ----------------------------------------------------------------------

    def _completing(self, **asked: Any) -> Make:
        make = document_changes(
            {name: value for name, value in asked.items() if value is not None}, self._checks
        )
        return lambda row, now: {"processed_at": now, **_to("complete", row), **make(row, now)}

    def _failing(self, error: str) -> Make:
        reason = self._checks.text("error", error)
        return lambda row, now: {**_to("fail", row), "error": reason}

    def _releasing(self, error: str | None) -> Make:
        reason = None if error is None else self._checks.text("error", error)
        return lambda row, now: lifecycle.released(reason)

    def _failing_again(self, failure: BaseException, max_attempts: int, delay: float) -> Make:
        text = f"{type(failure).__name__}: {failure}".replace("\0", "\N{REPLACEMENT CHARACTER}")
        reason = text.encode("utf-8", "replace").decode()
        most = 0 if isinstance(failure, Permanent) else max_attempts
        wait = int(delay * 1_000_000)
        return lambda row, now: lifecycle.after_failure(row["attempts"], most, reason, now + wait)


def _to(action: str, row: Row) -> dict[str, Any]:
    """Return what every step of the status writes: the new status, no error, no lease."""
    return {
        **lifecycle.NO_LEASE,
        "status": lifecycle.status_after(action, row["status"], row["id"]),
        "error": None,
    }


def _check_count(name: str, value: Any, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise InvalidDocument(f"{name}={shown(value)}: expected a whole number from 1 to {most}", field=name)


def _check_lease(lease: Any) -> int:
    """Return a lease in microseconds."""
    number = isinstance(lease, int | float) and not isinstance(lease, bool)
    if not number or not isfinite(lease) or not 0 < lease <= _MOST_SECONDS:
        raise InvalidDocument(
            f"lease={shown(lease)}: expected seconds, more than 0 and at most {_MOST_SECONDS}", field="lease"
        )
    return max(1, int(lease * 1_000_000))
