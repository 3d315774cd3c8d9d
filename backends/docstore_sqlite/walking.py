"""Walking: pages from the first rows of the order of ``created_at``, a bit test a row.

Where matches are frequent that fills a page, and nothing is counted or sorted. The first rows of the order
are kept beside the state of the index that they belong to, and later walks read no row of it again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from docstore_sql.fragment import Fragment, both
from docstore_sql.tables import Tables

from docstore.backend import Query
from docstore.index.answers import Bounds
from docstore.index.facts import EVERY
from docstore.index.layers import Layers
from docstore.index.ordered import First
from docstore.query.expr import And, Expr
from docstore_sqlite.asked import Asked
from docstore_sqlite.functions import Member
from docstore_sqlite.narrow import WALK_MOST, scoped, walk_length

__all__ = ["Walking"]

_ROUND = 128
_FARTHER = 4
"""How many times as far a walk of kept rows goes as one in the table: it takes a tenth of the time."""
_FIRST = 16_384
"""So many of the first rows of an order are kept at most, or twice as many."""
Sets: TypeAlias = Callable[[Sequence[Expr], str, Layers, Query], Bounds]


class Walking:
    """Walks for one session.

    Args:
        session: the block; its compilers and cursor are used.
        tables: the tables' names.
    """

    def __init__(self, session: Any, tables: Tables) -> None:
        self.session = session
        self.cursor = session.cursor
        self.tables = tables

    def page(self, query: Query, asked: Asked, layers: Layers, sets: Sets) -> list[int] | None:
        """Return the page's numbers by walking the first rows of the order, or ``None`` if they do not
        fill it.
        """
        wanted = query.offset + (query.limit or 0)
        whole: Bounds | None = layers.answers.get(asked.key)
        total = 8 * len(layers.post((), EVERY).raw)
        length = walk_length(wanted, total)
        known = layers.orders.first.get(query.order[0].descending, 0)
        is_known = isinstance(known, First) and asked.span is not None
        furthest = min(_FARTHER * length, WALK_MOST) if is_known else length
        if whole is not None and whole.high.is_rarer(wanted, furthest, total):
            return None
        found = sets(asked.untimed, asked.untimed_key, layers, query)
        if found.high.is_rarer(wanted, furthest, total):
            return None
        first = self._first(query, layers, length) if found.exact and asked.span is not None else None
        kept = None if first is None else self._kept(query, asked, layers, first, found.high.raw, furthest)
        return self._walked(query, asked, found, length) if kept is None else kept or None

    def _walked(self, query: Query, asked: Asked, found: Bounds, length: int) -> list[int] | None:
        """Walk the order in the table."""
        raw, wanted = found.high.raw, query.offset + (query.limit or 0)
        compiler = self.session.compilers[query.collection.name]
        parts = [] if asked.timed is None else [asked.timed]
        if query.after is not None:
            parts.append(compiler.after(query.order, query.after))
        way = "DESC" if query.order[0].descending else "ASC"
        where = both(parts).wrapped(" WHERE ") if parts else Fragment("")
        walked = Fragment(
            f"SELECT d.number FROM {self.tables.of(query.collection)} AS d{where.text} "
            f"ORDER BY d.created_at {way}, d.number {way} LIMIT ?",
            (*where.values, length),
        )
        if not found.exact:
            return self._looking(query, walked, found, wanted)
        self.session.run(walked)
        passed, ended = self._tested(raw, wanted, length)
        return passed[query.offset : wanted] if ended or len(passed) >= wanted else None

    def _first(self, query: Query, layers: Layers, length: int) -> First | None:
        """Return the first rows of the order, where they are known: they are read for the third walk of one
        state.
        """
        descending, known = query.order[0].descending, layers.orders.first
        found = known.get(descending, 0)
        if isinstance(found, int):
            if found < 2:
                known[descending] = found + 1
                return None
            found = known[descending] = self._read_first(query, 2 * length)
        return found

    def _read_first(self, query: Query, rows: int) -> First:
        way = "DESC" if query.order[0].descending else "ASC"
        self.cursor.execute(
            f"SELECT created_at, number FROM {self.tables.of(query.collection)} "
            f"ORDER BY created_at {way}, number {way} LIMIT ?",
            (rows,),
        )
        found = self.cursor.fetchall()
        return First(found, descending=query.order[0].descending, is_all=len(found) < rows)

    def _kept(
        self, query: Query, asked: Asked, layers: Layers, first: First, raw: bytes, furthest: int
    ) -> list[int] | None:
        """Walk the rows that are kept.

        Returns:
            The page's numbers; none where so many rows do not fill it, or there are none. ``None`` where it
            begins behind all that are kept.
        """
        assert asked.span is not None
        wanted = query.offset + (query.limit or 0)
        while True:
            start, end = first.within(*asked.span, query.after)
            is_last = end < len(first) or first.is_all
            if start == end and not is_last:
                return None
            stop = min(end, start + furthest)
            passed = first.members(raw, start, stop, wanted)
            if len(passed) >= wanted:
                return passed[query.offset : wanted]
            if is_last and stop == end:
                return passed[query.offset : wanted]
            if stop < end or len(first) >= _FIRST:
                return []
            first = layers.orders.first[query.order[0].descending] = self._read_first(query, 2 * len(first))

    def _looking(self, query: Query, walked: Fragment, found: Bounds, wanted: int) -> list[int] | None:
        """Walk and put each row to the filter, where the sets leave it open."""
        compiler = self.session.compilers[query.collection.name]
        test = both(
            (
                Fragment("docstore_test(?, w.number)", (Member(found.high.raw),)),
                compiler.where(And(scoped(query))),
            )
        )
        self.cursor.execute(
            f"SELECT w.number FROM ({walked.text}) AS w CROSS JOIN {self.tables.of(query.collection)} AS d "
            f"ON d.number = w.number WHERE {test.text} LIMIT ?",
            (*walked.values, *test.values, wanted),
        )
        passed = [row[0] for row in self.cursor.fetchall()]
        return passed[query.offset :] if len(passed) >= wanted else None

    def _tested(self, raw: bytes, wanted: int, length: int) -> tuple[list[int], bool]:
        """Read numbers until enough are in the set ``raw``; return those, and whether there are no more
        rows.
        """
        end, seen = len(raw) << 3, 0
        passed: list[int] = []
        while len(passed) < wanted and seen < length:
            rows = self.cursor.fetchmany(_ROUND)
            passed += [n for (n,) in rows if n < end and raw[n >> 3] >> (n & 7) & 1]
            seen += len(rows)
            if len(rows) < _ROUND:
                return passed, seen < length
        return passed, False
