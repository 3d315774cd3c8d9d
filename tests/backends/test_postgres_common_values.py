"""Most common values of the metadata on Postgres: learnt from samples, said by terms, none lacking missed."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from docstore_postgres import session, statements, term_index
from docstore_postgres.backend import PostgresBackend
from docstore_postgres.session import PostgresSession
from docstore_postgres.term_index import CommonValue, CommonValues, LearntValues, most_common_values

import docstore
from docstore.query import evaluator
from docstore.query.fields import DOCUMENTS
from docstore.query.parser import parse
from docstore.query.planner import normalize
from tests.kit.forms import either

LATE = CommonValue(3, ("era",), "late")
WHITE = CommonValue(20, ("look", "colour"), "white")
BOTH = CommonValues((LATE, WHITE))
NEARLY_ALL = {"era": "late", "look": {"colour": "white"}}


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (NEARLY_ALL, {"w0014"}),
        ({"era": "early", "look": {"colour": "white"}}, {"w0014", "x0003"}),
        ({"era": ["late"], "look": [{"colour": "white"}]}, {"w0014", "x0003", "x0014"}),
        ({"era": None, "look": "white"}, {"w0014", "x0003", "x0014"}),
        ({}, {"w0014", "x0003", "x0014"}),
    ],
)
def test_a_record_says_which_it_lacks_and_which_its_writer_knew(
    record: dict[str, Any], words: set[str]
) -> None:
    """The number of the last known one, and of each that is not there as it is, by objects alone."""
    assert words == set(BOTH.words(record))


def test_one_and_true_are_two_values() -> None:
    """A number that equals a boolean in Python is not the usual value, nor is a double a whole number."""
    found = CommonValues((CommonValue(1, ("a",), 1),))
    assert [["w0001"], ["w0001", "x0001"], ["w0001", "x0001"]] == [
        found.words({"a": value}) for value in (1, True, 1.0)
    ]
    assert [(("a",), 1)] == most_common_values([{"a": 1}] * 990 + [{"a": True}] * 10)


def test_older_writers_are_looked_for_too() -> None:
    """Who lacks the twentieth: its word, and all words of writers that knew of fewer."""
    term_query = set(WHITE.term_query())
    assert {"x0014", "w000:*", "w0010", "w0011", "w0012", "w0013"} == term_query


def test_what_is_usual() -> None:
    """Nine in ten of enough records, at whatever depth; not in arrays, not of too few, not three in four."""
    records: list[dict[str, Any]] = [
        {**NEARLY_ALL, "tags": ["a"], "some": "x" if n % 4 else "y", "n": n} for n in range(300)
    ]
    records[:20] = [{}] * 20
    assert [(("era",), "late"), (("look", "colour"), "white")] == most_common_values(records)
    assert [] == most_common_values(records[:127])


@pytest.mark.parametrize(
    ("filter", "is_implied"),
    [
        ({"metadata.era": {"$ne": "late"}}, True),
        ({"metadata.era": {"$nin": ["late", "later"]}}, True),
        ({"metadata.era": {"$nin": ["later"]}}, False),
        ({"metadata.era": None}, True),
        ({"metadata.era": {"$exists": False}}, True),
        ({"metadata.era": {"$gt": "m"}}, True),
        ({"metadata.era": {"$lt": "m"}}, False),
        ({"metadata.era": {"$not": {"$startsWith": "la"}}}, True),
        ({"metadata.era": {"$regex": "^e"}}, True),
        ({"metadata.era": {"$type": "array"}}, True),
        ({"$or": [{"metadata.era": "early"}, {"metadata.era": {"$size": 2}}]}, True),
        ({"$or": [{"metadata.era": "early"}, {"metadata.look.colour": "red"}]}, True),
        ({"$or": [{"metadata.era": "early"}, {"metadata.other": "red"}]}, False),
        ({"metadata.era": "early", "filename": {"$regex": "x"}}, True),
        ({"metadata.look": {"$elemMatch": {"colour": {"$ne": "white"}}}}, False),
        ({"metadata.look": {"$ne": "white"}}, False),
        ({"filename": {"$ne": "late"}}, False),
    ],
)
def test_what_a_usual_value_does_not_fulfil(filter: dict[str, Any], is_implied: bool) -> None:
    """A condition on its path alone that it fails, in whatever words; of alternatives each has to be one."""
    from docstore_postgres.term_index import term_query

    found = term_query(normalize(parse(filter, DOCUMENTS)), BOTH)
    assert is_implied == (found is not None)


# -- in stores ---------------------------------------------------------------------------------------------


def _metadata(chance: random.Random) -> dict[str, Any]:
    values: list[Any] = ["late", "early", None, ["late"], [], {"x": "late"}, 1, True]
    era = "late" if chance.random() < 0.97 else chance.choice(values)
    rest: list[Any] = [{"colour": "red"}, {}, "white", [{"colour": "white"}], {"colour": ["white"]}]
    look = {"colour": "white"} if chance.random() < 0.97 else chance.choice(rest)
    made = {"era": era, "look": look, "n": chance.randint(0, 50)}
    return {key: value for key, value in made.items() if chance.random() < 0.99}


@contextmanager
def opened(url: str) -> Iterator[docstore.Store]:
    """Open a store that looks for usual values as soon as it has 300 documents."""
    with docstore.open(url) as store:
        store.documents.count()
        _learnt(store).next_look = 300
        yield store


def _learnt(store: docstore.Store) -> LearntValues:
    backend = store._context.backend
    assert isinstance(backend, PostgresBackend)
    assert backend._planner is not None
    return backend._planner.learnt


def _add(store: docstore.Store, count: int, seed: int, **fields: Any) -> None:
    chance = random.Random(seed)
    store.documents.add_many(
        {"filename": f"{n}", "metadata": _metadata(chance), **fields} for n in range(count)
    )


def _change(store: docstore.Store, seed: int) -> None:
    """Change the metadata of some documents, by themselves and in a block."""
    chance = random.Random(seed)
    some = chance.sample(list(store.documents.iterate()), 40)
    for one in some[:20]:
        store.documents.update(one.id, metadata={"era": chance.choice(["late", "early"])})
    with store.transaction():
        for one in some[20:]:
            store.documents.update(one.id, metadata={"era": chance.choice(["late", "early"])})


@pytest.fixture(scope="module")
def url(postgres_server: Any) -> Iterator[str]:
    """Documents of which some were added before anything was learnt, and some by each of two writers."""
    made = postgres_server.create_database()
    with opened(made) as first:
        _add(first, 150, 1)
        with opened(made) as second:
            _add(second, 400, 2)
            _add(first, 150, 3)
        _learnt(first).read_at = -math.inf
        _add(first, 150, 4)
        _add(first, 50, 5, tenant="t")
        _change(first, 6)
        first.documents.add(None, tenant="t", filename="late", metadata={"era": "late"})
        with first._context.backend.checkout() as connection:
            connection.cursor().execute("ANALYZE")
    yield made
    postgres_server.drop_database(made)


def _filter(chance: random.Random) -> dict[str, Any]:
    one: list[Any] = [
        {"$ne": "late"}, {"$nin": ["late", 1]}, {"$nin": ["late", None]}, {"$ne": None}, {"$exists": False},
        {"$gt": "m"}, {"$lt": "late"}, {"$type": ["array", "null"]}, {"$not": {"$gte": "lat"}}, None, True,
        ["late"], {"$size": 1}, {"$regex": "^ear"}, {"$not": {"$elemMatch": {"$eq": "late"}}},
        {"$in": ["early", 1, None]},
    ]  # fmt: skip
    other: list[Any] = [{"$ne": "white"}, {"$exists": False}, None, "red", {"$nin": ["white", "red"]}]
    era, look = {"metadata.era": chance.choice(one)}, {"metadata.look.colour": chance.choice(other)}
    few = {"metadata.n": {"$gte": chance.randint(0, 50)}}
    return chance.choice(
        [era, look, {"$and": [era, few]}, {"$or": [era, look]}, {"$or": [era, few]}, {"$nor": [era]}]
    )


def test_answers_are_the_evaluators(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wrote a document, knowing of usual values or not: what is found by words is what matches."""
    ways: list[str] = []
    finding = statements.PageStatements.finding

    def noted(self: statements.PageStatements, way: statements.AccessPath) -> Any:
        ways.append(way)
        return finding(self, way)

    monkeypatch.setattr(statements.PageStatements, "finding", noted)
    monkeypatch.setattr(session, "scan_limit", lambda wanted, rows: 1)
    monkeypatch.setattr(session, "_most", lambda condition, rows: rows)
    chance = random.Random(13)
    with docstore.open(url) as store:
        everything = [(one.id, one.metadata) for one in store.documents.iterate()]
        of_tenant = {one.id for one in store.scoped(tenant="t").documents.iterate()}
        assert 51 == len(of_tenant)
        for _ in range(either(80, 250)):
            asked = _filter(chance)
            is_match = evaluator.compile(normalize(parse(asked, DOCUMENTS)))
            expected = {id for id, metadata in everything if is_match({"metadata": metadata})}
            page = store.documents.find(asked, limit=1_000, total=True)
            assert (asked, len(expected)) == (asked, page.total)
            assert (asked, expected) == (asked, {one.id for one in page.items})
            theirs = {one.id for one in store.scoped(tenant="t").documents.find(asked, limit=1_000).items}
            assert (asked, {id for id in expected if id in of_tenant}) == (asked, theirs)
    assert either(32, 100) < ways.count("terms")


def test_stores_written_by_several_are_sound(url: str) -> None:
    """Each record's words are those of what its writer knew; both values were learnt, each once."""
    with docstore.open(url) as store:
        assert store.check().ok
        known = usual_of(store).known
        assert {("era",): "late", ("look", "colour"): "white"} == {one.path: one.value for one in known}
        assert 2 == len(known)


def usual_of(store: docstore.Store) -> CommonValues:
    """Return what a store has learnt."""
    with store._context.backend.read() as session:
        assert isinstance(session, PostgresSession)
        return term_index.read_common_values(session)


def test_few_that_lack_it_are_found_by_the_index(postgres_store_url: str) -> None:
    """The database's own plan says so; a filter that nearly all match is walked to."""
    with docstore.open(postgres_store_url) as store:
        store.documents.add_many(
            {"filename": f"{n}", "metadata": {"era": "late" if n > 20 else "early"}} for n in range(20_000)
        )
        with store._context.backend.checkout() as connection:
            connection.cursor().execute("ANALYZE")
        few = {"metadata.era": {"$ne": "late"}}
        assert ["20", "19"] == [one.filename for one in store.documents.find(few, limit=2).items]
        assert 21 == store.documents.count(few)
        assert "docstore_document_words" in (store.documents.explain(few).database_plan or "")
        most = store.documents.explain({"metadata.era": {"$ne": "early"}}).database_plan or ""
        assert "docstore_document_words" not in most


def test_nothing_is_learnt_beside_another_who_learns(postgres_store_url: str) -> None:
    """Who finds somebody learning goes on without; what that one has learnt counts once it is committed."""
    with opened(postgres_store_url) as store, opened(postgres_store_url) as other:
        with other._context.backend.write() as session:
            assert isinstance(session, PostgresSession)
            session.learn(['{"era":"late"}'] * 300)
            assert 1 == len(session.common_values().known)
            _add(store, 300, 5)
            assert () == usual_of(store).known
        assert 1 == len(usual_of(store).known)
        assert store.check().ok


def _add_and_fail(store: docstore.Store) -> None:
    with store.transaction():
        _add(store, 300, 5)
        store.documents.update("nobody's", metadata={})


def test_what_was_learnt_and_taken_back_is_no_ones(postgres_store_url: str) -> None:
    """A block that fails leaves nothing usual behind, and its number is never another's."""
    with opened(postgres_store_url) as store:
        with pytest.raises(docstore.NotFound):
            _add_and_fail(store)
        assert () == usual_of(store).known
        with opened(postgres_store_url) as other:
            _add(other, 300, 6)
            assert {3, 4} == {one.number for one in usual_of(other).known}


def test_a_snapshot_learns_nothing(postgres_store_url: str) -> None:
    """The application's transaction that sees the store as it was at its beginning may not know what others
    have learnt since.
    """
    with opened(postgres_store_url) as store:
        backend = store._context.backend
        assert isinstance(backend, PostgresBackend)
        with backend.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ")
            session = backend.session(connection.connection)
            session.learn(['{"era":"late"}'] * 300)
            connection.exec_driver_sql("COMMIT")
        assert () == usual_of(store).known


def test_single_writes_learn_now_and_then(postgres_store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is written to one by one looks at a sample when it adds its counts up, if it has grown."""
    with opened(postgres_store_url) as store:
        for start in range(0, 400, 100):
            store.documents.add_many(
                {"filename": f"{n}", "metadata": {"era": "late"}} for n in range(start, start + 100)
            )
        assert () == usual_of(store).known
        monkeypatch.setattr("docstore_postgres.backend.folds", lambda: True)
        store.documents.add(None, filename="one", metadata={"era": "early"})
        assert [("era",)] == [one.path for one in usual_of(store).known]
        assert 802 == _learnt(store).next_look


def test_a_sample_is_of_all_documents(postgres_store_url: str) -> None:
    """What only those have that were added last is not usual, however many; four at once are learnt."""
    with opened(postgres_store_url) as store:
        store.documents.add_many({"filename": f"{n}", "metadata": {"a": n}} for n in range(300))
        _learnt(store).next_look = 300
        alike = dict.fromkeys("bcdefg", "x")
        store.documents.add_many({"filename": f"{n}", "metadata": alike} for n in range(900))
        assert [] == list(usual_of(store).known)
        store.documents.add_many({"filename": f"{n}", "metadata": alike} for n in range(2_000))
        assert 4 == len(usual_of(store).known)


def test_what_was_erased_is_forgotten(postgres_store_url: str) -> None:
    """A usual value that only erased documents had is kept nowhere; answers stay right, whoever writes."""
    with opened(postgres_store_url) as store:
        hers = {"owner": "ada", "metadata": {"name": "Ada", "kind": "letter"}}
        store.documents.add_many({"filename": f"{n}", **hers} for n in range(300))
        before = store.documents.add(None, filename="before", metadata={"kind": "letter"})
        store.erase(owner="ada")
        assert [((), None), (("kind",), "letter")] == sorted(
            (one.path, one.value) for one in usual_of(store).known
        )
        with docstore.open(postgres_store_url) as other:
            after = other.documents.add(None, filename="after", metadata={"kind": "note", "name": "Ada"})
        assert store.check().ok
        for filter, expected in (
            ({"metadata.kind": {"$ne": "letter"}}, {after.id}),
            ({"metadata.name": {"$ne": "Ada"}}, {before.id}),
            ({"metadata": {"$ne": {}}}, {before.id, after.id}),
        ):
            assert expected == {one.id for one in store.documents.find(filter).items}
            assert len(expected) == store.documents.count(filter)


def test_nothing_is_learnt_of_tenants(postgres_store_url: str) -> None:
    """What a tenant's documents have in common is written down nowhere, however they were added."""
    with opened(postgres_store_url) as store:
        _add(store, 600, 8, tenant="t")
        mixed = [{"filename": f"{n}", "tenant": "t" if n % 9 else None} for n in range(600)]
        store.documents.add_many({**one, "metadata": {"era": "late"}} for one in mixed)
        with store._context.backend.write() as session:
            assert isinstance(session, PostgresSession)
            session.learn()
        assert () == usual_of(store).known


def test_few_are_found_beside_tenants(postgres_store_url: str) -> None:
    """Of a store with few documents of tenants the database still goes by words, and by an index of those."""
    with docstore.open(postgres_store_url) as store:
        eras = ["late" if n > 20 else "early" for n in range(20_000)]
        store.documents.add_many({"filename": "a", "metadata": {"era": era}} for era in eras)
        store.documents.add_many(
            {"filename": "b", "tenant": "t", "metadata": {"era": era}} for era in eras[:30]
        )
        with store._context.backend.checkout() as connection:
            connection.cursor().execute("ANALYZE")
        few = {"metadata.era": {"$ne": "late"}}
        assert 42 == store.documents.count(few)
        plan = store.documents.explain(few).database_plan or ""
        assert "docstore_document_words" in plan
        assert "BitmapOr" in plan
        assert 21 == store.scoped(tenant="t").documents.count(few)


def test_repair_mends_words_that_are_wrong(postgres_store_url: str) -> None:
    """A record that is said to have a usual value, and has none, is a finding until it is repaired."""
    with opened(postgres_store_url) as store:
        _add(store, 300, 7)
        odd = store.documents.add(None, filename="odd", metadata={"era": "never"})
        with psycopg.connect(postgres_store_url, autocommit=True) as connection:
            known = usual_of(store).known[-1].number
            connection.execute(
                "UPDATE docstore_document SET metadata_words = %s::tsvector WHERE id = %s",
                (f"w{known:04x}", odd.id),
            )
        assert [("index", odd.id)] == [(one.kind, one.document_id) for one in store.check().findings]
        store.repair(store.check(), dry_run=False)
        assert store.check().ok
