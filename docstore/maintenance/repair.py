"""Repair: what a check found is looked at once more, and put right where a second witness says how.

Nothing is deleted: what no row knows is moved below ``quarantine/`` in the same storage, from where a later
repair brings back what a document turns out to need. Bytes that are lost come back from there, or from
another document that has the very same.
"""

from __future__ import annotations

from docstore.backend import ANYWHERE, Backend, Query, Scope
from docstore.blobs import Blobs
from docstore.blobs.ownership import Places
from docstore.errors import BlobError
from docstore.maintenance.absence import Clock
from docstore.maintenance.check import ChecksIndexes
from docstore.maintenance.lost import propose_for_lost
from docstore.maintenance.proposals import Proposal, keep
from docstore.maintenance.reports import Action, CheckReport, Finding, OnProgress, RepairReport, tell
from docstore.maintenance.unneeded import propose_for_dead, propose_for_extra, propose_for_intent
from docstore.query.expr import Compare
from docstore.query.fields import DOCUMENTS

__all__ = ["repair"]


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
        What was done, or would be.

    Raises:
        WrongBlobs: the root of the bytes is another store's, or nobody knows whose; nothing was changed.
        BlobError: more than a tenth would be taken away, and ``force`` is false; nothing was changed. Such a
            report usually means that the database and the storage do not belong together.
        BackendError: the database failed; what was done stays done.
    """
    bytes = None if blobs is None else _Bytes(backend, blobs, report.grace, store_id)
    rebuild = _rebuilding(backend)  # one for all findings
    proposed = [
        (finding, rebuild if finding.kind == "index" else _propose(backend, bytes, finding))
        for finding in report.findings
        if scope == ANYWHERE or _is_theirs(backend, scope, finding)
    ]
    needed = [(finding, proposal) for finding, proposal in proposed if proposal is not None]
    removals = sum(proposal.removes for _, proposal in needed)
    if not dry_run and not force:
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


class _Bytes:
    """Where bytes are, known to be this store's."""

    def __init__(self, backend: Backend, blobs: Blobs, grace: float, store_id: str | None) -> None:
        self.blobs = blobs
        self.ownership = Places(blobs, backend.read, backend.write, store_id).look()
        self.ownership.check()
        self.clock = Clock.of(backend, grace)


def _propose(backend: Backend, bytes: _Bytes | None, finding: Finding) -> Proposal | None:
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
