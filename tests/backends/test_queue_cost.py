"""Claims cost the same whatever is done, and batches of versions do not wait for each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

import docstore
from docstore import lifecycle
from docstore.backend import Query, Scope
from docstore.query.expr import And
from docstore.query.fields import DOCUMENTS
from tests.kit.forms import SOAK

"""The long form: 140,000 documents that are done."""


@pytest.fixture
def store(postgres_store_url: str) -> Iterator[docstore.Store]:
    """An empty store."""
    with docstore.open(postgres_store_url) as opened:
        yield opened


def buffers_of_a_claim(store: docstore.Store, scope: Scope) -> list[int]:
    """Return the buffers that each of a claim's two questions reads."""
    found = []
    with store._context.backend.write() as session:
        for kind in lifecycle.claimable(session.now()):
            query = Query(DOCUMENTS, scope, And((kind,)), lock="skip", limit=1)
            statement = session._queued(query)
            text = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement.text}"
            for _ in range(2):  # what others left to be tidied up is tidied up by the first
                session.cursor.execute(text, statement.values)
                [plan] = session.cursor.fetchone()[0]
            found.append(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])
    return found


def add_done(url: str, first: int, last: int, tenant: str) -> None:
    """Add documents that are done, before all that are pending, without the statistics noticing."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE docstore_document SET (autovacuum_enabled = off)")
        names = "version, is_latest, filename, content_type, file_type, attempts, metadata, filename_fold"
        connection.execute(
            f"INSERT INTO docstore_document (number, id, tenant, status, {names}, metadata_json, created_at,"
            " updated_at, first_created_at, revision) SELECT -i, 'd' || i, %s, 'completed', 1, true, 'x',"
            " 'x', 'other', 1, '{}', 'x', '{}', i, i, i, 1"
            " FROM generate_series(%s::bigint, %s::bigint) AS i".encode(),
            (tenant, first, last),
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
    for first, last in ((1, 50_000), (50_001, 140_000)) if SOAK else ((1, 20_000),):
        add_done(postgres_store_url, first, last, tenant or "")
        assert pytest.approx(before, abs=2) == buffers_of_a_claim(store, scope)
    assert [1] == [claim.document.number for claim in view.documents.claim()]


def test_a_claim_reads_the_same_whatever_others_hold(store: docstore.Store, postgres_store_url: str) -> None:
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
    with docstore.open("sqlite://") as store, store._context.backend.write() as session:
        for kind, index in zip(lifecycle.claimable(session.now()), ("queue", "lease"), strict=True):
            queued = session._queued(Query(DOCUMENTS, scope, kind, lock="skip", limit=1))
            first, *_ = session.plan_of(queued).splitlines()
            assert first.startswith(f"SEARCH d USING INDEX docstore_document_{index} ")


def chains(prefix: str, number: int) -> list[dict[str, object]]:
    """Return documents that begin as many chains."""
    return [{"external_id": f"{prefix}{n}", "metadata": {}} for n in range(number)]


def test_batches_of_chains_do_not_wait_for_each_other(postgres_store_url: str) -> None:
    """Two open transactions add 500 chains each, begun by them or there before."""
    with docstore.open(postgres_store_url, lock_timeout=10) as store:
        store.documents.add_many([*chains("a", 250), *chains("b", 250)])
        with store.transaction():
            assert 500 == store.documents.add_many([*chains("a", 250), *chains("c", 250)]).added
            elsewhere = []

            def add() -> None:
                elsewhere.append(store.documents.add_many([*chains("b", 250), *chains("d", 250)]).added)

            thread = threading.Thread(target=add)
            thread.start()
            thread.join()
            assert [500] == elsewhere
        assert {2: 500, 1: 1000} == {
            version: store.documents.count({"version": version}, latest_only=False) for version in (2, 1)
        }
        assert 1000 == store.documents.count()


def test_another_tenants_chains_of_the_same_names_are_not_waited_for(postgres_store_url: str) -> None:
    """Nor another owner's."""
    with docstore.open(postgres_store_url, lock_timeout=10) as store:
        views = [store.scoped(tenant="a"), store.scoped(tenant="b"), store.scoped(tenant="a", owner="o")]
        for view in views:
            view.documents.add_many(chains("x", 20))
        with store.transaction():
            views[0].documents.add_many(chains("x", 20))
            thread = threading.Thread(
                target=lambda: [view.documents.add_many(chains("x", 20)) for view in views[1:]]
            )
            thread.start()
            thread.join()
            assert 20 == views[1].documents.count({"version": 2})
        second = [{"version": 2, "owner": view._scope.owner} for view in views]
        assert [20] * 3 == [view.documents.count(one) for view, one in zip(views, second, strict=True)]


def test_a_batch_of_chains_takes_few_statements(
    postgres_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New chains are looked for twice, and no lock is taken for each."""
    executed: list[object] = []
    execute = psycopg.Cursor.execute

    def recording(self: object, query: object, *arguments: object, **keywords: object) -> object:
        executed.append(query)
        return execute(self, query, *arguments, **keywords)  # type: ignore[call-arg, arg-type]

    with docstore.open(postgres_store_url) as store:
        store.documents.add_many(chains("warm", 10))
        monkeypatch.setattr(psycopg.Cursor, "execute", recording)
        store.documents.add_many(chains("x", 500))
    assert len(executed) < 20, executed


def test_many_writers_of_one_chain_make_one_chain(postgres_store_url: str) -> None:
    """Each version once, in a row, and one of them the latest, deletions of the latest among them."""
    failed: list[BaseException] = []
    with docstore.open(postgres_store_url) as store:

        def write() -> None:
            try:
                for n in range(6):
                    made = store.documents.add(external_id="hot", metadata={})
                    if n % 3 == 2:
                        store.documents.delete(made.id)
            except docstore.DocstoreError as error:
                failed.append(error)

        threads = [threading.Thread(target=write) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [] == failed
        versions = store.documents.versions("hot")
        assert 24 == len(versions) == len({one.version for one in versions})
        assert [versions[-1].id] == [one.id for one in versions if one.is_latest]


def test_an_update_of_what_no_index_holds_writes_to_no_index(
    store: docstore.Store, postgres_store_url: str
) -> None:
    """Its new row stands beside the old one (HOT): of errors, notes and instants of processing."""
    ids = store.documents.add_many([{"metadata": {"n": n}} for n in range(100)]).ids
    with psycopg.connect(postgres_store_url, autocommit=True) as connection:

        def updated() -> tuple[int, int]:
            with store._context.backend.read() as session:
                session.cursor.execute("SELECT pg_stat_force_next_flush()")
            counts = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables"
            found = connection.execute(f"{counts} WHERE relname = 'docstore_document'".encode()).fetchone()
            assert found is not None
            return int(found[0]), int(found[1])

        before = updated()
        for id in ids[:50]:
            store.documents.update(id, error="one", content_note="another")
        after = updated()
    assert 50 == after[0] - before[0]
    assert 40 <= after[1] - before[1]
