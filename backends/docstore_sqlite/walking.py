"""Ordered scan with a bitmap probe: pages from the first rows of the order of ``created_at``, from where a
bound on it begins.

Where matches are frequent that fills a page, and nothing is counted or sorted.
"""

from __future__ import annotations

from typing import Any

from docstore_sql.fragment import Fragment, both
from docstore_sql.tables import Tables

from docstore.backend import Query
from docstore.index.answers import Bounds
from docstore.query.expr import And
from docstore_sqlite.asked import Asked
from docstore_sqlite.functions import Member
from docstore_sqlite.narrow import scoped

__all__ = ["Walking"]

_ROUND = 128


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

    def page(self, query: Query, asked: Asked, found: Bounds, length: int) -> list[int] | None:
        """Return the page's numbers by walking the order, ``None`` if so many rows do not fill it.

        Args:
            query: in the order of ``created_at``.
            asked: what it asks.
            found: the records that match, and can match, whatever their ``created_at``.
            length: how many rows to look at.
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
        if not found.exact:
            return self._looking(query, walked, found, wanted)
        self.session.run(walked)
        passed, ended = self._tested(found.high.raw, wanted, length)
        return passed[query.offset : wanted] if ended or len(passed) >= wanted else None

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
