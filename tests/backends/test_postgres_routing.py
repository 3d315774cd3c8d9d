"""Each statement of a call for one tenant touches one partition; over distributed tables each is fit for
Citus. The server here has no Citus: a table of the name of its catalogue stands for it, and the tables are
native partitions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import docstore

KINDS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
TABLES = "document|extraction|content|blob|tally|usual"
FILTERS: list[dict[str, Any]] = [
    {}, {"metadata.n": 3}, {"metadata.n": {"$gte": 5}}, {"metadata.t": {"$in": ["x", "y"]}},
    {"metadata.n": {"$in": list(range(100))}}, {"metadata.missing": {"$exists": False}},
    {"metadata.o.0.p": 1}, {"metadata.t": {"$elemMatch": {"$gt": "x"}}}, {"filename": {"$isubstring": "f12"}},
    {"$or": [{"metadata.n": 1}, {"owner": "o"}]}, {"status": "pending", "owner": "o"}, {"content": "common"},
]  # fmt: skip


def distributed(url: str) -> None:
    """Let a store's tables be in the catalogue that Citus has."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE pg_dist_partition (logicalrelid regclass)")
        connection.execute("INSERT INTO pg_dist_partition VALUES ('docstore_document')")


@pytest.fixture(params=["partitions", "distributed"])
def store(
    request: pytest.FixtureRequest, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[docstore.Store]:
    """A store in 8 partitions, whose counts are folded with every write."""
    monkeypatch.setattr("docstore_sql.counters.random", lambda: 0.0)
    monkeypatch.setattr("docstore_postgres.backend.folds", lambda: True)
    docstore.open(postgres_url, partitions=8).close()
    if request.param == "distributed":
        distributed(postgres_url)
    with docstore.open(postgres_url, blobs=str(tmp_path / "files")) as opened:
        assert (request.param == "distributed") == opened._context.backend.tables.distributed
        opened.create_index("-metadata.s", "filename")
        opened.documents.add_many(
            {"tenant": "abc"[n % 3], "filename": f"f{n}.txt", "owner": "o", "external_id": f"e{n % 50}",
             "metadata": {"n": n % 9, "t": ["x"], "s": f"v{n % 13}", "o": [{"p": n % 2}]},
             "content": f"common word{n % 11}"}
            for n in range(300)
        )  # fmt: skip
        yield opened


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """All statements that are executed, with the values of one row."""
    found: list[tuple[str, Any]] = []
    execute, many = psycopg.Cursor.execute, psycopg.Cursor.executemany

    def one(cursor: Any, text: Any, values: Any = None, **keywords: Any) -> Any:
        found.append((str(text), values))
        return execute(cursor, text, values, **keywords)

    def each(cursor: Any, text: Any, rows: Any, **keywords: Any) -> Any:
        rows = list(rows)
        found.extend((str(text), row) for row in rows[:1])
        return many(cursor, text, rows, **keywords)

    monkeypatch.setattr(psycopg.Cursor, "execute", one)
    monkeypatch.setattr(psycopg.Cursor, "executemany", each)
    return found


def write(view: docstore.Store) -> None:
    """Call what writes."""
    documents = view.documents
    first = documents.add(b"bytes", filename="a.txt", external_id="x", metadata={"n": 1})
    documents.add(b"others", filename="b.txt", external_id="x", content="words")
    documents.put(b"newer", id=first.id)
    documents.add_many(
        {"metadata": {"n": n}, "content": "more words", "external_id": f"e{n}"} for n in range(12)
    )
    documents.put(b"put", external_id="x", filename="c.txt")
    documents.put(id="given", metadata={"a": 1})
    documents.put(id="given", metadata={"a": 2}, on_conflict="merge")
    documents.update(first.id, {"$set": {"metadata.k": 1}}, filename="d.txt")
    documents.update(first.id, content="text", owner="p")
    documents.update_many({"metadata.n": {"$lt": 2}}, metadata={"seen": True})
    documents.start("given")
    documents.fail("given", "an error")
    documents.retry("given")
    for claim in documents.claim(3, filter={"metadata.n": {"$gte": 0}}):
        claim.heartbeat()
        claim.complete(content="done")
    extraction = view.extractions.add(first.id, {"a": 1}, confidence_scores={"a": 50.0}, review_below=80)
    view.extractions.update(extraction.id, metadata={"b": 1})
    view.extractions.review(extraction.id, {"a": 2}, reviewed_by="me")
    view.extractions.delete(extraction.id)
    with view.transaction():
        view.extractions.add(first.id, {"a": 1})
        documents.delete(documents.add(metadata={}, content="gone").id)
    documents.delete(first.id)
    documents.delete_many({"metadata.n": 7})


def read(view: docstore.Store) -> None:
    """Call what reads."""
    documents = view.documents
    some = documents.find(limit=1).items[0].id
    for filter in FILTERS:
        documents.find(filter, limit=5, total=True, include={"content"})
        documents.find(filter, sort="metadata.n", limit=3)
        documents.count(filter)
        documents.exists(filter)
        documents.count_by("metadata.n", filter)
    documents.find(sort=["-metadata.s", "filename"], limit=5)
    documents.find(search="word3 common", limit=5, include={"snippet"})
    documents.find(search="word5", sort="-score", limit=5)
    documents.get(some, include={"content"})
    documents.get_many([some, "missing"])
    documents.versions("e3")
    documents.get_by_external_id("e3")
    list(documents.iterate({"metadata.n": 2}))
    documents.distinct("metadata.s", limit=3)
    documents.bounds("metadata.n")
    documents.fields(limit=10)
    documents.count_by("status")
    documents.read_bytes(documents.add(b"read", filename="r").id)
    view.extractions.find({"status": "completed"}, limit=5, total=True)


def touched(store: docstore.Store, text: str, values: Any) -> set[str]:
    """Return the numbers of the partitions that a statement looks in, by its plan."""
    runs = text.startswith("SELECT") and "nextval" not in text and "setval" not in text
    how = "ANALYZE, COSTS OFF, TIMING OFF" if runs else "COSTS OFF"
    with store._context.backend.read() as session:
        session.cursor.execute("BEGIN")
        try:
            session.cursor.execute(f"EXPLAIN ({how}) {text}", values)
            lines = [line for (line,) in session.cursor.fetchall()]
        finally:
            session.cursor.execute("ROLLBACK")
    plan = "\n".join(line for line in lines if "never executed" not in line)
    return set(re.findall(rf"docstore_(?:{TABLES})_p(\d)\b", plan))


@pytest.mark.parametrize("call", [write, read])
def test_each_statement_of_a_tenants_call_touches_one_partition(
    store: docstore.Store, recorded: list[tuple[str, Any]], call: Callable[[docstore.Store], None]
) -> None:
    """Reads and writes, rows, contents, bytes' rows, counts and usual values."""
    view = store.scoped(tenant="b")
    recorded.clear()
    call(view)
    kinds: set[str] = set()
    for text, values in dict(recorded).items():
        kind = text.split(" ", 1)[0]
        if kind not in KINDS or not re.search(rf"docstore_(?:{TABLES})\b", text):
            continue
        parts = touched(store, text, values)
        assert len(parts) <= 1, (text, values)
        kinds |= {kind} if parts or kind == "INSERT" else set()
    assert kinds >= ({"SELECT"} if call is read else {"SELECT", "INSERT", "UPDATE", "DELETE"})


@pytest.mark.parametrize("store", ["distributed"], indirect=True)
@pytest.mark.parametrize("tenant", ["b", None])
@pytest.mark.parametrize("call", [write, read])
def test_statements_over_distributed_tables_are_fit_for_citus(
    store: docstore.Store,
    recorded: list[tuple[str, Any]],
    call: Callable[[docstore.Store], None],
    tenant: str | None,
) -> None:
    """No sub-select among inserted values, no write within WITH; over all tenants one level, and no row lock
    but on one tenant's.
    """
    recorded.clear()
    call(store if tenant is None else store.scoped(tenant=tenant))
    if tenant is None:
        store.create_index("metadata.k")
        assert store.check().ok
    written = 0
    for text, _ in recorded:
        if text.startswith("EXPLAIN") or not re.search(rf"docstore_(?:{TABLES}|sort)\b", text):
            continue
        written += 1
        assert not re.match(r"INSERT .* VALUES .*\(SELECT", text, re.DOTALL), text
        assert not re.match(r"WITH .*(INSERT|UPDATE|DELETE) ", text, re.DOTALL), text
        assert "FROM CURRENT" not in text
        if "tenant = " not in text and not text.startswith("DO "):  # of a function, on the coordinator alone
            assert "FOR UPDATE" not in text, text
            assert "(SELECT" not in text, text
    assert written > 50


def test_a_store_is_distributed(postgres_url: str, recorded: list[tuple[str, Any]], tmp_path: Path) -> None:
    """By Citus' functions, of which those here only note that they were called: the settings to all nodes,
    the other tables by tenant beside each other, their foreign keys made anew. It is found when it is opened.
    """
    with docstore.open(postgres_url) as opened:
        opened.documents.add(id="d", tenant="a", metadata={}, content="text")
    with pytest.raises(docstore.BackendError, match="no Citus"):
        docstore.distribute(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE pg_dist_partition (logicalrelid regclass, beside text)")
        note = "LANGUAGE sql AS 'INSERT INTO pg_dist_partition VALUES"
        arguments = "name regclass, distribution text, colocate_with text"
        connection.execute(f"CREATE FUNCTION create_reference_table(name regclass) RETURNS void {note} ($1)'")
        connection.execute(
            f"CREATE FUNCTION create_distributed_table({arguments}) RETURNS void {note} ($1, $3)'"
        )
        keys = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' ORDER BY 1"
        before = connection.execute(keys).fetchall()
        stages: list[str] = []
        docstore.distribute(postgres_url, on_progress=lambda progress: stages.append(progress.stage))
        docstore.distribute(postgres_url)
        found = connection.execute("SELECT logicalrelid::text, beside FROM pg_dist_partition").fetchall()
        assert before == connection.execute(keys).fetchall()
    assert ["document", "extraction", "content", "blob", "tally", "usual"] == stages
    assert ("docstore_setting", None) == found[0]
    assert ("docstore_document", "default") == found[1]
    assert {'"docstore_document"'} == {beside for _, beside in found[2:]}
    with docstore.open(postgres_url) as opened:
        assert opened._context.backend.tables.distributed
        assert "text" == opened.documents.find(search="text", include={"content"}).items[0].content
    with pytest.raises(docstore.BackendError, match="distributed"):
        docstore.partition(postgres_url, 4)
