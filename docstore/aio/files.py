"""Asynchronous inputs and callbacks, adapted for the blocking core, and AsyncFile, a document's open bytes.

Whatever must be awaited is awaited in the task that made the call.
"""

from __future__ import annotations

import inspect
import io
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, BinaryIO, Self, TypeVar

from docstore.aio.calls import ask
from docstore.aio.shell import Shell
from docstore.errors import InvalidDocument
from docstore.models import NewDocument

__all__ = [
    "AsyncFile",
    "AwaitedSource",
    "plain_callback",
    "plain_rows",
    "readable",
]

T = TypeVar("T")
# Each piece is a hop between the event loop and a thread.
_PIECE_BYTES = 1_048_576
# So many rows are taken from an async iterable at a time.
_ROWS = 64


def readable(source: Any) -> Any:
    """Return what the core can read for a source: a source of the blocking store as it is; an async iterable
    of bytes, or a file whose ``read`` is a coroutine function, such as an upload of Starlette's, as a file.
    """
    if inspect.iscoroutinefunction(getattr(source, "read", None)):
        return AwaitedSource(partial(source.read, _PIECE_BYTES), source)
    if hasattr(source, "__aiter__"):
        return AwaitedSource(partial(_next_of, aiter(source)), source)
    return source


async def _next_of(pieces: AsyncIterator[Any]) -> Any:
    """Return the next piece that is not empty, ``b""`` at the end."""
    async for piece in pieces:
        if not isinstance(piece, (bytes, bytearray, memoryview)) or len(piece):
            return piece
    return b""


class AwaitedSource:
    """A binary file whose bytes the caller's task awaits.

    Args:
        read: returns the next bytes, ``b""`` at the end.
        origin: what they were made from; its ``filename`` or ``name`` is the file's.
    """

    def __init__(self, read: Callable[[], Awaitable[Any]], origin: Any) -> None:
        self._read = read
        self._left = b""
        name = getattr(origin, "filename", None)
        self.name: str | None = name if isinstance(name, str) else getattr(origin, "name", None)

    def read(self, amount: int, /) -> bytes:
        """Return up to ``amount`` bytes, ``b""`` at the end; what the source raises arrives unchanged."""
        if not self._left:
            piece = ask(self._read)
            if not isinstance(piece, (bytes, bytearray, memoryview)):
                kind = type(piece).__name__
                raise InvalidDocument(f"the source yields {kind}, not bytes", field="source")
            self._left = bytes(piece)
        taken, self._left = self._left[:amount], self._left[amount:]
        return taken


def plain_callback(callback: Callable[[T], object] | None) -> Callable[[T], None] | None:
    """Return a callback, which may be a coroutine function, for the core to call."""
    if callback is None:
        return None

    async def told(value: T) -> None:
        answer = callback(value)
        if inspect.isawaitable(answer):
            await answer

    return lambda value: ask(partial(told, value))


def plain_rows(rows: Iterable[T] | AsyncIterable[T], size: Any) -> Iterable[T]:
    """Return rows for the core to iterate over, their sources readable.

    Args:
        rows: documents or other rows, perhaps an async iterable.
        size: of the batches that they are written in.
    """
    if isinstance(rows, AsyncIterable):
        return map(_row, _awaited(aiter(rows), min(_ROWS, size) if isinstance(size, int) and size > 0 else 1))
    if isinstance(rows, list | tuple) and not any(map(_is_awaited, rows)):
        return rows
    return map(_row, rows)


def _is_awaited(row: Any) -> bool:
    source = _source_of(row)
    return source is not None and readable(source) is not source


def _source_of(row: Any) -> Any:
    return row.get("source") if isinstance(row, Mapping) else getattr(row, "source", None)


def _row(row: Any) -> Any:
    source = _source_of(row)
    found = source if source is None else readable(source)
    if found is source:
        return row
    return (
        row.model_copy(update={"source": found}) if isinstance(row, NewDocument) else {**row, "source": found}
    )


def _awaited(rows: AsyncIterator[T], size: int) -> Iterator[T]:
    """Yield rows that the caller's task awaits, some at a time."""
    ready: deque[T] = deque()
    failed: Exception | None = None

    async def more() -> tuple[bool, Exception | None]:
        try:
            while len(ready) < size:
                ready.append(await anext(rows))
        except StopAsyncIteration:
            return True, None
        except Exception as raised:  # behind the rows that came before it
            return True, raised
        return False, None

    has_ended = False
    while True:
        while ready:
            yield ready.popleft()
        if failed is not None:
            raise failed
        if has_ended:
            return
        has_ended, failed = ask(more)


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
