"""One write block after another, tried again where the engine undid it for another's sake."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from docstore.backend import Backend, BlobState, Query, Reader, Row, Writer
from docstore.concurrency import sleep
from docstore.errors import BackendError
from docstore.query.expr import In
from docstore.query.fields import DOCUMENTS

__all__ = ["DEAD", "LIVE", "PENDING", "SWEPT", "committed", "documents_of"]

T = TypeVar("T")
_TRIES = 8

PENDING: tuple[BlobState, ...] = ("pending",)
LIVE: tuple[BlobState, ...] = ("live",)
DEAD: tuple[BlobState, ...] = ("dead",)
SWEPT: tuple[BlobState, ...] = ("swept",)


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
