"""One session's view of the index: the layers of its snapshot, and the rows that a query comes down to.

Layers that show committed changes alone are shared by the process; a block that has written sees its own
changes, and shares
nothing. ``connection.total_changes`` tells its states apart: it grows with every row written, undone ones
too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from docstore_sql.fragment import Fragment, both
from docstore_sql.tables import Tables

from docstore.backend import Query, Row
from docstore.index import window
from docstore.index.answers import Bounds
from docstore.index.bits import EMPTY, Bits, minus, union
from docstore.index.columns import slice_key
from docstore.index.facts import EVERY
from docstore.index.keys import NUMBERS
from docstore.index.layers import Layers, Record
from docstore.index.ordered import CUT, MOST_ORDERED, PARTED, WALK, Ordered
from docstore.index.parted import Parted
from docstore.index.texts import asked, fts5
from docstore.query.expr import And, Expr, Leaf
from docstore.query.fields import DOCUMENTS, Collection
from docstore_sqlite.again import LONGEST, Page, page_text
from docstore_sqlite.asked import Asked, asked_of
from docstore_sqlite.folding import (
    FOLD,
    FOLD_BULK,
    decoded,
    fold,
    generation_name,
    note_new,
    note_old,
)  # fmt: skip
from docstore_sqlite.functions import Member
from docstore_sqlite.narrow import LISTED, Way, scoped, sets_for
from docstore_sqlite.postings import FIELDS, IndexTables, Kept, Postings, Shared, columns
from docstore_sqlite.walking import Walking

__all__ = ["Indexed"]

_WALK_LEAST = 256
_ROUND = 128
_WORTH = 1024
"""Bytes of a set that a walk takes about as long as working out."""
_SOUGHT = 20_000
_TEXTS = frozenset({"filename", "content"})


class Indexed:
    """The index as one session sees it.

    Args:
        session: the block; its compilers, cursor and connection are used.
        shared: by collection, what the process knows.
        private: whether what the block reads may be uncommitted.
    """

    def __init__(self, session: Any, tables: Tables, shared: Mapping[str, Shared]) -> None:
        self.session = session
        self.cursor = session.cursor
        self.tables = tables
        self.walking = Walking(session, tables)
        self.names = IndexTables.of(tables)
        self.shared = shared
        self.private = False
        self._own: dict[str, tuple[tuple[int, int, int], Layers]] = {}
        self._bulk = 0
        self._last: int | None = None
        """The number of the change just noted."""
        self._state: tuple[Any, Any, Any] = (None, None, None)
        """How the index stood when its layers were last looked for."""

    # -- layers ----------------------------------------------------------------------------------------

    def layers(self, collection: Collection) -> Layers:
        """Return the index of this snapshot. Call within a transaction."""
        name = collection.name
        generation, last, numbers = self._token(collection)
        shared = self.shared[name]
        token, layers, kept = shared.token, shared.layers, shared.kept
        if self.private:
            return self._private(collection, (generation, last, self._written()), numbers)
        stored = Postings(self.cursor, self.names, name, kept, shared.paths, _chunks(numbers))
        if layers is not None and token == (generation, last):
            return layers.on(stored)
        if layers is not None and token[0] == generation and token[1] < last:
            layers = layers.on(stored).changed(self._changed(collection, token[1]))
        else:
            fresh = token < (generation, last)
            kept = Kept() if token[0] != generation else kept
            stored = Postings(self.cursor, self.names, name, kept, shared.paths, _chunks(numbers))
            layers = Layers(FIELDS[name], stored).changed(self._changed(collection, 0))
            if not fresh:
                return layers
        shared.token, shared.layers, shared.kept = (generation, last), layers, kept
        return layers

    def _private(self, collection: Collection, token: tuple[int, int, int], numbers: int) -> Layers:
        name = collection.name
        found = self._own.get(name)
        if found is None or found[0] != token:
            shared = self.shared[name]
            same = shared.token[0] == token[0]
            stored = Postings(
                self.cursor, self.names, name, shared.kept if same else Kept(), None, _chunks(numbers)
            )
            layers = Layers(FIELDS[name], stored)
            found = self._own[name] = (token, layers.changed(self._changed(collection, 0)))
        return found[1]

    def _token(self, collection: Collection) -> tuple[int, int, int]:
        self.cursor.execute(self.names.tokens[collection.name], (generation_name(collection),))
        self._state = generation, last, numbers = self.cursor.fetchone()
        return int(generation or 0), last or 0, numbers or 0

    def _written(self) -> int:
        raw = self.session.connection
        changes: int = getattr(raw, "driver_connection", raw).total_changes
        return changes

    def _changed(self, collection: Collection, behind: int) -> dict[int, Record | None]:
        """Return the rows noted behind a change, as they are now; ``None`` for those that are gone."""
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
                found[row[0]] = decoded(collection, row[1:])
        return found

    # -- changes ---------------------------------------------------------------------------------------

    def inserted(self, collection: Collection, numbers: Sequence[int]) -> None:
        """Note rows just inserted."""
        if numbers:
            last = note_new(self.cursor, self.names, collection, numbers)
            self._noted(collection, len(numbers), last)

    def changing(self, collection: Collection, number: int, names: Iterable[str]) -> bool:
        """Note a row about to be updated, if ``names`` has a column of the index; return whether it has."""
        has_text = not _TEXTS.isdisjoint(names)
        if not has_text and FIELDS[collection.name].keys().isdisjoint(names):
            return False
        self._last = note_old(self.cursor, self.names, collection, "number = ?", (number,), has_text=has_text)
        return True

    def deleting(self, collection: Collection, where: Fragment) -> None:
        """Note rows about to be deleted."""
        note_old(self.cursor, self.names, collection, where.text, where.values)

    def changed(self, collection: Collection, rows: int = 1) -> None:
        """Fold, after an update or a delete, if many changes are noted."""
        self._noted(collection, rows, self._last)
        self._last = None

    def _noted(self, collection: Collection, rows: int, last: int | None) -> None:
        """Fold if it is time; ``last`` is the number of the last change, where it is known."""
        self._bulk += rows
        if last is None:
            self.cursor.execute(f"SELECT max(seq) FROM {self.names.changes[collection.name]}")
            last = self.cursor.fetchone()[0] or 0
        if last >= (FOLD_BULK if self._bulk >= FOLD // 4 else FOLD):
            fold(self.cursor, self.names, collection)

    # -- reading ---------------------------------------------------------------------------------------

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
            return Way("order", exact=True), self._page(query, asked, placed)
        if query.limit is not None and asked.is_walkable and query.offset + query.limit <= _WALK_LEAST:
            numbers = self.walking.page(query, asked, layers, self._sets)
            if numbers is not None:
                whole = self._whole(query, asked, layers)
                if whole is not None and whole.exact:
                    self._sort(query, asked, whole, layers, WALK)
                return Way("walk", exact=_is_exact(layers, asked)), self._page(query, asked, numbers)
        found = self._sets(asked.terms, asked.key, layers, query)
        unsure = 0 if found.exact else found.high.count - found.low.count
        way = Way("list", found.low.count, unsure, exact=found.exact)
        high, slack = found.high, 0
        if high.count <= LISTED and (not found.exact or high.count <= 64 or query.limit is None):
            return way, self._reading(query, high.members, checked=found.exact)
        if found.exact and query.limit is not None and window.can_cut(query.order, query.after, layers):
            if self._sort(query, asked, found, layers, PARTED):
                placed = self._placed(query, asked, layers)
                assert placed is not None
                return replace(way, kind="order"), self._page(query, asked, placed)
            placed = self._parted(query, asked, high, layers)
            if placed is not None:
                return replace(way, kind="cut"), self._page(query, asked, placed)
            if query.after is not None:
                high, slack = window.after(high, query.order, query.after, layers)
            cut = window.cut(high, query.order, query.offset, query.limit + slack, layers)
            if cut is not None and cut.members.count <= _SOUGHT:
                reading = self._reading(replace(query, offset=cut.skip), cut.members.members, checked=True)
                return replace(way, kind="cut"), reading
        if found.high.count <= LISTED:
            return way, self._reading(query, found.high.members, checked=found.exact)
        if not found.exact and query.limit is not None and window.can_cut(query.order, query.after, layers):
            numbers = self._rounds(query, found, layers)
            if numbers is not None:
                return replace(way, kind="rounds"), self._reading(
                    replace(query, after=None), numbers, checked=True
                )
        return replace(way, kind="scan"), self._scanning(query, found)

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

    def again(self, query: Query, asked: Asked) -> tuple[tuple[str, ...], list[tuple[Any, ...]]] | None:
        """Return the columns and rows of a page that was asked for before; ``None``: it has to be looked for.

        One statement, within a transaction or not: what it reads is of one state.
        """
        page = None if asked.placed is None or self.private else asked.pages.get(query)
        if page is None:
            return None
        self.cursor.execute(page.text, page.values)
        rows = self.cursor.fetchall()
        return (page.names, page.in_order(rows)) if rows else None

    def remember(self, query: Query, asked: Asked, names: tuple[str, ...], rows: Sequence[Row]) -> None:
        """Keep which rows are on a page that was found exactly, just now, within this transaction."""
        if asked.placed is None or self.private or query.limit is None or not 0 < len(rows) <= LONGEST:
            return
        numbers = [row["number"] for row in rows]
        collection, (generation, last, _) = query.collection, self._state
        text = page_text(
            self.session.selected(query),
            self.tables.of(collection),
            self.names.states[collection.name],
            len(numbers),
        )
        values = (*numbers, generation_name(collection), generation, last)
        asked.pages.put(query, Page(numbers, names, text, values))

    def count(self, query: Query, at_most: int | None) -> int:
        """Count the rows of ``query``. Call within a transaction."""
        asked = self.asked(query)
        found = self._sets(asked.terms, asked.key, self.layers(query.collection), query)
        sure = found.low.count
        if found.exact or (at_most is not None and sure >= at_most):
            return sure if at_most is None else min(sure, at_most)
        compiler = self.session.compilers[query.collection.name]
        table, unsure = self.tables.of(query.collection), found.unsure
        values: tuple[str, ...] = ()
        if unsure.count <= _SOUGHT:
            source, values = (
                f"json_each(?) AS j CROSS JOIN {table} AS d ON d.number = j.value",
                (_listed(unsure.members),),
            )
            where = compiler.where(And(scoped(query)))
        else:
            source = f"{table} AS d"
            where = both(
                (
                    Fragment("docstore_test(?, d.number)", (Member(unsure.raw),)),
                    compiler.where(And(scoped(query))),
                )
            )
        left = -1 if at_most is None else at_most - sure
        text = f"SELECT count(*) FROM (SELECT 1 FROM {source} WHERE {where.text} LIMIT ?)"
        self.cursor.execute(text, (*values, *where.values, left))
        return sure + int(self.cursor.fetchone()[0])

    def _sets(self, terms: Sequence[Expr], key: str, layers: Layers, query: Query) -> Bounds:
        """Return the bounds of the terms; what texts the documents have is asked of the index of texts."""
        return sets_for(terms, key, layers, self._text if query.collection is DOCUMENTS else None)

    def _text(self, leaf: Leaf, layers: Layers) -> Bounds | None:
        question = asked(leaf)
        if question is None:
            return None
        assert isinstance(layers.stored, Postings)
        found = layers.stored.texts(fts5(question))
        return None if found is None else Bounds(EMPTY, union(found, layers.stale))

    def _rounds(self, query: Query, found: Bounds, layers: Layers) -> list[int] | None:
        """Return the first numbers that pass, of ever more that come first in the order; ``None`` if they
        are rare among them.
        """
        high, slack = found.high, 0
        if query.after is not None:
            high, slack = window.after(high, query.order, query.after, layers)
        wanted = query.offset + (query.limit or 0)
        size = 4 * wanted + slack + _ROUND
        while size <= 4 * _SOUGHT:
            cut = window.cut(high, query.order, 0, size, layers)
            if cut is None:
                return None
            passed = self._passing(query, cut.members.members)
            if len(passed) >= wanted or cut.members.count >= high.count:
                return passed
            size *= 8
        return None

    def _passing(self, query: Query, numbers: Sequence[int]) -> list[int]:
        """Return those of some rows that match the filter and stand behind the position."""
        compiler = self.session.compilers[query.collection.name]
        parts = [compiler.where(And(scoped(query)))]
        if query.after is not None:
            parts.append(compiler.after(query.order, query.after))
        where = both(parts)
        table = self.tables.of(query.collection)
        self.cursor.execute(
            f"SELECT d.number FROM json_each(?) AS j CROSS JOIN {table} AS d ON d.number = j.value "
            f"WHERE {where.text}",
            (_listed(numbers), *where.values),
        )
        return [row[0] for row in self.cursor.fetchall()]

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
            (_listed(found.low.members),),
        )
        layers.orders.put(asked.placed, Ordered(self.cursor.fetchall()))
        return True

    def _page(self, query: Query, asked: Asked, numbers: Sequence[int]) -> Fragment:
        """Return the statement that reads a page's rows, all of them, in the query's order."""
        table = self.tables.of(query.collection)
        text = (
            f"SELECT {self.session.selected(query)} FROM json_each(?) AS j CROSS JOIN {table} AS d "
            f"ON d.number = j.value ORDER BY {asked.order.text}"
        )
        return Fragment(text, (_listed(numbers), *asked.order.values))

    def _reading(self, query: Query, numbers: Sequence[int], *, checked: bool) -> Fragment:
        """Return the statement that reads rows by number; those not ``checked`` are put to the filter."""
        compiler = self.session.compilers[query.collection.name]
        parts = [] if checked else [compiler.where(And(scoped(query)))]
        if query.after is not None:
            parts.append(compiler.after(query.order, query.after))
        source = f"json_each(?) AS j CROSS JOIN {self.tables.of(query.collection)} AS d ON d.number = j.value"
        return self._statement(query, source, (_listed(numbers),), parts)

    def _scanning(self, query: Query, found: Bounds) -> Fragment:
        """Return the statement that reads in the order of the query, a bit test a row."""
        compiler = self.session.compilers[query.collection.name]
        parts = [Fragment("docstore_test(?, d.number)", (Member(found.high.raw),))]
        if not found.exact:
            parts.append(compiler.where(And(scoped(query))))
        if query.after is not None:
            parts.append(compiler.after(query.order, query.after))
        return self._statement(query, f"{self.tables.of(query.collection)} AS d", (), parts)

    def _statement(
        self, query: Query, source: str, values: tuple[Any, ...], parts: Sequence[Fragment]
    ) -> Fragment:
        where = both(parts).wrapped(" WHERE ") if parts else Fragment("")
        order = self.asked(query).order
        limit = -1 if query.limit is None else query.limit
        selected = self.session.selected(query)
        text = f"SELECT {selected} FROM {source}{where.text} ORDER BY {order.text} LIMIT ? OFFSET ?"
        return Fragment(text, (*values, *where.values, *order.values, limit, query.offset))


def _is_exact(layers: Layers, asked: Asked) -> bool:
    """Return whether the sets that a walk went by are exact, as far as they are still known."""
    found: Bounds | None = layers.answers.get(asked.untimed_key)
    return found is not None and found.exact


def _chunks(numbers: int) -> int:
    return (numbers >> 16) + 1


def _listed(numbers: Sequence[int]) -> str:
    return f"[{','.join(map(str, numbers))}]"
