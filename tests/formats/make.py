"""Make the files of the present format that later versions must be able to open: run it once a format.

``python tests/formats/make.py`` writes, beside itself, ``sqlite-N.sqlite3`` and ``postgres-N.sql`` (N is the
format), a folder of bytes for each, and ``expected-N.jsonl``: what is in them, as an export. Files of a
released format are never made again; before a release they are, whenever tables change.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from docstore_sql.migrations import newest

import docstore
from docstore.testing.servers import PostgresServer
from docstore.testing.servers.postgres import postgres_binaries
from docstore.transfer import export_lines, import_lines

FOLDER = Path(__file__).parent
TIME = "2026-01-0{}T12:00:00.00000{}Z"


def fill(store: docstore.Store) -> None:
    """Add a little of everything that a table or an index can hold."""
    for n in range(1, 4):
        store.documents.add(
            b"version %d" % n, id=f"chain-{n}", filename="Chain.TXT", external_id="chain", tenant="t",
            owner="o", metadata={"n": n, "tags": ["a", {"b": [n, None, 1.5]}], "a.b": {"": "é"}},
            created_at=TIME.format(n, n), content=f"Grüße Nummer {n}, 日本語",
        )  # fmt: skip
    store.documents.add(b"", id="empty", filename="empty", metadata={"big": 2**62, "float": 1e16})
    store.documents.add(id="bare", filename="../bare", size=5, sha256="a" * 64, tenant="u")
    store.documents.fail(store.documents.add(id="failed", filename="failed.pdf").id, "no text")
    store.documents.add(id="claimed", filename="claimed")
    store.documents.claim(filter={"id": "claimed"}, worker="w", lease=1.0)
    store.documents.add(b"gone", id="gone", filename="gone")
    store.documents.delete("gone")
    store.extractions.add(
        "chain-1", {"total": 1.0}, id="e", confidence_scores={"total": 50.0}, review_below=80
    )
    store.extractions.review("e", {"total": 2}, reviewed_by="ann", reviewed_at=TIME.format(9, 9))


def make(url: str, name: str) -> None:
    """Fill a store whose bytes go to a folder beside this file."""
    files = FOLDER / f"{name}-{newest()}-files"
    shutil.rmtree(files, ignore_errors=True)
    with docstore.open(url, blobs=files) as store:
        fill(store)


def make_sqlite(expected: Path) -> None:
    """Write the SQLite file, and the export of what is in it."""
    file = FOLDER / f"sqlite-{newest()}.sqlite3"
    for path in FOLDER.glob(f"{file.name}*"):
        path.unlink()
    make(f"sqlite:///{file}", "sqlite")
    files = FOLDER / f"sqlite-{newest()}-files"
    with docstore.open(f"sqlite:///{file}", blobs=files) as store, expected.open("wb") as lines:
        export_lines(store, lines)
    engine = sa.create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
        connection.exec_driver_sql("VACUUM")
    engine.dispose()
    Path(f"{file}-lock").unlink(missing_ok=True)


def make_postgres(expected: Path) -> None:
    """Write the SQL dump of a store that holds just what the SQLite file does."""
    files = FOLDER / f"postgres-{newest()}-files"
    shutil.rmtree(files, ignore_errors=True)
    with PostgresServer() as server:
        url = server.create_database()
        with docstore.open(url, blobs=files) as store, expected.open("rb") as exported:
            import_lines(store, exported)
        dumped: Any = subprocess.run(
            [postgres_binaries() / "pg_dump", "--inserts", "--no-owner", url], check=True, capture_output=True
        )
    lines = [line for line in dumped.stdout.decode().splitlines() if not line.startswith(("\\", "--"))]
    (FOLDER / f"postgres-{newest()}.sql").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    wanted = FOLDER / f"expected-{newest()}.jsonl"
    make_sqlite(wanted)
    make_postgres(wanted)
