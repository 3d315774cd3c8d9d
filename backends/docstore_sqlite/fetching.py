"""The statements that read rows which the index has found, by their numbers or a bit test a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from docstore_sql.fragment import Fragment, both
from docstore_sql.tables import Tables

from docstore.backend import Query
from docstore.index.bits import Bits
from docstore.query.expr import And
from docstore_sqlite.asked import Asked, asked_of
from docstore_sqlite.functions import Member
from docstore_sqlite.narrow import scoped

__all__ = ["SOUGHT", "Fetching", "listed"]

SOUGHT = 20_000
"""So many rows are read by their numbers; more by a walk through the table."""


class Fetching:
    """What one session asks of the table, once the index was asked.

    Args:
        session: the block; its compilers and cursor are used.
        tables: the tables' names.
    """

    def __init__(self, session: Any, tables: Tables) -> None:
        self.session = session
        self.cursor = session.cursor
        self.tables = tables

    def page(self, query: Query, asked: Asked, numbers: Sequence[int]) -> Fragment:
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

    def scanning(self, query: Query, high: Bits, *, exact: bool) -> Fragment:
        """Return the statement that reads in the order of the query, a bit test a row; unless the bits are
        ``exact``, what passes is put to the filter.
        """
        compiler = self.session.compilers[query.collection.name]
        parts = [Fragment("docstore_test(?, d.number)", (Member(high.raw),))]
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

    def count(self, query: Query, unsure: Bits, at_most: int) -> int:
        """Count those rows of a set that match the filter, up to ``at_most``; -1: all of them."""
        table = self.tables.of(query.collection)
        where = self.session.compilers[query.collection.name].where(And(scoped(query)))
        values: tuple[str, ...] = ()
        if unsure.count <= SOUGHT:
            source = f"json_each(?) AS j CROSS JOIN {table} AS d ON d.number = j.value"
            values = (listed(unsure.members),)
        else:
            source = f"{table} AS d"
            where = both((Fragment("docstore_test(?, d.number)", (Member(unsure.raw),)), where))
        text = f"SELECT count(*) FROM (SELECT 1 FROM {source} WHERE {where.text} LIMIT ?)"
        self.cursor.execute(text, (*values, *where.values, at_most))
        return int(self.cursor.fetchone()[0])

    def _statement(
        self, query: Query, source: str, values: tuple[Any, ...], parts: Sequence[Fragment]
    ) -> Fragment:
        where = both(parts).wrapped(" WHERE ") if parts else Fragment("")
        order = asked_of(query, self.session.compilers[query.collection.name]).order
        limit = -1 if query.limit is None else query.limit
        selected = self.session.selected(query)
        text = f"SELECT {selected} FROM {source}{where.text} ORDER BY {order.text} LIMIT ? OFFSET ?"
        return Fragment(text, (*values, *where.values, *order.values, limit, query.offset))


def listed(numbers: Sequence[int]) -> str:
    """Return numbers as the text of a JSON array."""
    return f"[{','.join(map(str, numbers))}]"
