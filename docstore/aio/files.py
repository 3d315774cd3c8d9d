"""AsyncFile: a document's bytes, open for reading from a coroutine."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import BinaryIO, ParamSpec, Self, TypeVar

from docstore.aio.bridge import in_thread

__all__ = ["AsyncFile"]

P = ParamSpec("P")
T = TypeVar("T")
_PIECE = 1_048_576


class AsyncFile:
    """The bytes of a document, checked as they are read: what ``await store.documents.open(id)`` returns.

    Reading happens in a thread. Close it, or use it with ``async with``; iterating yields pieces of up to a
    mebibyte, fit for a streaming response.

    Example:
        >>> async with await store.documents.open(id) as file:
        ...     async for piece in file:
        ...         await send(piece)

    Attributes:
        file: the blocking file below it.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    async def read(self, amount: int = -1) -> bytes:
        """Return up to ``amount`` bytes, ``b""`` at the end; a negative amount reads to the end.

        Raises:
            BlobCorrupt: they are not those that were stored.
            BlobMissing, BlobError: they are gone, or the storage failed.
        """
        return await self._threaded(self.file.read, amount)

    async def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position in bytes and return it; what is skipped leaves the sha256 unchecked."""
        return await self._threaded(self.file.seek, offset, whence)

    def tell(self) -> int:
        """Return the position in bytes."""
        return self.file.tell()

    async def close(self) -> None:
        """Close the file; idempotent."""
        await self._threaded(self.file.close)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the bytes from the position on, in pieces of up to a mebibyte."""
        while piece := await self.read(_PIECE):
            yield piece

    async def __aenter__(self) -> Self:
        """Return the file."""
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Close the file."""
        await self.close()

    @staticmethod
    async def _threaded(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await in_thread(partial(work, *args, **kwargs))
