"""Cursor of aiosqlite's connections, for a session in another thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Self, TypeVar

from docstore_sql.pool import on_loop

T = TypeVar("T")
# Rows that one visit to the connection's thread brings along.
_BROUGHT_ROWS = 256


def in_its_thread(driver: Any, work: Callable[[Any], T]) -> T:
    """Run ``work`` on aiosqlite's sqlite3 connection, in the thread that owns it."""
    # aiosqlite has no public call for this; every one of its methods is made of it.
    result: T = on_loop(driver._execute(partial(work, driver._conn)))
    return result


class SQLiteLoopCursor:
    """Cursor on a connection of aiosqlite's, for a session in another thread.

    Each statement is one visit to the connection's thread, which brings the first rows along.

    Args:
        driver: aiosqlite's connection.

    Attributes:
        rowcount, lastrowid: as sqlite3 has them, of the last statement.
    """

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._below: Any = None
        self._rows: deque[Any] = deque()
        self._is_read = True
        self.rowcount = -1
        self.lastrowid: int | None = None

    @property
    def connection(self) -> SQLiteLoopCursors:
        """A factory of more cursors on the connection."""
        return SQLiteLoopCursors(self._driver)

    def execute(self, text: str, values: Sequence[Any] = ()) -> Self:
        """Execute one statement; return the cursor."""
        self._run(lambda cursor: cursor.execute(text, values))
        return self

    def executemany(self, text: str, values: Iterable[Sequence[Any]]) -> Self:
        """Execute one statement for each of the values; return the cursor."""
        self._run(lambda cursor: cursor.executemany(text, values))
        return self

    def _run(self, execute: Callable[[Any], object]) -> None:
        def work(raw: Any) -> list[Any]:
            if self._below is None:
                self._below = raw.cursor()
            execute(self._below)
            self.rowcount, self.lastrowid = self._below.rowcount, self._below.lastrowid
            brought: list[Any] = self._below.fetchmany(_BROUGHT_ROWS)
            return brought

        self._take(in_its_thread(self._driver, work))

    def _take(self, rows: list[Any]) -> None:
        self._is_read = len(rows) < _BROUGHT_ROWS
        self._rows = deque(rows)

    def _bring(self) -> None:
        """Read on, if there is more."""
        if not self._rows and not self._is_read:
            self._take(in_its_thread(self._driver, lambda raw: self._below.fetchmany(_BROUGHT_ROWS)))

    def fetchone(self) -> Any:
        """Return the next row."""
        self._bring()
        return self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int) -> list[Any]:
        """Return at most ``size`` rows."""
        found: list[Any] = []
        while len(found) < size and (row := self.fetchone()) is not None:
            found.append(row)
        return found

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        rest = [] if self._is_read else in_its_thread(self._driver, lambda raw: self._below.fetchall())
        found, self._is_read = [*self._rows, *rest], True
        self._rows.clear()
        return found

    def __iter__(self) -> Iterator[Any]:
        while (row := self.fetchone()) is not None:
            yield row

    def close(self) -> None:
        """Close the cursor."""
        if self._below is not None:
            in_its_thread(self._driver, lambda raw: self._below.close())


class SQLiteLoopCursors:
    """Makes cursors of one connection.

    Args:
        driver: aiosqlite's connection.
    """

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def cursor(self) -> SQLiteLoopCursor:
        """Return another cursor."""
        return SQLiteLoopCursor(self._driver)
