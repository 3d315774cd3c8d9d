"""Listings: one planned question, the pages cut from it, and the positions that cursors stand at.

Between :mod:`docstore.records`, which checks what callers ask, and :mod:`docstore.query.run`, which fetches.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

from docstore.backend import Query, Reader, Row, SortValue
from docstore.pages import Window, stepped
from docstore.query import run
from docstore.query.cursor import Way
from docstore.query.decode import decode
from docstore.query.expr import Occurs
from docstore.query.fields import Kind
from docstore.query.order import position_of, reverse_order
from docstore.query.plan import Plan

__all__ = [
    "Cut", "Listing", "Position", "after", "behind", "careful", "cut_at", "cut_from", "listing_of",
    "total_of",
]  # fmt: skip

Position: TypeAlias = tuple[SortValue, ...]
_WINDOWS = 8


@dataclass(frozen=True, slots=True)
class Listing:
    """One question.

    Attributes:
        query: what the backend is asked, its window aside.
        plan: what is left to the evaluator.
        include: the heavy fields that the caller asked for; the query may read more for the residual.
        bound: what its cursors are bound to.
        json_fields: the JSON fields that its order reads.
        terms: what its search asks for, where snippets show it.
        windows: its query with the windows last asked for.
    """

    query: Query
    plan: Plan
    include: frozenset[str]
    bound: bytes
    json_fields: tuple[str, ...] = ()
    terms: tuple[Occurs, ...] = ()
    windows: dict[tuple[int, int], Query] = field(default_factory=dict)

    def at(self, offset: int, limit: int) -> Query:
        """Return the query for so many rows behind an offset; the very same one, where it is asked again."""
        found = self.windows.get((offset, limit))
        if found is None:
            if len(self.windows) >= _WINDOWS:
                self.windows.clear()
            whole = self.query
            found = self.windows[offset, limit] = Query(
                whole.collection, whole.scope, whole.where, whole.order, None, offset, limit, whole.include,
                whole.lock, whole.prepared,
            )  # fmt: skip
        return found


def listing_of(
    query: Query, plan: Plan, include: frozenset[str], bound: bytes, terms: tuple[Occurs, ...] = ()
) -> Listing:
    """Return the listing of one planned query."""
    fields = query.collection.fields
    names = {key.path[0]: None for key in query.order if fields[key.path[0]].kind is Kind.JSON}
    return Listing(query, plan, include, bound, tuple(names), terms)


def careful(listing: Listing) -> Listing:
    """Return the listing that leaves out, with a warning, rows that cannot be read."""
    return replace(listing, plan=run.careful(listing.plan), windows={})


@dataclass(frozen=True, slots=True)
class Cut:
    """The rows of one page, and the positions before and behind it, where there is a way on."""

    rows: list[Row]
    prev: Position | None = None
    next: Position | None = None


def cut_at(reader: Reader, listing: Listing, window: Window) -> Cut:
    """Return the page behind the window's offset; one row beyond its limit tells whether there are more."""
    if not window.limit:
        return Cut([])
    offset = window.offset or 0
    found = run.rows(reader, listing.plan, listing.at(offset, window.limit + 1))
    shown = found[: window.limit]
    return Cut(
        shown,
        prev=_before(listing, shown[0]) if shown and offset else None,
        next=behind(listing, shown[-1]) if len(found) > window.limit else None,
    )


def cut_from(reader: Reader, listing: Listing, position: Position, way: Way, limit: int) -> Cut:
    """Return the page that begins (or, backwards, ends) at a position; an empty one has the way back only."""
    if not limit:
        return Cut([])
    found = run.rows(reader, listing.plan, after(listing.at(0, limit + 1), position, way))
    shown, more = found[:limit], len(found) > limit
    if way == "next":
        if not shown:
            return Cut([], prev=position)
        return Cut(shown, _before(listing, shown[0]), behind(listing, shown[-1]) if more else None)
    if not shown:
        return Cut([], next=position)
    shown.reverse()
    return Cut(shown, _before(listing, shown[0]) if more else None, _onwards(reader, listing, shown[-1]))


def after(query: Query, position: Position, way: Way) -> Query:
    """Return the query for the rows behind a position, or backwards for those before it."""
    if way == "next":  # every page but the first: replace() takes four times as long
        return Query(
            query.collection, query.scope, query.where, query.order, position, query.offset, query.limit,
            query.include, query.lock, query.prepared,
        )  # fmt: skip
    return replace(
        query, order=reverse_order(query.order), after=stepped(position, query.order, forwards=True)
    )


def behind(listing: Listing, row: Row) -> Position:
    """Return the position just behind a row."""
    if listing.json_fields:
        row = decode(listing.query.collection, row, listing.json_fields)
    return position_of(row, listing.query.order)


def total_of(reader: Reader, listing: Listing, counts: bool | int) -> tuple[int | None, bool]:
    """Return how many match, counted up to ``counts`` if that is a number, and whether that is all."""
    if counts is False:
        return None, True
    if counts is True:
        return run.count(reader, listing.plan, listing.query), True
    found = run.count(reader, listing.plan, listing.query, counts + 1)
    return min(found, counts), found <= counts


def _before(listing: Listing, row: Row) -> Position:
    return stepped(behind(listing, row), listing.query.order, forwards=False)


def _onwards(reader: Reader, listing: Listing, last: Row) -> Position | None:
    """Return the way forwards from a page that was reached backwards, if anything is there."""
    position = behind(listing, last)
    read = frozenset() if listing.plan.is_pushed else listing.query.include
    following = replace(listing.query, after=position, limit=1, include=read)
    return position if run.rows(reader, listing.plan, following) else None
