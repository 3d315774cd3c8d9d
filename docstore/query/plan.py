"""plan: what the backend runs and what is left to the evaluator.

Each leaf is *exact*, *inexact* (a superset) or *unsupported* in the backend's own word. Pushed is the
strongest condition made of exact and inexact leaves that every match fulfils; the residual is what still has
to be looked at, row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from docstore.backend import Backend, Judgement, SortKey, Support
from docstore.query.expr import TRUE, And, Expr, Leaf, Not, Or, leaves
from docstore.query.fields import Collection
from docstore.query.normalize import normalize
from docstore.query.paths import path_text
from docstore.query.plan_text import plan_text
from docstore.query.show import show_expr

__all__ = ["Plan", "PlanTerm", "make_plan"]

Judgements: TypeAlias = Mapping[int, Judgement]
"""The backend's word on each leaf of an expression, by the leaf's ``id``: the expression keeps them alive."""


@dataclass(frozen=True, slots=True)
class PlanTerm:
    """One predicate of the filter, and how it is run.

    Attributes:
        expr: the predicate.
        support: ``exact``, ``inexact`` (run by the backend, then rechecked) or ``unsupported`` (residual: all
            of it is left to the evaluator). A predicate that the backend could run by itself is less than
            exact where it stands under an ``$or`` or ``$nor`` with one that the backend cannot.
        reason: why, where it is not exact.
    """

    expr: Leaf
    support: Support
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a query is run; ``str(plan)`` is made to be read in a terminal.

    Attributes:
        collection: ``documents`` or ``extractions``.
        backend: the backend's name.
        pushed: the condition that the backend runs.
        residual: the condition left to the evaluator; TRUE if there is none.
        terms: every predicate and how it is run.
        order: the sort keys.
        window_pushed: whether limit, offset and count are the backend's, which they are where the residual is
            TRUE and the order is the backend's.
        sort_pushed: whether the backend orders the rows.
        sort_reasons: the keys that it cannot order by, and why.
        statement: what the backend would run, or ``None`` if it cannot show it.
        parameters: the statement's bound values.
        database_plan: the database's own plan, or ``None``.
        notes: remarks, such as an index that would help.
    """

    collection: str
    backend: str
    pushed: Expr
    residual: Expr
    terms: tuple[PlanTerm, ...] = ()
    order: tuple[SortKey, ...] = ()
    window_pushed: bool = True
    sort_pushed: bool = True
    sort_reasons: tuple[str, ...] = ()
    statement: str | None = None
    parameters: tuple[Any, ...] = ()
    database_plan: str | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def is_pushed(self) -> bool:
        """Whether the backend runs all of it."""
        return self.residual == TRUE

    def reasons(self) -> tuple[str, ...]:
        """Return the predicates that the backend does not run exactly, and why."""
        return tuple(
            f"{show_expr(term.expr)}: {term.reason or 'not run by the backend'}"
            for term in self.terms
            if term.support is not Support.EXACT
        )

    def __str__(self) -> str:
        """Return the plan as lines for a terminal, as wide as the terminal is (80 to 120 columns)."""
        return plan_text(self)


def make_plan(backend: Backend, collection: Collection, expr: Expr, order: Sequence[SortKey]) -> Plan:
    """Split a normalized ``expr`` into what ``backend`` runs and what is left."""
    every = tuple(leaves(expr))
    judgements = {id(leaf): backend.judge(collection, leaf) for leaf in every}
    unsorted = _sort_reasons(backend, collection, order)
    if all(judgement.support is Support.EXACT for judgement in judgements.values()):
        terms = tuple(PlanTerm(leaf, Support.EXACT, judgements[id(leaf)].reason) for leaf in every)
        return Plan(
            collection.name, backend.name, expr, TRUE, terms, tuple(order),
            window_pushed=not unsorted, sort_pushed=not unsorted, sort_reasons=unsorted,
        )  # fmt: skip
    conjuncts = tuple(
        part
        for term in (expr.terms if isinstance(expr, And) else (expr,))
        for part in _split_negation(term, judgements)
    )
    left = tuple(term for term in conjuncts if not _is_exact(term, judgements))
    return Plan(
        collection=collection.name,
        backend=backend.name,
        pushed=normalize(And(tuple(_project(term, judgements) for term in conjuncts))),
        residual=normalize(And(left)),
        terms=tuple(term for conjunct in conjuncts for term in _terms(conjunct, judgements)),
        order=tuple(order),
        window_pushed=False,
        sort_pushed=not unsorted,
        sort_reasons=unsorted,
    )


def _split_negation(term: Expr, judgements: Judgements) -> tuple[Expr, ...]:
    """Return neither-this-nor-that as two conjuncts where the backend runs one of the two exactly."""
    if not (isinstance(term, Not) and isinstance(term.term, Or)):
        return (term,)
    exact = tuple(one for one in term.term.terms if _is_exact(one, judgements))
    rest = tuple(one for one in term.term.terms if not _is_exact(one, judgements))
    return (Not(Or(exact)), Not(Or(rest))) if exact and rest else (term,)


def _sort_reasons(backend: Backend, collection: Collection, order: Sequence[SortKey]) -> tuple[str, ...]:
    """Return the keys that the backend cannot order by, and why."""
    judged = [(key, backend.sorts(collection, key)) for key in order]
    return tuple(
        f"sort by {path_text(key.path)}: {judgement.reason or 'not run by the backend'}"
        for key, judgement in judged
        if judgement.support is not Support.EXACT
    )


def _terms(conjunct: Expr, judgements: Judgements) -> Iterator[PlanTerm]:
    """Yield what becomes of each leaf: what is exact by itself may stand beside what is not."""
    if _is_exact(conjunct, judgements):
        for leaf in leaves(conjunct):
            yield PlanTerm(leaf, Support.EXACT, judgements[id(leaf)].reason)
        return
    for leaf, narrows in _narrowing(conjunct, judgements):
        judgement = judgements[id(leaf)]
        if judgement.support is not Support.EXACT and narrows == (judgement.support is Support.INEXACT):
            yield PlanTerm(leaf, judgement.support, judgement.reason)
        elif narrows:
            yield PlanTerm(leaf, Support.INEXACT, "exact, but checked again with what stands beside it")
        else:
            yield PlanTerm(leaf, Support.UNSUPPORTED, "of no use without what stands beside it")


def _narrowing(expr: Expr, judgements: Judgements) -> Iterator[tuple[Leaf, bool]]:
    """Yield each leaf with whether it is in what :func:`_project` leaves of ``expr``."""
    match expr:
        case And(terms):
            for term in terms:
                yield from _narrowing(term, judgements)
        case Or(terms):
            useless = any(normalize(_project(term, judgements)) == TRUE for term in terms)
            for term in terms:
                inner = _narrowing(term, judgements)
                yield from ((leaf, narrows and not useless) for leaf, narrows in inner)
        case Not(term):
            yield from ((leaf, _is_exact(term, judgements)) for leaf in leaves(term))
        case _:
            yield expr, judgements[id(expr)].support is not Support.UNSUPPORTED


def _is_exact(expr: Expr, judgements: Judgements) -> bool:
    return all(judgements[id(leaf)].support is Support.EXACT for leaf in leaves(expr))


def _project(expr: Expr, judgements: Judgements) -> Expr:
    """Return the strongest superset of ``expr`` that the backend can run.

    A negative is pushed only if all under it is exact: the complement of a superset is no superset.
    """
    match expr:
        case And(terms):
            return And(tuple(_project(term, judgements) for term in terms))
        case Or(terms):
            return Or(tuple(_project(term, judgements) for term in terms))
        case Not():
            return expr if _is_exact(expr, judgements) else TRUE
        case _:
            return TRUE if judgements[id(expr)].support is Support.UNSUPPORTED else expr
