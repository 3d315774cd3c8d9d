"""Repair of what is too much: objects without rows, rows without documents, writes and removals that hang."""

from __future__ import annotations

from docstore.backend import Backend, BlobRow, Reader, Writer
from docstore.blobs import Blobs, key_of_temporary
from docstore.maintenance.collect import sweep
from docstore.maintenance.commits import LIVE, PENDING, committed, documents_of
from docstore.maintenance.proposals import Proposal

__all__ = ["propose_for_dead", "propose_for_extra", "propose_for_intent", "row_of"]


def row_of(reader: Reader, key: str) -> BlobRow | None:
    """Return the blob row of a key."""
    rows = reader.blobs(keys=[key], limit=1)
    return rows[0] if rows else None


def propose_for_extra(backend: Backend, blobs: Blobs, name: str) -> Proposal | None:
    """Move what no row knows aside; bury a live row that no document has."""
    key = key_of_temporary(name) or name
    row = committed(backend, lambda writer: row_of(writer, key))
    if row is None or (key != name and row.state == "live"):
        if blobs.size_of(name) is None or (key == name and _documented(backend, key)):
            return None

        def act() -> bool:
            blobs.quarantine(name)
            return True

        return Proposal("quarantine", "no row knows it", act, removes=key == name)
    if row.state != "live" or _documented(backend, key):
        return None
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


def propose_for_dead(backend: Backend, blobs: Blobs, key: str) -> Proposal | None:
    """Remove bytes that are dead already."""
    with backend.read() as reader:
        row = row_of(reader, key)
    if row is None or row.state not in ("dead", "swept"):
        return None
    if row.state == "dead":
        return Proposal("sweep", "it is dead", lambda: sweep(backend, blobs, [[row]])[0] == 1)

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
