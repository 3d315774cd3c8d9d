"""Index of one collection in memory: terms compacted in bulk, and the commits since, taken up when somebody
asks.

The algebra is that of every backend (:mod:`docstore.index`). Here the bulk is dictionaries, and the
pieces of filenames and the words of contents are terms like the others, at the path of the filename.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from docstore.backend import Query
from docstore.index.bitmap import (
    EMPTY,
    NUMBERS_TYPE,
    SMALL,
    Bitmap,
    BitRun,
    Members,
    difference,
    integer_of,
    intersection,
    union_all,
)
from docstore.index.columns import BitSlices, column_of
from docstore.index.extract import Record, TermTree, indexed_fields
from docstore.index.ngrams import Alternatives, text_query
from docstore.index.search import MatchSets, TermSource, answer_key, leaf_sets
from docstore.index.snapshot import Bulk, IndexMatches, Snapshot, sets_of
from docstore.index.tail import RecordView, Tail
from docstore.index.terms import MOST_KEYS
from docstore.index.top_k import OrderBounds, order_bounds
from docstore.query.expr import And, Compare, Expr, Leaf, Path
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, Kind

# Changes that are compacted together, whoever made them.
_COMPACTED_TOGETHER = 16_384
# So many new records of one commit are compacted at once: it costs the same for each, whenever it comes, and
# until then every query looks at them beside the bulk. A page of $ne with 1,696 of 100,000 pending took
# 14 ms, now 1.5.
_BATCH = 1_024
_NAMES = ("filename",)


class MemoryPostings:
    """A :class:`~docstore.index.extract.Stored` in dictionaries."""

    def __init__(self) -> None:
        self._facts: dict[Path, dict[bytes, Bitmap]] = {}
        self._sorted: dict[Path, list[bytes]] = {}
        self._columns: dict[tuple[Path, bytes], BitSlices] = {}

    def posting(self, path: Path, key: bytes) -> Bitmap:
        """Return the records that have the term."""
        return self._facts.get(path, {}).get(key, EMPTY)

    def postings(self, path: Path, keys: Sequence[bytes]) -> Iterable[Bitmap]:
        """Return the records that have each of the terms."""
        here = self._facts.get(path, {})
        return [here[key] for key in keys]

    def any_posting(self, path: Path, keys: Sequence[bytes]) -> Bitmap:
        """Return the records that have any of the terms."""
        here = self._facts.get(path, {})
        return union_all(here[key] for key in keys if key in here)

    def keys(self, path: Path, first: bytes, end: bytes) -> Sequence[bytes] | None:
        """Return the keys of a range, or ``None`` if there are too many."""
        every = self._sorted.get(path)
        if every is None:
            every = self._sorted[path] = sorted(self._facts.get(path, ()))
        begin, stop = bisect_left(every, first), bisect_left(every, end)
        return every[begin:stop] if stop - begin <= MOST_KEYS else None

    def column(self, path: Path, column: bytes) -> BitSlices:
        """Return the slices of a column."""
        place = (path, column)
        found = self._columns.get(place)
        if found is None:
            found = self._columns[place] = column_of(self, path, column)
        return found

    def compact(
        self,
        fields: Mapping[str, bool],
        before: Mapping[int, Record],
        now: Mapping[int, Record],
    ) -> None:
        """Take up changes.

        Args:
            fields: the indexed fields.
            before: the changed records as they were at the last compaction; new ones are not among them.
            now: the changed records that still exist, as they are.
        """
        self._sorted.clear()
        self._columns.clear()
        if before:
            gone = Bitmap.of(sorted(before))
            for path, node in TermTree(fields, before).root.walk():
                here = self._facts[path]
                for key, _ in sets_of(node):
                    left = _in_one_form(difference(here.get(key, EMPTY), gone))
                    if left:
                        here[key] = left
                    else:
                        here.pop(key, None)
        for path, node in TermTree(fields, now).root.walk():
            here = self._facts.setdefault(path, {})
            for key, members in node.sets():
                here[key] = _joined(here.get(key), members)


def _joined(old: Bitmap | None, members: Members) -> Bitmap:
    """Return a set with more members, in one form only: a compact list or an integer."""
    is_run = isinstance(members, BitRun)
    if old is None or old.is_listed:
        count = members.integer.bit_count() if isinstance(members, BitRun) else len(members)
        if count + (0 if old is None else old.count) <= SMALL:
            added = array(NUMBERS_TYPE, Bitmap.of_members(members).members if is_run else members)
            if old is None:
                return Bitmap(added, None)
            before = old.members
            if isinstance(before, array) and before[-1] < added[0]:
                return Bitmap(before + added, None)
            return Bitmap(array(NUMBERS_TYPE, sorted({*before, *added})), None)
    integer = integer_of(members)
    return Bitmap.of_integer(integer if old is None else old.integer | integer)


def _in_one_form(bits: Bitmap) -> Bitmap:
    """Return the set in one form only: a compact list or an integer."""
    if bits.is_listed:
        return Bitmap(array(NUMBERS_TYPE, bits.members), None)
    return Bitmap.of_integer(bits.integer)


@dataclass(frozen=True, slots=True)
class MemoryPrepared:
    """The terms of a query, which do not depend on its window.

    Attributes:
        query: the query.
        terms: the conditions that all must hold, those of the scope first.
        key: that of their answer.
    """

    query: Query
    terms: tuple[Expr, ...]
    key: str

    def is_for(self, query: Query) -> bool:
        """Return whether it holds for a query."""
        return self.query.where is query.where and self.query.scope == query.scope


def prepared(query: Query) -> MemoryPrepared:
    """Return the terms of a query."""
    parts = (("tenant", query.scope.tenant), ("owner", query.scope.owner))
    scope = [Compare((name,), "eq", value) for name, value in parts if value is not None]
    terms = (*scope, *conjuncts(query.where))
    return MemoryPrepared(query, terms, answer_key(terms))


class Index:
    """Index of one collection: finds the records that match a filter. Use it while nothing commits.

    Args:
        collection: the collection.
    """

    def __init__(self, collection: Collection) -> None:
        self.fields = {name: collection.column(name).kind is Kind.JSON for name in indexed_fields(collection)}
        if collection is DOCUMENTS:
            self.fields["filename"] = False
        self._stored = MemoryPostings()
        self._reading = RecordView(self.fields, lambda record: record.facts, is_whole=True)
        self._snapshot = Snapshot(Bulk(self.fields, self._stored), Tail(self._reading))
        self._before: dict[int, Record | None] = {}
        self._coming: dict[int, Record | None] = {}

    def note(self, before: Mapping[int, Record | None], now: Mapping[int, Record]) -> None:
        """Log changed records.

        Args:
            before: the records as they were, None for new ones.
            now: those that still exist, as they are.
        """
        for number, old in before.items():
            new = now.get(number)
            if old is not None or new is not None:
                self._before.setdefault(number, old)
                self._coming[number] = new
                if len(self._before) >= _COMPACTED_TOGETHER:
                    self._compact()

    def note_new(self, records: Mapping[int, Record]) -> None:
        """Log new records."""
        coming = iter(records.items())
        while some := dict(islice(coming, _COMPACTED_TOGETHER - len(self._before))):
            self._before.update(dict.fromkeys(some))
            self._coming.update(some)
            if len(self._before) >= _COMPACTED_TOGETHER or len(some) >= _BATCH:
                self._compact()

    def snapshot(self) -> Snapshot:
        """Return the index as it is now."""
        if self._coming:
            self._snapshot = Snapshot(self._snapshot.bulk, self._snapshot.tail.changed(self._coming))
            self._coming = {}
        return self._snapshot

    def _compact(self) -> None:
        before = {number: record for number, record in self._before.items() if record is not None}
        self._stored.compact(self.fields, before, self.snapshot().tail.records())
        self._before = {}
        self._snapshot = Snapshot(Bulk(self.fields, self._stored), Tail(self._reading))

    def find(self, query: Query) -> IndexMatches:
        """Return the match sets of a query's scope and filter."""
        terms, key = self._terms(query)
        return self.snapshot().find(terms, key, self.leaf)

    def find_ordered(self, query: Query) -> tuple[IndexMatches, OrderBounds | None]:
        """Return the matches without the bounds on the column that a page is ordered by, and those."""
        terms, key = self._terms(query)
        snapshot, bounds = self.snapshot(), order_bounds(terms, query.order)
        if bounds is None or snapshot.bulk.knows(key):  # the page of what was just counted
            return snapshot.find(terms, key, self.leaf), None
        return snapshot.find(bounds.rest, answer_key(bounds.rest), self.leaf), bounds

    def _terms(self, query: Query) -> tuple[tuple[Expr, ...], str]:
        """Return the conditions that all must hold, and their key."""
        found = query.prepared
        made = found if isinstance(found, MemoryPrepared) and found.is_for(query) else prepared(query)
        return made.terms, made.key

    def leaf(self, leaf: Leaf, source: TermSource) -> MatchSets:
        """Return the match sets of a leaf in a source."""
        alternatives = text_query(leaf) if "filename" in self.fields else None
        if alternatives is None:
            return leaf_sets(leaf, source)
        return MatchSets(EMPTY, _texts(alternatives, source))


def _texts(alternatives: Alternatives, source: TermSource) -> Bitmap:
    """Return the records that have all the tokens of one of the alternatives."""
    found = []
    for tokens in alternatives:
        sets = sorted((_token(token, source) for token in tokens), key=lambda bits: not bits.is_listed)
        every = sets[0]
        for bits in sets[1:]:
            every = intersection(every, bits)
        found.append(every)
    return union_all(found)


def _token(token: str, source: TermSource) -> Bitmap:
    if not token.endswith("*"):
        return source.posting(_NAMES, token.encode())
    first = token[:-1].encode()
    keys = source.keys(_NAMES, first, first + b"\x7f")
    return source.any_posting(_NAMES, keys) if keys is not None else source.posting((), b"\x00")


def conjuncts(where: Expr) -> Iterator[Expr]:
    """Yield the terms that all must hold."""
    if isinstance(where, And):
        for term in where.terms:
            yield from conjuncts(term)
    else:
        yield where


def indexes() -> dict[str, Index]:
    """Return an empty index a collection."""
    return {collection.name: Index(collection) for collection in (DOCUMENTS, EXTRACTIONS)}
