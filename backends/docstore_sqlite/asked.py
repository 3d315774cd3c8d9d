"""Prepared queries: how the rows of a query may be found, and the keys of its sets, whatever its window.

The core holds what :meth:`SQLiteBackend.prepare` returns as long as it holds the query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from docstore_sql.column_filter import PreparedQuery
from docstore_sql.fragment import Fragment, both

from docstore.backend import Query, SortKey
from docstore.index.ordered import is_ordered
from docstore.index.values import span_of
from docstore.query.expr import Compare, Expr
from docstore_sqlite.declared import has_order
from docstore_sqlite.narrow import answer_key, scoped, uses_index, walkable
from docstore_sqlite.postings import FIELDS

if TYPE_CHECKING:
    from docstore_sqlite.compile import SQLiteCompiler

__all__ = ["Asked", "Prepared", "asked_of", "prepared"]


@dataclass(slots=True, eq=False)
class Asked:
    """What is the same for all windows of a query.

    Attributes:
        query: the one that it was worked out for.
        compiler, declared: what it was worked out with: the declared indexes may be others by now.
        terms: the conditions, the scope's among them, that all must hold.
        key: of their sets.
        untimed, untimed_key: the same without those on ``created_at``.
        timed: those on ``created_at``, as a condition.
        span: the least and the most ``created_at`` that they leave; ``None``: they are no range.
        where: all of them, as a condition.
        order: the ORDER BY list.
        is_walkable: whether the index of ``created_at`` has the order.
        is_indexed, is_indexed_deep: whether the index may help, and whether it may where many rows are
            skipped; not where a declared one has all of it.
        is_sorted: whether the order is by columns or by a declared index.
        placed: under which key the matches are kept in this order; ``None`` where they are not.
    """

    query: Query
    compiler: SQLiteCompiler
    declared: Sequence[tuple[SortKey, ...]]
    terms: tuple[Expr, ...]
    key: str
    untimed: tuple[Expr, ...]
    untimed_key: str
    timed: Fragment | None
    span: tuple[int, int] | None
    order: Fragment
    is_walkable: bool
    is_indexed: bool
    is_indexed_deep: bool
    is_sorted: bool
    placed: str | None

    def is_for(self, query: Query, compiler: SQLiteCompiler) -> bool:
        """Return whether it holds for this order and the indexes that are declared now."""
        return (
            self.query.order is query.order
            and self.compiler is compiler
            and self.declared is compiler.declared
        )

    def uses_index(self, query: Query) -> bool:
        """Return whether the index may help with this window."""
        if query.lock is not None:
            return False
        return self.is_indexed_deep if query.offset > _DEEP else self.is_indexed


@dataclass(slots=True, eq=False)
class Prepared(PreparedQuery):
    """A query that the core holds.

    Attributes:
        asked: what it asks, once the index was looked at for it.
    """

    asked: Asked | None = None


def prepared(query: Query) -> tuple[Query, Prepared]:
    """Return a query with what was prepared for it, and that; made now where it was not."""
    held = query.prepared
    if isinstance(held, Prepared) and held.holds(query):
        return query, held
    held = Prepared.of(query)
    return replace(query, prepared=held), held


def asked_of(query: Query, compiler: SQLiteCompiler) -> Asked:
    """Return what a query asks, as it was worked out before or now."""
    held = prepared(query)[1]
    if held.asked is None or not held.asked.is_for(query, compiler):
        held.asked = _asked(query, compiler)
    return held.asked


def _asked(query: Query, compiler: SQLiteCompiler) -> Asked:
    terms, declared = scoped(query), compiler.declared
    timed = [term for term in terms if isinstance(term, Compare) and term.path == ("created_at",)]
    untimed = tuple([term for term in terms if term not in timed]) if timed else terms
    has_all = bool(declared) and has_order(declared, terms, query.order, query.collection)
    is_sorted = len(query.order[0].path) == 1 or (
        bool(declared) and has_order(declared, (), query.order, query.collection)
    )
    is_plain = all(isinstance(term, Compare) and term.path == ("is_latest",) for term in terms)
    helps = not has_all and (is_plain or uses_index(terms, FIELDS[query.collection.name]))
    key = answer_key(terms) if helps else ""
    return Asked(
        query=query,
        compiler=compiler,
        declared=declared,
        terms=terms,
        key=key,
        untimed=untimed,
        untimed_key=(answer_key(untimed) if timed else key) if helps else "",
        timed=both(map(compiler.where, timed)) if timed else None,
        span=span_of(timed),
        order=compiler.order_by(query.order),
        is_walkable=walkable(query.order),
        is_indexed=helps and not is_plain,
        is_indexed_deep=helps,
        is_sorted=is_sorted,
        placed=f"{query.order[0].path[0]} of {key}" if is_ordered(query.order) else None,
    )


_DEEP = 200
"""Rows to skip from which the index helps with the newest versions alone."""
