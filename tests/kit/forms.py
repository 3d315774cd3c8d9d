"""How much the tests ask: the short form in every run, all of it with ``DOCSTORE_SOAK=1`` (`nox -s soak`)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import combinations, product
from typing import Any, TypeVar

__all__ = ["PATIENCE", "SOAK", "either", "pairs"]

SOAK = os.environ.get("DOCSTORE_SOAK") == "1"
"""Whether this is the long form."""
PATIENCE = 60.0
"""Seconds that tests wait for what comes at once, on a machine that does much else at the same time."""
Value = TypeVar("Value")


def either(short: Value, long: Value) -> Value:
    """Return the short form's value or the long form's."""
    return long if SOAK else short


def pairs(*axes: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Return combinations of a value of each axis in which every two values of two axes meet.

    A fault that depends on one or two of the axes is found by these as by all combinations, which the long
    form returns. Each time the combination is taken that has the most pairs that did not meet yet.
    """
    values: list[Sequence[Any]] = [list(axis) for axis in axes]
    every = list(product(*(range(len(axis)) for axis in values)))
    taken = every if SOAK else []
    left = {meeting for one in every for meeting in _meetings(one)}
    while left and not SOAK:
        best = max(every, key=lambda one: sum(meeting in left for meeting in _meetings(one)))
        taken.append(best)
        left.difference_update(_meetings(best))
    return [tuple(axis[at] for axis, at in zip(values, one, strict=True)) for one in taken]


def _meetings(indexes: tuple[int, ...]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return which two values of which two axes meet in a combination."""
    return list(combinations(enumerate(indexes), 2))
