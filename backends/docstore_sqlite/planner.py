"""Planner: from a query to the access path of its rows, by the index or an ordered scan, and the statement.

A filter with texts is first tried by a short *walk*, as the text index lists frequent texts slowly. Else
the sets of the filter come first (:mod:`docstore.index`). Then, in this order:

*list*: few matches are sorted by their values, or read and sorted. Records that only can match are sorted,
too, and put to the filter in their order until the page is full.

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
from functools import partial
from math import isqrt
from typing import Any

from docstore_sql.compiler import TRUE as ALWAYS
from docstore_sql.compiler import ColumnFilter, Fragment, PreparedQuery, both
from docstore_sql.tables import Tables

from docstore.backend import Query, SortKey
from docstore.index import top_k
from docstore.index.bitmap import EMPTY, Bitmap, union
from docstore.index.counts import count_by
from docstore.index.ngrams import fts5_query, text_query
from docstore.index.search import MatchSets, TermSource, answer_key, leaf_sets
from docstore.index.snapshot import IndexMatches, Snapshot
from docstore.index.tail import Segment
from docstore.index.terms import EVERY, NUMBERS
from docstore.index.top_k import OrderBounds, order_bounds
from docstore.query.expr import TRUE, Always, And, Compare, Expr, In, Leaf, Not, Occurs, Or, Path, leaves
from docstore.query.facets import Bucket, Facet, group
from docstore.query.fields import DOCUMENTS, Collection, decode
from docstore_sqlite.compiler import SetMember, SQLiteCompiler
from docstore_sqlite.declared_indexes import has_order
from docstore_sqlite.delta_log import SnapshotSession
from docstore_sqlite.posting_store import FIELDS, PostingReader

# Up to so many matches are read and sorted without further ado.
LISTED_MATCHES = 4000

# Fields with an index of SQLite's own: an equality on one finds its rows without the postings.
_KEYS = frozenset({"id", "number", "document_id", "external_id", "sha256", "blob_key"})
# Rows of an ordered scan, at least and at most, before it gives up.
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
    """Return whether the index may help: some term is indexed, none looks rows up by a key."""
    helps = False
    for term in terms:
        if (
            isinstance(term, In | Compare)
            and len(term.path) == 1
            and term.path[0] in _KEYS
            and (isinstance(term, In) or (term.op == "eq" and term.value is not None))
        ):
            return False
        helps = helps or any(_is_indexed(leaf, kept) for leaf in leaves(term))
    return helps


def _is_indexed(leaf: Leaf, kept: Container[str]) -> bool:
    if isinstance(leaf, Occurs):
        return True
    return not isinstance(leaf, Always) and (leaf.path[0] in kept or text_query(leaf) is not None)


def _is_text(leaf: Leaf, kept: Container[str]) -> bool:
    """Return whether the text index answers for a leaf, as postings of its field are not kept."""
    if isinstance(leaf, Always) or (not isinstance(leaf, Occurs) and leaf.path[0] in kept):
        return False
    return text_query(leaf) is not None


def walkable(order: Sequence[SortKey]) -> bool:
    """Return whether SQLite's index of ``created_at`` has this order."""
    paths = tuple(key.path for key in order)
    return paths == (("created_at",), ("number",)) and order[0].descending == order[1].descending


def walk_length(wanted: int, total: int) -> int:
    """Return how many rows to walk before giving up: about the root of wanted times all."""
    return min(WALK_MOST, max(_SHORTEST_WALK, isqrt(max(wanted, 1) * max(total, 1)) // 2))


@dataclass(frozen=True, slots=True, eq=False)
class PlannedOrder:
    """What a query's order and columns come to, whatever its conditions.

    Attributes:
        selected, names: the columns that are read, as SQL text and by name.
        order: the ORDER BY list.
        is_orderable: whether the logged columns of changed records tell the order.
        is_walkable: whether the index of ``created_at`` has it.
        is_sorted: whether it is by columns or by a declared index.
    """

    selected: str
    names: tuple[str, ...]
    order: Fragment
    is_orderable: bool
    is_walkable: bool
    is_sorted: bool

    @staticmethod
    def of(query: Query, session: Any) -> PlannedOrder:
        """Return that of a query, worked out once."""
        compiler: SQLiteCompiler = session.compilers[query.collection.name]
        place, order = (query.order, query.include, query.only), query.order
        found: PlannedOrder | None = compiler.orders.get(place)
        if found is None:
            if len(compiler.orders) >= _KEPT:
                compiler.orders.clear()
            declared = compiler.declared
            found = compiler.orders[place] = PlannedOrder(
                session.selected(query),
                session.names_read(query),
                compiler.order_by(order),
                is_orderable(order, query.collection),
                walkable(order),
                len(order[0].path) == 1
                or (bool(declared) and has_order(declared, (), order, query.collection)),
            )
        return found


@dataclass(slots=True, eq=False)
class PlannedQuery:
    """A query as planned for all its windows.

    Attributes:
        query: the query.
        compiler, declared: the compiler and declared indexes that it was planned with; these may change.
        order: what its order and columns come to.
        terms: the conditions that all must hold, those of the scope included.
        key: the key of their match sets.
        bounds, rest_key: the bounds on the column of the order, None without any, and the key of the other
            terms.
        timed: the bounds as SQL.
        has_texts: whether the text index answers for one of the terms.
        page: the statement that reads those of rows with some numbers that are within the bounds; the numbers
            are one JSON array bound first, limit and offset come last.
        is_indexed, is_indexed_deep: whether the index may help, and whether it may where many rows are
            skipped; false where a declared index has all of it.
    """

    query: Query
    compiler: SQLiteCompiler
    declared: Sequence[tuple[SortKey, ...]]
    order: PlannedOrder
    terms: tuple[Expr, ...]
    key: str
    bounds: OrderBounds | None
    rest_key: str
    timed: Fragment
    has_texts: bool
    page: Fragment
    is_indexed: bool
    is_indexed_deep: bool

    def is_for(self, query: Query, compiler: SQLiteCompiler) -> bool:
        """Return whether it holds for this order, these columns, and the indexes that are declared now."""
        known = self.query
        return (
            known.order is query.order
            and known.include == query.include
            and known.only == query.only
            and self.compiler is compiler
            and self.declared is compiler.declared
        )

    def reading(self, numbers: Sequence[int], limit: int | None = None, offset: int = 0) -> Fragment:
        """Return the statement that reads rows with some numbers, which match but for the bounds, in the
        query's order.
        """
        values = (listed(numbers), *self.page.values, -1 if limit is None else limit, offset)
        return Fragment(self.page.text, values)

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


def prepared_query(query: Query) -> SQLitePrepared:
    """Return the prepared form of a query: the one that the core holds, if it is this query's."""
    held = query.prepared
    return held if isinstance(held, SQLitePrepared) and held.holds(query) else SQLitePrepared.of(query)


def _planned(query: Query, session: Any) -> PlannedQuery:
    compiler: SQLiteCompiler = session.compilers[query.collection.name]
    terms, declared = scoped(query), compiler.declared
    bounds = order_bounds(terms, query.order)
    timed = (
        ALWAYS if bounds is None else both(compiler.where(term) for term in terms if term not in bounds.rest)
    )
    has_all = bool(declared) and has_order(declared, terms, query.order, query.collection)
    is_plain = all(isinstance(term, Compare) and term.path == ("is_latest",) for term in terms)
    kept = FIELDS[query.collection.name]
    helps = not has_all and (is_plain or uses_index(terms, kept))
    key = answer_key(terms) if helps else ""
    order, source = PlannedOrder.of(query, session), _numbered(compiler.tables, query)
    read = f"SELECT {order.selected} FROM {source}{_where(timed)}"
    text = f"{read} ORDER BY {order.order.text} LIMIT ? OFFSET ?"
    return PlannedQuery(
        query=query,
        compiler=compiler,
        declared=declared,
        order=order,
        terms=terms,
        key=key,
        bounds=bounds,
        rest_key=answer_key(bounds.rest) if helps and bounds is not None else "",
        timed=timed,
        has_texts=any(_is_text(leaf, kept) for term in terms for leaf in leaves(term)),
        page=Fragment(text, (*timed.values, *order.order.values)),
        is_indexed=helps and not is_plain,
        is_indexed_deep=helps,
    )


# From so many skipped rows on the index helps even where only the newest versions are asked for.
_DEEP_ROWS = 200


# Up to so many rows are read by their numbers, more by a scan of the table.
NUMBERED_ROWS = 20_000


def _where(condition: Fragment) -> str:
    """Return the WHERE clause; none for a condition that always holds."""
    return "" if condition is ALWAYS else f" WHERE {condition.text}"


def _probe(alias: str, among: Bitmap) -> Fragment:
    """Return the condition that a row's number is in a set."""
    return Fragment(f"docstore_test(?, {alias}.number)", (SetMember(among.raw),))


def _numbered(tables: Tables, query: Query) -> str:
    """Return the source of rows by number, SQL text with one parameter."""
    return f"json_each(?) AS j CROSS JOIN {tables.of(query.collection)} AS d ON d.number = j.value"


def listed(numbers: Sequence[int]) -> str:
    """Return numbers as the text of a JSON array."""
    return f"[{','.join(map(str, numbers))}]"


# Statements of column pages that are kept, one for each shape.
_KEPT = 256


def column_page(asked: ColumnFilter, query: Query, selected: str, compiler: SQLiteCompiler) -> Fragment:
    """Return the statement that reads a page; its text is that of all queries of one shape.

    The index has the status before the time, so that several statuses are a branch each, merged.

    Args:
        asked: the column filter of the query.
        query: the query, with its window.
        selected: the columns that are read, as SQL text.
        compiler: the compiler of its collection.
    """
    shape = asked.shape(query)
    text = compiler.column_pages.get(shape)
    if text is None:
        if len(compiler.column_pages) >= _KEPT:
            compiler.column_pages.clear()
        text = compiler.column_pages[shape] = _column_page_text(asked, query, selected, compiler)
    wanted, window = query.offset + (query.limit or 0), (query.limit, query.offset)
    values = asked.values(query)
    if len(asked.statuses) == 1:
        return Fragment(text, (asked.statuses[0], *values, *window))
    each: tuple[Any, ...] = ()
    for status in asked.statuses:
        each += (status, *values, wanted)
    return Fragment(text, (*each, *window))


def _column_page_text(asked: ColumnFilter, query: Query, selected: str, compiler: SQLiteCompiler) -> str:
    table, order = compiler.tables.of(query.collection), compiler.order_by(query.order).text
    where = f"FROM {table} AS d WHERE d.status = ? AND {asked.condition(compiler, query).text}"
    if len(asked.statuses) == 1:
        return f"SELECT {selected} {where} ORDER BY {order} LIMIT ? OFFSET ?"
    branch = f"SELECT * FROM (SELECT d.number, d.created_at {where} ORDER BY {order} LIMIT ?)"
    merged = " UNION ALL ".join([branch] * len(asked.statuses))
    way = "DESC" if query.order[0].descending else "ASC"
    picked = f"SELECT number FROM ({merged}) ORDER BY created_at {way}, number {way} LIMIT ? OFFSET ?"
    source = f"({picked}) AS p CROSS JOIN {table} AS d ON d.number = p.number"
    return f"SELECT {selected} FROM {source} ORDER BY {order}"


# -- searching the index ---------------------------------------------------------------------------

# Rows up to the end of a page that an ordered scan looks for; deeper pages are cut out of the sets.
_WALK_LEAST = 256
# Rows of a count whose JSON is held at once.
_READ_TOGETHER = 2048
# Changed records that are put to the filter together.
_ROUND = 128
# Candidates that one statement puts to the filter: a few more take less time than a second statement.
_LOOKED_AT_ONCE = 64
# A scan for texts in at least one of so many documents takes 1 ms for a page of ten; the text index takes 15
# to list 20,000 documents (100,000 documents of 200 bytes, CPU).
_TEXT_WALK_PAGES = 16
# Rarer names than one in so many are listed by the text index. At 32 a glob by its ending took 6 ms among
# 100,000 documents, at 64 and 128 four.
_RAREST_WALKED = 64
_CREATED = ("created_at",)
# Records that lie anyhow fill a page within so many times the rows that it takes on average.
_FURTHER = 3


class IndexSearch(SnapshotSession):
    """The index as one session searches it, and the statements that read the rows it found."""

    def asked(self, query: Query, held: SQLitePrepared | None = None) -> PlannedQuery:
        """Return the planned form of ``query``; ``held`` is its prepared form, where that is known."""
        if held is None:
            held = prepared_query(query)
        if held.asked is None or not held.asked.is_for(query, self.session.compilers[query.collection.name]):
            held.asked = _planned(query, self.session)
        return held.asked

    def select(self, query: Query, asked: PlannedQuery) -> tuple[AccessPath, Fragment]:
        """Return the access path of a planned query and its statement. Call within a transaction."""
        index = self.index(query.collection)
        if query.limit is not None and asked.order.is_orderable and index.can_cut(query.order, query.after):
            page = self._page(query, asked, index)
            if page is not None:
                return page
        found = self._find(asked.terms, asked.key, index, asked)
        high, most = found.whole.upper, found.most
        way = AccessPath("list", found.sure, most - found.sure)
        if most <= LISTED_MATCHES:
            where = ALWAYS if found.is_exact else None
            return way, self._reading(query, high.members, where)
        return replace(way, kind="scan"), self._scanning(query, high, exact=found.is_exact)

    def _page(self, query: Query, asked: PlannedQuery, index: Snapshot) -> tuple[AccessPath, Fragment] | None:
        """Return how a page is found in an order that the index knows, and the statement that reads it; None
        if the index does not tell.
        """
        terms, key, after = asked.terms, asked.key, query.after
        if asked.bounds is not None and not index.bulk.knows(key):  # else it was just counted
            terms, key, after = asked.bounds.rest, asked.rest_key, asked.bounds.behind(after)
            if not index.can_cut(query.order, after):
                return None
        if asked.has_texts:
            walked = self._page_of_frequent_texts(query, asked, terms, index)
            if walked is not None:
                return AccessPath("walk"), asked.reading(walked)
        found = self._find(terms, key, index, asked)
        way = AccessPath("cut", found.sure, found.most - found.sure)
        wanted, total = query.offset + (query.limit or 0), index.size
        is_walkable = asked.order.is_walkable and wanted <= _WALK_LEAST
        if found.is_exact:
            if is_walkable and not self._has_times(index):
                length = _FURTHER * wanted * total // max(1, found.most)
                walked = self._walk(query, asked, found.whole, length) if length <= WALK_MOST else None
                if walked is not None:
                    return AccessPath("walk"), asked.reading(walked)
            cut = index.cut(found, query.order, query.offset, query.limit or 0, after)
            if cut is None or cut.bulk.count > NUMBERED_ROWS:
                return None
            numbers = [*cut.bulk.members, *cut.tail]
            if query.after is None:
                return way, asked.reading(numbers, query.limit, cut.skip)
            return way, self._reading(replace(query, offset=cut.skip), numbers, asked.timed)
        if found.most <= _LOOKED_AT_ONCE:
            return replace(way, kind="list"), self._reading(query, found.whole.upper.members)
        length = walk_length(wanted, total)
        if is_walkable and found.most * length >= wanted * total:
            walked = self._walk(query, asked, found.whole, length)
            if walked is not None:
                return AccessPath("walk"), asked.reading(walked)
        rounds = self._rounds(query, found, index, after)
        if rounds is None:
            return None
        return replace(way, kind="rounds"), asked.reading(rounds, query.limit, query.offset)

    def _page_of_frequent_texts(
        self, query: Query, asked: PlannedQuery, terms: Sequence[Expr], index: Snapshot
    ) -> list[int] | None:
        """Return a page of frequent texts by a short ordered scan, before the text index lists them all."""
        wanted = query.offset + (query.limit or 0)
        if not asked.order.is_walkable or wanted > _WALK_LEAST:
            return None
        others, stored, pages = list[Expr](), index.bulk.stored, _TEXT_WALK_PAGES
        assert isinstance(stored, PostingReader)
        for term in terms:
            if not any(map(text_query, leaves(term))):
                others.append(term)
            # No sample of a search's words: it took half or more of a page of frequent ones.
            elif isinstance(term, And | Or | Not | Occurs) or (question := text_query(term)) is None:
                continue
            else:
                share = stored.share_of_texts(fts5_query(question))
                if share * _RAREST_WALKED < 1:
                    return None
                pages = max(pages, round(2 / share))  # on average half of them fill the page
        length = pages * wanted
        beside = index.find(others, answer_key(others))
        if beside.most * length < wanted * index.size:
            return None
        return self._walk(query, asked, MatchSets(EMPTY, beside.whole.upper), length)

    @staticmethod
    def _has_times(index: Snapshot) -> bool:
        """Return whether the times are at hand, or were wanted before: it takes 3 ms to read them."""
        stored = index.bulk.stored
        assert isinstance(stored, PostingReader)
        return stored.is_wanted_again(_CREATED, NUMBERS)

    def count(self, query: Query, asked: PlannedQuery, at_most: int | None) -> int:
        """Count the rows of a planned query. Call within a transaction."""
        found = self._find(asked.terms, asked.key, self.index(query.collection), asked)
        sure = found.sure
        if found.is_exact or (at_most is not None and sure >= at_most):
            return sure if at_most is None else min(sure, at_most)
        left = -1 if at_most is None else at_most - sure
        return sure + self._count_recheck(query, found.whole.recheck, left)

    def count_by(self, query: Query, path: Path, bucket: Bucket | None) -> Facet | None:
        """Count by the values at a path, or by buckets; None if the index cannot tell.

        Call within a transaction.
        """
        asked, index = self.asked(query), self.index(query.collection)
        key = asked.key or answer_key(asked.terms)
        counted = count_by(index, self._find(asked.terms, key, index, asked), path, bucket)
        if counted is None or 2 * (counted.left.count + counted.unsure.count) > max(
            LISTED_MATCHES, index.size
        ):
            return None
        pairs, name = counted.pairs, path[0]
        json = (name,) if FIELDS[query.collection.name][name] else ()
        only = replace(query, only=frozenset({"number", name}), after=None, limit=None, offset=0)
        for records, where in ((counted.left, ALWAYS), (counted.unsure, None)):
            for start in range(0, records.count, _READ_TOGETHER):
                numbers = records.members[start : start + _READ_TOGETHER]
                rows = self.session.rows_of(only, self._reading(only, numbers, where))
                try:
                    found = group([decode(query.collection, row, json) for row in rows], path, bucket)
                except ValueError:
                    return None  # broken by hand: the core reads the rows one by one, and says which
                pairs += found.pairs()
        return Facet(pairs)

    def _find(self, terms: Sequence[Expr], key: str, index: Snapshot, asked: PlannedQuery) -> IndexMatches:
        """Return the match sets of terms; the text index answers for texts."""
        if not asked.has_texts or asked.query.collection is not DOCUMENTS:
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
        return None if found is None else union(found, stored.logged_texts())

    @staticmethod
    def _texts(index: Snapshot, leaf: Leaf) -> Bitmap | None:
        question, stored = text_query(leaf), index.bulk.stored
        assert isinstance(stored, PostingReader)
        return None if question is None else stored.texts(fts5_query(question))

    def _rounds(
        self, query: Query, found: IndexMatches, index: Snapshot, after: Sequence[Any] | None
    ) -> list[int] | None:
        """Return the first numbers that pass, of ever more that come first in the order, and those that
        changed; ``None`` if they are rare among them.
        """
        high, slack = found.bulk.upper, 0
        if after is not None:
            high, slack = index.after(high, query.order, after)
        wanted = query.offset + (query.limit or 0)
        changed = self._changed_passing(query, found.tail.upper, index, wanted)
        size = 2 * wanted + slack
        while size <= 4 * NUMBERED_ROWS:
            cut = top_k.cut(high, query.order, 0, size, index.bulk)
            if cut is None:
                return None
            passed = self._passing(query, cut.members.members)
            if len(passed) >= wanted or cut.members.count >= high.count:
                return [*passed, *changed]
            size *= 4
        return None

    def _changed_passing(self, query: Query, high: Bitmap, index: Snapshot, wanted: int) -> list[int]:
        """Return those that pass of some changed records, in the order until enough do."""
        ordered, passed = index.changed_in_order(high, query.order), list[int]()
        for start in range(0, len(ordered), _ROUND):
            passed += self._passing(query, ordered[start : start + _ROUND])
            if len(passed) >= wanted:
                break
        return passed

    # -- statements that read rows -------------------------------------------------------------------

    def _reading(self, query: Query, numbers: Sequence[int], where: Fragment | None = None) -> Fragment:
        """Return the statement that reads rows by number, those that meet a condition; None: the filter."""
        condition = self._condition(query, where)
        return self._statement(query, _numbered(self.tables, query), (listed(numbers),), condition)

    def _scanning(self, query: Query, high: Bitmap, *, exact: bool) -> Fragment:
        """Return an ordered scan with a bitmap probe a row.

        Rows that pass are put to the filter unless the bitmap is ``exact``.
        """
        where = both((_probe("d", high), self._condition(query, ALWAYS if exact else None)))
        return self._statement(query, f"{self.tables.of(query.collection)} AS d", (), where)

    def _passing(self, query: Query, numbers: Sequence[int]) -> list[int]:
        """Return those of some rows that match the filter and stand behind the position."""
        where = self._condition(query, None)
        self.cursor.execute(
            f"SELECT d.number FROM {_numbered(self.tables, query)} WHERE {where.text}",
            (listed(numbers), *where.values),
        )
        return [row[0] for row in self.cursor.fetchall()]

    def _count_recheck(self, query: Query, unsure: Bitmap, at_most: int) -> int:
        """Count those rows of a set that match the filter, up to ``at_most``; -1: all of them."""
        where = self._condition(replace(query, after=None), None)
        values: tuple[str, ...] = ()
        if unsure.count <= NUMBERED_ROWS:
            source, values = _numbered(self.tables, query), (listed(unsure.members),)
        else:
            source = f"{self.tables.of(query.collection)} AS d"
            where = both((_probe("d", unsure), where))
        text = f"SELECT count(*) FROM (SELECT 1 FROM {source} WHERE {where.text} LIMIT ?)"
        self.cursor.execute(text, (*values, *where.values, at_most))
        return int(self.cursor.fetchone()[0])

    def _walk(self, query: Query, asked: PlannedQuery, found: MatchSets, length: int) -> list[int] | None:
        """Return the numbers of a page by an ordered scan, None if so many rows do not fill it.

        Args:
            query: the query, in the order of ``created_at``.
            asked: its planned form.
            found: the match sets, whatever the ``created_at``; what is not exact is put to the filter.
            length: the number of rows to scan.
        """
        table, wanted = self.tables.of(query.collection), query.offset + (query.limit or 0)
        begins, test = self._condition(query, asked.timed), _probe("w", found.upper)
        way, joined = "DESC" if query.order[0].descending else "ASC", ""
        if not found.is_exact:
            test = both((test, self._condition(replace(query, after=None), None)))
            joined = f" CROSS JOIN {table} AS d ON d.number = w.number"
        self.cursor.execute(
            f"SELECT w.number FROM (SELECT d.number FROM {table} AS d{_where(begins)} "
            f"ORDER BY d.created_at {way}, d.number {way} LIMIT ?) AS w{joined} WHERE {test.text} LIMIT ?",
            (*begins.values, length, *test.values, wanted),
        )
        passed = [row[0] for row in self.cursor.fetchall()]
        return passed[query.offset :] if len(passed) >= wanted else None

    def _condition(self, query: Query, where: Fragment | None) -> Fragment:
        """Return a condition, the filter where it is None, and the position's."""
        compiler = self.session.compilers[query.collection.name]
        where = compiler.where(And(scoped(query))) if where is None else where
        return where if query.after is None else both((where, compiler.after(query.order, query.after)))

    def _statement(self, query: Query, source: str, values: tuple[Any, ...], where: Fragment) -> Fragment:
        order = self.session.compilers[query.collection.name].order_by(query.order)
        limit = -1 if query.limit is None else query.limit
        selected = self.session.selected(query)
        text = f"SELECT {selected} FROM {source}{_where(where)} ORDER BY {order.text} LIMIT ? OFFSET ?"
        return Fragment(text, (*values, *where.values, *order.values, limit, query.offset))


def is_orderable(order: Sequence[SortKey], collection: Collection) -> bool:
    """Return whether the logged columns of changed records tell their order."""
    kept = FIELDS[collection.name]
    return all(key.path[0] in kept or key.path == ("number",) for key in order)
