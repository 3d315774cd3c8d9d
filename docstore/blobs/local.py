"""Storage in a folder of this machine.

It is written without fsspec, whose local writer has neither a temporary file nor an fsync.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from errno import EEXIST
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from docstore.blobs.objects import QUARANTINE, ObjectStat, temporary_name
from docstore.blobs.streams import CHUNK
from docstore.crash_points import reached

__all__ = ["LocalObjects", "fill_file", "sync_folder", "write_all"]

# Bytes of one read: a system call costs little beside this many bytes.
_BLOCK = 262_144
# Windows lacks some flags and has one that POSIX does not need; Python closes every file on exec anyway.
_BINARY: int = getattr(os, "O_BINARY", 0)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
# O_NONBLOCK: opening a named pipe in the place of an object would wait for its writer for ever; a regular
# file does not mind.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY


class LocalObjects:
    """Objects as files below a folder, which is made when the first is written.

    A write goes to a temporary file beside the target, is synced, renamed, and the folder synced: a reader
    sees the whole file or none, and a file whose write was acknowledged survives a power cut.
    """

    name = "the local folder"

    def __init__(self, root: str) -> None:
        self._root = Path(root)
        self._durable: set[int] = set()

    def put(self, key: str, chunks: Iterator[bytes]) -> None:
        """Write a file; see :class:`~docstore.blobs.objects.Objects`."""
        for _ in self.steps(key, chunks):
            pass

    def steps(self, key: str, chunks: Iterator[bytes]) -> Iterator[None]:
        """Write a file in four steps, which many files can take together: fill it, sync it, name it, sync its
        folder. One that is not gone through to its end leaves nothing.
        """
        target, temporary = os.path.join(self._root, key), os.path.join(self._root, temporary_name(key))
        self._make_folder(os.path.dirname(target))
        file = os.open(temporary, _NEW, 0o666)
        try:
            try:
                reached("P3.1")
                for chunk in chunks:
                    write_all(file, chunk)
                reached("P3.2")
                yield
                # Before the rename: else a power cut may leave the name with no bytes behind it.
                os.fsync(file)
            finally:
                os.close(file)
            reached("P3.3")
            yield
            if os.path.lexists(target):
                raise FileExistsError(EEXIST, "an object stands under this key", target)
        except BaseException:
            _unlink(temporary)
            raise
        try:
            os.rename(temporary, target)
            reached("P3.4")
            yield
            # The new name is durable once its folder is.
            sync_folder(os.path.dirname(target))
            reached("P3.5")
        except BaseException:
            _unlink(temporary)
            _unlink(target)
            raise

    def open(self, key: str) -> OpenFile:
        """Open a file."""
        return OpenFile(self._root / key)

    def stat(self, key: str) -> ObjectStat | None:
        """Return a file's size and time; ``None`` too if something else than a file has its name."""
        try:
            status = os.lstat(self._root / key)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return ObjectStat(status.st_size, status.st_mtime) if stat.S_ISREG(status.st_mode) else None

    def remove(self, key: str) -> None:
        """Remove the temporary file first: a late writer then has nothing to rename."""
        # In this order a writer that is still at it has nothing left to rename, and its object does not come
        # back.
        _unlink(self._root / temporary_name(key))
        reached("C2")
        _unlink(self._root / key)
        _unlink(self._root / (QUARANTINE + key))

    def move(self, name: str, to: str) -> None:
        """Rename a file. Its time is set first: killed between the two, it only looks younger."""
        source, target = self._root / name, self._root / to
        self._make_folder(target.parent)
        # The grace period of what was put aside counts from here.
        os.utime(source)
        os.replace(source, target)
        sync_folder(target.parent)
        sync_folder(source.parent)

    def mark(self, name: str, body: bytes, *, replace: bool) -> bool:
        """Write a temporary file and link it, which only one of several can, or rename it."""
        self._make_folder(self._root)
        target, temporary = self._root / name, self._root / f"{name}.{uuid4().hex}.tmp"
        try:
            with temporary.open("xb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            # link() fails where the name is taken, rename() replaces: only the first is a race that one wins.
            done = _replaced(temporary, target) if replace else _linked(temporary, target)
        finally:
            _unlink(temporary)
        sync_folder(self._root)
        return done

    def walk(self, prefix: str, after: str) -> Iterator[tuple[str, int, float | None]]:
        """Walk the folders that can hold such paths, each sorted."""
        folder, found, _ = prefix.rpartition("/")
        yield from self._walk(folder + "/" if found else "", prefix, after)

    def sign(self, key: str, expires: int, disposition: str | None, content_type: str | None) -> str:
        """Refuse: a folder has no URLs."""
        raise NotImplementedError

    def _make_folder(self, name: str | Path) -> None:
        """Make a folder below the root, and it and those above it durable, once in the life of this object.

        A folder that another process just made may not be synced yet: so those that were there are synced,
        too.
        """
        known = hash(os.fspath(name))  # a number each: there are 65,536 folders in the end
        if known in self._durable and os.path.isdir(name):
            return
        folder = Path(name)
        missing = [path for path in (self._root, *self._root.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        steps = folder.relative_to(self._root).parts
        below = [self._root.joinpath(*steps[: depth + 1]) for depth in range(len(steps))]
        for path in (*reversed(below), *missing):
            sync_folder(path.parent)
        self._durable.add(known)

    def _walk(self, folder: str, prefix: str, after: str) -> Iterator[tuple[str, int, float | None]]:
        for name, entry in self._entries(folder):
            if not (name.startswith(prefix) or prefix.startswith(name)):
                continue
            if name.endswith("/"):
                if name > after or after.startswith(name):
                    yield from self._walk(name, prefix, after)
            elif name > after and name.startswith(prefix):
                # Removed since the folder was listed.
                with suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    yield name, status.st_size, status.st_mtime

    def _entries(self, folder: str) -> list[tuple[str, os.DirEntry[str]]]:
        """Return a folder's entries by path below the root, folders ending in a slash, sorted by that."""
        try:
            with os.scandir(self._root / folder) as entries:
                named = [(folder + entry.name + _slash(entry), entry) for entry in entries]
        except FileNotFoundError:
            return []
        return sorted(named, key=lambda item: item[0])


class OpenFile:
    """A file open for reading."""

    block = _BLOCK

    def __init__(self, path: Path) -> None:
        self._file = -1
        self._file = os.open(path, _READ)
        status = os.fstat(self._file)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise FileNotFoundError(f"{path} is no regular file")
        self.size: int = status.st_size

    def read_at(self, position: int, amount: int) -> bytes:
        """Return bytes from a position."""
        if hasattr(os, "pread"):
            return os.pread(self._file, amount, position)
        os.lseek(self._file, position, os.SEEK_SET)
        return os.read(self._file, amount)

    def close(self) -> None:
        """Close it."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def __del__(self) -> None:
        self.close()


def _slash(entry: os.DirEntry[str]) -> str:
    return "/" if entry.is_dir(follow_symlinks=False) else ""


def write_all(file: int, chunk: bytes) -> None:
    """Write the whole chunk to a file descriptor."""
    view = memoryview(chunk)
    while view:
        view = view[os.write(file, view) :]


def fill_file(target: str, file: BinaryIO) -> None:
    """Write a file of this machine, whole and synced or not at all, through a temporary one beside it."""
    folder, _ = os.path.split(target)
    temporary = os.path.join(folder, f".docstore-{uuid4().hex}.tmp")
    # Beside the target, as a rename within one filesystem is atomic.
    descriptor = os.open(temporary, _NEW, 0o666)
    try:
        try:
            while chunk := file.read(CHUNK):
                write_all(descriptor, chunk)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    with suppress(PermissionError):  # a folder may be writable and not readable
        sync_folder(os.path.dirname(target))


def sync_folder(folder: str | Path) -> None:
    """Make the names in a folder durable, where the system lets a folder be opened (Windows does not)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replaced(temporary: Path, target: Path) -> bool:
    os.replace(temporary, target)
    return True


def _linked(temporary: Path, target: Path) -> bool:
    """Let a file appear under a name that nothing has; where the filesystem knows no links, nearly so."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    # No hard links here (FAT, some network shares): look, then rename, between which another may come.
    except OSError:
        if os.path.lexists(target):
            return False
        os.replace(temporary, target)
    return True


def _unlink(path: str | Path) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(path)
