"""Import JSON Lines into a store, in constant memory."""

from __future__ import annotations

import io
import os
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Literal, NamedTuple

from docstore.errors import BlobMissing, InvalidDocument
from docstore.maintenance import OnProgress
from docstore.query.fields import DOCUMENTS, EXTRACTIONS
from docstore.store import Store
from docstore.transfer.copies import CopyCounts
from docstore.transfer.exports import file_beside
from docstore.transfer.json_lines import FORMAT, BytesPlace, decode_line, row_of
from docstore.transfer.receiver import Incoming
from docstore.transfer.reports import Transferred
from docstore.transfer.rows import Sum, look_after
from docstore.validation import Checks

__all__ = [
    "import_lines",
]

_BATCH = 100
_JSON_FIELDS, _REST = 5, 4 * 1024 * 1024  # JSON columns of a record; bytes for all else
_HELD = 64 * 1024 * 1024  # bytes on disk, of the documents of a batch


def import_lines(
    store: Store,
    file: BinaryIO,
    *,
    files: str | os.PathLike[str] | None = None,
    replace: bool = False,
    on_progress: OnProgress | None = None,
) -> Transferred:
    """Read what :func:`export_lines` wrote into a store; run again, it goes on.

    Everything is checked as if it were given to ``add``: the stream may come from outside. Bytes are held
    in a temporary file until their batch is written.

    Args:
        store: where to; what :func:`docstore.copy` says of a target holds.
        file: a binary file to read from; it is not closed.
        files: the folder that the bytes are in, where they were exported beside.
        replace: overwrite documents and extractions that are there otherwise.
        on_progress: called after each batch, with the stages ``documents`` and ``extractions``.

    Returns:
        The imported records, counted.

    Raises:
        InvalidDocument: a line is not as it should be (it is named by number), the stream ends early, or
            its last line does not fit what was read; the batches before stay.
        AlreadyExists: the store has another document of the same id or version, and ``replace`` is false.
        SizeMismatch, ChecksumMismatch: bytes are not what their document says.
        BlobsNotConfigured: there are bytes, and the store was opened without ``blobs=``.
    """
    look_after("import", store, writes=True)
    reading = _ImportReader(store, file, None if files is None else Path(files))
    tally = CopyCounts(store, replace=replace, on_progress=on_progress)
    for batch in reading.batches():
        if batch.kind == "document":
            tally.take_documents(batch.items)
        else:
            tally.take_extractions([item.row for item in batch.items])
    return tally.transferred


class _Batch(NamedTuple):
    kind: Literal["document", "extraction"]
    items: list[Incoming]


class _ImportReader:
    """A stream under way."""

    def __init__(self, store: Store, file: BinaryIO, folder: Path | None) -> None:
        self._checks = Checks(store._context.limits, store._context.default_timezone)
        self._file = file
        self._folder = folder
        self._at = 0
        self._ahead: dict[str, Any] | None = None
        limits = store._context.limits
        self._longest = 6 * limits.content + _JSON_FIELDS * 6 * limits.metadata_bytes + _REST
        """Bytes of a line: its text may be written in escapes of six bytes a character."""

    def batches(self) -> Iterator[_Batch]:
        """Yield what the stream holds; the bytes of a batch are gone when the next is asked for."""
        place = self._head()
        total = Sum(stored=place != "none")
        while (line := self._next()) is not None:
            if "end" in line:
                return self._compare(line["end"], total)
            self._ahead = line
            with ExitStack() as stack:
                yield self._batch(place, total, stack)
        raise InvalidDocument(f"the stream ends early, after line {self._at}: its last line is missing")

    def _head(self) -> BytesPlace:
        line = self._next() or {}
        found, place = line.get("docstore"), line.get("bytes")
        if type(found) is not int or place not in ("inline", "beside", "none"):
            raise InvalidDocument("line 1: this is no export of docstore", index=1)
        if found > FORMAT:
            text = f"line 1: an export of format {found}; this docstore reads up to {FORMAT}"
            raise InvalidDocument(f"{text}: upgrade the package embedded-docstore", index=1)
        if place == "beside" and self._folder is None:
            raise InvalidDocument("the bytes of this export are in a folder beside it: say which, files=")
        return place  # type: ignore[no-any-return]

    def _batch(self, place: BytesPlace, total: Sum, stack: ExitStack) -> _Batch:
        kind: Literal["document", "extraction"] | None = None
        items, held = list[Incoming](), 0
        while len(items) < _BATCH and held < _HELD and (line := self._next()) is not None:
            this = next((name for name in ("document", "extraction") if name in line), None)
            if this is None or kind not in (None, this):
                self._ahead = line
                break
            kind = "document" if this == "document" else "extraction"
            item = self._item(kind, line[kind], place, stack)
            held += item.row.get("size") or 0 if item.opening is not None else 0
            marked = {**item.row, "blob_key": "" if item.opening is not None else None}
            total.add(DOCUMENTS if kind == "document" else EXTRACTIONS, marked)
            items.append(item)
        if kind is None:
            raise InvalidDocument(f"line {self._at}: expected a document, an extraction or the end")
        return _Batch(kind, items)

    def _item(self, kind: str, record: Any, place: BytesPlace, stack: ExitStack) -> Incoming:
        if kind == "extraction":
            return Incoming(row_of(EXTRACTIONS, record, self._checks, self._at))
        row = row_of(DOCUMENTS, record, self._checks, self._at)
        if record.get("stored") is not True or place == "none":
            return Incoming(row)
        if row["sha256"] is None or row["size"] is None:
            raise InvalidDocument(f"line {self._at}: bytes without size or sha256", index=self._at)
        if place == "beside":
            assert self._folder is not None
            return Incoming(row, partial(_opened, file_beside(self._folder, row["sha256"])))
        spool = stack.enter_context(TemporaryFile(prefix="docstore-import-"))  # noqa: SIM115 - closed by it
        self._spool(spool)
        return Incoming(row, partial(_rewound, spool))

    def _spool(self, spool: Any) -> None:
        """Keep the bytes that follow a document."""
        while (line := self._next()) is not None:
            if "bytes" not in line:
                self._ahead = line
                return
            try:
                spool.write(b64decode(line["bytes"], validate=True))
            except (ValueError, TypeError) as wrong:
                raise InvalidDocument(f"line {self._at}: no base64: {wrong}", index=self._at) from None

    def _compare(self, end: Any, total: Sum) -> None:
        if end != asdict(total.fingerprint):
            raise InvalidDocument(
                f"line {self._at}: the stream is damaged: what was read is {total.fingerprint}"
            )

    def _next(self) -> dict[str, Any] | None:
        """Return the next line, or the one that was looked at too early; ``None`` at the end."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            return ahead
        line = self._file.readline(self._longest + 1)
        if not line:
            return None
        self._at += 1
        if len(line) > self._longest:
            text = (
                f"line {self._at}: longer than {self._longest:,} bytes, which no record under the limits is"
            )
            raise InvalidDocument(text, index=self._at)
        return decode_line(line, self._at)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise BlobMissing(f"the file {path} is missing", key=None) from error


def _rewound(spool: Any) -> BinaryIO:
    """Return a reader of a spooled file that can be closed without losing it."""
    spool.flush()
    spool.seek(0)
    return io.BufferedReader(io.FileIO(os.dup(spool.fileno()), "rb"))
