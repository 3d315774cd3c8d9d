"""Counts by value from the index: those of reading every record, whatever was folded and changed since."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import docstore
from docstore.limits import DEFAULT_LIMITS
from docstore.query.facets import bucket_of, facet_path, group
from docstore.query.fields import DOCUMENTS
from docstore.query.instants import from_datetime, metadata_instant
from tests.kit.forms import either

VALUES: list[Any] = [
    "a", "b", "", "x" * 60, "2026-01-02", None, True, False, 1, 1.0, [], ["a", "b"], ["a", None, "a"], [[1]],
    {"b": "c"},
    {"b": ["c", "d"]}, [{"b": "c"}, {"b": None}],
]  # fmt: skip
NUMBERS: list[Any] = [
    0, 1, 2.5, -3, -7.25, 12, 12.0, 99, 2**53 + 1, -(2**63), 1e300, [1, 1.0, 30], [{"b": 5}, {"b": 15}], None,
    "2026-01-02", "2026-01-02T23:59:59.5Z", "2025-12-31T23:30:00-01:00", "2026-02-30", "2026-01",
    ["2026-01-31", "2026-02-01T01:00:00+02:00"],
]  # fmt: skip


@pytest.mark.parametrize(
    ("choice", "counted", "indexed"), [(3, 4, 4096), (8, 0, 4096), (len(VALUES), 4, 2)]
)
def test_counts_are_those_of_reading(
    url: str, choice: int, counted: int, indexed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts, booleans, null and missing by popcount; all others, too many texts, and records that are too
    large to be indexed, by whoever reads.
    """
    monkeypatch.setattr("docstore.index.counts.VALUES_PER_RECORD", counted)
    monkeypatch.setattr("docstore.index.extract.MOST_VALUES", indexed)
    monkeypatch.setattr("docstore_sqlite.delta_log.LOGGED_CHANGES", 30)
    monkeypatch.setattr("docstore_memory.index._COMPACTED_TOGETHER", 30)
    monkeypatch.setattr("docstore.index.tail.LOOSE", 5)
    chance = random.Random(choice)
    with docstore.open(url) as store:
        for turn in range(either(7, 12)):
            store.documents.add_many(
                {"metadata": {"kind": chance.choice("pq"), **_value(chance, choice)}} for _ in range(7)
            )
            for document in list(store.documents.find(limit=2, offset=turn)):
                store.documents.update(document.id, replace_metadata=_value(chance, choice))
            for filter in (None, {"metadata.kind": "p"}, {"metadata.kind": {"$ne": "p"}}):
                for path in (("a",), ("a", "b"), ("nowhere",)):
                    expected: dict[Any, int] = {}
                    for document in store.documents.iterate(filter):
                        for key in {_key(value) for value in _seen(document.metadata, path)}:
                            expected[key] = expected.get(key, 0) + 1
                    found = store.documents.count_by("metadata." + ".".join(path), filter)
                    assert {_key(value): count for value, count in found.items()} == expected


@pytest.mark.parametrize("most", [256, 2])
def test_buckets_are_those_of_reading(url: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the slices that tell buckets apart, or by value; a record counts once for a bucket."""
    monkeypatch.setattr("docstore_sqlite.delta_log.LOGGED_CHANGES", 30)
    monkeypatch.setattr("docstore_memory.index._COMPACTED_TOGETHER", 30)
    monkeypatch.setattr("docstore.index.tail.LOOSE", 5)
    monkeypatch.setattr("docstore.index.counts._MOST_PARTS", most)
    chance = random.Random(most)
    with docstore.open(url) as store:
        for day in range(100):
            at = datetime(2025, 12, 1, day % 24, tzinfo=UTC) + timedelta(days=chance.randrange(60))
            store.documents.add(metadata={"a": chance.choice(NUMBERS)}, created_at=at)
        for path in ("metadata.a", "metadata.a.b", "created_at"):
            steps = facet_path(path, DOCUMENTS, DEFAULT_LIMITS)
            records = [
                {"metadata": one.metadata, "created_at": from_datetime(one.created_at)}
                for one in store.documents
            ]
            for by in ("day", "month", "year", 10, 2.5):
                if path == "created_at" and not isinstance(by, str):
                    continue
                expected = group(records, steps, bucket_of(by, steps, DOCUMENTS))
                assert dict(store.documents.count_by(path, by=by).items()) == dict(expected.items())


def test_bounds_are_those_of_reading(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ends of a column, of values in arrays, and of instants in any spelling, whatever was changed."""
    monkeypatch.setattr("docstore_sqlite.delta_log.LOGGED_CHANGES", 20)
    monkeypatch.setattr("docstore_memory.index._COMPACTED_TOGETHER", 20)
    monkeypatch.setattr("docstore.index.tail.LOOSE", 5)
    chance = random.Random(5)
    texts = [value for value in NUMBERS if type(value) is str or isinstance(value, list)][2:]
    with docstore.open(url) as store:
        for turn in range(30):
            held = {"a": chance.choice(NUMBERS), "t": chance.choice(texts), "k": turn % 3}
            store.documents.add(metadata=held)
            if turn % 4 == 3:
                store.documents.delete(chance.choice(list(store.documents)).id)
            for path, where in (("a", None), ("t", None), ("a", {"metadata.k": 1})):
                seen = [v for one in store.documents.iterate(where) for v in _seen(one.metadata, (path,))]
                numbers = [value for value in seen if type(value) in (int, float)]
                instants = [at for at in map(metadata_instant, seen) if at is not None]
                whole = [value for value in seen if type(value) is str]
                ends = [(min(some), max(some)) for some in (numbers, instants, whole) if some]
                found = store.documents.bounds(f"metadata.{path}", where)
                if found is not None and isinstance(found[0], datetime):
                    found = from_datetime(found[0]), from_datetime(found[1])
                assert (ends[0] if ends else None) == found


def test_numbers_keep_their_types(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole number is an int, a float that is whole a float, in an array, too; 1 and 1.0 are one number."""
    monkeypatch.setattr("docstore_sqlite.delta_log.LOGGED_CHANGES", 4)
    monkeypatch.setattr("docstore_memory.index._COMPACTED_TOGETHER", 3)
    monkeypatch.setattr("docstore.index.tail.LOOSE", 2)
    with docstore.open(url) as store:
        store.documents.add_many({"metadata": {"n": n, "m": [n, 0.5]}} for n in (1, 2.0, 2.0, 3.5, 10**15, 4))
        for path in ("metadata.n", "metadata.m"):
            found = {repr(value) for value in store.documents.count_by(path)} - {"0.5"}
            assert found == {"1", "2.0", "3.5", "1000000000000000", "4"}


def _value(chance: random.Random, choice: int) -> dict[str, Any]:
    return {"a": chance.choice(VALUES[:choice])} if chance.random() < 0.8 else {}


def _key(value: Any) -> tuple[str, Any]:
    return ("number" if type(value) in (int, float) else type(value).__name__, value)


def _seen(held: Any, path: tuple[str, ...]) -> list[Any]:
    """Return the scalars at a path (rules 6, 8, 9), ``None`` where it is missing."""
    if not path:
        inner = held if isinstance(held, list) else [held]
        return [value for value in inner if not isinstance(value, list | dict)]
    if isinstance(held, list):
        return [value for one in held if isinstance(one, dict) for value in _seen(one, path)]
    if not isinstance(held, dict) or path[0] not in held:
        return [None]
    return _seen(held[path[0]], path[1:])
