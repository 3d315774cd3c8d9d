"""The bytes room: files over :mod:`fsspec`, written once, checked on the way in and out.

:class:`Blobs` knows keys, sizes and digests, and nothing of documents, rows or scopes: the order in which
rows and bytes are written is the store's business.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from docstore.blobs.address import build, normalize, without_secrets
from docstore.blobs.disposition import attachment
from docstore.blobs.local import fill_file
from docstore.blobs.metering import Meter, Written
from docstore.blobs.objects import QUARANTINE, Found, Objects, classify, key_of_temporary, new_key
from docstore.blobs.reading import checked
from docstore.blobs.source import CHUNK, Source, SourceLike, open_source
from docstore.errors import BlobError, BlobMissing, DocstoreError, shown

__all__ = ["Blobs", "Found", "Source", "SourceLike", "Written", "key_of_temporary", "new_key", "open_source"]

_WEEK = 604_800


class Blobs:
    """A place for the bytes of documents.

    What ``url`` names is not touched before the first read or write; only its form and the installed packages
    are looked at. ``memory://name`` is one place for all that name it in this process; a bare ``memory://``
    is a fresh place each time. S3 is opened anew in each process, so that a store can be used after a fork.
    Give each store a place of its own: collection removes objects that have no row in the store's database.

    Example:
        >>> blobs = docstore.Blobs("s3://bucket/prefix", key="…", secret="…")
        >>> with docstore.open("sqlite:///library.db", blobs=blobs) as store: ...

    Args:
        url: a folder's path (``str`` or path object), ``file:///…``, ``memory://…``, ``s3://bucket/prefix``,
            any other fsspec URL, or a chain of them. A relative path is taken from the working directory of
            now.
        storage_options: what the filesystem is to be told, such as credentials. For S3,
            ``use_listings_cache=False`` and ``skip_instance_cache=True`` unless given.

    Raises:
        BlobError: the URL cannot be a storage, or its filesystem's package is not installed.
    """

    def __init__(self, url: str | os.PathLike[str], **storage_options: Any) -> None:
        self._options = storage_options
        self._url = normalize(url, storage_options)
        self._built: tuple[int, Objects] | None = None

    @classmethod
    def of(cls, given: str | os.PathLike[str] | Blobs | None) -> Blobs | None:
        """Return what ``docstore.open(blobs=…)`` was given as blobs; ``None`` stays ``None``.

        Raises:
            BlobError: as for the class, or something of another type.
        """
        if given is None or isinstance(given, Blobs):
            return given
        if isinstance(given, (str, os.PathLike)):
            return cls(given)
        kind = type(given).__name__
        raise BlobError(f"blobs of type {kind}: expected a path, an fsspec URL, docstore.Blobs or None")

    @property
    def location(self) -> str:
        """The place, without credentials: an absolute path for a folder, else its URL."""
        return without_secrets(self._url)

    def __repr__(self) -> str:
        return f"Blobs({self.location!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_built": None}

    def write(
        self,
        key: str,
        chunks: Source | Iterable[bytes],
        *,
        size: int | None = None,
        sha256: str | None = None,
    ) -> Written:
        """Store bytes under a fresh key, whole and durable or not at all, in constant memory.

        Args:
            key: of :func:`new_key`, never written before.
            chunks: an open source, or the bytes piece by piece.
            size: bytes there must be; a source is read one byte beyond it at most. ``None`` takes what comes.
            sha256: hex digest they must have; ``None`` takes what comes.

        Returns:
            Size and sha256 of what was stored.

        Raises:
            SizeMismatch: the source has more or fewer bytes than ``size``.
            ChecksumMismatch: the source has another digest than ``sha256``.
            BlobError: the storage failed, or the key is taken.
            Exception: whatever the source raises, unchanged.
        """
        if isinstance(chunks, Source):
            chunks = chunks.chunks(None if size is None else size + 1)
        meter = Meter(chunks, size=size, sha256=sha256)
        try:
            self._objects.put(key, meter)
        except DocstoreError:
            raise
        except Exception as error:
            if error is meter.failure:
                raise
            raise self._failed("write", key, error) from error
        return meter.written

    def open(self, key: str, *, size: int | None = None, sha256: str | None = None) -> BinaryIO:
        """Open an object as a readable, seekable binary file that needs constant memory.

        Args:
            key: its key.
            size: bytes it must have, compared at once; ``None`` is not compared.
            sha256: hex digest it must have, compared before the last piece of an unbroken reading from the
                beginning is handed out; ``None`` is not compared.

        Returns:
            The file; close it. Reading it raises ``BlobCorrupt``, ``BlobMissing`` and ``BlobError`` as this
            does.

        Raises:
            BlobMissing: there is no such object.
            BlobCorrupt: it has another size.
            BlobError: the storage failed.
        """
        with self._failures("open", key):
            try:
                opened = self._objects.open(key)
            except FileNotFoundError as error:
                text = f"the object {key} is missing from {self._objects.name}"
                raise BlobMissing(text, key=key) from error
        return cast(BinaryIO, checked(opened, key=key, size=size, sha256=sha256))

    def read_bytes(self, key: str, *, size: int | None = None, sha256: str | None = None) -> bytes:
        """Return an object's bytes, checked; arguments and errors as for :meth:`open`."""
        with self.open(key, size=size, sha256=sha256) as file:
            return file.read()

    def verify(self, key: str, *, size: int | None = None, sha256: str | None = None) -> int:
        """Read an object to its end, checked; arguments and errors as for :meth:`open`.

        Returns:
            How many bytes it has.
        """
        with self.open(key, size=size, sha256=sha256) as file:
            return sum(iter(lambda: len(file.read(CHUNK)), 0))

    def duplicate(self, key: str, to: str, *, size: int, sha256: str) -> Written:
        """Store an object's bytes under a fresh key, too, checked on the way.

        Args:
            key: its key.
            to: of :func:`new_key`, never written before.
            size: bytes it must have.
            sha256: hex digest it must have.

        Returns:
            Size and sha256 of what was stored.

        Raises:
            BlobMissing: there is no such object.
            BlobCorrupt: it is not what was stored.
            BlobError: the storage failed.
        """
        with self.open(key, size=size, sha256=sha256) as file:
            return self.write(to, iter(lambda: file.read(CHUNK), b""), size=size, sha256=sha256)

    def download(
        self, key: str, path: str | os.PathLike[str], *, size: int | None = None, sha256: str | None = None
    ) -> None:
        """Copy an object to a file of this machine, which appears whole, checked and synced, or not at all.

        Args:
            key: its key.
            path: where to; a file there is replaced, and kept if this fails. A symbolic link is followed.
            size: as for :meth:`open`.
            sha256: as for :meth:`open`.

        Raises:
            BlobMissing: there is no such object.
            BlobCorrupt: it is not what was stored.
            BlobError: the storage failed, or nothing can be written at ``path``.
        """
        target = os.path.realpath(path)
        if os.path.lexists(target) and not os.path.isfile(target):
            raise BlobError(f"cannot download to {target}: it is there and is no regular file", key=key)
        with self.open(key, size=size, sha256=sha256) as file, self._failures("download", key):
            fill_file(target, file)

    def url(
        self, key: str, *, expires: int = 3600, filename: str | None = None, content_type: str | None = None
    ) -> str:
        """Return a presigned URL under which anybody can read an object for a while.

        Args:
            key: its key; whether it exists is not looked at.
            expires: seconds, from 1 to 604,800 (a week).
            filename: the name that a browser saves it under; ``None`` says none. On S3 only.
            content_type: the MIME type it is served as; ``None`` says none. On S3 only.

        Raises:
            BlobError: the filesystem has no presigned URLs, cannot make one now, or ``expires`` is out of
            range.
        """
        if type(expires) is not int or not 1 <= expires <= _WEEK:
            raise BlobError(f"expires={shown(expires)}: expected whole seconds from 1 to {_WEEK}", key=key)
        disposition = None if filename is None else attachment(filename)
        with self._failures("sign a URL for", key):
            try:
                return self._objects.sign(key, expires, disposition, content_type)
            except NotImplementedError as error:
                raise BlobError(
                    f"{self._objects.name} has no presigned URLs: serve the bytes of open(id) from your"
                    " application, or keep them on S3",
                    key=key,
                ) from error

    def delete(self, key: str) -> None:
        """Remove an object and the remains of unfinished writes of it; what is missing is fine.

        Raises:
            BlobError: the storage failed; the same call may be made again.
        """
        with self._failures("delete", key):
            self._objects.remove(key)

    def quarantine(self, name: str) -> None:
        """Move something below ``quarantine/`` in the same storage, where only people remove it.

        Args:
            name: a key, or the path of a temporary file.

        Raises:
            BlobMissing: there is nothing under this name.
            BlobError: the storage failed; it may then be in both places.
        """
        aside = QUARANTINE + name
        with self.open(name) as file:
            self.delete(aside)  # the rest of an earlier try
            self.write(aside, iter(lambda: file.read(CHUNK), b""))
        self.delete(name)

    def size_of(self, key: str) -> int | None:
        """Return an object's size in bytes, ``None`` if there is none.

        Raises:
            BlobError: the storage failed.
        """
        with self._failures("look at", key):
            return self._objects.size_of(key)

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[Found]:
        """Walk what stands in the storage, ordered by name; of memory, it needs the names of one folder.

        Args:
            prefix: only names that begin with it; keys begin with two hex digits and a slash.
            after: only names greater than it: where an earlier walk stopped.

        Returns:
            Every file: objects, our own temporary files, and foreign ones. What is written or removed
            meanwhile may be seen or not.

        Raises:
            BlobError: the storage failed.
        """
        with self._failures("list", prefix or "everything"):
            for name, size in self._objects.walk(prefix, after):
                yield Found(name, size, classify(name))

    def unfinished(self, prefix: str = "") -> Iterator[str]:
        """Walk the keys of writes that did not end and of which :meth:`list` shows nothing.

        Those are open multipart uploads on S3; other storages have none.

        Args:
            prefix: only keys that begin with it.

        Returns:
            Keys, some of them perhaps several times; never the name of anything that is not ours.

        Raises:
            BlobError: the storage failed.
        """
        walk = getattr(self._objects, "uploads", None)
        if walk is None:
            return
        with self._failures("list the uploads of", prefix or "everything"):
            for name, _ in walk(prefix):
                if classify(name) == "object":
                    yield name

    @property
    def _objects(self) -> Objects:
        """The storage of this process: a filesystem with connections must not be used across a fork."""
        process = os.getpid()
        if self._built is None or self._built[0] != process:
            self._built = (process, self._build())
        return self._built[1]

    def _build(self) -> Objects:
        return build(self._url, self._options)

    @contextmanager
    def _failures(self, action: str, key: str) -> Iterator[None]:
        """Let every failure of the storage arrive as a :class:`BlobError`."""
        try:
            yield
        except (DocstoreError, GeneratorExit):
            raise
        except Exception as error:
            raise self._failed(action, key, error) from error

    def _failed(self, action: str, key: str, error: Exception) -> BlobError:
        reason = str(error) or type(error).__name__
        return BlobError(f"cannot {action} {key} on {self._objects.name}: {reason}", key=key)
