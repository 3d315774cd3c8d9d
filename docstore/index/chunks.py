"""Chunks: how a set of numbers is kept in a database, 65,536 numbers to a piece, in the shortest of four
forms.

The first byte says which: ``00`` the numbers, two bytes each; ``01`` a bitmap, cut off behind its last 1;
``02`` two bytes for an end (less one), then the numbers below the end that are *not* in the set; ``03`` two
bytes for where in the bitmap its first byte that is not 0 stands, then the bitmap from there. Bytes are
little-endian everywhere.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from typing import Final

from docstore.index.bitmap import EMPTY, SMALL, Bitmap

__all__ = [
    "CHUNK",
    "assemble",
    "merged",
    "packed",
    "packed_integer",
    "packed_one",
    "removed",
    "split",
]

CHUNK: Final = 1 << 16
# Below this a bitmap of one place is shorter than its number.
_EARLY: Final = 24
_SWAP: Final = sys.byteorder == "big"


def split(members: Sequence[int]) -> dict[int, Sequence[int]]:
    """Return ascending numbers by chunk, as places within it."""
    if not members:
        return {}
    first, last = members[0] >> 16, members[-1] >> 16
    if first == last:
        return {first: [number & 0xFFFF for number in members] if first else members}
    found: dict[int, list[int]] = {}
    chunk, places = -1, list[int]()
    for number in members:
        if number >> 16 != chunk:
            chunk = number >> 16
            places = found.setdefault(chunk, [])
        places.append(number & 0xFFFF)
    return {**found}


def packed(places: Sequence[int]) -> bytes:
    """Return the form of ascending places, at least one."""
    if 2 * len(places) <= _bitmap(places[0], places[-1]):
        return b"\0" + _as_bytes(places)
    return packed_integer(_of_places(places))


def packed_one(place: int) -> bytes:
    """Return the form of one place."""
    return b"\0" + place.to_bytes(2, "little") if place >= _EARLY else packed((place,))


def _bitmap(first: int, last: int) -> int:
    """Return how many bytes a bitmap from one place to another takes; what is before it is left out if that
    pays.
    """
    start = first >> 3
    return (last >> 3) + 1 - (start - 2 if start > 2 else 0)


def packed_integer(integer: int) -> bytes:
    """Return the form of the places that are bits of ``integer``, not 0."""
    end = integer.bit_length()
    count = integer.bit_count()
    first = (integer & -integer).bit_length() - 1
    bitmap, start = _bitmap(first, end - 1), first >> 3
    if 2 * count <= bitmap:
        return b"\0" + _as_bytes(Bitmap.of_integer(integer).members)
    if 2 * (end - count) + 2 < bitmap:
        missing = Bitmap.of_integer(integer ^ ((1 << end) - 1))
        return b"\2" + (end - 1).to_bytes(2, "little") + _as_bytes(missing.members)
    if start > 2:
        return b"\3" + start.to_bytes(2, "little") + (integer >> (8 * start)).to_bytes(bitmap - 2, "little")
    return b"\1" + integer.to_bytes(bitmap, "little")


def merged(old: bytes, new: bytes) -> bytes:
    """Return the form of the union of two."""
    if old[0] == 0 and new[0] == 0 and len(old) + len(new) < 8192:
        bitmap = _bitmap(old[2] << 8 | old[1], new[-1] << 8 | new[-2])
        # the last of the one and the first of the other, the high byte first
        if old[:-3:-1] < new[2:0:-1] and len(old) + len(new) - 2 <= bitmap:
            return old + new[1:]
        return packed(sorted({*_places(old[1:]), *_places(new[1:])}))
    return packed_integer(_integer(old) | _integer(new))


def removed(old: bytes, gone: bytes) -> bytes:
    """Return the form of what is in the first and not in the second; ``b""`` if nothing is."""
    integer = _integer(old)
    integer ^= integer & _integer(gone)
    return packed_integer(integer) if integer else b""


def assemble(pieces: Sequence[tuple[int, bytes]]) -> Bitmap:
    """Return the set whose chunks are ``(chunk, form)``, in ascending order of the chunks."""
    if not pieces:
        return EMPTY
    if all(form[0] == 0 for _, form in pieces) and sum(len(form) for _, form in pieces) <= 2 * SMALL:
        return Bitmap.of([(chunk << 16) + place for chunk, form in pieces for place in _places(form[1:])])
    whole = bytearray((pieces[-1][0] + 1) * 8192)
    for chunk, form in pieces:
        start = chunk * 8192
        if form[0] == 1:
            whole[start : start + len(form) - 1] = form[1:]
        elif form[0] == 2:
            raw = _integer(form).to_bytes(8192, "little")
            whole[start : start + 8192] = raw
        elif form[0] == 3:
            start += int.from_bytes(form[1:3], "little")
            whole[start : start + len(form) - 3] = form[3:]
        else:
            for place in _places(form[1:]):
                whole[start + (place >> 3)] |= 1 << (place & 7)
    return Bitmap.of_raw(bytes(whole))


def _as_bytes(places: Sequence[int]) -> bytes:
    kept = array("H", places)
    if _SWAP:
        kept.byteswap()
    return kept.tobytes()


def _places(raw: bytes) -> array[int]:
    kept = array("H")
    kept.frombytes(raw)
    if _SWAP:
        kept.byteswap()
    return kept


def _integer(form: bytes) -> int:
    if form[0] == 1:
        return int.from_bytes(form[1:], "little")
    if form[0] == 2:
        end = int.from_bytes(form[1:3], "little") + 1
        return ((1 << end) - 1) ^ _of_places(_places(form[3:]))
    if form[0] == 3:
        return int.from_bytes(form[3:], "little") << (8 * int.from_bytes(form[1:3], "little"))
    return _of_places(_places(form[1:]))


def _of_places(places: Sequence[int]) -> int:
    return Bitmap(places, None).integer
