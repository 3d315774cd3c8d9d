"""Columns: the numbers and dates of a path, as bit slices, and turned back into values by record number.

*Bit slices* keep one value a record; a comparison is a dozen set operations, however many values there are.

Slice ``j`` is the set of the records whose value has bit ``j``, counted from the most significant, in a form
whose order as unsigned integers is the order of the values: the sixteen first bytes of a date, a double with
its sign turned. Slices that are empty in all records cost nothing, and a comparison ends where no record is
left undecided.

*Values by record* count the different numbers of a column. They are made of its slices, a chunk of 65,536
numbers at a time (5 ms).
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import compress
from typing import Final, Protocol

from docstore.index.bitmap import CHUNK, Bitmap, BitRun, Members, difference, intersection, union_all
from docstore.index.terms import DATES, WIDTHS
from docstore.query.expr import Path

_SPREAD: Final = 4
# A double's bits order as numbers do once the sign is turned, and of negatives all bits.
_SIGN: Final = 1 << 63
_ALL: Final = (1 << 64) - 1
_TABLES: Final = tuple(bytes(value >> (7 - bit) & 1 for value in range(256)) for bit in range(8))


def slice_key(column: bytes, at: int) -> bytes:
    """Return the key under which slice ``at`` of a column is stored."""
    return column + bytes((0x80 + at,))


def double_ordinal(value: float) -> int:
    """Return a double's place among all doubles, 64 bits."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", value or 0.0))
    return int(bits ^ (_ALL if bits & _SIGN else _SIGN))


def double_of_ordinal(ordinal: int) -> float:
    """Return the double at a place among all."""
    bits = ordinal ^ (_SIGN if ordinal & _SIGN else _ALL)
    (value,) = struct.unpack(">d", bits.to_bytes(8, "big"))
    return float(value)


def number_of(key: bytes) -> float:
    """Return the number of a key: an int where it is whole."""
    # Eight bytes are the nearest double, two what the number is more or less than that.
    value = double_of_ordinal(int.from_bytes(key[1:9], "big"))
    return int(value) + int.from_bytes(key[9:11], "big") - 0x8000 if value.is_integer() else value


def double_ordinal_of(value: bytes) -> int:
    """Return the place of a double among all, given as big-endian bytes."""
    bits = int.from_bytes(value, "big")
    return bits ^ (_ALL if bits & _SIGN else _SIGN)


def date_ordinal_of(value: bytes) -> int:
    """Return the place of a text's first sixteen bytes."""
    return int.from_bytes(value, "big")


def date_ordinal(text: str) -> int:
    """Return the place of a text by its first sixteen bytes, 128 bits."""
    return int.from_bytes(text.encode()[:16].ljust(16, b"\0"), "big")


def raw_slices(column: bytes, members: Sequence[int], values: bytes) -> Iterator[tuple[int, Members]]:
    """Yield the slices of a column, ascending, and their members as :meth:`Node.column` has them.

    Yields:
        ``(j, members)`` for each slice that is not empty. On doubles the sign is not turned yet in
        ``values``; it is in the slices.
    """
    if not members:
        return
    first, span = members[0], members[-1] - members[0] + 1
    if span == len(members):
        yield from _runs(column, values, span, first)
    elif span <= _SPREAD * len(members):
        yield from _runs(column, _spread(column, members, values, span), span, first)
    else:
        width = WIDTHS[column]
        sign = values[0::width].translate(_TABLES[0]) if column != DATES else b""
        for at in range(8 * width):
            flags = values[at >> 3 :: width].translate(_TABLES[at & 7])
            if column != DATES:
                flags = _turned(flags, sign, b"\1" in sign, at)
            if b"\1" in flags:
                yield at, list(compress(members, flags))


def _runs(column: bytes, values: bytes, size: int, first: int) -> Iterator[tuple[int, Members]]:
    """Yield the slices of ``size`` values whose records have no gaps between them, eight slices at once."""
    width, whole, sign = WIDTHS[column], (1 << size) - 1, 0
    for byte in range(width):
        part = values[byte::width]
        is_same = part.count(part[0]) == size
        turned = b"" if is_same else transposed(part)
        for bit in range(8):
            if is_same:
                integer = whole if part[0] << bit & 0x80 else 0
            else:
                integer = int.from_bytes(turned[7 - bit :: 8], "little")
            if column != DATES:
                if byte == bit == 0:
                    sign, integer = integer, integer ^ whole
                elif sign:
                    integer ^= sign
            if integer:
                yield byte * 8 + bit, BitRun(integer, first)


def transposed(part: bytes) -> bytes:
    """Return the bits of bytes turned around, eight by eight: byte ``8 i + j`` holds bit ``j`` of the bytes
    from ``8 i`` to ``8 i + 7``, the least significant first.
    """
    # Three swaps of ever larger corners turn each 8 × 8 block of bits, all blocks at once in one integer.
    blocks = (len(part) + 7) >> 3
    bits = int.from_bytes(part, "little")
    for shift, mask in zip((7, 14, 28), _masks(blocks), strict=True):
        moved = (bits ^ (bits >> shift)) & mask
        bits ^= moved ^ (moved << shift)
    return bits.to_bytes(8 * blocks, "little")


@lru_cache(maxsize=8)
def _masks(blocks: int) -> tuple[int, ...]:
    every = (0x00AA00AA00AA00AA, 0x0000CCCC0000CCCC, 0x00000000F0F0F0F0)
    return tuple(int.from_bytes(mask.to_bytes(8, "little") * blocks, "little") for mask in every)


def _spread(column: bytes, members: Sequence[int], values: bytes, span: int) -> bytes:
    """Return a value for every number of a range; those without one get a value in no slice."""
    width, first = WIDTHS[column], members[0]
    spread = bytearray(b"\0" if column == DATES else b"\xff") * (span * width)
    start = 0
    for number in members:
        at = (number - first) * width
        spread[at : at + width] = values[start : start + width]
        start += width
    return bytes(spread)


def _turned(flags: bytes, sign: bytes, negative: bool, at: int) -> bytes:
    """Turn the bits of doubles: the sign always, the others where it is set."""
    if at == 0:
        return bytes(sign).translate(_FLIP)
    if not negative:
        return flags
    size = len(flags)
    return (int.from_bytes(flags, "big") ^ int.from_bytes(sign, "big")).to_bytes(size, "big")


# Turns the lowest bit of each byte around.
_FLIP: Final = bytes(1 - (value & 1) for value in range(256))


class BitSlices:
    """A column: the value of each record that has one, bit by bit.

    Args:
        column: which column it is.
        present: the records in it.
        slices: by place, the most significant first, the records whose value has the bit; empty ones may
            be left out.

    Attributes:
        present: the records in it.
        base: the bits that all values have.
        varying: each bit that only some values have, and who has it, the most significant first.
    """

    __slots__ = ("_differing", "base", "present", "varying")

    def __init__(self, column: bytes, present: Bitmap, slices: Mapping[int, Bitmap]) -> None:
        last, base = 8 * WIDTHS[column] - 1, 0
        varying: list[tuple[int, Bitmap]] = []
        for at in sorted(slices):
            bits = slices[at]
            if len(bits.members) == len(present.members) if present.is_listed else bits == present:
                base |= 1 << (last - at)
            elif bits:
                varying.append((1 << (last - at), bits))
        self.present: Bitmap = present
        self.base: int = base
        self.varying: tuple[tuple[int, Bitmap], ...] = tuple(varying)
        self._differing = sum(bit for bit, _ in varying)

    def compare(self, ordinal: int, among: Bitmap | None = None) -> tuple[Bitmap, Bitmap, Bitmap]:
        """Return which records have a lesser, the same and a greater value than ``ordinal``.

        Args:
            ordinal: the value.
            among: records of the column; None for all of them.
        """
        lesser, greater, level = 0, 0, (self.present if among is None else among).integer
        # Of the bits that all values share, the first in which ``ordinal`` is another decides the rest.
        other = (ordinal ^ self.base) & ~self._differing
        last = 1 << other.bit_length() >> 1
        # Level records agree with the value so far; each slice moves those that differ to one side for good.
        for bit, bits in self.varying:
            if bit < last or not level:
                break
            ones = level & bits.integer
            if ordinal & bit:
                lesser |= level ^ ones
                level = ones
            elif ones:
                greater |= ones
                level ^= ones
        if last:
            lesser, greater = (lesser | level, greater) if ordinal & last else (lesser, greater | level)
            level = 0
        return Bitmap.of_integer(lesser), Bitmap.of_integer(level), Bitmap.of_integer(greater)

    def extreme(self, among: Bitmap, *, largest: bool) -> tuple[int, Bitmap]:
        """Return the least or greatest value of some records of the column, at least one, and who has it."""
        ordinal, level = self.base, among.integer
        for bit, bits in self.varying:
            ones = level & bits.integer
            if (ones != 0) if largest else ones == level:
                ordinal, level = ordinal | bit, ones
            elif not largest:
                level ^= ones
        return ordinal, Bitmap.of_integer(level)

    def equal_to_any(self, ordinals: Iterable[int]) -> Bitmap:
        """Return the records with one of the values, by going down the slices with all of them at once."""
        found: list[Bitmap] = []
        wanted = sorted({value for value in ordinals if not (value ^ self.base) & ~self._differing})
        stack = [(self.present, wanted, 0)] if wanted else []
        while stack:
            level, wanted, at = stack.pop()
            while at < len(self.varying) and level:
                bit, bits = self.varying[at]
                at += 1
                ones = intersection(level, bits)
                high = [value for value in wanted if value & bit]
                if len(high) == len(wanted):
                    level = ones
                    continue
                if high:
                    stack.append((ones, high, at))
                    wanted = [value for value in wanted if not value & bit]
                level = difference(level, ones)
            if level:
                found.append(level)
        return union_all(found)


class Posts(Protocol):
    """Whatever says who has a term."""

    def posting(self, path: Path, key: bytes) -> Bitmap:
        """Return the records that have the term."""


def column_of(stored: Posts, path: Path, column: bytes) -> BitSlices:
    """Return the slices of a column, read one by one."""
    places = range(8 * WIDTHS[column])
    slices = {at: stored.posting(path, slice_key(column, at)) for at in places}
    return BitSlices(column, stored.posting(path, column), slices)


# -- values by record ------------------------------------------------------------------------------------

_BYTES: Final = CHUNK >> 3
# Bytes of an ordinal.
_PLANES: Final = 8
_FULL: Final = b"\xff" * _BYTES


class ValuesByRecord:
    """The values of one column by record, 64 bits of each, unsigned; 0 or :attr:`BitSlices.base` without one.

    Args:
        slices: the column.
        shift: how many bits are less significant than those.
    """

    __slots__ = ("_base", "_chunks", "_slices")

    def __init__(self, slices: BitSlices, shift: int = 0) -> None:
        self._base = slices.base >> shift & _ALL
        self._slices = {bit >> shift: bits for bit, bits in slices.varying if 0 < bit >> shift <= _ALL}
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
        planes = bytearray(self._base.to_bytes(_PLANES, "little") * CHUNK)
        for plane in range(_PLANES):
            # the least significant byte comes first
            turned, is_varying = bytearray(CHUNK), False
            for bit in range(8):
                slice = self._slices.get(1 << (8 * plane + bit))
                if slice is not None:
                    is_varying, part = True, slice.raw[first:end]
                    turned[bit : bit + 8 * len(part) : 8] = part
                elif self._base >> (8 * plane + bit) & 1:
                    turned[bit::8] = _FULL
            if is_varying:
                planes[plane::_PLANES] = transposed(bytes(turned))
        made = array("Q")
        made.frombytes(bytes(planes))
        if sys.byteorder == "big":
            made.byteswap()
        return made
