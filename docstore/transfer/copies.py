"""Copy everything of one store into another, and write records as they are, of a store or a file, into one.

Documents come in batches: intents are committed, bytes written, and one transaction turns the intents live
and inserts the rows (STORAGE: P2 to P5), so that a kill at any point leaves whole documents or none. What is
there already is left, which makes the same transfer, run again, go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import BinaryIO, Literal

from docstore import lifecycle
from docstore.backend import BlobState, Duplicate, Query, Row, Writer
from docstore.blobs import Blobs
from docstore.blobs.streams import ByteSource
from docstore.crash_points import reached
from docstore.errors import AlreadyExists, BlobCorrupt, BlobError, BlobMissing, ScopeError, StoreBusy, shown
from docstore.maintenance import OnProgress, Progress
from docstore.query.expr import And, Compare, In
from docstore.query.fields import DOCUMENTS, EXTRACTIONS
from docstore.store import Store
from docstore.transfer.comparison import verify_copy
from docstore.transfer.rows import (
    COMPARED,
    PRIVATE,
    CopyReport,
    Failure,
    Key,
    Transferred,
    batches,
    differing,
    exactly,
    found_by_id,
    key_of,
    look_after,
)
from docstore.writes.insertion import BlobWrite, forget_blobs, make_live, put_bytes

__all__ = [
    "Annexed",
    "CopyCounts",
    "Incoming",
    "LazyFile",
    "Receipt",
    "copy",
    "lazy_source",
    "receive_documents",
    "receive_extractions",
]

Verdict = Literal["new", "same", "attach", "replace"]
_IDENTITY = ("id", "external_id", "tenant", "owner", "version")
_SETTLED_HERE = ("is_latest",)
_PENDING: tuple[BlobState, ...] = ("pending",)


@dataclass(slots=True)
class Incoming:
    """A document on its way.

    Attributes:
        row: every column but the number; ``blob_key`` is ignored.
        opening: opens its bytes, again if need be; ``None``: it comes without.
        put: the bytes being stored, where they are needed.
    """

    row: Row
    opening: Callable[[], BinaryIO] | None = None
    put: BlobWrite | None = None


@dataclass(slots=True)
class Receipt:
    """The outcome of a batch."""

    added: int = 0
    existing: int = 0
    replaced: int = 0
    bytes: int = 0
    verdicts: dict[Key, Verdict] = field(default_factory=dict)


def receive_documents(target: Store, incoming: Sequence[Incoming], *, replace: bool) -> Receipt:
    """Write documents of all versions, with their bytes, in one transaction.

    Args:
        target: where to.
        incoming: at most a few hundred, in the order of their numbers.
        replace: overwrite documents that are there with other fields or bytes; their chain and version must
            be the same.

    Raises:
        AlreadyExists: an id or a version is taken by another document; nothing of the batch is kept.
        ScopeError: one is not of the target's scope.
        BlobError: the bytes are not what the row says, or cannot be read or stored.
    """
    _check_scope(target, incoming)
    root = target._context
    with root.read() as reader:
        held = found_by_id(target, reader, DOCUMENTS, [item.row["id"] for item in incoming])
    for item in incoming:
        verdict = _verdict(item, held.get(key_of(item.row)), replace)
        item.put = _put_of(item, held.get(key_of(item.row))) if verdict != "same" else None
    puts = [item.put for item in incoming if item.put is not None]

    def commit() -> Receipt:
        return root.written(lambda writer: _write(target, writer, incoming, replace), recognises=True)

    try:
        receipt = put_bytes(root, puts, commit) if puts else commit()
    except StoreBusy as busy:
        if isinstance(busy.__cause__, Duplicate):
            text = f"a version of these documents is taken by another: {busy.__cause__}"
            raise AlreadyExists(text) from busy
        raise
    finally:
        for put in puts:
            put.source.close()
    reached("P5")
    return receipt


def _check_scope(target: Store, incoming: Sequence[Incoming]) -> None:
    for name, fixed in (("tenant", target._scope.tenant), ("owner", target._scope.owner)):
        for item in incoming:
            if fixed is not None and item.row[name] != fixed:
                raise ScopeError(
                    f"document {shown(item.row['id'])} has {name}={shown(item.row[name])}: "
                    f"the target is confined to {name}={shown(fixed)}"
                )


def _verdict(item: Incoming, found: Row | None, replace: bool) -> Verdict:
    """Say what is to be done with a document, by what the target has under its id."""
    if found is None:
        return "new"
    row = item.row
    fields = differing(DOCUMENTS, row, found, ignored=_SETTLED_HERE)
    if not fields:
        lacks = item.opening is not None and found["blob_key"] is None
        return "attach" if lacks else "same"
    if not replace or not set(fields).isdisjoint(_IDENTITY):
        raise AlreadyExists(
            f"the target has another document with the id {shown(row['id'])}: {', '.join(fields)} differ",
            id=row["id"],
        )
    return "replace"


def _put_of(item: Incoming, found: Row | None) -> BlobWrite | None:
    """Return the bytes that must be stored: none where the target has the very same."""
    row = item.row
    if item.opening is None or (found is not None and _has_bytes_of(found, row)):
        return None
    return BlobWrite(lazy_source(item.opening), row["tenant"], row["owner"], row["size"], row["sha256"])


def _has_bytes_of(found: Row, row: Row) -> bool:
    return found["blob_key"] is not None and (found["size"], found["sha256"]) == (row["size"], row["sha256"])


# -- the transaction -------------------------------------------------------------------------------


def _write(target: Store, writer: Writer, incoming: Sequence[Incoming], replace: bool) -> Receipt:
    """Write what is not there. It may run several times, also after a commit of unknown outcome."""
    receipt, fresh = Receipt(), list[Row]()
    chains = [chain for item in incoming if (chain := lifecycle.chain_of(item.row)) is not None]
    lifecycle.lock_chains(writer, chains)
    held = found_by_id(target, writer, DOCUMENTS, [item.row["id"] for item in incoming])
    now = writer.now()
    for item in incoming:
        found = held.get(key_of(item.row))
        verdict = receipt.verdicts[key_of(item.row)] = _verdict(item, found, replace)
        key = _settle(writer, item, found, verdict, now)
        if verdict == "new":
            fresh.append({**_columns(item.row), "blob_key": key})
        elif found is not None and verdict != "same":
            _overwrite(writer, item, found, key)
    _insert(target, writer, fresh)
    _count(receipt, incoming)
    reached("P4.1")
    return receipt


def _settle(writer: Writer, item: Incoming, found: Row | None, verdict: Verdict, now: int) -> str | None:
    """Turn the document's bytes live, or give them up if they came to be there; return their key."""
    if item.put is None:
        if verdict != "same" and _put_of(item, found) is not None:
            raise StoreBusy(
                f"document {shown(item.row['id'])} was changed in the target meanwhile: run it again"
            )
        return found["blob_key"] if found is not None and _has_bytes_of(found, item.row) else None
    if verdict == "same":
        if found is not None and found["blob_key"] != item.put.key:
            writer.update_blob(item.put.row, _PENDING, state="dead", at=now)
        return None
    make_live(writer, item.put, now)
    return item.put.key


def _columns(row: Row) -> Row:
    names = ("blob_key", *COMPARED["documents"], *PRIVATE["documents"])
    return {name: row.get(name) for name in names}


def _overwrite(writer: Writer, item: Incoming, found: Row, key: str | None) -> None:
    fixed = (*_IDENTITY, *_SETTLED_HERE)
    kept = {name: value for name, value in _columns(item.row).items() if name not in fixed}
    if found["blob_key"] != key:
        forget_blobs(writer, [found])
    writer.update(DOCUMENTS, found, {**kept, "blob_key": key})


def _insert(target: Store, writer: Writer, rows: Sequence[Row]) -> None:
    """Insert documents; of each chain the highest version that is there is the latest, at every instant."""
    heads = _heads(target, writer, rows)
    turned = list[Row]()
    for row in rows:
        chain = lifecycle.chain_of(row)
        if chain is None:
            continue
        head = heads.get(chain)
        row["is_latest"] = head is None or head["version"] < row["version"]
        # Batches come in no order of versions: one that is newer than what arrived so far takes the flag
        # over.
        if row["is_latest"]:
            if head is not None and "number" in head:
                turned.append(head)
            elif head is not None:
                head["is_latest"] = False
            heads[chain] = row
    # The flag is unique in a chain: it goes from the old heads before new ones have it; by number, as all
    # writers lock.
    for head in sorted(turned, key=itemgetter("number")):
        writer.update(DOCUMENTS, head, {"is_latest": False})
    if rows:
        writer.insert(DOCUMENTS, rows)


def _heads(target: Store, writer: Writer, rows: Sequence[Row]) -> dict[lifecycle.Chain, Row]:
    names = sorted({row["external_id"] for row in rows if row["external_id"] is not None})
    if not names:
        return {}
    where = And((In(("external_id",), tuple(names)), Compare(("is_latest",), "eq", True)))
    found = exactly(target._context.backend, writer, Query(DOCUMENTS, where=where))
    return {chain: row for row in found if (chain := lifecycle.chain_of(row)) is not None}


def _count(receipt: Receipt, incoming: Sequence[Incoming]) -> None:
    verdicts: Mapping[Key, Verdict] = receipt.verdicts
    words = list(verdicts.values())
    receipt.added = words.count("new")
    receipt.existing = words.count("same")
    receipt.replaced = words.count("replace") + words.count("attach")
    stored = [item.put for item in incoming if item.put is not None and verdicts[key_of(item.row)] != "same"]
    receipt.bytes = sum(put.written.size for put in stored)


_EXTRACTION_IDENTITY = ("id", "tenant", "document_id")


@dataclass(slots=True)
class Annexed:
    """The outcome of a batch of extractions."""

    added: int = 0
    existing: int = 0
    replaced: int = 0
    skipped: int = 0


def receive_extractions(target: Store, rows: Sequence[Row], *, replace: bool) -> Annexed:
    """Write extractions in one transaction; those whose document is not in the target's scope are skipped.

    Raises:
        AlreadyExists: an id is taken by another extraction; nothing of the batch is kept.
    """
    return target._context.written(
        lambda writer: _write_extractions(target, writer, rows, replace), recognises=True
    )


def _write_extractions(target: Store, writer: Writer, rows: Sequence[Row], replace: bool) -> Annexed:
    annexed, fresh = Annexed(), list[Row]()
    documents = _documents(target, writer, rows)
    held = found_by_id(target, writer, EXTRACTIONS, [row["id"] for row in rows])
    for row in rows:
        found = held.get(key_of(row))
        columns = {name: row.get(name) for name in (*COMPARED["extractions"], *PRIVATE["extractions"])}
        if (row["tenant"], row["document_id"]) not in documents:
            annexed.skipped += 1
        elif found is None:
            fresh.append(columns)
        elif _is_same(row, found, replace):
            annexed.existing += 1
        else:
            changes = {name: value for name, value in columns.items() if name not in _EXTRACTION_IDENTITY}
            writer.update(EXTRACTIONS, found, changes)
            annexed.replaced += 1
    if fresh:
        writer.insert(EXTRACTIONS, fresh)
    annexed.added = len(fresh)
    return annexed


def _is_same(row: Row, found: Row, replace: bool) -> bool:
    fields = differing(EXTRACTIONS, row, found)
    if fields and (not replace or not set(fields).isdisjoint(_EXTRACTION_IDENTITY)):
        raise AlreadyExists(
            f"the target has another extraction with the id {shown(row['id'])}: {', '.join(fields)} differ",
            id=row["id"],
        )
    return not fields


def _documents(target: Store, writer: Writer, rows: Sequence[Row]) -> set[Key]:
    """Return those documents of the extractions that the target has, locked, so that none goes meanwhile."""
    ids = tuple(dict.fromkeys(row["document_id"] for row in rows))
    # A document that is removed now takes its extractions along; one that is removed meanwhile would leave
    # them.
    query = Query(DOCUMENTS, target._scope, In(("id",), ids), lock="wait")
    return {key_of(row) for row in exactly(target._context.backend, writer, query)}


class LazyFile:
    """A binary file that is opened by its first reading, and closed at its end.

    Args:
        opening: opens it; called again after it was rewound.
    """

    def __init__(self, opening: Callable[[], BinaryIO]) -> None:
        self._opening = opening
        self._file: BinaryIO | None = None
        self._ended = False

    def read(self, amount: int = -1, /) -> bytes:
        """Return up to ``amount`` bytes, ``b""`` at the end."""
        if self._ended:
            return b""
        if self._file is None:
            self._file = self._opening()
        piece = self._file.read(amount)
        # The end: a file that is copied need not be open until the next one is.
        if not piece and amount:
            self.close()
            self._ended = True
        return piece

    def seekable(self) -> bool:
        """Return true: it can be rewound."""
        return True

    def tell(self) -> int:
        """Return where a reading begins."""
        return 0

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go back to the beginning; there is no other place to go to."""
        if (offset, whence) != (0, 0):
            raise ValueError(f"a file on its way can only be rewound, not moved to {offset}")
        self.close()
        self._ended = False
        return 0

    def close(self) -> None:
        """Close it; the next reading opens it anew."""
        if self._file is not None:
            self._file.close()
            self._file = None


def lazy_source(opening: Callable[[], BinaryIO]) -> ByteSource:
    """Return the source of bytes that ``opening`` opens, and may open again."""
    return ByteSource(LazyFile(opening), filename=None, reopen=None, owned=True)


# Failures that a report lists.
_LISTED = 1000


def copy(
    source: Store,
    target: Store,
    *,
    bytes: bool = True,
    replace: bool = False,
    verify: bool = True,
    on_progress: OnProgress | None = None,
) -> CopyReport:
    """Copy all documents of all versions, their extractions and their bytes into another store.

    Ids, external ids, versions, tenants, owners, times, status, attempts, errors, metadata, content, reviews
    and revisions are kept exactly, so that pages and revisions mean the same; so are the leases of claims,
    which run out in the target as they would have in the source. Numbers are the target's own, in the same
    order; storage keys are fresh. Indexes made by ``create_index``, and bytes that no document has, are not
    copied.

    It streams, in constant memory, and may be killed at any point: run again, it goes on, and nothing is
    doubled. At every instant each document in the target is whole, and of each chain the highest version that
    arrived is the latest. The source may be in use; what is added or changed behind the copy's back is
    brought by another run, with ``replace`` if it was changed. Nothing is ever removed from the target.

    Args:
        source: where from; of a scoped view, what it sees.
        target: where to; what else is there stays. A scoped view takes only documents of its scope.
        bytes: copy the bytes, too. Without, documents arrive with their size and sha256 alone; a later copy
            with bytes adds them.
        replace: overwrite documents and extractions that the target has otherwise, such as those that were
            changed in the source since an earlier copy.
        verify: read everything again at the end and compare fingerprints.
        on_progress: called after each batch, with the stages ``documents``, ``extractions`` and ``verified``.

    Returns:
        The copied records, counted. A document whose bytes are missing or damaged in the source is left out
        and listed.

    Raises:
        AlreadyExists: the target has another document of the same id or version, and ``replace`` is false;
            what was copied stays.
        ScopeError: a document is not of the target's scope.
        BlobsNotConfigured: the source has bytes, and one of the stores was opened without ``blobs=``.
        BlobError: both stores have their bytes in the same place.
        BackendError, BlobError: a database or a storage failed; run it again.

    Example:
        >>> with docstore.open("sqlite:///old.db", blobs="./files") as source:
        ...     with docstore.open("postgresql:///new", blobs="s3://bucket/new") as target:
        ...         assert docstore.copy(source, target).ok
    """
    look_after("copy", source)
    look_after("copy", target, writes=True)
    _check_places(source, target)
    tally = CopyCounts(target, replace=replace, on_progress=on_progress)
    for rows in batches(source, DOCUMENTS):
        tally.take_documents([_incoming(source, row, bytes) for row in rows])
    for rows in batches(source, EXTRACTIONS):
        tally.take_extractions(rows)
    if not verify:
        return CopyReport(tally.transferred)
    mine, theirs = verify_copy(source, target, stored=bytes, on_progress=on_progress)
    return CopyReport(tally.transferred, mine, theirs)


def _check_places(source: Store, target: Store) -> None:
    """Refuse two stores with one place for their bytes: a collection of one would take those of the other."""
    one, other = source._context.blobs, target._context.blobs
    apart = source._context is not target._context and one is not None and other is not None
    if apart and one is not None and other is not None and one.location == other.location:
        raise BlobError(f"both stores keep their bytes in {one.location}: each needs a place of its own")


def _incoming(source: Store, row: Row, bytes: bool) -> Incoming:
    if not bytes or row["blob_key"] is None:
        return Incoming(row)
    return Incoming(row, partial(_open, source._context.bytes(), row))


def _open(blobs: Blobs, row: Row) -> BinaryIO:
    return blobs.open(row["blob_key"], size=row["size"], sha256=row["sha256"])


class CopyCounts:
    """Running counts of a copy.

    Args:
        target: where to.
        replace: overwrite what is there otherwise.
        on_progress: called after each batch.
    """

    def __init__(self, target: Store, *, replace: bool, on_progress: OnProgress | None) -> None:
        self._target = target
        self._replace = replace
        self._on_progress = on_progress
        self._seen = {DOCUMENTS.name: 0, EXTRACTIONS.name: 0}
        self._counts = dict.fromkeys(("added", "existing", "replaced", "extractions", "skipped", "bytes"), 0)
        self._failures: list[Failure] = []

    @property
    def transferred(self) -> Transferred:
        """The counts so far."""
        return Transferred(**self._counts, failures=tuple(self._failures))

    def take_documents(self, incoming: Sequence[Incoming]) -> None:
        """Write a batch of documents; those whose bytes the source has lost are left out and listed."""
        try:
            self._receive(incoming)
        # One object that the source lost spoils a batch: each document is brought by itself.
        except (BlobMissing, BlobCorrupt):
            for item in incoming:
                self._receive_alone(item)
        self._tell(DOCUMENTS.name, len(incoming))

    def take_extractions(self, rows: Sequence[Row]) -> None:
        """Write a batch of extractions."""
        annexed = receive_extractions(self._target, rows, replace=self._replace)
        self._counts["extractions"] += annexed.added + annexed.replaced
        self._counts["skipped"] += annexed.skipped
        self._tell(EXTRACTIONS.name, len(rows))

    def _receive(self, incoming: Sequence[Incoming]) -> None:
        receipt = receive_documents(self._target, incoming, replace=self._replace)
        for name in ("added", "existing", "replaced", "bytes"):
            self._counts[name] += getattr(receipt, name)

    def _receive_alone(self, item: Incoming) -> None:
        try:
            self._receive([item])
        except (BlobMissing, BlobCorrupt) as lost:
            if len(self._failures) < _LISTED:
                self._failures.append(Failure(item.row["tenant"], item.row["id"], lost.message))

    def _tell(self, stage: str, more: int) -> None:
        self._seen[stage] += more
        if self._on_progress is not None:
            self._on_progress(Progress(stage, self._seen[stage]))
