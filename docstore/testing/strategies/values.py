"""Choices, and JSON values from small pools of awkward ones, so that two draws often meet, or nearly do.

Generators are written over a :class:`Chooser`, so that Hypothesis shrinks them and chance runs them fast.
"""

from __future__ import annotations

import math
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache
from random import Random
from typing import Any, TypeVar

from hypothesis import strategies as st

__all__ = [
    "COMMON",
    "INSTANTS",
    "KEYS",
    "NUMBERS",
    "PLAIN_KEYS",
    "SCALARS",
    "STEPS",
    "STRINGS",
    "WORDS",
    "Chooser",
    "DrawnChooser",
    "RandomChooser",
    "key",
    "number",
    "scalar",
    "some_object",
    "text",
    "value",
]

T = TypeVar("T")


class Chooser(ABC):
    """Makes choices. The first of several is the plainest: failures shrink towards it."""

    @abstractmethod
    def below(self, bound: int) -> int:
        """Return a whole number from 0 to ``bound - 1``; ``bound`` is at least 1."""

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[self.below(len(options))]

    def one_in(self, bound: int) -> bool:
        """Return true once in ``bound`` times."""
        return self.below(bound) == bound - 1

    def several(self, make: Callable[[], T], most: int, least: int = 0) -> list[T]:
        """Return ``least`` to ``most`` of what ``make`` makes."""
        return [make() for _ in range(least + self.below(most - least + 1))]


class DrawnChooser(Chooser):
    """Choices drawn by Hypothesis.

    Args:
        draw: what a composite strategy is given.
    """

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def below(self, bound: int) -> int:
        """Return a whole number from 0 to ``bound - 1``."""
        return self._draw(_below(bound))


class RandomChooser(Chooser):
    """Choices of a seeded random generator, many times faster than Hypothesis' own.

    Args:
        seed: the same seed makes the same choices.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def below(self, bound: int) -> int:
        """Return a whole number from 0 to ``bound - 1``."""
        return self._random.randrange(bound)


@lru_cache(maxsize=1024)
def _below(bound: int) -> st.SearchStrategy[int]:
    return st.integers(0, bound - 1)


PLAIN_KEYS = ("a", "b", "c")
# Scalars that two draws often share.
COMMON: tuple[Any, ...] = (1, "a", None, True, 2, "b", False, 1.0, 0, "")

# Keys of objects.
KEYS = (
    "a", "b", "c", "", "a.b", "$x", "$eq", "0", "1", "01", "-1", "%", "_", '"', "'", 'a"."b',
    "\\", "a\\.b", "é", "e\u0301", "日本", "A", "[0]", "*", "a b", "\n", "😀", "{}", "#>", "?", ":p",
    "null", "number",
)  # fmt: skip

# Steps of field paths: keys, and indexes with and without leading zeros.
STEPS = (*KEYS, "0", "1", "2", "00", "10")

# What filenames, contents and searches are made of.
WORDS = (
    "report", "Report", "REPORT", "straße", "STRASSE", "ﬁle", "file", "naïve", "nai\u0308ve",
    "İstanbul", "ΣΊΣΥΦΟΣ", "日本語", "テスト", "테스트", "q3", "2024", "50%", "a_b", "x", "C++",
    "don't", "foo.bar", "<b>", "№5", "①", "K",
)  # fmt: skip

NUMBERS: tuple[int | float, ...] = (
    0, 1, -1, 2, 3, 10, 0.0, -0.0, 1.0, 2.0, 0.5, 1.5, -1.5, 0.1, 1e-7, 5e-324, 1e16, 10**16, 1e300,
    -1e300, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2.0**31, 2**53, 2**53 + 1, 2.0**53, -(2**53) - 1,
    2**63 - 1, -(2**63), 2**63 - 2, 2.0**63, -(2.0**63), 2.0**64, 1.7976931348623157e308,
)  # fmt: skip

# Texts that are instants, many of them one instant, in many spellings.
INSTANTS = (
    "2026-01-01", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2025-12-31 23:00-01",
    "2026-01-01t00:00z", "2026-01-01T00:00:00.000000999Z", "2025-12-31T23:59:59.999999Z",
    "2026-01-02T00:00:00+2359", "0001-01-01", "9999-12-31T23:59:59.999999Z",
)  # fmt: skip
_NO_INSTANTS = (
    "2026-01-01T00:00:00", "2026-02-30", "2026-01-01T24:00:00Z", "2026-01-01T00:00:60Z",
    "2026-01-01T00:00:00Z ", "0001-01-01T00:00:00+01:00", "2026-01", "2026-01-01T00:00+24:00",
    "２０２６-01-01",
)  # fmt: skip

STRINGS = (
    *INSTANTS, *_NO_INSTANTS,
    "", "a", "A", "b", "ab", "aB", "a b", "abc", "1", "01", "1.0", "true", "null", "[1, 2]", "{}", "é",
    "e\u0301", "ß", "ss", "ſ", "İ", "i", "K", "k", "ﬁ", "Σ", "ς", "%", "_", "a%", "a_b", "*", "?",
    "[a]", "[", "]", "\\", "a\\b", "'", '"', "\n", "a\nb", "\t", "\x01", "\x7f", "\u2028", "日本語",
    "😀", "\uffff", "\U00010000", "\ufffd", "important", "$x", "a.b", "-a",
    "2026-01-01T00:00:00.000000Z", "2025-12-31T23:59:59.999999Z", "2026-01-01", "x" * 70,
)  # fmt: skip

# Scalars at the edges of each type.
SCALARS: tuple[Any, ...] = (*COMMON, *NUMBERS, *STRINGS)


def key(choose: Chooser) -> str:
    """Return an object's key: ``a``, ``b`` or ``c`` most often."""
    return choose.pick(KEYS if choose.one_in(4) else PLAIN_KEYS)


def text(choose: Chooser, size: int = 4) -> str:
    """Return a text without NUL and surrogates: from the pool most often, else up to ``size`` characters."""
    if not choose.one_in(4):
        return choose.pick(STRINGS)
    return "".join(choose.several(lambda: _character(choose), size))


def _character(choose: Chooser) -> str:
    code = 1 + choose.below(choose.pick((0x7F, 0x24F, 0xFFFF, 0x10FFFF)))
    return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)


def number(choose: Chooser) -> int | float:
    """Return a number: from the pool, any int64, or any finite double."""
    match choose.below(4):
        case 2:
            return choose.below(2**64) - 2**63
        case 3:
            (double,) = struct.unpack("d", choose.below(2**64).to_bytes(8, "little"))
            return double if math.isfinite(double) else 0.5
        case _:
            return choose.pick(NUMBERS)


def scalar(choose: Chooser) -> Any:
    """Return null, a boolean, a number or a string, a common one most often."""
    match choose.below(8):
        case 7:
            return text(choose)
        case 6:
            return number(choose)
        case 5:
            return choose.pick(SCALARS)
        case _:
            return choose.pick(COMMON)


def value(choose: Chooser, depth: int = 3) -> Any:
    """Return a JSON value of any type and mixture, arrays in arrays and empty ones included."""
    if depth == 0 or choose.below(5) < 3:
        return scalar(choose)
    if choose.one_in(3):
        return some_object(choose, depth)
    if choose.one_in(3):
        return choose.several(lambda: some_object(choose, depth), 3)
    return choose.several(lambda: value(choose, depth - 1), 3)


def some_object(choose: Chooser, depth: int = 3, size: int = 2) -> dict[str, Any]:
    """Return a JSON object such as metadata, up to ``size`` keys."""
    return dict(choose.several(lambda: (key(choose), value(choose, depth - 1)), size))
