"""What one would write by hand on SQLite: the tables, and the best query of each for each workload.

A is one table with the metadata as JSON text and no index on it. B adds the indexes that somebody declares who knows the queries.
B2 is B's table beside a side table made for the second workload alone. A reference returns what a caller wants of a page: the
filename and the decoded metadata.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks.corpus import Doc, content_of
from benchmarks.oracle import PAGE, Truth
from benchmarks.workloads import HALF, Workload

__all__ = ["build", "insert_many", "insert_one", "prepare", "references", "tables"]

Reference = Callable[[], Any]
_COLUMNS = "seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, filename TEXT NOT NULL, owner TEXT, status TEXT, created INTEGER, meta TEXT"
_INSERT = "INSERT INTO doc (id, filename, owner, status, created, meta) VALUES (?, ?, ?, ?, ?, ?)"
_DECLARED = (
    "CREATE INDEX doc_owned ON doc (owner, status, created, seq)",
    "CREATE INDEX doc_author ON doc (json_extract(meta, '$.author.name'), created, seq)",
    "CREATE INDEX doc_priority ON doc (json_extract(meta, '$.priority'))",
    "CREATE INDEX doc_category ON doc (json_extract(meta, '$.category'), created, seq)",
    "CREATE TABLE side (tag TEXT, category TEXT, created INTEGER, seq INTEGER, priority, department TEXT,"
    " PRIMARY KEY (tag, category, created, seq)) WITHOUT ROWID",
    "INSERT OR IGNORE INTO side SELECT t.value, json_extract(meta, '$.category'), created, seq, json_extract(meta, '$.priority'),"
    " json_extract(meta, '$.author.department') FROM doc, json_each(meta, '$.tags') AS t ORDER BY 1, 2, 3, 4",
)
_SELECT = "SELECT filename, meta FROM doc"
_NEWEST = "ORDER BY created DESC, seq DESC LIMIT 10"
_SEED_A = (
    "json_extract(meta, '$.category') = 'finance' AND EXISTS (SELECT 1 FROM json_each(meta, '$.tags') WHERE value = 'important')"
    " AND (json_extract(meta, '$.priority') >= 8 OR json_extract(meta, '$.author.department') = 'audit') AND created >= ?"
)
_SEED_B2 = (
    "tag = 'important' AND category = 'finance' AND created >= ? AND (priority >= 8 OR department = 'audit')"
)
_SIDE = f"SELECT seq FROM side WHERE {_SEED_B2} {_NEWEST}"
_OWNED = "owner = 'owner-03' AND status = 'completed'"
_FROM_SIDE = f"SELECT doc.filename, doc.meta FROM ({_SIDE}) AS s JOIN doc USING (seq)"


def tables(connection: sqlite3.Connection) -> None:
    """Create A."""
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"CREATE TABLE doc ({_COLUMNS})")
    connection.execute("CREATE INDEX doc_created ON doc (created, seq)")


def values(doc: Doc) -> tuple[Any, ...]:
    """Return the columns of a document."""
    meta = json.dumps(doc.metadata, ensure_ascii=False, separators=(",", ":"))
    return (str(uuid4()), doc.filename, doc.owner, doc.status, doc.created, meta)


def insert_one(connection: sqlite3.Connection, doc: Doc) -> None:
    """Insert one document and commit."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_INSERT, values(doc))
    connection.execute("COMMIT")


def insert_many(connection: sqlite3.Connection, docs: list[Doc]) -> None:
    """Insert documents in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(_INSERT, map(values, docs))
    connection.execute("COMMIT")


def build(path: Path, schema: str, docs: Iterator[Doc], content: bool) -> None:
    """Make a database by one of the schemas."""
    connection = sqlite3.connect(path, isolation_level=None)
    tables(connection)
    connection.execute("BEGIN")
    if content:
        connection.execute("CREATE TABLE content (seq INTEGER PRIMARY KEY, text TEXT)")
        for seq, doc in enumerate(docs, 1):
            connection.execute(_INSERT, values(doc))
            connection.execute("INSERT INTO content VALUES (?, ?)", (seq, content_of(doc)))
    else:
        connection.executemany(_INSERT, map(values, docs))
    if schema == "B":
        for statement in _DECLARED:
            connection.execute(statement)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def prepare(connection: sqlite3.Connection) -> None:
    """Give a connection what the library gives its own."""
    connection.execute("PRAGMA synchronous = FULL")


def references(work: Workload, hands: dict[str, sqlite3.Connection], truth: Truth) -> dict[str, Reference]:
    """Return the hand-written calls for a workload, by schema."""
    a, b = hands["A"], hands["B"]
    match work.name:
        case "W2":
            return {
                "A": _page(a, f"{_SELECT} WHERE {_SEED_A} {_NEWEST}", HALF),
                "B": _page(b, f"{_SELECT} WHERE {_SEED_A} {_NEWEST}", HALF),
                "B2": _page(b, _FROM_SIDE, HALF),
            }
        case "W3":
            counts = {
                "A": _one(a, f"SELECT count(*) FROM doc WHERE {_SEED_A}", HALF),
                "B2": _one(b, f"SELECT count(*) FROM side WHERE {_SEED_B2}", HALF),
            }
            pages = {
                "A": _page(a, f"{_SELECT} WHERE {_SEED_A} {_NEWEST}", HALF),
                "B2": _page(b, _FROM_SIDE, HALF),
            }
            return {name: _both(pages[name], count) for name, count in counts.items()}
        case "W4a":
            return {
                "A": _page(a, f"{_SELECT} WHERE {_OWNED} {_NEWEST}"),
                "B": _page(b, f"{_SELECT} WHERE {_OWNED} {_NEWEST}"),
            }
        case "W4b":
            return {"B": _page(b, f"{_SELECT} WHERE {_OWNED} {_NEWEST} OFFSET ?", truth.depth)}
        case "W4c":
            found = b.execute(
                f"SELECT created, seq FROM doc WHERE {_OWNED} {_NEWEST} OFFSET ?", (truth.depth - 1,)
            ).fetchone()
            return {"B": _page(b, f"{_SELECT} WHERE {_OWNED} AND (created, seq) < (?, ?) {_NEWEST}", *found)}
        case "W5":
            where = "json_extract(meta, '$.author.name') = ?"
            return {"A": _page(a, f"{_SELECT} WHERE {where} {_NEWEST}", "author-04242"),
                    "B": _page(b, f"{_SELECT} WHERE {where} {_NEWEST}", "author-04242")}  # fmt: skip
        case "W6":
            count = "SELECT count(*) FROM doc WHERE json_extract(meta, '$.priority') >= 6"
            return {"A": _one(a, count), "B": _one(b, count)}
        case "W7":
            id = a.execute("SELECT id FROM doc WHERE seq = 4242").fetchone()[0]
            columns = "id, seq, filename, owner, status, created, meta"
            return {
                "A": lambda: _record(a.execute(f"SELECT {columns} FROM doc WHERE id = ?", (id,)).fetchone())
            }
        case "W8a" | "W8b":
            walk = f"{_SELECT} JOIN content USING (seq) WHERE instr(lower(text), ?) OR instr(filename, ?) {_NEWEST}"
            return {"A": _page(a, walk, work.search, work.search)}
        case "W9a" | "W9b" | "W9c" | "W9d":
            pattern = {"W9a": "*report*", "W9b": "*-0004242.*", "W9c": "*.pdf", "W9d": "*-000424?.*"}[
                work.name
            ]
            return {"A": _page(a, f"{_SELECT} WHERE filename GLOB ? {_NEWEST}", pattern)}
        case _:
            return {}


def _page(connection: sqlite3.Connection, text: str, *bound: Any) -> Reference:
    def call() -> list[str]:
        rows = [(filename, json.loads(meta)) for filename, meta in connection.execute(text, bound).fetchall()]
        return [filename for filename, _ in rows]

    return call


def _one(connection: sqlite3.Connection, text: str, *bound: Any) -> Reference:
    return lambda: connection.execute(text, bound).fetchone()[0]


def _both(page: Reference, count: Reference) -> Reference:
    return lambda: (page(), count())


def _record(row: tuple[Any, ...]) -> str:
    record = dict(zip(("id", "seq", "filename", "owner", "status", "created", "metadata"), row, strict=True))
    record["metadata"] = json.loads(record["metadata"])
    filename: str = record["filename"]
    return filename


assert PAGE == 10, "the statements above say LIMIT 10"
