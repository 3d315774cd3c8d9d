"""Alternatives that need a text to match are tried only where one does, and that changes no answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import docstore
from docstore.query import predicates
from docstore.query.evaluate import compile
from docstore.query.expr import And, Compare, Contains, Expr, In, Match, Mod, Or, Regex
from docstore.query.many.guard import COMPARISONS, TEXTS, guarded
from docstore.query.predicates import Test

TEXTS_ = st.builds(
    lambda kind, path, text: Regex(path, text, "") if kind == "regex" else Match(path, kind, text),
    st.sampled_from(["regex", "substring", "isubstring", "starts_with", "iglob"]),
    st.sampled_from([("f",), ("g", "a")]),
    st.sampled_from(["a", "b", "ab", "B", "", "é"]),
)
OTHERS = st.one_of(
    TEXTS_,
    st.builds(Mod, st.just(("n",)), st.sampled_from([2, 3]), st.integers(0, 2)),
    st.builds(
        Compare,
        st.sampled_from([("f",), ("n",), ("g", "a")]),
        st.sampled_from(["eq", "gte"]),
        st.sampled_from(["a", 1, 2, None]),
    ),
    st.builds(In, st.just(("n",)), st.lists(st.integers(0, 4), max_size=2).map(tuple)),
    st.builds(
        Contains,
        st.just(("g", "a")),
        st.lists(st.sampled_from(["b", 1]), max_size=2).map(tuple),
        st.booleans(),
    ),
)
PAIRS = st.builds(
    lambda text, other: And((other, text)),
    OTHERS,
    st.builds(Compare, st.just(("n",)), st.just("lt"), st.integers(0, 4)),
)
RECORDS = st.fixed_dictionaries(
    {"f": st.sampled_from(["a", "xAb", "é", "", None, 7]), "n": st.integers(0, 4)},
    optional={"g": st.sampled_from([{"a": "ab"}, {"a": ["b", 1]}, [{"a": "B"}, {}], {}, "a"])},
)


@given(st.lists(st.one_of(OTHERS, PAIRS), min_size=2, max_size=24), st.lists(RECORDS, min_size=1, max_size=6))
def test_the_answer_is_that_of_the_alternatives_by_themselves(terms: list[Expr], records: list[Any]) -> None:
    """Whether any of them holds, each compiled alone."""
    fits = compile(Or(tuple(terms)))
    expected = [any(compile(term)(record) for term in terms) for record in records]
    assert expected == [fits(record) for record in records]


def test_alternatives_are_sorted_out_by_the_text_they_need() -> None:
    """Few on one path, and those that need no text, are left."""
    pairs = [And((Compare(("n",), "eq", n), Regex(("f",), f"a{n}", ""))) for n in range(8)]
    few = [And((Match(("g",), "substring", "a"), Compare(("n",), "eq", n))) for n in range(3)]
    plain = Compare(("n",), "eq", 9)
    others, groups = guarded([*pairs, *few, plain], (TEXTS,))
    assert {("f",): pairs} == {group.path: group.terms for group in groups}
    assert Counter(map(repr, [*few, plain])) == Counter(map(repr, others))


def test_what_is_needed_most_differently_is_asked_first() -> None:
    """Of two paths that all alternatives compare, the one with more operands."""
    pairs = [And((Compare(("s",), "eq", "x"), Compare(("n",), "eq", n))) for n in range(8)]
    others, groups = guarded(pairs, (COMPARISONS,))
    assert ([], [("n",)]) == (others, [group.path for group in groups])


def test_no_alternative_is_tried_where_no_text_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The text is gone through once, not once an alternative."""
    tried: list[Any] = []

    def counted(pattern: str, flags: str) -> Test:
        test = matches_regex(pattern, flags)
        return lambda value: tried.append(value) or test(value)

    matches_regex = predicates.matches_regex
    monkeypatch.setattr(predicates, "matches_regex", counted)
    pairs = [And((Regex(("f",), f"a{n}", ""), Compare(("n",), "eq", 0))) for n in range(20)]
    fits = compile(Or(tuple(pairs)))
    assert ([False, 0], [True, True]) == (
        [fits({"f": "b7", "n": 0}), len(tried)],
        [fits({"f": "a7", "n": 0}), len(tried) > 0],
    )


@pytest.mark.parametrize("field", ["content", "filename", "metadata.a"])
def test_every_backend_finds_the_one_alternative(url: str, field: str) -> None:
    """A text that one of many alternatives matches, whatever else they ask."""
    texts = ["seven q7 x", "nine q9 x", "none"]
    with docstore.open(url) as store:
        for n, text in enumerate(texts):
            store.documents.add(None, filename=text, content=text, metadata={"a": text, "n": n})
        assert ["nine q9 x"] == names(
            store, [{field: {"$regex": f"q{n}.x"}, "metadata.n": 1} for n in range(12)]
        )
        assert [] == names(store, [{field: {"$regex": f"q{n}.y"}, "metadata.n": 1} for n in range(12)])


def names(store: docstore.Store, alternatives: Sequence[Any]) -> list[str]:
    """Return the filenames of what matches."""
    return [document.filename for document in store.documents.find({"$or": alternatives}).items]
