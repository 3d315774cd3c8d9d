"""Additions: ``add`` and ``add_many``, validated (P0) and handed to the put protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from operator import attrgetter, itemgetter
from typing import Any

from docstore.backend import Scope
from docstore.errors import InvalidDocument, ScopeError
from docstore.models import Document, NewDocument
from docstore.validation import Checks
from docstore.writes.drafts import Batch, Draft, draft_batch, draft_document
from docstore.writes.edits import DocumentsView
from docstore.writes.insertion import StoredRow, store_drafts, store_new
from docstore.writes.results import (
    AddResult,
    Failures,
    OnError,
    check_batch_size,
    check_on_error,
    placed,
    store_apart,
    validated,
)

__all__ = [
    "Additions",
    "Intake",
]

# So few documents are validated one by one.
_FEW = 8


class Additions:
    """The adding of documents, as one scope may do it."""

    def __init__(self, view: DocumentsView) -> None:
        self._view = view
        self._context = view.context

    def add(self, given: Mapping[str, Any]) -> Document:
        """Add one document: see Documents.add; ``given`` are its keywords that are not None."""
        if not given.keys() - {"tenant", "owner", "dedupe"}:
            raise InvalidDocument(
                "add: nothing to add; expected a source, a filename, content or metadata", field="source"
            )
        draft = draft_document(given, self._view.scope, self._view.checks)
        row = self.store([draft])[0].row
        return self._view.record_of({**row, "content": None})

    def add_many(
        self,
        documents: Iterable[NewDocument | Mapping[str, Any]],
        *,
        on_error: OnError = "raise",
        batch_size: int = 1000,
        on_progress: Callable[[int], object] | None = None,
    ) -> AddResult:
        """Add many documents: see Documents.add_many."""
        check_batch_size(batch_size)
        failures = check_on_error(on_error)
        ids: list[str] = []
        added = 0
        if failures is not None:
            return self._add_collecting(documents, batch_size, failures, on_progress)
        for batch in self._batches(documents, batch_size):
            if isinstance(batch, Batch):
                stored_ids, new = store_new(self._context, batch)
                ids += stored_ids
                added += new
            else:
                stored = self.store(batch)
                ids += [one.row["id"] for one in stored]
                added += sum(one.is_new for one in stored)
            if on_progress is not None:
                on_progress(len(ids))
        return AddResult(ids=ids, added=added, existing=len(ids) - added)

    def _add_collecting(
        self,
        documents: Iterable[NewDocument | Mapping[str, Any]],
        size: int,
        failures: Failures,
        on_progress: Callable[[int], object] | None,
    ) -> AddResult:
        """Add many, and collect what fails."""
        make = partial(draft_document, scope=self._view.scope, checks=self._view.checks)
        ids: list[str] = []
        added = 0
        for batch in validated(documents, make, size, failures):
            stored = store_apart(batch, self.store, failures, attrgetter("source"))
            ids += [one.row["id"] for _, one in stored]
            added += sum(one.is_new for _, one in stored)
            if on_progress is not None:
                on_progress(len(ids))
        failed = tuple(sorted(failures, key=itemgetter(0)))
        return AddResult(ids=ids, added=added, existing=len(ids) - added, failed=failed)

    def _batches(
        self, documents: Iterable[NewDocument | Mapping[str, Any]], size: int
    ) -> Iterator[Batch | list[Draft]]:
        """Yield the documents of each commit, validated: together where that can be, else one by one."""
        intake = Intake(self._view.scope, self._view.checks, documents)
        while batch := intake.take(size):
            yield batch

    def store(self, drafts: list[Draft]) -> list[StoredRow]:
        """Store validated documents, all or none."""
        return store_drafts(self._context, self._view.checks, drafts)


class Intake:
    """The documents of one call, taken a batch at a time and validated.

    Args:
        scope: that they are written in.
        checks: the bounds in force.
        documents: as the caller gave them.
        check: what else is looked at in each; the batches are then of drafts.
    """

    def __init__(
        self,
        scope: Scope,
        checks: Checks,
        documents: Iterable[Any],
        check: Callable[[Draft], object] | None = None,
    ) -> None:
        self._scope, self._checks, self._check = scope, checks, check
        self._coming = iter(documents)
        self._is_listed = type(documents) in (list, tuple)
        self.first = 0
        """The place of the next document."""

    def take(self, size: int) -> Batch | list[Draft]:
        """Take the next documents; none if there are no more.

        Raises:
            InvalidDocument, ScopeError: one is wrong; the error says at which place.
        """
        return self._listed(size) if self._is_listed else self._passing(size)

    def drafts(self, size: int) -> list[tuple[int, Draft]]:
        """Take the next documents as drafts, each with its place."""
        first, batch = self.first, self.take(size)
        return list(enumerate(batch.drafts() if isinstance(batch, Batch) else batch, first))

    def _listed(self, size: int) -> Batch | list[Draft]:
        """Take documents that are all there already."""
        given = list(islice(self._coming, size))
        batch = self._together([_fields(one) for one in given], None)
        return self._told(self._drafts(given) if batch is None else batch)

    def _passing(self, size: int) -> Batch | list[Draft]:
        """Take documents of an iterator as each is when it comes: it may be the same object every time."""
        given: list[dict[str, Any]] = []
        texts: list[str] = []
        others: list[Any] = []
        try:
            for one in islice(self._coming, size):
                fields = _fields(one)
                text = _metadata_text(fields, self._checks) if type(fields) is dict else None
                if text is None:
                    others.append(one)
                    break
                given.append(fields.copy())
                texts.append(text)
        except Exception:
            self._drafts(given, texts)  # what is wrong with one that came before is told first
            raise
        if others:
            rest = islice(self._coming, size - len(given) - 1)
            return self._told(self._drafts(chain(others, rest), before=self._drafts(given, texts)))
        batch = self._together(given, texts)
        return self._told(self._drafts(given, texts) if batch is None else batch)

    def _together(self, given: list[Any], texts: list[str] | None) -> Batch | None:
        if len(given) < _FEW or set(map(type, given)) != {dict}:
            return None
        return draft_batch(given, texts, self._scope, self._checks)

    def _told(self, batch: Batch | list[Draft]) -> Batch | list[Draft]:
        """Count a batch; one with versions of other documents as drafts."""
        found = batch
        if isinstance(batch, Batch) and (self._check is not None or batch.has_versions):
            found = batch.drafts()
            for at, draft in enumerate(found):
                self._checked(draft, at)
        self.first += len(found.rows if isinstance(found, Batch) else found)
        return found

    def _drafts(
        self, given: Iterable[Any], texts: Sequence[str] | None = None, before: Sequence[Draft] = ()
    ) -> list[Draft]:
        """Validate documents one by one; of those with ``texts`` the metadata is known."""
        drafts = list(before)
        for at, one in enumerate(given):
            drafts.append(self._draft(one if texts is None else {**one, "metadata": None}, len(drafts)))
            if texts is not None:
                drafts[-1].row["metadata"] = texts[at]
        return drafts

    def _draft(self, given: NewDocument | Mapping[str, Any], at: int) -> Draft:
        try:
            draft = draft_document(given, self._scope, self._checks)
        except (InvalidDocument, ScopeError) as wrong:
            raise placed(wrong, "document", self.first + at) from wrong
        return self._checked(draft, at)

    def _checked(self, draft: Draft, at: int) -> Draft:
        try:
            if self._check is not None:
                self._check(draft)
        except InvalidDocument as wrong:
            raise placed(wrong, "document", self.first + at) from wrong
        return draft


def _fields(given: Any) -> Any:
    """Return what was given, as a dictionary of what the caller said if it can be one."""
    if type(given) is not NewDocument:
        return given
    return {name: getattr(given, name) for name in given.model_fields_set}


def _metadata_text(given: Mapping[str, Any], checks: Checks) -> str | None:
    """Return the text of the metadata of a document; ``None`` if it is wrong."""
    metadata = given.get("metadata")
    try:
        return "{}" if metadata is None else checks.metadata(metadata)
    # The long way, which takes one document after another, raises it with its place.
    except InvalidDocument:
        return None
