"""From a normalized filter to a Plan: what the backend runs and what is left to the evaluator.

Each leaf is *exact*, *inexact* (a superset) or *unsupported* in the backend's own word. Pushed is the
strongest condition made of exact and inexact leaves that every match fulfils; the residual is what still has
to be looked at, row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeAlias

from docstore.query.explain import Plan, PlanTerm
from docstore.query.expr import (
    TRUE,
    And,
    Expr,
    Leaf,
    Not,
    Or,
    SortKey,
    Support,
    TermSupport,
    leaves,
)
from docstore.query.fields import Collection
from docstore.query.optimizer import normalize
from docstore.query.paths import path_text

__all__ = [
    "make_plan",
]


class Planned(Protocol):
    """What the planner asks of a backend."""

    @property
    def name(self) -> str:
        """A short name for plans."""

    def support(self, collection: Collection, leaf: Leaf) -> TermSupport:
        """Say how far the backend runs a leaf."""

    def sorts(self, collection: Collection, key: SortKey) -> TermSupport:
        """Say whether the backend orders by a key."""


LeafSupport: TypeAlias = Callable[[Leaf], TermSupport]
"""The backend's word on a leaf."""


def make_plan(backend: Planned, collection: Collection, expr: Expr, order: Sequence[SortKey]) -> Plan:
    """Split a normalized ``expr`` into what ``backend`` runs and what is left."""
    every = tuple(leaves(expr))
    supports = [backend.support(collection, leaf) for leaf in every]
    unsorted = _sort_reasons(backend, collection, order)
    # The short way, for nearly every query: all is pushed as it stands.
    if all(answer.support is Support.EXACT for answer in supports):
        terms = tuple(
            PlanTerm(leaf, Support.EXACT, answer.reason)
            for leaf, answer in zip(every, supports, strict=True)
        )
        return Plan(
            collection.name, backend.name, expr, TRUE, terms, tuple(order),
            window_pushed=not unsorted, sort_pushed=not unsorted, sort_reasons=unsorted,
        )  # fmt: skip

    def support_of(leaf: Leaf) -> TermSupport:
        return backend.support(collection, leaf)

    conjuncts = tuple(
        part
        for term in (expr.terms if isinstance(expr, And) else (expr,))
        for part in _split_negation(term, support_of)
    )
    left = tuple(term for term in conjuncts if not _is_exact(term, support_of))
    return Plan(
        collection=collection.name,
        backend=backend.name,
        pushed=normalize(And(tuple(_project(term, support_of) for term in conjuncts))),
        residual=normalize(And(left)),
        terms=tuple(term for conjunct in conjuncts for term in _terms(conjunct, support_of)),
        order=tuple(order),
        window_pushed=False,
        sort_pushed=not unsorted,
        sort_reasons=unsorted,
    )


def _split_negation(term: Expr, support_of: LeafSupport) -> tuple[Expr, ...]:
    """Return neither-this-nor-that as two conjuncts where the backend runs one of the two exactly."""
    if not (isinstance(term, Not) and isinstance(term.term, Or)):
        return (term,)
    exact = tuple(one for one in term.term.terms if _is_exact(one, support_of))
    rest = tuple(one for one in term.term.terms if not _is_exact(one, support_of))
    return (Not(Or(exact)), Not(Or(rest))) if exact and rest else (term,)


def _sort_reasons(backend: Planned, collection: Collection, order: Sequence[SortKey]) -> tuple[str, ...]:
    """Return the keys that the backend cannot order by, and why."""
    supports = [(key, backend.sorts(collection, key)) for key in order]
    return tuple(
        f"sort by {path_text(key.path)}: {answer.reason or 'not run by the backend'}"
        for key, answer in supports
        if answer.support is not Support.EXACT
    )


def _terms(conjunct: Expr, support_of: LeafSupport) -> Iterator[PlanTerm]:
    """Yield how each leaf is run. An exact leaf may still need a recheck because of its siblings."""
    if _is_exact(conjunct, support_of):
        for leaf in leaves(conjunct):
            yield PlanTerm(leaf, Support.EXACT, support_of(leaf).reason)
        return
    for leaf, narrows in _narrowing(conjunct, support_of):
        answer = support_of(leaf)
        if answer.support is not Support.EXACT and narrows == (answer.support is Support.INEXACT):
            yield PlanTerm(leaf, answer.support, answer.reason)
        elif narrows:
            yield PlanTerm(leaf, Support.INEXACT, "exact, but checked again with what stands beside it")
        else:
            yield PlanTerm(leaf, Support.UNSUPPORTED, "of no use without what stands beside it")


def _narrowing(expr: Expr, support_of: LeafSupport) -> Iterator[tuple[Leaf, bool]]:
    """Yield each leaf with whether it is in what :func:`_project` leaves of ``expr``."""
    match expr:
        case And(terms):
            for term in terms:
                yield from _narrowing(term, support_of)
        case Or(terms):
            useless = any(normalize(_project(term, support_of)) == TRUE for term in terms)
            for term in terms:
                inner = _narrowing(term, support_of)
                yield from ((leaf, narrows and not useless) for leaf, narrows in inner)
        case Not(term):
            yield from ((leaf, _is_exact(term, support_of)) for leaf in leaves(term))
        case _:
            yield expr, support_of(expr).support is not Support.UNSUPPORTED


def _is_exact(expr: Expr, support_of: LeafSupport) -> bool:
    return all(support_of(leaf).support is Support.EXACT for leaf in leaves(expr))


def _project(expr: Expr, support_of: LeafSupport) -> Expr:
    """Return the strongest superset of ``expr`` that the backend can run.

    A negative is pushed only if all under it is exact: the complement of a superset is no superset.
    """
    match expr:
        case And(terms):
            return And(tuple(_project(term, support_of) for term in terms))
        case Or(terms):
            return Or(tuple(_project(term, support_of) for term in terms))
        case Not():
            return expr if _is_exact(expr, support_of) else TRUE
        case _:
            return TRUE if support_of(expr).support is Support.UNSUPPORTED else expr
