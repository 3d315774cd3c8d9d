"""The Postgres backend as a store: rows come back as they were, blocks are atomic, waiting ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from docstore_postgres import PostgresBackend, open_backend

from docstore.backend import Duplicate, Query, Scope
from docstore.errors import BackendError, SchemaTooNew, StoreBusy
from docstore.query.expr import Compare, In
from docstore.query.fields import DOCUMENTS
from docstore.testing.conformance.rows import keyed
from docstore.testing.servers import PostgresServer


@pytest.fixture
def backend(postgres_url: str) -> Iterator[PostgresBackend]:
    """An empty store."""
    opened = open_backend(postgres_url, lock_timeout=1.0)
    yield opened
    opened.close()


def document(name: str, **columns: Any) -> dict[str, Any]:
    """Return a document's row."""
    fields = (*DOCUMENTS.fields.values(), *DOCUMENTS.private.values())
    row: dict[str, Any] = {field.name: None for field in fields if field.name != "number"}
    row |= dict.fromkeys(
        ("version", "revision", "attempts", "created_at", "updated_at", "first_created_at"), 1
    )
    row |= {"id": name, "filename": name, "content_type": "x", "file_type": "other", "status": "pending"}
    return {**row, "is_latest": True, "metadata": "{}", **columns}


AWKWARD = "tab\t newline\n return\r back\\slash \\N \\. quote\" ' % %s \x01 \x7f é \U0001f600 \u2028"


@pytest.mark.parametrize("count", [1, 20])
def test_text_comes_back_as_it_was(backend: PostgresBackend, count: int) -> None:
    """Inserted or copied, every character is kept, and the metadata's text stays as it was written."""
    metadata = '{"z":1.0,"a":1e+16,"b":"\\u0001\\"\\\\"}'
    rows = [
        document(f"{AWKWARD}{n}", metadata=metadata, content=AWKWARD, error=AWKWARD) for n in range(count)
    ]
    with backend.write() as writer:
        numbers = writer.insert(DOCUMENTS, rows)
    with backend.read() as reader:
        read = reader.select(Query(DOCUMENTS, include=frozenset({"content"})))
    assert numbers == sorted(set(numbers)) == [row["number"] for row in read]
    assert [{name: row[name] for name in ("id", "metadata", "content", "error")} for row in rows] == [
        {name: row[name] for name in ("id", "metadata", "content", "error")} for row in read
    ]


@pytest.mark.parametrize("count", [1, 20])
def test_a_duplicate_keeps_nothing_and_the_block_goes_on(backend: PostgresBackend, count: int) -> None:
    """``Duplicate`` names the constraint; what was written before it in the block can still be committed."""
    with backend.write() as writer:
        writer.insert(DOCUMENTS, [document("first")])
        with pytest.raises(Duplicate) as caught:
            writer.insert(DOCUMENTS, [*(document(f"n{n}") for n in range(count)), document("first")])
        writer.insert(DOCUMENTS, [document("second")])
    assert "id" == caught.value.constraint
    with backend.read() as reader:
        assert ["first", "second"] == [row["id"] for row in reader.select(Query(DOCUMENTS))]


def test_two_latest_versions_are_a_duplicate_of_the_version(backend: PostgresBackend) -> None:
    """A chain's second latest version is refused by the database."""
    with backend.write() as writer, pytest.raises(Duplicate) as caught:
        writer.insert(DOCUMENTS, [document("a", external_id="x"), document("b", external_id="x", version=2)])
    assert "version" == caught.value.constraint


def test_what_is_derived_follows_an_update(backend: PostgresBackend) -> None:
    """Filters see the new metadata and the new filename at once."""
    with backend.write() as writer:
        (number,) = writer.insert(DOCUMENTS, [document("a", metadata='{"a":1}')])
        assert writer.update(DOCUMENTS, keyed(number), {"metadata": '{"a":1e+16}', "filename": "É"})
        assert 1 == writer.count(Query(DOCUMENTS, where=Compare(("metadata", "a"), "eq", 10**16)))
        assert 0 == writer.count(Query(DOCUMENTS, where=Compare(("metadata", "a"), "eq", 1)))


def test_a_snapshot_does_not_move(backend: PostgresBackend) -> None:
    """Reads of one snapshot agree although another block commits between them; the next read sees it."""
    with backend.read(snapshot=True) as reader:
        assert 0 == reader.count(Query(DOCUMENTS))
        with backend.write() as writer:
            writer.insert(DOCUMENTS, [document("a")])
        assert 0 == reader.count(Query(DOCUMENTS))
    with backend.read() as reader:
        assert 1 == reader.count(Query(DOCUMENTS))


def test_an_exception_undoes_the_block(backend: PostgresBackend) -> None:
    """Nothing of a block that raises is kept, and the exception is the caller's own."""

    def fails() -> None:
        with backend.write() as writer:
            writer.insert(DOCUMENTS, [document("a")])
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    with backend.read() as reader:
        assert 0 == reader.count(Query(DOCUMENTS))


def test_names_and_rows_that_others_hold_are_waited_for(backend: PostgresBackend) -> None:
    """A name held elsewhere is StoreBusy after the timeout; held rows are skipped where asked for."""
    with backend.write() as writer:
        writer.insert(DOCUMENTS, [document("a"), document("b")])
    with backend.write() as holder:
        holder.lock("x")
        holder.select(Query(DOCUMENTS, where=In(("id",), ("a",)), lock="wait"))
        with backend.write() as other:
            other.lock("y")
            assert ["b"] == [row["id"] for row in other.select(Query(DOCUMENTS, lock="skip"))]
        with pytest.raises(StoreBusy), backend.write() as other:
            other.lock("x")


def test_a_store_is_created_once(postgres_url: str) -> None:
    """Many openers at once make one store."""
    opened: list[PostgresBackend] = []
    threads = [threading.Thread(target=lambda: opened.append(open_backend(postgres_url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 4 == len(opened)
    for each in opened:
        each.close()


def test_a_newer_store_is_refused(backend: PostgresBackend, postgres_url: str) -> None:
    """The error names both formats."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("UPDATE docstore_setting SET value = '999' WHERE name = 'format'")
    with pytest.raises(SchemaTooNew) as caught:
        open_backend(postgres_url)
    assert 999 == caught.value.found


def test_a_schema_of_its_own(postgres_url: str) -> None:
    """Tables and functions live in the schema that was named."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA apart")
    opened = open_backend(postgres_url, schema="apart", table_prefix="x_")
    with opened.write() as writer:
        writer.insert(DOCUMENTS, [document(f"n{n}", metadata='{"a":[1]}') for n in range(10)])
        composite = Compare(("metadata", "a"), "gte", [1])
        assert 10 == writer.count(Query(DOCUMENTS, where=composite))
    opened.close()


def test_an_applications_engine_keeps_its_ways(postgres_url: str) -> None:
    """An engine that was brought is not disposed of, and its connections are not left in autocommit."""
    engine = sa.create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://", 1), pool_size=1)
    opened = open_backend(engine)
    with opened.write() as writer:
        writer.insert(DOCUMENTS, [document("a")])
    opened.close()
    with engine.connect() as connection:
        connection.exec_driver_sql("DELETE FROM docstore_document")
        connection.rollback()
        assert 1 == connection.exec_driver_sql("SELECT count(*) FROM docstore_document").scalar()
    engine.dispose()


def test_joining_the_applications_transaction(backend: PostgresBackend) -> None:
    """What is written in a joined block is the application's to commit or roll back."""
    engine = sa.create_engine(backend.engine.url)
    with engine.connect() as connection:
        with backend.join(connection) as joined:
            writer = joined()
            writer.insert(DOCUMENTS, [document("a")])
            with pytest.raises(Duplicate):
                writer.insert(DOCUMENTS, [document("a")])
            assert 1 == writer.count(Query(DOCUMENTS))
        connection.rollback()
    engine.dispose()
    with backend.read() as reader:
        assert 0 == reader.count(Query(DOCUMENTS))


def test_a_server_that_comes_back_is_used_again() -> None:
    """While it is away calls fail with a retryable error; afterwards the same store works."""
    with PostgresServer() as server:
        opened = open_backend(server.create_database())
        with opened.write() as writer:
            writer.insert(DOCUMENTS, [document("a")])
        server.stop("immediate")
        with pytest.raises(BackendError) as caught, opened.read() as reader:
            reader.count(Query(DOCUMENTS))
        assert caught.value.retryable
        server.start()
        with opened.read() as reader:
            assert 1 == reader.count(Query(DOCUMENTS))
        opened.close()


def test_the_index_serves_equality(backend: PostgresBackend) -> None:
    """``$eq`` and ``$in`` on a path, scope and all, go through the GIN index once there are rows enough."""
    rows = [document(f"n{n}", metadata=f'{{"a":{{"b":["v{n}"]}}}}') for n in range(3000)]
    with backend.write() as writer:
        writer.insert(DOCUMENTS, rows)
    with psycopg.connect(str(backend.engine.url.set(drivername="postgresql")), autocommit=True) as connection:
        connection.execute("ANALYZE docstore_document")
    path = ("metadata", "a", "b")
    with backend.read() as reader:
        for where in (Compare(path, "eq", "v7"), In(path, ("v7", "v8")), Compare(path, "eq", ["v7"])):
            plan = reader.explain(Query(DOCUMENTS, scope=Scope(owner=None), where=where)).plan
            assert plan is not None
            assert "docstore_document_metadata" in plan
