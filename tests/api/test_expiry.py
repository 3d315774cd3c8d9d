"""expires_at: settable, listed until it is collected, and then gone with its bytes."""

from __future__ import annotations

from datetime import UTC, datetime

import docstore

PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


def test_what_is_past_its_time_is_collected(store: docstore.Store) -> None:
    """With its bytes, extractions and place in its chain; all else stays."""
    gone = store.documents.add(b"gone", filename="a", external_id="e", expires_at=FUTURE)
    later = store.documents.add(b"kept", filename="b", external_id="e", expires_at="2020-01-01T00:00:00Z")
    many = store.documents.add_many(
        [{"filename": f"{n}", "expires_at": PAST if n % 2 else None} for n in range(20)]
    )
    store.extractions.add(later, {"a": 1})
    assert (FUTURE, PAST) == (gone.expires_at, later.expires_at)
    assert 22 == store.documents.count(latest_only=False)
    assert 11 == store.documents.count({"expires_at": {"$lt": datetime.now(UTC)}})
    report = store.collect(grace=0)
    assert 11 == report.documents
    assert [gone.id] == [one.id for one in store.documents.versions("e")]
    assert store.documents.get(gone.id).is_latest
    assert 10 == len(store.documents.get_many(many.ids))
    assert 0 == store.extractions.count()
    assert b"gone" == store.documents.read_bytes(gone.id)
    assert 0 == store.collect(grace=0).documents


def test_expiry_is_set_and_cleared(store: docstore.Store) -> None:
    """By update, by operators, by put; sorted and indexed like other instants."""
    made = store.documents.add(filename="a")
    assert None is made.expires_at
    assert FUTURE == store.documents.update(made.id, expires_at=FUTURE).expires_at
    assert None is store.documents.update(made.id, {"$unset": {"expires_at": ""}}).expires_at
    assert PAST == store.documents.update(made.id, {"$set": {"expires_at": PAST}}).expires_at
    assert 1 == store.documents.update_many({"expires_at": {"$lte": PAST}}, expires_at=None)
    put = store.documents.put(id="k", expires_at=FUTURE).document
    assert FUTURE == put.expires_at
    assert "unchanged" == store.documents.put(id="k", expires_at=FUTURE).outcome
    assert None is store.documents.put(id="k", metadata={"a": 1}).document.expires_at
    assert PAST == store.documents.put(id="k", expires_at=PAST, on_conflict="merge").document.expires_at
    assert ["k", made.id] == [one.id for one in store.documents.find(sort="-expires_at")]


def test_a_scope_collects_its_own(store: docstore.Store) -> None:
    """What another owner's time is up for is not touched; a read shows it until then."""
    for owner in ("ann", "bob"):
        store.documents.add(filename="f", owner=owner, expires_at=PAST)
    assert 1 == store.scoped(owner="ann").collect().documents
    assert ["bob"] == [one.owner for one in store.documents.find()]
