"""Versions of the state: what a writer sees of its own changes, and what a snapshot keeps.

Both are a base state and an :class:`Overlay` that hides some of it and adds to it. A writer's overlay
holds the changes that it is about to make. A snapshot's overlay holds the base as it was before the
commits that the snapshot must not see.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from docstore.backend import BlobRow
from docstore.query.fields import Collection
from docstore_memory.index import Index, indexes
from docstore_memory.table import Record, Table

__all__ = ["MemoryState", "Overlay", "StateView", "TableOverlay"]


@dataclass(slots=True)
class MemoryState:
    """Everything a store holds, as committed."""

    tables: dict[str, Table] = field(default_factory=lambda: {"documents": Table(), "extractions": Table()})
    blobs: dict[str, BlobRow] = field(default_factory=dict)
    indexes: dict[str, Index] = field(default_factory=indexes)


@dataclass(slots=True)
class TableOverlay:
    """Changes to one table: base records with a number in ``hidden`` do not count, those of ``table`` do."""

    table: Table = field(default_factory=Table)
    hidden: set[int] = field(default_factory=set)

    def put(self, record: Record) -> None:
        """Let the record count instead of the base's of the same number."""
        self.hidden.add(record.number)
        self.table.put(record)

    def remove(self, number: int) -> None:
        """Let no record of this number count."""
        self.hidden.add(number)
        self.table.remove(number)

    def restoring(self, number: int) -> Callable[[], None]:
        """Return a function that restores the record of this number to its present state."""
        was_hidden, record = number in self.hidden, self.table.records.get(number)

        def restore() -> None:
            if record is None:
                self.table.remove(number)
            else:
                self.table.put(record)
            if not was_hidden:
                self.hidden.discard(number)

        return restore


@dataclass(slots=True)
class Overlay:
    """Changes to a whole state, empty at first. A blob of ``None`` is one that does not count."""

    layers: dict[str, TableOverlay] = field(
        default_factory=lambda: {"documents": TableOverlay(), "extractions": TableOverlay()}
    )
    blobs: dict[str, BlobRow | None] = field(default_factory=dict)

    def keep(self, base: MemoryState, coming: Overlay) -> None:
        """Keep the base's version of each record that ``coming`` changes, unless an older one is kept."""
        for name, layer in coming.layers.items():
            mine, records = self.layers[name], base.tables[name].records
            for number in layer.hidden - mine.hidden:
                old = records.get(number)
                if old is None:
                    mine.hidden.add(number)
                else:
                    mine.put(old)
        for key in coming.blobs:
            self.blobs.setdefault(key, base.blobs.get(key))

    def apply(self, base: MemoryState) -> None:
        """Make these changes to the base."""
        for name, layer in self.layers.items():
            table, records, index = base.tables[name], layer.table.records, base.indexes[name]
            if layer.hidden == records.keys() and table.records.keys().isdisjoint(records):
                index.note_new(records)
                table.add(layer.table)
                continue
            index.note({number: table.records.get(number) for number in sorted(layer.hidden)}, records)
            for number in layer.hidden - records.keys():
                table.remove(number)
            for number in sorted(records):
                table.put(records[number])
        for key, blob in self.blobs.items():
            if blob is None:
                base.blobs.pop(key, None)
            else:
                base.blobs[key] = blob


@dataclass(frozen=True, slots=True)
class StateView:
    """A state with an overlay over it, or without one. Read it while the base does not change."""

    base: MemoryState
    overlay: Overlay | None = None

    def all(self, collection: Collection) -> list[Record]:
        """Return every record; in the order of their numbers where nothing is laid over them."""
        records = self.base.tables[collection.name].records
        if self.overlay is None:
            return list(records.values())
        layer = self.overlay.layers[collection.name]
        return [*_besides(records.values(), layer), *layer.table.records.values()]

    def find(self, collection: Collection, index: str, key: Hashable) -> list[Record]:
        """Return the records under a key of an index."""
        found = self.base.tables[collection.name].find(index, key)
        if self.overlay is None:
            return found
        layer = self.overlay.layers[collection.name]
        return [*_besides(found, layer), *layer.table.find(index, key)]

    def has_any(self, collection: Collection, index: str, keys: Mapping[Hashable, Any]) -> bool:
        """Return whether a record is, or was below the overlay, under one of the keys of an index."""
        if self.base.tables[collection.name].has_any(index, keys):
            return True
        return self.overlay is not None and self.overlay.layers[collection.name].table.has_any(index, keys)

    def size(self, collection: Collection) -> int:
        """Return how many records there are in the base."""
        return len(self.base.tables[collection.name].records)

    def blob(self, key: str) -> BlobRow | None:
        """Return the blob row of this key, or ``None``."""
        if self.overlay is not None and key in self.overlay.blobs:
            return self.overlay.blobs[key]
        return self.base.blobs.get(key)

    def blobs(self) -> list[BlobRow]:
        """Return every blob row, in no order."""
        if self.overlay is None or not self.overlay.blobs:
            return list(self.base.blobs.values())
        merged: dict[str, BlobRow | None] = {**self.base.blobs, **self.overlay.blobs}
        return [blob for blob in merged.values() if blob is not None]


def _besides(records: Iterable[Record], layer: TableOverlay) -> Iterator[Record]:
    """Return the records that the layer does not hide."""
    hidden = layer.hidden
    return (record for record in records if record.number not in hidden) if hidden else iter(records)
