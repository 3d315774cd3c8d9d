"""Classes of characters, as RE2 reads them, and which of many classes a character is in.

A class is ranges of code points, properties such as ``\\pL`` that RE2 is asked about, and perhaps the
opposite of both. ``Memberships`` is what ``automaton`` asks of every character of a text.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import itemgetter

from docstore.query.many.cases import Ranges, folded_ascii, folded_beyond, is_settled, merged
from docstore.query.regex import searcher

__all__ = ["ANY", "LAST", "Characters", "Memberships", "complement"]

LAST = sys.maxunicode
_STEP = 64
"""Changes from one class to another, of which the sum is kept."""


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
        folds: of characters whose case is not known it is not said whether they are in it.
    """

    ranges: Ranges
    properties: frozenset[str] = frozenset()
    negated: bool = False
    exact: bool = True
    folds: bool = False

    def either(self, other: Characters) -> Characters:
        """Return what is in one of two classes."""
        one, two = self._positive(), other._positive()
        if one is None or two is None:
            return replace(ANY, exact=False)
        return Characters(
            merged(one.ranges + two.ranges),
            one.properties | two.properties,
            exact=one.exact and two.exact,
            folds=one.folds or two.folds,
        )

    def _positive(self) -> Characters | None:
        if not self.negated:
            return self
        if self.properties:
            return None
        return Characters(complement(self.ranges), exact=self.exact, folds=self.folds)

    def folded(self) -> Characters:
        """Return the class with whatever differs from its members by case (flag ``i``)."""
        more = folded_ascii(self.ranges)
        if not self.ranges or self.ranges[-1][1] < 0x80:
            return replace(self, ranges=merged((*self.ranges, *more)))
        sure, perhaps = folded_beyond(self.ranges)
        more = (*self.ranges, *more, *sure, *(() if self.negated else perhaps))
        return replace(self, ranges=merged(more), exact=self.exact and not perhaps, folds=True)


ANY = Characters(((0, LAST),))


class Memberships:
    """Which of many classes each character is in, as bits.

    Args:
        classes: the bits that stand for each class.

    Attributes:
        unsettled: characters that were met of which the case is not known, and asked for by a class.
    """

    __slots__ = ("_changes", "_folding", "_known", "_negated", "_properties", "_starts", "_sums", "unsettled")

    def __init__(self, classes: Mapping[Characters, int]) -> None:
        changes: list[tuple[int, int]] = []
        self._properties: dict[str, int] = {}
        self._negated = self._folding = 0
        self.unsettled: set[str] = set()
        for characters, bits in classes.items():
            for low, high in characters.ranges:
                changes += ((low, bits), (high + 1, bits))
            for name in characters.properties:
                self._properties[name] = self._properties.get(name, 0) | bits
            self._negated |= bits if characters.negated else 0
            self._folding |= bits if characters.folds else 0
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
        """Return the bits of the classes that a character is in, or may be in: see ``unsettled``."""
        at = bisect_right(self._starts, ord(character))
        properties = 0
        for name, bits in self._properties.items():
            if _has(name, character):
                properties |= bits
        unsettled = bool(self._folding) and not is_settled(character)
        if unsettled:
            self.unsettled.add(character)
        key = (at, properties, unsettled)
        found = self._known.get(key)
        if found is None:
            whole = at // _STEP
            ranges = self._sum(self._sums[whole], whole * _STEP, at)
            found = (ranges | properties) ^ self._negated
            found = self._known[key] = found | self._folding if unsettled else found
        return found


@lru_cache(maxsize=65_536)
def _has(property: str, character: str) -> bool:
    return searcher(property)(character)
