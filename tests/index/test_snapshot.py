"""Bulk and tail: after any changes answers and pages are those of a scan, for readers of every state."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import pytest
from docstore_memory.index import MemoryPostings

import docstore
from docstore.backend import Query, SortKey
from docstore.index.bitmap import EMPTY
from docstore.index.columns import BitSlices, ValuesByRecord, double_ordinal
from docstore.index.search import answer_key
from docstore.index.snapshot import Bulk, Snapshot
from docstore.index.tail import RecordView, Tail
from docstore.index.terms import NUMBERS
from docstore.index.top_k import is_ordered, order_bounds
from docstore.query.evaluator import matches
from docstore.query.expr import Compare, Expr, In, Not
from docstore.query.fields import DOCUMENTS
from docstore.query.sorting import after_function, position_of, sort_key_function

FIELDS = {"metadata": True, "created_at": False, "status": False}
READING = RecordView(FIELDS, lambda record: record, is_whole=True)
QUESTIONS: list[tuple[Expr, ...]] = [
    (),
    (Compare(("metadata", "c"), "eq", "a"),),
    (Compare(("metadata", "n"), "gte", 4), Compare(("status",), "eq", "pending")),
    (Not(Compare(("metadata", "c"), "eq", "b")),),
    (In(("metadata", "n"), (1, 2, 3)), Compare(("created_at",), "lt", 300)),
    (Compare(("metadata", "r"), "eq", None),),
    (Compare(("created_at",), "gt", 500),),
]
ORDERS = [
    (SortKey(("created_at",), descending, descending), SortKey(("number",), descending, descending))
    for descending in (False, True)
] + [
    (
        SortKey(
            ("metadata", "n"),
        ),
        SortKey(("number",)),
    )
]


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seal segments of 4 records."""
    monkeypatch.setattr("docstore.index.tail.LOOSE", 3)


def record(rng: random.Random, number: int) -> dict[str, Any]:
    """Return a record as the evaluator reads it."""
    metadata: dict[str, Any] = {"c": rng.choice("abc"), "n": rng.randrange(9)}
    if rng.random() < 0.5:
        metadata["r"] = rng.choice([None, 1, [1, 2]])
    return {
        "number": number, "metadata": metadata, "created_at": rng.randrange(1_000),
        "status": rng.choice(["pending", "failed"]),
    }  # fmt: skip


def states(seed: int, turns: int) -> Iterator[tuple[Snapshot, dict[int, dict[str, Any]]]]:
    """Yield an index and its records after each of many changes, folded now and then."""
    rng = random.Random(seed)
    records: dict[int, dict[str, Any]] = {}
    folded: dict[int, dict[str, Any]] = {}
    stored = MemoryPostings()
    bulk, tail = Bulk(FIELDS, stored), Tail(READING)
    for turn in range(turns):
        changed: dict[int, dict[str, Any] | None] = {}
        for _ in range(rng.choice([1, 1, 2, 9])):
            number = rng.randrange(1, 60)
            changed[number] = None if rng.random() < 0.2 else record(rng, number)
        records = {**records, **{number: one for number, one in changed.items() if one is not None}}
        records = {number: one for number, one in records.items() if changed.get(number, one) is not None}
        tail = tail.changed(changed)
        if turn % 23 == 11:
            stale = set(tail.stale.members)
            before = {number: one for number, one in folded.items() if number in stale}
            stored.compact(FIELDS, before, tail.records())
            folded, bulk, tail = dict(records), Bulk(FIELDS, stored), Tail(READING)
        yield Snapshot(bulk, tail), records


def matching(terms: tuple[Expr, ...], records: dict[int, dict[str, Any]]) -> list[int]:
    """Return the numbers of the records that the evaluator takes."""
    return [number for number, one in sorted(records.items()) if all(matches(term, one) for term in terms)]


@pytest.mark.parametrize("seed", range(3))
def test_answers_are_those_of_a_scan(seed: int) -> None:
    """Low ⊆ what matches ⊆ high after every change: no stale record counts, and no dead one."""
    exact = 0
    for index, records in states(seed, 120):
        for terms in QUESTIONS:
            found, expected = index.find(terms, str(terms)), set(matching(terms, records))
            assert set(found.whole.lower.members) <= expected <= set(found.whole.upper.members)
            assert found.sure == len(found.whole.lower.members)
            assert found.most == len(found.whole.upper.members)
            exact += found.is_exact
    assert exact > 700


@pytest.mark.parametrize("order", ORDERS, ids=["ascending", "descending", "json"])
def test_pages_are_those_of_a_sort(order: tuple[SortKey, ...]) -> None:
    """Pages cut out of sets, behind offsets and positions."""
    rng = random.Random(7)
    key = sort_key_function(order)
    for index, records in states(5, 90):
        terms = rng.choice(QUESTIONS)
        name, matched = str(terms), matching(terms, records)
        found = index.find(terms, name)
        if not found.is_exact or not matched:
            continue
        whole = sorted(matched, key=lambda number: key(records[number]))
        for offset, limit in ((0, 1), (0, 7), (5, 6), (len(whole) - 2, 9), (len(whole) + 3, 2)):
            offset = max(0, offset)
            expected = whole[offset : offset + limit]
            cut = index.cut(found, order, offset, limit)
            if cut is not None:
                read = sorted([*cut.bulk.members, *cut.tail], key=lambda number: key(records[number]))
                assert read[cut.skip : cut.skip + limit] == expected
        place = rng.choice(whole)
        position = position_of(records[place], order)
        behind = [number for number in whole if after_function(position, order)(records[number])]
        cut = index.cut(found, order, 0, 4, position)
        if cut is not None:
            read = sorted([*cut.bulk.members, *cut.tail], key=lambda number: key(records[number]))
            assert [number for number in read if number in behind][cut.skip :][:4] == behind[:4]


@pytest.mark.parametrize("order", ORDERS[:2], ids=["ascending", "descending"])
def test_bounds_on_the_column_of_an_order_are_its_beginning_and_end(order: tuple[SortKey, ...]) -> None:
    """A page that begins at one bound and is cut off behind the other has what comparisons leave."""
    key, path = sort_key_function(order), ("created_at",)
    for (index, records), turn in zip(states(2, 60), cycle(range(5)), strict=False):
        ends = (Compare(path, "gt", 200), Compare(path, "lte", 700), Compare(path, "lt", 650))
        terms = (Compare(("metadata", "c"), "eq", "a"), *ends[turn // 2 : 1 + turn])
        bounds = order_bounds(terms, order)
        if bounds is None:
            continue
        whole = sorted(matching(terms, records), key=lambda number: key(records[number]))
        after = position_of(records[whole[1]], order) if len(whole) > 1 and turn % 2 else None
        behind = whole[2:] if after is not None else whole
        for offset in (0, 3):
            found = index.find(bounds.rest, answer_key(bounds.rest))
            cut = index.cut(found, order, offset, 5, bounds.behind(after))
            assert cut is not None
            read = sorted([*cut.bulk.members, *cut.tail], key=lambda number: key(records[number]))
            inside = [number for number in read if bounds.holds(records[number]["created_at"])]
            assert inside[cut.skip :][:5] == behind[offset : offset + 5]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (["-created_at", "-number"], True),
        (["created_at", "number"], True),
        (["created_at", "-number"], False),
        (["number"], False),
        (["processed_at", "number"], False),
        (["metadata", "number"], False),
    ],
)
def test_orders_that_bounds_are_taken_for(order: Sequence[str], expected: bool) -> None:
    """Only a column that always holds a number, and ``number`` in the same direction."""
    keys = [SortKey((text.lstrip("-"),), text.startswith("-"), text.startswith("-")) for text in order]
    assert expected is is_ordered(keys)


def test_values_are_what_the_records_hold() -> None:
    """By record, over several chunks, negative ones and those without a record between."""
    held = {
        number: {"created_at": value}
        for number, value in ((1, 0), (2, -5), (70_000, 1 << 50), (70_001, 7), (200_000, -(1 << 52)))
    }
    stored = MemoryPostings()
    stored.compact({"created_at": False}, {}, held)
    values = ValuesByRecord(stored.column(("created_at",), NUMBERS))
    assert values.of(list(held)) == [double_ordinal(one["created_at"]) for one in held.values()]
    assert sorted(held, key=lambda number: values.of([number])) == [200_000, 2, 1, 70_001, 70_000]
    assert ValuesByRecord(BitSlices(NUMBERS, EMPTY, {})).of([]) == []


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_snapshot_held_across_folds_sees_its_own_state(
    kind: str, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside new readers, whose bulk is of a later generation; none takes the other's."""
    monkeypatch.setattr("docstore_sqlite.delta_log.LOGGED_CHANGES", 8)
    monkeypatch.setattr("docstore_memory.index._COMPACTED_TOGETHER", 8)
    with docstore.open(sqlite_url if kind == "sqlite" else "memory://") as store:
        for number in range(20):
            store.documents.add(filename=f"{number}", metadata={"n": number % 5, "kind": "a"})
        for order in ((SortKey(("created_at",)), SortKey(("number",))), ORDERS[2]):
            query = Query(DOCUMENTS, where=Compare(("metadata", "kind"), "eq", "a"), order=order, limit=50)
            with store._context.backend.read(snapshot=True) as reader:
                first = [row["number"] for row in reader.select(query)]
                assert len(first) > 9
                for turn in range(4):
                    for document in list(store.documents.find(limit=10, offset=turn)):
                        store.documents.update(document.id, metadata={"kind": "ba"[turn % 2], "n": turn})
                    expected = {
                        document.number
                        for document in store.documents.iterate()
                        if document.metadata["kind"] == "a"
                    }
                    found = store.documents.find({"metadata.kind": "a"}, limit=50, total=True)
                    assert expected == {document.number for document in found}
                    assert found.total == len(expected)
                    assert [row["number"] for row in reader.select(query)] == first
                    assert reader.count(query) == len(first)
