"""A document's bytes: opened, read, written to a file, or signed for others to read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import BinaryIO

from docstore.backend import Query, Row
from docstore.errors import BlobMissing, shown
from docstore.models import Document
from docstore.query.expr import In
from docstore.query.fields import DOCUMENTS
from docstore.records import Records

__all__ = ["Downloads"]

_PRIVATE = frozenset({"blob_key"})


class Downloads(Records[Document]):
    """The part of the documents that reads their bytes."""

    _collection = DOCUMENTS

    def _stored(self, id: str | Document) -> Row:
        """Return a row that has bytes."""
        self._ready()
        blobs_key = self._id(id)
        with self._root.read() as reader:
            row = self._row(reader, blobs_key, include=_PRIVATE)
        if row["blob_key"] is None:
            raise BlobMissing(f"document {shown(id)} has no bytes", key=None)
        return row

    def open(self, id: str | Document) -> BinaryIO:
        """Open a document's bytes for reading; size and sha256 are checked on the way.

        Raises:
            NotFound: there is no such document in this scope.
            BlobMissing: it has no bytes, or they are gone.
            BlobCorrupt: they are not those that were stored; a wrong size is found at once, a wrong sha256 at
                the end.
        """
        row = self._stored(id)
        return self._root.bytes().open(row["blob_key"], size=row["size"], sha256=row["sha256"])

    def read_bytes(self, id: str | Document) -> bytes:
        """Return a document's bytes, checked.

        Raises:
            As :meth:`open`.
        """
        row = self._stored(id)
        return self._root.bytes().read_bytes(row["blob_key"], size=row["size"], sha256=row["sha256"])

    def download(self, id: str | Document, path: str | os.PathLike[str]) -> None:
        """Write a document's bytes to a file, whole and checked, or not at all.

        Args:
            id: which.
            path: the file; one that is there is replaced.

        Raises:
            As :meth:`open`; and OSError where the file cannot be written.
        """
        row = self._stored(id)
        self._root.bytes().download(row["blob_key"], path, size=row["size"], sha256=row["sha256"])

    def url(self, id: str | Document, *, expires: int = 3600) -> str:
        """Return a URL that reads a document's bytes without further credentials, under the document's
        filename.

        Args:
            id: which.
            expires: seconds that it works, at least 1.

        Raises:
            NotFound, BlobMissing: as :meth:`open`.
            BlobError: the filesystem cannot sign URLs.
        """
        row = self._stored(id)
        return self._root.bytes().url(
            row["blob_key"], expires=expires, filename=row["filename"], content_type=row["content_type"]
        )

    def locations(self, ids: Iterable[str | Document]) -> dict[str, str]:
        """Return where documents' bytes are kept, all in one query.

        A location is made of where the storage is and a random key; nothing of it comes from a user. It moves
        with every change of the bytes, and whether they are whole is not looked at.

        Args:
            ids: at most 10,000.

        Returns:
            By id: the path or URL of the bytes, without credentials. Documents that have no bytes, or are not
            in this scope, are left out.

        Raises:
            FilterValueError: an id is no text.
            FilterTooComplex: too many ids.
            BlobsNotConfigured: there are bytes, and the store was opened without ``blobs=``.
        """
        self._ready()
        asked = self._ids(ids)
        if not asked:
            return {}
        query = Query(self._collection, self._scope, In(("id",), tuple(asked)), include=_PRIVATE)
        with self._root.read() as reader:
            rows = self._run_exactly(reader, query)
        keys = {row["id"]: row["blob_key"] for row in rows if row["blob_key"] is not None}
        return {id: f"{self._root.bytes().location.rstrip('/')}/{key}" for id, key in keys.items()}
