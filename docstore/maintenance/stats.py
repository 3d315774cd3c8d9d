"""Counting what is in a store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from docstore.backend import Backend, BlobState, KeepsSettings, Query, Reader, Scope
from docstore.blobs import Blobs
from docstore.maintenance.reports import Stats, Total
from docstore.query.expr import TRUE, Compare, Expr
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, STATUSES, Collection

__all__ = ["DescribesItself", "stats"]

_BATCH = 1000


@runtime_checkable
class DescribesItself(Protocol):
    """A backend that has more to say in ``stats`` (optional)."""

    def describe(self) -> Mapping[str, object]:
        """Return what an operator may want to know: versions, sizes, settings; values that are JSON."""


def stats(backend: Backend, blobs: Blobs | None, scope: Scope | None = None) -> Stats:
    """Count documents, extractions and blobs, from one snapshot.

    Args:
        backend: where rows are.
        blobs: where bytes are, or ``None``.
        scope: confine the counts to a tenant and owner; ``None`` counts all.

    Returns:
        The counts; bytes are those recorded, the storage is not looked at.

    Raises:
        BackendError: the database failed.
    """
    scope = scope or Scope()
    with backend.read(snapshot=True) as reader:
        statuses = {word: _count(reader, scope, where=Compare(("status",), "eq", word)) for word in STATUSES}
        return Stats(
            backend=backend.name,
            documents=_count(reader, scope),
            latest=_count(reader, scope, where=Compare(("is_latest",), "eq", True)),
            extractions=_count(reader, scope, EXTRACTIONS),
            statuses=statuses,
            blobs=_totals(reader, scope),
            location=None if blobs is None else blobs.location,
            store_id=reader.setting("store_id") if isinstance(reader, KeepsSettings) else None,
            details=dict(backend.describe()) if isinstance(backend, DescribesItself) else {},
        )


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
