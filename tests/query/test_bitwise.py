"""And, Or and Not of bits come to what they come to leaf by leaf."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from docstore.query.evaluate import compile
from docstore.query.expr import And, Compare, Expr, Match, Mod, Not, Or, Regex, leaves
from docstore.query.many.bitwise import comes_to, stretches, terms_come_to
from docstore.query.many.sifted import sifted

LEAF = Compare(("f",), "eq", 1)
TREES: st.SearchStrategy[Expr] = st.recursive(
    st.just(LEAF),
    lambda terms: st.one_of(
        st.builds(Not, terms),
        st.builds(And, st.lists(terms, min_size=1, max_size=9).map(tuple)),
        st.builds(Or, st.lists(terms, min_size=1, max_size=9).map(tuple)),
    ),
    max_leaves=60,
)


def by_leaf(expr: Expr, bits: list[bool]) -> bool:
    """Tell what an expression comes to; takes the leaves' answers off the list."""
    match expr:
        case And(terms):
            return all([by_leaf(term, bits) for term in terms])  # noqa: C419 - each takes its answers
        case Or(terms):
            return any([by_leaf(term, bits) for term in terms])  # noqa: C419
        case Not(term):
            return not by_leaf(term, bits)
    return bits.pop(0)


@given(TREES, st.integers(0, 2**60 - 1))
def test_an_expression_of_bits(expr: Expr, bits: int) -> None:
    """However deep and wide, and whatever stands beside it."""
    answers = [bool(bits >> at & 1) for at in range(60)]
    assert by_leaf(expr, answers) == comes_to(expr)(bits)


@given(st.lists(TREES, min_size=1, max_size=12), st.integers(0, 2**300 - 1))
def test_terms_of_bits(terms: list[Expr], bits: int) -> None:
    """Each term says what it comes to at the place of its first leaf."""
    answers = [bool(bits >> at & 1) for at in range(800)]
    expected = sum(by_leaf(term, answers) << first for term, first in stretches(terms))
    assert expected == terms_come_to(terms)(bits)


PATHS = st.sampled_from([("f",), ("g",), ("f", "a")])
LEAVES = st.one_of(
    st.builds(Compare, PATHS, st.sampled_from(["eq", "gt", "lt"]), st.sampled_from([1, "a", "b", None])),
    st.builds(Regex, PATHS, st.sampled_from(["a", "^b?$", "[^é]", ""]), st.sampled_from(["", "i"])),
    st.builds(Match, PATHS, st.sampled_from(["substring", "iglob"]), st.sampled_from(["a", "É", "*b"])),
    st.builds(Mod, PATHS, st.just(2), st.sampled_from([0, 1])),
)
TERMS: st.SearchStrategy[Expr] = st.recursive(
    LEAVES,
    lambda terms: st.one_of(
        st.builds(Not, terms),
        st.builds(And, st.lists(terms, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(terms, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)
VALUES = st.sampled_from([None, 1, 2, "a", "b", "é", "", ["a", 1], [], {"a": "b"}, [{"a": 1}, {"a": "a"}]])


@given(
    st.lists(TERMS, min_size=8, max_size=14),
    st.lists(st.dictionaries(st.sampled_from("fg"), VALUES), min_size=1, max_size=4),
)
def test_sifted_terms_are_tried_terms(terms: list[Expr], records: list[dict[str, Any]]) -> None:
    """To sift terms, of which some ask what is not known at once, changes no answer."""
    for kind, whole in ((Or, any), (And, all)):
        test = sifted(terms, kind, compile)
        if test is None:
            continue
        for record in records * 2:
            assert whole([compile(term)(record) for term in terms]) == test(record)


def test_few_are_not_sifted() -> None:
    """Few terms, or few questions to any one path, are left as they are."""
    many = [And((Compare(("f", str(n)), "eq", n), Mod(("g",), 2, 1))) for n in range(20)]
    assert sifted(many, Or, compile) is None
    assert sifted([Compare(("f",), "eq", n) for n in range(7)], Or, compile) is None
    assert sum(1 for term in many for _ in leaves(term)) == 40
