"""``partitions=``: the same answers from hash partitions by tenant, and scoped reads look in one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from docstore_postgres import open_backend

import docstore
from docstore.query.fields import DOCUMENTS
from docstore.testing.conformance.rows import fill
from docstore.testing.strategies import Ask, RandomChooser
from docstore.testing.strategies.asks import ask
from docstore.testing.strategies.worlds import world
from tests.kit.forms import either, pairs

TENANTS = ["a", "b", "c", "d", "e", None]
FILTERS: list[dict[str, Any]] = [
    {"metadata.n": 3}, {"metadata.n": {"$gte": 5}}, {"metadata.t": {"$in": ["x", "y"]}},
    {"status": "pending"},
    {"metadata.n": {"$ne": 2}}, {"filename": {"$startsWith": "f1"}}, {"metadata.missing": {"$exists": False}},
    {"$or": [{"metadata.n": 1}, {"owner": "o"}]}, {"metadata.s": {"$regex": "^v[0-3]"}}, {},
]  # fmt: skip
SORTS = ["-created_at", "number", "metadata.n", ["-metadata.s", "filename"]]


@pytest.fixture(params=["partitions", "distributed"])
def stores(
    request: pytest.FixtureRequest, postgres_url: str
) -> Iterator[tuple[docstore.Store, docstore.Store]]:
    """The same documents in 8 partitions and in none; asked as partitions, and as Citus is."""
    docstore.open(postgres_url, partitions=8).close()
    if request.param == "distributed":
        distributed(postgres_url)
    with (
        docstore.open(postgres_url) as parted,
        docstore.open(postgres_url, table_prefix="plain_") as plain,
    ):
        chance = random.Random(1)
        rows = [
            {
                "id": f"d{n}", "tenant": chance.choice(TENANTS), "owner": chance.choice(["o", None]),
                "filename": f"f{n}.txt", "external_id": f"e{n % 40}",
                "created_at": f"2024-01-01T00:{n % 60:02}:00Z",
                "metadata": {"n": n % 9, "t": [chance.choice("xyz")], "s": f"v{n % 13}"},
                "content": f"common word{n % 11}" if n % 3 else None,
            }
            for n in range(300)
        ]  # fmt: skip
        for store in (parted, plain):
            store.documents.add_many(rows)
            for n in range(0, 300, 7):
                view = store if rows[n]["tenant"] is None else store.scoped(tenant=str(rows[n]["tenant"]))
                view.extractions.add(f"d{n}", {"n": n}, id=f"x{n}")
        yield parted, plain


def distributed(url: str) -> None:
    """Let a store's tables be in the catalogue that Citus has."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE pg_dist_partition (logicalrelid regclass)")
        connection.execute("INSERT INTO pg_dist_partition VALUES ('docstore_document')")


def answers(store: docstore.Store, filter: dict[str, Any], sort: Any, search: str | None) -> list[object]:
    """Return what a store says of a question."""
    page = store.documents.find(filter, search=search, sort=sort, limit=20, total=True)
    rest = store.documents.find(filter, search=search, sort=sort, limit=20, cursor=page.next_cursor)
    return [
        [one.id for one in page], page.total, [one.id for one in rest] if page.next_cursor else None,
        store.documents.count(filter, search=search), dict(store.documents.count_by("metadata.n", filter)),
        sorted(one.id for one in store.extractions.iterate()),
    ]  # fmt: skip


def test_answers_are_those_of_tables_that_are_one(stores: tuple[docstore.Store, docstore.Store]) -> None:
    """Scoped and not, by each filter, sort and search."""
    parted, plain = stores
    for filter, sort, search in pairs(FILTERS, SORTS, (None, "word3", "common -word1")):
        tenant = random.Random(f"{filter}{sort}{search}").choice(TENANTS)
        pair = (parted, plain) if tenant is None else (
            parted.scoped(tenant=tenant), plain.scoped(tenant=tenant)
        )  # fmt: skip
        assert answers(pair[0], filter, sort, search) == answers(pair[1], filter, sort, search)


def test_a_tenants_generated_questions_have_the_answers_of_one_table(postgres_url: str) -> None:
    """60 of them, in the long form 2,000: filters, searches, sorts and windows drawn from the records."""
    wanted = either(60, 2_000)
    asked = 0
    parted, plain = open_backend(postgres_url, partitions=8), open_backend(postgres_url, table_prefix="one_")
    with docstore.open(parted) as store, docstore.open(plain) as other:
        for seed in range(10_000):
            choose = RandomChooser(seed)
            made = world(choose, DOCUMENTS, size=12)
            tenants = sorted({row["tenant"] for row in made.rows if row["tenant"]})
            if not tenants:
                continue
            fill(parted, made)
            fill(plain, made)
            for _ in range(20):
                question, tenant = ask(choose, made), choose.pick(tenants)
                asked += 1
                pair = (told(one.scoped(tenant=tenant), question) for one in (store, other))
                assert next(pair) == next(pair), (seed, tenant, question)
            if asked >= wanted:
                return


def told(view: docstore.Store, question: Ask) -> object:
    """Return what a view answers to a generated question, or how it refuses it."""
    where = {"filter": question.filter, "search": question.search, "latest_only": question.latest_only}
    window = {"sort": list(question.sort), "limit": question.limit, "offset": question.offset}
    try:
        page = view.documents.find(**where, **window, total=True)
        return [one.id for one in page], page.total, view.documents.count(**where)
    except docstore.FilterError as refused:
        return type(refused)


def test_writing_works_in_partitions(postgres_url: str) -> None:
    """Versions, claims, updates, deletions, extractions and declared indexes."""
    with docstore.open(postgres_url, partitions=4) as store:
        for tenant in ("a", "b", "c"):
            view = store.scoped(tenant=tenant)
            first = view.documents.add(external_id="e", metadata={"n": 1})
            second = view.documents.add(external_id="e", metadata={"n": 2}, content="text")
            assert (2, False) == (second.version, view.documents.get(first.id).is_latest)
            [claim] = view.documents.claim(2)
            claim.complete(content="words")
            view.extractions.add(first.id, {"a": 1})
            assert 2 == view.documents.update_many({}, metadata={"seen": True})
            view.documents.delete(second.id)
            assert view.documents.get(first.id).is_latest
        assert store.create_index("metadata.n")
        assert 3 == len(store.documents.find(sort="metadata.n"))
        assert store.check().ok
        assert 3 == store.documents.delete_many({})


def test_a_store_keeps_its_partitions(postgres_url: str) -> None:
    """It is found out what it has; another number is refused by name, and so is a wrong one."""
    docstore.open(postgres_url, partitions=2).close()
    docstore.open(postgres_url, partitions=2).close()
    with docstore.open(postgres_url) as store:
        assert 2 == store._context.backend.tables.partitions
    with pytest.raises(docstore.BackendError, match="in 2 partitions"):
        docstore.open(postgres_url, partitions=4)
    docstore.open(postgres_url, table_prefix="plain_").close()
    with pytest.raises(docstore.BackendError, match="in no partitions"):
        docstore.open(postgres_url, table_prefix="plain_", partitions=4)
    for wrong in (0, -1, 1025, 2.0, "4", True):
        with pytest.raises(ValueError, match="partitions="):
            docstore.open(postgres_url, table_prefix="new_", partitions=wrong)


def filled(url: str) -> tuple[docstore.Store, list[object]]:
    """Make a store with something of everything; return it open, and what it says."""
    store = docstore.open(url)
    rows = [
        {"tenant": f"t{n % 5}" if n % 6 else None, "external_id": f"e{n % 30}", "filename": f"név{n}.txt",
         "metadata": {"n": n % 9, "all": "same"}, "content": f"common word{n % 7}"}
        for n in range(400)
    ]  # fmt: skip
    ids = store.documents.add_many(rows).ids
    store.extractions.add(ids[3], {"a": 1})
    store.create_index("-metadata.n", "filename")
    store.documents.claim(3, lease=600)
    return store, said(store)


def said(store: docstore.Store) -> list[object]:
    """Return what a store says of itself."""
    view = store.scoped(tenant="t2")
    return [
        [one.model_dump() for one in store.documents.iterate(include={"content"}, latest_only=False)],
        [one.model_dump() for one in store.extractions.iterate()], dict(store.documents.count_by("status")),
        [one.id for one in view.documents.find(search="word3", sort=["-metadata.n", "filename"], limit=5)],
        [one.id for one in store.documents.find({"filename": {"$isubstring": "NÉV1"}})], store.indexes(),
        store.documents.count({"metadata.all": {"$ne": "same"}}), store.check().ok,
    ]  # fmt: skip


def test_a_store_is_made_into_partitions(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In batches; its answers, numbers, rights and indexes stay, for a store that was open all the time."""
    monkeypatch.setattr("docstore_postgres.partitions._BATCH", 150)
    store, before = filled(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("GRANT SELECT ON docstore_document TO pg_monitor")
    stages: list[str] = []
    docstore.partition(postgres_url, 4, on_progress=lambda progress: stages.append(progress.stage))
    assert 3 == stages.count("document")
    docstore.partition(postgres_url, 4, on_progress=lambda progress: stages.append("again"))
    assert "partitions" == stages[-1]
    with store, docstore.open(postgres_url) as opened:
        assert 4 == opened._context.backend.tables.partitions
        assert before == said(opened) == said(store)
        last = max(one.number for one in store.documents.find(sort="-number", limit=1))
        assert last < store.documents.add(metadata={}).number < opened.documents.add(metadata={}).number
        with opened._context.backend.read() as session:
            session.cursor.execute(
                "SELECT has_table_privilege('pg_monitor', 'docstore_document', 'SELECT'),"
                " to_regnamespace('docstore_partitioning')"
            )
            assert (True, None) == session.cursor.fetchone()
    docstore.partition(postgres_url, 2)
    with docstore.open(postgres_url, partitions=2) as opened:
        assert 402 == opened.documents.count(latest_only=False)


def test_a_run_that_was_killed_goes_on(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After any step; meanwhile the store is read and not written to, and a run can be cancelled."""
    monkeypatch.setattr("docstore_postgres.partitions._BATCH", 150)
    store, before = filled(postgres_url)

    class Killed(Exception):
        pass

    def killed_at(step: int) -> Callable[[object], None]:
        left = iter(range(step))

        def tell(progress: object) -> None:
            if next(left, None) is None:
                raise Killed

        return tell

    with store:
        for step in (0, 2, 7):
            with pytest.raises(Killed):
                docstore.partition(postgres_url, 3, on_progress=killed_at(step))
            with pytest.raises(docstore.StoreBusy, match="being partitioned"):
                store.documents.add(metadata={})
            assert before[:6] == said(store)[:6]
        with pytest.raises(docstore.BackendError, match="makes 3 partitions"):
            docstore.partition(postgres_url, 5)
        docstore.partition(postgres_url, cancel=True)
        store.documents.delete(store.documents.add(metadata={}).id)
        with pytest.raises(Killed):
            docstore.partition(postgres_url, 3, on_progress=killed_at(20))
        docstore.partition(postgres_url, 3)
        assert before == said(store)


@pytest.mark.parametrize(
    ("hindrance", "named"),
    [
        ("ALTER TABLE docstore_blob ENABLE ROW LEVEL SECURITY", "row-level security"),
        ("CREATE VIEW mine AS SELECT id FROM docstore_document", "view mine"),
        ("CREATE INDEX mine ON docstore_document (size)", "index mine"),
        ("CREATE PUBLICATION mine FOR TABLE docstore_document", "publication"),
        ("ALTER TABLE docstore_usual OWNER TO pg_monitor", "belongs to the role"),
    ],
)
def test_what_would_be_lost_is_refused_by_name(postgres_url: str, hindrance: str, named: str) -> None:
    """Before anything is made; the store goes on as it was."""
    docstore.open(postgres_url).close()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(hindrance.encode())
        with pytest.raises(docstore.BackendError, match=named):
            docstore.partition(postgres_url, 4)
        found = connection.execute("SELECT to_regnamespace('docstore_partitioning')").fetchone()
        assert (None,) == found
    with pytest.raises(docstore.BackendError, match="for Postgres"):
        docstore.partition("memory://", 4)


def test_rows_that_were_lost_on_the_way_are_found(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is put in the place of tables that hold something else."""
    store, before = filled(postgres_url)
    steps = iter(range(1_000))

    def lose(progress: docstore.maintenance.Progress) -> None:
        if progress.stage == "index" and next(steps) == 0:
            with psycopg.connect(postgres_url, autocommit=True) as connection:
                table = "docstore_partitioning.docstore_document"
                connection.execute(f"UPDATE {table} SET size = 1 WHERE number = 9".encode())

    with store:
        with pytest.raises(docstore.BackendError, match="hold 400 rows that are not the 400"):
            docstore.partition(postgres_url, 4, on_progress=lose)
        assert before[:6] == said(store)[:6]
        docstore.partition(postgres_url, cancel=True)
