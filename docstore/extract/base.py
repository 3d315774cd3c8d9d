"""The types of text extraction: Source, Extractor, Extracted, the limits and the errors.

The dispatcher builds a `Source` and hands it to one `Extractor`. That yields pieces of text, and notes on the
source what it could not read.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Literal, Protocol

from docstore.errors import DocstoreError, shown

__all__ = [
    "INSTALL",
    "Bound",
    "ExtractLimits",
    "Extracted",
    "ExtractionError",
    "Extractor",
    "Log",
    "Member",
    "Source",
    "State",
    "missing",
]

INSTALL = 'pip install "embedded-docstore[extract]"'
State = Literal["none", "partial", "complete"]
# Bytes read at once.
_CHUNK = 256 * 1024
# A note is shown beside the document, and libraries' messages quote the file.
_NOTE_CHARACTERS = 300


class ExtractionError(DocstoreError, ValueError):
    """A file that should have text gave none; the message says why, and is fit for `Document.error`."""


class Bound(BaseException):
    """A bound was met while a file was read; what was read before is kept.

    No `Exception`, so that an extractor which goes on after a bad piece does not go on after this.
    """


@dataclass(frozen=True, slots=True)
class ExtractLimits:
    """Bounds on the work that one file may cause. A bound that is met keeps what was read before.

    Attributes:
        seconds: of CPU time, default 60; no wall clock, so that a busy machine changes no text.
        memory: bytes of address space of the process that reads, default 1 GiB.
        characters: characters of text that are kept, default 50,000,000; the rest is dropped.
        unpacked: bytes that a compressed file, or the parts of a zipped format together, may unpack to,
            default 1 GiB.

    Raises:
        ValueError: a bound that is not above 0.
    """

    seconds: float = 60.0
    memory: int = 1 << 30
    characters: int = 50_000_000
    unpacked: int = 1 << 30

    def __post_init__(self) -> None:
        for name in ("seconds", "memory", "characters", "unpacked"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={shown(getattr(self, name))}: expected a number above 0")


@dataclass(frozen=True, slots=True)
class Member:
    """A file within a file: a member of an archive, an attachment of a mail.

    Attributes:
        name: as the file around it calls it.
        extracted: its text, and how much of it that is.
    """

    name: str
    extracted: Extracted


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text of a file.

    Attributes:
        text: empty if there is none.
        state: `complete`; `partial` if some of the text could not be read, was cut or is uncertain; `none` if
            the file has no text.
        note: why the state is what it is, in one sentence; None if there is nothing to say.
        content_type: the MIME type that the file was read as.
        members: with `archives=True` the files within the file.
    """

    text: str
    state: State
    note: str | None
    content_type: str
    members: tuple[Member, ...] = ()


@dataclass(slots=True)
class Log:
    """Findings about a file's text while it is read; files within the file share it.

    Attributes:
        notes: what is to be said of the text, at most three.
        is_partial: whether some of the text could not be read.
        characters: how many were yielded so far.
        members: the files within the file: name, content type, state, note, first character, end.
    """

    notes: list[str] = field(default_factory=list)
    is_partial: bool = False
    characters: int = 0
    members: list[tuple[str, str, State, str | None, int, int]] = field(default_factory=list)

    def remark(self, note: str) -> None:
        """Note something that takes nothing from the text."""
        note = " ".join(note.split())[:_NOTE_CHARACTERS]
        if note not in self.notes and len(self.notes) < 3:
            self.notes.append(note)


@dataclass(slots=True)
class Source:
    """The bytes of one file, what is known of them, and what an extractor finds out.

    Attributes:
        stream: a seekable binary stream; an extractor may read it in any order and does not close it.
        filename: the file's name, never opened, only shown and looked at for its suffix.
        content_type: a MIME type, lower case, without parameters.
        limits: the bounds in force.
        charset: the encoding that the caller declares, or None.
        archives: whether files within the file are read, too.
        depth: how many files this one is within.
        pieces: reads a file within this one, such as an HTML page that Word shows in place.
        log: what was found out.
    """

    stream: BinaryIO
    filename: str
    content_type: str
    limits: ExtractLimits = field(default_factory=ExtractLimits)
    charset: str | None = None
    archives: bool = False
    depth: int = 0
    log: Log = field(default_factory=Log)
    pieces: Callable[[Source], Iterator[str]] = field(default=lambda source: iter(()))

    def lost(self, note: str) -> None:
        """Note that a part of the text could not be read, was cut or is uncertain; the first notes count."""
        self.log.is_partial = True
        self.log.remark(note)

    def remark(self, note: str) -> None:
        """Note something that takes nothing from the text."""
        self.log.remark(note)

    def within(self, found: bytes | BinaryIO, filename: str, content_type: str = "") -> Source:
        """Return a source for a file within this one, with the same bounds and the same log."""
        stream = io.BytesIO(found) if isinstance(found, bytes) else found
        made = Source(stream, filename, content_type, self.limits, archives=self.archives, log=self.log)
        made.depth, made.pieces = self.depth + 1, self.pieces
        return made

    def size(self) -> int:
        """Return the number of bytes, and set the stream to its beginning."""
        size = self.stream.seek(0, io.SEEK_END)
        self.stream.seek(0)
        return size

    def head(self, size: int = 4096) -> bytes:
        """Return the first bytes, and set the stream to its beginning."""
        self.stream.seek(0)
        found = self.stream.read(size)
        self.stream.seek(0)
        return found

    def chunks(self, start: int = 0) -> Iterator[bytes]:
        """Yield the bytes from `start` on, as many as can make `limits.characters` characters."""
        self.stream.seek(start)
        room = 4 * self.limits.characters + _CHUNK
        while room > 0 and (found := self.stream.read(min(_CHUNK, room))):
            room -= len(found)
            yield found


class Extractor(Protocol):
    """Turns the bytes of a file into text: any callable of one `Source`."""

    def __call__(self, source: Source, /) -> str | Iterable[str]:
        """Return the text, whole or in pieces that are joined as they are.

        Pieces of some kilobytes are best: each is kept as soon as it is there, whatever happens to the rest.

        Raises:
            ExtractionError: with the reason, where the text cannot be read. Any other exception is
                turned into one by the caller. If there were pieces before, they are kept.
        """
        ...


def missing(what: str, library: str) -> ExtractionError:
    """Build the error for a library that is not installed; it names the command that installs it."""
    return ExtractionError(f"reading {what} needs {library}, which is not installed: {INSTALL}")
