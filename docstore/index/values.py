"""Values by record: the whole number that every record has in one column, by record number.

A bound on the column that a page is ordered by is not asked of sets: few candidates are tested and sorted by
their values, 0.2 µs each. The values are made of the bulk's bit slices, a chunk of 65,536 numbers at a time
(5 ms), where candidates are, and hold until the next fold.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Final

from docstore.index.bits import Bits
from docstore.index.chunks import CHUNK
from docstore.index.columns import double_ordinal, transposed
from docstore.query.expr import Compare
from docstore.query.values import INT64_MAX, INT64_MIN

__all__ = ["Values", "has_ordinal", "ordinal", "span_of"]

_BYTES: Final = CHUNK >> 3
_PLANES: Final = 8
"""Bytes of an ordinal."""


def ordinal(value: int) -> int:
    """Return the place of a whole number among all; beyond 2^53 some share one."""
    return double_ordinal(float(value))


def has_ordinal(value: int) -> bool:
    """Return whether a whole number has a place of its own, or lies at an end of all that are stored."""
    return float(value) == value or value in (INT64_MIN, INT64_MAX)


def span_of(terms: Sequence[Compare]) -> tuple[int, int] | None:
    """Return the least and the most whole number that all comparisons leave; ``None``: they are no range."""
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


class Values:
    """The values of one column, as ordinals: unsigned, in the order of the values; 0 where there is none.

    Args:
        slices: the column's, by place, the most significant first; empty ones are left out.
    """

    __slots__ = ("_chunks", "_slices")

    def __init__(self, slices: Mapping[int, Bits]) -> None:
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
