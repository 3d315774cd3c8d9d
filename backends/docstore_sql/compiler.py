"""Expr → SQL: the part that the SQL backends share, and filters on ordinary columns.

A dialect adds how it reads JSON paths and searches text. The condition of a leaf is true or not; NULL
counts as not. ``Not`` turns NULL into false before it negates, so that a negative is the exact complement
(rule 11).

A *column filter* is a conjunction that pins an owner or a tenant, answered by one b-tree alone. It asks no
postings and nothing inside documents: nothing has to be warmed up, and no write of another process makes
anything stale.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self, assert_never

from docstore.backend import Query, Scope, SortKey
from docstore.query.expr import (
    All,
    Always,
    And,
    Compare,
    Contains,
    During,
    ElemMatch,
    Exists,
    Expr,
    In,
    Leaf,
    Match,
    Mod,
    Not,
    Occurs,
    Or,
    Regex,
    Size,
    TypeIs,
)
from docstore.query.fields import DOCUMENTS, STATUSES, Collection, Field, Kind
from docstore_sql.tables import Tables

# -- SQL text -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fragment:
    """SQL text with its values, in order: one placeholder each, in the driver's own style (``?`` or ``%s``).

    The text is ours alone. Whatever a user wrote is a value.
    """

    text: str
    values: tuple[Any, ...] = ()

    def wrapped(self, before: str, after: str = "") -> Fragment:
        """Return the fragment with fixed text around it."""
        return Fragment(before + self.text + after, self.values)


TRUE = Fragment("1=1")
FALSE = Fragment("1=0")


def joined(separator: str, parts: Iterable[Fragment]) -> Fragment:
    """Return the fragments with ``separator`` between them."""
    texts: list[str] = []
    values: list[Any] = []
    for part in parts:
        texts.append(part.text)
        values.extend(part.values)
    return Fragment(separator.join(texts), tuple(values))


def both(parts: Iterable[Fragment]) -> Fragment:
    """Return the conjunction of ``parts``; none is true."""
    kept = [part for part in parts if part is not TRUE]
    if len(kept) == 1:
        return kept[0]
    return joined(" AND ", kept).wrapped("(", ")") if kept else TRUE


def either(parts: Iterable[Fragment]) -> Fragment:
    """Return the disjunction of ``parts``; none is false."""
    kept = [part for part in parts if part is not FALSE]
    if len(kept) == 1:
        return kept[0]
    return joined(" OR ", kept).wrapped("(", ")") if kept else FALSE


# -- conditions ------------------------------------------------------------------------------------

_SYMBOLS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

# Orders whose SQL is kept: a service has a few, a caller who makes them up must not fill the memory.
_KEPT = 64


@dataclass(frozen=True, slots=True)
class _Sorted:
    """The SQL of an order.

    Attributes:
        listed: the ORDER BY list.
        row: the keys as one row; None if positions are compared key by key.
    """

    listed: Fragment
    row: Fragment | None


class Compiler(ABC):
    """Compiles expressions over one collection. The table's alias is ``d``."""

    mark: str
    """The driver's placeholder."""

    def __init__(self, collection: Collection, tables: Tables) -> None:
        self.collection = collection
        self.tables = tables
        self.table = tables.of(collection)
        self._sorted: dict[tuple[SortKey, ...], _Sorted] = {}

    # -- logic -------------------------------------------------------------------------------------

    def where(self, expr: Expr) -> Fragment:
        """Return the condition for ``expr``."""
        match expr:
            case And(terms):
                return both(map(self.where, terms))
            case Or(terms):
                return either(map(self.where, terms))
            case Not(term):
                return self.negated(self.where(term))
            case _:
                return self.leaf(expr)

    def negated(self, inner: Fragment) -> Fragment:
        """Return the complement of ``inner``, NULL counting as false."""
        if inner is TRUE:
            return FALSE
        return TRUE if inner is FALSE else inner.wrapped("((", ") IS NOT TRUE)")

    def scope(self, scope: Scope) -> Fragment:
        """Return the condition that confines to ``scope``, by exact match."""
        parts = (("tenant", scope.tenant), ("owner", scope.owner))
        return both(
            Fragment(f"d.{name} = {self.mark}", (value,)) for name, value in parts if value is not None
        )

    def leaf(self, leaf: Leaf) -> Fragment:
        """Return the condition for one leaf: a constant, a search term, a JSON path or a column."""
        match leaf:
            case Always(value):
                return TRUE if value else FALSE
            case Occurs():
                return self.occurs(leaf)
            case _:
                field = self.collection.column(leaf.path[0])
                return self.json(leaf, field) if field.kind is Kind.JSON else self.scalar(leaf, field)

    # -- columns -----------------------------------------------------------------------------------

    def column(self, field: Field) -> str:
        """Return the expression that reads ``field``, NULL where the record has ``None``."""
        if field.name == "tenant":
            return "NULLIF(d.tenant, '')"
        if field.name == "content":
            return self.tables.content_of("d")
        return f"d.{field.name}"

    def scalar(self, leaf: Leaf, field: Field) -> Fragment:
        """Return the condition for a leaf on a field that is no JSON."""
        match leaf:
            case Compare(_, op, value):
                return self.compare(field, op, value)
            case In(_, values):
                return self.among(field, values)
            case Exists():
                return Fragment(f"{self.column(field)} IS NOT NULL") if field.nullable else TRUE
            case TypeIs(_, types):
                return self.typed(field, types)
            case Mod(_, divisor, remainder):
                return Fragment(
                    f"{self.column(field)} % {self.integer} = {self.integer}", (divisor, remainder)
                )
            case Regex() | Match():
                return self.text(leaf, field)
            case All() | Size() | Contains() | During() | ElemMatch() | Occurs() | Always():
                return FALSE
            case _:
                assert_never(leaf)

    @property
    def integer(self) -> str:
        """Return the placeholder for an int64."""
        return self.mark

    def compare(self, field: Field, op: str, value: Any) -> Fragment:
        """Return a comparison of a column with a value of its own kind (rules 11 and 12)."""
        column = self.column(field)
        if value is None and field.name == "tenant":  # as it is kept, so that it is looked for in one place
            return Fragment("d.tenant = ''") if op in ("eq", "gte", "lte") else FALSE
        if value is None:
            null = Fragment(f"{column} IS NULL") if field.nullable else FALSE
            return null if op in ("eq", "gte", "lte") else FALSE
        if field.kind is Kind.BOOLEAN:
            return self._boolean(column, op, value)
        if op == "eq":
            if field.name == "tenant":
                return Fragment(f"d.tenant = {self.mark}", (value,)) if value else FALSE
            return Fragment(f"{column} = {self.mark}", (value,))
        return Fragment(f"{column} {_SYMBOLS[op]} {self.mark}", (value,))

    def _boolean(self, column: str, op: str, value: bool) -> Fragment:
        kept = [
            held
            for held in (False, True)
            if {
                "eq": held == value,
                "gt": held > value,
                "gte": held >= value,
                "lt": held < value,
                "lte": held <= value,
            }[op]
        ]
        if len(kept) == 2:
            return TRUE
        return Fragment(column if kept[0] else f"NOT {column}") if kept else FALSE

    def among(self, field: Field, values: Sequence[Any]) -> Fragment:
        """Return ``$in``: one parameter holds the whole list."""
        plain = [value for value in values if value is not None]
        parts = [self.compare(field, "eq", None)] if len(plain) < len(values) else []
        if field.kind is Kind.BOOLEAN:
            parts += [self.compare(field, "eq", value) for value in plain]
        elif len(plain) == 1:
            parts.append(self.compare(field, "eq", plain[0]))
        elif plain:
            parts.append(self.listed(self.column(field), field, plain))
        return either(parts)

    def typed(self, field: Field, types: frozenset[str]) -> Fragment:
        """Return ``$type`` on a column: its kind settles most of it (rule 15)."""
        column = self.column(field)
        there = Fragment(f"{column} IS NOT NULL") if field.nullable else TRUE
        names = {
            Kind.TEXT: {"string"}, Kind.CHOICE: {"string"}, Kind.BOOLEAN: {"bool"}, Kind.INSTANT: {"date"},
            Kind.INTEGER: {"number"}, Kind.JSON: set(),
        }[field.kind]  # fmt: skip
        if names & types:
            return there
        if field.kind is not Kind.INTEGER:
            return FALSE
        # int and long are sizes of a number in BSON, and differ by value here (rule 15).
        narrow = f"{column} BETWEEN -2147483648 AND 2147483647"
        wide = f"{column} NOT BETWEEN -2147483648 AND 2147483647"
        return either(Fragment(text) for name, text in (("int", narrow), ("long", wide)) if name in types)

    # -- order -------------------------------------------------------------------------------------

    def sort_key(self, key: SortKey) -> Fragment:
        """Return the expression that ``key`` orders by."""
        field = self.collection.column(key.path[0])
        return self.json_sort_key(key) if field.kind is Kind.JSON else Fragment(self.column(field))

    def sort_nullable(self, key: SortKey) -> bool:
        """Return whether the expression of ``key`` can be NULL."""
        field = self.collection.column(key.path[0])
        return field.nullable and field.kind is not Kind.JSON

    def order_by(self, order: tuple[SortKey, ...]) -> Fragment:
        """Return the ORDER BY list."""
        return self._sort(order).listed

    def _sort(self, order: tuple[SortKey, ...]) -> _Sorted:
        """Return the SQL of an order, which is kept."""
        found = self._sorted.get(order)
        if found is None:
            if len(self._sorted) >= _KEPT:
                self._sorted.clear()
            found = self._sorted[order] = self._make_sort(order)
        return found

    def _make_sort(self, order: Sequence[SortKey]) -> _Sorted:
        keys = list(map(self.sort_key, order))
        nullable = list(map(self.sort_nullable, order))
        listed = joined(
            ", ",
            (
                column.wrapped("", self.direction(key.descending, may))
                for key, column, may in zip(order, keys, nullable, strict=True)
            ),
        )
        # A comparison of rows is one range of an index. It needs one direction, and columns without NULL.
        alike = not any(nullable) and len({key.descending for key in order}) == 1
        return _Sorted(listed, joined(", ", keys).wrapped("(", ")") if alike else None)

    def direction(self, descending: bool, nullable: bool) -> str:
        """Return the words behind a sort key; None comes first ascending and last descending."""
        return " DESC" if descending else " ASC"

    def after(self, order: tuple[SortKey, ...], position: Sequence[Any]) -> Fragment:
        """Return the condition for rows strictly behind ``position``."""
        row = self._sort(order).row
        if row is None:
            return self._after_steps(order, position)
        bounds = joined(", ", map(self.sort_bound, order, position))
        sign = " < " if order[0].descending else " > "
        return Fragment(f"{row.text}{sign}({bounds.text})", row.values + bounds.values)

    def _after_steps(self, order: Sequence[SortKey], position: Sequence[Any]) -> Fragment:
        """Nest from the last key outwards: beyond on this key, or level on it and beyond on the rest."""
        condition = FALSE
        for key, value in reversed(list(zip(order, position, strict=True))):
            column = self.sort_key(key)
            condition = either(
                (self._beyond(key, column, value), both((self._level(key, column, value), condition)))
            )
        return condition

    def _beyond(self, key: SortKey, column: Fragment, value: Any) -> Fragment:
        nullable = self.sort_nullable(key)
        if nullable and value is None:
            return FALSE if key.descending else column.wrapped("", " IS NOT NULL")
        bound = self.sort_bound(key, value)
        passed = Fragment(
            f"{column.text} {'<' if key.descending else '>'} {bound.text}", column.values + bound.values
        )
        return either((passed, column.wrapped("", " IS NULL"))) if nullable and key.descending else passed

    def _level(self, key: SortKey, column: Fragment, value: Any) -> Fragment:
        if self.sort_nullable(key) and value is None:
            return column.wrapped("", " IS NULL")
        bound = self.sort_bound(key, value)
        return Fragment(f"{column.text} = {bound.text}", column.values + bound.values)

    def sort_bound(self, key: SortKey, value: Any) -> Fragment:
        """Return a position's value under ``key``, bound."""
        field = self.collection.column(key.path[0])
        return self.json_sort_bound(value) if field.kind is Kind.JSON else Fragment(self.mark, (value,))

    # -- what a dialect adds -----------------------------------------------------------------------

    @abstractmethod
    def json(self, leaf: Leaf, field: Field) -> Fragment:
        """Return the condition for a leaf on a JSON path."""

    @abstractmethod
    def text(self, leaf: Regex | Match, field: Field) -> Fragment:
        """Return the condition for a string operator on a text column."""

    @abstractmethod
    def occurs(self, leaf: Occurs) -> Fragment:
        """Return the condition for a search term (rule 22)."""

    @abstractmethod
    def listed(self, column: str, field: Field, values: Sequence[Any]) -> Fragment:
        """Return ``column`` being among ``values``, bound as one parameter."""

    @abstractmethod
    def json_sort_key(self, key: SortKey) -> Fragment:
        """Return an expression, never NULL, that orders a JSON path by rule 20."""

    @abstractmethod
    def json_sort_bound(self, value: Any) -> Fragment:
        """Return a sort value in the form of :meth:`json_sort_key`."""


# -- filters on ordinary columns -------------------------------------------------------------------

# Rows that a page skips at most, unless a dialect says otherwise: each is a step in the b-tree.
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

    def answers(self, query: Query, most_skipped: int = _MOST_SKIPPED_ROWS) -> bool:
        """Return whether one b-tree has the order of the query, and its page skips few enough rows."""
        first, *others = query.order
        return (
            first.path == ("created_at",)
            and [(key.path, key.descending) for key in others] == [(("number",), first.descending)]
            and query.limit is not None
            and query.lock is None
            and query.offset <= most_skipped
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
    # Without a pin no b-tree begins there. An empty tenant is how the tables say none: it matches nothing.
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
