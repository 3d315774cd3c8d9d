"""AsyncStore from outside: opening, reading, writing, scopes, bytes."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import docstore

Run = Callable[[Callable[[docstore.AsyncStore], Awaitable[Any]]], Any]


def test_what_is_added_is_found(run: Run) -> None:
    """Adding, finding, changing, counting and deleting answer as the blocking store does."""

    async def test(store: docstore.AsyncStore) -> None:
        first = await store.documents.add(b"one", filename="1.txt", metadata={"tags": ["a", "b"], "n": 1})
        await store.documents.add(filename="2.txt", metadata={"tags": ["b"], "n": 2})
        page = await store.documents.find({"metadata.tags": "b"}, sort="metadata.n", total=True, limit=1)
        assert ([first], 2, True) == (page.items, page.total, page.has_more)
        behind = await store.documents.find(
            {"metadata.tags": "b"}, sort="metadata.n", cursor=page.next_cursor
        )
        assert ["2.txt"] == [document.filename for document in behind]
        assert 2 == await store.documents.count({"metadata.n": {"$gt": 0}})
        assert {"a": 1, "b": 2} == await store.documents.count_by("metadata.tags")
        changed = await store.documents.update(first.id, metadata={"n": None})
        assert {"tags": ["a", "b"]} == changed.metadata
        assert changed == await store.documents.get(first.id)
        assert [changed] == await store.documents.get_many([first.id, "none"])
        assert "documents" == (await store.documents.explain({"metadata.n": 1})).collection
        await store.documents.delete(first.id)
        assert not await store.documents.exists({"id": first.id})

    run(test)


def test_the_errors_are_the_same(run: Run) -> None:
    """A wrong filter and a missing id raise what they raise in the blocking store."""

    async def test(store: docstore.AsyncStore) -> None:
        with pytest.raises(docstore.UnknownOperator) as wrong:
            await store.documents.find({"metadata.n": {"$gte2": 1}})
        assert "metadata.n/$gte2" == wrong.value.path
        with pytest.raises(docstore.NotFound):
            await store.documents.get("none")
        added = await store.documents.add(filename="x")
        with pytest.raises(docstore.RevisionConflict):
            await store.documents.update(added.id, if_revision=7, filename="y")

    run(test)


def test_iterating_walks_in_batches(run: Run) -> None:
    """`async for` meets every record once, in order, batch by batch, while others are added."""

    async def test(store: docstore.AsyncStore) -> None:
        result = await store.documents.add_many({"filename": f"{number:02}"} for number in range(25))
        assert (25, 25) == (len(result), result.added)
        met = []
        async for document in store.documents.iterate({"filename": {"$lt": "20"}}, batch_size=7):
            met.append(document.filename)
            if len(met) == 3:
                await store.documents.add(filename="99")
        assert [f"{number:02}" for number in range(20)] == met

    run(test)


def test_many_are_added_from_an_async_iterable(run: Run) -> None:
    """`add_many` takes an async iterable and awaits a coroutine function for progress."""

    async def several() -> AsyncIterator[dict[str, Any]]:
        for number in range(5):
            await asyncio.sleep(0)
            yield {"filename": f"{number}", "source": str(number).encode()}

    async def test(store: docstore.AsyncStore) -> None:
        told: list[int] = []

        async def progress(count: int) -> None:
            await asyncio.sleep(0)
            told.append(count)

        result = await store.documents.add_many(several(), batch_size=2, on_progress=progress)
        assert [2, 4, 5] == told
        assert b"3" == await store.documents.read_bytes(result.ids[3])

    run(test)


def test_scopes_narrow(run: Run) -> None:
    """A view sees its tenant alone, can be awaited or not, and closing it closes nothing."""

    async def test(store: docstore.AsyncStore) -> None:
        ours = store.scoped(tenant="us")
        await ours.documents.add(filename="ours")
        await (await store.scoped(tenant="them")).documents.add(filename="theirs")
        await ours.close()
        assert ["ours"] == [document.filename for document in await ours.documents.find()]
        assert 2 == await store.unscoped().documents.count()
        with pytest.raises(docstore.ScopeError):
            ours.scoped(tenant="them")

    run(test)


def test_bytes_come_back(run: Run, tmp_path: Path) -> None:
    """A document's bytes are read whole, in pieces, from a position, and into a file."""

    async def test(store: docstore.AsyncStore) -> None:
        body = bytes(range(256)) * 8192
        document = await store.documents.add(io.BytesIO(body), filename="b.bin")
        assert body == await store.documents.read_bytes(document.id)
        async with await store.documents.open(document.id) as file:
            assert body == b"".join([piece async for piece in file])
            assert 5 == await file.seek(5)
            assert body[5:9] == await file.read(4)
            assert 9 == file.tell()
        await store.documents.download(document.id, tmp_path / "copy")
        assert body == (tmp_path / "copy").read_bytes()
        with pytest.raises(docstore.BlobError):
            await store.documents.url(document.id)

    run(test)


def test_extractions_are_reviewed(run: Run) -> None:
    """Extractions are added, flagged and reviewed as in the blocking store."""

    async def test(store: docstore.AsyncStore) -> None:
        document = await store.documents.add(filename="x")
        added = await store.extractions.add(
            document.id, {"a": 1}, confidence_scores={"a": 50}, review_below=80
        )
        assert added.needs_review
        reviewed = await store.extractions.review(added.id, {"a": 2}, reviewed_by="ada")
        assert ({"a": 2}, True) == (reviewed.reviewed_results, reviewed.is_reviewed)
        assert 1 == await store.extractions.count({"is_reviewed": True})

    run(test)


def test_a_store_can_be_awaited(tmp_path: Path) -> None:
    """`await open_async(…)` opens; closing is idempotent; a closed store says so."""

    async def main() -> None:
        store = await docstore.open_async(f"sqlite:///{tmp_path}/a.db")
        await store.documents.add(filename="x")
        await store.close()
        await store.close()
        with pytest.raises(docstore.StoreClosed):
            await store.documents.find()

    asyncio.run(main())


def test_the_first_call_opens() -> None:
    """A store that was neither awaited nor entered is opened by its first call, once for all tasks."""

    async def main() -> None:
        store = docstore.open_async("memory://")
        await asyncio.gather(*(store.documents.add(filename=f"{number}") for number in range(10)))
        assert 10 == await store.documents.count()
        await store.close()

    asyncio.run(main())


def test_closing_an_unopened_store() -> None:
    """A store that is closed before it was opened cannot be opened any more."""

    async def main() -> None:
        store = docstore.open_async("memory://")
        await store.close()
        with pytest.raises(docstore.StoreClosed):
            await store

    asyncio.run(main())


def test_wrong_arguments_are_told_when_it_is_opened() -> None:
    """An unknown scheme and a wrong limit raise what `docstore.open` raises."""

    async def main() -> None:
        with pytest.raises(docstore.UnknownBackend):
            await docstore.open_async("nosuch://")
        with pytest.raises(ValueError, match="limits"):
            await docstore.open_async("memory://", limits={"nosuch": 1})

    asyncio.run(main())


def test_several_loops_use_one_store(url: str) -> None:
    """A store may be used from any loop, one after the other and at once in several threads."""
    store = docstore.open_async(url)

    async def add(number: int) -> int:
        await asyncio.gather(*(store.documents.add(filename=f"{number}/{n}") for n in range(10)))
        return len(await store.documents.find(limit=1))

    with asyncio.Runner() as one, asyncio.Runner() as two, ThreadPoolExecutor(3) as others:
        assert 1 == one.run(add(1))
        assert 1 == two.run(add(2))
        assert [1] * 3 == list(others.map(lambda number: asyncio.run(add(number)), range(3, 6)))
        assert 50 == one.run(store.documents.count())
        two.run(store.close())


def test_a_store_needs_asyncio() -> None:
    """Without an event loop of asyncio's it says what to use instead."""
    store = docstore.open_async("memory://")
    with pytest.raises(docstore.BackendError, match=r"anyio\.to_thread"):
        store.documents.find().send(None)


def test_what_cannot_wait_says_what_can() -> None:
    """`len`, `in` and `[]` are TypeErrors that name what is awaited; `async for` walks."""

    async def main() -> None:
        async with docstore.open_async("memory://") as store:
            added = await store.documents.add(filename="x")
            with pytest.raises(TypeError, match=r"await store\.documents\.count"):
                len(store.documents)
            with pytest.raises(TypeError, match=r"await store\.documents\.exists"):
                _ = added.id in store.documents
            with pytest.raises(TypeError, match=r"await store\.documents\.get"):
                store.documents[added.id]
            assert [added] == [document async for document in store.documents]

    asyncio.run(main())
