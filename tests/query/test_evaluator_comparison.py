"""Predicates: rules 10 to 15."""

import enum
from typing import Any

import pytest

import docstore
from docstore.errors import FilterSyntaxError, FilterTooComplex, FilterValueError, UnknownOperator
from docstore.query.evaluator import matches_filter

VALUES: list[Any] = [None, False, True, -1, 1.5, 2, 7.0, "", "a", "b", {}, {"a": 1}]


@pytest.mark.parametrize(
    ("condition", "document", "expected"),
    [
        ({"b": 1}, {"a": {"b": 1}}, True),
        ({"b": 1}, {"a": {"b": 1, "c": 2}}, False),
        ({}, {"a": {}}, True),
        ({}, {}, False),
        ({}, {"a": 1}, False),
        ({"b": 1, "$gt": 2}, {"a": {"b": 1, "$gt": 2}}, True),
        ({"$eq": {"$gt": 1}}, {"a": {"$gt": 1}}, True),
        ({"$gt": 1, "$lt": 3}, {"a": [0, 4]}, True),
        ({"$gt": 1, "$lt": 3}, {"a": [0]}, False),
        ({"": 1}, {"a": {"": 1}}, True),
        ([1, 2], {"a": [1, 2]}, True),
        ([1, 2], {"a": [[1, 2], 3]}, True),
        ([1, 2], {"a": [[[1, 2]]]}, False),
        ((1, 2), {"a": [1, 2]}, True),
        ([], {"a": []}, True),
        ([], {"a": [[]]}, True),
    ],
)
def test_literals_and_operators(condition: Any, document: Any, expected: bool) -> None:
    """Rule 10: an object is a set of operators if its first key begins with ``$``, else a literal."""
    assert expected == matches_filter({"a": condition}, document)


def test_a_plain_key_after_an_operator() -> None:
    """Rule 10: a plain key after an operator is an error."""
    with pytest.raises(FilterSyntaxError) as wrong:
        matches_filter({"a": {"$gt": 1, "b": 2}}, {})
    assert wrong.value.path == "a/b"


@pytest.mark.parametrize("operand", VALUES)
@pytest.mark.parametrize(
    ("word", "signs"), [("$gt", {1}), ("$gte", {0, 1}), ("$lt", {-1}), ("$lte", {-1, 0})]
)
def test_ranges_keep_to_their_type(word: str, signs: set[int], operand: Any) -> None:
    """Rules 11, 12: only values of the operand's own type; with null, ``$gte`` and ``$lte`` mean ``$eq``."""
    groups = [(type(None),), (bool,), (int, float), (str,), (dict,)]
    for value in VALUES:
        same = any(type(value) in group and type(operand) in group for group in groups)
        order = (VALUES.index(value) > VALUES.index(operand)) - (VALUES.index(value) < VALUES.index(operand))
        expected = same and (order if value is not operand else 0) in signs
        assert (value, expected) == (value, matches_filter({"a": {word: operand}}, {"a": value}))


@pytest.mark.parametrize(
    ("filter", "document", "expected"),
    [
        ({"a": {"$gte": None}}, {}, True),
        ({"a": {"$lte": None}}, {"a": None}, True),
        ({"a": {"$gt": None}}, {"a": None}, False),
        ({"a": {"$lt": None}}, {"a": 1}, False),
        ({"a": {"$gt": 2**53}}, {"a": 2**53 + 1}, True),
        ({"a": {"$gt": float(2**53)}}, {"a": 2**53 + 1}, True),
        ({"a": {"$lt": 0.1}}, {"a": 0}, True),
        ({"a": {"$gt": [1, 2]}}, {"a": [1, 3]}, True),
        ({"a": {"$gt": [1, 2]}}, {"a": [2]}, True),
        ({"a": {"$gt": [1, 2]}}, {"a": [[9]]}, True),
        ({"a": {"$gt": [1, 2]}}, {"a": [1]}, False),
        ({"a": {"$gt": [1]}}, {"a": 5}, False),
        ({"a": {"$lt": [1, "x"]}}, {"a": [1, 5]}, True),
        ({"a": {"$gt": {"a": 1}}}, {"a": {"b": 0}}, True),
        ({"a": {"$gte": -0.0}}, {"a": 0}, True),
        ({"a": {"$gt": "a"}}, {"a": "ä"}, True),
        ({"a": {"$gt": "\uffff"}}, {"a": "\U00010000"}, True),
    ],
)
def test_ranges(filter: Any, document: Any, expected: bool) -> None:
    """Rules 2, 3, 11, 12: exact numbers, code points, arrays and objects element by element."""
    assert expected == matches_filter(filter, document)


@pytest.mark.parametrize("field", ["a", "size"])
def test_open_bounds(store: docstore.Store, field: str) -> None:
    """Rule 2: a bound of infinity leaves all numbers or none, of whatever else there is nothing."""
    path = "size" if field == "size" else "metadata.a"
    numbers = [1, -2.5, 2**63 - 1, [None, 3]]
    for value in [*numbers, "x", None, True, {"b": 1}, []]:
        store.documents.add(filename="f", size=3, metadata={"a": value})
    every = store.documents.count() if field == "size" else len(numbers)
    most, least = float("inf"), float("-inf")
    within = [("$lt", most), ("$lte", most), ("$gt", least), ("$gte", least)]
    without = [("$gt", most), ("$gte", most), ("$lt", least), ("$lte", least)]
    for word, bound in within + without:
        found = every if (word, bound) in within else 0
        assert found == store.documents.count({path: {word: bound}})
        assert store.documents.count() - found == store.documents.count({path: {"$not": {word: bound}}})


@pytest.mark.parametrize("condition", [{"$eq": float("inf")}, {"$gt": float("nan")}, {"$lt": [float("inf")]}])
def test_infinity_elsewhere(condition: Any) -> None:
    """Rule 2: infinities are refused where they are no bound, and so is NaN."""
    with pytest.raises(FilterValueError):
        matches_filter({"a": condition}, {})


@pytest.mark.parametrize(
    ("filter", "document", "expected"),
    [
        ({"a": None}, {}, True),
        ({"a": None}, {"a": None}, True),
        ({"a": None}, {"a": 0}, False),
        ({"a": None}, {"a": [None]}, True),
        ({"a": {"$ne": 1}}, {}, True),
        ({"a": {"$ne": 1}}, {"a": [1, 2]}, False),
        ({"a": {"$ne": 1}}, {"a": [2]}, True),
        ({"a": {"$ne": None}}, {"a": []}, True),
        ({"a": {"$nin": [1, None]}}, {}, False),
        ({"a": {"$nin": []}}, {}, True),
        ({"a": {"$not": {"$gt": 1}}}, {}, True),
        ({"a": {"$not": {"$gt": 1}}}, {"a": [0, 2]}, False),
        ({"a": {"$not": {"$gt": 1, "$lt": 3}}}, {"a": 5}, True),
        ({"a": {"$not": {"$not": {"$eq": 1}}}}, {"a": 1}, True),
        ({"$nor": [{"a": 1}, {"b": 1}]}, {"a": 2}, True),
        ({"$nor": [{"a": 1}, {"b": 1}]}, {"b": 1}, False),
        ({"$nor": [{}]}, {}, False),
    ],
)
def test_null_and_negatives(filter: Any, document: Any, expected: bool) -> None:
    """Rule 11: null is also missing; negatives are the complement over whole documents."""
    assert expected == matches_filter(filter, document)


@pytest.mark.parametrize(
    ("values", "document", "expected"),
    [
        ([1, "x"], {"a": 1.0}, True),
        ([1, "x"], {"a": True}, False),
        ([True], {"a": 1}, False),
        ([1, 2], {"a": [0, 2]}, True),
        ([[1, 2]], {"a": [1, 2]}, True),
        ([[1, 2]], {"a": [[1, 2]]}, True),
        ([1], {"a": [[1]]}, False),
        ([None], {}, True),
        ([None, 1], {"a": None}, True),
        ([{"b": 1}], {"a": {"b": 1.0}}, True),
        ([{}], {"a": [{}]}, True),
        ([{"b": {"$gt": 1}}], {"a": {"b": {"$gt": 1}}}, True),
        ([[{"$gt": 1}]], {"a": [{"$gt": 1}]}, True),
        ([], {"a": 1}, False),
        ((1, 2), {"a": 1}, True),
        ([2**53], {"a": 2**53 + 1}, False),
    ],
)
def test_in(values: Any, document: Any, expected: bool) -> None:
    """Rule 13: equal to one of the values; ``$nin`` is its complement."""
    assert expected == matches_filter({"a": {"$in": values}}, document)
    assert expected is not matches_filter({"a": {"$nin": values}}, document)


@pytest.mark.parametrize("beside", [{}, {"filename": "1"}, {"metadata.b": 3}], ids=str)
def test_in_of_many(store: docstore.Store, beside: dict[str, Any]) -> None:
    """Rule 13: however many values are listed, whatever stands beside them, and in negatives."""
    kept: list[Any] = [*range(40), 1.5, True, "t7", "", [3, "x"], [[3]], {"c": 3}, None]
    records = [{"a": value, "b": n % 5} for n, value in enumerate(kept)]
    store.documents.add_many([{"filename": f"{n % 2}", "metadata": one} for n, one in enumerate(records)])
    many: list[Any] = [*range(30, 95), 1.5, "t7", "x", True]
    for listed in (many, [*many, None], [*many, [3, "x"]], [f"no{n}" for n in range(100)]):
        for word in ("$in", "$nin"):
            filter = {"metadata.a": {word: listed}, **beside}
            expected = [
                number
                for number, one in enumerate(records, 1)
                if matches_filter(filter, {"metadata": one, "filename": f"{(number - 1) % 2}"})
            ]
            found = store.documents.find(filter, sort="number", total=True)
            newest = store.documents.find(filter, limit=3).items
            assert (expected, len(expected)) == ([one.number for one in found.items], found.total)
            assert expected[::-1][:3] == [one.number for one in newest]


@pytest.mark.parametrize("word", ["$in", "$nin", "$all", "$contains", "$containsAny"])
def test_operators_within_lists(word: str) -> None:
    """Rules 13, 16: operators within a list of values are an error."""
    with pytest.raises(FilterValueError) as wrong:
        matches_filter({"a": {word: [1, {"$gt": 1}]}}, {})
    assert wrong.value.path == f"a/{word}/1"


@pytest.mark.parametrize("operand", [1, "x", None, {"b": 1}, True])
@pytest.mark.parametrize("word", ["$in", "$nin", "$all"])
def test_lists_must_be_arrays(word: str, operand: Any) -> None:
    """Rules 13, 16: the operand is an array."""
    with pytest.raises(FilterValueError):
        matches_filter({"a": {word: operand}}, {})


@pytest.mark.parametrize(
    ("operand", "wants"),
    [
        (True, True),
        (1, True),
        ("", True),
        ("false", True),
        ([], True),
        ({}, True),
        (0.5, True),
        (False, False),
        (0, False),
        (0.0, False),
        (-0.0, False),
        (None, False),
    ],
)
def test_exists(operand: Any, wants: bool) -> None:
    """Rule 14: null, false and 0 are false, every other value is true."""
    assert wants == matches_filter({"a": {"$exists": operand}}, {"a": None})
    assert wants is not matches_filter({"a": {"$exists": operand}}, {})


@pytest.mark.parametrize(
    ("document", "expected"),
    [({"a": [{"b": 1}]}, True), ({"a": [{"c": 1}]}, False), ({"a": []}, False), ({"a": {"b": None}}, True)],
)
def test_exists_looks_through_arrays(document: Any, expected: bool) -> None:
    """Rule 14: like any path."""
    assert expected == matches_filter({"a.b": {"$exists": True}}, document)
    assert expected is not matches_filter({"a.b": {"$exists": False}}, document)


TYPES = {
    "null": (10, None),
    "bool": (8, True),
    "string": (2, "x"),
    "object": (3, {}),
}


@pytest.mark.parametrize("alias", TYPES)
@pytest.mark.parametrize("other", TYPES)
def test_types(alias: str, other: str) -> None:
    """Rule 15: an alias and its code mean the same."""
    code, _ = TYPES[alias]
    _, value = TYPES[other]
    assert (alias == other) == matches_filter({"a": {"$type": alias}}, {"a": value})
    assert (alias == other) == matches_filter({"a": {"$type": code}}, {"a": [value]})


@pytest.mark.parametrize(
    ("value", "alias", "code"),
    [
        (1, "int", 16),
        (1.0, "int", 16),
        (-0.0, "int", 16),
        (2**31 - 1, "int", 16),
        (-(2**31), "int", 16),
        (2**31, "long", 18),
        (1e10, "long", 18),
        (2**63 - 1, "long", 18),
        (-(2.0**63), "long", 18),
        (2.0**63, "double", 1),
        (1e300, "double", 1),
        (0.5, "double", 1),
    ],
)
def test_number_types(value: Any, alias: str, code: int) -> None:
    """Rule 15: ``int``, ``long`` and ``double`` by value; ``number`` is any."""
    for name in ("int", "long", "double"):
        assert (name == alias) == matches_filter({"a": {"$type": name}}, {"a": value})
    assert matches_filter({"a": {"$type": code}}, {"a": value})
    assert matches_filter({"a": {"$type": float(code)}}, {"a": value})
    assert matches_filter({"a": {"$type": "number"}}, {"a": value})
    assert matches_filter({"a": {"$type": ["string", code]}}, {"a": value})


def test_type_array() -> None:
    """Rules 8, 15: an array is seen itself, and its elements are."""
    assert matches_filter({"a": {"$type": "array"}}, {"a": []})
    assert matches_filter({"a": {"$type": 4}}, {"a": [1]})
    assert matches_filter({"a": {"$type": "string"}}, {"a": [1, "x"]})
    assert not matches_filter({"a": {"$type": "null"}}, {})


@pytest.mark.parametrize(
    "operand",
    [
        "objectId",
        7,
        "decimal",
        19,
        "minKey",
        -1,
        "maxKey",
        127,
        "timestamp",
        17,
        "binData",
        5,
        "undefined",
        6,
        "regex",
        11,
        "dbPointer",
        12,
        "javascript",
        13,
        "symbol",
        14,
        "javascriptWithScope",
        15,
        "date",
        9,
    ],
)
def test_types_that_match_nothing(operand: Any) -> None:
    """Rule 15: other BSON aliases and codes are accepted and match nothing."""
    for value in (None, True, 1, 2.5, "x", [], {}):
        assert not matches_filter({"a": {"$type": operand}}, {"a": value})
        assert matches_filter({"a": {"$not": {"$type": operand}}}, {"a": value})


@pytest.mark.parametrize(
    "operand", ["text", "Int", "", "16", 0, 20, 255, 2.5, True, None, [], ["int", "x"], {}]
)
def test_unknown_types(operand: Any) -> None:
    """Rule 15: unknown aliases and codes, and an empty array, are errors."""
    with pytest.raises(FilterValueError):
        matches_filter({"a": {"$type": operand}}, {})


@pytest.mark.parametrize(
    "word",
    [
        "$gte2",
        "$where",
        "$expr",
        "$or",
        "$and",
        "$nor",
        "$comment",
        "$text",
        "$near",
        "$bitsAllSet",
        "$",
        "$ref",
        "$jsonSchema",
        "$geoWithin",
        "$function",
        "$GT",
        "$EQ",
    ],
)
def test_unknown_operators_on_a_field(word: str) -> None:
    """Rule 19: any other ``$`` word is UnknownOperator."""
    with pytest.raises(UnknownOperator) as wrong:
        matches_filter({"$and": [{}, {"a": {word: 1}}]}, {})
    assert wrong.value.path == f"$and/1/a/{word}"
    assert wrong.value.operator == word


@pytest.mark.parametrize(
    "word", ["$gt", "$not", "$where", "$expr", "$text", "$jsonSchema", "$xor", "$elemMatch"]
)
def test_unknown_operators_at_the_top(word: str) -> None:
    """Rule 19: at the top there are ``$and $or $nor $comment`` alone."""
    with pytest.raises(UnknownOperator) as wrong:
        matches_filter({word: [{"a": 1}]}, {})
    assert wrong.value.path == word


@pytest.mark.parametrize(
    ("word", "meant"), [("$gte2", "$gte"), ("$Regex", "$regex"), ("$startswith", "$startsWith")]
)
def test_suggestions(word: str, meant: str) -> None:
    """API: an unknown operator brings the nearest known one."""
    with pytest.raises(UnknownOperator) as wrong:
        matches_filter({"a": {word: 1}}, {})
    assert wrong.value.suggestion == meant
    assert meant in str(wrong.value)


class Words(enum.Enum):
    FIELD = "a"
    AND = "$and"
    GT = "$gt"
    ALL = "$all"
    ELEMENT = "$elemMatch"
    REGEX = "$regex"
    OPTIONS = "$options"


def test_enumerations_as_keys() -> None:
    """Rule 5: enumerations count by their value, as keys and operators too, and under the bounds."""
    filter = {Words.AND: [{Words.FIELD: {Words.GT: 1}}]}
    assert matches_filter(filter, {"a": 2})
    assert not matches_filter(filter, {"a": 1})
    assert matches_filter({Words.FIELD: {Words.ALL: [{Words.ELEMENT: {Words.GT: 1}}]}}, {"a": [2]})
    assert matches_filter({Words.FIELD: {Words.OPTIONS: "i", Words.REGEX: "X"}}, {"a": "x"})
    for _ in range(100_000):
        filter = {Words.AND: [filter]}
    with pytest.raises(FilterTooComplex):
        matches_filter(filter, {})
