"""Filters on ordinary columns: a conjunction that pins an owner or a tenant, answered by one b-tree alone.

Such a filter asks no postings and nothing inside documents: nothing has to be warmed up, and no write of
another process makes anything stale.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Self

from docstore.backend import Query
from docstore.query.expr import And, Compare, Expr, In, Not
from docstore.query.fields import DOCUMENTS, STATUSES
from docstore_sql.compiler import Compiler
from docstore_sql.fragment import Fragment, both

__all__ = ["ColumnFilter", "PreparedQuery", "column_filter"]

# Rows that a page skips at most: each is a step in the b-tree.
_MOST_SKIPPED_ROWS = 1_000
_PINS = ("owner", "tenant")
_RANGED = ("created_at", "number")


@dataclass(frozen=True, slots=True)
class ColumnFilter:
    """The conditions of a query on ordinary columns, without its order and window.

    Attributes:
        pins: the owner, the tenant, or both, in this order, each with the name of its column.
        statuses: the statuses asked for, in order; all four if the query names none.
        is_latest: true for newest versions only, false for others only, None for all.
        ranges: comparisons of ``created_at`` and ``number``.
    """

    pins: tuple[tuple[str, str], ...]
    statuses: tuple[str, ...]
    is_latest: bool | None
    ranges: tuple[Compare, ...]

    def answers(self, query: Query) -> bool:
        """Return whether one b-tree has the order of the query, and its page is near enough."""
        first, *others = query.order
        return (
            first.path == ("created_at",)
            and [(key.path, key.descending) for key in others] == [(("number",), first.descending)]
            and query.limit is not None
            and query.lock is None
            and query.offset <= _MOST_SKIPPED_ROWS
        )

    def shape(self, query: Query) -> Hashable:
        """Return all that statements differ by, but for their values."""
        return (
            tuple(name for name, _ in self.pins), len(self.statuses), self.is_latest,
            tuple((term.path, term.op) for term in self.ranges), query.after is None,
            query.order[0].descending, bool(query.offset), query.include, query.only,
        )  # fmt: skip

    def condition(self, compiler: Compiler, query: Query) -> Fragment:
        """Return the condition, its statuses left aside, and the position's."""
        parts = [Fragment(f"d.{name} = {compiler.mark}", (value,)) for name, value in self.pins]
        if self.pins[-1][0] == "tenant":  # its index holds those that have one
            parts.append(Fragment("d.tenant <> ''"))
        if self.is_latest is not None:
            parts.append(Fragment("d.is_latest" if self.is_latest else "NOT d.is_latest"))
        parts += map(compiler.where, self.ranges)
        if query.after is not None:
            parts.append(compiler.after(query.order, query.after))
        return both(parts)

    def values(self, query: Query) -> tuple[Any, ...]:
        """Return the values bound in that condition."""
        pinned = (value for _, value in self.pins)
        return (*pinned, *(term.value for term in self.ranges), *(query.after or ()))


def column_filter(query: Query) -> ColumnFilter | None:
    """Return the column filter of a query; None if it asks anything else, or pins no owner and no tenant."""
    if query.collection is not DOCUMENTS:
        return None
    named = (("owner", query.scope.owner), ("tenant", query.scope.tenant))
    pins = {name: value for name, value in named if value is not None}
    statuses: set[Any] = set(STATUSES)
    latest: bool | None = None
    ranges: list[Compare] = []
    for term in query.where.terms if isinstance(query.where, And) else (query.where,):
        wanted = _statuses(term)
        if wanted is not None:
            statuses &= wanted
            continue
        if not isinstance(term, Compare) or len(term.path) != 1:
            return None
        name, value = term.path[0], term.value
        if name in _PINS and term.op == "eq" and value is not None and pins.get(name, value) == value:
            pins[name] = value
        elif name == "is_latest" and term.op == "eq" and isinstance(value, bool) and latest in (None, value):
            latest = value
        elif name in _RANGED and type(value) is int:
            ranges.append(term)
        else:
            return None
    if not pins or not statuses or pins.get("tenant") == "":
        return None
    ordered = tuple((name, pins[name]) for name in _PINS if name in pins)
    return ColumnFilter(ordered, tuple(sorted(statuses)), latest, tuple(ranges))


def _statuses(term: Expr) -> set[Any] | None:
    """Return the statuses that a term leaves, None if it is about another field."""
    match term:
        case Compare(("status",), "eq", value):
            return {value}
        case In(("status",), values):
            return set(values)
        case Not(Compare(("status",)) | In(("status",)) as inner):
            denied = _statuses(inner)
            return None if denied is None else set(STATUSES) - denied
        case _:
            return None


@dataclass(slots=True, eq=False)
class PreparedQuery:
    """A query, and what was worked out for it. Threads may share it.

    Attributes:
        query: the query.
        columns: its column filter, None if it has none.
    """

    query: Query
    columns: ColumnFilter | None

    @classmethod
    def of(cls, query: Query) -> Self:
        """Return the place for a query; nothing but its columns is worked out yet."""
        return cls(query, column_filter(query))

    def holds(self, query: Query) -> bool:
        """Return whether it was prepared for a query, as far as order and window are not concerned."""
        known = self.query
        same = known.where is query.where and known.collection is query.collection
        return same and known.scope == query.scope
