"""Ordered: what matches a filter, in the order of one column, until the index is folded.

Who turns the pages of a listing asks for the same matches in the same order again and again. Cutting a page
out of a set (:mod:`docstore.index.window`) costs the more the more there is to cut; out of a sorted list it
costs nothing. Matches that have changed meanwhile stay in the list and are passed over.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

from docstore.backend import SortKey

__all__ = ["CUT", "MOST_ORDERED", "WALK", "Ordered", "Orders", "is_ordered"]

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


class Ordered:
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
    """Return the place of the one before which so many count, and which counts itself."""
    place = living
    while (further := living + bisect_right(ranks, place)) != place:
        place = further
    return place


class Orders:
    """The orders kept of one generation: made where they would have paid by now, the oldest forgotten."""

    def __init__(self) -> None:
        self._kept: dict[str, Ordered | int] = {}

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
