"""What the sessions of one backend share: filters compiled, and what is remembered of queries."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from docstore_sql.column_filter import ColumnFilter, PreparedQuery
from docstore_sql.fragment import Fragment

from docstore.backend import Query, SortKey
from docstore.query.expr import Compare, Expr, In, Path, leaves
from docstore.query.fields import STATUSES
from docstore_postgres.compile import PostgresCompiler
from docstore_postgres.declared import Declared, Narrowed
from docstore_postgres.drive import Drives, bounding, confines, conjuncts, key_of
from docstore_postgres.finding import Finder
from docstore_postgres.intervals import intervals
from docstore_postgres.reach import indexed
from docstore_postgres.sought import sought
from docstore_postgres.usual import Learnt, Usuals

__all__ = ["Apart", "Condition", "Prepared", "Ranged", "Reading"]

_KEPT = 256
_RANGED = (("created_at",), ("number",))
_SLOW = 0.02
"""Seconds from which a page is worth an index."""


@dataclass(slots=True)
class Apart:
    """A filter in two: what an index over metadata, names or contents finds, and the rest.

    Attributes:
        found: that part.
        rest: what is asked of what was found, by no other index.
        ranged: the ranges in the rest that another index could serve.
        rows: how many Postgres expects to be in those; ``None``: not asked yet.
    """

    found: Fragment
    rest: Fragment
    ranged: Fragment
    rows: int | None = None


@dataclass(slots=True)
class Ranged:
    """What a filter implies of the metadata's words, which have an index: of numbers in ranges, of values
    other than the usual ones.

    Attributes:
        condition: that, as the index finds it.
        rows: how many Postgres expects that to be.
    """

    condition: Fragment
    rows: int


@dataclass(slots=True)
class Condition:
    """A filter, compiled.

    Attributes:
        where: what it was compiled from.
        whole: all of it.
        bounds: the part that the order's own index narrows by.
        beyond: the other part.
        prefilters: what an index finds that stands before it.
        found: whether an index finds a superset of it.
        key: what it is remembered by.
        narrowed: what it implies that a declared index finds; ``None``: nothing.
        apart: the same in two, where that is another way; ``None``: it is not.
        ranged: what the index of words finds of it; ``None``: nothing.
        is_ranged_known: whether that was looked at: it is when a walk did not fill a page.
        is_costly: whether finding all matches took long when it was done last.
        texts: statements made for it, a call's own values left open, by what else they depend on.
        epoch: of the indexes that it was compiled for.
    """

    where: Expr
    whole: Fragment
    bounds: Fragment
    beyond: Fragment
    prefilters: tuple[Fragment, ...]
    found: bool
    key: Hashable
    narrowed: Narrowed | None = None
    apart: Apart | None = None
    ranged: Ranged | None = None
    is_ranged_known: bool = False
    is_costly: bool = False
    texts: dict[Hashable, Fragment] = field(default_factory=dict)
    epoch: int = 0

    def look_at_words(
        self, usuals: Callable[[], Usuals], expected: Callable[[Fragment], int]
    ) -> Ranged | None:
        """Return what the index of words finds, given the usual values, which ``expected`` says the rows of;
        it is asked once.
        """
        if not self.is_ranged_known:
            found = sought(self.where, usuals())
            self.ranged = None if found is None else Ranged(found, expected(found))
            self.is_ranged_known = True
        return self.ranged


@dataclass(slots=True, eq=False)
class Prepared(PreparedQuery):
    """A query that the core holds.

    Attributes:
        condition: its filter, once a session has compiled it.
    """

    condition: Condition | None = None


@dataclass(slots=True)
class Reading:
    """What the sessions of one backend share.

    Attributes:
        finder: what its indexes find.
        drives: what it remembers of conditions.
        declared: the declared indexes, by collection.
        epoch: how often those were read: what was compiled for others is compiled anew.
        learnt: the usual values in the metadata.
        column_pages: the texts of pages of filters on ordinary columns.
        points: the texts of the statements that read one row by its id.
        orders: of the orders that no index has, how often they were asked for and the seconds that took.
    """

    finder: Finder
    drives: Drives = field(default_factory=Drives)
    declared: dict[str, list[Declared]] = field(default_factory=dict)
    epoch: int = 0
    learnt: Learnt = field(default_factory=Learnt)
    column_pages: dict[Hashable, str] = field(default_factory=dict)
    points: dict[Hashable, str] = field(default_factory=dict)
    orders: dict[tuple[SortKey, ...], tuple[int, float]] = field(default_factory=dict)

    def note(self, order: tuple[SortKey, ...], seconds: float) -> None:
        """Remember that an order was asked for that no index has."""
        asked, spent = self.orders.get(order, (0, 0.0))
        if asked or len(self.orders) < _KEPT:
            self.orders[order] = (asked + 1, spent + seconds)

    def note_slow(self, query: Query, seconds: float) -> None:
        """Remember the paths of metadata that a declared index would have narrowed a slow query by."""
        if seconds < _SLOW or query.collection.name != "documents":
            return
        asked = {leaf.path for leaf in leaves(query.where) if isinstance(leaf, Compare | In)}
        narrowed = {path for path in asked if path[0] == "metadata" and _is_range(query.where, path)}
        has = {one.keys[0].path for one in self.declared.get("documents", ())}
        for path in sorted(narrowed - has):
            if not indexed(path[1:]):
                self.note((SortKey(path), SortKey(("number",))), seconds)

    def column_page(
        self, query: Query, columns: ColumnFilter, selected: str, compiler: PostgresCompiler
    ) -> Fragment:
        """Return the statement that reads a page of a filter on ordinary columns; its text is that of all
        queries of one shape and size.
        """
        confined = query.scope.tenant is None, query.scope.owner is None
        shape = (columns.shape(query), query.limit, confined)
        text = self.column_pages.get(shape)
        if text is None:
            if len(self.column_pages) >= _KEPT:
                self.column_pages.clear()
            text = self.column_pages[shape] = _column_page(query, columns, selected, compiler)
        statuses = () if len(columns.statuses) == len(STATUSES) else (list(columns.statuses),)
        window = (query.offset,) if query.offset else ()
        scope = compiler.scope(query.scope).values
        return Fragment(text, (*columns.values(query), *statuses, *window, *scope))

    def condition(self, query: Query, compiler: PostgresCompiler) -> Condition:
        """Return the condition of ``query``, as it was compiled when it was asked before, or now."""
        held = query.prepared
        if not isinstance(held, Prepared) or not held.holds(query):
            return self._compiled(query, compiler)
        known = held.condition
        if known is None or known.epoch != self.epoch or held.query.order[0].path != query.order[0].path:
            known = held.condition = self._compiled(query, compiler)
            held.query = query
        return known

    def _compiled(self, query: Query, compiler: PostgresCompiler) -> Condition:
        finder, terms = self.finder, conjuncts(query.where)
        parts = [compiler.where(term) for term in terms]
        bound = bounding(query, terms)
        whole = compiler.conjunction(parts)
        return Condition(
            query.where,
            whole,
            compiler.conjunction([part for part, is_bound in zip(parts, bound, strict=True) if is_bound]),
            compiler.conjunction([part for part, is_bound in zip(parts, bound, strict=True) if not is_bound]),
            tuple(finder.prefilters(query.collection, query.where)),
            finder.finds(query.collection, query.where)
            or any(finder.lists(query.collection, term) for term in terms),
            key_of(whole),
            self._narrowed(query),
            self._apart(query, terms, parts, compiler),
            epoch=self.epoch,
        )

    def _narrowed(self, query: Query) -> Narrowed | None:
        every = (one.narrowed(query.where) for one in self.declared.get(query.collection.name, ()))
        found = [each for each in every if each is not None]
        return next((each for each in found if each.grouped is not None), found[0] if found else None)

    def _apart(
        self, query: Query, terms: Sequence[Expr], parts: Sequence[Fragment], compiler: PostgresCompiler
    ) -> Apart | None:
        """Return the filter in two, unless it asks for one owner or tenant, or is all one part."""
        found: list[Fragment] = []
        rest: list[tuple[Expr, Fragment]] = []
        for term, part in zip(terms, parts, strict=True):
            if self.finder.finds(query.collection, term) or self.finder.lists(query.collection, term):
                found.append(part)
            else:
                rest.append((term, part))
        if not found or not rest or any(isinstance(term, Compare) and confines(term) for term, _ in rest):
            return None
        rest.sort(key=lambda pair: not (isinstance(pair[0], Compare) and len(pair[0].path) == 1))
        ranged = [part for term, part in rest if isinstance(term, Compare) and term.path in _RANGED]
        return Apart(
            compiler.conjunction(found),
            compiler.conjunction([part for _, part in rest]),
            compiler.conjunction(ranged),
        )


def _column_page(query: Query, columns: ColumnFilter, selected: str, compiler: PostgresCompiler) -> str:
    """Return the text of the statement, which finds the page's numbers in an index that holds all it asks
    of; its size is written out: of a limit that it is not told Postgres expects a tenth of all rows.
    """
    table, order = compiler.tables.of(query.collection), compiler.order_by(query.order).text
    statuses = "" if len(columns.statuses) == len(STATUSES) else " AND d.status = ANY(%s::text[])"
    offset = " OFFSET %s" if query.offset else ""
    picked = (
        f"SELECT d.number FROM {table} AS d WHERE {columns.condition(compiler, query).text}{statuses} "
        f"ORDER BY {order} LIMIT {query.limit:d}{offset}"
    )
    scope = compiler.scope(query.scope).text  # at this level, too: else each partition is looked in
    page = f"SELECT {selected} FROM {table} AS d WHERE d.number = ANY(ARRAY({picked}))"
    return f"{page} AND {scope} ORDER BY {order}"


def _is_range(where: Expr, path: Path) -> bool:
    """Return whether a condition leaves a part of the order of ``path`` that is more than some values."""
    found = intervals(where, path)
    values = all(start[0] == end[0] for start, end in found.parts)
    return not found.is_all and not (found.parts and values)
