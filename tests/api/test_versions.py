"""Version chains: numbers, the latest, first_created_at, and races."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import docstore

EARLY = "2020-01-01T00:00:00Z"


def latest_of(store: docstore.Store, external_id: str) -> list[int]:
    """Return the version numbers that are marked latest."""
    return [one.version for one in store.documents.versions(external_id) if one.is_latest]


def test_adding_an_external_id_again_makes_the_next_version(store: docstore.Store) -> None:
    """Versions count from 1; the newest alone is the latest."""
    made = [store.documents.add(filename=f"{n}", external_id="report") for n in range(3)]
    assert [1, 2, 3] == [one.version for one in made]
    assert [3] == latest_of(store, "report")
    assert made[2].id == store.documents.get_by_external_id("report").id
    assert made[0].id == store.documents.get_by_external_id("report", version=1).id
    assert 1 == store.documents.count()
    assert 3 == store.documents.count(latest_only=False)


@pytest.mark.parametrize("version", ["1", True, {"$gt": 0}])
def test_a_version_is_a_number(store: docstore.Store, version: Any) -> None:
    """Whatever the database would make of it."""
    store.documents.add(external_id="report")
    with pytest.raises(docstore.FilterValueError, match="version"):
        store.documents.get_by_external_id("report", version=version)


def test_a_batch_continues_the_chain(store: docstore.Store) -> None:
    """Several versions of one document may stand in one batch, in its order."""
    store.documents.add(external_id="a")
    store.documents.add_many([{"external_id": name} for name in ("a", "b", "a", "b", "a")])
    assert [1, 2, 3, 4] == [one.version for one in store.documents.versions("a")]
    assert [1, 2] == [one.version for one in store.documents.versions("b")]
    assert ([4], [2]) == (latest_of(store, "a"), latest_of(store, "b"))


def test_first_created_at_is_the_first_versions(store: docstore.Store) -> None:
    """Every version tells when the first was created, also after that one is gone."""
    first = store.documents.add(external_id="a", created_at=EARLY)
    second = store.documents.add(external_id="a")
    assert first.created_at == second.first_created_at
    store.documents.delete(first.id)
    assert first.created_at == store.documents.add(external_id="a").first_created_at


def test_deleting_the_latest_makes_the_one_before_it_latest(store: docstore.Store) -> None:
    """The chain always has one latest; its number is taken again by what is added next."""
    made = [store.documents.add(external_id="a") for _ in range(3)]
    store.documents.delete(made[2].id)
    assert [2] == latest_of(store, "a")
    store.documents.delete(made[0].id)
    assert [2] == latest_of(store, "a")
    assert 3 == store.documents.add(external_id="a").version
    store.documents.delete_many({"external_id": "a"})
    with pytest.raises(docstore.NotFound):
        store.documents.versions("a")
    assert 1 == store.documents.add(external_id="a").version


def test_deleting_some_versions_by_filter_leaves_one_latest(store: docstore.Store) -> None:
    """delete_many mends every chain that it shortens."""
    for n in range(6):
        store.documents.add(external_id=f"e{n % 2}", filename=str(n))
    assert 4 == store.documents.delete_many({"filename": {"$in": ["2", "3", "4", "5"]}})
    assert ([1], [1]) == (latest_of(store, "e0"), latest_of(store, "e1"))


def test_chains_of_other_owners_and_tenants_are_other_chains(store: docstore.Store) -> None:
    """A chain belongs to (tenant, owner, external_id); none is a tenant of its own."""
    for scope in ({}, {"tenant": "t"}, {"owner": "o"}, {"tenant": "t", "owner": "o"}):
        assert 1 == store.documents.add(external_id="a", **scope).version
        assert 2 == store.documents.add(external_id="a", **scope).version
    assert 4 == store.documents.count({"external_id": "a"})


def test_racing_writers_number_without_gaps(
    store: docstore.Store, together: Callable[..., None], many: Callable[[int, int], int]
) -> None:
    """Whatever the race, the numbers are 1 … n, and a reader never sees anything but one latest."""
    threads, each = 6, many(10, 100)
    seen: set[int] = set()
    store.documents.add(external_id="a")

    def work(index: int) -> None:
        for _ in range(each):
            if index == 0:
                seen.add(store.documents.count({"external_id": "a"}))
            else:
                store.documents.add(external_id="a")

    together(threads, work)
    versions = [one.version for one in store.documents.versions("a")]
    assert list(range(1, (threads - 1) * each + 2)) == versions
    assert [len(versions)] == latest_of(store, "a")
    assert {1} == seen


def test_racing_adds_and_deletes_leave_one_latest(
    store: docstore.Store, together: Callable[..., None], many: Callable[[int, int], int]
) -> None:
    """Adding and deleting the latest at once never leaves a chain with two latest, or none."""

    def work(index: int) -> None:
        for _ in range(many(10, 200)):
            made = store.documents.add(external_id="a")
            if index % 2:
                store.documents.delete(made.id)

    together(4, work)
    versions = store.documents.versions("a")
    assert [max(one.version for one in versions)] == latest_of(store, "a")
    assert len({one.version for one in versions}) == len(versions)
