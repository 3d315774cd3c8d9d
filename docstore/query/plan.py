"""plan: what the backend runs and what is left to the evaluator.

Each leaf is *exact*, *inexact* (a superset) or *unsupported* in the backend's own word. Pushed is the
strongest condition made of exact and inexact leaves that every match fulfils; the residual is what still has
to be looked at, row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from docstore.backend import Backend, Judgement, SortKey, Support
from docstore.query.expr import (
    TRUE,
    Always,
    And,
    ElemMatch,
    Expr,
    Leaf,
    Match,
    Mod,
    Not,
    Occurs,
    Or,
    Regex,
    leaves,
)
from docstore.query.fields import Collection
from docstore.query.normalize import normalize
from docstore.query.paths import path_text
from docstore.query.plan_text import plan_text
from docstore.query.show import show_expr

__all__ = ["Plan", "PlanTerm", "make_plan"]

Judge: TypeAlias = Callable[[Leaf], Judgement]
"""The backend's word on a leaf."""


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
    is_careful: bool = field(default=False, repr=False, compare=False)
    """Whether each row is looked at before it counts, as some cannot be read."""

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

    def unindexed(self) -> tuple[str, ...]:
        """Return the predicates that no index serves, so that rows are looked at one by one for them."""
        return tuple(
            show_expr(term.expr)
            for term in self.terms
            if term.support is Support.UNSUPPORTED or not _is_indexable(term.expr)
        )

    def __str__(self) -> str:
        """Return the plan as lines for a terminal, as wide as the terminal is (80 to 120 columns)."""
        return plan_text(self)


def _is_indexable(leaf: Leaf) -> bool:
    """Return whether the indexes of any backend tell which records can match a leaf, or how few."""
    match leaf:
        case Regex() | Mod():
            return False
        case Match(path, kind):
            return kind == "starts_with" or path == ("filename",)
        case ElemMatch(_, condition):
            return any(map(_is_indexable, leaves(condition)))
        case Occurs(_, words):
            return bool(words)
        case _:
            return isinstance(leaf, Always) or leaf.path[:1] != ("content",)


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
