"""What was erased is in no byte of the database: not in its tables, its indexes, its statistics, its log."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest

import docstore

TENANT, OWNER = "canarytenant", "canaryowner"
CANARIES = [
    TENANT, OWNER, "canaryword", "canarykey", "canaryvalue", "canaryfile", "canaryold", "canaryresult",
    "canarystatus", "canaryexternal",
]  # fmt: skip


def fill(store: docstore.Store, documents: int = 3) -> None:
    """Add documents of the tenant that will be erased, changed and with extractions, among others."""
    for number in range(documents):
        place = {"tenant": TENANT, "owner": OWNER}
        found = store.documents.add(
            f"bytes {number}".encode(),
            filename=f"canaryfile-{number}.txt",
            content=f"once a canaryold {number}",
            metadata={"canaryold": [number, "canaryold"]},
            external_id=f"canaryexternal{number}",
            status="pending",
            **place,
        )
        mine = store.scoped(**place)
        mine.documents.update(
            found.id,
            content=f"a canaryword {number}",
            metadata={"canarykey": {"canarykey": "canaryvalue"}, "canaryold": None},
        )
        mine.extractions.add(found.id, results={"canaryresult": "canaryresult", "n": number})
        mine.documents.fail(found.id, "canarystatus")
        store.documents.add(filename=f"kept-{number}.txt", content="a word", metadata={"n": number})


def sqlite_bytes(path: Path) -> bytes:
    """Return every byte of a database and its WAL, after a checkpoint."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*") if file.is_file())


@pytest.mark.parametrize("documents", [1, 40])
@pytest.mark.parametrize("scope", [{"tenant": TENANT}, {"owner": OWNER}, {"tenant": TENANT, "owner": OWNER}])
def test_no_byte_of_what_was_erased_is_left_in_sqlite(
    tmp_path: Path, scope: dict[str, str], documents: int
) -> None:
    """Promise 18: tables, change log, text index, path table, counters, free pages and WAL forget it."""
    path = tmp_path / "store.db"
    with docstore.open(f"sqlite:///{path}", blobs=tmp_path / "files") as store:
        fill(store, documents)
        assert [canary for canary in CANARIES if canary.encode() not in sqlite_bytes(path)] == []
        store.erase(**scope)
        store.collect(grace=0)
        left = sqlite_bytes(path)
        assert [canary for canary in CANARIES if canary.encode() in left] == []
        assert store.documents.count() == documents
        assert store.documents.count(search="word") == documents


def test_no_token_of_an_erased_document_is_left(tmp_path: Path) -> None:
    """The vocabulary of the text index is that of the documents which are there."""
    path = tmp_path / "store.db"
    with docstore.open(f"sqlite:///{path}") as store:
        for tenant, name, word in (("a", "qqq", "first"), ("b", "xxx", "second")):
            store.documents.add(filename=name, content=word, tenant=tenant)
        store.collect()  # folds
        store.erase(tenant="a")
    connection = sqlite3.connect(path)
    connection.execute("CREATE VIRTUAL TABLE words USING fts5vocab(docstore_text, 'row')")
    assert [row[0] for row in connection.execute("SELECT term FROM words")] == [
        "nxxx", "nxxz00000", "nxz00000z00000", "wsecond",
    ]  # fmt: skip
    connection.close()


def postgres_bytes(url: str) -> dict[str, bytes]:
    """Return every byte of the files of all tables and indexes in a database, and of its statistics."""
    found = {}
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        files = connection.execute(
            "SELECT relname, pg_relation_filepath(oid) FROM pg_class "
            "WHERE pg_relation_filepath(oid) IS NOT NULL"
        )
        for name, path in files.fetchall():
            ((held,),) = connection.execute("SELECT pg_read_binary_file(%s)", (path,)).fetchall()
            found[name] = bytes(held)
    return found


def left_in(found: dict[str, bytes]) -> list[tuple[str, str]]:
    """Return which canaries are in which tables and indexes."""
    return [(c, name) for c in CANARIES for name, held in found.items() if c.encode() in held]


@pytest.mark.parametrize("others", [False, True])
def test_no_byte_of_what_was_erased_is_left_in_postgres(
    postgres_store_url: str, tmp_path: Path, others: bool
) -> None:
    """Promise 18: no table, index or statistic keeps it, dead rows and free room included."""
    with docstore.open(postgres_store_url, blobs=tmp_path / "files") as store:
        fill(store, 30)
        if not others:
            store.documents.delete_many({"tenant": None})
        with psycopg.connect(postgres_store_url.replace("postgresql+psycopg", "postgresql")) as connection:
            connection.execute("ANALYZE")
        assert {canary for canary, _ in left_in(postgres_bytes(postgres_store_url))} == set(CANARIES)
        store.erase(tenant=TENANT)
        store.collect(grace=0)
        assert left_in(postgres_bytes(postgres_store_url)) == []
        assert store.documents.count() == (30 if others else 0)
