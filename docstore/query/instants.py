"""Instants: from what users write to microseconds since 1970-01-01T00:00:00Z, and back.

The rules are those of SEMANTICS, "Record fields".

Everything behind the boundary counts in these microseconds; they reach from year 1 to year 9999 in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from docstore.errors import shown

EXPECTED = "an aware datetime or RFC 3339 text such as '2026-01-31T09:30:00Z'"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
# Microseconds.
_DAY = 86_400_000_000
# 0001-01-01T00:00:00Z.
MIN_INSTANT = (date.min.toordinal() - _EPOCH_DAY) * _DAY
# 9999-12-31T23:59:59.999999Z.
MAX_INSTANT = (date.max.toordinal() - _EPOCH_DAY + 1) * _DAY - 1

_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIME = re.compile(
    r"[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(?:([Zz])|([+-])([0-9]{2}):([0-9]{2}))?"
)

# What text in metadata is an instant, but for dates and offsets that do not exist (rule 4).
_METADATA = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
    r"(?:[Tt ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?"
    r"(?:[Zz]|([+-])([0-9]{2})(?::?([0-9]{2}))?))?"
)
_LONGEST = len("2026-01-31T09:30:00.123456789+01:00")


def metadata_instant(value: object) -> int | None:
    """Return the instant that a value in metadata is: microseconds since 1970-01-01T00:00:00Z.

    Text is one if it is a date (its midnight in UTC), or a date and a time with an offset (rule 4). Digits
    behind the sixth of a second are cut off. None if it is none.
    """
    if type(value) is not str or not 10 <= len(value) <= _LONGEST:
        return None
    found = _METADATA.fullmatch(value)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = found.groups()
    try:
        at = (date(int(year), int(month), int(day)).toordinal() - _EPOCH_DAY) * _DAY
    except ValueError:
        return None
    if hour is None:
        return at
    clock = int(hour), int(minute), int(second or 0), int(hours or 0), int(minutes or 0)
    if clock[0] > 23 or clock[1] > 59 or clock[2] > 59 or clock[3] > 23 or clock[4] > 59:
        return None
    at += ((clock[0] * 60 + clock[1]) * 60 + clock[2]) * 1_000_000 + int((fraction or "")[:6].ljust(6, "0"))
    offset = (clock[3] * 60 + clock[4]) * 60_000_000
    at += offset if sign == "-" else -offset
    return at if MIN_INSTANT <= at <= MAX_INSTANT else None


# Days up to the 28th, which every month has; the few others are read whole.
# Year 0 is none.
_UTC = re.compile(
    r"(?!0000)[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
    r"(?:T(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?Z)?"
)


def is_utc_instant(text: str) -> bool:
    """Return whether a text in metadata is an instant in its plain spelling: a date, or with ``T`` and ``Z``.

    Of such texts the order by their first sixteen bytes, the minute, is the order of the instants.
    """
    if _UTC.fullmatch(text) is not None:
        return True
    return metadata_instant(text) is not None and (len(text) == 10 or (text[10] == "T" and text[-1] == "Z"))


# Microseconds.
MINUTE = 60_000_000


def minute_text(instant: int) -> str | None:
    """Return an instant's minute in UTC: ``2026-03-01T09:30``; ``""`` before year 1, None after 9999."""
    if instant < MIN_INSTANT:
        return ""
    return format_instant(instant)[:16] if instant <= MAX_INSTANT else None


# Spans that an index looks up one by one; of more, what lies between the first and the last.
_MOST_TEXT_SPANS = 8


def text_spans(spans: Sequence[tuple[int, int]]) -> list[tuple[str, str | None]]:
    """Return between which texts all texts stand that are instants within spans, however they are spelled.

    A text names the day that it is at its offset, which is a day at most from the day in UTC.

    Returns:
        Pairs of the first text and the first text behind, ``None``: none is. Where there are many spans, one
        pair for all.
    """
    if len(spans) > _MOST_TEXT_SPANS:
        spans = [(spans[0][0], spans[-1][1])]
    return [(_day_text(first // _DAY - 1) or "", _day_text(last // _DAY + 2)) for first, last in spans]


def _day_text(day: int) -> str | None:
    ordinal = day + _EPOCH_DAY
    if ordinal < 1:
        return ""
    return None if ordinal > date.max.toordinal() else date.fromordinal(ordinal).isoformat()


def parse_instant(value: datetime | date | str, default_timezone: tzinfo | None = None) -> int:
    """Return the instant that ``value`` names.

    Args:
        value: an aware ``datetime``, or RFC 3339 text: ``T``, ``t`` or one space before the time, one to nine
            digits of a second (those after the sixth are cut off), ``Z``, ``z`` or an offset of less than a
            day.
        default_timezone: what a naive ``datetime``, a text without offset, or a bare date (its midnight) is
            in; ``None``: they are errors.

    Returns:
        Microseconds since 1970-01-01T00:00:00Z.

    Raises:
        ValueError: anything else: 24:00, a 60th second, a date that does not exist, words such as ``now``, an
            instant outside the years 1 to 9999 in UTC, another type. The text says what is wrong and what was
            expected.
    """
    if isinstance(value, datetime):
        return from_datetime(value, default_timezone)
    if isinstance(value, date):
        return from_datetime(datetime.combine(value, time()), default_timezone, f"the bare date {value}")
    if isinstance(value, str):
        return _parse_text(value, default_timezone)
    raise ValueError(f"a {type(value).__name__} is no instant; expected {EXPECTED}")


def instant(value: datetime | date | str, default_timezone: tzinfo | None = None) -> datetime:
    """Return the instant that ``value`` names, read as docstore reads instants everywhere.

    For services that take times from outside: it is strict about their form, and lets a service that has a
    time zone of its own take naive times from a store that refuses them.

    Args:
        value: an aware ``datetime``, or RFC 3339 text: ``T``, ``t`` or one space before the time, one to nine
            digits of a second (those after the sixth are cut off), ``Z``, ``z`` or an offset of less than a
            day.
        default_timezone: what a naive ``datetime``, a text without offset, or a bare date (its midnight) is
            in; ``None``: they are errors.

    Returns:
        An aware ``datetime`` in UTC.

    Raises:
        ValueError: anything else; the text says what is wrong and what was expected.

    Example:
        >>> docstore.instant("2026-01-31T09:30:00+01:00")
        datetime.datetime(2026, 1, 31, 8, 30, tzinfo=datetime.timezone.utc)
    """
    return to_datetime(parse_instant(value, default_timezone))


def from_datetime(value: datetime, default_timezone: tzinfo | None = None, name: str = "") -> int:
    """Return ``value`` as microseconds since 1970-01-01T00:00:00Z, exactly.

    Args:
        value: an aware ``datetime``, or a naive one if there is a ``default_timezone``.
        default_timezone: the time zone of a naive ``value``; None if there is none.
        name: how an error calls the value; ``""``: by its ISO text.

    Raises:
        ValueError: naive without a ``default_timezone``, or outside the years 1 to 9999 in UTC.
    """
    # The short way for all that docstore hands out itself: no offset to ask for, no range to check.
    if type(value) is datetime and value.tzinfo is UTC:
        since = value - _EPOCH
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    try:
        offset = value.utcoffset()
        if offset is None and default_timezone is not None:
            value = value.replace(tzinfo=default_timezone)
            offset = value.utcoffset()
    except OverflowError:
        raise _out_of_range(name or value.replace(tzinfo=None).isoformat()) from None
    if offset is None:
        name = name or f"the naive time {value.isoformat()}"
        raise ValueError(f"{name} has no time zone; expected {EXPECTED}, or a store with a default_timezone")
    seconds = (value.hour * 60 + value.minute) * 60 + value.second
    local = (value.toordinal() - _EPOCH_DAY) * _DAY + seconds * 1_000_000 + value.microsecond
    instant = local - offset // timedelta(microseconds=1)
    if not MIN_INSTANT <= instant <= MAX_INSTANT:
        raise _out_of_range(name or value.isoformat())
    return instant


def to_datetime(instant: int) -> datetime:
    """Return ``instant``, microseconds since 1970-01-01T00:00:00Z, as an aware ``datetime`` in UTC.

    Raises:
        OverflowError: outside the years 1 to 9999.
    """
    return _EPOCH + timedelta(0, 0, instant)


def format_instant(instant: int) -> str:
    """Return ``instant``, microseconds since 1970-01-01T00:00:00Z, as RFC 3339 text: six digits, ``Z``."""
    return to_datetime(instant).isoformat(timespec="microseconds")[:-6] + "Z"


def instant_text(value: datetime, default_timezone: tzinfo | None = None) -> str:
    """Return ``value`` as JSON holds it (rule 4): RFC 3339 text in UTC, six digits, ``Z``.

    Such texts order as the instants do.

    Args:
        value: an aware ``datetime``, or a naive one if there is a ``default_timezone``.
        default_timezone: the time zone of a naive ``value``; None if there is none.

    Raises:
        ValueError: naive without a ``default_timezone``, or outside the years 1 to 9999 in UTC.
    """
    return format_instant(from_datetime(value, default_timezone))


def _out_of_range(name: str) -> ValueError:
    return ValueError(f"{name} is outside the years 1 to 9999 in UTC; expected {EXPECTED}")


def _parse_text(text: str, default_timezone: tzinfo | None) -> int:
    dated = _DATE.match(text)
    if dated is None:
        raise ValueError(f"{_shown(text)} is no instant; expected {EXPECTED}")
    day = _day(dated, text)
    if dated.end() == len(text):
        return from_datetime(datetime.combine(day, time()), default_timezone, f"the bare date {shown(text)}")
    timed = _TIME.fullmatch(text, dated.end())
    if timed is None:
        raise ValueError(f"{_shown(text)} has no time that can be read after its date; expected {EXPECTED}")
    hour, minute, second, fraction, zulu, sign, offset_hours, offset_minutes = timed.groups()
    local = _local(text, day, (int(hour), int(minute), int(second)), (fraction or "")[:6].ljust(6, "0"))
    if zulu is None and sign is None:
        return from_datetime(local, default_timezone, f"the naive time {shown(text)}")
    offset = 0 if zulu else _offset(text, sign, int(offset_hours), int(offset_minutes))
    instant = from_datetime(local, UTC) - offset
    if not MIN_INSTANT <= instant <= MAX_INSTANT:
        raise _out_of_range(repr(text))
    return instant


def _day(dated: re.Match[str], text: str) -> date:
    try:
        return date(*map(int, dated.groups()))
    except ValueError as wrong:
        raise _unreal(text, "date", wrong) from None


def _local(text: str, day: date, clock: tuple[int, int, int], micros: str) -> datetime:
    try:
        return datetime.combine(day, time(*clock, int(micros)))
    except ValueError as wrong:
        raise _unreal(text, "time", wrong) from None


def _unreal(text: str, part: str, wrong: ValueError) -> ValueError:
    return ValueError(f"{_shown(text)} names a {part} that does not exist ({wrong}); expected {EXPECTED}")


def _offset(text: str, sign: str, hours: int, minutes: int) -> int:
    if hours > 23 or minutes > 59:
        raise ValueError(f"{_shown(text)} has an offset of {hours:02}:{minutes:02}; expected at most 23:59")
    size = (hours * 60 + minutes) * 60_000_000
    return -size if sign == "-" else size


def _shown(text: str) -> str:
    return repr(text) if len(text) <= 64 else repr(text[:64]) + "…"
