"""Repair of what is missing: documents whose bytes, or the rows of whose bytes, are gone or wrong."""

from __future__ import annotations

from dataclasses import replace

from docstore.backend import Backend, BlobRow, Query, Row, Writer
from docstore.blobs import Blobs, new_key
from docstore.blobs.objects import QUARANTINE
from docstore.errors import BlobError
from docstore.maintenance.commits import LIVE, PENDING, committed, documents_of
from docstore.maintenance.proposals import Proposal, keep
from docstore.maintenance.unneeded import row_of
from docstore.query.expr import Compare
from docstore.query.fields import DOCUMENTS

__all__ = ["propose_for_lost"]

_DONORS = 20


def propose_for_lost(backend: Backend, blobs: Blobs, key: str, place: int) -> Proposal | None:
    """Restore the row where the bytes are right, the bytes where they were put aside or another document has
    the same.

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
        return writer.update_blob(key, (row.state,), state="live", **changes)

    return committed(backend, work)


def _rewrite_document(backend: Backend, document: Row, row: BlobRow) -> bool:
    return committed(
        backend,
        lambda writer: writer.update(DOCUMENTS, document["number"], {"size": row.size, "sha256": row.sha256}),
    )


def _donor(backend: Backend, blobs: Blobs, document: Row) -> str | None:
    """Return the name of a sound object with the document's bytes: another document's, or put aside."""
    where = Compare(("sha256",), "eq", document["sha256"])
    query = Query(DOCUMENTS, where=where, limit=_DONORS, include=frozenset({"blob_key"}))
    with backend.read() as reader:
        keys = [row["blob_key"] for row in reader.select(query)]
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
        wanted = old in documents_of(writer, [old])
        state = "live" if wanted else "dead"
        if not writer.update_blob(key, PENDING, state=state, sha256=sha256, size=size, at=now):
            return False
        if wanted:
            writer.update(DOCUMENTS, document["number"], {"blob_key": key})
            writer.update_blob(old, LIVE, state="dead", at=now)
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
