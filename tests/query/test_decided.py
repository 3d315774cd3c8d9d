"""Many predicates of one field: which of them hold of its value decides all, and changes no answer."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docstore.query import predicates
from docstore.query.evaluate import compile
from docstore.query.expr import And, Compare, Expr, In, Match, Mod, Not, Or, Regex
from docstore.query.many.decided import decided, together
from docstore.query.predicates import Test

VALUES = [
    None, True, False, 0, 1, -1, 2**53 + 1, float(2**53), 1e16, -0.0, 0.5, "", "a", "b", "é", {}, {"a": 1},
    {"a": 2}, {"b": None}, [], [1], ["a"], [{"a": 1}], [[1]], {"a": [1, "a"]}, [{"a": 1}, {"a": "b"}, {}],
    {"a": {"0": "b"}},
]  # fmt: skip
FIELDS = st.sampled_from([("f",), ("f",), ("g",), ("f", "a"), ("f", "a", "0"), ("f", "1", "a")])
LEAVES = st.one_of(
    st.builds(
        Compare, FIELDS, st.sampled_from(["eq", "gt", "gte", "lt", "lte"]), st.sampled_from(VALUES)
    ),
    st.builds(In, FIELDS, st.lists(st.sampled_from(VALUES), max_size=4).map(tuple)),
    st.builds(Mod, FIELDS, st.sampled_from([2, -3]), st.sampled_from([0, 1, -1])),
    st.builds(Regex, FIELDS, st.sampled_from(["a", "^b?$", "[^é]", ""]), st.sampled_from(["", "i"])),
    st.builds(
        Match,
        FIELDS,
        st.sampled_from(["substring", "isubstring", "starts_with", "glob", "iglob"]),
        st.sampled_from(["a", "É", "", "[a-b]", "*"]),
    ),
)
TREES: st.SearchStrategy[Expr] = st.recursive(
    LEAVES,
    lambda terms: st.one_of(
        st.builds(Not, terms),
        st.builds(And, st.lists(terms, min_size=2, max_size=12).map(tuple)),
        st.builds(Or, st.lists(terms, min_size=2, max_size=12).map(tuple)),
    ),
    max_leaves=40,
)
RECORDS = st.dictionaries(st.sampled_from(["f", "g"]), st.sampled_from(VALUES))


def leaf_by_leaf(expr: Expr, record: dict[str, Any], free: bool) -> bool:
    """Tell whether a record matches, each leaf compiled by itself."""
    match expr:
        case And(terms):
            return all(leaf_by_leaf(term, record, free) for term in terms)
        case Or(terms):
            return any(leaf_by_leaf(term, record, free) for term in terms)
        case Not(term):
            return not leaf_by_leaf(term, record, free)
    return compile(expr, free=free)(record)


@given(TREES, st.lists(RECORDS, min_size=1, max_size=8), st.booleans())
def test_a_tree_is_what_its_leaves_come_to(expr: Expr, records: list[dict[str, Any]], free: bool) -> None:
    """Whatever is put together, and remembered from one record to the next (rules 9 to 13, 16)."""
    fits = compile(expr, free=free)
    assert [leaf_by_leaf(expr, record, free) for record in records] == [fits(record) for record in records]


def test_many_intervals_are_one_look_at_the_values() -> None:
    """So many that compare one path are taken together; others, and few, are left."""
    intervals = [And((Compare(("f", "g"), "gt", n), Compare(("f", "g"), "lt", n + 0.5))) for n in range(4)]
    other = Compare(("g",), "eq", 1)
    assert ([other], {("f", "g"): intervals}) == together([*intervals[:2], other, *intervals[2:]])
    assert (intervals[:3], {}) == together(intervals[:3])


def test_a_rank_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All comparisons are asked of the first value that has a rank, none of another."""
    asked: list[Any] = []

    def counted(leaf: Compare) -> Test:
        test = comparison(leaf)
        return lambda value: asked.append(value) or test(value)

    comparison = predicates.comparison
    monkeypatch.setattr(predicates, "comparison", counted)
    fits = decided(("f",), Or(tuple(Compare(("f",), "gt", f"q{n}") for n in range(50))))
    texts = ["p", "a", "q0a", "z", "q00", "zz"]
    assert [False, False, True, True, True, True] == [fits({"f": text}) for text in texts]
    assert {"p": 50, "q0a": 50, "z": 50} == Counter(asked)
