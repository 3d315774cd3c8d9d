"""Sets of characters, and how Postgres' regular expressions write them: by code point."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

__all__ = ["ANY", "LAST", "NEWLINE", "CodeRanges", "bracket", "complement", "folded", "literal"]

LAST = 0x10FFFF
NEWLINE = 10
ANY = "."
"""Any character, a newline as well: Postgres' default."""

Range: TypeAlias = tuple[int, int]


class CodeRanges(tuple[Range, ...]):
    """Inclusive ranges of code points from 1 on, in order, without overlaps. Made from any ranges."""

    __slots__ = ()

    def __new__(cls, ranges: Iterable[Range]) -> CodeRanges:
        """Sort and merge ``ranges``."""
        merged: list[Range] = []
        for first, last in sorted((max(first, 1), last) for first, last in ranges if last >= max(first, 1)):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], last))
            else:
                merged.append((first, last))
        return super().__new__(cls, merged)


def complement(ranges: CodeRanges) -> CodeRanges:
    """Return all other characters."""
    gaps: list[Range] = []
    start = 1
    for first, last in ranges:
        gaps.append((start, first - 1))
        start = last + 1
    return CodeRanges([*gaps, (start, LAST)])


_FOLDS = (("K", 0x212A), ("S", 0x17F))


def folded(ranges: CodeRanges) -> CodeRanges | None:
    """Return the characters and those that differ in case alone; ``None`` where they are not all ASCII."""
    if ranges and ranges[-1][1] > 127:
        return None
    more: list[Range] = list(ranges)
    for low, high, distance in ((65, 90, 32), (97, 122, -32)):
        more += [
            (max(first, low) + distance, min(last, high) + distance)
            for first, last in ranges
            if first <= high and last >= low
        ]
    both = CodeRanges(more)
    beyond = [code for letter, code in _FOLDS if any(first <= ord(letter) <= last for first, last in both)]
    return CodeRanges([*both, *((code, code) for code in beyond)])


def literal(character: str) -> str:
    """Return one character as it stands in a regular expression."""
    return character if character.isascii() and character.isalnum() else _escape(ord(character))


def bracket(ranges: CodeRanges, negated: bool = False) -> str:
    """Return the expression for one character within (``negated``: outside) ``ranges``, or for none."""
    if not ranges:
        return ANY if negated else "(?!)"
    body = "".join(
        _escape(first) if first == last else f"{_escape(first)}-{_escape(last)}" for first, last in ranges
    )
    return f"[{'^' if negated else ''}{body}]"


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
