"""Stores that earlier versions wrote are opened, upgraded, and hold what they held."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import psycopg
import pytest
from docstore_sql.migrations import OLDEST, newest

import docstore
from docstore.transfer import export_lines

FOLDER = Path(__file__).parent
FORMATS = range(OLDEST, newest() + 1)


def exported(store: docstore.Store) -> list[bytes]:
    """Return the lines of an export."""
    file = io.BytesIO()
    export_lines(store, file)
    return file.getvalue().splitlines()


@pytest.fixture(params=[(name, at) for at in FORMATS for name in ("sqlite", "postgres")], ids=str)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[int, str, Path]:
    """A copy of a kept store: its format, its URL and the folder of its bytes."""
    name, at = request.param
    files = tmp_path / "files"
    shutil.copytree(FOLDER / f"{name}-{at}-files", files)
    if name == "sqlite":
        shutil.copy(FOLDER / f"sqlite-{at}.sqlite3", tmp_path / "kept.db")
        return at, f"sqlite:///{tmp_path / 'kept.db'}", files
    url = str(request.getfixturevalue("postgres_url"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute((FOLDER / f"postgres-{at}.sql").read_bytes())
    return at, url, files


def test_a_kept_store_holds_what_it_held(kept: tuple[int, str, Path]) -> None:
    """Every field and byte, by the export that was made with it; nothing is damaged, indexes included."""
    at, url, files = kept
    with docstore.open(url, blobs=files) as store:
        assert (FOLDER / f"expected-{at}.jsonl").read_bytes().splitlines() == exported(store)
        assert [] == [one for one in store.check("hash").findings if one.kind != "stale_dead"]


def test_a_kept_store_works(kept: tuple[int, str, Path]) -> None:
    """It is filtered, searched, counted, claimed from and written to as any other."""
    _, url, files = kept
    with docstore.open(url, blobs=files) as store:
        find = store.documents.find
        assert ["chain-3"] == [one.id for one in find({"metadata.tags.b": 1.5}, search="grüsse 日")]
        assert ["empty"] == [one.id for one in find({"metadata.big": {"$gt": 2**61}})]
        assert {"pending": 2, "completed": 3, "processing": 1, "failed": 1} == store.documents.count_by(
            "status", latest_only=False
        )
        assert ["claimed"] == [claim.document.id for claim in store.documents.claim(filter={"attempts": 1})]
        assert (
            4
            == store.scoped(tenant="t", owner="o")
            .documents.add(b"4", external_id="chain", filename="4")
            .version
        )
        before = store.documents.get("chain-1", include={"content"})
        after = store.documents.update("chain-1", metadata={"n": 10}, if_revision=before.revision)
        assert [after.id] == [one.id for one in find({"metadata.n": 10}, latest_only=False)]
        assert store.extractions.get("e").is_reviewed
        store.collect(0)
        assert store.check("hash").ok
