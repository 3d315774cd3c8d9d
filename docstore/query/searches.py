"""Many patterns looked for in one text at once: whether it has any of them, or which of them it lacks.

Patterns are those of ``regex``, and texts and globs written as such (``source``). RE2 gives up a walk for
many patterns that needs too much memory, and refuses to put some together: then each is looked for by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from docstore.query.expr import Match, Regex
from docstore.query.glob import glob_source
from docstore.query.regex import BadPattern, instructions, options, searcher, text_of
from docstore.query.text import fold

__all__ = ["any_searcher", "is_installed", "missing_searcher", "source"]

Pattern: TypeAlias = tuple[str, str]
"""A pattern and its flags, as :func:`docstore.query.regex.prepare` returns them."""
_ALTERNATIVES = 100
_LONGEST = 1_000
"""Characters of a text or glob, beyond which it is not put together with others."""
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


def missing_searcher(patterns: Sequence[Pattern | None]) -> Callable[[str], int | None]:
    """Return a function that says which of the patterns a text lacks: the place of one, ``None`` if none.

    Whether it does lack that one must be made sure of: RE2 may have given up.

    Args:
        patterns: what to look for; ``None`` is passed over.
    """
    by_flags: dict[str, list[int]] = {}
    for place, pattern in enumerate(patterns):
        if pattern is not None:
            by_flags.setdefault(pattern[1], []).append(place)
    sets = [one for flags, places in by_flags.items() for one in _sets(patterns, flags, places)]

    def missing(text: str) -> int | None:
        encoded = text.encode("utf-8")
        for one in sets:
            place = one.missing(encoded)
            if place is not None:
                return place
        return None

    return missing


@dataclass(frozen=True, slots=True)
class _Set:
    """Patterns that one walk of a text looks for.

    Attributes:
        found: RE2's own.
        places: where each stands among all the patterns.
    """

    found: Any
    places: Sequence[int]

    def missing(self, encoded: bytes) -> int | None:
        """Return the place of one that was not found."""
        matching = self.found.Match(encoded) or ()
        number = len(self.places)
        if len(matching) == number:
            return None
        if len(matching) == number - 1:
            return self.places[number * (number - 1) // 2 - sum(matching)]
        held = set(matching)
        return next(place for at, place in enumerate(self.places) if at not in held)


def _sets(patterns: Sequence[Pattern | None], flags: str, places: Sequence[int]) -> list[_Set]:
    """Return the patterns at some places as few sets as RE2 takes; what it takes in none is left out."""
    import re2

    found = re2.Set.SearchSet(options(re2, flags))
    try:
        for place in places:
            pattern = patterns[place]
            assert pattern is not None
            found.Add(text_of(*pattern))
        found.Compile()
    except re2.error:
        middle = len(places) // 2
        halves = (places[:middle], places[middle:]) if middle else ()
        return [one for half in halves for one in _sets(patterns, flags, half)]
    return [_Set(found, places)]
