"""Cursor of psycopg's asynchronous connections, for a session in a thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import psycopg
from docstore_sql.pool import on_loop

__all__ = ["PostgresLoopCursor"]


class PostgresLoopCursor:
    """Cursor on an asynchronous connection of psycopg's, for a session in a thread.

    Each statement is one visit to the connection's loop, which brings all rows along.

    Args:
        driver: psycopg's connection.

    Attributes:
        rowcount: how many rows the last statement wrote or returned.
    """

    def __init__(self, driver: psycopg.AsyncConnection[Any]) -> None:
        self._cursor = driver.cursor()
        self._rows: Iterator[tuple[Any, ...]] = iter(())
        self.rowcount = -1

    def execute(self, text: str, values: Sequence[Any] | None = None, *, prepare: bool | None = None) -> Self:
        """Execute one statement, ``prepare`` as psycopg has it; return the cursor."""
        self._rows = iter(on_loop(self._executed(text, values, prepare)))
        return self

    async def _executed(
        self, text: str, values: Sequence[Any] | None, prepare: bool | None
    ) -> list[tuple[Any, ...]]:
        await self._cursor.execute(text.encode(), values, prepare=prepare)
        self.rowcount = self._cursor.rowcount
        return [] if self._cursor.description is None else await self._cursor.fetchall()

    def executemany(self, text: str, values: Iterable[Sequence[Any]]) -> None:
        """Execute one statement for each of the values."""
        on_loop(self._cursor.executemany(text.encode(), values))
        self.rowcount = self._cursor.rowcount

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row."""
        return next(self._rows, None)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows that are left."""
        return list(self._rows)

    @contextmanager
    def copy(self, statement: str) -> Iterator[_Copy]:
        """Send rows by COPY; an exception in the block sends none."""
        copying = _Copy()
        yield copying
        on_loop(self._copied(statement, copying.rows))

    async def _copied(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        async with self._cursor.copy(statement.encode()) as copy:
            for row in rows:
                await copy.write_row(row)

    def close(self) -> None:
        """Close the cursor."""
        on_loop(self._cursor.close())


class _Copy:
    """The rows of one COPY, collected: a batch is in memory anyway."""

    def __init__(self) -> None:
        self.rows: list[Sequence[Any]] = []

    def write_row(self, row: Sequence[Any]) -> None:
        """Take a row."""
        self.rows.append(row)
