"""Instants in metadata (rule 4): texts that are instants, and operands that ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import docstore
from docstore.errors import FilterError, FilterValueError, UnknownOperator
from docstore.query.evaluator import matches_filter
from docstore.query.instants import MAX_INSTANT, MIN_INSTANT, from_datetime, metadata_instant, text_spans

NAIVE = datetime(2024, 1, 1)  # noqa: DTZ001
NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
SPELLINGS = (
    "2024-01-01", "2024-01-01T00:00:00Z", "2024-01-01t00:00z", "2024-01-01 00:00:00.000000Z",
    "2024-01-01T01:00:00+01:00", "2024-01-01T01:00+0100", "2023-12-31T23:00:00-01",
    "2024-01-01T00:00:00.000000999Z", "2024-01-01T23:59+23:59",
)  # fmt: skip
NONE = (
    "", "2024", "2024-01", "2024-1-1", "2024-01-01T", "2024-01-01T00:00", "2024-01-01T00:00:00",
    "2024-01-01Z",
    "2024-01-01T00Z", "2024-01-01T00:00:00.Z", "2024-01-01T00:00.5Z", "2024-01-01T00:00:00.1234567890Z",
    "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z", "2024-01-01T00:00:60Z", "2023-02-29", "2024-13-01",
    "0000-01-01", "2024-01-01T00:00:00+24:00", "2024-01-01T00:00:00+00:60", "2024-01-01T00:00:00+1",
    " 2024-01-01", "2024-01-01\n", "2024-01-01  00:00Z", "２０２４-01-01", "2024-01-01T00:00:00 Z",
    "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59.999999-00:01",
    "now", 20240101, None, True, ["2024-01-01"],
)  # fmt: skip


@pytest.mark.parametrize("text", SPELLINGS)
def test_texts_that_are_one_instant(text: str) -> None:
    """Whatever their spelling."""
    assert from_datetime(NEW_YEAR) == metadata_instant(text)


@pytest.mark.parametrize("value", NONE)
def test_what_is_no_instant(value: Any) -> None:
    """Another form, a date or time that does not exist, years beyond 1 to 9999, another type."""
    assert None is metadata_instant(value)


def test_the_first_and_the_last_instant() -> None:
    """Years 1 to 9999 of UTC, at any offset."""
    assert MIN_INSTANT == metadata_instant("0001-01-01") == metadata_instant("0001-01-01T10:00+10:00")
    assert MAX_INSTANT == metadata_instant("9999-12-31T23:59:59.9999999Z")


@pytest.fixture
def spelled(store: docstore.Store) -> docstore.Store:
    """A document for each spelling of one instant, the two beside it, and for what is none."""
    others = ["2023-12-31T23:59:59.999999Z", "2024-01-01T00:00:00.000001Z", *NONE]
    store.documents.add_many({"metadata": {"at": value}} for value in (*SPELLINGS, *others))
    return store


EIGHT, OTHER = len(SPELLINGS), len(NONE) + 2


@pytest.mark.parametrize(
    "operand",
    [
        NEW_YEAR,
        NEW_YEAR.astimezone(timezone(timedelta(hours=5))),
        date(2024, 1, 1),
        {"$date": "2024-01-01"},
        {"$date": "2024-01-01T02:00+02"},
        {"$date": NEW_YEAR},
        {"$date": 1_704_067_200_000},
        {"$date": 1_704_067_200_000.0},
    ],
)
def test_an_instant_compares_by_the_moment(spelled: docstore.Store, operand: Any) -> None:
    """However it is spelled there and here: $eq finds all spellings, $gt one later, $lte one earlier, too.

    All else is of another type; ``["2024-01-01"]`` is an array with one such element.
    """
    count = spelled.documents.count
    path = "metadata.at"
    assert EIGHT + 1 == count({path: operand}) == count({path: {"$eq": operand}})
    assert EIGHT + 1 == count({path: {"$in": [operand, 7]}}) == count({path: {"$all": [operand]}})
    assert OTHER - 1 == count({path: {"$ne": operand}}) == count({path: {"$nin": [operand]}})
    assert (1, EIGHT + 2) == (count({path: {"$gt": operand}}), count({path: {"$gte": operand}}))
    assert (1, EIGHT + 2) == (count({path: {"$lt": operand}}), count({path: {"$lte": operand}}))
    assert 1 == count({path: {"$contains": operand}}) == count({path: {"$containsAny": [operand, 5]}})
    assert 1 == count({path: {"$contains": [operand, "2024-01-01"]}})
    assert 1 == count({path: {"$elemMatch": {"$gte": operand}}})
    assert 1 == count({path: "2024-01-01T00:00:00Z"})
    assert OTHER - 1 == spelled.documents.find({path: {"$not": {"$eq": operand}}}, total=True, limit=5).total


CASES: tuple[tuple[Any, Any, bool], ...] = (
    ({"a": {"$contains": [NEW_YEAR, date(2024, 1, 2)]}}, {"a": ["2024-01-01", "2024-01-02T00:00Z"]}, True),
    ({"a": {"$contains": [NEW_YEAR, date(2024, 1, 2)]}}, {"a": ["2024-01-01", "2024-01-03"]}, False),
    ({"a": {"$contains": [NEW_YEAR, 1]}}, {"a": ["2024-01-01", 1.0]}, True),
    ({"a": {"$contains": [NEW_YEAR, 1]}}, {"a": ["2024-01-01"]}, False),
    ({"a.b": {"$contains": [NEW_YEAR, 1]}}, {"a": [{"b": ["2024-01-01"]}, {"b": [1]}]}, False),
    ({"a": {"$containsAny": [NEW_YEAR, 1]}}, {"a": [1]}, True),
    ({"a": {"$containsAny": [NEW_YEAR]}}, {"a": "2024-01-01"}, False),
    ({"a": {"$gt": NEW_YEAR, "$lt": NEW_YEAR}}, {"a": ["2023-01-01", "2025-01-01"]}, True),
    ({"a": {"$elemMatch": {"$gt": NEW_YEAR, "$lt": NEW_YEAR}}}, {"a": ["2023-01-01", "2025-01-01"]}, False),
    ({"a": {"$elemMatch": {"b": {"$date": "2024-01-01"}}}}, {"a": [{"b": "2024-01-01T00:00Z"}]}, True),
    ({"a": NEW_YEAR}, {"a": NEW_YEAR.astimezone(timezone(timedelta(hours=-8)))}, True),
    ({"a": {"$gte": "2024-01-01"}}, {"a": "2023-12-31T23:00:00-01:00"}, False),
    ({"a": {"$lte": {"$date": "9999-12-31T23:59:59.999999Z"}}}, {"a": "0001-01-01"}, True),
    ({"a": {"$gt": {"$date": "9999-12-31T23:59:59.999999Z"}}}, {"a": "9999-12-31"}, False),
    ({"a": {"$eq": {"x": "$date"}}}, {"a": {"x": "$date"}}, True),
    ({"a": {"$type": "string"}}, {"a": "2024-01-01"}, True),
    ({"a": {"$type": "date"}}, {"a": "2024-01-01"}, False),
)


@pytest.mark.parametrize(("filter", "document", "expected"), CASES)
def test_instants_among_other_operators(filter: Any, document: Any, expected: bool) -> None:
    """Within arrays, elements and lists; text operands compare as text, as before."""
    assert expected == matches_filter(filter, document)


@pytest.mark.parametrize(
    ("operand", "path"),
    [
        ({"$date": "yesterday"}, "a/$date"),
        ({"$date": "2024-01-01T00:00:00"}, "a/$date"),
        ({"$date": 1.5}, "a/$date"),
        ({"$date": True}, "a/$date"),
        ({"$date": None}, "a/$date"),
        ({"$date": 10**18}, "a/$date"),
        (NAIVE, "a"),
        ([NEW_YEAR], "a/0"),
        ({"$in": [[NEW_YEAR]]}, "a/$in/0/0"),
        ({"$eq": {"b": NEW_YEAR}}, "a/$eq/b"),
        ({"$eq": [{"$date": "2024-01-01"}]}, "a/$eq/0"),
        ({"b": {"$date": "2024-01-01"}}, "a/b"),
        ({"$eq": {"$date": "2024-01-01", "b": 1}, "$date": 1}, "a/$date"),
    ],
)
def test_instants_that_are_none(operand: Any, path: str) -> None:
    """What does not exist, naive times without a zone, instants inside arrays and objects."""
    with pytest.raises(FilterError) as wrong:
        matches_filter({"a": operand}, {})
    assert path == wrong.value.path


@pytest.mark.parametrize("operand", [{"$date": "2024-01-01", "$gt": 1}, {"$gt": 1, "$date": "2024-01-01"}])
def test_a_date_beside_operators_is_no_slip_for_another(operand: Any) -> None:
    """The error shows where a ``$date`` stands, and guesses at no operator of a similar name."""
    with pytest.raises(UnknownOperator, match="alone in an object") as wrong:
        matches_filter({"a": operand}, {})
    assert wrong.value.suggestion is None


def test_naive_times_are_in_the_stores_zone() -> None:
    """Bare dates are midnight UTC all the same; the zone may be given by its name."""
    with docstore.open("memory://", default_timezone="Europe/Berlin") as store:
        store.documents.add(metadata={"at": NAIVE.replace(hour=1)})
        store.documents.add(metadata={"at": "2024-01-01"})
        for operand in (NAIVE.replace(hour=1), {"$date": "2024-01-01T01:00"}, date(2024, 1, 1)):
            assert 2 == store.documents.count({"metadata.at": operand})
        assert 0 == store.documents.count({"created_at": {"$lt": "2024-01-01"}})
    with docstore.open("memory://", default_timezone=ZoneInfo("Europe/Berlin")) as store:
        assert 0 == store.documents.count({"metadata.at": NAIVE})
    with pytest.raises(ValueError, match="default_timezone"):
        docstore.open("memory://", default_timezone="Nowhere/At-all")


def test_record_fields_take_dates_as_objects(store: docstore.Store) -> None:
    """``{"$date": …}`` on an instant field is what it holds, in the spellings of metadata; on others it is
    refused. A day alone needs a zone, as it does in text.
    """
    store.documents.add(created_at=NEW_YEAR)
    spelled = ("2024-01-01T00:00:00Z", "2024-01-01T00:00Z", "2024-01-01 01:00+0100", "2023-12-31T23:00-01")
    for operand in (*spelled, 1_704_067_200_000, NEW_YEAR):
        assert 1 == store.documents.count({"created_at": {"$gte": {"$date": operand}}})
    wrong = [{"created_at": {"$date": day}} for day in ("2024-01-01", date(2024, 1, 1), "2024-01-01T00:00")]
    for filter in (*wrong, {"filename": {"$date": "2024-01-01"}}, {"size": {"$gt": {"$date": 5}}}):
        with pytest.raises(FilterValueError):
            store.documents.count(filter)


def test_pull_takes_instants(store: docstore.Store) -> None:
    """A value and a condition."""
    made = store.documents.add(metadata={"a": ["2024-01-01T01:00+01:00", "2024-01-02", "x"]})
    pulled = store.documents.update(made.id, {"$pull": {"metadata.a": NEW_YEAR}})
    assert ["2024-01-02", "x"] == pulled.metadata["a"]
    pulled = store.documents.update(made.id, {"$pull": {"metadata.a": {"$gt": {"$date": "2024-01-01"}}}})
    assert ["x"] == pulled.metadata["a"]


def _instants() -> Iterator[int]:
    day = 86_400_000_000
    for at in (MIN_INSTANT, MIN_INSTANT + day, 0, from_datetime(NEW_YEAR), MAX_INSTANT - day, MAX_INSTANT):
        yield from (near for near in (at - 1, at, at + 1) if MIN_INSTANT <= near <= MAX_INSTANT)


def test_texts_of_a_span_stand_between_two() -> None:
    """Every spelling of every instant of a span is within the texts that an index is asked for."""
    for at in _instants():
        ((first, last),) = text_spans([(at, at)])
        moment = datetime(1, 1, 1, tzinfo=UTC) + timedelta(microseconds=at - MIN_INSTANT)
        for hours in (-23, 0, 23):
            try:
                text = moment.astimezone(
                    timezone(timedelta(hours=hours, minutes=59 * (hours > 0)))
                ).isoformat()
            except OverflowError:
                continue
            assert at == metadata_instant(text)
            assert first <= text
            assert last is None or text < last
