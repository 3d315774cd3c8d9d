"""What one would write by hand: one table, the indexes of who knows the queries, and the best statement of each row.

On SQLite the table is A of the targets (the metadata as JSON text, only ``created`` indexed) until :meth:`declare` adds the index
of W4. On Postgres it has a GIN index on ``jsonb`` and b-trees from the start, and is filled by COPY. A page by hand is what a
caller wants of it: the id, the filename and the decoded metadata.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from benchmarks.clock import Clock
from benchmarks.corpus import CONTENT_TYPES, Doc
from benchmarks.questions import PAGE, Question

__all__ = ["PostgresByHand", "SQLiteByHand", "database", "server_clock"]

_COLUMNS = "seq, id, filename, content_type, size, sha256, owner, status, created, meta"
_SQLITE_COLUMNS = (
    "seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, filename TEXT NOT NULL, content_type TEXT, size INTEGER, sha256 TEXT,"
    " owner TEXT, status TEXT, created INTEGER, meta TEXT"
)
_POSTGRES_COLUMNS = (
    "seq bigint NOT NULL PRIMARY KEY, id text NOT NULL UNIQUE, filename text NOT NULL, content_type text, size bigint,"
    " sha256 text, owner text, status text, created bigint NOT NULL, meta jsonb NOT NULL"
)
_POSTGRES_INDEXES = (
    "CREATE INDEX hand_created ON hand (created, seq)",
    "CREATE INDEX hand_owned ON hand (owner, status, created, seq)",
    "CREATE INDEX hand_meta ON hand USING gin (meta jsonb_path_ops)",
)
_SELECT = "SELECT id, filename, meta FROM {}"
_NEWEST = f"ORDER BY created DESC, seq DESC LIMIT {PAGE}"


def _values(doc: Doc) -> tuple[Any, ...]:
    meta = json.dumps(doc.metadata, ensure_ascii=False, separators=(",", ":"))
    kind = CONTENT_TYPES[doc.filename.rpartition(".")[2]]
    return doc.at + 1, doc.id, doc.filename, kind, doc.size, doc.sha256, doc.owner, doc.status, doc.created, meta


class SQLiteByHand:
    """The table in a file of SQLite."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(f"CREATE TABLE doc ({_SQLITE_COLUMNS})")
        self._connection.execute("CREATE INDEX doc_created ON doc (created, seq)")

    def insert(self, docs: Iterable[Doc]) -> None:
        """Insert documents in one transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        marks = ", ".join("?" * 10)
        self._connection.executemany(f"INSERT INTO doc ({_COLUMNS}) VALUES ({marks})", map(_values, docs))
        self._connection.execute("COMMIT")

    def change(self, doc: Doc) -> None:
        """Write the metadata of one document."""
        meta = json.dumps(doc.metadata, ensure_ascii=False, separators=(",", ":"))
        self._connection.execute("UPDATE doc SET meta = ? WHERE id = ?", (meta, doc.id))

    def start(self, doc: Doc) -> None:
        """Set one status."""
        self._connection.execute("UPDATE doc SET status = 'processing' WHERE id = ?", (doc.id,))

    def declare(self) -> None:
        """Index what W4 asks, and gather statistics."""
        self._connection.execute("CREATE INDEX doc_owned ON doc (owner, status, created, seq)")

    def ask(self, question: Question) -> Callable[[], Any] | None:
        """Return the call that asks the same by hand; None if the targets name no reference."""
        values, select = question.by_hand, _SELECT.format("doc")
        match question.row:
            case "W4a":
                return self._page(f"{select} WHERE owner = ? AND status = ? {_NEWEST}", *values)
            case "W4b":
                return self._page(f"{select} WHERE owner = ? AND status = 'completed' {_NEWEST} OFFSET ?", *values)
            case "W4c":
                owner, before = values
                where = "owner = ? AND status = 'completed' AND (created, seq) < (?, ?)"
                return self._page(f"{select} WHERE {where} {_NEWEST}", owner, before.created, before.at + 1)
            case "W7":
                return lambda: self._one(f"SELECT {_COLUMNS} FROM doc WHERE id = ?", values)
            case _:
                return None

    def _page(self, text: str, *values: Any) -> Callable[[], list[str]]:
        def call() -> list[str]:
            rows = self._connection.execute(text, values).fetchall()
            return [id for id, _, _ in [(id, filename, json.loads(meta)) for id, filename, meta in rows]]

        return call

    def _one(self, text: str, values: Sequence[Any]) -> str:
        row = self._connection.execute(text, values).fetchone()
        record = {**dict(zip(_COLUMNS.split(", "), row, strict=True)), "meta": json.loads(row[-1])}
        return str(record["id"])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class PostgresByHand:
    """The table in a database of Postgres."""

    def __init__(self, url: str) -> None:
        import psycopg

        self._connection = psycopg.connect(url, autocommit=True, prepare_threshold=1)
        self._execute(f"CREATE TABLE hand ({_POSTGRES_COLUMNS})")
        for statement in _POSTGRES_INDEXES:
            self._execute(statement)
        self._bound = PAGE

    def _execute(self, text: str, values: Sequence[Any] = ()) -> Any:
        return self._connection.execute(text.encode(), values)

    def insert(self, docs: Iterable[Doc]) -> None:
        """Copy documents in one transaction; a single one is inserted."""
        given = list(docs)
        if len(given) == 1:
            self._execute(f"INSERT INTO hand ({_COLUMNS}) VALUES ({', '.join(['%s'] * 10)})", _values(given[0]))
            return
        with self._connection.cursor().copy(f"COPY hand ({_COLUMNS}) FROM STDIN".encode()) as copy:
            for doc in given:
                copy.write_row(_values(doc))

    def change(self, doc: Doc) -> None:
        """Write the metadata of one document."""
        self._execute("UPDATE hand SET meta = %s WHERE id = %s", (json.dumps(doc.metadata), doc.id))

    def start(self, doc: Doc) -> None:
        """Set one status."""
        self._execute("UPDATE hand SET status = 'processing' WHERE id = %s", (doc.id,))

    def declare(self) -> None:
        """Gather statistics of all there is, as autovacuum would have by then."""
        self._execute("VACUUM ANALYZE")
        rows = self._execute("SELECT reltuples::bigint FROM pg_class WHERE oid = 'hand'::regclass").fetchone()[0]
        self._bound = math.isqrt(PAGE * max(rows, 1)) + PAGE

    def ask(self, question: Question) -> Callable[[], Any] | None:
        """Return the call that asks the same by hand; None if the targets name no reference."""
        values, select = question.by_hand, _SELECT.format("hand")
        match question.row:
            case "W2":
                return self._walked(*_seed(*values))
            case "W3":
                where, bound = _seed(*values)
                page = self._walked(where, bound)
                return lambda: (page(), self._one(f"SELECT count(*) FROM hand WHERE {where}", bound))
            case "W4a":
                return self._page(f"{select} WHERE owner = %s AND status = %s {_NEWEST}", *values)
            case "W4b":
                return self._page(f"{select} WHERE owner = %s AND status = 'completed' {_NEWEST} OFFSET %s", *values)
            case "W4c":
                owner, before = values
                where = "owner = %s AND status = 'completed' AND (created, seq) < (%s, %s)"
                return self._page(f"{select} WHERE {where} {_NEWEST}", owner, before.created, before.at + 1)
            case "W5":
                return self._page(_all_first("meta @> %s"), json.dumps({"author": {"name": values[0]}}))
            case "W6":
                return lambda: self._one("SELECT count(*) FROM hand WHERE (meta -> 'pages')::int >= %s", values)
            case "W7":
                return lambda: self._execute(f"SELECT {_COLUMNS} FROM hand WHERE id = %s", values).fetchone()[1]
            case "count_by" | "count_by n":
                key = values[0].removeprefix("metadata.")
                return lambda: dict(self._execute(f"SELECT meta -> '{key}', count(*) FROM hand GROUP BY 1").fetchall())
            case _:
                return None

    def _walked(self, where: str, values: Sequence[Any]) -> Callable[[], list[str]]:
        """Look at the newest rows first; if the page does not fill, find all matches and order them."""
        newest = "SELECT * FROM hand WHERE created >= %s ORDER BY created DESC, seq DESC LIMIT %s OFFSET 0"
        text = f"SELECT id, filename, meta FROM ({newest}) AS hand WHERE {where} {_NEWEST}"
        walk, rest = self._page(text, values[-1], self._bound, *values), self._page(_all_first(where), *values)

        def call() -> list[str]:
            found = walk()
            return found if len(found) == PAGE else rest()

        return call

    def _page(self, text: str, *values: Any) -> Callable[[], list[str]]:
        return lambda: [id for id, _, _ in self._execute(text, values).fetchall()]

    def _one(self, text: str, values: Sequence[Any]) -> Any:
        return self._execute(text, values).fetchone()[0]

    def clock(self) -> Clock:
        """Return the CPU seconds of this process and of the server's for clients."""
        return server_clock(self._connection)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _seed(category: str, tag: str, priority: int, department: str, since: int) -> tuple[str, tuple[Any, ...]]:
    """Return W2's condition and its values; the last is the lower bound of ``created``."""
    where = "meta @> %s AND ((meta -> 'priority')::int >= %s OR meta -> 'author' ->> 'department' = %s) AND created >= %s"
    return where, (json.dumps({"category": category, "tags": [tag]}), priority, department, since)


def _all_first(where: str) -> str:
    """Return the statement that finds all matches before it sorts them."""
    found = f"SELECT seq, created, id, filename, meta FROM hand WHERE {where}"
    return f"WITH found AS MATERIALIZED ({found}) SELECT id, filename, meta FROM found {_NEWEST}"


def database(server: str, name: str, *, fresh: bool) -> str:
    """Return the URL of a database of this name, created if need be."""
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        if fresh:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0'.encode())
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


def server_clock(connection: Any) -> Clock:
    """Return the CPU seconds of this process and of the server's processes for clients, as they are now.

    Where the server's cannot be read, it is this process' alone.
    """
    import time

    rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'").fetchall()
    files = [path for (pid,) in rows if (path := Path(f"/proc/{pid}/schedstat")).exists()]

    def clock() -> float:
        spent = sum(int(path.read_bytes().split()[0]) for path in files if path.exists())
        return time.process_time() + spent / 1e9

    return clock
