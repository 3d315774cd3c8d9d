"""Transactions of the asynchronous store: one commit, several tasks, savepoints, and what comes after."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import docstore

Run = Callable[[Callable[[docstore.AsyncStore], Awaitable[Any]]], Any]


def test_a_block_is_one_commit(run: Run) -> None:
    """Other tasks see nothing of a block before it ends, and all of it afterwards."""

    async def test(store: docstore.AsyncStore) -> None:
        begun, looked = asyncio.Event(), asyncio.Event()

        async def look() -> int:
            await begun.wait()
            count = await store.documents.count()
            looked.set()
            return count

        other = asyncio.create_task(look())
        async with store.transaction() as same:
            await same.documents.add(b"1", filename="1")
            await store.documents.add(filename="2")
            assert 2 == await store.documents.count()
            if "memory" not in repr(same) and not _one_connection(store):
                begun.set()
                await looked.wait()
        begun.set()
        assert (2 if _one_connection(store) else 0) == await other
        assert 2 == await store.documents.count()

    run(test)


def _one_connection(store: docstore.AsyncStore) -> bool:
    """Whether the backend is SQLite in memory, where readers wait for the writer."""
    root = store._shell._context
    assert root is not None
    return getattr(root.backend, "_single", None) is not None


def test_an_exception_undoes_the_block(run: Run) -> None:
    """What a block did is gone when it raises, bytes included; the store goes on."""

    async def test(store: docstore.AsyncStore) -> None:
        kept = await store.documents.add(filename="kept")
        with pytest.raises(KeyError):  # noqa: PT012
            async with store.transaction():
                await store.documents.add(b"gone", filename="gone")
                await store.documents.update(kept.id, filename="changed")
                raise KeyError
        assert ["kept"] == [document.filename for document in await store.documents.find()]

    run(test)


def test_a_block_within_a_block_is_undone_alone(run: Run) -> None:
    """An inner block that raises is undone where the backend can; the outer one goes on or is refused as a
    whole.
    """

    async def test(store: docstore.AsyncStore) -> None:
        try:
            async with store.transaction():
                await store.documents.add(filename="outer")
                with pytest.raises(KeyError):  # noqa: PT012
                    async with store.transaction():
                        await store.documents.add(filename="inner")
                        raise KeyError
                await store.documents.add(filename="after")
        except docstore.BackendError:
            assert 0 == await store.documents.count()
        else:
            found = await store.documents.find(sort="number")
            assert ["outer", "after"] == [document.filename for document in found]

    run(test)


def test_tasks_of_a_block_take_turns(run: Run) -> None:
    """Tasks started in a block take part in it, and their calls do not disturb each other."""

    async def test(store: docstore.AsyncStore) -> None:
        with pytest.raises(KeyError):  # noqa: PT012
            async with store.transaction():
                await asyncio.gather(*(_add_and_read(store, number) for number in range(20)))
                assert 20 == await store.documents.count()
                raise KeyError
        assert 0 == await store.documents.count()

    run(test)


async def _add_and_read(store: docstore.AsyncStore, number: int) -> None:
    added = await store.documents.add(filename=f"{number}", metadata={"n": number})
    found = await store.documents.find({"metadata.n": number})
    assert [added] == found.items


def test_a_task_that_outlives_its_block_is_told(run: Run) -> None:
    """A task that was started in a block and goes on afterwards gets an error; new tasks are free of it."""

    async def test(store: docstore.AsyncStore) -> None:
        over = asyncio.Event()

        async def late() -> None:
            await over.wait()
            await store.documents.add(filename="late")

        async with store.transaction():
            task = asyncio.create_task(late())
            await store.documents.add(filename="in time")
        over.set()
        with pytest.raises(docstore.BackendError, match="has ended"):
            await task
        await store.documents.add(filename="next")
        assert 2 == await store.documents.count()

    run(test)


def test_waiting_writers_do_not_stop_the_loop(run: Run) -> None:
    """While one task's transaction is open, writers wait in line without blocking the loop, then all go
    on.
    """

    async def test(store: docstore.AsyncStore) -> None:
        holding, over = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with store.transaction():
                await store.documents.add(filename="holder")
                holding.set()
                await over.wait()  # a writer that stopped the loop would never have its turn

        holder = asyncio.create_task(hold())
        await holding.wait()
        writers = [asyncio.create_task(store.documents.add(filename=f"{number}")) for number in range(12)]
        for _ in range(40):
            await asyncio.sleep(0.005)
        assert not any(task.done() for task in writers) or not _single_writer(store)
        over.set()
        await asyncio.gather(holder, *writers)
        assert 13 == await store.documents.count()

    run(test)


def _single_writer(store: docstore.AsyncStore) -> bool:
    root = store._shell._context
    assert root is not None
    return root.single_writer
