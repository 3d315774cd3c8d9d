"""The extractor of the old binary Office formats and of Outlook's messages, by kreuzberg."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from docstore.extract.base import ExtractionError, Source, missing

__all__ = ["OLE", "legacy_text", "ole_type"]

OLE = "application/x-ole-storage"
_KINDS = {
    "WordDocument": "application/msword",
    "Workbook": "application/vnd.ms-excel",
    "Book": "application/vnd.ms-excel",
    "PowerPoint Document": "application/vnd.ms-powerpoint",
    "__properties_version1.0": "application/vnd.ms-outlook",
}
_MOST_DIRECTORY_SECTORS = 256


def ole_type(source: Source) -> str:
    """Return what an OLE file is by the streams in it: Word, Excel, PowerPoint, Outlook, else `OLE`.

    Raises:
        ExtractionError: it is an encrypted Office file.
    """
    names = set(_stream_names(source))
    if "EncryptedPackage" in names:
        raise ExtractionError("the file is encrypted and needs a password")
    return next((kind for name, kind in _KINDS.items() if name in names), OLE)


def _stream_names(source: Source) -> Iterator[str]:
    """Yield the names in an OLE file's directory, whose sectors are chained by the allocation table."""
    header = source.head(512)
    if len(header) < 512:
        return
    size = 1 << max(9, min(header[30], 16))
    tables = struct.unpack("<109I", header[76:])
    sector: int = struct.unpack_from("<I", header, 48)[0]
    for _ in range(_MOST_DIRECTORY_SECTORS):
        source.stream.seek((sector + 1) * size)
        found = source.stream.read(size)
        for at in range(0, len(found) - 127, 128):
            length = struct.unpack_from("<H", found, at + 64)[0]
            yield found[at : at + max(min(length, 64) - 2, 0)].decode("utf-16-le", "replace")
        table, place = divmod(sector, size // 4)
        if table >= len(tables) or tables[table] > 0xFFFFFFF0:
            return
        source.stream.seek((tables[table] + 1) * size + 4 * place)
        entry = source.stream.read(4)
        if len(entry) < 4 or (sector := struct.unpack("<I", entry)[0]) > 0xFFFFFFF0:
            return


def legacy_text(source: Source) -> Iterator[str]:
    """Yield the text of a `.doc`, `.xls`, `.ppt`, `.msg` or `.xlsb` file.

    Raises:
        ExtractionError: kreuzberg is not installed, or cannot read the file.
    """
    try:
        from kreuzberg import ExtractionConfig, extract_bytes_sync
    except ImportError:
        raise missing(source.content_type, "kreuzberg") from None
    source.stream.seek(0)
    result = extract_bytes_sync(
        source.stream.read(), source.content_type, ExtractionConfig(use_cache=False, output_format="plain")
    )
    yield result.content
