"""DocumentsView: the documents within one scope.

A change of a document also changes its version chain, its extractions and its bytes. Changes by a filter run
in batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from docstore import lifecycle
from docstore.backend import BlobState, Query, Row, Scope, Writer
from docstore.concurrency import Budget
from docstore.context.collection_view import CollectionView, Filter
from docstore.context.store_context import StoreContext
from docstore.crash_points import reached
from docstore.errors import (
    DocstoreError,
    FilterSyntaxError,
    QueryTimeout,
)
from docstore.models import Document
from docstore.query import executor
from docstore.query.expr import And, Compare
from docstore.query.fields import DOCUMENTS, EXTRACTIONS
from docstore.query.planner import Plan
from docstore.writes.insertion import blob_of, forget_blobs
from docstore.writes.results import UpdateResult
from docstore.writes.updates import MOVES

__all__ = ["BATCH", "DocumentsView"]

_KEPT: tuple[BlobState, ...] = ("pending", "live")
BATCH = 1000
"""Documents changed or removed in one commit."""


class DocumentsView(CollectionView[Document]):
    """The documents of a store, as one scope sees them."""

    def __init__(self, context: StoreContext, scope: Scope, *, confined: bool) -> None:
        super().__init__(context, scope, DOCUMENTS, confined=confined)

    def write(self, writer: Writer, row: Row, changes: Mapping[str, Any], now: int, *, touch: bool) -> Row:
        """Write changes to a row; a new filename and owner are the extractions', too, and an owner the
        bytes'.
        """
        if MOVES & changes.keys():
            owner, name = (changes.get(field, row[field]) for field in ("owner", "external_id"))
            changes = {**changes, **lifecycle.moved_columns(writer, row, owner, name)}
        written = super().write(writer, row, changes, now, touch=touch)
        theirs = {name: written[name] for name in ("filename", "owner") if written[name] != row[name]}
        if theirs:
            self._change_extractions(writer, row, theirs)
        if "owner" in theirs and written["blob_key"] is not None:
            writer.update_blob(blob_of(written), _KEPT, owner=written["owner"])
        if MOVES & changes.keys() and lifecycle.chain_of(written) != lifecycle.chain_of(row):
            lifecycle.promote_newest(writer, [row])
        return written

    def _change_extractions(self, writer: Writer, row: Row, columns: Mapping[str, Any]) -> None:
        where = And((Compare(("document_id",), "eq", row["id"]), Compare(("tenant",), "eq", row["tenant"])))
        for extraction in writer.select(Query(EXTRACTIONS, where=where)):
            writer.update(EXTRACTIONS, extraction, columns)

    def remove(self, writer: Writer, rows: list[Row]) -> None:
        """Remove rows that are locked, their chains before them."""
        forget_blobs(writer, rows)
        writer.delete(DOCUMENTS, rows)
        lifecycle.promote_newest(writer, rows)
        reached("D1")

    def chosen(self, filter: Filter, include: frozenset[str], budget: Budget) -> tuple[Query, Plan]:
        """Plan what ``update_many`` and ``delete_many`` choose by a filter."""
        if filter is None:
            raise FilterSyntaxError("a filter is required here: {} means all documents", path="")
        with budget:
            query = Query(self.collection, self.scope, self.parsed(filter), include=include)
            planned = self.planned(query)
            budget.plan = planned[1]
        return planned

    def in_batches(
        self, chosen: tuple[Query, Plan], act: Callable[[Writer, list[Row]], int], budget: Budget
    ) -> UpdateResult:
        """Put the rows that match to ``act``, by number, a batch and commit at a time; add up what it
        returns.
        """
        query, plan = chosen
        matched = changed = 0
        after: tuple[int] | None = None
        while True:
            batch = replace(query, after=after, limit=BATCH)

            def work(writer: Writer, batch: Query = batch) -> tuple[list[Row], int]:
                with self.context.finding(writer, budget):
                    rows = executor.rows(writer, plan, batch)
                return rows, act(writer, rows) if rows else 0

            try:
                rows, done = self.context.written(work, budget=budget)
            except DocstoreError as failed:
                failed.matched, failed.changed = matched, changed
                if isinstance(failed, QueryTimeout):
                    stays = f"earlier batches stay: {matched} documents, {changed} of them changed"
                    failed.args = (f"{failed.message}; {stays}",)
                raise
            matched, changed = matched + len(rows), changed + done
            if len(rows) < BATCH:
                return UpdateResult(matched, changed)
            after = (rows[-1]["number"],)
