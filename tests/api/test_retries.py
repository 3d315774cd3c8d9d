"""Retries of process: delays between attempts, permanent failures, polling and stopping, in both shells."""

from __future__ import annotations

import asyncio
import threading
import time
from itertools import pairwise
from typing import Any

import pytest

import docstore
from docstore import Document
from docstore.workers import delay_after


def fail(document: Document) -> None:
    """Fail every attempt."""
    raise ValueError("no")


def give_up(document: Document) -> None:
    """Fail for good."""
    raise docstore.Permanent("unreadable")


def test_a_failed_attempt_waits_before_the_next(store: docstore.Store) -> None:
    """Nobody can claim the document until retry_delay has passed since its failure; the call waits for it."""
    made = store.documents.add(filename="x")
    starts: list[float] = []

    def handle(document: Document) -> str:
        starts.append(time.monotonic())
        if len(starts) < 3:
            raise ValueError("not yet")
        return "done"

    report = store.documents.process(handle, retry_delay=0.15)
    assert (1, 2) == (report.completed, report.retried)
    assert all(later - before >= 0.15 for before, later in pairwise(starts))
    assert "completed" == store.documents.get(made.id).status


def test_what_waits_is_pending_and_claimed_by_nobody(store: docstore.Store) -> None:
    """While it waits, it shows as pending with its error, and claim passes it over; retry ends the wait."""
    made, stop = store.documents.add(filename="x"), threading.Event()

    def handle(document: Document) -> None:
        stop.set()
        raise ValueError("no")

    report = store.documents.process(handle, retry_delay=60, stop=stop)
    assert (0, 1, True) == (report.failed, report.retried, report.interrupted)
    waiting = store.documents.get(made.id)
    assert ("pending", "ValueError: no", 1) == (waiting.status, waiting.error, waiting.attempts)
    assert [] == store.documents.claim()
    assert [] == store.documents.claim(filter={"filename": "x"})
    store.documents.start(made.id)
    store.documents.fail(made.id, "by hand")
    store.documents.retry(made.id)
    assert [made.id] == [claim.document.id for claim in store.documents.claim()]


def test_others_are_handled_meanwhile(store: docstore.Store) -> None:
    """A document that waits for its next attempt holds up no other."""
    store.documents.add_many([{"filename": name} for name in ("bad", "one", "two")])
    handled: list[str] = []

    def handle(document: Document) -> None:
        handled.append(document.filename)
        if handled.count("bad") == 1 and document.filename == "bad":
            raise ValueError("once")

    assert 3 == store.documents.process(handle, retry_delay=1.0).completed
    assert ["bad", "one", "two", "bad"] == handled


def test_a_permanent_failure_is_tried_once(store: docstore.Store) -> None:
    """docstore.Permanent fails the document at once, with its text as the error."""
    made = store.documents.add(filename="x")
    report = store.documents.process(give_up, max_attempts=5)
    assert (1, 0) == (report.failed, report.retried)
    failed = store.documents.get(made.id)
    assert ("failed", 1, "Permanent: unreadable") == (failed.status, failed.attempts, failed.error)


def test_the_delay_may_depend_on_the_attempt(store: docstore.Store) -> None:
    """A function gets the number of attempts so far."""
    store.documents.add(filename="x")
    asked: list[int] = []

    def delay(attempts: int) -> float:
        asked.append(attempts)
        return 0.0

    assert 1 == store.documents.process(fail, max_attempts=3, retry_delay=delay).failed
    assert [1, 2, 3] == asked


def test_the_usual_delay_grows() -> None:
    """About 1, 4, 16 … seconds, a quarter more or less, at most about an hour."""
    for attempts, usual in ((1, 1), (2, 4), (3, 16), (40, 3600)):
        assert all(0.75 * usual <= delay_after(None, attempts) <= 1.25 * usual for _ in range(50))
    assert len({delay_after(None, 2) for _ in range(10)}) > 1


def test_a_wrong_delay_ends_the_run_and_gives_the_document_back(store: docstore.Store) -> None:
    """What the caller's function returns is checked; the document is not lost."""
    store.documents.add(filename="x")
    with pytest.raises(docstore.InvalidDocument, match="retry_delay"):
        store.documents.process(fail, retry_delay=lambda attempts: -1)
    assert {"pending": 1} == dict(store.documents.count_by("status"))


def test_poll_waits_for_what_comes_and_stop_ends_it(store: docstore.Store) -> None:
    """With poll an empty queue is no end; with stop set, the call returns."""
    stop, handled = threading.Event(), threading.Event()
    reports: list[docstore.ProcessReport] = []

    def work() -> None:
        reports.append(store.documents.process(lambda one: handled.set(), poll=0.02, stop=stop))

    worker = threading.Thread(target=work)
    worker.start()
    try:
        time.sleep(0.1)
        store.documents.add(filename="x")
        assert handled.wait(60)
    finally:
        stop.set()
        worker.join(60)
    assert [1] == [report.completed for report in reports]


def test_a_set_event_stops_before_anything_is_claimed(store: docstore.Store) -> None:
    """Nothing is begun once stop is set."""
    store.documents.add(filename="x")
    stop = threading.Event()
    stop.set()
    assert store.documents.process(lambda one: None, workers=1, stop=stop).completed <= 1
    assert 1 == store.documents.count()


def test_a_handler_is_a_function(store: docstore.Store) -> None:
    """Anything else is refused before a document is claimed, in both shells, and fails none."""
    made = store.documents.add(filename="x")
    wrong: Any = "read"
    with pytest.raises(docstore.InvalidDocument, match="handler='read'"):
        store.documents.process(wrong)
    assert made == store.documents.get(made.id)

    async def main() -> None:
        async with docstore.open_async("memory://") as other:
            with pytest.raises(docstore.InvalidDocument, match="handler='read'"):
                await other.documents.process(wrong)

    asyncio.run(main())


def test_a_claim_may_bound_the_attempts(store: docstore.Store) -> None:
    """claim(max_attempts=) fails a document that was lost so often, instead of handing it out again."""
    made = store.documents.add(filename="x")
    assert 1 == len(store.documents.claim(lease=1e-6, max_attempts=1))
    assert [] == store.documents.claim(max_attempts=1)
    assert "failed" == store.documents.get(made.id).status
    with pytest.raises(docstore.InvalidDocument, match="max_attempts"):
        store.documents.claim(max_attempts=0)


def test_the_asynchronous_store_waits_and_stops_alike(url: str) -> None:
    """Delays, permanent failures, polling and an asyncio.Event, on the loop."""

    async def main() -> Any:
        async with docstore.open_async(url) as store:
            documents, tried = store.documents, list[str]()
            await documents.add(filename="later")
            await documents.add(filename="never")
            stop, thrice = asyncio.Event(), asyncio.Event()

            async def handle(document: Document) -> str:
                tried.append(document.filename)
                if len(tried) == 3:
                    thrice.set()
                if document.filename == "never":
                    raise docstore.Permanent("no")
                if tried.count("later") < 2:
                    raise ValueError("not yet")
                if document.filename == "late":
                    stop.set()
                return "done"

            async def add_late() -> None:
                await thrice.wait()
                await documents.add(filename="late")

            adding = asyncio.create_task(add_late())
            report = await documents.process(handle, retry_delay=0.05, poll=0.02, stop=stop)
            await adding
            return report, tried

    report, tried = asyncio.run(main())
    assert (2, 1, 1, True) == (report.completed, report.failed, report.retried, report.interrupted)
    assert (["later", "later", "never"], "late") == (sorted(tried[:3]), tried[3])
