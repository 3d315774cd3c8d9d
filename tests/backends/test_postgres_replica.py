"""Reads from a replica: what a store wrote it reads, wherever that is, and a replica may lag or be away."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa

import docstore
from docstore.testing.servers import PostgresServer


@pytest.fixture(scope="module")
def primary() -> Iterator[PostgresServer]:
    """A server that another follows."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="module")
def standby(primary: PostgresServer) -> Iterator[PostgresServer]:
    """The server that follows it."""
    with PostgresServer(standby_of=primary) as server:
        yield server


@pytest.fixture
def urls(primary: PostgresServer, standby: PostgresServer) -> Iterator[tuple[str, str]]:
    """The addresses of a database that is empty on both."""
    url = primary.create_database()
    name = sa.make_url(url).database
    assert name is not None
    docstore.open(url).close()
    follow(primary, standby)
    yield url, standby.url(name)
    primary.drop_database(url)


def follow(primary: PostgresServer, standby: PostgresServer) -> None:
    """Wait until the standby has all."""
    with (
        psycopg.connect(primary.url(), autocommit=True) as one,
        psycopg.connect(standby.url(), autocommit=True) as other,
    ):
        (place,) = one.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone() or ("",)
        for _ in range(1200):
            found = other.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (place,)).fetchone()
            if found == (True,):
                return
            threading.Event().wait(0.05)
    raise AssertionError("the standby does not follow")


def replaying(standby: PostgresServer, *, on: bool) -> None:
    """Have the standby go on replaying, or pause."""
    standby.execute(f"SELECT pg_wal_replay_{'resume' if on else 'pause'}()")


def reads(url: str) -> int:
    """Return how many rows of documents sessions of a server's database have read so far."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE query ~ 'docstore_document'"
            " AND pid <> pg_backend_pid() AND datname = current_database()"
        ).fetchone()
    assert found is not None
    return int(found[0])


def test_every_read_sees_what_was_written_before(
    urls: tuple[str, str], primary: PostgresServer, standby: PostgresServer
) -> None:
    """200 of 200, while the replica replays, lags and stands still; claims are among the writes."""
    with docstore.open(urls[0], replica=urls[1]) as store:
        for n in range(200):
            if n % 50 == 25:
                replaying(standby, on=n % 100 != 25)
            made = store.documents.add(metadata={"n": n})
            assert n == store.documents.get(made.id).metadata["n"]
            assert n + 1 == store.documents.count()
            if not n % 20:
                [claim] = store.documents.claim()
                assert "processing" == store.documents.get(claim.document.id).status
                store.extractions.add(made.id, {"n": n})
                assert 1 == store.extractions.count({"document_id": made.id})
                store.documents.add_many([{"metadata": {"many": n}}] * 9)
                assert 9 == len(list(store.documents.iterate({"metadata.many": n})))
                store.documents.delete_many({"metadata.many": n})
                with store.transaction():
                    store.documents.update(made.id, metadata={"t": True})
                assert store.documents.get(made.id).metadata["t"]
        replaying(standby, on=True)


def test_reads_go_to_the_replica_once_it_has_followed(
    urls: tuple[str, str], primary: PostgresServer, standby: PostgresServer
) -> None:
    """And to the primary until then, without a warning; what only the primary can do is done there."""
    with docstore.open(urls[0], replica=urls[1]) as store:
        store.documents.add_many([{"metadata": {"n": n}} for n in range(20)])
        follow(primary, standby)
        for _ in range(3):
            assert 20 == store.documents.count({"metadata.n": {"$gte": 0}})
        assert reads(urls[1]) == 1
        replaying(standby, on=False)
        try:
            store.documents.add(metadata={"n": 20})
            assert 21 == store.documents.count({"metadata.n": {"$gte": 0}})
            assert store.check().ok
            assert 1 == len(store.documents.claim())
            with psycopg.connect(urls[1], autocommit=True) as behind:
                assert (20,) == behind.execute("SELECT count(*) FROM docstore_document").fetchone()
        finally:
            replaying(standby, on=True)


def test_a_position_makes_another_store_see_what_was_written(
    urls: tuple[str, str], standby: PostgresServer
) -> None:
    """Handed in as text; it advances with each write, and stays while nothing is written."""
    with docstore.open(urls[0], replica=urls[1]) as one, docstore.open(urls[0], replica=urls[1]) as other:
        replaying(standby, on=False)
        try:
            assert 0 == other.documents.count()
            before = one.position
            assert before == one.position
            made = one.documents.add(metadata={})
            after = one.position
            assert after != before
            with pytest.raises(docstore.NotFound):
                other.documents.get(made.id)
            assert made.id == other.documents.get(made.id, at_least=after).id
            assert [made.id] == [item.id for item in other.documents.find()]  # seen once, seen ever after
            one.documents.claim()
            assert one.position != after
        finally:
            replaying(standby, on=True)


def test_a_position_of_a_plain_store_is_taken_everywhere(store: docstore.Store) -> None:
    """All backends have one, and every read takes it, blocking and not."""
    position = store.position
    store.documents.add(id="x", metadata={})
    documents = store.documents
    assert 1 == documents.count(at_least=position) == len(documents.find(at_least=position))
    assert documents.exists({"id": "x"}, at_least=position)
    assert (
        "x" == documents.get("x", at_least=position).id == documents.get_many(["x"], at_least=position)[0].id
    )
    assert "x" == next(documents.iterate(at_least=position)).id
    assert 1 == sum(documents.count_by("status", at_least=position).values())
    assert 0 == store.extractions.count(at_least=position)
    for bad in ("", "x", "0/", "0/0 OR 1", "0/fffffffff", 5, b"0/0"):
        with pytest.raises(ValueError, match="at_least"):
            documents.find(at_least=bad)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="at_least"):
            documents.get("x", at_least=bad)  # type: ignore[call-overload]


def test_the_asynchronous_store_has_positions(urls: tuple[str, str]) -> None:
    """By the same names, awaited."""

    async def run() -> None:
        async with docstore.open_async(urls[0], replica=urls[1]) as store:
            made = await store.documents.add(metadata={})
            position = await store.position
            assert made.id == (await store.documents.get(made.id, at_least=position)).id
            assert 1 == len(await store.documents.find(at_least=position))

    asyncio.run(run())


def test_a_replica_that_is_away_costs_a_warning_and_the_primary(
    urls: tuple[str, str], standby: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    """When opening, while open, and once; when it is back it is read again."""
    with docstore.open(urls[0], replica=urls[1]) as store:
        store.documents.add(metadata={})
        assert 1 == store.documents.count()
        standby.stop("immediate")
        try:
            caplog.clear()
            for n in range(2, 40):
                store.documents.add(metadata={})
                assert n == len(store.documents.find(limit=100))
            warnings = [one for one in caplog.records if one.levelno == logging.WARNING]
            assert 1 == len(warnings)
            assert "replica" in warnings[0].getMessage()
            with docstore.open(urls[0], replica=urls[1]) as opened:
                assert 39 == opened.documents.count()
        finally:
            standby.start()
        assert 39 == store.documents.count()
