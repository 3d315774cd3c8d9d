"""Layers: facts kept in bulk, and the records changed since laid over them, as one source.

Bulk facts (a :class:`Stored`) are expensive to change one by one. Records that changed are left out of
them and kept beside, in
segments whose facts are worked out when first asked for; segments of like size are merged, so that there
are few. When the changes
are many, the bulk takes them up (*folds*), and everything begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from docstore.concurrency import looked_over
from docstore.index.bits import EMPTY, Bits, minus, union, union_all
from docstore.index.columns import slice_key
from docstore.index.facts import Packed, pour
from docstore.index.keys import DATES, NUMBERS, WIDTHS
from docstore.index.nodes import Node
from docstore.index.ordered import Orders
from docstore.index.source import MOST_KEYS
from docstore.query.expr import Path

__all__ = ["Layers", "Record", "Segment", "Stored", "Tree"]

Record: TypeAlias = "Mapping[str, Any] | Packed"


class Stored(Protocol):
    """Facts kept in bulk."""

    def post(self, path: Path, key: bytes) -> Bits:
        """Return the records that have the fact."""

    def posts(self, path: Path, keys: Sequence[bytes]) -> Bits:
        """Return the records that have any of the facts."""

    def keys(self, path: Path, first: bytes, end: bytes) -> Sequence[bytes] | None:
        """Return the keys of a range; ``None`` if there are more than MOST_KEYS."""


class Tree:
    """The facts of a few records, worked out: a tree of nodes and the sets made of it so far."""

    def __init__(self, fields: Mapping[str, bool], records: Mapping[int, Record]) -> None:
        self.root: Node = Node()
        pour(self.root, fields, records)
        self._columns: dict[tuple[Path, bytes], dict[bytes, Bits]] = {}

    @classmethod
    def of(cls, root: Node) -> Tree:
        """Return the facts of a node and all below as a tree of its own."""
        tree = cls({}, {})
        tree.root = root
        return tree

    def post(self, path: Path, key: bytes) -> Bits:
        """Return the records that have the fact."""
        node = self.root.at(path)
        if node is None:
            return EMPTY
        if key == NUMBERS:
            return Bits.of(node.numbers)
        if key == DATES:
            return Bits.of(node.dated)
        if key[:1] in (NUMBERS, DATES):
            place = (path, key[:1])
            if place not in self._columns:
                slices = node.slices(key[:1])
                self._columns[place] = {at: Bits.of_members(members) for at, members in slices}
            return self._columns[place].get(key, EMPTY)
        return Bits.of_members(node.posts.get(key, ()))

    def keys(self, path: Path, first: bytes, end: bytes) -> list[bytes]:
        """Return the value keys of a range."""
        node = self.root.at(path)
        return [] if node is None else [key for key in node.posts if first <= key < end]


class Segment:
    """Changed records, and those among them that have changed again since."""

    __slots__ = ("_tree", "dead", "fields", "records")

    def __init__(self, fields: Mapping[str, bool], records: Mapping[int, Record]) -> None:
        self.fields: Mapping[str, bool] = fields
        self.records: Mapping[int, Record] = records
        self.dead: frozenset[int] = frozenset()
        self._tree: Tree | None = None

    @property
    def tree(self) -> Tree:
        """The facts, dead records' too."""
        if self._tree is None:
            self._tree = Tree(self.fields, self.records)
        return self._tree

    def without(self, numbers: Iterable[int]) -> Segment:
        """Return the segment with these records dead."""
        other = Segment(self.fields, self.records)
        other._tree = self._tree
        other.dead = self.dead | (self.records.keys() & set(numbers))
        return other

    def alive(self) -> dict[int, Record]:
        """Return the records that are not dead."""
        return {number: record for number, record in self.records.items() if number not in self.dead}

    def post(self, path: Path, key: bytes) -> Bits:
        """Return the living records that have the fact."""
        found = self.tree.post(path, key)
        return minus(found, Bits.of(sorted(self.dead))) if self.dead and found else found


class Layers:
    """A :class:`~docstore.index.source.Source`: bulk facts, less the changed records, and their facts now.

    Args:
        fields: the indexed fields, and whether each is JSON.
        stored: the bulk.
        segments: the changed records that still exist.
        stale: the numbers of all changed records.
    """

    def __init__(
        self,
        fields: Mapping[str, bool],
        stored: Stored,
        segments: Sequence[Segment] = (),
        stale: Bits = EMPTY,
    ) -> None:
        self.fields = fields
        self.stored = stored
        self.segments: tuple[Segment, ...] = tuple(segments)
        self.stale = stale
        self.cache: dict[tuple[Path, bytes], Bits] = {}
        self.answers: dict[str, Any] = {}
        self.orders: Orders = Orders()

    def changed(self, records: Mapping[int, Record | None]) -> Layers:
        """Return these layers with records changed or added, or, where ``None``, removed."""
        segments = [segment.without(records) for segment in self.segments]
        segments.append(
            Segment(self.fields, {number: record for number, record in records.items() if record is not None})
        )
        while len(segments) > 1 and len(segments[-1].records) * 2 >= len(segments[-2].records):
            last = segments.pop()
            segments[-1] = Segment(self.fields, {**segments[-1].alive(), **last.alive()})
        return Layers(self.fields, self.stored, segments, union(self.stale, Bits.of(sorted(records))))

    def on(self, stored: Stored) -> Layers:
        """Return the same layers reading the same bulk in another way; what was worked out is shared."""
        other = Layers(self.fields, stored, self.segments, self.stale)
        other.cache, other.answers, other.orders = self.cache, self.answers, self.orders
        return other

    def kept(self, name: str) -> bool:
        """Return whether the facts of this field are kept."""
        return name in self.fields

    def post(self, path: Path, key: bytes) -> Bits:
        """Return the records that have the fact."""
        if not self.segments:
            return self.stored.post(path, key)
        place = (path, key)
        found = self.cache.get(place)
        if found is None:
            found = self.cache[place] = self._laid(self.stored.post(path, key), path, (key,))
        return found

    def posts(self, path: Path, keys: Sequence[bytes]) -> Bits:
        """Return the records that have any of the facts."""
        found = self.stored.posts(path, keys)
        return self._laid(found, path, keys) if self.segments else found

    def varying(self, path: Path, column: bytes) -> Sequence[int]:
        """Return the slices of a column that tell its records apart, the most significant first."""
        place = f"{column!r} of {path!r}"
        found: list[int] | None = self.answers.get(place)
        if found is None:
            present = self.post(path, column)
            slices = ((at, self.post(path, slice_key(column, at))) for at in range(8 * WIDTHS[column]))
            found = self.answers[place] = [at for at, bits in slices if bits and bits != present]
        return found

    def _laid(self, found: Bits, path: Path, keys: Sequence[bytes]) -> Bits:
        found = minus(found, self.stale)
        parts = [
            part
            for segment in self.segments
            for key in looked_over(keys)
            if (part := segment.post(path, key))
        ]
        return union_all([found, *parts]) if parts else found

    def keys(self, path: Path, first: bytes, end: bytes) -> Sequence[bytes] | None:
        """Return the value keys of a range, or ``None`` if there are too many."""
        found = self.stored.keys(path, first, end)
        if found is None or not self.segments:
            return found
        every = {*found, *(key for segment in self.segments for key in segment.tree.keys(path, first, end))}
        return sorted(every) if len(every) <= MOST_KEYS else None
