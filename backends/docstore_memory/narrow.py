"""From a query to the records that match it, or can: by a key, or by the facts of the index.

Records of the overlay, a writer's own changes or what a snapshot has kept, are few and always looked at;
the index speaks of
the base. Everything here is done while nothing commits, and what is returned may be read after.
"""

from __future__ import annotations

from threading import Lock
from typing import Any, NamedTuple

from docstore.backend import Query
from docstore.concurrency import looked_over
from docstore.index import window
from docstore.index.answers import Bounds
from docstore.index.bits import EMPTY, Bits, minus
from docstore.index.layers import Layers
from docstore.index.ordered import MOST_ORDERED, Ordered, is_ordered
from docstore.query.evaluate import compile as compile_expr
from docstore.query.expr import Compare, Expr, In
from docstore.query.order import after_function
from docstore_memory.index import conjuncts
from docstore_memory.records import Record
from docstore_memory.views import Layer, View

__all__ = ["candidates", "counted_records", "described", "first_records", "within"]

_KEYS = ("number", "id", "document_id", "external_id")
_FIRST_ROUND, _LAST_ROUND = 32, 65_536


def within(record: Record, query: Query) -> bool:
    """Return whether a record is in the query's scope."""
    scope = query.scope
    return (scope.tenant is None or record.get("tenant") == scope.tenant) and (
        scope.owner is None or record.get("owner") == scope.owner
    )


def candidates(view: View, query: Query) -> tuple[list[Record], list[Record]]:
    """Return the records that surely match, and those that have to be looked at."""
    keys = _keys(query)
    if keys is not None:
        index, values = keys
        found = (record for value in values for record in view.find(query.collection, index, value))
        return [], list({record.number: record for record in found}.values())
    bounds, layer = _bounds(view, query)
    records = view.base.tables[query.collection.name].records
    beside = [] if layer is None else list(layer.table.records.values())
    sure = [records[number] for number in bounds.low.members]
    return sure, [*(records[number] for number in bounds.unsure.members), *beside]


def counted_records(view: View, mutex: Lock, query: Query) -> tuple[int, list[Record]]:
    """Return how many records surely match, and those that have to be looked at."""
    with mutex:
        if _keys(query) is not None:
            return 0, candidates(view, query)[1]
        bounds, layer = _bounds(view, query)
        records = view.base.tables[query.collection.name].records
        beside = [] if layer is None else list(layer.table.records.values())
        return bounds.low.count, [*(records[number] for number in bounds.unsure.members), *beside]


class First(NamedTuple):
    """What was found of a window.

    Attributes:
        records: matching ones, among which the window is, with what is in ``left``.
        skip: how many of them to skip once they are sorted and those not behind the position are left out.
        left: records that have to be looked at.
    """

    records: list[Record]
    skip: int
    left: list[Record]


def first_records(view: View, mutex: Lock, query: Query) -> First | None:
    """Return where the query's window is; ``None`` where the order is not one that the index can cut."""
    with mutex:
        if query.limit is None or _keys(query) is not None:
            return None
        layers = view.base.indexes[query.collection.name].layers()
        if not window.can_cut(query.order, query.after, layers):
            return None
        bounds, layer = _bounds(view, query)
        if bounds.exact and layer is None:
            placed = _placed(view, query, bounds, layers)
            if placed is not None:
                return First(placed, 0, [])
        high, slack = bounds.high, 0
        if query.after is not None:
            high, slack = window.after(high, query.order, query.after, layers)
        test = compile_expr(query.where)
        beside = [] if layer is None else list(layer.table.records.values())
        found = [record for record in beside if within(record, query) and test(record.facts)]
        if bounds.exact and not found:
            cut = window.cut(high, query.order, query.offset, query.limit + slack, layers)
            return None if cut is None else First(_records(view, query, cut.members), cut.skip, [])
        return _rounds(view, query, high, slack, found)


def _placed(view: View, query: Query, bounds: Bounds, layers: Layers) -> list[Record] | None:
    """Return the records of a page, where the matches are kept in its order; they are from the second time
    on that they are asked for.
    """
    if not is_ordered(query.order) or bounds.high.count > MOST_ORDERED or query.limit is None:
        return None
    key = view.base.indexes[query.collection.name].order_key(query)
    records, ordered = view.base.tables[query.collection.name].records, layers.orders.get(key)
    if ordered is None:
        if not layers.orders.is_due(key, bounds.high.count):
            return None
        name = query.order[0].path[0]
        pairs = sorted((records[number].get(name), number) for number in bounds.high.members)
        ordered = layers.orders.put(key, Ordered(pairs))
    page = ordered.page(query.offset, query.limit, query.after, descending=query.order[0].descending)
    return [records[number] for number in page]


def _rounds(view: View, query: Query, high: Bits, slack: int, found: list[Record]) -> First | None:
    """Look at ever more of the records that come first, at each once, until enough of them match."""
    layers = view.base.indexes[query.collection.name].layers()
    wanted = query.offset + (query.limit or 0) + slack
    behind = None if query.after is None else after_function(query.after, query.order)
    test, size = compile_expr(query.where), _FIRST_ROUND + 2 * wanted
    beside, seen = len(found), EMPTY
    while size <= _LAST_ROUND:
        cut = window.cut(high, query.order, 0, size, layers)
        if cut is None:
            return None
        found += [
            record
            for record in looked_over(_records(view, query, minus(cut.members, seen)))
            if (behind is None or behind(record.facts)) and within(record, query) and test(record.facts)
        ]
        seen = cut.members
        if len(found) - beside >= wanted or seen.count >= high.count:
            return First(found, query.offset, [])
        size *= 2
    return First(found, query.offset, _records(view, query, minus(high, seen)))


def described(view: View, query: Query) -> str:
    """Return in words how candidates are found."""
    keys = _keys(query)
    if keys is not None:
        index, values = keys
        return (
            f"look up {index} = {values[0]!r}"
            if len(values) == 1
            else f"look up {len(values)} values of {index}"
        )
    bounds, _ = _bounds(view, query)
    return f"facts: {bounds.low.count} match, {bounds.unsure.count} to be looked at,"


def _records(view: View, query: Query, members: Bits) -> list[Record]:
    records = view.base.tables[query.collection.name].records
    return [records[number] for number in members.members]


def _bounds(view: View, query: Query) -> tuple[Bounds, Layer | None]:
    """Return the bounds of the base's records that count, and what is laid over them, if anything is."""
    found = view.base.indexes[query.collection.name].find(query)
    layer = None if view.overlay is None else view.overlay.layers[query.collection.name]
    if layer is None or not layer.hidden:
        return found, None
    hidden = Bits.of(sorted(layer.hidden))
    low = minus(found.low, hidden)
    return Bounds(low, low if found.exact else minus(found.high, hidden)), layer


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
