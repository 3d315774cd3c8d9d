"""Choices: generators are written over them, so that Hypothesis shrinks them and chance runs them fast."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache
from random import Random
from typing import TypeVar

from hypothesis import strategies as st

__all__ = ["Chooser", "DrawnChooser", "RandomChooser"]

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
