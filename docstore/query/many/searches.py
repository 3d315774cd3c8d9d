"""Many patterns looked for in one text at once: whether it has any of them, or which of them it lacks.

Patterns are those of ``regex``, and texts and globs written as such (``source``). RE2 gives up a walk for
many patterns that needs too much memory, and refuses to put some together: then each is looked for by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from docstore.query.expr import Match, Regex
from docstore.query.glob import glob_source
from docstore.query.many.at_once import AtOnce
from docstore.query.many.cheapest import cheapest
from docstore.query.many.reading import sequences
from docstore.query.regex import BadPattern, instructions, options, searcher, text_of
from docstore.query.text import fold

__all__ = ["Walk", "any_searcher", "is_installed", "is_large", "lone_searcher", "source"]

Pattern: TypeAlias = tuple[str, str]
"""A pattern and its flags, as :func:`docstore.query.regex.prepare` returns them."""
_ALTERNATIVES = 100
_LONGEST = 1_000
"""Characters of a text or glob, beyond which it is not put together with others."""
_KEPT = 10_000
"""Sets of patterns found of which the bits are remembered."""
_LARGE = 300
"""RE2's instructions for patterns that may need very many states."""
_LARGEST = 1_000
"""RE2's instructions for a pattern, beyond which it is not."""


def is_installed() -> bool:
    """Tell whether google-re2 is there: texts and globs are looked for without it, one after the other."""
    try:
        import re2  # noqa: F401
    except ImportError:
        return False
    return True


def source(leaf: Regex | Match) -> Pattern | None:
    """Return a leaf as a pattern, for texts that are folded before if the leaf folds; ``None``: it would be
    too large.
    """
    if isinstance(leaf, Regex):
        small = instructions(leaf.pattern, leaf.flags) <= _LARGEST
        return (leaf.pattern, leaf.flags) if small else None
    match leaf.kind:
        case "substring":
            found: str | None = re.escape(leaf.text)
        case "isubstring":
            found = re.escape(fold(leaf.text))
        case "starts_with":
            found = rf"\A{re.escape(leaf.text)}"
        case "glob" | "iglob":
            found = glob_source(leaf.text, folded=leaf.kind == "iglob")
    return None if found is None or len(found) > _LONGEST else (found, "s")


def is_large(leaves: Sequence[Regex | Match]) -> bool:
    """Tell whether RE2 may need very many states for the patterns among some leaves."""
    sizes = [instructions(leaf.pattern, leaf.flags) for leaf in leaves if isinstance(leaf, Regex)]
    return sum(sizes) > _LARGE


def lone_searcher(pattern: str, flags: str) -> Callable[[str], bool]:
    """Return a function that tells whether a text has a match of one pattern, however large it is."""
    alone = searcher(pattern, flags)
    if instructions(pattern, flags) <= _LARGE:
        return alone

    def at_once(longest: int) -> Callable[[str], bool] | None:
        found = AtOnce.of([(partial(sequences, pattern, flags), alone)], longest)
        return None if found is None else found.any

    return cheapest(alone, at_once)


def any_searcher(patterns: Iterable[Pattern]) -> Callable[[str], bool]:
    """Return a function that tells whether a text has a match of any of the patterns.

    Many patterns are tried at once, as alternatives of a few: then a text is read a few times only.

    Args:
        patterns: what to look for.
    """
    by_flags: dict[str, list[str]] = {}
    tests: list[Callable[[str], bool]] = []
    for pattern, flags in patterns:
        if r"\Q" in pattern:  # it may quote up to the end, what is behind it included
            tests.append(searcher(pattern, flags))
        else:
            by_flags.setdefault(flags, []).append(pattern)
    for flags, alike in by_flags.items():
        for start in range(0, len(alike), _ALTERNATIVES):
            tests += _together(alike[start : start + _ALTERNATIVES], flags)
    return tests[0] if len(tests) == 1 else lambda text: any(test(text) for test in tests)


def _together(patterns: list[str], flags: str) -> list[Callable[[str], bool]]:
    """Return one search for all the patterns, or one each where RE2 finds them too large together."""
    try:
        return [searcher("|".join(f"(?:{pattern})" for pattern in patterns), flags)]
    except BadPattern:
        return [searcher(pattern, flags) for pattern in patterns]


class Walk:
    """Many patterns that are looked for in one walk of a text.

    Args:
        patterns: what to look for; ``None`` is left out.

    Attributes:
        left: the places of those that were left out, with what RE2 refuses to put beside others.
    """

    __slots__ = ("_sets", "left")

    def __init__(self, patterns: Sequence[Pattern | None]) -> None:
        by_flags: dict[str, list[int]] = {}
        for place, pattern in enumerate(patterns):
            if pattern is not None:
                by_flags.setdefault(pattern[1], []).append(place)
        self._sets: list[_Set] = [
            one for flags, places in by_flags.items() for one in _sets(patterns, flags, places)
        ]
        looked_for = {place for one in self._sets for place in one.places}
        self.left: list[int] = [place for place in range(len(patterns)) if place not in looked_for]

    def missing(self, text: str) -> int | None:
        """Return the place of a pattern that the text lacks, ``None`` if it lacks none but those left out.

        Whether it does lack that one must be made sure of: RE2 may have given up.
        """
        encoded = text.encode("utf-8")
        for one in self._sets:
            at = one.missing(encoded)
            if at is not None:
                return one.places[at]
        return None

    def found(self, text: str) -> int | None:
        """Return the patterns that the text has, a bit for each (none for those left out).

        ``None``: RE2 gave up.
        """
        encoded = text.encode("utf-8")
        every = 0
        for one in self._sets:
            bits = one.found(encoded)
            if bits is None:
                return None
            every |= bits
        return every


@dataclass(frozen=True, slots=True)
class _Set:
    """Patterns that RE2 looks for at once, and behind them one that is always found unless RE2 gives up.

    Attributes:
        patterns: RE2's own.
        places: where each stands among all the patterns.
        known: the bits of sets of patterns that were found.
    """

    patterns: Any
    places: Sequence[int]
    known: dict[tuple[int, ...], int] = field(default_factory=dict)

    def missing(self, encoded: bytes) -> int | None:
        """Return which of them was not found, the first if RE2 gave up."""
        number = len(self.places)
        found = self.patterns.Match(encoded) or ()
        if len(found) > number:
            return None
        if len(found) == number:
            return min(number * (number + 1) // 2 - sum(found), number - 1)
        held = set(found)
        return next(at for at in range(number) if at not in held)

    def found(self, encoded: bytes) -> int | None:
        """Return those that were found, each by the bit of its place."""
        found = tuple(self.patterns.Match(encoded) or ())
        bits = self.known.get(found)
        if bits is None and found:
            if len(self.known) >= _KEPT:
                self.known.clear()
            number = len(self.places)
            bits = self.known[found] = sum(1 << self.places[at] for at in found if at < number)
        return bits


def _sets(patterns: Sequence[Pattern | None], flags: str, places: Sequence[int]) -> list[_Set]:
    """Return the patterns at some places as few sets as RE2 takes; what it takes in none is left out."""
    import re2

    found = re2.Set.SearchSet(options(re2, flags))
    try:
        for place in places:
            pattern = patterns[place]
            assert pattern is not None
            found.Add(text_of(*pattern))
        found.Add("")
        found.Compile()
    except re2.error:
        middle = len(places) // 2
        halves = (places[:middle], places[middle:]) if middle else ()
        return [one for half in halves for one in _sets(patterns, flags, half)]
    return [_Set(found, places)]
