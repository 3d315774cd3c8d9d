"""Put a folder into a store, file by file, so that a second run adds only what is new or changed.

Between the walk and the store: compares each file with the latest version of its document, reads and
extracts what is new, and writes in batches. What was written stays, so a run that was stopped goes on
where it was. Memory is bounded by one batch.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal

from docstore.cli.reading import Reading, read_file, source_metadata
from docstore.cli.walk import Entry, WalkOptions, walk
from docstore.documents import Documents
from docstore.errors import ChecksumMismatch, InvalidDocument, SizeMismatch
from docstore.extract import ExtractLimits, Registry
from docstore.models import Document, NewDocument
from docstore.store import Store

__all__ = ["Event", "IndexOptions", "Indexer", "Outcome", "index_folder"]

Outcome = Literal["added", "changed", "unchanged", "failed", "error", "passed"]

_LOOKED_UP = 200  # files whose documents are looked up at once
_BATCH = 200  # documents written at once
_WEIGHT = 32 * 1024 * 1024  # bytes of files and text held before they are written
_THE_FILES_OWN = (InvalidDocument, ChecksumMismatch, SizeMismatch, OSError)


@dataclass(frozen=True, slots=True)
class Event:
    """What became of one file.

    Attributes:
        outcome: `added` (version 1), `changed` (a new version), `unchanged`, `failed` (stored, but its
            text could not be read), `error` (not stored, or its bytes could not be read), `passed`
            (a link or special file, left out).
        name: the path relative to the folder.
        reason: for `failed`, `error` and `passed`, why.
    """

    outcome: Outcome
    name: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How a folder is indexed.

    Attributes:
        walk: what is taken and left.
        prefix: put before each relative path to make the `external_id`; keeps folders apart.
        tenant: the tenant of what is added; None: none.
        owner: the owner of what is added; None: none.
        retry_failed: read files again whose text could not be read before, though they have not changed.
        registry: the extractors; None: the built-in ones.
        limits: the bounds of extraction; None: the defaults.
    """

    walk: WalkOptions = field(default_factory=WalkOptions)
    prefix: str = ""
    tenant: str | None = None
    owner: str | None = None
    retry_failed: bool = False
    registry: Registry | None = None
    limits: ExtractLimits | None = None


def index_folder(
    store: Store,
    folder: str | os.PathLike[str],
    options: IndexOptions | None = None,
    *,
    on_event: Callable[[Event], object] | None = None,
) -> Counter[Outcome]:
    """Index every file below a folder.

    A file's document has the relative path as `external_id`, its name as `filename`, and
    `metadata.source` says what it was read from. Nothing is ever deleted from the store.

    Arguments:
        store: an open store with blobs.
        folder: the folder.
        options: what to take, and whose it becomes.
        on_event: called once for each file, after what it says is durable.

    Returns:
        How many files had each outcome.

    Raises:
        OSError: the folder cannot be listed.
        DocstoreError: the store failed; what was written before stays.
    """
    counts: Counter[Outcome] = Counter()
    for event in Indexer(store, options or IndexOptions()).run(folder):
        counts[event.outcome] += 1
        if on_event is not None:
            on_event(event)
    return counts


class Indexer:
    """One run over one folder."""

    def __init__(self, store: Store, options: IndexOptions) -> None:
        self.documents: Documents = store.documents
        self.options = options
        self.waiting: list[tuple[Reading, Document | None]] = []

    def run(self, folder: str | os.PathLike[str]) -> Iterator[Event]:
        """Yield what becomes of each file, in the order in which it does."""
        for entries in _chunks(walk(folder, self.options.walk), _LOOKED_UP):
            yield from self._look_at(entries)
        yield from self._write()

    def _look_at(self, entries: list[Entry]) -> Iterator[Event]:
        sound: list[Entry] = []
        for entry in entries:
            problem = entry.problem or _name_problem(entry.name)
            if problem is None:
                sound.append(entry)
            else:
                yield Event("passed" if entry.passed else "error", entry.name, problem)
        known = self._known(sound)
        for entry in sound:
            yield from self._take(entry, known.get(self._external_id(entry)))

    def _external_id(self, entry: Entry) -> str:
        return self.options.prefix + entry.name

    def _known(self, entries: list[Entry]) -> Mapping[str | None, Document]:
        """Look up the latest versions of the documents of these files, in one query."""
        wanted: dict[str, Any] = {
            "external_id": {"$in": [self._external_id(entry) for entry in entries]},
            "tenant": self.options.tenant,
            "owner": self.options.owner,
        }
        page = self.documents.find(wanted, sort="number", limit=_LOOKED_UP)
        return {document.external_id: document for document in page.items}

    def _take(self, entry: Entry, known: Document | None) -> Iterator[Event]:
        if known is not None and self._same(entry, known):
            yield Event("unchanged", entry.name)
            return
        reading = read_file(entry, self.options.registry, self.options.limits)
        if reading.source is None and known is not None:
            yield Event("error", entry.name, f"{reading.error}; version {known.version} is kept")
        elif known is not None and known.sha256 == reading.sha256:
            yield self._bring_up_to_date(known, reading)
        else:
            self.waiting.append((reading, known))
            if len(self.waiting) >= _BATCH or sum(r.weight for r, _ in self.waiting) > _WEIGHT:
                yield from self._write()

    def _same(self, entry: Entry, known: Document) -> bool:
        """Say whether a file need not be read: same size and time, and nothing was left undone."""
        before = known.metadata.get("source")
        if not isinstance(before, dict) or known.sha256 is None or known.status in ("pending", "processing"):
            return False
        if known.status == "failed" and self.options.retry_failed:
            return False
        return (before.get("size"), before.get("mtime_ns")) == (entry.size, entry.mtime_ns)

    def _bring_up_to_date(self, known: Document, reading: Reading) -> Event:
        """The bytes are the same: note the file's new time, and finish what was left undone."""
        name = reading.entry.name
        source = source_metadata(reading.entry, reading.sha256)
        known = self.documents.update(known.id, metadata={"source": source}, touch=False)
        if known.status == "completed" or (known.status == "failed" and not self.options.retry_failed):
            return Event("unchanged", name)
        if known.status == "failed" and reading.error is None:
            self.documents.retry(known.id)
        if reading.error is None:
            self.documents.complete(
                known.id,
                content=reading.content,
                content_state=reading.state,
                content_note=reading.note,
            )
            return Event("changed", name)
        if known.status != "failed":
            self.documents.fail(known.id, reading.error)
        return Event("failed", name, reading.error)

    def _write(self) -> Iterator[Event]:
        """Write what waits, in one batch; where one file spoils it, each by itself."""
        waiting, self.waiting = self.waiting, []
        try:
            if waiting:
                self.documents.add_many(self._document(reading) for reading, _ in waiting)
        except _THE_FILES_OWN:
            yield from (self._write_alone(reading, known) for reading, known in waiting)
        else:
            yield from (_written(reading, known) for reading, known in waiting)

    def _write_alone(self, reading: Reading, known: Document | None) -> Event:
        try:
            self.documents.add_many([self._document(reading)])
        except (ChecksumMismatch, SizeMismatch):
            return Event("error", reading.entry.name, "changed while it was read; run again")
        except OSError as error:
            return Event("error", reading.entry.name, f"cannot be read: {error.strerror or error}")
        except InvalidDocument as error:
            return Event("error", reading.entry.name, error.message)
        return _written(reading, known)

    def _document(self, reading: Reading) -> NewDocument:
        return NewDocument(
            source=reading.source,
            filename=os.path.basename(reading.entry.path),
            external_id=self._external_id(reading.entry),
            tenant=self.options.tenant,
            owner=self.options.owner,
            metadata={"source": source_metadata(reading.entry, reading.sha256)},
            status="completed" if reading.error is None else "failed",
            content=reading.content,
            content_state=reading.state,
            content_note=reading.note,
            error=reading.error,
            processed_at=datetime.now(UTC) if reading.error is None else None,
            size=reading.size if reading.source is not None else None,
            sha256=reading.sha256,
        )


def _written(reading: Reading, known: Document | None) -> Event:
    if reading.source is None:
        return Event("error", reading.entry.name, reading.error)
    if reading.error is not None:
        return Event("failed", reading.entry.name, reading.error)
    return Event("added" if known is None else "changed", reading.entry.name)


def _name_problem(name: str) -> str | None:
    """Say what is wrong with a name that is no text: bytes that are no UTF-8 arrive as lone surrogates."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        return f"InvalidDocument: the name is not UTF-8 at character {error.start}; rename the file"
    return None


def _chunks(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    rest = iter(entries)
    while chunk := list(islice(rest, size)):
        yield chunk
