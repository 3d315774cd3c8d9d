"""Chunks: how a set of numbers is kept in a database, 65,536 numbers to a piece, in the shortest of three
forms.

The first byte says which: ``00`` the numbers, two bytes each; ``01`` a bitmap, cut off behind its last 1;
``02`` two bytes for an
end (less one), then the numbers below the end that are *not* in the set. Bytes are little-endian everywhere.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import Final

from docstore.index.bits import EMPTY, SMALL, Bits

__all__ = ["CHUNK", "assemble", "merged", "packed", "packed_integer", "removed", "split"]

CHUNK: Final = 1 << 16
_SWAP: Final = sys.byteorder == "big"


def split(members: Iterable[int]) -> dict[int, list[int]]:
    """Return ascending numbers by chunk, as places within it."""
    found: dict[int, list[int]] = {}
    chunk, places = -1, list[int]()
    for number in members:
        if number >> 16 != chunk:
            chunk = number >> 16
            places = found.setdefault(chunk, [])
        places.append(number & 0xFFFF)
    return found


def packed(places: Sequence[int]) -> bytes:
    """Return the form of ascending places, at least one."""
    if 2 * len(places) <= places[-1] // 8:
        return b"\0" + _as_bytes(places)
    return packed_integer(Bits.of(places).integer)


def packed_integer(integer: int) -> bytes:
    """Return the form of the places that are bits of ``integer``, not 0."""
    end = integer.bit_length()
    count = integer.bit_count()
    bitmap = (end + 7) // 8
    if 2 * count < bitmap:
        return b"\0" + _as_bytes(Bits.of_integer(integer).members)
    if 2 * (end - count) + 2 < bitmap:
        missing = Bits.of_integer(integer ^ ((1 << end) - 1))
        return b"\2" + (end - 1).to_bytes(2, "little") + _as_bytes(missing.members)
    return b"\1" + integer.to_bytes(bitmap, "little")


def merged(old: bytes, new: bytes) -> bytes:
    """Return the form of the union of two."""
    if old[0] == 0 and new[0] == 0 and len(old) + len(new) < 1024:
        before, after = _places(old[1:]), _places(new[1:])
        if before[-1] < after[0]:
            both: Sequence[int] = [*before, *after]
        else:
            both = sorted({*before, *after})
        return packed(both)
    return packed_integer(_integer(old) | _integer(new))


def removed(old: bytes, gone: bytes) -> bytes:
    """Return the form of what is in the first and not in the second; ``b""`` if nothing is."""
    integer = _integer(old)
    integer ^= integer & _integer(gone)
    return packed_integer(integer) if integer else b""


def assemble(pieces: Sequence[tuple[int, bytes]]) -> Bits:
    """Return the set whose chunks are ``(chunk, form)``, in ascending order of the chunks."""
    if not pieces:
        return EMPTY
    if all(form[0] == 0 for _, form in pieces) and sum(len(form) for _, form in pieces) <= 2 * SMALL:
        return Bits.of([(chunk << 16) + place for chunk, form in pieces for place in _places(form[1:])])
    whole = bytearray((pieces[-1][0] + 1) * 8192)
    for chunk, form in pieces:
        start = chunk * 8192
        if form[0] == 1:
            whole[start : start + len(form) - 1] = form[1:]
        elif form[0] == 2:
            raw = _integer(form).to_bytes(8192, "little")
            whole[start : start + 8192] = raw
        else:
            for place in _places(form[1:]):
                whole[start + (place >> 3)] |= 1 << (place & 7)
    return Bits.of_raw(bytes(whole))


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
    return _of_places(_places(form[1:]))


def _of_places(places: Sequence[int]) -> int:
    if not places:
        return 0
    return Bits(places, None).integer
