"""Optimizer: the normal form of an Expr, and rewrites that ordinary filters gain by.

The normal form is flat and has no constants, double negations or repetitions. It matches the same records.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from itertools import chain
from typing import Any

from docstore.concurrency import looked_over
from docstore.query.expr import (
    FALSE,
    All,
    Always,
    And,
    Compare,
    Contains,
    ElemMatch,
    Expr,
    In,
    Leaf,
    Not,
    Occurs,
    Or,
    Regex,
    TypeIs,
    expr_to_json,
    leaves,
)
from docstore.query.patterns import joined_patterns
from docstore.query.values import compare, identity, type_rank


def normalize(expr: Expr) -> Expr:
    """Return an Expr that matches just what ``expr`` does, in its tidiest form.

    ``And`` within ``And`` and ``Or`` within ``Or`` are flattened, ``TRUE`` and ``FALSE`` are worked out,
    ``Not(Not(x))`` is ``x``, a group of one is its term, terms and list values that come twice are kept once,
    of many bounds of one kind on one path the deciding one; alternatives for an element of one array are
    one ``ElemMatch``, and negative alternatives one ``Not``. Of one path, alternative equalities are one
    ``In``, alternative patterns with equal options one pattern, and several ``Not`` the ``Not`` of an ``Or``.
    Idempotent.
    """
    match expr:
        case And(terms):
            return _group(And, map(normalize, terms))
        case Or(terms):
            return _group(Or, map(normalize, terms))
        case Not(term):
            return _negation(normalize(term))
        case _:
            return _leaf(expr)


def conjunction(terms: Iterable[Expr]) -> Expr:
    """Return the normalized ``And`` of terms that are normalized already."""
    return _group(And, terms)


def _negation(term: Expr) -> Expr:
    match term:
        case Always(value):
            return Always(not value)
        case Not(inner):
            return inner
        case _:
            return Not(term)


def _group(kind: type[And] | type[Or], terms: Iterable[Expr]) -> Expr:
    """Return the ``And`` or ``Or`` of normalized terms."""
    is_and = kind is And
    found: list[Expr] = []
    for term in terms:
        if type(term) is Always:
            if term.value is not is_and:
                return term
        elif type(term) is kind:
            found += term.terms
        else:
            found.append(term)
    # Rewrites compare terms with each other; most conjunctions have nothing to compare.
    if _may_meet(found):
        found = _bounded(_once(found), strictest=is_and)
        found = _merged(found, _denied_path, _neither) if is_and else _merged(found, _alternative, _either)
    if len(found) == 1:
        return found[0]
    return kind(tuple(found)) if found else Always(is_and)


def _may_meet(terms: list[Expr]) -> bool:
    """Tell whether two terms share a path, or a kind that has none: only then a rewrite can apply."""
    places: set[object] = set()
    for term in terms:
        kind = type(term)
        places.add(kind if kind in _WITHOUT_PATH else term.path)  # type: ignore[union-attr]
    return len(places) < len(terms)


_WITHOUT_PATH = frozenset({And, Or, Not, Occurs, Always})


def _once(terms: list[Expr]) -> list[Expr]:
    """Return the terms without repetitions: only those that are alike at a glance are written out."""
    glances = {(type(term), getattr(term, "path", None), getattr(term, "op", None)) for term in terms}
    if len(glances) == len(terms):
        return terms
    kept: dict[str, Expr] = {}
    for term in terms:
        kept.setdefault(expr_to_json(term), term)
    return list(kept.values())


def _bounded(terms: list[Expr], *, strictest: bool) -> list[Expr]:
    """Return the terms with one lower and one upper bound for each path and type (rule 12) at most.

    A value that is above the highest of some bounds is above them all, whichever values (rule 9) the others
    were met by; and what is above any of them is above the lowest.
    """
    kept: dict[tuple[object, ...] | int, Expr] = {}
    for at, term in enumerate(terms):
        if isinstance(term, Compare) and term.op != "eq":
            is_lower = term.op in ("gt", "gte")
            key = (term.path, is_lower, type_rank(term.value))
            other = kept.get(key)
            if isinstance(other, Compare):
                kept[key] = _deciding(other, term, highest=is_lower is strictest, strictest=strictest)
            else:
                kept[key] = term
        else:
            kept[at] = term
    return list(kept.values())


def _deciding(one: Compare, other: Compare, *, highest: bool, strictest: bool) -> Compare:
    order = compare(one.value, other.value)
    if order == 0:
        return one if (one.op in ("gt", "lt")) is strictest else other
    return one if (order > 0) is highest else other


def _merged(
    terms: list[Expr], place: Callable[[Expr], Hashable], join: Callable[[list[Any]], list[Expr]]
) -> list[Expr]:
    """Join the terms that ``place`` puts at one place; a term whose place is None stays by itself."""
    groups: dict[Hashable, list[Expr]] = {}
    for at, term in enumerate(terms):
        key = place(term)
        groups.setdefault(at if key is None else key, []).append(term)
    if len(groups) == len(terms):
        return terms
    return [term for some in groups.values() for term in (some if len(some) == 1 else join(some))]


def _alternative(term: Expr) -> Hashable:
    """Return the key that alternatives which can be joined with ``term`` share; None if none can.

    Equality with an array or object stays apart: an index finds those by what is inside. A pattern with
    ``\\Q`` may quote up to its very end, whatever stands behind it.
    """
    match term:
        case ElemMatch(path, _, of):
            return ElemMatch, path, of
        case Not():
            return Not
        case Compare(path, "eq", value) if not isinstance(value, list | dict):
            return In, path
        case In(path, values) if not any(isinstance(value, list | dict) for value in values):
            return In, path
        case Regex(path, pattern, flags) if r"\Q" not in pattern:
            return Regex, path, flags
        case _:
            return None


def _either(terms: list[Any]) -> list[Expr]:
    """Join alternatives: an element for this or for that is an element for this or that; not this or not that
    is not both; to equal one or the other is to be in a list; RE2 reads a text once for many patterns.
    """
    match terms[0]:
        case ElemMatch(path, _, of):
            return [normalize(ElemMatch(path, Or(tuple(term.condition for term in terms)), of))]
        case Not():
            return [_negation(normalize(And(tuple(term.term for term in terms))))]
        case Regex(path, _, flags):
            joined = joined_patterns([term.pattern for term in terms], flags)
            return terms if joined is None else [Regex(path, joined, flags)]
        case first:
            each = (term.values if isinstance(term, In) else (term.value,) for term in terms)
            return [_leaf(In(first.path, tuple(chain.from_iterable(each))))]


def _denied_path(term: Expr) -> Hashable:
    """Return the one path under a ``Not``; None if there are several, or ``term`` is no ``Not``."""
    if not isinstance(term, Not):
        return None
    paths = {None if isinstance(leaf, Always | Occurs) else leaf.path for leaf in leaves(term)}
    return paths.pop() if len(paths) == 1 else None


def _neither(terms: list[Any]) -> list[Expr]:
    """Join negatives: neither this nor that is not either."""
    return [_negation(normalize(Or(tuple(term.term for term in terms))))]


def _leaf(leaf: Leaf) -> Leaf:
    match leaf:
        case In(path, values):
            return _membership(In(path, _distinct(values)))
        case All(path, values):
            kept = _distinct(values)
            return All(path, kept) if len(kept) > 1 else Compare(path, "eq", kept[0])
        case Contains(path, values, every, instants):
            return Contains(path, _distinct(values), every, instants) if every or values else FALSE
        case ElemMatch(path, condition, of):
            inner = normalize(condition)
            return FALSE if inner == FALSE else ElemMatch(path, inner, of)
        case Compare(path, op, None) if op != "eq":
            return FALSE if op in ("gt", "lt") else Compare(path, "eq", None)
        case TypeIs(_, types):
            return leaf if types else FALSE
        case _:
            return leaf


def _membership(leaf: In) -> Leaf:
    if not leaf.values:
        return FALSE
    return leaf if len(leaf.values) > 1 else Compare(leaf.path, "eq", leaf.values[0])


def _distinct(values: tuple[object, ...]) -> tuple[object, ...]:
    kept: dict[object, object] = {}
    for value in looked_over(values):
        kept.setdefault(identity(value), value)
    return tuple(kept.values())
