"""Planner: from a query to the access path of its rows, and the planned query that the core holds.

The sets of the filter come first (:mod:`docstore.index`). Then, in this order:

*list*: few matches are sorted by their values, or read and sorted.

*walk*: an ordered scan of the index of ``created_at``, from where bounds on it begin, with a bitmap probe
a row. It reads as many rows as a page's worth of frequent matches needs. Where matches are frequent that
fills the page, and nothing is counted or sorted.

*order*: an order that was cut very often until the next compaction is sorted and kept; further pages are
taken from there.

*cut*: bit slices pick out the window's rows, wherever they lie. The number of matches, their place in the
order and the depth of the page hardly count.

*scan*: many matches in an order by JSON paths are SQLite's, with a bitmap probe a row.

Matches that the sets leave open are put to the evaluator in the same statement. No choice changes the
answer.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from math import isqrt
from typing import TYPE_CHECKING

from docstore_sql.column_filter import PreparedQuery
from docstore_sql.fragment import Fragment, both

from docstore.backend import Query, SortKey
from docstore.index.ngrams import text_query
from docstore.index.values import is_ordered, span_of
from docstore.query.expr import TRUE, Always, And, Compare, Expr, In, Leaf, Occurs, expr_to_json, leaves
from docstore_sqlite.declared_indexes import has_order
from docstore_sqlite.schema import FIELDS

if TYPE_CHECKING:
    from docstore_sqlite.compiler import SQLiteCompiler

__all__ = [
    "LISTED_MATCHES",
    "WALK_MOST",
    "AccessPath",
    "PlannedQuery",
    "SQLitePrepared",
    "answer_key",
    "planned",
    "prepared_query",
    "scoped",
    "uses_index",
    "walk_length",
    "walkable",
]

# Up to so many matches are read and sorted without further ado.
LISTED_MATCHES = 4000

_KEYS = frozenset({"id", "number", "document_id", "external_id", "sha256", "blob_key"})
_SHORTEST_WALK, WALK_MOST = 512, 8192


@dataclass(frozen=True, slots=True)
class AccessPath:
    """How the rows of a query are found; shown by ``explain``.

    Attributes:
        kind: ``walk``, ``order``, ``cut``, ``rounds``, ``list`` or ``scan``.
        sure: how many surely match, where counted.
        unsure: how many the evaluator has to look at, where counted.
    """

    kind: str
    sure: int | None = None
    unsure: int | None = None

    def __str__(self) -> str:
        """Return this as a remark of ``explain``."""
        if self.kind == "order":
            return "index: the matches are kept in this order"
        if self.sure is None:
            return "index: walk the first rows of the order, a bit test each"
        look = f", {self.unsure} to be looked at" if self.unsure else ""
        how = {
            "rounds": "cut by bit slices and looked at in rounds",
            "cut": "cut by bit slices",
            "list": "read and sorted",
            "scan": "a bit test for each row in order",
        }[self.kind]
        return f"index: {self.sure} match{look}; {how}"


def conjuncts(where: Expr) -> tuple[Expr, ...]:
    """Return the terms that all must hold."""
    if where == TRUE:
        return ()
    return where.terms if isinstance(where, And) else (where,)


def scoped(query: Query) -> tuple[Expr, ...]:
    """Return the terms of the filter and of the scope."""
    parts = (("tenant", query.scope.tenant), ("owner", query.scope.owner))
    scope = tuple(Compare((name,), "eq", value) for name, value in parts if value is not None)
    return (*scope, *conjuncts(query.where))


def uses_index(terms: Sequence[Expr], kept: Container[str]) -> bool:
    """Return whether the index may help: a term is indexed, and none looks rows up by a key of SQLite's
    own.
    """
    helps = False
    for term in terms:
        if (
            isinstance(term, In | Compare)
            and len(term.path) == 1
            and term.path[0] in _KEYS
            and (isinstance(term, In) or (term.op == "eq" and term.value is not None))
        ):
            return False
        helps = helps or any(_is_of_facts(leaf, kept) for leaf in leaves(term))
    return helps


def _is_of_facts(leaf: Leaf, kept: Container[str]) -> bool:
    if isinstance(leaf, Occurs):
        return True
    return not isinstance(leaf, Always) and (leaf.path[0] in kept or text_query(leaf) is not None)


def answer_key(terms: Sequence[Expr]) -> str:
    """Return the key under which the answer for a conjunction is kept."""
    return "".join(map(expr_to_json, terms))


def walkable(order: Sequence[SortKey]) -> bool:
    """Return whether SQLite's index of ``created_at`` has this order."""
    paths = tuple(key.path for key in order)
    return paths == (("created_at",), ("number",)) and order[0].descending == order[1].descending


def walk_length(wanted: int, total: int) -> int:
    """Return how many rows to walk before giving up: about the root of wanted times all."""
    return min(WALK_MOST, max(_SHORTEST_WALK, isqrt(max(wanted, 1) * max(total, 1)) // 2))


@dataclass(slots=True, eq=False)
class PlannedQuery:
    """A query as planned for all its windows.

    Attributes:
        query: the query.
        compiler, declared: the compiler and declared indexes that it was planned with; these may change.
        terms: the conditions that all must hold, those of the scope included.
        key: the key of their match sets.
        untimed, untimed_key: the same without conditions on ``created_at``.
        timed: the conditions on ``created_at``, as SQL.
        span: the least and the most ``created_at`` that they leave, None if they are no range.
        order: the ORDER BY list.
        is_walkable: whether the index of ``created_at`` has the order.
        is_indexed, is_indexed_deep: whether the index may help, and whether it may where many rows are
            skipped; false where a declared index has all of it.
        is_sorted: whether the order is by columns or by a declared index.
        placed: the key of the matches kept in this order, None if they are not kept.
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
        return self.is_indexed_deep if query.offset > _DEEP_ROWS else self.is_indexed


@dataclass(slots=True, eq=False)
class SQLitePrepared(PreparedQuery):
    """A query that the core holds.

    Attributes:
        asked: its planned form, None until a session has planned it.
    """

    asked: PlannedQuery | None = None


def prepared_query(query: Query) -> tuple[Query, SQLitePrepared]:
    """Return a query with its prepared form, and that form."""
    held = query.prepared
    if isinstance(held, SQLitePrepared) and held.holds(query):
        return query, held
    held = SQLitePrepared.of(query)
    return replace(query, prepared=held), held


def planned(query: Query, compiler: SQLiteCompiler) -> PlannedQuery:
    """Return the planned form of a query."""
    held = prepared_query(query)[1]
    if held.asked is None or not held.asked.is_for(query, compiler):
        held.asked = _asked(query, compiler)
    return held.asked


def _asked(query: Query, compiler: SQLiteCompiler) -> PlannedQuery:
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
    return PlannedQuery(
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


# From so many skipped rows on the index helps even where only the newest versions are asked for.
_DEEP_ROWS = 200
