"""Declared indexes on Postgres: used, right, and never in the way of a document."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

import docstore

VALUES: list[Any] = [None, 1, 1.5, -3, "a", "b" * 40, "é", [], [3, "x"], [[1]], {"k": 1}, True, False]


@pytest.fixture
def store(postgres_url: str) -> Iterator[docstore.Store]:
    chance = random.Random(3)
    with docstore.open(postgres_url) as opened:
        opened.documents.add_many(
            {"filename": f"{n}", "owner": f"o{n % 3}", "metadata": {"v": chance.choice(VALUES), "n": n % 7}}
            for n in range(400)
        )
        yield opened


def names(page: Any) -> list[str]:
    return [document.filename for document in page]


@pytest.mark.parametrize(
    "sort", ["metadata.v", "-metadata.v", ["metadata.n", "-metadata.v"], "filename", "-size"]
)
def test_the_order_is_the_same_with_the_index(store: docstore.Store, sort: Any) -> None:
    """A declared index changes how pages are found, forwards and by cursor, never what is on them (rule
    20)."""
    before = list(store.documents.iterate(sort=sort, batch_size=37))
    store.create_index(*([sort] if isinstance(sort, str) else sort))
    assert names(before) == names(store.documents.iterate(sort=sort, batch_size=37))
    assert names(before[:50]) == names(store.documents.find(sort=sort, limit=50))


def test_the_database_uses_the_index(store: docstore.Store) -> None:
    """The statement of a page in a declared order reads the index of that order."""
    store.create_index("metadata.v")
    store.documents.add_many({"filename": "f", "metadata": {"v": n}} for n in range(3_000))
    shown = store.documents.explain(sort="metadata.v", limit=5)
    assert "docstore_declared_" in (shown.database_plan or "")


def test_a_long_value_can_be_stored_and_sorts_right(store: docstore.Store) -> None:
    """A b-tree refuses 2.7 kB; a document with more is stored, and its order is by all of it."""
    store.create_index("metadata.v")
    noise = "".join(map(chr, random.Random(5).choices(range(0x4E00, 0x9000), k=3_000)))
    for end in ("b", "a", "c"):
        store.documents.add(None, filename=end, metadata={"v": noise + end})
    found = store.documents.find({"metadata.v": {"$gte": noise}}, sort="metadata.v", limit=3)
    assert ["a", "b", "c"] == names(found)


def test_indexes_are_listed_and_dropped(store: docstore.Store) -> None:
    """What is declared is listed as it was given, once; what is dropped is gone."""
    assert store.create_index("owner", "-created_at")
    assert not store.create_index("owner", "-created_at")
    assert [("owner", "-created_at")] == [tuple(one) for one in store.indexes()]
    assert store.drop_index("owner", "-created_at")
    assert [] == store.indexes()
