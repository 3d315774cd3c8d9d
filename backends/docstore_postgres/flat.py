"""Statements over all tenants of distributed tables: one level, no sub-select, locks tenant by tenant.

Citus runs what concerns one tenant on one node as it is. What concerns all of them it takes apart, and then
neither lateral sub-selects nor row locks are to be had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from docstore_sql.fragment import Fragment, both, joined
from docstore_sql.tables import Tables

from docstore.backend import Query, Row
from docstore.query.expr import And, Compare, Expr, In, Occurs, leaves
from docstore.query.fields import DOCUMENTS, Kind
from docstore_postgres.compiler import FlatCompiler

__all__ = ["count_by_flat", "count_flat", "select_flat", "statement_flat"]


class FlatSession(Protocol):
    """A block on Postgres as flat statements need it."""

    tables: Tables

    def names_read(self, query: Query) -> tuple[str, ...]:
        """Return the columns that a query reads."""

    def row_lock(self, lock: str) -> str:
        """Return the clause that locks rows."""

    def window(self, query: Query) -> Fragment:
        """Return the clauses that cut a page."""

    def fetch(self, statement: Fragment, *, prepare: bool) -> list[tuple[Any, ...]]:
        """Run a statement; return its rows."""

    def rows_of(self, query: Query, fetched: Sequence[Sequence[Any]]) -> list[Row]:
        """Return fetched rows by column."""


def select_flat(session: FlatSession, query: Query) -> list[Row]:
    """Return the rows of ``query`` in its order."""
    if query.lock is not None and not _pins_tenant(query):
        return _locked(session, query)
    statement = statement_flat(session, query)
    return session.rows_of(query, session.fetch(statement, prepare=False))


def statement_flat(session: FlatSession, query: Query) -> Fragment:
    """Return the statement that reads ``query``."""
    compiler, names = _compiler(session, query), session.names_read(query)
    columns = ", ".join("c.content" if name == "content" else f"d.{name}" for name in names)
    order = compiler.order_by(query.order).wrapped(" ORDER BY ")
    lock = Fragment("" if query.lock is None else session.row_lock(query.lock))
    source = _source(session, query, with_content="content" in names)
    return joined("", (source.wrapped(f"SELECT {columns}"), order, session.window(query), lock))


def count_flat(session: FlatSession, query: Query, at_most: int | None) -> int:
    """Count the rows of ``query``, up to ``at_most``."""
    counted = _source(session, replace(query, after=None), with_content=False).wrapped("SELECT count(*)")
    ((found,),) = session.fetch(counted, prepare=False)
    return int(found) if at_most is None else min(int(found), at_most)


def count_by_flat(session: FlatSession, query: Query, name: str) -> Mapping[Any, int] | None:
    """Count by a column; ``None``: what is inside JSON is the core's to count."""
    field = query.collection.column(name)
    if field.kind is Kind.JSON or field.heavy:
        return None
    column = _compiler(session, query).column(field)
    source = _source(session, replace(query, after=None), with_content=False)
    grouped = source.wrapped(f"SELECT {column}, count(*)", " GROUP BY 1")
    return {value: int(n) for value, n in session.fetch(grouped, prepare=False)}


def _compiler(session: FlatSession, query: Query) -> FlatCompiler:
    return FlatCompiler(query.collection, session.tables)


def _source(session: FlatSession, query: Query, *, with_content: bool) -> Fragment:
    """Return FROM and WHERE of ``query``; contents are joined where they are asked for."""
    compiler = _compiler(session, query)
    parts = [compiler.scope(query.scope), compiler.where(query.where)]
    if query.after is not None:
        parts.append(compiler.after(query.order, query.after))
    table = f"{session.tables.of(query.collection)} AS d"
    if query.collection is DOCUMENTS and (with_content or any(map(_is_of_content, leaves(query.where)))):
        table += f" LEFT JOIN {session.tables.content} AS c ON c.tenant = d.tenant AND c.number = d.number"
    return both(parts).wrapped(f" FROM {table} WHERE ")


def _is_of_content(leaf: Expr) -> bool:
    if isinstance(leaf, Occurs):
        return leaf.content
    return getattr(leaf, "path", ())[:1] == ("content",)


def _pins_tenant(query: Query) -> bool:
    """Return whether all rows of ``query`` are of one tenant, or of none."""
    terms = query.where.terms if isinstance(query.where, And) else (query.where,)
    pinned = (isinstance(term, Compare) and term.path == ("tenant",) and term.op == "eq" for term in terms)
    return query.scope.tenant is not None or any(pinned)


def _locked(session: FlatSession, query: Query) -> list[Row]:
    """Find rows without a lock, then lock them tenant by tenant, if they are still what is asked for.

    Where others hold some, and these are passed over, it is looked further.
    """
    rows: list[Row] = []
    places: dict[int, int] = {}
    after, by_number = query.after, [key.path for key in query.order] == [("number",)]
    while True:
        found = select_flat(session, replace(query, lock=None, after=after))
        places |= {row["number"]: len(places) + at for at, row in enumerate(found)}
        for tenant in sorted({row["tenant"] for row in found}, key=lambda one: one or ""):
            numbers = tuple(row["number"] for row in found if row["tenant"] == tenant)
            theirs = Compare(("tenant",), "eq", tenant), In(("number",), numbers), query.where
            within = replace(query, where=And(theirs), after=None, offset=0, limit=None, prepared=None)
            rows += select_flat(session, within)
        is_last = query.limit is None or len(found) < query.limit or len(rows) >= query.limit
        if is_last or not by_number:
            rows.sort(key=lambda row: places[row["number"]])
            return rows[: query.limit]
        after = (found[-1]["number"],)
        query = replace(query, offset=0)
