"""Listings of one shape: planned once, and bound to the values of each filter that has it.

Beside :mod:`docstore.asking`, which goes the ordinary way for whatever is refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Any, TypeAlias

from docstore.backend import Backend, Query, Scope, Support
from docstore.listing import Listing
from docstore.query import cursor as cursors
from docstore.query.bind import Binder, Pieces, Shape, Shaped, binder_of, pieces, sample, scalar_json, stored
from docstore.query.expr import Expr, leaves
from docstore.query.plan import Plan, PlanTerm
from docstore.query.shape import Apart, put_back
from docstore.query.wire import expr_to_json

__all__ = ["Asked", "ShapedListings", "shaped_listings"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A listing made the ordinary way.

    Attributes:
        listing: the listing.
        parsed: its filter, normalized, as its cursors are bound to it.
        search: as it was given.
        latest_only: whether only the newest versions are listed.
    """

    listing: Listing
    parsed: Expr
    search: str | None
    latest_only: bool


Line: TypeAlias = Callable[[Any], Asked]
"""The ordinary way: makes a listing of a filter."""


@dataclass(frozen=True, slots=True)
class ShapedListings:
    """Makes listings of one shape.

    Attributes:
        binder: makes their conditions.
        text: the canonical text of their filters, with places for the values.
        asked: the one whose values are the samples.
    """

    binder: Binder
    text: Pieces
    asked: Asked

    def listing(self, given: Sequence[Any], scope: Scope, backend: Backend) -> Listing | None:
        """Return the listing for these values; ``None`` where the ordinary way has to look."""
        values = self.binder.stored(given)
        if values is None:
            return None
        asked, bound = self.asked, self.binder.bound(values)
        query, before = asked.listing.query, asked.listing.plan
        plan = _plan(bound, before, query, backend)
        if plan is None:
            return None
        text = self.text.filled([scalar_json(value) for value in values])
        binding = cursors.binding(query.collection, text, asked.search, query.order, asked.latest_only, scope)
        planned = Query(
            query.collection, scope, bound.where, query.order, include=query.include, shaped=bound
        )
        return Listing(planned, plan, asked.listing.include, binding, asked.listing.json_fields)


def _plan(bound: Shaped, before: Plan, query: Query, backend: Backend) -> Plan | None:
    """Return the plan: that of the samples, if the backend runs the leaves with these values exactly, too."""
    terms = []
    for leaf, term in zip(leaves(bound.where), before.terms, strict=True):
        if leaf is not term.expr:
            judgement = backend.judge(query.collection, leaf)
            if judgement.support is not Support.EXACT:
                return None
            term = PlanTerm(leaf, Support.EXACT, judgement.reason)
        terms.append(term)
    return Plan(
        before.collection, before.backend, bound.where, before.residual, tuple(terms), before.order,
        window_pushed=before.window_pushed, sort_pushed=before.sort_pushed, sort_reasons=before.sort_reasons,
    )  # fmt: skip


def shaped_listings(
    taken: Apart, line: Line, usual: Asked, backend: Backend, default_timezone: tzinfo | None
) -> ShapedListings | None:
    """Return what makes listings of the shape of a filter.

    Args:
        taken: the filter, taken apart.
        line: the ordinary way.
        usual: what that made of the filter.
        backend: runs it.
        default_timezone: what naive times are in.

    Returns:
        ``None`` where a filter of this shape has to go the ordinary way.
    """
    plan = usual.listing.plan
    if not plan.is_pushed or len(plan.terms) > 32:
        return None
    marks: list[complex] = []
    given: list[Any] = []

    def sampled(mark: complex) -> Any:
        marks.append(mark)
        given.append(sample(mark))
        return given[-1]

    asked = line(put_back(taken.frame, sampled))
    samples = tuple(stored(mark, value, default_timezone) for mark, value in zip(marks, given, strict=True))
    shape = Shape(asked.listing.query.where, samples)
    binder = binder_of(shape, marks, (asked.parsed,), default_timezone)
    if binder is None or not asked.listing.plan.is_pushed:
        return None
    text = pieces(expr_to_json(asked.parsed), [scalar_json(value) for value in samples])
    made = ShapedListings(binder, text, asked)
    again = made.listing(taken.values, usual.listing.query.scope, backend)
    return made if again is None or _same(again, usual.listing) else None


def _same(one: Listing, other: Listing) -> bool:
    """Return whether two listings ask the same; expressions are compared by their texts."""
    return (
        one.bound == other.bound
        and expr_to_json(one.query.where) == expr_to_json(other.query.where)
        and replace(one.query, where=other.query.where) == other.query
    )
