"""What texts an RE2 pattern can match, as plain sequences: characters of one class after those of another.

A pattern is *read* (``reading``) by putting sequences together. What is more than sequences can say becomes
one that allows more: of such a pattern the sequences say only where it surely has no match.
"""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from functools import reduce
from typing import TypeAlias

from docstore.query.many.characters import ANY, Characters

__all__ = [
    "COARSE", "EDGE", "EMPTY", "Anchor", "Run", "Sequence", "Sequences", "bounded", "joined", "one_of",
    "repeated", "single",
]  # fmt: skip

_MOST = 12
"""Sequences of one pattern, if the detail is no more; instead of more there is one that allows more."""
_MOST_RUNS = 150
"""Runs of one sequence; instead of the last of more there is anything."""
COARSE = 4
"""The least detail: how many sequences alternatives one after another come to, where several parts have some.
With more detail, more of them are kept apart, and more optional copies.
"""
Anchor: TypeAlias = str
"""``""``, ``"text"`` or ``"line"``: of what a sequence must be at the start, or the end."""


@dataclass(frozen=True, slots=True)
class Run:
    """Characters of one class, ``least`` to ``most`` of them; ``None``: any number.

    ``is_edge``: none at all, but a word's edge must be there.
    """

    characters: Characters
    least: int = 1
    most: int | None = 1
    is_edge: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """Runs one after another.

    Attributes:
        runs: these.
        start: what begins where they begin.
        end: what ends where they end.
        exact: the pattern matches whatever is such a sequence.
    """

    runs: tuple[Run, ...] = ()
    start: Anchor = ""
    end: Anchor = ""
    exact: bool = True

    @property
    def least(self) -> int:
        """How many characters it has at least."""
        return sum(run.least for run in self.runs)

    @property
    def most(self) -> int | None:
        """How many characters it has at most; ``None``: any number."""
        total = 0
        for run in self.runs:
            if run.most is None:
                return None
            total += run.most
        return total


Sequences: TypeAlias = tuple[Sequence, ...]
"""Of which a match is one."""
EMPTY: Sequences = (Sequence(),)
EDGE: Sequences = (Sequence((Run(Characters(()), 0, 0, is_edge=True),)),)
"""``\\b``, before, behind or between characters."""


def bounded(runs: tuple[Run, ...], start: Anchor = "", end: Anchor = "", exact: bool = True) -> Sequence:
    """Return a sequence of no more runs than are looked into."""
    if len(runs) <= _MOST_RUNS:
        return Sequence(runs, start, end, exact)
    return Sequence((*runs[: _MOST_RUNS - 1], Run(ANY, 0, None)), start, exact=False)


def single(characters: Characters) -> Sequences:
    """Return the sequences of one character."""
    return (Sequence((Run(characters),), exact=characters.exact),)


def one_of(parts: Many[Sequences], detail: int = COARSE) -> Sequences:
    """Return the sequences of alternatives."""
    every = tuple(dict.fromkeys(sequence for part in parts for sequence in part))
    plain = [found for sequence in every if (found := _character(sequence)) is not None]
    if len(plain) > 1:
        together = reduce(Characters.either, plain)
        every = (*single(together), *(sequence for sequence in every if _character(sequence) is None))
    return every if len(every) <= max(detail, _MOST) else _loosened(every)


def joined(parts: Many[Sequences], detail: int = COARSE) -> Sequences:
    """Return the sequences of one part after another."""
    found = EMPTY
    for part in parts:
        if min(len(found), len(part)) > 1 and len(found) * len(part) > detail:
            found, part = (_loosened(found), part) if len(found) > len(part) else (found, _loosened(part))
        found = tuple(_after(first, second) for first in found for second in part)
    return found


def repeated(part: Sequences, least: int, most: int | None, detail: int = COARSE) -> Sequences:
    """Return the sequences of a part a number of times; ``most`` is ``None``: any from ``least`` on."""
    if most == 0:
        return EMPTY
    run = _run(part)
    if run is not None and (simple := _times(run, least, most)) is not None:
        return (replace(part[0], runs=(simple,)),)
    if most is None:
        rest = _loosely(part, None)
    elif most - least < detail.bit_length():
        rest = EMPTY
        for _ in range(most - least):
            rest = one_of([EMPTY, joined([part, rest], detail)], detail)
    else:
        rest = _loosely(part, most - least)
    return joined([*[part] * min(least, _MOST_RUNS), rest], detail)


def _run(part: Sequences) -> Run | None:
    """Return the only run of the only sequence."""
    if len(part) != 1 or len(part[0].runs) != 1 or part[0].start or part[0].end:
        return None
    return part[0].runs[0]


def _character(sequence: Sequence) -> Characters | None:
    run = _run((sequence,))
    if run is None or (run.least, run.most) != (1, 1) or run.characters.exact is not sequence.exact:
        return None
    return run.characters


def _times(run: Run, least: int, most: int | None) -> Run | None:
    """Return a run repeated as a run; ``None``: not every number between is possible."""
    if run.is_edge:
        return run if least else None
    if run.least > 1 and least != most:
        return None
    highest = None if most is None or run.most is None else run.most * most
    return Run(run.characters, run.least * least, highest)


def _after(first: Sequence, second: Sequence) -> Sequence:
    """Return two sequences as one; what must be at a start or an end, and stands between, is left out."""
    kept = not (first.runs and second.start) and not (second.runs and first.end)
    start = first.start if first.runs else _both(first.start, second.start)
    end = second.end if second.runs else _both(first.end, second.end)
    return bounded((*first.runs, *second.runs), start, end, first.exact and second.exact and kept)


def _both(one: Anchor, other: Anchor) -> Anchor:
    return "text" if "text" in (one, other) else one or other


def _loosely(part: Sequences, most: int | None) -> Sequences:
    """Return up to a number of copies of a part, or a sequence that allows more."""
    inner = _loosened(part)[0]
    lengths = inner.most
    run = Run(inner.runs[0].characters, 0, None if most is None or lengths is None else lengths * most)
    return (Sequence((run,), exact=False),) if run.most != 0 else EMPTY


def _loosened(part: Sequences) -> Sequences:
    """Return one sequence of one run, of all the characters that are in any."""
    characters = [run.characters for sequence in part for run in sequence.runs if not run.is_edge]
    if not characters:
        return (Sequence((Run(Characters(()), 0, 0),), exact=False),)
    lengths = [sequence.most for sequence in part]
    most = None if None in lengths else max(length for length in lengths if length is not None)
    run = Run(reduce(Characters.either, characters), min(sequence.least for sequence in part), most)
    return (Sequence((run,), exact=False),)
