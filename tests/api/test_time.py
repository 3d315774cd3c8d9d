"""Promise 19: time in a store passes, whatever the wall clock does; nothing is updated before it is made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

import docstore
from docstore.concurrency import Clock
from tests.kit.crashes import Child

TEN_DAYS = 10 * 86_400
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
Ahead = Callable[[float], None]


@pytest.fixture
def ahead(url: str, store: docstore.Store, monkeypatch: pytest.MonkeyPatch) -> Ahead:
    """Set the wall clock that the store goes by so many seconds ahead of the right one."""
    wall = time.time_ns

    def set_ahead(seconds: float) -> None:
        monkeypatch.setattr(time, "time_ns", lambda: wall() + int(seconds * 1e9))
        if url.startswith("postgres"):  # the server's: what its sessions read is what is told here
            read = f"((extract(epoch FROM clock_timestamp()) + {seconds}) * 1000000)::bigint"
            monkeypatch.setattr("docstore_postgres.session.CLOCK", read)
            from docstore_postgres.session import _insert_text

            _insert_text.cache_clear()

    return set_ahead


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Leave no other test a clock, or statements, of a time that is not."""
    yield
    from docstore_postgres import session

    session._clocks.clear()
    session._insert_text.cache_clear()


def test_a_lease_ends_although_one_was_given_ten_days_ahead(store: docstore.Store, ahead: Ahead) -> None:
    """A claim made while the clock stood ahead freezes no lease once it is right again."""
    store.documents.add_many([{"metadata": {"n": n}} for n in range(3)])
    ahead(TEN_DAYS)
    [far] = store.documents.claim(lease=60)
    ahead(0)
    [near] = store.documents.claim(lease=0.05)
    assert near.expires_at < far.expires_at
    time.sleep(0.06)
    assert {near.document.id} < {claim.document.id for claim in store.documents.claim(3, lease=60)}
    with pytest.raises(docstore.LeaseLost):
        near.complete(content="late")
    assert "text" == far.complete(content="text").preview  # its minute is not over


def test_time_does_not_jump_with_a_clock_that_is_set_back(store: docstore.Store, ahead: Ahead) -> None:
    """From the remembered instant it goes on as fast as it passes."""
    store.documents.add_many([{}] * 3)
    ahead(TEN_DAYS)
    [first] = store.documents.claim(lease=1)
    ahead(0)
    begun = time.monotonic()
    [second] = store.documents.claim(lease=1)
    time.sleep(0.05)
    [third] = store.documents.claim(lease=1)
    passed = (third.expires_at - first.expires_at).total_seconds()
    assert 0.05 <= (third.expires_at - second.expires_at).total_seconds() <= passed
    assert passed < time.monotonic() - begun + 1


def test_nothing_is_updated_before_it_was_created(store: docstore.Store, ahead: Ahead) -> None:
    """Every write of a record that was made while the clock stood ahead keeps the order of its instants."""
    ahead(TEN_DAYS)
    made = store.documents.add(metadata={"a": 1}, external_id="e")
    extraction = store.extractions.add(made.id, {})
    many = store.documents.add_many([{"metadata": {"many": n}} for n in range(20)])
    ahead(0)
    store._context.backend.__dict__.get("clock", Clock()).__init__()  # another process, as it were
    from docstore_postgres import session

    session._clocks.clear()
    store.documents.update(made.id, metadata={"b": 2})
    store.documents.update_many({"metadata.many": {"$exists": True}}, metadata={"c": 3})
    store.documents.claim()
    store.documents.complete(made.id, content="text")
    store.extractions.review(extraction.id, {}, reviewed_by="me")
    store.extractions.update(extraction.id, metadata={"x": 1})
    store.documents.add(metadata={}, external_id="e")
    for record in (*store.documents.iterate(latest_only=False), *store.extractions.iterate()):
        assert record.created_at <= record.updated_at, record
    assert 20 == many.added


def test_instants_that_are_given_are_in_order_too(store: docstore.Store) -> None:
    """One alone settles the other; two that contradict each other are refused, whoever gives them."""
    future = datetime.now(UTC) + timedelta(days=5)
    assert LONG_AGO == store.documents.add(metadata={}, updated_at=LONG_AGO).created_at
    made = store.documents.add(metadata={}, created_at=future)
    assert future == made.updated_at == store.documents.update(made.id, error="x").updated_at
    assert (
        future + timedelta(1) == store.documents.update(made.id, created_at=future + timedelta(1)).updated_at
    )
    rows = [{"metadata": {}, "updated_at": LONG_AGO} for _ in range(9)]
    assert 9 == store.documents.add_many(rows).added == store.documents.count({"created_at": LONG_AGO}) - 1
    wrong = {"metadata": {}, "created_at": future, "updated_at": LONG_AGO}
    extraction = store.extractions.add(made.id, {}, updated_at=LONG_AGO)
    assert LONG_AGO == extraction.created_at
    for refused in (
        lambda: store.documents.add(**wrong),
        lambda: store.documents.add_many([{"metadata": {}}, wrong]),
        lambda: store.documents.update(made.id, updated_at=LONG_AGO),
        lambda: store.extractions.add(made.id, {}, created_at=future, updated_at=LONG_AGO),
        lambda: store.extractions.update(extraction.id, updated_at=LONG_AGO - timedelta(1)),
    ):
        with pytest.raises(docstore.InvalidDocument, match=r"updated_at: .* is before created_at"):
            refused()
    assert 11 == store.documents.count()


def claimed_elsewhere(url: str, ahead: float, lease: float) -> str:
    """Claim one document in a process whose clock is so many seconds ahead; return its id."""

    def claim(tell: Callable[[str], None]) -> None:
        wall = time.time_ns
        time.time_ns = lambda: wall() + int(ahead * 1e9)
        with docstore.open(url) as store:
            tell(" ".join(claim.document.id for claim in store.documents.claim(lease=lease)))

    child = Child(claim)
    claimed = child.told(60)
    assert 0 == child.wait()
    child.close()
    return str(claimed)


def test_time_passes_between_processes_too(sqlite_url: str) -> None:
    """A lease given after the jump ends by the time that passes while nobody has the store open."""
    with docstore.open(sqlite_url) as store:
        first, second = (store.documents.add(metadata={}).id for _ in range(2))
    assert first == claimed_elsewhere(sqlite_url, TEN_DAYS, 600)
    assert second == claimed_elsewhere(sqlite_url, 0, 0.05)
    time.sleep(0.06)
    assert second == claimed_elsewhere(sqlite_url, 0, 600)
    assert "" == claimed_elsewhere(sqlite_url, 0, 600)


def test_a_sequence_that_was_written_ahead_freezes_nothing(postgres_store_url: str) -> None:
    """On Postgres what is remembered stands in sequences; another session goes on from there."""
    with psycopg.connect(postgres_store_url, autocommit=True) as connection:
        connection.execute(
            f"SELECT setval('docstore_clock', {time.time_ns() // 1000 + TEN_DAYS * 10**6})".encode()
        )
    with docstore.open(postgres_store_url) as store:
        store.documents.add(metadata={})
        [claim] = store.documents.claim(lease=0.05)
        assert timedelta(days=9) < claim.expires_at - datetime.now(UTC) < timedelta(days=11)
        time.sleep(0.06)
        assert 1 == len(store.documents.claim())


def test_a_clock_goes_by_the_wall_as_long_as_that_goes_forwards() -> None:
    """It does not run away from it, and one that was ahead is followed again once the wall has come up."""
    clock = Clock()
    assert [5, 5, 9] == [clock.now(5), clock.at_least(), clock.now(9)]
    assert 9 <= clock.now(3) < 2_000_000 + 9
    assert 10**9 == clock.now(10**9) == clock.at_least()
    assert 2 * 10**9 + 5 == clock.go_on(2 * 10**9, 10**9, 10**9 + 5)
