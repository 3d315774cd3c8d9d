"""JSON Lines: one store in one stream of text, a record a line; exported and imported in constant memory.

::

    {"docstore": 1, "bytes": "inline"}                     the first line: the format, and where bytes are
    {"document": {"id": …, "stored": true, …}}             all fields but number, in the order of numbers
    {"bytes": "…"}                                         base64, at most a mebibyte, of the document above
    {"extraction": {"id": …, "document_id": …, …}}         after all documents
    {"end": {"documents": 1, "extractions": 1, …}}         the last line, with the fingerprint

``bytes`` is ``inline``, ``beside`` (files named by their sha256 in a folder beside) or ``none``. Instants are
RFC 3339 text. Private columns that are kept (see :mod:`docstore.transfer.rows`) stand below ``private``.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import SpooledTemporaryFile, TemporaryFile
from typing import Any, BinaryIO, Literal, NamedTuple, cast

from docstore.backend import Row
from docstore.blobs.streams import CHUNK
from docstore.errors import BlobError, BlobMissing, InvalidDocument, shown
from docstore.maintenance import OnProgress, Progress
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, Field, Kind
from docstore.query.instants import format_instant
from docstore.store import Store
from docstore.transfer.copies import CopyCounts, Incoming
from docstore.transfer.rows import COMPARED, PRIVATE, Fingerprint, Sum, Transferred, batches, look_after
from docstore.validation import Checks, check_order, scope_text

__all__ = [
    "FORMAT",
    "BytesPlace",
    "decode_line",
    "encode_line",
    "export_lines",
    "file_beside",
    "import_lines",
    "record_of",
    "row_of",
]

# Stands in the first line of an export; raised when an older docstore could not read it.
FORMAT = 1
BytesPlace = Literal["inline", "beside", "none"]
_COUNTERS = ("version", "revision", "attempts")
# Far from where int64 ends, so that one more always is a number, too.
_MOST_COUNTED = 2**53
_KEYS = ("id", "external_id", "content_type", "document_id")


def encode_line(value: Mapping[str, Any]) -> bytes:
    """Return one line of a stream."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def decode_line(line: bytes, at: int) -> dict[str, Any]:
    """Return what a line holds: an object of one or a few names.

    Raises:
        InvalidDocument: it is no JSON object.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as wrong:
        raise InvalidDocument(f"line {at}: no JSON: {wrong}", index=at) from None
    if not isinstance(value, dict):
        raise InvalidDocument(f"line {at}: {type(value).__name__}; expected an object", index=at)
    return value


def record_of(collection: Collection, row: Row) -> dict[str, Any]:
    """Return a row as a line holds it."""
    record = {name: _shown(collection.column(name), row[name]) for name in COMPARED[collection.name]}
    private = {name: row.get(name) for name in PRIVATE[collection.name] if row.get(name) is not None}
    if private:
        record["private"] = {name: _shown(collection.column(name), value) for name, value in private.items()}
    if collection is DOCUMENTS:
        record["stored"] = row["blob_key"] is not None
    return record


def _shown(field: Field, value: Any) -> Any:
    if value is None:
        return None
    if field.kind is Kind.JSON:
        return json.loads(value)
    return format_instant(value) if field.kind is Kind.INSTANT else value


def row_of(collection: Collection, record: Any, checks: Checks, at: int) -> Row:
    """Return the row that a line holds, every value checked as if a caller had given it.

    Raises:
        InvalidDocument: a field is missing, unknown or cannot be stored; it names the line.
        ScopeError: a tenant or owner is none.
    """
    if not isinstance(record, dict):
        raise InvalidDocument(f"line {at}: {type(record).__name__}; expected a record", index=at)
    private = record.get("private", {})
    if not isinstance(private, dict):
        raise InvalidDocument(f"line {at}: private: expected an object", index=at, field="private")
    given = {**private, **{name: value for name, value in record.items() if name != "private"}}
    given.pop("stored", None)
    names = (*COMPARED[collection.name], *PRIVATE[collection.name])
    if unknown := given.keys() - set(names):
        raise InvalidDocument(f"line {at}: unknown field {shown(min(unknown))}", index=at, field=min(unknown))
    try:
        row = {name: _checked(collection.column(name), given.get(name), checks) for name in names}
        check_order(row["created_at"], row["updated_at"])
        return row
    except InvalidDocument as wrong:
        raise InvalidDocument(f"line {at}: {wrong.message}", index=at, field=wrong.field) from None


def _checked(field: Field, value: Any, checks: Checks) -> Any:
    name = field.name
    if value is None:
        if field.nullable:
            return None
        raise InvalidDocument(f"{name} is missing", field=name)
    if name in ("tenant", "owner"):
        return scope_text(name, value)
    if field.kind is Kind.TEXT:
        return _text(name, value, checks)
    if field.kind is Kind.JSON:
        return checks.json(name, value)
    if name in _COUNTERS:
        return _counter(name, value)
    by_kind = {Kind.BOOLEAN: checks.flag, Kind.INSTANT: checks.instant, Kind.INTEGER: checks.whole}
    if field.kind is Kind.CHOICE:
        return checks.choice(name, value, field.choices)
    return by_kind[field.kind](name, value)


def _counter(name: str, value: Any) -> int:
    """Return a number that goes on being counted up."""
    least = 0 if name == "attempts" else 1
    if type(value) is not int or not least <= value <= _MOST_COUNTED:
        raise InvalidDocument(
            f"{name}: {value!r}; expected a whole number from {least} to {_MOST_COUNTED:,}", field=name
        )
    return value


def _text(name: str, value: Any, checks: Checks) -> str:
    if name in _KEYS:
        return checks.key(name, value)
    if name in ("filename", "content", "sha256"):
        check = {"filename": checks.filename, "content": checks.content, "sha256": checks.sha256}[name]
        return check(value)
    return checks.text(name, value)


_SPOOLED = 8 * 1024 * 1024  # bytes of a document that are held in memory
# A multiple of three, so that pieces of base64 can be joined without padding between them.
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
                    spooled = stack.enter_context(_bytes_of(store, row, folder))
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
def _bytes_of(store: Store, row: Row, folder: Path | None) -> Iterator[BinaryIO | None]:
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


# Documents of one commit, each with its content and its bytes' file open.
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
