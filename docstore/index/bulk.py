"""Bulk: the postings of all records as of the last fold, and a cache of what was computed from them.

The cache depends on the fold's generation alone, not on the reader. So match sets, values by record and
orders hold until the next fold. Later changes are in the :mod:`~docstore.index.tail`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from docstore.index.bit_slices import compare, slice_key
from docstore.index.bitmap import (
    EMPTY,
    NUMBERS_TYPE,
    SMALL,
    Bitmap,
    BitRun,
    Members,
    difference,
    integer_of,
    union_all,
)
from docstore.index.extract import Node, Record, TermTree
from docstore.index.ngrams import text_query
from docstore.index.search import MatchSets, match_sets
from docstore.index.terms import EVERY, MOST_KEYS, NUMBERS, WIDTHS, TermSource
from docstore.index.values import OrderCache, ValuesByRecord
from docstore.query.expr import And, Expr, Leaf, Path, expr_to_json

__all__ = [
    "Bulk",
    "LeafSearch",
    "MemoryPostings",
    "Postings",
    "column_of",
    "sets_of",
]

_ANSWERS = 256
# Characters of a question whose answer is kept.
_LONGEST = 4096

LeafSearch: TypeAlias = Callable[[Leaf, TermSource], MatchSets]
"""Says of one leaf what the terms of a source say."""


@dataclass(slots=True)
class _Worked:
    """The cache of one generation. Threads may share it."""

    answers: dict[str, MatchSets] = field(default_factory=dict)
    varying: dict[tuple[Path, bytes], list[int]] = field(default_factory=dict)
    values: dict[str, ValuesByRecord | None] = field(default_factory=dict)
    orders: OrderCache = field(default_factory=OrderCache)


class Posts(Protocol):
    """Whatever says who has a term."""

    def posting(self, path: Path, key: bytes) -> Bitmap:
        """Return the records that have the term."""


class Bulk:
    """A :class:`~docstore.index.terms.TermSource`: the terms of one generation.

    Args:
        fields: the indexed fields, and whether each is JSON.
        stored: the terms.
    """

    __slots__ = ("_worked", "fields", "stored")

    def __init__(self, fields: Mapping[str, bool], stored: Postings) -> None:
        self.fields: Mapping[str, bool] = fields
        self.stored: Postings = stored
        self._worked = _Worked()

    def on(self, stored: Postings) -> Bulk:
        """Return the same generation over other postings; both share one cache."""
        other = Bulk(self.fields, stored)
        other._worked = self._worked
        return other

    @property
    def orders(self) -> OrderCache:
        """The matches that are kept in an order."""
        return self._worked.orders

    @property
    def every(self) -> Bitmap:
        """All records."""
        return self.stored.posting((), EVERY)

    def find(self, terms: Sequence[Expr], key: str, leaf: LeafSearch, *, is_kept: bool = True) -> MatchSets:
        """Return the bounds of a conjunction; they are kept, and those of its leaves.

        Args:
            terms: all must hold; none: every record.
            key: tells the conjunction from all others.
            leaf: answers for one leaf.
            is_kept: false where leaves on texts are answered by what is not of this generation alone.
        """
        answers = self._worked.answers
        found = answers.get(key)
        if found is None:

            def of(one: Leaf) -> MatchSets:
                if not is_kept and text_query(one) is not None:
                    return leaf(one, self)
                place = expr_to_json(one)
                known = answers.get(place)
                return self._keep(place, leaf(one, self)) if known is None else known

            found = match_sets(terms[0] if len(terms) == 1 else And(tuple(terms)), self, of)
            if is_kept:
                self._keep(key, found)
        return found

    def _keep(self, key: str, found: MatchSets) -> MatchSets:
        answers = self._worked.answers
        if len(key) <= _LONGEST:
            while len(answers) >= _ANSWERS:
                answers.pop(next(iter(answers)), None)
            answers[key] = found
        return found

    def knows(self, key: str) -> bool:
        """Return whether the answer for a conjunction is kept."""
        return key in self._worked.answers

    def values(self, name: str) -> ValuesByRecord | None:
        """Return the values of a column by record, or None if some record has no number in it."""
        known = self._worked.values
        if name not in known:
            path = (name,)
            whole = self.stored.posting(path, NUMBERS) == self.every
            known[name] = ValuesByRecord(self.stored.column(path, NUMBERS)) if whole else None
        return known[name]

    # -- a source ------------------------------------------------------------------------------------------

    def has_field(self, name: str) -> bool:
        """Return whether the terms of this field are kept."""
        return name in self.fields

    def posting(self, path: Path, key: bytes) -> Bitmap:
        """Return the records that have the term."""
        return self.stored.posting(path, key)

    def any_posting(self, path: Path, keys: Sequence[bytes]) -> Bitmap:
        """Return the records that have any of the terms."""
        return self.stored.any_posting(path, keys)

    def keys(self, path: Path, first: bytes, end: bytes) -> Sequence[bytes] | None:
        """Return the keys of a range, or ``None`` if there are too many."""
        return self.stored.keys(path, first, end)

    def compare(self, path: Path, column: bytes, ordinal: int) -> tuple[Bitmap, Bitmap, Bitmap]:
        """Return the records in a column with a lesser, the same and a greater value than ``ordinal``."""
        present = self.posting(path, column)
        return compare(lambda at: self.posting(path, slice_key(column, at)), column, present, ordinal)

    def varying(self, path: Path, column: bytes) -> Sequence[int]:
        """Return the slices of a column that tell its records apart, the most significant first."""
        place = (path, column)
        found = self._worked.varying.get(place)
        if found is None:
            present, slices = self.posting(path, column), self.stored.column(path, column)
            found = [at for at, bits in sorted(slices.items()) if bits != present]
            self._worked.varying[place] = found
        return found


def column_of(stored: Posts, path: Path, column: bytes, places: int) -> dict[int, Bitmap]:
    """Return the slices of a column that are not empty, read one by one."""
    slices = ((at, stored.posting(path, slice_key(column, at))) for at in range(places))
    return {at: bits for at, bits in slices if bits}


class Postings(Protocol):
    """Terms kept in bulk."""

    def posting(self, path: Path, key: bytes) -> Bitmap:
        """Return the records that have the term."""

    def any_posting(self, path: Path, keys: Sequence[bytes]) -> Bitmap:
        """Return the records that have any of the terms."""

    def keys(self, path: Path, first: bytes, end: bytes) -> Sequence[bytes] | None:
        """Return the keys of a range, or None if there are more than MOST_KEYS."""

    def column(self, path: Path, column: bytes) -> Mapping[int, Bitmap]:
        """Return the slices of a column that are not empty."""


def sets_of(node: Node) -> Iterator[tuple[bytes, Bitmap]]:
    """Yield a node's terms: each key, slices of columns among them, and who has it."""
    for key, members in node.sets():
        yield key, Bitmap.of_members(members)


class MemoryPostings:
    """A :class:`~docstore.index.extract.Stored` in dictionaries."""

    def __init__(self) -> None:
        self._facts: dict[Path, dict[bytes, Bitmap]] = {}
        self._sorted: dict[Path, list[bytes]] = {}

    def posting(self, path: Path, key: bytes) -> Bitmap:
        """Return the records that have the term."""
        return self._facts.get(path, {}).get(key, EMPTY)

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

    def column(self, path: Path, column: bytes) -> Mapping[int, Bitmap]:
        """Return the slices of a column that are not empty."""
        return column_of(self, path, column, 8 * WIDTHS[column])

    def fold(
        self, fields: Mapping[str, bool], before: Mapping[int, Record], now: Mapping[int, Record]
    ) -> None:
        """Take up changes.

        Args:
            fields: the indexed fields.
            before: the changed records as they were when last folded; new ones are not among them.
            now: the changed records that still exist, as they are.
        """
        self._sorted.clear()
        if before:
            gone = Bitmap.of(sorted(before))
            for path, node in TermTree(fields, before).root.walk():
                here = self._facts[path]
                for key, _ in sets_of(node):
                    left = _compact(difference(here.get(key, EMPTY), gone))
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


def _compact(bits: Bitmap) -> Bitmap:
    """Return the set in one form only: a compact list or an integer."""
    if bits.is_listed:
        return Bitmap(array(NUMBERS_TYPE, bits.members), None)
    return Bitmap.of_integer(bits.integer)
