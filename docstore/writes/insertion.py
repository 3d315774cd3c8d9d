"""Insertion: new documents validated (P0), their bytes written (P2, P3), their rows in one commit (P4)."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter, itemgetter
from types import NoneType
from typing import Any, NamedTuple, TypeVar

from docstore import lifecycle
from docstore.backend import (
    BlobRow,
    BlobState,
    Duplicate,
    Query,
    Row,
    Rows,
    Scope,
    SingleStatementWrites,
    Writer,
    capabilities_of,
)
from docstore.blobs import Written, new_keys, open_source
from docstore.blobs.streams import ByteSource
from docstore.context.collection_view import CollectionView
from docstore.context.store_context import StoreContext
from docstore.crash_points import reached
from docstore.errors import (
    AlreadyExists,
    BlobError,
    ChecksumMismatch,
    DocstoreError,
    InvalidDocument,
    SizeMismatch,
    StoreBusy,
    shown,
)
from docstore.models import Document, NewDocument
from docstore.query.expr import And, Compare, In
from docstore.query.fields import DOCUMENTS
from docstore.validation import Checks
from docstore.writes.drafts import Batch, Draft, Intake, draft_document
from docstore.writes.results import (
    AddResult,
    Failures,
    OnError,
    check_batch_size,
    check_on_error,
    store_apart,
    validated,
)

__all__ = [
    "Additions",
    "BlobWrite",
    "Insertion",
    "Item",
    "StoredRow",
    "finished",
    "forget_blobs",
    "give_up",
    "insert_rows",
    "make_live",
    "opened_item",
    "put_bytes",
    "store",
]

_PRIVATE = frozenset({"fingerprint", "blob_key"})
# Equal bytes are locked by bucket, sorted as the chains' are: see `lifecycle._BUCKETS`.
_BUCKETS = 1024
_CLOCKED = ("created_at", "updated_at", "first_created_at")


class StoredRow(NamedTuple):
    """One committed row, and whether it is new."""

    row: Row
    is_new: bool


@dataclass(slots=True)
class Item:
    """A draft under way, and its bytes."""

    draft: Draft
    put: BlobWrite | None = None

    def settle(self) -> None:
        """Take what was learned of the bytes into the row."""
        if self.put is not None:
            self.draft.row.update(
                size=self.put.written.size, sha256=self.put.written.sha256, blob_key=self.put.key
            )


class Additions:
    """The adding of documents, as one scope may do it."""

    def __init__(self, view: CollectionView[Document]) -> None:
        self._view = view
        self._context = view.context

    def add(self, given: Mapping[str, Any]) -> Document:
        """Add one document: see Documents.add; ``given`` are its keywords that are not None."""
        if not given.keys() - {"tenant", "owner", "dedupe"}:
            raise InvalidDocument(
                "add: nothing to add; expected a source, a filename, content or metadata", field="source"
            )
        draft = draft_document(given, self._view.scope, self._view.checks)
        (stored,) = self._store([draft])
        return self._view.record_of({**stored.row, "content": None})

    def add_many(
        self,
        documents: Iterable[NewDocument | Mapping[str, Any]],
        *,
        on_error: OnError = "raise",
        batch_size: int = 1000,
        on_progress: Callable[[int], object] | None = None,
    ) -> AddResult:
        """Add many documents: see Documents.add_many."""
        check_batch_size(batch_size)
        failures = check_on_error(on_error)
        ids: list[str] = []
        added = 0
        for stored_ids, new in self._added(documents, batch_size, failures):
            ids += stored_ids
            added += new
            if on_progress is not None:
                on_progress(len(ids))
        failed = tuple(sorted(failures or (), key=itemgetter(0)))
        return AddResult(ids=ids, added=added, existing=len(ids) - added, failed=failed)

    def _added(
        self, documents: Iterable[NewDocument | Mapping[str, Any]], size: int, failures: Failures | None
    ) -> Iterator[tuple[Sequence[str], int]]:
        """Add a batch at a time; yield its ids, and how many are new."""
        scope, checks = self._view.scope, self._view.checks
        if failures is not None:
            make = partial(draft_document, scope=scope, checks=checks)
            for pairs in validated(documents, make, size, failures):
                apart = store_apart(pairs, self._store, failures, attrgetter("source"))
                yield [one.row["id"] for _, one in apart], sum(one.is_new for _, one in apart)
            return
        intake = Intake(scope, checks, documents)
        while batch := intake.take(size):
            stored = store(self._context, checks, batch)
            if isinstance(batch, Batch) and not stored:
                yield batch.rows.columns["id"], len(batch.rows)
            else:
                yield [one.row["id"] for one in stored], sum(one.is_new for one in stored)

    def _store(self, drafts: Sequence[Draft]) -> list[StoredRow]:
        return store(self._context, self._view.checks, drafts)


class Insertion:
    """P4: turn the intents live and insert the versions, or find that they are there already.

    It may run several times; after a commit of unknown outcome it knows its own rows by their ids.

    Args:
        given: the documents of one commit, at least one.
    """

    def __init__(self, given: Batch | Sequence[Item]) -> None:
        self._given = given
        self._tried: set[str] = set()

    def run(self, writer: Writer) -> list[StoredRow]:
        """Insert what is not there; return the row of each document, in order, none of a batch that is all
        new.
        """
        now, given = writer.now(), self._given
        rows = None if self._tried else _untold(given, now)
        try:
            if rows is not None:
                self._insert(writer, rows)
                return [] if isinstance(given, Batch) else [StoredRow(row, True) for row in rows]
        except Duplicate:
            if not _has_named(given):
                raise
        items = [Item(draft) for draft in given.drafts()] if isinstance(given, Batch) else given
        return self._look_and_insert(writer, items, now)

    def alone(self, root: StoreContext, backend: SingleStatementWrites) -> list[StoredRow] | None:
        """Insert one plain row without a block; None if it cannot be, or nobody knows: :meth:`run` looks."""
        if isinstance(self._given, Batch) or len(self._given) > 1:
            return None
        draft = self._given[0].draft
        asked = draft.row
        if draft.dedupe or asked["external_id"] is not None or asked["content"] is not None:
            return None
        if asked["created_at"] is None and asked["updated_at"] is not None:
            return None  # which of the two comes first only the clock can say
        clocked = [name for name in _CLOCKED if asked[name] is None]
        row = {**asked, "fingerprint": draft.fingerprint()}
        reached("P4.1")
        # The clock is read in the statement itself: one round trip, and no block.
        made, unknown = root.written_single(lambda: backend.insert_single(DOCUMENTS, row, clocked))
        if made is None:
            self._tried.update([row["id"]] if unknown else ())
            return None
        row["number"], now = made
        row.update(dict.fromkeys(clocked, now))
        return [StoredRow(row, True)]

    def _look_and_insert(self, writer: Writer, items: Sequence[Item], now: int) -> list[StoredRow]:
        """Insert what is not there, by id or by bytes; return a row for each draft."""
        rows: list[Row] = []
        stored: list[StoredRow] = []
        drafts = [item.draft for item in items]
        _lock_bytes(writer, drafts)
        known = self._known(writer, drafts)
        for item in items:
            found = self._existing(writer, item.draft, known)
            if found is None:
                row = finished(item.draft, now)
                rows.append(row)
                known[_by_id(row)] = known[_by_bytes(row)] = row
                if item.put is not None:
                    make_live(writer, item.put, now)
                stored.append(StoredRow(row, True))
                continue
            # The document is there already, so that the bytes just written are not needed: a collection takes
            # them.
            if item.put is not None and found.get("blob_key") != item.put.key:
                give_up(writer, item.put, now)
            stored.append(StoredRow(found, found["id"] in self._tried))
        self._insert(writer, rows)
        return stored

    def _insert(self, writer: Writer, rows: Sequence[Row]) -> None:
        insert_rows(writer, rows)
        self._tried.update(rows.columns["id"] if type(rows) is Rows else [row["id"] for row in rows])
        reached("P4.1")

    def _asks_by_id(self, draft: Draft) -> bool:
        return draft.named or draft.row["id"] in self._tried

    def _known(self, writer: Writer, drafts: Sequence[Draft]) -> dict[Any, Row]:
        """Return the documents that have one of the ids asked for."""
        ids = [draft.row["id"] for draft in drafts if self._asks_by_id(draft)]
        known: dict[Any, Row] = {}
        for at in range(0, len(ids), 1000):
            where = In(("id",), tuple(dict.fromkeys(ids[at : at + 1000])))
            known.update(
                (_by_id(row), row) for row in writer.select(Query(DOCUMENTS, where=where, include=_PRIVATE))
            )
        return known

    def _existing(self, writer: Writer, draft: Draft, known: dict[Any, Row]) -> Row | None:
        """Return the document that ``draft`` asks for if it exists, by its id or its bytes."""
        wanted = draft.row
        found = known.get(_by_id(wanted)) if self._asks_by_id(draft) else None
        if found is not None:
            if found["fingerprint"] != draft.fingerprint():
                text = f"the id {shown(wanted['id'])} is taken by a document with other bytes or fields"
                raise AlreadyExists(text, id=wanted["id"])
            return found
        if draft.dedupe and wanted["sha256"] is not None:
            return known.get(_by_bytes(wanted)) or _of_bytes(writer, wanted)
        return None


def _lock_bytes(writer: Writer, drafts: Iterable[Draft]) -> None:
    """Keep others from adding the same bytes, where ``dedupe`` asks for it.

    All locks of a batch are taken at once and in order, so that two batches never wait for each other;
    and by bucket, so that a batch holds at most 1,024.
    """
    sums = {draft.row["sha256"] for draft in drafts if draft.dedupe} - {None}
    buckets = {zlib.crc32(sha256.encode()) % _BUCKETS for sha256 in sums}
    if buckets:
        writer.lock(*(f"bytes/{bucket}" for bucket in sorted(buckets)))


def insert_rows(writer: Writer, rows: Sequence[Row]) -> None:
    """Insert finished rows as the next versions of their chains, and give them their numbers; by column where
    they come so, which are no versions of others.
    """
    if type(rows) is Rows:
        writer.insert(DOCUMENTS, rows if capabilities_of(writer).takes_columns else list(rows))
    elif rows:
        if chained := [row for row in rows if row["external_id"] is not None]:
            lifecycle.place_in_chains(writer, chained)
        for row, number in zip(rows, writer.insert(DOCUMENTS, rows), strict=True):
            row["number"] = number


def _untold(given: Batch | Sequence[Item], now: int) -> Sequence[Row] | None:
    """Return the rows of documents that are inserted without a look before: they are new for sure, or will be
    looked for once an id turns out to be taken. ``None`` where the look comes first.
    """
    if isinstance(given, Batch):
        return new_rows(given, now)
    for item in given:
        draft = item.draft
        has_chain = draft.row["external_id"] is not None  # whose flag is turned before the id is looked at
        if item.put is not None or draft.dedupe or (draft.named and has_chain):
            return None
    return [finished(item.draft, now) for item in given]


def new_rows(batch: Batch, now: int) -> Rows:
    """Return the rows to insert of a batch."""
    columns = {**batch.rows.columns, **_clocked(batch.rows.columns, now)}
    if batch.named is not None:
        columns["fingerprint"] = batch.fingerprints()
    return Rows(columns)


def _has_named(given: Batch | Sequence[Item]) -> bool:
    """Return whether the caller gave an id."""
    if isinstance(given, Batch):
        return given.named is not None
    return any(item.draft.named for item in given)


def _clocked(columns: Mapping[str, Sequence[Any]], now: int) -> dict[str, Sequence[Any]]:
    """Return the instants with the clock where there are none; what was one column still is."""
    made: dict[int, Sequence[Any]] = {}
    for instants in (columns[name] for name in _CLOCKED):
        if id(instants) not in made:
            is_empty = NoneType in set(map(type, instants))
            made[id(instants)] = [now if at is None else at for at in instants] if is_empty else instants
    return {name: made[id(columns[name])] for name in _CLOCKED}


def _by_id(row: Row) -> Any:
    return ("id", row["tenant"], row["id"])


def _by_bytes(row: Row) -> Any:
    return ("bytes", row["tenant"], row["owner"], row["sha256"])


def finished(draft: Draft, now: int) -> Row:
    """Return the row to insert; the draft keeps what was asked, for the next try, where that matters."""
    row = draft.row
    if draft.named or row["external_id"] is not None:
        row = row.copy()
        row["fingerprint"] = draft.fingerprint()
    if row["created_at"] is None:
        row["created_at"] = now if row["updated_at"] is None else min(now, row["updated_at"])
    if row["updated_at"] is None:
        row["updated_at"] = now
    row["first_created_at"] = row["created_at"]
    return row


def _of_bytes(writer: Writer, wanted: Row) -> Row | None:
    """Return the first document of the same tenant and owner with the same bytes."""
    same = And(tuple(Compare((name,), "eq", wanted[name]) for name in ("sha256", "tenant", "owner")))
    found = writer.select(Query(DOCUMENTS, Scope(), same, limit=1, include=_PRIVATE))
    return found[0] if found else None


def store(root: StoreContext, checks: Checks, given: Batch | Sequence[Draft]) -> list[StoredRow]:
    """Store validated documents, all or none, in one final transaction; see :meth:`Insertion.run`.

    Raises:
        AlreadyExists: an id is taken by a document with other bytes or fields.
        BlobError: the bytes are not what was said, or cannot be stored.
        StoreBusy: a fenced write whose source cannot be read again, or others won the race every time.
        BackendError: the database failed.
    """
    reached("P0")
    if isinstance(given, Batch):
        stored = _committed(root, given)
    elif all(draft.source is None for draft in given):
        stored = _committed(root, [Item(draft) for draft in given])
    else:
        with ExitStack() as stack:
            items = [
                Item(draft)
                if draft.source is None
                else opened_item(root, checks, draft, stack, pause=len(given) > 1)
                for draft in given
            ]
            puts = [item.put for item in items if item.put is not None]

            def commit() -> list[StoredRow]:
                for item in items:
                    item.settle()
                return _committed(root, items, has_bytes=True)

            stored = put_bytes(root, puts, commit)
    reached("P5")
    return stored


def _committed(
    root: StoreContext, items: Batch | Sequence[Item], *, has_bytes: bool = False
) -> list[StoredRow]:
    """Insert documents in one transaction, or by one statement where the backend can."""
    inserting = Insertion(items)
    alone = None if has_bytes else root.alone
    stored = None if alone is None else inserting.alone(root, alone)
    if stored is None:
        stored = root.written(inserting.run, recognises=True)
    root.committed("P4.2")
    return stored


def opened_item(
    root: StoreContext, checks: Checks, draft: Draft, stack: ExitStack, *, pause: bool = False
) -> Item:
    """Open the bytes of a draft; ``stack`` closes them, ``pause`` does so until they are read."""
    root.check_source(draft.source)
    root.bytes()
    source = stack.enter_context(open_source(draft.source))
    draft.named_after(source, checks)
    if pause:
        source.pause()
    row = draft.row
    return Item(draft, BlobWrite(source, row["tenant"], row["owner"], row["size"], row["sha256"]))


T = TypeVar("T")
# A collector at grace 0 may take an intent away while its bytes are written; three in a row is a collector
# that runs in a loop.
_FENCED_TRIES = 3
_PENDING: tuple[BlobState, ...] = ("pending",)
_LIVE: tuple[BlobState, ...] = ("live",)


class _Fenced(DocstoreError):
    """The intent was collected before the bytes were live."""


@dataclass(slots=True)
class BlobWrite:
    """Bytes on their way into the store.

    Attributes:
        source: where they come from.
        tenant, owner: whose they are.
        size, sha256: what they must have; ``None`` takes what comes.
        key: the storage key of the try under way.
        written: what was stored under it.
    """

    source: ByteSource
    tenant: str | None
    owner: str | None
    size: int | None = None
    sha256: str | None = None
    key: str = ""
    written: Written = field(default_factory=lambda: Written(0, ""))

    @property
    def row(self) -> BlobRow:
        """The blob row of the try under way, as it is when its intent is written."""
        return BlobRow(self.key, self.tenant, self.owner)


def put_bytes(root: StoreContext, puts: Sequence[BlobWrite], commit: Callable[[], T]) -> T:
    """Write the bytes of ``puts`` under fresh keys and ``commit``; begin anew when fenced.

    Raises:
        WrongBlobs: the root of the bytes is not this store's.
        StoreBusy: the collector took the intents, and a source cannot be read again.
        BlobError: the bytes are not what was said, or cannot be stored.
    """
    for _ in range(_FENCED_TRIES):
        # A fresh key for each try: what a fenced try wrote late is under a key that nothing names.
        place = root.places.place_to_write()
        _intend(root, puts, place)
        try:
            _write_all(root, puts)
            return commit()
        except _Fenced as fenced:
            root.withdraw([put.row for put in puts], fenced)
            if not all(put.source.again() for put in puts):
                raise StoreBusy(
                    "the bytes were collected before they were live, and cannot be read again"
                ) from fenced
        # Ctrl-C and a cancellation as well: what was written would only wait for a collection.
        except BaseException as failed:
            root.withdraw([put.row for put in puts], failed)
            raise
    raise StoreBusy(f"the bytes were collected before they were live, {_FENCED_TRIES} times")


def _intend(root: StoreContext, puts: Sequence[BlobWrite], place: int) -> None:
    """P2: commit an intent for each put, before a byte is written."""
    for put, key in zip(puts, new_keys(len(puts)), strict=True):
        put.key = key
    # Before the commit: a transaction that fails meanwhile has to give them up, too.
    root.promise([put.row for put in puts])
    with root.apart() as writer:
        root.places.confirm(writer)
        now = writer.now()
        for put in puts:
            writer.insert_blob(replace(put.row, at=now, place=place))
    reached("P2")


def _write_all(root: StoreContext, puts: Sequence[BlobWrite]) -> None:
    """P3: write the bytes, several objects at once; a collector may take an intent meanwhile."""

    def work(put: BlobWrite) -> None:
        put.written = _write(root, put)
        put.source.pause()

    try:
        if len(puts) == 1:
            work(puts[0])
            return
        if root.bytes().is_folder:
            with root.watching("put"):
                given = [(put.key, put.source, put.size, put.sha256) for put in puts]
                for put, written in zip(puts, root.bytes().write_together(given), strict=True):
                    put.written = written
            return
        from docstore.blobs.objects import ThreadPool

        with ThreadPool(min(root.bytes().upload_workers, len(puts))) as threads:
            for put in puts:
                # A caller's file object belongs to the caller's thread; all else is read by threads of ours.
                if not put.source.is_callers:
                    threads.submit(work, put)
            for put in puts:
                if put.source.is_callers:
                    work(put)
            threads.finish()
    # The fault of the bytes that were given, no collector's.
    except (ChecksumMismatch, SizeMismatch):
        raise
    # A collector that took an intent removes the object, perhaps while it was written, and the storage then
    # complains. Only where all intents still stand is it the storage's own failure.
    except BlobError as failed:
        keys = [put.key for put in puts]
        with root.apart() as writer:
            if len(writer.blobs(keys=keys, states=_PENDING, limit=len(keys))) == len(keys):
                raise
        raise _Fenced("an intent was collected") from failed


def _write(root: StoreContext, put: BlobWrite) -> Written:
    """Write the bytes of one object. It is called in a thread that has no part in a transaction."""
    with root.watching("put"):
        return root.bytes().write(put.key, put.source, size=put.size, sha256=put.sha256)


def make_live(writer: Writer, put: BlobWrite, now: int) -> None:
    """Turn an intent live: the fence. It loses to a collector that took the intent before."""
    # The same row is what a collector marks dead: exactly one of the two updates finds it pending.
    size, sha256 = put.written.size, put.written.sha256
    if not writer.update_blob(put.row, _PENDING, state="live", at=now, sha256=sha256, size=size):
        raise _Fenced(f"the intent of {put.key} was collected")


def give_up(writer: Writer, put: BlobWrite, now: int) -> None:
    """Mark bytes dead that turn out not to be needed."""
    writer.update_blob(put.row, _PENDING, state="dead", at=now)


def forget_blobs(writer: Writer, rows: Sequence[Row]) -> None:
    """Mark the bytes of removed or replaced rows dead; they go after the commit, by collection."""
    now = writer.now()
    for row in rows:
        if row["blob_key"] is not None:
            writer.update_blob(BlobRow.of(row), _LIVE, state="dead", at=now)
