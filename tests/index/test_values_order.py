"""Matches kept in an order: pages out of them are the pages of the order, and no change is missed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

import docstore
from docstore.backend import SortKey
from docstore.index.columns import OrderCache, OrderedMatches, is_ordered

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 60)), unique_by=lambda pair: pair[1])
AFTER = st.none() | st.tuples(st.integers(0, 6), st.integers(0, 61))


@given(PAIRS, st.sets(st.integers(1, 60)), st.integers(0, 20), st.integers(1, 20), AFTER, st.booleans())
def test_a_window_is_the_slice_of_what_counts(
    pairs: list[tuple[int, int]],
    stale: set[int],
    offset: int,
    limit: int,
    after: tuple[int, int] | None,
    descending: bool,
) -> None:
    """A window is the slice of the sorted pairs, from either end, strictly behind a position which need not
    be a record's; those that do not count any more are passed over.
    """
    ordered = OrderedMatches(sorted(pairs))
    ranks = ordered.ranks([pair for pair in pairs if pair[1] in stale] + [(99, 1)])
    alive = [pair for pair in sorted(pairs, reverse=descending) if pair[1] not in stale]
    behind = [pair for pair in alive if after is None or (pair < after if descending else pair > after)]
    found = ordered.window(ranks, offset, limit, after, descending=descending)
    assert behind[offset : offset + limit] == found


def test_what_is_asked_for_once_is_not_sorted() -> None:
    """Sorting comes when it would have paid: few the second time, many later; the oldest is forgotten."""
    orders = OrderCache()
    assert [False, True, True] == [orders.is_due("few", 10) for _ in range(3)]
    assert [False, False, False, True] == [orders.is_due("many", 10_000, 2_500) for _ in range(4)]
    for number in range(16):
        orders.is_due(str(number), 10)
    assert orders.is_due("few", 10) is False


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (["-created_at", "-number"], True),
        (["created_at", "number"], True),
        (["created_at", "-number"], False),
        (["number"], False),
        (["processed_at", "number"], False),
        (["metadata", "number"], False),
    ],
)
def test_orders_that_are_kept(order: Sequence[str], expected: bool) -> None:
    """Only a column that always holds a number, and ``number`` in the same direction."""
    keys = [SortKey((text.lstrip("-"),), text.startswith("-"), text.startswith("-")) for text in order]
    assert expected is is_ordered(keys)


def pages(store: docstore.Store, sort: str) -> list[list[str]]:
    """Return what matches by three ways: by offset, by cursor, and back again."""
    query = {"metadata.kind": "a", "status": "pending"}
    offsets = [
        document.filename
        for offset in range(0, 42, 7)
        for document in store.documents.find(query, sort=sort, limit=7, offset=offset).items
    ]
    forwards, cursor = [], None
    while True:
        page = store.documents.find(query, sort=sort, limit=11, cursor=cursor)
        forwards += [document.filename for document in page.items]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    backwards = [document.filename for document in reversed(page.items)]
    while page.prev_cursor is not None:
        page = store.documents.find(query, sort=sort, limit=11, cursor=page.prev_cursor)
        backwards += [document.filename for document in reversed(page.items)]
    return [offsets, forwards, backwards[::-1]]


@pytest.mark.parametrize("sort", ["-created_at", "created_at", "-updated_at", "revision"])
def test_pages_follow_every_change(url: str, sort: str) -> None:
    """Pages asked again and again are right after each change, and in an order that others cannot see."""
    with docstore.open(url) as store:
        add = store.documents.add
        added = [
            add(
                filename=f"{n:03}",
                metadata={"kind": "ab"[n % 3 == 0]},
                created_at=f"2026-01-{n % 27 + 1:02}T00:00:00Z",
            )
            for n in range(48)
        ]

        def check() -> None:
            key = sort.lstrip("-")
            matching = [
                d for d in store.documents.iterate() if d.metadata["kind"] == "a" and d.status == "pending"
            ]
            matching.sort(key=lambda d: (getattr(d, key), d.number), reverse=sort.startswith("-"))
            expected = [document.filename for document in matching]
            for _ in range(2):
                assert [expected, expected, expected] == pages(store, sort)

        check()
        store.documents.update(added[1].id, metadata={"kind": "b"})
        check()
        store.documents.delete(added[2].id)
        store.documents.update(added[3].id, metadata={"kind": "a"}, touch=True)
        check()

        def change_and_fail() -> None:
            with store.transaction():
                store.documents.update(added[4].id, metadata={"kind": "b"})
                store.documents.delete(added[5].id)
                check()
                raise RuntimeError

        with pytest.raises(RuntimeError):
            change_and_fail()
        check()
