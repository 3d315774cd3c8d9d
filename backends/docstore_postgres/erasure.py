"""Erasure of traces: dead rows, statistics, and the values that the store has learnt.

A removed row stays in its table until VACUUM, its values in ``pg_statistic`` until the next ANALYZE.
VACUUM marks the room as free and leaves the bytes. Only a table that is written anew (``VACUUM FULL``,
which keeps everybody out meanwhile) forgets these, too. So small tables are written anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from docstore_sql.tables import Tables

__all__ = ["erase_traces"]

# Tables up to this size, indexes included, are written anew: about 0.5 s.
_REWRITTEN_BYTES = 64 << 20
# The tables that hold values of records, and the condition of a blank row in each.
_BLANK_ROWS = {
    "document": "id = ''", "content": "number = 0", "extraction": "id = ''", "blob": "key = ''",
    "tally": "status = ''", "usual": "number = 0",
}  # fmt: skip
_BLANK = {
    "text": "''", "bigint": "0", "integer": "0", "boolean": "true", "jsonb": "'{}'", "tsvector": "''"
}  # fmt: skip
_TABLES = ("content", "extraction", "document", "blob", "tally", "usual", "setting")


def erase_traces(cursor: Any, tables: Tables, *, settings: bool = True) -> None:
    """Remove dead rows and old statistics of a store's tables, as far as this role may.

    Args:
        cursor: on a connection in autocommit, outside of any transaction.
        tables: the tables' names.
        settings: whether they may be set for more than a transaction. Else no table is written anew, as that
            might wait for long.
    """
    if not settings:
        _analyze(cursor, tables)
        for name in map(tables.named, _TABLES):
            _try(cursor, f"VACUUM (SKIP_LOCKED) {name}")
        return
    with _patient(cursor):
        _analyze(cursor, tables)
        for name in map(tables.named, _TABLES):
            cursor.execute("SELECT pg_total_relation_size(%s::regclass)", (name,))
            if cursor.fetchone()[0] > _REWRITTEN_BYTES or not _try(cursor, f"VACUUM (FULL) {name}"):
                _try(cursor, f"VACUUM {name}")
        _try(cursor, "VACUUM (FULL) pg_catalog.pg_statistic")


def _analyze(cursor: Any, tables: Tables) -> None:
    """Replace the statistics of a store's tables and of the expressions in their indexes.

    ANALYZE leaves those of an empty table, and of an index that holds no row of its sample, as they were. So
    it looks at one row more in each, of which nobody else ever hears.
    """
    names = [tables.named(name) for name in _BLANK_ROWS]
    cursor.execute("BEGIN; SET LOCAL lock_timeout = '1s'; SET LOCAL statement_timeout = 0")
    try:
        for name in names:
            cursor.execute(
                "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = %s::regclass "
                "AND attnum > 0 AND NOT attisdropped",
                (name,),
            )
            row = {f'"{column}"': _BLANK[kind] for column, kind in cursor.fetchall()}
            into = f"INSERT INTO {name} ({', '.join(row)}) OVERRIDING SYSTEM VALUE"
            cursor.execute(f"{into} VALUES ({', '.join(row.values())})")
        for name in names:
            cursor.execute(f"ANALYZE {name}")
        for name, where in _BLANK_ROWS.items():  # the content goes with its document
            cursor.execute(f"DELETE FROM {tables.named(name)} WHERE {where}")
    except psycopg.Error:  # we may not, or somebody holds a table
        cursor.execute("ROLLBACK")
        for name in names:
            _try(cursor, f"ANALYZE {name}")
    else:
        cursor.execute("COMMIT")


@contextmanager
def _patient(cursor: Any) -> Iterator[None]:
    """Let statements take their time, but wait for no lock longer than a second."""
    names = ("statement_timeout", "lock_timeout", "client_min_messages")
    cursor.execute("SELECT " + ", ".join(f"current_setting('{name}')" for name in names))
    before = cursor.fetchone()
    for name, value in zip(names, ("0", "1s", "error"), strict=True):  # what we may not do is no warning
        cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
    try:
        yield
    finally:
        for name, value in zip(names, before, strict=True):
            cursor.execute("SELECT set_config(%s, %s, false)", (name, value))


def _try(cursor: Any, statement: str) -> bool:
    """Execute a statement; return whether it was done: others may hold the table, or it may not be ours."""
    try:
        cursor.execute(statement)
    except (psycopg.errors.LockNotAvailable, psycopg.errors.InsufficientPrivilege):
        return False
    return True
