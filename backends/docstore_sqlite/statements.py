"""Statements that read rows: by the numbers that the index found, by an ordered scan with bitmap probe, by
columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from docstore_sql.column_filter import ColumnFilter
from docstore_sql.fragment import Fragment, both
from docstore_sql.tables import Tables

from docstore.backend import Query
from docstore.index.bitmap import Bitmap
from docstore.index.search import MatchSets
from docstore.query.expr import And
from docstore_sqlite.compiler import SQLiteCompiler
from docstore_sqlite.functions import SetMember
from docstore_sqlite.planner import PlannedQuery, planned, scoped

__all__ = ["NUMBERED_ROWS", "OrderedScan", "RowStatements", "column_page", "listed"]

# Up to so many rows are read by their numbers, more by a scan of the table.
NUMBERED_ROWS = 20_000


class RowStatements:
    """The statements that read rows for one session, once the index was searched.

    Args:
        session: the block, with its compilers and cursor.
        tables: the names of the tables.
    """

    def __init__(self, session: Any, tables: Tables) -> None:
        self.session = session
        self.cursor = session.cursor
        self.tables = tables

    def page(self, query: Query, asked: PlannedQuery, numbers: Sequence[int]) -> Fragment:
        """Return the statement that reads a page's rows, all of them, in the query's order."""
        table = self.tables.of(query.collection)
        text = (
            f"SELECT {self.session.selected(query)} FROM json_each(?) AS j CROSS JOIN {table} AS d "
            f"ON d.number = j.value ORDER BY {asked.order.text}"
        )
        return Fragment(text, (listed(numbers), *asked.order.values))

    def reading(self, query: Query, numbers: Sequence[int], *, checked: bool) -> Fragment:
        """Return the statement that reads rows by number; those not ``checked`` are put to the filter."""
        compiler = self.session.compilers[query.collection.name]
        parts = [] if checked else [compiler.where(And(scoped(query)))]
        if query.after is not None:
            parts.append(compiler.after(query.order, query.after))
        source = f"json_each(?) AS j CROSS JOIN {self.tables.of(query.collection)} AS d ON d.number = j.value"
        return self._statement(query, source, (listed(numbers),), parts)

    def scanning(self, query: Query, high: Bitmap, *, exact: bool) -> Fragment:
        """Return an ordered scan with a bitmap probe a row.

        Rows that pass are put to the filter unless the bitmap is ``exact``.
        """
        compiler = self.session.compilers[query.collection.name]
        parts = [Fragment("docstore_test(?, d.number)", (SetMember(high.raw),))]
        if not exact:
            parts.append(compiler.where(And(scoped(query))))
        if query.after is not None:
            parts.append(compiler.after(query.order, query.after))
        return self._statement(query, f"{self.tables.of(query.collection)} AS d", (), parts)

    def passing(self, query: Query, numbers: Sequence[int]) -> list[int]:
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
            (listed(numbers), *where.values),
        )
        return [row[0] for row in self.cursor.fetchall()]

    def count(self, query: Query, unsure: Bitmap, at_most: int) -> int:
        """Count those rows of a set that match the filter, up to ``at_most``; -1: all of them."""
        table = self.tables.of(query.collection)
        where = self.session.compilers[query.collection.name].where(And(scoped(query)))
        values: tuple[str, ...] = ()
        if unsure.count <= NUMBERED_ROWS:
            source = f"json_each(?) AS j CROSS JOIN {table} AS d ON d.number = j.value"
            values = (listed(unsure.members),)
        else:
            source = f"{table} AS d"
            where = both((Fragment("docstore_test(?, d.number)", (SetMember(unsure.raw),)), where))
        text = f"SELECT count(*) FROM (SELECT 1 FROM {source} WHERE {where.text} LIMIT ?)"
        self.cursor.execute(text, (*values, *where.values, at_most))
        return int(self.cursor.fetchone()[0])

    def _statement(
        self, query: Query, source: str, values: tuple[Any, ...], parts: Sequence[Fragment]
    ) -> Fragment:
        where = both(parts).wrapped(" WHERE ") if parts else Fragment("")
        order = planned(query, self.session.compilers[query.collection.name]).order
        limit = -1 if query.limit is None else query.limit
        selected = self.session.selected(query)
        text = f"SELECT {selected} FROM {source}{where.text} ORDER BY {order.text} LIMIT ? OFFSET ?"
        return Fragment(text, (*values, *where.values, *order.values, limit, query.offset))


def listed(numbers: Sequence[int]) -> str:
    """Return numbers as the text of a JSON array."""
    return f"[{','.join(map(str, numbers))}]"


_FETCHED_ROWS = 128


class OrderedScan:
    """Walks for one session.

    Args:
        session: the block; its compilers and cursor are used.
        tables: the tables' names.
    """

    def __init__(self, session: Any, tables: Tables) -> None:
        self.session = session
        self.cursor = session.cursor
        self.tables = tables

    def page(self, query: Query, asked: PlannedQuery, found: MatchSets, length: int) -> list[int] | None:
        """Return the numbers of a page by an ordered scan, None if so many rows do not fill it.

        Args:
            query: the query, in the order of ``created_at``.
            asked: its planned form.
            found: the match sets, whatever the ``created_at``.
            length: the number of rows to scan.
        """
        wanted = query.offset + (query.limit or 0)
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
        if not found.is_exact:
            return self._looking(query, walked, found, wanted)
        self.session.run(walked)
        passed, ended = self._tested(found.upper.raw, wanted, length)
        return passed[query.offset : wanted] if ended or len(passed) >= wanted else None

    def _looking(self, query: Query, walked: Fragment, found: MatchSets, wanted: int) -> list[int] | None:
        """Walk and put each row to the filter, where the sets leave it open."""
        compiler = self.session.compilers[query.collection.name]
        test = both(
            (
                Fragment("docstore_test(?, w.number)", (SetMember(found.upper.raw),)),
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
            rows = self.cursor.fetchmany(_FETCHED_ROWS)
            passed += [n for (n,) in rows if n < end and raw[n >> 3] >> (n & 7) & 1]
            seen += len(rows)
            if len(rows) < _FETCHED_ROWS:
                return passed, seen < length
        return passed, False


_KEPT = 256


def column_page(asked: ColumnFilter, query: Query, selected: str, compiler: SQLiteCompiler) -> Fragment:
    """Return the statement that reads a page; its text is that of all queries of one shape.

    The index has the status before the time, so that several statuses are a branch each, merged.

    Args:
        asked: the column filter of the query.
        query: the query, with its window.
        selected: the columns that are read, as SQL text.
        compiler: the compiler of its collection.
    """
    shape = asked.shape(query)
    text = compiler.column_pages.get(shape)
    if text is None:
        if len(compiler.column_pages) >= _KEPT:
            compiler.column_pages.clear()
        text = compiler.column_pages[shape] = _column_page_text(asked, query, selected, compiler)
    wanted, window = query.offset + (query.limit or 0), (query.limit, query.offset)
    values = asked.values(query)
    if len(asked.statuses) == 1:
        return Fragment(text, (asked.statuses[0], *values, *window))
    each: tuple[Any, ...] = ()
    for status in asked.statuses:
        each += (status, *values, wanted)
    return Fragment(text, (*each, *window))


def _column_page_text(asked: ColumnFilter, query: Query, selected: str, compiler: SQLiteCompiler) -> str:
    table, order = compiler.tables.of(query.collection), compiler.order_by(query.order).text
    where = f"FROM {table} AS d WHERE d.status = ? AND {asked.condition(compiler, query).text}"
    if len(asked.statuses) == 1:
        return f"SELECT {selected} {where} ORDER BY {order} LIMIT ? OFFSET ?"
    branch = f"SELECT * FROM (SELECT d.number, d.created_at {where} ORDER BY {order} LIMIT ?)"
    merged = " UNION ALL ".join([branch] * len(asked.statuses))
    way = "DESC" if query.order[0].descending else "ASC"
    picked = f"SELECT number FROM ({merged}) ORDER BY created_at {way}, number {way} LIMIT ? OFFSET ?"
    source = f"({picked}) AS p CROSS JOIN {table} AS d ON d.number = p.number"
    return f"SELECT {selected} FROM {source} ORDER BY {order}"
