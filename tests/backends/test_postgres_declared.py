"""Declared indexes on Postgres: used, right, and never in the way of a document."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from docstore_postgres.session import PostgresSession

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


def _operands(chance: random.Random) -> dict[str, Any]:
    scalars = [value for value in VALUES if not isinstance(value, list | dict)]
    value, other = chance.choice(scalars), chance.choice(scalars)
    return chance.choice(
        [
            {"$eq": value}, {"$ne": value}, {"$gt": value}, {"$gte": value, "$lt": other}, {"$lte": value},
            {"$in": [value, other]}, {"$nin": [value, other]}, {"$not": {"$gt": value}}, {"$lt": value},
            {"$not": {"$gte": value, "$lt": other}}, {"$ne": chance.choice(VALUES)},
        ]
    )  # fmt: skip


def test_what_an_index_narrows_is_the_same(store: docstore.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges, complements and their combinations find the same by a declared index, arrays, nulls and missing
    values included (rules 8 to 13)."""
    chance = random.Random(11)
    store.documents.add_many({"filename": f"m{n}", "metadata": {"n": n}} for n in range(20))
    asked: list[dict[str, Any]] = [{"metadata.v": _operands(chance)} for _ in range(60)]
    asked += [{"$or": [{"metadata.v": _operands(chance)} for _ in range(2)]} for _ in range(20)]
    asked += [{"$nor": [{"metadata.v": _operands(chance)}], "metadata.n": {"$lt": 3}} for _ in range(20)]
    before = [names(store.documents.find(each, limit=1000)) for each in asked]
    store.create_index("metadata.v")
    monkeypatch.setattr(PostgresSession, "estimate", lambda *_: 0)
    for each, expected in zip(asked, before, strict=True):
        assert expected == names(store.documents.find(each, limit=1000)), each
        assert len(expected) == store.documents.count(each), each


def test_the_database_narrows_by_the_index(store: docstore.Store) -> None:
    """A narrow or empty range, and the complement of nearly all, is read from the declared index of its path
    and the index of documents with several values there, and from nothing else."""
    store.documents.add_many(
        {"filename": "f", "metadata": {"v": n, "state": "done", "n": n % 7}} for n in range(3_000)
    )
    store.documents.add(None, filename="g", metadata={"v": -1, "state": ["open", "shut"]})
    store.documents.update_many({"metadata.state": None}, metadata={"state": "done"})
    for path in ("metadata.v", "metadata.state"):
        store.create_index(path)
    filters: list[dict[str, Any]] = [
        {"metadata.v": {"$gte": 100, "$lt": 103}},
        {"metadata.v": {"$gte": 100, "$lt": 100}, "metadata.n": 1},
        {"metadata.v": {"$gt": 2_990}, "metadata.n": {"$ne": 1}},
        {"metadata.state": {"$ne": "done"}},
        {"metadata.state": {"$nin": ["done", "other"]}},
    ]
    for filter in filters:
        plan = store.documents.explain(filter, limit=5).database_plan or ""
        assert "docstore_declared_" in plan, filter
        assert "_many" in plan, filter
        assert "Seq Scan" not in plan, filter


def test_a_wide_range_is_not_narrowed(store: docstore.Store) -> None:
    """Where a condition leaves most documents, the order is walked and no declared index is asked."""
    store.documents.add_many({"filename": "f", "metadata": {"v": n}} for n in range(3_000))
    store.create_index("metadata.v")
    shown = store.documents.explain({"metadata.v": {"$gte": 100}}, limit=5)
    assert "docstore_declared_" not in (shown.database_plan or "")


def test_a_slow_range_is_advised(store: docstore.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path that a slow page was chosen by, in a range or a complement, is what advise() names; a declared
    one is not."""
    monkeypatch.setattr("docstore_postgres.planner._SLOW_SECONDS", 0.0)
    store.documents.find({"metadata.n": {"$gte": 9}, "metadata.v": "a"})
    assert {("metadata.n",)} == {advice.fields for advice in store.advise()}
    store.create_index("metadata.v")
    store.documents.find({"metadata.v": {"$ne": 1}})
    assert {("metadata.n",)} == {advice.fields for advice in store.advise()}
