"""A cursor for the asynchronous shell: psycopg's own asynchronous one, awaited from within the core's
greenlet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from sqlalchemy.util.concurrency import await_only

__all__ = ["AwaitedCursor", "cursor_on"]


def cursor_on(connection: Any) -> Any:
    """Return a cursor on a connection of the pool, which is psycopg's blocking or asynchronous one."""
    driver = connection.driver_connection
    return (
        AwaitedCursor(driver.cursor()) if isinstance(driver, psycopg.AsyncConnection) else connection.cursor()
    )


class AwaitedCursor:
    """What a session uses of a psycopg cursor, each call awaited.

    Args:
        cursor: psycopg's.
    """

    def __init__(self, cursor: psycopg.AsyncCursor[Any]) -> None:
        self._cursor = cursor

    @property
    def rowcount(self) -> int:
        """How many rows the last statement wrote or returned."""
        return self._cursor.rowcount

    def execute(self, text: str, values: Sequence[Any] | None = None, *, prepare: bool | None = None) -> None:
        """Execute one statement; ``prepare`` as psycopg has it."""
        await_only(self._cursor.execute(text.encode(), values, prepare=prepare))

    def executemany(self, text: str, values: Iterable[Sequence[Any]]) -> None:
        """Execute one statement for each of the values."""
        await_only(self._cursor.executemany(text.encode(), values))

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row; it is here already."""
        row: tuple[Any, ...] | None = await_only(self._cursor.fetchone())
        return row

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows that are left; they are here already."""
        return await_only(self._cursor.fetchall())

    def copy_in(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Send rows by COPY."""
        await_only(self._copy_in(statement, rows))

    async def _copy_in(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        async with self._cursor.copy(statement.encode()) as copy:
            for row in rows:
                await copy.write_row(row)

    def close(self) -> None:
        """Close the cursor."""
        await_only(self._cursor.close())
