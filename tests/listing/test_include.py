"""Content stays in the database unless it is named: as the SQL, the plans, and a hidden table show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

import docstore

SQL = ("sqlite-file", "postgres")
LISTINGS: dict[str, Callable[[Any], Any]] = {
    "find": lambda documents: documents.find({"metadata.n": {"$gte": 0}}, total=True),
    "a sorted page": lambda documents: documents.find(sort=["-metadata.n", "filename"], limit=2, offset=1),
    "a cursor's page": lambda documents: documents.find(
        limit=1, cursor=documents.find(limit=1).next_cursor, direction="prev"
    ),
    "a residual": lambda documents: documents.find({"metadata.name": {"$regex": r"\bn\d(?:x|\d)*$"}}),
    "iterate": lambda documents: list(documents.iterate({"status": "pending"}, batch_size=2)),
    "count": lambda documents: documents.count({"metadata.n": {"$ne": 1}}, latest_only=False),
    "count_by": lambda documents: documents.count_by("metadata.n"),
    "exists": lambda documents: documents.exists({"filename": {"$glob": "*.txt"}}),
    "get": lambda documents: documents.get("id-1"),
    "get_many": lambda documents: documents.get_many(["id-1", "id-2"]),
    "versions": lambda documents: documents.versions("x"),
    "explain": lambda documents: documents.explain({"metadata.n": 1}),
}
NAMED: dict[str, Callable[[Any], Any]] = {
    "include": lambda documents: documents.find(include={"content"}),
    "search": lambda documents: documents.find(search="text"),
    "filter": lambda documents: documents.find({"content": {"$exists": True}}),
    "get": lambda documents: documents.get("id-1", include=["content"]),
}


def fill(store: docstore.Store) -> None:
    store.documents.add_many([
        {"id": f"id-{n}", "filename": f"{n}.txt", "content": f"text {n}",
         "metadata": {"n": n, "name": f"n{n}"}, "external_id": "x" if n < 2 else None}
        for n in range(5)
    ])  # fmt: skip


def run(url: str, statement: str) -> None:
    """Execute a statement behind the store's back."""
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


@pytest.fixture(params=SQL)
def sql_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store in an SQL database."""
    name = "sqlite_url" if request.param == "sqlite-file" else "postgres_store_url"
    return str(request.getfixturevalue(name))


def test_statements_and_plans_do_not_name_the_content(sql_url: str) -> None:
    """Unless a search, a filter or ``include`` names it, neither the SQL nor the database's plan does."""
    with docstore.open(sql_url) as store:
        fill(store)
        for ask in ({}, {"filter": {"metadata.n": 1}}, {"sort": "-metadata.n"}, {"total": True, "offset": 3}):
            plan = store.documents.explain(**ask)  # type: ignore[arg-type]
            assert plan.statement is not None
            assert plan.database_plan is not None
            assert "content " not in plan.statement.replace("content_type", "")
            assert "docstore_content" not in plan.statement + plan.database_plan
        for ask in ({"include": {"content"}}, {"search": "text"}, {"filter": {"content": "x"}}):
            named = store.documents.explain(**ask)  # type: ignore[arg-type]
            assert "docstore_content" in (named.statement or "")


def test_listing_works_while_the_content_is_hidden(sql_url: str) -> None:
    """With the table of contents renamed behind the store's back, all but what names the content goes on."""
    with docstore.open(sql_url) as store:
        fill(store)
        expected = {name: repr(ask(store.documents)) for name, ask in LISTINGS.items() if name != "explain"}
    with docstore.open(sql_url) as store:  # one that is opened later says at once that the table is gone
        run(sql_url, "ALTER TABLE docstore_content RENAME TO hidden")
        with pytest.raises(docstore.BackendError, match="docstore_content"):
            docstore.open(sql_url)
        for name, ask in LISTINGS.items():
            answer = ask(store.documents)
            assert name == "explain" or expected[name] == repr(answer), name
        for ask in NAMED.values():
            with pytest.raises(docstore.BackendError):
                ask(store.documents)
        run(sql_url, "ALTER TABLE hidden RENAME TO docstore_content")


def test_content_comes_where_it_is_named(store: docstore.Store) -> None:
    """``include`` brings it on every way of reading; a search or a filter that reads it does not."""
    fill(store)
    documents = store.documents
    everything = {f"text {n}" for n in range(5)}
    assert everything == {one.content for one in documents.find(include={"content"}, latest_only=False)}
    assert everything == {one.content for one in documents.iterate(include=["content"], latest_only=False)}
    assert "text 1" == documents.get("id-1", include=("content",)).content
    assert ["text 1"] == [one.content for one in documents.get_many(["id-1"], include={"content"})]
    page = documents.find(limit=1, include={"content"})
    assert {"text 4", "text 3"} == {
        page.items[0].content,
        documents.find(limit=1, include={"content"}, cursor=page.next_cursor).items[0].content,
    }
    for ask in (documents.find, documents.iterate):
        assert {None} == {one.content for one in ask(search="text")}
        assert {None} == {one.content for one in ask({"content": {"$substring": "text"}})}
    assert store.extractions.find(include=()).items == []
    with pytest.raises(docstore.InvalidPage, match="none"):
        store.extractions.find(include={"content"})
