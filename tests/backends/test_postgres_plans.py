"""Postgres plans once what has one plan, and anew what depends on its values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

import docstore


@pytest.fixture(scope="module")
def store(postgres_server: Any) -> Iterator[docstore.Store]:
    """Two thousand documents of four owners, gathered statistics of."""
    url = postgres_server.create_database()
    with docstore.open(url) as opened:
        opened.documents.add_many(
            {
                "filename": f"{n}.txt",
                "owner": f"o{n % 4}",
                "metadata": {"author": {"name": f"author-{n}"}, "n": n},
            }
            for n in range(2_000)
        )
        with opened._context.backend.checkout() as connection:
            connection.cursor().execute("ANALYZE")
        yield opened
    postgres_server.drop_database(url)


def _plans(store: docstore.Store, like: str, of_an_owner: bool = False) -> tuple[int, int]:
    """Return how often prepared statements were planned without values and with them, and are."""
    with store._context.backend.read() as session:
        session.cursor.execute(
            "SELECT coalesce(sum(generic_plans), 0), coalesce(sum(custom_plans), 0)"
            " FROM pg_prepared_statements WHERE statement LIKE %s AND (statement LIKE %s) = %s",
            (like, "%d.owner = $%", of_an_owner),
        )
        generic, custom = session.cursor.fetchone()
    return int(generic), int(custom)


@pytest.mark.parametrize("filter", [{}, {"owner": "o1"}], ids=["all", "of an owner"])
def test_pages_by_cursor_are_planned_once(store: docstore.Store, filter: dict[str, Any]) -> None:
    """Walks on keep their plan, whatever the position."""
    cursor = None
    for _ in range(20):
        cursor = store.documents.find(filter, limit=7, cursor=cursor).next_cursor
    generic, custom = _plans(store, "%created_at, d.number) <%LIMIT 8%", bool(filter))
    assert (generic, custom) == (19, 0)


def test_a_page_by_cursor_passes_over_no_rows(store: docstore.Store) -> None:
    """The rows before the position are no filter's, but the index condition's."""
    cursor = store.documents.find(limit=10).next_cursor
    plan = store.documents.explain(limit=10, cursor=cursor).database_plan or ""
    assert "Index Cond: (ROW(created_at, number) < ROW(" in plan
    assert "Rows Removed" not in plan


def test_what_one_index_alone_finds_is_planned_without_its_values(store: docstore.Store) -> None:
    """Rare values, one after another, are looked for by one plan."""
    for n in range(20):
        found = store.documents.find({"metadata.author.name": f"author-{n}"}).items
        assert [f"{n}.txt"] == [one.filename for one in found]
    generic, custom = _plans(store, "%metadata_json @@%")
    assert generic >= 20
    assert custom == 0


def test_what_depends_on_values_is_planned_for_them(store: docstore.Store) -> None:
    """A count by a range is not prepared: of an unknown value Postgres would read the whole index."""
    for n in range(8):
        assert 1 + n == store.documents.count({"metadata.n": {"$gte": 1_999 - n}})
    assert (0, 0) == _plans(store, "%count(*)%metadata_json @@%")


@pytest.mark.parametrize(
    "filter",
    [
        {"created_at": {"$gte": "2020-01-01T00:00:00Z", "$lt": "2100-01-01T00:00:00Z"}},
        {"created_at": {"$gte": "2020-01-01T00:00:00Z"}, "owner": "o1"},
    ],
    ids=["two bounds", "an owner"],
)
def test_a_walk_within_bounds_is_planned_for_them(store: docstore.Store, filter: dict[str, Any]) -> None:
    """Of two bounds that are not known Postgres expects few rows: it would read and sort all between them."""
    before = _plans(store, "%created_at >= $1%")
    for n in range(6):
        assert 10 == len(store.documents.find({**filter, "metadata.n": {"$ne": n}}, limit=10).items)
    assert before == _plans(store, "%created_at >= $1%")
    plan = store.documents.explain({**filter, "metadata.n": {"$ne": 1}}, limit=10).database_plan or ""
    assert "Sort" not in plan


def test_a_connection_that_was_brought_keeps_its_plan_mode(postgres_url: str) -> None:
    """Only connections of our own plan without values."""
    engine = sa.create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    with docstore.open(engine) as brought:
        brought.documents.add(filename="a", metadata={"n": 1})
        assert 1 == brought.documents.count({"metadata.n": {"$gte": 1}})
        with brought._context.backend.read() as session:
            session.cursor.execute("SHOW plan_cache_mode")
            assert ("auto",) == session.cursor.fetchone()
    engine.dispose()


LOOKED_UP = {
    "SELECT 1 FROM docstore_document WHERE id = 'x'": "docstore_document_id",
    "SELECT 1 FROM docstore_document WHERE tenant = '' AND id = 'x'": "docstore_document_id",
    "SELECT 1 FROM docstore_document WHERE number = 7": "docstore_document_pkey",
    "SELECT max(number) FROM docstore_document": "docstore_document_pkey",
    "SELECT 1 FROM docstore_content WHERE number = 7": "docstore_content_pkey",
    "SELECT 1 FROM docstore_extraction WHERE id = 'x'": "docstore_extraction_id",
    "SELECT 1 FROM docstore_extraction WHERE tenant = '' AND document_id = 'x'": "docstore_extraction_of",
    "SELECT number FROM docstore_document WHERE tenant = 't' AND tenant <> '' ORDER BY number LIMIT 9": (
        "docstore_document_of_tenant"
    ),
    "SELECT number FROM docstore_extraction WHERE tenant = 't' AND tenant <> '' ORDER BY number LIMIT 9": (
        "docstore_extraction_of_tenant"
    ),
}


@pytest.mark.parametrize("statement", LOOKED_UP)
def test_each_key_serves_the_look_ups_within_a_tenant_and_across(
    store: docstore.Store, statement: str
) -> None:
    """A unique key holds the tenant behind what is looked up, and needs no second index for that."""
    with store._context.backend.write() as session:
        session.cursor.execute("SET LOCAL enable_seqscan = off")
        session.cursor.execute(f"EXPLAIN {statement}")
        plan = "\n".join(line for (line,) in session.cursor.fetchall())
    assert LOOKED_UP[statement] in plan
    assert "Filter:" not in plan
