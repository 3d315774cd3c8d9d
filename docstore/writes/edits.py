"""Edits: change and remove documents, one by one or by a filter.

A change of a document also changes its version chain, its extractions and its bytes. Changes by a filter run
in batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from docstore import lifecycle
from docstore.backend import BlobRow, BlobState, Changes, Query, Row, Scope, Writer, update_rows
from docstore.blobs import open_source
from docstore.concurrency import STORE_DEFAULT, Budget, Timeout
from docstore.context.collection_view import CollectionView, Filter, check_revision_argument
from docstore.context.store_context import StoreContext
from docstore.crash_points import reached
from docstore.errors import (
    DocstoreError,
    FilterSyntaxError,
    InvalidDocument,
    NotFound,
    QueryTimeout,
    ScopeError,
    UnreadableRecord,
)
from docstore.models import Document, readable
from docstore.query import executor
from docstore.query.expr import And, Compare, In
from docstore.query.fields import DOCUMENTS, EXTRACTIONS
from docstore.query.planner import Plan, normalize
from docstore.writes.insertion import BlobWrite, forget_blobs, make_live, put_bytes
from docstore.writes.results import UpdateResult
from docstore.writes.updates import MOVES, Edit, document_edit

__all__ = [
    "BATCH",
    "DocumentsView",
    "Edits",
]

_KEPT: tuple[BlobState, ...] = ("pending", "live")
# Documents changed or removed in one commit.
BATCH = 1000
# Documents whose new columns are held, and written, together: their metadata may be long.
_TOGETHER = 250


_FOLLOWED = MOVES | {"filename"}
"""Columns that other rows follow."""


class DocumentsView(CollectionView[Document]):
    """The documents of a store, as one scope sees them."""

    def __init__(self, context: StoreContext, scope: Scope, *, confined: bool) -> None:
        super().__init__(context, scope, DOCUMENTS, confined=confined)

    def write_many(self, writer: Writer, changes: Changes, now: int, *, touch: bool) -> list[Row]:
        """Write changes to different rows; a new filename and owner are the extractions', too, and an owner
        the bytes'. Rows that move to another chain are written one after the other: each finds what the one
        before it left.
        """
        if _FOLLOWED.isdisjoint({name for _, columns in changes for name in columns}):
            return super().write_many(writer, changes, now, touch=touch)
        moves = any(not MOVES.isdisjoint(columns) for _, columns in changes)
        if moves and len(changes) > 1:
            return [self.write(writer, *change, now, touch=touch) for change in changes]
        if moves:
            ((row, columns),) = changes
            owner, name = (columns.get(field, row[field]) for field in ("owner", "external_id"))
            changes = [(row, {**columns, **lifecycle.moved_columns(writer, row, owner, name)})]
        written = super().write_many(writer, changes, now, touch=touch)
        self._change_extractions(writer, [row for row, _ in changes], written)
        if moves:
            self._moved(writer, row, written[0])
        return written

    def write(self, writer: Writer, row: Row, changes: Mapping[str, Any], now: int, *, touch: bool) -> Row:
        """Write changes to a row, as :meth:`write_many` does."""
        if _FOLLOWED.isdisjoint(changes):
            return super().write(writer, row, changes, now, touch=touch)
        (written,) = self.write_many(writer, [(row, changes)], now, touch=touch)
        return written

    def _moved(self, writer: Writer, row: Row, written: Row) -> None:
        """Let bytes follow a row that has another owner, and the chain it left have a latest."""
        if written["owner"] != row["owner"] and written["blob_key"] is not None:
            writer.update_blob(BlobRow.of(written), _KEPT, owner=written["owner"])
        if lifecycle.chain_of(written) != lifecycle.chain_of(row):
            lifecycle.promote_newest(writer, [row])

    def _change_extractions(self, writer: Writer, rows: Sequence[Row], written: Sequence[Row]) -> None:
        """Let extractions follow documents that have another filename or owner."""
        changes: dict[str | None, dict[str, Row]] = {}
        for row, made in zip(rows, written, strict=True):
            theirs = {name: made[name] for name in ("filename", "owner") if made[name] != row[name]}
            if theirs:
                changes.setdefault(row["tenant"], {})[row["id"]] = theirs
        for tenant, named in changes.items():
            where = And((In(("document_id",), tuple(named)), Compare(("tenant",), "eq", tenant)))
            found = writer.select(Query(EXTRACTIONS, where=where))
            update_rows(writer, EXTRACTIONS, [(one, named[one["document_id"]]) for one in found])

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
        """Put matching rows to ``act`` by number, a batch a commit; return the sum of its results."""
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


_PRIVATE = frozenset({"blob_key"})


class Edits:
    """Changes and removals of documents, as one scope may make them."""

    def __init__(self, view: DocumentsView) -> None:
        self._view = view
        self._context = view.context

    def update(
        self,
        id: str | Document,
        operators: Mapping[str, Any] | None = None,
        /,
        *,
        source: Any = None,
        sha256: str | None = None,
        size: int | None = None,
        if_revision: int | None = None,
        touch: bool = True,
        changes: Mapping[str, Any],
    ) -> Document:
        """Change a document: see Documents.update."""
        self._view.ready_to_write("update")
        edit = document_edit(operators, changes, self._view.checks)
        self._check_move(edit, changes)
        if source is not None:
            return self._replaced(
                id, source, edit, sha256=sha256, size=size, if_revision=if_revision, touch=touch
            )
        if sha256 is not None or size is not None:
            raise InvalidDocument(
                "sha256 and size say what source= must have; there is no source", field="sha256"
            )
        moves = edit.names & MOVES
        made = self._view.changed(
            id, edit, if_revision=if_revision, touch=touch,
            include=edit.reads | (_PRIVATE if moves else frozenset()),
            first=partial(self._lock_move, self._view.id_of(id), edit) if moves else None,
        )  # fmt: skip
        return made.model_copy(update={"content": None}) if edit.reads else made

    def _check_move(self, edit: Edit, changes: Mapping[str, Any]) -> None:
        """Refuse to give a document to an owner that this store is not confined to."""
        confined = self._view.scope.owner
        if confined is not None and "owner" in edit.names:
            fields = {} if edit.update is None else edit.update.fields
            owner = changes["owner"] if "owner" in changes else fields["owner"]
            if owner != confined:
                raise ScopeError(f"owner={owner!r}: this store is confined to owner={confined!r}")

    def _lock_move(self, key: str, edit: Edit, writer: Writer) -> None:
        """Lock the chain that a document leaves and the one that it joins, before its row."""
        row = self._view.mine(writer, key, lock=None)
        columns = edit(row, 0) or {}
        target = {name: columns.get(name, row[name]) for name in MOVES}
        _lock_chains(writer, [row, {**row, **target}])

    def _replaced(
        self,
        id: str | Document,
        source: Any,
        edit: Edit,
        *,
        sha256: str | None,
        size: int | None,
        if_revision: int | None,
        touch: bool,
    ) -> Document:
        """Write bytes under a fresh key, then change the row and give up the old ones in one commit."""
        checks = self._view.checks
        expected = check_revision_argument(if_revision)
        with self._context.read() as reader:
            row = self._view.mine(reader, self._view.id_of(id), lock=None)
        self._view.check_revision(row, expected)
        self._context.check_source(source)
        self._context.bytes()
        with open_source(source) as opened:
            put = BlobWrite(opened, row["tenant"], row["owner"])
            put.size = None if size is None else checks.size(size)
            put.sha256 = None if sha256 is None else checks.sha256(sha256)

            def with_bytes(row: Row, now: int) -> Mapping[str, Any]:
                stored = {"size": put.written.size, "sha256": put.written.sha256, "blob_key": put.key}
                return {**(edit(row, now) or {}), **stored}

            def along(writer: Writer, row: Row, now: int) -> None:
                make_live(writer, put, now)
                forget_blobs(writer, [row])
                reached("P4.1")

            def commit() -> Document:
                changed = self._view.changed(
                    id,
                    with_bytes,
                    if_revision=expected,
                    touch=touch,
                    include=_PRIVATE,
                    along=along,
                    first=partial(self._lock_move, self._view.id_of(id), edit)
                    if edit.names & MOVES
                    else None,
                )
                self._context.committed("P4.2")
                return changed

            replaced = put_bytes(self._context, [put], commit)
        reached("P5")
        return replaced

    def update_many(
        self,
        filter: Filter,
        operators: Mapping[str, Any] | None = None,
        /,
        *,
        touch: bool = True,
        timeout: Timeout = STORE_DEFAULT,
        changes: Mapping[str, Any],
    ) -> UpdateResult:
        """Change all documents that match: see Documents.update_many."""
        self._view.ready_to_write("update_many")
        edit = document_edit(operators, changes, self._view.checks)
        self._check_move(edit, changes)
        if "external_id" in edit.names:
            raise InvalidDocument(
                "update_many does not set external_id: documents are moved to a chain one by one, by update",
                field="external_id",
            )

        def act(writer: Writer, rows: list[Row]) -> int:
            now = writer.now()
            if "owner" in edit.names:
                owner = edit.change(rows[0], now)["owner"]
                _lock_chains(writer, [*rows, *({**row, "owner": owner} for row in rows)])
                numbers = In(("number",), tuple(row["number"] for row in rows))
                rows = executor.rows(
                    writer, plan, replace(query, where=normalize(And((numbers, query.where))), lock="wait")
                )
            return sum(
                len(self._view.write_many(writer, _edited(edit, some, now), now, touch=touch))
                for some in (rows[at : at + _TOGETHER] for at in range(0, len(rows), _TOGETHER))
            )

        budget = self._context.budget(timeout)
        moves = edit.names & MOVES
        query, plan = self._view.chosen(filter, edit.reads | (_PRIVATE if moves else frozenset()), budget)
        chosen = query if moves else replace(query, lock="wait")
        return self._view.in_batches((chosen, plan), act, budget)

    def retry_many(self, filter: Filter, *, timeout: Timeout = STORE_DEFAULT) -> UpdateResult:
        """Send documents back to the queue: see Documents.retry_many."""
        self._view.ready_to_write("retry_many")

        def act(writer: Writer, rows: list[Row]) -> int:
            again = [row for row in rows if row["status"] in ("failed", "completed")]
            changed = [(row, lifecycle.retried(row)) for row in again]
            return len(self._view.write_many(writer, changed, writer.now(), touch=True))

        budget = self._context.budget(timeout)
        query, plan = self._view.chosen(filter, frozenset(), budget)
        return self._view.in_batches((replace(query, lock="wait"), plan), act, budget)

    def delete(self, id: str | Document, *, if_revision: int | None = None) -> None:
        """Remove a document: see Documents.delete."""
        self._view.ready_to_write("delete")
        key, expected = self._view.id_of(id), check_revision_argument(if_revision)
        tried = False

        def work(writer: Writer) -> None:
            nonlocal tried
            try:
                _lock_chains(writer, [self._view.mine(writer, key, lock=None)])
                row = self._view.mine(writer, key, include=_PRIVATE)
            except NotFound:
                if tried:  # removed by the commit whose outcome was unknown
                    return
                raise
            self._view.check_revision(row, expected)
            tried = True
            self._view.remove(writer, [row])

        self._context.written(work, recognises=True)
        self._context.committed("D2")

    def delete_many(self, filter: Filter, *, timeout: Timeout = STORE_DEFAULT) -> int:
        """Remove all documents that match: see Documents.delete_many."""
        self._view.ready_to_write("delete_many")
        budget = self._context.budget(timeout)
        query, plan = self._view.chosen(filter, _PRIVATE, budget)

        def act(writer: Writer, found: list[Row]) -> int:
            _lock_chains(writer, found)
            numbers = In(("number",), tuple(row["number"] for row in found))
            locked = replace(query, where=normalize(And((numbers, query.where))), lock="wait")
            with self._context.finding(writer, budget):
                rows = executor.rows(writer, plan, locked)
            self._view.remove(writer, rows)
            return len(rows)

        removed = self._view.in_batches((query, plan), act, budget).changed
        self._context.committed("D2")
        return removed


def _edited(edit: Edit, rows: Sequence[Row], now: int) -> list[tuple[Row, Row]]:
    """Return the rows that an edit changes, and the columns to set in each."""
    changes: list[tuple[Row, Row]] = []
    for row in rows:
        try:
            columns = edit(readable(DOCUMENTS, row), now)
        except UnreadableRecord as broken:
            executor.leave_out(row, broken.reason)
            continue
        if columns is not None:
            changes.append((row, columns))
    return changes


def _lock_chains(writer: Writer, rows: Sequence[Row]) -> None:
    """Lock the chains of rows: always before the rows themselves, as adding does."""
    lifecycle.lock_chains(writer, [chain for chain in map(lifecycle.chain_of, rows) if chain is not None])
