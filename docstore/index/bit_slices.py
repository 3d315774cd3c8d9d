"""Bit slices: one value a record; a comparison is a dozen set operations, however many values there are.

Slice ``j`` is the set of the records whose value has bit ``j``, counted from the most significant, in a form
whose order as unsigned integers is the order of the values: the sixteen first bytes of a date, a double with
its sign turned. Slices that are empty in all records cost nothing, and a comparison ends where no record is
left undecided.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import compress
from typing import Final

from docstore.index.bitmap import EMPTY, Bitmap, BitRun, Members, difference, intersection, union
from docstore.index.terms import DATES, WIDTHS

__all__ = [
    "Slices",
    "compare",
    "date_ordinal",
    "date_ordinal_of",
    "double_ordinal",
    "double_ordinal_of",
    "equal_to_any",
    "raw_slices",
    "slice_key",
    "transposed",
]

Slices = Callable[[int], Bitmap]
"""Slice ``j`` of a column."""
_SPREAD: Final = 4
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
    """Yield the slices of a column of ``members``, ascending, and their values as :meth:`Node.column`
    gives them.

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
    """Return values for all numbers from the first to the last; those between, which have none, get one
    that no slice holds.
    """
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


_FLIP: Final = bytes(1 - (value & 1) for value in range(256))


def compare(slices: Slices, column: bytes, present: Bitmap, ordinal: int) -> tuple[Bitmap, Bitmap, Bitmap]:
    """Return which of ``present`` have a lesser, the same and a greater value than ``ordinal``."""
    bits = WIDTHS[column] * 8
    # Level records agree with the value so far; each slice moves those that differ to one side for good.
    lesser, greater, level = EMPTY, EMPTY, present
    for at in range(bits):
        if not level:
            break
        ones = intersection(level, slices(at))
        if ordinal >> (bits - 1 - at) & 1:
            if ones is not level:
                rest = difference(level, ones)
                lesser = union(lesser, rest)
            level = ones
        elif ones:
            greater = union(greater, ones)
            level = difference(level, ones)
    return lesser, level, greater


def equal_to_any(slices: Slices, column: bytes, present: Bitmap, ordinals: Sequence[int]) -> Bitmap:
    """Return which of ``present`` have one of the values, by going down the slices with all of them at
    once.
    """
    bits = WIDTHS[column] * 8
    found: list[Bitmap] = []
    stack = [(present, sorted(set(ordinals)), 0)]
    while stack:
        level, wanted, at = stack.pop()
        while at < bits and level:
            place = bits - 1 - at
            ones = intersection(level, slices(at))
            high = [value for value in wanted if value >> place & 1]
            at += 1
            if len(high) == len(wanted):
                level = ones
                continue
            zeros = difference(level, ones) if ones else level
            if high:
                stack.append((ones, high, at))
                wanted = [value for value in wanted if not value >> place & 1]
            level = zeros
        if level:
            found.append(level)
    result = EMPTY
    for one in found:
        result = union(result, one)
    return result
