"""plan: what the backend runs and what is left to the evaluator.

Each leaf is *exact*, *inexact* (a superset) or *unsupported* in the backend's own word. Pushed is the
strongest condition made of exact and inexact leaves that every match fulfils; the residual is what still has
to be looked at, row by row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    Not,
    Occurs,
    Or,
    Path,
    Regex,
    leaves,
)  # fmt: skip
from docstore.query.fields import Collection
from docstore.query.implied import implied
from docstore.query.normalize import normalize
from docstore.query.paths import path_text
from docstore.query.plan_text import plan_text
from docstore.query.show import show_expr

__all__ = ["COSTLY", "Plan", "PlanTerm", "make_plan"]

COSTLY = 32
"""Predicates that are costly for a backend of which a filter is run there; more are left to the evaluator."""

Judgements: TypeAlias = Mapping[int, Judgement]
"""The backend's word on each leaf of an expression, by the leaf's ``id``: the expression keeps them alive."""
Instead: TypeAlias = Callable[[Leaf], Expr]
"""What the backend runs in the place of a leaf that it does not run."""


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
    judgements = _affordable(expr, {id(leaf): _judged(backend, collection, leaf) for leaf in every})

    def instead(leaf: Leaf) -> Expr:
        if not judgements[id(leaf)].is_costly:
            return TRUE
        found = implied(leaf)
        is_run = all(backend.judge(collection, one).support is Support.EXACT for one in leaves(found))
        return found if is_run else TRUE

    unsorted = _sort_reasons(backend, collection, order)
    if all(judgement.support is Support.EXACT for judgement in judgements.values()):
        terms = tuple(PlanTerm(leaf, Support.EXACT, judgements[id(leaf)].reason) for leaf in every)
        return Plan(
            collection.name, backend.name, expr, TRUE, terms, tuple(order),
            window_pushed=not unsorted, sort_pushed=not unsorted, sort_reasons=unsorted,
        )  # fmt: skip
    conjuncts = expr.terms if isinstance(expr, And) else (expr,)
    left = tuple(term for term in conjuncts if not _is_exact(term, judgements))
    return Plan(
        collection=collection.name,
        backend=backend.name,
        pushed=normalize(And(tuple(_project(term, judgements, instead) for term in conjuncts))),
        residual=normalize(And(left)),
        terms=tuple(term for conjunct in conjuncts for term in _terms(conjunct, judgements, instead)),
        order=tuple(order),
        window_pushed=False,
        sort_pushed=not unsorted,
        sort_reasons=unsorted,
    )


def _judged(backend: Backend, collection: Collection, leaf: Leaf) -> Judgement:
    """Return the backend's word on a leaf; one about elements of which very many patterns are asked, as dear
    there as so many beside each other, is left to the evaluator.
    """
    judgement = backend.judge(collection, leaf)
    if not isinstance(leaf, ElemMatch):
        return judgement
    asked = [inner for inner in leaves(leaf.condition) if isinstance(inner, Regex | Match)]
    if len(asked) <= COSTLY or not backend.judge(collection, replace(asked[0], path=leaf.path)).adds_up:
        return judgement
    reason = f"{len(asked)} patterns for an element, quicker to look at here"
    return Judgement(Support.UNSUPPORTED, reason, is_costly=True)


def _affordable(expr: Expr, judgements: Judgements) -> Judgements:
    """Take what is costly from the backend, if it is too much of it."""
    if len(judgements) <= COSTLY:
        return judgements
    costly = {leaf for leaf, judgement in judgements.items() if judgement.is_costly}
    left = {*_adding_up(expr, judgements), *(costly if len(costly) > COSTLY else ())}
    if not left:
        return judgements
    judgement = Judgement(
        Support.UNSUPPORTED, f"one of {len(left)} that are quicker to look at here", is_costly=True
    )
    return {**judgements, **dict.fromkeys(left, judgement)}


def _adding_up(expr: Expr, judgements: Judgements) -> Iterator[int]:
    """Yield the leaves that add up: very many that ask one path, in terms of a conjunction, in patterns of
    which one must match, or in alternatives that need them among other things.
    """
    if isinstance(expr, Not):
        yield from _adding_up(expr.term, judgements)
    if not isinstance(expr, And | Or):
        return
    counted = expr.terms if isinstance(expr, And) else [t for t in expr.terms if isinstance(t, And | Regex)]
    by_path: dict[Path, set[int]] = {}
    times: Counter[Path] = Counter()
    for term in counted:
        adding = [leaf for leaf in leaves(term) if judgements[id(leaf)].adds_up]
        paths = {id(leaf): leaf.path for leaf in adding if not isinstance(leaf, Always | Occurs)}
        times.update(set(paths.values()))
        for leaf_id, path in paths.items():
            by_path.setdefault(path, set()).add(leaf_id)
    for path, number in times.items():
        if number > COSTLY:
            yield from by_path[path]
    for term in expr.terms:
        yield from _adding_up(term, judgements)


def _sort_reasons(backend: Backend, collection: Collection, order: Sequence[SortKey]) -> tuple[str, ...]:
    """Return the keys that the backend cannot order by, and why."""
    judged = [(key, backend.sorts(collection, key)) for key in order]
    return tuple(
        f"sort by {path_text(key.path)}: {judgement.reason or 'not run by the backend'}"
        for key, judgement in judged
        if judgement.support is not Support.EXACT
    )


def _terms(conjunct: Expr, judgements: Judgements, instead: Instead) -> Iterator[PlanTerm]:
    """Yield what becomes of each leaf: what is exact by itself may stand beside what is not."""
    if _is_exact(conjunct, judgements):
        for leaf in leaves(conjunct):
            yield PlanTerm(leaf, Support.EXACT, judgements[id(leaf)].reason)
        return
    for leaf, narrows in _narrowing(conjunct, judgements, instead):
        judgement = judgements[id(leaf)]
        if judgement.support is not Support.EXACT and narrows == (judgement.support is Support.INEXACT):
            yield PlanTerm(leaf, judgement.support, judgement.reason)
        elif narrows:
            yield PlanTerm(leaf, Support.INEXACT, "exact, but checked again with what stands beside it")
        else:
            yield PlanTerm(leaf, Support.UNSUPPORTED, "of no use without what stands beside it")


def _narrowing(expr: Expr, judgements: Judgements, instead: Instead) -> Iterator[tuple[Leaf, bool]]:
    """Yield each leaf with whether it is in what :func:`_project` leaves of ``expr``."""
    match expr:
        case And(terms):
            for term in terms:
                yield from _narrowing(term, judgements, instead)
        case Or(terms):
            useless = any(normalize(_project(term, judgements, instead)) == TRUE for term in terms)
            for term in terms:
                inner = _narrowing(term, judgements, instead)
                yield from ((leaf, narrows and not useless) for leaf, narrows in inner)
        case Not(term):
            yield from ((leaf, _is_exact(term, judgements)) for leaf in leaves(term))
        case _:
            yield expr, judgements[id(expr)].support is not Support.UNSUPPORTED


def _is_exact(expr: Expr, judgements: Judgements) -> bool:
    return all(judgements[id(leaf)].support is Support.EXACT for leaf in leaves(expr))


def _project(expr: Expr, judgements: Judgements, instead: Instead) -> Expr:
    """Return the strongest superset of ``expr`` that the backend can run; of a leaf that it cannot, what is
    run instead.

    A negative is pushed only if all under it is exact: the complement of a superset is no superset.
    """
    match expr:
        case And(terms):
            return And(tuple(_project(term, judgements, instead) for term in terms))
        case Or(terms):
            return Or(tuple(_project(term, judgements, instead) for term in terms))
        case Not():
            return expr if _is_exact(expr, judgements) else TRUE
        case _:
            return instead(expr) if judgements[id(expr)].support is Support.UNSUPPORTED else expr
