"""Posting store: the index's bulk, bitmaps as blobs, one a path, chunk of 65,536 numbers, and key.

The key comes behind the chunk: a compaction of new rows then writes to one small region of the table, and
a look-up seeks once a chunk. Postings that were read are kept in the process until the next compaction;
the generation, a number in the setting table, tells.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from docstore.backend import SortKey
from docstore.index.bitmap import EMPTY, Bitmap, union_all
from docstore.index.chunks import assemble
from docstore.index.snapshot import Snapshot
from docstore.index.terms import MOST_KEYS, WIDTHS
from docstore.query.expr import Path
from docstore_sqlite.schema import TEXT_GENERATION, IndexTables, steps_text

__all__ = ["IndexState", "PostingCache", "PostingReader", "SharedIndex"]

_CACHE_BYTES = 96 << 20

# The text index is no help for texts in more documents: an ordered scan meets one of them soon.
MOST_TEXT_MATCHES = 20_000


class PostingCache:
    """Sets read from the bulk of one generation, the oldest forgotten beyond a bound; for many threads."""

    def __init__(self, most: int = _CACHE_BYTES) -> None:
        self._most = most
        self._sets: dict[Any, tuple[Any, int]] = {}
        self._weight = 0
        self._mutex = threading.Lock()

    def get(self, place: Any) -> Any:
        """Return the cached value, None without one."""
        found = self._sets.get(place)
        return None if found is None else found[0]

    def put(self, place: Any, value: Any, weight: int) -> None:
        """Keep a value that takes about ``weight`` bytes."""
        with self._mutex:
            self._weight += weight - self._sets.get(place, (None, 0))[1]
            self._sets[place] = (value, weight)
            while self._weight > self._most and len(self._sets) > 1:
                oldest = next(iter(self._sets))
                self._weight -= self._sets.pop(oldest)[1]


@dataclass(frozen=True, slots=True)
class IndexState:
    """The committed state of one collection's index, as a process knows it.

    Attributes:
        token: the stamp (count of schemas, generation) and the last change in ``index``.
        index: the bulk of that generation and the changes since; None before anything was read.
        kept: postings of that generation's bulk.
    """

    token: tuple[tuple[int, int], int] = ((-1, 0), 0)
    index: Snapshot | None = None
    kept: PostingCache = field(default_factory=PostingCache)


@dataclass(slots=True)
class SharedIndex:
    """The state of one collection's index that all sessions of a process share.

    Attributes:
        state: the latest state; replaced as a whole.
        orders: for each order without an index, the number of queries and their seconds.
    """

    state: IndexState = field(default_factory=IndexState)
    orders: dict[tuple[SortKey, ...], tuple[int, float]] = field(default_factory=dict)

    def sorted_by_hand(self, order: tuple[SortKey, ...], seconds: float) -> None:
        """Remember that rows had to be sorted, for advice; at most of a hundred orders."""
        if len(self.orders) < 100 or order in self.orders:
            queries, before = self.orders.get(order, (0, 0.0))
            self.orders[order] = (queries + 1, before + seconds)


@lru_cache(maxsize=64)
def _chunks_text(chunks: int) -> str:
    return json.dumps(list(range(chunks)))


class PostingReader:
    """A :class:`~docstore.index.bulk.Stored` read through one cursor.

    Args:
        cursor: on a connection within a transaction.
        names: the tables.
        collection: the collection.
        kept: postings and ids of paths read before, of this generation.
        is_committed: whether other sessions see the same.
        chunks: the number of chunks of 65,536 numbers.
    """

    def __init__(
        self,
        cursor: Any,
        names: IndexTables,
        collection: str,
        kept: PostingCache,
        is_committed: bool,
        chunks: int,
    ) -> None:
        self._cursor = cursor
        self._names = names
        self._collection = collection
        self._kept = kept
        self._is_committed = is_committed
        self._chunks = _chunks_text(chunks)

    def posting(self, path: Path, key: bytes) -> Bitmap:
        """Return the records with a term."""
        if key[:1] in WIDTHS:  # of a column all slices are read together: a comparison asks for most of them
            return self._column(path, key[:1]).get(key, EMPTY)
        found: Bitmap | None = self._kept.get((path, key))
        if found is None:
            found = self._load(path, key)
            self._kept.put((path, key), found, 2 * found.weight)
        return found

    def any_posting(self, path: Path, keys: Sequence[bytes]) -> Bitmap:
        """Return the records with any of the terms."""
        if len(keys) < 8:
            return union_all(self.posting(path, key) for key in keys)
        found: dict[bytes, list[tuple[int, bytes]]] = {}
        for start in range(0, len(keys), 500):
            some = keys[start : start + 500]
            marks = ", ".join("?" * len(some))
            rows = self._cursor.execute(
                f"SELECT key, chunk, bits FROM {self._names.posting} WHERE path = ? AND key IN ({marks}) "
                "AND chunk IN (SELECT value FROM json_each(?))",
                (self._path(path), *some, self._chunks),
            )
            for key, chunk, bits in rows:
                found.setdefault(key, []).append((chunk, bits))
        return union_all(assemble(sorted(pieces)) for pieces in found.values())

    def keys(self, path: Path, first: bytes, end: bytes) -> Sequence[bytes] | None:
        """Return the keys of a range, or ``None`` if there are too many rows of them."""
        place = (path, first, end)
        found = self._kept.get(place)
        if found is None:
            rows = self._cursor.execute(
                f"SELECT key FROM {self._names.posting} WHERE path = ? AND chunk IN (SELECT value FROM "
                "json_each(?)) "
                "AND key >= ? AND key < ? LIMIT ?",
                (self._path(path), self._chunks, first, end, MOST_KEYS + 1),
            ).fetchall()
            found = sorted({row[0] for row in rows}) if len(rows) <= MOST_KEYS else ()
            self._kept.put(place, found, 80 * len(found) + 100)
        return found if isinstance(found, list) else None

    def column(self, path: Path, column: bytes) -> Mapping[int, Bitmap]:
        """Return the slices of a column that are not empty."""
        found = self._column(path, column)
        return {key[1] - 0x80: bits for key, bits in found.items() if len(key) == 2}

    def _column(self, path: Path, column: bytes) -> Mapping[bytes, Bitmap]:
        """Return all sets of a column by their keys, read by one statement: its records, and its slices."""
        place = ("column", path, column)
        found: dict[bytes, Bitmap] | None = self._kept.get(place)
        if found is None:
            rows = self._cursor.execute(
                f"SELECT key, chunk, bits FROM {self._names.posting} WHERE path = ? AND key BETWEEN ? AND ? "
                "AND chunk IN (SELECT value FROM json_each(?)) ORDER BY chunk",
                (self._path(path), column, column + b"\xff", self._chunks),
            )
            pieces: dict[bytes, list[tuple[int, bytes]]] = {}
            for key, chunk, bits in rows:
                pieces.setdefault(key, []).append((chunk, bits))
            found = {key: assemble(some) for key, some in pieces.items()}
            self._kept.put(place, found, sum(2 * bits.weight for bits in found.values()))
        return found

    def texts(self, asked: str) -> Bitmap | None:
        """Return a superset of the documents with these texts, None for very many."""
        self._cursor.execute(f"SELECT value FROM {self._names.setting} WHERE name = ?", (TEXT_GENERATION,))
        place = ("", asked, self._cursor.fetchone())
        found = self._kept.get(place) if self._is_committed else None
        if found is None:
            rows = self._cursor.execute(
                f"SELECT rowid FROM {self._names.text} WHERE {self._names.text} MATCH ? LIMIT ?",
                (asked, MOST_TEXT_MATCHES + 1),
            ).fetchall()
            found = Bitmap.of(sorted(row[0] for row in rows)) if len(rows) <= MOST_TEXT_MATCHES else ()
            if self._is_committed:
                self._kept.put(place, found, 40 * len(rows) + 100)
        return found if isinstance(found, Bitmap) else None

    def unfolded_texts(self) -> Bitmap:
        """Return the documents whose texts have changed since the text index was written."""
        self._cursor.execute(f"SELECT number FROM {self._names.changes['documents']} WHERE has_text = 1")
        return Bitmap.of(sorted({row[0] for row in self._cursor.fetchall()}))

    def _load(self, path: Path, key: bytes) -> Bitmap:
        id = self._path(path)
        if id is None:
            return EMPTY
        rows = self._cursor.execute(
            f"SELECT chunk, bits FROM {self._names.posting} WHERE path = ? AND key = ? AND chunk IN "
            "(SELECT value FROM json_each(?))",
            (id, key, self._chunks),
        ).fetchall()
        rows.sort()
        return assemble(rows)

    def _path(self, path: Path) -> int | None:
        known: int | None = self._kept.get(path)
        if known is not None:
            return known
        found = self._cursor.execute(
            f"SELECT id FROM {self._names.path} WHERE collection = ? AND steps = ?",
            (self._collection, steps_text(path)),
        ).fetchone()
        if found is None:
            return None
        self._kept.put(path, int(found[0]), 100)
        return int(found[0])
