"""Counting and hashing on the way in: what a storage is given passes through a :class:`Meter`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from docstore.errors import ChecksumMismatch, SizeMismatch

__all__ = ["Meter", "Written"]


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
