"""The storage interface: what a folder, a dictionary or S3 must do to hold blobs; and threads for one call.

Keys are ``xx/yy/<32 hex digits>``, made here and nowhere else, from random bits alone. No text of a user
becomes part of a key, so no key can hold a wildcard, leave its folder or name a version.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, TypeAlias, TypeVar
from uuid import uuid4

from docstore.concurrency import Call, check, current, working_on

__all__ = [
    "MARK",
    "QUARANTINE",
    "SPOKEN_BY_S3",
    "Checksum",
    "Found",
    "FoundKind",
    "ObjectStat",
    "Objects",
    "OpenedObject",
    "Requests",
    "ThreadPool",
    "Upload",
    "at_once",
    "classify",
    "key_of_temporary",
    "leads_out",
    "new_key",
    "new_keys",
    "remove_batches",
    "temporary_name",
]

Checksum: TypeAlias = Literal["sha256", "md5"] | None
FoundKind: TypeAlias = Literal["object", "temporary", "quarantined", "foreign"]

# Where collection and repair put what no row knows; a later collection removes it, people may before.
QUARANTINE = "quarantine/"

# The object at the root that says whose bytes these are.
MARK = ".docstore-store"

# The folders repeat the first four digits of the name; what does not is nobody's key.
_KEY = re.compile(r"([0-9a-f]{2})/([0-9a-f]{2})/(?=\1\2)[0-9a-f]{32}")
_TEMPORARY = re.compile(r"([0-9a-f]{2})/([0-9a-f]{2})/\.(?=\1\2)([0-9a-f]{32})\.tmp")


@dataclass(frozen=True, slots=True)
class Found:
    """Something that stands in the storage.

    Attributes:
        name: its key, or its path below the root if it is no object.
        size: in bytes.
        kind: ``object`` (its name has the shape of a key), ``temporary`` (of a write that did not end),
            ``quarantined`` (put aside), or ``foreign``.
        modified: when it was written, seconds since the epoch by the storage's clock; ``None`` where the
            storage does not say.
    """

    name: str
    size: int
    kind: FoundKind
    modified: float | None = field(default=None, compare=False)


class ObjectStat(NamedTuple):
    """The size of one object in bytes, and when it was written, as in :class:`Found`."""

    size: int
    modified: float | None


@dataclass(frozen=True, slots=True)
class Requests:
    """The request options that an S3 service understands.

    Attributes:
        conditional: ``If-None-Match``. Without it a put looks first whether its key is taken.
        checksum: of the bytes of each request, compared by the service: ``sha256`` in S3's own headers,
            ``md5`` in ``Content-MD5``, ``None`` for none.
    """

    conditional: bool = True
    checksum: Checksum = "sha256"


# What S3 itself understands.
SPOKEN_BY_S3 = Requests()


class OpenedObject(Protocol):
    """One object, open for reading at any place."""

    size: int
    """Its size in bytes when it was opened."""

    block: int
    """How many bytes are well read at once."""

    def read_at(self, position: int, amount: int) -> bytes:
        """Return up to ``amount`` bytes from ``position``; fewer only at the end."""

    def close(self) -> None:
        """Release it; idempotent."""


class Upload(NamedTuple):
    """A multipart upload that was begun and not ended: its id, and when, in seconds since the epoch."""

    id: str
    begun: float | None


class Objects(Protocol):
    """Objects by key. Every error but those named is an :class:`OSError` or the storage library's own."""

    name: str
    """What the storage is called in error texts."""

    def put(self, key: str, chunks: Iterator[bytes]) -> None:
        """Store the chunks under the fresh ``key``, whole and durable or not at all, in constant memory.

        An exception of ``chunks`` passes through unchanged, after the remains of this write are removed.
        """

    def open(self, key: str) -> OpenedObject:
        """Open an object.

        Raises:
            FileNotFoundError: there is none.
        """

    def stat(self, key: str) -> ObjectStat | None:
        """Return what is known of an object, ``None`` if there is none."""

    def remove(self, key: str) -> None:
        """Remove ``key``: unfinished writes, the object, what was put aside; missing is fine."""

    def move(self, name: str, to: str) -> None:
        """Let an object stand under another name, written now; one that stands there is replaced.

        Killed on the way it may stand under both names, whole.
        """

    def mark(self, name: str, body: bytes, *, replace: bool) -> bool:
        """Store a few bytes under a name that is no key, durable; return whether it was done.

        Args:
            name: where.
            body: what.
            replace: whether to do so where something stands under the name: of several that try without,
                exactly one does it, where the storage can tell.
        """

    def walk(self, prefix: str, after: str) -> Iterator[tuple[str, int, float | None]]:
        """Yield (path below the root, size, time written) of every object, by path in code-point order.

        Only paths that begin with ``prefix`` and are greater than ``after``.
        """

    def sign(self, key: str, expires: int, disposition: str | None, content_type: str | None) -> str:
        """Return a presigned URL.

        Raises:
            NotImplementedError: the storage has none.
        """


def new_key() -> str:
    """Return a fresh storage key, ``xx/yy/<uuid4 hex>``, where ``xxyy`` are the first four digits."""
    # Two levels of 256 folders: a million objects are 15 a folder.
    digits = uuid4().hex
    return f"{digits[:2]}/{digits[2:4]}/{digits}"


def new_keys(count: int) -> list[str]:
    """Return fresh storage keys in one folder, which then has to be made only once."""
    first = new_key()
    return [first, *(first[:10] + uuid4().hex[4:] for _ in range(count - 1))]


def leads_out(name: object) -> bool:
    """Return whether a name is none that may stand below a root: no text, or with steps that climb."""
    if not isinstance(name, str) or not name or "\0" in name or name.startswith("/"):
        return True
    return not {"..", "."}.isdisjoint(name.split("/"))


def temporary_name(key: str) -> str:
    """Return the path, beside the object, of the temporary file that becomes it."""
    folder, slash, name = key.rpartition("/")
    return f"{folder}{slash}.{name}.tmp"


def key_of_temporary(name: str) -> str | None:
    """Return the key that a temporary file was written for, ``None`` if it is none of ours."""
    match = _TEMPORARY.fullmatch(name)
    return f"{match[1]}/{match[2]}/{match[3]}" if match else None


def classify(name: str) -> FoundKind:
    """Say what a path below the root is by its shape."""
    if _KEY.fullmatch(name):
        return "object"
    if name.startswith(QUARANTINE):
        return "quarantined"
    return "temporary" if _TEMPORARY.fullmatch(name) else "foreign"


S = TypeVar("S")
T = TypeVar("T")
# How often a call that may be given up looks whether it was, while its threads work.
_LOOK_SECONDS = 0.05


class ThreadPool:
    """Threads of the call under way. Leaving the block waits for them; on an error they are given up first:
    each ends at its next look at whether it is over.

    Args:
        most: how many there are at most, from 1.
    """

    def __init__(self, most: int) -> None:
        self._threads = ThreadPoolExecutor(most, "docstore-bytes")
        self._calls: list[Call] = []
        self._futures: list[Future[object]] = []

    def submit(self, work: Callable[[S], T], item: S) -> Future[T]:
        """Have a thread do something."""
        # A call of its own: it has no part in the caller's transaction, and can be given up by itself.
        call = Call()
        self._calls.append(call)

        def run() -> T:
            with working_on(call):
                call.check()
                return work(item)

        future = self._threads.submit(run)
        self._futures.append(future)  # type: ignore[arg-type]
        return future

    def finish(self) -> None:
        """Wait for all that was submitted.

        Raises:
            Exception: the first failure, in the order of submitting; the others are given up.
            Cancelled, QueryTimeout: the call was over before.
        """
        pending: Sequence[Future[object]] = self._futures
        while pending:
            timeout = _LOOK_SECONDS if current().is_bounded else None
            done, left = wait(pending, timeout=timeout, return_when=FIRST_EXCEPTION)
            check()
            # In the order of submitting, whichever failed first: the same fault is always the same error.
            failed = [future for future in self._futures if future in done and future.exception()]
            if failed:
                failed[0].result()
            pending = list(left)

    def __enter__(self) -> ThreadPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is not None:
            for call in self._calls:
                call.cancel()
        self._threads.shutdown(wait=True, cancel_futures=kind is not None)


def at_once(work: Callable[[S], T], items: Iterable[S], workers: int) -> list[T]:
    """Return what ``work`` makes of each item, in order.

    Args:
        work: called with each item, in threads where there are several items and workers.
        items: of which it makes something.
        workers: how many items are under way at once.

    Raises:
        Exception: the first failure; what was not begun then is left out.
    """
    waiting = list(items)
    if workers == 1 or len(waiting) < 2:
        return [work(item) for item in waiting]
    with ThreadPool(min(workers, len(waiting))) as threads:
        futures = [threads.submit(work, item) for item in waiting]
        threads.finish()
        return [future.result() for future in futures]


# Each key has three names, and a DeleteObjects takes 1,000.
_KEYS_A_BATCH = 300


def remove_batches(
    remove_many: Callable[[Sequence[str], Mapping[str, Sequence[Upload]]], dict[str, Exception]],
    keys: Sequence[str],
    uploads: Mapping[str, Sequence[Upload]],
    workers: int,
) -> dict[str, Exception]:
    """Remove objects some hundred at once; return what kept some from being removed, by key."""
    batches = [keys[at : at + _KEYS_A_BATCH] for at in range(0, len(keys), _KEYS_A_BATCH)]
    answers = at_once(lambda batch: remove_many(batch, uploads), batches, workers)
    return {key: error for answer in answers for key, error in answer.items()}
