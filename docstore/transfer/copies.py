"""Copy everything of one store into another, whatever their backends and storages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import BinaryIO

from docstore.backend import Row
from docstore.blobs import Blobs
from docstore.errors import BlobCorrupt, BlobError, BlobMissing
from docstore.maintenance import OnProgress, Progress
from docstore.query.fields import DOCUMENTS, EXTRACTIONS
from docstore.store import Store
from docstore.transfer.comparison import verify_copy
from docstore.transfer.receiver import Incoming, receive_documents, receive_extractions
from docstore.transfer.reports import CopyReport, Failure, Transferred
from docstore.transfer.rows import batches, look_after

__all__ = [
    "CopyCounts",
    "copy",
]

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
