"""``normalize`` and ``wire``: tidy, and the same meaning; text and back."""

from itertools import combinations, product
from typing import Any, Literal

import pytest

from docstore.query.evaluator import matches
from docstore.query.expr import (
    FALSE,
    TRUE,
    And,
    Compare,
    Contains,
    ElemMatch,
    Exists,
    Expr,
    In,
    Match,
    Mod,
    Not,
    Occurs,
    Or,
    Regex,
    Size,
    TypeIs,
    expr_to_json,
)
from docstore.query.planner import normalize

A = Compare(("a",), "eq", 1)
B = Compare(("b",), "gt", "x")
C = Exists(("c", "d"))
OTHER = ElemMatch(("b",), A, "records")


def element(condition: Expr) -> ElemMatch:
    """Return a condition on an element of ``a``."""
    return ElemMatch(("a",), condition, "records")


def bound(op: Literal["gt", "gte", "lt", "lte"], value: Any) -> Compare:
    """Return a bound on ``a``."""
    return Compare(("a",), op, value)


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (And((And((A, B)), C)), And((A, B, C))),
        (Or((Or((A, B)), C)), Or((A, B, C))),
        (And((A, And((B, And((C,)))))), And((A, B, C))),
        (And((A,)), A),
        (And(()), TRUE),
        (Or(()), FALSE),
        (And((A, TRUE)), A),
        (And((A, FALSE)), FALSE),
        (Or((A, FALSE)), A),
        (Or((A, TRUE)), TRUE),
        (Not(Not(A)), A),
        (Not(Not(Not(A))), Not(A)),
        (Not(TRUE), FALSE),
        (Not(And((TRUE,))), FALSE),
        (And((A, B, A)), And((A, B))),
        (Or((A, A)), A),
        (And((Or((A, B)), Or((A, B)))), Or((A, B))),
        (In(("a",), ()), FALSE),
        (In(("a",), (1,)), A),
        (In(("a",), (1, 1.0, True)), In(("a",), (1, True))),
        (Contains(("a",), (), False), FALSE),
        (Contains(("a",), (), True), Contains(("a",), (), True)),
        (TypeIs(("a",), frozenset()), FALSE),
        (Compare(("a",), "lt", None), FALSE),
        (Compare(("a",), "gte", None), Compare(("a",), "eq", None)),
        (ElemMatch(("a",), And((A, FALSE)), "records"), FALSE),
        (Or((element(A), C, element(B))), Or((element(Or((A, B))), C))),
        (Or((Not(A), C, Not(B))), Or((Not(And((A, B))), C))),
        (Or((Not(A), Not(And((A, B))))), Not(And((A, B)))),
        (And((Not(A), Not(B))), And((Not(A), Not(B)))),
        (Not(Or((Not(bound("lt", 1)), Not(bound("lt", 2))))), bound("lt", 1)),
        (Or((element(A), OTHER)), Or((element(A), OTHER))),
        (And((element(A), element(B))), And((element(A), element(B)))),
        (Or((element(Or((A, B))), element(C))), element(Or((A, B, C)))),
        (And((bound("gt", 1), bound("gt", 3), bound("gte", 3))), bound("gt", 3)),
        (Or((bound("gt", 1), bound("gt", 3), bound("gte", 1))), bound("gte", 1)),
        (And((bound("lt", 4), bound("lte", 2.5), bound("lt", 3))), bound("lte", 2.5)),
        (Or((bound("lte", [1]), bound("lt", [1, 2]))), bound("lt", [1, 2])),
        (And((bound("gt", 1), bound("lt", 1))), And((bound("gt", 1), bound("lt", 1)))),
        (And((bound("gt", 1), bound("gt", "1"))), And((bound("gt", 1), bound("gt", "1")))),
        (And((bound("gt", 1), B, bound("gt", 2))), And((bound("gt", 2), B))),
        (Or((bound("gt", 1), A, bound("gt", 0))), Or((bound("gt", 0), A))),
        (ElemMatch(("a",), And((A,)), "records"), ElemMatch(("a",), A, "records")),
        (Not(ElemMatch(("a",), FALSE, "values")), TRUE),
        (Not(Or((A, B))), Not(Or((A, B)))),
    ],
)
def test_tidying(expr: Expr, expected: Expr) -> None:
    """ARCHITECTURE: flat, without constants, double negations, groups of one, repetitions."""
    assert expected == normalize(expr)
    assert normalize(normalize(expr)) == normalize(expr)


def test_bools_are_not_repetitions_of_numbers() -> None:
    """Rule 3: ``1`` and ``True`` are two values though Python calls the leaves equal."""
    true = Compare(("a",), "eq", True)
    assert repr(And((A, true))) == repr(normalize(And((A, true))))
    assert expr_to_json(A) != expr_to_json(true)


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (TRUE, '["always",true]'),
        (A, '["compare",["a"],"eq",1]'),
        (Compare(("a",), "eq", {"b": 1.0, "a": None}), '["compare",["a"],"eq",{"a":null,"b":1.0}]'),
        (And((A, Not(C))), '["and",["compare",["a"],"eq",1],["not",["exists",["c","d"]]]]'),
        (Or((A, B)), '["or",["compare",["a"],"eq",1],["compare",["b"],"gt","x"]]'),
        (In(("a",), (1, [2], "é")), '["in",["a"],[1,[2],"é"]]'),
        (TypeIs(("a",), frozenset({"string", "int"})), '["type",["a"],["int","string"]]'),
        (Size(("a",), 3), '["size",["a"],3]'),
        (Mod(("a",), 4, -1), '["mod",["a"],4,-1]'),
        (Regex(("a",), "^x", "im"), '["regex",["a"],"^x","im"]'),
        (Match(("a",), "iglob", "*"), '["match",["a"],"iglob","*"]'),
        (Contains(("a",), (1, None), True), '["contains",["a"],[1,null],true,[]]'),
        (
            ElemMatch(("a",), Compare((), "gt", 1), "values"),
            '["element",["a"],["compare",[],"gt",1],"values"]',
        ),
        (Occurs("a b", ("a", "b"), True, False), '["occurs","a b",["a","b"],true,false,false]'),
    ],
)
def test_wire(expr: Expr, text: str) -> None:
    """The text of an Expr is canonical: its word, then its fields, types of values included."""
    assert text == expr_to_json(expr)


def test_the_deciding_bound_says_what_all_do() -> None:
    """Bounds on arrays, on several types and next to each other match what each of them for itself does."""
    values = (0, 1, 1.5, "", "b", [1], {"a": 1}, True)
    records: list[Any] = [{"a": value} for value in values]
    records += [{"a": list(some)} for some in combinations(values, 2)]
    records += [{}, {"a": None}, {"a": []}, {"a": [{"a": 2}, [0]]}]
    ops: tuple[Literal["gt", "gte", "lt", "lte"], ...] = ("gt", "gte", "lt", "lte")
    bounds = [bound(op, value) for op, value in product(ops, values)]
    for some in combinations(bounds, 2):
        for record in records:
            each = [matches(one, record) for one in some]
            assert all(each) == matches(normalize(And(some)), record), (some, record)
            assert any(each) == matches(normalize(Or(some)), record), (some, record)
