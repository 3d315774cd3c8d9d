"""Check: rows and bytes compared, right while writers and collectors run beside it.

What is missing is found by reading rows first, then bytes, then the row again; what is extra by listing bytes
first, then rows, then looking for the bytes again. So nothing that merely came or went meanwhile is reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from docstore.backend import ANYWHERE, Backend, BlobRow, BlobState, Query, Row, Scope
from docstore.blobs import Blobs, Found
from docstore.errors import BlobCorrupt, BlobMissing, BlobsNotConfigured, shown
from docstore.maintenance.collect import batches_of, owner_of
from docstore.maintenance.commits import DEAD, LIVE, PENDING, SWEPT, committed, documents_of
from docstore.maintenance.reports import CheckReport, Finding, FindingKind, OnProgress, tell
from docstore.query.fields import DOCUMENTS

__all__ = ["ChecksIndexes", "Level", "check"]

Level: TypeAlias = Literal["size", "hash"]
_BATCH = 500
_LISTED = 1000


@runtime_checkable
class ChecksIndexes(Protocol):
    """A backend that keeps derived copies or indexes and can compare them with the documents (optional)."""

    def check_indexes(self) -> Iterable[tuple[str | None, str]]:
        """Yield (document id or ``None``, what is wrong) for each thing that does not fit."""

    def rebuild_indexes(self) -> None:
        """Make all that is derived anew from the documents."""


def check(
    backend: Backend,
    blobs: Blobs | None,
    level: Level = "size",
    *,
    grace: float = 86_400.0,
    scope: Scope = ANYWHERE,
    on_progress: OnProgress | None = None,
) -> CheckReport:
    """Compare documents, blob rows and stored objects.

    Args:
        backend: where rows are.
        blobs: where bytes are; ``None`` is enough for a store that never had any.
        level: ``size`` compares names and sizes, by listing; ``hash`` also reads every byte.
        grace: seconds after which an intent, or dead bytes, count as stale.
        scope: confine it to a tenant and owner. What has no row is then not looked for, nor are indexes
            compared: they are nobody's.
        on_progress: called after each batch, with the stages ``documents``, ``blobs`` and ``objects``.

    Returns:
        What was found; a document that was added, replaced or deleted meanwhile is no finding.

    Raises:
        ValueError: another level.
        BlobsNotConfigured: there are blob rows and no ``blobs``.
        BackendError, BlobError: the database or the storage failed.
    """
    if level not in ("size", "hash"):
        raise ValueError(f"level={shown(level)}: expected 'size' or 'hash'")
    walk = _Check(backend, level, scope, on_progress)
    walk.compare_documents()
    if blobs is not None:
        walk.compare_bytes(blobs)
        if scope == ANYWHERE:
            walk.compare_objects(blobs)
        walk.look_for_stale(blobs, grace)
    elif walk.any_blobs():
        raise BlobsNotConfigured("this store has bytes: open it with blobs= to check them")
    if scope == ANYWHERE:
        walk.look_at_indexes()
    return walk.report()


class _Check:
    """One check under way."""

    def __init__(
        self, backend: Backend, level: Level, scope: Scope, on_progress: OnProgress | None
    ) -> None:
        self._backend = backend
        self._level = level
        self._scope = scope
        self._on_progress = on_progress
        self._findings: list[Finding] = []
        self._needed: set[bytes] = set()
        self._documents = self._blobs = self._objects = self._bytes = 0

    def report(self) -> CheckReport:
        return CheckReport(
            self._level, tuple(self._findings), self._documents, self._blobs, self._objects, self._bytes
        )

    def any_blobs(self) -> bool:
        with self._backend.read() as reader:
            return bool(reader.blobs(limit=1, scope=self._scope))

    def compare_documents(self) -> None:
        """Compare documents with the rows of their blobs, each batch in one snapshot."""
        after: tuple[int] | None = None
        query = Query(DOCUMENTS, self._scope, limit=_BATCH, include=frozenset({"blob_key"}))
        while True:
            with self._backend.read(snapshot=True) as reader:
                rows = reader.select(_after(query, after))
                keys = [row["blob_key"] for row in rows if row["blob_key"] is not None]
                held = {blob.key: blob for blob in reader.blobs(keys=keys, limit=len(keys) or 1)}
            if not rows:
                return
            for row in rows:
                self._compare_document(row, held)
            self._documents += len(rows)
            after = (rows[-1]["number"],)
            tell(self._on_progress, "documents", self._documents)

    def compare_bytes(self, blobs: Blobs) -> None:
        """Compare live rows with their objects: rows first, then bytes, then the rows again."""
        after = ""
        for rows in batches_of(self._backend, LIVE, scope=self._scope):
            sizes = _sizes(blobs, {row.key for row in rows}, after, rows[-1].key)
            after = rows[-1].key
            suspected: dict[str, tuple[FindingKind, str]] = {}
            for row in rows:
                verdict = self._compare_object(blobs, row, sizes.get(row.key))
                if verdict is None and _compact(row.key) not in self._needed:
                    verdict = ("extra", "its row is live and no document has it")
                if verdict is not None:
                    suspected[row.key] = verdict
            self._confirm_rows(suspected)
            self._blobs += len(rows)
            tell(self._on_progress, "blobs", self._blobs, after)

    def compare_objects(self, blobs: Blobs) -> None:
        """Look for what no row knows: bytes first, then rows, then the bytes again."""
        listing = blobs.list()
        while batch := list(islice(listing, _LISTED)):
            self._objects += sum(found.kind == "object" for found in batch)
            for found in batch:
                if found.kind == "foreign":
                    self._add("foreign", found.name, None, f"{found.size} bytes, left alone")
            for found in self._unknown(batch):
                if blobs.size_of(found.name) is not None:
                    what = "an object" if found.kind == "object" else "a temporary file"
                    self._add("extra", found.name, None, f"{what} of {found.size} bytes that no row knows")
            tell(self._on_progress, "objects", self._objects, batch[-1].name)

    def look_for_stale(self, blobs: Blobs, grace: float) -> None:
        """Look for intents, and dead bytes, that should be gone by now."""

        def old(now: int) -> int:
            return now - int(grace * 1_000_000)

        for rows in batches_of(self._backend, PENDING, before=old, scope=self._scope):
            for row in rows:
                self._add("stale_pending", row.key, None, "its write never ended; collect removes it")
        for rows in batches_of(self._backend, DEAD, before=old, scope=self._scope):
            for row in rows:
                self._add("stale_dead", row.key, None, f"not removed yet, after {row.attempts} failures")
        for rows in batches_of(self._backend, SWEPT, before=old, scope=self._scope):
            for row in rows:
                if blobs.size_of(row.key) is not None:
                    detail = "a late writer stored it again; collect removes it"
                    self._add("stale_dead", row.key, None, detail)

    def look_at_indexes(self) -> None:
        if isinstance(self._backend, ChecksIndexes):
            for document_id, detail in self._backend.check_indexes():
                self._add("index", "", document_id, detail)

    def _add(self, kind: FindingKind, key: str, document_id: str | None, detail: str) -> None:
        self._findings.append(Finding(kind, key, document_id, detail))

    def _compare_document(self, row: Row, held: dict[str, BlobRow]) -> None:
        if (key := row["blob_key"]) is None:
            return
        self._needed.add(_compact(key))
        blob = held.get(key)
        if blob is None:
            self._add("missing", key, row["id"], "its bytes have no row")
        elif blob.state != "live":
            self._add("missing", key, row["id"], f"the row of its bytes says {blob.state}")
        elif (blob.size, blob.sha256) != (row["size"], row["sha256"]):
            detail = f"the document says {row['size']} bytes of {row['sha256']}, the row of its bytes "
            self._add("corrupt", key, row["id"], f"{detail}{blob.size} of {blob.sha256}")

    def _compare_object(self, blobs: Blobs, row: BlobRow, size: int | None) -> tuple[FindingKind, str] | None:
        if size is None:
            return None if blobs.size_of(row.key) is not None else ("missing", "there is no object")
        if row.size is not None and size != row.size:
            kind: FindingKind = "truncated" if size < row.size else "corrupt"
            return kind, f"{size} bytes instead of {row.size}"
        return self._read(blobs, row) if self._level == "hash" else None

    def _read(self, blobs: Blobs, row: BlobRow) -> tuple[FindingKind, str] | None:
        try:
            self._bytes += blobs.verify(row.key, size=row.size, sha256=row.sha256)
        except BlobMissing:
            return "missing", "there is no object"
        except BlobCorrupt as error:
            return "corrupt", error.message
        return None

    def _confirm_rows(self, suspected: dict[str, tuple[FindingKind, str]]) -> None:
        """Report what was suspected of rows that are live still."""
        if not suspected:
            return
        with self._backend.read(snapshot=True) as reader:
            keys = sorted(suspected)
            live = {row.key for row in reader.blobs(keys=keys, states=LIVE, limit=len(keys))}
            documents = documents_of(reader, keys)
        for key, (kind, detail) in sorted(suspected.items()):
            document = documents.get(key)
            if key in live and not (kind == "extra" and document is not None):
                self._add(kind, key, None if document is None else document["id"], detail)

    def _unknown(self, batch: Sequence[Found]) -> list[Found]:
        """Return what has no row, by the rows of now, and of no transaction that is still open."""
        owned = {found.name: key for found in batch if (key := owner_of(found)) is not None}
        with self._backend.read() as reader:
            states = {row.key: row.state for row in reader.blobs(keys=sorted(owned.values()), limit=_LISTED)}
        suspected = [found for found in batch if found.name in owned and _is_extra(found, states)]
        if not suspected:
            return []
        keys = sorted({owned[found.name] for found in suspected})
        rows = committed(self._backend, lambda writer: writer.blobs(keys=keys, limit=len(keys)))
        states = {row.key: row.state for row in rows}
        return [found for found in suspected if _is_extra(found, states) and not self._is_needed(found)]

    def _is_needed(self, found: Found) -> bool:
        """Return whether a document has this object, though its row is lost: that was reported already."""
        return found.kind == "object" and _compact(found.name) in self._needed


def _is_extra(found: Found, states: Mapping[str, BlobState]) -> bool:
    """Return whether a row explains ``found``: any an object, one that is not live a temporary file."""
    state = states.get(owner_of(found) or "")
    return state is None or (found.kind == "temporary" and state == "live")


def _sizes(blobs: Blobs, keys: set[str], after: str, last: str) -> dict[str, int]:
    """Return the sizes of those objects that a listing from ``after`` to ``last`` shows."""
    return {found.name: found.size for found in _until(blobs.list(after=after), last) if found.name in keys}


def _until(listing: Iterator[Found], last: str) -> Iterator[Found]:
    for found in listing:
        if found.name > last:
            return
        yield found


def _after(query: Query, after: tuple[int] | None) -> Query:
    return replace(query, after=after)


def _compact(key: str) -> bytes:
    """Return 16 bytes for a key: all keys in use are held at once."""
    try:
        return bytes.fromhex(key.rpartition("/")[2])
    except ValueError:
        return key.encode()
