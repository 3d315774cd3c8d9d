"""Stats: the counts and sizes of a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol, runtime_checkable

from docstore.backend import Backend, BlobState, KeepsSettings, Query, Reader, Scope, SortKey
from docstore.blobs import Blobs
from docstore.lifecycle import LEASE
from docstore.maintenance.reports import HeldDocument, Stats, Total
from docstore.query.expr import TRUE, Compare, Expr
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, STATUSES, Collection
from docstore.query.instants import to_datetime

__all__ = ["MeasuresTables", "held_documents", "stats"]

_BATCH = 1000
_MOST_HELD = 100


@runtime_checkable
class MeasuresTables(Protocol):
    """A backend that knows how much room its tables and indexes take (optional)."""

    def sizes(self) -> Mapping[str, int]:
        """Return bytes by table and index, under ``database`` those of the whole first."""


def stats(
    backend: Backend, blobs: Blobs | None, scope: Scope | None = None, *, sizes: bool = False
) -> Stats:
    """Count documents, extractions and blobs, from one snapshot.

    Args:
        backend: where rows are.
        blobs: where bytes are, or ``None``.
        scope: confine the counts to a tenant and owner; ``None`` counts all.
        sizes: measure tables and indexes, too, if no scope confines it.

    Returns:
        The counts; bytes are those recorded, the storage is not looked at.

    Raises:
        BackendError: the database failed.
    """
    scope = scope or Scope()
    with backend.read(snapshot=True) as reader:
        statuses = {word: _count(reader, scope, where=Compare(("status",), "eq", word)) for word in STATUSES}
        counted = Stats(
            backend=backend.name,
            documents=_count(reader, scope),
            latest=_count(reader, scope, where=Compare(("is_latest",), "eq", True)),
            extractions=_count(reader, scope, EXTRACTIONS),
            statuses=statuses,
            blobs=_totals(reader, scope),
            location=None if blobs is None else blobs.location,
            store_id=reader.setting("store_id") if isinstance(reader, KeepsSettings) else None,
            held=held_documents(reader, scope),
        )
    if sizes and scope == Scope() and isinstance(backend, MeasuresTables):
        return replace(counted, sizes=dict(backend.sizes()))
    return counted


def held_documents(reader: Reader, scope: Scope) -> tuple[HeldDocument, ...]:
    """Return the documents that workers hold, those whose lease ends first; a hundred at most."""
    where, order = Compare(("status",), "eq", "processing"), (SortKey(("number",), False, False),)
    rows = reader.select(Query(DOCUMENTS, scope, where, order, include=LEASE, limit=_MOST_HELD))
    held = [
        HeldDocument(row["id"], row["filename"], row["lease_worker"], to_datetime(until), row["attempts"])
        for row in rows
        if (until := row["lease_expires_at"]) is not None
    ]
    return tuple(sorted(held, key=lambda one: one.expires_at))


def _count(reader: Reader, scope: Scope, collection: Collection = DOCUMENTS, where: Expr = TRUE) -> int:
    return reader.count(Query(collection, scope, where))


def _totals(reader: Reader, scope: Scope) -> dict[str, Total]:
    totals: dict[BlobState, Total] = {}
    after = ""
    while rows := reader.blobs(after_key=after, scope=scope, limit=_BATCH):
        for row in rows:
            before = totals.get(row.state, Total())
            totals[row.state] = Total(before.count + 1, before.bytes + (row.size or 0))
        after = rows[-1].key
    return dict(sorted(totals.items()))
