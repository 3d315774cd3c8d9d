"""Blocks of reading the state in memory.

Candidates are collected while nothing commits; records are immutable, so that the slow part, evaluating and
sorting them, holds no lock.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection as Container
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, islice
from threading import Lock
from typing import Any

from docstore.backend import BlobRow, BlobState, Query, Row, Scope, Statement
from docstore.concurrency import looked_over
from docstore.index.ordered import is_ordered
from docstore.query.evaluator import compile as compile_expr
from docstore.query.expr import TRUE, Path
from docstore.query.facets import group
from docstore.query.fields import collection_named
from docstore.query.sorting import after_function
from docstore_memory.narrow import (
    candidates,
    counted_records,
    counted_values,
    described,
    first_records,
    key_of,
    within,
)
from docstore_memory.records import Record
from docstore_memory.views import View

__all__ = ["MemoryReader"]

_EVERYWHERE = Scope()


class MemoryReader:
    """Reads of one view.

    Args:
        view: what to read.
        mutex: held by whoever changes the base of the view.
        settings: the texts that the core keeps, by name.
    """

    def __init__(self, view: View, mutex: Lock, settings: dict[str, str]) -> None:
        self._view = view
        self._mutex = mutex
        self._settings = settings

    def select(self, query: Query) -> Sequence[Row]:
        """Return the rows of ``query`` in its order."""
        names = _names(query.collection.name, query.include)
        return [record.row(names) for record in self._selected(query)]

    def _selected(self, query: Query) -> Sequence[Record]:
        found = first_records(self._view, self._mutex, query)
        if found is None and query.limit is not None and is_ordered(query.order):
            return self._first_in_order(query)
        records: Iterable[Record] = self._matching(query) if found is None else found.records
        if found is not None and found.left:
            records = chain(records, _passing(found.left, query))
        if query.after is not None:
            behind = after_function(query.after, query.order)
            records = (record for record in looked_over(records) if behind(record.facts))
        return _window(records, query, query.offset if found is None else found.skip)

    def _first_in_order(self, query: Query) -> list[Record]:
        """Return the window by looking at the candidates in the order, no further than to its end: to sort
        them by a number takes less than to look at them.
        """
        with self._mutex:
            sure, unsure = candidates(self._view, query)
        behind = None if query.after is None else after_function(query.after, query.order)
        test, numbers = compile_expr(query.where), {record.number for record in sure}
        passing = (
            record
            for record in looked_over(sorted([*sure, *unsure], key=key_of(query.order)))
            if (behind is None or behind(record.facts))
            and (record.number in numbers or (within(record, query) and test(record.facts)))
        )
        return list(islice(passing, query.offset, query.offset + (query.limit or 0)))

    def count(self, query: Query, at_most: int | None = None) -> int:
        """Count the rows of ``query``, at most ``at_most`` where it is given."""
        sure, left = counted_records(self._view, self._mutex, query)
        if at_most is not None and sure >= at_most:
            return at_most
        passing = _passing(left, query)
        return sure + sum(1 for _ in islice(passing, None if at_most is None else at_most - sure))

    def count_by(self, query: Query, path: Path) -> Mapping[Any, int]:
        """Count the rows of ``query`` by each scalar value seen at ``path``."""
        counted = counted_values(self._view, self._mutex, query, path)
        if counted is not None:
            return counted
        return group((record.facts for record in self._matching(query)), path)

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
            if query.scope != Scope() else "keep every scope",
            "evaluate the filter where the facts leave it open" if query.where != TRUE else "no filter",
            f"sort by {keys}; skip {query.offset}; take {'all' if query.limit is None else query.limit}",
        ]  # fmt: skip
        return Statement("\n".join(lines))

    def _matching(self, query: Query) -> Iterable[Record]:
        with self._mutex:
            sure, unsure = candidates(self._view, query)
        return chain(sure, _passing(unsure, query))


def _passing(records: Iterable[Record], query: Query) -> Iterator[Record]:
    """Return those of some records that are in the query's scope and match its filter."""
    test = compile_expr(query.where)
    return (record for record in looked_over(records) if within(record, query) and test(record.facts))


@lru_cache(maxsize=64)
def _names(collection: str, include: frozenset[str]) -> tuple[str, ...]:
    """Return the columns that a select's rows hold."""
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
