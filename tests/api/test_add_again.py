"""Safe retries: the same id again, the same bytes again."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import docstore

FIELDS: dict[str, Any] = {"filename": "a.txt", "metadata": {"n": 1}, "external_id": "e", "content": "text"}


def test_the_same_id_with_the_same_fields_returns_what_is_there(store: docstore.Store) -> None:
    """A retry with the same bytes and fields makes no second document and no second version."""
    first = store.documents.add(b"bytes", id="x", **FIELDS)
    again = store.documents.add(b"bytes", id="x", **FIELDS)
    assert first == again
    assert 1 == store.documents.count(latest_only=False)


def test_the_retry_is_compared_with_what_was_added(store: docstore.Store) -> None:
    """What was changed since does not matter, and comes back as it is now."""
    store.documents.add(b"bytes", id="x", **FIELDS)
    store.documents.update("x", metadata={"n": 2}, filename="b.txt")
    assert {"n": 2} == store.documents.add(b"bytes", id="x", **FIELDS).metadata


@pytest.mark.parametrize(
    "other",
    [
        {"filename": "b.txt"},
        {"metadata": {"n": 2}},
        {"external_id": "f"},
        {"content": "t"},
        {"source": b"bytez"},
    ],
)
def test_the_same_id_with_anything_else_is_refused(store: docstore.Store, other: dict[str, Any]) -> None:
    """AlreadyExists names the id, and nothing is changed."""
    first = store.documents.add(b"bytes", id="x", **FIELDS)
    with pytest.raises(docstore.AlreadyExists) as caught:
        store.documents.add(**{"source": b"bytes", "id": "x", **FIELDS, **other})
    assert "x" == caught.value.id
    assert [first] == list(store.documents.iterate(latest_only=False))


def test_a_batch_knows_its_own_ids(store: docstore.Store) -> None:
    """The same id twice in one batch is one document; with other fields it is refused."""
    result = store.documents.add_many(
        [{"id": "x", "filename": "a"}, {"id": "x", "filename": "a"}, {"id": "y"}]
    )
    assert (["x", "x", "y"], 2, 1) == (result.ids, result.added, result.existing)
    with pytest.raises(docstore.AlreadyExists):
        store.documents.add_many([{"id": "z", "filename": "a"}, {"id": "z", "filename": "b"}])
    assert [] == store.documents.get_many(["z"])


def test_racing_retries_make_one_document(store: docstore.Store, together: Callable[..., None]) -> None:
    """However many add the same id at once, there is one."""
    ids: list[str] = []
    together(6, lambda index: ids.append(store.documents.add(b"bytes", id="x", **FIELDS).id))
    assert ["x"] * 6 == ids
    assert 1 == store.documents.count(latest_only=False)


def test_dedupe_returns_the_document_with_these_bytes(store: docstore.Store) -> None:
    """dedupe="sha256" looks among the same tenant's and owner's documents."""
    first = store.documents.add(b"bytes", filename="a", dedupe="sha256")
    assert first == store.documents.add(b"bytes", filename="b", dedupe="sha256")
    other = store.documents.add(b"bytes", filename="b", owner="o", dedupe="sha256")
    assert first.id != other.id
    store.documents.delete(first.id)
    assert first.id != store.documents.add(b"bytes", dedupe="sha256").id


def test_racing_dedupe_makes_one_document(store: docstore.Store, together: Callable[..., None]) -> None:
    """Also under concurrency."""
    ids: list[str] = []
    together(6, lambda index: ids.append(store.documents.add(b"bytes", dedupe="sha256").id))
    assert 1 == len(set(ids)) == store.documents.count()


@pytest.mark.parametrize("url", ["sqlite-file", "postgres"], indirect=True)
def test_a_digest_is_looked_up_in_an_index(url: str) -> None:
    """What dedupe asks before each add scans no table; rows without a digest are not in the index."""
    postgres = url.startswith("postgres")
    with docstore.open(url) as store:
        store.documents.add_many({"sha256": f"{number:064x}", "size": 1} for number in range(50))
        store.documents.add(filename="no bytes")
        with store._context.backend.read() as session:
            cursor, words = session.cursor, "EXPLAIN" if postgres else "EXPLAIN QUERY PLAN"  # type: ignore[attr-defined]
            if postgres:  # it would scan so few; in a transaction, as a pooler's sessions are shared
                cursor.execute("BEGIN; SET LOCAL enable_seqscan = off")
            cursor.execute(f"{words} SELECT number FROM docstore_document WHERE sha256 = '{7:064x}'")
            assert re.search(r"document_(p\d_)?sha256", str(cursor.fetchall()))
            if postgres:
                cursor.execute("ROLLBACK")
        assert 1 == store.documents.count({"sha256": f"{7:064x}"})
        assert 1 == store.documents.count({"sha256": None})
