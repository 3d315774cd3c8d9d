"""Results: what adding, putting and changing documents return."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict

from docstore.models import Document

__all__ = ["AddResult", "Put", "PutOutcome", "PutResult", "UpdateResult"]


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


PutOutcome: TypeAlias = Literal["added", "replaced", "merged", "skipped", "versioned", "unchanged"]
"""What a put did."""


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
        ids: of the documents, in the order given.
        added, replaced, merged, skipped, versioned, unchanged: how many there are of each outcome.
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
        """Return the number of documents that were put."""
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
