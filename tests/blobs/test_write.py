"""Bytes on their way in: counted, hashed, whole or not at all, on every storage."""

from __future__ import annotations

import hashlib
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from docstore.blobs import Blobs, Written, new_key, new_keys, open_source
from docstore.blobs.s3 import SMALL
from docstore.errors import BlobError, ChecksumMismatch, InvalidDocument, SizeMismatch

SIZES = (0, 1, SMALL - 1, SMALL, SMALL + 1, 2 * SMALL + 3)


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def standing(blobs: Blobs) -> list[str]:
    return [found.name for found in blobs.list()]


def test_keys_are_fresh_and_of_one_shape() -> None:
    """A key is xx/yy/ and 32 hex digits that begin with xxyy, and never the same; a batch shares xx/yy."""
    batch = new_keys(500)
    keys = {*(new_key() for _ in range(500)), *batch}
    assert (len(keys), len({key[:10] for key in batch})) == (1000, 1)
    for key in keys:
        first, second, digits = key.split("/")
        assert len(digits) == 32
        assert digits == format(int(digits, 16), "032x")
        assert digits.startswith(first + second)


@pytest.mark.parametrize("size", SIZES)
def test_what_was_written_is_read(blobs: Blobs, size: int) -> None:
    """Size and sha256 are those of the source, and the same bytes come back, around every bound."""
    body, key = os.urandom(size), new_key()
    with open_source(body) as source:
        assert blobs.write(key, source, size=size, sha256=digest(body).upper()) == Written(size, digest(body))
    assert blobs.read_bytes(key, size=size, sha256=digest(body)) == body
    assert blobs.size_of(key) == size


def test_an_object_is_written_once(blobs: Blobs) -> None:
    """A second write under one key is refused and changes nothing, small or large."""
    key = new_key()
    blobs.write(key, [b"first"])
    for body in (b"again", b"x" * (SMALL + 1)):
        with pytest.raises(BlobError, match=key):
            blobs.write(key, [body])
    assert blobs.read_bytes(key) == b"first"
    assert standing(blobs) == [key]


@pytest.mark.parametrize("at", [0, 1, SMALL + 1])
def test_a_source_that_raises_arrives_unchanged_and_leaves_nothing(blobs: Blobs, at: int) -> None:
    """Whatever the source raises at byte k is what the caller gets, and the storage stays usable."""

    class Broken(Exception):
        pass

    def source() -> Iterator[bytes]:
        yield b"x" * at
        raise error

    error, key = Broken("of the caller"), new_key()
    with pytest.raises(Broken) as caught:
        blobs.write(key, source())
    assert caught.value is error
    assert caught.value.__cause__ is None
    assert standing(blobs) == []
    assert blobs.size_of(key) is None
    assert blobs.write(new_key(), [b"works"]).size == 5


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupt_leaves_nothing(blobs: Blobs, kind: type[BaseException]) -> None:
    """Errors that are no Exception clean up, too."""

    def source() -> Iterator[bytes]:
        yield b"x" * (SMALL + 1)
        raise kind

    with pytest.raises(kind):
        blobs.write(new_key(), source())
    assert standing(blobs) == []


@pytest.mark.parametrize("size", [0, 4, 6, SMALL + 1])
def test_a_source_that_lies_about_its_size_leaves_nothing(blobs: Blobs, size: int) -> None:
    """More bytes than announced, or fewer, are SizeMismatch with both numbers."""
    with pytest.raises(SizeMismatch) as caught, open_source(b"12345") as source:
        blobs.write(new_key(), source, size=size)
    assert (caught.value.expected, caught.value.actual) == (size, min(5, size + 1))
    assert standing(blobs) == []


def test_a_source_with_another_digest_leaves_nothing(blobs: Blobs) -> None:
    """Other bytes than announced are ChecksumMismatch with both digests."""
    with pytest.raises(ChecksumMismatch) as caught:
        blobs.write(new_key(), [b"other"], size=5, sha256="0" * 64)
    assert (caught.value.expected, caught.value.actual) == ("0" * 64, digest(b"other"))
    assert standing(blobs) == []


def test_a_source_that_never_ends_is_stopped_one_byte_after_its_size(blobs: Blobs) -> None:
    """With a size given, no more than one byte beyond it is asked for."""
    given = 0

    class Endless:
        def read(self, amount: int, /) -> bytes:
            nonlocal given
            given += amount
            return b"x" * amount

    with pytest.raises(SizeMismatch), open_source(Endless()) as source:
        blobs.write(new_key(), source, size=1_000)
    assert given == 1_001
    assert standing(blobs) == []


def test_a_source_of_text_leaves_nothing(blobs: Blobs) -> None:
    """A stream of text that shows late is InvalidDocument, not a failure of the storage."""

    class Late:
        def read(self, amount: int, /) -> Any:
            return pieces.pop(0)

    pieces = [b"bytes", "text"]
    with pytest.raises(InvalidDocument), open_source(Late()) as source:
        blobs.write(new_key(), source)
    assert standing(blobs) == []


def test_parts_are_as_large_as_s3_asks(s3_part: int) -> None:
    """All but the last have at least 5 MiB: smaller ones S3 refuses when they are to become an object."""
    assert s3_part >= 5 * 1_048_576


def test_an_announced_multipart_upload_is_aborted_on_error(s3_blobs: Callable[[str], Blobs]) -> None:
    """After a failed large write no upload is open in the bucket, where its parts would cost money unseen."""

    def source() -> Iterator[bytes]:
        yield b"x" * (2 * SMALL)
        raise RuntimeError

    blobs = s3_blobs("p")
    with pytest.raises(RuntimeError):
        blobs.write(new_key(), source())
    objects = blobs._objects
    assert objects._filesystem.list_multipart_uploads(objects._bucket) == []  # type: ignore[attr-defined]


def test_a_full_disk_is_a_blob_error_and_leaves_nothing(tmp_path: Path) -> None:
    """When the system refuses more bytes, BlobError names the key and keeps the cause; the next one works."""
    blobs, key = Blobs(tmp_path), new_key()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, before[1]))
    try:
        with pytest.raises(BlobError, match=key) as caught:
            blobs.write(key, (b"x" * 1_000_000 for _ in range(3)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.key == key
    assert isinstance(caught.value.__cause__, OSError)
    assert standing(blobs) == []
    assert blobs.write(key, [b"works"]).size == 5
