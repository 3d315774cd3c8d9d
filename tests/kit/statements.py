"""The statements that the sessions of a SQL backend run, recorded at their cursors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from docstore_postgres.session import PostgresSession
from docstore_sqlite.session import SQLiteSession

__all__ = ["Statements", "record_statements"]

Statements = list[tuple[str, Sequence[Any]]]
"""Each statement's text and the values bound in it; of one that is run for many rows none."""


class RecordingCursor:
    """A DBAPI cursor that keeps what it executes."""

    def __init__(self, cursor: Any, kept: Statements) -> None:
        self._cursor = cursor
        self._kept = kept

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, text: str, values: Sequence[Any] = (), **options: Any) -> Any:
        self._kept.append((text, values or ()))
        return self._cursor.execute(text, values, **options)

    def executemany(self, text: str, *rest: Any) -> Any:
        self._kept.append((text, ()))
        return self._cursor.executemany(text, *rest)

    def copy(self, text: str) -> Any:
        self._kept.append((text, ()))
        return self._cursor.copy(text)


def record_statements(monkeypatch: pytest.MonkeyPatch) -> Statements:
    """Return a list that every statement of a session is added to from now on."""
    kept: Statements = []
    for session in (SQLiteSession, PostgresSession):
        made = session.cursor_on

        def cursor_on(connection: Any, made: Any = made) -> RecordingCursor:
            return RecordingCursor(made(connection), kept)

        monkeypatch.setattr(session, "cursor_on", staticmethod(cursor_on))
    return kept
