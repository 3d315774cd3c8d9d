"""Sources that are awaited: async iterators of bytes, and files whose ``read`` is a coroutine."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any

from docstore.errors import InvalidDocument

__all__ = ["AwaitedSource", "readable"]


def readable(source: Any, loop: asyncio.AbstractEventLoop) -> Any:
    """Return what the core can read for a source.

    Args:
        source: a source of the blocking shell, which is returned as it is; an async iterable of bytes; or
            a file whose ``read`` is a coroutine function, such as an upload of Starlette's.
        loop: that an awaited source belongs to.
    """
    if hasattr(source, "__aiter__") and not inspect.iscoroutinefunction(getattr(source, "read", None)):
        return AwaitedSource(aiter(source), source, loop)
    if inspect.iscoroutinefunction(getattr(source, "read", None)):
        return AwaitedSource(_pieces(source), source, loop)
    return source


async def _pieces(file: Any) -> AsyncIterator[Any]:
    while piece := await file.read(1_048_576):
        yield piece


class AwaitedSource:
    """A binary file, read by a thread that the event loop feeds.

    Args:
        pieces: the bytes.
        origin: what they were made from; its ``filename`` or ``name`` is the file's.
        loop: where they are awaited.
    """

    def __init__(self, pieces: AsyncIterator[Any], origin: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pieces = pieces
        self._left = b""
        self._pending: Future[Any] | None = None
        self._stopped = False
        name = getattr(origin, "filename", None)
        self.name: str | None = name if isinstance(name, str) else getattr(origin, "name", None)

    def read(self, amount: int, /) -> bytes:
        """Return up to ``amount`` bytes, ``b""`` at the end; what the source raises arrives unchanged."""
        while not self._left:
            piece = self._next()
            if piece is None:
                return b""
            if not isinstance(piece, (bytes, bytearray, memoryview)):
                kind = type(piece).__name__
                raise InvalidDocument(f"the source yields {kind}, not bytes", field="source")
            self._left = bytes(piece)
        taken, self._left = self._left[:amount], self._left[amount:]
        return taken

    def stop(self) -> None:
        """Make a reading thread give up: nobody waits for the bytes any more."""
        self._stopped = True
        if self._pending is not None:
            self._pending.cancel()

    def _next(self) -> Any:
        if self._stopped:
            raise OSError("the reading was cancelled")
        self._pending = pending = asyncio.run_coroutine_threadsafe(self._advance(), self._loop)
        if self._stopped:  # between the two lines above, when nothing was pending yet
            pending.cancel()
        try:
            return pending.result()
        except CancelledError as error:
            raise OSError("the reading was cancelled") from error

    def _advance(self) -> Coroutine[Any, Any, Any]:
        async def advance() -> Any:
            return await anext(self._pieces, None)

        return advance()
