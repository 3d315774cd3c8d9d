"""Many calls at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import docstore

Run = Callable[[Callable[[docstore.AsyncStore], Awaitable[Any]]], Any]


def test_a_thousand_finds_at_once(run: Run) -> None:
    """A thousand concurrent finds all answer, on every backend, by no more threads than those for reading."""

    async def test(store: docstore.AsyncStore) -> None:
        await store.documents.add_many({"filename": f"{n}", "metadata": {"n": n % 10}} for n in range(50))
        most, others = 0, set(threading.enumerate())

        async def find(number: int) -> int:
            nonlocal most
            page = await store.documents.find({"metadata.n": number % 10}, limit=100)
            ours = set(threading.enumerate()) - others
            most = max(most, sum(one.name.startswith("docstore-read") for one in ours))
            return len(page)

        found = await asyncio.gather(*(find(number) for number in range(1000)))
        assert [5] * 1000 == found
        root = await store._shell.root()
        assert 1 <= most <= root.capabilities.readers

    run(test)


def test_writers_at_once_lose_nothing(run: Run) -> None:
    """A hundred concurrent changes of one document are all counted, and none finds the store busy."""

    async def test(store: docstore.AsyncStore) -> None:
        document = await store.documents.add(filename="x")
        await asyncio.gather(
            *(store.documents.update(document.id, metadata={f"k{number}": number}) for number in range(100))
        )
        changed = await store.documents.get(document.id)
        assert (101, 100) == (changed.revision, len(changed.metadata))

    run(test)
