"""Collection and erasure: bytes that no document needs any more go, or everything of a tenant or owner.

An intent that is too old becomes dead by the very update that a late writer's commit competes with, so that
exactly one of them wins, whatever the grace period. Any step may be killed and run again, and several
collectors may run at once. No object is looked at within a write block, so that writers never wait for bytes.
Erasure removes rows and bytes, uploads under way included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol, runtime_checkable

from docstore.backend import ANYWHERE, Backend, BlobRow, BlobState, Query, Scope, Writer
from docstore.blobs import Blobs, Upload
from docstore.context.ownership import Ownership, Places, places_of
from docstore.crash_points import reached
from docstore.errors import BlobsNotConfigured, ScopeError, shown
from docstore.maintenance.orphans import Absent, GraceClock, listed, remove_unknown
from docstore.maintenance.reports import CollectReport, EraseReport, OnProgress, tell
from docstore.maintenance.retry import DEAD, LIVE, PENDING, SWEPT, committed, documents_of, fault_of_blob
from docstore.query.fields import DOCUMENTS

__all__ = [
    "Compacts",
    "KeepsValues",
    "Removal",
    "batches_of",
    "checked_grace",
    "collect",
    "compact",
    "erase",
]

# Rows read at a time, outside of the blocks that change them.
_BATCH = 200


@runtime_checkable
class Compacts(Protocol):
    """A backend whose indexes hold more for a while than the records do (optional)."""

    def compact(self) -> None:
        """Compact and merge what has gathered since, in transactions of its own."""


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
    workers: int = 1,
    listing: Iterable[tuple[str, int]] | None = None,
    force: bool = False,
    scope: Scope = ANYWHERE,
    store_id: str | None = None,
    on_progress: OnProgress | None = None,
) -> CollectReport:
    """Remove the bytes that no document needs any more, and those of writes that did not end.

    Args:
        backend: where rows are.
        blobs: where bytes are. Rows of bytes at another root are left.
        grace: seconds after which an intent counts as abandoned, and again until a removed object's row goes;
            before which an object without a row is left, and after which it goes from quarantine. 0 is right,
            too: a writer that is still at it is fenced, and starts again.
        prefix: names that the last pass is confined to; ``""`` is all. Keys begin with two hex digits.
        after: name after which the last pass begins, the ``position`` of an interrupted one.
        workers: how many requests to the storage are under way at once.
        listing: pairs of name and size that stand in the storage, by an inventory that is older than the
            rows; ``None``: the storage lists itself.
        force: put aside more than a tenth of the objects, too, if so many have no row.
        scope: confine it to the rows of a tenant and owner. The last pass is then left out: an object without
            a row is nobody's.
        store_id: the id that the store must have; ``None``: whatever its database says.
        on_progress: called after each batch, with the stages ``expired``, ``swept``, ``dropped``, ``listed``,
            ``quarantined``, ``emptied`` and ``uploads``.

    Returns:
        The removed documents and objects, counted. An object that cannot be removed now is named there and
        stays dead.

    Raises:
        WrongBlobs: the root is another store's, or nobody knows whose; nothing was done.
        BackendError: the database failed or is busy; what was done stays done.
        BlobError: the storage cannot be listed.
        ValueError: ``grace`` is negative or no number.
    """
    checked_grace(grace)
    # Whose the root is comes first: with another store's database every object here would have no row.
    ownership = Places(blobs, backend.read, backend.write, store_id).look()
    ownership.check()
    removal = Removal(backend, blobs, ownership, workers, on_progress)
    expired = _expire(backend, removal, grace, scope, on_progress)
    swept = removal.sweep(batches_of(backend, DEAD, scope=scope))
    dropped = _drop(backend, removal, grace, scope, on_progress)
    found = Absent()
    # What has no row is nobody's, so that only an unconfined pass may judge it.
    if scope == ANYWHERE:
        compact(backend)
        found = remove_unknown(
            backend, blobs, ownership, listed(blobs, prefix, after, listing),
            partial(removal.uploads_of, prefix), GraceClock.of(backend, grace), force=force,
            workers=workers, on_progress=on_progress,
        )  # fmt: skip
    return CollectReport(
        expired, swept, dropped, found.moved, (*removal.failed, *found.failed), found.uploads, found.emptied,
        found.young, found.refusal, removal.elsewhere(),
    )  # fmt: skip


def checked_grace(grace: float) -> None:
    """Raise ValueError unless ``grace`` is seconds."""
    if type(grace) not in (int, float) or not 0 <= grace < float("inf"):
        raise ValueError(f"grace={shown(grace)}: expected seconds, 0 or more")


def batches_of(
    backend: Backend,
    states: tuple[BlobState, ...],
    *,
    before: Callable[[int], int] | None = None,
    now: int | None = None,
    scope: Scope = ANYWHERE,
) -> Iterator[Sequence[BlobRow]]:
    """Yield blob rows by key, each batch from a block of its own; rows may change while they are looked at.

    Args:
        backend: where rows are.
        states: those that are wanted.
        before: makes, of the clock, the instant before which they must have got there.
        now: the clock, microseconds since the epoch; ``None``: the database's, for which it is written to.
        scope: whose.
    """
    limit = None
    if before is not None and now is not None:
        limit = before(now)
    elif before is not None:
        # A write block, as only there is the database's clock to be had.
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


class Removal:
    """One pass of removing the bytes of rows at one root. The open multipart uploads are listed once.

    Attributes:
        failed: keys whose bytes could not be removed.
    """

    def __init__(
        self, backend: Backend, blobs: Blobs, ownership: Ownership, workers: int = 1,
        on_progress: OnProgress | None = None,
    ) -> None:  # fmt: skip
        self._backend = backend
        self._blobs = blobs
        self._is_own = not ownership.refusal
        self._place = ownership.place
        self._workers = workers
        self._on_progress = on_progress
        self._uploads: dict[str, tuple[Upload, ...]] | None = None
        self._left: Counter[int] = Counter()
        self.failed: list[str] = []

    def here(self, rows: Iterable[BlobRow]) -> list[BlobRow]:
        """Return the rows whose bytes are at this root; count the others, and name what somebody broke."""
        here = list[BlobRow]()
        for row in rows:
            if fault_of_blob(row):
                self.failed.append(str(row.key))
            elif self._is_own and row.place in (0, self._place):
                here.append(row)
            else:
                self._left[row.place] += 1
        return here

    def elsewhere(self) -> dict[str, int]:
        """Return how many rows were left for their bytes being at another root, by where that is."""
        with self._backend.read() as reader:
            names = places_of(reader, list(self._left))
        return {names[place]: count for place, count in sorted(self._left.items())}

    def uploads_of(self, prefix: str = "") -> dict[str, tuple[Upload, ...]]:
        """Return the open multipart uploads of keys that begin with ``prefix``."""
        if self._uploads is None:
            if prefix:
                return self._blobs.uploads(prefix)
            self._uploads = self._blobs.uploads()
        return {key: some for key, some in self._uploads.items() if key.startswith(prefix)}

    def sweep(self, batches: Iterable[Sequence[BlobRow]], *, anonymous: bool = False) -> int:
        """Remove the bytes of dead rows and mark those rows swept; return how many.

        Args:
            batches: dead rows.
            anonymous: forget the rows' tenant and owner, too.
        """
        done = 0
        forget = {"tenant": None, "owner": None} if anonymous else {}
        for rows in batches:
            gone, left = self.delete(rows)
            done += committed(self._backend, partial(_mark_swept, gone=gone, left=left, forget=forget))
            reached("C4")
            tell(self._on_progress, "swept", done, rows[-1].key)
        return done

    def delete(self, rows: Sequence[BlobRow]) -> tuple[list[BlobRow], list[BlobRow]]:
        """Remove the objects of rows; return the rows of those gone, and of those that are not."""
        here = self.here(rows)
        if not here:
            return [], []
        # Outside of any write block: an object takes as long as the storage likes.
        failed = self._blobs.delete_many([row.key for row in here], self.uploads_of(), workers=self._workers)
        # One request removed them all; each is a crash point by itself.
        for _ in range(len(here) - len(failed)):
            reached("C3")
        self.failed += failed
        for row in here:
            if row.key not in failed and self._uploads:
                self._uploads.pop(row.key, None)
        return [row for row in here if row.key not in failed], [row for row in here if row.key in failed]


def _expire(
    backend: Backend, removal: Removal, grace: float, scope: Scope, on_progress: OnProgress | None
) -> int:
    """Mark intents older than the grace period dead: each competes with its writer's commit on one row."""
    done = 0
    for rows in batches_of(backend, PENDING, before=lambda now: _older(now, grace), scope=scope):
        done += committed(backend, partial(_mark_dead, rows=removal.here(rows)))
        reached("C1")
        tell(on_progress, "expired", done, rows[-1].key)
    return done


def _drop(
    backend: Backend, removal: Removal, grace: float, scope: Scope, on_progress: OnProgress | None
) -> int:
    """Remove once more what a late writer may have stored since, and then the row."""
    done = 0
    for rows in batches_of(backend, SWEPT, before=lambda now: _older(now, grace), scope=scope):
        # A writer that was fenced may have finished its request after the first removal.
        gone, _ = removal.delete(rows)
        reached("C5")
        done += committed(backend, partial(_forget, rows=gone))
        reached("C6")
        tell(on_progress, "dropped", done, rows[-1].key)
    return done


def _mark_dead(writer: Writer, rows: Sequence[BlobRow]) -> int:
    now = writer.now()
    return sum(writer.update_blob(row, PENDING, state="dead", at=now) for row in rows)


def _mark_swept(
    writer: Writer, gone: Sequence[BlobRow], left: Sequence[BlobRow], forget: Mapping[str, None]
) -> int:
    now = writer.now()
    for row in left:
        writer.update_blob(row, DEAD, attempts=row.attempts + 1)
    return sum(writer.update_blob(row, DEAD, state="swept", at=now, **forget) for row in gone)


def _forget(writer: Writer, rows: Sequence[BlobRow]) -> int:
    return sum(writer.delete_blob(row, SWEPT) for row in rows)


def _older(now: int, grace: float) -> int:
    """Return the first instant that is too young, in microseconds."""
    # + 1: a grace of 0 takes what got there within this very microsecond.
    return now - int(grace * 1_000_000) + 1


# Documents of one commit: writers wait for it on SQLite.
_ERASED_AT_ONCE = 500


@runtime_checkable
class KeepsValues(Protocol):
    """A backend that keeps values of documents elsewhere than with the documents, or where they were until
    something is written over them (optional).
    """

    def forget_values(self) -> None:
        """Leave nothing of what no document has any more, as far as the engine lets this session."""


def erase(
    backend: Backend, blobs: Blobs | None, scope: Scope, *, store_id: str | None = None,
    on_progress: OnProgress | None = None,
) -> EraseReport:  # fmt: skip
    """Remove all documents of a scope, their extractions, and the bytes ever written for it.

    Blob rows carry tenant and owner: intents, dead and swept ones are reached, too, whether or not a
    document ever stood behind them. A write under way is fenced: it fails, or begins again after the erasure.
    Killed on the way, the same call goes on. The rows of removed bytes stay for a grace period without tenant
    and owner, as keys of random digits, so that a collection can remove what a late writer leaves.

    Args:
        backend: where rows are.
        blobs: where bytes are; ``None`` is enough for a scope without bytes.
        scope: whose; at least one part is set.
        store_id: the id that the store must have; ``None``: whatever its database says.
        on_progress: called after each batch, with the stages ``documents`` and ``swept``.

    Returns:
        The removed records, counted; the keys whose bytes could not be removed yet, which collection does;
        and the roots that were not reached, where the bytes are still.

    Raises:
        ScopeError: the scope is empty.
        BlobsNotConfigured: bytes were written for the scope and there is no ``blobs``.
        BackendError: the database failed.
    """
    if scope.tenant is None and scope.owner is None:
        raise ScopeError("erase needs tenant=, owner= or both: to remove all, delete the store")
    if blobs is None:
        with backend.read() as reader:
            if reader.blobs(scope=scope, limit=1):
                raise BlobsNotConfigured("bytes were written for this scope: open the store with blobs=")
    # In this order nothing slips through: intents are fenced, so that no write under way becomes live later;
    # then documents go with their bytes; then bytes that a write made live in between.
    _bury_intents(backend, scope)
    documents = _erase_documents(backend, scope, on_progress)
    _bury_ownerless(backend, scope)
    report = EraseReport(documents)
    if blobs is not None:
        ownership = Places(blobs, backend.read, backend.write, store_id).look()
        removal = Removal(backend, blobs, ownership, on_progress=on_progress)
        swept = removal.sweep(_batches(backend, scope, DEAD), anonymous=True)
        _make_anonymous(backend, scope)
        report = EraseReport(documents, swept, tuple(removal.failed), tuple(removal.elsewhere()))
    # Last: indexes and free pages hold values until what held them is written over.
    if isinstance(backend, KeepsValues):
        backend.forget_values()
    return report


def _bury_intents(backend: Backend, scope: Scope) -> None:
    """Mark intents dead, which fences their writers: what they made live before, is found as documents."""
    for rows in _batches(backend, scope, PENDING):
        committed(backend, partial(_bury, blobs=rows, states=PENDING))


def _erase_documents(backend: Backend, scope: Scope, on_progress: OnProgress | None) -> int:
    """Remove documents in batches, each with its bytes marked dead in one commit."""
    done = 0
    # Asked anew each time: documents that are added meanwhile go, too, and a run that was killed goes on.
    while count := committed(backend, partial(_erase_some, scope=scope)):
        done += count
        tell(on_progress, "documents", done)
    return done


def _erase_some(writer: Writer, scope: Scope) -> int:
    query = Query(DOCUMENTS, scope, limit=_ERASED_AT_ONCE, include=frozenset({"blob_key"}), lock="wait")
    rows = writer.select(query)
    _bury(writer, [BlobRow.of(row) for row in rows if row["blob_key"] is not None], LIVE)
    writer.delete(DOCUMENTS, rows)
    return len(rows)


def _bury_ownerless(backend: Backend, scope: Scope) -> None:
    """Mark live rows dead that no document stands behind; a write that began since keeps its own."""

    def work(writer: Writer, rows: Sequence[BlobRow]) -> None:
        owned = documents_of(writer, [row.key for row in rows])
        _bury(writer, [row for row in rows if row.key not in owned], LIVE)

    for rows in _batches(backend, scope, LIVE):
        committed(backend, partial(work, rows=rows))


def _bury(writer: Writer, blobs: Sequence[BlobRow], states: tuple[BlobState, ...]) -> None:
    now = writer.now()
    for blob in blobs:
        writer.update_blob(blob, states, state="dead", at=now)


def _make_anonymous(backend: Backend, scope: Scope) -> None:
    """Take tenant and owner off rows whose bytes an earlier collection removed."""

    def work(writer: Writer, rows: Sequence[BlobRow]) -> None:
        for row in rows:
            writer.update_blob(row, SWEPT, tenant=None, owner=None)

    for rows in _batches(backend, scope, SWEPT):
        committed(backend, partial(work, rows=rows))


def _batches(backend: Backend, scope: Scope, states: tuple[BlobState, ...]) -> Iterator[Sequence[BlobRow]]:
    after = ""
    while True:
        with backend.read() as reader:
            rows = reader.blobs(states=states, scope=scope, after_key=after, limit=_ERASED_AT_ONCE)
        if not rows:
            return
        yield rows
        after = rows[-1].key
