"""From a normalized filter to a Plan: what the backend runs and what is left to the evaluator.

Each leaf is *exact*, *inexact* (a superset) or *unsupported* in the backend's own word. Pushed is the
strongest condition made of exact and inexact leaves that every match fulfils; the residual is what still has
to be looked at, row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from docstore.backend import Backend, Judgement, SortKey, Support
from docstore.query.explain import Plan, PlanTerm
from docstore.query.expr import (
    TRUE,
    And,
    Expr,
    Leaf,
    Not,
    Or,
    leaves,
)
from docstore.query.fields import Collection
from docstore.query.optimizer import normalize
from docstore.query.paths import path_text

__all__ = [
    "make_plan",
]

Judge: TypeAlias = Callable[[Leaf], Judgement]
"""The backend's word on a leaf."""


def make_plan(backend: Backend, collection: Collection, expr: Expr, order: Sequence[SortKey]) -> Plan:
    """Split a normalized ``expr`` into what ``backend`` runs and what is left."""
    every = tuple(leaves(expr))
    judged = [backend.judge(collection, leaf) for leaf in every]
    unsorted = _sort_reasons(backend, collection, order)
    if all(judgement.support is Support.EXACT for judgement in judged):
        terms = tuple(
            PlanTerm(leaf, Support.EXACT, judgement.reason)
            for leaf, judgement in zip(every, judged, strict=True)
        )
        return Plan(
            collection.name, backend.name, expr, TRUE, terms, tuple(order),
            window_pushed=not unsorted, sort_pushed=not unsorted, sort_reasons=unsorted,
        )  # fmt: skip

    def judge(leaf: Leaf) -> Judgement:
        return backend.judge(collection, leaf)

    conjuncts = tuple(
        part
        for term in (expr.terms if isinstance(expr, And) else (expr,))
        for part in _split_negation(term, judge)
    )
    left = tuple(term for term in conjuncts if not _is_exact(term, judge))
    return Plan(
        collection=collection.name,
        backend=backend.name,
        pushed=normalize(And(tuple(_project(term, judge) for term in conjuncts))),
        residual=normalize(And(left)),
        terms=tuple(term for conjunct in conjuncts for term in _terms(conjunct, judge)),
        order=tuple(order),
        window_pushed=False,
        sort_pushed=not unsorted,
        sort_reasons=unsorted,
    )


def _split_negation(term: Expr, judge: Judge) -> tuple[Expr, ...]:
    """Return neither-this-nor-that as two conjuncts where the backend runs one of the two exactly."""
    if not (isinstance(term, Not) and isinstance(term.term, Or)):
        return (term,)
    exact = tuple(one for one in term.term.terms if _is_exact(one, judge))
    rest = tuple(one for one in term.term.terms if not _is_exact(one, judge))
    return (Not(Or(exact)), Not(Or(rest))) if exact and rest else (term,)


def _sort_reasons(backend: Backend, collection: Collection, order: Sequence[SortKey]) -> tuple[str, ...]:
    """Return the keys that the backend cannot order by, and why."""
    judged = [(key, backend.sorts(collection, key)) for key in order]
    return tuple(
        f"sort by {path_text(key.path)}: {judgement.reason or 'not run by the backend'}"
        for key, judgement in judged
        if judgement.support is not Support.EXACT
    )


def _terms(conjunct: Expr, judge: Judge) -> Iterator[PlanTerm]:
    """Yield what becomes of each leaf: what is exact by itself may stand beside what is not."""
    if _is_exact(conjunct, judge):
        for leaf in leaves(conjunct):
            yield PlanTerm(leaf, Support.EXACT, judge(leaf).reason)
        return
    for leaf, narrows in _narrowing(conjunct, judge):
        judgement = judge(leaf)
        if judgement.support is not Support.EXACT and narrows == (judgement.support is Support.INEXACT):
            yield PlanTerm(leaf, judgement.support, judgement.reason)
        elif narrows:
            yield PlanTerm(leaf, Support.INEXACT, "exact, but checked again with what stands beside it")
        else:
            yield PlanTerm(leaf, Support.UNSUPPORTED, "of no use without what stands beside it")


def _narrowing(expr: Expr, judge: Judge) -> Iterator[tuple[Leaf, bool]]:
    """Yield each leaf with whether it is in what :func:`_project` leaves of ``expr``."""
    match expr:
        case And(terms):
            for term in terms:
                yield from _narrowing(term, judge)
        case Or(terms):
            useless = any(normalize(_project(term, judge)) == TRUE for term in terms)
            for term in terms:
                inner = _narrowing(term, judge)
                yield from ((leaf, narrows and not useless) for leaf, narrows in inner)
        case Not(term):
            yield from ((leaf, _is_exact(term, judge)) for leaf in leaves(term))
        case _:
            yield expr, judge(expr).support is not Support.UNSUPPORTED


def _is_exact(expr: Expr, judge: Judge) -> bool:
    return all(judge(leaf).support is Support.EXACT for leaf in leaves(expr))


def _project(expr: Expr, judge: Judge) -> Expr:
    """Return the strongest superset of ``expr`` that the backend can run.

    A negative is pushed only if all under it is exact: the complement of a superset is no superset.
    """
    match expr:
        case And(terms):
            return And(tuple(_project(term, judge) for term in terms))
        case Or(terms):
            return Or(tuple(_project(term, judge) for term in terms))
        case Not():
            return expr if _is_exact(expr, judge) else TRUE
        case _:
            return TRUE if judge(expr).support is Support.UNSUPPORTED else expr
