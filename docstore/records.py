"""Records: reading, the same on documents and extractions. Validate, plan, run within one block, cut the
page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from docstore.asking import Asking, Filter
from docstore.backend import Explains, Query, Reader, Row
from docstore.concurrency import STORE_DEFAULT, Timeout
from docstore.errors import UnreadableRecord
from docstore.iteration import Iteration
from docstore.listing import Cut, Listing, Position, after, behind, careful, cut_at, cut_from, total_of
from docstore.models import Page, page_from, record_from, records_from
from docstore.pages import Window, check_at_most, check_batch, check_include, check_total, check_window
from docstore.query import cursor as cursors
from docstore.query import run
from docstore.query.decode import decode, fault_of
from docstore.query.expr import In
from docstore.query.facets import counted, facet_path
from docstore.query.plan import Plan

__all__ = ["Filter", "Records"]

T = TypeVar("T")


class Records(Asking[T]):
    """What can be read of one collection; :class:`~docstore.documents.Documents` and Extractions add the
    writing.
    """

    # -- public ------------------------------------------------------------------------------------

    def find(
        self,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        sort: str | Sequence[str] = "-created_at",
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
    ) -> Page[T]:
        """List the records that match, a page at a time.

        Args:
            filter: the MongoDB-style filter; ``None`` and ``{}`` match everything.
            search: words to be found in the filename or content; ``None`` and ``""`` match everything.
            sort: a field path, ``-`` before it for descending, or a list of them. Ties are broken by
                ``number``.
            limit: records on the page, 0 to 1000; 0 returns none, still with a total.
            offset: records to skip. At most one of a non-zero ``offset``, ``page`` and ``cursor``.
            page: the page's number, from 1.
            cursor: a page's ``next_cursor`` or ``prev_cursor``; it belongs to this filter, search, sort,
                ``latest_only``, scope.
            direction: ``"next"`` or ``"prev"``, overrides the way that the cursor goes; only with a cursor.
            total: ``True`` counts all that match, a number counts up to there, ``False`` does not count.
            latest_only: leave out versions that are not the newest of their ``external_id``; no effect on
                extractions.
            include: heavy fields to read, ``{"content"}``.
            strict: refuse what the backend cannot run by itself.
            timeout: seconds that it may take in all, more than 0; ``None`` is without limit. By default the
                store's ``query_timeout``.

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
        self._ready()
        window = check_window(
            limit=limit,
            offset=offset,
            page=page,
            cursor=cursor,
            direction=direction,
            most=self._root.limits.page,
        )
        counts = check_total(total)
        with self._root.budget(timeout) as budget:
            listing = self._listing(filter, search, sort, latest_only, include)
            budget.plan = listing.plan
            if strict:
                self._refuse_residual(listing.plan)
            try:
                return self._found(listing, window, counts)
            except UnreadableRecord:  # looked for row by row, now that there is one
                return self._found(careful(listing), window, counts)

    def _found(self, listing: Listing, window: Window, counts: bool | int) -> Page[T]:
        """Return a page.

        Raises:
            UnreadableRecord: a row of it is no record.
        """
        if window.cursor is None:
            snapshot = counts is not False or not listing.plan.window_pushed
            with self._root.read(snapshot=snapshot) as reader, self._root.watching("find", listing.plan):
                return self._page(reader, listing, window, counts, cut_at(reader, listing, window))
        position, way = self._place(listing, window.cursor)
        way = window.direction or way
        snapshot = counts is not False or not listing.plan.window_pushed or way == "prev"
        with self._root.read(snapshot=snapshot) as reader, self._root.watching("find", listing.plan):
            cut = cut_from(reader, listing, position, way, window.limit)
            return self._page(reader, listing, window, counts, cut)

    def iterate(
        self,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        sort: str | Sequence[str] = "number",
        batch_size: int = 500,
        latest_only: bool = True,
        include: Iterable[str] = (),
        cursor: str | None = None,
        timeout: Timeout = STORE_DEFAULT,
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
        self._ready()
        size = check_batch(batch_size, self._root.limits.page)
        window = check_window(
            limit=size, offset=0, page=None, cursor=cursor, direction=None, most=self._root.limits.page
        )
        with self._root.budget(timeout):
            listing = self._listing(filter, search, sort, latest_only, include)
        start = None if window.cursor is None else self._place(listing, window.cursor)[0]
        return Iteration(
            partial(self._batch, listing, timeout),
            size,
            partial(self._shown, listing),
            position=partial(behind, listing),
            text=lambda position: self._cursor(listing, position, "next") or "",
            start=start,
        )

    def count(
        self,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        latest_only: bool = True,
        at_most: int | None = None,
        timeout: Timeout = STORE_DEFAULT,
    ) -> int:
        """Count the records that match.

        Args:
            filter, search, latest_only, timeout: as for :meth:`find`.
            at_most: stop counting there; ``None`` counts all.

        Raises:
            FilterError: the filter or search is wrong.
            InvalidPage: ``at_most`` is no whole number of at least 0.
        """
        self._ready()
        most = check_at_most(at_most)
        with self._root.budget(timeout) as budget:
            listing = self._listing(filter, search, "number", latest_only, ())
            budget.plan = listing.plan
            if most == 0:
                return 0
            snapshot = not listing.plan.is_pushed
            with self._root.read(snapshot=snapshot) as reader, self._root.watching("count", listing.plan):
                return run.count(reader, listing.plan, listing.query, most)

    def count_by(
        self,
        field: str,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        latest_only: bool = True,
        limit: int = 100,
        timeout: Timeout = STORE_DEFAULT,
    ) -> dict[Any, int]:
        """Count the records that match by what they have at ``field``: facets.

        Each record counts once for each different value that it has there: the elements of an array, one by
            one. ``None``
        stands for null and missing. Arrays and objects themselves are not counted. ``true`` and ``1`` are
        different values and Python's dictionaries do not tell them apart: where both occur, the bool is left
        out.

        Args:
            field: a field path, such as ``"status"`` or ``"metadata.tags"``.
            filter, search, latest_only, timeout: as for :meth:`find`.
            limit: values to return, the most frequent first, then in sort order; 1 to 10,000.

        Raises:
            FilterError: the filter or search is wrong, or ``field`` names no field.
            InvalidPage: ``limit`` is out of range.
        """
        self._ready()
        check_window(limit=limit, offset=0, page=None, cursor=None, direction=None, most=10_000)
        path = facet_path(field, self._collection, self._root.limits)
        with self._root.budget(timeout) as budget:
            listing = self._listing(filter, search, "number", latest_only, ())
            budget.plan = listing.plan
            query = listing.query
            if path[0] == "content":
                query = replace(query, include=frozenset({"content"}))
            with self._root.read(snapshot=True) as reader, self._root.watching("count_by", listing.plan):
                grouped = run.grouped(reader, listing.plan, query, path)
                rows = run.walk(reader, listing.plan, query) if grouped is None else ()
                return counted(grouped, (decode(self._collection, row) for row in rows), path, limit)

    def exists(
        self,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        latest_only: bool = True,
        timeout: Timeout = STORE_DEFAULT,
    ) -> bool:
        """Return whether any record matches.

        Args:
            filter, search, latest_only, timeout: as for :meth:`find`.

        Raises:
            FilterError: the filter or search is wrong.
        """
        return (
            self.count(filter, search=search, latest_only=latest_only, at_most=1, timeout=timeout) > 0
        )

    def get(self, id: str, *, include: Iterable[str] = ()) -> T:
        """Return the record with this id, whichever version it is.

        Args:
            id: compared exactly.
            include: heavy fields to read.

        Raises:
            NotFound: there is none in this scope.
            FilterValueError: the id is no text.
        """
        self._ready()
        names = check_include(self._collection, include)
        key = self._id(id)
        with self._root.read() as reader:
            row = self._row(reader, key, include=names)
        made: T = record_from(self._collection, row)
        return made

    def get_many(self, ids: Iterable[str], *, include: Iterable[str] = ()) -> list[T]:
        """Return the records with these ids, in the order asked, each once; those not found are left out.

        Args:
            ids: at most 10,000.
            include: heavy fields to read.

        Raises:
            FilterValueError: an id is no text.
            FilterTooComplex: too many ids.
        """
        self._ready()
        names = check_include(self._collection, include)
        asked = self._ids(ids)
        if not asked:
            return []
        query = Query(self._collection, self._scope, In(("id",), tuple(asked)), include=names)
        with self._root.read() as reader:
            rows = self._run_exactly(reader, query)
        found: dict[str, Row] = {}
        for row in rows:
            found.setdefault(row["id"], row)
        return self._all_readable(found[id] for id in asked if id in found)

    def explain(
        self,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        sort: str | Sequence[str] = "-created_at",
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
    ) -> Plan:
        """Return how :meth:`find` with the same arguments would be run, without running it.

        Returns:
            The plan: what is pushed and what is residual and why, the statement, the database's own plan.
                ``str(plan)`` reads
            well in a terminal.

        Raises:
            As :meth:`find`, but never NotPushed.
        """
        self._ready()
        window = check_window(
            limit=limit,
            offset=offset,
            page=page,
            cursor=cursor,
            direction=direction,
            most=self._root.limits.page,
        )
        check_total(total)
        with self._root.budget(timeout):
            listing = self._listing(filter, search, sort, latest_only, include)
            query = listing.query
            if window.cursor is not None:
                position, way = self._place(listing, window.cursor)
                query = after(query, position, window.direction or way)
            if listing.plan.window_pushed:
                query = replace(query, limit=window.limit + 1, offset=window.offset or 0)
            with self._root.read(snapshot=True) as reader:
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
        self, reader: Reader, listing: Listing, window: Window, counts: bool | int, cut: Cut
    ) -> Page[T]:
        total, exact = total_of(reader, listing, counts)
        return page_from({
            "items": self._all_shown(listing, cut.rows, given=getattr(reader, "gives_rows", False)),
            "limit": window.limit,
            "offset": window.offset,
            "page": window.page,
            "total": total,
            "total_is_exact": exact,
            "has_more": cut.next is not None,
            "next_cursor": self._cursor(listing, cut.next, "next"),
            "prev_cursor": self._cursor(listing, cut.prev, "prev"),
        })  # fmt: skip

    def _all_shown(self, listing: Listing, rows: list[Row], *, given: bool) -> list[T]:
        if listing.include == listing.query.include:
            return records_from(self._collection, rows, given=given)
        return [self._shown(listing, row) for row in rows]

    def _batch(self, listing: Listing, timeout: Timeout, start: Position | None, size: int) -> list[Row]:
        snapshot = not listing.plan.window_pushed
        query = replace(listing.query, limit=size, after=start)
        with self._root.budget(timeout) as budget:
            budget.plan = listing.plan
            with self._root.read(snapshot=snapshot) as reader, self._root.watching("iterate", listing.plan):
                rows = run.rows(reader, listing.plan, query)
                if rows and fault_of(self._collection, rows[-1]) is not None:  # it is no place to go on from
                    rows = run.rows(reader, run.careful(listing.plan), query)
                return rows

    def _shown(self, listing: Listing, row: Row) -> T:
        """Return the record of a listing's row, without what only the residual read."""
        if "content" in row and "content" not in listing.include:
            row = {name: value for name, value in row.items() if name != "content"}
        made: T = record_from(self._collection, row)
        return made

    def _cursor(self, listing: Listing, position: Position | None, way: cursors.Way) -> str | None:
        if position is None:
            return None
        return cursors.encode(position, way, listing.bound, self._root.secrets)

    def _place(self, listing: Listing, text: str) -> tuple[Position, cursors.Way]:
        """Return where a cursor stands in a listing, and which way it goes."""
        root = self._root
        return cursors.decode(
            text, listing.bound, listing.query.order, self._collection, root.secrets, root.limits
        )
