"""What a browser may show of a document's file, by its type; hostile files do nothing."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import Any

from docstore.errors import DocstoreError
from docstore.models import Document
from docstore.store import Store

__all__ = ["Preview", "preview_of"]

_IMAGES = frozenset(
    f"image/{name}" for name in ("png", "jpeg", "gif", "webp", "avif", "bmp", "svg+xml", "x-icon")
)
_TABLES = {"text/csv": ",", "text/tab-separated-values": "\t"}
_TEXTS = frozenset(
    f"application/{name}"
    for name in ("json", "jsonl", "x-ndjson", "xml", "yaml", "toml", "javascript", "x-sh", "sql", "xhtml+xml")
)
_TEXT_BYTES = 64 << 10
_TABLE_BYTES = 256 << 10
_ROWS, _CELLS = 100, 30


@dataclass(frozen=True, slots=True)
class Preview:
    """How a file is shown.

    Attributes:
        kind: ``image pdf audio video text table none missing``; ``missing``: the bytes cannot be read.
        text: of a text file, its beginning; why, if the kind is ``missing``.
        rows: of a table, its first rows, the head first.
        is_cut: whether there is more.
    """

    kind: str
    text: str = ""
    rows: list[list[str]] = field(default_factory=list)
    is_cut: bool = False


def preview_of(store: Store, document: Document) -> Preview:
    """Return how the page shows a document's file.

    HTML, SVG sources and scripts are shown as text or not at all; a picture in SVG runs nothing as an image.
    """
    kind = document.content_type.partition(";")[0].strip().lower()
    if document.sha256 is None or store._context.blobs is None:
        return Preview("none")
    if kind in _IMAGES:
        return Preview("image")
    if kind == "application/pdf":
        return Preview("pdf")
    if kind.startswith(("audio/", "video/")):
        return Preview(kind[:5])
    try:
        if kind in _TABLES:
            text, is_cut = _beginning(store, document, _TABLE_BYTES)
            return _table(text, _TABLES[kind], is_cut)
        if kind.startswith("text/") or kind in _TEXTS or kind.endswith(("+json", "+xml")):
            text, is_cut = _beginning(store, document, _TEXT_BYTES)
            return Preview("text", text, is_cut=is_cut)
    except (DocstoreError, OSError) as error:
        return Preview("missing", getattr(error, "message", None) or str(error))
    return Preview("none")


def _beginning(store: Store, document: Document, most: int) -> tuple[str, bool]:
    with store.documents.open(document.id) as file:
        start = file.read(most)
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return start.decode(encoding, "replace"), (document.size or 0) > most


def _table(text: str, delimiter: str, is_cut: bool) -> Preview:
    if delimiter == "," and text.partition("\n")[0].count(";") > text.partition("\n")[0].count(","):
        delimiter = ";"
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text), delimiter=delimiter):
            if len(rows) > _ROWS:
                return Preview("table", rows=rows, is_cut=True)
            rows.append(row[:_CELLS])
    except csv.Error:
        return Preview("text", text[:_TEXT_BYTES], is_cut=True)
    width = max(map(len, rows), default=0)
    made: Any = [row + [""] * (width - len(row)) for row in rows]
    return Preview("table", rows=made, is_cut=is_cut)
