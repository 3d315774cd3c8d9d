"""Documents: changing and removing them, and their versions; adding, the queue and the bytes have modules of
their own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, BinaryIO

from docstore import lifecycle
from docstore.backend import BlobState, Query, Row, SortKey, Writer
from docstore.blobs import open_source
from docstore.collection import Filter, Records, check_revision_argument
from docstore.concurrency import STORE_DEFAULT, Budget, Timeout
from docstore.crash_points import reached
from docstore.errors import (
    BlobMissing,
    DocstoreError,
    FilterSyntaxError,
    InvalidDocument,
    NotFound,
    QueryTimeout,
    ScopeError,
    UnreadableRecord,
    shown,
)
from docstore.models import Document, UpdateResult, readable
from docstore.query import executor
from docstore.query.explain import Plan
from docstore.query.expr import And, Compare, In
from docstore.query.fields import DOCUMENTS, EXTRACTIONS
from docstore.query.optimizer import normalize
from docstore.work_queue import WorkQueue
from docstore.writes.insertion import BlobWrite, blob_of, forget_blobs, make_live, put_bytes
from docstore.writes.updates import MOVES, Edit, document_edit
from docstore.writes.upserts import Upserts

__all__ = [
    "Documents",
    "Downloads",
]

_PRIVATE = frozenset({"blob_key"})
_KEPT: tuple[BlobState, ...] = ("pending", "live")
_BATCH = 1000
"""Documents changed or removed in one commit."""


class Downloads(Records[Document]):
    """The part of the documents that reads their bytes."""

    _collection = DOCUMENTS

    def _stored(self, id: str | Document) -> Row:
        """Return a row that has bytes."""
        self._ready()
        blobs_key = self._id(id)
        with self._context.read() as reader:
            row = self._row(reader, blobs_key, include=_PRIVATE)
        if row["blob_key"] is None:
            raise BlobMissing(f"document {shown(id)} has no bytes", key=None)
        return row

    def open(self, id: str | Document) -> BinaryIO:
        """Open a document's bytes for reading; size and sha256 are checked on the way.

        Raises:
            NotFound: there is no such document in this scope.
            BlobMissing: it has no bytes, or they are gone.
            BlobCorrupt: they are not those that were stored; a wrong size is found at once, a wrong sha256 at
                the end.
        """
        row = self._stored(id)
        return self._context.bytes().open(row["blob_key"], size=row["size"], sha256=row["sha256"])

    def read_bytes(self, id: str | Document) -> bytes:
        """Return a document's bytes, checked.

        Raises:
            As :meth:`open`.
        """
        row = self._stored(id)
        return self._context.bytes().read_bytes(row["blob_key"], size=row["size"], sha256=row["sha256"])

    def download(self, id: str | Document, path: str | os.PathLike[str]) -> None:
        """Write a document's bytes to a file, whole and checked, or not at all.

        Args:
            id: which.
            path: the file; one that is there is replaced.

        Raises:
            As :meth:`open`; and OSError where the file cannot be written.
        """
        row = self._stored(id)
        self._context.bytes().download(row["blob_key"], path, size=row["size"], sha256=row["sha256"])

    def url(self, id: str | Document, *, expires: int = 3600) -> str:
        """Return a URL that reads a document's bytes without further credentials, under the document's
        filename.

        Args:
            id: which.
            expires: seconds that it works, at least 1.

        Raises:
            NotFound, BlobMissing: as :meth:`open`.
            BlobError: the filesystem cannot sign URLs.
        """
        row = self._stored(id)
        return self._context.bytes().url(
            row["blob_key"], expires=expires, filename=row["filename"], content_type=row["content_type"]
        )

    def locations(self, ids: Iterable[str | Document]) -> dict[str, str]:
        """Return where documents' bytes are kept, all in one query.

        A location is made of where the storage is and a random key; nothing of it comes from a user. It moves
        with every change of the bytes, and whether they are whole is not looked at.

        Args:
            ids: at most 10,000.

        Returns:
            By id: the path or URL of the bytes, without credentials. Documents that have no bytes, or are not
            in this scope, are left out.

        Raises:
            FilterValueError: an id is no text.
            FilterTooComplex: too many ids.
            BlobsNotConfigured: there are bytes, and the store was opened without ``blobs=``.
        """
        self._ready()
        asked = self._ids(ids)
        if not asked:
            return {}
        query = Query(self._collection, self._scope, In(("id",), tuple(asked)), include=_PRIVATE)
        with self._context.read() as reader:
            rows = self._run_exactly(reader, query)
        keys = {row["id"]: row["blob_key"] for row in rows if row["blob_key"] is not None}
        return {id: f"{self._context.bytes().location.rstrip('/')}/{key}" for id, key in keys.items()}


class Documents(WorkQueue, Upserts, Downloads):
    """The documents of a store, within its scope."""

    # -- changing ----------------------------------------------------------------------------------

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
        **changes: Any,
    ) -> Document:
        """Change a document's fields, its bytes, or both, in one commit.

        Args:
            id: which.
            operators: MongoDB's update operators, such as ``{"$inc": {"metadata.n": 1}}``: ``$set $unset
                $inc $mul $min $max $rename $push $addToSet $pull $pop``, each an object of paths below
                ``metadata`` and operands. ``$set`` and ``$unset`` also take the fields named in ``changes``.
                All are applied to the document as it is under its lock, so none is lost to another writer.
                Not beside ``metadata=`` and ``replace_metadata=``.
            source: other bytes, as for :meth:`add`; ``None`` leaves them. Readers see the old or the new
                ones, never a mix; the old go after the commit. The filename and the status stay as they are.
            sha256, size: what the new bytes must have (hex, bytes).
            if_revision: refuse unless the revision is still this; ``None`` does not look.
            touch: set ``updated_at`` to now (unless it is among the changes).
            changes: ``filename``, ``content_type``, ``metadata`` (an RFC 7396 merge patch: ``None`` removes a
                key), ``replace_metadata`` (the whole of it), ``content``, ``preview``, ``error``,
                ``processed_at``, ``expires_at``, ``created_at``, ``updated_at``; ``owner`` and
                ``external_id``, which move it to another version chain: a new one, or the end of one that
                exists. The status has verbs of its own.

        Returns:
            The document as it is now, its revision one higher. Operators that change nothing write nothing:
            revision and ``updated_at`` stay.

        Raises:
            NotFound: there is none in this scope.
            RevisionConflict: the revision moved on; ``.current`` is what it is.
            FilterError: an operator is unknown or malformed; ``.path`` says where.
            InvalidDocument: a change is unknown, cannot be stored, or does not go with what is there, such
                as ``$inc`` of a text.
            BlobError: the new bytes are not what was said, or cannot be stored; nothing was changed.

        Example:
            >>> store.documents.update(id, {"$inc": {"metadata.n": 1}, "$push": {"metadata.log": "seen"}})
        """
        self._ready_to_write("update")
        edit = document_edit(operators, changes, self._checks)
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
        made = self._changed(
            id, edit, if_revision=if_revision, touch=touch,
            include=edit.reads | (_PRIVATE if moves else frozenset()),
            first=partial(self._lock_move, self._id(id), edit) if moves else None,
        )  # fmt: skip
        return made.model_copy(update={"content": None}) if edit.reads else made

    def _check_move(self, edit: Edit, changes: Mapping[str, Any]) -> None:
        """Refuse to give a document to an owner that this store is not confined to."""
        confined = self._scope.owner
        if confined is not None and "owner" in edit.names:
            fields = {} if edit.update is None else edit.update.fields
            owner = changes["owner"] if "owner" in changes else fields["owner"]
            if owner != confined:
                raise ScopeError(f"owner={owner!r}: this store is confined to owner={confined!r}")

    def _lock_move(self, key: str, edit: Edit, writer: Writer) -> None:
        """Lock the chain that a document leaves and the one that it joins, before its row."""
        row = self._mine(writer, key, lock=None)
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
        """Write new bytes under a fresh key, then change the row and give up the old ones in one
        transaction.
        """
        checks = self._checks
        expected = check_revision_argument(if_revision)
        with self._context.read() as reader:
            row = self._mine(reader, self._id(id), lock=None)
        self._check_revision(row, expected)
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
                changed = self._changed(
                    id,
                    with_bytes,
                    if_revision=expected,
                    touch=touch,
                    include=_PRIVATE,
                    along=along,
                    first=partial(self._lock_move, self._id(id), edit) if edit.names & MOVES else None,
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
        **changes: Any,
    ) -> UpdateResult:
        """Change all documents that match, every version, in batches of 1,000, each one commit.

        Within :meth:`Store.transaction` all of it is one commit. ``explain(filter, latest_only=False)`` shows
        how they are found.

        Args:
            filter: which; it must be given, ``{}`` is all.
            operators: as for :meth:`update`.
            touch: as for :meth:`update`.
            timeout: seconds that finding them may take, of all batches together, as for :meth:`find`; storing
                does not count.
            changes: as for :meth:`update`, but no bytes.

        Returns:
            How many matched and how many were changed; as a number, the former.

        Raises:
            FilterError: the filter or an operator is wrong, or the filter is ``None``.
            InvalidDocument: a change is unknown, cannot be stored, or does not go with one of them. Its batch
                is not changed, earlier ones are: ``.matched`` and ``.changed`` count them.
            QueryTimeout: finding them took too long; likewise.

        Example:
            >>> result = store.documents.update_many({"metadata.n": {"$lt": 0}}, {"$set": {"metadata.n": 0}})
            >>> result.matched, result.changed
            (0, 0)
        """
        self._ready_to_write("update_many")
        edit = document_edit(operators, changes, self._checks)
        self._check_move(edit, changes)
        if "external_id" in edit.names:
            raise InvalidDocument(
                "update_many does not set external_id: documents are moved to a chain one by one, by update",
                field="external_id",
            )

        def act(writer: Writer, rows: list[Row]) -> int:
            now, changed = writer.now(), 0
            if "owner" in edit.names:
                owner = edit.change(rows[0], now)["owner"]
                _lock_chains(writer, [*rows, *({**row, "owner": owner} for row in rows)])
                numbers = In(("number",), tuple(row["number"] for row in rows))
                rows = executor.rows(
                    writer, plan, replace(query, where=normalize(And((numbers, query.where))), lock="wait")
                )
            for row in rows:
                try:
                    columns = edit(readable(DOCUMENTS, row), now)
                except UnreadableRecord as broken:
                    executor.leave_out(row, broken.reason)
                    continue
                if columns is not None:
                    self._write(writer, row, columns, now, touch=touch)
                    changed += 1
            return changed

        budget = self._context.budget(timeout)
        moves = edit.names & MOVES
        query, plan = self._chosen(filter, edit.reads | (_PRIVATE if moves else frozenset()), budget)
        chosen = query if moves else replace(query, lock="wait")
        return self._in_batches((chosen, plan), act, budget)

    def retry_many(self, filter: Filter, *, timeout: Timeout = STORE_DEFAULT) -> UpdateResult:
        """Process all documents that match again: failed or completed → pending, in batches of 1,000.

        Those that are pending or processing are left as they are.

        Args:
            filter: which; it must be given, ``{}`` is all.
            timeout: as for :meth:`update_many`.

        Returns:
            How many matched and how many are pending now that were not.

        Raises:
            FilterError: the filter is wrong or ``None``.

        Example:
            >>> store.documents.retry_many({"status": "failed"}).changed
            0
        """
        self._ready_to_write("retry_many")

        def act(writer: Writer, rows: list[Row]) -> int:
            now, again = writer.now(), [row for row in rows if row["status"] in ("failed", "completed")]
            for row in again:
                self._write(writer, row, self._retried(row), now, touch=True)
            return len(again)

        budget = self._context.budget(timeout)
        query, plan = self._chosen(filter, frozenset(), budget)
        return self._in_batches((replace(query, lock="wait"), plan), act, budget)

    # -- removing ----------------------------------------------------------------------------------

    def delete(self, id: str | Document, *, if_revision: int | None = None) -> None:
        """Remove a document (this version of it), its extractions, and then its bytes.

        Deleting the latest version makes the one before it the latest.

        Args:
            id: which.
            if_revision: refuse unless the revision is still this.

        Raises:
            NotFound: there is none in this scope.
            RevisionConflict: the revision moved on.
        """
        self._ready_to_write("delete")
        key, expected = self._id(id), check_revision_argument(if_revision)
        tried = False

        def work(writer: Writer) -> None:
            nonlocal tried
            try:
                _lock_chains(writer, [self._mine(writer, key, lock=None)])
                row = self._mine(writer, key, include=_PRIVATE)
            except NotFound:
                if tried:  # removed by the commit whose outcome was unknown
                    return
                raise
            self._check_revision(row, expected)
            tried = True
            self._remove(writer, [row])

        self._context.written(work, recognises=True)
        self._context.committed("D2")

    def delete_many(self, filter: Filter, *, timeout: Timeout = STORE_DEFAULT) -> int:
        """Remove all documents that match, every version, in batches of 1,000, each one commit.

        Within :meth:`Store.transaction` all of it is one commit. ``explain(filter, latest_only=False)`` shows
        how they are found.

        Args:
            filter: which; it must be given, ``{}`` is all.
            timeout: as for :meth:`update_many`.

        Returns:
            How many there were. An error carries how many were removed before it as ``.changed``.

        Raises:
            FilterError: the filter is wrong or ``None``.
        """
        self._ready_to_write("delete_many")
        budget = self._context.budget(timeout)
        query, plan = self._chosen(filter, _PRIVATE, budget)

        def act(writer: Writer, found: list[Row]) -> int:
            _lock_chains(writer, found)
            numbers = In(("number",), tuple(row["number"] for row in found))
            locked = replace(query, where=normalize(And((numbers, query.where))), lock="wait")
            with self._context.finding(writer, budget):
                rows = executor.rows(writer, plan, locked)
            self._remove(writer, rows)
            return len(rows)

        removed = self._in_batches((query, plan), act, budget).changed
        self._context.committed("D2")
        return removed

    def _chosen(self, filter: Filter, include: frozenset[str], budget: Budget) -> tuple[Query, Plan]:
        """Plan what ``update_many`` and ``delete_many`` choose by a filter."""
        if filter is None:
            raise FilterSyntaxError("a filter is required here: {} means all documents", path="")
        with budget:
            query = Query(self._collection, self._scope, self._parsed(filter), include=include)
            planned = self._planned(query)
            budget.plan = planned[1]
        return planned

    def _in_batches(
        self, chosen: tuple[Query, Plan], act: Callable[[Writer, list[Row]], int], budget: Budget
    ) -> UpdateResult:
        """Put the rows that match to ``act``, by number, a batch and commit at a time; add up what it
        returns.
        """
        query, plan = chosen
        matched = changed = 0
        after: tuple[int] | None = None
        while True:
            batch = replace(query, after=after, limit=_BATCH)

            def work(writer: Writer, batch: Query = batch) -> tuple[list[Row], int]:
                with self._context.finding(writer, budget):
                    rows = executor.rows(writer, plan, batch)
                return rows, act(writer, rows) if rows else 0

            try:
                rows, done = self._context.written(work, budget=budget)
            except DocstoreError as failed:
                failed.matched, failed.changed = matched, changed
                if isinstance(failed, QueryTimeout):
                    stays = f"earlier batches stay: {matched} documents, {changed} of them changed"
                    failed.args = (f"{failed.message}; {stays}",)
                raise
            matched, changed = matched + len(rows), changed + done
            if len(rows) < _BATCH:
                return UpdateResult(matched, changed)
            after = (rows[-1]["number"],)

    def _remove(self, writer: Writer, rows: list[Row]) -> None:
        """Remove rows that are locked, their chains before them."""
        forget_blobs(writer, rows)
        writer.delete(DOCUMENTS, rows)
        lifecycle.promote_newest(writer, rows)
        reached("D1")

    def _write(self, writer: Writer, row: Row, changes: Mapping[str, Any], now: int, *, touch: bool) -> Row:
        """Write changes to a row; a new filename and owner are the extractions', too, and an owner the
        bytes'.
        """
        if MOVES & changes.keys():
            owner, name = (changes.get(field, row[field]) for field in ("owner", "external_id"))
            changes = {**changes, **lifecycle.moved_columns(writer, row, owner, name)}
        written = super()._write(writer, row, changes, now, touch=touch)
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

    # -- versions ----------------------------------------------------------------------------------

    def versions(self, external_id: str, *, at_least: str | None = None) -> list[Document]:
        """Return all versions with this external_id in this scope, the first first; of several owners or
        tenants one after another.

        Args:
            external_id: which.
            at_least: as for :meth:`find`.

        Raises:
            NotFound: there is none.
        """
        self._ready(at_least)
        key = self._id(external_id)
        order = tuple(SortKey((name,)) for name in ("tenant", "owner", "version", "number"))
        with self._context.read() as reader:
            rows = self._run_exactly(
                reader, Query(DOCUMENTS, self._scope, Compare(("external_id",), "eq", key), order)
            )
        if not rows:
            raise NotFound(f"no document with the external_id {shown(external_id)}", id=key)
        return self._all_readable(rows)

    def get_by_external_id(
        self, external_id: str, *, version: int | None = None, at_least: str | None = None
    ) -> Document:
        """Return one version of a document.

        Args:
            external_id: which document. Where several owners in this scope have one, the one added first.
            version: which version; ``None`` is the latest.
            at_least: as for :meth:`find`.

        Raises:
            NotFound: there is none.
        """
        self._ready(at_least)
        key = self._id(external_id)
        wanted = (
            Compare(("is_latest",), "eq", True) if version is None else Compare(("version",), "eq", version)
        )
        where = And((Compare(("external_id",), "eq", key), wanted))
        with self._context.read() as reader:
            rows = self._run_exactly(reader, Query(DOCUMENTS, self._scope, where, limit=1))
        if not rows:
            which = "" if version is None else f" version {version}"
            raise NotFound(f"no document with the external_id {shown(external_id)}{which}", id=key)
        return self._made(rows[0])


def _lock_chains(writer: Writer, rows: Sequence[Row]) -> None:
    """Lock the chains of rows: always before the rows themselves, as adding does."""
    lifecycle.lock_chains(writer, [chain for chain in map(lifecycle.chain_of, rows) if chain is not None])
