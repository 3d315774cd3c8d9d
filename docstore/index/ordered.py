"""Ordered: what matches a filter, in the order of one column, for as long as nothing changes.

Who turns the pages of a listing asks for the same matches in the same order again and again. Cutting a page
out of a set (:mod:`docstore.index.window`) costs the more the more there is to cut; out of a sorted list it
costs nothing.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import compress
from operator import and_, itemgetter
from typing import Any, Final

from docstore.backend import SortKey
from docstore.index.parted import Parted

__all__ = ["CUT", "MOST_ORDERED", "PARTED", "WALK", "First", "Ordered", "Orders", "is_ordered"]

MOST_ORDERED: Final = 65_536
"""More matches than that are not sorted to be kept."""

CUT: Final = 4096
"""What a page cut out of a set takes longer, in matches that could be sorted meanwhile."""
PARTED: Final = 64
"""The same of a page whose parts of the set are kept."""
WALK: Final = 128
"""The same of a page found by walking the first rows."""

_KEPT = 16
_MOST_PARTED = 8
_PART = 128
_NEVER_NONE = frozenset({"created_at", "updated_at", "first_created_at", "attempts", "revision", "version"})


def is_ordered(order: Sequence[SortKey]) -> bool:
    """Return whether ``order`` is by a column that always holds a whole number, then by ``number``, both in
    one direction.
    """
    return (
        len(order) == 2
        and len(order[0].path) == 1
        and order[0].path[0] in _NEVER_NONE
        and order[1].path == ("number",)
        and order[0].descending == order[1].descending
    )


class Ordered:
    """Record numbers, ascending by a column's value and number.

    Args:
        pairs: value and number, ascending.
    """

    __slots__ = ("numbers", "values")

    def __init__(self, pairs: Iterable[tuple[int, int]]) -> None:
        self.values: array[int] = array("q")
        self.numbers: array[int] = array("q")
        for value, number in pairs:
            self.values.append(value)
            self.numbers.append(number)

    def page(
        self, offset: int, limit: int, after: Sequence[Any] | None = None, *, descending: bool = False
    ) -> Sequence[int]:
        """Return ``limit`` numbers behind an offset, or behind a position, in either direction."""
        numbers = self.numbers
        start, end = 0, len(numbers)
        if after is not None:
            value, number = after
            level = bisect_left(self.values, value)
            past = bisect_right(self.values, value, level)
            if descending:
                end = bisect_left(numbers, number, level, past)
            else:
                start = bisect_right(numbers, number, level, past)
        if descending:
            last = max(start, end - offset)
            return numbers[max(start, last - limit) : last][::-1]
        first = start + offset
        return numbers[first : min(end, first + limit)]


class First:
    """The first records in an order by a column that always holds a whole number, then by number.

    Whoever walks the order, and asks of each record whether it is in a set, walks these again and again.

    Args:
        pairs: value and number, in the order.
        descending: which way it goes.
        is_all: whether there are no more records than these.
    """

    __slots__ = ("_marks", "_parts", "_places", "_sign", "_size", "is_all")

    def __init__(self, pairs: Sequence[tuple[int, int]], *, descending: bool, is_all: bool) -> None:
        self._sign = sign = -1 if descending else 1
        self._marks = array("q", [sign * value for value, _ in pairs])
        self._places = array("q", [sign * number for _, number in pairs])
        self._parts = [
            _Part([number for _, number in pairs[at : at + _PART]]) for at in range(0, len(pairs), _PART)
        ]
        self._size = max((part.size for part in self._parts), default=0)
        self.is_all: bool = is_all

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._marks)

    def within(self, least: int, most: int, after: Sequence[Any] | None) -> tuple[int, int]:
        """Return which part of these holds the records with a value in a range, ends included, that stand
        behind a position.
        """
        low, high = (least, most) if self._sign > 0 else (-most, -least)
        start, end = bisect_left(self._marks, low), bisect_right(self._marks, high)
        if after is not None:
            mark, place = self._sign * after[0], self._sign * after[1]
            level = bisect_left(self._marks, mark)
            past = bisect_right(self._marks, mark, level)
            start = max(start, bisect_right(self._places, place, level, past))
        return start, max(start, end)

    def members(self, raw: bytes, start: int, end: int, wanted: int) -> list[int]:
        """Return the numbers of a part that are in a set: ``wanted`` or more, if there are so many.

        Args:
            raw: the set, a bit a number, least first.
            start, end: the part.
            wanted: how many are enough.
        """
        raw = raw.ljust(self._size, b"\0")
        found: list[int] = []
        while start < end and len(found) < wanted:
            at, first = divmod(start, _PART)
            last = min(_PART, end - at * _PART)
            found += self._parts[at].members(raw, first, last)
            start = (at + 1) * _PART
        return found


class _Part:
    """Some records of an order: their bits are picked out of a set all at once."""

    __slots__ = ("_bits", "_numbers", "_pick", "size")

    def __init__(self, numbers: list[int]) -> None:
        self._numbers = numbers
        self._bits = [1 << (number & 7) for number in numbers]
        places = [number >> 3 for number in numbers]
        self.size = max(places) + 1
        self._pick = itemgetter(*places, 0)  # one more, for it to be a tuple always

    def members(self, raw: bytes, first: int, last: int) -> Iterable[int]:
        if last - first == len(self._numbers):
            return compress(self._numbers, map(and_, self._pick(raw), self._bits))
        numbers = self._numbers[first:last]
        return [number for number in numbers if raw[number >> 3] >> (number & 7) & 1]


class Orders:
    """The orders kept beside a state of the index: made where they would have paid by now, the oldest
    forgotten.

    Attributes:
        first: the first records of the order that is walked, by its direction; before they were read, how
            often it was walked.
        parted: what is parted a page at a time.
    """

    def __init__(self) -> None:
        self._kept: dict[str, Ordered | int] = {}
        self.first: dict[bool, First | int] = {}
        self.parted: dict[str, Parted] = {}

    def put_parted(self, key: str, parted: Parted) -> Parted:
        """Keep what is to be parted from now on."""
        self.parted[key] = parted
        while len(self.parted) > _MOST_PARTED:
            self.parted.pop(next(iter(self.parted)), None)
        return parted

    def get(self, key: str) -> Ordered | None:
        """Return what is kept, if it is."""
        found = self._kept.get(key)
        return found if isinstance(found, Ordered) else None

    def is_due(self, key: str, size: int, gain: int = CUT) -> bool:
        """Return whether having sorted so many matches would have paid by now; never the first time.

        Args:
            key: what is asked for.
            size: how many there are to sort.
            gain: how many could have been sorted in the time that this page takes longer without.
        """
        found = self._kept.get(key)
        before = found if isinstance(found, int) else 0
        if before and before + gain >= size:
            return True
        self._put(key, before + gain)
        return False

    def put(self, key: str, ordered: Ordered) -> Ordered:
        """Keep what was sorted."""
        self._put(key, ordered)
        return ordered

    def _put(self, key: str, kept: Ordered | int) -> None:
        self._kept[key] = kept
        while len(self._kept) > _KEPT:
            self._kept.pop(next(iter(self._kept)), None)
