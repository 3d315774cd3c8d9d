"""Export a store as JSON Lines, in constant memory."""

from __future__ import annotations

import os
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from docstore.backend import Row
from docstore.blobs.streams import CHUNK
from docstore.errors import BlobError
from docstore.maintenance import OnProgress, Progress
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection
from docstore.store import Store
from docstore.transfer.json_lines import FORMAT, BytesPlace, encode_line, record_of
from docstore.transfer.rows import Fingerprint, Sum, batches, look_after

__all__ = [
    "export_lines",
    "file_beside",
]

_SPOOLED = 8 * 1024 * 1024  # bytes of a document that are held in memory
_PIECE = CHUNK * 3 // 4 // 3 * 3


def export_lines(
    store: Store,
    file: BinaryIO,
    *,
    bytes: bool = True,
    files: str | os.PathLike[str] | None = None,
    on_progress: OnProgress | None = None,
    on_damaged: Callable[[str, BlobError], object] | None = None,
) -> Fingerprint:
    """Write all documents of all versions, their extractions and their bytes as JSON Lines.

    The form is that of :mod:`docstore.transfer.json_lines`; :func:`import_lines` reads it. While the store is
    written to, each batch is as it was when it was read.

    Args:
        store: which; of a scoped view, what it sees.
        file: a binary file to write to; it is not closed.
        bytes: write the bytes, too, as base64 between the lines.
        files: a folder for the bytes instead, each a file of its own below it, named by its sha256; what
            is there already is not written again.
        on_progress: called after each batch, with the stages ``documents`` and ``extractions``.
        on_damaged: called with the id of each document whose bytes are missing or damaged, and the error;
            it is written without them. ``None``: the export ends with the error.

    Returns:
        The fingerprint of what was written; it also stands in the last line.

    Raises:
        BlobMissing, BlobCorrupt: the bytes of a document are gone or damaged, and ``on_damaged`` is ``None``;
            the output ends there.
        BlobsNotConfigured: the store has bytes and was opened without ``blobs=``.
        OSError: the file or folder cannot be written.
    """
    look_after("export", store)
    place: BytesPlace = "none" if not bytes else "inline" if files is None else "beside"
    folder = None if files is None or not bytes else Path(files)
    file.write(encode_line({"docstore": FORMAT, "bytes": place}))
    total = Sum(stored=bytes)

    def write_document(row: Row) -> Row:
        with ExitStack() as stack:
            spooled: BinaryIO | None = None
            if on_damaged is not None and place != "none" and row["blob_key"] is not None:
                try:
                    spooled = stack.enter_context(_checked(store, row, folder))
                except BlobError as error:
                    on_damaged(row["id"], error)
                    row = {**row, "blob_key": None}
            file.write(encode_line({"document": record_of(DOCUMENTS, row)}))
            if place != "none" and row["blob_key"] is not None:
                _write_bytes(store, row, file, folder, spooled)
        return row

    def write_extraction(row: Row) -> Row:
        file.write(encode_line({"extraction": record_of(EXTRACTIONS, row)}))
        return row

    _each(store, DOCUMENTS, write_document, total, on_progress)
    _each(store, EXTRACTIONS, write_extraction, total, on_progress)
    file.write(encode_line({"end": asdict(total.fingerprint)}))
    return total.fingerprint


def _each(
    store: Store,
    collection: Collection,
    write: Callable[[Row], Row],
    total: Sum,
    on_progress: OnProgress | None,
) -> None:
    done = 0
    for rows in batches(store, collection):
        for row in rows:
            total.add(collection, write(row))
        done += len(rows)
        if on_progress is not None:
            on_progress(Progress(collection.name, done))


@contextmanager
def _checked(store: Store, row: Row, folder: Path | None) -> Iterator[BinaryIO | None]:
    """Read the bytes of a document to their end before anything of it is written; hold them for that."""
    if folder is not None:
        _write_bytes(store, row, BytesIO(), folder, None)
        yield None
        return
    with SpooledTemporaryFile(_SPOOLED) as spool:
        with store._context.bytes().open(row["blob_key"], size=row["size"], sha256=row["sha256"]) as opened:
            shutil.copyfileobj(opened, spool)
        spool.seek(0)
        yield cast(BinaryIO, spool)


def _write_bytes(
    store: Store, row: Row, file: BinaryIO, folder: Path | None, spooled: BinaryIO | None
) -> None:
    blobs, size, sha256 = store._context.bytes(), row["size"], row["sha256"]
    if folder is None:
        with spooled or blobs.open(row["blob_key"], size=size, sha256=sha256) as opened:
            while piece := opened.read(_PIECE):
                file.write(encode_line({"bytes": b64encode(piece).decode()}))
        return
    path = file_beside(folder, sha256)
    if not path.exists() or path.stat().st_size != size:
        path.parent.mkdir(parents=True, exist_ok=True)
        blobs.download(row["blob_key"], path, size=size, sha256=sha256)


def file_beside(folder: Path, sha256: str) -> Path:
    """Return where the bytes of this sha256 (64 hex digits) are below a folder."""
    return folder / sha256[:2] / sha256
