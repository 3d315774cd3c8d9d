"""Iteration: constant memory, one order, left and taken up again."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import pytest

import docstore
from docstore.collection import pages


@pytest.fixture
def filled(store: docstore.Store) -> docstore.Store:
    """Twenty documents on every backend, most of their sizes alike."""
    store.documents.add_many([{"filename": str(n), "size": n % 2 or None} for n in range(20)])
    return store


def names(found: Any) -> list[str]:
    return [one.filename for one in found]


@pytest.mark.parametrize("sort", ["number", "-size", ["size", "-created_at"], "-metadata.a"])
def test_an_iteration_meets_everything_in_order(filled: docstore.Store, sort: Any) -> None:
    """The same records in the same order as a page of all of them, at every batch size."""
    expected = names(filled.documents.find(sort=sort, limit=1000))
    for size in (1, 3, 19, 20, 21, 1000):
        assert expected == names(filled.documents.iterate(sort=sort, batch_size=size)), size


@pytest.mark.parametrize("sort", ["number", "-size"])
def test_an_iteration_is_taken_up_by_its_cursor(filled: docstore.Store, sort: str) -> None:
    """Left behind any record, it goes on with the next one: in another call, another batch size, a find."""
    expected = names(filled.documents.iterate(sort=sort))
    walk = filled.documents.iterate(sort=sort, batch_size=6)
    assert walk.cursor is None
    for taken in range(1, len(expected) + 1):
        assert expected[taken - 1] == next(walk).filename
        rest = filled.documents.iterate(sort=sort, batch_size=4, cursor=walk.cursor)
        assert rest.cursor == walk.cursor
        assert expected[taken:] == names(rest)
        assert expected[taken:][:5] == names(filled.documents.find(sort=sort, limit=5, cursor=walk.cursor))
    assert [] == list(walk)
    filled.documents.add(None, filename="late")
    assert [] == list(walk), "a walk that ended stays ended"
    late = names(filled.documents.iterate(sort=sort, cursor=walk.cursor))
    assert (["late"] if sort == "number" else []) == late


def test_an_iteration_goes_forwards_from_any_cursor(filled: docstore.Store) -> None:
    """A page's cursors are positions to begin at; both go forwards from there."""
    page = filled.documents.find(sort="number", limit=3, offset=5)
    assert [str(n) for n in range(8, 20)] == names(
        filled.documents.iterate(sort="number", cursor=page.next_cursor)
    )
    assert [str(n) for n in range(5, 20)] == names(
        filled.documents.iterate(sort="number", cursor=page.prev_cursor)
    )


def test_errors_come_before_the_first_record(filled: docstore.Store) -> None:
    """A wrong filter, sort, batch size or cursor is refused by the call itself."""
    with pytest.raises(docstore.UnknownField):
        filled.documents.iterate({"nothing": 1})
    with pytest.raises(docstore.InvalidSort):
        filled.documents.iterate(sort="nothing")
    with pytest.raises(docstore.InvalidCursor):
        filled.documents.iterate(
            sort="size", cursor=filled.documents.find(sort="number", limit=1).next_cursor
        )
    for size in (0, -1, 1001, True, "5", None):
        with pytest.raises(docstore.InvalidPage):
            filled.documents.iterate(batch_size=size)  # type: ignore[arg-type]


def test_an_asynchronous_iteration_has_the_same_cursor(sqlite_url: str) -> None:
    """``async for`` can be left and taken up like the blocking one, and with the same cursor."""
    with docstore.open(sqlite_url) as store:
        store.documents.add_many([{"filename": str(n)} for n in range(9)])
        walk = store.documents.iterate(batch_size=2)
        assert ["0", "1", "2"] == [next(walk).filename for _ in range(3)]

    async def rest() -> tuple[list[str], str | None]:
        async with docstore.open_async(sqlite_url) as store:
            first = store.documents.iterate(batch_size=2)
            assert first.cursor is None
            for _ in range(3):
                await anext(first)
            again = store.documents.iterate(batch_size=4, cursor=first.cursor)
            return [one.filename async for one in again], first.cursor

    found, cursor = asyncio.run(rest())
    assert walk.cursor == cursor
    assert ["3", "4", "5", "6", "7", "8"] == found


def peak_of(store: docstore.Store, sort: str) -> int:
    """Return the most bytes that a walk over the store held, once it had been walked before."""
    for _ in store.documents.iterate(sort=sort, batch_size=50):
        pass
    tracemalloc.start()
    assert store.documents.count() == sum(1 for _ in store.documents.iterate(sort=sort, batch_size=50))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def add(store: docstore.Store, number: int, characters: int) -> None:
    metadata = {"text": "x" * characters}
    store.documents.add_many([{"filename": f"f{n % 7}", "metadata": metadata} for n in range(number)])


@pytest.mark.parametrize("sort", ["number", "-created_at", "filename"])
def test_an_iteration_holds_a_batch_and_no_more(
    sqlite_url: str, sort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory does not grow with the number of records."""
    monkeypatch.setattr(pages, "_LONG", 1e9)
    with docstore.open(sqlite_url) as store:
        add(store, 1000, 2000)
        first = peak_of(store, sort)
        add(store, 1500, 2000)
        second = peak_of(store, sort)
        assert second < 1.5 * first, (first, second)
        assert second < 1_000_000, second


def test_an_iteration_that_reads_ahead_holds_little(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where batches take long more is read at once: up to 16 times as much, while it is small."""
    monkeypatch.setattr(pages, "_LONG", 0.0)
    monkeypatch.setattr(pages, "_DEAR", 0.0)
    monkeypatch.setattr(pages, "_LARGE", 400_000)
    with docstore.open(sqlite_url) as store:
        add(store, 1500, 4000)
        assert peak_of(store, "number") < 2_500_000
        for size in (1, 7, 50):
            everything = [one.number for one in store.documents.iterate(batch_size=size)]
            assert list(range(1, 1501)) == everything
        monkeypatch.setattr(pages, "_LARGE", 10_000_000)
        walk = store.documents.iterate(batch_size=10)
        assert 1500 == len(list(walk))
        assert 160 == walk._size
