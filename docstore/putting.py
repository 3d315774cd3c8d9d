"""Bytes on their way into the store: an intent, the bytes under a fresh key, live (STORAGE: P2 and P3).

A collector that took the intent away meanwhile wins: the write is *fenced*, and starts again where its source
can be read again. No user text is ever part of a key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from docstore.backend import BlobRow, BlobState, Writer
from docstore.blobs import Written, new_key
from docstore.blobs.source import Source
from docstore.context import Root
from docstore.crash_points import reached
from docstore.errors import BlobError, ChecksumMismatch, DocstoreError, SizeMismatch, StoreBusy

__all__ = ["BlobWrite", "forget_blobs", "give_up", "make_live", "put_bytes"]

T = TypeVar("T")
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

    source: Source
    tenant: str | None
    owner: str | None
    size: int | None = None
    sha256: str | None = None
    key: str = ""
    written: Written = field(default_factory=lambda: Written(0, ""))


def put_bytes(root: Root, puts: Sequence[BlobWrite], commit: Callable[[], T]) -> T:
    """Write the bytes of ``puts`` under fresh keys and ``commit``; begin anew when fenced.

    Raises:
        WrongBlobs: the root of the bytes is not this store's.
        StoreBusy: the collector took the intents, and a source cannot be read again.
        BlobError: the bytes are not what was said, or cannot be stored.
    """
    for _ in range(_FENCED_TRIES):
        place = root.places.place_to_write()
        _intend(root, puts, place)
        try:
            _write_all(root, puts)
            return commit()
        except _Fenced as fenced:
            root.withdraw([put.key for put in puts], fenced)
            if not all(put.source.again() for put in puts):
                raise StoreBusy(
                    "the bytes were collected before they were live, and cannot be read again"
                ) from fenced
        except BaseException as failed:
            root.withdraw([put.key for put in puts], failed)
            raise
    raise StoreBusy(f"the bytes were collected before they were live, {_FENCED_TRIES} times")


def _intend(root: Root, puts: Sequence[BlobWrite], place: int) -> None:
    """P2: commit an intent for each put, before a byte is written."""
    for put in puts:
        put.key = new_key()
    root.promise([put.key for put in puts])
    with root.apart() as writer:
        root.places.confirm(writer)
        now = writer.now()
        for put in puts:
            writer.insert_blob(BlobRow(put.key, put.tenant, put.owner, at=now, place=place))
    reached("P2")


def _write_all(root: Root, puts: Sequence[BlobWrite]) -> None:
    """P3: write the bytes, several objects at once. A collector that takes an intent meanwhile removes them
    under the writer's hands.
    """

    def work(put: BlobWrite) -> None:
        put.written = _write(root, put)
        put.source.pause()

    try:
        if len(puts) == 1:
            work(puts[0])
            return
        from docstore.blobs.thread_pool import Workers

        with Workers(min(root.bytes().upload_workers, len(puts))) as threads:
            for put in puts:
                if not put.source.is_callers:
                    threads.submit(work, put)
            for put in puts:
                if put.source.is_callers:
                    work(put)
            threads.finish()
    except (ChecksumMismatch, SizeMismatch):
        raise
    except BlobError as failed:
        keys = [put.key for put in puts]
        with root.apart() as writer:
            if len(writer.blobs(keys=keys, states=_PENDING, limit=len(keys))) == len(keys):
                raise
        raise _Fenced("an intent was collected") from failed


def _write(root: Root, put: BlobWrite) -> Written:
    """Write the bytes of one object. It is called in a thread that has no part in a transaction."""
    with root.watching("put"):
        return root.bytes().write(put.key, put.source, size=put.size, sha256=put.sha256)


def make_live(writer: Writer, put: BlobWrite, now: int) -> None:
    """Turn an intent live: the fence. It loses to a collector that took the intent before."""
    size, sha256 = put.written.size, put.written.sha256
    if not writer.update_blob(put.key, _PENDING, state="live", at=now, sha256=sha256, size=size):
        raise _Fenced(f"the intent of {put.key} was collected")


def give_up(writer: Writer, put: BlobWrite, now: int) -> None:
    """Mark bytes dead that turn out not to be needed."""
    writer.update_blob(put.key, _PENDING, state="dead", at=now)


def forget_blobs(writer: Writer, keys: Sequence[str | None]) -> None:
    """Mark the bytes of removed or replaced rows dead; they go after the commit, by collection."""
    now = writer.now()
    for key in keys:
        if key is not None:
            writer.update_blob(key, _LIVE, state="dead", at=now)
