"""Where the places of many sequences are among the bits of one number; ``automaton`` walks them.

A sequence takes a bit for its start, set where it may begin, and behind it one for each character: as many as
it has at least, and those that may be left out. Where a number of characters cannot matter, the text being no
longer, one place that is stayed at stands for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from docstore.query.many.characters import ANY, Characters
from docstore.query.many.sequences import Run, Sequence

__all__ = ["Layout"]


class Layout:
    """The bits of sequences, for texts up to a length.

    Attributes:
        size: how many bits there are.
        starts: those of the starts, by what must begin there.
        ends: those of the last places, by what must end there.
        loops: places that are stayed at while the characters are of their class.
        optional: places that may be left out.
        before: the place before each row of optional ones.
        last: the last place of each such row.
        edges: places that are reached from those before them at a word's edge, without a character.
    """

    __slots__ = (
        "_classes", "before", "edges", "ends", "last", "longest", "loops", "optional", "size", "starts",
    )  # fmt: skip

    def __init__(self, longest: int) -> None:
        self.longest: int = longest
        self.size: int = 0
        self.loops: int = 0
        self.optional: int = 0
        self.before: int = 0
        self.last: int = 0
        self.edges: int = 0
        self.starts: dict[str, int] = {"": 0, "text": 0, "line": 0}
        self.ends: dict[str, int] = {"": 0, "text": 0, "line": 0}
        self._classes: dict[Characters, int] = {}

    @property
    def classes(self) -> Mapping[Characters, int]:
        """The places of each class."""
        return self._classes

    def add(self, sequence: Sequence) -> int | None:
        """Give a sequence its places; return the last, or ``None`` if it is too long for the texts."""
        sequence = _trimmed(sequence)
        room = self.longest - sequence.least
        if room < 0:
            return None
        start = self.size
        self.starts[sequence.start] |= 1 << start
        self.size += 1
        row = False
        for run in sequence.runs:
            row = self._add(run, room, row)
        if row:
            self.last |= 1 << self.size - 1
        self.ends[sequence.end] |= 1 << self.size - 1
        return self.size - 1

    def _add(self, run: Run, room: int, row: bool) -> bool:
        """Give a run its places; take and return whether it is in a row of optional ones."""
        if run.is_edge:
            self.last |= 1 << self.size - 1 if row else 0
            self.edges |= 1 << self.size
            self.size += 1
            return False
        loops = run.most is None or 0 < run.most - run.least >= room
        optional = int(not run.least) if loops else (run.most or 0) - run.least
        if run.least and row:
            self.last |= 1 << self.size - 1
        if optional and (run.least or not row):
            self.before |= 1 << self.size + run.least - 1
        places = run.least + optional
        self._take(run.characters, self.size, places)
        self.optional |= ((1 << optional) - 1) << self.size + run.least
        self.size += places
        self.loops |= 1 << self.size - 1 if loops else 0
        return bool(optional) or (row and not places)

    def _take(self, characters: Characters, start: int, places: int) -> None:
        bits = ((1 << places) - 1) << start
        self._classes[characters] = self._classes.get(characters, 0) | bits


def _trimmed(sequence: Sequence) -> Sequence:
    """Return a sequence found in the same texts, without what is of no account at its start and end."""
    runs, start = _from_here(list(sequence.runs), sequence.start)
    runs, end = _from_here(runs[::-1], sequence.end)
    return Sequence(tuple(runs[::-1]), start, end, sequence.exact)


def _from_here(runs: list[Run], anchor: str) -> tuple[list[Run], str]:
    """Return runs that may begin anywhere without what may be left out at their start, and what must begin
    there.
    """
    if runs and anchor == "text" and runs[0].characters == ANY and runs[0].most is None:
        anchor = ""
    while runs and not anchor and runs[0].most != runs[0].least:
        runs = [*([replace(runs[0], most=runs[0].least)] if runs[0].least else []), *runs[1:]]
    return runs, anchor
