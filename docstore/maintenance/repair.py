"""Repair: what a check found is looked at once more, and put right where a second witness says how.

Nothing is deleted: what no row knows is moved below ``quarantine/`` in the same storage, from where a later
repair brings back what a document turns out to need. Bytes that are lost come back from there, or from
another document that has the very same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from docstore.backend import ANYWHERE, Backend, BlobRow, Query, Reader, Row, Scope, Writer
from docstore.blobs import Blobs, key_of_temporary, new_key
from docstore.blobs.objects import QUARANTINE
from docstore.context.ownership import Ownership, Places
from docstore.errors import BlobError
from docstore.maintenance.check import ChecksIndexes
from docstore.maintenance.collect import Removal
from docstore.maintenance.orphans import GraceClock, unproven
from docstore.maintenance.reports import (
    Action,
    AdoptReport,
    CheckReport,
    Finding,
    OnProgress,
    RepairReport,
    tell,
)
from docstore.maintenance.retry import LIVE, PENDING, committed, documents_of
from docstore.query.expr import Compare
from docstore.query.fields import DOCUMENTS

__all__ = [
    "Proposal",
    "Verb",
    "adopt",
    "keep",
    "propose_for_dead",
    "propose_for_extra",
    "propose_for_intent",
    "propose_for_lost",
    "repair",
    "row_of",
]


def repair(
    backend: Backend,
    blobs: Blobs | None,
    report: CheckReport,
    *,
    dry_run: bool = True,
    force: bool = False,
    scope: Scope = ANYWHERE,
    store_id: str | None = None,
    on_progress: OnProgress | None = None,
) -> RepairReport:
    """Put right what a check found, or say what would be done.

    Each finding is looked at again first: one that went away has no action. A document's lost bytes are
    moved back from ``quarantine/`` if they are there, or copied from another document with the same sha256 if
    there is one, and left as they are if not. Objects that no row knows, older than the check's grace period,
    are moved below ``quarantine/``; live rows that no document has are marked dead, for collection.

    Args:
        backend: where rows are.
        blobs: where bytes are.
        report: what :func:`check` returned, not long ago.
        dry_run: change nothing.
        force: take away more than a tenth of what is there, too. One thing is always allowed.
        scope: touch only what belongs to this tenant and owner; other findings have no action.
        store_id: the id that the store must have; ``None``: whatever its database says.
        on_progress: called after each finding with the stage ``repaired``.

    Returns:
        The actions taken, or proposed with ``dry_run``.

    Raises:
        WrongBlobs: the root of the bytes is another store's, or nobody knows whose; nothing was changed.
        BlobError: more than a tenth would be taken away, and ``force`` is false; nothing was changed. Such a
            report usually means that the database and the storage do not belong together.
        BackendError: the database failed; what was done stays done.
    """
    bytes = None if blobs is None else _StoredBytes(backend, blobs, report.grace, store_id)
    rebuild = _rebuilding(backend)  # one for all findings
    proposed = [
        (finding, rebuild if finding.kind == "index" else _propose(backend, bytes, finding))
        for finding in report.findings
        if scope == ANYWHERE or _is_theirs(backend, scope, finding)
    ]
    needed = [(finding, proposal) for finding, proposal in proposed if proposal is not None]
    removals = sum(proposal.removes for _, proposal in needed)
    if not dry_run and not force:
        # A database restored from a backup knows little of a full storage: that must not empty it.
        _check_removals(removals, max(report.objects, report.blobs))
    actions: list[Action] = []
    for finding, proposal in needed:
        actions.append(_acted(finding, proposal, dry_run))
        tell(on_progress, "repaired", len(actions), finding.key)
    return RepairReport(dry_run, tuple(actions), removals)


def _acted(finding: Finding, proposal: Proposal, dry_run: bool) -> Action:
    """Do what is proposed; a storage that fails in one place does not keep the rest from being repaired."""
    if dry_run or proposal.act is None:
        return Action(finding, proposal.verb, False, proposal.detail)
    try:
        return Action(finding, proposal.verb, proposal.act(), proposal.detail)
    except BlobError as error:
        return Action(finding, proposal.verb, False, f"{proposal.detail}; failed: {error}")


def _check_removals(removals: int, total: int) -> None:
    if removals > max(1, total // 10):
        raise BlobError(
            f"repair would take away {removals} of {total} objects, more than a tenth: make sure that this"
            " storage belongs to this database, then say force=True"
        )


def _is_theirs(backend: Backend, scope: Scope, finding: Finding) -> bool:
    """Return whether a finding is of a document, or of the row of an object, of this scope."""
    where = Compare(("blob_key",), "eq", finding.key)
    with backend.read() as reader:
        if finding.key and reader.blobs(keys=[finding.key], scope=scope, limit=1):
            return True
        return bool(finding.key and reader.select(Query(DOCUMENTS, scope, where, limit=1)))


class _StoredBytes:
    """The place of bytes that are known to be this store's."""

    def __init__(self, backend: Backend, blobs: Blobs, grace: float, store_id: str | None) -> None:
        self.blobs = blobs
        self.ownership = Places(blobs, backend.read, backend.write, store_id).look()
        self.ownership.check()
        self.clock = GraceClock.of(backend, grace)


def _propose(backend: Backend, bytes: _StoredBytes | None, finding: Finding) -> Proposal | None:
    """Return what to do about a finding, ``None`` if it is not there any more."""
    if finding.kind == "foreign" or bytes is None:
        return keep("not ours")
    blobs, ownership = bytes.blobs, bytes.ownership
    match finding.kind:
        case "unowned":
            return None
        case "unreadable":
            return keep("somebody changed the row by hand: put it right by hand, or restore a backup")
        case "extra":
            return propose_for_extra(backend, blobs, finding.key, ownership, bytes.clock)
        case "stale_pending":
            return propose_for_intent(backend, finding.key)
        case "stale_dead":
            return propose_for_dead(backend, blobs, finding.key, ownership)
        case _:
            return propose_for_lost(backend, blobs, finding.key, ownership.place)


def _rebuilding(backend: Backend) -> Proposal:
    """Return what to do about the backend's own findings: all of them are put right at once, by the first."""
    if not isinstance(backend, ChecksIndexes):
        return keep(f"the {backend.name} backend cannot rebuild its indexes")
    done = False

    def act() -> bool:
        nonlocal done
        if not done:
            backend.rebuild_indexes()
        done = True
        return True

    return Proposal("rebuild", "from the documents", act)


Verb: TypeAlias = Literal["restore", "copy", "quarantine", "bury", "sweep", "rebuild", "keep"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """One step of repair.

    Attributes:
        verb: what it is called, see :class:`~docstore.maintenance.reports.Action`.
        detail: why, for people.
        act: does it and returns whether it was still needed; ``None`` where there is nothing to do.
        removes: whether it takes away something that may be of use.
    """

    verb: Verb
    detail: str
    act: Callable[[], bool] | None = None
    removes: bool = False


def keep(detail: str) -> Proposal:
    """Return the proposal to do nothing."""
    return Proposal("keep", detail)


def row_of(reader: Reader, key: str) -> BlobRow | None:
    """Return the blob row of a key."""
    rows = reader.blobs(keys=[key], limit=1)
    return rows[0] if rows else None


def propose_for_extra(
    backend: Backend, blobs: Blobs, name: str, ownership: Ownership, clock: GraceClock
) -> Proposal | None:
    """Move what no row knows aside, if it is not too young; bury a live row that no document has."""
    key = key_of_temporary(name) or name
    # In a write block: a replica may not know the row yet, and the object would look as if nobody needed it.
    row, unknown = committed(backend, lambda writer: (row_of(writer, key), unproven(writer, ownership)))
    if row is None or (key != name and row.state == "live"):
        stands = blobs.stat(name)
        if stands is None or (key == name and _documented(backend, key)):
            return None
        if unknown:
            return keep(unknown)
        if clock.spares(stands.modified):
            return keep(f"it is younger than the grace period of the check, {clock.grace:g} seconds")

        def act() -> bool:
            blobs.quarantine(name)
            return True

        return Proposal("quarantine", "no row knows it", act, removes=key == name)
    if row.state != "live" or _documented(backend, key):
        return None
    if unknown:
        return keep(unknown)
    return Proposal("bury", "no document has it", lambda: _bury_row(backend, row), removes=True)


def propose_for_intent(backend: Backend, key: str) -> Proposal | None:
    """Withdraw an intent whose write never ended."""
    with backend.read() as reader:
        row = row_of(reader, key)
    if row is None or row.state != "pending":
        return None

    def work(writer: Writer) -> bool:
        return writer.update_blob(row, PENDING, state="dead", at=writer.now())

    return Proposal("bury", "its write never ended", lambda: committed(backend, work))


def propose_for_dead(backend: Backend, blobs: Blobs, key: str, ownership: Ownership) -> Proposal | None:
    """Remove bytes that are dead already."""
    with backend.read() as reader:
        row = row_of(reader, key)
    if row is None or row.state not in ("dead", "swept") or _documented(backend, key):
        return None  # a document that needs it is a finding of its own, and its row is restored
    if row.state == "dead":
        return Proposal("sweep", "it is dead", lambda: Removal(backend, blobs, ownership).sweep([[row]]) == 1)

    def act() -> bool:
        blobs.delete(key)
        return True

    return Proposal("sweep", "it was removed once and came back", act)


def _documented(backend: Backend, key: str) -> bool:
    with backend.read() as reader:
        return bool(documents_of(reader, [key]))


def _bury_row(backend: Backend, row: BlobRow) -> bool:
    def work(writer: Writer) -> bool:
        if documents_of(writer, [row.key]):
            return False
        return writer.update_blob(row, LIVE, state="dead", at=writer.now())

    return committed(backend, work)


# Documents with the same bytes that are tried: reading each to its end takes as long as the file.
_DONORS = 20


def propose_for_lost(backend: Backend, blobs: Blobs, key: str, place: int) -> Proposal | None:
    """Restore the row if the bytes are right; else the bytes, put aside or of another document.

    Args:
        backend: where rows are.
        blobs: where bytes are.
        key: of the bytes that are lost.
        place: of the root of ``blobs``, for the rows of what is stored anew.
    """
    with backend.read(snapshot=True) as reader:
        document = documents_of(reader, [key]).get(key)
        row = row_of(reader, key)
    if document is None:
        return None if row is None or row.state != "live" else keep("no document has it")
    if _is_sound(blobs, key, document["size"], document["sha256"]):
        return _propose_row(backend, document, row, place)
    if row is not None and row.state == "live" and _is_sound(blobs, key, row.size, row.sha256):
        return Proposal(
            "restore",
            "the row of the bytes and the bytes agree: the document takes their size and sha256",
            lambda: _rewrite_document(backend, document, row),
        )
    aside = QUARANTINE + key
    if blobs.stat(key) is None and _is_sound(blobs, aside, document["size"], document["sha256"]):
        return Proposal("restore", "from quarantine/", lambda: _take_back(backend, blobs, document, place))
    donor = _donor(backend, blobs, document)
    if donor is None:
        wanted = f"{document['size']} bytes with sha256 {document['sha256']}"
        return keep(f"no other document has these bytes: put a backup's object of {wanted} in its place")
    return Proposal("copy", f"from {donor}", lambda: _copy(backend, blobs, document, donor, place))


def _propose_row(backend: Backend, document: Row, row: BlobRow | None, place: int) -> Proposal | None:
    facts = (document["size"], document["sha256"])
    if row is not None and row.state == "live" and (row.size, row.sha256) == facts:
        return None
    return Proposal(
        "restore", "the bytes are there and right", lambda: _restore_row(backend, document, place)
    )


def _take_back(backend: Backend, blobs: Blobs, document: Row, place: int) -> bool:
    """Move the object back from quarantine, and let its row say so if it does not."""
    blobs.take_back(document["blob_key"])
    return _restore_row(backend, document, place)


def _restore_row(backend: Backend, document: Row, place: int) -> bool:
    """Make the blob row say what the document and its bytes say."""
    key, size, sha256 = document["blob_key"], document["size"], document["sha256"]

    def work(writer: Writer) -> bool:
        if key not in documents_of(writer, [key]):
            return False
        now = writer.now()
        if (row := row_of(writer, key)) is None:
            row = BlobRow(key, document["tenant"], document["owner"], sha256, size, "live", now, place=place)
            writer.insert_blob(row)
            return True
        changes = {"sha256": sha256, "size": size, "at": now, "place": place}
        return writer.update_blob(row, (row.state,), state="live", **changes)

    return committed(backend, work)


def _rewrite_document(backend: Backend, document: Row, row: BlobRow) -> bool:
    return committed(
        backend,
        lambda writer: writer.update(DOCUMENTS, document, {"size": row.size, "sha256": row.sha256}),
    )


def _donor(backend: Backend, blobs: Blobs, document: Row) -> str | None:
    """Return the name of a sound object with the document's bytes: another document's, or put aside."""
    where = Compare(("sha256",), "eq", document["sha256"])
    query = Query(DOCUMENTS, where=where, limit=_DONORS, include=frozenset({"blob_key"}))
    with backend.read() as reader:
        keys = [row["blob_key"] for row in reader.select(query)]
    # Another document's bytes are as good if they are the same to the last one.
    for key in keys:
        others = key is not None and key != document["blob_key"]
        if others and _is_sound(blobs, key, document["size"], document["sha256"]):
            return str(key)
    aside = QUARANTINE + document["blob_key"]
    return aside if _is_sound(blobs, aside, document["size"], document["sha256"]) else None


def _copy(backend: Backend, blobs: Blobs, document: Row, donor: str, place: int) -> bool:
    """Store the donor's bytes under a fresh key, as any write does, and let the document point at it."""
    key, size, sha256 = new_key(), document["size"], document["sha256"]
    intent = BlobRow(key, document["tenant"], document["owner"], place=place)

    def intend(writer: Writer) -> None:
        writer.insert_blob(replace(intent, at=writer.now()))

    def finish(writer: Writer) -> bool:
        now, old = writer.now(), document["blob_key"]
        # The document may have been given other bytes, or have gone, while its old ones were copied.
        wanted = old in documents_of(writer, [old])
        state = "live" if wanted else "dead"
        if not writer.update_blob(intent, PENDING, state=state, sha256=sha256, size=size, at=now):
            return False
        if wanted:
            writer.update(DOCUMENTS, document, {"blob_key": key})
            writer.update_blob(BlobRow.of(document), LIVE, state="dead", at=now)
        return wanted

    committed(backend, intend)
    blobs.duplicate(donor, key, size=size, sha256=sha256)
    return committed(backend, finish)


def _is_sound(blobs: Blobs, key: str, size: int | None, sha256: str | None) -> bool:
    if size is None or sha256 is None:
        return False
    try:
        blobs.verify(key, size=size, sha256=sha256)
    except BlobError:
        return False
    return True


def adopt(places: Places, blobs: Blobs) -> AdoptReport:
    """Mark the root of the bytes as the store's own, whatever it bears.

    Args:
        places: of the store.
        blobs: at that root.

    Raises:
        WrongBlobs: the store is not the one that its caller expects.
        BackendError: the backend keeps no store's id, or the database failed.
        BlobError: the storage failed.
    """
    before = places.adopt()
    return AdoptReport(blobs.location, before.own or "", None if before.mark is None else before.mark.store)
