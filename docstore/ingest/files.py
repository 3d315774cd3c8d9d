"""Files of a folder: which of them count, a walk that meets each once, and the reading of one.

A walk goes in a fixed order. A folder that cannot be listed, a link that leads nowhere and a special file are
reported, and it goes on. What ``.gitignore`` and ``.docstoreignore`` leave out, as git reads them, is never
looked at: the patterns of a file hold below its folder; of those that match, the last in the deepest folder
decides.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from docstore.extract import ExtractionError, ExtractLimits, Member, Registry, extract
from docstore.extract.dispatch import has_attachments
from docstore.extract.short import read_short
from docstore.ingest.ignore import Ignored, above
from docstore.mediatypes import file_type_of

__all__ = [
    "ALWAYS_LEFT_OUT",
    "Entry",
    "FileReading",
    "WalkOptions",
    "entry_of",
    "has_members",
    "read_file",
    "source_metadata",
    "walk",
]

# Names that nobody looks for; `ignore=False` takes them, too.
ALWAYS_LEFT_OUT = (".git", "node_modules", "__pycache__", "~$*", "Thumbs.db", "desktop.ini", ".DS_Store")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that was met, or why it cannot be taken.

    Attributes:
        path: where it is, to be opened.
        name: its path relative to the folder, parted by `/`.
        size: bytes.
        mtime_ns: time of the last change, nanoseconds since 1970, UTC.
        problem: None, or the reason why it cannot be indexed.
        passed: it was left out on purpose (a link, a socket); `problem` says what it is.
        ignored: it was left out by a rule, with all that it holds if it is a folder.
    """

    path: str
    name: str
    size: int = 0
    mtime_ns: int = 0
    problem: str | None = None
    passed: bool = False
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class WalkOptions:
    """The options of a walk: which files it takes and leaves.

    Attributes:
        hidden: take files and folders whose name begins with a dot; default no.
        follow: follow symbolic links to files and folders; each folder is entered once, so a loop
            ends. Default no.
        include: patterns; only files that match one are taken. None: all files.
        exclude: patterns (`*.tmp`, `build`, `docs/*`) held against the name and the relative path.
        ignore: leave out what `.gitignore` and `.docstoreignore` say, and `ALWAYS_LEFT_OUT`; default yes.
        avoid: called with the path of each entry; true leaves it out without a word.
    """

    hidden: bool = False
    follow: bool = False
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    ignore: bool = True
    avoid: Callable[[str], bool] = lambda _: False


def walk(folder: str | os.PathLike[str], options: WalkOptions | None = None) -> Iterator[Entry]:
    """Yield every file below a folder, sorted by name within each folder, and what was left out by a rule.

    Memory grows with the depth and the width of the folders on the way, not with the number of files.

    Arguments:
        folder: where to begin; a link to a folder is followed.
        options: what to take and to leave; default: neither hidden files nor links.

    Raises:
        OSError: the folder itself cannot be listed.
    """
    root, taken = os.path.realpath(folder), options or WalkOptions()
    entered: set[tuple[int, int]] = set()
    pending = [(_listed(root, entered), Ignored(root, above(root)))]
    while pending:
        listed, rules = pending[-1]
        entry = next(listed, None)
        if entry is None:
            pending.pop()
            continue
        name = os.path.relpath(entry.path, root).replace(os.sep, "/")
        if taken.avoid(entry.path):
            continue
        met = _met(entry, name, taken)
        if _left_out(entry.name, name, met is None, taken) or (
            taken.ignore and rules.leaves_out(entry.path, is_folder=met is None)
        ):
            yield Entry(entry.path, name, ignored=True)
            continue
        if met is not None:
            yield met
            continue
        try:
            pending.append((_listed(entry.path, entered), Ignored(entry.path, rules)))
        except OSError as error:
            yield Entry(entry.path, name, problem=f"folder cannot be listed: {error.strerror}")


def entry_of(path: str, name: str) -> Entry:
    """Return the entry of one file that was named by itself; a link is followed."""
    try:
        status = os.stat(path)
    except OSError as error:
        return Entry(path, name, problem=f"cannot be looked at: {error.strerror}")
    if not stat.S_ISREG(status.st_mode):
        return Entry(path, name, problem="no regular file")
    return Entry(path, name, status.st_size, status.st_mtime_ns)


def _listed(path: str, entered: set[tuple[int, int]]) -> Iterator[os.DirEntry[str]]:
    """List a folder sorted by name; one that was entered before is empty."""
    status = os.stat(path)
    if (status.st_dev, status.st_ino) in entered:
        return iter(())
    with os.scandir(path) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    entered.add((status.st_dev, status.st_ino))
    return iter(entries)


def _left_out(name: str, path: str, is_folder: bool, options: WalkOptions) -> bool:
    if name.startswith(".") and not options.hidden:
        return True
    if options.ignore and any(fnmatchcase(name, pattern) for pattern in ALWAYS_LEFT_OUT):
        return True
    if _matches(name, path, options.exclude):
        return True
    return bool(options.include) and not is_folder and not _matches(name, path, options.include)


def _matches(name: str, path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) or fnmatchcase(path, pattern) for pattern in patterns)


_KINDS = {stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}


def _met(entry: os.DirEntry[str], name: str, options: WalkOptions) -> Entry | None:
    """Return what an entry is, None for a folder to enter."""
    try:
        status = entry.stat(follow_symlinks=options.follow)
    except OSError as error:
        return Entry(entry.path, name, problem=f"cannot be looked at: {error.strerror}")
    if stat.S_ISDIR(status.st_mode):
        return None
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "a device")
        return Entry(entry.path, name, problem=kind, passed=True)
    return Entry(entry.path, name, status.st_size, status.st_mtime_ns)


_IN_MEMORY = 8 * 1024 * 1024  # a longer file is read from the disk again when it is stored
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# JSON on every backend keeps integers of 64 bits exactly; some filesystems know later times.
_MOST_INTEGER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class FileReading:
    """The content of a file, read for indexing.

    Attributes:
        entry: the file as it was met.
        source: its bytes, or its path where it is long; None if it cannot be read.
        size: bytes that were read.
        sha256: hex digest of them; None if it cannot be read.
        text: what a document has of it: `content`, `content_state`, `content_note`.
        error: why there is no text although there should be, None otherwise.
        members: the files within an archive or mail; None if it is none, or they were not asked for.
    """

    entry: Entry
    source: bytes | Path | None
    size: int = 0
    sha256: str | None = None
    text: Mapping[str, str | None] = field(default_factory=dict)
    error: str | None = None
    members: tuple[Member, ...] | None = None

    @property
    def weight(self) -> int:
        """Bytes of memory held, about."""
        return (len(self.source) if isinstance(self.source, bytes) else 0) + 2 * len(
            self.text.get("content") or ""
        )


def read_file(
    entry: Entry,
    registry: Registry | None = None,
    limits: ExtractLimits | None = None,
    *,
    archives: bool = False,
) -> FileReading:
    """Read a file and its text; never raises for what is wrong with the file."""
    try:
        source, size, sha256 = _bytes_of(entry.path)
    except OSError as error:
        return FileReading(entry, None, error=f"cannot be read: {error.strerror or error}")
    name = os.path.basename(entry.name)
    try:
        found = None
        if registry is None and limits is None and isinstance(source, bytes):
            found = read_short(source, name)
        if found is None:
            found = extract(source, filename=name, registry=registry, limits=limits)
        members = None
        if archives and has_members(found.content_type):
            members = extract(source, filename=name, registry=registry, limits=limits, archives=True).members
    except ExtractionError as error:
        return FileReading(entry, source, size, sha256, error=error.message)
    text = {"content": found.text or None, "content_state": found.state, "content_note": found.note}
    return FileReading(entry, source, size, sha256, text, members=members)


def has_members(content_type: str) -> bool:
    """Return whether files of this type can hold others: archives and messages."""
    return has_attachments(content_type) or file_type_of(content_type, "") == "archive"


def _bytes_of(path: str) -> tuple[bytes | Path, int, str]:
    with open(path, "rb") as file:
        found = file.read(_IN_MEMORY + 1)
        if len(found) <= _IN_MEMORY:
            return found, len(found), hashlib.sha256(found).hexdigest()
        file.seek(0)
        return Path(path), os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()


def source_metadata(entry: Entry, where: Mapping[str, Any], sha256: str | None) -> dict[str, Any]:
    """Build `metadata.source`: where a document came from, and what tells whether the file changed since.

    Returns:
        `root` and `root_path` (the folder's name and place), `path` and `folder` (relative, parted by `/`),
        `size` (bytes), `mtime_ns` (nanoseconds since 1970; text beyond 64 bits), `modified` (the same as RFC
        3339 text, for people and for filters) and `sha256`; `raw_path` where the path is no UTF-8.
    """
    return {
        **where,
        "size": entry.size,
        "mtime_ns": time_of(entry),
        "modified": _modified(entry.mtime_ns),
        "sha256": sha256,
    }


def time_of(entry: Entry) -> int | str:
    """Return the time of a file's last change as metadata can hold it."""
    return entry.mtime_ns if abs(entry.mtime_ns) <= _MOST_INTEGER else str(entry.mtime_ns)


def _modified(mtime_ns: int) -> str | None:
    """Write a file's time as text; None where it lies beyond the calendar."""
    try:
        moment = _EPOCH + timedelta(microseconds=mtime_ns // 1000)
    except OverflowError:
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
