"""State: its versions, and which of its records match a query, or can, by a key or by the index.

What a writer sees of its own changes, and what a snapshot keeps, are a base state and an :class:`Overlay`
that hides some of it and adds to it. A writer's overlay holds the changes that it is about to make. A
snapshot's holds the base as it was before the commits that the snapshot must not see.

Records of the overlay, a writer's own changes or what a snapshot has kept, are few and always looked at;
the index speaks of the base. Everything here is done while nothing commits, and the records returned may
be read after.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop
from itertools import islice
from threading import Lock
from typing import Any, NamedTuple

from docstore.backend import BlobRow, Query, SortKey
from docstore.concurrency import looked_over
from docstore.index import top_k
from docstore.index.bitmap import EMPTY, Bitmap, difference
from docstore.index.counts import count_by
from docstore.index.snapshot import IndexMatches
from docstore.index.top_k import is_ordered
from docstore.query.evaluator import compile as compile_expr
from docstore.query.expr import Compare, Expr, In, Path, asked_fields
from docstore.query.facets import Bucket
from docstore.query.fields import Collection, Kind
from docstore.query.sorting import after_function, sort_key_function
from docstore_memory.index import Index, conjuncts, indexes
from docstore_memory.table import Record, Table


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


_KEYS = ("number", "id", "document_id", "external_id")
_FIRST_ROUND, _LAST_ROUND = 32, 65_536


def within(record: Record, query: Query) -> bool:
    """Return whether a record is in the query's scope."""
    scope = query.scope
    return (scope.tenant is None or record.get("tenant") == scope.tenant) and (
        scope.owner is None or record.get("owner") == scope.owner
    )


def candidates(view: StateView, query: Query) -> tuple[list[Record], list[Record]]:
    """Return the records that surely match, and those that have to be looked at."""
    keys = _keys(query)
    if keys is not None:
        index, values = keys
        found = (record for value in values for record in view.find(query.collection, index, value))
        return [], list({record.number: record for record in found}.values())
    answer, layer = _answer(view, query)
    bounds = answer.whole
    records = view.base.tables[query.collection.name].records
    beside = [] if layer is None else list(layer.table.records.values())
    sure = [records[number] for number in bounds.lower.members]
    return sure, [*(records[number] for number in bounds.recheck.members), *beside]


def counted_records(view: StateView, mutex: Lock, query: Query) -> tuple[int, list[Record]]:
    """Return how many records surely match, and those that have to be looked at."""
    with mutex:
        if _keys(query) is not None:
            return 0, candidates(view, query)[1]
        answer, layer = _answer(view, query)
        bounds = answer.whole
        records = view.base.tables[query.collection.name].records
        beside = [] if layer is None else list(layer.table.records.values())
        return answer.sure, [*(records[number] for number in bounds.recheck.members), *beside]


def counted_values(
    view: StateView, mutex: Lock, query: Query, path: Path, bucket: Bucket | None
) -> tuple[list[tuple[Any, int]], list[Record], list[Record]] | None:
    """Return how many records have each value at a path, or each bucket; those that have to be read, and
    those that have to be put to the filter, too.

    None if the index cannot tell.
    """
    with mutex:
        if _keys(query) is not None or _layer(view, query) is not None:
            return None
        index = view.base.indexes[query.collection.name].snapshot()
        counted = count_by(index, _answer(view, query)[0], path, bucket)
        if counted is None:
            return None
        return counted.pairs, _records(view, query, counted.left), _records(view, query, counted.unsure)


class WindowCandidates(NamedTuple):
    """The candidates of a window.

    Attributes:
        records: matching records; the window is among them and the matches in ``left``.
        skip: how many to skip once they are sorted and those before the position are left out.
        left: records that have to be tested.
    """

    records: list[Record]
    skip: int
    left: list[Record]


def first_records(view: StateView, mutex: Lock, query: Query) -> WindowCandidates | None:
    """Return where the query's window is; ``None`` where the order is not one that the index can cut."""
    with mutex:
        if query.limit is None or _keys(query) is not None:
            return None
        index, layer = view.base.indexes[query.collection.name], _layer(view, query)
        snapshot = index.snapshot()
        if not snapshot.can_cut(query.order, query.after):
            return None
        answer, bounds = index.find_ordered(query)
        after = query.after if bounds is None else bounds.behind(query.after)
        if after is not query.after and not snapshot.can_cut(query.order, after):
            return None
        found: list[Record] = []
        if layer is not None:
            answer = answer.without(Bitmap.of(sorted(layer.hidden)))
            found = list(passing(layer.table.records.values(), query))
        if not answer.is_exact:
            return _rounds(view, query, answer, after, found)
        cut = snapshot.cut(answer, query.order, query.offset, query.limit, after, len(found))
        if cut is None:
            return None
        records = view.base.tables[query.collection.name].records
        chosen = [records[number] for number in (*cut.bulk.members, *cut.tail)]
        if bounds is not None:
            name, holds = query.order[0].path[0], bounds.holds
            chosen = [record for record in chosen if holds(record.get(name))]
        return WindowCandidates([*chosen, *found], cut.skip, [])


def _rounds(
    view: StateView, query: Query, answer: IndexMatches, after: Sequence[Any] | None, found: list[Record]
) -> WindowCandidates | None:
    """Look at ever more of the records that come first, at each once, until enough of them match: of those
    that changed, and of the others.
    """
    snapshot = view.base.indexes[query.collection.name].snapshot()
    high, slack = answer.bulk.upper, 0
    if after is not None:
        high, slack = snapshot.after(high, query.order, after)
    wanted = query.offset + (query.limit or 0) + slack
    behind = behind_of(query)
    changed = in_order(list(filter(behind, _records(view, query, answer.tail.upper))), query.order)
    found = [*found, *islice(passing(changed, query), wanted)]
    beside, seen, size = len(found), EMPTY, _FIRST_ROUND + 2 * wanted
    while size <= _LAST_ROUND:
        cut = top_k.cut(high, query.order, 0, size, snapshot.bulk)
        if cut is None:
            return None
        found += passing(filter(behind, _records(view, query, difference(cut.members, seen))), query)
        seen = cut.members
        if len(found) - beside >= wanted or seen.count >= high.count:
            return WindowCandidates(found, query.offset, [])
        size *= 2
    return WindowCandidates(found, query.offset, _records(view, query, difference(high, seen)))


def passing(records: Iterable[Record], query: Query) -> Iterator[Record]:
    """Yield those of some records that are in the query's scope and match its filter."""
    test, reads = compile_expr(query.where), asked_fields(query.where)
    if any(query.collection.column(name).kind is Kind.JSON or name == "content" for name in reads):
        return (record for record in looked_over(records) if within(record, query) and test(record.facts))
    # A look at columns alone needs no decoded JSON.
    names = tuple(reads)
    return (record for record in looked_over(records) if within(record, query) and test(record.picked(names)))


def behind_of(query: Query) -> Callable[[Record], bool] | None:
    """Return the test whether a record is behind the query's position, None where it has none."""
    after, name = query.after, query.order[0].path[0]
    if after is None:
        return None
    if is_ordered(query.order) and type(after[0]) is int:
        value, number = after
        if query.order[0].descending:
            return lambda record: (record.get(name), record.number) < (value, number)
        return lambda record: (record.get(name), record.number) > (value, number)
    is_behind = after_function(after, query.order)
    return lambda record: is_behind(record.facts)


def in_order(records: Sequence[Record], order: Sequence[SortKey]) -> Iterator[Record]:
    """Yield records, given by ascending number, in an order; of one by numbers only what is asked for is
    sorted.
    """
    if not records or not is_ordered(order):
        yield from sorted(records, key=key_of(order))
        return
    # Plain integers, with the place in the lower bits: thousands of tuples would set the collector going.
    (values,) = records[0].columns(records, (order[0].path[0],))
    way = -1 if order[0].descending else 1
    heap = [way * (value << 32 | place) for place, value in enumerate(values)]
    heapify(heap)
    while heap:
        yield records[way * heappop(heap) & 0xFFFFFFFF]


def key_of(order: Sequence[SortKey]) -> Callable[[Record], Any]:
    """Return the sort key of records: two numbers where that is the order, else bytes."""
    if is_ordered(order):
        name = order[0].path[0]
        if order[0].descending:
            return lambda record: (-record.get(name), -record.number)
        return lambda record: (record.get(name), record.number)
    if len(order) == 1 and order[0].path == ("number",):
        sign = -1 if order[0].descending else 1
        return lambda record: sign * record.number
    by = sort_key_function(order)
    return lambda record: by(record.facts)


def described(view: StateView, query: Query) -> str:
    """Return in words how candidates are found."""
    keys = _keys(query)
    if keys is not None:
        index, values = keys
        return (
            f"look up {index} = {values[0]!r}"
            if len(values) == 1
            else f"look up {len(values)} values of {index}"
        )
    answer, _ = _answer(view, query)
    return f"index: {answer.sure} match, {answer.most - answer.sure} need a recheck,"


def _records(view: StateView, query: Query, members: Bitmap) -> list[Record]:
    records = view.base.tables[query.collection.name].records
    return [records[number] for number in members.members]


def _answer(view: StateView, query: Query) -> tuple[IndexMatches, TableOverlay | None]:
    """Return the index's answer for the base, and the overlay of the table, None without one."""
    found, layer = view.base.indexes[query.collection.name].find(query), _layer(view, query)
    return (found if layer is None else found.without(Bitmap.of(sorted(layer.hidden)))), layer


def _layer(view: StateView, query: Query) -> TableOverlay | None:
    layer = None if view.overlay is None else view.overlay.layers[query.collection.name]
    return layer if layer is not None and layer.hidden else None


def _keys(query: Query) -> tuple[str, tuple[Any, ...]] | None:
    """Return the key that has the fewest values to look up, where the filter asks for one."""
    options = [option for term in conjuncts(query.where) if (option := _keys_of(query, term)) is not None]
    return min(options, key=lambda option: len(option[1]), default=None)


def _keys_of(query: Query, term: Expr) -> tuple[str, tuple[Any, ...]] | None:
    """Return the index keys that a term asks for, if it does; ``None`` values are in no index."""
    match term:
        case Compare((name,), "eq", value):
            keys: tuple[Any, ...] = (value,)
        case In((name,), values):
            keys = values
        case _:
            return None
    if name not in _KEYS or name not in query.collection.fields:
        return None
    return (name, keys) if all(isinstance(key, str | int | float) for key in keys) else None
