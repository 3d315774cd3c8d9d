"""Two ways to the same answer, of which the cheaper is taken: each is timed now and then.

How long RE2 takes for many patterns depends on the texts, in no way that could be told before. The other way
is made when the usual one has cost more than making it does. Which is taken changes no answer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Generic, TypeVar

__all__ = ["cheaper", "cheapest"]

_CHEAP = 8e-6
"""Seconds a text that are not worth another way."""
_WORTH = 0.02
"""Seconds spent before the other way is made."""
_EACH = 4
"""Of so many texts one is timed, as long as there is but one way."""
_LONGEST = 0.002
"""Seconds; in what takes longer something else may have run."""
_WEIGHT, _TRIED = 64, 8
"""Texts after which an earlier one counts for a third in the mean of the way taken, and of the other."""
_LEARNS, _PATIENCE = 64, 0.03
"""Texts, or seconds, for which the other way is taken when it is new: it may have ways to find out itself."""
_OFTEN, _SELDOM = 64, 1_024
"""Texts after which the dearer way is tried, at first and at last."""
_SHORT = 7
"""Characters of texts that are alike short."""
A = TypeVar("A")
T = TypeVar("T")


def cheapest(
    usual: Callable[[str], T], other: Callable[[int], Callable[[str], T] | None]
) -> Callable[[str], T]:
    """Return a function that asks one of two ways of a text, for texts of each length the cheaper.

    Args:
        usual: the one that is taken until it is found to be dear.
        other: makes the other for texts of up to some characters; ``None``: there is none.
    """
    choices = [cheaper(usual, lambda: other(_SHORT))] * (_SHORT.bit_length() + 1)

    def ask(text: str) -> T:
        size = len(text).bit_length()
        while len(choices) <= size:
            choices.append(cheaper(usual, partial(other, (1 << len(choices)) - 1)))
        return choices[size](text)

    return ask


def cheaper(usual: Callable[[A], T], other: Callable[[], Callable[[A], T] | None]) -> Callable[[A], T]:
    """Return a function that asks one of two ways.

    Args:
        usual: the one that is taken until it is found to be dear.
        other: makes the other; ``None``: there is none.
    """
    return _Choice(usual, other).ask


class _Choice(Generic[A, T]):
    """Which of two ways is taken.

    Args:
        usual: one way.
        make: makes the other.
    """

    __slots__ = ("_asked", "_between", "_learning", "_left", "_make", "_means", "_spent", "_ways")

    def __init__(self, usual: Callable[[A], T], make: Callable[[], Callable[[A], T] | None]) -> None:
        self._make: Callable[[], Callable[[A], T] | None] | None = make
        self._ways = [usual]
        self._means = [0.0]
        self._asked = 0
        self._spent = 0.0
        self._learning = _LEARNS
        self._left = self._between = _OFTEN

    def ask(self, asked: A) -> T:
        """Return the answer by the way that is the cheaper, as far as is known."""
        if len(self._ways) > 1:
            return self._by_the_cheaper(asked)
        self._asked += 1
        if self._asked % _EACH or self._make is None:
            return self._ways[0](asked)
        begun = perf_counter()
        answer = self._ways[0](asked)
        self._spent += _EACH * min(perf_counter() - begun, _LONGEST)
        if self._spent > _WORTH and self._spent > _CHEAP * self._asked:
            self._add_the_other(self._make)
        return answer

    def _add_the_other(self, make: Callable[[], Callable[[A], T] | None]) -> None:
        other, self._make = make(), None
        if other is not None:
            self._means = [self._spent / self._asked, _LONGEST]
            self._ways = [self._ways[0], other]

    def _by_the_cheaper(self, asked: A) -> T:
        means = self._means
        best = 0 if means[0] < means[1] else 1
        self._left -= 1
        tries = self._left <= 0
        way = 1 if self._learning > 0 else 1 - best if tries else best
        begun = perf_counter()
        answer = self._ways[way](asked)
        took = min(perf_counter() - begun, _LONGEST)
        means[way] += (took - means[way]) / (_WEIGHT if way == best else _TRIED)
        if self._learning > 0:
            self._learning -= 1 + int(took * _LEARNS / _PATIENCE)
        elif tries:
            changed = (0 if means[0] < means[1] else 1) is not best
            self._left = self._between = _OFTEN if changed else min(2 * self._between, _SELDOM)
        return answer
