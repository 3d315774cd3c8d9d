"""CollectionView: one collection within one scope.

It checks, plans and runs what a caller asks, and finds and changes single rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

from docstore.backend import (
    Changes,
    Lock,
    Query,
    Reader,
    Row,
    Scope,
    SingleStatementWrites,
    Support,
    Writer,
    update_rows,
)
from docstore.context.store_context import StoreContext, spelled
from docstore.errors import (
    BackendError,
    FilterSyntaxError,
    FilterTooComplex,
    FilterValueError,
    InvalidDocument,
    InvalidPage,
    NotFound,
    NotPushed,
    RevisionConflict,
    ScopeError,
    ScopeRequired,
    UnreadableRecord,
    shown,
)
from docstore.models import (
    Document,
    Extraction,
    readable_record,
    record_from,
    record_with,
)
from docstore.query import cursor as cursors
from docstore.query import executor
from docstore.query.expr import TRUE, Compare, Expr, Occurs, asked_fields, expr_to_json
from docstore.query.fields import DOCUMENTS, Collection, Kind
from docstore.query.parser import parse
from docstore.query.planner import Plan, conjunction, make_plan, normalize
from docstore.query.search import parse_search, search_terms
from docstore.query.sorting import Sort, parse_sort
from docstore.query.values import NotJson, by_value, check_text
from docstore.validation import Checks, check_order

__all__ = [
    "SNIPPET",
    "CollectionView",
    "Filter",
    "Listing",
    "Make",
    "check_include",
    "check_revision_argument",
    "fields_read",
]

T = TypeVar("T")
Filter = Mapping[str, Any]
_LATEST = Compare(("is_latest",), "eq", True)
_BY_NUMBER = Query(DOCUMENTS).order
# What can be included that is no stored field: the part of the content where a search's terms stand.
SNIPPET = "snippet"

_NONE: frozenset[str] = frozenset()
# A listing is usually asked for its first page and a few behind it; deep offsets must not pile up.
_WINDOWS = 8
# Columns whose change is more than one row's.
_NOT_ALONE = frozenset({"filename", "content"})
# From the row as it is, and now, to the columns to set, `None` to leave it as it is; or the exception that
# says why not.
Make = Callable[[Row, int], Mapping[str, Any] | None]


@dataclass(frozen=True)
class Listing:
    """A caller's query, planned.

    Attributes:
        query: what the backend is asked, its window aside.
        plan: what is left to the evaluator.
        include: the heavy fields that the caller asked for; the query may read more for the residual.
        bind: returns what its cursors are bound to.
        json_fields: the JSON fields that its order reads.
        terms: what its search asks for, where snippets show it.
        windows: its query with the windows last asked for.
    """

    query: Query
    plan: Plan
    include: frozenset[str]
    bind: Callable[[], bytes]
    json_fields: tuple[str, ...] = ()
    terms: tuple[Occurs, ...] = ()
    windows: dict[tuple[int, int], Query] = field(default_factory=dict)

    @cached_property
    def bound(self) -> bytes:
        """What its cursors are bound to: worked out when the first one is read or written."""
        return self.bind()

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


def check_include(collection: Collection, include: Iterable[str]) -> frozenset[str]:
    """Return the heavy fields to read.

    Raises:
        InvalidPage: it names a field that the record does not have.
    """
    if type(include) is tuple and not include:
        return _NONE
    if isinstance(include, str) or not isinstance(include, Iterable):
        raise InvalidPage(f"include={shown(include)}: expected a set of field names", argument="include")
    names: list[Any] = list(include)
    extra = (SNIPPET,) if "content" in collection.fields else ()
    for name in names:
        if not isinstance(name, str) or (name not in collection.fields and name not in extra):
            heavy = [name for name, field in collection.fields.items() if field.heavy]
            known = ", ".join([*heavy, *extra]) or "none"
            raise InvalidPage(
                f"include names {shown(name)}; the heavy fields are: {known}", argument="include"
            )
    return frozenset(name for name in names if name in extra or collection.fields[name].heavy)


def fields_read(include: frozenset[str]) -> frozenset[str]:
    """Return the heavy fields to read from the backend for what a caller includes."""
    return (include - {SNIPPET}) | {"content"} if SNIPPET in include else include


class CollectionView(Generic[T]):
    """One collection within one scope."""

    def __init__(
        self, context: StoreContext, scope: Scope, collection: Collection, *, confined: bool
    ) -> None:
        self.context = context
        self.scope = scope
        self.collection = collection
        self.confined = confined

    def ready(self, at_least: str | None = None) -> None:
        """Refuse a call on a closed store, or without a scope where one is required; see ``at_least``."""
        self.context.check_open()
        self.context.see(at_least)
        if self.context.scope_required and not self.confined:
            raise ScopeRequired(
                "this store was opened with scope_required=True: "
                "use store.scoped(tenant=..., owner=...) or store.unscoped()"
            )

    def ready_to_write(self, what: str) -> None:
        """As :meth:`ready`; refuse what a store that is read only cannot do. ``what`` names the call."""
        context = self.context
        if context.closed or context.read_only or (context.scope_required and not self.confined):
            self.ready()
            context.check_writable(what)

    def listing(
        self,
        filter: Filter | None,
        search: str | None,
        sort: Sort,
        latest_only: bool,
        include: Iterable[str],
    ) -> Listing:
        """Return the planned query of a caller's arguments, from the plan cache where it is there."""
        names, scope = check_include(self.collection, include), self.scope
        key = spelled((
            self.collection.name, scope.tenant, scope.owner, filter, search, sort, latest_only, sorted(names)
        ))  # fmt: skip
        found: Listing | None = self.context.listings.get(key)
        if found is not None:
            return found
        made = self._planned_listing(filter, search, sort, latest_only, names)
        self.context.listings.put(key, made)
        return made

    def _planned_listing(
        self,
        filter: Filter | None,
        search: str | None,
        sort: Sort,
        latest_only: bool,
        names: frozenset[str],
    ) -> Listing:
        """Parse, normalize, plan and prepare."""
        root, collection = self.context, self.collection
        order = parse_sort(sort, collection, root.limits)
        parsed = self.parsed(filter)
        wanted = self.latest(latest_only)
        searched: Expr = TRUE
        if search is not None:
            searched = parse_search(search, collection, root.limits, marks=root.search_marks)
        expr = conjunction((parsed, searched, wanted))
        query, plan = self.planned(Query(collection, self.scope, expr, order, include=fields_read(names)))

        def bind() -> bytes:
            text = expr_to_json(parsed)
            return cursors.binding(collection, text, search, order, wanted is not TRUE, self.scope)

        return Listing(
            query, plan, names, bind,
            json_fields=tuple({
                key.path[0]: None for key in order if collection.fields[key.path[0]].kind is Kind.JSON
            }),
            terms=search_terms(search, marks=root.search_marks) if SNIPPET in names else (),
        )  # fmt: skip

    def latest(self, latest_only: bool) -> Expr:
        """Return the condition of ``latest_only``; TRUE where it asks for nothing.

        Raises:
            InvalidPage: it is neither True nor False: a query string's ``"false"`` would count as True.
        """
        if not isinstance(latest_only, bool):
            raise InvalidPage(
                f"latest_only={shown(latest_only)}: expected True or False", argument="latest_only"
            )
        return _LATEST if latest_only and "is_latest" in self.collection.fields else TRUE

    def parsed(self, filter: Filter | None) -> Expr:
        """Return a caller's filter, parsed and normalized.

        Raises:
            FilterError: it is wrong; ``.path`` says where.
        """
        if filter is None:
            return TRUE
        return normalize(
            parse(
                filter,
                self.collection,
                limits=self.context.limits,
                default_timezone=self.context.default_timezone,
            )
        )

    def planned(self, query: Query) -> tuple[Query, Plan]:
        """Plan a query; what the residual reads is fetched, too."""
        plan = make_plan(self.context.backend, self.collection, query.where, query.order)
        include = query.include
        if not plan.is_pushed and "content" in self.collection.fields:
            include = include | ({"content"} & asked_fields(plan.residual))
        asked = (
            query.collection, query.scope, plan.pushed, query.order, query.after, query.offset, query.limit,
            include, query.lock,
        )  # fmt: skip
        return Query(*asked, self.context.prepare(Query(*asked))), plan

    def refuse_residual(self, plan: Plan) -> None:
        """Raise NotPushed if a part of the plan is left to the evaluator."""
        if not (plan.is_pushed and plan.sort_pushed):
            reasons = (*plan.reasons(), *plan.sort_reasons)
            raise NotPushed(
                f"strict: the {plan.backend} backend cannot run all of this query by itself: "
                f"{'; '.join(reasons)}; without strict=True the rest is done here, row by row",
                reasons=reasons,
            )

    def run_exactly(self, reader: Reader, query: Query) -> list[Row]:
        """Run a query of the library's own."""
        planned, plan = self.planned(query)
        return executor.rows(reader, plan, planned)

    def row(self, reader: Reader, id: str, *, include: frozenset[str] = frozenset(), lock: Any = None) -> Row:
        """Return the row with this id within the scope.

        Raises:
            NotFound: there is none.
        """
        rows = self._keyed(reader, self.collection, Compare(("id",), "eq", id), 1, include, lock)
        if not rows:
            raise NotFound(f"no {self.collection.name.rstrip('s')} with the id {shown(id)}", id=id)
        return rows[0]

    def _keyed(
        self, reader: Reader, collection: Collection, leaf: Compare, limit: int, include: frozenset[str],
        lock: Lock | None,
    ) -> Sequence[Row]:  # fmt: skip
        """Return the first rows of a key. Every get and change comes through here, so the plan is made by
        hand where the backend is exact.
        """
        query = Query(collection, self.scope, leaf, _BY_NUMBER, None, 0, limit, include, lock)
        backend = self.context.backend
        exact = backend.support(collection, leaf).support is Support.EXACT
        exact = exact and backend.sorts(collection, _BY_NUMBER[0]).support is Support.EXACT
        return reader.select(query) if exact else self.run_exactly(reader, query)

    @property
    def noun(self) -> str:
        """The word for a record in errors: ``document`` or ``extraction``."""
        return self.collection.name.rstrip("s")

    @property
    def record_type(self) -> type[Document | Extraction]:
        """The class of the collection's records."""
        return Document if self.collection is DOCUMENTS else Extraction

    def record_of(self, row: Row) -> T:
        """Return the record of a row; its private columns are left out."""
        made: T = record_from(self.collection, row)
        return made

    def record_as(self, record: Any, row: Row | None = None, written: Row | None = None) -> T:
        """Return the record of ``row``, or of what was written of it then."""
        if row is not None and written is not None:
            columns = {name: value for name, value in written.items() if value is not row[name]}
            record = record_with(self.collection, record, columns)
        made: T = record
        return made

    def all_readable(self, rows: Iterable[Row], record: Callable[[Row], T] | None = None) -> list[T]:
        """Return the records of rows; those that cannot be read are left out, with a warning."""
        record = record or self.record_of
        made: list[T] = []
        for row in rows:
            try:
                made.append(record(row))
            except UnreadableRecord as broken:
                executor.leave_out(row, broken.reason)
        return made

    def id_of(self, id: Any, of: type[Document | Extraction] | None = None) -> str:
        """Return the id that was given, or that of the record that was given."""
        if type(id) is str and id.isascii() and "\0" not in id:
            return id
        value = id.id if isinstance(id, of or self.record_type) else by_value(id)
        if not isinstance(value, str):
            expected = "text, or a record: " + (of or self.record_type).__name__
            what = f"id: expected {expected}, not {type(id).__name__}"
            raise FilterValueError(what, path="id", expected=expected)
        try:
            return check_text(value)
        except NotJson:
            raise NotFound(
                f"no {self.collection.name.rstrip('s')} with the id {shown(id)}", id=value
            ) from None

    def ids_of(self, ids: Iterable[Any]) -> list[str]:
        """Return the different ids that a caller gave, as ids or records, in order.

        Raises:
            FilterError: one is no text, or there are too many.
        """
        if isinstance(ids, str) or not isinstance(ids, Iterable):
            raise FilterSyntaxError("ids: expected a list of texts", path="ids")
        asked: dict[str, None] = {}
        for at, id in enumerate(ids):
            if at >= self.context.limits.list_length:
                raise FilterTooComplex(
                    f"more than {self.context.limits.list_length} ids",
                    path="ids",
                    bound="list_length",
                    limit=self.context.limits.list_length,
                )
            try:
                asked[self.id_of(id)] = None
            # An id that no record can have, such as one with a lone surrogate, names none.
            except NotFound:
                continue
        return list(asked)

    # -- changing rows -----------------------------------------------------------------------------

    @cached_property
    def checks(self) -> Checks:
        """The checks of a caller's values under the store's bounds."""
        root = self.context
        return Checks(root.limits, root.default_timezone, root.metadata_default)

    def mine(
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
        wanted = self.collection if collection is None else collection
        where = Compare(("id",), "eq", id) if number is None else Compare(("number",), "eq", number)
        rows = self._keyed(writer, wanted, where, 2, include, lock)
        return rows[0] if len(rows) == 1 else _only(rows, id, wanted.name.rstrip("s"))

    def changed(
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
        key = self.id_of(id)
        expected = None if if_revision is None else check_revision_argument(if_revision)
        tried: Row | None = None
        # One statement compares the revision and writes; nothing is locked between reading and writing.
        if along is None and first is None and (backend := self.context.alone) is not None:
            row, now = self._now(backend, key, include, number)
            record = readable_record(self.collection, row)
            self.check_revision(row, expected)
            changes = make(row, now)
            if changes is None:
                return self.record_as(record)
            if _NOT_ALONE.isdisjoint(changes):
                written = _written(row, changes, now, touch=touch)
                tried = _as_written(row, written)
                done, unknown = self.context.written_single(
                    lambda: backend.update_single(self.collection, row, written)
                )
                if done:
                    return self.record_as(record, row, tried)
                tried = tried if unknown else None

        def work(writer: Writer) -> T:
            nonlocal tried
            if first is not None:
                first(writer)
            row = self.mine(writer, key, include=include, number=number)
            record = readable_record(self.collection, row)
            # This is a second run, after a commit whose answer was lost: it was done.
            if tried is not None and _recognised(row, tried):
                return self.record_as(record)
            self.check_revision(row, expected)
            now = writer.now()
            changes = make(row, now)
            if changes is None:
                return self.record_as(record)
            tried = self.write(writer, row, changes, now, touch=touch)
            if along is not None:
                along(writer, row, now)
            return self.record_as(record, row, tried)

        return self.context.written(work, recognises=True)

    def _now(
        self, backend: SingleStatementWrites, id: str, include: frozenset[str], number: int | None
    ) -> tuple[Row, int]:
        """Return the row with this id as it is, and now."""
        where = Compare(("id",), "eq", id) if number is None else Compare(("number",), "eq", number)
        rows, now = backend.select_now(Query(self.collection, self.scope, where, limit=2, include=include))
        return _only(rows, id, self.noun), now

    def write(self, writer: Writer, row: Row, changes: Mapping[str, Any], now: int, *, touch: bool) -> Row:
        """Write changes to a row, its revision one higher; return the row as it is then."""
        written = _written(row, changes, now, touch=touch)
        if not writer.update(self.collection, row, written):
            raise NotFound(f"no {self.noun} with the id {shown(row['id'])}", id=row["id"])
        return _as_written(row, written)

    def write_many(self, writer: Writer, changes: Changes, now: int, *, touch: bool) -> list[Row]:
        """Write changes to different rows; return each as it is then."""
        written = [(row, _written(row, columns, now, touch=touch)) for row, columns in changes]
        if not update_rows(writer, self.collection, written):
            raise NotFound(f"no {self.noun} with one of the ids found", id=changes[0][0]["id"])
        return [_as_written(row, columns) for row, columns in written]

    def check_revision(self, row: Row, expected: int | None) -> None:
        """Raise RevisionConflict if the row is at another revision than a caller expects."""
        if expected is not None and row["revision"] != expected:
            raise RevisionConflict(
                f"{self.noun} {shown(row['id'])} is at revision {row['revision']}, not {expected}",
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
    """Return whether the row is what was written before the connection was lost.

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
