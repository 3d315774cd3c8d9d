"""Erasure: remove everything of a tenant or owner, rows and bytes, uploads under way included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Protocol, runtime_checkable

from docstore.backend import Backend, BlobRow, BlobState, Query, Scope, Writer
from docstore.blobs import Blobs
from docstore.context.ownership import Places
from docstore.errors import BlobsNotConfigured, ScopeError
from docstore.maintenance.collect import Removal
from docstore.maintenance.reports import EraseReport, OnProgress, tell
from docstore.maintenance.retry import DEAD, LIVE, PENDING, SWEPT, committed, documents_of
from docstore.query.fields import DOCUMENTS
from docstore.writes.insertion import blob_of

__all__ = ["KeepsValues", "erase"]

_BATCH = 500


@runtime_checkable
class KeepsValues(Protocol):
    """A backend that keeps values of documents elsewhere than with the documents, or where they were until
    something is written over them (optional).
    """

    def forget_values(self) -> None:
        """Leave nothing of what no document has any more, as far as the engine lets this session."""


def erase(
    backend: Backend, blobs: Blobs | None, scope: Scope, *, store_id: str | None = None,
    on_progress: OnProgress | None = None,
) -> EraseReport:  # fmt: skip
    """Remove all documents of a scope, their extractions, and the bytes ever written for it.

    Blob rows carry tenant and owner: intents, dead and swept ones are reached, too, whether or not a
    document ever stood behind them. A write under way is fenced: it fails, or begins again after the erasure.
    Killed on the way, the same call goes on. The rows of removed bytes stay for a grace period without tenant
    and owner, as keys of random digits, so that a collection can remove what a late writer leaves.

    Args:
        backend: where rows are.
        blobs: where bytes are; ``None`` is enough for a scope without bytes.
        scope: whose; at least one part is set.
        store_id: the id that the store must have; ``None``: whatever its database says.
        on_progress: called after each batch, with the stages ``documents`` and ``swept``.

    Returns:
        The removed records, counted, the keys whose bytes could not be removed yet (collection does, until
        they are), and
        the roots that were not reached: there the bytes are still.

    Raises:
        ScopeError: the scope is empty.
        BlobsNotConfigured: bytes were written for the scope and there is no ``blobs``.
        BackendError: the database failed.
    """
    if scope.tenant is None and scope.owner is None:
        raise ScopeError("erase needs tenant=, owner= or both: to remove all, delete the store")
    if blobs is None:
        with backend.read() as reader:
            if reader.blobs(scope=scope, limit=1):
                raise BlobsNotConfigured("bytes were written for this scope: open the store with blobs=")
    _bury_intents(backend, scope)
    documents = _erase_documents(backend, scope, on_progress)
    _bury_ownerless(backend, scope)
    report = EraseReport(documents)
    if blobs is not None:
        ownership = Places(blobs, backend.read, backend.write, store_id).look()
        removal = Removal(backend, blobs, ownership, on_progress=on_progress)
        swept = removal.sweep(_batches(backend, scope, DEAD), anonymous=True)
        _make_anonymous(backend, scope)
        report = EraseReport(documents, swept, tuple(removal.failed), tuple(removal.elsewhere()))
    if isinstance(backend, KeepsValues):
        backend.forget_values()
    return report


def _bury_intents(backend: Backend, scope: Scope) -> None:
    """Mark intents dead, which fences their writers: what they made live before, is found as documents."""
    for rows in _batches(backend, scope, PENDING):
        committed(backend, partial(_bury, blobs=rows, states=PENDING))


def _erase_documents(backend: Backend, scope: Scope, on_progress: OnProgress | None) -> int:
    """Remove documents in batches, each with its bytes marked dead in one commit."""
    done = 0
    while count := committed(backend, partial(_erase_some, scope=scope)):
        done += count
        tell(on_progress, "documents", done)
    return done


def _erase_some(writer: Writer, scope: Scope) -> int:
    query = Query(DOCUMENTS, scope, limit=_BATCH, include=frozenset({"blob_key"}), lock="wait")
    rows = writer.select(query)
    _bury(writer, [blob_of(row) for row in rows if row["blob_key"] is not None], LIVE)
    writer.delete(DOCUMENTS, rows)
    return len(rows)


def _bury_ownerless(backend: Backend, scope: Scope) -> None:
    """Mark live rows dead that no document stands behind; a write that began since keeps its own."""

    def work(writer: Writer, rows: Sequence[BlobRow]) -> None:
        owned = documents_of(writer, [row.key for row in rows])
        _bury(writer, [row for row in rows if row.key not in owned], LIVE)

    for rows in _batches(backend, scope, LIVE):
        committed(backend, partial(work, rows=rows))


def _bury(writer: Writer, blobs: Sequence[BlobRow], states: tuple[BlobState, ...]) -> None:
    now = writer.now()
    for blob in blobs:
        writer.update_blob(blob, states, state="dead", at=now)


def _make_anonymous(backend: Backend, scope: Scope) -> None:
    """Take tenant and owner off rows whose bytes an earlier collection removed."""

    def work(writer: Writer, rows: Sequence[BlobRow]) -> None:
        for row in rows:
            writer.update_blob(row, SWEPT, tenant=None, owner=None)

    for rows in _batches(backend, scope, SWEPT):
        committed(backend, partial(work, rows=rows))


def _batches(backend: Backend, scope: Scope, states: tuple[BlobState, ...]) -> Iterator[Sequence[BlobRow]]:
    after = ""
    while True:
        with backend.read() as reader:
            rows = reader.blobs(states=states, scope=scope, after_key=after, limit=_BATCH)
        if not rows:
            return
        yield rows
        after = rows[-1].key
