"""Counts, facets, existence, and the newest versions alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

import docstore

ROWS: list[dict[str, Any]] = [
    {
        "status": "completed",
        "owner": "a",
        "metadata": {"tags": ["x", "y", "x"], "n": 1, "who": {"name": "é"}},
    },
    {"status": "completed", "owner": "a", "metadata": {"tags": ["x"], "n": 1.0, "who": [{"name": "é"}, {}]}},
    {"status": "failed", "owner": "b", "metadata": {"tags": [], "n": True, "who": None}},
    {"status": "pending", "metadata": {"tags": None, "n": [1, 2, [3]], "who": {"name": ["é", "ê"]}}},
    {"status": "pending", "metadata": {"tags": [["x"], {"x": 1}], "n": {"x": 1}}},
    {"status": "pending", "filename": "é.txt", "content": "words", "metadata": {}},
]


@pytest.fixture
def filled(store: docstore.Store) -> docstore.Store:
    """Six documents on every backend."""
    store.documents.add_many([{"filename": "f", **row} for row in ROWS])
    return store


FACETS: tuple[tuple[str, Mapping[Any, int]], ...] = (
    ("status", {"pending": 3, "completed": 2, "failed": 1}),
    ("owner", {None: 3, "a": 2, "b": 1}),
    ("is_latest", {True: 6}),
    ("external_id", {None: 6}),
    ("metadata.tags", {"x": 2, None: 2, "y": 1}),
    ("metadata.n", docstore.Facet([(1, 3), (None, 1), (2, 1), (True, 1)])),
    ("metadata.who.name", {"é": 3, None: 4, "ê": 1}),
    ("metadata.who.0.name", {None: 6, "é": 1}),
    ("metadata", {}),
    ("content", {None: 5, "words": 1}),
)  # fmt: skip


@pytest.mark.parametrize(("field", "expected"), FACETS, ids=lambda it: it if isinstance(it, str) else "")
def test_facets_count_each_record_once_a_value(
    filled: docstore.Store, field: str, expected: Mapping[Any, int]
) -> None:
    """Each scalar seen at any field path counts once a record; ``None`` is null and missing."""
    found = filled.documents.count_by(field)
    assert expected == found
    assert sorted(expected.values(), reverse=True) == list(found.values())


def test_facets_are_of_what_matches(filled: docstore.Store) -> None:
    """Filter, search, scope and limit count as in a listing; an unknown field is an error."""
    documents = filled.documents
    assert {"completed": 2} == documents.count_by("status", {"metadata.tags": "x"})
    assert {"pending": 1} == documents.count_by("status", search="words")
    assert {"completed": 2} == filled.scoped(owner="a").documents.count_by("status")
    assert {"pending": 3} == documents.count_by("status", limit=1)
    assert {} == documents.count_by("metadata.tags", {"status": {"$in": []}})
    assert {} == filled.extractions.count_by("status")
    for wrong in ("nothing", "status.x", "-status", "", 5, None, ["status"]):
        with pytest.raises(docstore.UnknownField):
            documents.count_by(wrong)  # type: ignore[arg-type]
    for wrong_limit in (-1, 10_001, True, 1.5):
        with pytest.raises(docstore.InvalidPage):
            documents.count_by("status", limit=wrong_limit)  # type: ignore[arg-type]


@pytest.mark.parametrize("filter", [{}, {"metadata.n": 1}, {"metadata.tags": {"$ne": "x"}}, {"owner": None}])
def test_facets_of_record_fields_are_those_of_the_records(
    filled: docstore.Store, filter: dict[str, Any]
) -> None:
    """Whether counters, an index or the rows count, the answer is what the records that match have."""
    records = list(filled.documents.iterate(filter))
    for field in ("status", "owner", "file_type", "filename", "error", "attempts", "is_latest"):
        expected = Counter(getattr(record, field) for record in records)
        assert expected == filled.documents.count_by(field, filter), field


def test_counts_are_exact_and_may_be_capped(filled: docstore.Store) -> None:
    """``at_most`` is where a count stops, whatever the backend does with it."""
    for filter, there in (({}, 6), ({"metadata.tags": "x"}, 2), ({"status": "pending"}, 3)):
        assert there == filled.documents.count(filter)
        for most in (0, 1, 2, there, there + 1, 10_000):
            assert min(most, there) == filled.documents.count(filter, at_most=most), (filter, most)
    assert 1 == filled.documents.count(search="é")
    assert 1 == filled.documents.count(search="é", at_most=1)
    for wrong in (-1, True, 1.5, "1"):
        with pytest.raises(docstore.InvalidPage):
            filled.documents.count(at_most=wrong)  # type: ignore[arg-type]


def test_totals_are_capped(filled: docstore.Store) -> None:
    """A capped total says whether it is all: it is not exact only if there are more."""
    for cap in (0, 1, 5, 6, 7, 10_000):
        page = filled.documents.find(limit=1, total=cap)
        assert (min(6, cap), cap >= 6) == (page.total, page.total_is_exact)


def test_existence(filled: docstore.Store) -> None:
    """``exists`` takes a filter, and looks no further than the first."""
    assert filled.documents.exists({"metadata.tags": "y"})
    assert filled.documents.exists({})
    assert not filled.documents.exists({"metadata.tags": "z"})
    assert not filled.scoped(owner="b").documents.exists({"metadata.tags": "y"})


def test_the_newest_versions_alone(store: docstore.Store) -> None:
    """``latest_only`` leaves a document that is the newest version of its external_id *and* matches."""
    for n, external_id in enumerate(("a", "a", "b", None, "b", "a", None)):
        store.documents.add(
            None, filename=f"{n}", external_id=external_id, created_at=f"2026-01-0{n + 1}T00:00:00Z",
            status="failed" if n < 4 else "completed", metadata={"n": n},
        )  # fmt: skip

    def names(**ask: Any) -> list[str]:
        found = [one.filename for one in store.documents.find(sort="number", **ask)]
        assert found == [one.filename for one in store.documents.iterate(sort="number", **ask)]
        assert len(found) == store.documents.count(**ask)
        assert len(found) == sum(store.documents.count_by("status", **ask).values())
        return found

    assert ["3", "4", "5", "6"] == names()
    assert list("0123456") == names(latest_only=False)
    assert ["3"] == names(filter={"status": "failed"})
    assert ["0", "1", "2", "3"] == names(filter={"status": "failed"}, latest_only=False)
    assert [] == names(filter={"metadata.n": 1})
    page = store.documents.find(sort=["first_created_at", "-created_at"], latest_only=False)
    assert ["5", "1", "0", "4", "2", "3", "6"] == [one.filename for one in page]
    first = {one.filename: one.first_created_at.day for one in page}
    assert {"0": 1, "1": 1, "5": 1, "2": 3, "4": 3, "3": 4, "6": 7} == first
    early = {"first_created_at": {"$lt": "2026-01-02T00:00:00Z"}}
    assert ["5"] == names(filter=early)
    store.documents.delete(store.documents.get_by_external_id("a").id)
    assert ["1"] == names(filter=early)


def test_other_views_of_the_same_listing(filled: docstore.Store) -> None:
    """A page is iterable, has a length, is false when empty, and is what Pydantic can write and read."""
    page = filled.documents.find(limit=2, total=True)
    again = docstore.Page[docstore.Document].model_validate_json(page.model_dump_json())
    assert page.items == again.items
    assert (page.next_cursor, page.total, page.limit) == (again.next_cursor, again.total, again.limit)
    empty = filled.documents.find({"status": "processing"})
    assert ([], 0, False) == (list(empty), len(empty), bool(empty))
