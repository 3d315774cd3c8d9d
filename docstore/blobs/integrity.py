"""Counting and hashing on the way in: what a storage is given passes through a :class:`Meter`."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from docstore.blobs.objects import OpenedObject
from docstore.errors import BlobCorrupt, BlobError, BlobMissing, ChecksumMismatch, SizeMismatch

__all__ = [
    "CheckedReader",
    "Meter",
    "Written",
    "checked",
]


@dataclass(frozen=True, slots=True)
class Written:
    """What was stored.

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
        """What passed through so far."""
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
