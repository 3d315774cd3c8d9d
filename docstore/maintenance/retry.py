"""Write blocks of maintenance, retried when the engine undid them in favour of another writer."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from docstore.backend import Backend, BlobRow, BlobState, Query, Reader, Row, Writer
from docstore.blobs.objects import classify
from docstore.concurrency import sleep
from docstore.errors import BackendError
from docstore.query.expr import In
from docstore.query.fields import DOCUMENTS

__all__ = [
    "DEAD",
    "LIVE",
    "PENDING",
    "SWEPT",
    "committed",
    "documents_of",
    "fault_of_blob",
]

T = TypeVar("T")
# As in `StoreContext.written`: a quarter of a second of pauses in all.
_TRIES = 8

PENDING: tuple[BlobState, ...] = ("pending",)
LIVE: tuple[BlobState, ...] = ("live",)
DEAD: tuple[BlobState, ...] = ("dead",)
SWEPT: tuple[BlobState, ...] = ("swept",)


def fault_of_blob(row: BlobRow) -> str:
    """Return what of a blob row is not as docstore writes it, in words; ``""``: nothing."""
    key: object = row.key
    size: object = row.size
    sha256: object = row.sha256
    if not isinstance(key, str) or classify(key) != "object":
        return "its key is no storage key"
    if row.state not in (*PENDING, *LIVE, *DEAD, *SWEPT):
        return "its state is none"
    if {type(row.at), type(row.place), type(row.attempts)} != {int}:
        return "a time, a place or a count is no whole number"
    if size is not None and not (type(size) is int and size >= 0):
        return "its size is no number of bytes"
    if sha256 is not None and not (isinstance(sha256, str) and len(sha256) == 64):
        return "its sha256 is none"
    return ""


def committed(backend: Backend, work: Callable[[Writer], T]) -> T:
    """Run ``work`` in a write block and return its result; a deadlock's victim runs again, a few times.

    Raises:
        BackendError: the database failed, or it was the victim every time.
    """
    for attempt in range(_TRIES):
        try:
            with backend.write() as writer:
                return work(writer)
        except BackendError as failed:
            if not getattr(failed, "transient", False) or attempt == _TRIES - 1:
                raise
        sleep(random.uniform(0, 0.002 * 2**attempt))
    raise AssertionError("unreachable")


def documents_of(reader: Reader, keys: Sequence[str]) -> dict[str, Row]:
    """Return the document rows that point at these storage keys, by key, with ``blob_key`` in them.

    No index serves this: ask for many keys at once, and only for keys that are suspected already.
    """
    if not keys:
        return {}
    where = In(("blob_key",), tuple(keys))
    rows = reader.select(Query(DOCUMENTS, where=where, include=frozenset({"blob_key"})))
    return {row["blob_key"]: row for row in rows}
