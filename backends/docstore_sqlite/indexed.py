"""One session's view of the index: the rows that a query comes down to, and which way they are found."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from docstore_sql.fragment import Fragment
from docstore_sql.tables import Tables

from docstore.backend import Query, Row
from docstore.index import window
from docstore.index.answers import Bounds
from docstore.index.bits import EMPTY, Bits, minus, union
from docstore.index.columns import slice_key
from docstore.index.facts import EVERY
from docstore.index.keys import NUMBERS
from docstore.index.layers import Layers
from docstore.index.ordered import CUT, MOST_ORDERED, PARTED, WALK, Ordered
from docstore.index.parted import Parted
from docstore.index.texts import asked, fts5
from docstore.query.expr import Expr, Leaf
from docstore.query.fields import DOCUMENTS
from docstore_sqlite.asked import Asked, asked_of
from docstore_sqlite.fetching import SOUGHT, Fetching, listed
from docstore_sqlite.narrow import LISTED, Way, sets_for
from docstore_sqlite.postings import Postings, Shared
from docstore_sqlite.standing import Standing
from docstore_sqlite.walking import Walking

__all__ = ["Indexed"]

_WALK_LEAST = 256
_ROUND = 128
_WORTH = 1024
"""Bytes of a set that a walk takes about as long as working out."""


class Indexed(Standing):
    """The index as one session asks it.

    Args:
        session: the block; its compilers, cursor and connection are used.
        tables: the tables' names.
        shared: by collection, what the process knows.
    """

    def __init__(self, session: Any, tables: Tables, shared: Mapping[str, Shared]) -> None:
        super().__init__(session, tables, shared)
        self.walking = Walking(session, tables)
        self.fetching = Fetching(session, tables)

    def asked(self, query: Query) -> Asked:
        """Return what ``query`` asks."""
        return asked_of(query, self.session.compilers[query.collection.name])

    def timed(self, query: Query, asked: Asked, select: Callable[[Query], list[Row]]) -> list[Row]:
        """Select, and take the time where rows have to be sorted by a JSON path that no index is declared
        for.
        """
        if asked.is_sorted:
            return select(query)
        begun = time.perf_counter()
        rows = select(query)
        self.shared[query.collection.name].sorted_by_hand(query.order, time.perf_counter() - begun)
        return rows

    def select(self, query: Query) -> tuple[Way, Fragment]:
        """Return how the rows of ``query`` are found, and the statement that reads them. Call within a
        transaction.
        """
        layers, asked = self.layers(query.collection), self.asked(query)
        placed = self._placed(query, asked, layers)
        if placed is not None:
            return Way("order"), self.fetching.page(query, asked, placed)
        if query.limit is not None and asked.is_walkable and query.offset + query.limit <= _WALK_LEAST:
            numbers = self.walking.page(query, asked, layers, self._sets)
            if numbers is not None:
                whole = self._whole(query, asked, layers)
                if whole is not None and whole.exact:
                    self._sort(query, asked, whole, layers, WALK)
                return Way("walk"), self.fetching.page(query, asked, numbers)
        found = self._sets(asked.terms, asked.key, layers, query)
        unsure = 0 if found.exact else found.high.count - found.low.count
        way = Way("list", found.low.count, unsure)
        high, slack = found.high, 0
        if high.count <= LISTED and (not found.exact or high.count <= 64 or query.limit is None):
            return way, self.fetching.reading(query, high.members, checked=found.exact)
        if found.exact and query.limit is not None and window.can_cut(query.order, query.after, layers):
            if self._sort(query, asked, found, layers, PARTED):
                placed = self._placed(query, asked, layers)
                assert placed is not None
                return replace(way, kind="order"), self.fetching.page(query, asked, placed)
            placed = self._parted(query, asked, high, layers)
            if placed is not None:
                return replace(way, kind="cut"), self.fetching.page(query, asked, placed)
            if query.after is not None:
                high, slack = window.after(high, query.order, query.after, layers)
            cut = window.cut(high, query.order, query.offset, query.limit + slack, layers)
            if cut is not None and cut.members.count <= SOUGHT:
                reading = self.fetching.reading(
                    replace(query, offset=cut.skip), cut.members.members, checked=True
                )
                return replace(way, kind="cut"), reading
        if found.high.count <= LISTED:
            return way, self.fetching.reading(query, found.high.members, checked=found.exact)
        if not found.exact and query.limit is not None and window.can_cut(query.order, query.after, layers):
            numbers = self._rounds(query, found, layers)
            if numbers is not None:
                return replace(way, kind="rounds"), self.fetching.reading(
                    replace(query, after=None), numbers, checked=True
                )
        return replace(way, kind="scan"), self.fetching.scanning(query, found.high, exact=found.exact)

    def _whole(self, query: Query, asked: Asked, layers: Layers) -> Bounds | None:
        """Return the bounds of a filter that was walked for, where they are known; they are worked out once
        it was walked for so often that this, and sorting its matches, would have paid.
        """
        found: Bounds | None = layers.answers.get(asked.key)
        asked.walks += 1
        if found is None and asked.placed and asked.walks * _WORTH > len(layers.post((), EVERY).raw):
            asked.walks = 0
            return self._sets(asked.terms, asked.key, layers, query)
        return found

    def count(self, query: Query, at_most: int | None) -> int:
        """Count the rows of ``query``. Call within a transaction."""
        asked = self.asked(query)
        found = self._sets(asked.terms, asked.key, self.layers(query.collection), query)
        sure = found.low.count
        if found.exact or (at_most is not None and sure >= at_most):
            return sure if at_most is None else min(sure, at_most)
        left = -1 if at_most is None else at_most - sure
        return sure + self.fetching.count(query, found.unsure, left)

    def _sets(self, terms: Sequence[Expr], key: str, layers: Layers, query: Query) -> Bounds:
        """Return the bounds of the terms; what texts the documents have is asked of the index of texts."""
        return sets_for(terms, key, layers, self._text if query.collection is DOCUMENTS else None)

    def _text(self, leaf: Leaf, layers: Layers) -> Bounds | None:
        question = asked(leaf)
        if question is None:
            return None
        assert isinstance(layers.stored, Postings)
        found = layers.stored.texts(fts5(question))
        return None if found is None else Bounds(EMPTY, union(found, layers.stored.unfolded_texts()))

    def _rounds(self, query: Query, found: Bounds, layers: Layers) -> list[int] | None:
        """Return the first numbers that pass, of ever more that come first in the order; ``None`` if they
        are rare among them.
        """
        high, slack = found.high, 0
        if query.after is not None:
            high, slack = window.after(high, query.order, query.after, layers)
        wanted = query.offset + (query.limit or 0)
        size = 4 * wanted + slack + _ROUND
        while size <= 4 * SOUGHT:
            cut = window.cut(high, query.order, 0, size, layers)
            if cut is None:
                return None
            passed = self.fetching.passing(query, cut.members.members)
            if len(passed) >= wanted or cut.members.count >= high.count:
                return passed
            size *= 8
        return None

    def _placed(self, query: Query, asked: Asked, layers: Layers) -> Sequence[int] | None:
        """Return the numbers of the page, where the matches are kept in its order."""
        if asked.placed is None or query.limit is None:
            return None
        ordered = layers.orders.get(asked.placed)
        if ordered is None:
            return None
        return ordered.page(query.offset, query.limit, query.after, descending=query.order[0].descending)

    def _parted(self, query: Query, asked: Asked, found: Bits, layers: Layers) -> Sequence[int] | None:
        """Return the numbers of the page out of what was found, whose parts are kept; ``None`` where the
        column does not hold all of it.
        """
        if asked.placed is None or query.limit is None:
            return None
        path, descending = query.order[0].path, query.order[0].descending
        parted = layers.orders.parted.get(asked.placed)
        if parted is None:
            if minus(found, layers.post(path, NUMBERS)):
                return None
            parted = layers.orders.put_parted(asked.placed, Parted(found, layers.varying(path, NUMBERS)))

        def slices(at: int) -> Bits:
            return layers.post(path, slice_key(NUMBERS, at))

        return parted.page(slices, query.offset, query.limit, query.after, descending=descending)

    def _sort(self, query: Query, asked: Asked, found: Bounds, layers: Layers, gain: int = CUT) -> bool:
        """Sort the matches and keep them, if that would have paid by now; return whether it was done."""
        size = found.low.count
        if asked.placed is None or size > MOST_ORDERED or not layers.orders.is_due(asked.placed, size, gain):
            return False
        name, table = query.order[0].path[0], self.tables.of(query.collection)
        self.cursor.execute(
            f"SELECT d.{name}, d.number FROM json_each(?) AS j CROSS JOIN {table} AS d ON d.number = j.value "
            "ORDER BY 1, 2",
            (listed(found.low.members),),
        )
        layers.orders.put(asked.placed, Ordered(self.cursor.fetchall()))
        return True
