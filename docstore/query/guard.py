"""Alternatives of which each needs a text to match: one look at the text says whether any can hold.

``{"$or": [{"content": {"$regex": "a+"}, "size": 1}, {"content": {"$regex": "b+"}, "size": 2}, …]}`` would
look at the text once an alternative. All the patterns are looked for together first (``matches_any``), and
where none is found, none of the alternatives is tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from docstore.query.expr import And, Expr, Match, Path, Regex

__all__ = ["Guarded", "guarded"]

_MANY = 8
"""From so many alternatives on it pays."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """Alternatives that need a text at one path to match.

    Attributes:
        leaves: what the text must match, one for each alternative: any of them.
        terms: the alternatives.
    """

    leaves: list[Regex | Match] = field(default_factory=list)
    terms: list[Expr] = field(default_factory=list)


def guarded(terms: Sequence[Expr]) -> tuple[Sequence[Expr], dict[Path, Guarded]]:
    """Sort out the terms of an Or that need a text to match, where there are many for one path.

    Returns:
        The other terms, and the rest by path.
    """
    if len(terms) < _MANY:
        return terms, {}
    others: list[Expr] = []
    by_path: dict[Path, Guarded] = {}
    for term in terms:
        leaf = _text(term)
        if leaf is None:
            others.append(term)
        else:
            group = by_path.setdefault(leaf.path, Guarded())
            group.leaves.append(leaf)
            group.terms.append(term)
    for path in [path for path, group in by_path.items() if len(group.terms) < _MANY]:
        others += by_path.pop(path).terms
    return others, by_path


def _text(term: Expr) -> Regex | Match | None:
    """Return the first test of a text that a conjunction needs to hold."""
    if not isinstance(term, And):
        return None
    return next((part for part in term.terms if isinstance(part, Regex | Match)), None)
