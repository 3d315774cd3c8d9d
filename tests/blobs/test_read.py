"""Bytes on their way out: checked by size and sha256, on every storage."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from docstore.blobs import Blobs, new_key
from docstore.blobs.streams import CHUNK
from docstore.errors import BlobCorrupt, BlobError, BlobMissing

BODY = os.urandom(5 * CHUNK + 17)


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def stored(blobs: Blobs, body: bytes) -> str:
    key = new_key()
    blobs.write(key, [body])
    return key




def test_a_file_is_binary_seekable_and_a_context_manager(blobs: Blobs) -> None:
    """open() gives what a library that wants a file can use."""
    key = stored(blobs, b"one\ntwo\nthree")
    with blobs.open(key, size=13, sha256=digest(b"one\ntwo\nthree")) as file:
        assert file.readable() is True
        assert file.seekable() is True
        assert file.readline() == b"one\n"
        assert file.tell() == 4
        assert file.seek(-5, io.SEEK_END) == 8
        assert file.read() == b"three"
        assert file.read() == b""
        file.seek(0)
        assert list(file) == [b"one\n", b"two\n", b"three"]
    assert file.closed is True


def test_two_readers_of_one_object_do_not_move_each_other(blobs: Blobs) -> None:
    """Each open file has its own position."""
    key = stored(blobs, BODY)
    with blobs.open(key) as one, blobs.open(key) as two:
        assert one.read(CHUNK) == BODY[:CHUNK]
        assert two.read() == BODY
        assert one.read() == BODY[CHUNK:]


def test_a_missing_object_is_blob_missing(blobs: Blobs) -> None:
    """The error names the key."""
    key = new_key()
    with pytest.raises(BlobMissing, match=key) as caught:
        blobs.open(key)
    assert caught.value.key == key


@pytest.mark.parametrize("size", [0, 4, 6])
def test_another_size_is_blob_corrupt_at_once(blobs: Blobs, size: int) -> None:
    """A truncated or longer object is not opened."""
    with pytest.raises(BlobCorrupt, match="5 bytes"):
        blobs.open(stored(blobs, b"12345"), size=size)


@pytest.mark.parametrize("piece", [1000, CHUNK, 10 * CHUNK, -1])
def test_other_bytes_are_blob_corrupt_before_the_last_piece(blobs: Blobs, piece: int) -> None:
    """However it is read, the reader does not get to the end of a corrupt object."""
    key, parts = stored(blobs, BODY), []
    with blobs.open(key, size=len(BODY), sha256="0" * 64) as file, pytest.raises(BlobCorrupt, match="sha256"):
        parts.extend(iter(lambda: file.read(piece), b""))
    assert sum(map(len, parts)) < len(BODY)


def test_other_bytes_are_found_however_the_reader_jumped_before(blobs: Blobs) -> None:
    """A reader that began at the end, as those of zip and PDF do, is told when it has read the rest."""
    key = stored(blobs, BODY)
    with blobs.open(key, size=len(BODY), sha256="0" * 64) as file:
        file.seek(-1000, io.SEEK_END)
        assert file.read() == BODY[-1000:]
        file.seek(0)
        with pytest.raises(BlobCorrupt, match="sha256"):
            file.read()


def test_the_same_bytes_read_in_jumps_are_right(blobs: Blobs) -> None:
    """Overlapping readings are hashed once."""
    key = stored(blobs, BODY)
    with blobs.open(key, size=len(BODY), sha256=digest(BODY)) as file:
        for start in (CHUNK, 0, CHUNK // 2, 0, 3 * CHUNK, CHUNK):
            file.seek(start)
            assert file.read(2 * CHUNK) == BODY[start : start + 2 * CHUNK]
        file.seek(0)
        assert file.read() == BODY


def test_an_empty_object_is_checked_when_opened(blobs: Blobs) -> None:
    """No bytes have a digest, too."""
    key = stored(blobs, b"")
    assert blobs.read_bytes(key, size=0, sha256=digest(b"")) == b""
    with pytest.raises(BlobCorrupt):
        blobs.open(key, size=0, sha256="0" * 64)


def test_a_file_truncated_under_its_reader_is_blob_corrupt(tmp_path: Path) -> None:
    """An end before the size that was opened is not taken for the end."""
    blobs = Blobs(tmp_path)
    key = stored(blobs, BODY)
    with blobs.open(key, size=len(BODY)) as file:
        file.read(10)
        os.truncate(tmp_path / key, 100)
        with pytest.raises(BlobCorrupt, match="ended at byte"):
            file.read()


def test_something_else_than_a_file_under_a_key_is_blob_missing(tmp_path: Path) -> None:
    """A folder or a pipe is no object, and is not waited for."""
    key = new_key()
    (tmp_path / key).parent.mkdir(parents=True)
    os.mkfifo(tmp_path / key)
    with pytest.raises(BlobMissing):
        Blobs(tmp_path).open(key)
    assert Blobs(tmp_path).size_of(key) is None


def test_a_download_is_a_whole_file(blobs: Blobs, tmp_path: Path) -> None:
    """A file there is replaced, a link followed, and nothing else is left in the folder."""
    folder = tmp_path / "to"
    folder.mkdir()
    (folder / "old").write_bytes(b"old")
    (folder / "link").symlink_to("old")
    key = stored(blobs, BODY)
    blobs.download(key, folder / "new", size=len(BODY), sha256=digest(BODY))
    blobs.download(key, str(folder / "link"), size=len(BODY), sha256=digest(BODY))
    assert (folder / "new").read_bytes() == BODY
    assert (folder / "old").read_bytes() == BODY
    assert sorted(os.listdir(folder)) == ["link", "new", "old"]
    assert (folder / "link").is_symlink() is True


def test_a_failed_download_leaves_what_was_there(blobs: Blobs, tmp_path: Path) -> None:
    """Nothing at the path if there was nothing, the old file if there was one."""
    folder = tmp_path / "to"
    folder.mkdir()
    (folder / "old").write_bytes(b"old")
    key = stored(blobs, BODY)
    for name in ("old", "new"):
        with pytest.raises(BlobCorrupt):
            blobs.download(key, folder / name, size=len(BODY), sha256="0" * 64)
        with pytest.raises(BlobMissing):
            blobs.download(new_key(), folder / name)
    assert os.listdir(folder) == ["old"]
    assert (folder / "old").read_bytes() == b"old"


def test_a_download_to_nowhere_is_a_blob_error_with_its_cause(blobs: Blobs, tmp_path: Path) -> None:
    """A missing folder is not a missing object; a folder and a pipe are not replaced."""
    key = stored(blobs, b"x")
    with pytest.raises(BlobError) as caught:
        blobs.download(key, tmp_path / "no" / "such")
    assert not isinstance(caught.value, BlobMissing)
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    os.mkfifo(tmp_path / "pipe")
    for there in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(BlobError, match="no regular file"):
            blobs.download(key, there)


def test_blobs_work_in_a_forked_child(s3_blobs: Callable[[str], Blobs]) -> None:
    """S3 is opened anew in each process; the parent's goes on."""
    blobs = s3_blobs("forked")
    key = stored(blobs, b"parent")
    child = os.fork()
    if child == 0:
        try:
            blobs.write(new_key(), [blobs.read_bytes(key) + b" and child"])
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    sizes = sorted(found.size for found in blobs.list())
    assert sizes == [len(b"parent"), len(b"parent and child")]


def test_blobs_can_be_pickled(blobs: Blobs, without_session: Callable[[Blobs], Blobs]) -> None:
    """A copy sees the same objects."""
    key = stored(blobs, b"x")
    assert pickle.loads(pickle.dumps(without_session(blobs))).read_bytes(key) == b"x"
