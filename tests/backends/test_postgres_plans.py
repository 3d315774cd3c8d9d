"""Postgres plans once what has one plan, and anew what depends on its values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import docstore
from docstore.query.fields import DOCUMENTS

RARE = {"metadata.author.name": "author-7"}


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


def _shown(store: docstore.Store) -> str:
    with store._context.backend.read() as session:
        session.cursor.execute("SHOW plan_cache_mode")
        return str(session.cursor.fetchone()[0])


def _find_rare(store: docstore.Store) -> None:
    """Ask until one plan is taken to be right: what took long is planned anew."""
    for _ in range(100):
        store.documents.find(RARE)
        if _shown(store) == "force_generic_plan":
            return
    raise AssertionError("planned anew each time")


@pytest.mark.parametrize("filter", [{}, {"owner": "o1"}], ids=["all", "of an owner"])
def test_pages_by_cursor_are_planned_once(store: docstore.Store, filter: dict[str, Any]) -> None:
    """After the five times that Postgres plans anything, walks on keep their plan, whatever the position."""
    cursor = None
    for _ in range(20):
        cursor = store.documents.find(filter, limit=7, cursor=cursor).next_cursor
    with store._context.backend.read() as session:
        session.cursor.execute(
            "SELECT sum(generic_plans), sum(custom_plans) FROM pg_prepared_statements"
            " WHERE statement LIKE %s AND statement LIKE %s AND (statement LIKE %s) = %s",
            ("%created_at, d.number) <%", "%LIMIT 8%", "%d.owner = $%", bool(filter)),
        )
        generic, custom = session.cursor.fetchone()
    assert (14, 5) <= (generic, custom)
    assert custom <= 10


def test_a_page_by_cursor_passes_over_no_rows(store: docstore.Store) -> None:
    """The rows before the position are no filter's, but the index condition's."""
    cursor = store.documents.find(limit=10).next_cursor
    plan = store.documents.explain(limit=10, cursor=cursor).database_plan or ""
    assert "Index Cond: (ROW(created_at, number) < ROW(" in plan
    assert "Rows Removed" not in plan


def test_what_one_index_alone_finds_is_planned_without_its_values(store: docstore.Store) -> None:
    """A rare value: the connection stays so until something depends on its values, or is written."""
    assert ["7.txt"] == [one.filename for one in store.documents.find(RARE).items]
    _find_rare(store)
    assert 1 == store.documents.count({"metadata.n": {"$gt": 1_998}})
    assert "auto" == _shown(store)
    _find_rare(store)
    with store.transaction():
        store.documents.add_many([{"filename": "new.txt"}])
        with store._context.write() as writer:
            writer.cursor.execute("SHOW plan_cache_mode")
            assert ("auto",) == writer.cursor.fetchone()
    assert "auto" == _shown(store)


def test_a_count_beside_a_page_is_planned_for_its_values(store: docstore.Store) -> None:
    """Within a snapshot the mode is set for it alone, and outlives it as it was."""
    _find_rare(store)
    assert 1 == store.documents.find(RARE, total=True).total
    assert "force_generic_plan" == _shown(store)
    with store._context.backend.read(snapshot=True) as session:
        session.plan(False)
        session.cursor.execute("SHOW plan_cache_mode")
        assert ("auto",) == session.cursor.fetchone()
        assert DOCUMENTS.name in session.compilers
    assert "force_generic_plan" == _shown(store)


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
