"""Claims: exclusive, fenced by token and lease, in order; and what takes work out of the queue for good."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

import docstore
from docstore.testing.faulty_backend import FaultyBackend
from docstore.testing.faulty_filesystem import Faults

OVER = 1e-6
"""Seconds of a lease that is over when the next call is made."""


def test_a_claim_takes_the_oldest_pending_documents(store: docstore.Store) -> None:
    """pending → processing, one attempt more; nobody else gets them; what is not pending is left."""
    made = [
        store.documents.add(status=word) for word in ("pending", "failed", "pending", "completed", "pending")
    ]
    first = store.documents.claim(2, worker="w")
    assert [made[0].id, made[2].id] == [claim.document.id for claim in first]
    assert [("processing", 1, 2)] * 2 == [
        (claim.document.status, claim.document.attempts, claim.document.revision) for claim in first
    ]
    assert [made[4].id] == [claim.document.id for claim in store.documents.claim(5)]
    assert [] == store.documents.claim()


def test_a_claim_can_be_narrowed_by_a_filter(store: docstore.Store) -> None:
    """The same language as everywhere."""
    store.documents.add(metadata={"kind": "a"})
    wanted = store.documents.add(metadata={"kind": "b"})
    assert [wanted.id] == [
        claim.document.id for claim in store.documents.claim(5, filter={"metadata.kind": "b"})
    ]
    with pytest.raises(docstore.UnknownField):
        store.documents.claim(filter={"lease_token": None})


@pytest.mark.parametrize(
    "arguments",
    [
        {"limit": 0},
        {"limit": True},
        {"limit": 1001},
        {"lease": 0},
        {"lease": -1},
        {"lease": float("nan")},
        {"lease": float("inf")},
        {"lease": "1"},
        {"worker": 3},
    ],
)
def test_wrong_arguments_claim_nothing(store: docstore.Store, arguments: dict[str, Any]) -> None:
    """Refused before any I/O."""
    store.documents.add(metadata={})
    with pytest.raises(docstore.InvalidDocument):
        store.documents.claim(**arguments)
    assert 1 == store.documents.count({"status": "pending"})


def test_a_claim_ends_once(store: docstore.Store) -> None:
    """complete, fail and release end it; every later call is LeaseLost and writes nothing."""
    for end in ("complete", "fail", "release"):
        made = store.documents.add(metadata={})
        [claim] = store.documents.claim(filter={"id": made.id})
        ended = getattr(claim, end)(*(("why",) if end == "fail" else ()))
        assert {"complete": "completed", "fail": "failed", "release": "pending"}[end] == ended.status
        calls: list[Callable[[], object]] = [
            claim.heartbeat,
            claim.complete,
            claim.release,
            partial(claim.fail, "x"),
        ]
        for call in calls:
            with pytest.raises(docstore.LeaseLost) as caught:
                call()
            assert made.id == caught.value.id
        assert ended == store.documents.get(made.id)
        store.documents.delete(made.id)


def test_a_claim_that_outlived_its_lease_is_lost(store: docstore.Store) -> None:
    """Even where nobody has taken the document over; it is claimable again, its attempts counted."""
    store.documents.add(metadata={})
    [late] = store.documents.claim(lease=OVER)
    for call in (late.heartbeat, late.complete):
        with pytest.raises(docstore.LeaseLost):
            call()
    [next_one] = store.documents.claim()
    assert 2 == next_one.document.attempts
    with pytest.raises(docstore.LeaseLost):
        late.fail("too late")
    assert "mine" == next_one.complete(content="mine").preview


def test_a_heartbeat_prolongs_the_lease(store: docstore.Store) -> None:
    """It moves expires_at and neither revision nor updated_at."""
    store.documents.add(metadata={})
    for lease in (0.3, 3, 30):  # a machine that stands still may let the lease end
        with suppress(docstore.LeaseLost):
            [claim] = store.documents.claim(lease=lease)
            before = claim.expires_at
            assert before < claim.heartbeat(600) == claim.expires_at
            break
    time.sleep(lease + 0.05)
    assert [] == store.documents.claim()
    assert claim.document.revision == store.documents.get(claim.document.id).revision
    claim.complete()


def test_a_deleted_or_finished_document_loses_its_claim(store: docstore.Store) -> None:
    """Whoever ends the work by other ways ends the claim, too."""
    for end in (store.documents.delete, store.documents.complete):
        made = store.documents.add(metadata={})
        [claim] = store.documents.claim()
        end(made.id)
        for call in (claim.heartbeat, claim.complete):
            with pytest.raises(docstore.LeaseLost):
                call()


def test_what_was_started_without_a_lease_is_not_claimed(store: docstore.Store) -> None:
    """Its worker keeps no lease, so nobody can tell that it died."""
    store.documents.start(store.documents.add(metadata={}).id)
    store.documents.add(status="processing")
    assert [] == store.documents.claim()


def test_every_document_is_claimed_once(
    store: docstore.Store, together: Callable[..., None], many: Callable[[int, int], int]
) -> None:
    """4 workers empty the queue together: each document is done once."""
    total = many(60, 1000)
    store.documents.add_many([{"filename": str(n)} for n in range(total)])
    done: list[str] = []

    def work(index: int) -> None:
        while claims := store.documents.claim(2, worker=str(index)):
            for claim in claims:
                claim.complete(content=str(index))
                done.append(claim.document.id)

    together(4, work)
    assert total == len(done) == len(set(done))
    assert total == store.documents.count({"status": "completed", "attempts": 1})


def test_a_worker_stopped_past_its_lease_overwrites_nothing(
    store: docstore.Store, many: Callable[[int, int], int]
) -> None:
    """A worker sleeps, another takes over, the first wakes up at any moment of that: its result never
    counts.
    """
    for round in range(many(8, 200)):
        made = store.documents.add(metadata={})
        [sleeper] = store.documents.claim(lease=0.005)
        time.sleep(0.006)
        outcomes: list[str] = []

        def wake(claim: docstore.Claim = sleeper, outcomes: list[str] = outcomes) -> None:
            try:
                claim.complete(content="sleeper")
                outcomes.append("written")
            except docstore.LeaseLost:
                outcomes.append("lost")

        late = threading.Thread(target=wake)
        if round % 2:
            late.start()
        taken = store.documents.claim()
        while not taken:  # the sleeper is just looking at the row
            taken = store.documents.claim()
        [other] = taken
        if not round % 2:
            late.start()
        other.complete(content="other")
        late.join()
        assert ["lost"] == outcomes
        assert "other" == store.documents.get(made.id).preview


def _interrupted(seconds: float) -> None:
    """Ctrl-C comes while something is waited for."""
    raise KeyboardInterrupt


@pytest.mark.parametrize("fault", ["delay", "late"])
def test_a_claim_that_is_interrupted_leaves_nothing_claimed(store: docstore.Store, fault: Any) -> None:
    """By Ctrl-C before its commit, or when the commit is done and its answer has not come."""
    store.documents.add_many([{} for _ in range(3)])
    broken = FaultyBackend(store._context.backend, Faults(1, fault, only={"commit"}))
    broken.sleep = _interrupted
    with pytest.raises(KeyboardInterrupt):
        docstore.open(broken).documents.claim(2)
    assert {"pending": 3} == store.documents.count_by("status")
    assert 3 == len(store.documents.claim(3))
