"""Compressed files (gzip, bzip2, xz, zstd), zip and tar archives, and the parts of zipped formats.

All are read through, within bounds. A zip whose table of contents is lost is read by the headers before its
parts, so that a Word, PowerPoint, Excel, OpenDocument or EPUB file that was cut off gives what is left of it.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import posixpath
import re
import struct
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO
from urllib.parse import unquote

from docstore.extract.base import Bound, ExtractionError, Source, missing
from docstore.extract.decode import codec_of
from docstore.extract.markup import XmlHandler, parse_xml

__all__ = [
    "Package",
    "Relation",
    "archive_members",
    "inner_name",
    "member_names",
    "unpacked",
]

# A bomb is noticed within one chunk of the bound that it breaks.
_CHUNK = 256 * 1024
# What is unpacked beyond this goes to a temporary file: the child's memory is bounded.
_IN_MEMORY = 8 * 1024 * 1024
# Names that nobody reads any more; an archive may claim millions of empty members.
_MOST_MEMBERS = 100_000
_SUFFIXES = {"tgz": "tar", "tbz": "tar", "tbz2": "tar", "txz": "tar", "tzst": "tar", "svgz": "svg"}
_DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)


def _zstd(stream: BinaryIO) -> BinaryIO:
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError:
        raise missing("zstd", "backports.zstd") from None
    opened: Any = zstd.open(stream, "rb")
    return opened  # type: ignore[no-any-return]


_OPENERS: dict[str, Callable[[BinaryIO], Any]] = {
    "application/gzip": lambda stream: gzip.GzipFile(fileobj=stream),
    "application/x-bzip2": bz2.BZ2File,
    "application/x-xz": lzma.LZMAFile,
    "application/x-lzma": lzma.LZMAFile,
    "application/zstd": _zstd,
}


def inner_name(filename: str) -> str:
    """Return the name of what a compressed file holds: without its last suffix."""
    stem, _, suffix = filename.rpartition(".")
    more = _SUFFIXES.get(suffix.lower())
    return f"{stem}.{more}" if more and stem else stem or filename


def unpacked(source: Source) -> BinaryIO:
    """Return what a compressed file holds, as a seekable stream; of a damaged one what is before the damage.

    Raises:
        ExtractionError: nothing of it can be unpacked.
    """
    source.stream.seek(0)
    made: Any = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - the caller reads it
    size, room = 0, source.limits.unpacked
    try:
        with _OPENERS[source.content_type](source.stream) as opened:
            for chunk in iter(
                partial(opened.read1 if hasattr(opened, "read1") else opened.read, _CHUNK), b""
            ):
                made.write(chunk[: room - size])
                size += len(chunk)
                if size > room:
                    source.lost(f"cut at {room:,} bytes unpacked")
                    break
    except _DAMAGE as wrong:
        if not size:
            raise ExtractionError(f"cannot be unpacked, damaged or truncated: {wrong}") from wrong
        source.lost(f"damaged or truncated, read up to byte {size:,}: {wrong}")
    made.seek(0)
    return made  # type: ignore[no-any-return]


def member_names(source: Source) -> Iterator[str]:
    """Yield the names of the files in a zip or tar archive, a line each.

    Raises:
        ExtractionError: no such archive, or damaged.
    """
    for number, (name, _) in enumerate(archive_members(source)):
        if number >= _MOST_MEMBERS:
            source.lost(f"cut at {_MOST_MEMBERS:,} members")
            return
        yield f"{name}\n"


def archive_members(source: Source) -> Iterator[tuple[str, Callable[[], BinaryIO | None]]]:
    """Yield the name of each file in an archive, and what opens it (None: it cannot be read).

    Raises:
        ExtractionError: no such archive, or damaged.
    """
    source.stream.seek(0)
    if source.content_type == "application/x-tar":
        yield from _tar_members(source)
        return
    try:
        archive = zipfile.ZipFile(source.stream)
        members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as wrong:
        raise ExtractionError(f"a zip that is damaged or truncated: {wrong}") from wrong
    for member in members:
        if not member.is_dir():
            yield member.filename, partial(_zip_member, archive, member)


def _zip_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> BinaryIO | None:
    try:
        opened: Any = archive.open(member)
    # Encrypted, packed by a method that zipfile does not know, or damaged: its name is still listed.
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError, OSError):
        return None
    return opened  # type: ignore[no-any-return]


def _tar_members(source: Source) -> Iterator[tuple[str, Callable[[], BinaryIO | None]]]:
    found = 0
    try:
        archive = tarfile.open(fileobj=source.stream, mode="r:")  # noqa: SIM115 - over the caller's stream
        for member in archive:
            vars(archive)["members"] = []  # it would keep every header
            found += 1
            if not member.isdir():
                yield member.name, partial(_tar_member, archive, member)
    except (tarfile.TarError, EOFError, OSError, ValueError) as wrong:
        if not found:
            raise ExtractionError(f"a tar archive that is damaged or truncated: {wrong}") from wrong
        source.lost(f"the archive is damaged or truncated after {found:,} members")


def _tar_member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> BinaryIO | None:
    opened: Any = archive.extractfile(member) if member.isreg() else None
    return opened  # type: ignore[no-any-return]


_STEP = 1024  # of a damaged part: what a step holds is lost with it
# Office writes some hundred parts; a directory that claims more is read up to here.
_MOST_PARTS = 100_000
_ENCODING = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([-\w.:]+)""")
_HEADER = struct.Struct("<4sHHHHHIIIHH")
_DAMAGED_PART = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OSError,
    ValueError,
    RuntimeError,
)


@dataclass(frozen=True, slots=True)
class Relation:
    """A relationship from one part of an Office file to another.

    Attributes:
        id: as the part refers to it.
        kind: the last step of its type, lower case: `header`, `slide`, `worksheet` …
        target: the name of the other part, lower case.
    """

    id: str
    kind: str
    target: str


class Package:
    """The parts of a zipped file by name; case does not count."""

    def __init__(self, source: Source) -> None:
        """Read the table of contents.

        Raises:
            ExtractionError: no zip, or encrypted.
        """
        self.source = source
        self._left = source.limits.unpacked
        self._parts: dict[str, zipfile.ZipInfo | int] = {}
        self._zip: zipfile.ZipFile | None = None
        source.stream.seek(0)
        try:
            self._zip = zipfile.ZipFile(source.stream)
        except _DAMAGED_PART as wrong:
            self._parts = dict(_salvaged(source))
            if not self._parts:
                raise ExtractionError(f"not a zipped file, or damaged: {wrong}") from wrong
            source.lost("the file is cut off or damaged; what is left of it was read")
        else:
            members = self._zip.infolist()[:_MOST_PARTS]
            if any(member.flag_bits & 1 for member in members):
                raise ExtractionError("the file is encrypted and needs a password")
            for member in members:
                self._parts.setdefault(_plain(member.filename), member)

    def __contains__(self, name: str) -> bool:
        """Tell whether there is a part of this name."""
        return name.lower() in self._parts

    def names(self) -> list[str]:
        """Return the parts' names, lower case."""
        return [*self._parts]

    def read(self, name: str, most: int = 16 * 1024 * 1024) -> bytes:
        """Return the first bytes of a part; empty if there is none, or it is damaged."""
        made: list[bytes] = []
        for chunk in self.bytes_of(name):
            made.append(chunk)
            most -= len(chunk)
            if most <= 0:
                break
        return b"".join(made)

    def bytes_of(self, name: str) -> Iterator[bytes]:
        """Yield a part's bytes, unpacked; what is damaged is noted.

        Raises:
            Bound: the parts together unpack to more than `limits.unpacked`.
        """
        member = self._parts.get(_plain(name))
        if member is None:
            return
        count = 0
        if isinstance(member, zipfile.ZipInfo):
            try:
                for chunk in self._unpacked(member):
                    count += len(chunk)
                    yield self._counted(chunk)
            except _DAMAGED_PART as wrong:
                self.source.lost(f"a part of the file could not be read: {name}: {wrong}")
                member = member.header_offset
            else:
                return
        try:
            for chunk in _inflated(self.source, member):
                kept = chunk[max(count, 0) :]
                count -= len(chunk)
                if kept:
                    yield self._counted(kept)
        except _DAMAGED_PART as wrong:
            self.source.lost(f"a part of the file could not be read: {name}: {wrong}")

    def _counted(self, chunk: bytes) -> bytes:
        if self._left <= 0:
            raise Bound(f"cut at {self.source.limits.unpacked:,} bytes unpacked")
        self._left -= len(chunk)
        return chunk

    def _unpacked(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        assert self._zip is not None
        with self._zip.open(member) as stream:
            yield from iter(partial(stream.read, _CHUNK), b"")

    def xml(self, name: str) -> Iterator[str]:
        """Yield a part's XML, decoded by its mark or declaration, else as UTF-8."""
        decoder = None
        for chunk in self.bytes_of(name):
            if decoder is None:
                codec = "utf-16" if chunk[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
                declared = _ENCODING.match(chunk[:200])
                if declared and codec != "utf-16":
                    codec = codec_of(declared[1].decode()) or codec
                    codec = "utf-8-sig" if codec.startswith("utf") else codec
                decoder = codecs.getincrementaldecoder(codec)("replace")
            yield decoder.decode(chunk)

    def walk(self, name: str, handler: XmlHandler) -> Iterator[str]:
        """Walk a part; one that cannot be read costs itself alone, and is noted."""
        if name not in self:
            return
        try:
            yield from parse_xml(self.xml(name), handler, self.source, name)
        except ExtractionError as wrong:
            self.source.lost(f"a part of the file could not be read: {wrong.message}")

    def relations(self, name: str) -> list[Relation]:
        """Return a part's relationships to other parts; those of the whole file for the empty name."""
        folder, _, last = name.rpartition("/")
        handler = _Relations(folder)
        for _ in self.walk(posixpath.join(folder, "_rels", f"{last}.rels").lower(), handler):
            pass
        return [relation for relation in handler.relations if relation.target in self._parts]


class _Relations(XmlHandler):
    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder
        self.relations: list[Relation] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Note a relationship."""
        target = attributes.get("Target", "")
        if not name.endswith("Relationship") or attributes.get("TargetMode") == "External" or not target:
            return
        path = posixpath.normpath(posixpath.join("/", self._folder, unquote(target)))
        kind = attributes.get("Type", "").rpartition("/")[2].lower()
        self.relations.append(Relation(attributes.get("Id", ""), kind, _plain(path)))


def _plain(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()


def _salvaged(source: Source) -> Iterator[tuple[str, int]]:
    """Yield the names of parts and where their headers are, found by the headers' mark."""
    source.stream.seek(0)
    at, held = 0, b""
    while chunk := source.stream.read(_CHUNK):
        held += chunk
        for match in re.finditer(rb"PK\x03\x04", held):
            header = held[match.start() : match.start() + _HEADER.size + 512]
            if len(header) >= _HEADER.size:
                length = _HEADER.unpack_from(header)[9]
                name = header[_HEADER.size : _HEADER.size + length].decode("utf-8", "replace")
                if name and len(name) < 512:
                    yield _plain(name), at + match.start()
        at += max(len(held) - 600, 0)
        held = held[-600:]


def _inflated(source: Source, at: int) -> Iterator[bytes]:
    """Yield the bytes of a part whose header is at an offset, as far as they go."""
    source.stream.seek(at)
    values = _HEADER.unpack(source.stream.read(_HEADER.size))
    flags, method, packed, name, extra = values[2], values[3], values[7], values[9], values[10]
    if flags & 1 or method not in (0, 8):
        raise ValueError("encrypted or packed in an unknown way")
    position = at + _HEADER.size + name + extra
    inflate = zlib.decompressobj(-15) if method else None
    left = packed if method == 0 else 1 << 62
    while left > 0:
        source.stream.seek(position)
        chunk = source.stream.read(min(_STEP, left))
        if not chunk:
            raise EOFError("it is cut off")
        position += len(chunk)
        left -= len(chunk)
        if inflate is None:
            yield chunk
            continue
        found = inflate.decompress(chunk, 4 * _CHUNK)
        while found:
            yield found
            found = inflate.decompress(inflate.unconsumed_tail, 4 * _CHUNK)
        if inflate.eof:
            return
