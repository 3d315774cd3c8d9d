"""Documents: adding, changing and removing them, their status, and their bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, BinaryIO

from docstore.backend import Query, Row, SortKey, Writer
from docstore.changes import document_changes
from docstore.checks import Checks
from docstore.drafts import Draft, draft_document
from docstore.errors import (
    BlobMissing,
    FilterSyntaxError,
    InvalidDocument,
    NotFound,
    RevisionConflict,
    ScopeError,
)
from docstore.lifecycle import status, versions
from docstore.models import AddResult, Document, NewDocument, records_from
from docstore.query.expr import And, Compare
from docstore.query.fields import DOCUMENTS, EXTRACTIONS
from docstore.records import Filter, Records
from docstore.steps import reached
from docstore.storing import Stored, forget_blobs, store_drafts

__all__ = ["Documents"]

_PRIVATE = frozenset({"blob_key"})


class Documents(Records[Document]):
    """The documents of a store, within its scope."""

    _collection = DOCUMENTS

    # -- adding ------------------------------------------------------------------------------------

    def add(
        self,
        source: Any = None,
        *,
        filename: str | None = None,
        content_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        id: str | None = None,
        external_id: str | None = None,
        tenant: str | None = None,
        owner: str | None = None,
        status: str = "pending",
        error: str | None = None,
        content: str | None = None,
        preview: str | None = None,
        created_at: Any = None,
        updated_at: Any = None,
        processed_at: Any = None,
        sha256: str | None = None,
        size: int | None = None,
        dedupe: str | None = None,
    ) -> Document:
        """Store a document: its bytes, if it has any, and its fields, in one commit.

        Args:
            source: a path, ``bytes``, a binary file object, an fsspec URL, or ``None`` for a document without
                bytes. It is streamed.
            filename: stored verbatim; by default the source's own name, else ``""``.
            content_type: MIME type; by default what the filename's ending says, on every machine the same.
            metadata: a JSON object; ``datetime`` values become RFC 3339 text in UTC.
            id: by default a fresh UUIDv7. Given again with the same bytes and fields it returns the document
                that is there.
            external_id: your name for the document; adding it again makes the next version.
            tenant, owner: by default the scope's.
            status: ``pending``, ``processing``, ``completed`` or ``failed``.
            error: why it failed.
            content: extracted text; NUL becomes U+FFFD.
            preview: by default the first 200 characters of the content with white space collapsed.
            created_at, updated_at, processed_at: aware ``datetime`` or RFC 3339 text; by default now,
                ``created_at``, ``None``.
            sha256, size: what the bytes must have (hex, bytes); without a source they are recorded as told.
            dedupe: ``"sha256"`` returns the document of this tenant and owner that has these bytes already,
                if there is one.

        Returns:
            The document, new or (``id``, ``dedupe``) the one that was there.

        Raises:
            InvalidDocument: a field cannot be stored; nothing was done.
            ScopeError: ``tenant`` or ``owner`` is against the scope.
            AlreadyExists: the id is taken by a document with other bytes or fields.
            BlobsNotConfigured: bytes were given to a store without ``blobs=``.
            SizeMismatch, ChecksumMismatch: the bytes are not what was said; nothing was stored.
            BlobError, BackendError: the storage or the database failed; nothing was stored.
        """
        self._ready()
        given = {name: value for name, value in locals().items() if name != "self" and value is not None}
        draft = draft_document(given, self._scope, self._checks)
        return self._made(self._store([draft])[0].row)

    def add_many(
        self,
        documents: Iterable[NewDocument | Mapping[str, Any]],
        *,
        batch_size: int = 1000,
        on_progress: Callable[[int], object] | None = None,
    ) -> AddResult:
        """Add many documents, each batch in one commit.

        Args:
            documents: :class:`NewDocument` objects, or mappings with the keywords of :meth:`add` and
                ``source``. Read lazily.
            batch_size: documents a commit, 1 to 100,000.
            on_progress: called after each commit with the number of documents stored so far.

        Returns:
            Their ids, in order, and how many are new.

        Raises:
            InvalidDocument: a document cannot be stored; ``.index`` says which. Its batch is not written,
                earlier ones are.
            Others: as :meth:`add`, for the whole batch.
        """
        self._ready()
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or not 1 <= batch_size <= 100_000:
            raise InvalidDocument(
                f"batch_size={batch_size!r}: expected a whole number from 1 to 100000", field="batch_size"
            )
        ids: list[str] = []
        added = 0
        for batch in self._batches(documents, batch_size):
            stored = self._store(batch)
            ids += [one.row["id"] for one in stored]
            added += sum(one.is_new for one in stored)
            if on_progress is not None:
                on_progress(len(ids))
        return AddResult(ids=ids, added=added, existing=len(ids) - added)

    def _batches(
        self, documents: Iterable[NewDocument | Mapping[str, Any]], size: int
    ) -> Iterator[list[Draft]]:
        numbered = enumerate(documents)
        while batch := [self._draft_at(index, given) for index, given in islice(numbered, size)]:
            yield batch

    def _draft_at(self, index: int, given: NewDocument | Mapping[str, Any]) -> Draft:
        try:
            return draft_document(given, self._scope, self._checks)
        except InvalidDocument as wrong:
            raise InvalidDocument(
                f"document {index}: {wrong.message}", field=wrong.field, index=index
            ) from wrong
        except ScopeError as wrong:
            raise ScopeError(f"document {index}: {wrong.message}") from wrong

    def _store(self, drafts: list[Draft]) -> list[Stored]:
        return store_drafts(self._root, self._checks, drafts)

    @property
    def _checks(self) -> Checks:
        return Checks(self._root.limits, self._root.default_timezone)

    # -- changing ----------------------------------------------------------------------------------

    def update(
        self, id: str, *, if_revision: int | None = None, touch: bool = True, **changes: Any
    ) -> Document:
        """Change a document's fields.

        Args:
            id: which.
            if_revision: refuse unless the revision is still this; ``None`` does not look.
            touch: set ``updated_at`` to now (unless it is among the changes).
            changes: ``filename``, ``content_type``, ``metadata`` (an RFC 7396 merge patch: ``None`` removes a
                key), ``replace_metadata`` (the whole of it), ``content``, ``preview``, ``error``,
                ``processed_at``, ``created_at``, ``updated_at``. The status has verbs of its own.

        Returns:
            The document as it is now, its revision one higher.

        Raises:
            NotFound: there is none in this scope.
            RevisionConflict: the revision moved on; ``.current`` is what it is.
            InvalidDocument: a change is unknown or cannot be stored.
        """
        self._ready()
        make = document_changes(changes, self._checks)
        return self._changed(id, lambda row, now: make(row, now), if_revision=if_revision, touch=touch)

    def update_many(self, filter: Filter, *, touch: bool = True, **changes: Any) -> int:
        """Change all documents that match, every version, in one commit.

        Args:
            filter: which; it must be given, ``{}`` is all.
            touch: as for :meth:`update`.
            changes: as for :meth:`update`.

        Returns:
            How many there were.

        Raises:
            FilterError: the filter is wrong or ``None``.
            InvalidDocument: a change is unknown or cannot be stored.
        """
        self._ready()
        make = document_changes(changes, self._checks)

        def work(writer: Writer) -> int:
            now, changed = writer.now(), 0
            for rows in self._matching(writer, filter):
                for row in rows:
                    self._write(writer, row, make(row, now), now, touch=touch)
                changed += len(rows)
            return changed

        return self._root.written(work)

    def delete(self, id: str, *, if_revision: int | None = None) -> None:
        """Remove a document (this version of it), its extractions, and then its bytes.

        Deleting the latest version makes the one before it the latest.

        Args:
            id: which.
            if_revision: refuse unless the revision is still this.

        Raises:
            NotFound: there is none in this scope.
            RevisionConflict: the revision moved on.
        """
        self._ready()
        key = self._id(id)

        def work(writer: Writer) -> None:
            row = self._row(writer, key, include=_PRIVATE, lock="wait")
            _check_revision(row, if_revision)
            self._remove(writer, [row])

        self._root.written(work)
        reached("D2")

    def delete_many(self, filter: Filter) -> int:
        """Remove all documents that match, every version, in one commit.

        Args:
            filter: which; it must be given, ``{}`` is all.

        Returns:
            How many there were.

        Raises:
            FilterError: the filter is wrong or ``None``.
        """
        self._ready()

        def work(writer: Writer) -> int:
            removed = 0
            for rows in self._matching(writer, filter):
                self._remove(writer, rows)
                removed += len(rows)
            return removed

        count = self._root.written(work)
        reached("D2")
        return count

    def _matching(self, writer: Writer, filter: Filter) -> Iterator[list[Row]]:
        """Yield the rows that match, locked, in batches by number."""
        if filter is None:
            raise FilterSyntaxError("a filter is required here: {} means all documents", path="")
        from docstore.query import run

        query = Query(self._collection, self._scope, self._parsed(filter), include=_PRIVATE, lock="wait")
        planned, plan = self._planned(query)
        found = run.walk(writer, plan, planned)
        while batch := list(islice(found, 500)):
            yield batch

    def _remove(self, writer: Writer, rows: list[Row]) -> None:
        versions.lock_chains(writer, [chain for chain in map(versions.chain_of, rows) if chain is not None])
        forget_blobs(writer, [row["blob_key"] for row in rows])
        writer.delete(DOCUMENTS, [row["number"] for row in rows])
        versions.promote(writer, rows)
        reached("D1")

    def _changed(
        self,
        id: str,
        make: Callable[[Row, int], Mapping[str, Any]],
        *,
        if_revision: int | None = None,
        touch: bool = True,
    ) -> Document:
        """Read a row for update, let ``make`` say what changes, write it."""
        key = self._id(id)

        def work(writer: Writer) -> Row:
            row = self._row(writer, key, lock="wait")
            _check_revision(row, if_revision)
            now = writer.now()
            return self._write(writer, row, make(row, now), now, touch=touch)

        return self._made(self._root.written(work))

    def _write(self, writer: Writer, row: Row, changes: Mapping[str, Any], now: int, *, touch: bool) -> Row:
        """Write changes to a row, its revision one higher; a new name is the extractions', too."""
        written = {**({"updated_at": now} if touch else {}), **changes, "revision": row["revision"] + 1}
        if not writer.update(DOCUMENTS, row["number"], written):
            raise NotFound(f"no document with the id {row['id']!r}", id=row["id"])
        if written.get("filename", row["filename"]) != row["filename"]:
            self._rename_extractions(writer, row, written["filename"])
        return {**row, **{name: value for name, value in written.items() if name in row}}

    def _rename_extractions(self, writer: Writer, row: Row, filename: str) -> None:
        where = And((Compare(("document_id",), "eq", row["id"]), Compare(("tenant",), "eq", row["tenant"])))
        for extraction in writer.select(Query(EXTRACTIONS, where=where)):
            writer.update(EXTRACTIONS, extraction["number"], {"filename": filename})

    # -- status ------------------------------------------------------------------------------------

    def start(self, id: str) -> Document:
        """Begin processing: pending → processing, one attempt more.

        Raises:
            NotFound: there is none in this scope.
            InvalidTransition: it is not pending.
        """
        self._ready()
        return self._changed(id, lambda row, now: {**_to("start", row), "attempts": row["attempts"] + 1})

    def complete(
        self,
        id: str,
        *,
        content: str | None = None,
        preview: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        processed_at: Any = None,
        touch: bool = True,
    ) -> Document:
        """Finish processing: processing (or pending) → completed.

        Args:
            id: which.
            content: the extracted text; ``None`` leaves what is there.
            preview: by default the first 200 characters of ``content``.
            metadata: an RFC 7396 merge patch.
            processed_at: by default now.
            touch: set ``updated_at`` to now.

        Raises:
            NotFound: there is none in this scope.
            InvalidTransition: it is completed or failed already.
            InvalidDocument: a field cannot be stored.
        """
        self._ready()
        asked = {"content": content, "preview": preview, "metadata": metadata, "processed_at": processed_at}
        make = document_changes(
            {name: value for name, value in asked.items() if value is not None}, self._checks
        )

        def completed(row: Row, now: int) -> Mapping[str, Any]:
            return {"processed_at": now, **_to("complete", row), **make(row, now)}

        return self._changed(id, completed, touch=touch)

    def fail(self, id: str, error: str) -> Document:
        """Give up on processing: processing (or pending) → failed.

        Args:
            id: which.
            error: the reason, for people.

        Raises:
            NotFound: there is none in this scope.
            InvalidTransition: it is completed or failed already.
            InvalidDocument: the reason is no text.
        """
        self._ready()
        reason = self._checks.text("error", error)
        return self._changed(id, lambda row, now: {**_to("fail", row), "error": reason})

    def retry(self, id: str) -> Document:
        """Process again: failed or completed → pending. The error is cleared; ``attempts`` goes on counting.

        Raises:
            NotFound: there is none in this scope.
            InvalidTransition: it is pending or processing.
        """
        self._ready()
        return self._changed(id, lambda row, now: {**_to("retry", row), "processed_at": None})

    # -- versions ----------------------------------------------------------------------------------

    def versions(self, external_id: str) -> list[Document]:
        """Return all versions with this external_id in this scope, the first first; of several owners or
        tenants one after another.

        Raises:
            NotFound: there is none.
        """
        self._ready()
        key = self._id(external_id)
        order = tuple(SortKey((name,)) for name in ("tenant", "owner", "version", "number"))
        with self._root.read() as reader:
            rows = self._run_exactly(
                reader, Query(DOCUMENTS, self._scope, Compare(("external_id",), "eq", key), order)
            )
        if not rows:
            raise NotFound(f"no document with the external_id {external_id!r}", id=key)
        return records_from(DOCUMENTS, rows)

    def get_by_external_id(self, external_id: str, *, version: int | None = None) -> Document:
        """Return one version of a document.

        Args:
            external_id: which document. Where several owners in this scope have one, the one added first.
            version: which version; ``None`` is the latest.

        Raises:
            NotFound: there is none.
        """
        self._ready()
        key = self._id(external_id)
        wanted = (
            Compare(("is_latest",), "eq", True) if version is None else Compare(("version",), "eq", version)
        )
        where = And((Compare(("external_id",), "eq", key), wanted))
        with self._root.read() as reader:
            rows = self._run_exactly(reader, Query(DOCUMENTS, self._scope, where, limit=1))
        if not rows:
            which = "" if version is None else f" version {version}"
            raise NotFound(f"no document with the external_id {external_id!r}{which}", id=key)
        return self._made(rows[0])

    # -- bytes -------------------------------------------------------------------------------------

    def _stored(self, id: str) -> Row:
        """Return a row that has bytes."""
        self._ready()
        blobs_key = self._id(id)
        with self._root.read() as reader:
            row = self._row(reader, blobs_key, include=_PRIVATE)
        if row["blob_key"] is None:
            raise BlobMissing(f"document {id!r} has no bytes", key=None)
        return row

    def open(self, id: str) -> BinaryIO:
        """Open a document's bytes for reading; size and sha256 are checked on the way.

        Raises:
            NotFound: there is no such document in this scope.
            BlobMissing: it has no bytes, or they are gone.
            BlobCorrupt: they are not those that were stored; a wrong size is found at once, a wrong sha256 at
                the end.
        """
        row = self._stored(id)
        return self._root.bytes().open(row["blob_key"], size=row["size"], sha256=row["sha256"])

    def read_bytes(self, id: str) -> bytes:
        """Return a document's bytes, checked.

        Raises:
            As :meth:`open`.
        """
        row = self._stored(id)
        return self._root.bytes().read_bytes(row["blob_key"], size=row["size"], sha256=row["sha256"])

    def download(self, id: str, path: str | os.PathLike[str]) -> None:
        """Write a document's bytes to a file, whole and checked, or not at all.

        Args:
            id: which.
            path: the file; one that is there is replaced.

        Raises:
            As :meth:`open`; and OSError where the file cannot be written.
        """
        row = self._stored(id)
        self._root.bytes().download(row["blob_key"], path, size=row["size"], sha256=row["sha256"])

    def url(self, id: str, *, expires: int = 3600) -> str:
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
        return self._root.bytes().url(
            row["blob_key"], expires=expires, filename=row["filename"], content_type=row["content_type"]
        )


def _to(action: str, row: Row) -> dict[str, Any]:
    """Return what every step of the status writes: the new status, no error, no lease."""
    return {
        "status": status.after(action, row["status"], row["id"]),
        "error": None,
        "lease_token": None,
        "lease_worker": None,
        "lease_expires_at": None,
    }


def _check_revision(row: Row, expected: int | None) -> None:
    if expected is not None and row["revision"] != expected:
        raise RevisionConflict(
            f"document {row['id']!r} is at revision {row['revision']}, not {expected}",
            id=row["id"],
            expected=expected,
            current=row["revision"],
        )
