"""Index snapshot: the bulk of one generation and the tail of later changes, as one reader sees them.

Each part answers the whole filter; the result is (bulk − stale) ∪ tail. A page takes the bulk's top k,
widened at the front by the number of changed records that match, and merges both by key.

The bulk caches match sets. They depend on its generation alone, not on the reader, so that they hold until
the next compaction.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from docstore.index import top_k
from docstore.index.bitmap import (
    Bitmap,
    difference,
    union,
)
from docstore.index.columns import BitSlices
from docstore.index.extract import Node
from docstore.index.ngrams import text_query
from docstore.index.search import (
    NO_MATCHES,
    LeafSearch,
    MatchSets,
    answer_key,
    exact_sets,
    leaf_sets,
    match_sets,
)
from docstore.index.tail import Tail, TailQuery, Texts
from docstore.index.terms import EVERY
from docstore.query.expr import And, Expr, Leaf, Path, SortKey, leaves
from docstore.query.sorting import after_function, sort_key_function

# Answers that a generation keeps: of conjunctions, and of their leaves.
_ANSWERS = 256


class Bulk:
    """A :class:`~docstore.index.search.TermSource`: the terms of one generation.

    Args:
        fields: the indexed fields, and whether each is JSON.
        stored: the terms.
    """

    __slots__ = ("_answers", "fields", "stored")

    def __init__(self, fields: Mapping[str, bool], stored: Postings) -> None:
        self.fields: Mapping[str, bool] = fields
        self.stored: Postings = stored
        # Threads may share it.
        self._answers: dict[str, MatchSets] = {}

    def on(self, stored: Postings) -> Bulk:
        """Return the same generation over other postings; both share one cache."""
        other = Bulk(self.fields, stored)
        other._answers = self._answers
        return other

    @property
    def every(self) -> Bitmap:
        """All records."""
        return self.stored.posting((), EVERY)

    def find(self, terms: Sequence[Expr], key: str, leaf: LeafSearch, *, is_kept: bool = True) -> MatchSets:
        """Return the bounds of a conjunction; they are kept, and those of its leaves.

        Args:
            terms: all must hold; none: every record.
            key: their :func:`~docstore.index.search.answer_key`.
            leaf: answers for one leaf.
            is_kept: false where leaves on texts are answered by what is not of this generation alone.
        """
        answers = self._answers
        found = answers.get(key)
        if found is None:

            def of(one: Leaf) -> MatchSets:
                if not is_kept and text_query(one) is not None:
                    return leaf(one, self)
                place = answer_key((one,))
                known = answers.get(place)
                return self._keep(place, leaf(one, self)) if known is None else known

            found = match_sets(terms[0] if len(terms) == 1 else And(tuple(terms)), self, of)
            if is_kept:
                self._keep(key, found)
        return found

    def _keep(self, key: str, found: MatchSets) -> MatchSets:
        answers = self._answers
        while len(answers) >= _ANSWERS:
            answers.pop(next(iter(answers)), None)
        answers[key] = found
        return found

    def knows(self, key: str) -> bool:
        """Return whether the answer for a conjunction is kept."""
        return key in self._answers

    # -- a source ------------------------------------------------------------------------------------------

    def has_field(self, name: str) -> bool:
        """Return whether the terms of this field are kept."""
        return name in self.fields

    def posting(self, path: Path, key: bytes) -> Bitmap:
        """Return the records that have the term."""
        return self.stored.posting(path, key)

    def postings(self, path: Path, keys: Sequence[bytes]) -> Iterable[Bitmap]:
        """Return the records that have each of the terms."""
        return self.stored.postings(path, keys)

    def any_posting(self, path: Path, keys: Sequence[bytes]) -> Bitmap:
        """Return the records that have any of the terms."""
        return self.stored.any_posting(path, keys)

    def keys(self, path: Path, first: bytes, end: bytes) -> Sequence[bytes] | None:
        """Return the keys of a range, or ``None`` if there are too many."""
        return self.stored.keys(path, first, end)

    def compare(self, path: Path, column: bytes, ordinal: int) -> tuple[Bitmap, Bitmap, Bitmap]:
        """Return the records in a column with a lesser, the same and a greater value than ``ordinal``."""
        return self.stored.column(path, column).compare(ordinal)

    def column(self, path: Path, column: bytes) -> BitSlices:
        """Return the slices of a column."""
        return self.stored.column(path, column)


class Postings(Protocol):
    """Terms kept in bulk."""

    def posting(self, path: Path, key: bytes) -> Bitmap:
        """Return the records that have the term."""

    def postings(self, path: Path, keys: Sequence[bytes]) -> Iterable[Bitmap]:
        """Return the records that have each of the terms; they are all that :meth:`keys` gave."""

    def any_posting(self, path: Path, keys: Sequence[bytes]) -> Bitmap:
        """Return the records that have any of the terms."""

    def keys(self, path: Path, first: bytes, end: bytes) -> Sequence[bytes] | None:
        """Return the keys of a range, or None if there are more than MOST_KEYS."""

    def column(self, path: Path, column: bytes) -> BitSlices:
        """Return the slices of a column."""


def sets_of(node: Node) -> Iterator[tuple[bytes, Bitmap]]:
    """Yield a node's terms: each key, slices of columns among them, and who has it."""
    for key, members in node.sets():
        yield key, Bitmap.of_members(members)


@dataclass(frozen=True)
class IndexMatches:
    """What an index says of a question.

    Attributes:
        bulk: the records of the bulk, those that have changed left out.
        tail: the changed records.
    """

    bulk: MatchSets
    tail: MatchSets

    @property
    def is_exact(self) -> bool:
        """Whether the evaluator has to look at no record."""
        return self.bulk.is_exact and self.tail.is_exact

    @cached_property
    def whole(self) -> MatchSets:
        """All records."""
        low = union(self.bulk.lower, self.tail.lower)
        return exact_sets(low) if self.is_exact else MatchSets(low, union(self.bulk.upper, self.tail.upper))

    @property
    def sure(self) -> int:
        """How many records surely match."""
        return self.bulk.lower.count + self.tail.lower.count

    @property
    def most(self) -> int:
        """How many records can match."""
        return self.bulk.upper.count + self.tail.upper.count

    def without(self, numbers: Bitmap) -> IndexMatches:
        """Return the answer with some records left out."""
        return IndexMatches(_without(self.bulk, numbers), _without(self.tail, numbers)) if numbers else self


@dataclass(frozen=True, slots=True)
class PageCandidates:
    """Records among which a page is.

    Attributes:
        bulk, tail: numbers of records to read and sort, from either part.
        skip: how many of them to pass over once they are sorted and those not behind the position left out.
    """

    bulk: Bitmap
    tail: Sequence[int]
    skip: int


class Snapshot:
    """The index as one reader sees it.

    Args:
        bulk: the terms as of the last compaction.
        tail: what has changed since.
    """

    __slots__ = ("bulk", "tail")

    def __init__(self, bulk: Bulk, tail: Tail) -> None:
        self.bulk: Bulk = bulk
        self.tail: Tail = tail

    @property
    def size(self) -> int:
        """About how many records there are."""
        return self.bulk.every.count + self.tail.stale.count

    def find(
        self, terms: Sequence[Expr], key: str, leaf: LeafSearch = leaf_sets, texts: Texts | None = None
    ) -> IndexMatches:
        """Return what the index says of a conjunction.

        Args:
            terms: all must hold; none: every record.
            key: their :func:`~docstore.index.search.answer_key`.
            leaf: answers for one leaf from the terms of a source.
            texts: answers for leaves on texts that changed records do not hold.
        """
        is_kept = texts is None or not any(text_query(one) for term in terms for one in leaves(term))
        found = _without(self.bulk.find(terms, key, leaf, is_kept=is_kept), self.tail.stale)
        if not self.tail.stale:
            return IndexMatches(found, NO_MATCHES)
        return IndexMatches(found, self.tail.find(TailQuery(terms, key, self.tail.reading, leaf, texts)))

    # -- pages --------------------------------------------------------------------------------

    def can_cut(self, order: Sequence[SortKey], position: Sequence[Any] | None) -> bool:
        """Return whether :meth:`cut` and :meth:`after` may serve ``order``."""
        return top_k.can_cut(order, position, self.bulk)

    def after(self, high: Bitmap, order: Sequence[SortKey], position: Sequence[Any]) -> tuple[Bitmap, int]:
        """Return what of the bulk's records can come behind a position, and how many of those may not."""
        return top_k.after(high, order, position, self.bulk)

    def cut(
        self,
        answer: IndexMatches,
        order: Sequence[SortKey],
        offset: int,
        limit: int,
        position: Sequence[Any] | None = None,
        beside: int = 0,
    ) -> PageCandidates | None:
        """Return few records among which a page of those that surely match is.

        Args:
            answer: exact.
            order: one that :meth:`can_cut` allows.
            offset, limit: the window.
            position: where the page begins.
            beside: how many records that the index does not know of the caller adds to those of the tail.

        Returns:
            ``None`` where the terms do not order the records well enough.
        """
        high, slack, changed = answer.bulk.lower, 0, list(answer.tail.lower.members)
        if position is not None:
            high, slack = self.after(high, order, position)
            if offset and slack:
                return None
        changed = self._first_changed(changed, order, offset + limit, position)
        first = max(0, offset - len(changed) - beside)
        cut = top_k.cut(high, order, first, offset + limit + slack - first, self.bulk)
        return None if cut is None else PageCandidates(cut.members, changed, cut.skip + offset - first)

    def changed_in_order(self, changed: Bitmap, order: Sequence[SortKey]) -> list[int]:
        """Return changed records in an order."""
        by = sort_key_function(order)
        return sorted(changed.members, key=lambda number: by(self._sortable(number)))

    def _first_changed(
        self, changed: list[int], order: Sequence[SortKey], end: int, position: Sequence[Any] | None
    ) -> list[int]:
        """Return those of some changed records that can be on a page which ends at ``end``."""
        if order[0].path == ("number",):  # batches of updates and claims
            place = None if position is None else (position[0], position[0])
            pairs = [(number, number) for number in changed]
            return _first_pairs(pairs, end, place, descending=order[0].descending)
        if top_k.is_ordered(order):
            pairs = [(self.tail.value(number, order[0].path[0]), number) for number in changed]
            if all(type(value) is int for value, _ in pairs):  # not where a row was edited by hand
                return _first_pairs(pairs, end, position, descending=order[0].descending)
        if position is not None:
            behind = after_function(position, order)
            changed = [number for number in changed if behind(self._sortable(number))]
        if len(changed) <= end:
            return changed
        by = sort_key_function(order)
        return heapq.nsmallest(end, changed, key=lambda number: by(self._sortable(number)))

    def _sortable(self, number: int) -> Mapping[str, Any]:
        record = self.tail.record(number)
        return record if "number" in record else {**record, "number": number}


def _first_pairs(
    pairs: list[tuple[int, int]], end: int, position: Sequence[Any] | None, *, descending: bool
) -> list[int]:
    """Return the numbers of the first values and numbers behind a position."""
    if position is not None:
        place = (position[0], position[1])
        pairs = [pair for pair in pairs if (pair < place if descending else pair > place)]
    choose = heapq.nlargest if descending else heapq.nsmallest
    return [number for _, number in choose(end, pairs)]


def _without(found: MatchSets, numbers: Bitmap) -> MatchSets:
    if not numbers:
        return found
    low = difference(found.lower, numbers)
    return exact_sets(low) if found.is_exact else MatchSets(low, difference(found.upper, numbers))
