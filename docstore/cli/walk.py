"""Walk a folder: every file once, in a fixed order, whatever is in the way.

The first step of indexing. Nothing is opened here; a folder that cannot be listed, a link that leads
nowhere and a name that is no text are reported and the walk goes on.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

__all__ = ["Entry", "WalkOptions", "walk"]


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
    """

    path: str
    name: str
    size: int = 0
    mtime_ns: int = 0
    problem: str | None = None
    passed: bool = False


@dataclass(frozen=True, slots=True)
class WalkOptions:
    """What a walk takes and leaves.

    Attributes:
        hidden: take files and folders whose name begins with a dot; default no.
        follow: follow symbolic links to files and folders; each folder is entered once, so a loop
            ends. Default no.
        exclude: patterns (`*.tmp`, `build`, `docs/*`) held against the name and the relative path.
        avoid: called with the path of each entry; true leaves it out without a word.
    """

    hidden: bool = False
    follow: bool = False
    exclude: Sequence[str] = ()
    avoid: Callable[[str], bool] = lambda _: False


def walk(folder: str | os.PathLike[str], options: WalkOptions | None = None) -> Iterator[Entry]:
    """Yield every file below a folder, sorted by name within each folder.

    Memory grows with the depth and the width of the folders on the way, not with the number of files.

    Arguments:
        folder: where to begin; a link to a folder is followed.
        options: what to take and to leave; default: neither hidden files nor links.

    Raises:
        OSError: the folder itself cannot be listed.
    """
    root, taken = os.path.realpath(folder), options or WalkOptions()
    entered: set[tuple[int, int]] = set()
    pending = [_listed(root, entered)]
    while pending:
        entry = next(pending[-1], None)
        if entry is None:
            pending.pop()
            continue
        name = os.path.relpath(entry.path, root).replace(os.sep, "/")
        if _left_out(entry.name, name, taken) or taken.avoid(entry.path):
            continue
        met = _met(entry, name, taken)
        if met is not None:
            yield met
            continue
        try:
            pending.append(_listed(entry.path, entered))
        except OSError as error:
            yield Entry(entry.path, name, problem=f"folder cannot be listed: {error.strerror}")


def _listed(path: str, entered: set[tuple[int, int]]) -> Iterator[os.DirEntry[str]]:
    """List a folder sorted by name; one that was entered before is empty."""
    status = os.stat(path)
    if (status.st_dev, status.st_ino) in entered:
        return iter(())
    with os.scandir(path) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    entered.add((status.st_dev, status.st_ino))
    return iter(entries)


def _left_out(name: str, path: str, options: WalkOptions) -> bool:
    if name.startswith(".") and not options.hidden:
        return True
    return any(fnmatchcase(name, pattern) or fnmatchcase(path, pattern) for pattern in options.exclude)


def _met(entry: os.DirEntry[str], name: str, options: WalkOptions) -> Entry | None:
    """Return what an entry is, None for a folder to enter."""
    try:
        status = entry.stat(follow_symlinks=options.follow)
    except OSError as error:
        return Entry(entry.path, name, problem=f"cannot be looked at: {error.strerror}")
    if stat.S_ISDIR(status.st_mode):
        return None
    if not stat.S_ISREG(status.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "no regular file"
        return Entry(entry.path, name, problem=kind, passed=True)
    return Entry(entry.path, name, status.st_size, status.st_mtime_ns)
