"""The statements of a page, a bounded walk of the order or all matches found first; and the choice."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from docstore_sql.compile import Compiler
from docstore_sql.fragment import Fragment, both, joined
from docstore_sql.tables import Tables

from docstore.backend import Query, SortKey
from docstore.query.expr import Compare, Expr, In, Path, leaves
from docstore_postgres.declared import Declared, Narrowed
from docstore_postgres.drive import COVERED, Drives, bounds_of, furthest_walk, is_covered, key_of
from docstore_postgres.finding import Finder
from docstore_postgres.intervals import intervals
from docstore_postgres.reach import indexed
from docstore_postgres.slots import Slot, filled, slots_of

__all__ = ["Condition", "Page", "Reading", "Runs", "narrows", "page"]

_KEPT = 256
_FEW = 5_000
"""Rows that a declared index is asked for where another index finds the matches, too."""
_SLOW = 0.02
"""Seconds from which a page is worth an index."""


class Runs(Protocol):
    """What runs a statement and returns its rows."""

    def fetch(self, statement: Fragment, *, prepare: bool) -> list[tuple[Any, ...]]:
        """Run ``statement``, prepared once for all its values or planned for these."""

    def last_number(self, query: Query) -> int:
        """Return the largest number in the collection's table, 0 if it is empty."""

    def estimate(self, query: Query, narrowed: Narrowed) -> int:
        """Return how many rows Postgres expects a declared index to find."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A filter, compiled.

    Attributes:
        where: what it was compiled from.
        whole: all of it.
        bounds: the part that the order's own index narrows by.
        prefilters: what an index finds that stands before it.
        found: whether an index finds a superset of it.
        key: what it is remembered by.
        narrowed: what it implies that a declared index finds; ``None``: nothing.
        texts: statements made for it, their values left open, by what else they depend on.
    """

    where: Expr
    whole: Fragment
    bounds: Fragment
    prefilters: tuple[Fragment, ...]
    found: bool
    key: Hashable
    narrowed: Narrowed | None = None
    texts: dict[Hashable, Fragment] = field(default_factory=dict)


@dataclass(slots=True)
class Reading:
    """What the sessions of one backend share.

    Attributes:
        finder: what its indexes find.
        drives: what it remembers of conditions.
        compiled: conditions compiled lately, by the identity of what they were compiled from.
        declared: the declared indexes, by collection.
        points: the texts of the statements that read one row by its id.
        orders: of the orders that no index has, how often they were asked for and the seconds that took.
    """

    finder: Finder
    drives: Drives = field(default_factory=Drives)
    compiled: dict[tuple[int, str], Condition] = field(default_factory=dict)
    declared: dict[str, list[Declared]] = field(default_factory=dict)
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

    def condition(self, query: Query, compiler: Compiler) -> Condition:
        """Return the condition of ``query``, compiled now or lately."""
        name = (id(query.where), query.order[0].path[0])
        known = self.compiled.get(name)
        if known is not None and known.where is query.where:
            return known
        whole, finder = compiler.where(query.where), self.finder
        made = Condition(
            query.where,
            whole,
            compiler.where(bounds_of(query)),
            tuple(finder.prefilters(query.collection, query.where)),
            finder.finds(query.collection, query.where),
            key_of(whole),
            self._narrowed(query),
        )
        if len(self.compiled) >= _KEPT:
            self.compiled.clear()
        self.compiled[name] = made
        return made

    def _narrowed(self, query: Query) -> Narrowed | None:
        found = (one.narrowed(query.where) for one in self.declared.get(query.collection.name, ()))
        return next((each for each in found if each is not None), None)


def _is_range(where: Expr, path: Path) -> bool:
    """Return whether a condition leaves a part of the order of ``path`` that is more than some values."""
    found = intervals(where, path)
    values = all(start[0] == end[0] for start, end in found.parts)
    return not found.is_all and not (found.parts and values)


@dataclass(frozen=True, slots=True)
class Page:
    """One page to be read.

    Attributes:
        query: what is asked, with a limit.
        compiler: of its collection.
        tables: the tables' names.
        columns: the SELECT list.
        condition: the filter, compiled.
    """

    query: Query
    compiler: Compiler
    tables: Tables
    columns: str
    condition: Condition

    @property
    def wanted(self) -> int:
        """Matches that fill the page and what lies before it."""
        return self.query.offset + (self.query.limit or 0)

    def walk(self, bound: int) -> Fragment:
        """Return the statement that looks at the first ``bound`` rows of the order and no further."""
        return self._statement("walk", bound)

    def find(self) -> Fragment:
        """Return the statement that finds all matches, by an index, before it orders them."""
        return self._statement("find", 0)

    def narrow(self) -> Fragment:
        """Return the statement that finds all that may match by a declared index, and by nothing else."""
        return self._statement("narrow", 0)

    def _statement(self, name: Literal["walk", "find", "narrow"], bound: int) -> Fragment:
        """Return a statement for this page's values; it was made before for a page that differs in nothing
        else.
        """
        query, texts = self.query, self.condition.texts
        scope = query.scope
        key = (
            name, query.order, self.columns, bool(query.offset), query.after is None,
            scope.tenant is None, scope.owner is None,
        )  # fmt: skip
        made = texts.get(key)
        if made is None:
            opened = replace(self, query=slots_of(query))
            ways = {"walk": opened.walking, "find": opened.finding, "narrow": opened.narrowing}
            made = texts[key] = ways[name]()
        return filled(made, query, bound)

    def walking(self) -> Fragment:
        """Return the statement of :meth:`walk`, how far it looks left open."""
        inner = both([self._scope(), self.condition.bounds, *self._after()])
        bound = Fragment(" LIMIT %s", (Slot.BOUND,))
        whole = self.condition.whole.wrapped(" WHERE ")
        if is_covered(self.query):
            rows = joined("", (self._from(inner, COVERED), self._order(), bound))
            return self._picked(rows, whole)
        rows = joined("", (self._from(inner), self._order(), bound))
        start = rows.wrapped(f"SELECT {self.columns} FROM (", ") AS d")
        return joined("", (start, whole, self._order(), self._window()))

    def finding(self) -> Fragment:
        """Return the statement of :meth:`find`."""
        inner = both([*self.condition.prefilters, self._scope(), self.condition.whole, *self._after()])
        return self._picked(self._from(inner).wrapped("", " OFFSET 0"), Fragment(""))

    def narrowing(self) -> Fragment:
        """Return the statement of :meth:`narrow`."""
        rows, condition = self._narrowed()
        return self._picked(rows, condition)

    def counting(self, at_most: int | None) -> Fragment:
        """Return the statement that counts the matches, up to ``at_most``, by a declared index."""
        rows, condition = self._narrowed()
        limit = Fragment("") if at_most is None else Fragment(" LIMIT %s", (at_most,))
        found = joined("", (rows.wrapped("SELECT 1 FROM (", ") AS d"), condition, limit))
        return found.wrapped("SELECT count(*) FROM (", ") AS found")

    def _narrowed(self) -> tuple[Fragment, Fragment]:
        """Return the rows of a declared index, and the condition on them: Postgres, which knows little of it,
        shall not take another index for that.
        """
        narrowed = self.condition.narrowed
        assert narrowed is not None
        condition = both([self._scope(), self.condition.whole, *self._after()])
        return self._from(narrowed.condition).wrapped("", " OFFSET 0"), condition.wrapped(" WHERE ")

    def _picked(self, rows: Fragment, condition: Fragment) -> Fragment:
        """Return the statement that picks the numbers of a page's rows first, and then reads those rows."""
        start = rows.wrapped("SELECT d.number FROM (", ") AS d")
        picked = joined("", (start, condition, self._order(), self._window()))
        table = self.tables.of(self.query.collection)
        before = f"SELECT {self.columns} FROM {table} AS d WHERE d.number = ANY(ARRAY("
        return joined("", (picked.wrapped(before, "))"), self._order()))

    def _scope(self) -> Fragment:
        return self.compiler.scope(self.query.scope)

    def _after(self) -> list[Fragment]:
        query = self.query
        return [] if query.after is None else [self.compiler.after(query.order, query.after)]

    def _from(self, condition: Fragment, columns: str = "d.*") -> Fragment:
        table = self.tables.of(self.query.collection)
        return condition.wrapped(f"SELECT {columns} FROM {table} AS d WHERE ")

    def _order(self) -> Fragment:
        return self.compiler.order_by(self.query.order).wrapped(" ORDER BY ")

    def _window(self) -> Fragment:
        if self.query.offset:
            return Fragment(" LIMIT %s OFFSET %s", (self.query.limit, self.query.offset))
        return Fragment(" LIMIT %s", (self.query.limit,))


def narrows(runs: Runs, query: Query, condition: Condition, rows: int) -> bool:
    """Return whether a declared index finds the matches of ``query`` among few of all ``rows``."""
    narrowed = condition.narrowed
    if narrowed is None:
        return False
    if narrowed.rows is None:
        narrowed.rows = runs.estimate(query, narrowed)
    return narrowed.rows <= (_FEW if condition.found else rows // 4)


def page(runs: Runs, page: Page, drives: Drives) -> Sequence[tuple[Any, ...]]:
    """Return the rows of a page."""
    query, wanted, condition = page.query, page.wanted, page.condition
    rows = drives.rows(query.collection.name, lambda: runs.last_number(query))
    furthest = furthest_walk(wanted, rows)
    narrowing = narrows(runs, query, condition, rows)
    found = condition.found or narrowing
    bound = drives.first(condition.key, wanted, furthest, found=found)
    while bound:
        read = runs.fetch(page.walk(bound), prepare=True)
        if len(read) == query.limit:
            drives.remember(condition.key, max(wanted / bound, wanted / furthest))
            return read
        matched = len(read) + (query.offset if read else 0)
        drives.remember(condition.key, matched / bound)
        bound = drives.further(wanted, furthest, walked=bound, matched=matched, found=found)
    if narrowing:
        return runs.fetch(page.narrow(), prepare=False)
    return runs.fetch(page.find(), prepare=condition.found)
