"""Storage on other fsspec filesystems, ``memory://`` among them.

Calls are for single objects and never expand wildcards. Memory is one dictionary per process, each store
below a root of its own.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from errno import EEXIST, EIO, ENOENT
from typing import Any

from docstore.blobs.objects import MARK, QUARANTINE, ObjectStat, temporary_name
from docstore.blobs.streams import CHUNK
from docstore.crash_points import reached

__all__ = [
    "FilesystemObjects",
    "MemoryObjects",
]

# Bytes of one read, a request each on a remote filesystem.
_BLOCK = 4_194_304


class FilesystemObjects:
    """Objects on an fsspec filesystem that is neither local, nor memory, nor S3, chained ones included.

    An object is written under its own fresh key, which no row calls live before it is whole; a write that
    fails removes it. How durable a closed file is, is the filesystem's word.
    """

    def __init__(self, filesystem: Any, root: str) -> None:
        protocol = filesystem.protocol
        self.name: str = f"the filesystem {protocol if isinstance(protocol, str) else protocol[0]!r}"
        self._filesystem = filesystem
        self._root = root.rstrip("/") + "/" if root else ""

    def put(self, key: str, chunks: Iterator[bytes]) -> None:
        """Write a file, and look at it afterwards: a filesystem may lose the tail without an error."""
        path = self._root + key
        if self.stat(key) is not None:
            raise FileExistsError(EEXIST, "an object stands under this key", path)
        self._filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
        file = None
        try:
            file = self._filesystem.open(path, "wb")
            self._fill(file, path, chunks)
        except BaseException:
            self._take_back(file, path)
            raise

    def open(self, key: str) -> OpenHandle:
        """Open a file."""
        found = self.stat(key)
        if found is None:
            raise FileNotFoundError(f"no such object: {key}")
        filesystem = _uncached(self._filesystem) if key == MARK else self._filesystem
        return OpenHandle(filesystem.open(self._root + key, "rb"), found.size)

    def stat(self, key: str) -> ObjectStat | None:
        """Return a file's size and time."""
        # fsspec remembers listings: another process may have written since.
        self._filesystem.invalidate_cache()
        try:
            found = self._filesystem.info(self._root + key)
        except FileNotFoundError:
            return None
        return ObjectStat(int(found["size"]), _modified(found)) if found["type"] == "file" else None

    def remove(self, key: str) -> None:
        """Remove a file."""
        with suppress(FileNotFoundError):
            self._filesystem.rm_file(self._root + temporary_name(key))
        reached("C2")
        with suppress(FileNotFoundError):
            self._filesystem.rm_file(self._root + key)
        with suppress(FileNotFoundError):
            self._filesystem.rm_file(self._root + QUARANTINE + key)

    def move(self, name: str, to: str) -> None:
        """Copy the file through this process, which every filesystem allows, then remove it."""
        opened = self.open(name)
        try:
            places = range(0, opened.size, CHUNK)
            with suppress(FileNotFoundError):
                self._filesystem.rm_file(self._root + to)  # the rest of an earlier try
            self.put(to, (opened.read_at(at, CHUNK) for at in places))
        finally:
            opened.close()
        self._filesystem.rm_file(self._root + name)

    def mark(self, name: str, body: bytes, *, replace: bool) -> bool:
        """Look first: fsspec has no word for creating a file only where there is none."""
        if not replace and self.stat(name) is not None:
            return False
        with suppress(FileNotFoundError):
            self._filesystem.rm_file(self._root + name)
        self.put(name, iter([body]))
        return True

    def walk(self, prefix: str, after: str) -> Iterator[tuple[str, int, float | None]]:
        """Walk the folders that can hold such paths, each listed alone and sorted."""
        self._filesystem.invalidate_cache()
        folder, found, _ = prefix.rpartition("/")
        yield from self._walk(folder + "/" if found else "", prefix, after)

    def sign(self, key: str, expires: int, disposition: str | None, content_type: str | None) -> str:
        """Ask the filesystem, which is told no disposition: each has its own words for it."""
        return str(self._filesystem.sign(self._root + key, expiration=expires))

    def _fill(self, file: Any, path: str, chunks: Iterator[bytes]) -> None:
        reached("P3.1")
        count = 0
        for chunk in chunks:
            file.write(chunk)
            count += len(chunk)
        reached("P3.2")
        file.close()
        reached("P3.4")
        self._filesystem.invalidate_cache()
        if (size := self._filesystem.info(path)["size"]) != count:
            raise OSError(EIO, f"{count} bytes were written and {size} are there", path)
        reached("P3.5")

    def _take_back(self, file: Any, path: str) -> None:
        """Remove what a failed write left; closing its file publishes it, so that it can be removed."""
        # Best effort while another error is on its way; a collection removes what stays.
        with suppress(Exception):
            if file is not None:
                file.close()
        with suppress(Exception):
            self._filesystem.rm_file(path)

    def _walk(self, folder: str, prefix: str, after: str) -> Iterator[tuple[str, int, float | None]]:
        for name, size, modified in self._entries(folder):
            if not (name.startswith(prefix) or prefix.startswith(name)):
                continue
            if name.endswith("/"):
                if name > after or after.startswith(name):
                    yield from self._walk(name, prefix, after)
            elif name > after and name.startswith(prefix):
                yield name, size, modified

    def _entries(self, folder: str) -> list[tuple[str, int, float | None]]:
        path = (self._root + folder).rstrip("/")
        with suppress(FileNotFoundError):
            listed = self._filesystem.ls(path, detail=True)
            entries = ((entry["name"].rstrip("/").rpartition("/")[2], entry) for entry in listed)
            return sorted(
                (
                    folder + name + ("/" if entry["type"] == "directory" else ""),
                    int(entry["size"] or 0),
                    _modified(entry),
                )
                for name, entry in entries
                if name
            )
        return []


class OpenHandle:
    """A file of the filesystem, open for reading."""

    block = _BLOCK

    def __init__(self, file: Any, size: int) -> None:
        self._file = file
        self.size = size

    def read_at(self, position: int, amount: int) -> bytes:
        """Return bytes from a position."""
        if self._file.tell() != position:
            self._file.seek(position)
        return bytes(self._file.read(amount))

    def close(self) -> None:
        """Close it."""
        self._file.close()


# The names under which fsspec's filesystems tell when a file was written.
_TIMES = ("mtime", "LastModified", "last_modified", "modified", "updated", "created")


def _modified(entry: Mapping[str, Any]) -> float | None:
    """Return when a file was written, seconds since the epoch; ``None`` if the filesystem does not say."""
    for value in map(entry.get, _TIMES):
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, (int, float)):
            return float(value)
    return None


def _uncached(filesystem: Any) -> Any:
    """Return the filesystem below a cache, which may hold what has been replaced since."""
    from fsspec.implementations.cached import CachingFileSystem

    while isinstance(filesystem, CachingFileSystem):
        filesystem = filesystem.fs
    return filesystem


# A read copies: larger pieces would only hold more memory.
_MEMORY_BLOCK = 1_048_576


class MemoryObjects:
    """Objects in the dictionary of fsspec's memory filesystem.

    The dictionary is used directly: the filesystem's ``info`` walks all of it at each call, and its ``open``
    gives every reader the same file, position and all.
    """

    name = "memory://"

    def __init__(self, filesystem: Any, root: str) -> None:
        self._filesystem = filesystem
        self._root = root.rstrip("/") + "/"

    def put(self, key: str, chunks: Iterator[bytes]) -> None:
        """Collect the chunks, then let the object appear at once."""
        from fsspec.implementations.memory import MemoryFile

        path = self._root + key
        file = MemoryFile(self._filesystem, path)
        reached("P3.1")
        for chunk in chunks:
            file.write(chunk)
        reached("P3.2")
        if self._store.setdefault(path, file) is not file:
            raise FileExistsError(EEXIST, "an object stands under this key", path)
        try:
            reached("P3.4")
            reached("P3.5")
        except BaseException:
            self._store.pop(path, None)
            raise

    def open(self, key: str) -> OpenMemory:
        """Open an object."""
        if (file := self._store.get(self._root + key)) is None:
            raise FileNotFoundError(ENOENT, "no such object", key)
        return OpenMemory(file)

    def stat(self, key: str) -> ObjectStat | None:
        """Return an object's size and time."""
        file = self._store.get(self._root + key)
        return None if file is None else ObjectStat(int(file.size), file.modified.timestamp())

    def remove(self, key: str) -> None:
        """Remove an object."""
        self._store.pop(self._root + temporary_name(key), None)
        reached("C2")
        self._store.pop(self._root + key, None)
        self._store.pop(self._root + QUARANTINE + key, None)

    def move(self, name: str, to: str) -> None:
        """Let the object stand under the other name."""
        file = self._store[self._root + name]
        file.modified = datetime.now(UTC)
        self._store[self._root + to] = file
        self._store.pop(self._root + name, None)

    def mark(self, name: str, body: bytes, *, replace: bool) -> bool:
        """Let it appear at once."""
        from fsspec.implementations.memory import MemoryFile

        path = self._root + name
        file = MemoryFile(self._filesystem, path, body)
        if replace:
            self._store[path] = file
        return self._store.setdefault(path, file) is file

    def walk(self, prefix: str, after: str) -> Iterator[tuple[str, int, float | None]]:
        """Walk a sorted copy of the names."""
        paths = [path for path in tuple(self._store) if path.startswith(self._root + prefix)]
        for path in sorted(paths):
            name = path.removeprefix(self._root)
            if name > after:
                with suppress(KeyError):
                    file = self._store[path]
                    yield name, int(file.size), file.modified.timestamp()

    def sign(self, key: str, expires: int, disposition: str | None, content_type: str | None) -> str:
        """Refuse: memory has no URLs."""
        raise NotImplementedError

    @property
    def _store(self) -> dict[str, Any]:
        store: dict[str, Any] = self._filesystem.store
        return store


class OpenMemory:
    """An object of the dictionary."""

    block = _MEMORY_BLOCK

    def __init__(self, file: io.BytesIO) -> None:
        self._file = file
        self.size: int = file.getbuffer().nbytes

    def read_at(self, position: int, amount: int) -> bytes:
        """Return bytes from a position."""
        with self._file.getbuffer() as view:
            return bytes(view[position : position + amount])

    def close(self) -> None:
        """Do nothing: the object stays."""
