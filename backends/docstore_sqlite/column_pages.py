"""Pages of filters on ordinary columns, each one statement over one b-tree."""

from __future__ import annotations

from typing import Any

from docstore_sql.column_filter import ColumnFilter
from docstore_sql.fragment import Fragment

from docstore.backend import Query
from docstore_sqlite.compile import SQLiteCompiler

__all__ = ["column_page"]

_KEPT = 256


def column_page(asked: ColumnFilter, query: Query, selected: str, compiler: SQLiteCompiler) -> Fragment:
    """Return the statement that reads a page; its text is that of all queries of one shape.

    The index has the status before the time, so that several statuses are a branch each, merged.

    Args:
        asked: what the query asks.
        query: the query, with its window.
        selected: the columns that are read, as SQL text.
        compiler: of its collection.
    """
    shape = asked.shape(query)
    text = compiler.column_pages.get(shape)
    if text is None:
        if len(compiler.column_pages) >= _KEPT:
            compiler.column_pages.clear()
        text = compiler.column_pages[shape] = _text(asked, query, selected, compiler)
    wanted, window = query.offset + (query.limit or 0), (query.limit, query.offset)
    values = asked.values(query)
    if len(asked.statuses) == 1:
        return Fragment(text, (asked.statuses[0], *values, *window))
    each: tuple[Any, ...] = ()
    for status in asked.statuses:
        each += (status, *values, wanted)
    return Fragment(text, (*each, *window))


def _text(asked: ColumnFilter, query: Query, selected: str, compiler: SQLiteCompiler) -> str:
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
