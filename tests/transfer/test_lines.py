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


class _Endless(io.RawIOBase):
    """A first line, then a line that does not end; it counts what was asked of it."""

    def __init__(self, head: bytes) -> None:
        self.head = head
        self.read = 0

    def readline(self, size: int | None = -1) -> bytes:
        if self.head:
            head, self.head = self.head, b""
            return head
        assert size is not None
        assert size >= 0, "a line without bound was asked for"
        self.read += size
        return b"x" * size


def test_a_line_is_bounded(opens: Opens) -> None:
    """By the limits of the store: one that does not end is refused before it is read whole."""
    file = _Endless(b'{"docstore": 1, "bytes": "none"}\n')
    target = docstore.open("memory://", limits={"content": 1_000, "metadata_bytes": 1_000})
    with pytest.raises(docstore.InvalidDocument, match="line 2: longer than"):
        import_lines(target, file)  # type: ignore[arg-type]
    assert file.read < 5 * 2**20
    target.close()


def test_a_line_of_a_record_at_its_limits_is_taken(opens: Opens) -> None:
    """Though all of its text is written in escapes."""
    limits = {"content": 100_000, "metadata_bytes": 200_000}
    with docstore.open("memory://", limits=limits) as source:
        source.documents.add(content="漢" * 100_000, metadata={"a": "漢" * 60_000, "b": "é"})
        lines = [json.dumps(json.loads(line)).encode() for line in exported(source).splitlines()]
    with docstore.open("memory://", limits=limits) as target:
        import_lines(target, io.BytesIO(b"\n".join(lines)))
        assert 1 == target.documents.count({"metadata.b": "é"})


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2**63 - 1}, {"version": 2**53 + 1}, {"version": 0}, {"revision": 2**63 - 1},
        {"revision": 0}, {"attempts": 2**63 - 1}, {"updated_at": "1999-01-01T00:00:00Z"},
    ],
)  # fmt: skip
def test_a_number_that_could_not_be_counted_on_is_refused(opens: Opens, change: dict[str, Any]) -> None:
    """So is a record updated before it was created; nothing of its batch is kept."""
    with docstore.open("memory://") as source:
        source.documents.add(metadata={}, external_id="e")
        head, line, end = exported(source).splitlines()
    record = json.loads(line)
    record["document"] |= change
    target = opens()
    with pytest.raises(docstore.InvalidDocument, match=f"line 2: {next(iter(change))}"):
        import_lines(target, io.BytesIO(b"\n".join((head, json.dumps(record).encode(), end))))
    assert 0 == target.documents.count(latest_only=False)
