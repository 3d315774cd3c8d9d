"""AsyncExtractions: the methods of Extractions, awaited."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import Any

from docstore.aio.collection import AsyncRecords
from docstore.aio.files import plain_callback, plain_rows
from docstore.context.store_context import StoreContext
from docstore.extractions import Extractions
from docstore.models import Document, Extraction
from docstore.writes.results import AddResult, OnError, UpdateResult

__all__ = ["AsyncExtractions"]


class AsyncExtractions(AsyncRecords[Extraction, Extractions]):
    """The extractions of a store, within its scope: :class:`~docstore.extractions.Extractions`, awaited."""

    def _make(self, root: StoreContext) -> Extractions:
        return Extractions(root, self._scope, confined=self._confined)

    async def add(
        self,
        document_id: str | Document,
        results: Mapping[str, Any] | None = None,
        *,
        id: str | None = None,
        status: str = "completed",
        error: str | None = None,
        confidence_scores: Mapping[str, float] | None = None,
        review_flags: Mapping[str, bool] | None = None,
        review_below: float | None = None,
        needs_review: bool | None = None,
        metadata: Mapping[str, Any] | None = None,
        created_at: Any = None,
        updated_at: Any = None,
    ) -> Extraction:
        """Store what was read out of a document: :meth:`Extractions.add`, awaited."""
        return await self._bytes(
            Extractions.add, document_id, results, id=id, status=status, error=error,
            confidence_scores=confidence_scores, review_flags=review_flags, review_below=review_below,
            needs_review=needs_review, metadata=metadata, created_at=created_at, updated_at=updated_at,
        )  # fmt: skip

    async def start(self, id: str | Extraction) -> Extraction:
        """Begin, pending → processing: :meth:`Extractions.start`, awaited."""
        return await self._write(Extractions.start, id)

    async def complete(
        self,
        id: str | Extraction,
        results: Mapping[str, Any],
        *,
        confidence_scores: Mapping[str, float] | None = None,
        review_flags: Mapping[str, bool] | None = None,
        review_below: float | None = None,
        needs_review: bool | None = None,
        metadata: Mapping[str, Any] | None = None,
        touch: bool = True,
    ) -> Extraction:
        """Finish, processing (or pending) → completed: :meth:`Extractions.complete`, awaited."""
        return await self._write(
            Extractions.complete, id, results, confidence_scores=confidence_scores, review_flags=review_flags,
            review_below=review_below, needs_review=needs_review, metadata=metadata, touch=touch,
        )  # fmt: skip

    async def fail(self, id: str | Extraction, error: str) -> Extraction:
        """Give up, processing (or pending) → failed: :meth:`Extractions.fail`, awaited."""
        return await self._write(Extractions.fail, id, error)

    async def update(
        self,
        id: str | Extraction,
        operators: Mapping[str, Any] | None = None,
        /,
        *,
        if_revision: int | None = None,
        touch: bool = True,
        **changes: Any,
    ) -> Extraction:
        """Change an extraction's fields: :meth:`Extractions.update`, awaited."""
        return await self._bytes(
            Extractions.update, id, operators, if_revision=if_revision, touch=touch, **changes
        )

    async def review(
        self,
        id: str | Extraction,
        reviewed_results: Mapping[str, Any],
        *,
        reviewed_by: str,
        reviewed_at: Any = None,
    ) -> Extraction:
        """Write down a person's review: :meth:`Extractions.review`, awaited."""
        return await self._write(
            Extractions.review, id, reviewed_results, reviewed_by=reviewed_by, reviewed_at=reviewed_at
        )

    async def add_many(
        self,
        extractions: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
        *,
        on_error: OnError = "raise",
        batch_size: int = 1000,
        on_progress: Callable[[int], object] | None = None,
    ) -> AddResult:
        """Add many extractions, each batch in one commit: :meth:`Extractions.add_many`, awaited.

        ``extractions`` may be an async iterable, ``on_progress`` a coroutine function.
        """
        return await self._bytes(
            Extractions.add_many, plain_rows(extractions, batch_size), on_error=on_error,
            batch_size=batch_size, on_progress=plain_callback(on_progress),
        )  # fmt: skip

    async def review_many(
        self,
        reviews: Iterable[Mapping[str, Any]],
        *,
        reviewed_by: str,
        reviewed_at: Any = None,
        batch_size: int = 1000,
    ) -> UpdateResult:
        """Write down a person's review of many extractions: :meth:`Extractions.review_many`, awaited."""
        return await self._write(
            Extractions.review_many, reviews, reviewed_by=reviewed_by, reviewed_at=reviewed_at,
            batch_size=batch_size,
        )  # fmt: skip

    async def delete(self, id: str | Extraction, *, if_revision: int | None = None) -> None:
        """Remove an extraction: :meth:`Extractions.delete`, awaited."""
        await self._write(Extractions.delete, id, if_revision=if_revision)
