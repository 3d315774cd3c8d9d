"""Bulk: the facts of all records as they were last folded, and whatever was worked out of them.

It depends on the generation of the fold alone, not on who reads: answers, values by record and orders hold
until the next fold, whatever changes meanwhile. What has changed is in the :mod:`~docstore.index.tail`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from docstore.index.answers import Bounds
from docstore.index.bits import Bits
from docstore.index.bounds import bounds
from docstore.index.columns import compared, slice_key
from docstore.index.facts import EVERY
from docstore.index.keys import NUMBERS
from docstore.index.ordered import Orders
from docstore.index.source import Source
from docstore.index.texts import asked
from docstore.index.tree import Stored
from docstore.index.values import Values
from docstore.query.expr import And, Expr, Leaf, Path, expr_to_json

__all__ = ["Bulk", "LeafAnswer", "column_of"]

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
    """A :class:`~docstore.index.source.Source`: the facts of one generation.

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
