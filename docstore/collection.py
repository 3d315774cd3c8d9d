"""Records: reading, the same on documents and extractions. Validate, plan, run within one block, cut the
page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, overload

from docstore.backend import (
    Explains,
    Lock,
    Query,
    Reader,
    Row,
    Scope,
    SingleStatementWrites,
    SortKey,
    Writer,
    capabilities_of,
)
from docstore.concurrency import STORE_DEFAULT, Timeout
from docstore.errors import (
    BackendError,
    InvalidDocument,
    NotFound,
    RevisionConflict,
    ScopeError,
    UnreadableRecord,
    missing,
    shown,
)
from docstore.models import Document, Page, page_from, readable, record_from, records_from, unreadable
from docstore.pagination.iteration import Iteration
from docstore.pagination.listings import Filter
from docstore.pagination.orders import (
    GIVEN,
    NEWEST,
    GivenOrder,
    RankedOrder,
    given_bound,
    given_ids,
    is_ranked,
    ranked_bound,
)
from docstore.pagination.windows import (
    SNIPPET,
    Listing,
    PageRows,
    PageWindow,
    Position,
    after,
    behind,
    careful,
    check_at_most,
    check_batch,
    check_include,
    check_total,
    check_window,
    cut_at,
    cut_from,
    fields_read,
    total_of,
)
from docstore.query import cursor as cursors
from docstore.query import executor
from docstore.query.explain import Plan
from docstore.query.expr import Compare, In, Occurs
from docstore.query.fields import Collection, fault_of
from docstore.query.search import search_terms, snippet
from docstore.query.sorting import Sort
from docstore.summaries import Columns, Summaries, columns_of, flat_row, table_of
from docstore.validation import Checks, check_order

if TYPE_CHECKING:
    import pyarrow

__all__ = [
    "REQUIRED",
    "Filter",
    "Make",
    "Records",
    "Writes",
]

T = TypeVar("T")
D = TypeVar("D")
R = TypeVar("R")
_ROWS_AT_ONCE = 1000


class _Required(Enum):
    REQUIRED = "required"


REQUIRED = _Required.REQUIRED
"""No default was given."""


def _stored_order(sort: Sort, search: str | None) -> Sort:
    """Return the order that the backend is asked for."""
    if is_ranked(sort, search):
        return NEWEST
    return "number" if sort == GIVEN else sort


def _named(scope: Scope) -> tuple[tuple[str, str | None], ...]:
    return (("tenant", scope.tenant), ("owner", scope.owner))


class Records(Summaries[T]):
    """What can be read of one collection; :class:`~docstore.documents.Documents` and Extractions add the
    writing.
    """

    # -- public ------------------------------------------------------------------------------------

    def find(
        self,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        sort: Sort = "-created_at",
        limit: int = 50,
        offset: int = 0,
        page: int | None = None,
        cursor: str | None = None,
        direction: str | None = None,
        total: bool | int = False,
        latest_only: bool = True,
        include: Iterable[str] = (),
        strict: bool = False,
        timeout: Timeout = STORE_DEFAULT,
        at_least: str | None = None,
    ) -> Page[T]:
        """List the records that match, a page at a time.

        Args:
            filter: the MongoDB-style filter; ``None`` and ``{}`` match everything.
            search: words to be found in the filename or content; ``None`` and ``""`` match everything.
            sort: a field path, ``-`` before it for descending, or a list of them, or of pairs such as
                ``("metadata.n", -1)``. Ties are broken by ``number``. ``"given"`` keeps the order of the ids
                in a top-level ``{"id": {"$in": […]}}``. ``"-score"``, alone and with a search, puts the most
                relevant first; of more than 1,000 matches (``limits.ranked``) the newest are ranked.
            limit: records on the page, 0 to 1000; 0 returns none, still with a total.
            offset: records to skip. At most one of a non-zero ``offset``, ``page`` and ``cursor``.
            page: the page's number, from 1.
            cursor: a page's ``next_cursor`` or ``prev_cursor``; it belongs to this filter, search, sort,
                ``latest_only``, scope.
            direction: ``"next"`` or ``"prev"``, overrides the way that the cursor goes; only with a cursor.
            total: ``True`` counts all that match, a number counts up to there, ``False`` does not count.
            latest_only: leave out versions that are not the newest of their ``external_id``; no effect on
                extractions.
            include: what else to read: ``"content"``, and ``"snippet"``, up to 200 characters of it around
                the place where the search's terms stand.
            strict: refuse what the backend cannot run by itself.
            timeout: seconds that it may take in all, more than 0; ``None`` is without limit. By default the
                store's ``query_timeout``.
            at_least: a ``store.position``, of this store or of another on the same database: what was written
                up to there is seen, whichever server is read. What this store wrote always is.

        Returns:
            The page. It, its total and its cursors come from one snapshot.

        Raises:
            FilterError: the filter or search is wrong; ``.path`` says where.
            InvalidSort, InvalidPage, InvalidCursor: those are.
            NotPushed: ``strict`` and the plan has a residual.
            QueryTimeout: it took longer; the message names the predicates that no index serves.

        Example:
            >>> page = store.documents.find({"metadata.tags": "important"}, limit=10, total=True)
        """
        self._ready(at_least)
        window = check_window(
            limit=limit,
            offset=offset,
            page=page,
            cursor=cursor,
            direction=direction,
            most=self._context.limits.page,
        )
        counts = check_total(total)
        with self._context.budget(timeout) as budget:
            listing = self._listing(filter, search, _stored_order(sort, search), latest_only, include)
            budget.plan = listing.plan
            if strict:
                self._refuse_residual(listing.plan)
            find = partial(self._found, window=window, counts=counts)
            if sort == GIVEN:
                find = partial(self._given_page, ids=given_ids(filter), window=window, counts=counts)
            elif is_ranked(sort, search):
                find = partial(self._ranked_page, search=search, window=window, counts=counts)
            try:
                return find(listing)
            except UnreadableRecord:  # looked for row by row, now that there is one
                return find(careful(listing))

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
        place = None if window.cursor is None else self._place(order.listing, window.cursor, order.ORDER)
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
                return self._page(reader, listing, window, counts, cut_at(reader, listing, window))
        position, way = self._place(listing, window.cursor)
        way = window.direction or way
        snapshot = counts is not False or not listing.plan.window_pushed or way == "prev"
        with self._context.read(snapshot=snapshot) as reader, self._context.watching("find", listing.plan):
            cut = cut_from(reader, listing, position, way, window.limit)
            return self._page(reader, listing, window, counts, cut)

    def find_one(
        self,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        sort: Sort = "-created_at",
        offset: int = 0,
        latest_only: bool = True,
        include: Iterable[str] = (),
        strict: bool = False,
        timeout: Timeout = STORE_DEFAULT,
        at_least: str | None = None,
    ) -> T | None:
        """Return the first record that matches, ``None`` if there is none.

        Args:
            filter, search, sort, offset, latest_only, include, strict, timeout, at_least: as for
                :meth:`find`.

        Raises:
            As :meth:`find`.

        Example:
            >>> store.documents.find_one({"metadata.category": "finance"}, sort="-metadata.amount") is None
            True
        """
        page = self.find(
            filter, search=search, sort=sort, limit=1, offset=offset, latest_only=latest_only,
            include=include, strict=strict, timeout=timeout, at_least=at_least,
        )  # fmt: skip
        return page.items[0] if page.items else None

    def iterate(
        self,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        sort: Sort = "number",
        batch_size: int = 500,
        latest_only: bool = True,
        include: Iterable[str] = (),
        cursor: str | None = None,
        timeout: Timeout = STORE_DEFAULT,
        at_least: str | None = None,
    ) -> Iteration[T]:
        """Yield every record that matches, in constant memory.

        The walk goes by position: it meets every record that existed throughout exactly once, whatever is
        added, changed or deleted meanwhile, and holds no transaction open between batches.

        Args:
            filter, search, sort, latest_only, include: as for :meth:`find`.
            batch_size: records read at a time, 1 to 1000; up to 16 times as many, while they are small, where
                the sort is so dear that each batch takes long.
            cursor: where to begin: the ``cursor`` of a walk that was left, or of a page of :meth:`find`; it
                belongs to this filter, search, sort, ``latest_only`` and scope. Whichever way it points, the
                walk goes forwards. ``None``: the beginning.
            timeout: as for :meth:`find`, for each batch.

        Returns:
            An iterator. Its ``cursor`` says where it stands, so that a walk can be left and taken up again.

        Raises:
            As :meth:`find`, before the first record.

        Example:
            >>> walk = store.documents.iterate({"status": "completed"}, cursor=saved)
            >>> for document in walk:
            ...     handle(document)
            ...     saved = walk.cursor
        """
        self._ready(at_least)
        size = check_batch(batch_size, self._context.limits.page)
        window = check_window(
            limit=size, offset=0, page=None, cursor=cursor, direction=None, most=self._context.limits.page
        )
        with self._context.budget(timeout):
            listing = self._listing(filter, search, _stored_order(sort, search), latest_only, include)
        own = self._own_order(listing, filter, search, sort)
        return self._walk(listing, own, size, window.cursor, partial(self._shown, listing), timeout)

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
            start = None if cursor is None else self._place(listing, cursor)[0]
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
            start=None if cursor is None else self._place(listing, cursor, order.ORDER)[0],
        )

    def _given_page(
        self, listing: Listing, ids: Sequence[str], window: PageWindow, counts: bool | int
    ) -> Page[T]:
        """Return a page in the order of ids."""
        listing = replace(listing, bound=given_bound(listing.bound, ids))
        given = GivenOrder(listing, ids)
        place = None if window.cursor is None else self._place(listing, window.cursor, given.ORDER)
        with self._context.read(snapshot=True) as reader, self._context.watching("find", listing.plan):
            if place is None:
                cut, matched = given.cut(reader, window.offset or 0, window.limit)
            else:
                cut, matched = given.cut_from(reader, place[0], window.direction or place[1], window.limit)
            counted: tuple[int | None, bool] = (None, True)
            if counts is not False:
                counted = (matched, True) if counts is True else (min(matched, counts), matched <= counts)
            return self._page_of(reader, listing, window, cut, counted)

    def count(
        self,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        latest_only: bool = True,
        at_most: int | None = None,
        timeout: Timeout = STORE_DEFAULT,
        at_least: str | None = None,
    ) -> int:
        """Count the records that match.

        Args:
            filter, search, latest_only, timeout, at_least: as for :meth:`find`.
            at_most: stop counting there; ``None`` counts all.

        Raises:
            FilterError: the filter or search is wrong.
            InvalidPage: ``at_most`` is no whole number of at least 0.
        """
        self._ready(at_least)
        most = check_at_most(at_most)
        with self._context.budget(timeout) as budget:
            listing = self._listing(filter, search, "number", latest_only, ())
            budget.plan = listing.plan
            if most == 0:
                return 0
            snapshot = not listing.plan.is_pushed
            with (
                self._context.read(snapshot=snapshot) as reader,
                self._context.watching("count", listing.plan),
            ):
                return executor.count(reader, listing.plan, listing.query, most)

    def exists(
        self,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        latest_only: bool = True,
        timeout: Timeout = STORE_DEFAULT,
        at_least: str | None = None,
    ) -> bool:
        """Return whether any record matches.

        Args:
            filter, search, latest_only, timeout, at_least: as for :meth:`find`.

        Raises:
            FilterError: the filter or search is wrong.
        """
        return (
            self.count(
                filter, search=search, latest_only=latest_only, at_most=1, timeout=timeout, at_least=at_least
            )
            > 0
        )

    @overload
    def get(self, id: str | T, *, include: Iterable[str] = (), at_least: str | None = None) -> T: ...

    @overload
    def get(
        self, id: str | T, *, default: D, include: Iterable[str] = (), at_least: str | None = None
    ) -> T | D: ...

    def get(
        self,
        id: str | T,
        *,
        default: Any = REQUIRED,
        include: Iterable[str] = (),
        at_least: str | None = None,
    ) -> Any:
        """Return the record with this id, whichever version it is.

        Args:
            id: compared exactly; or a record, to read it anew.
            default: returned if there is none in this scope; left out, that is an error.
            include: heavy fields to read.
            at_least: as for :meth:`find`.

        Raises:
            NotFound: there is none in this scope, and no ``default`` was given.
            FilterValueError: the id is no text.

        Example:
            >>> store.documents.get("none", default=None) is None
            True
        """
        self._ready(at_least)
        names = check_include(self._collection, include)
        try:
            key = self._id(id)
            with self._context.read() as reader:
                row = self._row(reader, key, include=fields_read(names))
        except NotFound:
            if default is REQUIRED:
                raise
            return default
        return self._included(row, names)

    def get_many(
        self, ids: Iterable[str | T], *, include: Iterable[str] = (), at_least: str | None = None
    ) -> list[T]:
        """Return the records with these ids, in the order asked, each once; those not found are left out.

        Args:
            ids: at most 10,000; or records.
            include: heavy fields to read.
            at_least: as for :meth:`find`.

        Raises:
            FilterValueError: an id is no text.
            FilterTooComplex: too many ids.
        """
        self._ready(at_least)
        names = check_include(self._collection, include)
        asked = self._ids(ids)
        if not asked:
            return []
        query = Query(self._collection, self._scope, In(("id",), tuple(asked)), include=fields_read(names))
        with self._context.read() as reader:
            rows = self._run_exactly(reader, query)
        found: dict[str, Row] = {}
        for row in rows:
            found.setdefault(row["id"], row)
        shown = partial(self._included, include=names)
        return self._all_readable((found[id] for id in asked if id in found), shown)

    def rows(
        self,
        fields: Iterable[str],
        filter: Filter | None = None,
        *,
        search: str | None = None,
        sort: Sort = "number",
        limit: int | None = None,
        latest_only: bool = True,
        timeout: Timeout = STORE_DEFAULT,
        at_least: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield chosen paths of every record that matches as flat dictionaries, in constant memory.

        Args:
            fields: field paths; they are the keys. ``content`` may be among them.
            filter, search, sort, latest_only, timeout, at_least: as for :meth:`iterate`.
            limit: records to yield; ``None`` is all.

        Returns:
            An iterator. A value is what the record shows, ``None`` where there is none; a path through an
            array of objects gives the list of what they have.

        Raises:
            As :meth:`find`, before the first row; UnknownField if a path names no field.

        Example:
            >>> list(store.documents.rows(["id", "metadata.vendor"], {"status": "completed"}))
            []
        """
        self._ready(at_least)
        columns = columns_of(fields, self._collection, self._context.limits, "rows")
        return self._rows(columns, filter, search, sort, limit, latest_only, timeout)

    def to_arrow(
        self,
        fields: Iterable[str] | None = None,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        sort: Sort = "number",
        limit: int | None = None,
        latest_only: bool = True,
        timeout: Timeout = STORE_DEFAULT,
        at_least: str | None = None,
    ) -> pyarrow.Table:
        """Return records as an Arrow table; ``.to_pandas()`` makes a data frame of it. Needs the extra
        ``arrow``.

        Args:
            fields: field paths, a column each; ``None``: all fields but the heavy ones.
            filter, search, sort, limit, latest_only, timeout, at_least: as for :meth:`rows`.

        Returns:
            The table: text, int64, booleans, timestamps in UTC with microseconds; metadata and other JSON
            fields as JSON text. A path into one is int64, float64 or bool if all its values are, else JSON
            text.

        Raises:
            ImportError: pyarrow is not installed.
            As :meth:`rows`.
        """
        self._ready(at_least)
        named = self._collection.light() if fields is None else fields
        columns = columns_of(named, self._collection, self._context.limits, "to_arrow")
        walk = self._rows(columns, filter, search, sort, limit, latest_only, timeout)
        return table_of(columns, self._collection, walk)

    def _rows(
        self,
        columns: Columns,
        filter: Filter | None,
        search: str | None,
        sort: Sort,
        limit: int | None,
        latest_only: bool,
        timeout: Timeout,
    ) -> Iterator[dict[str, Any]]:
        """Return a walk over the values of columns."""
        most = check_at_most(limit, "limit")
        include = {path[0] for _, path in columns if self._collection.column(path[0]).heavy}
        with self._context.budget(timeout):
            listing = self._listing(filter, search, _stored_order(sort, search), latest_only, include)
        own = self._own_order(listing, filter, search, sort)
        size, made = min(_ROWS_AT_ONCE, self._context.limits.page), partial(self._flat, columns)
        if most is not None:
            size = min(size, max(most, 1))
        return islice(self._walk(listing, own, size, None, made, timeout), most)

    def _flat(self, columns: Columns, row: Row) -> dict[str, Any]:
        """Return the values of columns.

        Raises:
            UnreadableRecord: the row is no record.
        """
        try:
            return flat_row(columns, self._collection, row)
        except (ValueError, TypeError, AttributeError, OverflowError):
            fault = fault_of(self._collection, row)
            if fault is None:
                raise
            raise unreadable(self._collection, row, fault) from None

    # -- as a container ----------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return how many there are: :meth:`count`."""
        return self.count()

    def __bool__(self) -> bool:
        """Be true, whatever is in it: asking costs nothing."""
        return True

    def __contains__(self, id: object) -> bool:
        """Return whether there is a record with this id, whichever version it is: ``id in collection``."""
        self._ready()
        if not isinstance(id, (str, self._record_type)):
            return False
        return self.get(id, default=None) is not None  # type: ignore[arg-type]

    def __getitem__(self, id: str | T) -> T:
        """Return the record with this id: :meth:`get`."""
        return self.get(id)

    def __iter__(self) -> Iterator[T]:
        """Iterate over all records in the order in which they were added: :meth:`iterate`."""
        return self.iterate()

    def __repr__(self) -> str:
        """Show what it is and its scope."""
        parts = [self._context.backend.name]
        parts += [f"{name}={value!r}" for name, value in _named(self._scope) if value is not None]
        return f"<{type(self).__name__} {' '.join(parts)}>"

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Say what there is instead of a method that other libraries have."""
            raise missing(self, name)

    def explain(
        self,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        sort: Sort = "-created_at",
        limit: int = 50,
        offset: int = 0,
        page: int | None = None,
        cursor: str | None = None,
        direction: str | None = None,
        total: bool | int = False,
        latest_only: bool = True,
        include: Iterable[str] = (),
        strict: bool = False,
        timeout: Timeout = STORE_DEFAULT,
        at_least: str | None = None,
    ) -> Plan:
        """Return how :meth:`find` with the same arguments would be run, without running it.

        Returns:
            The plan: what is pushed and what is residual and why, the statement, the database's own plan.
                ``str(plan)`` reads
            well in a terminal.

        Raises:
            As :meth:`find`, but never NotPushed.
        """
        self._ready(at_least)
        window = check_window(
            limit=limit,
            offset=offset,
            page=page,
            cursor=cursor,
            direction=direction,
            most=self._context.limits.page,
        )
        check_total(total)
        with self._context.budget(timeout):
            listing = self._listing(filter, search, _stored_order(sort, search), latest_only, include)
            query = listing.query
            if window.cursor is not None:
                position, way = self._place(listing, window.cursor)
                query = after(query, position, window.direction or way)
            if listing.plan.window_pushed:
                query = replace(query, limit=window.limit + 1, offset=window.offset or 0)
            with self._context.read(snapshot=True) as reader:
                if not isinstance(reader, Explains):
                    return listing.plan
                shown = reader.explain(query)
            return replace(
                listing.plan,
                statement=shown.text,
                parameters=shown.parameters,
                database_plan=shown.plan,
                notes=shown.notes,
            )

    # -- pages -------------------------------------------------------------------------------------

    def _page(
        self, reader: Reader, listing: Listing, window: PageWindow, counts: bool | int, cut: PageRows
    ) -> Page[T]:
        return self._page_of(reader, listing, window, cut, total_of(reader, listing, counts))

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
        return [self._shown(listing, row) for row in rows]

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

    def _shown(self, listing: Listing, row: Row) -> T:
        """Return the record of a listing's row, without what only the residual read."""
        return self._included(row, listing.include, listing.terms)

    def _included(self, row: Row, include: frozenset[str], terms: Sequence[Occurs] = ()) -> T:
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

    def _place(
        self, listing: Listing, text: str, order: Sequence[SortKey] | None = None
    ) -> tuple[Position, cursors.Way]:
        """Return where a cursor stands in a listing, or in another order of it, and which way it goes."""
        root = self._context
        return cursors.decode(
            text, listing.bound, order or listing.query.order, self._collection, root.secrets, root.limits
        )


_NOT_ALONE = frozenset({"filename", "content"})
"""Columns whose change is more than one row's."""
Make = Callable[[Row, int], Mapping[str, Any] | None]
"""From the row as it is, and now, to the columns to set, ``None`` to leave it as it is; or the exception that
says why not."""


class Writes(Records[T]):
    """What both collections need to change a record."""

    @property
    def _checks(self) -> Checks:
        root = self._context
        return Checks(root.limits, root.default_timezone, root.metadata_default)

    def _mine(
        self,
        writer: Reader,
        id: str,
        *,
        include: frozenset[str] = frozenset(),
        lock: Lock | None = "wait",
        collection: Collection | None = None,
        number: int | None = None,
    ) -> Row:
        """Return the row with this id (of this ``number``, where it is known), locked unless ``lock`` is
        ``None``: the one there is in this scope.

        Raises:
            NotFound: there is none.
            ScopeError: several tenants have one, and the scope names none of them.
        """
        wanted = self._collection if collection is None else collection
        where = Compare(("id",), "eq", id) if number is None else Compare(("number",), "eq", number)
        query = Query(wanted, self._scope, where, limit=2, include=include, lock=lock)
        return _only(self._run_exactly(writer, query), id, wanted.name.rstrip("s"))

    def _changed(
        self,
        id: str | T,
        make: Make,
        *,
        if_revision: int | None = None,
        touch: bool = True,
        include: frozenset[str] = frozenset(),
        number: int | None = None,
        along: Callable[[Writer, Row, int], None] | None = None,
        first: Callable[[Writer], None] | None = None,
    ) -> T:
        """Read a row for update, let ``make`` say what changes, write it, and do ``along`` (with the row as
        it was, and now). ``first`` is done before the row is locked.

        Where the backend can, the row is read without a lock and written by itself, if it is still the same
        then; if it is not, or nobody knows, everything is done again within a block.

        ``include`` names private columns that ``make`` or ``along`` reads.
        """
        key, expected = self._id(id), check_revision_argument(if_revision)
        tried: Row | None = None
        if along is None and first is None and (backend := self._context.alone) is not None:
            row, now = self._now(backend, key, include, number)
            readable(self._collection, row)
            self._check_revision(row, expected)
            changes = make(row, now)
            if changes is None:
                return self._made(row)
            if _NOT_ALONE.isdisjoint(changes):
                written = _written(row, changes, now, touch=touch)
                tried = _as_written(row, written)
                done, unknown = self._context.written_single(
                    lambda: backend.update_single(self._collection, row, written)
                )
                if done:
                    return self._made(tried)
                tried = tried if unknown else None

        def work(writer: Writer) -> Row:
            nonlocal tried
            if first is not None:
                first(writer)
            row = readable(self._collection, self._mine(writer, key, include=include, number=number))
            if tried is not None and _recognised(row, tried):
                return row
            self._check_revision(row, expected)
            now = writer.now()
            changes = make(row, now)
            if changes is None:
                return row
            tried = self._write(writer, row, changes, now, touch=touch)
            if along is not None:
                along(writer, row, now)
            return tried

        return self._made(self._context.written(work, recognises=True))

    def _now(
        self, backend: SingleStatementWrites, id: str, include: frozenset[str], number: int | None
    ) -> tuple[Row, int]:
        """Return the row with this id as it is, and now."""
        where = Compare(("id",), "eq", id) if number is None else Compare(("number",), "eq", number)
        rows, now = backend.select_now(Query(self._collection, self._scope, where, limit=2, include=include))
        return _only(rows, id, self._noun), now

    def _write(self, writer: Writer, row: Row, changes: Mapping[str, Any], now: int, *, touch: bool) -> Row:
        """Write changes to a row, its revision one higher; return the row as it is then."""
        written = _written(row, changes, now, touch=touch)
        if not writer.update(self._collection, row, written):
            raise NotFound(f"no {self._noun} with the id {shown(row['id'])}", id=row["id"])
        return _as_written(row, written)

    def _check_revision(self, row: Row, expected: int | None) -> None:
        if expected is not None and row["revision"] != expected:
            raise RevisionConflict(
                f"{self._noun} {shown(row['id'])} is at revision {row['revision']}, not {expected}",
                id=row["id"], expected=expected, current=row["revision"],
            )  # fmt: skip


def _only(rows: Sequence[Row], id: str, noun: str) -> Row:
    """Return the row with an id."""
    if not rows:
        raise NotFound(f"no {noun} with the id {shown(id)}", id=id)
    if len(rows) > 1:
        raise ScopeError(
            f"several tenants have a {noun} with the id {shown(id)}: say which with scoped(tenant=...)"
        )
    return rows[0]


def _written(row: Row, changes: Mapping[str, Any], now: int, *, touch: bool) -> Row:
    """Return the columns to set where ``changes`` are made to a row.

    Raises:
        InvalidDocument: it would be updated before it was created.
    """
    written: Row = {**({"updated_at": now} if touch else {}), **changes, "revision": row["revision"] + 1}
    created: Any = written.get("created_at", row["created_at"])
    updated: Any = written.get("updated_at", row["updated_at"])
    if updated < created:
        if "updated_at" in changes:
            check_order(created, updated)
        written["updated_at"] = created  # it was given for a time to come, or by a clock that was ahead
    return written


def _as_written(row: Row, written: Row) -> Row:
    """Return a row with columns set, those of them that were read."""
    return {**row, **{name: value for name, value in written.items() if name in row}}


def check_revision_argument(if_revision: Any) -> int | None:
    """Return the argument.

    Raises:
        InvalidDocument: it is neither ``None`` nor a whole number.
    """
    if if_revision is not None and (not isinstance(if_revision, int) or isinstance(if_revision, bool)):
        raise InvalidDocument(
            f"if_revision={shown(if_revision)}: expected a whole number or None", field="if_revision"
        )
    return if_revision


def _recognised(row: Row, tried: Row) -> bool:
    """Return whether the row is what was written before the connection was lost; if it is not, nothing was
    written then.

    Raises:
        BackendError: it was changed more than once since, so that nobody can say.
    """
    if row["revision"] > tried["revision"]:
        raise BackendError(
            f"the connection was lost while {shown(row['id'])} was being changed, and it was changed since: "
            f"look before you repeat it",
            retryable=True, outcome_unknown=True,
        )  # fmt: skip
    return row == tried
