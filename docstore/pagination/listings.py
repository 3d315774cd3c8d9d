"""Asking: from what a caller gives to a planned query, and to single rows. Shared by reading and writing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from docstore.backend import Query, Reader, Row, Scope, Support
from docstore.context import StoreContext
from docstore.errors import (
    FilterSyntaxError,
    FilterTooComplex,
    FilterValueError,
    NotFound,
    NotPushed,
    ScopeRequired,
    UnreadableRecord,
    shown,
)
from docstore.models import Document, Extraction, record_from
from docstore.pagination.windows import SNIPPET, Listing, check_include, fields_read, listing_of
from docstore.plan_cache import spelled
from docstore.query import cursor as cursors
from docstore.query import executor
from docstore.query.explain import Plan
from docstore.query.expr import TRUE, Compare, Expr, asked_fields, expr_to_json
from docstore.query.fields import DOCUMENTS, Collection
from docstore.query.optimizer import conjunction, normalize
from docstore.query.parser import parse
from docstore.query.planner import make_plan
from docstore.query.search import parse_search, search_terms
from docstore.query.sorting import Sort, parse_sort
from docstore.query.values import NotJson, by_value, check_text

__all__ = ["Asking", "Filter"]

T = TypeVar("T")
Filter = Mapping[str, Any]
_LATEST = Compare(("is_latest",), "eq", True)
_BY_NUMBER = Query(DOCUMENTS).order


class Asking(Generic[T]):
    """One collection as a scope may see it: what every call on it begins with."""

    _collection: Collection

    def __init__(self, root: StoreContext, scope: Scope, *, confined: bool) -> None:
        self._context = root
        self._scope = scope
        self._confined = confined

    def _ready(self, at_least: str | None = None) -> None:
        self._context.check_open()
        self._context.see(at_least)
        if self._context.scope_required and not self._confined:
            raise ScopeRequired(
                "this store was opened with scope_required=True: "
                "use store.scoped(tenant=..., owner=...) or store.unscoped()"
            )

    def _ready_to_write(self, what: str) -> None:
        self._ready()
        self._context.check_writable(what)

    def _listing(
        self,
        filter: Filter | None,
        search: str | None,
        sort: Sort,
        latest_only: bool,
        include: Iterable[str],
    ) -> Listing:
        names, scope = check_include(self._collection, include), self._scope
        key = spelled((
            self._collection.name, scope.tenant, scope.owner, filter, search, sort, latest_only, sorted(names)
        ))  # fmt: skip
        found: Listing | None = self._context.listings.get(key)
        if found is not None:
            return found
        made = self._planned_listing(filter, search, sort, latest_only, names)
        self._context.listings.put(key, made)
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
        root, collection = self._context, self._collection
        order = parse_sort(sort, collection, root.limits)
        parsed = self._parsed(filter)
        wanted = self._latest(latest_only)
        searched = parse_search(search, collection, root.limits, marks=root.search_marks)
        expr = conjunction((parsed, searched, wanted))
        query, plan = self._planned(Query(collection, self._scope, expr, order, include=fields_read(names)))
        bound = cursors.binding(
            collection, expr_to_json(parsed), search, order, wanted is not TRUE, self._scope
        )
        terms = search_terms(search, marks=root.search_marks) if SNIPPET in names else ()
        return listing_of(query, plan, names, bound, terms)

    def _latest(self, latest_only: bool) -> Expr:
        return _LATEST if latest_only and "is_latest" in self._collection.fields else TRUE

    def _parsed(self, filter: Filter | None) -> Expr:
        return normalize(
            parse(
                filter,
                self._collection,
                limits=self._context.limits,
                default_timezone=self._context.default_timezone,
            )
        )

    def _planned(self, query: Query) -> tuple[Query, Plan]:
        """Plan a query; what the residual reads is fetched, too."""
        plan = make_plan(self._context.backend, self._collection, query.where, query.order)
        include = query.include
        if not plan.is_pushed and "content" in self._collection.fields:
            include = include | ({"content"} & asked_fields(plan.residual))
        asked = (
            query.collection, query.scope, plan.pushed, query.order, query.after, query.offset, query.limit,
            include, query.lock,
        )  # fmt: skip
        return Query(*asked, self._context.prepare(Query(*asked))), plan

    def _refuse_residual(self, plan: Plan) -> None:
        if not (plan.is_pushed and plan.sort_pushed):
            reasons = (*plan.reasons(), *plan.sort_reasons)
            raise NotPushed(
                f"strict: the {plan.backend} backend cannot run all of this query by itself: "
                f"{'; '.join(reasons)}; without strict=True the rest is done here, row by row",
                reasons=reasons,
            )

    def _run_exactly(self, reader: Reader, query: Query) -> list[Row]:
        """Run a query of the library's own."""
        planned, plan = self._planned(query)
        return executor.rows(reader, plan, planned)

    def _row(
        self, reader: Reader, id: str, *, include: frozenset[str] = frozenset(), lock: Any = None
    ) -> Row:
        leaf, backend = Compare(("id",), "eq", id), self._context.backend
        query = Query(self._collection, self._scope, leaf, _BY_NUMBER, None, 0, 1, include, lock)
        exact = backend.judge(self._collection, leaf).support is Support.EXACT
        exact = exact and backend.sorts(self._collection, _BY_NUMBER[0]).support is Support.EXACT
        rows = reader.select(query) if exact else self._run_exactly(reader, query)
        if not rows:
            raise NotFound(f"no {self._collection.name.rstrip('s')} with the id {shown(id)}", id=id)
        return rows[0]

    @property
    def _noun(self) -> str:
        return self._collection.name.rstrip("s")

    @property
    def _record_type(self) -> type[Document | Extraction]:
        return Document if self._collection is DOCUMENTS else Extraction

    def _made(self, row: Row) -> T:
        made: T = record_from(
            self._collection, {name: row[name] for name in self._collection.fields if name in row}
        )
        return made

    def _all_readable(self, rows: Iterable[Row], record: Callable[[Row], T] | None = None) -> list[T]:
        """Return the records of rows; those that cannot be read are left out, with a warning."""
        record = record or self._made
        made: list[T] = []
        for row in rows:
            try:
                made.append(record(row))
            except UnreadableRecord as broken:
                executor.leave_out(row, broken.reason)
        return made

    def _id(self, id: Any, of: type[Document | Extraction] | None = None) -> str:
        """Return the id of a record (of another kind than this collection's) that was given, or the id
        itself.
        """
        value = id.id if isinstance(id, of or self._record_type) else by_value(id)
        if not isinstance(value, str):
            expected = "text, or a record: " + (of or self._record_type).__name__
            what = f"id: expected {expected}, not {type(id).__name__}"
            raise FilterValueError(what, path="id", expected=expected)
        try:
            return check_text(value)
        except NotJson:
            raise NotFound(
                f"no {self._collection.name.rstrip('s')} with the id {shown(id)}", id=value
            ) from None

    def _ids(self, ids: Iterable[Any]) -> list[str]:
        if isinstance(ids, str) or not isinstance(ids, Iterable):
            raise FilterSyntaxError("ids: expected a list of texts", path="ids")
        asked: dict[str, None] = {}
        for at, id in enumerate(ids):
            if at >= self._context.limits.list_length:
                raise FilterTooComplex(
                    f"more than {self._context.limits.list_length} ids",
                    path="ids",
                    bound="list_length",
                    limit=self._context.limits.list_length,
                )
            try:
                asked[self._id(id)] = None
            except NotFound:
                continue
        return list(asked)
