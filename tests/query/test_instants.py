"""Instants: what is accepted, what is refused, and that no microsecond is lost."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docstore.query.instants import (
    MAX_INSTANT,
    MIN_INSTANT,
    format_instant,
    from_datetime,
    instant_text,
    parse_instant,
    to_datetime,
)

JAN_31 = 1_769_851_800_000_000  # 2026-01-31T09:30:00Z
instants = st.integers(MIN_INSTANT, MAX_INSTANT)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T09:30:00Z", JAN_31),
        ("2026-01-31t09:30:00z", JAN_31),
        ("2026-01-31 09:30:00+00:00", JAN_31),
        ("2026-01-31T09:30:00-00:00", JAN_31),
        ("2026-01-31T14:30:00+05:00", JAN_31),
        ("2026-01-30T23:30:00-10:00", JAN_31),
        ("2026-02-01T09:29:00+23:59", JAN_31),
        ("2026-01-31T09:30:00.1Z", JAN_31 + 100_000),
        ("2026-01-31T09:30:00.123456789Z", JAN_31 + 123_456),
        ("2026-01-31T09:30:00.999999999Z", JAN_31 + 999_999),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000_000),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("0001-01-01T00:00:00Z", MIN_INSTANT),
        ("9999-12-31T23:59:59.999999Z", MAX_INSTANT),
        ("0001-01-01T00:30:00+00:30", MIN_INSTANT),
    ],
)
def test_rfc_3339_text_is_read(text: str, expected: int) -> None:
    """RFC 3339 text of any offset and up to nine digits names an instant, truncated to microseconds."""
    assert expected == parse_instant(text)


@pytest.mark.parametrize(
    "wrong",
    [
        "", "now", "today", "infinity", "-infinity", "epoch", "2026", "2026-01", "20260131T093000Z",
        "2026-W05-6", "2026-01-31T24:00:00Z", "2026-01-31T23:59:60Z", "2026-01-31T09:60:00Z",
        "2026-02-30T00:00:00Z", "2025-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z", "0000-01-01T00:00:00Z", "2026-01-31T09:30Z", "2026-01-31T09Z",
        "2026-01-31T09:30:00.Z", "2026-01-31T09:30:00.1234567890Z", "2026-01-31T09:30:00,5Z",
        "2026-01-31T09:30:00+0500", "2026-01-31T09:30:00+05", "2026-01-31T09:30:00+24:00",
        "2026-01-31T09:30:00+05:60", "2026-01-31T09:30:00+5:00", " 2026-01-31T09:30:00Z",
        "2026-01-31T09:30:00Z\n", "2026-01-31  09:30:00Z", "2026-01-31T09:30:00 Z",
        "２０２６-01-31T09:30:00Z", "2026-01-31T09:30:00Z junk", "+2026-01-31T09:30:00Z",
        "-2026-01-31T09:30:00Z", "12026-01-31T09:30:00Z", "2026-01-31T09:30:00\0Z",
        "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", 5, 5.0, True, None, [],
        b"2026-01-31T09:30:00Z",
    ],
)  # fmt: skip
def test_anything_else_is_refused(wrong: Any) -> None:
    """No RFC 3339 text, or outside the years 1 to 9999: a ValueError that says what was expected."""
    with pytest.raises(ValueError, match="expected"):
        parse_instant(wrong, UTC)


NAIVE = datetime(2026, 1, 31, 10, 30)  # noqa: DTZ001


@pytest.mark.parametrize("naive", ["2026-01-31", "2026-01-31T09:30:00", NAIVE, date(2026, 1, 31)])
def test_naive_times_and_bare_dates_need_a_default(naive: Any) -> None:
    """Naive times and bare dates are an error unless there is a default_timezone."""
    with pytest.raises(ValueError, match="default_timezone"):
        parse_instant(naive)


@pytest.mark.parametrize(
    ("naive", "expected"),
    [
        ("2026-01-31", JAN_31 - 34_200_000_000 - 3_600_000_000),
        (date(2026, 1, 31), JAN_31 - 34_200_000_000 - 3_600_000_000),
        ("2026-01-31T10:30:00", JAN_31),
        ("2026-01-31 10:30:00.000001", JAN_31 + 1),
        (NAIVE, JAN_31),
        ("2026-01-31T09:30:00Z", JAN_31),
    ],
)
def test_a_default_timezone_is_for_what_has_none(naive: Any, expected: int) -> None:
    """The default_timezone is that of naive times and bare dates, and of nothing else."""
    assert expected == parse_instant(naive, ZoneInfo("Europe/Berlin"))


@given(st.datetimes(timezones=st.timezones() | st.just(timezone(timedelta(seconds=-1, microseconds=7)))))
def test_aware_datetimes_keep_every_microsecond(value: datetime) -> None:
    """An aware datetime becomes just its instant, whatever its zone."""
    exact = (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    if MIN_INSTANT <= exact <= MAX_INSTANT:
        assert exact == parse_instant(value)
    else:
        with pytest.raises(ValueError, match="years 1 to 9999"):
            parse_instant(value)


@given(instants)
def test_instants_go_there_and_back(instant: int) -> None:
    """An instant comes back unchanged from a datetime and from its text."""
    assert UTC is to_datetime(instant).tzinfo
    assert instant == from_datetime(to_datetime(instant)) == parse_instant(format_instant(instant))


@given(instants, instants)
def test_texts_order_as_instants_do(one: int, other: int) -> None:
    """Rule 4: as text they have six digits and Z, and order rightly as strings."""
    assert (one < other) == (format_instant(one) < format_instant(other))
    assert 27 == len(format_instant(one))


def test_instant_text_is_utc_with_six_digits() -> None:
    """Rule 4: a datetime in JSON is RFC 3339 text in UTC with six digits and Z."""
    value = datetime(2026, 1, 31, 14, 30, tzinfo=timezone(timedelta(hours=5)))
    assert "2026-01-31T09:30:00.000000Z" == instant_text(value)
    assert "0001-01-01T00:00:00.000000Z" == format_instant(MIN_INSTANT)


def test_instant_text_refuses_a_naive_time() -> None:
    """A naive datetime has no instant and so no text."""
    with pytest.raises(ValueError, match="no time zone"):
        instant_text(NAIVE)
