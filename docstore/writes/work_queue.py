"""WorkQueue: claims with leases over the documents, and the changes that each step of a status makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from secrets import token_hex
from typing import Any

from docstore import lifecycle
from docstore.backend import KeepsClock, Lock, Query, Row, Writer
from docstore.concurrency import STORE_DEFAULT, Timeout, check_seconds
from docstore.context.collection_view import Filter, Make
from docstore.errors import BackendError, DocstoreError, InvalidDocument, NotFound, Permanent, shown
from docstore.models import Document
from docstore.query import executor
from docstore.query.expr import And, Expr, In
from docstore.query.fields import DOCUMENTS, fault_of
from docstore.query.instants import to_datetime
from docstore.query.planner import normalize
from docstore.workers import MOST_SECONDS, Claim, check_patience
from docstore.writes.edits import DocumentsView
from docstore.writes.updates import document_changes

__all__ = [
    "WorkQueue",
    "check_count",
]

# One statement locks them all, and one worker has to handle them within the lease.
_MOST_CLAIMED = 1000


class WorkQueue:
    """Documents as a work queue, as one scope may use it: claims, and what the steps of a status write."""

    def __init__(self, view: DocumentsView) -> None:
        self._view = view
        self._context = view.context

    def check_processing(
        self, handler: Any, *, workers: int, max_attempts: int, filter: Filter | None, lease: float,
        retry_delay: Any, poll: Any, stop: Any,
    ) -> None:  # fmt: skip
        """Check the arguments of ``process``; nothing is claimed yet."""
        self._view.ready_to_write("process")
        if not callable(handler):
            said = f"handler={shown(handler)}: expected a function of a document"
            raise InvalidDocument(said, field="handler")
        check_patience(retry_delay, poll, stop)
        check_count("workers", workers, 256)
        check_count("max_attempts", max_attempts, 2**31)
        _check_lease(lease)
        self._view.parsed(filter)
        if self._context.in_transaction:
            raise BackendError("process() commits as it goes: call it outside of a transaction")

    def take(
        self, *, filter: Filter | None, lease: float, worker: str | None, max_attempts: int
    ) -> Claim | None:
        """Claim the next document; None if there is none."""
        return next(iter(self.claim(1, filter, lease, worker, max_attempts)), None)

    def put_back(self, claim: Claim, failure: BaseException, max_attempts: int, delay: float) -> Document:
        """End a claim whose handler failed; return the document as it is then."""
        return self.held(claim.document, claim.token, self._failing_again(failure, max_attempts, delay))

    def claim(
        self,
        limit: int,
        filter: Filter | None,
        lease: float,
        worker: str | None,
        max_attempts: int | None,
        timeout: Timeout = STORE_DEFAULT,
    ) -> list[Claim]:
        """Claim; with ``max_attempts``, fail what was lost so often instead."""
        check_count("limit", limit, _MOST_CLAIMED)
        span = _check_lease(lease)
        name = None if worker is None else self._view.checks.text("worker", worker)
        with (budget := self._context.budget(timeout)):
            wanted = self._view.parsed(filter)
        token, tried = token_hex(16), list[Row]()

        def work(writer: Writer) -> list[Row]:
            now = writer.kept_now() if isinstance(writer, KeepsClock) else writer.now()
            kept = self._still(writer, tried, token)
            if kept:  # by the commit whose outcome was unknown
                return kept
            tried.clear()
            # What is given up makes room: look again until none of the rows found was.
            while True:
                with self._context.finding(writer, budget):
                    rows = self._claimable(writer, wanted, now, limit - len(tried))
                lost = [
                    row for row in rows if max_attempts is not None and lifecycle.is_spent(row, max_attempts)
                ]
                given_up = [(row, lifecycle.given_up(row["attempts"])) for row in lost]
                claimed = [
                    (row, lifecycle.claimed(row, token, name, now + span)) for row in rows if row not in lost
                ]
                self._view.write_many(writer, given_up, now, touch=True)
                tried.extend(self._view.write_many(writer, claimed, now, touch=True))
                if not lost:
                    return list(tried)

        try:
            rows = self._context.written(work, recognises=True, budget=budget)
        # `written` has rolled back or recognised what it did: nothing is claimed.
        except Exception:
            raise
        except BaseException as stopped:  # maybe in the middle of the commit: nobody will get the claims
            self._give_back(tried, token, stopped)
            raise
        return [
            Claim(self._view.record_of(row), token, to_datetime(row["lease_expires_at"]), float(lease), self)
            for row in rows
        ]

    def _give_back(self, tried: Sequence[Row], token: str, stopped: BaseException) -> None:
        """Release what a cancelled claim committed all the same; if that fails, its lease runs out."""
        if not tried or self._context.in_transaction:  # a part of a transaction is undone
            return

        def work(writer: Writer) -> None:
            now: int = writer.now()
            still = self._still(writer, tried, token, lock="wait")  # behind a commit still under way
            self._view.write_many(writer, [(row, lifecycle.released(None)) for row in still], now, touch=True)

        try:
            self._context.written(work, recognises=True)
        except DocstoreError as also:
            stopped.add_note(f"and what was claimed could not be given back, its lease runs out: {also}")

    def _claimable(self, writer: Writer, wanted: Expr, now: int, limit: int) -> list[Row]:
        """Return rows that may be claimed, locked, those that others are just claiming left out.

        Pending documents and those whose lease ran out are two queries. Each is a short range of an index;
        one query for both would walk all documents.
        """
        if limit < 1:
            return []
        found: list[Row] = []
        for kind in lifecycle.claimable(now):
            where = normalize(And((wanted, kind)))
            query = Query(
                DOCUMENTS, self._view.scope, where, include=lifecycle.LEASE, lock="skip", limit=limit
            )
            planned, plan = self._view.planned(query)
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
        query = Query(DOCUMENTS, self._view.scope, where, include=lifecycle.LEASE, lock=lock)
        rows = self._view.run_exactly(writer, query)
        return [row for row in rows if row["lease_token"] == token]

    def held(self, held: Document, token: str, make: Make, *, touch: bool = True) -> Document:
        """Write to a document if the claim with this token holds it."""

        def checked(row: Row, now: int) -> Mapping[str, Any] | None:
            return make(lifecycle.check_held(row, held.id, token, now), now)

        self._context.check_open()
        self._context.check_writable("a claim")
        try:
            return self._view.changed(
                held.id, checked, touch=touch, include=lifecycle.LEASE, number=held.number
            )
        except NotFound:
            lifecycle.check_held(None, held.id, token, 0)
            raise

    def prolong(self, held: Document, token: str, lease: float) -> datetime:
        """Move the end of a lease if the claim with this token holds it; the revision stays."""
        span = _check_lease(lease)

        def work(writer: Writer) -> int:
            now: int = writer.now()
            found = self._view.mine(writer, held.id, include=lifecycle.LEASE, number=held.number)
            row = lifecycle.check_held(found, held.id, token, now)
            writer.update(DOCUMENTS, row, {"lease_expires_at": now + span})
            return now + span

        try:
            return to_datetime(self._context.written(work, recognises=True))
        except NotFound:
            lifecycle.check_held(None, held.id, token, 0)
            raise

    def completing(self, **asked: Any) -> Make:
        """Return what completes a document: its keywords that are not None are set."""
        make = document_changes(
            {name: value for name, value in asked.items() if value is not None}, self._view.checks
        )
        return lambda row, now: {"processed_at": now, **lifecycle.stepped("complete", row), **make(row, now)}

    def failing(self, error: str) -> Make:
        """Return what fails a document, for a reason that people read."""
        reason = self._view.checks.text("error", error)
        return lambda row, now: {**lifecycle.stepped("fail", row), "error": reason}

    def releasing(self, error: str | None) -> Make:
        """Return what gives a claimed document back to the queue."""
        reason = None if error is None else self._view.checks.text("error", error)
        return lambda row, now: lifecycle.released(reason)

    def _failing_again(self, failure: BaseException, max_attempts: int, delay: float) -> Make:
        text = f"{type(failure).__name__}: {failure}".replace("\0", "\N{REPLACEMENT CHARACTER}")
        reason = text.encode("utf-8", "replace").decode()
        most = 0 if isinstance(failure, Permanent) else max_attempts
        wait = int(delay * 1_000_000)
        return lambda row, now: lifecycle.after_failure(row["attempts"], most, reason, now + wait)


def check_count(name: str, value: Any, most: int) -> None:
    """Raise InvalidDocument unless ``value`` is a whole number from 1 to ``most``."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise InvalidDocument(f"{name}={shown(value)}: expected a whole number from 1 to {most}", field=name)


def _check_lease(lease: Any) -> int:
    """Return a lease in microseconds."""
    expected = f"more than 0 and at most {MOST_SECONDS}"
    return max(1, int(check_seconds("lease", lease, expected, most=MOST_SECONDS) * 1_000_000))
