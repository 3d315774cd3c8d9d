"""What one would write by hand on Postgres: one table with ``jsonb``, a GIN index and b-trees, and the best query of each workload.

``bounded walk`` looks at the newest rows first and goes to the index only if the page does not fill; ``GIN`` goes to the index
first; ``planner`` is the plain statement, and what Postgres makes of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

from benchmarks.corpus import Doc, content_of
from benchmarks.measure import Clock, cpu_clock
from benchmarks.oracle import PAGE, Truth
from benchmarks.workloads import HALF, Workload

__all__ = [
    "build",
    "copy_hand",
    "database",
    "insert_one",
    "is_built",
    "prepare",
    "references",
    "server_clock",
]

Reference = Callable[[], Any]
TABLE = (
    "(seq bigint NOT NULL PRIMARY KEY, id text NOT NULL UNIQUE, filename text NOT NULL, owner text, status text,"
    " created bigint NOT NULL, meta jsonb NOT NULL, content text)"
)
COLUMNS = "seq, id, filename, owner, status, created, meta, content"
INDEXES = (
    "CREATE INDEX hand_created ON hand (created, seq)",
    "CREATE INDEX hand_owned ON hand (owner, status, created, seq)",
    "CREATE INDEX hand_meta ON hand USING gin (meta jsonb_path_ops)",
)
_SELECT = "SELECT filename, meta FROM hand"
_NEWEST = "ORDER BY created DESC, seq DESC LIMIT 10"
_OWNED = "owner = 'owner-03' AND status = 'completed'"
_SEED_GIN = """meta @> '{"category": "finance", "tags": ["important"]}'"""
_SEED_OR = "((meta -> 'priority')::int >= 8 OR meta -> 'author' ->> 'department' = 'audit')"
_SEED = f"{_SEED_GIN} AND {_SEED_OR} AND created >= %s"


def database(server: str, name: str, *, fresh: bool) -> str:
    """Return the URL of a database of this name, created if need be."""
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        if fresh:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0'.encode())
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))


def is_built(connection: Any) -> bool:
    """Say whether the table stands."""
    return connection.execute("SELECT to_regclass('hand_owned')").fetchone()[0] is not None


def build(connection: Any, docs: Iterator[Doc], content: bool) -> None:
    """Make the table and its indexes, the rows copied first, and gather statistics of all there is."""
    connection.execute("DROP TABLE IF EXISTS hand")
    connection.execute(f"CREATE TABLE hand {TABLE}")
    copy_hand(connection, docs, content)
    for statement in INDEXES:
        connection.execute(statement)
    connection.execute("VACUUM ANALYZE")


def values(doc: Doc, content: bool = False) -> tuple[Any, ...]:
    """Return the columns of a document."""
    meta = json.dumps(doc.metadata, ensure_ascii=False, separators=(",", ":"))
    return (
        doc.at + 1,
        str(uuid4()),
        doc.filename,
        doc.owner,
        doc.status,
        doc.created,
        meta,
        content_of(doc) if content else None,
    )


def copy_hand(connection: Any, docs: Iterator[Doc], content: bool = False) -> None:
    """Copy documents into the table."""
    with connection.cursor().copy(f"COPY hand ({COLUMNS}) FROM STDIN") as copy:
        for doc in docs:
            copy.write_row(values(doc, content))


def insert_one(connection: Any, doc: Doc) -> None:
    """Insert one document, which is committed at once."""
    connection.execute(f"INSERT INTO hand ({COLUMNS}) VALUES ({', '.join(['%s'] * 8)})", values(doc))


def prepare(connection: Any) -> None:
    """Set a connection up: prepared statements from the second call on."""
    connection.prepare_threshold = 1


def server_clock(connection: Any) -> Clock:
    """Return the CPU seconds of this thread and of the server's processes for clients; this thread's alone if they cannot be read."""
    rows = connection.execute(
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
    ).fetchall()
    files = [path for (pid,) in rows if (path := Path(f"/proc/{pid}/schedstat")).exists()]

    def clock() -> float:
        spent = 0
        for path in files:
            spent += int(path.read_bytes().split()[0])
        return cpu_clock() + spent / 1e9

    return clock


def references(work: Workload, hands: dict[str, Any], truth: Truth) -> dict[str, Reference]:
    """Return the hand-written calls for a workload."""
    hand = hands["hand"]
    size = hand.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = 'hand'::regclass").fetchone()[0]
    bound = math.isqrt(PAGE * max(size, 1)) + PAGE
    match work.name:
        case "W2":
            return {
                "bounded walk": _walked(hand, _SEED, bound, HALF),
                "GIN": _page(hand, _first(_SEED), HALF),
                "planner": _page(hand, f"{_SELECT} WHERE {_SEED} {_NEWEST}", HALF),
            }
        case "W3":
            count = _one(hand, f"SELECT count(*) FROM hand WHERE {_SEED}", HALF)
            page = _walked(hand, _SEED, bound, HALF)
            return {"GIN": lambda: (page(), count())}
        case "W4a":
            return {"btree": _page(hand, f"{_SELECT} WHERE {_OWNED} {_NEWEST}")}
        case "W4b":
            return {"btree": _page(hand, f"{_SELECT} WHERE {_OWNED} {_NEWEST} OFFSET %s", truth.depth)}
        case "W4c":
            found = hand.execute(
                f"SELECT created, seq FROM hand WHERE {_OWNED} {_NEWEST} OFFSET %s", (truth.depth - 1,)
            ).fetchone()
            return {
                "btree": _page(
                    hand, f"{_SELECT} WHERE {_OWNED} AND (created, seq) < (%s, %s) {_NEWEST}", *found
                )
            }
        case "W5":
            where = """meta @> '{"author": {"name": "author-04242"}}'"""
            return {
                "GIN": _page(hand, _first(where)),
                "planner": _page(hand, f"{_SELECT} WHERE {where} {_NEWEST}"),
            }
        case "W6":
            return {"planner": _one(hand, "SELECT count(*) FROM hand WHERE (meta -> 'priority')::int >= 6")}
        case "W7":
            id = hand.execute("SELECT id FROM hand WHERE seq = 4242").fetchone()[0]
            return {
                "by id": lambda: _record(
                    hand.execute(f"SELECT {COLUMNS} FROM hand WHERE id = %s", (id,)).fetchone()
                )
            }
        case "W8a" | "W8b":
            where = "(strpos(lower(content), %s) > 0 OR strpos(filename, %s) > 0)"
            return {"planner": _page(hand, f"{_SELECT} WHERE {where} {_NEWEST}", work.search, work.search)}
        case "W9a" | "W9b" | "W9c" | "W9d":
            pattern = {"W9a": "%report%", "W9b": "%-0004242.%", "W9c": "%.pdf", "W9d": "%-000424_.%"}[
                work.name
            ]
            return {"planner": _page(hand, f"{_SELECT} WHERE filename LIKE %s {_NEWEST}", pattern)}
        case _:
            return {}


def _first(where: str) -> str:
    """Return the statement that finds all matches before it sorts them."""
    found = f"SELECT seq, created, filename, meta FROM hand WHERE {where}"
    return f"WITH found AS MATERIALIZED ({found}) SELECT filename, meta FROM found {_NEWEST}"


def _walked(hand: Any, where: str, bound: int, *values: Any) -> Reference:
    """Look at the newest ``bound`` rows; if the page does not fill, find all matches."""
    newest = "SELECT * FROM hand WHERE created >= %s ORDER BY created DESC, seq DESC LIMIT %s OFFSET 0"
    walk = _page(
        hand,
        f"SELECT filename, meta FROM ({newest}) AS hand WHERE {where} {_NEWEST}",
        *values,
        bound,
        *values,
    )
    rest = _page(hand, _first(where), *values)

    def call() -> Any:
        found = walk()
        return found if len(found) == PAGE else rest()

    return call


def _page(hand: Any, text: str, *bound: Any) -> Reference:
    def call() -> list[str]:
        return [filename for filename, _ in hand.execute(text, bound).fetchall()]

    return call


def _one(hand: Any, text: str, *bound: Any) -> Reference:
    return lambda: hand.execute(text, bound).fetchone()[0]


def _record(row: tuple[Any, ...]) -> str:
    record = dict(zip(COLUMNS.split(", "), row, strict=True))
    filename: str = record["filename"]
    return filename
