"""Blocks of writing: changes laid over the state in memory, for one writer at a time."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from collections.abc import Collection as Container
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

from docstore.backend import BlobRow, BlobState, Capabilities, Duplicate, Row, column
from docstore.concurrency import Clock
from docstore.errors import shown
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection
from docstore_memory.reading import MemoryReader
from docstore_memory.records import Opened, Record
from docstore_memory.views import Layer, Overlay, View

__all__ = ["Counters", "MemoryWriter"]


@dataclass(slots=True)
class Counters:
    """What survives a rollback: the last number of each collection, the clock, the core's settings; and which
    records stand decoded.
    """

    numbers: dict[str, int] = field(default_factory=lambda: {"documents": 0, "extractions": 0})
    clock: Clock = field(default_factory=Clock)
    settings: dict[str, str] = field(default_factory=dict)
    opened: Opened = field(default_factory=Opened)


class MemoryWriter(MemoryReader):
    """Reads and writes laid over the base, for one writer at a time.

    Args:
        view: the base and the overlay that takes the changes.
        mutex: as for a reader.
        counters: numbers and clock, kept whatever becomes of the block.
    """

    capabilities = Capabilities(takes_columns=True)

    def __init__(self, view: View, mutex: Lock, counters: Counters) -> None:
        super().__init__(view, mutex, counters.settings)
        self._counters = counters
        self._undo: list[Callable[[], object]] | None = None
        assert view.overlay is not None
        self.overlay: Overlay = view.overlay

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Open a part of the block: an exception in it undoes what it did."""
        outer, mine = self._undo, list[Callable[[], object]]()
        self._undo = mine
        try:
            yield
        except BaseException:
            for step in reversed(mine):
                step()
            raise
        else:
            if outer is not None:
                outer += mine
        finally:
            self._undo = outer

    def _layer(self, collection: str, number: int) -> Layer:
        """Return the layer in which the record of this number is about to change."""
        layer = self.overlay.layers[collection]
        if self._undo is not None:
            self._undo.append(layer.restoring(number))
        return layer

    def _set_blob(self, key: str, blob: BlobRow | None) -> None:
        blobs = self.overlay.blobs
        if self._undo is not None:
            before, present = blobs.get(key), key in blobs
            self._undo.append(lambda: blobs.update({key: before}) if present else blobs.pop(key, None))
        blobs[key] = blob

    def now(self) -> int:
        """Return the process' clock in microseconds since the epoch, never less than before."""
        return self._counters.clock.now()

    def lock(self, *names: str) -> None:
        """Do nothing: there is one writer at a time."""

    def insert(self, collection: Collection, rows: Sequence[Row]) -> Sequence[int]:
        """Add rows; return their numbers.

        Raises:
            Duplicate: a unique key is taken; nothing of this call is kept.
        """
        last = self._counters.numbers[collection.name]
        self._counters.numbers[collection.name] += len(rows)
        taken = list(range(last + 1, last + 1 + len(rows)))
        made = Record.of_rows(collection, rows, taken, self._counters.opened)
        records = dict(zip(taken, made, strict=True))
        if self._undo is None and self._insert_plain(collection, rows, records):
            return taken
        numbers = list[int]()
        try:
            for number, record in records.items():
                self._check_unique(collection, record)
                self._layer(collection.name, number).put(record)
                numbers.append(number)
        except BaseException:
            for number in numbers:
                self._layer(collection.name, number).remove(number)
            raise
        return numbers

    def _insert_plain(
        self, collection: Collection, rows: Sequence[Row], records: Mapping[int, Record]
    ) -> bool:
        """Add records that are found by their ids alone, if they are such and none is taken."""
        if collection is not DOCUMENTS or any(id is not None for id in column(rows, "external_id")):
            return False
        ids = dict(zip(column(rows, "id"), records, strict=True))
        if len(ids) < len(rows) or self._view.has_any(collection, "id", ids):
            return False
        layer = self.overlay.layers[collection.name]
        layer.hidden.update(records)
        layer.table.add_new(records, ids)
        return True

    def update(self, collection: Collection, number: int, changes: Mapping[str, Any]) -> bool:
        """Set columns of one row; return whether it exists.

        Raises:
            Duplicate: a unique key is taken; the row is as before.
        """
        for record in self._view.find(collection, "number", number):
            changed = record.changed(changes)
            self._check_unique(collection, changed)
            self._layer(collection.name, number).put(changed)
            return True
        return False

    def delete(self, collection: Collection, numbers: Sequence[int]) -> int:
        """Remove rows, and the extractions of removed documents; return how many rows there were."""
        removed = 0
        for number in numbers:
            for record in self._view.find(collection, "number", number):
                self._layer(collection.name, number).remove(number)
                removed += 1
                if collection.name == "documents":
                    self._delete_extractions(record)
        return removed

    def set_setting(self, name: str, value: str) -> None:
        """Keep a text under a name, at once: no rollback takes it back."""
        self._settings[name] = value

    def insert_blob(self, blob: BlobRow) -> None:
        """Add a blob row.

        Raises:
            Duplicate: the key is taken.
        """
        if self._view.blob(blob.key) is not None:
            raise Duplicate(f"blob key {shown(blob.key)} is taken")
        self._set_blob(blob.key, blob)

    def update_blob(self, key: str, states: Container[BlobState], **changes: Any) -> bool:
        """Set fields of a blob row that is in one of ``states``; return whether it was."""
        blob = self._view.blob(key)
        if blob is None or blob.state not in states:
            return False
        self._set_blob(key, replace(blob, **changes))
        return True

    def delete_blob(self, key: str, states: Container[BlobState]) -> bool:
        """Remove a blob row that is in one of ``states``; return whether it was."""
        blob = self._view.blob(key)
        if blob is None or blob.state not in states:
            return False
        self._set_blob(key, None)
        return True

    def _delete_extractions(self, document: Record) -> None:
        for extraction in self._view.find(EXTRACTIONS, "document_id", document.get("id")):
            if extraction.get("tenant") == document.get("tenant"):
                self._layer("extractions", extraction.number).remove(extraction.number)

    def _check_unique(self, collection: Collection, record: Record) -> None:
        """Refuse a record whose id is taken in its tenant, or whose place in its version chain is."""
        keys: dict[str, Hashable] = dict(record.keys())
        tenant, number = record.get("tenant"), record.number
        for other in self._view.find(collection, "id", keys["id"]):
            if other.number != number and other.get("tenant") == tenant:
                raise Duplicate(f"id {shown(keys['id'])} is taken", constraint="id")
        for index in ("version", "latest"):
            taken = self._view.find(collection, index, keys[index]) if index in keys else ()
            if any(other.number != number for other in taken):
                raise Duplicate(f"{index} {shown(keys[index])} is taken", constraint="version")
