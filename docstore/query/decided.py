"""Many predicates of one path at once: which of them hold of a value decides all that is made of them.

500 predicates of one path cost 500 calls a record. Comparisons are decided by the rank of a value
(``ranks``), texts and patterns by one walk of a text (``one_text``); both say which predicates hold, a bit
for each. Each predicate is of any of the values seen at the path (rule 9), so that the bits of several values
are put together before And, Or and Not are applied; what those come to is remembered, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from docstore.query.expr import And, Compare, Expr, In, Match, Not, Or, Path, Regex, leaves
from docstore.query.one_text import matching
from docstore.query.ranks import holding
from docstore.query.seeing import values_at

__all__ = ["decided", "together"]

_MANY = 8
"""From so many predicates on it pays."""
_TERMS = 4
"""Fewer terms than these are not looked at."""
_KEPT = 10_000
"""Sets of answers that are remembered."""
_Compared: TypeAlias = Compare | In
_Text: TypeAlias = Regex | Match


def together(terms: Sequence[Expr]) -> tuple[Sequence[Expr], dict[Path, list[Expr]]]:
    """Sort out the terms of an And or an Or that do nothing but ask one path, where there are many.

    Texts and patterns that stand by themselves are left: to look for any, or all, of those is cheaper than to
    look for each.

    Returns:
        The other terms, and for each such path those that ask it.
    """
    if len(terms) < _TERMS:
        return terms, {}
    others: list[Expr] = []
    by_path: dict[Path, list[Expr]] = {}
    for term in terms:
        leaf = term.term if isinstance(term, Not) else term
        path = None if isinstance(leaf, Regex | Match) else _path(term)
        (others if path is None else by_path.setdefault(path, [])).append(term)
    for path in [path for path, group in by_path.items() if not _pays(group)]:
        others += by_path.pop(path)
    return others, by_path


def _pays(terms: Sequence[Expr]) -> bool:
    return len(terms) >= _TERMS and sum(1 for term in terms for _ in leaves(term)) >= _MANY


def _path(expr: Expr) -> Path | None:
    """Return the one path that an expression asks, and does nothing else."""
    match expr:
        case Compare(path) | In(path) | Regex(path) | Match(path):
            return path
        case Not(term):
            return _path(term)
        case And(terms) | Or(terms):
            paths = {_path(term) for term in terms}
            return paths.pop() if len(paths) == 1 else None
    return None


def decided(path: Path, expr: And | Or) -> Callable[[Any], bool]:
    """Return the test of whether a record, or a plain mapping, matches an expression.

    Args:
        path: what all of it asks.
        expr: of the terms that :func:`together` found for the path.
    """
    compared: list[_Compared] = [leaf for leaf in leaves(expr) if isinstance(leaf, Compare | In)]
    texts: list[_Text] = [leaf for leaf in leaves(expr) if isinstance(leaf, Regex | Match)]
    bits = {id(leaf): 1 << at for at, leaf in enumerate([*compared, *texts])}
    comes_to = _of_bits(expr, bits)
    answers = _answers(compared, texts)
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


def _answers(compared: Sequence[_Compared], texts: Sequence[_Text]) -> Callable[[Any], int]:
    """Return the function that tells which predicates hold of a value: the first bit is the first's."""
    by_rank = holding(compared)
    if not texts:
        return by_rank
    by_text, first = matching(texts), len(compared)

    def answers(value: Any) -> int:
        return by_rank(value) | by_text(value) << first if type(value) is str else by_rank(value)

    return answers


def _of_bits(expr: Expr, bits: dict[int, int]) -> Callable[[int], bool]:
    """Return what an expression comes to, given the bits of the leaves that hold.

    Args:
        expr: the expression.
        bits: each leaf's own, by its ``id``.
    """
    match expr:
        case Not(term):
            inner = _of_bits(term, bits)
            return lambda found: not inner(found)
        case And(terms):
            every = [_of_bits(term, bits) for term in terms]
            return lambda found: all(part(found) for part in every)
        case Or(terms):
            some = [_of_bits(term, bits) for term in terms]
            return lambda found: any(part(found) for part in some)
    bit = bits[id(expr)]
    return lambda found: found & bit != 0
