"""Bytes on their way: sources read chunk by chunk, and the checks of size and sha256 in both directions.

A source is a path, bytes, a binary file object or an fsspec URL.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol, Self, TypeAlias
from urllib.parse import unquote, urlsplit

from docstore.blobs.objects import OpenedObject
from docstore.concurrency import check
from docstore.errors import (
    BlobCorrupt,
    BlobError,
    BlobMissing,
    ChecksumMismatch,
    InvalidDocument,
    SizeMismatch,
)

__all__ = [
    "CHUNK",
    "ByteSource",
    "CheckedReader",
    "Meter",
    "Readable",
    "SourceLike",
    "Written",
    "checked",
    "open_source",
    "without_secrets",
]

# Bytes read at once.
CHUNK = 1_048_576

_URL = re.compile(r"(?i)[a-z][a-z0-9+.\-]*://")


class Readable(Protocol):
    """A binary file object; it need not be seekable."""

    def read(self, amount: int, /) -> bytes:
        """Return up to ``amount`` bytes, ``b""`` at the end."""


# What `open_source` takes.
SourceLike: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | Readable"


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
        InvalidDocument: a file in text mode, a URL that fsspec cannot read, or something else without bytes.
        BlobError: what serves the URL refused.
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
        except ValueError as wrong:
            raise InvalidDocument(
                f"source {without_secrets(url)}: {wrong}; expected a path or an fsspec URL", field="source"
            ) from wrong
        except ImportError as missing:
            if not url.lower().startswith(("http://", "https://")):
                raise
            raise ImportError(
                "a source at http(s)://… needs aiohttp: python -m pip install 'embedded-docstore[http]'"
            ) from missing
        if isinstance(filesystem, MemoryFileSystem):  # its file is the stored object itself, position and all
            return io.BytesIO(filesystem.cat_file(path))
        try:
            return filesystem.open(path, "rb")
        except (OSError, ImportError):
            raise
        except Exception as error:  # of a client, such as for want of credentials
            raise BlobError(f"cannot read {without_secrets(url)}: {error}") from error

    return ByteSource(reopen(), filename=_name_of_url(url), reopen=reopen, owned=True)


def without_secrets(url: str) -> str:
    """Return the URL without the user, password, query and fragment that it may carry."""
    return "::".join(_bare(link) for link in url.split("::"))


def _bare(link: str) -> str:
    if "://" not in link:
        return link
    try:
        parts = urlsplit(link)
    except ValueError:
        return link.partition("://")[0] + "://…"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


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


@dataclass(frozen=True, slots=True)
class Written:
    """The size and sha256 of stored bytes.

    Attributes:
        size: in bytes.
        sha256: of the bytes, 64 hex digits in lower case.
    """

    size: int
    sha256: str


class Meter(Iterator[bytes]):
    """Chunks, counted and hashed as they pass; they end with an error where they are not what was announced.

    Attributes:
        failure: what the source itself raised, ``None`` if it raised nothing.
    """

    def __init__(self, chunks: Iterable[bytes], *, size: int | None, sha256: str | None) -> None:
        self._chunks = iter(chunks)
        self._hash = hashlib.sha256()
        self._count = 0
        self._size = size
        self._sha256 = None if sha256 is None else sha256.lower()
        self.failure: BaseException | None = None

    @property
    def written(self) -> Written:
        """The size and sha256 of the bytes so far."""
        return Written(self._count, self._hash.hexdigest())

    def __next__(self) -> bytes:
        try:
            chunk = next(self._chunks)
        except StopIteration:
            self._compare()
            raise
        except BaseException as error:
            self.failure = error
            raise
        self._count += len(chunk)
        if self._size is not None and self._count > self._size:
            raise self._wrong_size("at least ")
        self._hash.update(chunk)
        return chunk

    def _compare(self) -> None:
        if self._size is not None and self._count != self._size:
            raise self._wrong_size("")
        actual = self._hash.hexdigest()
        if self._sha256 is not None and actual != self._sha256:
            raise ChecksumMismatch(
                f"the source has sha256 {actual}, expected {self._sha256}; nothing was stored",
                expected=self._sha256,
                actual=actual,
            )

    def _wrong_size(self, least: str) -> SizeMismatch:
        return SizeMismatch(
            f"the source has {least}{self._count} bytes, expected {self._size}; nothing was stored",
            expected=self._size,
            actual=self._count,
        )


def checked(opened: OpenedObject, *, key: str, size: int | None, sha256: str | None) -> io.BufferedReader:
    """Wrap an open object into a binary file that closes it, checking against what was recorded.

    Args:
        opened: the object; closed if this raises.
        key: its key, for error texts.
        size: bytes it must have; ``None`` is not checked.
        sha256: hex digest it must have; ``None`` is not checked.

    Raises:
        BlobCorrupt: another size; or no bytes at all, with another digest than that of none.
    """
    try:
        reader = CheckedReader(opened, key=key, size=size, sha256=sha256)
    except BaseException:
        opened.close()
        raise
    return io.BufferedReader(reader, buffer_size=max(8_192, min(opened.block, opened.size or 1)))


class CheckedReader(io.RawIOBase):
    """A readable, seekable file over an open object; use it through :func:`checked`.

    The digest covers the longest beginning that was read without a gap, in whatever order. When that is the
    whole, it is compared, before the last piece is given to the reader.
    """

    def __init__(self, opened: OpenedObject, *, key: str, size: int | None, sha256: str | None) -> None:
        super().__init__()
        self._opened = opened
        self._key = key
        self._sha256 = None if sha256 is None else sha256.lower()
        self._position = 0
        self._hashed = 0
        self._hash = hashlib.sha256()
        if size is not None and opened.size != size:
            raise BlobCorrupt(f"the object {key} has {opened.size} bytes, {size} were stored", key=key)
        self._compare()

    def readable(self) -> bool:
        """Return true."""
        return True

    def seekable(self) -> bool:
        """Return true."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a position in bytes and return it; a gap in the reading leaves the digest unchecked."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._opened.size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative position {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: object, /) -> int:
        """Fill ``buffer`` from the position; return how many bytes there were, 0 at the end.

        Raises:
            BlobCorrupt: the bytes are not those that were stored.
            BlobMissing: the object is gone.
            BlobError: the storage failed.
        """
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        piece = self._read(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def readall(self) -> bytes:
        """Return everything from the position on; raises as :meth:`readinto`."""
        pieces = bytearray()
        while piece := self._read(self._opened.block):
            pieces += piece
        return bytes(pieces)

    def close(self) -> None:
        """Release the object; idempotent.

        Raises:
            BlobError: the storage failed even at that.
        """
        if self.closed:
            return
        try:
            self._opened.close()
        except Exception as error:
            raise BlobError(f"cannot close the object {self._key}: {error}", key=self._key) from error
        finally:
            super().close()

    def _read(self, amount: int) -> bytes:
        amount = min(amount, self._opened.size - self._position)
        if amount <= 0:
            return b""
        piece = self._fetch(amount)
        if not piece:
            place = f"byte {self._position} of {self._opened.size}"
            raise BlobCorrupt(f"the object {self._key} ended at {place}", key=self._key)
        self._take(piece)
        self._position += len(piece)
        return piece

    def _fetch(self, amount: int) -> bytes:
        try:
            return self._opened.read_at(self._position, amount)
        except FileNotFoundError as error:
            raise BlobMissing(f"the object {self._key} is gone", key=self._key) from error
        except Exception as error:
            raise BlobError(f"cannot read the object {self._key}: {error}", key=self._key) from error

    def _take(self, piece: bytes) -> None:
        """Extend the digest where ``piece``, read at the position, continues it."""
        if self._position <= self._hashed < self._position + len(piece):
            fresh = memoryview(piece)[self._hashed - self._position :]
            self._hash.update(fresh)
            self._hashed += len(fresh)
            self._compare()

    def _compare(self) -> None:
        if self._sha256 is None or self._hashed != self._opened.size:
            return
        if (actual := self._hash.hexdigest()) != self._sha256:
            text = f"the object {self._key} has sha256 {actual}, {self._sha256} was stored"
            raise BlobCorrupt(text, key=self._key)
