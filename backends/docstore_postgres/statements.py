"""Statements of a page, of a count and of ``count_by``.

A page is a bounded ordered scan, or all matches are found first. ``count_by`` groups by the value at a path.
An array on the way, or at the end, is one group together with its depth; each value seen in it then counts
for as many records as have that array.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from docstore_sql.compiler import TRUE, Compiler, Fragment, both, joined

from docstore.backend import ANYWHERE, Query
from docstore.query.expr import Compare, Leaf, Path, leaves
from docstore.query.facets import Facet, values_at
from docstore_postgres.planner import COVERED, CompiledFilter, bounding, confines, is_covered

_ONE_TEST = re.compile(r"\(?d\.metadata_json @@ %s::jsonpath\)?")

# How all matches are found. 'any index': Postgres chooses. 'split': by the index over metadata, names or
# contents and no other. 'index': by a declared index. 'terms': by the term index. 'scope': by reading all
# rows of a small scope.
AccessPath: TypeAlias = Literal["any index", "split", "index", "terms", "scope"]
# The access paths that are chosen by estimates for the values at hand.
BY_VALUES = ("index", "terms")
# Without its value Postgres expects a name to find a half or one in a hundred rows: of many, most of them.
_FEW_NAMES = 4


@dataclass(frozen=True, slots=True)
class PageStatements:
    """The statements of one page.

    Attributes:
        query: the query, with a limit.
        compiler: the compiler of its collection.
        columns: the SELECT list.
        condition: the compiled filter.
    """

    query: Query
    compiler: Compiler
    columns: str
    condition: CompiledFilter

    @property
    def wanted(self) -> int:
        """The number of matches up to the end of the page."""
        return max(1, self.query.offset + (self.query.limit or 0))

    def walk(self, bound: int) -> Fragment:
        """Return the ordered scan of the first ``bound`` rows.

        Both limits are literals, the bound one of few sizes. Of a limit that is a parameter Postgres
        expects a tenth of all rows.
        """
        inner = both([self._scope(), self.condition.bounds, *self._after()])
        limit, window = Fragment(f" LIMIT {bound:d}"), Fragment(f" LIMIT {self.query.limit:d}")
        if self.query.offset:
            window = Fragment(f"{window.text} OFFSET %s", (self.query.offset,))
        beyond = self.condition.beyond.wrapped(" WHERE ")
        if is_covered(self.query):
            rows = joined("", (self._from(inner, COVERED), self._order(), limit))
            return self._picked(rows, beyond, window)
        return self._read(joined("", (self._from(inner), self._order(), limit)), beyond, window)

    def finding(self, access: AccessPath) -> Fragment:
        """Return the statement that finds all matches, by an index, before it orders their numbers."""
        return self._picked(*self._matches(access), self._window())

    def probing(self, access: AccessPath, most: int) -> Fragment:
        """Return the statement that finds up to ``most`` rows by an index, and of those the page.

        Its last columns are a number, NULL where no row is on the page, and how many rows the index found.
        The matches are materialized, which Postgres plans as if all were read: for a few it would scan the
        table. They are read as far as the limit.
        """
        rows, rest = self._matches(access)
        few, order = f"SELECT * FROM m LIMIT {most}", self._order()
        count = f"SELECT {self.columns}, d.number, n.n FROM (SELECT count(*) FROM ({few}) AS m) AS n (n)"
        start, middle = "WITH m AS MATERIALIZED (", f") {count} LEFT JOIN (SELECT d.* FROM ({few}) AS d"
        found = rows.wrapped(start, middle)
        page = joined("", (found, rest, order, self._window()))
        return joined("", (page.wrapped("", ") AS d ON true"), order))

    @property
    def walks_one_way(self) -> bool:
        """Whether a walk has one plan for all values: in the order, as far as the limit.

        Of two bounds, or of one owner's rows, Postgres expects fewer than the limit without their values, and
        would read and sort all.
        """
        query, terms = self.query, self.condition.terms
        bounds = [term for term, is_bound in zip(terms, bounding(query, terms), strict=True) if is_bound]
        pins = query.scope != ANYWHERE or any(isinstance(term, Compare) and confines(term) for term in bounds)
        return self.condition.is_prepared and not pins and len(bounds) + (query.after is not None) < 2

    def has_one_way(self, access: AccessPath) -> bool:
        """Return whether nothing but the index over the documents' insides can find the matches.

        Then there is one plan for all values.
        """
        condition, query = self.condition, self.query
        if access in BY_VALUES or not condition.is_prepared:
            return False
        alone = access == "split" or not (query.after or query.scope != ANYWHERE)
        if condition.prefilters:
            few = sum(len(part.values) for part in condition.prefilters) <= _FEW_NAMES
            return alone and few and all(map(_is_of_name, leaves(query.where)))
        inner = condition.split.found if access == "split" and condition.split else condition.whole
        return alone and _ONE_TEST.fullmatch(inner.text) is not None

    def counting(self, access: AccessPath, at_most: int | None) -> Fragment:
        """Return the statement that counts the matches, up to ``at_most``."""
        rows, rest = self._matches(access)
        limit = Fragment("") if at_most is None else Fragment(" LIMIT %s", (at_most,))
        found = joined("", (rows.wrapped("SELECT 1 FROM (", ") AS d"), rest, limit))
        return found.wrapped("SELECT count(*) FROM (", ") AS found")

    def _matches(self, access: AccessPath) -> tuple[Fragment, Fragment]:
        """Return the rows that the access path finds, and the condition that is left to test.

        The rows are a sub-select with ``OFFSET 0``, so that Postgres takes no other index for them.
        """
        condition, asked = self.condition, [self._scope(), *self._after()]
        inner, rest = both([*condition.prefilters, *asked, condition.tested]), Fragment("")
        if access == "scope":
            inner, rest = both(asked), condition.whole.wrapped(" WHERE ")
        elif access == "index" and condition.index_condition is not None:
            inner, rest = (
                condition.index_condition.condition,
                both([*asked, condition.whole]).wrapped(" WHERE "),
            )
        elif access == "terms" and condition.term_match is not None:
            inner, rest = condition.term_match.condition, both([*asked, condition.whole]).wrapped(" WHERE ")
        elif access == "split" and condition.split is not None:
            inner = both([*condition.prefilters, condition.split.found])
            rest = both([*asked, condition.split.rest]).wrapped(" WHERE ")
        return self._from(inner).wrapped("", " OFFSET 0"), rest

    def _read(self, rows: Fragment, rest: Fragment, window: Fragment) -> Fragment:
        """Return the statement that reads a page of ``rows``."""
        start = rows.wrapped(f"SELECT {self.columns} FROM (", ") AS d")
        return joined("", (start, rest, self._order(), window))

    def _picked(self, rows: Fragment, condition: Fragment, window: Fragment) -> Fragment:
        """Return the statement that picks the numbers of a page's rows first, and then reads those rows."""
        start = rows.wrapped("SELECT d.number FROM (", ") AS d")
        picked = joined("", (start, condition, self._order(), window))
        before = f"SELECT {self.columns} FROM {self.compiler.table} AS d WHERE d.number = ANY(ARRAY("
        scope = self._scope()  # at this level, too: else each partition is looked in
        within = Fragment("") if scope is TRUE else scope.wrapped(" AND ")
        return joined("", (picked.wrapped(before, "))"), within, self._order()))

    def _scope(self) -> Fragment:
        return self.compiler.scope(self.query.scope)

    def _after(self) -> list[Fragment]:
        query = self.query
        return [] if query.after is None else [self.compiler.after(query.order, query.after)]

    def _from(self, condition: Fragment, columns: str = "d.*") -> Fragment:
        return condition.wrapped(f"SELECT {columns} FROM {self.compiler.table} AS d WHERE ")

    def _order(self) -> Fragment:
        return self.compiler.order_by(self.query.order).wrapped(" ORDER BY ")

    def _window(self) -> Fragment:
        if self.query.offset:
            return Fragment(" LIMIT %s OFFSET %s", (self.query.limit, self.query.offset))
        return Fragment(" LIMIT %s", (self.query.limit,))


def _is_of_name(leaf: Leaf) -> bool:
    """Return whether nothing but the index of names can find what a leaf asks for."""
    return getattr(leaf, "path", None) in (("filename",), ("is_latest",))


# From this number on `jsonb` does not tell a whole number from a double.
_AMBIGUOUS_FROM = 10**16


def grouped(path: Path, source: Fragment) -> Fragment:
    """Return the statement that groups rows by the value at a path.

    Args:
        path: a JSON field and at least one step.
        source: ``FROM … WHERE …``, with the alias ``d``.

    Returns:
        A statement for the value and the number of rows of each group. The value is NULL where the path
        leads nowhere, ``[depth, array]`` where it meets an array; the array itself at a key of the metadata.
    """
    steps, last = path[1:], len(path) - 1
    reached = [f"(d.{path[0]}_json{' -> %s::text' * at})" for at in range(last + 1)]
    if _is_top_level(path):
        return Fragment(f"SELECT {reached[1]}, count(*){source.text} GROUP BY 1", steps + source.values)
    cases = [
        f"WHEN jsonb_typeof({value}) = 'array' THEN jsonb_build_array({at}, {value})"
        for at, value in enumerate(reached)
    ]
    values = tuple(step for at in range(last + 1) for step in steps[:at] * 2) + steps
    start = f"SELECT CASE {' '.join(cases)} ELSE {reached[last]} END, count(*)"
    return Fragment(f"{start}{source.text} GROUP BY 1", values + source.values)


def _is_top_level(path: Path) -> bool:
    """Return whether a path is a key of the metadata, which is an object: arrays are at its end alone."""
    return path[0] == "metadata" and len(path) == 2


def counted(path: Path, groups: Iterable[tuple[Any, int]]) -> Facet | None:
    """Return the counts of all groups, None if the type of a number is not certain.

    Args:
        path: as for :func:`grouped`.
        groups: the rows of its statement.
    """
    pairs: list[tuple[Any, int]] = []
    for found, rows in groups:
        if isinstance(found, list):
            values = _opened(path, *((1, found) if _is_top_level(path) else found))
        else:
            values = [found]
        for value in values:
            if type(value) is int and abs(value) >= _AMBIGUOUS_FROM:
                return None
            if not isinstance(value, dict):
                pairs.append((value, rows))
    return Facet(pairs)


def _opened(path: Path, depth: int, array: list[Any]) -> list[Any]:
    """Return the different values seen at a path in a record with this array at some depth of it."""
    value: Any = array
    for step in reversed(path[1 : depth + 1]):
        value = {step: value}
    return values_at({path[0]: value}, path)
