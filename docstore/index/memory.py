"""Bulk facts in memory: a set for each path and key, folded from the changes."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from docstore.index.bits import EMPTY, SMALL, Bits, Members, Run, minus, union_all
from docstore.index.bulk import column_of
from docstore.index.keys import WIDTHS
from docstore.index.nodes import NUMBERS_TYPE, Node, integer_of
from docstore.index.source import MOST_KEYS
from docstore.index.tree import Record, Tree
from docstore.query.expr import Path

__all__ = ["Folded", "sets_of"]


def sets_of(node: Node) -> Iterator[tuple[bytes, Bits]]:
    """Yield a node's facts: each key, slices of columns among them, and who has it."""
    for key, members in node.sets():
        yield key, Bits.of_members(members)


class Folded:
    """A :class:`~docstore.index.tree.Stored` in dictionaries."""

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
