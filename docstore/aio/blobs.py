"""Bytes without blocking the loop: every call to the storage runs in a thread."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from threading import Event
from typing import BinaryIO, TypeVar

from docstore.aio.bridge import in_thread, waited
from docstore.blobs import Blobs, Found, Source, Written
from docstore.blobs.source import CHUNK
from docstore.waits import Waits

__all__ = ["BridgedBlobs"]

T = TypeVar("T")
_LISTED = 1000


class BridgedBlobs(Blobs):
    """The blobs of a store, for the core in a greenlet.

    Args:
        blobs: where the bytes are.
        waits: how to wait.
    """

    def __init__(self, blobs: Blobs, waits: Waits) -> None:
        self._blobs = blobs
        self._waits = waits

    @property
    def location(self) -> str:
        """The place, without credentials."""
        return self._blobs.location

    def write(
        self,
        key: str,
        chunks: Source | Iterable[bytes],
        *,
        size: int | None = None,
        sha256: str | None = None,
    ) -> Written:
        """Store bytes under a fresh key; a cancellation stops the reading and leaves nothing."""
        stopped = Event()
        stop: Callable[[], object] = stopped.set
        if isinstance(chunks, Source):
            stop = partial(_stop_all, stopped, chunks)
            chunks = chunks.chunks(None if size is None else size + 1)
        pieces = _until(stopped, chunks)

        def work() -> Written:
            written = self._blobs.write(key, pieces, size=size, sha256=sha256)
            if stopped.is_set():  # whole, but nobody will ever point at it: the key is fresh
                self._blobs.delete(key)
            return written

        return waited(in_thread(work, stop=stop), asyncio.get_running_loop())

    def open(self, key: str, *, size: int | None = None, sha256: str | None = None) -> BinaryIO:
        """Open an object; the file itself blocks where it is read."""
        return self._waits.run(self._blobs.open, key, size=size, sha256=sha256)

    def read_bytes(self, key: str, *, size: int | None = None, sha256: str | None = None) -> bytes:
        """Return an object's bytes."""
        return self._waits.run(self._blobs.read_bytes, key, size=size, sha256=sha256)

    def verify(self, key: str, *, size: int | None = None, sha256: str | None = None) -> int:
        """Read an object to its end, a piece at a time."""
        with self.open(key, size=size, sha256=sha256) as file:
            return sum(iter(lambda: len(self._waits.run(file.read, CHUNK)), 0))

    def duplicate(self, key: str, to: str, *, size: int, sha256: str) -> Written:
        """Store an object's bytes under a fresh key, too."""
        return self._waits.run(self._blobs.duplicate, key, to, size=size, sha256=sha256)

    def download(
        self, key: str, path: str | os.PathLike[str], *, size: int | None = None, sha256: str | None = None
    ) -> None:
        """Copy an object to a file of this machine."""
        self._waits.run(self._blobs.download, key, path, size=size, sha256=sha256)

    def url(
        self, key: str, *, expires: int = 3600, filename: str | None = None, content_type: str | None = None
    ) -> str:
        """Return a presigned URL."""
        return self._waits.run(
            self._blobs.url, key, expires=expires, filename=filename, content_type=content_type
        )

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._waits.run(self._blobs.delete, key)

    def quarantine(self, name: str) -> None:
        """Move something aside."""
        self._waits.run(self._blobs.quarantine, name)

    def size_of(self, key: str) -> int | None:
        """Return an object's size."""
        return self._waits.run(self._blobs.size_of, key)

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[Found]:
        """Walk what stands in the storage, a thousand names at a time."""
        yield from self._batched(self._blobs.list(prefix, after=after))

    def unfinished(self, prefix: str = "") -> Iterator[str]:
        """Walk the keys of writes that did not end, a thousand at a time."""
        yield from self._batched(self._blobs.unfinished(prefix))

    def _batched(self, found: Iterator[T]) -> Iterator[T]:
        while batch := self._waits.run(lambda: [*islice(found, _LISTED)]):
            yield from batch


def _until(stopped: Event, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the chunks; break off with an error once nobody waits for them."""
    for chunk in chunks:
        if stopped.is_set():
            raise OSError("the writing was cancelled")
        yield chunk
    if stopped.is_set():
        raise OSError("the writing was cancelled")


def _stop_all(stopped: Event, source: Source) -> None:
    stopped.set()
    stop = getattr(source._file, "stop", None)
    if callable(stop):
        stop()
