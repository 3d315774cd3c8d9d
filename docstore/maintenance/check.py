"""Check: rows and bytes compared, right while writers and collectors run beside it.

What is missing is found by reading rows first, then bytes, then the row again; what is extra by listing bytes
first, then rows, then looking for the bytes again. So nothing that merely came or went meanwhile is reported.
"""

from __future__ import annotations

import time
from collections.abc import Collection as Container
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from threading import Lock
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from docstore.backend import ANYWHERE, Backend, BlobRow, BlobState, Query, Row, Scope, Writer
from docstore.blobs import Blobs, Found
from docstore.blobs.objects import QUARANTINE, at_once, classify
from docstore.context.ownership import Ownership, Places, location_of
from docstore.errors import BlobCorrupt, BlobMissing, BlobsNotConfigured, shown
from docstore.maintenance.collect import batches_of, checked_grace
from docstore.maintenance.orphans import key_of, listed, unproven
from docstore.maintenance.reports import CheckReport, Finding, FindingKind, OnProgress, tell
from docstore.maintenance.retry import DEAD, LIVE, PENDING, SWEPT, committed, documents_of, fault_of_blob
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, fault_of

__all__ = ["ChecksIndexes", "Level", "check"]

Level: TypeAlias = Literal["size", "hash"]
# A batch is one snapshot: small enough that no long transaction keeps Postgres from vacuuming.
_BATCH = 500
# Objects that are compared with their rows at a time.
_LISTED = 1000


@runtime_checkable
class ChecksIndexes(Protocol):
    """A backend that keeps derived copies or indexes and can compare them with the documents (optional)."""

    def check_indexes(
        self, unreadable: Mapping[str, Container[int]] = {}
    ) -> Iterable[tuple[str | None, str]]:
        """Yield (document id or ``None``, what is wrong) for each thing that does not fit.

        Args:
            unreadable: by collection, the numbers of rows that are not as docstore writes rows: what is
                derived of these is of what they were, and that is no finding.
        """

    def rebuild_indexes(self) -> None:
        """Make all that is derived anew from the documents."""


def check(
    backend: Backend,
    blobs: Blobs | None,
    level: Level = "size",
    *,
    grace: float = 86_400.0,
    prefix: str = "",
    after: str = "",
    workers: int = 1,
    listing: Iterable[tuple[str, int]] | None = None,
    scope: Scope = ANYWHERE,
    store_id: str | None = None,
    read_only: str = "",
    on_progress: OnProgress | None = None,
) -> CheckReport:
    """Compare documents, blob rows and stored objects.

    Args:
        backend: where rows are.
        blobs: where bytes are; ``None`` is enough for a store that never had any.
        level: ``size`` compares names and sizes, by listing; ``hash`` also reads every byte.
        grace: seconds after which an intent, or dead bytes, count as stale.
        prefix: of the keys that the check of bytes is confined to; ``""`` is all. Keys begin with two hex
            digits.
        after: key after which it begins.
        workers: how many objects are looked at or read at once.
        listing: pairs of name and size that stand in the storage, by an inventory that is older than the
            rows; held in memory, some hundred bytes each. ``None``: the storage lists itself.
        scope: confine it to a tenant and owner. Objects without a row are then not looked for, nor are
            indexes compared: they are nobody's.
        store_id: the id that the store must have; ``None``: whatever its database says.
        read_only: why the store can only be read: what has no row is then not looked for. ``""``: it can be
            written to.
        on_progress: called after each batch, with the stages ``documents``, ``blobs`` and ``objects``.

    Returns:
        The findings; a document that was added, replaced or deleted meanwhile is no finding.

    Raises:
        ValueError: another level.
        BlobsNotConfigured: there are blob rows and no ``blobs``.
        BackendError, BlobError: the database or the storage failed.
    """
    if level not in ("size", "hash"):
        raise ValueError(f"level={shown(level)}: expected 'size' or 'hash'")
    checked_grace(grace)
    walk = _Check(backend, level, scope, on_progress, _KeyRange(prefix, after, workers), grace, read_only)
    walk.compare_documents()
    walk.read_extractions()
    if blobs is not None:
        listed = None if listing is None else _Inventory(blobs, listing, prefix, after)
        walk.look_whose(Places(blobs, backend.read, backend.write, store_id))
        walk.compare_bytes(blobs, listed)
        if scope == ANYWHERE:
            walk.compare_objects(blobs, listed)
        walk.look_for_stale(blobs)
    elif walk.any_blobs():
        raise BlobsNotConfigured("this store has bytes: open it with blobs= to check them")
    if scope == ANYWHERE:
        walk.look_at_indexes()
    return walk.report()


@dataclass(frozen=True, slots=True)
class _KeyRange:
    """The range of keys that a check of bytes covers, and its number of threads."""

    prefix: str
    after: str
    workers: int

    def has(self, key: str) -> bool:
        return key > self.after and key.startswith(self.prefix)


class _Inventory:
    """The names and sizes of an inventory that are of a part of the storage, in order when asked for."""

    def __init__(self, blobs: Blobs, listing: Iterable[tuple[str, int]], prefix: str, after: str) -> None:
        self.sizes = {found.name: found.size for found in listed(blobs, prefix, after, listing)}

    def found(self) -> Iterator[Found]:
        return (Found(name, size, classify(name)) for name, size in sorted(self.sizes.items()))


class _Check:
    """One check under way."""

    def __init__(
        self, backend: Backend, level: Level, scope: Scope, on_progress: OnProgress | None, part: _KeyRange,
        grace: float, read_only: str,
    ) -> None:  # fmt: skip
        self._part = part
        self._grace = grace
        self._read_only = read_only
        # Threads that read bytes add their findings under it; it is held for no call.
        self._mutex = Lock()
        self._ownership = Ownership(None, None)
        self._newest = 0
        self._newer: list[int] = []
        self._notes: list[str] = []
        self._backend = backend
        self._level = level
        self._scope = scope
        self._on_progress = on_progress
        self._findings: list[Finding] = []
        self._needed: set[bytes] = set()
        self._unreadable: dict[str, set[int]] = {DOCUMENTS.name: set(), EXTRACTIONS.name: set()}
        self._documents = self._blobs = self._objects = self._bytes = 0

    def report(self) -> CheckReport:
        if self._newer:
            note = f"{len(self._newer)} objects are newer than the newest row: was an older backup restored?"
            self._notes.append(note)
            for at in self._newer:
                found = self._findings[at]
                self._findings[at] = replace(found, detail=f"{found.detail}; {note}")
        return CheckReport(
            self._level, tuple(self._findings), self._documents, self._blobs, self._objects, self._bytes,
            self._grace, tuple(self._notes),
        )  # fmt: skip

    def look_whose(self, places: Places) -> None:
        """Look whose the root of the bytes is."""
        self._ownership = places.look()
        if self._ownership.refusal:
            self._add("unowned", "", None, self._ownership.refusal)

    def any_blobs(self) -> bool:
        with self._backend.read() as reader:
            return bool(reader.blobs(limit=1, scope=self._scope))

    def compare_documents(self) -> None:
        """Compare documents with the rows of their blobs, each batch in one snapshot."""
        after: tuple[int] | None = None
        query = Query(DOCUMENTS, self._scope, limit=_BATCH, include=frozenset(DOCUMENTS.private))
        while True:
            with self._backend.read(snapshot=True) as reader:
                rows = reader.select(_after(query, after))
                keys = [row["blob_key"] for row in rows if isinstance(row["blob_key"], str)]
                held = {blob.key: blob for blob in reader.blobs(keys=keys, limit=len(keys) or 1)}
            if not rows:
                return
            for row in rows:
                if not self._finds_unreadable(DOCUMENTS, row):
                    self._compare_document(row, held)
                elif isinstance(row["blob_key"], str):
                    self._needed.add(_compact(row["blob_key"]))
            self._documents += len(rows)
            after = (rows[-1]["number"],)
            tell(self._on_progress, "documents", self._documents)

    def read_extractions(self) -> None:
        """Look whether each extraction can be read."""
        after: tuple[int] | None = None
        query = Query(EXTRACTIONS, self._scope, limit=_BATCH, include=frozenset(EXTRACTIONS.private))
        while True:
            with self._backend.read() as reader:
                rows = reader.select(_after(query, after))
            if not rows:
                return
            for row in rows:
                self._finds_unreadable(EXTRACTIONS, row)
            after = (rows[-1]["number"],)

    def compare_bytes(self, blobs: Blobs, inventory: _Inventory | None) -> None:
        """Compare live rows with their objects: rows first, then bytes, then the rows again."""
        part = self._part
        after = part.after
        for every in batches_of(self._backend, (), scope=self._scope):
            readable = [row for row in every if not self._finds_broken(row)]
            rows = [row for row in readable if row.state == "live"]
            self._newest = max([self._newest, *(row.at for row in rows)])
            rows = [row for row in rows if part.has(row.key)]
            if not rows:
                continue
            keys = {row.key for row in rows}
            sizes = inventory.sizes if inventory else _sizes(blobs, keys, after, rows[-1].key)
            after = rows[-1].key
            suspected: dict[str, tuple[FindingKind, str]] = {}
            compared = at_once(partial(self._compare_object, blobs, sizes), rows, part.workers)
            for row, verdict in zip(rows, compared, strict=True):
                if verdict is None and _compact(row.key) not in self._needed:
                    verdict = ("extra", "its row is live and no document has it")
                if verdict is not None:
                    suspected[row.key] = verdict
            self._confirm_rows(suspected)
            self._blobs += len(rows)
            tell(self._on_progress, "blobs", self._blobs, after)

    def compare_objects(self, blobs: Blobs, inventory: _Inventory | None) -> None:
        """Look for what no row knows, if the rows are complete: bytes, then rows, then bytes again."""
        listing = inventory.found() if inventory else blobs.list(self._part.prefix, after=self._part.after)
        blind = self._ownership.refusal or self._unproven()
        while batch := list(islice(listing, _LISTED)):
            self._objects += sum(found.kind == "object" for found in batch)
            for found in batch:
                if found.kind == "foreign":
                    self._add("foreign", found.name, None, f"{found.size} bytes, left alone")
            for found in () if blind else self._unknown(batch):
                stands = blobs.stat(found.name)
                if stands is None:
                    continue
                if found.kind == "object" and (stands.modified or 0) * 1_000_000 > self._newest:
                    self._newer.append(len(self._findings))
                what = "an object" if found.kind == "object" else "a temporary file"
                self._add("extra", found.name, None, f"{what} of {found.size} bytes that no row knows")
            tell(self._on_progress, "objects", self._objects, batch[-1].name)

    def _unproven(self) -> str:
        """Return why it cannot be told what has no row; note that for people."""
        with self._backend.read() as reader:
            reason = self._read_only or unproven(reader, self._ownership)
        if reason:
            self._notes.append(f"objects without a row were not looked for: {reason}")
        return reason

    def look_for_stale(self, blobs: Blobs) -> None:
        """Look for intents, and dead bytes, that should be gone by now."""

        def old(now: int) -> int:
            return now - int(self._grace * 1_000_000)

        def stale(states: tuple[BlobState, ...]) -> Iterator[BlobRow]:
            now = int(time.time() * 1_000_000)  # a standby is asked, too: it is not written to
            for rows in batches_of(self._backend, states, before=old, now=now, scope=self._scope):
                yield from (row for row in rows if not fault_of_blob(row) and self._part.has(row.key))

        for row in stale(PENDING):
            self._add("stale_pending", row.key, None, "its write never ended; collect removes it")
        for row in stale(DEAD):
            self._add("stale_dead", row.key, None, f"not removed yet, after {row.attempts} failures")
        for row in stale(SWEPT):
            if blobs.size_of(row.key) is not None:
                self._add("stale_dead", row.key, None, "a late writer stored it again; collect removes it")

    def look_at_indexes(self) -> None:
        if isinstance(self._backend, ChecksIndexes):
            unreadable = {name: numbers for name, numbers in self._unreadable.items() if numbers}
            found = self._backend.check_indexes(unreadable) if unreadable else self._backend.check_indexes()
            for document_id, detail in found:
                self._add("index", "", document_id, detail)

    def _add(self, kind: FindingKind, key: str, document_id: str | None, detail: str) -> None:
        self._findings.append(Finding(kind, key, document_id, detail))

    def _finds_unreadable(self, collection: Collection, row: Row) -> bool:
        """Report a row that is not as docstore writes rows; return whether it is one."""
        fault = fault_of(collection, row)
        if fault is None:
            return False
        self._unreadable[collection.name].add(row["number"])
        id = row["id"] if isinstance(row["id"], str) else None
        if collection is DOCUMENTS:
            self._add("unreadable", "", id, f"its row (number {row['number']}) is not to be read: {fault}")
        else:
            document = row["document_id"] if isinstance(row["document_id"], str) else None
            which = f"the row of its extraction {shown(id)} (number {row['number']})"
            self._add("unreadable", "", document, f"{which} is not to be read: {fault}")
        return True

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

    def _compare_object(
        self, blobs: Blobs, sizes: Mapping[str, int], row: BlobRow
    ) -> tuple[FindingKind, str] | None:
        size = sizes.get(row.key)
        if size is None:
            return None if blobs.size_of(row.key) is not None else ("missing", self._where_it_is(blobs, row))
        if row.size is not None and size != row.size:
            kind: FindingKind = "truncated" if size < row.size else "corrupt"
            return kind, f"{size} bytes instead of {row.size}"
        return self._read(blobs, row) if self._level == "hash" else None

    def _finds_broken(self, row: BlobRow) -> bool:
        """Report a row of bytes that somebody changed by hand; return whether it is one."""
        fault = fault_of_blob(row)
        if fault:
            self._add("unreadable", str(row.key), None, f"the row of these bytes is not to be read: {fault}")
        return bool(fault)

    def _where_it_is(self, blobs: Blobs, row: BlobRow) -> str:
        """Say that an object is missing, and where it may be."""
        if blobs.stat(QUARANTINE + row.key) is not None:
            return "there is no object; one of this name is in quarantine/, from where repair moves it back"
        if row.place in (0, self._ownership.place) and not self._ownership.refusal:
            return "there is no object"
        with self._backend.read() as reader:
            return f"there is no object here; it was written to {location_of(reader, row.place)}"

    def _read(self, blobs: Blobs, row: BlobRow) -> tuple[FindingKind, str] | None:
        try:
            read = blobs.verify(row.key, size=row.size, sha256=row.sha256)
        except BlobMissing:
            return "missing", "there is no object"
        except BlobCorrupt as error:
            return "corrupt", error.message
        with self._mutex:
            self._bytes += read
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
        kinds = ("object", "temporary")
        owned = {one.name: key for one in batch if one.kind in kinds and (key := key_of(one)) is not None}
        with self._backend.read() as reader:
            states = {row.key: row.state for row in reader.blobs(keys=sorted(owned.values()), limit=_LISTED)}
        suspected = [found for found in batch if found.name in owned and _is_extra(found, states)]
        if not suspected:
            return []
        keys = sorted({owned[found.name] for found in suspected})

        def look(writer: Writer) -> Sequence[BlobRow] | None:
            return None if unproven(writer, self._ownership) else writer.blobs(keys=keys, limit=len(keys))

        rows = committed(self._backend, look)
        if rows is None:
            return []
        states = {row.key: row.state for row in rows}
        return [found for found in suspected if _is_extra(found, states) and not self._is_needed(found)]

    def _is_needed(self, found: Found) -> bool:
        """Return whether a document has this object, though its row is lost: that was reported already."""
        return found.kind == "object" and _compact(found.name) in self._needed


def _is_extra(found: Found, states: Mapping[str, BlobState]) -> bool:
    """Return whether a row explains ``found``: any an object, one that is not live a temporary file."""
    state = states.get(key_of(found) or "")
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
