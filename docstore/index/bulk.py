"""Bulk: the facts of all records as they were last folded, and whatever was worked out of them.

It depends on the generation of the fold alone, not on who reads: answers, values by record and orders hold
until the next fold, whatever changes meanwhile. What has changed is in the :mod:`~docstore.index.tail`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from docstore.index.bit_slices import compared, slice_key
from docstore.index.bitmap import EMPTY, NUMBERS_TYPE, SMALL, Bits, Members, Run, integer_of, minus, union_all
from docstore.index.extract import Node, Record, Tree
from docstore.index.ngrams import asked
from docstore.index.search import Bounds, bounds
from docstore.index.terms import EVERY, MOST_KEYS, NUMBERS, WIDTHS, Source
from docstore.index.values import Orders, Values
from docstore.query.expr import And, Expr, Leaf, Path, expr_to_json

__all__ = [
    "Bulk",
    "Folded",
    "LeafAnswer",
    "Stored",
    "column_of",
    "sets_of",
]

_ANSWERS = 256
_LONGEST = 4096
"""Characters of a question whose answer is kept."""

LeafAnswer: TypeAlias = Callable[[Leaf, Source], Bounds]
"""Says of one leaf what the facts of a source say."""


@dataclass(slots=True)
class _Worked:
    """What was worked out of one generation. Threads may share it."""

    answers: dict[str, Bounds] = field(default_factory=dict)
    varying: dict[tuple[Path, bytes], list[int]] = field(default_factory=dict)
    values: dict[str, Values | None] = field(default_factory=dict)
    orders: Orders = field(default_factory=Orders)


class Posts(Protocol):
    """Whatever says who has a fact."""

    def post(self, path: Path, key: bytes) -> Bits:
        """Return the records that have the fact."""


class Bulk:
    """A :class:`~docstore.index.terms.Source`: the facts of one generation.

    Args:
        fields: the indexed fields, and whether each is JSON.
        stored: the facts.
    """

    __slots__ = ("_worked", "fields", "stored")

    def __init__(self, fields: Mapping[str, bool], stored: Stored) -> None:
        self.fields: Mapping[str, bool] = fields
        self.stored: Stored = stored
        self._worked = _Worked()

    def on(self, stored: Stored) -> Bulk:
        """Return the same generation read in another way; what was worked out is shared."""
        other = Bulk(self.fields, stored)
        other._worked = self._worked
        return other

    @property
    def orders(self) -> Orders:
        """The matches that are kept in an order."""
        return self._worked.orders

    @property
    def every(self) -> Bits:
        """All records."""
        return self.stored.post((), EVERY)

    def find(self, terms: Sequence[Expr], key: str, leaf: LeafAnswer, *, is_kept: bool = True) -> Bounds:
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

            def of(one: Leaf) -> Bounds:
                if not is_kept and asked(one) is not None:
                    return leaf(one, self)
                place = expr_to_json(one)
                known = answers.get(place)
                return self._keep(place, leaf(one, self)) if known is None else known

            found = bounds(terms[0] if len(terms) == 1 else And(tuple(terms)), self, of)
            if is_kept:
                self._keep(key, found)
        return found

    def _keep(self, key: str, found: Bounds) -> Bounds:
        answers = self._worked.answers
        if len(key) <= _LONGEST:
            while len(answers) >= _ANSWERS:
                answers.pop(next(iter(answers)), None)
            answers[key] = found
        return found

    def knows(self, key: str) -> bool:
        """Return whether the answer for a conjunction is kept."""
        return key in self._worked.answers

    def values(self, name: str) -> Values | None:
        """Return the values of a column by record; ``None`` where it does not hold a number of each."""
        known = self._worked.values
        if name not in known:
            path = (name,)
            whole = self.stored.post(path, NUMBERS) == self.every
            known[name] = Values(self.stored.column(path, NUMBERS)) if whole else None
        return known[name]

    # -- a source ------------------------------------------------------------------------------------------

    def kept(self, name: str) -> bool:
        """Return whether the facts of this field are kept."""
        return name in self.fields

    def post(self, path: Path, key: bytes) -> Bits:
        """Return the records that have the fact."""
        return self.stored.post(path, key)

    def posts(self, path: Path, keys: Sequence[bytes]) -> Bits:
        """Return the records that have any of the facts."""
        return self.stored.posts(path, keys)

    def keys(self, path: Path, first: bytes, end: bytes) -> Sequence[bytes] | None:
        """Return the keys of a range, or ``None`` if there are too many."""
        return self.stored.keys(path, first, end)

    def compared(self, path: Path, column: bytes, ordinal: int) -> tuple[Bits, Bits, Bits]:
        """Return the records in a column with a lesser, the same and a greater value than ``ordinal``."""
        present = self.post(path, column)
        return compared(lambda at: self.post(path, slice_key(column, at)), column, present, ordinal)

    def varying(self, path: Path, column: bytes) -> Sequence[int]:
        """Return the slices of a column that tell its records apart, the most significant first."""
        place = (path, column)
        found = self._worked.varying.get(place)
        if found is None:
            present, slices = self.post(path, column), self.stored.column(path, column)
            found = [at for at, bits in sorted(slices.items()) if bits != present]
            self._worked.varying[place] = found
        return found


def column_of(stored: Posts, path: Path, column: bytes, places: int) -> dict[int, Bits]:
    """Return the slices of a column that are not empty, read one by one."""
    slices = ((at, stored.post(path, slice_key(column, at))) for at in range(places))
    return {at: bits for at, bits in slices if bits}


class Stored(Protocol):
    """Facts kept in bulk."""

    def post(self, path: Path, key: bytes) -> Bits:
        """Return the records that have the fact."""

    def posts(self, path: Path, keys: Sequence[bytes]) -> Bits:
        """Return the records that have any of the facts."""

    def keys(self, path: Path, first: bytes, end: bytes) -> Sequence[bytes] | None:
        """Return the keys of a range; ``None`` if there are more than MOST_KEYS."""

    def column(self, path: Path, column: bytes) -> Mapping[int, Bits]:
        """Return the slices of a column that are not empty."""


def sets_of(node: Node) -> Iterator[tuple[bytes, Bits]]:
    """Yield a node's facts: each key, slices of columns among them, and who has it."""
    for key, members in node.sets():
        yield key, Bits.of_members(members)


class Folded:
    """A :class:`~docstore.index.extract.Stored` in dictionaries."""

    def __init__(self) -> None:
        self._facts: dict[Path, dict[bytes, Bits]] = {}
        self._sorted: dict[Path, list[bytes]] = {}

    def post(self, path: Path, key: bytes) -> Bits:
        """Return the records that have the fact."""
        return self._facts.get(path, {}).get(key, EMPTY)

    def posts(self, path: Path, keys: Sequence[bytes]) -> Bits:
        """Return the records that have any of the facts."""
        here = self._facts.get(path, {})
        return union_all(here[key] for key in keys if key in here)

    def keys(self, path: Path, first: bytes, end: bytes) -> Sequence[bytes] | None:
        """Return the keys of a range, or ``None`` if there are too many."""
        every = self._sorted.get(path)
        if every is None:
            every = self._sorted[path] = sorted(self._facts.get(path, ()))
        begin, stop = bisect_left(every, first), bisect_left(every, end)
        return every[begin:stop] if stop - begin <= MOST_KEYS else None

    def column(self, path: Path, column: bytes) -> Mapping[int, Bits]:
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
            gone = Bits.of(sorted(before))
            for path, node in Tree(fields, before).root.walk():
                here = self._facts[path]
                for key, _ in sets_of(node):
                    left = _compact(minus(here.get(key, EMPTY), gone))
                    if left:
                        here[key] = left
                    else:
                        here.pop(key, None)
        for path, node in Tree(fields, now).root.walk():
            here = self._facts.setdefault(path, {})
            for key, members in node.sets():
                here[key] = _joined(here.get(key), members)


def _joined(old: Bits | None, members: Members) -> Bits:
    """Return a set with more members, in one form only: a compact list or an integer."""
    is_run = isinstance(members, Run)
    if old is None or old.listed:
        count = members.integer.bit_count() if isinstance(members, Run) else len(members)
        if count + (0 if old is None else old.count) <= SMALL:
            added = array(NUMBERS_TYPE, Bits.of_members(members).members if is_run else members)
            if old is None:
                return Bits(added, None)
            before = old.members
            if isinstance(before, array) and before[-1] < added[0]:
                return Bits(before + added, None)
            return Bits(array(NUMBERS_TYPE, sorted({*before, *added})), None)
    integer = integer_of(members)
    return Bits.of_integer(integer if old is None else old.integer | integer)


def _compact(bits: Bits) -> Bits:
    """Return the set in one form only: a compact list or an integer."""
    if bits.listed:
        return Bits(array(NUMBERS_TYPE, bits.members), None)
    return Bits.of_integer(bits.integer)
