"""Filter[Model]: operands are checked and converted by the model's types."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

import docstore


class Kind(StrEnum):
    A = "a"


class Line(BaseModel):
    price: float
    at: datetime | None = None


class Invoice(BaseModel):
    amount: float
    count: int | None = None
    paid: bool = False
    at: datetime
    due: Annotated[date | None, Field()] = None
    vendor: str
    number: UUID
    kind: Kind
    state: Literal["open", "done"]
    dates: list[datetime]
    lines: list[Line]
    anything: Any = None
    either: str | int = 0
    tags: list[str] = []
    total: Decimal | None = None
    counts: dict[str, int] = {}
    source: str = Field("", validation_alias="from")


ADAPTER: Any = TypeAdapter(docstore.Filter[Invoice])
AT = {"$date": "2026-01-01"}


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({"at": {"$gte": "2026-01-01"}}, {"metadata.at": {"$gte": AT}}),
        ({"at": "2026-01-01T00:00Z"}, {"metadata.at": {"$date": "2026-01-01T00:00Z"}}),
        ({"at": {"$in": ["2026-01-01", None]}}, {"metadata.at": {"$in": [AT, None]}}),
        ({"due": {"$not": {"$lt": "2026-01-01"}}}, {"metadata.due": {"$not": {"$lt": AT}}}),
        ({"dates": "2026-01-01"}, {"metadata.dates": AT}),
        ({"dates": {"$contains": "2026-01-01"}}, {"metadata.dates": {"$contains": AT}}),
        (
            {"dates.0": {"$elemMatch": {"$gt": "2026-01-01"}}},
            {"metadata.dates.0": {"$elemMatch": {"$gt": AT}}},
        ),
        (
            {"$or": [{"at": AT}, {"amount": {"$gt": 5}}]},
            {"$or": [{"metadata.at": AT}, {"metadata.amount": {"$gt": 5}}]},
        ),
        ({"at": {"$exists": "yes"}}, {"metadata.at": {"$exists": "yes"}}),
        ({"lines.price": 2, "paid": True}, {"metadata.lines.price": 2, "metadata.paid": True}),
        ({"kind": "a", "state": "open"}, {"metadata.kind": "a", "metadata.state": "open"}),
        ({"kind": Kind.A, "state": {"$gt": "m"}}, {"metadata.kind": Kind.A, "metadata.state": {"$gt": "m"}}),
        ({"state": {"$in": ["done", None]}}, {"metadata.state": {"$in": ["done", None]}}),
        (
            {"lines": {"$elemMatch": {"$or": [{"at": "2026-01-01"}, {"price": {"$gt": 1}}]}}},
            {"metadata.lines": {"$elemMatch": {"$or": [{"at": AT}, {"price": {"$gt": 1}}]}}},
        ),
        (
            {"lines": {"$all": [{"$elemMatch": {"at": {"$lt": "2026-01-01"}}}]}},
            {"metadata.lines": {"$all": [{"$elemMatch": {"at": {"$lt": AT}}}]}},
        ),
        ({"anything": {"$gt": [1]}, "either": 1}, {"metadata.anything": {"$gt": [1]}, "metadata.either": 1}),
        (
            {"vendor": {"$regex": "^a"}, "number": {"$regex": "x", "$gte": "0f"}},
            {"metadata.vendor": {"$regex": "^a"}, "metadata.number": {"$regex": "x", "$gte": "0f"}},
        ),
        ({"number": {"$in": [f"{{{UUID(int=7).hex}}}"]}}, {"metadata.number": {"$in": [str(UUID(int=7))]}}),
        ({"number": UUID(int=7)}, {"metadata.number": UUID(int=7)}),
        (
            {"total": {"$in": [1.5, "1.50", Decimal(2)]}},
            {"metadata.total": {"$in": [1.5, "1.50", Decimal(2)]}},
        ),
        ({"tags": ["a"], "counts.x": 1}, {"metadata.tags": ["a"], "metadata.counts.x": 1}),
        ({"from": "a"}, {"metadata.from": "a"}),
    ],
)
def test_operands_are_converted(given: Any, made: Any) -> None:
    """Text for a datetime or date is the instant that it names, for a UUID its usual spelling."""
    assert made == ADAPTER.validate_python(given)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"amount": {"$gt": "50"}}, "amount/$gt"),
        ({"amount": True}, "amount"),
        ({"count": {"$in": [1, "2"]}}, "count/$in/1"),
        ({"at": {"$gte": "yesterday"}}, "at/$gte"),
        ({"at": {"$gte": "2026-01-01T00:00:00"}}, "at/$gte"),
        ({"at": 5}, "at"),
        ({"due": {"$not": {"$eq": "soon"}}}, "due/$not/$eq"),
        ({"paid": 1}, "paid"),
        ({"vendor": 5}, "vendor"),
        ({"vendor": AT}, "vendor"),
        ({"lines.price": "2"}, "lines.price"),
        ({"$and": [{"kind": 1}]}, "$and/0/kind"),
        ({"dates": {"$containsAny": ["soon"]}}, "dates/$containsAny/0"),
        ({"lines": {"$elemMatch": {"price": 1, "at": "soon"}}}, "lines/$elemMatch/at"),
        ({"lines": {"$not": {"$elemMatch": {"$or": [{"price": "2"}]}}}}, "lines/$not/$elemMatch/$or/0/price"),
        ({"state": "opne"}, "state"),
        ({"kind": {"$nin": ["a", "b"]}}, "kind/$nin/1"),
        ({"number": "x"}, "number"),
        ({"number": Decimal(1)}, "number"),
        ({"total": {"$gt": "many"}}, "total/$gt"),
        ({"total": True}, "total"),
        ({"amount": Decimal(1)}, "amount"),
        ({"tags": ["a", 1]}, "tags/1"),
        ({"counts.x": "1"}, "counts.x"),
    ],
)
def test_operands_that_no_value_can_equal(given: Any, path: str) -> None:
    """A validation error (in FastAPI a 422), not an empty answer."""
    with pytest.raises(ValidationError) as wrong:
        ADAPTER.validate_python(given)
    (error,) = wrong.value.errors()
    assert ("filter_value_error", path) == (error["type"], error["ctx"]["path"])


@pytest.mark.parametrize("name", ["pric", "metadata.price"])
def test_names_within_an_element(name: str) -> None:
    """They are those of the element's model; ``metadata.`` is not one."""
    with pytest.raises(ValidationError) as wrong:
        ADAPTER.validate_python({"lines": {"$elemMatch": {name: 1}}})
    (error,) = wrong.value.errors()
    assert ("unknown_field", f"lines/$elemMatch/{name}") == (error["type"], error["ctx"]["path"])


def test_what_was_converted_finds() -> None:
    """The filter that comes out is one for find."""
    with docstore.open("memory://") as store:
        store.documents.add(metadata={"at": datetime(2026, 1, 1, tzinfo=UTC), "amount": 5})
        found = ADAPTER.validate_json('{"at": {"$lte": "2026-01-01T01:00:00+01:00"}, "amount": {"$gte": 5}}')
        assert 1 == store.documents.count(found)
