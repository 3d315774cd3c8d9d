"""``under``: a whole filter moved below a field."""

from typing import Any

import pytest

from docstore.errors import FilterError, FilterSyntaxError, FilterTooComplex, UnknownOperator
from docstore.limits import Limits
from docstore.query.expr import Compare
from docstore.query.fields import DOCUMENTS
from docstore.query.parser import parse
from docstore.query.scoping import under


@pytest.mark.parametrize(
    ("field", "given", "expected"),
    [
        ("metadata", {}, {}),
        ("metadata", None, {}),
        ("metadata", {"a": 1}, {"metadata.a": 1}),
        ("metadata", {"a.b": {"$gt": 1}}, {"metadata.a.b": {"$gt": 1}}),
        ("metadata", {"": 1}, {"metadata.": 1}),
        ("metadata", {r"a\.b": 1}, {r"metadata.a\.b": 1}),
        ("metadata.x", {"a": 1}, {"metadata.x.a": 1}),
        (r"a\.b", {"c": 1}, {r"a\.b.c": 1}),
        ("a\\", {"b": 1}, {r"a\\.b": 1}),
        (
            "metadata",
            {"$or": [{"a": 1}, {"$nor": ({"b": 2},)}], "$comment": "why"},
            {"$or": [{"metadata.a": 1}, {"$nor": [{"metadata.b": 2}]}], "$comment": "why"},
        ),
        ("metadata", {"a": {"$elemMatch": {"b": 1}}}, {"metadata.a": {"$elemMatch": {"b": 1}}}),
        ("metadata", {"a": {"b": 1}}, {"metadata.a": {"b": 1}}),
    ],
)
def test_moves(field: str, given: Any, expected: Any) -> None:
    """API: keys are prefixed, logic and comments stay, operands and what is within ``$elemMatch`` stay."""
    assert expected == under(field, given)


@pytest.mark.parametrize("key", ["owner", "tenant", "..owner", r"\.owner", "\\", "\\\\", ".", "metadata"])
def test_nothing_escapes(key: str) -> None:
    """API: whatever the key, the field that it names is ``metadata``."""
    expr = parse(under("metadata", {key: 1}), DOCUMENTS)
    assert isinstance(expr, Compare)
    assert expr.path[0] == "metadata"
    assert len(expr.path) > 1


@pytest.mark.parametrize(
    ("given", "kind", "path"),
    [
        ({"$where": "1"}, UnknownOperator, "$where"),
        ({"$or": [{"$expr": {}}]}, UnknownOperator, "$or/0/$expr"),
        ({"a": {"$gte2": 1}}, UnknownOperator, "a/$gte2"),
        ({"$or": []}, FilterSyntaxError, "$or"),
        ({"$or": {"a": 1}}, FilterSyntaxError, "$or"),
        ([], FilterSyntaxError, ""),
        ({1: 2}, FilterSyntaxError, ""),
        ({"a": {"$gt": 1, "b": 2}}, FilterSyntaxError, "a/b"),
    ],
)
def test_errors_are_about_the_users_filter(given: Any, kind: type[FilterError], path: str) -> None:
    """API: a malformed filter is refused with its own path."""
    with pytest.raises(kind) as wrong:
        under("metadata", given)
    assert path == wrong.value.path


@pytest.mark.parametrize("field", ["$or", "$comment", 1, None])
def test_the_field_is_a_field(field: Any) -> None:
    """API: a field path."""
    with pytest.raises(FilterSyntaxError):
        under(field, {"a": 1})


def test_limits() -> None:
    """Bounds: those given."""
    with pytest.raises(FilterTooComplex):
        under("metadata", {"a": 1, "b": 2}, limits=Limits(predicates=1))
