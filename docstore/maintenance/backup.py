"""Backup: a consistent copy of a store, rows and bytes, in a folder that ``docstore.open`` opens.

The database is copied as of one instant, then the bytes that it needs. Where a collection has removed some of
them meanwhile, the database is copied again: its later state does not need them. So the copy is of one
instant, whatever is written beside it. Objects that an earlier backup brought are not brought again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from docstore.backend import Backend, BlobRow, CopiesItself, Query, SetsSettings
from docstore.blobs import Blobs, Mark
from docstore.blobs.local import sync_folder
from docstore.blobs.objects import at_once
from docstore.blobs.streams import CHUNK
from docstore.context.ownership import own_id
from docstore.errors import BackendError, BlobCorrupt, BlobError, BlobMissing
from docstore.maintenance.check import check
from docstore.maintenance.collect import batches_of
from docstore.maintenance.reports import BackupReport, OnProgress, tell
from docstore.maintenance.retry import DEAD, LIVE, PENDING, SWEPT
from docstore.query.fields import DOCUMENTS, EXTRACTIONS
from docstore.registry import open_backend

__all__ = ["DATABASE", "FILES", "backup"]

DATABASE = "docstore.db"
FILES = "files"
_ABOUT = "backup.json"
_PARTIAL = "docstore.db.partial"
# Each try copies what the one before missed, so that only a store that deletes all the time fails.
_TRIES = 5
# Rows with their contents, each up to 50 MB: as many as are held at once.
_ROWS = 500
_OTHER_STATES = (PENDING, DEAD, SWEPT)


def backup(
    backend: Backend, blobs: Blobs | None, path: str | os.PathLike[str], *, search_marks: bool = False,
    on_progress: OnProgress | None = None,
) -> BackupReport:  # fmt: skip
    """Copy a store into a folder.

    Args:
        backend: where rows are.
        blobs: where bytes are; ``None`` is enough for a store that never had any.
        path: of a folder that is not there, is empty, or holds an earlier backup of the same store.
        search_marks: as the store was made.
        on_progress: called with the stages ``rows`` and ``bytes``.

    Returns:
        The copied rows and bytes, counted.

    Raises:
        BackendError: the folder holds something else, or the database failed; an earlier backup is as it was.
        BlobError: bytes are missing or damaged in the store, or the copy is not what it should be.
    """
    work = _Backup(backend, blobs, Path(os.path.abspath(path)), search_marks, on_progress)
    work.begin()
    for _ in range(_TRIES):
        work.copy_rows()
        if work.copy_bytes():
            return work.finish()
    raise BlobError(f"bytes went while they were copied, {_TRIES} times: back up while less is deleted")


class _Backup:
    """One backup under way."""

    def __init__(
        self, backend: Backend, blobs: Blobs | None, folder: Path, search_marks: bool,
        on_progress: OnProgress | None,
    ) -> None:  # fmt: skip
        self._backend = backend
        self._blobs = blobs
        self._folder = folder
        self._marks = {"search_marks": True} if search_marks else {}
        self._on_progress = on_progress
        self._own = own_id(backend.read, backend.write) or ""
        self._target = Blobs(folder / FILES)
        self._needed: set[str] = set()
        self._copied = self._bytes = 0

    def begin(self) -> None:
        """Take the folder, if it is free or holds an earlier backup of this store."""
        folder, about = self._folder, self._folder / _ABOUT
        if folder.exists() and not folder.is_dir():
            raise BackendError(f"{folder} is no folder: name one that is empty or not there")
        # What cannot be read as ours is another's: refuse rather than write over it.
        if about.exists():
            with suppress(ValueError, OSError, AttributeError, RecursionError):
                if json.loads(about.read_text()).get("store") == self._own:
                    return
            raise BackendError(f"{folder} holds the backup of another store: name another folder")
        if folder.exists() and any(folder.iterdir()):
            raise BackendError(f"{folder} holds something else than a backup: name an empty folder")
        folder.mkdir(parents=True, exist_ok=True)
        self._say(None)

    def copy_rows(self) -> None:
        """Copy the database as of now, beside an earlier copy; keep the rows of bytes that are needed."""
        partial = self._folder / _PARTIAL
        _remove(partial)
        is_copied = isinstance(self._backend, CopiesItself) and self._backend.copy_to(str(partial))
        with self._opened(partial) as copied:
            if not is_copied:
                self._insert_rows(copied)
            place = self._place(copied)
            for states in _OTHER_STATES:
                for rows in batches_of(copied, states):
                    with copied.write() as writer:
                        for row in rows:
                            writer.delete_blob(row, (row.state,))
            for rows in batches_of(copied, LIVE):
                with copied.write() as writer:
                    for row in (row for row in rows if row.place != place):
                        writer.update_blob(row, LIVE, place=place)
            if self._blobs is not None:
                self._target.set_mark(Mark(self._own, place), replace=True)

    def copy_bytes(self) -> bool:
        """Copy the bytes that the copied rows need; return whether all of them were there."""
        self._needed = set()
        with self._opened(self._folder / _PARTIAL) as copied:
            for rows in batches_of(copied, LIVE):
                self._needed.update(row.key for row in rows)
                if not all(at_once(self._copy_object, rows, self._target.upload_workers)):
                    return False
                tell(self._on_progress, "bytes", len(self._needed), rows[-1].key)
        return True

    def finish(self) -> BackupReport:
        """Put the copied database in place of an earlier one, remove what that alone needed, and verify."""
        database = self._folder / DATABASE
        _remove(database, but_itself=True)
        os.replace(self._folder / _PARTIAL, database)
        _remove(self._folder / _PARTIAL)
        sync_folder(self._folder)
        extra = [found.name for found in self._target.list() if found.name not in self._needed]
        self._target.delete_many(extra, workers=self._target.upload_workers)
        with self._opened(database) as copied:
            report = check(copied, self._target if self._needed else None, "hash", workers=4)
            wrong = report.findings
            if wrong:
                raise BlobError(
                    f"the backup in {self._folder} is not sound: {wrong[0].kind}: {wrong[0].detail}"
                )
            with copied.read(snapshot=True) as reader:
                documents, extractions = (reader.count(Query(one)) for one in (DOCUMENTS, EXTRACTIONS))
        self._say(datetime.now(UTC).isoformat())
        return BackupReport(
            str(self._folder), documents, extractions, len(self._needed), self._copied, self._bytes
        )

    def _opened(self, path: Path) -> AbstractContextManager[Backend]:
        return _opened(path, self._marks)

    def _insert_rows(self, copied: Backend) -> None:
        """Insert the rows of one snapshot, in their order; numbers are the copy's own."""
        with self._backend.read(snapshot=True) as reader:
            for collection in (DOCUMENTS, EXTRACTIONS):
                every = frozenset({**collection.fields, **collection.private}) - set(collection.light())
                query, done = Query(collection, limit=_ROWS, include=every), 0
                after: tuple[int] | None = None
                while rows := reader.select(
                    Query(collection, limit=_ROWS, include=query.include, after=after)
                ):
                    after = (rows[-1]["number"],)
                    made = [{name: row[name] for name in row if name != "number"} for row in rows]
                    with copied.write() as writer:
                        writer.insert(collection, made)
                    done += len(rows)
                    tell(self._on_progress, "rows", done)
            key = ""
            while blobs := reader.blobs(states=LIVE, after_key=key, limit=_ROWS):
                key = blobs[-1].key
                with copied.write() as writer:
                    for blob in blobs:
                        writer.insert_blob(blob)
        with copied.write() as writer:
            if isinstance(writer, SetsSettings) and self._own:
                writer.set_setting("store_id", self._own)

    def _place(self, copied: Backend) -> int:
        """Return the number of the root that the first rows name: the copy has one root."""
        with copied.read() as reader:
            rows = reader.blobs(states=LIVE, limit=1)
        return rows[0].place if rows else 0

    def _copy_object(self, row: BlobRow) -> bool:
        """Copy one object, checked, if it is not there; return false if it went meanwhile."""
        if self._target.size_of(row.key) == row.size and row.size is not None:
            return True
        if self._blobs is None:
            raise BlobError("this store has bytes: open it with blobs= to back it up", key=row.key)
        self._target.delete(row.key)
        try:
            with self._blobs.open(row.key, size=row.size, sha256=row.sha256) as file:
                pieces: Iterator[bytes] = iter(lambda: file.read(CHUNK), b"")
                written = self._target.write(row.key, pieces, size=row.size, sha256=row.sha256)
        except (BlobMissing, BlobCorrupt):
            with self._backend.read() as reader:
                if reader.blobs(keys=[row.key], states=LIVE, limit=1):
                    raise
            return False
        self._copied += 1
        self._bytes += written.size
        return True

    def _say(self, completed_at: str | None) -> None:
        """Note whose backup this is, and when it was completed."""
        partial = self._folder / f"{_ABOUT}.partial"
        with partial.open("w", encoding="utf-8") as file:
            json.dump({"store": self._own, "completed_at": completed_at}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, self._folder / _ABOUT)
        sync_folder(self._folder)


@contextmanager
def _opened(path: Path, options: Mapping[str, Any]) -> Iterator[Backend]:
    """Open a database, and close it after the block."""
    backend = open_backend(f"sqlite:///{path}", **options)
    try:
        yield backend
    finally:
        backend.close()


def _remove(database: Path, *, but_itself: bool = False) -> None:
    """Remove a database and the files beside it."""
    for suffix in ("-wal", "-shm", "-journal", "-lock", *([] if but_itself else [""])):
        with suppress(FileNotFoundError):
            os.unlink(f"{database}{suffix}")
