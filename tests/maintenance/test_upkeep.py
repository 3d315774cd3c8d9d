"""The methods of a store that look after it: what they see in a scope, and where they are refused."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

import docstore
from docstore.backend import BlobRow
from docstore.blobs import new_key
from docstore.maintenance import CollectReport


def damage(place: Any) -> dict[str, str]:
    """Give two tenants a document each whose bytes are gone; return the ids by tenant."""
    ids = {}
    for tenant in ("t", "u"):
        size = {"t": 1, "u": 2}[tenant]
        ids[tenant] = place.store.documents.add(b"x" * size, filename="a", tenant=tenant).id
        place.blobs.delete(place.key(size))
    return ids


def test_a_store_checks_repairs_and_collects(place: Any) -> None:
    """What check finds repair acts on, dry at first; collect then removes what was buried."""
    key = new_key()
    place.insert(BlobRow(key, state="live", size=3, sha256=sha256(b"old").hexdigest()))
    place.blobs.write(key, [b"old"])
    for n in range(10):
        place.store.documents.add(b"%d" % n, filename="a")
    report = place.store.check("hash")
    assert [("extra", key)] == [(finding.kind, finding.key) for finding in report.findings]
    assert [False] == [action.done for action in place.store.repair(report).actions]
    assert [True] == [action.done for action in place.store.repair(report, dry_run=False).actions]
    assert 1 == place.store.collect(0).swept
    assert place.store.check("hash").ok is True
    assert 10 == place.store.stats().documents


def test_a_scoped_store_sees_its_own_findings(place: Any) -> None:
    """Another tenant's loss, and an object that is nobody's, are not in its report."""
    ids = damage(place)
    place.blobs.write(new_key(), [b"nobody's"])
    assert [ids["t"]] == [one.document_id for one in place.store.scoped(tenant="t").check().findings]
    assert {ids["t"], ids["u"], None} == {one.document_id for one in place.store.check().findings}


def test_a_scoped_store_repairs_its_own(place: Any) -> None:
    """Findings of others, in a report of the whole store, have no action."""
    ids = damage(place)
    place.blobs.write(new_key(), [b"nobody's"])
    report = place.store.check()
    actions = place.store.scoped(tenant="t").repair(report).actions
    assert [ids["t"]] == [action.finding.document_id for action in actions]


def test_a_scoped_store_collects_its_own(place: Any) -> None:
    """Dead bytes of others, and objects without a row, are left."""
    place.store.documents.add(b"marks the root", filename="a")
    for tenant in ("t", "u"):
        row = BlobRow(new_key(), tenant, state="dead")
        place.insert(row)
        place.blobs.write(row.key, [b"dead"])
    place.blobs.write(new_key(), [b"nobody's"])
    report = place.store.scoped(tenant="t").collect(0)
    assert (1, 1, 0) == (report.swept, report.dropped, report.orphans)
    assert ["dead", "live"] == sorted(place.states().values())
    assert 3 == len(place.names())


def test_erase_in_a_scope_reaches_no_further(place: Any) -> None:
    """A view erases within its scope, whatever it is told; another scope is an error."""
    for tenant, owner in (("t", "a"), ("t", "b"), ("u", "a")):
        place.store.documents.add(b"x", filename="f", tenant=tenant, owner=owner)
    view = place.store.scoped(tenant="t")
    with pytest.raises(docstore.ScopeError):
        view.erase(tenant="u")
    assert 1 == view.erase(owner="a").documents
    assert [("t", "b"), ("u", "a")] == [(one.tenant, one.owner) for one in place.store.documents.iterate()]
    assert 1 == view.erase().documents
    assert 1 == place.store.documents.count()


@pytest.mark.parametrize("whom", [{}, {"tenant": None}, {"owner": ""}, {"tenant": "t", "owner": None}])
def test_erase_of_nobody_is_an_error(place: Any, whom: dict[str, Any]) -> None:
    """Nobody named, ``None`` and the empty text never mean everybody."""
    place.store.documents.add(b"x", filename="f", tenant="t")
    with pytest.raises(docstore.ScopeError):
        place.store.erase(**whom)
    assert 1 == place.store.documents.count()


def test_a_store_that_asks_for_a_scope_asks_here_too(url: str) -> None:
    """``scope_required``: the whole store is looked after through ``unscoped()``; erase names its scope."""
    with docstore.open(url, scope_required=True) as store:
        for call in (store.check, store.collect, store.stats):
            with pytest.raises(docstore.ScopeRequired):
                call()
        assert store.unscoped().check().ok is True
        assert 0 == store.erase(tenant="t").documents


def test_upkeep_is_no_part_of_a_transaction(place: Any) -> None:
    """Within a transaction it is refused, before it could wait for it."""
    with place.store.transaction():
        for call in (place.store.check, place.store.collect, place.store.stats):
            with pytest.raises(docstore.BackendError, match="transaction"):
                call()


def test_a_closed_store_is_not_looked_after(url: str) -> None:
    """Every method says that the store is closed."""
    store = docstore.open(url)
    store.close()
    with pytest.raises(docstore.StoreClosed):
        store.check()


def test_a_store_without_bytes_has_nothing_to_collect(url: str) -> None:
    """Without blobs= and without rows of bytes, collect has nothing to do; with some, it needs them."""
    with docstore.open(url) as store:
        assert CollectReport() == store.collect()
        with store._context.backend.write() as writer:
            writer.insert_blob(BlobRow(new_key(), state="dead"))
        with pytest.raises(docstore.BlobsNotConfigured):
            store.collect()
