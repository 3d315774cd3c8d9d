"""Bounds: checked first, without recursion, named in the error."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from docstore.errors import FilterError, FilterTooComplex
from docstore.limits import Limits
from docstore.query.fields import DOCUMENTS
from docstore.query.parser import parse
from docstore.query.scoping import under


def nested(word: str, depth: int) -> dict[str, Any]:
    filter: dict[str, Any] = {"a": 1}
    for _ in range(depth):
        filter = {word: [filter]}
    return filter


def negated(depth: int) -> dict[str, Any]:
    condition: dict[str, Any] = {"$gt": 1}
    for _ in range(depth):
        condition = {"$not": condition}
    return {"a": condition}


def elements(depth: int) -> dict[str, Any]:
    condition: dict[str, Any] = {"b": 1}
    for _ in range(depth):
        condition = {"b": {"$elemMatch": condition}}
    return condition


def literal(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("allowed", "refused", "bound"),
    [
        (nested("$and", 16), nested("$and", 17), "nesting"),
        (nested("$or", 16), nested("$nor", 17), "nesting"),
        (negated(16), negated(17), "nesting"),
        (elements(16), elements(17), "nesting"),
        ({"a": literal(64)}, {"a": literal(65)}, "operand_depth"),
        ({"a": {"$in": [literal(64)]}}, {"a": {"$in": [literal(65)]}}, "operand_depth"),
        ({"$or": [{"a": 1}] * 500}, {"$or": [{"a": 1}] * 501}, "predicates"),
        ({f"k{n}": 1 for n in range(500)}, {f"k{n}": 1 for n in range(501)}, "predicates"),
        ({"a": {"$in": list(range(10_000))}}, {"a": {"$in": list(range(10_001))}}, "list_length"),
        ({"a": {"$nin": list(range(10_000))}}, {"a": {"$nin": list(range(10_001))}}, "list_length"),
        ({".".join("a" * 16): 1}, {".".join("a" * 17): 1}, "path_steps"),
        ({"a": "x" * 65_536}, {"a": "x" * 65_537}, "operand_bytes"),
        ({"a": "é" * 32_768}, {"a": "é" * 32_769}, "operand_bytes"),
        ({"a": {"$in": ["x" * 65_536]}}, {"a": {"$in": ["x" * 65_537]}}, "operand_bytes"),
        ({"a": ["x" * 65_532]}, {"a": ["x" * 65_533]}, "operand_bytes"),
        ({"a": {"$regex": "x" * 1000}}, {"a": {"$regex": "x" * 1001}}, "pattern_characters"),
        ({"a": {"$glob": "*" * 1000}}, {"a": {"$glob": "*" * 1001}}, "pattern_characters"),
        ({"a": {"$regex": "\\pL{1,20}"}}, {"a": {"$regex": "\\pL{1,21}"}}, "pattern_instructions"),
        (
            {"$or": [{f"k{n}": {"$regex": "x"}} for n in range(100)]},
            {"$or": [{f"k{n}": {"$regex": "x"}} for n in range(101)]},
            "patterns",
        ),
        (
            {"$nor": [{"a": {"$not": {"$glob": "x"}}}] * 100 + [{"b": 1}]},
            {"$nor": [{"a": {"$not": {"$glob": "x"}}}] * 100 + [{"b": re.compile("x")}]},
            "patterns",
        ),
        (
            {"$and": [{"a": {"$elemMatch": {"b": {"$iglob": "x", "$not": re.compile("x")}}}}] * 50},
            {"$and": [{"a": {"$elemMatch": {"b": {"$iglob": "x", "$not": re.compile("x")}}}}] * 51},
            "patterns",
        ),
        ({"a": {"$eq": {"k": 1}}}, {"a": {"$eq": {"k" * 70_000: 1}}}, "operand_bytes"),
        ({"$comment": "x"}, {"$comment": literal(100)}, "operand_depth"),
        ({"a": 1}, {"x" * 70_000: 1}, "operand_bytes"),
    ],
)
def test_each_bound(allowed: Any, refused: Any, bound: str) -> None:
    """Bounds: what is just within passes, one more does not; the error names the bound and its limit."""
    parse(allowed, None)
    with pytest.raises(FilterTooComplex) as wrong:
        parse(refused, None)
    assert bound == wrong.value.bound
    assert getattr(Limits(), bound) == wrong.value.limit
    assert bound in str(wrong.value)


def test_limits_can_be_set() -> None:
    """Bounds: settable."""
    parse(nested("$and", 20), None, limits=Limits(nesting=20))
    with pytest.raises(FilterTooComplex):
        parse(nested("$and", 2), None, limits=Limits(nesting=1))


def cyclic_list() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


def cyclic_filter() -> Any:
    filter: dict[str, Any] = {}
    filter["$and"] = [filter, filter]
    return filter


def cyclic_operators() -> Any:
    operators: dict[str, Any] = {}
    operators["$not"] = operators
    return {"a": operators}


def bomb() -> Any:
    value: Any = ["x"]
    for _ in range(60):
        value = [value, value]
    return value


def filter_bomb() -> Any:
    filter: dict[str, Any] = {}
    for _ in range(16):
        filter = {"$and": [filter] * 50}
    return filter


MONSTERS: list[Callable[[], Any]] = [
    lambda: nested("$and", 100_000),
    lambda: nested("$nor", 100_000),
    lambda: negated(100_000),
    lambda: elements(100_000),
    lambda: {"a": literal(100_000)},
    lambda: {"a": {"$bogus": literal(100_000)}},
    lambda: {"$bogus": literal(100_000)},
    lambda: {"a": "x" * 10_000_000},
    lambda: {"a": list(range(1_000_000))},
    lambda: {"a": {"$in": ["x" * 1000] * 10_000}},
    lambda: {"$or": [{"a": 1}] * 1_000_000},
    lambda: {"$or": [1] * 1_000_000},
    lambda: {"$and": [{}] * 1_000_000},
    lambda: {f"k{n}": 1 for n in range(200_000)},
    lambda: {"a": {f"$k{n}": 1 for n in range(200_000)}},
    lambda: {"x" * 10_000_000: 1},
    lambda: {"a": cyclic_list()},
    cyclic_filter,
    cyclic_operators,
    lambda: {"a": bomb()},
    filter_bomb,
]


@pytest.mark.parametrize("make", MONSTERS, ids=lambda _: "")
def test_monsters_cost_milliseconds(make: Callable[[], Any]) -> None:
    """Bounds: any depth, any size, and what contains itself: FilterTooComplex at once, no recursion."""
    filter = make()
    for collection in (None, DOCUMENTS):
        before = time.thread_time()
        with pytest.raises(FilterTooComplex):
            parse(filter, collection)
        assert time.thread_time() - before < 0.5
    with pytest.raises(FilterTooComplex):
        under("metadata", filter)


def test_errors_survive_large_input() -> None:
    """Errors: an error text stays short whatever the filter holds."""
    with pytest.raises(FilterError) as wrong:
        parse({"status": "x" * 60_000}, DOCUMENTS)
    assert len(str(wrong.value)) < 400
    with pytest.raises(FilterError) as unknown:
        parse({"y" * 60_000: 1}, DOCUMENTS)
    assert len(str(unknown.value)) < 800
