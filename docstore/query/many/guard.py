"""Alternatives of which each needs something that can be asked of all at once: that is asked first.

``{"$or": [{"content": {"$regex": "a+"}, "size": 1}, {"content": {"$regex": "b+"}, "size": 2}, …]}`` would
look at the text once an alternative. All the patterns are looked for together first, and where none is found,
none of the alternatives is tried; the same with remainders of a number and with comparisons of one path.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from docstore.query.expr import And, Compare, Expr, In, Match, Mod, Path, Regex
from docstore.query.values import identity

__all__ = ["COMPARISONS", "REMAINDERS", "TEXTS", "Guarded", "Kind", "guarded"]

_MANY = 8
"""From so many alternatives on it pays."""
Needed: TypeAlias = Regex | Match | Mod | Compare | In
Kind: TypeAlias = tuple[type[Needed], ...]
TEXTS: Kind = (Regex, Match)
REMAINDERS: Kind = (Mod,)
COMPARISONS: Kind = (Compare, In)


@dataclass(frozen=True, slots=True)
class Guarded:
    """Alternatives that need something of one path.

    Attributes:
        path: where.
        leaves: what each alternative needs: one of these must hold.
        terms: the alternatives.
    """

    path: Path
    leaves: list[Expr] = field(default_factory=list)
    terms: list[Expr] = field(default_factory=list)


def guarded(terms: Sequence[Expr], kinds: Sequence[Kind]) -> tuple[Sequence[Expr], list[Guarded]]:
    """Sort out the terms of an Or that need something of one path, where there are many for it.

    Args:
        terms: the terms.
        kinds: what may be needed, in the order in which it is looked for.

    Returns:
        The other terms, and the rest by what they need.
    """
    found: list[Guarded] = []
    for kind in kinds:
        if len(terms) < _MANY:
            break
        terms, groups = _guarded(terms, kind)
        found += groups
    return terms, found


def _guarded(terms: Sequence[Expr], kind: Kind) -> tuple[list[Expr], list[Guarded]]:
    needed = [_needed(term, kind) for term in terms]
    telling = _telling(needed)
    others: list[Expr] = []
    by_path: dict[Path, Guarded] = {}
    for term, leaves in zip(terms, needed, strict=True):
        if not leaves:
            others.append(term)
            continue
        leaf = max(leaves, key=lambda leaf: telling[leaf.path])
        group = by_path.setdefault(leaf.path, Guarded(leaf.path))
        group.leaves.append(leaf)
        group.terms.append(term)
    for path in [path for path, group in by_path.items() if len(group.terms) < _MANY]:
        others += by_path.pop(path).terms
    return others, list(by_path.values())


def _needed(term: Expr, kind: Kind) -> list[Needed]:
    """Return the leaves of a kind of which a conjunction needs each to hold."""
    return [part for part in term.terms if isinstance(part, kind)] if isinstance(term, And) else []


def _telling(needed: Sequence[Sequence[Needed]]) -> dict[Path, int]:
    """Return how many different things are needed of each path: where they are many, each is rarely there."""
    asked: dict[Path, set[Hashable]] = {}
    for leaf in (leaf for leaves in needed for leaf in leaves):
        asked.setdefault(leaf.path, set()).add(_operand(leaf))
    return {path: len(operands) for path, operands in asked.items()}


def _operand(leaf: Needed) -> Hashable:
    match leaf:
        case Compare(_, op, value):
            return op, identity(value)
        case In(_, values):
            return tuple(map(identity, values))
        case Mod(_, divisor, remainder):
            return divisor, remainder
        case Regex(_, pattern, flags):
            return pattern, flags
        case Match(_, kind, text):
            return kind, text
