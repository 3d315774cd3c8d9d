"""``pooled=True`` behind PgBouncer in transaction mode: right, durable, and no trace in others' sessions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import psycopg
import pytest
import sqlalchemy as sa

import docstore
from docstore.testing.servers import PostgresServer
from docstore.testing.servers.postgres import PgBouncer

SETTINGS = (
    "synchronous_commit", "jit", "work_mem", "lock_timeout", "statement_timeout", "plan_cache_mode",
    "idle_in_transaction_session_timeout", "standard_conforming_strings", "gin_fuzzy_search_limit",
)  # fmt: skip


@pytest.fixture
def url(postgres_server: PostgresServer, postgres_url: str, transaction_pooler: PgBouncer) -> Iterator[str]:
    """An empty database whose role commits without waiting for the disk, through the pooler."""
    name = sa.make_url(postgres_url).database
    postgres_server.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    yield transaction_pooler.url(postgres_url)
    postgres_server.execute(f'ALTER DATABASE "{name}" RESET ALL')


def settings(connection: psycopg.Connection) -> list[str]:
    """Return what a session is set to."""
    found = []
    for name in SETTINGS:
        row = connection.execute(f"SHOW {name}".encode(), prepare=False).fetchone()
        assert row is not None
        found.append(str(row[0]))
    return found


def use(store: docstore.Store, rounds: int = 10) -> None:
    """Call much of what there is, in several threads at once."""
    failed: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            for n in range(rounds):
                made = store.documents.add(external_id=f"{thread}/{n % 3}", metadata={"n": n, "t": ["x"]})
                store.documents.add_many([{"metadata": {"n": n}, "content": "some words"} for _ in range(9)])
                store.documents.find({"metadata.t": "x"}, search="", sort="-metadata.n", total=True)
                store.documents.find({"metadata.n": {"$gte": 3}}, limit=3)
                store.documents.update(made.id, metadata={"seen": True})
                with suppress(docstore.LeaseLost, docstore.InvalidTransition):  # others claim, too
                    for claim in store.documents.claim(2):
                        claim.complete(content="text")
                    store.documents.complete(made.id, content="done")
                store.extractions.add(made.id, {"n": n})
                assert made.id == store.documents.get(made.id).id
                with store.transaction():
                    store.documents.add(metadata={})
        except docstore.DocstoreError as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert [] == failed


def test_the_settings_hold_in_every_block(url: str) -> None:
    """160 write blocks and as many reads, whichever session the pooler gives them."""
    with docstore.open(url, pooled=True, lock_timeout=7) as store:
        store.create_index("metadata.n")
        use(store)
        wanted = ["on", "off", "16MB", "7s", "5min", "auto", "10min", "on", "0"]
        for _ in range(160):
            with store._context.backend.write() as session:
                session.cursor.execute("SELECT " + ", ".join(f"current_setting('{n}')" for n in SETTINGS))
                assert wanted == list(session.cursor.fetchone())
            with store._context.backend.read() as session:
                session.cursor.execute("SELECT " + ", ".join(f"current_setting('{n}')" for n in SETTINGS))
                assert wanted == list(session.cursor.fetchone())
        assert store.check().ok


def test_others_find_nothing_of_ours(url: str) -> None:
    """Neither settings nor prepared statements in the sessions that another application is given."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        before = settings(connection)
    with docstore.open(url, pooled=True) as store:
        use(store)
        store.erase(tenant="nobody")
        for _ in range(12):
            with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
                assert before == settings(connection)
                found = connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
                assert (0,) == found


def test_an_engine_that_was_brought_may_lead_through_it(url: str) -> None:
    """Its connections go back as they came."""
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), pool_size=2)
    with docstore.open(engine, pooled=True) as store:
        use(store, rounds=2)
    with engine.connect() as connection:
        assert 5 == connection.connection.driver_connection.prepare_threshold  # type: ignore[union-attr]
    engine.dispose()


def test_without_the_option_the_error_names_it(url: str) -> None:
    """What a pooler does to prepared statements is told apart from other errors."""

    def read(store: docstore.Store) -> None:
        for n in range(20):  # more than it takes until a statement is prepared
            store.documents.find({"metadata.n": n % 7})
            store.documents.get("x", include={"content"})

    def read_beside(store: docstore.Store, others: ExitStack) -> None:
        for _ in range(12):  # other clients take the sessions where they may be prepared
            client = others.enter_context(psycopg.connect(url))
            client.execute("SELECT 1", prepare=False)
            read(store)

    docstore.open(url, pooled=True).close()
    with docstore.open(url) as store, ExitStack() as others:
        store.documents.add(id="x", metadata={})
        read(store)
        with pytest.raises(docstore.BackendError, match="pooled=True"):
            read_beside(store, others)
