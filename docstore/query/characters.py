"""Classes of characters, as RE2 reads them, and which of many classes a character is in.

A class is ranges of code points, properties such as ``\\pL`` that RE2 is asked about, and perhaps the
opposite of both. ``Memberships`` is what ``automaton`` asks of every character of a text.
"""

from __future__ import annotations

import sys
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from operator import itemgetter
from typing import TypeAlias

from docstore.query.regex import searcher

__all__ = ["ANY", "Characters", "Memberships", "Ranges", "complement", "merged"]

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Inclusive ranges of code points, ascending, with a gap between any two."""
LAST = sys.maxunicode
_STEP = 64
"""Changes from one class to another, of which the sum is kept."""
_WIDE = 1_000
"""Code points of a range, beyond which its members are not folded one by one."""


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return ranges in their order, those that touch made one."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    return tuple(found)


def complement(ranges: Ranges) -> Ranges:
    """Return what is in none of the ranges."""
    starts = [0, *(high + 1 for _, high in ranges)]
    ends = [*(low - 1 for low, _ in ranges), LAST]
    return tuple((low, high) for low, high in zip(starts, ends, strict=True) if low <= high)


@dataclass(frozen=True, slots=True)
class Characters:
    """A class of characters.

    Attributes:
        ranges: what is in it.
        properties: what else is: patterns of RE2's for one character.
        negated: it is all that is in none of these.
        exact: nothing is in it that should not be; what should be is.
    """

    ranges: Ranges
    properties: frozenset[str] = frozenset()
    negated: bool = False
    exact: bool = True

    def either(self, other: Characters) -> Characters:
        """Return what is in one of two classes."""
        one, two = self._positive(), other._positive()
        if one is None or two is None:
            return replace(ANY, exact=False)
        return Characters(
            merged(one.ranges + two.ranges), one.properties | two.properties, exact=one.exact and two.exact
        )

    def _positive(self) -> Characters | None:
        if not self.negated:
            return self
        return None if self.properties else Characters(complement(self.ranges), exact=self.exact)

    def folded(self) -> Characters:
        """Return the class with whatever differs from its members by case (flag ``i``).

        Beyond ASCII it is too large rather than too small: Python's Unicode is not RE2's.
        """
        ascii_only = not self.ranges or self.ranges[-1][1] < 0x80
        if self.negated:
            inner = folded_ascii(self.ranges)
            return replace(self, ranges=merged((*self.ranges, *inner)), exact=self.exact and ascii_only)
        more = folded_ascii(self.ranges)
        if not ascii_only:
            more = merged((*more, *_folded_beyond(self.ranges)))
        return replace(self, ranges=merged((*self.ranges, *more)), exact=self.exact and ascii_only)


ANY = Characters(((0, LAST),))


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


def _folded_beyond(ranges: Ranges) -> Ranges:
    """Return what differs by case from members beyond ASCII; all there is, where they are many or unknown."""
    found: list[tuple[int, int]] = []
    for low, high in ranges:
        if high < 0x80:
            continue
        if high - low > _WIDE:
            return ((0, LAST),)
        for code in range(max(low, 0x80), high + 1):
            if unicodedata.category(chr(code)) == "Cn":
                return ((0, LAST),)
            found += ((other, other) for other in _alike().get(code, ()))
    return merged(found)


@cache
def _alike() -> Mapping[int, frozenset[int]]:
    """Return the characters that differ by case only, for each that has such."""
    alike: dict[str, set[str]] = {}
    for character in map(chr, range(LAST + 1)):
        others = {character.lower(), character.upper()}
        if others == {character}:
            continue
        group = {character}
        for other in {*others, character.title(), character.casefold()}:
            if len(other) == 1:
                group |= alike.get(other, {other})
        for member in group | alike.get(character, set()):
            group |= alike.get(member, set())
        for member in group:
            alike[member] = group
    return {ord(one): frozenset(map(ord, group)) for one, group in alike.items()}


class Memberships:
    """Which of many classes each character is in, as bits.

    Args:
        classes: the bits that stand for each class.

    Attributes:
        every: the bits of all classes.
    """

    __slots__ = ("_changes", "_folding", "_known", "_negated", "_properties", "_starts", "_sums", "every")

    def __init__(self, classes: Mapping[Characters, int]) -> None:
        changes: list[tuple[int, int]] = []
        self._properties: dict[str, int] = {}
        self._negated = self._folding = self.every = 0
        for characters, bits in classes.items():
            self.every |= bits
            for low, high in characters.ranges:
                changes += ((low, bits), (high + 1, bits))
            for name in characters.properties:
                self._properties[name] = self._properties.get(name, 0) | bits
            self._negated |= bits if characters.negated else 0
            self._folding |= 0 if characters.exact else bits
        changes.sort(key=itemgetter(0))
        self._starts = [start for start, _ in changes]
        self._changes = [bits for _, bits in changes]
        self._sums = [0]
        for at in range(0, len(changes), _STEP):
            self._sums.append(self._sum(self._sums[-1], at, at + _STEP))
        self._known: dict[tuple[int, int, bool], int] = {}

    def _sum(self, bits: int, start: int, end: int) -> int:
        for changed in self._changes[start:end]:
            bits ^= changed
        return bits

    def of(self, character: str) -> int:
        """Return the bits of the classes that a character is in; of one that Python does not know, the bits
        of those with characters that differ by case, too.
        """
        at = bisect_right(self._starts, ord(character))
        properties = 0
        for name, bits in self._properties.items():
            if _has(name, character):
                properties |= bits
        unknown = bool(self._folding) and unicodedata.category(character) == "Cn"
        key = (at, properties, unknown)
        found = self._known.get(key)
        if found is None:
            whole = at // _STEP
            ranges = self._sum(self._sums[whole], whole * _STEP, at)
            found = (ranges | properties) ^ self._negated
            found = self._known[key] = found | self._folding if unknown else found
        return found


@lru_cache(maxsize=65_536)
def _has(property: str, character: str) -> bool:
    return searcher(property)(character)
