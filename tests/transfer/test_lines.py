"""JSON Lines: a store in a file and back, and what is refused of a file."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

import docstore
from docstore.transfer import export_lines, fingerprint, import_lines
from tests.transfer.conftest import Opens


def exported(store: docstore.Store, **options: Any) -> bytes:
    file = io.BytesIO()
    export_lines(store, file, **options)
    return file.getvalue()


def test_what_is_exported_comes_back(source: docstore.Store, opens: Opens, url: str) -> None:
    """All fields, versions, extractions and bytes, on every backend; a second import changes nothing."""
    text = exported(source)
    target = opens(url)
    first = import_lines(target, io.BytesIO(text))
    assert fingerprint(source) == fingerprint(target)
    assert docstore.diff(source, target, level="hash").same
    again = import_lines(target, io.BytesIO(text))
    assert (0, first.added, 0) == (again.added, again.existing, again.bytes)
    assert text == exported(target)


def test_every_line_is_a_json_object(source: docstore.Store) -> None:
    """The first says the format, the last the fingerprint; bytes come in pieces of bounded length."""
    lines = [json.loads(line) for line in exported(source).splitlines()]
    assert {"docstore": 1, "bytes": "inline"} == lines[0]
    assert fingerprint(source).digest == lines[-1]["end"]["digest"]
    assert 2 * 2**20 > max(len(line["bytes"]) for line in lines if "bytes" in line)


def test_bytes_may_lie_in_a_folder_beside(source: docstore.Store, opens: Opens, tmp_path: Path) -> None:
    """Files are named by their sha256, equal bytes are one file, and nothing else is opened."""
    text = exported(source, files=tmp_path / "beside")
    assert b'"bytes":"beside"' in text.splitlines()[0]
    names = {path.name for path in (tmp_path / "beside").rglob("*") if path.is_file()}
    shas = {
        one.sha256 for one in source.documents.iterate({"filename": {"$ne": "none.pdf"}}, latest_only=False)
    }
    assert names == shas - {None}
    with pytest.raises(docstore.InvalidDocument, match="files="):
        import_lines(opens(), io.BytesIO(text))
    target = opens()
    import_lines(target, io.BytesIO(text), files=tmp_path / "beside")
    assert docstore.diff(source, target, level="hash").same


def test_rows_go_without_bytes(source: docstore.Store, opens: Opens) -> None:
    """``bytes=False`` keeps size and sha256 alone."""
    target = opens(blobs=None)
    import_lines(target, io.BytesIO(exported(source, bytes=False)))
    assert docstore.diff(source, target, bytes=False).same
    assert 900_000 == target.documents.get("given").size


def changed(text: bytes, change: Any) -> bytes:
    """Return an export with its first document changed."""
    lines = text.splitlines(keepends=True)
    line = json.loads(lines[1])
    change(line["document"])
    return b"".join([lines[0], json.dumps(line).encode() + b"\n", *lines[2:]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one.update(number=1), "line 2: unknown field 'number'"),
        (lambda one: one.pop("filename"), "line 2: filename is missing"),
        (lambda one: one.update(status="lost"), "line 2: status"),
        (lambda one: one.update(created_at="yesterday"), "line 2: created_at"),
        (lambda one: one.update(metadata=[]), "line 2: metadata"),
        (lambda one: one.update(revision=True), "line 2: revision"),
        (lambda one: one.update(sha256="../../etc/passwd"), "line 2: sha256"),
        (lambda one: one.update(sha256=None), "line 2: bytes without"),
    ],
)
def test_a_line_that_is_wrong_is_named(opens: Opens, change: Any, message: str) -> None:
    """Every value is checked as if a caller had given it, and nothing of the batch is written."""
    source, target = opens(), opens()
    source.documents.add(b"bytes", filename="a")
    with pytest.raises(docstore.InvalidDocument, match=message):
        import_lines(target, io.BytesIO(changed(exported(source), change)))
    assert 0 == target.documents.count()


def test_bytes_that_are_not_what_the_line_says_are_refused(opens: Opens) -> None:
    """The sha256 is that of the bytes, or nothing is stored."""
    source, target = opens(), opens()
    source.documents.add(b"bytes", filename="a")
    with pytest.raises(docstore.ChecksumMismatch):
        import_lines(target, io.BytesIO(changed(exported(source), lambda one: one.update(sha256="0" * 64))))
    assert (0, True) == (target.documents.count(), target.check().ok)


def test_a_stream_that_ends_early_says_so(source: docstore.Store, opens: Opens) -> None:
    """Cut at a line or within one, it is an error, and the whole stream then completes it."""
    text = exported(source)
    target = opens()
    for cut in (len(text) // 2, text.rindex(b'{"end"')):
        with pytest.raises(docstore.InvalidDocument):
            import_lines(target, io.BytesIO(text[:cut]))
    import_lines(target, io.BytesIO(text))
    assert docstore.diff(source, target, level="hash").same


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "no export"),
        (b'{"a": 1}\n', "no export"),
        (b'{"docstore": 2, "bytes": "none"}\n', "format 2"),
        (b"[1]\n", "expected an object"),
        (b'{"docstore": 1, "bytes": "none"}\n{"what": 1}\n', "line 2: expected a document"),
        (b'{"docstore": 1, "bytes": "none"}\n{"end": {"documents": 3}}\n', "damaged"),
    ],
)
def test_what_is_no_export_is_refused(opens: Opens, text: bytes, message: str) -> None:
    """Another file, a newer format, a line of another kind: each is an error that says so."""
    with pytest.raises(docstore.InvalidDocument, match=message):
        import_lines(opens(), io.BytesIO(text))
