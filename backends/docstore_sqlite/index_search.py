"""Index search of one session: the rows that a query comes down to, and the access path to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from docstore_sql.fragment import Fragment
from docstore_sql.tables import Tables

from docstore.backend import Query, Row, SortKey
from docstore.index import top_k
from docstore.index.bitmap import EMPTY, Bitmap, union
from docstore.index.ngrams import fts5_query, text_query
from docstore.index.search import MatchSets, leaf_sets
from docstore.index.snapshot import IndexMatches, PageRange, Snapshot, count_by
from docstore.index.tail import Segment
from docstore.index.terms import EVERY, TermSource
from docstore.index.values import CUT, MOST_ORDERED, OrderedMatches
from docstore.query.expr import Expr, Leaf, Path
from docstore.query.fields import DOCUMENTS, Collection
from docstore.query.values import INT64_MAX, INT64_MIN
from docstore_sqlite.index_snapshot import SnapshotSession
from docstore_sqlite.planner import LISTED_MATCHES, AccessPath, PlannedQuery, answer_key, planned, walk_length
from docstore_sqlite.posting_store import PostingReader, SharedIndex
from docstore_sqlite.schema import FIELDS
from docstore_sqlite.statements import NUMBERED_ROWS, OrderedScan, RowStatements

__all__ = ["IndexSearch"]

_WALK_LEAST = 256
_ROUND = 128
# Up to so many matches are always sorted by their values, which takes less than an ordered scan.
_SORTED_MATCHES = 256
_CREATED = ("created_at",)


class IndexSearch(SnapshotSession):
    """The index as one session searches it.

    Args:
        session: the block, with its compilers, cursor and connection.
        tables: the names of the tables.
        shared: the state that the process shares, by collection.
    """

    def __init__(self, session: Any, tables: Tables, shared: Mapping[str, SharedIndex]) -> None:
        super().__init__(session, tables, shared)
        self.walking = OrderedScan(session, tables)
        self.fetching = RowStatements(session, tables)

    def asked(self, query: Query) -> PlannedQuery:
        """Return the planned form of ``query``."""
        return planned(query, self.session.compilers[query.collection.name])

    def timed(self, query: Query, asked: PlannedQuery, select: Callable[[Query], list[Row]]) -> list[Row]:
        """Select, and take the time where rows have to be sorted by a JSON path that no index is declared
        for.
        """
        if asked.is_sorted:
            return select(query)
        begun = time.perf_counter()
        rows = select(query)
        self.shared[query.collection.name].sorted_by_hand(query.order, time.perf_counter() - begun)
        return rows

    def select(self, query: Query) -> tuple[AccessPath, Fragment]:
        """Return how the rows of ``query`` are found, and the statement that reads them. Call within a
        transaction.
        """
        index, asked = self.index(query.collection), self.asked(query)
        page = self._page(query, asked, index)
        if page is not None:
            kind, numbers = page
            return AccessPath(kind), self.fetching.page(query, asked, numbers)
        found = self._find(asked.terms, asked.key, index, query)
        high, most = found.whole.upper, found.most
        way = AccessPath("list", found.sure, most - found.sure)
        if most <= LISTED_MATCHES and (not found.is_exact or most <= 64 or query.limit is None):
            return way, self.fetching.reading(query, high.members, checked=found.is_exact)
        if query.limit is not None and is_orderable(query.order, query.collection):
            if found.is_exact:
                placed = self._sort(query, asked, found, index, CUT)
                if placed is not None:
                    return replace(way, kind="order"), self.fetching.page(query, asked, placed)
                cut = self._cut(query, found, index)
                if cut is not None:
                    return replace(way, kind="cut"), cut
            elif most > LISTED_MATCHES:
                rounds = self._rounds(query, found, index)
                if rounds is not None:
                    reading = self.fetching.reading(replace(query, after=None), rounds, checked=True)
                    return replace(way, kind="rounds"), reading
        if most <= LISTED_MATCHES:
            return way, self.fetching.reading(query, high.members, checked=found.is_exact)
        return replace(way, kind="scan"), self.fetching.scanning(query, high, exact=found.is_exact)

    def _page(self, query: Query, asked: PlannedQuery, index: Snapshot) -> tuple[str, Sequence[int]] | None:
        """Return how a page in the order of a column is found without asking for all bounds, and its
        numbers.
        """
        if asked.placed is None or query.limit is None:
            return None
        placed = self._placed(query, asked, index)
        if placed is not None:
            return "order", placed
        is_new = not index.bulk.knows(asked.key)  # else it was just counted
        if is_new and query.order[0].path == _CREATED and asked.span is not None:
            terms, key, span = asked.untimed, asked.untimed_key, asked.span
        else:
            terms, key, span = asked.terms, asked.key, (INT64_MIN, INT64_MAX)
        found, wanted = self._find(terms, key, index, query), query.offset + query.limit
        total, most = index.size, found.most
        length = walk_length(wanted, total)
        if found.is_exact and most <= max(_SORTED_MATCHES, length):
            first = index.first(found, query.order[0].path[0], span, _window(query))
            return None if first is None else ("list", first)
        if not asked.is_walkable or wanted > _WALK_LEAST or most * length < wanted * total:
            return None
        walked = self.walking.page(query, asked, found.whole, length)
        return None if walked is None else ("walk", walked)

    def count(self, query: Query, at_most: int | None) -> int:
        """Count the rows of ``query``. Call within a transaction."""
        asked = self.asked(query)
        found = self._find(asked.terms, asked.key, self.index(query.collection), query)
        sure = found.sure
        if found.is_exact or (at_most is not None and sure >= at_most):
            return sure if at_most is None else min(sure, at_most)
        left = -1 if at_most is None else at_most - sure
        return sure + self.fetching.count(query, found.whole.recheck, left)

    def count_by(self, query: Query, path: Path) -> Mapping[Any, int] | None:
        """Count by the values at a path; None if the index cannot tell. Call within a transaction."""
        asked, index = self.asked(query), self.index(query.collection)
        key = asked.key or answer_key(asked.terms)
        return count_by(index, self._find(asked.terms, key, index, query), path)

    def _find(self, terms: Sequence[Expr], key: str, index: Snapshot, query: Query) -> IndexMatches:
        """Return the match sets of the terms; the text index answers for texts."""
        if query.collection is not DOCUMENTS:
            return index.find(terms, key)
        return index.find(terms, key, partial(self._leaf, index), partial(self._changed_texts, index))

    def _leaf(self, index: Snapshot, leaf: Leaf, source: TermSource) -> MatchSets:
        if text_query(leaf) is None:
            return leaf_sets(leaf, source)
        if isinstance(source, Segment):
            changed = self._changed_texts(index, leaf)
            return MatchSets(EMPTY, source.posting((), EVERY) if changed is None else source.placed(changed))
        found = self._texts(index, leaf)
        return MatchSets(EMPTY, source.posting((), EVERY) if found is None else found)

    def _changed_texts(self, index: Snapshot, leaf: Leaf) -> Bitmap | None:
        """Return the documents that a test of texts may hold for, as they are now; None for very many."""
        found, stored = self._texts(index, leaf), index.bulk.stored
        assert isinstance(stored, PostingReader)
        return None if found is None else union(found, stored.unfolded_texts())

    @staticmethod
    def _texts(index: Snapshot, leaf: Leaf) -> Bitmap | None:
        question, stored = text_query(leaf), index.bulk.stored
        assert isinstance(stored, PostingReader)
        return None if question is None else stored.texts(fts5_query(question))

    def _cut(self, query: Query, found: IndexMatches, index: Snapshot) -> Fragment | None:
        """Return the statement that reads a page cut out by bit slices, None if it cannot be cut."""
        if query.limit is None or not index.can_cut(query.order, query.after):
            return None
        cut = index.cut(found, query.order, query.offset, query.limit, query.after)
        if cut is None or cut.bulk.count > NUMBERED_ROWS:
            return None
        numbers = [*cut.bulk.members, *cut.tail]
        return self.fetching.reading(replace(query, offset=cut.skip), numbers, checked=True)

    def _rounds(self, query: Query, found: IndexMatches, index: Snapshot) -> list[int] | None:
        """Return the first numbers that pass, of ever more that come first in the order, and those that
        changed; ``None`` if they are rare among them.
        """
        if not index.can_cut(query.order, query.after):
            return None
        high, slack = found.bulk.upper, 0
        if query.after is not None:
            high, slack = index.after(high, query.order, query.after)
        wanted = query.offset + (query.limit or 0)
        changed = self._changed_passing(query, found.tail.upper, index, wanted)
        size = 4 * wanted + slack + _ROUND
        while size <= 4 * NUMBERED_ROWS:
            cut = top_k.cut(high, query.order, 0, size, index.bulk)
            if cut is None:
                return None
            passed = self.fetching.passing(query, cut.members.members)
            if len(passed) >= wanted or cut.members.count >= high.count:
                return [*passed, *changed]
            size *= 8
        return None

    def _changed_passing(self, query: Query, high: Bitmap, index: Snapshot, wanted: int) -> list[int]:
        """Return those that pass of some changed records, in the order until enough do."""
        ordered, passed = index.changed_in_order(high, query.order), list[int]()
        for start in range(0, len(ordered), _ROUND):
            passed += self.fetching.passing(query, ordered[start : start + _ROUND])
            if len(passed) >= wanted:
                break
        return passed

    def _placed(self, query: Query, asked: PlannedQuery, index: Snapshot) -> list[int] | None:
        """Return the numbers of the page, where the matches are kept in its order."""
        if asked.placed is None:
            return None
        ordered = index.bulk.orders.get(asked.placed)
        return None if ordered is None else self._of_order(query, asked, index, ordered)

    def _of_order(
        self, query: Query, asked: PlannedQuery, index: Snapshot, ordered: OrderedMatches
    ) -> list[int] | None:
        leaf, texts = partial(self._leaf, index), partial(self._changed_texts, index)
        changed = index.find_changed(asked.terms, asked.key, leaf, texts)
        if not changed.is_exact:
            return None
        return index.page(ordered, changed.lower, query.order[0].path[0], _window(query))

    def _sort(
        self, query: Query, asked: PlannedQuery, found: IndexMatches, index: Snapshot, gain: int
    ) -> list[int] | None:
        """Sort the matches and keep them, if that would have paid by now; return the numbers of the page."""
        size, orders = found.bulk.lower.count, index.bulk.orders
        if asked.placed is None or not 0 < size <= MOST_ORDERED:
            return None
        if not orders.is_due(asked.placed, size, gain):
            return None
        leaf = partial(self._leaf, index)
        matches = index.bulk.find(asked.terms, asked.key, leaf).lower  # of the generation: stale ones too
        ordered = index.ordered(matches, query.order[0].path[0])
        if ordered is None:
            return None
        return self._of_order(query, asked, index, orders.put(asked.placed, ordered))


def _window(query: Query) -> PageRange:
    """Return the window of a query that has a limit."""
    return PageRange(query.offset, query.limit or 0, query.after, query.order[0].descending)


def is_orderable(order: Sequence[SortKey], collection: Collection) -> bool:
    """Return whether the logged columns of changed records tell their order."""
    kept = FIELDS[collection.name]
    return all(key.path[0] in kept or key.path == ("number",) for key in order)
