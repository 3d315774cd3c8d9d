"""Pages: from a planned listing to pages and walks, in the backend's order or one of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Generic, TypeVar

from docstore.backend import (
    Reader,
    Row,
    SortKey,
    capabilities_of,
)
from docstore.concurrency import Timeout
from docstore.context.collection_view import (
    SNIPPET,
    CollectionView,
    Filter,
    Listing,
)
from docstore.errors import (
    UnreadableRecord,
)
from docstore.models import Document, Page, page_from, record_from, records_from
from docstore.pagination.iteration import Iteration
from docstore.pagination.orders import (
    GivenOrder,
    RankedOrder,
    given_bound,
    given_ids,
    ranked_bound,
)
from docstore.pagination.windows import (
    GIVEN,
    PageRows,
    PageWindow,
    Position,
    behind,
    careful,
    cut_at,
    cut_from,
    is_ranked,
    total_of,
)
from docstore.query import cursor as cursors
from docstore.query import executor
from docstore.query.expr import Occurs
from docstore.query.fields import fault_of
from docstore.query.search import search_terms, snippet
from docstore.query.sorting import Sort

__all__ = ["Pages"]

T = TypeVar("T")
R = TypeVar("R")
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
        listing = replace(listing, bound=ranked_bound(listing.bound))
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
            return self._page_of(reader, order.listing, window, cut, counted, ranked)

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
        return GivenOrder(replace(listing, bound=given_bound(listing.bound, ids)), ids)

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
        listing = replace(listing, bound=given_bound(listing.bound, ids))
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
            return self._page_of(reader, listing, window, cut, counted)

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
        return self._page_of(reader, listing, window, cut(), counted)

    def _page_of(
        self, reader: Reader, listing: Listing, window: PageWindow, cut: PageRows,
        counted: tuple[int | None, bool], ranked: int | None = None,
    ) -> Page[T]:  # fmt: skip
        total, exact = counted
        return page_from({
            "items": self._all_shown(listing, cut.rows, given=capabilities_of(reader).gives_rows),
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

    def _all_shown(self, listing: Listing, rows: list[Row], *, given: bool) -> list[T]:
        if listing.include == listing.query.include:
            return records_from(self._collection, rows, given=given)
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
