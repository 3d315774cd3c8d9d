"""Update operators on one metadata object: rules 24 and 25, MongoDB's server the reference."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from docstore.errors import (
    FilterError,
    FilterSyntaxError,
    FilterTooComplex,
    FilterValueError,
    UnknownField,
    UnknownOperator,
)
from docstore.limits import DEFAULT_LIMITS
from docstore.query.fields import DOCUMENTS
from docstore.query.updates import Unfit, Update, parse_update

SETTABLE = {"filename": False, "error": True}
BIG = 2**63 - 1
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def read(operators: Any) -> Update:
    return parse_update(operators, DOCUMENTS, SETTABLE, limits=DEFAULT_LIMITS)


def updated(metadata: Any, operators: Any) -> str:
    """Return the metadata after ``{operator: {path below metadata: operand}}``, as text: types count."""
    below = {
        word: {
            f"metadata.{path}": f"metadata.{operand}" if word == "$rename" else operand
            for path, operand in fields.items()
        }
        for word, fields in operators.items()
    }
    return json.dumps(read(below).apply(json.loads(json.dumps(metadata))))


@pytest.mark.parametrize(
    ("before", "operators", "after"),
    [
        ({}, {"$set": {"a": 1}}, {"a": 1}),
        ({"a": 1}, {"$set": {"a": 1.0}}, {"a": 1.0}),
        ({}, {"$set": {"a.b.c": None}}, {"a": {"b": {"c": None}}}),
        ({}, {"$set": {"a.0": 1}}, {"a": {"0": 1}}),
        ({"a": []}, {"$set": {"a.0": 1}}, {"a": [1]}),
        ({"a": [1]}, {"$set": {"a.3": 2}}, {"a": [1, None, None, 2]}),
        ({"a": [1]}, {"$set": {"a.1.0": 2}}, {"a": [1, {"0": 2}]}),
        ({"a": [{"b": 1}]}, {"$set": {"a.0.b": 2}}, {"a": [{"b": 2}]}),
        ({"a": [[1]]}, {"$set": {"a.0.0": 2}}, {"a": [[2]]}),
        ({"a.b": 1}, {"$set": {"a\\.b": 2}}, {"a.b": 2}),
        ({}, {"$set": {"": 1}}, {"": 1}),
        ({}, {"$set": {"a": {"$inc": 1}}}, {"a": {"$inc": 1}}),
        ({}, {"$set": {"a.$ref": 1}}, {"a": {"$ref": 1}}),
        ({}, {"$set": {"a": AT}}, {"a": "2026-01-02T03:04:05.000000Z"}),
        ({}, {"$set": {"b": 1, "a": 2}}, {"a": 2, "b": 1}),
        ({"a": 1}, {"$set": {}}, {"a": 1}),
        ({"a": 1, "b": 2}, {"$unset": {"a": ""}}, {"b": 2}),
        ({"a": [1, 2, 3]}, {"$unset": {"a.1": 1}}, {"a": [1, None, 3]}),
        ({"a": [1]}, {"$unset": {"a.4": 1}}, {"a": [1]}),
        ({"a": 1}, {"$unset": {"a.b": 1, "c.d": 1}}, {"a": 1}),
        ({"a": [{"b": 1}]}, {"$unset": {"a.b": 1}}, {"a": [{"b": 1}]}),
        ({"a": {"b": 1}}, {"$unset": {"a.b": 1}}, {"a": {}}),
    ],
)
def test_set_and_unset(before: Any, operators: Any, after: Any) -> None:
    """Missing steps become objects, arrays are padded with null, an unset element is null."""
    assert json.dumps(after) == updated(before, operators)


@pytest.mark.parametrize(
    ("before", "operators", "after"),
    [
        ({"n": 1}, {"$inc": {"n": 2}}, {"n": 3}),
        ({"n": 1}, {"$inc": {"n": 0.5}}, {"n": 1.5}),
        ({"n": 1}, {"$inc": {"n": 1.0}}, {"n": 2.0}),
        ({}, {"$inc": {"a.n": -1}}, {"a": {"n": -1}}),
        ({"n": [1]}, {"$inc": {"n.2": 1}}, {"n": [1, None, 1]}),
        ({"n": BIG - 1}, {"$inc": {"n": 1}}, {"n": BIG}),
        ({"n": BIG}, {"$inc": {"n": 1.0}}, {"n": float(2**63)}),
        ({"n": 3}, {"$mul": {"n": 2}}, {"n": 6}),
        ({"n": 1}, {"$mul": {"n": 1.0}}, {"n": 1.0}),
        ({"n": 0.0}, {"$mul": {"n": -1}}, {"n": 0.0}),
        ({}, {"$mul": {"n": 5, "x": 2.5}}, {"n": 0, "x": 0.0}),
    ],
)
def test_inc_and_mul(before: Any, operators: Any, after: Any) -> None:
    """Whole numbers stay whole, doubles doubles; missing is the operand for $inc, 0 for $mul."""
    assert json.dumps(after) == updated(before, operators)


ORDERED: list[Any] = [None, -1, 2.5, "", "b", {}, {"a": 1}, [], [1], False, True]


@pytest.mark.parametrize("at", range(len(ORDERED)))
def test_min_and_max_compare_whole_values(at: int) -> None:
    """Null, numbers, strings, objects, arrays, booleans; equal ones stay, a missing one is set."""
    for other, value in enumerate(ORDERED):
        least, most = ORDERED[min(at, other)], ORDERED[max(at, other)]
        assert json.dumps({"v": least}) == updated({"v": value}, {"$min": {"v": ORDERED[at]}})
        assert json.dumps({"v": most}) == updated({"v": value}, {"$max": {"v": ORDERED[at]}})
    assert '{"v": 1}' == updated({"v": 1}, {"$max": {"v": 1.0}})
    assert json.dumps({"v": ORDERED[at]}) == updated({}, {"$min": {"v": ORDERED[at]}})


@pytest.mark.parametrize(
    ("before", "operators", "after"),
    [
        ({"a": 1}, {"$rename": {"a": "b.c"}}, {"b": {"c": 1}}),
        ({"a": 1, "b": 2}, {"$rename": {"a": "b"}}, {"b": 1}),
        ({"b": 2}, {"$rename": {"a": "b"}}, {"b": 2}),
        ({"b": 2}, {"$rename": {"a": "b.c"}}, {"b": 2}),
        ({"a": [1], "b": [2]}, {"$rename": {"a": "b"}}, {"b": [1]}),
        ({"a": {"x": 1, "y": 2}}, {"$rename": {"a.x": "a.z"}}, {"a": {"y": 2, "z": 1}}),
        ({"a": [1]}, {"$rename": {"a.5": "b"}}, {"a": [1]}),
    ],
)
def test_rename(before: Any, operators: Any, after: Any) -> None:
    """The value moves, over what was there; a missing source changes nothing."""
    assert json.dumps(after) == updated(before, operators)


@pytest.mark.parametrize(
    ("before", "operators", "after"),
    [
        ({}, {"$push": {"a": 1}}, {"a": [1]}),
        ({"a": [1]}, {"$push": {"a": [2]}}, {"a": [1, [2]]}),
        ({"a": [1]}, {"$push": {"a": {"$ref": 2}}}, {"a": [1, {"$ref": 2}]}),
        ({"a": [1]}, {"$push": {"a": {"$each": [2, 3]}}}, {"a": [1, 2, 3]}),
        ({}, {"$push": {"a": {"$each": []}}}, {"a": []}),
        ({"a": [1, 2]}, {"$push": {"a": {"$each": [9], "$position": 0}}}, {"a": [9, 1, 2]}),
        ({"a": [1, 2]}, {"$push": {"a": {"$each": [8, 9], "$position": -1}}}, {"a": [1, 8, 9, 2]}),
        ({"a": [1, 2]}, {"$push": {"a": {"$each": [9], "$position": -7}}}, {"a": [9, 1, 2]}),
        ({"a": [1, 2]}, {"$push": {"a": {"$each": [9], "$position": 7}}}, {"a": [1, 2, 9]}),
        ({"a": [1, 2]}, {"$push": {"a": {"$each": [3], "$slice": -2}}}, {"a": [2, 3]}),
        ({"a": [1, 2]}, {"$push": {"a": {"$slice": 2.0, "$each": [3]}}}, {"a": [1, 2]}),
        ({"a": [1, 2]}, {"$push": {"a": {"$each": [], "$slice": 0}}}, {"a": []}),
        ({"a": [1]}, {"$push": {"a": {"$each": [2], "$position": 0, "$slice": 1}}}, {"a": [2]}),
        ({"a": [[1]]}, {"$push": {"a.0": 2}}, {"a": [[1, 2]]}),
        ({"a": [1, 1.5]}, {"$addToSet": {"a": 1.0}}, {"a": [1, 1.5]}),
        ({"a": [1]}, {"$addToSet": {"a": True}}, {"a": [1, True]}),
        ({"a": [1, 1]}, {"$addToSet": {"a": {"$each": [2, 1, 2, 2.0, 3]}}}, {"a": [1, 1, 2, 3]}),
        ({"a": [{"x": 1, "y": 2}]}, {"$addToSet": {"a": {"y": 2, "x": 1}}}, {"a": [{"x": 1, "y": 2}]}),
        ({}, {"$addToSet": {"a": [1]}}, {"a": [[1]]}),
        ({}, {"$addToSet": {"a": {"$each": []}}}, {"a": []}),
        ({"a": [1, 2]}, {"$pop": {"a": 1}}, {"a": [1]}),
        ({"a": [1, 2]}, {"$pop": {"a": -1.0}}, {"a": [2]}),
        ({"a": []}, {"$pop": {"a": 1, "b": 1, "c.d": 1}}, {"a": []}),
    ],
)
def test_push_add_to_set_and_pop(before: Any, operators: Any, after: Any) -> None:
    """$push adds where $position says, then $slice cuts; $addToSet by equality; a missing field is made."""
    assert json.dumps(after) == updated(before, operators)


@pytest.mark.parametrize(
    ("array", "condition", "left"),
    [
        ([1, 2, 1.0, "1", True], 1, [2, "1", True]),
        ([[1, 2], 1, 2], [1, 2], [1, 2]),
        ([[1], 1], 1, [[1]]),
        ([None, 0, {}], None, [0, {}]),
        ([1, 5, "7", [9]], {"$gt": 3}, [1, "7", [9]]),
        ([1, 2, 3, [1]], {"$in": [1, 3]}, [2, [1]]),
        ([1, 2, 3], {"$not": {"$gt": 1}}, [2, 3]),
        ([{"x": 1, "y": 2}, {"x": 2}, 1, [1]], {"x": 1}, [{"x": 2}, 1, [1]]),
        ([{"x": [1, 2]}, {"x": 3}], {"x": {"$gte": 2}}, []),
        ([{}, {"x": None}, {"x": 1}, 5], {"x": None}, [{"x": 1}, 5]),
        ([{"x": 1}, {"x": 2}, {"x": 3}], {"$or": [{"x": 1}, {"x": 3}]}, [{"x": 2}]),
        ([["a"], {"0": "a"}], {"0": "a"}, [["a"]]),
        (["ab", "cb"], {"$regex": "^a"}, ["cb"]),
        (["ab", "AB", 1], re.compile("a", re.IGNORECASE), [1]),
        ([{"x": 1}, {"x": 1, "y": 1}], {"$eq": {"x": 1}}, [{"x": 1, "y": 1}]),
        ([{"x": 1}, 1], {}, [1]),
    ],
)
def test_pull(array: Any, condition: Any, left: Any) -> None:
    """A value by equality, an object as a filter over an element's fields, operators on the element."""
    assert json.dumps({"a": left}) == updated({"a": array}, {"$pull": {"a": condition}})


@pytest.mark.parametrize(
    ("before", "operators", "path"),
    [
        ({"a": "x"}, {"$inc": {"a": 1}}, "a"),
        ({"a": None}, {"$inc": {"a": 1}}, "a"),
        ({"a": True}, {"$mul": {"a": 2}}, "a"),
        ({"a": BIG}, {"$inc": {"a": 1}}, "a"),
        ({"a": 2**62}, {"$mul": {"a": -3}}, "a"),
        ({"a": 1e308}, {"$mul": {"a": 10}}, "a"),
        ({"a": 5}, {"$set": {"a.b": 1}}, "a.b"),
        ({"a": None}, {"$set": {"a.b": 1}}, "a.b"),
        ({"a": [1]}, {"$set": {"a.b": 1}}, "a.b"),
        ({"a": [1]}, {"$set": {"a.01": 1}}, "a.01"),
        ({"a": []}, {"$set": {"a.999999999": 1}}, "a.999999999"),
        ({"a": {"b": 1}}, {"$push": {"a.b": 1}}, "a.b"),
        ({"a": None}, {"$push": {"a": 1}}, "a"),
        ({"a": {}}, {"$addToSet": {"a": 1}}, "a"),
        ({"a": "x"}, {"$pull": {"a": "x"}}, "a"),
        ({"a": 1}, {"$pull": {"a.b": 1}}, "a.b"),
        ({"a": [1]}, {"$pull": {"a.b": 1}}, "a.b"),
        ({"a": 1}, {"$pop": {"a": 1}}, "a"),
        ({"a": 1}, {"$pop": {"a.b": 1}}, "a.b"),
        ({"a": [1]}, {"$rename": {"a.0": "b"}}, "b"),
        ({"a": [{"b": 1}]}, {"$rename": {"a.b": "c"}}, "c"),
        ({"a": 1}, {"$rename": {"a.b": "c"}}, "c"),
        ({"a": 1, "b": [1]}, {"$rename": {"a": "b.0"}}, "b.0"),
        ({"a": 1, "b": [1]}, {"$rename": {"a": "b.7"}}, "b.7"),
        ({"a": 1, "b": 2}, {"$rename": {"a": "b.c"}}, "b.c"),
    ],
)
def test_what_the_record_shows(before: Any, operators: Any, path: str) -> None:
    """An operator that does not go with what is there says at which path."""
    with pytest.raises(Unfit) as wrong:
        updated(before, operators)
    assert f"metadata.{path}" == wrong.value.path


@pytest.mark.parametrize(
    ("word", "instead"), [("$currentDate", r"\$set.*datetime\.now"), ("$pullAll", r"\$pull.*\$in")]
)
def test_what_says_the_same_as_a_word_of_mongodbs(word: str, instead: str) -> None:
    """It is named, not a word that only looks alike."""
    with pytest.raises(UnknownOperator, match=instead) as wrong:
        read({word: {"metadata.a": 1}})
    assert wrong.value.suggestion is None


@pytest.mark.parametrize(
    ("operators", "error", "path"),
    [
        (5, FilterSyntaxError, ""),
        ([{"$set": {"metadata.a": 1}}], UnknownOperator, ""),
        ({"a": 1}, FilterSyntaxError, "a"),
        ({"$set": 5}, FilterSyntaxError, "$set"),
        ({"$set": {"metadata.a": 1}, "b": 1}, FilterSyntaxError, "b"),
        ({"$bit": {}}, UnknownOperator, "$bit"),
        ({"$currentDate": {"metadata.a": True}}, UnknownOperator, "$currentDate"),
        ({"$setOnInsert": {"metadata.a": True}}, UnknownOperator, "$setOnInsert"),
        ({"$pullAll": {"metadata.a": [1]}}, UnknownOperator, "$pullAll"),
        ({"$set": {"metadata.a.$": 1}}, UnknownOperator, "$set/metadata.a.$"),
        ({"$set": {"metadata.a.$[].b": 1}}, UnknownOperator, "$set/metadata.a.$[].b"),
        ({"$set": {"metadata.a.$[x].b": 1}}, UnknownOperator, "$set/metadata.a.$[x].b"),
        ({"$set": {"tags": 1}}, UnknownField, "$set/tags"),
        ({"$set": {"status": "failed"}}, UnknownField, "$set/status"),
        ({"$inc": {"attempts": 1}}, FilterValueError, "$inc/attempts"),
        ({"$inc": {"metadata": 1}}, FilterValueError, "$inc/metadata"),
        ({"$set": {"metadata": 1}}, FilterValueError, "$set/metadata"),
        ({"$unset": {"filename": 1}}, FilterValueError, "$unset/filename"),
        ({"$set": {"metadata.a": float("nan")}}, FilterValueError, "$set/metadata.a"),
        ({"$set": {"metadata.a": {"b": "\0"}}}, FilterValueError, "$set/metadata.a/b"),
        ({"$inc": {"metadata.a": "1"}}, FilterValueError, "$inc/metadata.a"),
        ({"$inc": {"metadata.a": True}}, FilterValueError, "$inc/metadata.a"),
        ({"$mul": {"metadata.a": None}}, FilterValueError, "$mul/metadata.a"),
        ({"$pop": {"metadata.a": 2}}, FilterValueError, "$pop/metadata.a"),
        ({"$pop": {"metadata.a": True}}, FilterValueError, "$pop/metadata.a"),
        ({"$rename": {"metadata.a": 1}}, FilterValueError, "$rename/metadata.a"),
        ({"$rename": {"metadata.a": "b"}}, FilterValueError, "$rename/metadata.a"),
        ({"$rename": {"metadata.a": "metadata.a"}}, FilterSyntaxError, "$rename/metadata.a"),
        ({"$rename": {"metadata.a": "metadata.a.b"}}, FilterSyntaxError, "$rename/metadata.a"),
        ({"$push": {"metadata.a": {"$each": 1}}}, FilterValueError, "$push/metadata.a/$each"),
        ({"$push": {"metadata.a": {"$slice": 1}}}, FilterSyntaxError, "$push/metadata.a"),
        ({"$push": {"metadata.a": {"$each": [1], "$sort": 1}}}, UnknownOperator, "$push/metadata.a/$sort"),
        ({"$push": {"metadata.a": {"$each": [1], "b": 1}}}, FilterSyntaxError, "$push/metadata.a"),
        (
            {"$push": {"metadata.a": {"$each": [1], "$slice": 1.5}}},
            FilterValueError,
            "$push/metadata.a/$slice",
        ),
        ({"$addToSet": {"metadata.a": {"$each": 1}}}, FilterValueError, "$addToSet/metadata.a/$each"),
        ({"$addToSet": {"metadata.a": {"$each": [], "b": 1}}}, FilterSyntaxError, "$addToSet/metadata.a"),
        ({"$pull": {"metadata.a": {"$foo": 1}}}, UnknownOperator, "$pull/metadata.a/$foo"),
        ({"$pull": {"metadata.a": {"b": {"$in": 1}}}}, FilterValueError, "$pull/metadata.a/b/$in"),
        (
            {"$set": {"metadata.a": 1}, "$inc": {"metadata.a": 1}},
            FilterSyntaxError,
            "$inc/metadata.a",
        ),
        ({"$set": {"metadata.a.b": 1, "metadata.a": 1}}, FilterSyntaxError, "$set/metadata.a"),
        ({"$set": {"metadata": {}, "metadata.a": 1}}, FilterSyntaxError, "$set/metadata.a"),
        (
            {"$rename": {"metadata.a": "metadata.b"}, "$set": {"metadata.b.c": 1}},
            FilterSyntaxError,
            "$set/metadata.b.c",
        ),
        ({"$set": {"metadata" + ".a" * 16: 1}}, FilterTooComplex, "$set/metadata" + ".a" * 16),
    ],
)
def test_malformed(operators: Any, error: type[FilterError], path: str) -> None:
    """Refused before any record is looked at; the error says where."""
    with pytest.raises(error) as wrong:
        read(operators)
    assert (error, path) == (type(wrong.value), wrong.value.path)


def test_record_fields_are_set_and_unset() -> None:
    """Those that update takes, as they were given; None unsets."""
    update = read({"$set": {"filename": "b"}, "$unset": {"error": ""}})
    assert {"filename": "b", "error": None} == update.fields
    assert () == update.changes


def test_the_whole_metadata() -> None:
    """$set replaces it, $unset empties it."""
    assert {"b": 1} == read({"$set": {"metadata": {"b": 1}}}).apply({"a": 1})
    assert {} == read({"$unset": {"metadata": 1}}).apply({"a": 1})


def test_all_of_one_call_see_what_came_before_in_the_order_of_paths() -> None:
    """Operators on neighbours do not disturb each other; padding is counted once."""
    after = updated({"a": [1]}, {"$set": {"a.10": 1, "a.2": 2}, "$inc": {"b.c": 1}, "$push": {"b.d": 1}})
    assert {"a": [1, None, 2, *[None] * 7, 1], "b": {"c": 1, "d": [1]}} == json.loads(after)
