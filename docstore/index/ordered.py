"""Ordered: what matches a filter, in the order of one column, for as long as nothing changes.

Who turns the pages of a listing asks for the same matches in the same order again and again. Cutting a page
out of a set (:mod:`docstore.index.window`) costs the more the more there is to cut; out of a sorted list it
costs nothing.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, Final

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


class Orders:
    """The orders kept beside a state of the index: made where they would have paid by now, the oldest
    forgotten.
    """

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
