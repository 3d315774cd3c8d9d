"""Records: the reading methods that documents and extractions share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from docstore.backend import (
    Explains,
    Query,
    Row,
    Scope,
)
from docstore.collection.pages import (
    Iteration,
    Pages,
    after,
    check_at_most,
    check_batch,
    check_total,
    check_window,
    stored_order,
)
from docstore.collection.summaries import MOST_VALUES, Columns, Summaries, columns_of, flat_row, table_of
from docstore.concurrency import STORE_DEFAULT, Timeout
from docstore.context.collection_view import (
    CollectionView,
    Filter,
    check_include,
    fields_read,
)
from docstore.context.store_context import StoreContext
from docstore.errors import (
    NotFound,
    missing,
)
from docstore.models import (
    FieldInfo,
    Page,
    ValuePage,
)
from docstore.query import executor
from docstore.query.expr import In
from docstore.query.facets import Facet
from docstore.query.planner import Plan
from docstore.query.sorting import Sort

if TYPE_CHECKING:
    import pyarrow

__all__ = ["REQUIRED", "Filter", "Records"]

T = TypeVar("T")
D = TypeVar("D")


class _Required(Enum):
    REQUIRED = "required"


# No default was given.
REQUIRED = _Required.REQUIRED


def _named(scope: Scope) -> tuple[tuple[str, str | None], ...]:
    return (("tenant", scope.tenant), ("owner", scope.owner))


class Records(Generic[T]):
    """The reading methods of one collection, within a scope.

    :class:`~docstore.documents.Documents` and :class:`~docstore.extractions.Extractions` add the writing.
    """

    def __init__(self, view: CollectionView[T]) -> None:
        self._view = view
        self._pages = Pages(view)
        self._summaries = Summaries(view)

    @property
    def _context(self) -> StoreContext:
        return self._view.context

    @property
    def _scope(self) -> Scope:
        return self._view.scope

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
                up to there is seen, whichever server is read. This store's own writes are always seen.

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
        self._view.ready(at_least)
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
            listing = self._view.listing(filter, search, stored_order(sort, search), latest_only, include)
            budget.plan = listing.plan
            if strict:
                self._view.refuse_residual(listing.plan)
            return self._pages.page(listing, filter, search, sort, window, counts)

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
        self._view.ready(at_least)
        size = check_batch(batch_size, self._context.limits.page)
        window = check_window(
            limit=size, offset=0, page=None, cursor=cursor, direction=None, most=self._context.limits.page
        )
        with self._context.budget(timeout):
            listing = self._view.listing(filter, search, stored_order(sort, search), latest_only, include)
        return self._pages.iterate(listing, filter, search, sort, size, window.cursor, timeout)

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

        Example:
            >>> store.documents.count({"status": "pending"}, at_most=1000)
            0
        """
        self._view.ready(at_least)
        most = check_at_most(at_most)
        with self._context.budget(timeout) as budget:
            listing = self._view.listing(filter, search, "number", latest_only, ())
            budget.plan = listing.plan
            if most == 0:
                return 0
            # A residual counts in batches, which must see one state.
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

        Example:
            >>> store.documents.exists({"metadata.vendor": "acme"})
            False
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
        self._view.ready(at_least)
        names = check_include(self._view.collection, include)
        try:
            key = self._view.id_of(id)
            with self._context.read() as reader:
                row = self._view.row(reader, key, include=fields_read(names))
        except NotFound:
            if default is REQUIRED:
                raise
            return default
        return self._pages.included(row, names)

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

        Example:
            >>> some = [store.documents.add(filename=name) for name in ("a.txt", "b.txt")]
            >>> store.documents.get_many([some[1], some[0], "none"]) == [some[1], some[0]]
            True
        """
        self._view.ready(at_least)
        names = check_include(self._view.collection, include)
        asked = self._view.ids_of(ids)
        if not asked:
            return []
        query = Query(
            self._view.collection, self._scope, In(("id",), tuple(asked)), include=fields_read(names)
        )
        with self._context.read() as reader:
            rows = self._view.run_exactly(reader, query)
        found: dict[str, Row] = {}
        for row in rows:
            # Several tenants may have an id: of an unscoped view the first one answers.
            found.setdefault(row["id"], row)
        shown = partial(self._pages.included, include=names)
        return self._view.all_readable((found[id] for id in asked if id in found), shown)

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
        self._view.ready(at_least)
        columns = columns_of(fields, self._view.collection, self._context.limits, "rows")
        return self._columns(columns, filter, search, sort, limit, latest_only, timeout)

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
        """Return records as an Arrow table (extra ``arrow``); ``.to_pandas()`` makes a data frame.

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

        Example:
            >>> table = store.documents.to_arrow(["id", "created_at", "metadata.amount"])
            >>> table.num_rows
            0
        """
        self._view.ready(at_least)
        named = self._view.collection.light() if fields is None else fields
        columns = columns_of(named, self._view.collection, self._context.limits, "to_arrow")
        walk = self._columns(columns, filter, search, sort, limit, latest_only, timeout)
        return table_of(columns, self._view.collection, walk)

    def _columns(
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
        most, collection = check_at_most(limit, "limit"), self._view.collection
        include = {path[0] for _, path in columns if collection.column(path[0]).heavy}
        with self._context.budget(timeout):
            listing = self._view.listing(filter, search, stored_order(sort, search), latest_only, include)
        flat = partial(flat_row, columns, collection)
        return self._pages.walk(listing, filter, search, sort, flat, most, timeout)

    def count_by(
        self,
        field: str,
        filter: Filter | None = None,
        *,
        by: str | float | None = None,
        search: str | None = None,
        latest_only: bool = True,
        limit: int = 100,
        timeout: Timeout = STORE_DEFAULT,
        at_least: str | None = None,
    ) -> Facet:
        """Count the records that match by what they have at ``field``: facets.

        Each record counts once for each different value that it has there: the elements of an array, one by
        one. ``None`` stands for null and missing. Arrays and objects themselves are not counted.

        Args:
            field: a field path, such as ``"status"`` or ``"metadata.tags"``.
            filter, search, latest_only, timeout, at_least: as for :meth:`find`.
            by: ``"day"``, ``"month"`` or ``"year"`` (in UTC) puts instants together, a number puts numbers
                into buckets of that width. The key is a bucket's beginning; other values are left out.
                ``None``: each value by itself.
            limit: values to return, the most frequent first, then in sort order; 1 to 10,000.

        Returns:
            A mapping from the values, as records show them (instants are ``datetime``), to counts. It tells
            1 from ``True``; 1 and 1.0 are one number.

        Raises:
            FilterError: the filter or search is wrong, or ``field`` names no field.
            InvalidPage: ``limit`` is out of range, or ``by`` does not go with the field.

        Example:
            >>> store.documents.count_by("created_at", by="month")
            {}
        """
        self._view.ready(at_least)
        check_window(limit=limit, offset=0, page=None, cursor=None, direction=None, most=MOST_VALUES)
        return self._summaries.count_by(
            field, filter, by=by, search=search, latest_only=latest_only, limit=limit, timeout=timeout
        )

    def distinct(
        self,
        field: str,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        contains: str | None = None,
        offset: int = 0,
        limit: int = 100,
        latest_only: bool = True,
        timeout: Timeout = STORE_DEFAULT,
        at_least: str | None = None,
    ) -> ValuePage:
        """List the different values at ``field``, a page at a time, with how many records have each.

        Args:
            field, filter, search, latest_only, timeout, at_least: as for :meth:`count_by`.
            contains: only text in which this occurs, compared as ``$isubstring`` does; ``None``: all values.
            offset: values to skip.
            limit: values on the page, 1 to 10,000.

        Returns:
            (value, count) pairs, the most frequent first, then in sort order; ``.total`` is how many there
            are.

        Raises:
            As :meth:`count_by`.

        Example:
            >>> store.documents.distinct("metadata.vendor", contains="acme").total
            0
        """
        self._view.ready(at_least)
        check_window(limit=limit, offset=offset, page=None, cursor=None, direction=None, most=MOST_VALUES)
        return self._summaries.distinct(
            field, filter, search=search, contains=contains, offset=offset, limit=limit,
            latest_only=latest_only, timeout=timeout,
        )  # fmt: skip

    def bounds(
        self,
        field: str,
        filter: Filter | None = None,
        *,
        search: str | None = None,
        latest_only: bool = True,
        timeout: Timeout = STORE_DEFAULT,
        at_least: str | None = None,
    ) -> tuple[Any, Any] | None:
        """Return the least and the greatest value at ``field``: of numbers, else instants, else text.

        Args:
            field, filter, search, latest_only, timeout, at_least: as for :meth:`count_by`.

        Returns:
            Both; ``None`` where there is no such value.

        Raises:
            FilterError: the filter or search is wrong, or ``field`` names no field.

        Example:
            >>> store.documents.bounds("created_at") is None
            True
        """
        self._view.ready(at_least)
        return self._summaries.bounds(field, filter, search=search, latest_only=latest_only, timeout=timeout)

    def fields(
        self,
        filter: Filter | None = None,
        *,
        prefix: str = "metadata",
        limit: int = 1000,
        latest_only: bool = True,
        timeout: Timeout = STORE_DEFAULT,
        at_least: str | None = None,
    ) -> list[FieldInfo]:
        """Return the paths that there are below a JSON field, those of most records first.

        Args:
            filter, latest_only, timeout, at_least: as for :meth:`count_by`.
            prefix: the field, or a path into it.
            limit: paths to return, 1 to 10,000.

        Raises:
            FilterError: the filter is wrong, or ``prefix`` names no JSON field.
            InvalidPage: ``limit`` is out of range.

        Example:
            >>> [field.path for field in store.documents.fields()]
            []
        """
        self._view.ready(at_least)
        check_window(limit=limit, offset=0, page=None, cursor=None, direction=None, most=MOST_VALUES)
        return self._summaries.fields(
            filter, prefix=prefix, limit=limit, latest_only=latest_only, timeout=timeout
        )

    # -- as a container ----------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return how many there are: :meth:`count`."""
        return self.count()

    def __bool__(self) -> bool:
        """Be true, whatever is in it: asking costs nothing."""
        return True

    def __contains__(self, id: object) -> bool:
        """Return whether there is a record with this id, whichever version it is: ``id in collection``."""
        self._view.ready()
        # As a list does: what is of another type is not in it, and no error.
        if not isinstance(id, (str, self._view.record_type)):
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
            The plan: which parts are pushed and which are residual, and why; the statement; the database's
            own plan. ``str(plan)`` reads well in a terminal.

        Raises:
            As :meth:`find`, but never NotPushed.

        Example:
            >>> plan = store.documents.explain({"metadata.tags": "important"}, sort="-created_at")
            >>> plan.is_pushed
            True
        """
        self._view.ready(at_least)
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
            listing = self._view.listing(filter, search, stored_order(sort, search), latest_only, include)
            query = listing.query
            if window.cursor is not None:
                position, way = self._pages.place(listing, window.cursor)
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
