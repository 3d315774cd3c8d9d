"""Storing documents: the put protocol, from a validated draft to a committed row (STORAGE: P2 to P5).

``P2`` an intent row is committed, ``P3`` the bytes are written under a fresh key, ``P4`` one transaction
turns the intent live and inserts the version. A collector that took the intent away meanwhile wins: the write
is *fenced*, and starts again where its source can be read again. No user text is ever part of a key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from docstore.backend import BlobRow, Query, Row, Scope, Writer
from docstore.blobs import Written, new_key, open_source
from docstore.blobs.source import Source
from docstore.checks import Checks
from docstore.drafts import Draft
from docstore.errors import AlreadyExists, BackendError, DocstoreError, StoreBusy
from docstore.lifecycle import versions
from docstore.query.expr import And, Compare
from docstore.query.fields import DOCUMENTS
from docstore.root import Root
from docstore.steps import reached

__all__ = ["Stored", "forget_blobs", "put_bytes", "store_drafts"]

T = TypeVar("T")
_FENCED_TRIES = 3
_PRIVATE = frozenset({"fingerprint", "blob_key"})


class _Fenced(DocstoreError):
    """The intent was collected before the bytes were live."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One committed row, and whether it is new."""

    row: Row
    is_new: bool


@dataclass(slots=True)
class _Put:
    """A draft under way: its open source, and the key its bytes stand under."""

    draft: Draft
    source: Source | None = None
    key: str | None = None


def store_drafts(root: Root, checks: Checks, drafts: Sequence[Draft]) -> list[Stored]:
    """Store validated drafts, all or none, in one final transaction.

    Raises:
        AlreadyExists: an id is taken by a document with other bytes or fields.
        BlobError: the bytes are not what was said, or cannot be stored.
        StoreBusy: a fenced write whose source cannot be read again, or others won the race every time.
    """
    reached("P0")
    with ExitStack() as stack:
        puts = [_opened(root, checks, draft, stack) for draft in drafts]
        pending = [put for put in puts if put.source is not None]

        def commit() -> list[Stored]:
            return root.written(lambda writer: _commit(writer, puts))

        stored = put_bytes(root, pending, commit) if pending else commit()
    reached("P5")
    return stored


def _opened(root: Root, checks: Checks, draft: Draft, stack: ExitStack) -> _Put:
    if draft.source is None:
        return _Put(draft)
    root.bytes()
    source = stack.enter_context(open_source(draft.source))
    draft.named_after(source, checks)
    return _Put(draft, source)


def put_bytes(root: Root, puts: Sequence[Any], commit: Callable[[], T]) -> T:
    """Write the bytes of ``puts`` under fresh keys and ``commit``; begin anew when fenced."""
    for _ in range(_FENCED_TRIES):
        _intend(root, puts)
        try:
            for put in puts:
                written = root.bytes().write(
                    put.key, put.source, size=put.draft.row["size"], sha256=put.draft.row["sha256"]
                )
                _settle(put, written)
            return commit()
        except _Fenced as fenced:
            if not all(put.source.again() for put in puts):
                raise StoreBusy(
                    "the bytes were collected before they were live, and cannot be read again"
                ) from fenced
        except BaseException as failed:
            _abandon(root, [put.key for put in puts], failed)
            raise
    raise StoreBusy(f"the bytes were collected before they were live, {_FENCED_TRIES} times")


def _settle(put: _Put, written: Written) -> None:
    put.draft.row.update(size=written.size, sha256=written.sha256, blob_key=put.key)


def _intend(root: Root, puts: Sequence[_Put]) -> None:
    """P2: commit an intent for each put, before a byte is written."""
    for put in puts:
        put.key = new_key()
    with root.apart() as writer:
        now = writer.now()
        for put in puts:
            row = put.draft.row
            assert put.key is not None
            writer.insert_blob(BlobRow(put.key, row["tenant"], row["owner"], at=now))
    reached("P2")


def _abandon(root: Root, keys: Sequence[str | None], failed: BaseException) -> None:
    """Leave the intents of a failed write to the collector, at once; if even that fails, they age."""
    if root.in_transaction and root.single_writer:
        return
    try:
        with root.apart() as writer:
            now = writer.now()
            for key in keys:
                if key is not None:
                    writer.update_blob(key, ("pending",), state="dead", at=now)
    except (BackendError, OSError) as also:
        failed.add_note(f"and the intent could not be withdrawn, it will be collected: {also}")


def _commit(writer: Writer, puts: Sequence[_Put]) -> list[Stored]:
    """P4: turn the intents live and insert the versions, or find that they are there already."""
    now = writer.now()
    stored: list[Stored | None] = []
    new: list[_Put] = []
    for put in puts:
        found = _existing(writer, put.draft)
        stored.append(None if found is None else Stored(found, is_new=False))
        if found is None:
            new.append(put)
        elif put.key is not None:
            writer.update_blob(put.key, ("pending",), state="dead", at=now)
    rows = [_finished(put, now) for put in new]
    _make_live(writer, new, now)
    versions.place(writer, rows)
    numbers = writer.insert(DOCUMENTS, rows)
    for row, number in zip(rows, numbers, strict=True):
        row["number"] = number
    reached("P4.1")
    fresh = iter(rows)
    return [Stored(next(fresh), is_new=True) if one is None else one for one in stored]


def _make_live(writer: Writer, new: Sequence[_Put], now: int) -> None:
    for put in new:
        row = put.draft.row
        if put.key is not None and not writer.update_blob(
            put.key, ("pending",), state="live", at=now, sha256=row["sha256"], size=row["size"]
        ):
            raise _Fenced(f"the intent of {put.key} was collected")


def _finished(put: _Put, now: int) -> Row:
    """Return the row to insert; the draft keeps what was asked, for the next try."""
    row = dict(put.draft.row)
    row["fingerprint"] = put.draft.fingerprint()
    row["created_at"] = now if row["created_at"] is None else row["created_at"]
    row["updated_at"] = now if row["updated_at"] is None else row["updated_at"]
    row["first_created_at"] = row["created_at"]
    return row


def _existing(writer: Writer, draft: Draft) -> Row | None:
    """Return the document that ``draft`` asks for, if it is there: by its id, or by its bytes."""
    row = draft.row
    if draft.named:
        found = _select(writer, Compare(("id",), "eq", row["id"]), row["tenant"])
        if found is not None:
            if found["fingerprint"] != draft.fingerprint():
                raise AlreadyExists(
                    f"the id {row['id']!r} is taken by a document with other bytes or fields", id=row["id"]
                )
            return found
    if draft.dedupe and row["sha256"] is not None:
        writer.lock("sha256", row["tenant"] or "", row["owner"] or "", row["sha256"])
        same = And((Compare(("sha256",), "eq", row["sha256"]), Compare(("owner",), "eq", row["owner"])))
        return _select(writer, same, row["tenant"])
    return None


def _select(writer: Writer, where: Any, tenant: str | None) -> Row | None:
    where = And((Compare(("tenant",), "eq", tenant), where))
    found = writer.select(Query(DOCUMENTS, Scope(), where, limit=1, include=_PRIVATE))
    return found[0] if found else None


def forget_blobs(writer: Writer, keys: Sequence[str | None]) -> None:
    """Mark the bytes of removed or replaced rows dead; they go after the commit, by collection."""
    now = writer.now()
    for key in keys:
        if key is not None:
            writer.update_blob(key, ("live",), state="dead", at=now)
