"""What is left to the evaluator on Postgres: of rows the columns that it asks of are read, of matches all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from docstore_postgres.session import PostgresSession

import docstore
from docstore.backend import Query

NUMBER = 1_500


def documents() -> Iterator[dict[str, Any]]:
    """Yield documents of two owners, every third with content."""
    for n in range(NUMBER):
        yield {
            "id": f"d{n:04}", "filename": f"ab {n % 1000 + n // 1000 * 7000}",
            "tenant": "t", "owner": ("x", "y")[n % 2], "content": f"éa {n}" if n % 3 == 0 else None,
            "metadata": {"n": n, "name": f"né {n * 7 % NUMBER}"},
            "created_at": f"2026-01-01T00:{n * 37 % 60:02}:{n * 11 % 60:02}Z",
        }  # fmt: skip


@pytest.fixture(scope="module")
def stores(postgres_server: Any) -> Iterator[tuple[docstore.Store, docstore.Store]]:
    """A store on Postgres and one in memory, with the same documents."""
    with docstore.open(postgres_server.create_database()) as one, docstore.open("memory://") as other:
        for store in (one, other):
            store.documents.add_many(list(documents()))
        yield one, other


FILTERS: dict[str, dict[str, Any]] = {
    "name": {"filename": {"$regex": r"^\pL{2} 7\d\d9"}},
    "metadata": {"metadata.name": {"$regex": r"^\pL{2} 7\d\d9?$"}},
    "content": {"content": {"$regex": r"^\pL{2} 7\d\d$"}},
    "flag": {"$or": [{"filename": {"$regex": r"\pL 70\d1$"}}, {"is_latest": False}]},
    "negated": {"filename": {"$not": {"$regex": r"^\pL{2} [0-6]"}}},
    "nothing": {"filename": {"$regex": r"^\pL{3}"}},
    "everything": {"filename": {"$regex": r"^\pL{2}"}},
}


@pytest.mark.parametrize(
    ("name", "sort"),
    [
        *((name, None) for name in FILTERS),
        *(("name", sort) for sort in (["created_at"], ["-metadata.n"], ["filename", "-size"])),
    ],
    ids=str,
)
def test_pages_and_counts(
    stores: tuple[docstore.Store, docstore.Store], name: str, sort: list[str] | None
) -> None:
    """Pages, cursors, totals and walks are those of the memory backend, rows are whole."""
    filter, asks = FILTERS[name], {} if sort is None else {"sort": sort}
    found = []
    for store in stores:
        scoped = store.scoped(tenant="t", owner="y")
        page = store.documents.find(filter, limit=5, total=True, include={"content"}, **asks)
        following = {"cursor": page.next_cursor} if page.next_cursor else {}
        further = store.documents.find(filter, limit=5, **following, **asks)
        found.append(
            (
                [comparable(document) for document in page.items],
                [document.id for document in further.items],
                page.total,
                [document.id for document in scoped.documents.find(filter, limit=7, offset=2, **asks).items],
                sorted(document.id for document in store.documents.iterate(filter, batch_size=90)),
            )
        )
    assert found[0] == found[1]


def comparable(document: docstore.Document) -> dict[str, Any]:
    return document.model_dump(exclude={"updated_at", "storage_key"})


def test_only_what_is_asked_is_read(
    stores: tuple[docstore.Store, docstore.Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a batch in which next to nothing matched, only what filter and order need is read."""
    asked: list[frozenset[str] | None] = []
    select = PostgresSession.select

    def noted(session: PostgresSession, query: Query) -> Any:
        asked.append(query.only)
        return select(session, query)

    monkeypatch.setattr(PostgresSession, "select", noted)
    stores[0].documents.find(FILTERS["nothing"])
    needed = frozenset({"number", "created_at", "filename"})
    assert [None, needed] == asked[:2]
    assert {needed} == set(asked[1:])
    asked.clear()
    stores[0].documents.find(FILTERS["everything"], limit=200)
    assert {None} == set(asked)


def test_a_row_that_changes_meanwhile(postgres_store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a write block, which is no snapshot, what matches no more when it is read whole is left out."""
    filter = {"metadata.name": {"$regex": r"^\pL{2} 7\d99?$"}}
    select = PostgresSession.select
    with docstore.open(postgres_store_url) as store, docstore.open(postgres_store_url) as other:
        store.documents.add_many(list(documents()))
        before = [document.id for document in store.documents.find(filter).items]

        def changing(session: PostgresSession, query: Query) -> Any:
            rows = select(session, query)
            if query.only is not None:
                for id in before[-2:]:
                    other.documents.update(id, metadata={"name": "another"})
            return rows

        monkeypatch.setattr(PostgresSession, "select", changing)
        with store.transaction():
            inside = [document.id for document in store.documents.find(filter).items]
    assert before[:-2] == inside
