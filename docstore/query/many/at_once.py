"""Many tests of one text asked at once of an ``automaton``, and those it is not sure about by themselves.

This is the other way to what ``searches`` tells by RE2: for patterns that need too many states together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from docstore.query.many.automaton import Automaton
from docstore.query.many.sequences import COARSE, Sequences

__all__ = ["AtOnce", "Question"]

TextTest: TypeAlias = Callable[[str], bool]
Question: TypeAlias = tuple[Callable[[int], Sequences | None], TextTest]
"""What returns what can match, in so much detail (``None``: it is not known), and the test."""
_LONGEST = 65_535
"""Characters of a text, beyond which there is no automaton."""
_FEW = 64
_DETAILS = ((48, 6_000), (COARSE, 100_000))
"""How much detail there is, where the bits of an automaton's set of places are no more than so many then; for
more than a few tests the least.
"""


class AtOnce:
    """Tests of texts up to a length.

    Args:
        questions: the tests.
        every: what can match each.
        automaton: of that.
    """

    __slots__ = ("_alone", "_automaton", "_every", "_folding", "_last", "_unread")

    def __init__(
        self, questions: Sequence[Question], every: Sequence[Sequences | None], automaton: Automaton
    ) -> None:
        self._automaton = automaton
        self._alone = [test for _, test in questions]
        self._every = (1 << len(questions)) - 1
        self._folding = self._unread = self._last = 0
        for at, read in enumerate(every):
            if read is None:
                self._unread |= 1 << at
            elif any(run.characters.folds for sequence in read for run in sequence.runs):
                self._folding |= 1 << at

    @classmethod
    def of(cls, questions: Sequence[Question], longest: int) -> AtOnce | None:
        """Return the tests for texts up to ``longest`` characters; ``None``: that would be too large."""
        if longest > _LONGEST:
            return None
        for detail, largest in _DETAILS if len(questions) <= _FEW else _DETAILS[1:]:
            every = [read(detail) for read, _ in questions]
            automaton = Automaton([one or () for one in every], longest, largest)
            if automaton.size <= largest:
                return cls(questions, every, automaton)
        return None

    def any(self, text: str) -> bool:
        """Tell whether the text passes any of the tests."""
        surely, perhaps = self.told(text)
        if surely:
            return True
        for bit, alone in self._asked(perhaps):
            if alone(text):
                self._last = bit
                return True
        return False

    def all(self, text: str) -> bool:
        """Tell whether the text passes all of the tests."""
        surely, perhaps = self.told(text)
        if perhaps | surely != self._every:
            return False
        for bit, alone in self._asked(perhaps):
            if not alone(text):
                self._last = bit
                return False
        return True

    def told(self, text: str) -> tuple[int, int]:
        """Return the tests that the text passes, and those that it may pass; none is both."""
        found = self._automaton.found(text)
        if not found:
            return 0, self._unread
        surely = found >> len(self._alone)
        if not self._automaton.unsettled.isdisjoint(text):
            surely &= ~self._folding
        return surely, found & self._every & ~surely | self._unread

    def _asked(self, left: int) -> Iterator[tuple[int, TextTest]]:
        """Yield the tests that must be asked by themselves, the one that decided last first."""
        bit = self._last & left or left & -left
        while bit:
            yield bit, self._alone[bit.bit_length() - 1]
            left ^= bit
            bit = left & -left
