"""Compare two stores record by record, and verify a copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from docstore.backend import Row
from docstore.blobs.streams import CHUNK
from docstore.errors import BlobCorrupt, BlobMissing, shown
from docstore.maintenance import OnProgress, Progress
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection
from docstore.store import Store
from docstore.transfer.rows import (
    Diff,
    Difference,
    Fingerprint,
    Sum,
    batches,
    differing,
    found_by_id,
    key_of,
    look_after,
)

__all__ = [
    "diff",
    "fingerprint",
    "verify_copy",
]

# Differences that a report names; it counts all of them.
_LISTED = 1000


def fingerprint(store: Store, *, stored: bool = True, on_progress: OnProgress | None = None) -> Fingerprint:
    """Return the fingerprint of a store or scoped view: equal contents have equal ones.

    Args:
        store: which.
        stored: whether it matters that a document's bytes are stored; false compares rows alone.
        on_progress: called after each batch, with the stage ``compared``.

    Raises:
        BackendError: the database failed.
    """
    look_after("fingerprint", store)
    total, done = Sum(stored=stored), 0
    for collection in (DOCUMENTS, EXTRACTIONS):
        for rows in batches(store, collection):
            for row in rows:
                total.add(collection, row)
            done = _tell(on_progress, "compared", done + len(rows))
    return total.fingerprint


def diff(
    a: Store,
    b: Store,
    *,
    level: Literal["rows", "hash"] = "rows",
    bytes: bool = True,
    on_progress: OnProgress | None = None,
) -> Diff:
    """Compare two stores record by record, known by tenant and id, in constant memory.

    Numbers and storage keys may differ; everything else must be the same. While one of them is written to,
    what changes meanwhile may be listed.

    Args:
        a: one store, or a scoped view of it.
        b: the other.
        level: ``rows`` compares records, the recorded size and sha256 of their bytes among them; ``hash``
            also reads all bytes of both.
        bytes: whether it is a difference that one has a document's bytes stored and the other has not.
        on_progress: called after each batch, with the stage ``compared``.

    Returns:
        The differences, the first thousand of them by name.

    Raises:
        ValueError: another level.
        BlobsNotConfigured: bytes are to be read of a store that was opened without ``blobs=``.
        BackendError, BlobError: a database or a storage failed.

    Example:
        >>> with docstore.open("memory://") as other:
        ...     docstore.diff(store, other).same
        True
    """
    if level not in ("rows", "hash"):
        raise ValueError(f"level={shown(level)}: expected 'rows' or 'hash'")
    look_after("diff", a, b)
    comparison = _Comparison(a, b, level == "hash", bytes, on_progress)
    for collection in (DOCUMENTS, EXTRACTIONS):
        comparison.forth(collection)
        comparison.back(collection)
    return comparison.result()


class _Comparison:
    """A comparison under way."""

    def __init__(self, a: Store, b: Store, read: bool, stored: bool, on_progress: OnProgress | None) -> None:
        self._a, self._b = a, b
        self._read, self._stored = read, stored
        self._on_progress = on_progress
        self._sums = Sum(stored=stored), Sum(stored=stored)
        self._found: list[Difference] = []
        self._count = self._done = 0

    def result(self) -> Diff:
        return Diff(self._sums[0].fingerprint, self._sums[1].fingerprint, self._count, tuple(self._found))

    def forth(self, collection: Collection) -> None:
        """Look for what a has in b."""
        for row, other in _pairs(self._a, self._b, collection):
            self._sums[0].add(collection, row)
            if other is None:
                self._add(Difference("only_in_a", collection.name, *key_of(row), name=_name(row)))
            else:
                self._compare(collection, row, other)
            self._tell()

    def back(self, collection: Collection) -> None:
        """Look for what b has in a."""
        for row, other in _pairs(self._b, self._a, collection):
            self._sums[1].add(collection, row)
            if other is None:
                self._add(Difference("only_in_b", collection.name, *key_of(row), name=_name(row)))
            self._tell()

    def _compare(self, collection: Collection, row: Row, other: Row) -> None:
        fields = differing(collection, row, other)
        if collection is DOCUMENTS and self._stored and _is_stored(row) != _is_stored(other):
            fields.append("bytes")
        if fields:
            self._add(Difference("different", collection.name, *key_of(row), tuple(fields), name=_name(row)))
        if collection is DOCUMENTS and self._read:
            for name, store, one in (("a", self._a, row), ("b", self._b, other)):
                self._read_bytes(name, store, one)

    def _read_bytes(self, name: str, store: Store, row: Row) -> None:
        if row["blob_key"] is None:
            return
        try:
            with store._context.bytes().open(row["blob_key"], size=row["size"], sha256=row["sha256"]) as file:
                while file.read(CHUNK):
                    pass
        except (BlobMissing, BlobCorrupt) as lost:
            detail = f"in {name}: {lost.message}"
            self._add(Difference("unreadable", DOCUMENTS.name, *key_of(row), ("bytes",), detail, _name(row)))

    def _add(self, difference: Difference) -> None:
        self._count += 1
        if len(self._found) < _LISTED:
            self._found.append(difference)

    def _tell(self) -> None:
        self._done += 1
        if self._done % 100 == 0:
            _tell(self._on_progress, "compared", self._done)


def verify_copy(
    source: Store, target: Store, *, stored: bool, on_progress: OnProgress | None
) -> tuple[Fingerprint, Fingerprint]:
    """Return the fingerprints of all records of ``source``, and of those of the same ids in ``target``."""
    mine, theirs, done = Sum(stored=stored), Sum(stored=stored), 0
    for collection in (DOCUMENTS, EXTRACTIONS):
        for row, other in _pairs(source, target, collection):
            mine.add(collection, row)
            if other is not None:
                theirs.add(collection, other)
            done += 1
            if done % 100 == 0:
                _tell(on_progress, "verified", done)
    _tell(on_progress, "verified", done)
    return mine.fingerprint, theirs.fingerprint


def _pairs(one: Store, other: Store, collection: Collection) -> Iterator[tuple[Row, Row | None]]:
    """Yield each record of one store with that of the same tenant and id that the other sees, if any."""
    for rows in batches(one, collection):
        with other._context.read() as reader:
            found = found_by_id(other, reader, collection, [row["id"] for row in rows])
        for row in rows:
            held = found.get(key_of(row))
            yield row, held if held is not None and _sees(other, held) else None


def _sees(store: Store, row: Row) -> bool:
    scope = store._scope
    return scope.tenant in (None, row["tenant"]) and scope.owner in (None, row["owner"])


def _is_stored(row: Row) -> bool:
    return row["blob_key"] is not None


def _tell(on_progress: OnProgress | None, stage: str, done: int) -> int:
    if on_progress is not None:
        on_progress(Progress(stage, done))
    return done


def _name(row: Row) -> str:
    """Return what people know a document by; an extraction has no name of its own."""
    return str(row.get("external_id") or row["filename"]) if "version" in row else ""
