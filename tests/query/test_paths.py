"""Paths: rules 6 to 9."""

from typing import Any

import pytest

from docstore.query.evaluator import matches_filter
from docstore.query.paths import MISSING, index_step, parse_path, path_text, reach, seen


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("a", ("a",)),
        ("a.b.c", ("a", "b", "c")),
        ("", ("",)),
        (".", ("", "")),
        ("a..b", ("a", "", "b")),
        ("a.", ("a", "")),
        (r"a\.b", ("a.b",)),
        (r"a\\.b", ("a\\", "b")),
        (r"a\\\.b", ("a\\.b",)),
        (r"a\b", ("a\\b",)),
        ("a\\", ("a\\",)),
        (r"\.", (".",)),
        (r"\$x.$y", ("\\$x", "$y")),
    ],
)
def test_path_text(text: str, steps: tuple[str, ...]) -> None:
    r"""Rule 7: ``\.`` is a dot of the key, ``\\`` a backslash, else itself; empty steps count."""
    assert steps == parse_path(text)
    assert steps == parse_path(path_text(steps))


@pytest.mark.parametrize(
    ("step", "index"),
    [
        ("0", 0),
        ("12", 12),
        ("00", None),
        ("01", None),
        ("-1", None),
        ("+1", None),
        ("", None),
        ("١", None),
        ("1.0", None),
        ("9" * 5000, None),
        ("²", None),
    ],
)
def test_index_steps(step: str, index: int | None) -> None:
    """Rule 6: a decimal index without leading zeros."""
    assert index == index_step(step)


@pytest.mark.parametrize(
    ("path", "document", "values", "missing"),
    [
        ("a.b", {"a": {"b": 1}}, [1], False),
        ("a.b", {"a": [{"b": 1}, {"b": 2}]}, [1, 2], False),
        ("a.b", {"a": [{"b": [1, 2]}]}, [1, 2, [1, 2]], False),
        ("a.b", {"a": [[{"b": 1}]]}, [], False),
        ("a.b", {"a": [1, "x", None]}, [], False),
        ("a.b", {"a": []}, [], False),
        ("a.b", {"a": [{"c": 1}]}, [], True),
        ("a.b", {"a": 4}, [], True),
        ("a.b", {"a": None}, [], True),
        ("a.b", {}, [], True),
        ("a", {"a": []}, [[]], False),
        ("a", {"a": [[1], 2]}, [[1], 2, [[1], 2]], False),
        ("a.0", {"a": [5, 6]}, [5], False),
        ("a.1", {"a": [5, {"1": 4}]}, [4, {"1": 4}], False),
        ("a.2", {"a": [5, 6]}, [], False),
        ("a.0", {"a": [[1, 2]]}, [[1, 2]], False),
        ("a.0", {"a": {"0": [1, 2]}}, [1, 2, [1, 2]], False),
        ("a.0", {"a": [{"0": [1]}]}, [1, [1], {"0": [1]}], False),
        ("a.0", {"a": [{"b": 1}]}, [{"b": 1}], True),
        ("a.0.b", {"a": [{"b": 1}]}, [1], True),
        ("a.1.b", {"a": [5, {"b": 4}]}, [4], True),
        ("a.1.b", {"a": [5, [{"b": 4}]]}, [4], False),
        ("a.0.b", {"a": [{"b": [1, 2]}]}, [1, 2, [1, 2]], True),
        ("a.0.0", {"a": [[1, 2]]}, [1], False),
        ("a.0.0.b", {"a": [[{"b": 1}]]}, [1], True),
        ("a.0.b", {"a": [1]}, [], False),
        ("a.00", {"a": [1]}, [], False),
        (r"a\.b", {"a.b": 1, "a": {"b": 2}}, [1], False),
        ("a.", {"a": {"": 1}}, [1], False),
    ],
)
def test_what_is_seen(path: str, document: Any, values: list[Any], missing: bool) -> None:
    """Rules 6, 8, 9: arrays one level, indexes both ways, elements and array, nothing or missing."""
    found = seen(document, parse_path(path))
    assert values == found.values
    assert missing == found.missing
    assert bool(values) == found.exists
    assert (missing or None in values) == matches_filter({path: None}, document)
    assert bool(values) == matches_filter({path: {"$exists": True}}, document)
    for value in values:
        assert matches_filter({path: {"$eq": value}}, document)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"a": []}, False),
        ({"a": [1]}, False),
        ({"a": [{"c": 1}]}, True),
        ({}, True),
        ({"a": 4}, True),
        ({"a": {"b": None}}, True),
        ({"a": [{"b": None}]}, True),
        ({"a": [{"b": 1}]}, False),
        ({"a": [{"b": 1}, {"c": 1}]}, True),
        ({"a": [[]]}, False),
        ({"a": [[{"b": None}]]}, False),
        ({"a": {"b": [None]}}, True),
        ({"a": {"b": []}}, False),
    ],
)
def test_null_and_arrays(document: Any, expected: bool) -> None:
    """Rule 9: the table of ``{"a.b": null}``, and its complement."""
    assert expected == matches_filter({"a.b": None}, document)
    assert expected == matches_filter({"a.b": {"$in": [None]}}, document)
    assert expected is not matches_filter({"a.b": {"$ne": None}}, document)


def test_an_array_as_root_counts_as_an_object_of_its_indexes() -> None:
    """Rule 17: within ``$elemMatch`` an element that is an array has its indexes for fields."""
    assert [(5, True)] == reach([5], ("0",))
    assert [(MISSING, False)] == reach([{"b": 1}], ("b",))
    assert [([1], False)] == reach([1], ())


@pytest.mark.parametrize(
    ("filter", "document", "expected"),
    [
        ({"a.0": 1}, {"a": [[1, 2]]}, False),
        ({"a.0": [1, 2]}, {"a": [[1, 2]]}, True),
        ({"a.0": {"$size": 2}}, {"a": [[1, 2]]}, True),
        ({"a.0": {"$elemMatch": {"$eq": 2}}}, {"a": [[1, 2]]}, True),
        ({"a": {"$size": 2}}, {"a": [[1, 2]]}, False),
        ({"a.b": {"$size": 2}}, {"a": [{"b": [1]}, {"b": [1, 2]}]}, True),
        ({"a.b": {"$contains": [1, 2]}}, {"a": [{"b": [1]}, {"b": [2]}]}, False),
        ({"a.b": {"$all": [1, 2]}}, {"a": [{"b": [1]}, {"b": [2]}]}, True),
        ({"a.b.c": 1}, {"a": [{"b": [{"c": 0}, {"c": 1}]}]}, True),
        ({"a.b.c": 1}, {"a": [{"b": {"c": [1]}}]}, True),
        ({"a.b.c": 1}, {"a": {"b": {"c": 1.0}}}, True),
        ({"a.b.c": None}, {"a": {"b": 1}}, True),
        ({"a.b.c": None}, {"a": {"b": [1]}}, False),
        ({"a.b.c": None}, {"a": [{"b": 1}]}, True),
    ],
)
def test_array_operators_see_the_array_alone(filter: Any, document: Any, expected: bool) -> None:
    """Rule 8: elements and array for most; the array alone for ``$size``, ``$elemMatch``, ``$contains``."""
    assert expected == matches_filter(filter, document)
