"""Page windows: the arguments of a page, checked, and the rows of a page cut out of a listing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from docstore.backend import Query, Reader, Row, SortKey, SortValue
from docstore.context.collection_view import Listing
from docstore.errors import InvalidPage, InvalidSort
from docstore.query import executor
from docstore.query.cursor import Way
from docstore.query.fields import decode
from docstore.query.operands import shown
from docstore.query.sorting import Sort, position_of, reverse_order
from docstore.query.values import by_value

__all__ = [
    "GIVEN",
    "NEWEST",
    "PageRows",
    "PageWindow",
    "Position",
    "after",
    "behind",
    "careful",
    "check_at_most",
    "check_batch",
    "check_total",
    "check_window",
    "cut_at",
    "cut_from",
    "is_ranked",
    "stepped",
    "stored_order",
    "total_of",
]

GIVEN = "given"
NEWEST = "-created_at"
"""The order in which records are taken for ranking."""
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class PageWindow:
    """Which part of a listing is asked for.

    Attributes:
        limit: records on the page; 0 is none.
        offset: records to skip; ``None`` with a cursor.
        page: the page number asked for, or ``None``.
        cursor: the cursor's text, or ``None``.
        direction: which way to go from it, where that overrides the cursor's own.
    """

    limit: int
    offset: int | None
    page: int | None
    cursor: str | None
    direction: Way | None


def check_window(*, limit: Any, offset: Any, page: Any, cursor: Any, direction: Any, most: int) -> PageWindow:
    """Return the window asked for.

    Raises:
        InvalidPage: a value of the wrong type or out of range, or two ways of saying where at once.
    """
    plain = page is None and cursor is None and direction is None
    if plain and type(limit) is type(offset) is int and 0 <= limit <= most and 0 <= offset <= _INT64_MAX:
        return PageWindow(limit, offset, None, None, None)
    _whole("limit", limit, 0, most)
    _whole("offset", offset, 0, 2**63 - 1)
    if page is not None:
        _whole("page", page, 1, 2**63 - 1)
        if max(limit, 1) * (page - 1) >= 2**63:
            raise InvalidPage(f"page={page}: out of range", argument="page")
    if cursor is not None and not isinstance(cursor, str):
        raise InvalidPage(f"cursor: expected text, not {type(cursor).__name__}", argument="cursor")
    if direction not in (None, "next", "prev"):
        raise InvalidPage(f"direction={shown(direction)}: expected 'next' or 'prev'", argument="direction")
    if direction is not None and cursor is None:
        raise InvalidPage("direction goes with a cursor", argument="direction")
    if sum((bool(offset), page is not None, cursor is not None)) > 1:
        raise InvalidPage(
            "give at most one of offset, page and cursor", argument="offset" if offset else "page"
        )
    if cursor is not None:
        return PageWindow(limit, None, None, cursor, direction)
    return PageWindow(limit, offset if page is None else limit * (page - 1), page, None, None)


def _whole(name: str, value: Any, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidPage(
            f"{name}={shown(value)}: expected a whole number from {least} to {most}", argument=name
        )


def check_batch(size: Any, most: int) -> int:
    """Return how many records are read at a time, 1 to ``most``.

    Raises:
        InvalidPage: another number, or none.
    """
    _whole("batch_size", size, 1, most)
    return size  # type: ignore[no-any-return]


def check_total(total: Any) -> int | bool:
    """Return ``total`` checked: a bool, or a cap of at least 0."""
    if not isinstance(total, bool):
        _whole("total", total, 0, 2**62)
    return total  # type: ignore[no-any-return]


def check_at_most(at_most: Any, name: str = "at_most") -> int | None:
    """Return the cap of a count, or ``None``."""
    if at_most is not None:
        _whole(name, at_most, 0, 2**62)
    return at_most  # type: ignore[no-any-return]


def stepped(
    position: tuple[SortValue, ...], order: tuple[SortKey, ...], *, forwards: bool
) -> tuple[SortValue, ...]:
    """Return the position one step of ``number`` further (or back) in ``order``.

    Numbers are whole, so that a position moved by one is on the other side of its own row and of no other:
    this turns "behind the row" into "from the row on". At the ends of int64, where only a forged cursor
    stands, there is no further step.
    """
    step = 1 if forwards != order[-1].descending else -1
    return (*position[:-1], min(max(position[-1] + step, _INT64_MIN), _INT64_MAX))


Position: TypeAlias = tuple[SortValue, ...]


def careful(listing: Listing) -> Listing:
    """Return the listing that leaves out, with a warning, rows that cannot be read."""
    return replace(listing, plan=executor.careful(listing.plan), windows={})


@dataclass(frozen=True, slots=True)
class PageRows:
    """The rows of one page, and the positions before and behind it, where there is a way on."""

    rows: list[Row]
    prev: Position | None = None
    next: Position | None = None


def cut_at(reader: Reader, listing: Listing, window: PageWindow) -> PageRows:
    """Return the page behind the window's offset; one row beyond its limit tells whether there are more."""
    if not window.limit:
        return PageRows([])
    offset = window.offset or 0
    found = executor.rows(reader, listing.plan, listing.at(offset, window.limit + 1))
    shown = found[: window.limit]
    return PageRows(
        shown,
        prev=_before(listing, shown[0]) if shown and offset else None,
        next=behind(listing, shown[-1]) if len(found) > window.limit else None,
    )


def cut_from(reader: Reader, listing: Listing, position: Position, way: Way, limit: int) -> PageRows:
    """Return the page that begins (or, backwards, ends) at a position; an empty one has the way back only."""
    if not limit:
        return PageRows([])
    found = executor.rows(reader, listing.plan, after(listing.at(0, limit + 1), position, way))
    shown, more = found[:limit], len(found) > limit
    if way == "next":
        if not shown:
            return PageRows([], prev=position)
        return PageRows(shown, _before(listing, shown[0]), behind(listing, shown[-1]) if more else None)
    if not shown:
        return PageRows([], next=position)
    shown.reverse()
    return PageRows(shown, _before(listing, shown[0]) if more else None, _onwards(reader, listing, shown[-1]))


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
        return executor.count(reader, listing.plan, listing.query), True
    found = executor.count(reader, listing.plan, listing.query, counts + 1)
    return min(found, counts), found <= counts


def _before(listing: Listing, row: Row) -> Position:
    return stepped(behind(listing, row), listing.query.order, forwards=False)


def _onwards(reader: Reader, listing: Listing, last: Row) -> Position | None:
    """Return the way forwards from a page that was reached backwards, if anything is there."""
    position = behind(listing, last)
    read = frozenset() if listing.plan.is_pushed else listing.query.include
    following = replace(listing.query, after=position, limit=1, include=read)
    return position if executor.rows(reader, listing.plan, following) else None


def is_ranked(sort: Any, search: Any) -> bool:
    """Return whether a sort asks for relevance.

    Raises:
        InvalidSort: it does, without a search, ascending, or together with other keys.
    """
    keys = sort if isinstance(sort, (list, tuple)) else (sort,)
    names = [_spelled(key) for key in keys]
    if not any(name in ("score", "-score") for name in names if isinstance(name, str)):
        return False
    if names != ["-score"]:
        raise InvalidSort(
            f"sort={sort!r}: relevance is sorted by descending, and alone; write sort='-score'", field="score"
        )
    if not isinstance(search, str) or not search.strip():
        raise InvalidSort("sort='-score' orders by how well a search is met; give search= too", field="score")
    return True


def stored_order(sort: Sort, search: str | None) -> Sort:
    """Return the order that the backend is asked for."""
    if is_ranked(sort, search):
        return NEWEST
    return "number" if sort == GIVEN else sort


def _spelled(key: Any) -> Any:
    if isinstance(key, (list, tuple)) and len(key) == 2:
        return f"-{by_value(key[0])}" if key[1] == -1 else by_value(key[0])
    return by_value(key)
