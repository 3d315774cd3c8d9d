"""Many comparisons of one value at once: where it stands among their operands decides them all.

Each comparison tells only whether a value is below, at or above its operand, so that two values with the same
rank among the operands of their type get the same answers: the operands are sorted once, a value is looked up
among them, and the first value of each rank is asked all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Sequence
from functools import cmp_to_key
from typing import Any, TypeAlias

from docstore.query import predicates
from docstore.query.expr import Compare, In
from docstore.query.predicates import Test
from docstore.query.values import compare

__all__ = ["holding"]

_Rank: TypeAlias = Callable[[Any], int]
_RANKED: dict[type, type] = {int: float, float: float, str: str, dict: dict, list: list}
"""The types whose values are ranked, and among which operands; numbers are one type. Of others there are few
values."""


def holding(places: Sequence[Compare | In | None]) -> Callable[[Any], int]:
    """Return the function that tells which comparisons hold of a value: the first bit is the first's.

    Args:
        places: the comparisons; ``None`` leaves a bit out.
    """
    asked = {1 << at: leaf for at, leaf in enumerate(places) if leaf is not None}
    if not asked:
        return lambda value: 0
    tests: dict[int, Test] = {
        bit: predicates.is_among(leaf) if isinstance(leaf, In) else predicates.comparison(leaf)
        for bit, leaf in asked.items()
    }
    operands: dict[type, list[Any]] = {kind: [] for kind in _RANKED.values()}
    for leaf in asked.values():
        for operand in leaf.values if isinstance(leaf, In) else (leaf.value,):
            if type(operand) in _RANKED:
                operands[_RANKED[type(operand)]].append(operand)
    ranks = {kind: _rank_among(operands[others]) for kind, others in _RANKED.items()}
    known: dict[Hashable, int] = {}

    def answers(value: Any) -> int:
        kind = type(value)
        rank = ranks.get(kind)
        place: Hashable = (kind, value) if rank is None else (kind, rank(value))
        found = known.get(place)
        if found is None:
            found = known[place] = sum(bit for bit, test in tests.items() if test(value))
        return found

    return answers


def _rank_among(operands: list[Any]) -> _Rank:
    """Return the function that tells the rank of a value of the operands' own type: twice the number of
    operands below it, and one more where it is one of them.
    """
    if not operands:
        return lambda value: 0
    if isinstance(operands[0], dict | list):
        key = cmp_to_key(compare)
        among = _rank_in(sorted(map(key, operands)))
        return lambda value: among(key(value))
    return _rank_in(sorted(operands))


def _rank_in(steps: list[Any]) -> _Rank:
    def rank(value: Any) -> int:
        below = bisect_left(steps, value)
        return 2 * below + (below < len(steps) and steps[below] == value)

    return rank
