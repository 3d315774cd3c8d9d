"""Walks by cursor over data that is nothing but ties and nulls, at rest and beside writers."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import docstore

AT = "2026-01-01T00:00:00Z"
TIES: dict[str, list[dict[str, Any]]] = {
    "nothing": [{}] * 7,
    "one size": [{"size": 5, "created_at": AT}] * 7,
    "nulls and ties": [{"size": size, "created_at": AT} for size in (None, 1, None, 1, None, 2, 1)],
    "mixed": [
        {"metadata": {"a": value}} for value in (None, [], 1, 1.0, True, "1", [1], {}, [None], None, [[]], 1)
    ] + [{"metadata": {}}, {"metadata": {}}],
    "arrays": [{"metadata": {"a": value}} for value in ([1, 3], [2], [3, 1], [1, 3], [], [None], [2, None])],
}  # fmt: skip
SORTS = {
    "nothing": ["created_at", "-created_at", "owner", "-owner", "processed_at", "-metadata.a", "number"],
    "one size": ["size", "-size", ["owner", "-size"], ["-owner", "size"], "metadata.a"],
    "nulls and ties": ["size", "-size", ["-size", "created_at"], ["size", "-number"], ["owner", "-size"]],
    "mixed": ["metadata.a", "-metadata.a", ["metadata.a", "-size"], ["-size", "metadata.a"]],
    "arrays": ["metadata.a", "-metadata.a", ["metadata.a", "-metadata.a"], ["-metadata.a", "metadata.a"]],
}


def ids(page: Any) -> list[str]:
    return [one.id for one in page]


def walked(documents: Any, limit: int, **ask: Any) -> Iterator[docstore.Page[docstore.Document]]:
    """Yield the pages of a walk forwards."""
    page = documents.find(limit=limit, **ask)
    yield page
    while page.next_cursor is not None:
        page = documents.find(limit=limit, cursor=page.next_cursor, **ask)
        yield page


@pytest.mark.parametrize("data", TIES)
def test_ties_and_nulls_are_walked_at_every_limit_both_ways(store: docstore.Store, data: str) -> None:
    """Each row once and in one order, whatever the limit; backwards the same pages again."""
    store.documents.add_many([{"filename": "f", **row} for row in TIES[data]])
    for sort in SORTS[data]:
        everything = ids(store.documents.find(sort=sort, limit=1000))
        assert len(TIES[data]) == len(set(everything))
        whole = len(everything)
        for limit in range(1, whole + 2) if "memory" in repr(store) else (1, 2, whole - 1, whole, whole + 1):
            pages = list(walked(store.documents, limit, sort=sort))
            assert everything == [id for page in pages for id in ids(page)], (sort, limit)
            check_the_way_back(store.documents, pages, sort=sort, limit=limit)


def check_the_way_back(documents: Any, pages: list[docstore.Page[docstore.Document]], **ask: Any) -> None:
    """Check that the pages come again backwards, and each of them forwards from its own beginning."""
    for before, page in zip(reversed(pages[:-1]), reversed(pages[1:]), strict=True):
        back = documents.find(**ask, cursor=page.prev_cursor)
        assert (ids(before), before.prev_cursor, before.next_cursor) == (
            ids(back), back.prev_cursor, back.next_cursor,
        ), ask  # fmt: skip
        again = documents.find(**ask, cursor=page.prev_cursor, direction="next")
        assert ids(page) == ids(again), ask


@pytest.mark.parametrize("sort", ["metadata.a", "-metadata.a"])
def test_the_same_rows_in_the_same_order_everywhere(store: docstore.Store, sort: str) -> None:
    """Rule 20: an empty array, null and missing, numbers, strings, objects, arrays in arrays, bools."""
    ascending: list[Any] = [
        {"a": []}, {"a": None}, {}, {"a": -1.5}, {"a": 0}, {"a": 2**53}, {"a": 2**53 + 1}, {"a": ""},
        {"a": "Z"}, {"a": "a"}, {"a": "é"}, {"a": {}}, {"a": {"x": 1}}, {"a": [[]]}, {"a": [[1]]},
        {"a": False}, {"a": True},
    ]  # fmt: skip
    shuffled = random.Random(5).sample(range(len(ascending)), len(ascending))
    store.documents.add_many([{"filename": str(n), "metadata": ascending[n]} for n in shuffled])
    found = [int(one.filename) for one in store.documents.find(sort=sort, limit=1000)]
    tie = sorted((1, 2), key=shuffled.index)
    expected = [0, *tie, *range(3, len(ascending))]
    assert (expected if sort == "metadata.a" else expected[::-1]) == found


@contextmanager
def beside(*works: Callable[[random.Random], None]) -> Iterator[None]:
    """Run each of ``works`` over and over in a thread of its own until the block ends, or for 150 times: what
    adds faster than the block walks would never let it end.
    """
    stop, failures = threading.Event(), list[BaseException]()

    def run(work: Callable[[random.Random], None], chance: random.Random) -> None:
        try:
            for _ in range(150):
                work(chance)
                if stop.wait(0.001):
                    return
        except BaseException as failed:
            failures.append(failed)

    threads = [threading.Thread(target=run, args=(work, random.Random(n))) for n, work in enumerate(works)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


@pytest.mark.parametrize("sort", ["size", "-size", "-metadata.a", "-created_at"])
def test_a_walk_beside_writers_meets_every_surviving_row_once(url: str, tmp_path: Path, sort: str) -> None:
    """Rows that stay are met exactly once and in order, whatever is added, removed and moved meanwhile."""
    chance = random.Random(7)
    with docstore.open(url) as store:
        rows = [
            {"filename": "f", "size": chance.choice((None, 1, 2)), "metadata": {"a": chance.choice((0, 1))}}
            for _ in range(60)
        ]
        made = store.documents.add_many(rows).ids
        stay, go, move = made[::3], made[1::3], made[2::3]

        def add(chance: random.Random) -> None:
            size, a = chance.choice((None, 0, 1, 2, 3)), chance.choice((None, 0, 1, 2))
            store.documents.add(None, filename="new", size=size, metadata={"a": a})

        def remove(chance: random.Random) -> None:
            if go:
                store.documents.delete(go.pop(chance.randrange(len(go))))

        def change(chance: random.Random) -> None:
            store.documents.update(chance.choice(move), metadata={"a": chance.choice((None, 0, 1, 2))})
            store.documents.update(chance.choice(stay), preview="changed")

        expected = [id for id in ids(store.documents.find(sort=sort, limit=1000)) if id in set(stay)]
        for limit in (2, 17):
            with beside(add, remove, change):
                met = [id for page in walked(store.documents, limit, sort=sort) for id in ids(page)]
                through = ids(store.documents.iterate(sort=sort, batch_size=limit))
            assert expected == [id for id in met if id in set(stay)], limit
            assert expected == [id for id in through if id in set(stay)], limit
            assert len(set(met) - set(move)) == len([id for id in met if id not in set(move)]), limit


def test_a_page_and_its_total_are_one_snapshot(url: str) -> None:
    """Beside a writer that replaces documents by threes, a page of all of them is as long as its total."""
    with docstore.open(url) as store:
        store.documents.add_many([{"filename": "f", "metadata": {"a": n}} for n in range(30)])

        def grow_and_shrink(chance: random.Random) -> None:
            added = store.documents.add_many([{"filename": "new"} for _ in range(3)]).ids
            store.documents.delete_many({"id": {"$in": added}})

        def check(**ask: Any) -> int:
            page = store.documents.find(limit=1000, **ask)
            assert page.total is not None
            return len(page) - page.total

        with beside(grow_and_shrink, grow_and_shrink):
            start = store.documents.find(sort="number", limit=1)
            for _ in range(30):
                assert 0 == check(total=True, sort="-created_at")
                assert 0 == check(total=10_000, filter={"metadata.b": None}, search="-missing")
                assert -1 == check(total=True, sort="number", cursor=start.next_cursor)
                assert 0 == sum(store.documents.count_by("status").values()) % 3
