"""Batches of documents with ids of the caller: stored by column where none is there, looked for else."""

from __future__ import annotations

from typing import Any

import pytest

import docstore
from docstore.backend import Rows

MANY = 40


def drafts(first: int, last: int, **also: Any) -> list[dict[str, Any]]:
    """Return what ``add_many`` takes of some documents."""
    return [{"id": f"d{n}", "filename": f"{n}.txt", "metadata": {"n": n}, **also} for n in range(first, last)]


def test_new_ids_are_stored(store: docstore.Store) -> None:
    """Their ids come back in order; all are new, and as many are there."""
    result = store.documents.add_many(drafts(0, MANY))
    assert ([f"d{n}" for n in range(MANY)], MANY, 0) == (result.ids, result.added, result.existing)
    assert [f"d{n}" for n in range(MANY)] == [one.id for one in store.documents.iterate()]


def test_a_batch_that_comes_again_is_found(store: docstore.Store) -> None:
    """The same documents are there already; those among them that are not are added."""
    store.documents.add_many(drafts(0, MANY))
    again = store.documents.add_many(drafts(0, MANY + 5))
    assert (5, MANY) == (again.added, again.existing)
    assert MANY + 5 == store.documents.count()


def test_other_fields_are_refused(store: docstore.Store) -> None:
    """An id that is taken by another document is an error, and nothing of its batch is written."""
    store.documents.add_many(drafts(0, MANY))
    with pytest.raises(docstore.AlreadyExists, match="'d7'"):
        store.documents.add_many([*drafts(MANY, 2 * MANY), *drafts(7, 8, preview="other")])
    assert MANY == store.documents.count()


def test_an_id_that_comes_twice(store: docstore.Store) -> None:
    """Within one batch it is one document if all of it is the same, and an error else."""
    result = store.documents.add_many([*drafts(0, MANY), *drafts(3, 4)])
    assert (MANY, 1) == (result.added, result.existing)
    with pytest.raises(docstore.AlreadyExists):
        store.documents.add_many([*drafts(MANY, 2 * MANY), *drafts(MANY, MANY + 1, preview="other")])
    assert MANY == store.documents.count()


def test_the_id_of_another_tenant(store: docstore.Store) -> None:
    """Ids are unique within a tenant: what another has is neither found nor in the way."""
    store.scoped(tenant="a").documents.add_many(drafts(0, MANY))
    other = store.scoped(tenant="b").documents.add_many(drafts(0, MANY, preview="other"))
    assert (MANY, 0) == (other.added, other.existing)


def test_a_batch_stays_a_batch(store: docstore.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend is handed the columns; they are looked for one by one once an id turns out to be taken."""
    with store._context.backend.write() as writer:
        kind: Any = type(writer)
    insert, handed = kind.insert, []

    def noted(self: Any, collection: Any, rows: Any) -> Any:
        handed.append(type(rows))
        return insert(self, collection, rows)

    monkeypatch.setattr(kind, "insert", noted)
    store.documents.add_many(drafts(0, MANY))
    store.documents.add_many(drafts(MANY - 1, 2 * MANY))
    assert [Rows, Rows, list] == handed
