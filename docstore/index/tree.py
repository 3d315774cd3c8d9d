"""Facts of some records, worked out: a tree of nodes, and the sets that are made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from docstore.index.bits import EMPTY, Bits
from docstore.index.facts import Packed, pour
from docstore.index.keys import DATES, NUMBERS
from docstore.index.nodes import Node
from docstore.query.expr import Path

__all__ = ["Record", "Stored", "Tree"]

Record: TypeAlias = "Mapping[str, Any] | Packed"


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


class Tree:
    """The facts of a few records: a tree of nodes and the sets made of it so far."""

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
