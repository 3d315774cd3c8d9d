"""Results of writes of many records, and how these go: a batch at a time, failures raised or collected."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, get_args

from pydantic import BaseModel, ConfigDict

from docstore.errors import BackendError, DocstoreError, InvalidDocument, ScopeError, shown
from docstore.models import Document

__all__ = [
    "AddResult",
    "Failures",
    "OnError",
    "Put",
    "PutOutcome",
    "PutResult",
    "UpdateResult",
    "check_batch_size",
    "check_on_error",
    "placed",
    "store_apart",
    "validated",
]


class AddResult(BaseModel):
    """The result of ``add_many``.

    Attributes:
        ids: of the documents, in the order given.
        added: how many are new.
        existing: how many were there already (a repeated ``id``, or ``dedupe``).
        failed: the place of each document that could not be added, and its error; with
            ``on_error="collect"``.

    Example:
        >>> result = store.documents.add_many([{"filename": "a.txt"}, {"filename": "b.txt"}])
        >>> result
        AddResult(added=2, existing=0, failed=0)
        >>> len(result.ids)
        2
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    ids: list[str]
    added: int
    existing: int = 0
    failed: tuple[tuple[int, Exception], ...] = ()

    def __len__(self) -> int:
        """Return the number of documents, new or not."""
        return len(self.ids)

    def __repr__(self) -> str:
        """Show the counts."""
        return f"AddResult(added={self.added}, existing={self.existing}, failed={len(self.failed)})"

    __str__ = __repr__


# What a put did.
PutOutcome: TypeAlias = Literal["added", "replaced", "merged", "skipped", "versioned", "unchanged"]


class Put(BaseModel):
    """The result of ``put``.

    Attributes:
        document: as it is now.
        outcome: ``added replaced merged skipped versioned`` or ``unchanged``.

    Example:
        >>> put = store.documents.put(external_id="a", metadata={"n": 1})
        >>> put.outcome, put.document.version
        ('added', 1)
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True)

    document: Document
    outcome: PutOutcome


class PutResult(BaseModel):
    """The result of ``put_many``.

    Attributes:
        ids: of the documents, in the order given; twice where a key was given twice.
        added, replaced, merged, skipped, versioned, unchanged: how many there are of each outcome; of one key
            given twice in a batch the last counts.
        failed: the place of each document that could not be put, and its error; with ``on_error="collect"``.

    Example:
        >>> store.documents.put_many([{"id": "a", "filename": "a.txt"}])
        PutResult(added=1, failed=0)
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    ids: list[str]
    added: int = 0
    replaced: int = 0
    merged: int = 0
    skipped: int = 0
    versioned: int = 0
    unchanged: int = 0
    failed: tuple[tuple[int, Exception], ...] = ()

    def __len__(self) -> int:
        """Return the number of ids."""
        return len(self.ids)

    def __repr__(self) -> str:
        """Show the counts."""
        counts = {name: getattr(self, name) for name in get_args(PutOutcome)}
        shown = [f"{name}={count}" for name, count in counts.items() if count]
        return f"PutResult({', '.join([*shown, f'failed={len(self.failed)}'])})"

    __str__ = __repr__


class UpdateResult(int):
    """The result of ``update_many``: as a number, ``matched``.

    Attributes:
        matched: the records that matched.
        changed: those of them that are not as they were.

    Example:
        >>> document = store.documents.add(metadata={"n": 1})
        >>> result = store.documents.update_many({}, {"$inc": {"metadata.n": 1}})
        >>> result.matched, result.changed, int(result)
        (1, 1, 1)
    """

    matched: int
    changed: int

    def __new__(cls, matched: int, changed: int) -> UpdateResult:
        """Make one of both counts."""
        made = super().__new__(cls, matched)
        made.matched, made.changed = matched, changed
        return made

    def __getnewargs__(self) -> tuple[int, int]:  # type: ignore[override]
        """Return what pickling and copying make it of."""
        return self.matched, self.changed

    def __eq__(self, other: object) -> bool:
        """Compare both counts with another result, ``matched`` with a number."""
        if isinstance(other, UpdateResult):
            return (self.matched, self.changed) == (other.matched, other.changed)
        return int.__eq__(self, other) if isinstance(other, int) else NotImplemented

    def __ne__(self, other: object) -> bool:
        """Be the opposite of ``==``."""
        return not self == other

    def __hash__(self) -> int:
        """Hash as the number that it is equal to."""
        return int.__hash__(self)

    def __repr__(self) -> str:
        """Show both counts."""
        return f"UpdateResult(matched={self.matched}, changed={self.changed})"

    __str__ = __repr__


G = TypeVar("G")
T = TypeVar("T")
S = TypeVar("S")
OnError: TypeAlias = Literal["raise", "collect"]
# The place of each document that failed, and its error.
Failures: TypeAlias = list[tuple[int, Exception]]
# Rows of one commit are held in memory until it ends.
_MOST_IN_BATCH = 100_000


def check_batch_size(size: Any) -> int:
    """Return the documents of a commit.

    Raises:
        InvalidDocument: no whole number from 1 to 100,000.
    """
    if type(size) is not int or not 1 <= size <= _MOST_IN_BATCH:
        raise InvalidDocument(
            f"batch_size={shown(size)}: expected a whole number from 1 to {_MOST_IN_BATCH}",
            field="batch_size",
        )
    return size


def check_on_error(on_error: Any) -> Failures | None:
    """Return where failures are collected; ``None`` where they are raised.

    Raises:
        InvalidDocument: neither ``"raise"`` nor ``"collect"``.
    """
    if on_error not in ("raise", "collect"):
        raise InvalidDocument(f"on_error={shown(on_error)}: expected 'raise' or 'collect'", field="on_error")
    return [] if on_error == "collect" else None


def placed(wrong: InvalidDocument | ScopeError, noun: str, index: int) -> DocstoreError:
    """Return an error that says at which place its document stands."""
    text = f"{noun} {index}: {wrong.message}"
    if isinstance(wrong, InvalidDocument):
        return InvalidDocument(text, field=wrong.field, index=index)
    return type(wrong)(text)


def validated(
    given: Iterable[G], make: Callable[[G], T], size: int, failures: Failures | None, noun: str = "document"
) -> Iterator[list[tuple[int, T]]]:
    """Yield what ``make`` makes of each, with its place, ``size`` of them at a time.

    Args:
        given: read lazily; each is validated when it comes.
        make: validates one.
        size: how many belong together.
        failures: collects what fails; ``None`` raises it before its batch is yielded.
        noun: what errors call one.
    """
    coming = enumerate(given)
    while True:
        batch: list[tuple[int, T]] = []
        taken = 0
        for index, one in islice(coming, size):
            taken += 1
            try:
                batch.append((index, make(one)))
            except (InvalidDocument, ScopeError) as wrong:
                told = placed(wrong, noun, index)
                if failures is None:
                    raise told from wrong
                failures.append((index, told))
        if not taken:
            return
        yield batch


def store_apart(
    batch: Sequence[tuple[int, T]],
    store: Callable[[list[T]], Sequence[S]],
    failures: Failures | None,
    source_of: Callable[[T], Any] = lambda one: None,
) -> list[tuple[int, S]]:
    """Store a batch, all or none; where failures are collected, all but those that fail.

    Args:
        batch: with their places.
        store: stores some, all or none, and returns what became of each.
        failures: collects what fails; ``None`` raises it.
        source_of: returns where the bytes of one come from. One whose source may not be read twice is stored
            by itself.

    Raises:
        BackendError: the database failed, which no document is to blame for.
    """
    if failures is None:
        return _stored(batch, store)
    once = [pair for pair in batch if not _is_readable_again(source_of(pair[1]))]
    done = _halved([pair for pair in batch if _is_readable_again(source_of(pair[1]))], store, failures)
    for pair in once:
        done += _halved([pair], store, failures)
    return sorted(done, key=lambda pair: pair[0])


def _stored(batch: Sequence[tuple[int, T]], store: Callable[[list[T]], Sequence[S]]) -> list[tuple[int, S]]:
    if not batch:
        return []
    return [(index, one) for (index, _), one in zip(batch, store([one for _, one in batch]), strict=True)]


def _halved(
    batch: Sequence[tuple[int, T]], store: Callable[[list[T]], Sequence[S]], failures: Failures
) -> list[tuple[int, S]]:
    """Store a batch; where it fails, each half by itself, so that one bad document costs few more commits."""
    try:
        return _stored(batch, store)
    except (DocstoreError, OSError) as failed:
        if isinstance(failed, BackendError):
            raise
        if len(batch) == 1:
            failures.append((batch[0][0], failed))
            return []
    middle = len(batch) // 2
    return _halved(batch[:middle], store, failures) + _halved(batch[middle:], store, failures)


def _is_readable_again(source: Any) -> bool:
    return source is None or isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview))
