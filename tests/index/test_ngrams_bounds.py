"""Texts on the index: several bounds on one, and many tests of one, beside what the evaluator says."""

from __future__ import annotations

from typing import Any

from docstore_memory.index import MemoryPostings
from hypothesis import given, settings
from hypothesis import strategies as st

from docstore.index.bitmap import Bitmap
from docstore.index.extract import indexed_fields
from docstore.index.snapshot import Bulk, Snapshot
from docstore.index.tail import RecordView, Segment, Tail
from docstore.query.evaluator import matches
from docstore.query.expr import And, Compare, Expr, Match, Not, Or, Regex
from docstore.query.fields import DOCUMENTS, Kind

LONG = "a text that is longer than a key " * 2
TEXTS = [
    "",
    "a",
    "ab",
    "b",
    "é",
    "2026-01-01",
    "2026-01-01T00:00:00Z",
    "2026-02",
    LONG,
    LONG + "z",
    LONG[:24],
    "t",
    "n",
]
VALUES = st.one_of(st.sampled_from(TEXTS), st.sampled_from([1, None, True, {"b": "a"}]))
SINGLE = st.one_of(st.just({}), VALUES.map(lambda value: {"a": value}))
SEVERAL = st.one_of(SINGLE, st.lists(VALUES, max_size=3).map(lambda values: {"a": values}))
BOUNDS = st.builds(
    Compare, st.just(("metadata", "a")), st.sampled_from(["gt", "gte", "lt", "lte"]), st.sampled_from(TEXTS)
)
TESTS = st.one_of(
    st.builds(
        Regex, st.just(("metadata", "a")), st.sampled_from(["a", "^b?$", "[^é]", "", "6-0"]), st.just("")
    ),
    st.builds(
        Match,
        st.just(("metadata", "a")),
        st.sampled_from(["substring", "isubstring", "starts_with", "glob"]),
        st.sampled_from(["a", "", "*-0*", "É"]),
    ),
)


def check(expr: Expr, metadata: list[dict[str, Any]]) -> bool:
    """Compare the index, half of it folded and half a segment, with the evaluator; return whether the answer
    was exact.
    """
    fields = {name: DOCUMENTS.column(name).kind is Kind.JSON for name in indexed_fields(DOCUMENTS)}
    records: dict[int, Any] = {
        number: {"metadata": one, "content_type": str(one.get("a")), "number": number}
        for number, one in enumerate(metadata, 1)
    }
    stored = MemoryPostings()
    stored.compact(fields, {}, {number: record for number, record in records.items() if number % 2})
    tail = Tail(RecordView(fields, lambda record: record, is_whole=True))
    others = {number: record for number, record in records.items() if not number % 2}
    tail.segments = ((Segment(fields, others), (1 << len(others)) - 1),) if others else ()
    tail.stale = Bitmap.of(list(others))
    expected = {number for number, record in records.items() if matches(expr, record)}
    found = Snapshot(Bulk(fields, stored), tail).find((expr,), "").whole
    assert set(found.lower.members) <= expected <= set(found.upper.members), (expr, found, expected)
    return found.is_exact


@settings(max_examples=14 * settings().max_examples)
@given(st.lists(BOUNDS, min_size=2, max_size=4), st.lists(SINGLE, max_size=12))
def test_several_bounds_on_one_text(asked: list[Compare], metadata: list[dict[str, Any]]) -> None:
    """Where no record has two values they are one run of keys (rule 12)."""
    check(And(tuple(asked)), metadata)
    check(Not(And(tuple(asked))), metadata)


@given(st.lists(BOUNDS, min_size=2, max_size=4), st.lists(SEVERAL, max_size=12))
def test_several_bounds_on_several_texts(asked: list[Compare], metadata: list[dict[str, Any]]) -> None:
    """Each bound may take another element (rule 9)."""
    check(And(tuple(asked)), metadata)


def test_they_are_exact() -> None:
    """Short texts need no evaluator, nor do two bounds with nothing between them."""
    texts: list[dict[str, Any]] = [{"a": text} for text in ("a", "ab", "b", "é")]
    for path in (("metadata", "a"), ("content_type",)):
        for lower, upper in (("a", "b"), ("b", "a"), ("a", "a")):
            for ops in (("gt", "lt"), ("gte", "lte")):
                pair = And((Compare(path, ops[0], lower), Compare(path, ops[1], upper)))
                assert check(pair, texts), pair


@given(st.lists(TESTS, min_size=8, max_size=14), st.lists(SEVERAL, max_size=10))
def test_many_tests_of_a_text(asked: list[Regex | Match], metadata: list[dict[str, Any]]) -> None:
    """All of them, any of them, none of them, pairs of them: no record is lost, none is taken wrongly."""
    pairs = [And(pair) for pair in zip(asked, reversed(asked), strict=True)]
    for expr in (
        And(tuple(asked)),
        Or(tuple(asked)),
        Not(Or(tuple(asked))),
        Or(tuple(pairs)),
        And((*asked, Or(tuple(pairs)))),
    ):
        check(expr, metadata)
