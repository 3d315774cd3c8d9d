"""AsyncDocuments: the methods of Documents, awaited."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Unpack

from docstore.aio.collection import AsyncRecords
from docstore.aio.files import AsyncFile, plain_callback, plain_rows, readable
from docstore.aio.workers import AsyncClaim, AsyncHandler, AsyncWorkers
from docstore.concurrency import STORE_DEFAULT, Timeout
from docstore.context.collection_view import Filter
from docstore.context.store_context import StoreContext
from docstore.documents import Documents
from docstore.errors import DocstoreError
from docstore.models import Document, DocumentFields, NewDocument, with_fields
from docstore.workers import Claim, ProcessReport, RetryDelay, Stop
from docstore.writes.results import AddResult, OnError, Put, PutResult, UpdateResult
from docstore.writes.upserts import OnConflict

__all__ = ["AsyncDocuments"]


class AsyncDocuments(AsyncRecords[Document, Documents]):
    """The documents of a store, within its scope: :class:`~docstore.documents.Documents`, awaited.

    A ``source`` may also be an async iterable of bytes, or a file whose ``read`` is a coroutine function,
    such as Starlette's ``UploadFile``. Sources are read, and bytes written, in a thread. A call that is
    cancelled leaves nothing behind, or all of it where the commit was done already.
    """

    def _make(self, root: StoreContext) -> Documents:
        return Documents(root, self._scope, confined=self._confined)

    # -- adding ------------------------------------------------------------------------------------

    @with_fields(DocumentFields)
    async def add(self, source: Any = None, **fields: Unpack[DocumentFields]) -> Document:
        """Store a document, its bytes and its fields, in one commit: :meth:`Documents.add`, awaited.

        Example:
            >>> document = await store.documents.add(upload, metadata={"category": "finance"})
        """
        call = self._write if source is None else self._bytes
        return await call(Documents.add, readable(source), **fields)

    async def add_many(
        self,
        documents: Iterable[NewDocument | Mapping[str, Any]] | AsyncIterable[NewDocument | Mapping[str, Any]],
        *,
        on_error: OnError = "raise",
        batch_size: int = 1000,
        on_progress: Callable[[int], object] | None = None,
    ) -> AddResult:
        """Add many documents, each batch in one commit: :meth:`Documents.add_many`, awaited.

        ``documents`` may be an async iterable, ``on_progress`` a coroutine function.
        """
        return await self._bytes(
            Documents.add_many,
            plain_rows(documents, batch_size),
            on_error=on_error,
            batch_size=batch_size,
            on_progress=plain_callback(on_progress),
        )

    @with_fields(DocumentFields)
    async def put(
        self, source: Any = None, *, on_conflict: OnConflict = "replace", **fields: Unpack[DocumentFields]
    ) -> Put:
        """Add the document with this id or external_id, or change it: :meth:`Documents.put`, awaited."""
        call = self._write if source is None else self._bytes
        return await call(Documents.put, readable(source), on_conflict=on_conflict, **fields)

    async def put_many(
        self,
        documents: Iterable[NewDocument | Mapping[str, Any]] | AsyncIterable[NewDocument | Mapping[str, Any]],
        *,
        on_conflict: OnConflict = "replace",
        on_error: OnError = "raise",
        batch_size: int = 1000,
        on_progress: Callable[[int], object] | None = None,
    ) -> PutResult:
        """Put many documents, each batch in one commit: :meth:`Documents.put_many`, awaited.

        ``documents`` may be an async iterable, ``on_progress`` a coroutine function.
        """
        return await self._bytes(
            Documents.put_many,
            plain_rows(documents, batch_size),
            on_conflict=on_conflict,
            on_error=on_error,
            batch_size=batch_size,
            on_progress=plain_callback(on_progress),
        )

    # -- changing ----------------------------------------------------------------------------------

    async def update(
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
        """Change a document's fields, its bytes, or both: :meth:`Documents.update`, awaited."""
        call = self._write if source is None else self._bytes
        return await call(
            Documents.update, id, operators, source=readable(source), sha256=sha256, size=size,
            if_revision=if_revision, touch=touch, **changes,
        )  # fmt: skip

    async def update_many(
        self,
        filter: Filter,
        operators: Mapping[str, Any] | None = None,
        /,
        *,
        touch: bool = True,
        timeout: Timeout = STORE_DEFAULT,
        **changes: Any,
    ) -> UpdateResult:
        """Change all documents that match, in batches: :meth:`Documents.update_many`, awaited."""
        return await self._write(
            Documents.update_many, filter, operators, touch=touch, timeout=timeout, **changes
        )

    async def delete(self, id: str | Document, *, if_revision: int | None = None) -> None:
        """Remove a document, its extractions, and then its bytes: :meth:`Documents.delete`, awaited."""
        await self._write(Documents.delete, id, if_revision=if_revision)

    async def delete_many(self, filter: Filter, *, timeout: Timeout = STORE_DEFAULT) -> int:
        """Remove all documents that match, in batches: :meth:`Documents.delete_many`, awaited."""
        return await self._write(Documents.delete_many, filter, timeout=timeout)

    # -- versions ----------------------------------------------------------------------------------

    async def versions(self, external_id: str, *, at_least: str | None = None) -> list[Document]:
        """Return all versions with this external_id: :meth:`Documents.versions`, awaited."""
        return await self._read(Documents.versions, external_id, at_least=at_least)

    async def get_by_external_id(
        self, external_id: str, *, version: int | None = None, at_least: str | None = None
    ) -> Document:
        """Return one version of a document: :meth:`Documents.get_by_external_id`, awaited."""
        return await self._read(Documents.get_by_external_id, external_id, version=version, at_least=at_least)

    # -- status ------------------------------------------------------------------------------------

    async def start(self, id: str | Document) -> Document:
        """Begin processing, pending → processing: :meth:`Documents.start`, awaited."""
        return await self._write(Documents.start, id)

    async def complete(
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
        """Finish processing, processing (or pending) → completed: :meth:`Documents.complete`, awaited."""
        return await self._write(
            Documents.complete, id, content=content, preview=preview, content_state=content_state,
            content_note=content_note, metadata=metadata, processed_at=processed_at, touch=touch,
        )  # fmt: skip

    async def fail(self, id: str | Document, error: str) -> Document:
        """Give up on processing, processing (or pending) → failed: :meth:`Documents.fail`, awaited."""
        return await self._write(Documents.fail, id, error)

    async def retry(self, id: str | Document) -> Document:
        """Process again, failed or completed → pending: :meth:`Documents.retry`, awaited."""
        return await self._write(Documents.retry, id)

    async def retry_many(self, filter: Filter, *, timeout: Timeout = STORE_DEFAULT) -> UpdateResult:
        """Process all documents that match again: :meth:`Documents.retry_many`, awaited."""
        return await self._write(Documents.retry_many, filter, timeout=timeout)

    # -- the queue ---------------------------------------------------------------------------------

    async def claim(
        self,
        limit: int = 1,
        *,
        filter: Filter | None = None,
        lease: float = 300.0,
        worker: str | None = None,
        max_attempts: int | None = None,
        timeout: Timeout = STORE_DEFAULT,
    ) -> list[AsyncClaim]:
        """Take documents out of the queue, for this caller alone: :meth:`Documents.claim`, awaited."""
        documents = await self._blocking()
        work = partial(
            documents.claim,
            limit,
            filter=filter,
            lease=lease,
            worker=worker,
            max_attempts=max_attempts,
            timeout=timeout,
        )
        claims = await self._shell.run("write", work, undo=_release, timeout=timeout)
        return [AsyncClaim(self._shell, claim) for claim in claims]

    async def process(
        self,
        handler: AsyncHandler,
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
        """Handle documents in tasks until none is left to claim: :meth:`Documents.process`, awaited.

        Args:
            handler: a coroutine function, run on the loop, or a plain function, run in a thread. It takes a
                document and returns its content, or a mapping of :meth:`complete`'s keywords, or ``None``.
            workers: documents handled at once, 1 to 256.
            on_progress: called after each document with the number finished; may be a coroutine function.
            max_attempts, filter, lease, worker, retry_delay, poll, stop: as for :meth:`Documents.process`;
                ``stop`` may be an ``asyncio.Event``.

        Raises:
            As :meth:`Documents.process`; when the caller is cancelled, what was being handled goes back to
            the queue first.
        """
        await self._write(
            _check_processing,
            handler=handler,
            workers=workers,
            max_attempts=max_attempts,
            filter=filter,
            lease=lease,
            retry_delay=retry_delay,
            poll=poll,
            stop=stop,
        )

        async def take() -> AsyncClaim | None:
            documents = await self._blocking()
            work = partial(
                documents._queue.take,
                filter=filter,
                lease=lease,
                worker=worker,
                max_attempts=max_attempts,
            )
            claim = await self._shell.run(
                "write", work, undo=lambda claim: _release([claim] if claim else [])
            )
            return None if claim is None else AsyncClaim(self._shell, claim)

        async def put_back(claim: AsyncClaim, failure: BaseException, delay: float) -> Document:
            return await self._write(_put_back, claim._claim, failure, max_attempts, delay)

        tasks = AsyncWorkers(
            self._shell, handler, take, put_back, retry_delay=retry_delay, workers=workers, lease=lease,
            on_progress=on_progress, poll=poll, stop=stop,
        )  # fmt: skip
        return await tasks.run()

    # -- bytes -------------------------------------------------------------------------------------

    async def open(self, id: str | Document) -> AsyncFile:
        """Open a document's bytes for reading: :meth:`Documents.open`, awaited; a file that is awaited, too.

        Example:
            >>> async with await store.documents.open(document.id) as file:
            ...     first = await file.read(1000)
        """
        documents = await self._blocking()
        opening = partial(documents.open, id)
        return AsyncFile(self._shell, await self._shell.run("bytes", opening, undo=lambda file: file.close()))

    async def read_bytes(self, id: str | Document) -> bytes:
        """Return a document's bytes, checked: :meth:`Documents.read_bytes`, awaited."""
        return await self._bytes(Documents.read_bytes, id)

    async def download(self, id: str | Document, path: str | os.PathLike[str]) -> None:
        """Write a document's bytes to a file, whole and checked: :meth:`Documents.download`, awaited."""
        await self._bytes(Documents.download, id, path)

    async def locations(self, ids: Iterable[str | Document]) -> dict[str, str]:
        """Return where documents' bytes are kept, all in one query: :meth:`Documents.locations`, awaited."""
        return await self._read(Documents.locations, ids)

    async def url(self, id: str | Document, *, expires: int = 3600) -> str:
        """Return a URL that reads a document's bytes: :meth:`Documents.url`, awaited."""
        return await self._bytes(Documents.url, id, expires=expires)


def _check_processing(documents: Documents, /, *, handler: Any, **asked: Any) -> None:
    documents._queue.check_processing(handler, **asked)


def _put_back(
    documents: Documents, /, claim: Claim, failure: BaseException, most: int, delay: float
) -> Document:
    return documents._queue.put_back(claim, failure, most, delay)


def _release(claims: list[Claim]) -> None:
    for claim in claims:
        try:
            claim.release()
        except DocstoreError:
            continue  # the lease then runs out
