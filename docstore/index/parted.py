"""Parted: what matches a filter, parted by the bits of one column only as far as its pages were asked for.

Cutting a page out of a large set goes down the column's slices, a few operations on whole sets each. Whoever
turns pages goes the same way again and again, so the parts that were met are kept: they form a tree, the
lesser values first, and a page costs what its own end of the tree still has to be parted. Nothing is sorted
that nobody asked for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import compress
from operator import not_
from typing import Final

from docstore.index.bits import EMPTY, SMALL, Bits, intersection, minus
from docstore.index.columns import Slices, double_ordinal

__all__ = ["Parted"]

_WIDTH: Final = 64
_MOST: Final = 8 << 20
"""Bytes that the parts of one set may take; beyond, it is parted anew."""


class _Part:
    """Members that stand side by side in the order.

    Attributes:
        count: how many.
        bits: which, until they are parted.
        weight: about how many bytes that takes; nothing where it is kept elsewhere.
        place: which of the varying slices parts them, or is the next that may; behind the last, all share a
            value.
        halves: those with lesser values and those with greater ones, once they are parted.
    """

    __slots__ = ("bits", "count", "halves", "place", "weight")

    def __init__(self, bits: Bits, count: int, place: int, weight: int = 0) -> None:
        self.count = count
        self.bits: Bits = bits
        self.weight = weight
        self.place = place
        self.halves: tuple[_Part, _Part] | None = None

    def any_member(self) -> int:
        """Return one of the members."""
        part, bits = self, self.bits
        while part.halves is not None:
            part = part.halves[0]
            bits = part.bits
        if bits.listed:
            return bits.members[0]
        integer = bits.integer
        return (integer & -integer).bit_length() - 1


class Parted:
    """A set in the ascending order of a column's values, and of the numbers where they share one.

    Threads may share it: whoever parts a part finds the same halves, and they are there before it is emptied.

    Args:
        bits: the set; all of it have a value in the column, which holds doubles.
        varying: the slices that may tell them apart, the most significant first.
    """

    __slots__ = ("_bits", "_root", "_varying", "_weight")

    def __init__(self, bits: Bits, varying: Sequence[int]) -> None:
        self._bits = bits
        self._varying = varying
        self._root = _Part(bits, bits.count, 0)
        self._weight = 0

    def __len__(self) -> int:
        """Return the number of members."""
        return self._root.count

    def page(
        self,
        slices: Slices,
        offset: int,
        limit: int,
        after: tuple[int, int] | None = None,
        *,
        descending: bool = False,
    ) -> list[int]:
        """Return ``limit`` members behind an offset, or behind a position, in the order or against it.

        Args:
            slices: of the column.
            offset, limit: which part of the order.
            after: a value below 2^53 and a number; what is counted begins strictly behind them.
            descending: whether the order goes backwards.
        """
        if self._weight > _MOST:
            self._root, self._weight = _Part(self._bits, len(self), 0), 0
        start, end = 0, len(self)
        if after is not None:
            value, number = after
            if descending:
                end = self._before(slices, value, number)
            else:
                start = self._before(slices, value, number + 1)
        if descending:
            last = max(start, end - offset)
            return self._between(slices, max(start, last - limit), last)[::-1]
        first = min(end, start + offset)
        return self._between(slices, first, min(end, first + limit))

    def _between(self, slices: Slices, start: int, end: int) -> list[int]:
        """Return the members from one place in the order to another."""
        found: list[int] = []
        todo = [(self._root, 0)]
        while todo:
            part, at = todo.pop()
            if at >= end or at + part.count <= start:
                continue
            halves = part.halves or self._halves(slices, part)
            if halves is None:
                found += part.bits.members[max(0, start - at) : end - at]
            else:
                todo += ((halves[1], at + halves[0].count), (halves[0], at))
        return found

    def _halves(self, slices: Slices, part: _Part) -> tuple[_Part, _Part] | None:
        """Part a part by the next slice that does; ``None``: there is one member, or all share a value."""
        if part.count < 2:
            return None
        bits, place = part.bits, part.place
        if part.count <= SMALL:
            bits.members  # noqa: B018 - lists them
        while part.halves is None and place < len(self._varying):
            slice = slices(self._varying[place])
            parted = (
                _list_parted(bits.members, slice) if bits.listed else _set_parted(bits, part.count, slice)
            )
            if parted is not None:
                lesser, greater = (_Part(half, half.count, place + 1, half.weight) for half in parted)
                self._weight += lesser.weight + greater.weight - part.weight
                part.place = place
                part.halves = lesser, greater
                part.bits = EMPTY
                break
            place += 1
        else:
            if part.halves is None:
                part.place = place
        return part.halves

    def _before(self, slices: Slices, value: int, number: int) -> int:
        """Return how many members come before a value and a number."""
        ordinal, part, before, at = double_ordinal(value), self._root, 0, 0
        while part.count:
            halves = part.halves or self._halves(slices, part)
            stop = _WIDTH if halves is None else self._varying[part.place]
            one = part.any_member()
            for place in range(at, stop):  # in these all members are alike
                is_set = ordinal >> (_WIDTH - 1 - place) & 1
                if is_set != (one in slices(place)):
                    return before + part.count if is_set else before
            if halves is None:
                return before + bisect_left(part.bits.members, number)
            part = halves[0]
            if ordinal >> (_WIDTH - 1 - stop) & 1:
                before, part = before + part.count, halves[1]
            at = stop + 1
        return before


def _set_parted(bits: Bits, count: int, slice: Bits) -> tuple[Bits, Bits] | None:
    """Return what of a set is not in a slice, and what is; ``None`` if that is all or nothing."""
    ones = intersection(bits, slice)
    if not ones or ones.count == count:
        return None
    return minus(bits, ones).counted(count - ones.count), ones


def _list_parted(members: Sequence[int], slice: Bits) -> tuple[Bits, Bits] | None:
    """Do the same with a list."""
    raw = slice.raw
    end = len(raw) << 3
    held = [number < end and raw[number >> 3] >> (number & 7) & 1 for number in members]
    ones = list(compress(members, held))
    if not ones or len(ones) == len(members):
        return None
    return Bits(list(compress(members, map(not_, held))), None), Bits(ones, None)
