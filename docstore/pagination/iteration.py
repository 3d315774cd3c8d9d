"""Iteration: the iterator that ``iterate`` returns, with a cursor for its position."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Generic, TypeVar

from docstore.backend import Row
from docstore.errors import UnreadableRecord
from docstore.pagination.windows import Position
from docstore.query.executor import leave_out

__all__ = [
    "Iteration",
]

T = TypeVar("T")
_AHEAD = 16
_LONG, _DEAR = 0.05, 0.0002
"""Seconds of a batch, and of a row in it, from which reading more at once pays."""
_LARGE = 8_000_000
"""Characters that a batch may grow to."""


class Iteration(Iterator[T], Generic[T]):
    """Records one after another, read a batch at a time; no transaction is open between batches.

    Args:
        batch: returns the rows behind a position (``None``: from the beginning), at most so many; the last
            of them can be read.
        size: rows in a batch; more are read ahead where finding the place took longer than reading them.
        made: makes the record of a row; of one that cannot be read it raises UnreadableRecord.
        position: returns the position behind a row.
        text: writes a position as a cursor.
        start: where to begin; ``None`` is the beginning.
    """

    def __init__(
        self,
        batch: Callable[[Position | None, int], list[Row]],
        size: int,
        made: Callable[[Row], T],
        *,
        position: Callable[[Row], Position],
        text: Callable[[Position], str],
        start: Position | None = None,
    ) -> None:
        self._batch = batch
        self._size = size
        self._most = size * _AHEAD
        self._made = made
        self._position = position
        self._text = text
        self._start = start
        self._rows: list[Row] = []
        self._taken = 0
        self._looked = 0
        self._item: T | None = None
        self._ended = False

    @property
    def cursor(self) -> str | None:
        """Where the walk stands: behind the record it yielded last.

        ``iterate(…, cursor=…)`` goes on from there, in another process, too; so does ``find`` with the same
        filter, search, sort, ``latest_only`` and scope. ``None`` before the first record of a walk from the
        beginning. It stays after the last record: a walk from it meets what came behind since.
        """
        position = self._position(self._rows[self._taken - 1]) if self._taken else self._start
        return None if position is None else self._text(position)

    @property
    def is_ready(self) -> bool:
        """Whether the next record is at hand, without reading a batch."""
        while self._item is None and self._looked < len(self._rows):
            row = self._rows[self._looked]
            self._looked += 1
            try:
                self._item = self._made(row)
            except UnreadableRecord as broken:
                leave_out(row, broken.reason)
        return self._item is not None

    def __iter__(self) -> Iteration[T]:
        """Return itself."""
        return self

    def __next__(self) -> T:
        """Return the next record."""
        if not self.fetch():
            raise StopIteration
        item, self._item, self._taken = self._item, None, self._looked
        assert item is not None
        return item

    def fetch(self) -> bool:
        """Read the next batch if the last one is used up; return whether there is a record to yield."""
        while not self.is_ready:
            if self._ended:
                return False
            start = self._position(self._rows[-1]) if self._rows else self._start
            begun = perf_counter()
            rows = self._batch(start, self._size)
            self._ended = len(rows) < self._size
            if rows:
                self._start, self._rows, self._taken, self._looked = start, rows, 0, 0
                self._adapt(perf_counter() - begun)
        return True

    def _adapt(self, took: float) -> None:
        """Read twice as many next time, if a batch costs much whatever its size, and the rows are small."""
        dear = took > _LONG and took > _DEAR * len(self._rows)
        if dear and 2 * self._size <= self._most and 2 * _characters(self._rows) <= _LARGE:
            self._size *= 2


def _characters(rows: list[Row]) -> int:
    return sum(len(value) for row in rows for value in row.values() if isinstance(value, str))
