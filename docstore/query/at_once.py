"""Many tests of one text asked at once of an ``automaton``, and those it is not sure about by themselves.

This is the other way to what ``searches`` tells by RE2: for patterns that need too many states together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from docstore.query.automaton import Automaton
from docstore.query.sequences import Sequences

__all__ = ["AtOnce", "Question"]

TextTest: TypeAlias = Callable[[str], bool]
Question: TypeAlias = tuple[Sequences | None, TextTest]
"""What can match, ``None`` if it is not known, and the test."""
_LONGEST = 65_535
"""Characters of a text, beyond which there is no automaton."""
_LARGEST = 100_000
"""Bits of an automaton's set of places; there is none with more."""


class AtOnce:
    """Tests of texts up to a length.

    Args:
        questions: the tests.
        automaton: of what can match each.
    """

    __slots__ = ("_alone", "_automaton", "_every", "_folding", "_last", "_unread")

    def __init__(self, questions: Sequence[Question], automaton: Automaton) -> None:
        self._automaton = automaton
        self._alone = [test for _, test in questions]
        self._every = (1 << len(questions)) - 1
        self._folding = self._unread = self._last = 0
        for at, (read, _) in enumerate(questions):
            if read is None:
                self._unread |= 1 << at
            elif any(run.characters.folds for sequence in read for run in sequence.runs):
                self._folding |= 1 << at

    @classmethod
    def of(cls, questions: Sequence[Question], longest: int) -> AtOnce | None:
        """Return the tests for texts up to ``longest`` characters; ``None``: that would be too large."""
        if longest > _LONGEST:
            return None
        automaton = Automaton([read or () for read, _ in questions], longest)
        return cls(questions, automaton) if automaton.size <= _LARGEST else None

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
