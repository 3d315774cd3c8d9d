"""Index snapshot of one session, and the changes that the session logs.

The process shares a snapshot that shows committed changes alone. A block that has written sees its own
changes and shares nothing but the bulk. A bulk serves readers of its own generation alone.
``connection.total_changes`` tells a block's states apart: it grows with every row written, undone ones
too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from docstore_sql.fragment import Fragment
from docstore_sql.tables import Tables

from docstore.index.bulk import Bulk
from docstore.index.extract import Record
from docstore.index.snapshot import Snapshot
from docstore.index.tail import RecordView, Tail
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection
from docstore_sqlite.delta_log import (
    CHANGES_PER_LOOK,
    LOGGED_BYTES,
    LOGGED_CHANGES,
    decoded,
    fold,
    log_new,
    log_old,
    logged_bytes,
)  # fmt: skip
from docstore_sqlite.posting_store import IndexState, PostingCache, PostingReader, SharedIndex  # fmt: skip
from docstore_sqlite.schema import FIELDS, IndexTables, columns, generation_name
from docstore_sqlite.text_index import TEXTS_FOLDED_TOGETHER, fold_texts, pending_texts

__all__ = ["SnapshotSession"]

_READING = {
    name: RecordView({**fields, "number": False}, lambda record: record, is_whole=False)
    for name, fields in FIELDS.items()
}

_TEXTS = frozenset({"filename", "content"})


class SnapshotSession:
    """The index as one session sees and changes it.

    Args:
        session: the block, with its compilers, cursor and connection.
        tables: the names of the tables.
        shared: the state that the process shares, by collection.

    Attributes:
        private: whether the block may read uncommitted changes.
    """

    def __init__(self, session: Any, tables: Tables, shared: Mapping[str, SharedIndex]) -> None:
        self.session = session
        self.cursor = session.cursor
        self.tables = tables
        self.names = IndexTables.of(tables)
        self.shared = shared
        self.private = False
        # The generation, the last change and the count of schemas when the index was last looked at.
        self.state: tuple[Any, Any, Any] = (None, None, None)
        self._own: dict[str, tuple[tuple[tuple[int, int], int, int], Snapshot]] = {}
        # The number of the change just logged.
        self._last: int | None = None
        self._has_text = False

    # -- snapshots -------------------------------------------------------------------------------------

    def index(self, collection: Collection) -> Snapshot:
        """Return the index of this session's snapshot. Call within a transaction."""
        name = collection.name
        stamp, last, numbers = self._token(collection)
        if self.private:
            return self._private(collection, (stamp, last, self._written()), numbers)
        shared = self.shared[name]
        state = shared.state
        token, index, kept = state.token, state.index, state.kept
        if index is None or token[0] != stamp:
            kept = PostingCache()
        stored = PostingReader(self.cursor, self.names, name, kept, True, _chunks(numbers))
        if index is None or token[0] != stamp:
            found = Snapshot(Bulk(FIELDS[name], stored), self._tail(collection, Tail(_READING[name]), 0))
        else:
            bulk = index.bulk.on(stored)
            if token[1] == last:
                return Snapshot(bulk, index.tail)
            is_later = token[1] < last
            tail, behind = (index.tail, token[1]) if is_later else (Tail(_READING[name]), 0)
            found = Snapshot(bulk, self._tail(collection, tail, behind))
        if token < (stamp, last):  # what an older snapshot sees serves nobody else
            shared.state = IndexState((stamp, last), found, kept)
        return found

    def _private(
        self, collection: Collection, token: tuple[tuple[int, int], int, int], numbers: int
    ) -> Snapshot:
        """Return the index with the changes of this block, which no other block may see."""
        name = collection.name
        found = self._own.get(name)
        if found is None or found[0] != token:
            state = self.shared[name].state
            same = state.index is not None and state.token[0] == token[0]
            stored = PostingReader(
                self.cursor, self.names, name, state.kept if same else PostingCache(), False, _chunks(numbers)
            )
            tail, behind = Tail(_READING[name]), 0
            if same and state.index is not None and state.token[1] <= token[1]:
                tail, behind = state.index.tail, state.token[1]
            tail = self._tail(collection, tail, behind)
            found = self._own[name] = (token, Snapshot(Bulk(FIELDS[name], stored), tail))
        return found[1]

    def _tail(self, collection: Collection, tail: Tail, behind: int) -> Tail:
        """Return a tail with the changes logged behind a change."""
        changed = self._changed(collection, behind)
        return tail.changed(changed) if changed else tail

    def _token(self, collection: Collection) -> tuple[tuple[int, int], int, int]:
        """Return the stamp of the bulk (SQLite's count of schemas, the generation), the last change and the
        last number.
        """
        self.cursor.execute(self.names.tokens[collection.name], (generation_name(collection),))
        generation, last, schemas, numbers = self.cursor.fetchone()
        self.state = generation, last, schemas
        return (schemas, int(generation or 0)), last or 0, numbers or 0

    def _written(self) -> int:
        raw = self.session.connection
        changes: int = getattr(raw, "driver_connection", raw).total_changes
        return changes

    def _changed(self, collection: Collection, behind: int) -> dict[int, Record | None]:
        """Return the rows logged behind a change, as they are now; None for rows that are gone."""
        changes, rows = self.names.changes[collection.name], self.names.rows[collection.name]
        self.cursor.execute(f"SELECT DISTINCT number FROM {changes} WHERE seq > ?", (behind,))
        found: dict[int, Record | None] = dict.fromkeys((row[0] for row in self.cursor.fetchall()), None)
        if found:
            self.cursor.execute(
                f"SELECT number, {columns(collection)} FROM {rows} WHERE number IN "
                f"(SELECT number FROM {changes} WHERE seq > ?)",
                (behind,),
            )
            for row in self.cursor.fetchall():
                found[row[0]] = {"number": row[0], **decoded(collection, row[1:])}
        return found

    # -- changes ---------------------------------------------------------------------------------------

    def inserted(self, collection: Collection, numbers: Sequence[int]) -> None:
        """Log new rows."""
        if numbers:
            last = log_new(self.cursor, self.names, collection, numbers)
            self._noted(collection, last, has_text=True)

    def changing(self, collection: Collection, number: int, names: Iterable[str]) -> bool:
        """Log a row about to be updated, if ``names`` has a column of the index; return whether it has."""
        has_text = collection is DOCUMENTS and not _TEXTS.isdisjoint(names)
        if not has_text and FIELDS[collection.name].keys().isdisjoint(names):
            return False
        self._last = log_old(self.cursor, self.names, collection, "number = ?", (number,), has_text=has_text)
        self._has_text = has_text
        return True

    def deleting(self, collection: Collection, where: Fragment) -> None:
        """Log rows about to be deleted."""
        has_text = collection is DOCUMENTS
        self._has_text |= has_text
        log_old(self.cursor, self.names, collection, where.text, where.values, has_text=has_text)

    def changed(self, collection: Collection) -> None:
        """Compact the log, after an update or a delete, if it is long."""
        self._noted(collection, self._last, has_text=self._has_text)
        self._last, self._has_text = None, False

    def is_noted(self, *collections: Collection) -> bool:
        """Return whether the log holds a change of these collections, or of any."""
        noted = (self.names.changes[one.name] for one in collections or (DOCUMENTS, EXTRACTIONS))
        self.cursor.execute("SELECT " + " OR ".join(f"EXISTS (SELECT 1 FROM {table})" for table in noted))
        return bool(self.cursor.fetchone()[0])

    def fold_all(self) -> None:
        """Compact the log."""
        for collection in (DOCUMENTS, EXTRACTIONS):
            if self.is_noted(collection):
                fold(self.cursor, self.names, collection)

    def _noted(self, collection: Collection, last: int | None, *, has_text: bool) -> None:
        """Compact the log if it is long.

        Args:
            collection: the collection of the logged records.
            last: the number of the last change, None if it is not known.
            has_text: whether texts may have been logged.
        """
        is_looked_at = last is None or last % CHANGES_PER_LOOK == 0
        if last is None:
            self.cursor.execute(f"SELECT max(seq) FROM {self.names.changes[collection.name]}")
            last = self.cursor.fetchone()[0] or 0
        if last >= LOGGED_CHANGES or (
            is_looked_at and logged_bytes(self.cursor, self.names, collection) > LOGGED_BYTES
        ):
            fold(self.cursor, self.names, collection)
            return
        texts = pending_texts(self.cursor, self.names) if has_text and collection is DOCUMENTS else 0
        if texts >= TEXTS_FOLDED_TOGETHER:
            fold_texts(self.cursor, self.names)


def _chunks(numbers: int) -> int:
    return (numbers >> 16) + 1
