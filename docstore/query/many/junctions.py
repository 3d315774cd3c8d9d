"""Conjunctions and alternatives of tests, asked in an order that learns.

Whichever test decided last comes first the next time: hundreds of them that hold of nearly everything are not
asked before the one that does not. What is asked first changes no answer, for a test has no effect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

__all__ = ["all_of", "any_of"]

_LEARNS = 8
"""From so many tests on their order changes."""
T = TypeVar("T")


def all_of(tests: list[Callable[[T], bool]]) -> Callable[[T], bool]:
    """Return the test of whether all of some hold; few are asked in their order."""
    if len(tests) == 2:
        first, second = tests
        return lambda value: first(value) and second(value)
    return _junction(tests, decided_by=False)


def any_of(tests: list[Callable[[T], bool]]) -> Callable[[T], bool]:
    """Return the test of whether any of some holds; few are asked in their order."""
    if len(tests) == 2:
        first, second = tests
        return lambda value: first(value) or second(value)
    return _junction(tests, decided_by=True)


def _junction(tests: list[Callable[[T], bool]], *, decided_by: bool) -> Callable[[T], bool]:
    """Return the test that one answer of a single test decides, and that comes to the other without it."""
    if len(tests) == 1:
        return tests[0]
    order = tests

    def run(value: T) -> bool:
        nonlocal order
        now = order
        for test in now:
            if (not test(value)) is not decided_by:
                if test is not now[0]:
                    at = now.index(test)
                    order = [test, *now[:at], *now[at + 1 :]]  # whole: another thread may go through the old
                return decided_by
        return not decided_by

    def in_order(value: T) -> bool:
        for test in tests:
            if (not test(value)) is not decided_by:
                return decided_by
        return not decided_by

    return run if len(tests) >= _LEARNS else in_order
