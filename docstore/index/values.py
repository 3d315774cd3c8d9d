"""Values by record: the whole number that every record has in one column, by record number.

A bound on the column that a page is ordered by is not asked of sets: few candidates are tested and sorted by
their values, 0.2 µs each. The values are made of the bulk's bit slices, a chunk of 65,536 numbers at a time
(5 ms), where candidates are, and hold until the next fold.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from docstore.index.bit_slices import double_ordinal, transposed
from docstore.index.bitmap import Bitmap
from docstore.index.chunks import CHUNK
from docstore.query.expr import Compare, SortKey
from docstore.query.values import INT64_MAX, INT64_MIN

__all__ = [
    "CUT",
    "MOST_ORDERED",
    "WALK",
    "OrderCache",
    "OrderedMatches",
    "ValuesByRecord",
    "has_ordinal",
    "is_ordered",
    "ordinal",
    "span_of",
]

_BYTES: Final = CHUNK >> 3
# Bytes of an ordinal.
_PLANES: Final = 8


def ordinal(value: int) -> int:
    """Return the place of a whole number among all; beyond 2^53 some share one."""
    return double_ordinal(float(value))


def has_ordinal(value: int) -> bool:
    """Return whether a whole number has an ordinal of its own, or is the least or the greatest int64."""
    return float(value) == value or value in (INT64_MIN, INT64_MAX)


def span_of(terms: Sequence[Compare]) -> tuple[int, int] | None:
    """Return the least and the greatest whole number that comparisons allow; None if they are no range."""
    least, most = INT64_MIN, INT64_MAX
    for term in terms:
        value = term.value
        if type(value) is not int:
            return None
        if term.op in ("eq", "gt", "gte"):
            least = max(least, value + (term.op == "gt"))
        if term.op in ("eq", "lt", "lte"):
            most = min(most, value - (term.op == "lt"))
    return least, most


class ValuesByRecord:
    """The values of one column, as ordinals: unsigned, in the order of the values; 0 where there is none.

    Args:
        slices: the column's, by place, the most significant first; empty ones are left out.
    """

    __slots__ = ("_chunks", "_slices")

    def __init__(self, slices: Mapping[int, Bitmap]) -> None:
        self._slices = slices
        self._chunks: dict[int, array[int]] = {}

    def of(self, numbers: Sequence[int]) -> list[int]:
        """Return the ordinals of some records."""
        if not numbers:
            return []
        first, last = numbers[0] >> 16, numbers[-1] >> 16
        if first == last:
            chunk, start = self._chunk(first), first << 16
            return [chunk[number - start] for number in numbers]
        chunks = {at: self._chunk(at) for at in {number >> 16 for number in numbers}}
        return [chunks[number >> 16][number & 0xFFFF] for number in numbers]

    def _chunk(self, at: int) -> array[int]:
        found = self._chunks.get(at)
        if found is None:
            found = self._chunks[at] = self._made(at)
        return found

    def _made(self, at: int) -> array[int]:
        """Turn the slices of one chunk into ordinals: eight slices are one byte of each."""
        first, end = at * _BYTES, (at + 1) * _BYTES
        planes = bytearray(_PLANES * CHUNK)
        for plane in range(_PLANES):
            turned = bytearray(CHUNK)
            for bit in range(8):
                slice = self._slices.get(8 * plane + bit)
                if slice is not None:
                    part = slice.raw[first:end]
                    turned[7 - bit : 7 - bit + 8 * len(part) : 8] = part
            # the least significant byte comes first
            planes[_PLANES - 1 - plane :: _PLANES] = transposed(bytes(turned))
        made = array("Q")
        made.frombytes(bytes(planes))
        if sys.byteorder == "big":
            made.byteswap()
        return made


MOST_ORDERED: Final = 65_536
"""More matches than that are not sorted to be kept."""

CUT: Final = 4096
"""What a page cut out of a set takes longer, in matches that could be sorted meanwhile."""
WALK: Final = 128
"""The same of a page found by walking the first rows."""

_KEPT = 16
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


class OrderedMatches:
    """Record numbers, ascending by a column's ordinal and number.

    Args:
        pairs: ordinal and number, ascending.
    """

    __slots__ = ("numbers", "ordinals")

    def __init__(self, pairs: Sequence[tuple[int, int]]) -> None:
        self.ordinals: array[int] = array("Q", [ordinal for ordinal, _ in pairs])
        self.numbers: array[int] = array("q", [number for _, number in pairs])

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.numbers)

    def ranks(self, pairs: Iterable[tuple[int, int]]) -> list[int]:
        """Return the places of those of some ordinals and numbers that are here, ascending."""
        places = ((self._place(pair), pair[1]) for pair in pairs)
        return sorted(at for at, number in places if at < len(self) and self.numbers[at] == number)

    def window(
        self,
        ranks: Sequence[int],
        offset: int,
        limit: int,
        after: tuple[int, int] | None = None,
        *,
        descending: bool = False,
    ) -> list[tuple[int, int]]:
        """Return ordinals and numbers behind an offset, or behind a position, in either direction.

        Args:
            ranks: the places of those that do not count, ascending.
            offset, limit: how many of the others to skip, and to return at most.
            after: ordinal and number that the window is strictly behind.
            descending: the direction.
        """
        start, end = 0, _living(ranks, len(self))
        if after is not None:
            place = self._place(after)
            if descending:
                end = _living(ranks, place)
            else:
                is_there = place < len(self) and (self.ordinals[place], self.numbers[place]) == after
                start = _living(ranks, place + is_there)
        if descending:
            last = max(start, end - offset)
            first = max(start, last - limit)
        else:
            first = min(end, start + offset)
            last = min(end, first + limit)
        if first >= last:
            return []
        places = range(_place_of(ranks, first), _place_of(ranks, last - 1) + 1)
        dead = set(ranks[bisect_left(ranks, places.start) : bisect_left(ranks, places.stop)])
        found = [(self.ordinals[at], self.numbers[at]) for at in places if at not in dead]
        return found[::-1] if descending else found

    def _place(self, pair: tuple[int, int]) -> int:
        """Return the place of an ordinal and number, or where they would be."""
        level = bisect_left(self.ordinals, pair[0])
        past = bisect_right(self.ordinals, pair[0], level)
        return bisect_left(self.numbers, pair[1], level, past)


def _living(ranks: Sequence[int], place: int) -> int:
    """Return how many before a place count."""
    return place - bisect_left(ranks, place)


def _place_of(ranks: Sequence[int], living: int) -> int:
    """Return the place of the living record that has ``living`` living ones before it."""
    place = living
    while (further := living + bisect_right(ranks, place)) != place:
        place = further
    return place


class OrderCache:
    """The orders kept of one generation: made where they would have paid by now, the oldest forgotten."""

    def __init__(self) -> None:
        self._kept: dict[str, OrderedMatches | int] = {}

    def get(self, key: str) -> OrderedMatches | None:
        """Return what is kept, if it is."""
        found = self._kept.get(key)
        return found if isinstance(found, OrderedMatches) else None

    def is_due(self, key: str, size: int, gain: int = CUT) -> bool:
        """Return whether sorting the matches would have paid by now; never on the first call.

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

    def put(self, key: str, ordered: OrderedMatches) -> OrderedMatches:
        """Keep what was sorted."""
        self._put(key, ordered)
        return ordered

    def _put(self, key: str, kept: OrderedMatches | int) -> None:
        self._kept[key] = kept
        while len(self._kept) > _KEPT:
            self._kept.pop(next(iter(self._kept)), None)
