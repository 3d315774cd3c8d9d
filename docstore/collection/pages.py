"""Pages: from a planned listing to pages and walks, in the backend's order or one of our own.

The arguments of a page are checked, and its rows cut out of a listing. ``iterate`` returns an iterator that
has a cursor for its position.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from time import perf_counter
from typing import Any, Generic, TypeVar

from docstore.backend import (
    Query,
    Reader,
    Row,
    SortKey,
    SortValue,
)
from docstore.collection.orders import (
    GIVEN,
    GivenOrder,
    PageRows,
    Position,
    RankedOrder,
    given_bound,
    given_ids,
    ranked_bound,
)
from docstore.concurrency import Timeout
from docstore.context.collection_view import (
    SNIPPET,
    CollectionView,
    Filter,
    Listing,
)
from docstore.errors import InvalidPage, InvalidSort, UnreadableRecord
from docstore.models import Document, Page, page_from, record_from, records_from
from docstore.query import cursor as cursors
from docstore.query import executor
from docstore.query.cursor import Way
from docstore.query.executor import leave_out
from docstore.query.expr import Occurs
from docstore.query.fields import decode, fault_of
from docstore.query.filter_errors import shown
from docstore.query.search import search_terms, snippet
from docstore.query.sorting import Sort, position_of, reverse_order
from docstore.query.values import by_value

__all__ = [
    "NEWEST",
    "Iteration",
    "PageWindow",
    "Pages",
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

# The order in which records are taken for ranking.
NEWEST = "-created_at"
# `number` is a signed 64-bit integer on every engine.
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
    # The short way, for nearly every call.
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


def careful(listing: Listing) -> Listing:
    """Return the listing that leaves out, with a warning, rows that cannot be read."""
    return replace(listing, plan=executor.careful(listing.plan), windows={})


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
    # Backwards the rows came in reverse order.
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
    # Somebody may have removed the rows that were behind; only their existence is asked for.
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
            f"sort={shown(sort)}: relevance is sorted by descending, and alone; write sort='-score'",
            field="score",
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
    if type(key) is str:
        return key
    if isinstance(key, (list, tuple)) and len(key) == 2:
        return f"-{by_value(key[0])}" if key[1] == -1 else by_value(key[0])
    return by_value(key)


T = TypeVar("T")
# A walk whose rows are dear doubles its batches, up to so many times the size that was asked.
_AHEAD = 16
# Seconds of a batch, and of a row in it, from which reading more at once pays.
_LONG, _DEAR = 0.05, 0.0002
# Characters that a batch may grow to.
_LARGE = 8_000_000


class Iteration(Iterator[T], Generic[T]):
    """Records one after another, read a batch at a time; no transaction is open between batches.

    Args:
        batch: returns the rows behind a position (``None``: from the beginning), at most so many; the last
            of them can be read.
        size: rows in a batch; more are read ahead where finding the place took longer than reading them.
        made: makes the record of a row; of one that cannot be read it raises UnreadableRecord.
        position: returns the position behind a row.
        text: writes a position as a cursor.
        start: where to begin; ``None`` is the beginning.
    """

    def __init__(
        self,
        batch: Callable[[Position | None, int], list[Row]],
        size: int,
        made: Callable[[Row], T],
        *,
        position: Callable[[Row], Position],
        text: Callable[[Position], str],
        start: Position | None = None,
    ) -> None:
        self._batch = batch
        self._size = size
        self._most = size * _AHEAD
        self._made = made
        self._position = position
        self._text = text
        self._start = start
        self._rows: list[Row] = []
        self._taken = 0
        self._looked = 0
        self._item: T | None = None
        self._ended = False

    @property
    def cursor(self) -> str | None:
        """Where the walk stands: behind the record it yielded last.

        ``iterate(…, cursor=…)`` goes on from there, in another process, too; so does ``find`` with the same
        filter, search, sort, ``latest_only`` and scope. ``None`` before the first record of a walk from the
        beginning. It stays after the last record: a walk from it meets what came behind since.
        """
        position = self._position(self._rows[self._taken - 1]) if self._taken else self._start
        return None if position is None else self._text(position)

    @property
    def is_ready(self) -> bool:
        """Whether the next record is at hand, without reading a batch."""
        while self._item is None and self._looked < len(self._rows):
            row = self._rows[self._looked]
            self._looked += 1
            try:
                self._item = self._made(row)
            except UnreadableRecord as broken:
                leave_out(row, broken.reason)
        return self._item is not None

    def __iter__(self) -> Iteration[T]:
        """Return itself."""
        return self

    def __next__(self) -> T:
        """Return the next record."""
        if not self.fetch():
            raise StopIteration
        item, self._item, self._taken = self._item, None, self._looked
        assert item is not None
        return item

    def fetch(self) -> bool:
        """Read the next batch if the last one is used up; return whether there is a record to yield."""
        while not self.is_ready:
            if self._ended:
                return False
            start = self._position(self._rows[-1]) if self._rows else self._start
            begun = perf_counter()
            rows = self._batch(start, self._size)
            self._ended = len(rows) < self._size
            if rows:
                self._start, self._rows, self._taken, self._looked = start, rows, 0, 0
                self._adapt(perf_counter() - begun)
        return True

    def _adapt(self, took: float) -> None:
        """Read twice as many next time, if a batch costs much whatever its size, and the rows are small."""
        dear = took > _LONG and took > _DEAR * len(self._rows)
        if dear and 2 * self._size <= self._most and 2 * _characters(self._rows) <= _LARGE:
            self._size *= 2


def _characters(rows: list[Row]) -> int:
    return sum(len(value) for row in rows for value in row.values() if isinstance(value, str))


R = TypeVar("R")
# Between two batches no transaction is open: a walk of hours holds up nobody.
_ROWS_AT_ONCE = 1000


class Pages(Generic[T]):
    """The pages of one collection, as one scope sees it."""

    def __init__(self, view: CollectionView[T]) -> None:
        self._view = view
        self._context = view.context
        self._collection = view.collection

    def page(
        self, listing: Listing, filter: Filter | None, search: str | None, sort: Sort, window: PageWindow,
        counts: bool | int,
    ) -> Page[T]:  # fmt: skip
        """Return one page of a listing.

        Args:
            listing: what was planned for the three that follow.
            filter, search, sort: as the caller gave them.
            window: which page.
            counts: whether all is counted, or up to what number.
        """
        find = partial(self._found, window=window, counts=counts)
        if sort == GIVEN:
            find = partial(self._given_page, ids=given_ids(filter), window=window, counts=counts)
        elif is_ranked(sort, search):
            find = partial(self._ranked_page, search=search, window=window, counts=counts)
        try:
            return find(listing)
        except UnreadableRecord:  # looked for row by row, now that there is one
            return find(careful(listing))

    def iterate(
        self, listing: Listing, filter: Filter | None, search: str | None, sort: Sort, size: int,
        cursor: str | None, timeout: Timeout,
    ) -> Iteration[T]:  # fmt: skip
        """Return a walk over the records of a listing, ``size`` of them read at a time."""
        own = self._own_order(listing, filter, search, sort)
        return self._walk(listing, own, size, cursor, partial(self.shown, listing), timeout)

    def _ranked(self, listing: Listing, search: str | None) -> RankedOrder:
        """Return the order of relevance of a listing."""
        terms = search_terms(search, marks=self._context.search_marks)
        listing = replace(listing, bind=partial(ranked_bound, listing.bound))
        return RankedOrder(listing, terms, self._context.limits.ranked)

    def _ranked_page(
        self, listing: Listing, search: str | None, window: PageWindow, counts: bool | int
    ) -> Page[T]:
        """Return a page in the order of relevance."""
        order = self._ranked(listing, search)
        place = None if window.cursor is None else self.place(order.listing, window.cursor, order.ORDER)
        with self._context.read(snapshot=True) as reader, self._context.watching("find", listing.plan):
            if place is None:
                cut, ranked = order.cut(reader, window.offset or 0, window.limit)
            else:
                cut, ranked = order.cut_from(reader, place[0], window.direction or place[1], window.limit)
            counted = total_of(reader, listing, counts)
            return self._page_of(order.listing, window, cut, counted, ranked)

    def _found(self, listing: Listing, window: PageWindow, counts: bool | int) -> Page[T]:
        """Return a page.

        Raises:
            UnreadableRecord: a row of it is no record.
        """
        if window.cursor is None:
            snapshot = counts is not False or not listing.plan.window_pushed
            with (
                self._context.read(snapshot=snapshot) as reader,
                self._context.watching("find", listing.plan),
            ):
                return self._page(reader, listing, window, counts, partial(cut_at, reader, listing, window))
        position, way = self.place(listing, window.cursor)
        way = window.direction or way
        snapshot = counts is not False or not listing.plan.window_pushed or way == "prev"
        with self._context.read(snapshot=snapshot) as reader, self._context.watching("find", listing.plan):
            cut = partial(cut_from, reader, listing, position, way, window.limit)
            return self._page(reader, listing, window, counts, cut)

    def _own_order(
        self, listing: Listing, filter: Filter | None, search: str | None, sort: Sort
    ) -> GivenOrder | RankedOrder | None:
        """Return an order that no backend knows: of ids, or of relevance; ``None`` for any other."""
        if is_ranked(sort, search):
            return self._ranked(listing, search)
        if sort != GIVEN:
            return None
        ids = given_ids(filter)
        return GivenOrder(replace(listing, bind=partial(given_bound, listing.bound, ids)), ids)

    def _walk(
        self,
        listing: Listing,
        own: GivenOrder | RankedOrder | None,
        size: int,
        cursor: str | None,
        made: Callable[[Row], R],
        timeout: Timeout,
    ) -> Iteration[R]:
        """Return a walk over a listing, in its order or in one that no backend knows."""
        if own is None:
            start = None if cursor is None else self.place(listing, cursor)[0]
            return Iteration(
                partial(self._batch, listing, timeout),
                size,
                made,
                position=partial(behind, listing),
                text=lambda position: self._cursor(listing, position, "next") or "",
                start=start,
            )
        listing, order = own.listing, own

        def batch(start: Position | None, size: int) -> list[Row]:
            with self._context.budget(timeout) as budget:
                budget.plan = listing.plan
                with (
                    self._context.read(snapshot=True) as reader,
                    self._context.watching("iterate", listing.plan),
                ):
                    return order.batch(reader, start, size)

        return Iteration(
            batch,
            size,
            made,
            position=order.position,
            text=lambda position: self._cursor(listing, position, "next") or "",
            start=None if cursor is None else self.place(listing, cursor, order.ORDER)[0],
        )

    def _given_page(
        self, listing: Listing, ids: Sequence[str], window: PageWindow, counts: bool | int
    ) -> Page[T]:
        """Return a page in the order of ids."""
        listing = replace(listing, bind=partial(given_bound, listing.bound, ids))
        given = GivenOrder(listing, ids)
        place = None if window.cursor is None else self.place(listing, window.cursor, given.ORDER)
        with self._context.read(snapshot=True) as reader, self._context.watching("find", listing.plan):
            if place is None:
                cut, matched = given.cut(reader, window.offset or 0, window.limit)
            else:
                cut, matched = given.cut_from(reader, place[0], window.direction or place[1], window.limit)
            counted: tuple[int | None, bool] = (None, True)
            if counts is not False:
                counted = (matched, True) if counts is True else (min(matched, counts), matched <= counts)
            return self._page_of(listing, window, cut, counted)

    def walk(
        self, listing: Listing, filter: Filter | None, search: str | None, sort: Sort,
        made: Callable[[Row], R], most: int | None, timeout: Timeout,
    ) -> Iterator[R]:  # fmt: skip
        """Return a walk over what ``made`` makes of a listing's rows, ``most`` of them (``None``: all)."""
        own = self._own_order(listing, filter, search, sort)
        size = min(_ROWS_AT_ONCE, self._context.limits.page)
        if most is not None:
            size = min(size, max(most, 1))
        return islice(self._walk(listing, own, size, None, made, timeout), most)

    def _page(
        self, reader: Reader, listing: Listing, window: PageWindow, counts: bool | int,
        cut: Callable[[], PageRows],
    ) -> Page[T]:  # fmt: skip
        # The total comes first: an index works the whole answer out for it, and cuts the page out of that.
        counted = total_of(reader, listing, counts)
        return self._page_of(listing, window, cut(), counted)

    def _page_of(
        self, listing: Listing, window: PageWindow, cut: PageRows,
        counted: tuple[int | None, bool], ranked: int | None = None,
    ) -> Page[T]:  # fmt: skip
        total, exact = counted
        return page_from({
            "items": self._all_shown(listing, cut.rows),
            "limit": window.limit,
            "offset": window.offset,
            "page": window.page,
            "total": total,
            "total_is_exact": exact,
            "has_more": cut.next is not None,
            "next_cursor": self._cursor(listing, cut.next, "next"),
            "prev_cursor": self._cursor(listing, cut.prev, "prev"),
            "ranked": ranked,
        })  # fmt: skip

    def _all_shown(self, listing: Listing, rows: list[Row]) -> list[T]:
        if listing.include == listing.query.include:
            return records_from(self._collection, rows)
        return [self.shown(listing, row) for row in rows]

    def _batch(self, listing: Listing, timeout: Timeout, start: Position | None, size: int) -> list[Row]:
        snapshot = not listing.plan.window_pushed
        query = replace(listing.query, limit=size, after=start)
        with self._context.budget(timeout) as budget:
            budget.plan = listing.plan
            with (
                self._context.read(snapshot=snapshot) as reader,
                self._context.watching("iterate", listing.plan),
            ):
                rows = executor.rows(reader, listing.plan, query)
                # The next batch begins behind this batch's last row.
                if rows and fault_of(self._collection, rows[-1]) is not None:  # it is no place to go on from
                    rows = executor.rows(reader, executor.careful(listing.plan), query)
                return rows

    def shown(self, listing: Listing, row: Row) -> T:
        """Return the record of a listing's row, without what only the residual read."""
        return self.included(row, listing.include, listing.terms)

    def included(self, row: Row, include: frozenset[str], terms: Sequence[Occurs] = ()) -> T:
        """Return the record of a row with no more of its content than was asked for."""
        content = row.get("content")
        if "content" in row and "content" not in include:
            row = {name: value for name, value in row.items() if name != "content"}
        made: T = record_from(self._collection, row)
        if SNIPPET in include and isinstance(made, Document):
            made = made.model_copy(update={"snippet": snippet(content, terms)})
        return made

    def _cursor(self, listing: Listing, position: Position | None, way: cursors.Way) -> str | None:
        if position is None:
            return None
        return cursors.encode(position, way, listing.bound, self._context.secrets)

    def place(
        self, listing: Listing, text: str, order: Sequence[SortKey] | None = None
    ) -> tuple[Position, cursors.Way]:
        """Return where a cursor stands in a listing, or in another order of it, and which way it goes."""
        root = self._context
        return cursors.decode(
            text, listing.bound, order or listing.query.order, self._collection, root.secrets, root.limits
        )
