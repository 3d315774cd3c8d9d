"""AsyncFile: the bytes of a document, open for reading in a coroutine."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from functools import partial
from typing import BinaryIO, Self

from docstore.aio.shell import Shell

__all__ = ["AsyncFile"]

_PIECE_BYTES = 1_048_576


class AsyncFile:
    """The bytes of a document, checked as they are read: what ``await store.documents.open(id)`` returns.

    Reading happens in a thread of the store's. Close it, or use it with ``async with``; iterating yields
    pieces of up to a mebibyte, fit for a streaming response.

    Example:
        >>> async with await store.documents.open(id) as file:
        ...     async for piece in file:
        ...         await send(piece)

    Attributes:
        file: the blocking file below it.
    """

    def __init__(self, shell: Shell, file: BinaryIO) -> None:
        self._shell = shell
        self.file = file

    async def read(self, amount: int = -1) -> bytes:
        """Return up to ``amount`` bytes, ``b""`` at the end; a negative amount reads to the end.

        Raises:
            BlobCorrupt: they are not those that were stored.
            BlobMissing, BlobError: they are gone, or the storage failed.
        """
        return await self._shell.run("bytes", partial(self.file.read, amount))

    async def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position in bytes and return it; what is skipped leaves the sha256 unchecked."""
        return await self._shell.run("bytes", partial(self.file.seek, offset, whence))

    def tell(self) -> int:
        """Return the position in bytes."""
        return self.file.tell()

    async def close(self) -> None:
        """Close the file; idempotent, and possible after the store was closed."""
        if self._shell.is_closed:
            self.file.close()
        else:
            await self._shell.run("bytes", self.file.close)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the bytes from the position on, in pieces of up to a mebibyte."""
        while piece := await self.read(_PIECE_BYTES):
            yield piece

    async def __aenter__(self) -> Self:
        """Return the file."""
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Close the file."""
        await self.close()
