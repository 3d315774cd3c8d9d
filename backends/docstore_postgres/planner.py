"""Planner: the access path of a page, the compiled filter, and what is remembered of earlier queries.

Postgres knows nothing of what is inside JSON and text, and its own planner is wrong about it by orders of
magnitude. So the first √(k·N) rows of the order are scanned. If the page fills, the answer is right. If
not, matches are few, and to find all of them by an index is cheap. The share that matched is remembered,
so that the next page of the condition takes the right path at once.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from docstore_sql.compiler import TRUE, ColumnFilter, Fragment, PreparedQuery

from docstore.backend import ANYWHERE, Query, SortKey
from docstore.query.expr import Always, And, Compare, Expr, In, Leaf, Occurs, Path, leaves
from docstore.query.fields import STATUSES
from docstore_postgres.compiler import PostgresCompiler
from docstore_postgres.declared_indexes import DeclaredIndex, IndexCondition, key_ranges
from docstore_postgres.jsonpath import indexed
from docstore_postgres.prefilters import PrefilterFinder
from docstore_postgres.term_index import CommonValues, LearntValues, term_query

# Rows scanned where nothing is known of a condition.
_FIRST_SCAN_ROWS = 256
# Conditions whose selectivity is kept, those asked last.
_REMEMBERED = 1_000
# So many queries of a condition go straight to the index before a scan is tried again: what was rare may
# have become frequent, and then each page would read all matches.
_QUERIES_PER_SCAN = 64
# Seconds that a number of rows is believed.
_MINUTE = 60.0
# A scope is counted up to so many rows: a few hundred microseconds along an index.
_SMALL_SCOPE_ROWS = 4_096
_MOST_SCOPES = 10_000
_COVERED = ("owner", "tenant", "created_at", "number", "status", "is_latest")
# The columns in the indexes of an owner's and of a tenant's documents.
COVERED = ", ".join(f"d.{name}" for name in _COVERED)


@dataclass(slots=True)
class Selectivity:
    """The selectivity of one condition, as measured by scans.

    Attributes:
        rate: the share of the rows scanned last that matched.
        asked: how many queries there were since the last scan.
        unprobed: how many queries are to come before a probe is tried again, after one that found too much.
    """

    rate: float
    asked: int = 0
    unprobed: int = 0


class Selectivities:
    """The selectivities of the conditions that one backend has met; shared by its threads."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._ways: OrderedDict[Hashable, Selectivity] = OrderedDict()
        self._rows: dict[Hashable, tuple[float, int]] = {}
        self._scopes: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def first(
        self,
        key: Hashable,
        alike: Hashable,
        wanted: int,
        furthest: int,
        start: int,
        *,
        found: bool,
        risks: bool,
    ) -> int:
        """Return how many rows to walk first; 0 for none, where an index finds all and that was better.

        A condition that was not asked before is taken to match as many rows as the last one like it.

        Args:
            key: of the condition.
            alike: the key of all conditions that differ from it in their values alone.
            wanted: matches that fill the page.
            furthest: rows that are worth walking.
            start: rows to walk where nothing is known.
            found: whether an index finds the matches.
            risks: whether to walk far for a condition that only one like it was frequent of.
        """
        with self._mutex:
            known = self._ways.get(key)
            way = known or self._ways.get(alike)
            if way is None:
                return start
            way.asked += 1
            if wanted <= way.rate * furthest:
                # It may be rare, though the last one like it was frequent: then they are read for nothing.
                return (
                    furthest if known or risks else min(furthest, max(start, stepped(int(wanted / way.rate))))
                )
            if found and way.asked < _QUERIES_PER_SCAN:
                return 0
            way.asked = 0
            return start

    def further(self, wanted: int, furthest: int, *, walked: int, matched: int, found: bool) -> int:
        """Return how far to walk when the first walk did not fill the page; 0 for no further."""
        if walked >= furthest or (found and matched * furthest < wanted * walked):
            return 0
        return furthest

    def is_known(self, key: Hashable) -> bool:
        """Return whether this very condition was asked before, not only one like it."""
        return key in self._ways

    def probes(self, alike: Hashable) -> bool:
        """Return whether to probe an index for conditions like this one; not soon after it found too much."""
        way = self._ways.get(alike)
        return way is not None and not way.unprobed

    def remember_probe(self, key: Hashable, alike: Hashable, rate: float) -> None:
        """Keep the share of all rows that a probe found; for conditions like it an index stays the way.

        The share says nothing of the first rows in order: the matches may stand together far from them.
        """
        with self._mutex:
            self._keep(key, Selectivity(rate))
            known = self._ways.get(alike, Selectivity(0.0))
            known.rate = 0.0
            self._keep(alike, known)

    def note_overflow(self, alike: Hashable) -> None:
        """Remember that a probe found more rows than it reads: an index finds too much of such conditions."""
        with self._mutex:
            self._keep(alike, Selectivity(0.0, unprobed=_QUERIES_PER_SCAN))

    def remember(self, key: Hashable, alike: Hashable, rate: float, *, filled: bool) -> None:
        """Keep the share of the scanned rows that matched; it may be more where they filled the page."""
        with self._mutex:
            for each in (key, alike):
                way = self._ways.get(each) or Selectivity(0.0)
                known = max(rate, way.rate) if filled else rate
                self._keep(each, Selectivity(known, unprobed=max(way.unprobed - 1, 0)))

    def _keep(self, key: Hashable, way: Selectivity) -> None:
        """Keep what is known of a condition, and forget what was learnt longest ago; call it locked."""
        self._ways[key] = way
        self._ways.move_to_end(key)
        if len(self._ways) > _REMEMBERED:
            self._ways.popitem(last=False)

    def rows(self, key: Hashable, count: Callable[[], int]) -> int:
        """Return about how many rows there are, as ``count`` said within the last minute.

        Args:
            key: of what: a collection, or a tenant's part of it.
            count: counts them.
        """
        # Two threads that both find it stale both count: harmless, and no lock is held while a statement
        # runs.
        now = time.monotonic()
        asked, rows = self._rows.get(key, (-_MINUTE, 0))
        if now - asked >= _MINUTE:
            rows = count()
            if len(self._rows) >= _MOST_SCOPES:
                self._rows.clear()
            self._rows[key] = (now, rows)
        return rows

    def is_small(self, query: Query, most: int, count: Callable[[int], int]) -> bool:
        """Return whether the query's scope had at most so many rows within the last minute: to look at all of
        them takes less than to ask an index of everybody's.

        Args:
            query: what is asked.
            most: rows that are worth walking.
            count: counts those of the scope, up to a number.
        """
        scope = query.scope
        if scope == ANYWHERE:
            return False
        key, now = (query.collection.name, scope.tenant, scope.owner), time.monotonic()
        with self._mutex:
            asked, rows = self._scopes.get(key, (-_MINUTE, 0))
        if now - asked >= _MINUTE:
            rows = count(_SMALL_SCOPE_ROWS)
            with self._mutex:
                self._scopes[key] = (now, rows)
                self._scopes.move_to_end(key)
                if len(self._scopes) > _MOST_SCOPES:
                    self._scopes.popitem(last=False)
        return rows < min(most, _SMALL_SCOPE_ROWS)


def first_scan(wanted: int, furthest: int, *, is_dear: bool) -> int:
    """Return how many rows to walk first for a condition of which nothing is known.

    To look for a word in a content took 20 us: then so many are walked as hold one match where walk and index
    take the same time (Postgres 18, contents of 500 words).
    """
    return min(
        furthest, stepped(furthest // (2 * wanted) + wanted if is_dear else _FIRST_SCAN_ROWS + 8 * wanted)
    )


def scan_limit(wanted: int, rows: int) -> int:
    """Return how many rows are worth walking for ``wanted`` matches: fewer are found cheaply."""
    return stepped(2 * math.isqrt(wanted * max(rows, 1)) + wanted)  # a row walked costs a third of one found


def stepped(rows: int) -> int:
    """Return a number of rows, up to a quarter more, of which there are few: statements differ by it."""
    step = 1 << max(rows.bit_length() - 3, 0)
    return min(-(-rows // step) * step, 2**63 - 1)  # as many as LIMIT takes


def is_scannable(query: Query) -> bool:
    """Return whether an index gives the order of ``query``, and there is a way to choose."""
    names = [key.path[0] for key in query.order]
    alike = len({key.descending for key in query.order}) == 1
    return (
        query.limit is not None
        and query.lock is None
        and alike
        and names in (["created_at", "number"], ["number"])
        and not is_point(query)
    )


def is_point(query: Query) -> bool:
    """Return whether ``query`` asks for one row by its key: any plan for it is the plan."""
    where = query.where
    return isinstance(where, Compare) and where.op == "eq" and where.path in (("id",), ("number",))


def conjuncts(where: Expr) -> Sequence[Expr]:
    """Return the terms that all must hold."""
    return where.terms if isinstance(where, And) else (where,)


def bounding(query: Query, terms: Sequence[Expr]) -> list[bool]:
    """Return which of the terms the order's index narrows by: ranges of its key, one owner."""
    first = query.order[0].path
    return [
        isinstance(term, Compare) and term.value is not None and (term.path == first or confines(term))
        for term in terms
    ]


def is_covered(query: Query) -> bool:
    """Return whether one index, of an owner's or a tenant's documents, holds all that ``query`` looks at."""
    scope = query.scope
    confined = scope.owner is not None or scope.tenant is not None
    terms = query.where.terms if isinstance(query.where, And) else (query.where,)
    return (
        query.collection.name == "documents"
        and (confined or any(isinstance(term, Compare) and confines(term) for term in terms))
        and all(_is_covered(leaf) for leaf in leaves(query.where))
    )


def _is_covered(leaf: Leaf) -> bool:
    return not isinstance(leaf, Always | Occurs) and leaf.path[0] in _COVERED


def _reads_content(leaf: Leaf) -> bool:
    return not isinstance(leaf, Always | Occurs) and leaf.path == ("content",)


def confines(term: Compare) -> bool:
    """Return whether a term asks for the documents of one owner or tenant."""
    return term.op == "eq" and term.path in (("owner",), ("tenant",))


# Orders, and texts of statements for filters on columns, that are kept.
_KEPT = 256
_RANGED = (("created_at",), ("number",))
# From this time on a page is worth a declared index.
_SLOW_SECONDS = 0.02


@dataclass(slots=True)
class SplitPredicate:
    """A filter in two: the part that an index over metadata, names or contents finds, and the rest.

    Attributes:
        found: the part that the index finds.
        rest: the condition that the rows found are tested by, without another index.
        ranges: the ranges in the rest that another index could serve.
        rows: how many rows Postgres expects within the ranges; None until it is asked.
    """

    found: Fragment
    rest: Fragment
    ranges: Fragment
    rows: int | None = None

    @property
    def is_unbounded(self) -> bool:
        """Whether there are no such ranges."""
        return self.ranges is TRUE


@dataclass(slots=True)
class TermMatch:
    """The part of a filter that the term index finds: ranges of numbers, and lack of common values.

    Attributes:
        condition: the term query.
        rows: how many rows Postgres expects it to find.
    """

    condition: Fragment
    rows: int


@dataclass(eq=False)
class CompiledFilter:
    """A filter, compiled, with its possible access paths; each is worked out when it is first asked for.

    Attributes:
        query: a query with this filter, in its scope.
        compiler: compiles it.
        finder: finds prefilters for the indexes there are.
        declared: the declared indexes of the collection.
        epoch: the count of index reads that it was compiled for.
        term_match: the part that the term index finds, None if it finds none.
        is_term_match_known: whether ``term_match`` was worked out, which happens when a scan did not fill a
            page.
    """

    query: Query
    compiler: PostgresCompiler
    finder: PrefilterFinder
    declared: Sequence[DeclaredIndex]
    epoch: int
    term_match: TermMatch | None = None
    is_term_match_known: bool = False

    @cached_property
    def terms(self) -> Sequence[Expr]:
        """The terms that all must hold."""
        return conjuncts(self.query.where)

    @cached_property
    def parts(self) -> list[Fragment]:
        """The condition of each term."""
        return [self.compiler.where(term) for term in self.terms]

    @cached_property
    def whole(self) -> Fragment:
        """The condition for all of it."""
        return self.compiler.conjunction(self.parts)

    @cached_property
    def tested(self) -> Fragment:
        """The condition of rows that the prefilters found; the one of a long list needs no other test."""
        pairs = zip(self.terms, self.parts, strict=True)
        listed = self.finder.lists
        return self.compiler.conjunction(
            [part for term, part in pairs if not listed(self.query.collection, term)]
        )

    @cached_property
    def bounds(self) -> Fragment:
        """The part that the index of the order narrows by."""
        return self._where(bounding(self.query, self.terms), True)

    @cached_property
    def beyond(self) -> Fragment:
        """The other part."""
        return self._where(bounding(self.query, self.terms), False)

    def _where(self, chosen: Sequence[bool], value: bool) -> Fragment:
        pairs = zip(self.parts, chosen, strict=True)
        return self.compiler.conjunction([part for part, is_chosen in pairs if is_chosen is value])

    @cached_property
    def prefilters(self) -> tuple[Fragment, ...]:
        """The conditions that an index finds and that stand before it."""
        return tuple(self.finder.prefilters(self.query))

    @cached_property
    def is_dear(self) -> bool:
        """Whether a row is tested by its content, which takes as long as a hundred other tests."""
        every = leaves(self.query.where)
        return any(leaf.content if isinstance(leaf, Occurs) else _reads_content(leaf) for leaf in every)

    @cached_property
    def found(self) -> bool:
        """Whether an index finds a superset of it."""
        return any(map(self._finds, self.terms))

    def _finds(self, term: Expr) -> bool:
        collection, finder = self.query.collection, self.finder
        return finder.finds(collection, term) or finder.lists(collection, term)

    @cached_property
    def key(self) -> Hashable:
        """The key of its selectivity: its texts and values."""
        return self.alike, repr([part.values for part in self.parts])

    @cached_property
    def alike(self) -> Hashable:
        """The key of all filters that differ from it in their values alone."""
        paths = ((type(leaf), getattr(leaf, "path", None)) for leaf in leaves(self.query.where))
        return tuple(part.text for part in self.parts), tuple(paths)

    @cached_property
    def index_condition(self) -> IndexCondition | None:
        """The part that a declared index finds, None if none does."""
        every = (one.index_condition(self.query.where) for one in self.declared)
        return next((each for each in every if each is not None), None)

    @cached_property
    def split(self) -> SplitPredicate | None:
        """The filter in two; None if it asks for one owner or tenant, or is all one part."""
        found: list[Fragment] = []
        rest: list[tuple[Expr, Fragment]] = []
        for term, part in zip(self.terms, self.parts, strict=True):
            if self._finds(term):
                found.append(TRUE if self.finder.lists(self.query.collection, term) else part)
            else:
                rest.append((term, part))
        if not found or not rest or any(isinstance(term, Compare) and confines(term) for term, _ in rest):
            return None
        rest.sort(key=lambda pair: not (isinstance(pair[0], Compare) and len(pair[0].path) == 1))
        ranges = [part for term, part in rest if isinstance(term, Compare) and term.path in _RANGED]
        conjunction = self.compiler.conjunction
        return SplitPredicate(
            conjunction(found), conjunction([part for _, part in rest]), conjunction(ranges)
        )

    @property
    def is_prepared(self) -> bool:
        """Whether statements of it are prepared once for all values; not with a long list of values: Postgres
        14 to 18 looks up by hash in a list only where the list is known to the planner.
        """
        return "::jsonb[]" not in self.whole.text

    def match_terms(
        self, common_values: Callable[[], CommonValues], expected: Callable[[Fragment], int]
    ) -> TermMatch | None:
        """Return the part of the filter that the term index finds; it is worked out once.

        Args:
            common_values: returns the common values of the store.
            expected: returns how many rows Postgres expects of a condition.
        """
        if not self.is_term_match_known:
            found = term_query(self.query.where, common_values())
            self.term_match = None if found is None else TermMatch(found, expected(found))
            self.is_term_match_known = True
        return self.term_match


@dataclass(slots=True, eq=False)
class PostgresPrepared(PreparedQuery):
    """A query that the core holds.

    Attributes:
        condition: its filter, once a session has compiled it.
    """

    condition: CompiledFilter | None = None


@dataclass(slots=True)
class PlannerState:
    """State that the sessions of one backend share.

    Attributes:
        finder: finds prefilters for the indexes there are.
        selectivities: the selectivities of conditions.
        declared: the declared indexes, by collection.
        epoch: how often the declared indexes were read; a filter of another epoch is compiled anew.
        learnt: the common values of the metadata.
        column_pages: statements of pages of filters on ordinary columns.
        points: statements that read one row by its key.
        orders: for each order without an index, the number of queries and their seconds.
    """

    finder: PrefilterFinder
    selectivities: Selectivities = field(default_factory=Selectivities)
    declared: dict[str, list[DeclaredIndex]] = field(default_factory=dict)
    epoch: int = 0
    learnt: LearntValues = field(default_factory=LearntValues)
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
        if seconds < _SLOW_SECONDS or query.collection.name != "documents":
            return
        asked = {leaf.path for leaf in leaves(query.where) if isinstance(leaf, Compare | In)}
        index_condition = {path for path in asked if path[0] == "metadata" and _is_range(query.where, path)}
        has = {one.keys[0].path for one in self.declared.get("documents", ())}
        for path in sorted(index_condition - has):
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

    def condition(self, query: Query, compiler: PostgresCompiler) -> CompiledFilter:
        """Return the condition of ``query``, as it was compiled when it was asked before, or now."""
        held = query.prepared
        if not isinstance(held, PostgresPrepared) or not held.holds(query):
            return self._compiled(query, compiler)
        known = held.condition
        if known is None or known.epoch != self.epoch or held.query.order[0].path != query.order[0].path:
            known = held.condition = self._compiled(query, compiler)
            held.query = query
        return known

    def _compiled(self, query: Query, compiler: PostgresCompiler) -> CompiledFilter:
        declared = self.declared.get(query.collection.name, ())
        return CompiledFilter(query, compiler, self.finder, declared, self.epoch)


def _column_page(query: Query, columns: ColumnFilter, selected: str, compiler: PostgresCompiler) -> str:
    """Return the text of a page's statement, which picks the numbers in a covering index first.

    The limit is a literal: of one that is a parameter Postgres expects a tenth of all rows.
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
    found = key_ranges(where, path)
    values = all(start[0] == end[0] for start, end in found.parts)
    return not found.is_all and not (found.parts and values)
