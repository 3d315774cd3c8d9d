"""Moving a document to another owner or external_id: chains, extractions and bytes move with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import docstore


def chain(store: docstore.Store, external_id: str) -> list[tuple[str, int, bool]]:
    return [(one.filename, one.version, one.is_latest) for one in store.documents.versions(external_id)]


def test_a_document_gets_another_external_id(store: docstore.Store) -> None:
    """It begins a chain, or is the next version of one; the one that it left has a latest again."""
    add, update = store.documents.add, store.documents.update
    first, second = add(filename="1", external_id="a"), add(filename="2", external_id="a")
    add(filename="x", external_id="b")
    moved = update(second.id, external_id="b")
    assert ("b", 2, True, 2) == (moved.external_id, moved.version, moved.is_latest, moved.revision)
    assert [("1", 1, True)] == chain(store, "a")
    assert [("x", 1, False), ("2", 2, True)] == chain(store, "b")
    assert store.documents.get_by_external_id("b", version=1).first_created_at == moved.first_created_at
    moved = update(second.id, {"$set": {"external_id": "c"}}, filename="3")
    assert [("3", 1, True)] == chain(store, "c")
    assert [("x", 1, True)] == chain(store, "b")
    assert second.created_at == moved.first_created_at
    alone = update(second.id, external_id=None)
    assert (None, 1, True) == (alone.external_id, alone.version, alone.is_latest)
    assert update(first.id, external_id="a").version == 1
    assert 3 == store.documents.count(latest_only=False)


def test_a_document_gets_another_owner(store: docstore.Store) -> None:
    """Its extractions and its bytes are the new owner's, so that erasing the old one leaves them."""
    made = store.documents.add(b"bytes", external_id="a", tenant="t", owner="ann")
    store.documents.add(external_id="a", tenant="t", owner="bob", filename="older")
    extraction = store.extractions.add(made.id, {"x": 1})
    moved = store.documents.update(made.id, owner="bob", metadata={"n": 1})
    assert ("bob", 2, {"n": 1}) == (moved.owner, moved.version, moved.metadata)
    assert "bob" == store.extractions.get(extraction.id).owner
    assert 0 == store.scoped(owner="ann").documents.count(latest_only=False)
    assert [("older", 1, False), ("", 2, True)] == chain(store.scoped(owner="bob"), "a")
    assert 0 == store.erase(tenant="t", owner="ann").documents
    assert b"bytes" == store.documents.read_bytes(made.id)
    new = store.documents.update(made.id, owner="eve", source=b"newer")
    assert ("eve", 5) == (new.owner, new.size)
    assert 1 == store.erase(tenant="t", owner="eve").blobs
    assert [("older", 1, True)] == chain(store, "a")


def test_many_get_another_owner(store: docstore.Store) -> None:
    """By update_many and by put; to a chain documents are moved one by one."""
    store.documents.add_many({"owner": "ann", "external_id": f"{n}"} for n in range(20))
    assert 20 == store.documents.update_many({"owner": "ann"}, owner="bob")
    assert {"bob": 20} == store.documents.count_by("owner")
    assert 20 == store.documents.update_many({}, {"$unset": {"owner": ""}}).changed
    made = store.documents.put(b"x", id="k", owner="ann").document
    assert "eve" == store.documents.put(b"x", id="k", owner="eve").document.owner
    assert 1 == store.erase(owner="eve").documents
    with pytest.raises(docstore.NotFound):
        store.documents.get(made.id)
    with pytest.raises(docstore.InvalidDocument):
        store.documents.update_many({}, external_id="all")


@pytest.mark.parametrize("changes", [{"owner": "eve"}, {"owner": None}])
def test_a_confined_store_gives_nothing_away(store: docstore.Store, changes: dict[str, Any]) -> None:
    """ScopeError; its own owner may be said."""
    view = store.scoped(tenant="t", owner="ann")
    made = view.documents.add(external_id="a")
    for call in (
        lambda: view.documents.update(made.id, **changes),
        lambda: view.documents.update_many({}, **changes),
        lambda: view.documents.update(made.id, {"$set": changes}),
    ):
        with pytest.raises(docstore.ScopeError):
            call()
    assert made == view.documents.get(made.id)
    assert "ann" == view.documents.update(made.id, owner="ann").owner
    assert "b" == view.documents.update(made.id, external_id="b").external_id


def test_movers_to_one_chain_are_its_versions(store: docstore.Store, together: Callable[..., None]) -> None:
    """Eight at once: versions 1 to 8, one latest."""
    ids = [store.documents.add(filename=f"{n}", external_id=f"{n}").id for n in range(8)]
    together(8, lambda n: store.documents.update(ids[n], external_id="all"))
    found = store.documents.versions("all")
    assert list(range(1, 9)) == [one.version for one in found]
    assert [False] * 7 + [True] == [one.is_latest for one in found]
