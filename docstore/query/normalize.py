"""Tidy an Expr: flat, without constants, double negations and repetitions. It never changes what matches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from docstore.query.expr import (
    FALSE,
    TRUE,
    Always,
    And,
    Compare,
    Contains,
    ElemMatch,
    Exists,
    Expr,
    In,
    Leaf,
    Match,
    Mod,
    Not,
    Occurs,
    Or,
    Regex,
    Size,
    TypeIs,
)
from docstore.query.values import compare, identity, type_rank
from docstore.query.wire import expr_to_json

__all__ = ["normalize"]


def normalize(expr: Expr) -> Expr:
    """Return an Expr that matches just what ``expr`` does, in its tidiest form.

    ``And`` within ``And`` and ``Or`` within ``Or`` are flattened, ``TRUE`` and ``FALSE`` are worked out,
    ``Not(Not(x))`` is ``x``, a group of one is its term, terms and list values that come twice are kept once,
    of many bounds of one kind on one path the deciding one; alternatives for an element of one array are
    one ``ElemMatch``, and negative alternatives one ``Not``. Idempotent.
    """
    match expr:
        case And(terms):
            return _group(And, terms, neutral=TRUE, deciding=FALSE)
        case Or(terms):
            return _group(Or, terms, neutral=FALSE, deciding=TRUE)
        case Not(term):
            return _negation(normalize(term))
        case _:
            return _leaf(expr)


def _negation(term: Expr) -> Expr:
    match term:
        case Always(value):
            return Always(not value)
        case Not(inner):
            return inner
        case _:
            return Not(term)


def _group(kind: type[And] | type[Or], terms: Iterable[Expr], *, neutral: Always, deciding: Always) -> Expr:
    found: list[Expr] = []
    for term in map(normalize, terms):
        for inner in term.terms if isinstance(term, kind) else (term,):
            if inner == deciding:
                return deciding
            if inner != neutral:
                found.append(inner)
    kept = _bounded(_once(found), strictest=kind is And)
    if kind is Or:
        kept = _of_one_negation(_of_one_element(kept))
    if not kept:
        return neutral
    return kind(tuple(kept)) if len(kept) > 1 else kept[0]


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


def _of_one_element(terms: list[Expr]) -> list[Expr]:
    """Return the alternatives with one ``ElemMatch`` for each path: an element for this or one for that is an
    element for this or that.
    """
    conditions: dict[tuple[object, ...], list[Expr]] = {}
    for term in terms:
        if isinstance(term, ElemMatch):
            conditions.setdefault((term.path, term.of), []).append(term.condition)
    if all(len(some) == 1 for some in conditions.values()):
        return terms
    kept: list[Expr] = []
    for term in terms:
        if not isinstance(term, ElemMatch):
            kept.append(term)
        elif some := conditions.pop((term.path, term.of), None):
            kept.append(normalize(ElemMatch(term.path, Or(tuple(some)), term.of)))
    return kept


def _of_one_negation(terms: list[Expr]) -> list[Expr]:
    """Return the alternatives with one ``Not`` at most: not this or not that is not both."""
    denied = [term.term for term in terms if isinstance(term, Not)]
    if len(denied) < 2:
        return terms
    first = next(at for at, term in enumerate(terms) if isinstance(term, Not))
    kept = [term for at, term in enumerate(terms) if at == first or not isinstance(term, Not)]
    kept[first] = _negation(normalize(And(tuple(denied))))
    return kept


def _leaf(leaf: Leaf) -> Leaf:
    match leaf:
        case In(path, values):
            return _membership(In(path, _distinct(values)))
        case Contains(path, values, every):
            return Contains(path, _distinct(values), every) if every or values else FALSE
        case ElemMatch(path, condition, of):
            inner = normalize(condition)
            return FALSE if inner == FALSE else ElemMatch(path, inner, of)
        case Compare(path, op, None) if op != "eq":
            return FALSE if op in ("gt", "lt") else Compare(path, "eq", None)
        case TypeIs(_, types):
            return leaf if types else FALSE
        case Compare() | Exists() | Size() | Mod() | Regex() | Match() | Occurs() | Always():
            return leaf
        case _:
            assert_never(leaf)


def _membership(leaf: In) -> Leaf:
    if not leaf.values:
        return FALSE
    return leaf if len(leaf.values) > 1 else Compare(leaf.path, "eq", leaf.values[0])


def _distinct(values: tuple[object, ...]) -> tuple[object, ...]:
    kept: dict[object, object] = {}
    for value in values:
        kept.setdefault(identity(value), value)
    return tuple(kept.values())
