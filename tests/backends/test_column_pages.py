"""Filters on ordinary columns: one statement over one b-tree, with the answers of every other way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from operator import itemgetter
from typing import Any

import pytest
from docstore_sql.compiler import column_filter

import docstore
from docstore.backend import Query, Scope
from docstore.query.evaluator import compile
from docstore.query.fields import DOCUMENTS
from docstore.query.parser import parse
from docstore.query.planner import normalize

START = datetime(2024, 1, 1, tzinfo=UTC)
STATUSES = ("pending", "processing", "completed", "failed")
TIMES: list[dict[str, Any]] = [
    {},
    {"created_at": {"$gte": START + timedelta(seconds=5)}},
    {"created_at": {"$gt": START + timedelta(seconds=2), "$lt": START + timedelta(seconds=20)}},
    {"number": {"$lte": 30}},
    {"created_at": START + timedelta(seconds=3), "number": {"$gt": 3}},
]
STATES: list[dict[str, Any]] = [
    {},
    {"status": "completed"},
    {"status": {"$in": ["failed", "pending", None]}},
    {"status": {"$ne": "completed"}},
    {"status": {"$nin": ["completed", "failed"]}, "is_latest": True},
    {"status": None},
]


@pytest.fixture
def filled(store: docstore.Store) -> docstore.Store:
    """Documents of some owners and tenants, some of neither, many at one moment, some not the latest."""
    rows = [
        {
            "filename": f"{n}",
            "owner": ("a", "b", None)[n % 3],
            "tenant": ("t", None, "u", None)[n % 4],
            "status": STATUSES[n * 7 % 4],
            "error": "x" if STATUSES[n * 7 % 4] == "failed" else None,
            "created_at": START + timedelta(seconds=n // 4),
            "external_id": f"e{n % 12}" if n % 2 else None,
        }
        for n in range(72)
    ]
    store.documents.add_many(rows)
    return store


def expected(records: list[dict[str, Any]], filter: dict[str, Any], latest_only: bool) -> list[int]:
    """Return the numbers of what matches, newest first, as the evaluator has it."""
    holds = compile(normalize(parse(filter, DOCUMENTS)))
    found = [record for record in records if holds(record) and (record["is_latest"] or not latest_only)]
    return [one["number"] for one in sorted(found, key=itemgetter("created_at", "number"), reverse=True)]


def _micros(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize("pins", [{"tenant": "t"}, {"owner": "b", "tenant": "u"}], ids=str)
def test_pages_are_those_of_the_evaluator(filled: docstore.Store, pins: dict[str, Any]) -> None:
    """Every page, forwards and back, by offset and by cursor, its total, and within a scope."""
    records = [
        {**document.model_dump(mode="json"), "created_at": _micros(document.created_at)}
        for document in filled.documents.iterate(latest_only=False)
    ]
    assert {True, False} == {record["is_latest"] for record in records}
    for states, times, latest_only in product(STATES, TIMES, (True, False)):
        if latest_only and "is_latest" in states:
            continue
        filter = {**pins, **states, **times}
        numbers = expected(records, filter, latest_only)
        ask: dict[str, Any] = {"limit": 3, "latest_only": latest_only}
        page = filled.documents.find(filter, **ask, total=True)
        assert (numbers[:3], len(numbers)) == ([one.number for one in page.items], page.total), filter
        behind = filled.documents.find(filter, **ask, offset=2).items
        assert numbers[2:5] == [one.number for one in behind], filter
        if page.next_cursor is not None:
            second = filled.documents.find(filter, **ask, cursor=page.next_cursor)
            assert numbers[3:6] == [one.number for one in second.items], filter
            assert second.prev_cursor is not None
            first = filled.documents.find(filter, **ask, cursor=second.prev_cursor)
            assert numbers[:3] == [one.number for one in first.items], filter
        scoped = filled.scoped(**pins).documents
        upwards = scoped.find({**states, **times}, **ask, sort="created_at")
        assert numbers[::-1][:3] == [one.number for one in upwards.items], filter


def test_another_owner_within_a_scope(filled: docstore.Store) -> None:
    """A filter that contradicts the scope matches nothing, and one of nobody's owner what has none."""
    assert [] == filled.scoped(owner="a").documents.find({"owner": "b"}).items
    assert [] == filled.scoped(tenant="t").documents.find({"owner": "a", "tenant": None}).items
    assert {None} == {one.owner for one in filled.documents.find({"owner": None}).items}


@pytest.mark.parametrize(
    ("filter", "index"),
    [
        ({"owner": "a", "status": "failed"}, "document_owner"),
        ({"owner": "a"}, "document_owner"),
        ({"tenant": "t", "created_at": {"$gte": START}}, "document_tenant"),
    ],
    ids=str,
)
def test_the_database_reads_one_index(filled: docstore.Store, filter: dict[str, Any], index: str) -> None:
    """The statement names no postings, and the database's own plan sorts no more rows than the page has."""
    plan = filled.documents.explain(filter)
    if plan.backend == "memory":
        return
    assert plan.statement is not None
    assert plan.database_plan is not None
    assert "docstore_test" not in plan.statement
    if plan.backend == "sqlite":
        assert index in plan.database_plan
        assert not {
            line for line in plan.database_plan.splitlines() if line.strip().startswith("SCAN document")
        }


@pytest.mark.parametrize(
    "filter",
    [
        {"status": "failed"},
        {"owner": {"$in": ["a", "b"]}},
        {"owner": "a", "filename": "1"},
        {"owner": "a", "metadata.x": 1},
        {"$or": [{"owner": "a"}, {"owner": "b"}]},
        {"owner": {"$ne": "a"}},
        {"owner": None},
    ],
    ids=str,
)
def test_what_goes_another_way(filter: dict[str, Any]) -> None:
    """A status alone, several owners, and whatever asks of another field are left to the index."""
    assert column_filter(Query(DOCUMENTS, where=normalize(parse(filter, DOCUMENTS)))) is None
    owned = column_filter(
        Query(DOCUMENTS, Scope(owner="a"), normalize(parse({"status": "failed"}, DOCUMENTS)))
    )
    assert owned is not None
    assert (("owner", "a"),) == owned.pins
