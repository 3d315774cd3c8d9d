"""One record written by one statement on Postgres: what it leaves is what a block leaves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from docstore_postgres import PostgresBackend, open_backend

import docstore
from docstore.backend import Query
from docstore.errors import AlreadyExists, InvalidTransition
from docstore.query.expr import Compare
from docstore.query.fields import DOCUMENTS
from docstore.testing.conformance.rows import keyed


@pytest.fixture
def backend(postgres_store_url: str) -> Iterator[PostgresBackend]:
    """An empty store."""
    opened = open_backend(postgres_store_url)
    yield opened
    opened.close()


@pytest.fixture
def blocks(backend: PostgresBackend, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The write blocks opened so far."""
    opened: list[int] = []
    write = backend.write

    def counted() -> Any:
        opened.append(1)
        return write()

    monkeypatch.setattr(backend, "write", counted)
    monkeypatch.setattr("docstore_postgres.backend.folds", lambda: False)
    return opened


def test_plain_adds_and_changes_open_no_block(backend: PostgresBackend, blocks: list[int]) -> None:
    """A document without content, its status and its metadata are each one statement; counts follow."""
    store = docstore.open(backend)
    made = store.documents.add(filename="a.pdf", metadata={"n": 1}, id="mine", owner="me")
    again = store.documents.add(filename="a.pdf", metadata={"n": 1}, owner="me")
    store.documents.start(made.id)
    store.documents.update(made.id, metadata={"m": 2})
    done = store.documents.complete(made.id)
    assert [] == blocks
    assert {"completed": 1, "pending": 1} == store.documents.count_by("status")
    assert (4, {"n": 1, "m": 2}, made.created_at) == (done.revision, done.metadata, done.created_at)
    assert made.number < again.number
    assert made.created_at <= again.created_at <= done.updated_at
    assert [made.id] == [one.id for one in store.documents.find({"metadata.m": 2})]


def test_a_taken_id_is_looked_at(backend: PostgresBackend, blocks: list[int]) -> None:
    """The same id with the same fields is what is there, with others it is refused; neither is counted."""
    store = docstore.open(backend)
    made = store.documents.add(filename="a", id="mine")
    assert made == store.documents.add(filename="a", id="mine")
    with pytest.raises(AlreadyExists):
        store.documents.add(filename="b", id="mine")
    assert (1, 2) == (store.documents.count(), len(blocks))


@pytest.mark.parametrize(
    "theirs",
    [{"revision": 7}, {"is_latest": False}, {"status": "failed"}],
    ids=lambda change: next(iter(change)),
)
def test_a_row_that_changed_since_is_left(backend: PostgresBackend, theirs: dict[str, Any]) -> None:
    """What is written alone is written only if the row is still the one that was read."""
    number = docstore.open(backend).documents.add(filename="a", id="mine").number
    where = Query(DOCUMENTS, where=Compare(("id",), "eq", "mine"))
    (row,), _ = backend.select_now(where)
    with backend.write() as writer:
        writer.update(DOCUMENTS, keyed(number), theirs)
    assert not backend.update_single(DOCUMENTS, row, {"status": "processing", "revision": 2})
    (now,), _ = backend.select_now(where)
    assert {**row, **theirs} == now


def test_who_comes_second_decides_anew(
    backend: PostgresBackend, blocks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading and writing another starts the document: the second one is refused, as in a block."""
    store = docstore.open(backend)
    made = store.documents.add(filename="a")
    update = backend.update_single

    def raced(*args: Any) -> bool:
        monkeypatch.setattr(backend, "update_single", update)
        store.documents.start(made.id)
        return update(*args)

    monkeypatch.setattr(backend, "update_single", raced)
    with pytest.raises(InvalidTransition):
        store.documents.start(made.id)
    found = store.documents.get(made.id)
    assert (2, 1, 1) == (found.revision, found.attempts, len(blocks))


def test_within_a_transaction_all_is_undone(backend: PostgresBackend) -> None:
    """A transaction's calls are parts of its block."""
    store = docstore.open(backend)
    made = store.documents.add(filename="a")

    def transaction() -> None:
        with store.transaction():
            store.documents.add(filename="b")
            store.documents.start(made.id)
            raise RuntimeError("undo")

    with pytest.raises(RuntimeError):
        transaction()
    assert {"pending": 1} == store.documents.count_by("status")
