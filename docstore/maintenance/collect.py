"""Collection: bytes that no document needs any more go, by a protocol that is fenced and not timed.

An intent that is too old becomes dead by the very update that a late writer's commit competes with, so that
exactly one of them wins, whatever the grace period. Any step may be killed and run again, and several
collectors may run at once. No object is looked at within a write block, so that writers never wait for bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Protocol, runtime_checkable

from docstore.backend import ANYWHERE, Backend, BlobRow, BlobState, Scope, Writer
from docstore.blobs import Blobs, Found, key_of_temporary
from docstore.errors import BlobError, shown
from docstore.maintenance.commits import DEAD, PENDING, SWEPT, committed, documents_of
from docstore.maintenance.reports import CollectReport, OnProgress, tell
from docstore.steps import reached

__all__ = ["Compacts", "batches_of", "collect", "compact", "owner_of", "sweep"]

_BATCH = 200
_LISTED = 1000


@runtime_checkable
class Compacts(Protocol):
    """A backend whose indexes hold more for a while than the records do (optional)."""

    def compact(self) -> None:
        """Fold and merge what has gathered since, in transactions of its own."""


def compact(backend: Backend) -> None:
    """Compact the indexes of a backend that has such as need it."""
    if isinstance(backend, Compacts):
        backend.compact()


def collect(
    backend: Backend,
    blobs: Blobs,
    grace: float = 86_400.0,
    *,
    prefix: str = "",
    after: str = "",
    scope: Scope = ANYWHERE,
    on_progress: OnProgress | None = None,
) -> CollectReport:
    """Remove the bytes that no document needs any more, and those of writes that did not end.

    Args:
        backend: where rows are.
        blobs: where bytes are; no other store may use the place, its objects would look ownerless.
        grace: seconds after which an intent counts as abandoned, and again until a removed object's row goes.
            0 is right, too: a writer that is still at it is fenced, and starts again.
        prefix: names that the last pass is confined to; ``""`` is all. Keys begin with two hex digits.
        after: name after which the last pass begins, the ``position`` of an interrupted one.
        scope: confine it to the rows of a tenant and owner. The last pass is then left out: an object without
            a row is nobody's.
        on_progress: called after each batch, with the stages ``expired``, ``swept``, ``dropped``, ``listed``
            and ``uploads``.

    Returns:
        What was done. An object that cannot be removed now is named there and stays dead.

    Raises:
        BackendError: the database failed or is busy; what was done stays done.
        BlobError: the storage cannot be listed.
        ValueError: ``grace`` is negative or no number.
    """
    if type(grace) not in (int, float) or not 0 <= grace < float("inf"):
        raise ValueError(f"grace={shown(grace)}: expected seconds, 0 or more")
    expired = _expire(backend, grace, scope, on_progress)
    dead = batches_of(backend, DEAD, scope=scope)
    swept, failed = sweep(backend, blobs, dead, on_progress=on_progress)
    dropped, failed_again = _drop(backend, blobs, grace, scope, on_progress)
    if scope != ANYWHERE:
        return CollectReport(expired, swept, dropped, 0, (*failed, *failed_again))
    compact(backend)
    orphans, left = _remove_orphans(backend, blobs, blobs.list(prefix, after=after), on_progress)
    uploads, open_still = _abort_uploads(backend, blobs, blobs.unfinished(prefix), on_progress)
    failed += [*failed_again, *left, *open_still]
    return CollectReport(expired, swept, dropped, orphans, tuple(failed), uploads)


def batches_of(
    backend: Backend,
    states: tuple[BlobState, ...],
    *,
    before: Callable[[int], int] | None = None,
    scope: Scope = ANYWHERE,
) -> Iterator[Sequence[BlobRow]]:
    """Yield blob rows by key, each batch from a block of its own; rows may change while they are looked at.

    Args:
        backend: where rows are.
        states: those that are wanted.
        before: makes, of the database's clock, the instant before which they must have got there.
        scope: whose.
    """
    limit = None
    if before is not None:
        with backend.write() as writer:
            limit = before(writer.now())
    after = ""
    while True:
        with backend.read() as reader:
            rows = reader.blobs(states=states, before=limit, after_key=after, limit=_BATCH, scope=scope)
        if not rows:
            return
        yield rows
        after = rows[-1].key


def sweep(
    backend: Backend,
    blobs: Blobs,
    batches: Iterable[Sequence[BlobRow]],
    *,
    anonymous: bool = False,
    on_progress: OnProgress | None = None,
) -> tuple[int, list[str]]:
    """Remove the bytes of dead rows and mark those rows swept.

    Args:
        backend: where rows are.
        blobs: where bytes are.
        batches: dead rows.
        anonymous: forget the rows' tenant and owner, too.
        on_progress: called after each batch with the stage ``swept``.

    Returns:
        How many, and the keys whose bytes could not be removed.
    """
    done, failed = 0, list[str]()
    forget = {"tenant": None, "owner": None} if anonymous else {}
    for rows in batches:
        gone, left = _delete(blobs, rows)
        failed += [row.key for row in left]
        done += committed(backend, partial(_mark_swept, gone=gone, left=left, forget=forget))
        reached("C4")
        tell(on_progress, "swept", done, rows[-1].key)
    return done, failed


def _expire(backend: Backend, grace: float, scope: Scope, on_progress: OnProgress | None) -> int:
    """Mark intents older than the grace period dead: each competes with its writer's commit on one row."""
    done = 0
    for rows in batches_of(backend, PENDING, before=lambda now: _older(now, grace), scope=scope):
        done += committed(backend, partial(_mark_dead, rows=rows))
        reached("C1")
        tell(on_progress, "expired", done, rows[-1].key)
    return done


def _drop(
    backend: Backend, blobs: Blobs, grace: float, scope: Scope, on_progress: OnProgress | None
) -> tuple[int, list[str]]:
    """Remove once more what a late writer may have stored since, and then the row."""
    done, failed = 0, list[str]()
    for rows in batches_of(backend, SWEPT, before=lambda now: _older(now, grace), scope=scope):
        gone, left = _delete(blobs, rows)
        failed += [row.key for row in left]
        reached("C5")
        done += committed(backend, partial(_forget, rows=gone))
        reached("C6")
        tell(on_progress, "dropped", done, rows[-1].key)
    return done, failed


def _remove_orphans(
    backend: Backend, blobs: Blobs, found: Iterator[Found], on_progress: OnProgress | None
) -> tuple[int, list[str]]:
    """Remove objects without a row: bytes are listed first, then rows are read.

    An intent is committed before its bytes are written, and no key is used twice: what was listed and has no
    row will never have one. The rows are read in a write block, so that on an engine with a single writer a
    transaction that holds both an intent and its bytes has ended. What a document has, though its row was
    lost by damage, is left for repair.
    """
    done, seen, failed = 0, 0, list[str]()
    while batch := list(islice(found, _LISTED)):
        reached("C7")
        seen += len(batch)
        keys = {key for one in batch if (key := owner_of(one)) is not None}
        gone, left = _delete_ownerless(backend, blobs, keys)
        done += gone
        failed += left
        tell(on_progress, "listed", seen, batch[-1].name)
    return done, failed


def _abort_uploads(
    backend: Backend, blobs: Blobs, unfinished: Iterator[str], on_progress: OnProgress | None
) -> tuple[int, list[str]]:
    """Abort multipart uploads whose key has no row, by the rule for objects without one; those with a row go
    with it.
    """
    done, failed = 0, list[str]()
    while batch := list(islice(unfinished, _LISTED)):
        gone, left = _delete_ownerless(backend, blobs, set(batch))
        done += gone
        failed += left
        tell(on_progress, "uploads", done)
    return done, failed


def _delete_ownerless(backend: Backend, blobs: Blobs, keys: set[str]) -> tuple[int, list[str]]:
    """Remove what is stored under those of the keys that have no row; return how many, and which could not
    be.
    """
    done, failed = 0, list[str]()
    for key in sorted(_without_row(backend, keys)):
        try:
            blobs.delete(key)
        except BlobError:
            failed.append(key)
        else:
            done += 1
            reached("C8")
    return done, failed


def owner_of(found: Found) -> str | None:
    """Return the key that a found thing belongs to, ``None`` for what is not ours to remove."""
    if found.kind == "object":
        return found.name
    return key_of_temporary(found.name) if found.kind == "temporary" else None


def _without_row(backend: Backend, keys: set[str]) -> set[str]:
    if not keys:
        return keys
    with backend.write() as writer:
        keys = keys - {row.key for row in writer.blobs(keys=sorted(keys), limit=len(keys))}
    with backend.read() as reader:
        return keys - documents_of(reader, sorted(keys)).keys()


def _delete(blobs: Blobs, rows: Sequence[BlobRow]) -> tuple[list[BlobRow], list[BlobRow]]:
    """Remove objects; return the rows of those that are gone, and of those that are not."""
    gone, left = list[BlobRow](), list[BlobRow]()
    for row in rows:
        try:
            blobs.delete(row.key)
        except BlobError:
            left.append(row)
        else:
            gone.append(row)
        reached("C3")
    return gone, left


def _mark_dead(writer: Writer, rows: Sequence[BlobRow]) -> int:
    now = writer.now()
    return sum(writer.update_blob(row.key, PENDING, state="dead", at=now) for row in rows)


def _mark_swept(
    writer: Writer, gone: Sequence[BlobRow], left: Sequence[BlobRow], forget: Mapping[str, None]
) -> int:
    now = writer.now()
    for row in left:
        writer.update_blob(row.key, DEAD, attempts=row.attempts + 1)
    return sum(writer.update_blob(row.key, DEAD, state="swept", at=now, **forget) for row in gone)


def _forget(writer: Writer, rows: Sequence[BlobRow]) -> int:
    return sum(writer.delete_blob(row.key, SWEPT) for row in rows)


def _older(now: int, grace: float) -> int:
    """Return the first instant that is too young, in microseconds."""
    return now - int(grace * 1_000_000) + 1
