"""``normalize`` and ``wire``: tidy, and the same meaning; text and back."""

import pytest

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
)
from docstore.query.normalize import normalize
from docstore.query.wire import expr_from_json, expr_to_json

A = Compare(("a",), "eq", 1)
B = Compare(("b",), "gt", "x")
C = Exists(("c", "d"))


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
        (Contains(("a",), (1, None), True), '["contains",["a"],[1,null],true]'),
        (
            ElemMatch(("a",), Compare((), "gt", 1), "values"),
            '["element",["a"],["compare",[],"gt",1],"values"]',
        ),
        (Occurs("a b", ("a", "b"), True, False), '["occurs","a b",["a","b"],true,false]'),
    ],
)
def test_wire(expr: Expr, text: str) -> None:
    """The text of an Expr is canonical and comes back as the Expr, types of values included."""
    assert text == expr_to_json(expr)
    assert expr == expr_from_json(text)
    assert text == expr_to_json(expr_from_json(text))


@pytest.mark.parametrize(
    "text", ["", "1", "[]", '["bogus",["a"]]', '["compare"]', '["in",["a"]]', "{}", '["and",1]']
)
def test_other_texts(text: str) -> None:
    """A text that is none of them is ValueError."""
    with pytest.raises(ValueError):
        expr_from_json(text)
