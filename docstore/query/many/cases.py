"""What differs by case from characters beyond ASCII, as RE2 sees it (flag ``i``).

Python's Unicode is not RE2's, and neither is of one version. Both agree about the characters of Unicode 3.2,
but for a few; of all others nothing is said.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import TypeAlias

__all__ = ["Ranges", "folded_ascii", "folded_beyond", "is_settled", "merged"]

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Inclusive ranges of code points, ascending, with a gap between any two."""
_DOTLESS = "\u0131"
"""Its capital is I, but nothing differs from it by case."""
_CASED = ("Lu", "Ll", "Lt")
_LAST_PLANE, _BLOCK = 0x30000, 256
_SOMETIMES = (0x390, 0x3B0, 0x1FD3, 0x1FE3, 0xFB05, 0xFB06)
"""Characters that differ by case from one another since Unicode 15.1."""


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return ranges in their order, those that touch made one."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    return tuple(found)


def is_settled(character: str) -> bool:
    """Tell whether a character is in Unicode 3.2, so that its case is known."""
    return character < "\x80" or unicodedata.ucd_3_2_0.category(character) != "Cn"


def folded_ascii(ranges: Ranges) -> Ranges:
    """Return what differs by case from the members in ASCII."""
    found: list[tuple[int, int]] = []
    for first, last, by in ((0x41, 0x5A, 32), (0x61, 0x7A, -32)):
        for low, high in ranges:
            if low <= last and high >= first:
                found.append((max(low, first) + by, min(high, last) + by))
    letters = merged((*ranges, *found))
    for letter, alike in ((0x6B, 0x212A), (0x73, 0x17F)):
        if any(low <= letter <= high for low, high in letters):
            found.append((alike, alike))
    return merged(found)


@lru_cache(maxsize=1_024)
def folded_beyond(ranges: Ranges) -> tuple[Ranges, Ranges]:
    """Return what surely differs by case from the members beyond ASCII, and what perhaps does."""
    alike, cased = _alike(), _cased()
    sure: list[tuple[int, int]] = []
    perhaps: Ranges = ()
    for low, high in ranges:
        for code in cased[bisect_left(cased, max(low, 0x80)) : bisect_left(cased, high + 1)]:
            sure += ((other, other) for other in alike[code])
        if any(low <= code <= high for code in _SOMETIMES):
            perhaps = merged((*perhaps, *((code, code) for code in _SOMETIMES)))
    if any(_has_unsettled(low, high) for low, high in ranges):
        perhaps = merged((*perhaps, *_unknown()))
    return merged(sure), perhaps


def _has_unsettled(low: int, high: int) -> bool:
    unsettled = _unsettled()
    at = bisect_left(unsettled, (low + 1, 0)) - 1
    return (at >= 0 and unsettled[at][1] >= low) or (at + 1 < len(unsettled) and unsettled[at + 1][0] <= high)


@cache
def _alike() -> Mapping[int, frozenset[int]]:
    """Return the characters that differ by case only, for each that has such."""
    alike: dict[str, set[str]] = {}
    for character in _with_case():
        others = {character.lower(), character.upper()}
        if others == {character} or character == _DOTLESS or not is_settled(character):
            continue
        group = {character}
        for other in {*others, character.title(), character.casefold()}:
            if len(other) == 1 and is_settled(other):
                group |= alike.get(other, {other})
        for member in group | alike.get(character, set()):
            group |= alike.get(member, set())
        for member in group:
            alike[member] = group
    return {ord(one): frozenset(map(ord, group)) for one, group in alike.items() if len(group) > 1}


def _with_case() -> Iterator[str]:
    """Yield the characters of the blocks that any with another case is in."""
    for start in range(0, _LAST_PLANE, _BLOCK):
        block = "".join(map(chr, range(start, start + _BLOCK)))
        if block.lower() != block or block.upper() != block:
            yield from block


@cache
def _cased() -> list[int]:
    return sorted(_alike())


@cache
def _unsettled() -> Ranges:
    """Return the characters of which the case may not be known; none beyond the last plane is a letter."""
    return merged((code, code) for code in range(_LAST_PLANE) if not is_settled(chr(code)))


@cache
def _unknown() -> Ranges:
    """Return what a character of unknown case may differ from: others, and whatever has a case beyond ASCII,
    as Cyrillic has since Unicode 9 letters that differ by case only from two that were there.
    """
    letters = (code for code in range(0x80, _LAST_PLANE) if unicodedata.category(chr(code)) in _CASED)
    return merged((*_unsettled(), *((code, code) for code in (*letters, *_cased()))))
