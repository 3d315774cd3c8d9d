"""What a document's content_type is: the caller's, the name's, or that of its first bytes."""

import io
from pathlib import Path
from typing import Any

import pytest

import docstore

PDF, PNG, TEXT = b"%PDF-1.7\n...", b"\x89PNG\r\n\x1a\n...", b"just words"


@pytest.mark.parametrize(
    ("found", "filename", "declared", "content_type", "file_type"),
    [
        (TEXT, "a.txt", None, "text/plain", "text"),
        (TEXT, "a.pdf", None, "application/pdf", "pdf"),
        (TEXT, "a.unknown", None, "application/octet-stream", "other"),
        (PDF, "a", None, "application/pdf", "pdf"),
        (PDF, "a.unknown", "application/octet-stream", "application/pdf", "pdf"),
        (PDF, "a.txt", None, "application/pdf", "pdf"),
        (PDF, "a.txt", "text/plain; charset=utf-8", "application/pdf", "pdf"),
        (PNG, "a.jpg", None, "image/png", "image"),
        (PNG, "a.png", "image/png", "image/png", "image"),
        (TEXT, "a.txt", "text/plain; charset=koi8-r", "text/plain; charset=koi8-r", "text"),
        (TEXT, "a.csv", "application/vnd.ms-excel", "text/csv", "excel"),
        (TEXT, "a", "application/csv", "text/csv", "excel"),
        (TEXT, "a", "application/x-zip-compressed", "application/zip", "archive"),
        (b"PK\x03\x04", "a.jar", None, "application/java-archive", "archive"),
        (b"{\\rtf1 x}", "a.doc", None, "application/rtf", "word"),
        (b"", "a.pdf", None, "application/pdf", "pdf"),
    ],
)
def test_magic_numbers_win_where_the_name_says_nothing_or_lies(
    found: bytes, filename: str, declared: str | None, content_type: str, file_type: str, tmp_path: Path
) -> None:
    """From bytes, a file that can be rewound and one that cannot; the stored bytes are the same."""

    class Pipe:
        def __init__(self) -> None:
            self._file = io.BytesIO(found)

        def read(self, size: int = -1) -> bytes:
            return self._file.read(size)

    sources: list[Any] = [found, io.BytesIO(found), Pipe()]
    with docstore.open("memory://", blobs=str(tmp_path)) as store:
        for source in sources:
            made = store.documents.add(source, filename=filename, content_type=declared)
            assert (content_type, file_type) == (made.content_type, made.file_type)
            assert found == store.documents.read_bytes(made.id)
            assert (len(found), made) == (made.size, store.documents.get(made.id))


def test_many_are_named_like_one(store: docstore.Store) -> None:
    """Without bytes: what is declared and the name decide, aliases included."""
    rows = [
        {"filename": "a.csv", "content_type": "application/vnd.ms-excel"},
        {"filename": "a", "content_type": "application/csv"},
        {"filename": "a.pdf", "content_type": "application/octet-stream"},
        {"filename": "a.pdf"},
    ]
    ids = store.documents.add_many(rows).ids
    many = [one.content_type for one in store.documents.get_many(ids)]
    assert ["text/csv", "text/csv", "application/pdf", "application/pdf"] == many
    assert many == [store.documents.add(**row).content_type for row in rows]  # type: ignore[arg-type]
