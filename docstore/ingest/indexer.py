"""Put folders and files into a store, so that a second run adds only what is new or changed.

Between the walk and the store: compares each file with the latest version of its document, reads and extracts
what is new in several threads, and writes in batches. What was written stays, so a run that was stopped goes
on where it was. Memory is bounded by what is read ahead and one batch.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from docstore import lifecycle
from docstore.backend import Query, SortKey, Writer
from docstore.documents import Documents
from docstore.errors import ChecksumMismatch, InvalidDocument, SizeMismatch, shown
from docstore.extract import ExtractLimits, Member, Registry
from docstore.ingest.files import (
    Entry,
    FileReading,
    WalkOptions,
    entry_of,
    has_members,
    read_file,
    source_metadata,
    time_of,
    walk,
)
from docstore.ingest.folders import (
    IndexedFolder,
    folder_of_file,
    indexed_folder,
    owned_by,
    rebind,
    shard_of,
    shown_path,
)
from docstore.models import Document, NewDocument
from docstore.query.fields import DOCUMENTS
from docstore.store import Store

__all__ = [
    "Event",
    "IndexReport",
    "Outcome",
    "adopt",
    "index_files",
    "index_folder",
]

Outcome = Literal["added", "changed", "unchanged", "adopted", "failed", "deleted", "error", "passed"]

_LOOKED_UP = 200  # files whose documents are looked up at once
_BATCH = 200  # documents written at once
_WEIGHT = 32 * 1024 * 1024  # bytes of files and text held before they are written
_AHEAD = 64 * 1024 * 1024  # bytes of files that are read ahead
# Beyond this the single writer of SQLite is what files wait for.
_MOST_JOBS = 8
_THE_FILES_OWN = (InvalidDocument, ChecksumMismatch, SizeMismatch, OSError)


@dataclass(frozen=True, slots=True)
class Event:
    """The outcome of one file.

    Attributes:
        outcome: `added` (version 1), `changed` (a new version), `unchanged`, `adopted` (the document of an
            older store, now under the file's key), `failed` (stored, but the text that it should have could
            not be read), `deleted` (its document is gone, as the file is), `error` (not stored, or its bytes
            could not be read), `passed` (a link or special file, left out).
        name: the path relative to the folder; a byte that is no UTF-8 is `\\\\xff`.
        reason: for `failed`, `error` and `passed`, why.
    """

    outcome: Outcome
    name: str
    reason: str | None = None


@dataclass(slots=True)
class IndexReport:
    """The outcomes of a run, counted.

    Attributes:
        counts: how many files had each outcome.
        ignored: how many files and folders a rule left out.
        textless: how many of the files that were stored have no text, as files of their kind do.
        dry_run: nothing was changed.
        kept: why nothing was deleted although it was asked for, in words; `""` otherwise.
    """

    counts: Counter[Outcome] = field(default_factory=Counter)
    ignored: int = 0
    textless: int = 0
    dry_run: bool = False
    kept: str = ""

    @property
    def ok(self) -> bool:
        """Whether every file could be read and stored, and what was to be deleted is."""
        return not self.counts["error"] and not self.kept


@dataclass(frozen=True, slots=True)
class IndexRun:
    """How files are indexed: the arguments of :func:`index_folder`."""

    metadata: Mapping[str, Any]
    tenant: str | None
    owner: str | None
    dry_run: bool
    jobs: int
    shard: tuple[int, int] | None
    retry_failed: bool
    archives: bool
    registry: Registry | None
    limits: ExtractLimits | None


def index_folder(
    store: Store,
    folder: str | os.PathLike[str],
    *,
    name: str | None = None,
    options: WalkOptions | None = None,
    metadata: Mapping[str, Any] | None = None,
    tenant: str | None = None,
    owner: str | None = None,
    delete: bool = False,
    dry_run: bool = False,
    jobs: int | None = None,
    shard: tuple[int, int] | None = None,
    retry_failed: bool = False,
    archives: bool = False,
    registry: Registry | None = None,
    limits: ExtractLimits | None = None,
    on_event: Callable[[Event], object] | None = None,
) -> IndexReport:
    """Put every file below a folder into a store: its bytes, its text and where it came from.

    The first run gives the folder a name. The document of a file has that name and the path within the folder
    as its `external_id`; a changed file becomes its next version. `metadata.source` says what was read.

    Arguments:
        store: an open store with blobs.
        folder: which.
        name: what it is called; None: as before, else like the folder itself. That of a folder which is gone
            is bound to this one.
        options: what to take and to leave.
        metadata: added to the metadata of each document that is added.
        tenant, owner: whose the documents become; None: nobody's.
        delete: remove the documents, of all versions, of files that are gone from the folder. Nothing is
            removed if the folder is missing or empty or a part of it could not be read.
        dry_run: change nothing, and say what would be done.
        jobs: threads that read files, at least 1; None: as many as processors, at most 8.
        shard: `(i, n)`: only every n-th file, by a hash of its key, i from 1 to n; n processes that each
            have another i do the folder exactly once.
        retry_failed: read files again whose text could not be read before, though they have not changed.
        archives: make the files within archives, and the attachments of mails, documents of their own: text
            without bytes, whose `external_id` is that of the archive, `!/` and the name within.
        registry: the extractors; None: the built-in ones.
        limits: the bounds of extraction; None: the defaults.
        on_event: called for each file, after what it says is durable.

    Returns:
        How many files had each outcome.

    Raises:
        OSError: the folder cannot be listed, and `delete` is false.
        AlreadyExists: another folder has the name.
        InvalidDocument: an argument is wrong.
        DocstoreError: the store failed; what was written before stays.

    Example:
        >>> report = index_folder(store, "papers", metadata={"project": "north"})
        >>> report.counts["added"], report.ok
        (0, True)
    """
    run = _run(metadata, tenant, owner, dry_run, jobs, shard, retry_failed, archives, registry, limits)
    owned = owned_by(tenant, owner)
    found = indexed_folder(store.documents, folder, name, owned)
    report = IndexReport(dry_run=dry_run)
    if not dry_run:
        rebind(store.documents, found, owned)
    indexer = Indexer(store, run, report)
    try:
        for event in indexer.run((found, entry) for entry in walk(found.path, options)):
            _tell(report, event, on_event)
    except FileNotFoundError:
        if not delete:
            raise
        report.kept = f"the folder {shown_path(found.path)} is not there"
    if delete:
        _delete_gone(indexer, found, on_event)
    return report


def index_files(
    store: Store,
    files: Iterable[str | os.PathLike[str]],
    *,
    name: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    tenant: str | None = None,
    owner: str | None = None,
    dry_run: bool = False,
    jobs: int | None = None,
    shard: tuple[int, int] | None = None,
    retry_failed: bool = False,
    archives: bool = False,
    registry: Registry | None = None,
    limits: ExtractLimits | None = None,
    on_event: Callable[[Event], object] | None = None,
) -> IndexReport:
    """Put single files into a store, each as a file of the nearest folder around it that is indexed, else of
    the folder that it lies in.

    Arguments:
        files: their paths; a link is followed.
        name, metadata, tenant, owner, dry_run, jobs, shard, retry_failed, archives, registry, limits,
            on_event: as for :func:`index_folder`.

    Raises:
        As :func:`index_folder`; a file that is not there is the outcome `error`.
    """
    run = _run(metadata, tenant, owner, dry_run, jobs, shard, retry_failed, archives, registry, limits)
    report = IndexReport(dry_run=dry_run)
    placed: dict[str, tuple[IndexedFolder, str]] = {}
    owned = owned_by(tenant, owner)

    def entries() -> Iterator[tuple[IndexedFolder, Entry]]:
        for file in files:
            place = os.path.dirname(os.path.abspath(file))
            if place not in placed:
                folder, path = folder_of_file(store.documents, file, name, owned)
                placed[place] = folder, path.rpartition("/")[0]
            folder, before = placed[place]
            base = os.path.basename(file)
            yield folder, entry_of(os.fspath(file), f"{before}/{base}" if before else base)

    for event in Indexer(store, run, report).run(entries()):
        _tell(report, event, on_event)
    return report


def _run(
    metadata: Mapping[str, Any] | None, tenant: str | None, owner: str | None, dry_run: bool,
    jobs: int | None, shard: tuple[int, int] | None, retry_failed: bool, archives: bool,
    registry: Registry | None, limits: ExtractLimits | None,
) -> IndexRun:  # fmt: skip
    if jobs is not None and not (type(jobs) is int and jobs >= 1):
        raise InvalidDocument(f"jobs={shown(jobs)}: expected a number of threads, at least 1", field="jobs")
    match shard:
        case None:
            pass
        case [int() as part, int() as parts] if 1 <= part <= parts:
            pass
        case _:
            raise InvalidDocument(f"shard={shown(shard)}: expected (i, n) with i from 1 to n", field="shard")
    if metadata and "source" in metadata:
        raise InvalidDocument(
            "metadata.source says where a file came from: use another name", field="metadata"
        )
    threads = jobs or min(os.cpu_count() or 1, _MOST_JOBS)
    return IndexRun(
        metadata or {}, tenant, owner, dry_run, threads, shard, retry_failed, archives, registry, limits
    )


def _tell(report: IndexReport, event: Event, on_event: Callable[[Event], object] | None) -> None:
    report.counts[event.outcome] += 1
    if on_event is not None:
        on_event(event)


class Indexer:
    """One run over files."""

    def __init__(self, store: Store, run: IndexRun, report: IndexReport) -> None:
        self.documents: Documents = store.documents
        self.options = run
        self.report = report
        self.owned: dict[str, Any] = owned_by(run.tenant, run.owner)
        # Of all shards: whether no file was met, and whether something met could not be looked at.
        self.is_empty: bool = True
        self.is_broken: bool = False
        self._waiting: list[tuple[IndexedFolder, FileReading, Document | None]] = []
        self._weight = 0
        self._ahead: deque[tuple[IndexedFolder, Entry, Document | None, Future[FileReading] | None]] = deque()
        self._ahead_bytes = 0
        self._threads: ThreadPoolExecutor | None = None

    def run(self, files: Iterable[tuple[IndexedFolder, Entry]]) -> Iterator[Event]:
        """Yield what becomes of each file, in the order in which it does."""
        with ExitStack() as stack:
            if self.options.jobs > 1 and not self.options.dry_run:
                self._threads = ThreadPoolExecutor(self.options.jobs, "docstore-index")
                stack.callback(self._threads.shutdown, cancel_futures=True)
            for some in _chunks(self._sound(files), _LOOKED_UP):
                yield from self._look_at(some)
            yield from self._read(everything=True)
            yield from self._write()

    def _sound(self, files: Iterable[tuple[IndexedFolder, Entry]]) -> Iterator[tuple[IndexedFolder, Entry]]:
        """Yield what belongs to this run; count what a rule left out."""
        shard = self.options.shard
        for folder, entry in files:
            if entry.ignored:
                self.report.ignored += 1
                continue
            self.is_empty = self.is_empty and entry.problem is not None
            self.is_broken = self.is_broken or (entry.problem is not None and not entry.passed)
            if shard is None or shard_of(folder.key(entry.name), shard[1]) == shard[0]:
                yield folder, entry

    def _look_at(self, files: list[tuple[IndexedFolder, Entry]]) -> Iterator[Event]:
        sound = [(folder, entry) for folder, entry in files if entry.problem is None]
        for _, entry in files:
            if entry.problem is not None:
                outcome: Outcome = "passed" if entry.passed else "error"
                yield Event(outcome, shown_path(entry.name), entry.problem)
        known = self._known([folder.key(entry.name) for folder, entry in sound])
        lacking = [(folder, entry) for folder, entry in sound if folder.key(entry.name) not in known]
        older = self._known([shown_path(entry.name) for _, entry in lacking]) if lacking else {}
        for folder, entry in sound:
            there = known.get(folder.key(entry.name))
            before = None if there is not None else older.get(shown_path(entry.name))
            if before is not None and (adopted := self._adopted(folder, entry, before)) is not None:
                yield adopted
            elif there is not None and self._is_same(entry, there):
                yield Event("unchanged", shown_path(entry.name))
            else:
                self._ask(folder, entry, there)
                yield from self._read()

    def _known(self, keys: Sequence[str]) -> Mapping[str | None, Document]:
        """Look up the latest versions of the documents with these keys, in one query."""
        page = self.documents.find(
            {"external_id": {"$in": list(keys)}, **self.owned}, sort="number", limit=_LOOKED_UP
        )
        return {document.external_id: document for document in page.items}

    def _adopted(self, folder: IndexedFolder, entry: Entry, before: Document) -> Event | None:
        """Take over the document that an older store has of a file, if its bytes are the same."""
        source = before.metadata.get("source")
        if not isinstance(source, dict) or "root" in source or source.get("path") != before.external_id:
            return None
        reading = None
        if not self._is_same(entry, before):
            reading = self._reading(entry)
            if reading.sha256 is None or reading.sha256 != before.sha256:
                return None
        if not self.options.dry_run:
            said = source_metadata(entry, folder.source(entry.name), before.sha256)
            adopt(self.documents, before, folder.key(entry.name), said)
        return Event("adopted", shown_path(entry.name))

    def _is_same(self, entry: Entry, known: Document) -> bool:
        """Say whether a file need not be read: same size and time, and nothing was left undone."""
        before = known.metadata.get("source")
        if not isinstance(before, dict) or known.sha256 is None or known.status in ("pending", "processing"):
            return False
        if self.options.retry_failed and (known.status == "failed" or known.content_state == "none"):
            return False
        if self.options.archives and has_members(known.content_type) and "members" not in before:
            return False
        return (before.get("size"), before.get("mtime_ns")) == (entry.size, time_of(entry))

    def _reading(self, entry: Entry) -> FileReading:
        options = self.options
        return read_file(entry, options.registry, options.limits, archives=options.archives)

    # -- reading -----------------------------------------------------------------------------------

    def _ask(self, folder: IndexedFolder, entry: Entry, known: Document | None) -> None:
        """Have a file read, now or in a thread."""
        future = None
        if self._threads is not None:
            future = self._threads.submit(self._reading, entry)
        self._ahead.append((folder, entry, known, future))
        self._ahead_bytes += entry.size

    def _read(self, *, everything: bool = False) -> Iterator[Event]:
        """Take what was read, so that no more than a bound is read ahead; or all of it."""
        while self._ahead and (
            everything
            or self._threads is None
            or self._ahead_bytes > _AHEAD
            or len(self._ahead) > 8 * self.options.jobs
        ):
            folder, entry, known, future = self._ahead.popleft()
            self._ahead_bytes -= entry.size
            if self.options.dry_run:
                name = shown_path(entry.name)
                if not os.access(entry.path, os.R_OK):
                    yield Event("error", name, "cannot be read")
                else:
                    yield Event("added" if known is None else "changed", name)
                continue
            reading = self._reading(entry) if future is None else future.result()
            yield from self._take(folder, reading, known)

    def _take(self, folder: IndexedFolder, reading: FileReading, known: Document | None) -> Iterator[Event]:
        name = shown_path(reading.entry.name)
        if reading.source is None and known is not None:
            yield Event("error", name, f"{reading.error}; version {known.version} is kept")
        elif reading.source is None and not os.path.lexists(reading.entry.path):  # gone since it was listed
            yield Event("error", name, reading.error)
        elif known is not None and known.sha256 == reading.sha256:
            yield from self._write_members(folder, reading)
            yield self._bring_up_to_date(folder, known, reading)
        else:
            self._waiting.append((folder, reading, known))
            self._weight += reading.weight
            if len(self._waiting) >= _BATCH or self._weight > _WEIGHT:
                yield from self._write()

    def _bring_up_to_date(self, folder: IndexedFolder, known: Document, reading: FileReading) -> Event:
        """The bytes are the same: note the file's new time, and finish what was left undone."""
        name = shown_path(reading.entry.name)
        source = self._source(folder, reading)
        known = self.documents.update(known.id, metadata={"source": source}, touch=False)
        if known.status == "completed" and known.content_state == "none" and reading.text.get("content"):
            self.documents.update(known.id, **_completion(reading))
            return Event("changed", name)
        if known.status == "completed" or (known.status == "failed" and not self.options.retry_failed):
            return Event("unchanged", name)
        if known.status == "failed" and reading.error is None:
            self.documents.retry(known.id)
        if reading.error is None:
            self.documents.complete(known.id, **_completion(reading))
            return Event("changed", name)
        if known.status != "failed":
            self.documents.fail(known.id, reading.error)
        return Event("failed", name, reading.error)

    # -- writing -----------------------------------------------------------------------------------

    def _write(self) -> Iterator[Event]:
        """Write what waits, in one batch; where one file spoils it, each by itself."""
        waiting, self._waiting, self._weight = self._waiting, [], 0
        if not waiting:
            return
        for folder, reading, _ in waiting:  # before the archive: a run that ends between them does it again
            yield from self._write_members(folder, reading)
        try:
            added = self.documents.add_many(
                [self._document(folder, reading) for folder, reading, _ in waiting]
            )
        # One file spoiled the batch: each is written by itself, so that the others are in and it is named.
        except _THE_FILES_OWN:
            yield from (self._write_alone(*one) for one in waiting)
        else:
            twice = self._removed_twins(added.ids, [known for _, _, known in waiting])
            for id, (_, reading, known) in zip(added.ids, waiting, strict=True):
                yield self._written(reading, known, is_twin=id in twice)

    def _write_members(self, folder: IndexedFolder, reading: FileReading) -> Iterator[Event]:
        """Make an archive's new texts documents, and remove those of files that left it."""
        if reading.members is None:
            return
        archive = shown_path(reading.entry.name)
        inside = {"metadata.source.root": folder.name, "metadata.source.archive": archive, **self.owned}
        kept = self.documents.iterate(inside, include={"content"})
        before = {document.external_id: document for document in kept}
        made = {folder.key(f"{reading.entry.name}!/{member.name}"): member for member in reading.members}
        changed = [
            (key, member) for key, member in made.items()
            if key not in before or (before[key].content or "") != member.extracted.text
        ]  # fmt: skip
        for at in range(0, len(changed), _BATCH):
            some = changed[at : at + _BATCH]
            try:
                self.documents.add_many(
                    [self._member_document(folder, reading, key, member) for key, member in some]
                )
            except InvalidDocument as wrong:
                yield Event("error", archive, wrong.message)
                continue
            for key, member in some:
                outcome: Outcome = "changed" if key in before else "added"
                self.report.textless += not member.extracted.text
                yield Event(outcome, f"{archive}!/{shown_path(member.name)}")
        for gone, document in before.items():
            if gone not in made:
                self.documents.delete_many({"external_id": gone, **self.owned})
                yield Event("deleted", str(document.metadata["source"]["path"]))

    def _member_document(
        self, folder: IndexedFolder, reading: FileReading, key: str, member: Member
    ) -> NewDocument:
        name, found = shown_path(member.name), member.extracted
        where = folder.source(f"{reading.entry.name}!/{member.name}")
        source = {**where, "archive": shown_path(reading.entry.name), "member": name}
        return NewDocument(
            filename=name.rpartition("/")[2] or name,
            content_type=found.content_type,
            external_id=key,
            tenant=self.options.tenant,
            owner=self.options.owner,
            metadata={**self.options.metadata, "source": source},
            status="completed",
            processed_at=datetime.now(UTC),
            content=found.text or None,
            content_state=found.state,
            content_note=found.note,
        )

    def _removed_twins(self, ids: Sequence[str], known: Sequence[Document | None]) -> set[str]:
        """Remove of new versions those that another run on the folder has put in meanwhile; return their ids.

        Runs that begin together all find no document of a file. Who writes later makes a second version, sees
        that it is not the first, and takes it back if the one before has the same bytes.
        """
        expected = {id: (before.version if before else 0) + 1 for id, before in zip(ids, known, strict=True)}
        later = self.documents.find(
            {"id": {"$in": list(ids)}, "version": {"$gt": min(expected.values())}}, limit=_LOOKED_UP,
            latest_only=False,
        )  # fmt: skip
        twins: set[str] = set()
        for document in later:
            if document.version <= expected[document.id]:
                continue
            chain = {"external_id": document.external_id, "version": {"$lt": document.version}, **self.owned}
            before = self.documents.find_one(chain, sort="-version", latest_only=False)
            if before is not None and before.sha256 == document.sha256:
                self.documents.delete(document.id)
                twins.add(document.id)
        return twins

    def _write_alone(self, folder: IndexedFolder, reading: FileReading, known: Document | None) -> Event:
        name = shown_path(reading.entry.name)
        try:
            added = self.documents.add_many([self._document(folder, reading)])
        except (ChecksumMismatch, SizeMismatch):
            return Event("error", name, "changed while it was read; run again")
        except OSError as error:
            return Event("error", name, f"cannot be read: {error.strerror or error}")
        except InvalidDocument as error:
            return Event("error", name, error.message)
        return self._written(reading, known, is_twin=bool(self._removed_twins(added.ids, [known])))

    def _written(self, reading: FileReading, known: Document | None, *, is_twin: bool) -> Event:
        name = shown_path(reading.entry.name)
        if is_twin:
            return Event("unchanged", name)
        if reading.source is None:
            return Event("error", name, reading.error)
        if reading.error is not None:
            return Event("failed", name, reading.error)
        if not reading.text.get("content"):
            self.report.textless += 1
        return Event("added" if known is None else "changed", name)

    def _source(self, folder: IndexedFolder, reading: FileReading) -> dict[str, Any]:
        source = source_metadata(reading.entry, folder.source(reading.entry.name), reading.sha256)
        return source if reading.members is None else {**source, "members": len(reading.members)}

    def _document(self, folder: IndexedFolder, reading: FileReading) -> NewDocument:
        source = self._source(folder, reading)
        return NewDocument(
            source=reading.source,
            filename=_filename(reading.entry),
            external_id=folder.key(reading.entry.name),
            tenant=self.options.tenant,
            owner=self.options.owner,
            metadata={**self.options.metadata, "source": source},
            status="completed" if reading.error is None else "failed",
            error=reading.error,
            processed_at=datetime.now(UTC) if reading.error is None else None,
            size=reading.size if reading.source is not None else None,
            sha256=reading.sha256,
            **_completion(reading),
        )


def _completion(reading: FileReading) -> dict[str, Any]:
    return {key: value for key, value in reading.text.items() if value is not None}


def _filename(entry: Entry) -> str:
    """Return a file's name; the bytes of one that is no UTF-8 are in ``metadata.source.raw_path``."""
    return os.fsencode(entry.name.rpartition("/")[2]).decode("utf-8", "replace")


def _delete_gone(indexer: Indexer, folder: IndexedFolder, on_event: Callable[[Event], object] | None) -> None:
    """Remove the documents of files that are gone from a folder that could be read whole."""
    report, documents, shard = indexer.report, indexer.documents, indexer.options.shard
    is_broken = indexer.is_broken or report.counts["error"] > 0
    if not report.kept and (indexer.is_empty or is_broken):
        reason = "could not be read in part" if is_broken else "is empty"
        report.kept = f"the folder {shown_path(folder.path)} {reason}"
    if report.kept:
        return
    for document in documents.iterate({"metadata.source.root": folder.name, **indexer.owned}):
        key, source = document.external_id or "", document.metadata["source"]
        path = os.fsdecode(unquote_to_bytes(source["raw_path"])) if "raw_path" in source else source["path"]
        if shard is not None and shard_of(key, shard[1]) != shard[0]:
            continue
        on_disk = path.split("!/", 1)[0] if "archive" in source else path
        if os.path.lexists(os.path.join(folder.path, on_disk)) or folder.key(path) != key:
            continue
        if not indexer.options.dry_run:
            documents.delete_many({"external_id": key, **indexer.owned})
        _tell(report, Event("deleted", source["path"]), on_event)


def _chunks(
    files: Iterable[tuple[IndexedFolder, Entry]], size: int
) -> Iterator[list[tuple[IndexedFolder, Entry]]]:
    rest = iter(files)
    while chunk := list(islice(rest, size)):
        yield chunk


_BY_VERSION = (SortKey(("version",)), SortKey(("number",)))


def adopt(documents: Documents, document: Document, key: str, source: Mapping[str, Any]) -> None:
    """Give all versions of a document another ``external_id``, which nobody has, in one commit; then say in
    the latest where the file is.
    """
    before = document.external_id
    assert before is not None
    chain = (document.tenant, document.owner, before)
    where = documents._view.parsed({**owned_by(document.tenant, document.owner), "external_id": before})

    def move(writer: Writer) -> None:
        lifecycle.lock_chains(writer, [chain, (document.tenant, document.owner, key)])
        versions = Query(DOCUMENTS, documents._scope, where, _BY_VERSION)
        for row in documents._view.run_exactly(writer, versions):
            writer.update(DOCUMENTS, row, {"external_id": key, "revision": row["revision"] + 1})

    documents._context.written(move, recognises=True)
    documents.update(document.id, metadata={"source": dict(source)}, touch=False)
