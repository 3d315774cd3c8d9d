"""``partitions=``: the same answers from hash partitions by tenant, and scoped reads look in one."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

import docstore
from docstore.testing.servers import PostgresServer

TENANTS = ["a", "b", "c", "d", "e", None]
FILTERS: list[dict[str, Any]] = [
    {"metadata.n": 3}, {"metadata.n": {"$gte": 5}}, {"metadata.t": {"$in": ["x", "y"]}},
    {"status": "pending"},
    {"metadata.n": {"$ne": 2}}, {"filename": {"$startsWith": "f1"}}, {"metadata.missing": {"$exists": False}},
    {"$or": [{"metadata.n": 1}, {"owner": "o"}]}, {"metadata.s": {"$regex": "^v[0-3]"}}, {},
]  # fmt: skip
SORTS = ["-created_at", "number", "metadata.n", ["-metadata.s", "filename"]]


@pytest.fixture
def stores(
    postgres_server: PostgresServer, postgres_url: str
) -> Iterator[tuple[docstore.Store, docstore.Store]]:
    """The same documents in 8 partitions and in none."""
    with (
        docstore.open(postgres_url, partitions=8) as parted,
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
    for filter in FILTERS:
        for sort in SORTS:
            for search in (None, "word3", "common -word1"):
                tenant = random.Random(f"{filter}{sort}{search}").choice(TENANTS)
                pair = (parted, plain) if tenant is None else (
                    parted.scoped(tenant=tenant), plain.scoped(tenant=tenant)
                )  # fmt: skip
                assert answers(pair[0], filter, sort, search) == answers(pair[1], filter, sort, search)


def test_a_scoped_read_looks_in_one_partition(
    stores: tuple[docstore.Store, docstore.Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of pages, counts, searches and single records, contents among them."""
    view = stores[0].scoped(tenant="b")
    id = view.documents.find(limit=1).items[0].id
    executed: list[tuple[str, Any]] = []
    execute = psycopg.Cursor.execute

    def recording(cursor: Any, text: Any, values: Any = None, **keywords: Any) -> Any:
        executed.append((str(text), values))
        return execute(cursor, text, values, **keywords)

    with monkeypatch.context() as patched:
        patched.setattr(psycopg.Cursor, "execute", recording)
        for filter in FILTERS:
            view.documents.find(filter, limit=5, include={"content"})
            view.documents.count(filter)
        view.documents.find(search="word3", limit=5)
        view.documents.get(id, include={"content"})
        view.extractions.find(limit=5)
    touched = 0
    with stores[0]._context.backend.read() as session:
        for text, values in executed:
            if not text.startswith("SELECT") or not re.search("docstore_(document|content|extraction)", text):
                continue
            if "max(number)" in text:  # the counter of all, once a minute
                continue
            session.cursor.execute(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {text}", values)
            lines = [line for (line,) in session.cursor.fetchall()]
            plan = "\n".join(line for line in lines if "never executed" not in line)
            parts = set(re.findall(r"docstore_(?:document|content|extraction)_p(\d)\b", plan))
            assert len(parts) <= 1, (text, plan)
            touched += len(parts)
    assert touched > 20


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
