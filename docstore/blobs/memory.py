"""Storage in fsspec's ``memory://``: one dictionary per process, each store below a root of its own."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from errno import EEXIST, ENOENT
from typing import Any

from docstore.blobs.objects import QUARANTINE, ObjectStat, temporary_name
from docstore.crash_points import reached

__all__ = ["MemoryObjects"]

_BLOCK = 1_048_576


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

    block = _BLOCK

    def __init__(self, file: io.BytesIO) -> None:
        self._file = file
        self.size: int = file.getbuffer().nbytes

    def read_at(self, position: int, amount: int) -> bytes:
        """Return bytes from a position."""
        with self._file.getbuffer() as view:
            return bytes(view[position : position + amount])

    def close(self) -> None:
        """Do nothing: the object stays."""
