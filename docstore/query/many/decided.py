"""Many predicates of one path at once: which of them hold of a value decides all that is made of them.

500 predicates of one path cost 500 calls a record. Comparisons are decided by the rank of a value
(``ranks``), texts and patterns by one walk of a text (``one_text``); both say which predicates hold, a bit
for each. Each predicate is of any of the values seen at the path (rule 9), so that the bits of several values
are put together before And, Or and Not are applied; what those come to is remembered, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from docstore.query.expr import And, Compare, Expr, In, Leaf, Match, Not, Or, Path, Regex, leaves
from docstore.query.many.bitwise import comes_to, wanted
from docstore.query.many.matching import Matching
from docstore.query.many.ranks import holding
from docstore.query.seeing import values_at

__all__ = ["Answers", "decided", "together"]

_MANY = 8
"""From so many predicates on it pays."""
_TERMS = 4
"""Fewer terms than these are not looked at."""
_KEPT = 10_000
"""Sets of answers that are remembered."""


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
    answers = Answers(path, list(leaves(expr)))
    result_of = comes_to(expr)
    hopes = wanted([expr])
    known: dict[int, bool] = {}

    def remembered(found: int) -> bool:
        result = known.get(found)
        if result is None:
            if len(known) >= _KEPT:
                known.clear()
            result = known[found] = result_of(found)
        return result

    def run(record: Any) -> bool:
        surely, perhaps = answers.told(record)
        if not perhaps:
            return remembered(surely)
        best = remembered(surely | perhaps & hopes)
        worst = remembered(surely | perhaps & ~hopes)
        return best if best is worst else remembered(surely | answers.settled(record, perhaps))

    return run


class Answers:
    """Which predicates hold of what is at a path; the first bit is the first's.

    Args:
        path: the path.
        asked: comparisons, texts and patterns; of others and of ``None`` no bit is ever set.
    """

    __slots__ = ("_by_rank", "_path", "_texts")

    def __init__(self, path: Path, asked: Sequence[Leaf | None]) -> None:
        self._path = path
        compared = [leaf if isinstance(leaf, Compare | In) else None for leaf in asked]
        texts = [leaf if isinstance(leaf, Regex | Match) else None for leaf in asked]
        self._by_rank = holding(compared) if any(compared) else None
        self._texts = Matching(texts) if any(texts) else None

    def told(self, record: Any) -> tuple[int, int]:
        """Return the predicates that hold in a record, or a plain mapping, and those that may."""
        surely = perhaps = 0
        for value in self._values(record):
            if self._by_rank is not None:
                surely |= self._by_rank(value)
            if self._texts is not None and type(value) is str:
                told = self._texts.told(value)
                surely |= told[0]
                perhaps |= told[1]
        return surely, perhaps & ~surely

    def settled(self, record: Any, perhaps: int) -> int:
        """Return those of some predicates of texts that hold."""
        found = 0
        for value in self._values(record):
            if self._texts is not None and type(value) is str:
                found |= self._texts.settled(value, perhaps & ~found)
        return found

    def _values(self, record: Any) -> Sequence[Any]:
        if len(self._path) == 1 and type(only := record.get(self._path[0])) is str:
            return (only,)
        return values_at(record, self._path)
