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

    __slots__ = ("_alone", "_automaton", "_every", "_last", "_sure", "_surely", "_unread")

    def __init__(self, questions: Sequence[Question], automaton: Automaton) -> None:
        self._automaton = automaton
        self._alone = [test for _, test in questions]
        self._every = (1 << len(questions)) - 1
        self._sure = self._surely = self._unread = self._last = 0
        for at, (read, _) in enumerate(questions):
            if read is None:
                self._unread |= 1 << at
            elif all(sequence.exact for sequence in read):
                self._sure |= 1 << at
                folds = any(run.characters.folds for sequence in read for run in sequence.runs)
                self._surely |= 0 if folds else 1 << at

    @classmethod
    def of(cls, questions: Sequence[Question], longest: int) -> AtOnce | None:
        """Return the tests for texts up to ``longest`` characters; ``None``: that would be too large."""
        if longest > _LONGEST:
            return None
        automaton = Automaton([read or () for read, _ in questions], longest)
        return cls(questions, automaton) if automaton.size <= _LARGEST else None

    def found(self, text: str) -> int:
        """Return the tests that the text passes, a bit for each."""
        found = self._automaton.found(text)
        known = self._known(text)
        sure = found & known
        for bit, alone in self._doubted(found, known):
            if alone(text):
                sure |= bit
        return sure

    def any(self, text: str) -> bool:
        """Tell whether the text passes any of the tests."""
        found = self._automaton.found(text)
        known = self._known(text)
        if found & known:
            return True
        for bit, alone in self._doubted(found, known):
            if alone(text):
                self._last = bit
                return True
        return False

    def all(self, text: str) -> bool:
        """Tell whether the text passes all of the tests."""
        found = self._automaton.found(text)
        if self._every & ~(found | self._unread):
            return False
        for bit, alone in self._doubted(found, self._known(text)):
            if not alone(text):
                self._last = bit
                return False
        return True

    def _known(self, text: str) -> int:
        """Return the tests that the automaton is sure about, once it has walked through a text."""
        return self._sure if self._automaton.unsettled.isdisjoint(text) else self._surely

    def _doubted(self, found: int, known: int) -> Iterator[tuple[int, TextTest]]:
        """Yield the tests that must be asked by themselves, the one that decided last first."""
        left = found & ~known | self._unread
        bit = self._last & left or left & -left
        while bit:
            yield bit, self._alone[bit.bit_length() - 1]
            left ^= bit
            bit = left & -left
