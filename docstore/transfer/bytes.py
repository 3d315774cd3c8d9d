"""Bytes on their way from one store to another: opened when they are needed, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from docstore.blobs.source import Source

__all__ = ["LazyFile", "lazy_source"]


class LazyFile:
    """A binary file that is opened by its first reading, and closed at its end.

    Args:
        opening: opens it; called again after it was rewound.
    """

    def __init__(self, opening: Callable[[], BinaryIO]) -> None:
        self._opening = opening
        self._file: BinaryIO | None = None
        self._ended = False

    def read(self, amount: int = -1, /) -> bytes:
        """Return up to ``amount`` bytes, ``b""`` at the end."""
        if self._ended:
            return b""
        if self._file is None:
            self._file = self._opening()
        piece = self._file.read(amount)
        if not piece and amount:
            self.close()
            self._ended = True
        return piece

    def seekable(self) -> bool:
        """Return true: it can be rewound."""
        return True

    def tell(self) -> int:
        """Return where a reading begins."""
        return 0

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go back to the beginning; there is no other place to go to."""
        if (offset, whence) != (0, 0):
            raise ValueError(f"a file on its way can only be rewound, not moved to {offset}")
        self.close()
        self._ended = False
        return 0

    def close(self) -> None:
        """Close it; the next reading opens it anew."""
        if self._file is not None:
            self._file.close()
            self._file = None


def lazy_source(opening: Callable[[], BinaryIO]) -> Source:
    """Return the source of bytes that ``opening`` opens, and may open again."""
    return Source(LazyFile(opening), filename=None, reopen=None, owned=True)
