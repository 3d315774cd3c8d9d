"""plan: what the backend runs and what is left to the evaluator.

Each leaf is *exact*, *inexact* (a superset) or *unsupported* in the backend's own word. Pushed is the
strongest condition made of exact and inexact leaves that every match fulfils; the residual is what still has
to be looked at, row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from docstore.backend import Backend, Judgement, SortKey, Support
from docstore.query.expr import TRUE, And, Expr, Leaf, Not, Or, leaves
from docstore.query.fields import Collection
from docstore.query.normalize import normalize

__all__ = ["Plan", "PlanTerm", "make_plan"]


@dataclass(frozen=True, slots=True)
class PlanTerm:
    """One predicate of the filter, and how it is run.

    Attributes:
        expr: the predicate.
        support: ``exact``, ``inexact`` (run by the backend, then rechecked) or ``unsupported`` (all of it
            residual).
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
    statement: str | None = None
    parameters: tuple[Any, ...] = ()
    database_plan: str | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def is_pushed(self) -> bool:
        """Whether the backend runs all of it."""
        return self.residual == TRUE

    def __str__(self) -> str:
        """Return the plan as lines for a terminal."""
        from docstore.query.show import show_plan

        return show_plan(self)


def make_plan(backend: Backend, collection: Collection, expr: Expr, order: Sequence[SortKey]) -> Plan:
    """Split a normalized ``expr`` into what ``backend`` runs and what is left."""
    judgements = {leaf_id: backend.judge(collection, leaf) for leaf_id, leaf in _by_id(expr).items()}
    if all(judgement.support is Support.EXACT for judgement in judgements.values()):
        pushed, residual = expr, TRUE
    else:
        conjuncts = expr.terms if isinstance(expr, And) else (expr,)
        pushed = normalize(And(tuple(_project(term, judgements) for term in conjuncts)))
        residual = normalize(And(tuple(term for term in conjuncts if not _is_exact(term, judgements))))
    sort_pushed = all(backend.sorts(collection, key).support is Support.EXACT for key in order)
    return Plan(
        collection=collection.name,
        backend=backend.name,
        pushed=pushed,
        residual=residual,
        terms=tuple(_terms(expr, judgements)),
        order=tuple(order),
        window_pushed=residual == TRUE and sort_pushed,
        sort_pushed=sort_pushed,
    )


def _by_id(expr: Expr) -> dict[int, Leaf]:
    return {id(leaf): leaf for leaf in leaves(expr)}


def _terms(expr: Expr, judgements: dict[int, Judgement]) -> list[PlanTerm]:
    return [
        PlanTerm(leaf, judgements[id(leaf)].support, judgements[id(leaf)].reason) for leaf in leaves(expr)
    ]


def _is_exact(expr: Expr, judgements: dict[int, Judgement]) -> bool:
    return all(judgements[id(leaf)].support is Support.EXACT for leaf in leaves(expr))


def _project(expr: Expr, judgements: dict[int, Judgement]) -> Expr:
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
