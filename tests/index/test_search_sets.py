"""Filters on the index: what surely matches and what can match, beside what the evaluator says of each
record.
"""

from __future__ import annotations

from typing import Any

import pytest
from docstore_memory.index import MemoryPostings
from hypothesis import HealthCheck, given, settings

from docstore.index.extract import indexed_fields
from docstore.index.snapshot import Bulk, Snapshot
from docstore.index.tail import RecordView, Tail
from docstore.limits import DEFAULT_LIMITS
from docstore.query.evaluator import matches
from docstore.query.fields import DOCUMENTS, Collection, Kind, decode
from docstore.query.parser import parse
from docstore.query.planner import normalize
from docstore.testing.conformance.properties import FilterCase, filter_case
from docstore.testing.strategies import choosers

STAGES = ("folded", "beside", "segment", "half", "changed")


def fields_of(collection: Collection) -> dict[str, bool]:
    """Return the indexed fields and whether each is JSON."""
    return {name: collection.column(name).kind is Kind.JSON for name in indexed_fields(collection)}


def snapshot(collection: Collection, records: dict[int, Any], stage: str) -> Snapshot:
    """Return the index of records, folded or not."""
    fields, stored = fields_of(collection), MemoryPostings()
    reading = RecordView(fields, lambda record: record, is_whole=True)
    empty = Snapshot(Bulk(fields, stored), Tail(reading))
    first = {number: record for number, record in records.items() if number % 2}
    turned = dict(zip(records, reversed(records.values()), strict=True))
    old = {**turned, 1000: {"metadata": {"a": 1}}}
    match stage:
        case "beside":
            return Snapshot(empty.bulk, empty.tail.changed(records))
        case "segment":  # twice, so that some are dead in it
            return Snapshot(empty.bulk, empty.tail.changed(old).changed({**records, 1000: None}))
        case "folded":
            stored.compact(fields, {}, records)
        case "half":
            stored.compact(fields, {}, first)
            others = {number: record for number, record in records.items() if number not in first}
            return Snapshot(empty.bulk, empty.tail.changed(others))
        case _:
            stored.compact(fields, {}, old)
            stored.compact(fields, old, records)
    return empty


def check(case: FilterCase, stage: str) -> None:
    """Compare the bounds with the evaluator's answers."""
    records = {
        number: {**decode(case.world.collection, row), "number": number}
        for number, row in enumerate(case.world.rows, 1)
    }
    index = snapshot(case.world.collection, records, stage)
    for filter in case.filters:
        expr = normalize(parse(filter, case.world.collection, limits=DEFAULT_LIMITS, default_timezone=None))
        expected = {number for number, record in records.items() if matches(expr, record)}
        found = index.find((expr,), str(filter)).whole
        assert set(found.lower.members) <= expected <= set(found.upper.members), (filter, found, expected)


def test_instants_in_utc_are_decided_to_the_minute() -> None:
    """Of texts in UTC only those within the minute of a bound are looked at, of others those of its days."""
    texts = [
        "2026-01-02",
        "2026-01-02T10:00:00Z",
        "2026-01-02T10:00:30.5Z",
        "2026-01-02T10:01Z",
        "2026-01-05T00:00:00+01:00",
    ]
    records = {number: {"metadata": {"at": text}} for number, text in enumerate(texts, 1)}
    index = snapshot(DOCUMENTS, records, "folded")

    def sets(bound: str) -> tuple[list[int], list[int]]:
        filter = {"metadata.at": {"$lt": {"$date": bound}}}
        expr = normalize(parse(filter, DOCUMENTS, limits=DEFAULT_LIMITS, default_timezone=None))
        found = index.find((expr,), bound).whole
        return list(found.lower.members), list(found.recheck.members)

    assert sets("2026-01-02T10:00:00Z") == ([1], [])
    assert sets("2026-01-02T10:01:00Z") == ([1, 2, 3], [])
    assert sets("2026-01-02T10:00:30Z") == ([1], [2, 3])
    assert sets("2026-01-05T00:00:00Z") == ([1, 2, 3, 4], [5])


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seal segments of 4 records."""
    monkeypatch.setattr("docstore.index.tail.LOOSE", 3)


@pytest.mark.parametrize("stage", STAGES)
@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(choose=choosers())
def test_what_matches_lies_between_the_bounds(choose: Any, stage: str) -> None:
    """Low ⊆ what the evaluator matches ⊆ high, whether the records are in bulk, beside it, or changed
    since.
    """
    check(filter_case(choose), stage)


@pytest.mark.parametrize(
    "filter",
    [
        {"metadata.a": 1},
        {"metadata.a": {"$ne": 1}},
        {"metadata.a": {"$in": ["x", 2, None]}},
        {"metadata.a": None},
        {"metadata.a": {"$exists": True}},
        {"metadata.a": {"$type": "string"}},
        {"metadata.a": {"$size": 2}},
        {"metadata.a": {"$all": [1, 2]}},
        {"metadata.a": {"$gte": 1, "$lt": 3}},
        {"metadata.a": {"$gt": "2026-01"}},
        {"metadata.a": {"$glob": "x*"}},
        {"metadata.a": {"$regex": "^x"}},
        {"status": "pending"},
        {"created_at": {"$gt": 5}},
        {"metadata.a": {"$nin": [True, "x"]}},
        {"$nor": [{"metadata.a": 1}, {"metadata.b.c": 1}]},
    ],
)
def test_most_predicates_are_exact(filter: dict[str, Any]) -> None:
    """Equality, lists, ranges, existence, types, sizes, their negatives, and tests of few different texts
    need no evaluator.
    """
    values: list[Any] = [
        {"a": 1},
        {"a": [1, 2]},
        {"a": "x"},
        {"a": "xy"},
        {},
        {"a": None},
        {"a": 2.5},
        {"b": {"c": 1}},
        {"a": True},
    ]
    records = {
        number: {"metadata": value, "status": "pending", "created_at": number}
        for number, value in enumerate(values, 1)
    }
    if isinstance(filter.get("created_at"), dict):
        filter = {"created_at": {"$gt": "1970-01-01T00:00:00.000004Z"}}
    expr = normalize(parse(filter, DOCUMENTS, limits=DEFAULT_LIMITS, default_timezone=None))
    found = snapshot(DOCUMENTS, records, "folded").find((expr,), "").whole
    expected = {number for number, record in records.items() if matches(expr, record)}
    assert found.is_exact
    assert expected == set(found.lower.members)


@pytest.mark.parametrize(
    "operand", [{"$contains": [5]}, {"$containsAny": [5]}, {"$size": 1}, {"$elemMatch": {"$gt": 4}}]
)
@pytest.mark.parametrize("stage", STAGES)
def test_arrays_within_arrays_are_not_lost(operand: dict[str, Any], stage: str) -> None:
    """Operators on an array that is an element of another find it."""
    values: list[Any] = [[[5]], [[5, 6]], [5], [[[5]]], 5, [{"0": 5}], [{"b": 1}, [5]], [], [[]]]
    records = {number: {"metadata": {"a": value}} for number, value in enumerate(values, 1)}
    filter = {"metadata.a": {"$elemMatch": operand}}
    expr = normalize(parse(filter, DOCUMENTS, limits=DEFAULT_LIMITS, default_timezone=None))
    found = snapshot(DOCUMENTS, records, stage).find((expr,), "").whole
    expected = {number for number, record in records.items() if matches(expr, record)}
    assert expected
    assert set(found.lower.members) <= expected <= set(found.upper.members)
