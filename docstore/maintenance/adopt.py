"""Adoption: a person says that the root of the bytes is this store's."""

from __future__ import annotations

from docstore.blobs import Blobs
from docstore.blobs.ownership import Places
from docstore.maintenance.reports import AdoptReport

__all__ = ["adopt"]


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
