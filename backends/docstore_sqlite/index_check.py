"""Check of the index and the counters against the rows, and making both anew, chunk by chunk in bounded
memory.
"""

from __future__ import annotations

import json
from collections.abc import Collection as Container
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from docstore.index.bitmap import CHUNK, assemble, packed, split
from docstore.index.extract import TermTree
from docstore.index.snapshot import sets_of
from docstore.query.expr import Path
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection
from docstore_sqlite.delta_log import Compaction, begin_generation, decoded, fresh
from docstore_sqlite.posting_store import COLUMNS, FIELDS, IndexTables, add_texts, begin_texts

# Rows whose terms are in memory together while the index is made anew.
_BATCH = 16_384
# Differences that are told: a torn index has one for nearly every row.
_MOST = 100


def index_differences(session: Any, unreadable: Mapping[str, Container[int]]) -> list[str]:
    """Return up to a hundred differences of index and counters from the rows, in words.

    Args:
        session: a block of the SQLite backend, reading one state or writing.
        unreadable: by collection, numbers of rows that are left aside.
    """
    found: list[str] = []
    with session.one_state():
        found += session.counters.faults(len(unreadable.get(DOCUMENTS.name, ())))[:_MOST]
        for collection in (DOCUMENTS, EXTRACTIONS):
            names, aside = IndexTables.of(session.tables), unreadable.get(collection.name, ())
            for difference in _differences(session.cursor, names, collection, aside):
                if len(found) >= _MOST:
                    return found
                found.append(difference)
    return found


def rebuild_index(session: Any) -> None:
    """Make the index anew from the rows, and set the counters right, in the session's transaction.

    Args:
        session: a block of the SQLite backend for writing.
    """
    cursor, names = session.cursor, IndexTables.of(session.tables)
    session.counters.repair()
    for collection in (DOCUMENTS, EXTRACTIONS):
        known = (collection.name,)
        cursor.execute(
            f"DELETE FROM {names.posting} WHERE path IN (SELECT id FROM {names.path} WHERE collection = ?)",
            known,
        )
        cursor.execute(f"DELETE FROM {names.path} WHERE collection = ?", known)
        cursor.execute(f"DELETE FROM {names.changes[collection.name]}")
        for rows in _batches(cursor, names, collection):
            Compaction(cursor, names, collection).run(fresh(collection, rows), None)
        if collection is DOCUMENTS:
            cursor.execute(f"INSERT INTO {names.text} ({names.text}) VALUES ('delete-all')")
            add_texts(cursor, names, "1")
            begin_texts(cursor, names)
        begin_generation(cursor, names, collection)


def _batches(cursor: Any, names: IndexTables, collection: Collection) -> Iterator[list[Sequence[Any]]]:
    last = -1
    while True:
        cursor.execute(
            f"SELECT number, {COLUMNS[collection.name]} FROM {names.rows[collection.name]} WHERE number > ? "
            "ORDER BY number LIMIT ?",
            (last, _BATCH),
        )
        rows = cursor.fetchall()
        if not rows:
            return
        yield rows
        last = rows[-1][0]


def _differences(
    cursor: Any, names: IndexTables, collection: Collection, aside: Container[int]
) -> Iterator[str]:
    changes, rows = names.changes[collection.name], names.rows[collection.name]
    cursor.execute(f"SELECT id, steps FROM {names.path} WHERE collection = ?", (collection.name,))
    paths = {int(id): tuple(json.loads(steps)) for id, steps in cursor.fetchall()}
    cursor.execute(
        f"SELECT DISTINCT number >> 16 FROM {rows} UNION SELECT DISTINCT number >> 16 FROM {changes}"
    )
    chunks = {int(row[0]) for row in cursor.fetchall()}
    for id in paths:
        cursor.execute(f"SELECT DISTINCT chunk FROM {names.posting} WHERE path = ?", (id,))
        chunks.update(int(row[0]) for row in cursor.fetchall())
    for chunk in sorted(chunks):
        expected = _expected(cursor, names, collection, chunk)
        stored = _stored(cursor, names, paths, chunk)
        seen = ~sum(1 << number - chunk * CHUNK for number in aside if number // CHUNK == chunk)
        for path, key in sorted(expected.keys() | stored.keys()):
            if expected.get((path, key), 0) & seen != stored.get((path, key), 0) & seen:
                where = f"at {'.'.join(path)!r} of numbers from {chunk * CHUNK} on"
                yield f"{collection.name}: the posting list of the term {key!r} {where} is wrong"


def _expected(
    cursor: Any, names: IndexTables, collection: Collection, chunk: int
) -> dict[tuple[Path, bytes], int]:
    """Return the terms that the bulk should hold of a chunk: of changed rows those before the change."""
    changes, rows, listed = (
        names.changes[collection.name],
        names.rows[collection.name],
        COLUMNS[collection.name],
    )
    window = (chunk * CHUNK, (chunk + 1) * CHUNK - 1)
    cursor.execute(
        f"SELECT number, {listed} FROM {rows} WHERE number BETWEEN ? AND ? AND number NOT IN "
        f"(SELECT number FROM {changes})",
        window,
    )
    records = {row[0]: decoded(collection, row[1:]) for row in cursor.fetchall()}
    cursor.execute(
        f"SELECT number, {listed} FROM {changes} WHERE number BETWEEN ? AND ? AND NOT is_new "
        f"AND seq IN (SELECT min(seq) FROM {changes} GROUP BY number)",
        window,
    )
    records.update({row[0]: decoded(collection, row[1:]) for row in cursor.fetchall()})
    found: dict[tuple[Path, bytes], int] = {}
    for path, node in TermTree(FIELDS[collection.name], records).root.walk():
        for key, bits in sets_of(node):
            for places in split(bits.members).values():
                found[(path, key)] = assemble([(0, packed(places))]).integer
    return found


def _stored(
    cursor: Any, names: IndexTables, paths: dict[int, Path], chunk: int
) -> dict[tuple[Path, bytes], int]:
    found: dict[tuple[Path, bytes], int] = {}
    for id, path in paths.items():
        cursor.execute(f"SELECT key, bits FROM {names.posting} WHERE path = ? AND chunk = ?", (id, chunk))
        for key, bits in cursor.fetchall():
            found[(path, key)] = assemble([(0, bits)]).integer
    return found
