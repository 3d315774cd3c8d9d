"""Walk a folder: every file once, in a fixed order, whatever is in the way.

The first step of indexing. No file is opened here but those that say what to leave out; a folder that cannot
be listed, a link that leads nowhere and a special file are reported and the walk goes on.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from docstore.ingest.ignore import Ignored, above

__all__ = ["ALWAYS_LEFT_OUT", "Entry", "WalkOptions", "entry_of", "walk"]

ALWAYS_LEFT_OUT = (".git", "node_modules", "__pycache__", "~$*", "Thumbs.db", "desktop.ini", ".DS_Store")
"""Names that nobody looks for; ``ignore=False`` takes them, too."""


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
