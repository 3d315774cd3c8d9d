"""Many comparisons of one path at once: where a value stands among their operands decides them all.

500 comparisons of one path cost 500 calls a record. Each tells only whether a value is below, at or above its
operand, so that two values with the same rank among the operands of their type get the same answers: the
operands are sorted once, a value is looked up among them, and the first value of each rank is asked all. Each
comparison is of any of the values seen at the path (rule 9), so that the answers of several values are put
together comparison by comparison, before And, Or and Not are applied; what that comes to is remembered, too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Sequence
from functools import cmp_to_key
from typing import Any, TypeAlias

from docstore.query import predicates
from docstore.query.expr import And, Compare, Expr, In, Not, Or, Path, leaves
from docstore.query.predicates import Test
from docstore.query.seeing import values_at
from docstore.query.values import compare

__all__ = ["ranked", "together"]

_MANY = 8
"""From so many comparisons on it pays."""
_TERMS = 4
"""Fewer terms than these are not looked at."""
_KEPT = 10_000
"""Ranks, and sets of answers, that are remembered."""
_Rank: TypeAlias = Callable[[Any], int]
_RANKED: dict[type, type] = {int: float, float: float, str: str, dict: dict, list: list}
"""The types whose values are ranked, and among which operands; numbers are one type. Of others there are few
values."""


def together(terms: Sequence[Expr]) -> tuple[Sequence[Expr], dict[Path, list[Expr]]]:
    """Sort out the terms of an And or an Or that do nothing but compare one path, where there are many.

    Returns:
        The other terms, and for each such path those that compare it.
    """
    if len(terms) < _TERMS:
        return terms, {}
    others: list[Expr] = []
    by_path: dict[Path, list[Expr]] = {}
    for term in terms:
        path = _path(term)
        (others if path is None else by_path.setdefault(path, [])).append(term)
    for path in [path for path, group in by_path.items() if not _pays(group)]:
        others += by_path.pop(path)
    return others, by_path


def _pays(terms: Sequence[Expr]) -> bool:
    return len(terms) >= _TERMS and sum(1 for term in terms for _ in leaves(term)) >= _MANY


def _path(expr: Expr) -> Path | None:
    """Return the one path that an expression compares, and does nothing else."""
    match expr:
        case Compare(path) | In(path):
            return path
        case Not(term):
            return _path(term)
        case And(terms) | Or(terms):
            paths = {_path(term) for term in terms}
            return paths.pop() if len(paths) == 1 else None
    return None


def ranked(path: Path, expr: And | Or) -> Callable[[Any], bool]:
    """Return the test of whether a record, or a plain mapping, matches an expression.

    Args:
        path: what all of it compares.
        expr: of the terms that :func:`together` found for the path.
    """
    asked: list[Compare | In] = []
    comes_to = _of_answers(expr, asked)
    answers = _answers(asked)
    known: dict[int, bool] = {}

    def run(record: Any) -> bool:
        found = 0
        for value in values_at(record, path):
            found |= answers(value)
        result = known.get(found)
        if result is None:
            if len(known) >= _KEPT:
                known.clear()
            result = known[found] = comes_to(found)
        return result

    return run


def _of_answers(expr: Expr, asked: list[Compare | In]) -> Callable[[int], bool]:
    """Return what an expression comes to, given a bit for each comparison that holds; its comparisons are
    added to ``asked``, the first bit is the first's.
    """
    match expr:
        case Not(term):
            inner = _of_answers(term, asked)
            return lambda found: not inner(found)
        case And(terms):
            every = [_of_answers(term, asked) for term in terms]
            return lambda found: all(part(found) for part in every)
        case Or(terms):
            some = [_of_answers(term, asked) for term in terms]
            return lambda found: any(part(found) for part in some)
        case Compare() | In():
            bit = 1 << len(asked)
            asked.append(expr)
            return lambda found: found & bit != 0
    raise AssertionError(f"no comparison: {expr}")


def _answers(asked: Sequence[Compare | In]) -> Callable[[Any], int]:
    """Return the function that tells which comparisons hold of a value, as bits."""
    tests: list[Test] = [
        predicates.is_among(leaf) if isinstance(leaf, In) else predicates.comparison(leaf) for leaf in asked
    ]
    operands: dict[type, list[Any]] = {kind: [] for kind in _RANKED.values()}
    for leaf in asked:
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
            found = known[place] = sum(1 << at for at, test in enumerate(tests) if test(value))
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
