"""Documents: the public methods of the documents of a store, within its scope."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO, Unpack

from docstore import lifecycle
from docstore.backend import Query, Row, Scope, SortKey
from docstore.collection import Filter, Records
from docstore.concurrency import STORE_DEFAULT, Timeout
from docstore.context.store_context import StoreContext
from docstore.errors import (
    BlobMissing,
    NotFound,
    shown,
)
from docstore.models import Document, DocumentFields, NewDocument, given_fields, with_fields
from docstore.query.expr import And, Compare, In
from docstore.query.fields import DOCUMENTS
from docstore.workers import Claim, ProcessReport, RetryDelay, Stop, Workers
from docstore.writes.edits import DocumentsView, Edits
from docstore.writes.insertion import Additions
from docstore.writes.results import AddResult, OnError, Put, PutResult, UpdateResult
from docstore.writes.upserts import OnConflict, Upserts
from docstore.writes.work_queue import WorkQueue, check_count

__all__ = ["Documents"]

_PRIVATE = frozenset({"blob_key"})


class Documents(Records[Document]):
    """The documents of a store, within its scope."""

    _view: DocumentsView

    def __init__(self, context: StoreContext, scope: Scope, *, confined: bool) -> None:
        view = DocumentsView(context, scope, confined=confined)
        super().__init__(view)
        self._view = view
        self._additions = Additions(view)
        self._upserts = Upserts(view)
        self._edits = Edits(view)
        self._queue = WorkQueue(view)

    # -- adding ------------------------------------------------------------------------------------

    @with_fields(DocumentFields)
    def add(self, source: Any = None, **fields: Unpack[DocumentFields]) -> Document:
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
            status: ``pending``, ``processing``, ``completed`` or ``failed``; by default ``completed`` with
                content, else ``pending``.
            error: why it failed.
            content: extracted text; NUL becomes U+FFFD.
            preview: by default the first 200 characters of the content with white space collapsed.
            content_state, content_note: ``none``, ``partial`` or ``complete``, and why; by default ``None``.
            expires_at: from when on ``store.collect()`` deletes the document; it is listed until then.
            created_at, updated_at, processed_at: aware ``datetime`` or RFC 3339 text; by default now,
                ``created_at``, ``None``. One may not be updated before it is created: given ``updated_at``
                alone, it is created no later.
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

        Example:
            >>> document = store.documents.add("report.pdf", metadata={"category": "finance"})
            >>> document.filename, document.size, document.metadata
            ('report.pdf', 9, {'category': 'finance'})
        """
        self._view.ready_to_write("add")
        return self._additions.add(given_fields("add", source, fields))

    def add_many(
        self,
        documents: Iterable[NewDocument | Mapping[str, Any]],
        *,
        on_error: OnError = "raise",
        batch_size: int = 1000,
        on_progress: Callable[[int], object] | None = None,
    ) -> AddResult:
        """Add many documents, each batch in one commit.

        Args:
            documents: :class:`NewDocument` objects, or mappings with the keywords of :meth:`add` and
                ``source``. Read lazily.
            on_error: ``"raise"`` what is wrong with a document, its batch not written; or ``"collect"`` it in
                ``.failed`` and go on with the others. Failures of the database are raised either way.
            batch_size: documents a commit, 1 to 100,000.
            on_progress: called after each commit with the number of documents stored so far.

        Returns:
            Their ids, in order, how many are new, and what failed.

        Raises:
            InvalidDocument: a document cannot be stored; ``.index`` says which. Its batch is not written,
                earlier ones are.
            Others: as :meth:`add`, for the whole batch.

        Example:
            >>> result = store.documents.add_many([{"filename": "a.txt"}, {"filename": "b.txt"}])
            >>> result.added
            2
        """
        self._view.ready_to_write("add_many")
        return self._additions.add_many(
            documents, on_error=on_error, batch_size=batch_size, on_progress=on_progress
        )

    @with_fields(DocumentFields)
    def put(
        self, source: Any = None, *, on_conflict: OnConflict = "replace", **fields: Unpack[DocumentFields]
    ) -> Put:
        """Add the document with this id or external_id, or change the one that is there.

        Of several that put one key at the same time each finds what the one before it left: there is one
        document in the end.

        Args:
            source: as for :meth:`add`, like all that is not named here.
            id, external_id: one of both; by ``external_id`` its latest version counts, of the same tenant and
                owner. Neither may be left out unless ``dedupe`` is given.
            on_conflict: what becomes of a document that is there and differs. ``"replace"`` keeps its ``id``,
                ``number``, ``created_at`` and ``version`` and replaces all else, bytes included: without a
                source they go. ``"merge"`` merges the metadata (RFC 7396) and sets the fields that were
                given. ``"version"`` adds the next version of the external_id. ``"skip"`` leaves it, whether
                it differs or not, and ``"error"`` refuses.
            dedupe: as for :meth:`add`; without a key the outcome is ``added`` or ``skipped``.

        Returns:
            The document, and what was done: ``added replaced merged skipped versioned`` or ``unchanged``.
            A document that is as it was put before is not written.

        Raises:
            InvalidDocument: no key, or both; a field cannot be stored.
            AlreadyExists: ``on_conflict="error"`` and another document is there; or the id is another
                owner's, whom this store cannot see.
            Others: as :meth:`add`.

        Example:
            >>> put = store.documents.put("report.pdf", external_id="reports/2026")
            >>> put.outcome
            'added'
        """
        self._view.ready_to_write("put")
        return self._upserts.put(given_fields("put", source, fields), on_conflict)

    def put_many(
        self,
        documents: Iterable[NewDocument | Mapping[str, Any]],
        *,
        on_conflict: OnConflict = "replace",
        on_error: OnError = "raise",
        batch_size: int = 1000,
        on_progress: Callable[[int], object] | None = None,
    ) -> PutResult:
        """Put many documents, each batch in one commit.

        Args:
            documents: as for :meth:`add_many`, each with an ``id`` or an ``external_id``. Of several in a
                batch that have the same key the last counts.
            on_conflict: as for :meth:`put`.
            on_error: ``"raise"`` what is wrong with one, its batch not written; or ``"collect"`` it in
                ``.failed`` and go on with the others.
            batch_size: documents a commit, 1 to 100,000.
            on_progress: called after each commit with the number of documents put so far.

        Returns:
            The ids, how many there are of each outcome, and what failed.

        Raises:
            InvalidDocument: a document cannot be stored; ``.index`` says which.
            Others: as :meth:`put`, for the whole batch.

        Example:
            >>> rows = [{"external_id": "a", "metadata": {"n": 1}}, {"external_id": "b", "metadata": {}}]
            >>> store.documents.put_many(rows).added, store.documents.put_many(rows).unchanged
            (2, 2)
        """
        self._view.ready_to_write("put_many")
        return self._upserts.put_many(
            documents, on_conflict=on_conflict, on_error=on_error, batch_size=batch_size,
            on_progress=on_progress,
        )  # fmt: skip

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
            >>> changes = {"$inc": {"metadata.n": 1}, "$push": {"metadata.log": "seen"}}
            >>> store.documents.update(id, changes).metadata["log"]
            ['seen']
        """
        self._view.ready_to_write("update")
        return self._edits.update(
            id, operators, source=source, sha256=sha256, size=size, if_revision=if_revision, touch=touch,
            changes=changes,
        )  # fmt: skip

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
        self._view.ready_to_write("update_many")
        return self._edits.update_many(filter, operators, touch=touch, timeout=timeout, changes=changes)

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
        self._view.ready_to_write("retry_many")
        return self._edits.retry_many(filter, timeout=timeout)

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

        Example:
            >>> document = store.documents.add(filename="a.txt")
            >>> store.documents.delete(document)
        """
        self._view.ready_to_write("delete")
        self._edits.delete(id, if_revision=if_revision)

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

        Example:
            >>> added = store.documents.add_many([{"filename": "a.tmp"}, {"filename": "b.txt"}])
            >>> store.documents.delete_many({"filename": {"$glob": "*.tmp"}})
            1
        """
        self._view.ready_to_write("delete_many")
        return self._edits.delete_many(filter, timeout=timeout)

    # -- versions ----------------------------------------------------------------------------------

    def versions(self, external_id: str, *, at_least: str | None = None) -> list[Document]:
        """Return all versions with this external_id in this scope, oldest first, owner by owner.

        Args:
            external_id: which.
            at_least: as for :meth:`find`.

        Raises:
            NotFound: there is none.

        Example:
            >>> for text in (b"one", b"two"):
            ...     latest = store.documents.add(text, external_id="notes")
            >>> [document.version for document in store.documents.versions("notes")]
            [1, 2]
        """
        self._view.ready(at_least)
        key = self._view.id_of(external_id)
        order = tuple(SortKey((name,)) for name in ("tenant", "owner", "version", "number"))
        with self._context.read() as reader:
            rows = self._view.run_exactly(
                reader, Query(DOCUMENTS, self._view.scope, Compare(("external_id",), "eq", key), order)
            )
        if not rows:
            raise NotFound(f"no document with the external_id {shown(external_id)}", id=key)
        return self._view.all_readable(rows)

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
            FilterValueError: ``version`` is no number.

        Example:
            >>> document = store.documents.add(external_id="notes", metadata={"n": 1})
            >>> store.documents.get_by_external_id("notes") == document
            True
        """
        self._view.ready(at_least)
        key = self._view.id_of(external_id)
        wanted = self._view.parsed({"is_latest": True} if version is None else {"version": {"$eq": version}})
        where = And((Compare(("external_id",), "eq", key), wanted))
        with self._context.read() as reader:
            rows = self._view.run_exactly(reader, Query(DOCUMENTS, self._view.scope, where, limit=1))
        if not rows:
            which = "" if version is None else f" version {version}"
            raise NotFound(f"no document with the external_id {shown(external_id)}{which}", id=key)
        return self._view.record_of(rows[0])

    # -- status ------------------------------------------------------------------------------------

    def start(self, id: str | Document) -> Document:
        """Begin processing: pending → processing, one attempt more.

        Raises:
            NotFound: there is none in this scope.
            InvalidTransition: it is not pending.

        Example:
            >>> store.documents.start(store.documents.add(filename="a.txt")).attempts
            1
        """
        self._view.ready_to_write("start")
        return self._view.changed(
            id, lambda row, now: {**lifecycle.stepped("start", row), "attempts": row["attempts"] + 1}
        )

    def complete(
        self,
        id: str | Document,
        *,
        content: str | None = None,
        preview: str | None = None,
        content_state: str | None = None,
        content_note: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        processed_at: Any = None,
        touch: bool = True,
    ) -> Document:
        """Finish processing: processing (or pending) → completed.

        Args:
            id: which.
            content: the extracted text; ``None`` leaves what is there.
            preview: by default the first 200 characters of ``content``.
            content_state: how much of the file's text the content holds: ``none``, ``partial`` or
                ``complete``; ``None`` if nobody looked.
            content_note: why the content is not complete, for people.
            metadata: an RFC 7396 merge patch.
            processed_at: by default now.
            touch: set ``updated_at`` to now.

        Raises:
            NotFound: there is none in this scope.
            InvalidTransition: it is completed or failed already.
            InvalidDocument: a field cannot be stored.

        Example:
            >>> document = store.documents.add(filename="a.txt")
            >>> store.documents.complete(document, content="Some words", metadata={"pages": 1}).preview
            'Some words'
        """
        self._view.ready_to_write("complete")
        make = self._queue.completing(
            content=content,
            preview=preview,
            content_state=content_state,
            content_note=content_note,
            metadata=metadata,
            processed_at=processed_at,
        )
        return self._view.changed(id, make, touch=touch)

    def fail(self, id: str | Document, error: str) -> Document:
        """Give up on processing: processing (or pending) → failed.

        Args:
            id: which.
            error: the reason, for people.

        Raises:
            NotFound: there is none in this scope.
            InvalidTransition: it is completed or failed already.
            InvalidDocument: the reason is no text.

        Example:
            >>> store.documents.fail(store.documents.add(filename="a.txt"), "it is encrypted").error
            'it is encrypted'
        """
        self._view.ready_to_write("fail")
        return self._view.changed(id, self._queue.failing(error))

    def retry(self, id: str | Document) -> Document:
        """Process again: failed or completed → pending. The error is cleared; ``attempts`` goes on counting.

        Raises:
            NotFound: there is none in this scope.
            InvalidTransition: it is pending or processing.

        Example:
            >>> document = store.documents.add(filename="a.txt", status="failed", error="time-out")
            >>> store.documents.retry(document).status.value
            'pending'
        """
        self._view.ready_to_write("retry")
        return self._view.changed(id, lambda row, now: lifecycle.retried(row))

    # -- claims ------------------------------------------------------------------------------------

    def claim(
        self,
        limit: int = 1,
        *,
        filter: Filter | None = None,
        lease: float = 300.0,
        worker: str | None = None,
        max_attempts: int | None = None,
        timeout: Timeout = STORE_DEFAULT,
    ) -> list[Claim]:
        """Take documents out of the queue, for this caller alone: pending → processing, one attempt more.

        Documents whose lease ran out count as pending; those that were :meth:`start`\\ ed without a lease do
        not. The oldest (by ``number``) come first, every version counts. A worker that dies is found out by
        its lease. A call that is cancelled (by Ctrl-C, or its task) leaves nothing claimed.

        Args:
            limit: how many at most, 1 to 1000.
            filter: which of them; ``None`` is any.
            lease: seconds that they are held, unless :meth:`Claim.heartbeat` says longer; more than 0.
            worker: a name for people, kept while the claim holds.
            max_attempts: claims and starts that a document may have, at least 1. One whose lease ran out at
                the last of them is failed instead of claimed. ``None``: any number.
            timeout: seconds that finding them may take, as for :meth:`find`.

        Returns:
            The claims, possibly none.

        Raises:
            FilterError: the filter is wrong.
            InvalidDocument: ``limit``, ``lease``, ``worker`` or ``max_attempts`` is of the wrong type or out
                of range.

        Example:
            >>> document = store.documents.add(filename="a.txt")
            >>> for claim in store.documents.claim(limit=10, lease=60):
            ...     print(claim.complete(content="Some words").filename)
            a.txt
        """
        self._view.ready_to_write("claim")
        if max_attempts is not None:
            check_count("max_attempts", max_attempts, 2**31)
        return self._queue.claim(limit, filter, lease, worker, max_attempts, timeout)

    def process(
        self,
        handler: Callable[[Document], Mapping[str, Any] | str | None],
        *,
        workers: int = 1,
        on_progress: Callable[[int], object] | None = None,
        max_attempts: int = 3,
        filter: Filter | None = None,
        lease: float = 300.0,
        worker: str | None = None,
        retry_delay: RetryDelay = None,
        poll: float | None = None,
        stop: Stop | None = None,
    ) -> ProcessReport:
        """Claim and handle documents in threads until none is left to claim.

        While a handler runs its lease is prolonged. A handler that raises gives its document back to the
        queue, to be tried again after ``retry_delay``, until the document had ``max_attempts``: then it is
        failed, with the exception as its error. So is one whose worker died as often. A handler that raises
        :class:`docstore.Permanent` fails its document at once. The call waits for the documents that it will
        try again. Ctrl-C lets the handlers under way finish and then returns; a second one gives up on them.

        Args:
            handler: called with each document (``processing``, without its content), in several threads at
                once where ``workers`` is more than 1. It returns the content, or a mapping of
                :meth:`complete`'s keywords, or ``None``.
            workers: threads, 1 to 256.
            on_progress: called after each document with the number finished so far, by one thread at a time.
            max_attempts: claims and starts that a document may have, at least 1.
            filter: which documents; ``None`` is any.
            lease: seconds after which a silent worker counts as dead; more than 0.
            worker: a name for people, kept on what is claimed.
            retry_delay: seconds from a failure to the next attempt, at least 0, or a function from the number
                of attempts so far to these. ``None``: about 1, 4, 16 … seconds, at most an hour, a quarter
                more or less by chance.
            poll: seconds between looks at the queue when nothing is pending, more than 0; the call then ends
                by ``stop`` or Ctrl-C alone. ``None``: it ends when nothing is pending.
            stop: an event, such as a ``threading.Event``; once it is set, handlers under way finish, and the
                call returns. Documents that wait for their next attempt stay pending.

        Returns:
            Counts of the documents by outcome, and the first errors.

        Raises:
            FilterError, InvalidDocument: an argument is wrong.
            BackendError: the database failed, or this is called within a transaction; what was done stays.

        Example:
            >>> def read(document):
            ...     return store.documents.read_bytes(document.id).decode()
            >>> report = store.documents.process(read, workers=4)
            >>> print(report.completed, report.failed)
            0 0
        """
        self._queue.check_processing(
            handler, workers=workers, max_attempts=max_attempts, filter=filter, lease=lease,
            retry_delay=retry_delay, poll=poll, stop=stop,
        )  # fmt: skip

        def take() -> Claim | None:
            return self._queue.take(filter=filter, lease=lease, worker=worker, max_attempts=max_attempts)

        def put_back(claim: Claim, failure: BaseException, delay: float) -> Document:
            return self._queue.put_back(claim, failure, max_attempts, delay)

        return Workers(
            handler, take, put_back, retry_delay=retry_delay, workers=workers, lease=lease,
            on_progress=on_progress, poll=poll, stop=stop,
        ).run()  # fmt: skip

    # -- bytes -------------------------------------------------------------------------------------

    def open(self, id: str | Document) -> BinaryIO:
        """Open a document's bytes for reading; size and sha256 are checked on the way.

        Raises:
            NotFound: there is no such document in this scope.
            BlobMissing: it has no bytes, or they are gone.
            BlobCorrupt: they are not those that were stored; a wrong size is found at once, a wrong sha256 at
                the end.

        Example:
            >>> with store.documents.open(store.documents.add("report.pdf")) as file:
            ...     print(file.read(5))
            b'%PDF-'
        """
        row = self._stored(id)
        return self._context.bytes().open(row["blob_key"], size=row["size"], sha256=row["sha256"])

    def read_bytes(self, id: str | Document) -> bytes:
        """Return a document's bytes, checked.

        Raises:
            As :meth:`open`.

        Example:
            >>> store.documents.read_bytes(store.documents.add(b"some bytes"))
            b'some bytes'
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

        Example:
            >>> store.documents.download(store.documents.add(b"some bytes"), "copy.txt")
        """
        row = self._stored(id)
        self._context.bytes().download(row["blob_key"], path, size=row["size"], sha256=row["sha256"])

    def url(self, id: str | Document, *, expires: int = 3600) -> str:
        """Return a URL that reads a document's bytes without credentials, under its filename.

        Args:
            id: which.
            expires: seconds that it works, at least 1.

        Raises:
            NotFound, BlobMissing: as :meth:`open`.
            BlobError: the filesystem cannot sign URLs.

        Example:
            >>> def link(document):
            ...     return store.documents.url(document, expires=600)
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

        Example:
            >>> document = store.documents.add("report.pdf")
            >>> list(store.documents.locations([document])) == [document.id]
            True
        """
        self._view.ready()
        asked = self._view.ids_of(ids)
        if not asked:
            return {}
        query = Query(DOCUMENTS, self._view.scope, In(("id",), tuple(asked)), include=_PRIVATE)
        with self._context.read() as reader:
            rows = self._view.run_exactly(reader, query)
        keys = {row["id"]: row["blob_key"] for row in rows if row["blob_key"] is not None}
        return {id: f"{self._context.bytes().location.rstrip('/')}/{key}" for id, key in keys.items()}

    def _stored(self, id: str | Document) -> Row:
        """Return a row that has bytes."""
        self._view.ready()
        blobs_key = self._view.id_of(id)
        with self._context.read() as reader:
            row = self._view.row(reader, blobs_key, include=_PRIVATE)
        if row["blob_key"] is None:
            raise BlobMissing(f"document {shown(id)} has no bytes", key=None)
        return row
