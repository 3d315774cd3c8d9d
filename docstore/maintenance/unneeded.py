"""Repair of what is too much: objects without rows, rows without documents, writes and removals that hang."""

from __future__ import annotations

from docstore.backend import Backend, BlobRow, Reader, Writer
from docstore.blobs import Blobs, key_of_temporary
from docstore.blobs.ownership import Ownership
from docstore.maintenance.absence import Clock, unproven
from docstore.maintenance.collect import Removal
from docstore.maintenance.commits import LIVE, PENDING, committed, documents_of
from docstore.maintenance.proposals import Proposal, keep

__all__ = ["propose_for_dead", "propose_for_extra", "propose_for_intent", "row_of"]


def row_of(reader: Reader, key: str) -> BlobRow | None:
    """Return the blob row of a key."""
    rows = reader.blobs(keys=[key], limit=1)
    return rows[0] if rows else None


def propose_for_extra(
    backend: Backend, blobs: Blobs, name: str, ownership: Ownership, clock: Clock
) -> Proposal | None:
    """Move what no row knows aside, if it is not too young; bury a live row that no document has."""
    key = key_of_temporary(name) or name
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
    return Proposal("bury", "no document has it", lambda: _bury_row(backend, key), removes=True)


def propose_for_intent(backend: Backend, key: str) -> Proposal | None:
    """Withdraw an intent whose write never ended."""
    with backend.read() as reader:
        row = row_of(reader, key)
    if row is None or row.state != "pending":
        return None

    def work(writer: Writer) -> bool:
        return writer.update_blob(key, PENDING, state="dead", at=writer.now())

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


def _bury_row(backend: Backend, key: str) -> bool:
    def work(writer: Writer) -> bool:
        if documents_of(writer, [key]):
            return False
        return writer.update_blob(key, LIVE, state="dead", at=writer.now())

    return committed(backend, work)
