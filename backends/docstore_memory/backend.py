"""Memory backend: the state, its writers' turns, and how a change becomes visible.

A writer's changes lie over the state until its block ends. Then, in one step that no reader sees in
between, open snapshots keep the records that they saw, and the state takes the changes. Readers never wait
for a writer's block.

A block collects its candidates while nothing commits. Records are immutable, so that the slow part,
evaluating and sorting them, holds no lock. One writer at a time lays its changes over the state.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Collection as Container
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain, islice
from threading import Lock
from typing import Any, ClassVar
from uuid import uuid4

from docstore.backend import (
    EXACT,
    BlobRow,
    BlobState,
    Capabilities,
    Changes,
    Duplicate,
    Query,
    Reader,
    Row,
    Scope,
    SortKey,
    Statement,
    TermSupport,
    Writer,
    column,
)
from docstore.concurrency import Clock, FairLock, Gate, looked_over
from docstore.errors import shown
from docstore.index.top_k import is_ordered
from docstore.query.evaluator import compile as compile_expr
from docstore.query.expr import TRUE, Leaf, Path
from docstore.query.facets import Bucket, Facet, group
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, collection_named
from docstore_memory.index import MemoryPrepared, prepared
from docstore_memory.state import (
    MemoryState,
    Overlay,
    StateView,
    TableOverlay,
    behind_of,
    candidates,
    counted_records,
    counted_values,
    described,
    first_records,
    key_of,
    passing,
    within,
)
from docstore_memory.table import KEYS, DecodedRecords, Record

_EVERYWHERE = Scope()


class MemoryReader:
    """Reads of one view.

    Args:
        view: the view.
        mutex: held by any block that changes the base of the view.
        counters: what survives any block: the texts that the core keeps among it.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(reads_words=True, counts_buckets=True)

    def __init__(self, view: StateView, mutex: Lock, counters: Sequences) -> None:
        self._view = view
        self._mutex = mutex
        self._counters = counters
        self._settings = counters.settings

    def select(self, query: Query) -> Sequence[Row]:
        """Return the rows of ``query`` in its order."""
        names = _names(query.collection.name, query.include, query.only)
        if "words" not in names:
            return [record.row(names) for record in self._selected(query)]
        names, marks = tuple(name for name in names if name != "words"), self._counters.search_marks
        return [{**record.row(names), "words": record.words(marks)} for record in self._selected(query)]

    def _selected(self, query: Query) -> Sequence[Record]:
        found = first_records(self._view, self._mutex, query)
        if found is None and query.limit is not None and is_ordered(query.order):
            return self._first_in_order(query)
        records: Iterable[Record] = self._matching(query) if found is None else found.records
        if found is not None and found.left:
            records = chain(records, passing(found.left, query))
        behind = behind_of(query)
        if behind is not None:
            records = list(filter(behind, looked_over(records)))
        return _window(records, query, query.offset if found is None else found.skip)

    def _first_in_order(self, query: Query) -> list[Record]:
        """Return the window by looking at the candidates in the order, no further than to its end: to sort
        them by a number takes less than to look at them.
        """
        with self._mutex:
            sure, unsure = candidates(self._view, query)
        behind, records = behind_of(query), [*sure, *unsure]
        test, numbers = compile_expr(query.where), {record.number for record in sure}
        if behind is not None:
            records = [record for record in records if behind(record)]
        found = (
            record
            for record in looked_over(sorted(records, key=key_of(query.order)))
            if record.number in numbers or (within(record, query) and test(record.facts))
        )
        return list(islice(found, query.offset, query.offset + (query.limit or 0)))

    def count(self, query: Query, at_most: int | None = None) -> int:
        """Count the rows of ``query``, at most ``at_most`` where it is given."""
        sure, left = counted_records(self._view, self._mutex, query)
        if at_most is not None and sure >= at_most:
            return at_most
        found = passing(left, query)
        return sure + sum(1 for _ in islice(found, None if at_most is None else at_most - sure))

    def count_by(self, query: Query, path: Path, bucket: Bucket | None = None) -> Facet:
        """Count the rows of ``query`` by each scalar value seen at ``path``, or by each bucket."""
        counted = counted_values(self._view, self._mutex, query, path, bucket)
        if counted is None:
            return group((record.facts for record in self._matching(query)), path, bucket)
        pairs, left, unsure = counted
        read = group((record.facts for record in chain(left, passing(unsure, query))), path, bucket)
        return Facet([*pairs, *read.pairs()]) if pairs else read

    def setting(self, name: str) -> str | None:
        """Return the text kept under a name, ``None`` if there is none."""
        return self._settings.get(name)

    def blobs(
        self, *, states: Container[BlobState] = (), before: int | None = None, after_key: str = "",
        limit: int = 1000, keys: Sequence[str] | None = None, scope: Scope = _EVERYWHERE,
    ) -> Sequence[BlobRow]:  # fmt: skip
        """Return blob rows ordered by key, within all the bounds given."""
        with self._mutex:
            if keys is None:
                rows = self._view.blobs()
            else:
                rows = [blob for key in set(keys) if (blob := self._view.blob(key)) is not None]
        matching = (
            blob
            for blob in rows
            if blob.key > after_key
            and (not states or blob.state in states)
            and (before is None or blob.at < before)
            and (scope.tenant is None or blob.tenant == scope.tenant)
            and (scope.owner is None or blob.owner == scope.owner)
        )
        return heapq.nsmallest(limit, matching, key=lambda blob: blob.key)

    def explain(self, query: Query) -> Statement:
        """Return in words how ``query`` would be run."""
        with self._mutex:
            stored = self._view.size(query.collection)
            way = described(self._view, query)
        keys = ", ".join(("-" if key.descending else "") + ".".join(key.path) for key in query.order)
        lines = [
            f"{way} of {stored} {query.collection.name}",
            f"keep those within tenant={query.scope.tenant!r}, owner={query.scope.owner!r}"
            if query.scope != Scope() else "no scope",
            "evaluate the filter where the index leaves it open" if query.where != TRUE else "no filter",
            f"sort by {keys}; skip {query.offset}; take {'all' if query.limit is None else query.limit}",
        ]  # fmt: skip
        return Statement("\n".join(lines))

    def _matching(self, query: Query) -> Iterable[Record]:
        with self._mutex:
            sure, unsure = candidates(self._view, query)
        return chain(sure, passing(unsure, query))


@lru_cache(maxsize=64)
def _names(collection: str, include: frozenset[str], only: frozenset[str] | None) -> tuple[str, ...]:
    """Return the columns that a select's rows hold."""
    if only is not None:
        return tuple(only)
    light = collection_named(collection).light()
    return (*light, *sorted(include - set(light)))


def _window(records: Iterable[Record], query: Query, offset: int) -> Sequence[Record]:
    """Return the records at an offset and the query's limit in its order."""
    key = key_of(query.order)
    if query.limit is None:
        return sorted(looked_over(records), key=key)[offset:]
    if isinstance(records, list) and len(records) <= 2 * (offset + query.limit):
        return sorted(records, key=key)[offset : offset + query.limit]
    return heapq.nsmallest(offset + query.limit, looked_over(records), key=key)[offset:]


@dataclass(slots=True)
class Sequences:
    """State that survives a rollback: last numbers, clock, settings, decoded records, the fold."""

    numbers: dict[str, int] = field(default_factory=lambda: {"documents": 0, "extractions": 0})
    clock: Clock = field(default_factory=Clock)
    settings: dict[str, str] = field(default_factory=dict)
    opened: DecodedRecords = field(default_factory=DecodedRecords)
    search_marks: bool = False


class MemoryWriter(MemoryReader):
    """Reads and writes laid over the base, for one writer at a time.

    Args:
        view: the base and the overlay that takes the changes.
        mutex: as for a reader.
        counters: numbers and clock, kept whatever becomes of the block.
    """

    capabilities = Capabilities(takes_columns=True, updates_many=True, reads_words=True, counts_buckets=True)

    def __init__(self, view: StateView, mutex: Lock, counters: Sequences) -> None:
        super().__init__(view, mutex, counters)
        self._undo: list[Callable[[], object]] | None = None
        assert view.overlay is not None
        self.overlay: Overlay = view.overlay

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Open a part of the block: an exception in it undoes the changes of the part."""
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

    def _layer(self, collection: str, number: int) -> TableOverlay:
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

    def update(self, collection: Collection, row: Row, changes: Mapping[str, Any]) -> bool:
        """Set columns of one row; return whether it exists.

        Raises:
            Duplicate: a unique key is taken; the row is as before.
        """
        for record in self._view.find(collection, "number", row["number"]):
            self._put(collection, record.changed(changes), changes)
            return True
        return False

    def update_many(self, collection: Collection, changes: Changes) -> bool:
        """Set columns of rows; return whether all exist."""
        for row, columns in changes:
            found = self._view.find(collection, "number", row["number"])
            if not found:
                return False
            self._put(collection, found[0].updated(columns), columns)
        return True

    def _put(self, collection: Collection, record: Record, changes: Mapping[str, Any]) -> None:
        if not KEYS.isdisjoint(changes):
            self._check_unique(collection, record)
        self._layer(collection.name, record.number).put(record)

    def delete(self, collection: Collection, rows: Sequence[Row]) -> int:
        """Remove rows, and the extractions of removed documents; return how many rows there were."""
        removed = 0
        for row in rows:
            for record in self._view.find(collection, "number", row["number"]):
                self._layer(collection.name, record.number).remove(record.number)
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

    def update_blob(self, blob: BlobRow, states: Container[BlobState], **changes: Any) -> bool:
        """Set fields of a blob row that is in one of ``states``; return whether it was."""
        found = self._view.blob(blob.key)
        if found is None or found.state not in states:
            return False
        self._set_blob(blob.key, replace(found, **changes))
        return True

    def delete_blob(self, blob: BlobRow, states: Container[BlobState]) -> bool:
        """Remove a blob row that is in one of ``states``; return whether it was."""
        found = self._view.blob(blob.key)
        if found is None or found.state not in states:
            return False
        self._set_blob(blob.key, None)
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


class MemoryBackend:
    """A backend whose rows live and die with this object. Every thread of the process may use it.

    Args:
        busy_timeout: seconds that a writer waits for the one before it, at least 0.
        pool_timeout: seconds that a call of an AsyncStore waits for a thread.
        search_marks: whether a search keeps marks.
    """

    name = "memory"

    def __init__(
        self, *, busy_timeout: float = 10.0, pool_timeout: float = 10.0, search_marks: bool = False
    ) -> None:
        self.capabilities = Capabilities(pool_timeout=pool_timeout)
        self._busy_timeout = busy_timeout
        self._state = MemoryState()
        self._counters = Sequences(settings={"store_id": uuid4().hex}, search_marks=search_marks)
        self._declared: dict[str, list[tuple[SortKey, ...]]] = {}
        self._snapshots: dict[int, Overlay] = {}
        self._mutex = Lock()
        self._turn = FairLock()
        self._gate = Gate()

    def support(self, collection: Collection, leaf: Leaf) -> TermSupport:
        """Call every leaf exact: the evaluator runs them all."""
        return EXACT

    def prepare(self, query: Query) -> MemoryPrepared:
        """Return the terms of a query, which do not depend on its window."""
        return prepared(query)

    def sorts(self, collection: Collection, key: SortKey) -> TermSupport:
        """Call every sort key exact."""
        return EXACT

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Reader]:
        """Open a block for reading; ``snapshot=True`` where several reads must see one state."""
        with self._gate:
            yield from self._reading(snapshot)

    def _reading(self, snapshot: bool) -> Iterator[Reader]:
        if not snapshot:
            yield MemoryReader(StateView(self._state), self._mutex, self._counters)
            return
        kept = Overlay()
        with self._mutex:
            self._snapshots[id(kept)] = kept
        try:
            yield MemoryReader(StateView(self._state, kept), self._mutex, self._counters)
        finally:
            with self._mutex:
                del self._snapshots[id(kept)]

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """Open a block for writing, committed when it ends without an exception.

        Raises:
            StoreBusy: another block went on for longer than ``busy_timeout``.
        """
        self._gate.check()
        with self._turn.held(self._busy_timeout), self._gate:
            changes = Overlay()
            yield MemoryWriter(StateView(self._state, changes), self._mutex, self._counters)
            self._commit(changes)

    def close(self) -> None:
        """Forget everything."""
        if self._gate.is_torn:  # nobody is there who would let go of the lock
            return
        with self._mutex:
            self._state = MemoryState()

    # -- indexes -----------------------------------------------------------------------------------

    def create_index(self, collection: Collection, keys: Sequence[SortKey]) -> bool:
        """Note a declared index; return whether it is new. Memory indexes every path anyway."""
        known = self._declared.setdefault(collection.name, [])
        if tuple(keys) in known:
            return False
        known.append(tuple(keys))
        return True

    def drop_index(self, collection: Collection, keys: Sequence[SortKey]) -> bool:
        """Forget a declared index; return whether it was there."""
        known = self._declared.get(collection.name, [])
        if tuple(keys) not in known:
            return False
        known.remove(tuple(keys))
        return True

    def indexes(self, collection: Collection) -> list[tuple[SortKey, ...]]:
        """Return the keys of each declared index."""
        return list(self._declared.get(collection.name, ()))

    def seen_orders(self, collection: Collection) -> dict[tuple[SortKey, ...], tuple[int, float]]:
        """Return no order: none would be faster for an index being declared."""
        return {}

    def _commit(self, changes: Overlay) -> None:
        with self._mutex:
            for kept in self._snapshots.values():
                kept.keep(self._state, changes)
            changes.apply(self._state)


def open_backend(
    url: str = "memory://",
    *,
    busy_timeout: float = 10.0,
    pool_timeout: float = 10.0,
    search_marks: bool = False,
) -> MemoryBackend:
    """Return a fresh, empty store in memory: the entry point of the scheme ``memory``.

    Args:
        url: ``memory://``; nothing may follow, no two stores share their rows.
        busy_timeout: seconds that a writer waits for the one before it.
        pool_timeout: seconds that a call of an AsyncStore waits for a thread.
        search_marks: whether a search keeps marks; either is answered by the same index.

    Raises:
        ValueError: the URL names something.
    """
    if url.removeprefix("memory:").strip("/"):
        raise ValueError(f"{url!r}: a store in memory has no name; write memory://")
    return MemoryBackend(busy_timeout=busy_timeout, pool_timeout=pool_timeout, search_marks=search_marks)
