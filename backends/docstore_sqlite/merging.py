"""Merging: the facts of changed rows, worked out, into the bulk of the index in SQLite, in the order of its
table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from docstore.index.bits import Bits, Members, Run, minus
from docstore.index.chunks import packed, packed_integer, packed_one, split
from docstore.index.nodes import Node
from docstore.index.tree import Tree
from docstore.query.expr import Path
from docstore.query.fields import Collection
from docstore_sqlite.postings import IndexTables, steps_text

__all__ = ["Folding"]

_MASK = (1 << 65_536) - 1


class Folding:
    """One fold: the facts of changed rows before and now, and the tables they are merged into."""

    def __init__(self, cursor: Any, names: IndexTables, collection: Collection) -> None:
        self.cursor = cursor
        self.names = names
        self.collection = collection

    def run(self, now: Tree, before: Tree | None) -> None:
        """Remove what is no more, add what is new."""
        parts: list[tuple[int, list[tuple[int, bytes, bytes]]]] = []
        shrunk = self._remove(before, now) if before is not None else set[int]()
        for path, node in now.root.walk():
            if node.posts:
                id = self._path(path)
                old = before.root.at(path) if before is not None else None
                pieces = sorted([(chunk, key, bits) for key, chunk, bits in _pieces(node, old)])
                parts.append((id, pieces))
        added = [(id, *piece) for id, pieces in sorted(parts) for piece in pieces]
        self.cursor.executemany(
            f"INSERT INTO {self.names.posting} (path, chunk, key, bits) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (path, chunk, key) DO UPDATE SET bits = docstore_merged(bits, excluded.bits)",
            added,
        )
        self.cursor.executemany(
            f"DELETE FROM {self.names.path} WHERE id = ? AND NOT EXISTS "
            f"(SELECT 1 FROM {self.names.posting} AS p WHERE p.path = {self.names.path}.id)",
            [(id,) for id in sorted(shrunk)],
        )

    def _remove(self, before: Tree, now: Tree) -> set[int]:
        """Remove what is no more; return the ids of the paths that something was removed from."""
        gone: list[tuple[bytes, int, int, bytes]] = []
        for path, node in before.root.walk():
            if node.posts:
                id = self._path(path)
                new = now.root.at(path)
                gone.extend((bits, id, chunk, key) for key, chunk, bits in _pieces(node, new))
        gone.sort(key=lambda piece: piece[1:])
        posting = self.names.posting
        where = "WHERE path = ? AND chunk = ? AND key = ?"
        self.cursor.executemany(f"UPDATE {posting} SET bits = docstore_removed(bits, ?) {where}", gone)
        self.cursor.executemany(
            f"DELETE FROM {posting} {where} AND length(bits) = 0", [piece[1:] for piece in gone]
        )
        return {id for _, id, _, _ in gone}

    def _path(self, path: Path) -> int:
        given = (self.collection.name, steps_text(path))
        self.cursor.execute(
            f"INSERT OR IGNORE INTO {self.names.path} (collection, steps) VALUES (?, ?)", given
        )
        self.cursor.execute(f"SELECT id FROM {self.names.path} WHERE collection = ? AND steps = ?", given)
        return int(self.cursor.fetchone()[0])


def _pieces(node: Node, other: Node | None) -> Iterator[tuple[bytes, int, bytes]]:
    """Yield the facts of a node that are not the other's, as ``(key, chunk, form)``."""
    there = None if other is None else Tree.of(other)
    for key, members in node.sets():
        left = members if there is None else _less(members, there.post((), key))
        if isinstance(left, Run):
            yield from _integer_pieces(key, left.integer, left.first)
        elif len(left) == 1:
            yield key, left[0] >> 16, packed_one(left[0] & 0xFFFF)
        else:
            for chunk, places in split(left).items():
                yield key, chunk, packed(places)


def _less(members: Members, gone: Bits) -> Members:
    """Return the members that are not gone."""
    left = minus(Bits.of_members(members), gone)
    if left.listed:
        return left.members
    first = (left.integer & -left.integer).bit_length() - 1
    return Run(left.integer >> first, first)


def _integer_pieces(key: bytes, integer: int, shift: int) -> Iterator[tuple[bytes, int, bytes]]:
    chunk, rest = shift >> 16, integer << (shift & 0xFFFF)
    while rest:
        piece = rest & _MASK
        if piece:
            yield key, chunk, packed_integer(piece)
        rest >>= 65_536
        chunk += 1
