"""Whether the kept words are those that the metadata says, and setting them right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from docstore_sql.fragment import Fragment
from docstore_sql.session import Session
from docstore_sql.tables import Tables

from docstore.query.fields import Collection, read_json
from docstore_postgres.beside import index_words
from docstore_postgres.usual import NOTHING, known_by, read_usuals

__all__ = ["Misworded", "mend", "misworded"]

_BATCH = 2_000


class _Opens(Protocol):
    def __call__(self, *, snapshot: bool = False) -> AbstractContextManager[Session]:
        """Open a block for reading."""


@dataclass(frozen=True, slots=True)
class Misworded:
    """A record whose words are wrong.

    Attributes:
        number: of its row.
        id: its own.
    """

    number: int
    id: str


def misworded(read: _Opens, tables: Tables, collection: Collection) -> Iterator[Misworded]:
    """Yield the records whose words are wrong, a block for each of many batches."""
    after = 0
    while True:
        with read() as session:
            batch = _batch(session, tables, collection, after)
            usuals = read_usuals(session)
        for number, id, metadata, kept in batch:
            words = set((kept or "").replace("'", "").split())
            known = usuals.up_to(max(map(known_by, words), default=0))
            record = read_json(metadata)
            if record is None:
                continue
            meant = set(index_words(record, known)[0].split())
            if (words ^ meant) - usuals.forgotten:
                yield Misworded(number, id)
        if len(batch) < _BATCH:
            return
        after = batch[-1][0]


def _batch(
    session: Session, tables: Tables, collection: Collection, after: int
) -> list[tuple[int, str, str, str | None]]:
    start = f"SELECT number, id, metadata, metadata_words::text FROM {tables.of(collection)}"
    session.run(Fragment(f"{start} WHERE number > %s ORDER BY number LIMIT {_BATCH}", (after,)))
    found: list[tuple[int, str, str, str | None]] = session.cursor.fetchall()
    return found


def mend(session: Session, tables: Tables, collection: Collection, number: int) -> None:
    """Set the words of a row right, by its metadata as it is now."""
    table = tables.of(collection)
    session.run(Fragment(f"SELECT metadata, tenant FROM {table} WHERE number = %s FOR UPDATE", (number,)))
    found = session.cursor.fetchone()
    if found is not None:
        metadata, tenant = found
        words, _ = index_words(read_json(metadata) or {}, NOTHING if tenant else read_usuals(session))
        statement = f"UPDATE {table} SET metadata_words = %s::tsvector WHERE number = %s"
        session.run(Fragment(statement, (words, number)))
