"""Bytes over HTTP: whole, in ranges, not again where the caller has them, never a page of ours."""

from __future__ import annotations

from typing import Any

import pytest

CONTENT = bytes(range(256)) * 1100  # more than one piece of a stream


@pytest.fixture
def at(memory: Any) -> str:
    return f"/documents/{memory.upload(CONTENT, 'a.bin').json()['id']}/bytes"


def test_bytes_come_whole(site: Any) -> None:
    """The bytes, their length, type and tag; HEAD has the headers alone."""
    document = site.upload(CONTENT, "a.bin").json()
    at = f"/documents/{document['id']}/bytes"
    whole, head = site.get(at), site.ask("HEAD", at)
    assert whole.content == CONTENT
    assert whole.headers["etag"] == f'"{document["sha256"]}"'
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"] == str(len(CONTENT))
    part = site.get(at, headers={"Range": "bytes=100000-270000"})
    assert (part.status_code, part.content) == (206, CONTENT[100_000:270_001])


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=281590-", 281_590, 281_600),
        ("bytes=-10", 281_590, 281_600),
        ("bytes=0-99999999999999999999", 0, 281_600),
        ("bytes=-99999999999999999999", 0, 281_600),
        ("BYTES=1-2", 1, 3),
    ],
)
def test_a_range_is_a_part(memory: Any, at: str, asked: str, start: int, end: int) -> None:
    """A range is answered with 206, where it lies, and its bytes alone."""
    part = memory.get(at, headers={"Range": asked})
    assert (part.status_code, part.content) == (206, CONTENT[start:end])
    assert part.headers["content-range"] == f"bytes {start}-{end - 1}/281600"


@pytest.mark.parametrize("asked", ["bytes=281600-", "bytes=-0"])
def test_a_range_behind_the_end_is_416(memory: Any, at: str, asked: str) -> None:
    """A range without a byte of the file is refused, and the answer says how long the file is."""
    refused = memory.get(at, headers={"Range": asked})
    assert (refused.status_code, refused.headers["content-range"]) == (416, "bytes */281600")


@pytest.mark.parametrize("asked", ["bytes=9-5", "bytes=-", "lines=0-1", "bytes=0-1,5-6", "bytes=a-b", ""])
def test_no_range_is_the_whole(memory: Any, at: str, asked: str) -> None:
    """What is no single range is answered with the whole."""
    assert memory.get(at, headers={"Range": asked}).status_code == 200


def test_conditions(memory: Any, at: str) -> None:
    """If-None-Match spares the bytes; a range with another If-Range is the whole."""
    tag = memory.ask("HEAD", at).headers["etag"]
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        assert memory.get(at, headers={"If-None-Match": known}).status_code == 304
    assert memory.get(at, headers={"If-None-Match": '"x"'}).status_code == 200
    ranged = {"Range": "bytes=0-0"}
    assert memory.get(at, headers=ranged | {"If-Range": tag}).status_code == 206
    assert memory.get(at, headers=ranged | {"If-Range": '"x"'}).status_code == 200


@pytest.mark.parametrize("name", ["a.html", "../../x.svg", 'a"b.txt', "naïve\u202efdp.txt", "a\r\nX-Evil: 1"])
def test_a_file_is_no_page_of_ours(memory: Any, name: str) -> None:
    """Bytes are an attachment under their own name, sandboxed and not guessed at; a name breaks no header."""
    document = memory.store.documents.add(b"<script>", filename=name, tenant="acme", owner="ada")
    found = memory.get(f"/documents/{document.id}/bytes").headers
    assert found["content-disposition"].startswith("attachment; ")
    assert "/" not in found["content-disposition"]
    assert found["x-content-type-options"] == "nosniff"
    assert found["content-security-policy"].startswith("sandbox")
    assert "x-evil" not in found


def test_no_bytes_are_404(site: Any) -> None:
    """A document without bytes has none at its address."""
    document = site.call(site.store.documents.add, filename="a", tenant="acme", owner="ada")
    answer = site.get(f"/documents/{document.id}/bytes")
    assert (answer.status_code, answer.json()["code"]) == (404, "blob_missing")


def test_broken_bytes_are_a_failure_without_a_place(memory: Any, at: str, tmp_path: Any) -> None:
    """Bytes that are gone are 503, and the answer does not say where they were."""
    for path in (tmp_path / "files").rglob("*"):
        if path.is_file() and path.stat().st_size == len(CONTENT):
            path.unlink()
    answer = memory.get(at)
    assert (answer.status_code, answer.json()["code"]) == (503, "blob_missing")
    assert str(tmp_path) not in answer.text
