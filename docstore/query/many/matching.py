"""Which of many tests a text passes, as far as that is quickly told; the rest where it is asked for.

RE2 tells all of it, and so does the ``automaton`` of most patterns; of some it tells only what cannot match.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from docstore.query.expr import Match, Regex
from docstore.query.many.at_once import AtOnce, Question
from docstore.query.many.cheapest import cheapest
from docstore.query.many.leaf_sequences import sequences_of
from docstore.query.many.one_text import is_folding, lone_test, may_be_dear
from docstore.query.many.searches import Walk, is_installed, source
from docstore.query.many.sequences import Sequences
from docstore.query.text import fold

__all__ = ["Matching"]

Leaf: TypeAlias = Regex | Match
_Told: TypeAlias = tuple[int, int]
_MANY = 8
"""From so many tests on one search for all of them pays."""
_OPEN = 6
"""So many tests are left open; more are settled at once, so that it is seen what this way takes."""


class Matching:
    """Tests of texts; the first bit is the first's.

    Args:
        leaves: the tests; ``None`` leaves a bit out.
    """

    __slots__ = ("_groups",)

    def __init__(self, leaves: Sequence[Leaf | None]) -> None:
        of = [None if leaf is None else is_folding(leaf) for leaf in leaves]
        self._groups = [
            (folds, _Group([leaf if kind is folds else None for kind, leaf in zip(of, leaves, strict=True)]))
            for folds in (False, True)
            if folds in of
        ]

    def told(self, text: str) -> _Told:
        """Return the tests that the text passes, and those that it may pass."""
        surely = perhaps = 0
        for folds, group in self._groups:
            told = group.told(fold(text) if folds else text)
            surely |= told[0]
            perhaps |= told[1]
        return surely, perhaps

    def settled(self, text: str, perhaps: int) -> int:
        """Return those of some tests that the text passes."""
        found = 0
        for folds, group in self._groups:
            found |= group.settled(fold(text) if folds else text, perhaps)
        return found

    def exactly(self, text: str) -> int:
        """Return the tests that the text passes."""
        surely, perhaps = self.told(text)
        return surely | self.settled(text, perhaps) if perhaps else surely


class _Group:
    """Tests of a text as it is, or of its fold."""

    __slots__ = ("_alone", "told")

    def __init__(self, leaves: Sequence[Leaf | None]) -> None:
        self._alone = {1 << at: lone_test(leaf) for at, leaf in enumerate(leaves) if leaf is not None}
        self.told = self._telling(leaves)

    def _telling(self, leaves: Sequence[Leaf | None]) -> Callable[[str], _Told]:
        every = sum(self._alone)
        is_dear = may_be_dear([leaf for leaf in leaves if leaf is not None])
        if not is_dear and (len(self._alone) < _MANY or not is_installed()):
            return lambda text: (self.settled(text, every), 0)
        walk = Walk([None if leaf is None else source(leaf) for leaf in leaves])
        others = every & sum(1 << place for place in walk.left)

        def together(text: str) -> _Told:
            found = walk.found(text)
            if found is None:
                return self.settled(text, every), 0
            return found | self.settled(text, others) if others else found, 0

        def at_once(longest: int) -> Callable[[str], _Told] | None:
            asked: list[Question] = [
                (_nothing, _never) if leaf is None else (partial(sequences_of, leaf), self._alone[1 << at])
                for at, leaf in enumerate(leaves)
            ]
            found = AtOnce.of(asked, longest)
            return None if found is None else lambda text: self._nearly(text, *found.told(text))

        return cheapest(together, at_once) if is_dear else together

    def _nearly(self, text: str, surely: int, perhaps: int) -> _Told:
        """Return what was told of a text; where much of it is open, with that settled."""
        if perhaps.bit_count() <= _OPEN:
            return surely, perhaps
        return surely | self.settled(text, perhaps), 0

    def settled(self, text: str, perhaps: int) -> int:
        """Return those of some tests that the text passes; each is asked by itself."""
        found = 0
        while perhaps:
            bit = perhaps & -perhaps
            test = self._alone.get(bit)
            if test is not None and test(text):
                found |= bit
            perhaps ^= bit
        return found


def _nothing(detail: int) -> Sequences:
    return ()


def _never(text: str) -> bool:
    return False
