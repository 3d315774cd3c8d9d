"""Nodes: what records hold at one path, as sets of their numbers; the form in which facts are gathered.

A node collects facts of many records at once, a column of values at a time (:mod:`docstore.index.facts`).
"""

from __future__ import annotations

from array import array
from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, Final

from docstore.index.bits import SMALL, Bits, Members, Run
from docstore.index.columns import raw_slices, slice_key, transposed
from docstore.index.keys import DATES, NUMBERS
from docstore.query.expr import Path

__all__ = ["NUMBERS_TYPE", "Node", "Numbers", "integer_of", "packed_members"]

NUMBERS_TYPE: Final = "I" if array("I").itemsize == 4 else "L"
_SPARSE: Final = 32
_FEW: Final = 32
_TRIED: Final = 64
"""So many values tell whether there may be few."""
_FLAGS: Final = tuple(
    bytes(1 << (code & 7) if code >> 3 == some else 0 for code in range(256)) for some in range(_FEW >> 3)
)
"""A bit for each of eight codes."""


def packed_members(numbers: Sequence[int], *, repeats: bool = False) -> Members:
    """Return ascending numbers, at least one, in the shorter of two forms.

    Args:
        numbers: the numbers.
        repeats: whether one may be there several times.
    """
    first, span = numbers[0], numbers[-1] - numbers[0] + 1
    if len(numbers) <= SMALL or len(numbers) * _SPARSE < span:
        return list(dict.fromkeys(numbers)) if repeats and len(set(numbers)) < len(numbers) else numbers
    if span == len(numbers) and not repeats:
        return Run((1 << span) - 1, first)
    return Run(_bits(numbers, first, span), first)


def integer_of(members: Members) -> int:
    """Return the bits of members."""
    if isinstance(members, Run):
        return members.integer << members.first
    first, span = members[0], members[-1] - members[0] + 1
    if len(members) * _SPARSE < span:
        return Bits(members, None).integer
    return _bits(members, first, span) << first


def _bits(numbers: Iterable[int], first: int, span: int) -> int:
    digits = bytearray(b"0") * span
    for number in numbers:
        digits[number - first] = 49
    digits.reverse()
    return int(digits, 2)


class Numbers:
    """Whose values a column holds: the number of a record for each value, ascending.

    Attributes:
        listed: the numbers, at least one; of a record with several values as many times.
        repeats: whether there is such a record.
    """

    __slots__ = ("_members", "listed", "repeats")

    def __init__(self, listed: Sequence[int], *, repeats: bool = False) -> None:
        self.listed: Sequence[int] = listed
        self.repeats: bool = repeats and len(set(listed)) < len(listed)
        self._members: Members | None = None

    @property
    def members(self) -> Members:
        """The records, each once."""
        if self._members is None:
            self._members = self.packed(self.listed)
        return self._members

    def packed(self, some: Sequence[int]) -> Members:
        """Return some of the numbers, each once, in the shorter of two forms."""
        return packed_members(some, repeats=self.repeats)

    def by_value(self, values: Sequence[Hashable]) -> dict[Any, Members]:
        """Return by value the records that have it."""
        listed = self.listed
        if len(set(values[:_TRIED])) <= _FEW:
            distinct = dict.fromkeys(values)
            if len(distinct) == 1:
                return dict.fromkeys(distinct, self.members)
            dense = listed[-1] - listed[0] + 1 == len(listed) > SMALL
            if dense and len(distinct) <= _FEW and not self.repeats:
                return self._by_few(values, distinct)
        having: defaultdict[Hashable, list[int]] = defaultdict(list)
        deque(map(list.append, map(having.__getitem__, values), listed), maxlen=0)
        repeats = self.repeats
        return {
            value: packed_members(some, repeats=repeats) if len(some) > 1 else some
            for value, some in having.items()
        }

    def _by_few(self, values: Sequence[Hashable], distinct: Iterable[Hashable]) -> dict[Any, Members]:
        """Do so where values are few and numbers without gaps: a byte for each stands for its value."""
        codes = {value: code for code, value in enumerate(distinct)}
        coded = bytes(map(codes.__getitem__, values))
        turned = [transposed(coded.translate(_FLAGS[some])) for some in range((len(codes) + 7) >> 3)]
        return {
            value: Run(int.from_bytes(turned[code >> 3][code & 7 :: 8], "little"), self.listed[0])
            for value, code in codes.items()
        }

    def at(self, places: Sequence[int]) -> Numbers:
        """Return the numbers at some places."""
        listed = self.listed
        return Numbers([listed[place] for place in places], repeats=self.repeats)


class Node:
    """One path, and what records hold there.

    Attributes:
        children: the paths one step longer.
        posts: the numbers of the records by key.
        numbers, floats: the column of numbers, record by record.
        dated, dates: the column of dates; 16 bytes a record.
    """

    __slots__ = ("children", "dated", "dates", "floats", "numbers", "posts")

    def __init__(self) -> None:
        self.children: dict[str, Node] = {}
        self.posts: dict[bytes, Members] = {}
        self.numbers: Sequence[int] = ()
        self.floats: array[float] = array("d")
        self.dated: Sequence[int] = ()
        self.dates: bytes = b""

    def child(self, step: str) -> Node:
        """Return the node one step further, made if there is none."""
        found = self.children.get(step)
        if found is None:
            found = self.children[step] = Node()
        return found

    def at(self, path: Path) -> Node | None:
        """Return the node at a path below, or ``None``."""
        node: Node | None = self
        for step in path:
            node = node.children.get(step) if node is not None else None
        return node

    def walk(self, path: Path = ()) -> Iterator[tuple[Path, Node]]:
        """Yield this node and all below, with their paths."""
        stack = [(path, self)]
        while stack:
            at, node = stack.pop()
            yield at, node
            stack.extend(((*at, step), child) for step, child in node.children.items())

    def column(self, key: bytes) -> tuple[Sequence[int], bytes]:
        """Return a column: the records' numbers, and their values in as many bytes each as the column is
        wide, big-endian.
        """
        if key == DATES:
            return self.dated, self.dates
        floats = array("d", self.floats)
        floats.byteswap()
        return self.numbers, floats.tobytes()

    def slices(self, column: bytes) -> Iterator[tuple[bytes, Members]]:
        """Yield the slices of a column that are not empty, by their keys."""
        for at, members in raw_slices(column, *self.column(column)):
            yield slice_key(column, at), members

    def sets(self) -> Iterator[tuple[bytes, Members]]:
        """Yield all facts of the path: each key, slices of columns among them, and who has it."""
        yield from self.posts.items()
        for column, members in ((NUMBERS, self.numbers), (DATES, self.dated)):
            if members:
                yield column, packed_members(members)
                yield from self.slices(column)
