"""Which way to a page: walk the order first, within bounds, and find by an index only where that fails.

Postgres knows nothing of what is inside JSON and text, and its planner, told to choose, is wrong by orders of
magnitude. So the newest √(k·N) rows are looked at: if the page fills, the answer is right; if not, matches
are few, and to find all of them first is cheap. What a condition turned out to hold is remembered, so that
the next page of it goes the right way at once.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from docstore_sql.fragment import Fragment

from docstore.backend import ANYWHERE, Query
from docstore.query.expr import Always, And, Compare, Expr, Leaf, Occurs, leaves

__all__ = [
    "COVERED",
    "Drives",
    "Way",
    "bounding",
    "confines",
    "conjuncts",
    "furthest_walk",
    "is_covered",
    "is_point",
    "is_walkable",
    "key_of",
    "stepped",
]

_FIRST = 256
"""Rows looked at where nothing is known of a condition."""
_REMEMBERED = 1_000
_RETRIED = 64
"""So many queries go straight to the index before a walk is tried again."""
_MINUTE = 60.0
_SMALL = 4_096
"""Rows of a scope that are counted: a few hundred microseconds along an index."""
_MOST_SCOPES = 10_000
_COVERED = ("owner", "tenant", "created_at", "number", "status", "is_latest")
COVERED = ", ".join(f"d.{name}" for name in _COVERED)
"""The columns that the indexes of an owner's and of a tenant's documents hold."""


@dataclass(slots=True)
class Way:
    """What is known of one condition.

    Attributes:
        rate: of the rows looked at last, the part that matched.
        asked: queries since the last walk.
    """

    rate: float
    asked: int = 0


class Drives:
    """What one backend remembers of the conditions it has met; shared by its threads."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._ways: OrderedDict[Hashable, Way] = OrderedDict()
        self._rows: dict[str, tuple[float, int]] = {}
        self._scopes: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def first(self, key: Hashable, wanted: int, furthest: int, *, found: bool) -> int:
        """Return how many rows to walk first; 0 for none, where an index finds all and that was better.

        Args:
            key: of the condition.
            wanted: matches that fill the page.
            furthest: rows that are worth walking.
            found: whether an index finds the matches.
        """
        some = min(furthest, stepped(_FIRST + 8 * wanted))
        with self._mutex:
            way = self._ways.get(key)
            if way is None:
                return some
            way.asked += 1
            if wanted <= way.rate * furthest:
                return furthest
            if found and way.asked < _RETRIED:
                return 0
            way.asked = 0
            return some

    def further(self, wanted: int, furthest: int, *, walked: int, matched: int, found: bool) -> int:
        """Return how far to walk when the first walk did not fill the page; 0 for no further."""
        if walked >= furthest or (found and matched * furthest < wanted * walked):
            return 0
        return furthest

    def remember(self, key: Hashable, rate: float) -> None:
        """Keep what part of the rows looked at met the condition."""
        with self._mutex:
            self._ways.pop(key, None)
            self._ways[key] = Way(rate)
            if len(self._ways) > _REMEMBERED:
                self._ways.popitem(last=False)

    def rows(self, collection: str, count: Callable[[], int]) -> int:
        """Return about how many rows there are, as ``count`` said within the last minute."""
        now = time.monotonic()
        asked, rows = self._rows.get(collection, (-_MINUTE, 0))
        if now - asked >= _MINUTE:
            rows = count()
            self._rows[collection] = (now, rows)
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
            rows = count(_SMALL)
            with self._mutex:
                self._scopes[key] = (now, rows)
                self._scopes.move_to_end(key)
                if len(self._scopes) > _MOST_SCOPES:
                    self._scopes.popitem(last=False)
        return rows < min(most, _SMALL)


def furthest_walk(wanted: int, rows: int) -> int:
    """Return how many rows are worth walking for ``wanted`` matches: fewer are found cheaply."""
    return stepped(2 * math.isqrt(wanted * max(rows, 1)) + wanted)  # a row walked costs a third of one found


def stepped(rows: int) -> int:
    """Return a number of rows, up to a quarter more, of which there are few: statements differ by it."""
    step = 1 << max(rows.bit_length() - 3, 0)
    return min(-(-rows // step) * step, 2**63 - 1)  # as many as LIMIT takes


def is_walkable(query: Query) -> bool:
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


def confines(term: Compare) -> bool:
    """Return whether a term asks for the documents of one owner or tenant."""
    return term.op == "eq" and term.path in (("owner",), ("tenant",))


def key_of(condition: Fragment) -> Hashable:
    """Return what a condition is remembered by: its text and its values."""
    return condition.text, repr(condition.values)
