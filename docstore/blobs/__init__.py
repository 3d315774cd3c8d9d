"""Blobs: bytes over :mod:`fsspec`, written once, checked when they are written and when they are read.

:class:`Blobs` knows keys, sizes and digests, and the URL of its storage. It knows nothing of documents, rows
or scopes: the store decides in which order rows and bytes are written.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, BinaryIO, TypeAlias, cast
from urllib.parse import quote
from uuid import uuid4

from docstore.blobs.local import LocalObjects, fill_file
from docstore.blobs.objects import (
    MARK,
    QUARANTINE,
    SPOKEN_BY_S3,
    Checksum,
    Found,
    Objects,
    ObjectStat,
    Requests,
    Upload,
    at_once,
    classify,
    key_of_temporary,
    leads_out,
    new_key,
    new_keys,
    remove_batches,
)
from docstore.blobs.streams import (
    CHUNK,
    ByteSource,
    Meter,
    SourceLike,
    Written,
    checked,
    is_url,
    open_source,
    without_secrets,
)
from docstore.concurrency import check
from docstore.errors import BlobError, BlobMissing, DocstoreError, shown
from docstore.limits import MOST_WORKERS

__all__ = [
    "Blobs",
    "ByteSource",
    "Found",
    "Mark",
    "ObjectStat",
    "SourceLike",
    "Upload",
    "Written",
    "attachment",
    "build",
    "connect",
    "key_of_temporary",
    "new_key",
    "new_keys",
    "normalize",
    "objects_on",
    "open_source",
    "without_secrets",
]

_LOCAL = ("file", "local")
_S3 = ("s3", "s3a")
_NO_CHECKSUMS: Mapping[str, Any] = {
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}
_FRESH: Mapping[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}


def normalize(url: str | os.PathLike[str], options: Mapping[str, Any]) -> str:
    """Return the URL as it is kept: an absolute path for a folder, a fresh root for a bare ``memory://``.

    Raises:
        BlobError: nothing that can be a storage; no I/O is done to find out.
    """
    text = os.fsdecode(url)
    if not text or "\0" in text:
        raise BlobError(f"blobs={shown(text)}: expected a folder's path or an fsspec URL")
    if isinstance(url, os.PathLike) or not is_url(text):
        return _folder(text, options)
    if "::" in text:
        return text
    scheme, _, rest = text.partition("://")
    if scheme in _LOCAL:
        return _folder(rest, options)
    if scheme == "memory":
        return text if rest.strip("/") else f"memory://docstore-{uuid4().hex}"
    _require(scheme, rest)
    return text


def build(url: str, options: Mapping[str, Any], requests: Requests = SPOKEN_BY_S3) -> Objects:
    """Return the storage of a normalized URL, with a filesystem of its own.

    Raises:
        BlobError: the filesystem cannot be made, such as for want of its package.
    """
    if not is_url(url) or url.startswith("/"):
        return LocalObjects(url)
    from docstore.blobs.filesystem import MemoryObjects

    filesystem, root = connect(url, options, requests)
    if url.startswith("memory://"):
        return MemoryObjects(filesystem, root)
    return objects_on(filesystem, root, requests)


def connect(url: str, options: Mapping[str, Any], requests: Requests = SPOKEN_BY_S3) -> tuple[Any, str]:
    """Return the fsspec filesystem of a URL and the path below which the objects are.

    Raises:
        BlobError: the filesystem cannot be made.
    """
    try:
        return _filesystem(url, options, requests)
    except Exception as error:
        raise BlobError(f"cannot open the blob storage {without_secrets(url)}: {error}") from error


def objects_on(filesystem: Any, root: str, requests: Requests = SPOKEN_BY_S3) -> Objects:
    """Return the objects below a path of an fsspec filesystem that is neither local nor memory."""
    from docstore.blobs.filesystem import FilesystemObjects
    from docstore.blobs.s3 import S3Objects

    s3 = hasattr(filesystem, "call_s3")
    return S3Objects(filesystem, root, requests) if s3 else FilesystemObjects(filesystem, root)


def _folder(path: str, options: Mapping[str, Any]) -> str:
    if options:
        raise BlobError(f"a local folder takes no storage options, {sorted(options)} were given")
    if not path:
        raise BlobError("blobs='file://': expected a folder's path after it")
    whole = os.path.abspath(path)
    if whole != whole.encode(errors="replace").decode():
        raise BlobError(f"blobs={shown(whole)} is no UTF-8, and the database keeps it: name another folder")
    return whole


def _require(scheme: str, rest: str) -> None:
    """Refuse a scheme that nothing serves, and an S3 without bucket."""
    from fsspec.registry import known_implementations, registry

    if scheme not in registry and scheme not in known_implementations:
        raise BlobError(f"no fsspec filesystem is known for {scheme}://; for a folder, give its path")
    if scheme in _S3:
        if not rest.strip("/"):
            raise BlobError(f"blobs='{scheme}://': expected a bucket after it")
        if find_spec("s3fs") is None:
            raise BlobError("s3:// needs s3fs: run  python -m pip install 'embedded-docstore[s3]'")


def _filesystem(url: str, options: Mapping[str, Any], requests: Requests) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    schemes = [link.partition("://")[0] for link in url.split("::")]
    arguments = dict(options)
    for scheme in _S3:
        if schemes[0] == scheme:
            arguments = _of_s3(arguments, requests)
        elif scheme in schemes:
            arguments[scheme] = _of_s3(arguments.get(scheme, {}), requests)
    filesystem, root = url_to_fs(url, **arguments)
    return filesystem, str(filesystem._strip_protocol(root))


def _of_s3(given: Mapping[str, Any], requests: Requests) -> dict[str, Any]:
    """Return what s3fs is told. Unless told so, botocore adds checksum headers of its own to every put."""
    arguments = {**_FRESH, **given}
    if requests.checksum != "sha256":
        arguments["config_kwargs"] = {**_NO_CHECKSUMS, **arguments.get("config_kwargs", {})}
    return arguments


_ATTRIBUTE_CHARACTERS = "!#$&+-.^_`|~"
_UNSAFE = re.compile(r'[^ !#-\[\]-~]|["\\/%]')


def attachment(filename: str) -> str:
    """Return the header's value that makes a browser save under ``filename``.

    The plain form, for old readers, has ``_`` for whatever is not plain ASCII or would need quoting; the
    encoded form is the whole name, in which slashes are ``_``, too: a name is no path.
    """
    name = re.sub(r"[/\\]", "_", filename)
    plain = _UNSAFE.sub("_", name)
    encoded = quote(name.encode("utf-8", "replace"), safe=_ATTRIBUTE_CHARACTERS)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"


# The longest that S3's signatures (version 4) may be valid.
_WEEK = 604_800
# A mark has some 100 bytes: what is longer is not ours and need not be read to its end.
_MARK_BYTES = 4096
# Files that are written together and open at once; a process may often have 256.
_TOGETHER = 32
# A key, the bytes, and the size and sha256 that they must have.
_Write: TypeAlias = "tuple[str, ByteSource, int | None, str | None]"


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark at a root: the store that its bytes belong to.

    Attributes:
        store: the store's id, ``""`` where the mark cannot be read.
        place: the number of this root among those that the store ever used.
    """

    store: str
    place: int = 0


class Blobs:
    """A place for the bytes of documents.

    Nothing at ``url`` is touched before the first read or write; only its form and the installed packages
    are looked at. ``memory://name`` is one place for all that name it in this process; a bare ``memory://``
    is a fresh place each time. S3 is opened anew in each process, so that a store can be used after a fork.
    A store marks the root that it writes its first bytes to as its own; another store is refused there.

    Example:
        >>> blobs = docstore.Blobs("s3://bucket/prefix", key="…", secret="…")
        >>> with docstore.open("sqlite:///library.db", blobs=blobs) as store:
        ...     store.documents.count()
        0

    Args:
        url: a folder's path (``str`` or path object), ``file:///…``, ``memory://…``, ``s3://bucket/prefix``,
            any other fsspec URL, or a chain of them. A relative path is taken from the working directory of
            now.
        conditional: on S3, whether the service knows ``If-None-Match``. If false, each write looks first
            whether its key is taken.
        checksum: on S3, what the service compares the bytes of a request by: ``"sha256"``, ``"md5"``
            (``Content-MD5``, which old services know), or ``None``, nothing but their number.
        upload_workers: how many objects of one batch are written at once, 1 to 256; in a folder of this
            machine, how many files are synced at once.
        storage_options: what the filesystem is to be told, such as credentials. For S3,
            ``use_listings_cache=False`` and ``skip_instance_cache=True`` unless given.

    Raises:
        BlobError: the URL cannot be a storage, its filesystem's package is not installed, or an option is out
            of range.
    """

    def __init__(
        self,
        url: str | os.PathLike[str],
        *,
        conditional: bool = True,
        checksum: Checksum = "sha256",
        upload_workers: int = 16,
        **storage_options: Any,
    ) -> None:
        if type(conditional) is not bool:
            raise BlobError(f"conditional={shown(conditional)}: expected True or False")
        if checksum not in ("sha256", "md5", None):
            raise BlobError(f"checksum={shown(checksum)}: expected 'sha256', 'md5' or None")
        self.upload_workers: int = checked_workers("upload_workers", upload_workers)
        self._requests = Requests(conditional, checksum)
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
        chunks: ByteSource | Iterable[bytes],
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
        meter = _metered(chunks, size, sha256)
        with self._writing(key, meter):
            self._objects.put(key, meter)
        return meter.written

    @property
    def is_folder(self) -> bool:
        """Whether the bytes are files in a folder of this machine, which are best written together."""
        return isinstance(self._objects, LocalObjects)

    def write_together(self, writes: Sequence[_Write]) -> list[Written]:
        """Store many objects in a folder, some at a time: fill their files, sync, name them, sync the folder.

        Args:
            writes: of each key, source, size and sha256, as for :meth:`write`, in the order of reading.

        Returns:
            Size and sha256 of each.

        Raises:
            DocstoreError, Exception: as :meth:`write`, for the first that failed; some others may be stored.
        """
        return [
            written
            for at in range(0, len(writes), _TOGETHER)
            for written in self._in_step(writes[at : at + _TOGETHER])
        ]

    def _in_step(self, writes: Sequence[_Write]) -> list[Written]:
        objects = cast(LocalObjects, self._objects)
        begun: list[tuple[str, Meter, Iterator[None]]] = []

        def go_on(some: Sequence[tuple[str, Meter, Iterator[None]]]) -> None:
            for key, meter, steps in some:
                with self._writing(key, meter):
                    next(steps, None)

        try:
            for key, source, size, sha256 in writes:
                check()
                meter = _metered(source, size, sha256)
                begun.append((key, meter, objects.steps(key, meter)))
                go_on(begun[-1:])
                source.pause()
            # Threads wait for the disk together, which syncs what lies before it at once. A thread for fewer
            # than eight files costs more than it waits.
            workers = min(self.upload_workers, -(-len(begun) // 8))
            at_once(go_on, [begun[first::workers] for first in range(workers)], workers)
            go_on(begun)
            go_on(begun)
        finally:
            for _, _, steps in begun:
                steps.close()  # type: ignore[attr-defined]
        return [meter.written for _, meter, _ in begun]

    @contextmanager
    def _writing(self, key: str, meter: Meter) -> Iterator[None]:
        try:
            yield
        except DocstoreError:
            raise
        except Exception as error:
            if error is meter.failure:
                raise
            raise self._failed("write", key, error) from error

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
        """Remove an object, remains of its unfinished writes and what was put aside; missing is fine.

        Raises:
            BlobError: the storage failed; the same call may be made again.
        """
        with self._failures("delete", key):
            self._objects.remove(key)

    def delete_many(
        self, keys: Sequence[str], uploads: Mapping[str, Sequence[Upload]] | None = None, *, workers: int = 1
    ) -> dict[str, BlobError]:
        """Remove objects as :meth:`delete` does, by few requests where the storage takes many at once.

        Args:
            keys: theirs.
            uploads: what :meth:`uploads` returned not long ago: those of the keys are aborted, too.
            workers: how many requests are under way at once.

        Returns:
            The errors of those that could not be removed, by key; the same call may be made again.
        """
        batched = getattr(self._objects, "remove_many", None)
        if batched is not None:
            errors = remove_batches(batched, keys, uploads or {}, workers)
            return {key: self._failed("delete", key, error) for key, error in errors.items()}
        failed: dict[str, BlobError] = {}

        def remove(key: str) -> None:
            try:
                self.delete(key)
            except BlobError as error:
                failed[key] = error

        at_once(remove, keys, workers)
        return failed

    def quarantine(self, name: str) -> None:
        """Move something below ``quarantine/`` in the same storage, from where it can come back.

        Args:
            name: a key, or the path of a temporary file.

        Raises:
            BlobMissing: there is nothing under this name.
            BlobError: the storage failed; it may then be in both places.
        """
        self._move(name, QUARANTINE + name)

    def take_back(self, key: str) -> None:
        """Move an object back from quarantine; nothing may stand under its key.

        Raises:
            BlobMissing: it is not there.
            BlobError: the storage failed; it may then be in both places.
        """
        self._move(QUARANTINE + key, key)

    def _move(self, name: str, to: str) -> None:
        with self._failures("move", name):
            try:
                self._objects.move(name, to)
            except (FileNotFoundError, KeyError) as error:
                raise BlobMissing(f"{name} is missing from {self._objects.name}", key=name) from error

    def size_of(self, key: str) -> int | None:
        """Return an object's size in bytes, ``None`` if there is none.

        Raises:
            BlobError: the storage failed.
        """
        found = self.stat(key)
        return None if found is None else found.size

    def stat(self, key: str) -> ObjectStat | None:
        """Return an object's size and when it was written, ``None`` if there is none.

        Raises:
            BlobError: the storage failed.
        """
        with self._failures("look at", key):
            return self._objects.stat(key)

    def mark(self) -> Mark | None:
        """Return whose bytes these are, ``None`` where nobody said.

        Raises:
            BlobError: the storage failed.
        """
        try:
            with self.open(MARK) as file:
                body = file.read(_MARK_BYTES)
        except BlobMissing:
            return None
        return _read_mark(body)

    def set_mark(self, mark: Mark, *, replace: bool = False) -> Mark:
        """Say whose bytes these are.

        Args:
            mark: whose.
            replace: whether to say so where another mark stands.

        Returns:
            The mark that stands there now: of several that set one at once, each gets the same.

        Raises:
            BlobError: the storage failed.
        """
        body = json.dumps({"docstore": 1, "store": mark.store, "place": mark.place}).encode()
        with self._failures("write", MARK):
            done = self._objects.mark(MARK, body, replace=replace)
        stands = mark if done else self.mark()
        if stands is None:
            raise BlobError(
                f"what stands at {MARK} in {self.location} can be neither read nor replaced", key=MARK
            )
        return stands

    @property
    def is_near(self) -> bool:
        """Whether looking at an object costs next to nothing: a folder, or memory."""
        return not is_url(self._url) or self._url.startswith(("/", "memory://"))

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[Found]:
        """Walk what stands in the storage, ordered by name; of memory, it needs the names of one folder.

        Args:
            prefix: only names that begin with it; keys begin with two hex digits and a slash.
            after: only names greater than it: where an earlier walk stopped.

        Returns:
            Every file but the mark: objects, our own temporary files, and foreign ones. Objects that are
                written or removed meanwhile may be listed or not.

        Raises:
            BlobError: the storage failed.
        """
        with self._failures("list", prefix or "everything"):
            for name, size, modified in self._objects.walk(prefix, after):
                if not name.startswith(MARK):
                    yield Found(name, size, classify(name), modified)

    def unfinished(self, prefix: str = "") -> Iterator[str]:
        """Walk the keys of writes that did not end and of which :meth:`list` shows nothing: :meth:`uploads`.

        Raises:
            BlobError: the storage failed.
        """
        yield from self.uploads(prefix)

    def uploads(self, prefix: str = "") -> dict[str, tuple[Upload, ...]]:
        """Return S3's open multipart uploads by key; none elsewhere, or where the service lists none.

        Args:
            prefix: only keys that begin with it.

        Returns:
            Each with its id in the storage; never those of anything that is not ours.

        Raises:
            BlobError: the storage failed.
        """
        walk = getattr(self._objects, "uploads", None)
        if walk is None:
            return {}
        found: dict[str, tuple[Upload, ...]] = {}
        with self._failures("list the uploads of", prefix or "everything"):
            for name, upload in walk(prefix):
                if classify(name) == "object":
                    found[name] = (*found.get(name, ()), upload)
        return found

    def abort(self, key: str, uploads: Sequence[Upload]) -> None:
        """End open multipart uploads of a key, of those that :meth:`uploads` returned; what is gone is fine.

        Raises:
            BlobError: the storage failed; the same call may be made again.
        """
        with self._failures("abort the uploads of", key):
            abort = getattr(self._objects, "abort", None)
            if abort is not None:
                abort(key, uploads)

    def name_of(self, path: str) -> str:
        """Return the name below the root of what an inventory of a whole bucket calls ``path``."""
        prefix = getattr(self._objects, "prefix", "")
        return path if classify(path) == "object" else path.removeprefix(prefix)

    @property
    def _objects(self) -> Objects:
        """The storage of this process: a filesystem with connections must not be used across a fork."""
        process = os.getpid()
        if self._built is None or self._built[0] != process:
            self._built = (process, self._build())
        return self._built[1]

    def _build(self) -> Objects:
        return build(self._url, self._options, self._requests)

    @contextmanager
    def _failures(self, action: str, key: str) -> Iterator[None]:
        """Let every failure of the storage arrive as a :class:`BlobError`; refuse a key that leads out of the
        root, as a row may have that somebody wrote by hand.
        """
        if leads_out(key):
            raise BlobError(f"cannot {action} {shown(key)}: that is no storage key", key=key)
        try:
            yield
        except (DocstoreError, GeneratorExit):
            raise
        except Exception as error:
            raise self._failed(action, key, error) from error

    def _failed(self, action: str, key: str, error: Exception) -> BlobError:
        reason = str(error) or type(error).__name__
        return BlobError(f"cannot {action} {key} on {self._objects.name}: {reason}", key=key)


def _metered(chunks: ByteSource | Iterable[bytes], size: int | None, sha256: str | None) -> Meter:
    if isinstance(chunks, ByteSource):
        chunks = chunks.chunks(None if size is None else size + 1)
    return Meter(chunks, size=size, sha256=sha256)


def checked_workers(name: str, given: int) -> int:
    """Return a number of threads.

    Raises:
        BlobError: it is none, or out of range.
    """
    if type(given) is not int or not 1 <= given <= MOST_WORKERS:
        raise BlobError(f"{name}={shown(given)}: expected a whole number from 1 to {MOST_WORKERS}")
    return given


def _read_mark(body: bytes) -> Mark:
    """Return what a mark says; one that cannot be read is nobody's."""
    try:
        said = json.loads(body)
        store, place = said["store"], said.get("place", 0)
    # Any file may stand there, also one that is nested too deeply to be read.
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Mark("")
    return Mark(store, place) if type(store) is str and type(place) is int else Mark("")
