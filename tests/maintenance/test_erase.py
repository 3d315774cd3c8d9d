"""Erasure reaches everything of a tenant or owner, and nothing of others; stats count what is there."""

from __future__ import annotations

from typing import Any

import pytest

from docstore.backend import BlobRow, Scope
from docstore.blobs import new_key
from docstore.crash_points import hooked
from docstore.errors import BlobsNotConfigured, ScopeError
from docstore.maintenance import Total, check, collect, erase, stats
from docstore.testing.faulty_filesystem import Faults, faulty_blobs

SCOPES = [("t", "a"), ("t", "b"), ("u", "a"), ("u", "b"), (None, "a"), ("t", None)]


def fill(place: Any) -> dict[tuple[str | None, str | None], str]:
    """Add a document and blob rows in every state for each of several scopes; return the documents' ids."""
    ids = {}
    for tenant, owner in SCOPES:
        document = place.store.documents.add(
            f"{tenant} {owner}".encode(), filename="a", tenant=tenant, owner=owner, external_id="e"
        )
        place.store.documents.add(b"again", filename="b", tenant=tenant, owner=owner, external_id="e")
        place.store.extractions.add(document.id, results={"n": 1})
        ids[tenant, owner] = document.id
        for state in ("pending", "live", "dead", "swept"):
            row = BlobRow(new_key(), tenant, owner, state=state, at=2**52)  # type: ignore[arg-type]
            place.insert(row)
            place.blobs.write(row.key, [state.encode()])
    return ids


@pytest.mark.parametrize("scope", [Scope("t"), Scope(owner="a"), Scope("t", "a")])
def test_nothing_of_the_scope_is_left_and_all_of_the_others(place: Any, scope: Scope) -> None:
    """Documents of all versions, extractions, and blob rows in every state with their bytes."""
    ids = fill(place)
    theirs = [
        (tenant, owner)
        for tenant, owner in SCOPES
        if scope.tenant in (None, tenant) and scope.owner in (None, owner)
    ]
    others = [one for one in SCOPES if one not in theirs]
    report = erase(place.backend, place.blobs, scope)
    assert report.documents == 2 * len(theirs)
    assert report.failed == ()
    left = [row for row in place.rows().values() if scope.tenant in (None, row.tenant)]
    assert [row for row in left if scope.owner in (None, row.owner)] == []
    assert [document.id for document in place.store.documents.iterate({"id": ids[theirs[0]]})] == []
    assert place.store.documents.count() == 2 * len(others) - len(others)
    assert place.store.extractions.count() == len(others)
    for one in others:
        expected = "{} {}".format(*one).encode()
        assert place.store.documents.read_bytes(ids[one]) == expected
    states = {row.key: row.state for row in place.rows().values() if (row.tenant, row.owner) in others}
    expected_states = ["pending", "live", "live", "live", "dead", "swept"] * len(others)
    assert sorted(states.values()) == sorted(expected_states)
    swept = [key for key, state in place.states().items() if state == "swept" and key not in states]
    assert len(swept) == 6 * len(theirs)
    assert {place.blobs.size_of(key) for key in swept if place.rows()[key].at < 2**52} == {None}
    collect(place.backend, place.blobs, 0)
    kinds = {finding.kind for finding in check(place.backend, place.blobs).findings}
    assert kinds <= {"extra"}


def test_a_write_under_way_is_fenced(place: Any) -> None:
    """Its intent is reached, too: it is written again after the erasure, whole."""
    fired: list[str] = []

    def eraser(reached: str) -> None:
        if reached == "P3.5" and not fired:
            fired.append(reached)
            erase(place.backend, place.blobs, Scope("t"))

    with hooked(eraser):
        document = place.store.documents.add(b"bytes", filename="a", tenant="t")
    assert place.store.documents.read_bytes(document.id) == b"bytes"
    assert sorted(place.states().values()) == ["live", "swept"]
    assert check(place.backend, place.blobs, "hash").ok is True


def test_what_is_added_during_the_erasure_is_whole_or_gone(place: Any, meanwhile: Any) -> None:
    """A document that is committed between its steps is erased, or keeps its bytes: none is left without."""

    def add() -> None:
        place.store.documents.add(b"bytes", filename="a", tenant="t")

    fill(place)
    erase(meanwhile(place.backend, read=add), place.blobs, Scope("t"))
    left = list(place.store.documents.iterate({"tenant": "t"}))
    assert left != []
    assert [place.store.documents.read_bytes(document.id) for document in left] == [b"bytes"] * len(left)


def test_an_erasure_that_dies_goes_on(place: Any) -> None:
    """Killed on the way, the same call finishes."""

    class Died(BaseException):
        pass

    def die(reached: str) -> None:
        if reached == "C3":
            raise Died

    fill(place)
    with hooked(die), pytest.raises(Died):
        erase(place.backend, place.blobs, Scope("t"))
    erase(place.backend, place.blobs, Scope("t"))
    assert [row for row in place.rows().values() if row.tenant == "t"] == []


def test_bytes_that_cannot_be_removed_are_named_and_go_later(anywhere: Any) -> None:
    """They stay dead, with their scope, until a collection removes them."""
    anywhere.store.documents.add(b"one", filename="a", tenant="t")
    faults = Faults(1, "before", only={"rm_file", "delete_object", "delete_objects"})
    blobs = faulty_blobs(anywhere.blobs._url, faults, **anywhere.blobs._options)
    report = erase(anywhere.backend, blobs, Scope("t"))
    assert (report.documents, report.blobs, len(report.failed)) == (1, 0, 1)
    assert anywhere.states() == {report.failed[0]: "dead"}
    assert collect(anywhere.backend, blobs, 0).dropped == 1
    assert (anywhere.states(), anywhere.names()) == ({}, [])


def test_erasure_needs_a_scope_and_blobs_if_there_are_bytes(place: Any) -> None:
    """The empty scope is refused; without blobs only a scope without bytes can be erased."""
    with pytest.raises(ScopeError):
        erase(place.backend, place.blobs, Scope())
    place.store.documents.add(b"bytes", filename="a", tenant="t")
    place.store.documents.add(filename="a", tenant="u")
    with pytest.raises(BlobsNotConfigured):
        erase(place.backend, None, Scope("t"))
    assert erase(place.backend, None, Scope("u")).documents == 1
    assert place.store.documents.count() == 1


def test_stats_count_what_is_there(place: Any) -> None:
    """Documents by status, latest ones, extractions, blobs by state with their bytes, within a scope."""
    fill(place)
    place.store.documents.complete(place.store.documents.add(filename="c", tenant="u").id)
    counted = stats(place.backend, place.blobs)
    assert (counted.documents, counted.latest, counted.extractions) == (13, 7, 6)
    assert counted.statuses == {"pending": 12, "processing": 0, "completed": 1, "failed": 0}
    assert {state: total.count for state, total in counted.blobs.items()} == {
        "pending": 6, "live": 18, "dead": 6, "swept": 6,
    }  # fmt: skip
    assert counted.backend == place.backend.name
    assert counted.location == place.blobs.location
    theirs = stats(place.backend, None, Scope("u"))
    assert (theirs.documents, theirs.location) == (5, None)
    assert theirs.blobs["live"] == Total(6, 2 * len(b"u a" + b"again"))


def test_stats_name_who_holds_what(store: Any) -> None:
    """Claims in force, the first to end first, within a scope; sizes of tables if asked, unscoped."""
    for n in range(3):
        store.documents.add(filename=f"{n}.txt", tenant="t" if n else None)
    store.documents.claim(1, lease=60, worker="w1")
    (claim,) = store.documents.claim(1, lease=30)
    counted = store.stats(sizes=True)
    assert [(one.filename, one.worker, one.attempts) for one in counted.held] == [
        ("1.txt", None, 1), ("0.txt", "w1", 1)
    ]  # fmt: skip
    assert counted.held[0].expires_at == claim.expires_at
    tenant = store.scoped(tenant="t").stats(sizes=True)
    assert ([one.filename for one in tenant.held], tenant.sizes) == (["1.txt"], {})
    if counted.backend != "memory":
        assert counted.sizes["database"] >= counted.sizes["docstore_document"] > 0
    assert store.stats().sizes == {}
