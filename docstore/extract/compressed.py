"""Compressed files (gzip, bzip2, xz, zstd), which are read through, and zip and tar archives."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO

from docstore.extract.base import ExtractionError, Source, missing

__all__ = ["archive_members", "inner_name", "member_names", "unpacked"]

_CHUNK = 256 * 1024
_IN_MEMORY = 8 * 1024 * 1024
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
