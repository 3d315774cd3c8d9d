"""What facts say of a filter: the records that surely match, and those that can match at all.

The algebra is Kleene's: AND and OR work on each side, NOT turns the sides around, so that negatives stay
exact complements (rule 11).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from docstore.index.bits import EMPTY, Bits, intersection, minus, union, union_all
from docstore.index.facts import EVERY
from docstore.index.source import Source

__all__ = ["Bounds", "between", "exactly", "intersected", "united"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What surely matches and what can match; the same object where the answer is exact."""

    low: Bits
    high: Bits

    @property
    def exact(self) -> bool:
        """Whether nothing is left to the evaluator."""
        return self.low is self.high

    @property
    def unsure(self) -> Bits:
        """What is left to the evaluator."""
        return EMPTY if self.exact else minus(self.high, self.low)


def exactly(bits: Bits) -> Bounds:
    """Return the bounds of an exact answer."""
    return Bounds(bits, bits)


def between(low: Bits, more: Bits) -> Bounds:
    """Return bounds from ``low`` to ``low`` and ``more``."""
    rest = minus(more, low)
    return Bounds(low, union(low, rest)) if rest else exactly(low)


def intersected(parts: list[Bounds], source: Source) -> Bounds:
    """Return what all parts say together; of none, that every record matches."""
    if not parts:
        return exactly(source.post((), EVERY))
    parts.sort(key=lambda part: not part.high.listed)
    high = parts[0].high
    for part in parts[1:]:
        high = intersection(high, part.high)
    if all(part.exact for part in parts):
        return exactly(high)
    low = high
    for part in parts:
        if not part.exact:
            low = intersection(low, part.low)
    return Bounds(low, high) if low != high else exactly(high)


def united(parts: Sequence[Bounds]) -> Bounds:
    """Return what any of the parts says."""
    low = union_all([part.low for part in parts])
    if all(part.exact for part in parts):
        return exactly(low)
    return Bounds(low, union_all([part.high for part in parts]))
