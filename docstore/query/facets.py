"""Facets: the values at a path and how many records have each; buckets of instants and numbers. Pure."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Final

from docstore.concurrency import looked_over
from docstore.errors import InvalidPage, InvalidSort, UnknownField, shown
from docstore.limits import Limits
from docstore.query.expr import Path
from docstore.query.fields import Collection, Kind
from docstore.query.instants import metadata_instant, to_datetime
from docstore.query.paths import seen
from docstore.query.sorting import parse_sort
from docstore.query.values import identity, type_rank

# Characters of a wrong field name that the error carries.
_LONGEST_NAME = 200
# The characters of a date that tell it.
_STEPS: Final = {"day": 10, "month": 7, "year": 4}
_DAY: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Bucket:
    """Values that are counted together.

    Attributes:
        key: from a value to the key of its bucket, None if it falls in none; keys ascend with the values.
        text_bytes: how much of an instant's text in UTC tells its bucket; 0 for numbers.
        only_ends: whether the least and the greatest key are enough; others may be left out.
    """

    key: Callable[[Any], Any]
    text_bytes: int = 0
    only_ends: bool = False

    def __call__(self, value: Any) -> Any:
        """Return the key of a value's bucket."""
        return self.key(value)


# What tells the least and the greatest number, or instant, at a path.
NUMBER_ENDS: Final = Bucket(
    lambda value: value if type(value) is int or type(value) is float else None, only_ends=True
)
INSTANT_ENDS: Final = Bucket(metadata_instant, 16, only_ends=True)


class Facet(Mapping[Any, int]):
    """How many records have each value.

    A mapping from the values, most frequent first, that tells 1 from ``True``; 1 and 1.0 are one number.
    ``items()`` yields every value with its own type.

    Example:
        >>> added = store.documents.add_many([{"metadata": {"n": n}} for n in (1, 1.0, True)])
        >>> facet = store.documents.count_by("metadata.n")
        >>> list(facet.items())
        [(1, 2), (True, 1)]
    """

    __slots__ = ("_counts", "_values")

    def __init__(self, pairs: Iterable[tuple[Any, int]] = ()) -> None:
        # 1, 1.0 and True are one key of a dictionary. `identity` tells True from the numbers.
        self._values: dict[Hashable, Any] = {}
        self._counts: dict[Hashable, int] = {}
        for value, count in pairs:
            key = identity(value)
            self._values.setdefault(key, value)
            self._counts[key] = self._counts.get(key, 0) + count

    def __getitem__(self, value: Any) -> int:
        """Return how many records have a value."""
        try:
            return self._counts[identity(value)]
        except KeyError:
            raise KeyError(value) from None

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the values."""
        return iter(self._values.values())

    def pairs(self) -> Iterator[tuple[Any, int]]:
        """Iterate over the values with their counts: items() looks each up."""
        return zip(self._values.values(), self._counts.values(), strict=True)

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        """Compare with another mapping, value by value, ``True`` apart from 1."""
        if not isinstance(other, Mapping):
            return NotImplemented
        theirs = other._counts if isinstance(other, Facet) else {identity(v): n for v, n in other.items()}
        return self._counts == theirs

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show it as a dictionary."""
        return "{" + ", ".join(f"{value!r}: {count}" for value, count in self.items()) + "}"


def facet_path(field: Any, collection: Collection, limits: Limits, call: str = "count_by") -> Path:
    """Return the path that ``field`` names.

    Raises:
        UnknownField: it names no field of the collection.
    """
    if not isinstance(field, str) or field.startswith("-"):
        raise _unknown(call, field, "expected a field path such as 'status' or 'metadata.tags'")
    if field == "content" and "content" in collection.fields:
        return ("content",)
    try:
        return parse_sort(field, collection, limits)[0].path
    except InvalidSort as wrong:
        raise _unknown(call, field, str(wrong), wrong.suggestion) from None


def _unknown(call: str, field: Any, why: str, meant: str | None = None) -> UnknownField:
    name = field[:_LONGEST_NAME] if isinstance(field, str) else shown(field)
    return UnknownField(f"{call}({shown(field)}): {why}", field=name, path=name, suggestion=meant)


def values_at(record: Mapping[str, Any], path: Path) -> list[Any]:
    """Return the different scalars seen at ``path``; null and missing are ``None``."""
    held = record.get(path[0])
    found = seen({} if held is None else {path[0]: held}, path)
    values: dict[Hashable, Any] = {None: None} if found.missing else {}
    for value in found.values:
        if not isinstance(value, list | dict):
            values.setdefault(identity(value), value)
    return list(values.values())


def group(records: Iterable[Mapping[str, Any]], path: Path, bucket: Bucket | None = None) -> Facet:
    """Count records by each different value, or bucket, that they have at ``path``."""
    counts: dict[Hashable, int] = {}
    values: dict[Hashable, Any] = {}
    for record in looked_over(records):
        at = values_at(record, path)
        if bucket is not None:
            at = list({key: None for key in map(bucket, at) if key is not None})
        for value in at:
            key = identity(value)
            counts[key] = counts.get(key, 0) + 1
            values.setdefault(key, value)
    return Facet((values[key], count) for key, count in counts.items())


def in_buckets(counted: Mapping[Any, int], bucket: Bucket) -> Facet:
    """Return counts by value as counts by bucket; right where no record has two values."""
    pairs = ((bucket(value), count) for value, count in counted.items())
    return Facet((key, count) for key, count in pairs if key is not None)


def in_order(counted: Facet) -> list[tuple[Any, int]]:
    """Return the values with their counts, the most frequent first, then in sort order."""
    by_type: dict[int, list[tuple[Any, int]]] = {}
    for pair in counted.pairs():
        by_type.setdefault(type_rank(pair[0]), []).append(pair)
    # Python orders scalars of one type as rule 20 does, and is quicker at it than at any key made for them.
    ordered = [pair for rank in sorted(by_type) for pair in sorted(by_type[rank], key=itemgetter(0))]
    return sorted(ordered, key=itemgetter(1), reverse=True)


def shown_value(path: Path, collection: Collection) -> Callable[[Any], Any]:
    """Return the function from a stored value to the one that records show."""
    if collection.column(path[0]).kind is Kind.INSTANT:
        return lambda value: None if value is None else to_datetime(value)
    return lambda value: value


def bucket_of(by: Any, path: Path, collection: Collection) -> Bucket:
    """Return the function from a stored value to its bucket's key.

    Args:
        by: ``"day"``, ``"month"`` or ``"year"`` in UTC for instants, or the width of numbers' buckets.
        path: where the values are.
        collection: of which records.

    Raises:
        InvalidPage: ``by`` is none of these, or does not go with the field.
    """
    kind = collection.column(path[0]).kind
    is_width = isinstance(by, int | float) and not isinstance(by, bool) and 0 < by <= sys.float_info.max
    if not is_width and (not isinstance(by, str) or by not in _STEPS):
        raise InvalidPage(
            f"by={shown(by)}: expected 'day', 'month', 'year', or a width above 0", argument="by"
        )
    if kind not in (Kind.JSON, Kind.INTEGER if is_width else Kind.INSTANT):
        fits = "numbers" if is_width else "instants"
        raise InvalidPage(f"by={shown(by)} is for {fits}; {path[0]!r} holds none", argument="by")
    if is_width:
        return Bucket(lambda value: _floor(value, by))
    starts: dict[int, datetime] = {}

    def start(instant: int | None) -> datetime | None:
        if instant is None:
            return None
        # Python rounds down, so that instants before 1970 fall into their own day.
        day = instant // _DAY  # many instants share one, and a datetime takes 1 µs
        found = starts.get(day)
        if found is None:
            found = starts[day] = _start(to_datetime(instant), by)
        return found

    if kind is Kind.INSTANT:
        return Bucket(start, _STEPS[by])
    return Bucket(lambda value: start(metadata_instant(value)), _STEPS[by])


def _floor(value: Any, width: float) -> float | None:
    if type(value) is not int and type(value) is not float:
        return None
    if type(value) is int and type(width) is int:
        # Exact for whole numbers of any size, which a quotient of doubles is not.
        return value // width * width
    quotient = value / width
    if math.isinf(quotient):  # the width is less than lies between two doubles there
        return float(value)
    return math.floor(quotient) * width


def _start(moment: datetime, by: str) -> datetime:
    month = moment.month if by != "year" else 1
    return datetime(moment.year, month, moment.day if by == "day" else 1, tzinfo=UTC)
