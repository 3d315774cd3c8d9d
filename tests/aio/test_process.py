"""The queue, awaited: claims and process()."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import docstore

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

        report = await store.documents.process(handle, max_attempts=2)
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
            await asyncio.sleep(60)

        task = asyncio.create_task(store.documents.process(handle, workers=2))
        await handling.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert 3 == await store.documents.count({"status": "pending"})
        assert 3 == len(await store.documents.claim(3))

    run(test)


def test_process_is_refused_in_a_transaction(run: Run) -> None:
    """process() commits as it goes, so it cannot be part of a transaction."""

    async def test(store: docstore.AsyncStore) -> None:
        with pytest.raises(docstore.BackendError, match="outside of a transaction"):
            async with store.transaction():
                await store.documents.process(str)

    run(test)
