"""Single-statement writes: one record written by one statement, which is its own transaction.

A block takes a round trip for each of BEGIN, the clock, the row, the counters and COMMIT. A record that
is added, or changed since it was read only if nobody else has changed it, needs none of them. Its row and
its counters go in one statement of several parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from random import random

from docstore_sql.counters import COUNTED, WRITES_PER_FOLD
from docstore_sql.fragment import Fragment
from docstore_sql.tables import Tables

from docstore.backend import Row
from docstore.query.fields import DOCUMENTS, Collection
from docstore_postgres.insert import marks_of
from docstore_postgres.session import CLOCK, PostgresSession

__all__ = ["folds", "insert_single", "update_single"]


def insert_single(
    session: PostgresSession, collection: Collection, row: Row, clocked: Sequence[str]
) -> tuple[int, int] | None:
    """Add a row; return its number and the clock, or ``None`` where a unique key is taken."""
    names = session.insert_names(collection)
    values = session.insert_values(collection, row)
    last = session.clock.at_least()
    given = [value for name, value in zip(names, values, strict=True) if name not in clocked]
    text = _insert_text(session.tables, collection.name, names, tuple(clocked))
    found = session.fetch(Fragment(text, (last, *given)), prepare=True)
    if not found:
        return None
    number, now = found[0]
    return int(number), session.clock.now(int(now))


@cache
def _insert_text(tables: Tables, name: str, names: Sequence[str], clocked: Sequence[str]) -> str:
    marks = marks_of(name)
    values = ", ".join(
        "(SELECT now FROM clock)" if column in clocked else mark
        for column, mark in zip(names, marks, strict=True)
    )
    table = tables.named({"documents": "document", "extractions": "extraction"}[name])
    text = (
        f"WITH clock AS MATERIALIZED (SELECT greatest({CLOCK}, %s) AS now), made AS ("
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values}) ON CONFLICT DO NOTHING RETURNING *)"
    )
    if name == DOCUMENTS.name:
        text += (
            f", counted AS (INSERT INTO {tables.tally} ({', '.join(COUNTED)}, n) "
            "SELECT tenant, coalesce(owner, ''), is_latest, status, 1 FROM made)"
        )
    return f"{text} SELECT made.number, clock.now FROM made, clock"


def update_single(
    session: PostgresSession, collection: Collection, before: Row, changes: Mapping[str, object]
) -> bool:
    """Set columns of a row if it is still as it was read; return whether it was."""
    assignments = [session.assignment(name, value) for name, value in changes.items()]
    guards = ("tenant", "number", "revision", *(name for name in ("status", "is_latest") if name in before))
    text = (
        f"UPDATE {session.tables.of(collection)} SET {', '.join(part.text for part in assignments)} "
        f"WHERE {' AND '.join(f'{name} = %s' for name in guards)} RETURNING number"
    )
    values = [value for part in assignments for value in part.values]
    values += [before["tenant"] or "", *(before[name] for name in guards[1:])]
    if collection is DOCUMENTS and changes.get("status", before["status"]) != before["status"]:
        text = (
            f"WITH changed AS ({text}), counted AS (INSERT INTO {session.tables.tally} "
            f"({', '.join(COUNTED)}, n) SELECT %s, %s, %s, moved.status, moved.n FROM changed, "
            "(VALUES (%s, -1), (%s, 1)) AS moved (status, n)) SELECT number FROM changed"
        )
        values += [before["tenant"] or "", before["owner"] or "", before["is_latest"]]
        values += [before["status"], changes["status"]]
    return bool(session.fetch(Fragment(text, tuple(values)), prepare=True))


def folds() -> bool:
    """Return whether it is time to add the counts up, now and then."""
    return random() * WRITES_PER_FOLD < 1
