"""Record fields: names, types, operands, and what they become."""

import enum
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from docstore.errors import FilterSyntaxError, FilterValueError, UnknownField
from docstore.query.evaluator import compile, matches
from docstore.query.expr import FALSE, TRUE, Compare, During, Exists, In, Mod, Not, TypeIs
from docstore.query.fields import DOCUMENTS, EXTRACTIONS
from docstore.query.parser import parse
from docstore.query.planner import normalize

RECORD: dict[str, Any] = {
    "id": "one",
    "number": 7,
    "external_id": None,
    "is_latest": True,
    "filename": "Report.pdf",
    "size": None,
    "status": "completed",
    "metadata": {"n": 1, "none": None, "tags": ["x"]},
    "content": None,
    "created_at": 1_767_225_600_000_000,
    "processed_at": None,
}


class Status(enum.StrEnum):
    COMPLETED = "completed"


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({"number": 7}, True),
        ({"number": 7.0}, True),
        ({"number": {"$gt": 6.5, "$lt": 7.5}}, True),
        ({"number": {"$gte": 7.5}}, False),
        ({"number": {"$lte": 6.5}}, False),
        ({"number": 7.5}, False),
        ({"number": {"$ne": 7.5}}, True),
        ({"number": {"$in": [7.5, 1e300]}}, False),
        ({"number": {"$nin": [7.5]}}, True),
        ({"number": {"$lt": 1e300}}, True),
        ({"number": {"$gt": 1e300}}, False),
        ({"number": {"$gt": -1e300}}, True),
        ({"number": {"$lt": -1e300}}, False),
        ({"number": {"$mod": [4, 3]}}, True),
        ({"size": {"$gt": -1e300}}, False),
        ({"size": None}, True),
        ({"size": {"$exists": False}}, True),
        ({"size": {"$gt": None}}, False),
        ({"size": {"$in": [None, 3]}}, True),
        ({"size": {"$ne": 3}}, True),
        ({"size": {"$not": {"$gt": 3}}}, True),
        ({"size": {"$gte": None}}, True),
        ({"status": Status.COMPLETED}, True),
        ({"status": {"$in": ["pending", "failed"]}}, False),
        ({"status": {"$gt": "pending"}}, False),
        ({"status": {"$substring": "comp"}}, True),
        ({"filename": {"$iglob": "*.PDF"}}, True),
        ({"filename": {"$regex": "^report", "$options": "i"}}, True),
        ({"is_latest": True}, True),
        ({"is_latest": {"$gt": False}}, True),
        ({"created_at": "2026-01-01T01:00:00+01:00"}, True),
        ({"created_at": datetime(2026, 1, 1, tzinfo=UTC)}, True),
        ({"created_at": datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))}, True),
        ({"created_at": "2026-01-01T00:00:00.000000999Z"}, True),
        ({"created_at": {"$gt": "2026-01-01T00:00:00Z"}}, False),
        ({"created_at": {"$in": ["2026-01-01T00:00:00Z", None]}}, True),
        ({"processed_at": None}, True),
        ({"external_id": {"$type": "null"}}, False),
        ({"filename": {"$type": "string"}}, True),
        ({"created_at": {"$type": "date"}}, True),
        ({"created_at": {"$type": 9}}, True),
        ({"created_at": {"$type": "long"}}, False),
        ({"processed_at": {"$type": "date"}}, False),
        ({"number": {"$type": "int"}}, True),
        ({"number": {"$type": "long"}}, False),
        ({"number": {"$type": "number"}}, True),
        ({"number": {"$type": ["int", "long"]}}, True),
        ({"is_latest": {"$type": "bool"}}, True),
        ({"metadata": {"$type": "object"}}, True),
        ({"metadata": {"n": 1, "tags": ["x"], "none": None}}, True),
        ({"metadata": None}, False),
        ({"metadata.n": True}, False),
        ({"metadata.none": None}, True),
        ({"metadata.none": {"$exists": True}}, True),
        ({"metadata.tags": {"$contains": "x"}}, True),
        ({"id": "ONE"}, False),
    ],
)
def test_matching(filter: Any, expected: bool) -> None:
    """Record fields: typed operands; ``None`` is missing; ``number: 1.0`` is 1; any offset."""
    expr = parse(filter, DOCUMENTS)
    assert expected == matches(expr, RECORD)
    assert expected == compile(normalize(expr))(RECORD)


@pytest.mark.parametrize(
    ("filter", "path"),
    [
        ({"number": "7"}, "number"),
        ({"number": True}, "number"),
        ({"number": 2**63}, "number"),
        ({"number": float("nan")}, "number"),
        ({"number": [7]}, "number"),
        ({"number": {"$in": [1, "x"]}}, "number/$in/1"),
        ({"number": {"$substring": "7"}}, "number/$substring"),
        ({"number": {"$regex": "7"}}, "number/$regex"),
        ({"id": 7}, "id"),
        ({"id": {"$in": ["a", 7]}}, "id/$in/1"),
        ({"filename": 1}, "filename"),
        ({"filename": {}}, "filename"),
        ({"filename": datetime(2026, 1, 1, tzinfo=UTC)}, "filename"),
        ({"filename": {"a": 1}}, "filename"),
        ({"filename": {"$eq": ["a"]}}, "filename/$eq"),
        ({"filename": {"$mod": [2, 0]}}, "filename/$mod"),
        ({"filename": {"$size": 1}}, "filename/$size"),
        ({"filename": {"$all": ["a"]}}, "filename/$all"),
        ({"filename": {"$elemMatch": {"$eq": "a"}}}, "filename/$elemMatch"),
        ({"filename": {"$contains": "a"}}, "filename/$contains"),
        ({"filename": {"$containsAny": ["a"]}}, "filename/$containsAny"),
        ({"filename": "a\0"}, "filename"),
        ({"status": "done"}, "status"),
        ({"status": {"$ne": "Completed"}}, "status/$ne"),
        ({"is_latest": 1}, "is_latest"),
        ({"is_latest": "true"}, "is_latest"),
        ({"created_at": 5}, "created_at"),
        ({"created_at": "now"}, "created_at"),
        ({"created_at": "2026-01-01"}, "created_at"),
        ({"created_at": datetime(2026, 1, 1)}, "created_at"),  # noqa: DTZ001 - naive on purpose
        ({"created_at": "2026-02-30T00:00:00Z"}, "created_at"),
        ({"created_at": {"$gt": "2026-01-01T24:00:00Z"}}, "created_at/$gt"),
        ({"created_at": {"$mod": [2, 0]}}, "created_at/$mod"),
        ({"created_at": {"$substring": "2026"}}, "created_at/$substring"),
        ({"metadata.at": datetime(2026, 1, 1)}, "metadata.at"),  # noqa: DTZ001 - naive on purpose
        ({"metadata.n": float("inf")}, "metadata.n"),
    ],
)
def test_wrong_operands(filter: Any, path: str) -> None:
    """Record fields: an operand of the wrong type is FilterValueError, says where and what is allowed."""
    with pytest.raises(FilterValueError) as wrong:
        parse(filter, DOCUMENTS)
    assert wrong.value.path == path
    assert wrong.value.expected
    assert wrong.value.expected in str(wrong.value)


def test_status_lists_its_words() -> None:
    """Record fields: ``status`` lists its four words."""
    with pytest.raises(FilterValueError, match=r"pending.*processing.*completed.*failed"):
        parse({"status": "done"}, DOCUMENTS)


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("staus", "status"),
        ("createdAt", "created_at"),
        ("Filename", "filename"),
        ("category", None),
        ("metdata.x", "metadata"),
        ("", None),
        ("blob_key", None),
        ("filename.x", None),
        ("filename.0", None),
        ("number.", None),
        (r"metadata\.x", None),
    ],
)
def test_unknown_fields(name: str, suggestion: str | None) -> None:
    """Record fields: anything else is UnknownField, so is a step below a scalar field."""
    with pytest.raises(UnknownField) as wrong:
        parse({"$and": [{name: {"$bogus": 1}}]}, DOCUMENTS)
    assert wrong.value.path == f"$and/0/{name}"
    if suggestion is not None:
        assert wrong.value.suggestion == suggestion


def test_collections_have_their_own_fields() -> None:
    """Record fields: extractions have other fields than documents."""
    assert parse({"results.total": 1}, EXTRACTIONS) == Compare(("results", "total"), "eq", 1)
    with pytest.raises(UnknownField):
        parse({"results.total": 1}, DOCUMENTS)
    with pytest.raises(UnknownField):
        parse({"version": 1}, EXTRACTIONS)


def test_default_timezone() -> None:
    """Record fields, rule 4: with a default timezone naive times and bare dates are in it."""
    zone = timezone(timedelta(hours=1))
    midnight = 1_767_222_000_000_000
    for given in ("2026-01-01", "2026-01-01T00:00:00", datetime(2026, 1, 1)):  # noqa: DTZ001 - naive on purpose
        expr = parse({"created_at": given}, DOCUMENTS, default_timezone=zone)
        assert expr == Compare(("created_at",), "eq", midnight)
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - naive on purpose
    expr = parse({"metadata.at": naive}, DOCUMENTS, default_timezone=zone)
    assert expr == During(("metadata", "at"), ((midnight, midnight),))


@pytest.mark.parametrize(
    ("filter", "expr"),
    [
        (None, TRUE),
        ({}, TRUE),
        ({"number": 1.0}, Compare(("number",), "eq", 1)),
        ({"number": {"$gt": 1.5}}, Compare(("number",), "gt", 1)),
        ({"number": {"$gte": -1.5}}, Compare(("number",), "gt", -2)),
        ({"number": {"$lte": 1.5}}, Compare(("number",), "lt", 2)),
        ({"number": {"$gte": -1e300}}, Exists(("number",))),
        ({"number": 1.5}, FALSE),
        ({"size": {"$ne": 3}}, Not(Compare(("size",), "eq", 3))),
        ({"size": {"$in": [1, 1.5, 2.0]}}, In(("size",), (1, 2))),
        ({"size": {"$mod": [4.5, 1]}}, Mod(("size",), 4, 1)),
        ({"size": {"$type": "int"}}, TypeIs(("size",), frozenset({"int"}))),
        ({"created_at": {"$type": "date"}}, Exists(("created_at",))),
        ({"metadata.a": {"$lt": None}}, FALSE),
        (r"{}", None),
    ],
)
def test_what_operands_become(filter: Any, expr: Any) -> None:
    """Operands arrive in the Expr as the field stores them."""
    if expr is None:
        with pytest.raises(FilterSyntaxError):
            parse(filter, DOCUMENTS)
    else:
        actual = parse(filter, DOCUMENTS)
        assert expr == actual
        assert repr(expr) == repr(actual)
