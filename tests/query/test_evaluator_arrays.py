"""Predicates: rules 16, 17, 19, and ``$contains``."""

from typing import Any

import pytest

import docstore
from docstore.errors import FilterError, FilterSyntaxError, FilterValueError
from docstore.query.evaluator import matches_filter
from docstore.query.expr import All, Compare, leaves
from docstore.query.parser import parse
from docstore.query.planner import normalize


@pytest.mark.parametrize(
    ("size", "value", "expected"),
    [
        (0, [], True),
        (2, [1, 2], True),
        (2.0, [1, 2], True),
        (1, [[1, 2]], True),
        (1, 1, False),
        (0, None, False),
        (1, "a", False),
        (1, {"0": 1}, False),
        (2**31 - 1, [], False),
    ],
)
def test_size(size: Any, value: Any, expected: bool) -> None:
    """Rule 16: an array of exactly that length."""
    assert expected == matches_filter({"a": {"$size": size}}, {"a": value})


@pytest.mark.parametrize("size", [-1, 1.5, "1", None, True, [1], 2**31, 2**63, 1e300, float("inf")])
def test_bad_sizes(size: Any) -> None:
    """Rule 16: a whole number from 0 to 2^31 - 1."""
    with pytest.raises(FilterValueError):
        matches_filter({"a": {"$size": size}}, {})


@pytest.mark.parametrize(
    ("operand", "value", "expected"),
    [
        ([4, 0], 8, True),
        ([4, 0], [3, 8], True),
        ([4, 3], 7.9, True),
        ([4, -3], -7, True),
        ([4, 1], -7, False),
        ([-4, 3], 7, True),
        ([-4, -3], -7.5, True),
        ([4.9, 0.9], 8, True),
        ([4, 0], True, False),
        ([4, 0], "8", False),
        ([4, 0], None, False),
        ([2, 0], 1e300, False),
        ([1, 0], -0.5, True),
        ([-1, 0], -(2**63), True),
        ([2**62, 1], 2**62 + 1, True),
        ([4, 9], 9, False),
    ],
)
def test_mod(operand: Any, value: Any, expected: bool) -> None:
    """Rule 16: everything truncated to int64, the sign of the dividend; beyond int64 nothing matches."""
    assert expected == matches_filter({"a": {"$mod": operand}}, {"a": value})


@pytest.mark.parametrize(
    "operand",
    [
        4,
        [],
        [4],
        [4, 0, 1],
        [0, 0],
        [0.5, 0],
        ["4", 0],
        [4, "0"],
        [4, None],
        [True, 0],
        None,
        {"a": 1},
        [float("nan"), 0],
        [1, float("inf")],
        [1e300, 0],
        [2**63, 0],
        [10**400, 0],
    ],
)
def test_bad_mods(operand: Any) -> None:
    """Rule 16: two numbers within int64, the divisor not 0."""
    with pytest.raises(FilterValueError):
        matches_filter({"a": {"$mod": operand}}, {})


@pytest.mark.parametrize(
    ("values", "document", "expected"),
    [
        ([1, 2], {"a": [2, 3, 1]}, True),
        ([1, 2], {"a": [1]}, False),
        ([1], {"a": 1}, True),
        ([1, 1], {"a": 1}, True),
        ([[1, 2]], {"a": [1, 2]}, True),
        ([[1, 2]], {"a": [[1, 2], 3]}, True),
        ([[1, 2], 1], {"a": [1, 2]}, True),
        ([None], {}, True),
        ([None], {"a": [1]}, False),
        ([{"b": 1}], {"a": [{"b": 1}]}, True),
        ([{}], {"a": [{}]}, True),
        ([], {"a": []}, False),
        ([], {}, False),
        ([{"$elemMatch": {"b": 1}}, {"$elemMatch": {"b": 2}}], {"a": [{"b": 1}, {"b": 2}]}, True),
        ([{"$elemMatch": {"b": 1}}, {"$elemMatch": {"b": 2}}], {"a": [{"b": 1}]}, False),
        ([{"$elemMatch": {"$gt": 1}}], {"a": [0, 2]}, True),
        ([{"$elemMatch": {"$gt": 1}}], {"a": 2}, False),
    ],
)
def test_all(values: Any, document: Any, expected: bool) -> None:
    """Rule 16: every listed value by ``$eq``, or a list of ``$elemMatch``; ``[]`` matches nothing."""
    assert expected == matches_filter({"a": {"$all": values}}, document)
    assert expected is not matches_filter({"a": {"$not": {"$all": values}}}, document)


@pytest.mark.parametrize("path", ["a", "a.b", "a.0", "a.b.c"])
def test_all_of_many_scalars(store: docstore.Store, path: str) -> None:
    """Rule 16: however many values ``$all`` lists, it is an ``$and`` of as many ``$eq``."""
    many = [1, True, "x", 2.5, "", *range(100, 118)]
    records: list[Any] = [
        {"a": many}, {"a": many[:-1]}, {"a": [{"b": many[:9]}, {"b": many[9:]}]}, {"a": {"b": many}},
        {"a": [many]}, {"a": {"b": [{"c": value} for value in many]}}, {"a": [[*many, 1.0], 7]}, {"a": 1},
        {"a": [1.0, *many[1:]]}, {"a": ["1", *many[1:]]}, {"a": [1, 1, *many[2:]]}, {},
    ]  # fmt: skip
    store.documents.add_many([{"metadata": record} for record in records])
    for count in (2, 3, 16, 17, len(many)):
        listed: Any = {f"metadata.{path}": {"$all": many[:count]}}
        each = {"$and": [{f"metadata.{path}": {"$eq": value}} for value in many[:count]]}
        assert store.documents.count(each) == store.documents.count(listed)
        found = [document.number for document in store.documents.find({"$nor": [each]}).items]
        assert found == [document.number for document in store.documents.find({"$nor": [listed]}).items]


def test_all_is_one_leaf() -> None:
    """Rule 16: ``$all`` of scalars stays one leaf, the values of which are looked up in one set."""
    expr = normalize(parse({"a": {"$all": [1, "x", 1.0, None, [2]]}}, None))
    assert [All(("a",), (1, "x")), Compare(("a",), "eq", None), Compare(("a",), "eq", [2])] == [*leaves(expr)]
    assert Compare(("a",), "eq", 1) == normalize(parse({"a": {"$all": [1, 1.0]}}, None))


@pytest.mark.parametrize(
    "values",
    [
        [{"$elemMatch": {"b": 1}}, 1],
        [1, {"$elemMatch": {"b": 1}}],
        [{"$elemMatch": {}}, {"$in": []}],
        [{"$gt": 1}],
        [{"$elemMatch": 1}],
        [{"$elemMatch": {"b": 1}, "$gt": 1}],
    ],
)
def test_bad_alls(values: Any) -> None:
    """Rule 16: values and ``$elemMatch`` are not mixed, other operators are errors."""
    with pytest.raises(FilterError):
        matches_filter({"a": {"$all": values}}, {})


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [
        ({"$gt": 1, "$lt": 3}, [0, 4], False),
        ({"$gt": 1, "$lt": 3}, [0, 2], True),
        ({"$gt": 1}, 2, False),
        ({"$eq": 1}, [[1]], False),
        ({"$eq": [1]}, [[1]], True),
        ({"$elemMatch": {"$eq": 1}}, [[1]], True),
        ({"$elemMatch": {"$eq": 1}}, [1], False),
        ({"$size": 1}, [[1]], True),
        ({"$size": 1}, [1], False),
        ({"$in": [[1], 2]}, [[1]], True),
        ({"$in": [1]}, [[1]], False),
        ({"$exists": True}, [None], True),
        ({"$exists": True}, [], False),
        ({"$exists": False}, [1], False),
        ({"$eq": None}, [None], True),
        ({"$eq": None}, [], False),
        ({"$ne": 1}, [1], False),
        ({"$ne": 1}, [1, 2], True),
        ({"$not": {"$gt": 1}}, [5, 0], True),
        ({"$nin": [1, 2]}, [1, 2], False),
        ({"$type": "array"}, [[1]], True),
        ({"$type": "int"}, [[1]], False),
        ({"$mod": [2, 0]}, [[2]], False),
        ({"$all": [1]}, [[1]], False),
        ({"$all": [[1]]}, [[1]], True),
        ({"$contains": 1}, [[1]], True),
        ({"$substring": "x"}, [["x"]], False),
    ],
)
def test_element_by_operators(condition: Any, value: Any, expected: bool) -> None:
    """Rule 17: operators are applied to one element, arrays in arrays are not opened."""
    assert expected == matches_filter({"a": {"$elemMatch": condition}}, {"a": value})


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [
        ({"b": 1, "c": 2}, [{"b": 1}, {"c": 2}], False),
        ({"b": 1, "c": 2}, [{"b": 1, "c": 2}], True),
        ({"b": 1}, {"b": 1}, False),
        ({"b": None}, [{}], True),
        ({"b": None}, [1], False),
        ({}, [1], False),
        ({}, [{}], True),
        ({}, [[]], True),
        ({"b": [1]}, [{"b": [1]}], True),
        ({"b": 1}, [{"b": [1]}], True),
        ({"b": 1}, [[{"b": 1}]], False),
        ({"b": None}, [[{"b": 1}]], True),
        ({"0": 1}, [[1, 2]], True),
        ({"0": 1}, [[[1], 2]], True),
        ({"0.b": 1}, [[{"b": 1}]], True),
        ({"1": {"$exists": False}}, [[1]], True),
        ({"$or": [{"b": 1}, {"b": 2}]}, [{"b": 2}], True),
        ({"$nor": [{"b": 1}]}, [{"b": 1}], False),
        ({"$nor": [{"b": 1}]}, [{"b": 1}, {"b": 2}], True),
        ({"$and": [{"b": 1}], "c": 2}, [{"b": 1, "c": 2}], True),
        ({"$comment": "why", "b": 1}, [{"b": 1}], True),
        ({"b": {"$not": {"$gt": 1}}}, [{"b": 5}], False),
        ({"b": {"$elemMatch": {"c": 1}}}, [{"b": [{"c": 1}]}], True),
        ({"b.c": 1}, [{"b": [{"c": 1}]}], True),
    ],
)
def test_element_by_its_fields(condition: Any, value: Any, expected: bool) -> None:
    """Rule 17: a filter over the fields of one element; an array there has its indexes for fields."""
    assert expected == matches_filter({"a": {"$elemMatch": condition}}, {"a": value})


@pytest.mark.parametrize("condition", [1, "x", None, [], [{"b": 1}], {"$gt": 1, "b": 1}, {"b": 1, "$gt": 1}])
def test_bad_elements(condition: Any) -> None:
    """Rule 17: operators or a filter, not both, nothing else."""
    with pytest.raises(FilterError) as wrong:
        matches_filter({"a": {"$elemMatch": condition}}, {})
    assert wrong.value.path.startswith("a/$elemMatch")


@pytest.mark.parametrize(
    ("word", "operand", "value", "expected"),
    [
        ("$contains", 1, [1, 2], True),
        ("$contains", [1, 2], [2, 1.0], True),
        ("$contains", [1, 3], [1, 2], False),
        ("$contains", [], [], True),
        ("$contains", [], 1, False),
        ("$contains", 1, 1, False),
        ("$contains", True, [1], False),
        ("$contains", None, [None], True),
        ("$contains", None, [], False),
        ("$contains", {"b": 1}, [{"b": 1}], True),
        ("$contains", {}, [{}], True),
        ("$contains", [[1]], [[1]], True),
        ("$contains", [1], [[1]], False),
        ("$containsAny", [1, 3], [3], True),
        ("$containsAny", [1, 3], [2], False),
        ("$containsAny", 3, [3], True),
        ("$containsAny", [], [1], False),
        ("$containsAny", [1], 1, False),
    ],
)
def test_contains(word: str, operand: Any, value: Any, expected: bool) -> None:
    """After rule 19: the value at the path is itself an array that has all, or any, of the values."""
    assert expected == matches_filter({"a": {word: operand}}, {"a": value})
    assert expected is not matches_filter({"a": {"$not": {word: operand}}}, {"a": value})


def test_contains_on_a_missing_path() -> None:
    """After rule 19: missing is no array."""
    assert not matches_filter({"a": {"$contains": []}}, {})
    with pytest.raises(FilterValueError):
        matches_filter({"a": {"$contains": {"$gt": 1}}}, {})


@pytest.mark.parametrize("word", ["$and", "$or", "$nor"])
@pytest.mark.parametrize("operand", [[], {}, {"a": 1}, None, 1, "x", [1], [None], [[]], [{"a": 1}, 2]])
def test_logic_takes_arrays_of_filters(word: str, operand: Any) -> None:
    """Rule 19: non-empty arrays of filters."""
    with pytest.raises(FilterSyntaxError) as wrong:
        matches_filter({word: operand}, {})
    assert wrong.value.path.startswith(word)


@pytest.mark.parametrize("operand", [1, "x", None, True, [], [1], {}, {"b": 1}])
def test_not_takes_operators(operand: Any) -> None:
    """Rule 19: ``$not`` takes operators, not a plain value."""
    with pytest.raises(FilterSyntaxError) as wrong:
        matches_filter({"a": {"$not": operand}}, {})
    assert wrong.value.path == "a/$not"


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (None, True),
        ({}, True),
        ({"$comment": {"any": "thing"}}, True),
        ({"$comment": 1, "a": 2}, False),
        ({"$and": [{}]}, True),
        ({"$or": [{"a": 1}, {"a": 2}]}, True),
        ({"$and": ({"a": 1}, {"b": 2})}, True),
        ({"$or": [{"a": 2}], "b": 2}, False),
        ({"a": 1, "b": 2}, True),
        ({"a": 1, "b": 3}, False),
    ],
)
def test_logic(filter: Any, expected: bool) -> None:
    """Rules 10, 19: fields and logic are all to hold; ``$comment`` is ignored; ``{}`` matches everything."""
    assert expected == matches_filter(filter, {"a": 1, "b": 2})


@pytest.mark.parametrize("filter", [1, "x", [], [{"a": 1}], True, {"a", "b"}])
def test_a_filter_is_an_object(filter: Any) -> None:
    """Rule 19: a filter is an object."""
    with pytest.raises(FilterSyntaxError):
        matches_filter(filter, {})


@pytest.mark.parametrize("filter", [{1: 2}, {None: 1}, {"$or": [{b"a": 1}]}, {"a": {"$gt": 1, 2: 3}}])
def test_keys_are_text(filter: Any) -> None:
    """Rule 5: keys that are not text are an error of form."""
    with pytest.raises(FilterSyntaxError):
        matches_filter(filter, {})
