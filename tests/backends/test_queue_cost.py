"""Claims cost the same whatever is done, and batches of versions do not wait for each other."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest

import docstore
from docstore.backend import Query, Scope
from docstore.lifecycle import claims
from docstore.query.expr import And
from docstore.query.fields import DOCUMENTS


@pytest.fixture
def store(postgres_store_url: str) -> Iterator[docstore.Store]:
    """An empty store."""
    with docstore.open(postgres_store_url) as opened:
        yield opened


def buffers_of_a_claim(store: docstore.Store, scope: Scope) -> list[int]:
    """Return the buffers that each of a claim's two questions reads."""
    found = []
    with store._root.backend.write() as session:
        for kind in claims.claimable(session.now()):
            query = Query(DOCUMENTS, scope, And((kind,)), lock="skip", limit=1)
            statement = session._queued(query)
            text = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement.text}"
            for _ in range(2):  # what others left to be tidied up is tidied up by the first
                session.cursor.execute(text, statement.values)
                [plan] = session.cursor.fetchone()[0]
            found.append(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])
    return found


def add_done(url: str, number: int, tenant: str) -> None:
    """Add documents that are done, before all that are pending, without the statistics noticing."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE docstore_document SET (autovacuum_enabled = off)")
        names = "version, is_latest, filename, content_type, file_type, attempts, metadata, filename_fold"
        connection.execute(
            f"INSERT INTO docstore_document (number, id, tenant, status, {names}, metadata_json, created_at,"
            " updated_at, first_created_at, revision) SELECT -i, 'd' || i, %s, 'completed', 1, true, 'x',"
            " 'x', 'other', 1, '{}', 'x', '{}', i, i, i, 1 FROM generate_series(1, %s) AS i".encode(),
            (tenant, number),
        )


@pytest.mark.parametrize("tenant", [None, "t"])
def test_a_claim_reads_the_same_whatever_is_done(
    store: docstore.Store, postgres_store_url: str, tenant: str | None
) -> None:
    """Though the planner still believes that all documents are pending."""
    view = store if tenant is None else store.scoped(tenant=tenant)
    view.documents.add_many([{"metadata": {"n": n}} for n in range(30)])
    with psycopg.connect(postgres_store_url, autocommit=True) as connection:
        connection.execute("ANALYZE docstore_document")
    scope = Scope(tenant)
    before = buffers_of_a_claim(store, scope)
    add_done(postgres_store_url, 20_000, tenant or "")
    after = buffers_of_a_claim(store, scope)
    assert after == pytest.approx(before, abs=2)
    assert [1] == [claim.document.number for claim in view.documents.claim()]


def test_a_claim_reads_the_same_whatever_others_hold(
    store: docstore.Store, postgres_store_url: str
) -> None:
    """Of leases only those that ended are looked at."""
    store.documents.add_many([{"metadata": {"n": n}} for n in range(1_000)])
    before = buffers_of_a_claim(store, Scope())[1]
    for _ in range(2):
        assert 450 == len(store.documents.claim(450, lease=600))
    with psycopg.connect(postgres_store_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE docstore_document")
    assert buffers_of_a_claim(store, Scope())[1] <= before + 2


def test_documents_whose_lease_ended_come_in_the_order_of_their_numbers(store: docstore.Store) -> None:
    """Together with those that are pending, filters and scopes applied to both."""
    store.documents.add_many([{"metadata": {"n": n}, "tenant": "ab"[n % 2]} for n in range(10)])
    held = store.documents.claim(5, lease=0.01)
    assert [1, 2, 3, 4, 5] == [claim.document.number for claim in held]
    time.sleep(0.02)
    again = store.scoped(tenant="a").documents.claim(10, filter={"metadata.n": {"$gte": 2}})
    assert [3, 5, 7, 9] == [claim.document.number for claim in again]
    left = store.documents.claim(10)
    assert [1, 2, 4, 6, 8, 10] == [claim.document.number for claim in left]


@pytest.mark.parametrize("scope", [Scope(), Scope("t"), Scope("t", "o")])
def test_on_sqlite_a_claim_goes_by_the_indexes_of_what_may_be_claimed(scope: Scope) -> None:
    """Never over the documents by number, whatever the statistics say."""
    with docstore.open("sqlite://") as store, store._root.backend.write() as session:
        for kind, index in zip(claims.claimable(session.now()), ("queue", "lease"), strict=True):
            queued = session._queued(Query(DOCUMENTS, scope, kind, lock="skip", limit=1))
            first, *_ = session.plan_of(queued).splitlines()
            assert first.startswith(f"SEARCH d USING INDEX docstore_document_{index} ")
