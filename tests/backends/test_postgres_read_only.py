"""Postgres where nothing may be written: a standby, a role with SELECT alone, settings that say so."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import psycopg
import pytest
from docstore_postgres.connections import translated

import docstore
from docstore.testing.servers import PostgresServer


def _fill(url: str) -> None:
    with docstore.open(url) as store:
        document = store.documents.add(filename="a.txt", content="some words", metadata={"a": 1})
        store.extractions.add(document.id, {"b": 2})


def _read(store: docstore.Store) -> list[int]:
    """Ask in several ways, and return how many documents each found; then try to write."""
    found = [
        store.documents.count(),
        len(store.documents.find({"metadata.a": {"$gte": 0}}, search="words", sort="metadata.a").items),
        len(list(store.documents.iterate(include={"content"}))),
        sum(store.documents.count_by("metadata.a").values()),
        store.extractions.find({"results.b": 2}, total=True).total or 0,
        store.stats().documents,
    ]
    assert store.check().ok
    for write in (
        lambda: store.documents.add(filename="a", content="b"),
        lambda: store.documents.claim(),
        lambda: store.collect(0),
        lambda: store.create_index("metadata.a"),
    ):
        with pytest.raises(docstore.ReadOnlyStore):
            write()
    return found


def _with_user(url: str, user: str) -> str:
    return url.replace("postgres@", f"{user}@", 1)


def test_read_only_may_be_said(postgres_url: str) -> None:
    """Of a role that may do everything; nothing is made where there is no store."""
    with pytest.raises(docstore.UpgradeNeeded):
        docstore.open(postgres_url, read_only=True)
    _fill(postgres_url)
    with docstore.open(postgres_url, read_only=True) as store:
        assert _read(store) == [1] * 6


def test_a_role_that_may_only_select(postgres_url: str) -> None:
    """It is found out, and the error names the role; GRANT SELECT on the tables is all that it needs."""
    _fill(postgres_url)
    role = f"reader_{urlsplit(postgres_url).path.strip('/')[-8:]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN".encode())
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        connection.execute(f"GRANT USAGE ON SCHEMA public TO {role}".encode())
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}".encode())
    try:
        with docstore.open(_with_user(postgres_url, role)) as store:
            with pytest.raises(docstore.ReadOnlyStore, match=f"{role} may only read"):
                store.documents.delete_many({})
            assert _read(store) == [1] * 6
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


def test_a_database_that_is_set_to_be_read(postgres_url: str) -> None:
    """default_transaction_read_only of the database is found out."""
    _fill(postgres_url)
    name = urlsplit(postgres_url).path.strip("/")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'.encode())
        try:
            with docstore.open(postgres_url) as store:
                assert _read(store) == [1] * 6
        finally:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only'.encode())


def test_what_a_server_says_that_became_a_standby() -> None:
    """The write that meets it is ReadOnlyStore."""
    said = psycopg.errors.ReadOnlySqlTransaction("cannot execute INSERT in a read-only transaction")
    assert isinstance(translated(said), docstore.ReadOnlyStore)


def test_a_standby(postgres_url: str, postgres_standby: PostgresServer) -> None:
    """It is found out; every read works, every write is refused, nothing is made where there is no store."""
    name = urlsplit(postgres_url).path.strip("/")
    _fill(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as primary:
        written = primary.execute("SELECT pg_current_wal_flush_lsn()::text").fetchone()
    with psycopg.connect(postgres_standby.url(), autocommit=True) as standby:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            done = standby.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", written).fetchone()
            if done == (True,):
                break
            time.sleep(0.02)
    for said in (False, True):
        with docstore.open(postgres_standby.url(name), read_only=said) as store:
            assert _read(store) == [1] * 6
    store = docstore.open(postgres_standby.url(name))
    with store, pytest.raises(docstore.ReadOnlyStore, match="is a standby"):
        store.documents.add(filename="a", content="b")
    with pytest.raises(docstore.UpgradeNeeded):
        docstore.open(postgres_standby.url("postgres"))
