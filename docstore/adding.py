"""Adding documents: validate (P0), then hand the drafts to the put protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from docstore.drafts import Draft, draft_document
from docstore.errors import InvalidDocument, ScopeError
from docstore.models import AddResult, Document, NewDocument
from docstore.query.fields import DOCUMENTS
from docstore.storing import Stored, store_drafts
from docstore.writing import Writes

__all__ = ["Adds"]


class Adds(Writes[Document]):
    """The part of the documents that adds them."""

    _collection = DOCUMENTS

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
        row = self._store([draft])[0].row
        return self._made({**row, "content": None})

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
        if type(batch_size) is not int or not 1 <= batch_size <= 100_000:
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
