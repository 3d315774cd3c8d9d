"""Read one file for indexing: its bytes or where they are, its sha256, its text or the reason for none."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from docstore.cli.walk import Entry
from docstore.extract import ExtractionError, ExtractLimits, Registry, extract
from docstore.extract.base import State

__all__ = ["Reading", "read_file", "source_metadata"]

_IN_MEMORY = 8 * 1024 * 1024  # a longer file is read from the disk again when it is stored
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a file.

    Attributes:
        entry: the file as it was met.
        source: its bytes, or its path where it is long; None if it cannot be read.
        size: bytes that were read.
        sha256: hex digest of them; None if it cannot be read.
        content: its text, None if there is none.
        state, note: how much of the file's text that is, and why; None if it could not be read.
        error: why there is none, None if there is.
    """

    entry: Entry
    source: bytes | Path | None
    size: int = 0
    sha256: str | None = None
    content: str | None = None
    state: State | None = None
    note: str | None = None
    error: str | None = None

    @property
    def weight(self) -> int:
        """Bytes of memory held, about."""
        return (len(self.source) if isinstance(self.source, bytes) else 0) + 2 * len(self.content or "")


def read_file(entry: Entry, registry: Registry | None = None, limits: ExtractLimits | None = None) -> Reading:
    """Read a file and its text; never raises for what is wrong with the file."""
    try:
        source, size, sha256 = _bytes_of(entry.path)
    except OSError as error:
        return Reading(entry, None, error=f"cannot be read: {error.strerror or error}")
    name = os.path.basename(entry.path)
    try:
        found = extract(source, filename=name, registry=registry, limits=limits)
    except ExtractionError as error:
        return Reading(entry, source, size, sha256, error=error.message)
    return Reading(entry, source, size, sha256, found.text or None, found.state, found.note)


def _bytes_of(path: str) -> tuple[bytes | Path, int, str]:
    with open(path, "rb") as file:
        found = file.read(_IN_MEMORY + 1)
        if len(found) <= _IN_MEMORY:
            return found, len(found), hashlib.sha256(found).hexdigest()
        file.seek(0)
        return Path(path), os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()


def source_metadata(entry: Entry, sha256: str | None) -> dict[str, Any]:
    """Build `metadata.source`: where a document came from, and what tells whether the file changed since.

    Returns:
        `path` and `folder` (relative, parted by `/`), `size` (bytes), `mtime_ns` (nanoseconds since
        1970), `modified` (the same as RFC 3339 text, for people and for filters) and `sha256`.
    """
    return {
        "path": entry.name,
        "folder": entry.name.rpartition("/")[0],
        "size": entry.size,
        "mtime_ns": entry.mtime_ns,
        "modified": _modified(entry.mtime_ns),
        "sha256": sha256,
    }


def _modified(mtime_ns: int) -> str | None:
    """Write a file's time as text; None where it lies beyond the calendar."""
    try:
        moment = _EPOCH + timedelta(microseconds=mtime_ns // 1000)
    except OverflowError:
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
