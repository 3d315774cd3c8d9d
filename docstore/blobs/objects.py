"""What a storage must do to hold blobs: the small seam between Blobs and a folder, a dictionary or S3.

Keys are ``xx/yy/<32 hex digits>``, made here and nowhere else, of random bits alone: nothing that a user
wrote becomes part of a storage key, so no key can glob, climb out of its folder or name a version.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias
from uuid import uuid4

__all__ = [
    "QUARANTINE",
    "Found",
    "FoundKind",
    "Objects",
    "Opened",
    "classify",
    "key_of_temporary",
    "new_key",
    "temporary_name",
]

FoundKind: TypeAlias = Literal["object", "temporary", "quarantined", "foreign"]

QUARANTINE = "quarantine/"
"""Where repair puts what no row knows, for people to look at."""

_KEY = re.compile(r"([0-9a-f]{2})/([0-9a-f]{2})/(?=\1\2)[0-9a-f]{32}")
_TEMPORARY = re.compile(r"([0-9a-f]{2})/([0-9a-f]{2})/\.(?=\1\2)([0-9a-f]{32})\.tmp")


@dataclass(frozen=True, slots=True)
class Found:
    """Something that stands in the storage.

    Attributes:
        name: its key, or its path below the root if it is no object.
        size: in bytes.
        kind: ``object`` (its name has the shape of a key), ``temporary`` (of a write that did not end),
            ``quarantined`` (put aside by repair), or ``foreign``.
    """

    name: str
    size: int
    kind: FoundKind


class Opened(Protocol):
    """One object, open for reading at any place."""

    size: int
    """Its size in bytes when it was opened."""

    block: int
    """How many bytes are well read at once."""

    def read_at(self, position: int, amount: int) -> bytes:
        """Return up to ``amount`` bytes from ``position``; fewer only at the end."""

    def close(self) -> None:
        """Release it; idempotent."""


class Objects(Protocol):
    """Objects by key. Every error but those named is an :class:`OSError` or the storage library's own."""

    name: str
    """What the storage is called in error texts."""

    def put(self, key: str, chunks: Iterator[bytes]) -> None:
        """Store the chunks under the fresh ``key``, whole and durable or not at all, in constant memory.

        What ``chunks`` raises passes through unchanged, once the remains of this write are removed.
        """

    def open(self, key: str) -> Opened:
        """Open an object.

        Raises:
            FileNotFoundError: there is none.
        """

    def size_of(self, key: str) -> int | None:
        """Return an object's size in bytes, ``None`` if there is none."""

    def remove(self, key: str) -> None:
        """Remove the remains of unfinished writes of ``key``, then its object; what is missing is fine."""

    def walk(self, prefix: str, after: str) -> Iterator[tuple[str, int]]:
        """Yield (path below the root, size) of all that stands there, ordered by path, by code point.

        Only paths that begin with ``prefix`` and are greater than ``after``.
        """

    def sign(self, key: str, expires: int, disposition: str | None, content_type: str | None) -> str:
        """Return a presigned URL.

        Raises:
            NotImplementedError: the storage has none.
        """


def new_key() -> str:
    """Return a fresh storage key, ``xx/yy/<uuid4 hex>``, where ``xxyy`` are the first four digits."""
    digits = uuid4().hex
    return f"{digits[:2]}/{digits[2:4]}/{digits}"


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
