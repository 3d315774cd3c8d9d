"""What can be a source of bytes, and how it is read."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import Any

import fsspec
import pytest

from docstore.blobs.streams import CHUNK, ByteSource, open_source
from docstore.errors import InvalidDocument


def read(source: ByteSource, limit: int | None = None) -> bytes:
    return b"".join(source.chunks(limit))


NAMES = [(3, None), ("<stdin>", None), (b"/a/b.bin", "b.bin"), ("/", None)]


class Stream:
    """A file object that can only be read, a few bytes at a time."""

    def __init__(self, body: bytes) -> None:
        self._body = io.BytesIO(body)

    def read(self, amount: int, /) -> bytes:
        return self._body.read(min(amount, 7))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_are_a_source_without_a_name(kind: type[bytes]) -> None:
    """Bytes of any built-in kind can be read again and have no filename."""
    with open_source(kind(b"hello")) as source:
        assert source.filename is None
        assert source.again() is True
        assert read(source) == b"hello"
        assert read(source) == b"hello"


@pytest.mark.parametrize("as_text", [True, False])
def test_a_path_is_a_source_named_by_its_last_step(tmp_path: Path, as_text: bool) -> None:
    """A path as text or object is read twice the same."""
    path = tmp_path / "a #?%41.pdf"
    path.write_bytes(b"x" * (CHUNK + 1))
    with open_source(str(path) if as_text else path) as source:
        assert source.filename == "a #?%41.pdf"
        assert [len(chunk) for chunk in source.chunks()] == [CHUNK, 1]
        assert source.again() is True
        assert len(read(source)) == CHUNK + 1


def test_a_path_object_is_never_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path object with :: in it is the file of that name."""
    monkeypatch.chdir(tmp_path)
    Path("simplecache::x").write_bytes(b"a file")
    with open_source(Path("simplecache::x")) as source:
        assert read(source) == b"a file"


def test_a_missing_path_arrives_as_file_not_found(tmp_path: Path) -> None:
    """The error of the caller's own path is not wrapped."""
    with pytest.raises(FileNotFoundError, match="nothing here"):
        open_source(tmp_path / "nothing here")


def test_a_folder_arrives_as_is_a_directory(tmp_path: Path) -> None:
    """The error of a path to a folder is not wrapped."""
    with pytest.raises(IsADirectoryError):
        open_source(tmp_path)


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    """A path to a FIFO is a source that cannot be read again."""
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"piped",))
    writer.start()
    with open_source(tmp_path / "pipe") as source:
        writer.join()
        assert source.again() is False
        assert read(source) == b"piped"
        with pytest.raises(io.UnsupportedOperation):
            read(source)


def test_a_file_object_is_read_from_where_it_stands_and_left_open(tmp_path: Path) -> None:
    """A seekable file object can be read again, from the same place."""
    path = tmp_path / "named.txt"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        file.seek(4)
        with open_source(file) as source:
            assert source.filename == "named.txt"
            assert source.again() is True
            assert read(source) == b"456789"
            assert read(source) == b"456789"
        assert file.closed is False


def test_a_stream_is_read_once() -> None:
    """An object with nothing but read() is a source, once."""
    with open_source(Stream(b"x" * 100)) as source:
        assert source.filename is None
        assert source.again() is False
        assert read(source) == b"x" * 100
        with pytest.raises(io.UnsupportedOperation):
            read(source)


@pytest.mark.parametrize(("name", "expected"), NAMES)
def test_the_name_of_a_file_object_is_a_guess(name: object, expected: str | None) -> None:
    """Descriptors and names in angle brackets are no filenames."""
    file = io.BytesIO(b"")
    file.name = name  # type: ignore[attr-defined]
    assert open_source(file).filename == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("memory://sources/deep/a b.pdf", "a b.pdf"),
        ("simplecache::memory://sources/deep/a b.pdf", "a b.pdf"),
    ],
)
def test_a_url_is_a_source_named_by_its_last_step(url: str, expected: str) -> None:
    """An fsspec URL, chained or not, can be read again."""
    fsspec.filesystem("memory").pipe_file("/sources/deep/a b.pdf", b"by url")
    with open_source(url) as source:
        assert source.filename == expected
        assert read(source) == b"by url"
        assert source.again() is True
        assert read(source) == b"by url"


def test_one_memory_url_is_two_sources() -> None:
    """Two readers of one memory:// object do not move each other."""
    fsspec.filesystem("memory").pipe_file("/sources/shared", b"x" * (CHUNK + 10))
    with open_source("memory://sources/shared") as one, open_source("memory://sources/shared") as two:
        first = one.chunks()
        next(first)
        assert len(read(two)) == CHUNK + 10
        assert len(next(first)) == 10


def test_a_missing_url_arrives_as_file_not_found() -> None:
    """The error of the caller's own URL is not wrapped."""
    with pytest.raises(FileNotFoundError):
        open_source("memory://sources/nowhere")


def test_a_file_in_text_mode_is_refused_by_name(tmp_path: Path) -> None:
    """A text file says how it has to be opened."""
    (tmp_path / "t").write_text("text")
    with (tmp_path / "t").open() as file, pytest.raises(InvalidDocument, match="mode 'rb'") as caught:
        open_source(file)  # type: ignore[arg-type]
    assert caught.value.field == "source"


def test_a_stream_of_text_is_refused_when_it_shows() -> None:
    """Text from an object that does not look like a text file is refused at its first piece."""

    class Text:
        def read(self, amount: int, /) -> str:
            return "text"

    text: Any = Text()
    with open_source(text) as source, pytest.raises(InvalidDocument, match="text, not bytes"):
        read(source)


def test_a_file_that_has_nothing_yet_is_refused() -> None:
    """None from a non-blocking file is not taken for its end."""

    class NotYet:
        def read(self, amount: int, /) -> None:
            return None

    file: Any = NotYet()
    with open_source(file) as source, pytest.raises(InvalidDocument, match="non-blocking"):
        read(source)


@pytest.mark.parametrize("thing", [3, None, object(), ["a"]])
def test_what_has_no_bytes_is_refused(thing: object) -> None:
    """Anything else says what a source can be."""
    with pytest.raises(InvalidDocument, match="expected a path, bytes, a binary file object or an fsspec"):
        open_source(thing)  # type: ignore[arg-type]


def test_no_more_than_the_limit_is_asked_for() -> None:
    """A limit bounds what is read from the source, not only what is passed on."""
    asked: list[int] = []

    class Endless:
        def read(self, amount: int, /) -> bytes:
            asked.append(amount)
            return b"x" * amount

    assert len(read(open_source(Endless()), CHUNK + 5)) == CHUNK + 5
    assert asked == [CHUNK, 5]
