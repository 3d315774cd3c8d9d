"""Where bytes come from: a path, bytes, a binary file object or an fsspec URL, read chunk by chunk."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Protocol, Self, TypeAlias
from urllib.parse import unquote, urlsplit

from docstore.concurrency import check
from docstore.errors import InvalidDocument

__all__ = ["CHUNK", "ByteSource", "Readable", "SourceLike", "open_source"]

CHUNK = 1_048_576
"""Bytes read at once."""

_URL = re.compile(r"(?i)[a-z][a-z0-9+.\-]*://")


class Readable(Protocol):
    """A binary file object; it need not be seekable."""

    def read(self, amount: int, /) -> bytes:
        """Return up to ``amount`` bytes, ``b""`` at the end."""


SourceLike: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | Readable"
"""What :func:`open_source` takes."""


class ByteSource:
    """Bytes to be stored, open and not yet read. Use it as a context manager, or close it.

    Attributes:
        filename: the name they seem to have, ``None`` where there is none.
    """

    def __init__(
        self, file: Any, *, filename: str | None, reopen: Callable[[], Any] | None, owned: bool
    ) -> None:
        self.filename = filename
        self._file = file
        self._reopen = reopen
        self._owned = owned
        self._start = _position(file)
        self._used = False
        self._held = b""
        self._is_paused = False

    def pause(self) -> None:
        """Close what was opened here, if it can be opened again: the next reading does. So a batch of many
        files has few of them open.
        """
        if self._owned and self._reopen is not None:
            self._file.close()
            self._is_paused = True

    @property
    def is_callers(self) -> bool:
        """Whether it is a file object of the caller's, which is read in the caller's thread alone."""
        return not self._owned

    def again(self) -> bool:
        """Return whether the bytes can be read a second time."""
        return self._start is not None or self._reopen is not None

    def head(self, size: int) -> bytes:
        """Return the first bytes, before any others were read; they are read again with those.

        Raises:
            InvalidDocument: the source yields text, or nothing yet (a non-blocking file).
        """
        found = _binary(self._file.read(size))
        if self._start is not None:
            self._file.seek(self._start)
        else:
            self._held = found
        return found

    def chunks(self, limit: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from their beginning, a mebibyte at most at a time.

        Args:
            limit: read so many bytes at most; ``None`` reads to the end.

        Raises:
            InvalidDocument: the source yields text, or nothing yet (a non-blocking file).
            io.UnsupportedOperation: a second reading of a source that cannot be read again.
        """
        self._rewind()
        left = limit
        if self._held:
            held, self._held = self._held[:limit], b""
            left = None if left is None else left - len(held)
            yield held
        while left is None or left > 0:
            check()
            chunk = _binary(self._file.read(CHUNK if left is None else min(CHUNK, left)))
            if not chunk:
                return
            left = None if left is None else left - len(chunk)
            yield chunk

    def close(self) -> None:
        """Close what was opened here; a file object that was given stays open. Idempotent."""
        if self._owned:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _rewind(self) -> None:
        if self._is_paused and self._reopen is not None:
            self._file, self._used, self._is_paused = self._reopen(), True, False
        elif not self._used:
            self._used = True
        elif self._start is not None:
            self._file.seek(self._start)
        elif self._reopen is not None:
            self.close()
            self._file = self._reopen()
        else:
            raise io.UnsupportedOperation("the source cannot be read a second time: it is not seekable")


def open_source(source: SourceLike) -> ByteSource:
    """Open what a caller gave as the bytes of a document, reading nothing yet.

    A text with ``://`` or ``::`` in it is an fsspec URL, any other text a path; where text comes from
    outside, give a :class:`pathlib.Path`, which is always a path. A file object is read from where it stands,
    and is not closed.

    Args:
        source: a path, bytes, a binary file object or an fsspec URL.

    Returns:
        The open source. Close it.

    Raises:
        InvalidDocument: a file in text mode, or something else that has no bytes.
        OSError: the path or URL cannot be opened; it arrives as it was raised.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return ByteSource(io.BytesIO(source), filename=None, reopen=None, owned=True)
    if isinstance(source, os.PathLike):
        return _open_path(os.fspath(source))
    if isinstance(source, str):
        return _open_url(source) if is_url(source) else _open_path(source)
    if isinstance(source, io.TextIOBase):
        raise InvalidDocument("the source is a file in text mode: open it with mode 'rb'", field="source")
    if not callable(getattr(source, "read", None)):
        kind = type(source).__name__
        raise InvalidDocument(
            f"a source of type {kind}: expected a path, bytes, a binary file object or an fsspec URL",
            field="source",
        )
    return ByteSource(source, filename=_name_of(source), reopen=None, owned=False)


def is_url(text: str) -> bool:
    """Return whether ``text`` is read as an fsspec URL and not as a path."""
    return "::" in text or _URL.match(text) is not None


def _open_path(path: str | bytes) -> ByteSource:
    path = os.fsdecode(path)

    def reopen() -> BinaryIO:
        return open(path, "rb")

    file = reopen()
    regular = file.seekable()
    return ByteSource(file, filename=_basename(path), reopen=reopen if regular else None, owned=True)


def _open_url(url: str) -> ByteSource:
    def reopen() -> Any:
        from fsspec.core import url_to_fs
        from fsspec.implementations.memory import MemoryFileSystem

        try:
            filesystem, path = url_to_fs(url)
        except ImportError as missing:
            if not url.lower().startswith(("http://", "https://")):
                raise
            raise ImportError(
                "a source at http(s)://… needs aiohttp: python -m pip install 'embedded-docstore[http]'"
            ) from missing
        if isinstance(filesystem, MemoryFileSystem):  # its file is the stored object itself, position and all
            return io.BytesIO(filesystem.cat_file(path))
        return filesystem.open(path, "rb")

    return ByteSource(reopen(), filename=_name_of_url(url), reopen=reopen, owned=True)


def _position(file: Any) -> int | None:
    """Return where a seekable file stands, ``None`` for one that cannot be rewound."""
    try:
        return int(file.tell()) if file.seekable() else None
    except (AttributeError, OSError, ValueError):
        return None


def _binary(chunk: Any) -> bytes:
    if isinstance(chunk, bytes):
        return chunk
    if isinstance(chunk, (bytearray, memoryview)):
        return bytes(chunk)
    if isinstance(chunk, str):
        raise InvalidDocument("the source yields text, not bytes: open it in binary mode", field="source")
    kind = type(chunk).__name__
    raise InvalidDocument(
        f"the source yields {kind}, not bytes; a file in non-blocking mode cannot be a source",
        field="source",
    )


def _basename(path: str) -> str | None:
    return os.path.basename(path.rstrip("/")) or None


def _name_of_url(url: str) -> str | None:
    """Return the last step of the first link of a URL that has a path."""
    for link in url.split("::"):
        scheme, found, path = link.partition("://")
        if found and path.strip("/"):
            return _basename(unquote(urlsplit(link).path) if scheme.lower() in ("http", "https") else path)
    return None


def _name_of(file: object) -> str | None:
    name = getattr(file, "name", None)
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    if not isinstance(name, str) or (name.startswith("<") and name.endswith(">")):
        return None
    return _basename(name)
