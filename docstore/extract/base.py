"""What every extractor sees and raises: the source, its bounds, and the error with a reason.

The registry builds a `Source`, hands it to one `Extractor` and cuts what comes back to the bounds.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from time import monotonic
from typing import BinaryIO, Protocol

from docstore.errors import DocstoreError, shown

__all__ = ["INSTALL", "ExtractLimits", "ExtractionError", "Extractor", "Source", "missing"]

INSTALL = 'pip install "embedded-docstore[extract]"'


class ExtractionError(DocstoreError, ValueError):
    """The text of a file could not be read; the message is a reason for people, fit for `Document.error`."""


@dataclass(frozen=True, slots=True)
class ExtractLimits:
    """Bounds on the work that one file may cause.

    Attributes:
        bytes: bytes of a file that are read, default 64 MiB. Text is read up to there; formats that
            need the whole file (PDF, Office) refuse a longer one.
        characters: characters of text that are kept, default 5,000,000; the rest is dropped.
        unpacked: bytes that a zipped format (Word, Excel, PowerPoint) may unpack to, default 128 MiB.
        members: files within a zipped format, default 20,000.
        seconds: time after which reading is given up, default 60; looked at between pages, rows and
            paragraphs.

    Raises:
        ValueError: a bound that is not above 0.
    """

    bytes: int = 64 * 1024 * 1024
    characters: int = 5_000_000
    unpacked: int = 128 * 1024 * 1024
    members: int = 20_000
    seconds: float = 60.0

    def __post_init__(self) -> None:
        for name in ("bytes", "characters", "unpacked", "members", "seconds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={shown(getattr(self, name))}: expected a number above 0")


@dataclass(frozen=True, slots=True)
class Source:
    """The bytes of one file and what is known of them.

    Attributes:
        stream: a seekable binary stream; an extractor may read it in any order and does not close it.
        filename: the file's name, never opened, only shown and looked at for its suffix.
        content_type: a MIME type, lower case, without parameters.
        limits: the bounds in force.
    """

    stream: BinaryIO
    filename: str
    content_type: str
    limits: ExtractLimits = field(default_factory=ExtractLimits)

    def start(self) -> tuple[bytes, bool]:
        """Read from the beginning as much as the bounds allow.

        Returns:
            The bytes, and whether the file goes on after them. Four bytes a character are enough.
        """
        self.stream.seek(0)
        room = min(self.limits.bytes, 4 * self.limits.characters + 4)
        found = self.stream.read(room + 1)
        return found[:room], len(found) > room

    def whole(self) -> BinaryIO:
        """Return the stream, set to its beginning, for a format that needs the whole file.

        Raises:
            ExtractionError: the file is empty, or longer than `limits.bytes`.
        """
        size = self.stream.seek(0, io.SEEK_END)
        self.stream.seek(0)
        if size == 0:
            raise ExtractionError("the file is empty (0 bytes)")
        if size > self.limits.bytes:
            raise ExtractionError(
                f"the file has {size:,} bytes; text of {self.content_type} is read from files up to "
                f"{self.limits.bytes:,} bytes"
            )
        return self.stream


class Extractor(Protocol):
    """Turns the bytes of a file into text: any callable of one `Source`."""

    def __call__(self, source: Source, /) -> str | Iterable[str]:
        """Return the text, whole or in pieces that are joined as they are.

        Pieces are better for long files: reading stops once the bounds are reached.

        Raises:
            ExtractionError: with the reason, where the text cannot be read. Any other exception is
                turned into one by the caller.
        """
        ...


def missing(what: str, library: str) -> ExtractionError:
    """Build the error for a library that is not installed; it names the command that installs it."""
    return ExtractionError(f"reading {what} needs {library}, which is not installed: {INSTALL}")


def joined(text: str | Iterable[str], limits: ExtractLimits) -> str:
    """Join pieces until `limits.characters` are there.

    Raises:
        ExtractionError: the pieces took longer than `limits.seconds`.
    """
    if isinstance(text, str):
        return text[: limits.characters]
    ends = monotonic() + limits.seconds
    kept: list[str] = []
    room = limits.characters
    for piece in text:
        kept.append(piece[:room])
        room -= len(kept[-1])
        if room <= 0:
            break
        if monotonic() > ends:
            raise ExtractionError(f"gave up after {limits.seconds:g} seconds; the file is too complex")
    return "".join(kept)
