"""Values: rules 1 to 5, and how values compare (12, 20)."""

import enum
import json
import math
import re
from collections import OrderedDict
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docstore.errors import FilterValueError, InvalidDocument
from docstore.query.evaluator import matches_filter
from docstore.query.values import (
    NotJson,
    by_value,
    canonical_json,
    canonical_size,
    compare,
    equal,
    identity,
    plain,
    plain_text,
)

BIG = 2**53


class Colour(enum.Enum):
    RED = "red"
    ONE = 1


class Word(str):
    def __str__(self) -> str:
        return "something else"


class Level(enum.IntEnum):
    LOW = 1


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (1, 1.0, True),
        (BIG + 1, float(BIG), False),
        (BIG, float(BIG), True),
        (-0.0, 0, True),
        (True, 1, False),
        (False, 0, False),
        (False, 0.0, False),
        (None, False, False),
        (None, None, True),
        ("1", 1, False),
        ("e\u0301", "é", False),
        ([1, 2], [1, 2.0], True),
        ([1, 2], [2, 1], False),
        ([1], [1, 1], False),
        ([True], [1], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": None}, {}, False),
        ({}, [], False),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1.0}]}, True),
    ],
)
def test_equality(a: Any, b: Any, expected: bool) -> None:
    """Rules 2, 3, 5: numbers by value, a bool is no number, arrays in order, objects without order."""
    assert expected == equal(a, b)
    assert expected == equal(b, a)
    assert expected == (identity(a) == identity(b))
    assert expected == matches_filter({"v": {"$eq": a}}, {"v": b})


def test_order_of_types() -> None:
    """Rules 12, 20: null, numbers, strings, objects, arrays, booleans."""
    ordered = [None, -1.5, 2, BIG, float(BIG) + 2, "", "Z", "a", "\uffff", "\U00010000"]
    ordered += [{}, {"a": 1}, [], [None], [1], [1, 0], [2], [[]], False, True]
    for at, left in enumerate(ordered):
        for other, right in enumerate(ordered):
            assert (at > other) - (at < other) == (compare(left, right) > 0) - (compare(left, right) < 0)


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ({"b": 1}, {"a": "x"}),
        ({"a": 2}, {"b": 1}),
        ({"b": 2, "a": 1}, {"a": 1, "b": 3}),
        ({"a": 1}, {"a": 1, "b": None}),
        ({"a": {"b": 1}}, {"a": {"b": 2}}),
        ({"a": True}, {"b": False}),
        ([{"a": 1}, 5], [{"a": 2}]),
    ],
)
def test_objects_compare_by_type_then_key_then_value(smaller: Any, larger: Any) -> None:
    """Rule 12: type, then key, then value; keys in code-point order, shorter first."""
    assert compare(smaller, larger) < 0
    assert compare(larger, smaller) > 0


@pytest.mark.parametrize(
    "value",
    [
        2**63,
        -(2**63) - 1,
        10**400,
        math.nan,
        math.inf,
        -math.inf,
        "a\0b",
        "\ud800",
        {"a\0": 1},
        {"\udfff": 1},
        {1: 2},
        b"bytes",
        object(),
        re.compile("x"),
        datetime(2026, 1, 1),  # noqa: DTZ001 - naive on purpose
    ],
)
def test_refused_values(value: Any) -> None:
    """Rules 2, 3: refused in documents and filters alike, naming the place."""
    with pytest.raises(NotJson):
        plain(value)
    with pytest.raises(InvalidDocument) as refused:
        matches_filter({}, {"a": [value]})
    assert refused.value.field.startswith("a/0")
    with pytest.raises(FilterValueError) as wrong:
        matches_filter({"a": {"$eq": [1, value]}}, {})
    assert wrong.value.path.startswith("a/$eq/1")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (1e16, 1e16),
        (-0.0, 0.0),
        (Colour.RED, "red"),
        (Colour.ONE, 1),
        (Level.LOW, 1),
        (Word("word"), "word"),
        ({Word("k"): (1, 2)}, {"k": [1, 2]}),
        (OrderedDict(a=1), {"a": 1}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        ({"": {"$x": 1}}, {"": {"$x": 1}}),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05.000000Z"),
        (datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=2))), "2026-01-02T01:00:00.000000Z"),
    ],
)
def test_what_counts_by_its_value(value: Any, expected: Any) -> None:
    """Rules 4, 5: subclasses and enumerations by value, aware datetimes as RFC 3339 in UTC, -0.0 as 0.0."""
    actual = plain(value)
    assert (type(expected), repr(expected)) == (type(actual), repr(actual))


def test_subclasses_do_not_survive() -> None:
    """Rule 5: what is behind the door has Python's own types."""
    assert type(by_value(Word("x"))) is str
    assert [type(key) for key in plain({Word("x"): Level.LOW})] == [str]


def test_naive_datetimes_need_a_default_timezone() -> None:
    """Rule 4: with a default timezone a naive datetime is in it."""
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - naive on purpose
    assert plain(naive, default_timezone=UTC) == "2026-01-01T00:00:00.000000Z"


def test_cyclic_and_deep_values_end() -> None:
    """Bounds: 64 levels, and a value that contains itself, are told without a RecursionError."""
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    with pytest.raises(NotJson) as deep:
        plain(cyclic)
    assert deep.value.too_deep
    nested: Any = 1
    for _ in range(64):
        nested = [nested]
    assert nested == plain(nested)
    with pytest.raises(NotJson):
        plain([nested])


def test_canonical_json() -> None:
    """Bounds: sizes are UTF-8 bytes of canonical JSON."""
    assert canonical_json({"b": [1, 1.0, 1e16], "a": "é\u2028"}) == '{"a":"é\u2028","b":[1,1.0,1e+16]}'
    assert canonical_size("é") == 4


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
_NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner),
    max_leaves=12,
)


@given(_VALUES)
def test_the_short_way_writes_what_the_long_way_writes(value: Any) -> None:
    """Where plain_text gives a text it is the one that json.dumps writes of what plain returns."""
    text = plain_text(value)
    if text is not None:
        expected = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        assert text.decode() == expected


@pytest.mark.parametrize(
    "value",
    [
        {"a": "\0"}, {"a": "\ud800"}, {"\ud800": 1}, {"a\0": 1}, {1: 2}, {"a": 2**63}, {"a": [-(2**63) - 1]},
        {"a": math.nan}, {"a": -math.inf}, {"a": -0.0}, {"a": 1e16}, {"a": 1e-5}, {"a": (1,)},
        {"a": Colour.RED}, {"a": Word("x")}, {Word("x"): 1}, {"a": Level.LOW}, {"a": b"x"},
        {"a": datetime(2026, 1, 1, tzinfo=UTC)}, {"a": [[[]]]}, OrderedDict(a=1),
        MappingProxyType({"a": 1}), "text", 1, None,
    ],
)  # fmt: skip
def test_the_short_way_leaves_to_the_long_way_what_must_be_looked_at(value: Any) -> None:
    """What plain would change or refuse, or where the two writers of numbers differ, has no short way."""
    assert plain_text(value, 3) is None


def test_the_short_way_is_taken_by_what_metadata_mostly_are() -> None:
    """An object of texts, numbers, booleans and null, nested, is written at once, its keys in their order."""
    value = {"b": 'é "q" \\ \n\x1f\u2028', "a": [1, 0.0, -0.5, True, None, {}], "n": {"i": 2**63 - 1}}
    expected = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert (plain_text(value) or b"").decode() == expected
