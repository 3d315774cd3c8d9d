"""A small tenant on Postgres pays for what it has, and not for what the whole store has."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest

import docstore
from docstore.backend import Query, Scope
from docstore.query.fields import DOCUMENTS
from docstore.query.parser import parse
from docstore.query.planner import normalize
from docstore.query.search import parse_search
from tests.kit.databases import Databases
from tests.kit.statements import record_statements


@pytest.fixture(scope="module")
def filled(databases: Databases) -> Iterator[str]:
    """The URL of a store in which a tenant of 40 stands beside one of 6,000, alike in words and metadata."""
    made = databases.take_store()
    with docstore.open(made.url) as opened:
        for tenant, count in (("large", 6_000), ("small", 40)):
            rows = [
                {"tenant": tenant, "metadata": {"n": n % 7, "kind": "x"}, "content": "common words here"}
                for n in range(count)
            ]
            opened.documents.add_many(rows)
        with psycopg.connect(made.url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE docstore_document, docstore_content")
    yield made.url
    databases.give_store_back(made)


@pytest.fixture
def store(filled: str) -> Iterator[docstore.Store]:
    """That store, which these tests read alone."""
    with docstore.open(filled) as opened:
        yield opened


FILTERS = [
    ({}, "common nothing"),
    ({}, "common words"),
    ({"metadata.n": 3, "metadata.kind": "y"}, None),
    ({"metadata.n": {"$in": [3, 4]}, "metadata.missing": {"$exists": True}}, None),
]


def test_a_small_tenant_pays_for_what_it_has(store: docstore.Store) -> None:
    """Asked once and again: an index of everybody's is not asked, though the filter is one for it."""
    for filter, search in FILTERS:
        assert buffers_of(store, filter, search) < (100 if search is None else 1_200), (filter, search)


def buffers_of(store: docstore.Store, filter: dict[str, object], search: str | None) -> int:
    """Return the buffers that a page and a count of the small tenant read."""
    view = store.scoped(tenant="small")
    for _ in range(3):
        assert 0 <= len(view.documents.find(filter, search=search, limit=50)) <= 40
    backend = store._context.backend
    where = normalize(parse(filter, DOCUMENTS))
    if search is not None:
        where = normalize(parse_search(search, DOCUMENTS, store._context.limits))
    order = Query(DOCUMENTS).order
    executed: list[tuple[str, object]] = []
    execute = psycopg.Cursor.execute

    def recording(cursor: object, text: str, values: object = None, **keywords: object) -> object:
        executed.append((text, values))
        return execute(cursor, text, values, **keywords)  # type: ignore[arg-type]

    with backend.read() as session:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(psycopg.Cursor, "execute", recording)
            session.select(Query(DOCUMENTS, Scope("small"), where, order, limit=51))
            session.count(Query(DOCUMENTS, Scope("small"), where))
        buffers = 0
        for text, values in executed:
            if text.startswith("SELECT"):
                session.cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text}", values)
                [plan] = session.cursor.fetchone()[0]
                buffers += plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
    return buffers


def test_a_small_tenants_search_looks_at_its_texts_once(
    store: docstore.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that words in no text leave empty is one statement over all documents of the tenant."""
    statements = record_statements(monkeypatch)
    view = store.scoped(tenant="small")
    view.documents.find(search="nowhere")
    statements.clear()
    for word in ("nothing", "common absent", "other"):
        assert not view.documents.find(search=word)
    pages = [text for text, _ in statements if "docstore_content" in text]
    assert 3 == len(pages)
    assert not any(re.search(r"LIMIT \d+\) AS d", text) for text in pages)


def test_a_small_tenants_pages_teach_nothing_of_others(
    store: docstore.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has few of, everybody has many of: their page is walked to in order, not found by an index."""
    filter = {"metadata.n": 3}
    for _ in range(3):
        store.scoped(tenant="small").documents.find(filter, limit=20)
    executed: list[str] = []
    execute = psycopg.Cursor.execute

    def recording(cursor: object, text: str, values: object = None, **keywords: object) -> object:
        executed.append(text)
        return execute(cursor, text, values, **keywords)  # type: ignore[arg-type]

    monkeypatch.setattr(psycopg.Cursor, "execute", recording)
    assert 20 == len(store.documents.find(filter, limit=20))
    [page] = [text for text in executed if "metadata_json @@" in text]
    assert re.search(r"ORDER BY d.created_at DESC, d.number DESC LIMIT \d+\) AS d", page)


def test_a_small_tenants_answers_are_those_of_all_its_documents(store: docstore.Store) -> None:
    """Pages, offsets, cursors and counts by the small way equal what is told one by one."""
    view = store.scoped(tenant="small")
    every = list(view.documents.iterate())
    for n in range(8):
        wanted = [one.id for one in every if one.metadata["n"] == n]
        assert wanted == [one.id for one in view.documents.find({"metadata.n": n}, sort="number")]
        assert wanted[2:4] == [
            one.id for one in view.documents.find({"metadata.n": n}, sort="number", offset=2, limit=2)
        ]
        assert len(wanted) == view.documents.count({"metadata.n": n})
        first = view.documents.find({"metadata.n": n}, sort="number", limit=3, total=True)
        assert len(wanted) == first.total
        rest = view.documents.find({"metadata.n": n}, sort="number", limit=9, cursor=first.next_cursor)
        assert wanted == [one.id for one in (*first, *(rest if first.next_cursor else ()))]
    store.documents.add_many([{"tenant": "small", "metadata": {"n": 99}}] * 300)
    assert 300 == len(view.documents.find({"metadata.n": 99}, limit=400))
