"""The queue, awaited: claims and process()."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import docstore
from docstore.testing.faulty_backend import FaultyBackend
from docstore.testing.faulty_filesystem import Fault, Faults

Run = Callable[[Callable[[docstore.AsyncStore], Awaitable[Any]]], Any]


def test_a_claim_is_exclusive_and_fenced(run: Run) -> None:
    """Concurrent claims share no document; a claim that ended raises LeaseLost."""

    async def test(store: docstore.AsyncStore) -> None:
        await store.documents.add_many({"filename": f"{number}"} for number in range(20))
        taken = await asyncio.gather(*(store.documents.claim(5) for _ in range(6)))
        ids = [claim.document.id for claims in taken for claim in claims]
        assert 20 == len(ids) == len(set(ids))
        claim = next(claim for claims in taken for claim in claims)
        before = claim.expires_at
        assert before < await claim.heartbeat(600)
        assert docstore.Status.COMPLETED == (await claim.complete(content="done")).status
        with pytest.raises(docstore.LeaseLost):
            await claim.fail("late")

    run(test)


def test_handlers_are_awaited(run: Run) -> None:
    """Coroutine handlers run on the loop, at once where there are several workers, and may use the store."""

    async def test(store: docstore.AsyncStore) -> None:
        await store.documents.add_many({"filename": f"{n}", "source": b"%d" % n} for n in range(6))
        together = asyncio.Barrier(3)

        async def handle(document: docstore.Document) -> str:
            await together.wait()
            return (await store.documents.read_bytes(document.id)).decode()

        told: list[int] = []
        report = await store.documents.process(handle, workers=3, on_progress=told.append)
        assert (6, 0) == (report.completed, report.failed)
        assert [1, 2, 3, 4, 5, 6] == told
        found = await store.documents.find(sort="number", include={"content"})
        assert ["0", "1", "2", "3", "4", "5"] == [document.content for document in found]

    run(test)


def test_plain_handlers_run_in_a_thread(run: Run) -> None:
    """A handler that is no coroutine function does not run on the loop's thread."""

    async def test(store: docstore.AsyncStore) -> None:
        await store.documents.add(filename="x")
        threads = []

        def handle(document: docstore.Document) -> None:
            threads.append(threading.current_thread())

        report = await store.documents.process(handle)
        assert 1 == report.completed
        assert threading.current_thread() not in threads

    run(test)


def test_failures_are_tried_again(run: Run) -> None:
    """A handler that raises gives its document back until it had its attempts, then the document is
    failed.
    """

    async def test(store: docstore.AsyncStore) -> None:
        document = await store.documents.add(filename="x")

        async def handle(document: docstore.Document) -> None:
            raise ValueError("no")

        report = await store.documents.process(handle, max_attempts=2, retry_delay=0)
        assert (0, 1, 1) == (report.completed, report.failed, report.retried)
        failed = await store.documents.get(document.id)
        assert ("failed", 2) == (failed.status, failed.attempts)
        assert "ValueError: no" in (failed.error or "")

    run(test)


def test_a_cancelled_run_gives_its_documents_back(run: Run) -> None:
    """When process() is cancelled, what was being handled is pending again."""

    async def test(store: docstore.AsyncStore) -> None:
        await store.documents.add_many({"filename": f"{number}"} for number in range(3))
        handling = asyncio.Event()

        async def handle(document: docstore.Document) -> None:
            handling.set()
            await asyncio.sleep(600)

        task = asyncio.create_task(store.documents.process(handle, workers=2))
        await handling.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert 3 == await store.documents.count({"status": "pending"})
        assert 3 == len(await store.documents.claim(3))

    run(test)


@asynccontextmanager
async def slow_commit(store: docstore.AsyncStore, number: int, fault: Fault) -> AsyncIterator[Faults]:
    """Let commit ``number`` from now on take until it is cancelled, before or after its effect."""
    faults = Faults(number, fault, only={"commit"})
    root = await store._shell.root()
    plain = root.backend
    root.backend = FaultyBackend(plain, faults, seconds=60)
    try:
        yield faults
    finally:
        root.backend = plain


async def cancelled_in(task: asyncio.Task[Any], faults: Faults) -> None:
    """Cancel a task when the fault has fired."""
    while not faults.fired:
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_claim_that_is_cancelled_leaves_nothing_claimed(run: Run) -> None:
    """Even if its commit was done already, and only the answer did not come."""

    async def test(store: docstore.AsyncStore) -> None:
        await store.documents.add_many({"filename": f"{number}"} for number in range(3))
        async with slow_commit(store, 1, "late") as faults:
            await cancelled_in(asyncio.create_task(store.documents.claim(2)), faults)
        assert {"pending": 3} == await store.documents.count_by("status")
        assert 3 == len(await store.documents.claim(3))

    run(test)


def test_a_run_that_is_cancelled_while_it_claims_gives_that_back(run: Run) -> None:
    """One worker handles, the other's claim is committed and unanswered: both documents are pending again."""

    async def test(store: docstore.AsyncStore) -> None:
        await store.documents.add_many({"filename": f"{number}"} for number in range(3))
        handling = asyncio.Event()

        async def handle(document: docstore.Document) -> None:
            handling.set()
            await asyncio.sleep(600)

        async with slow_commit(store, 2, "late") as faults:
            task = asyncio.create_task(store.documents.process(handle, workers=2))
            await handling.wait()
            await cancelled_in(task, faults)
        assert {"pending": 3} == await store.documents.count_by("status")

    run(test)


def test_a_run_that_is_cancelled_while_it_puts_back_gives_that_back(run: Run) -> None:
    """A failure that is being written when the cancellation comes leaves no claim behind."""

    async def test(store: docstore.AsyncStore) -> None:
        await store.documents.add(filename="x")

        async def handle(document: docstore.Document) -> None:
            raise ValueError("no")

        async with slow_commit(store, 2, "delay") as faults:
            await cancelled_in(asyncio.create_task(store.documents.process(handle)), faults)
        assert {"pending": 1} == await store.documents.count_by("status")

    run(test)


def test_a_backends_error_in_a_handler_is_the_handlers(run: Run) -> None:
    """What a handler raises fails its document and not the run, whatever it is."""

    async def test(store: docstore.AsyncStore) -> None:
        await store.documents.add(filename="x")

        async def handle(document: docstore.Document) -> None:
            raise docstore.BackendError("another database")

        report = await store.documents.process(handle, max_attempts=1)
        assert (0, 1) == (report.completed, report.failed)

    run(test)


def test_process_is_refused_in_a_transaction(run: Run) -> None:
    """process() commits as it goes, so it cannot be part of a transaction."""

    async def test(store: docstore.AsyncStore) -> None:
        with pytest.raises(docstore.BackendError, match="outside of a transaction"):
            async with store.transaction():
                await store.documents.process(str)

    run(test)
