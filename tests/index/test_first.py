"""The first records of an order: what a walk finds there is what it finds in the table."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import docstore
from docstore.index.ordered import First

PAIRS = st.lists(
    st.tuples(st.integers(-3, 3), st.integers(0, 400)), unique_by=lambda pair: pair[1], max_size=300
)
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)


@given(PAIRS, st.booleans(), st.integers(-4, 4), st.integers(-4, 4), st.data())
def test_a_part_is_what_a_scan_finds(
    pairs: list[tuple[int, int]], descending: bool, least: int, most: int, data: st.DataObject
) -> None:
    """Range, position and set leave of the order what they leave of a list that is looked at one by one."""
    pairs = sorted(pairs, reverse=descending)
    first = First(pairs, descending=descending, is_all=True)
    members = data.draw(st.sets(st.integers(0, 400)))
    after = data.draw(st.none() | st.tuples(st.integers(-4, 4), st.integers(0, 400)))
    behind = (lambda pair: pair < after) if descending else (lambda pair: pair > after)
    raw = sum(1 << number for number in members).to_bytes(51, "little").rstrip(b"\0")
    start, end = first.within(least, most, after)
    asked = [pair for pair in pairs if least <= pair[0] <= most and (after is None or behind(pair))]
    assert asked == pairs[start:end]
    wanted = data.draw(st.integers(1, 300))
    expected = [number for _, number in asked if number in members]
    assert expected[:wanted] == list(first.members(raw, start, end, wanted))[:wanted]


def _pages(store: docstore.Store, filter: dict[str, Any], sort: str) -> list[list[str]]:
    pages, cursor = [], None
    for _ in range(4):
        page = store.documents.find(filter, sort=sort, limit=7, cursor=cursor)
        pages.append([each.filename for each in page.items])
        cursor = page.next_cursor
        if cursor is None:
            break
    return pages


@pytest.mark.parametrize("sort", ["-created_at", "created_at"])
def test_pages_from_the_first_rows_are_those_of_memory(sqlite_url: str, sort: str) -> None:
    """Pages cut out of the kept beginning of the order are right at once after each change."""
    chance = random.Random(sort)
    with docstore.open(sqlite_url) as store, docstore.open("memory://") as other:
        for opened in (store, other):
            chance.seed(7)
            opened.documents.add_many(
                {
                    "filename": str(at),
                    "created_at": EPOCH + timedelta(hours=chance.randrange(300)),
                    "metadata": {"n": at % 3, "m": chance.randrange(50)},
                }
                for at in range(1_500)
            )
        for turn in range(12):
            low, high = sorted((chance.randrange(-20, 320), chance.randrange(-20, 320)))
            bounds = {"$gte": EPOCH + timedelta(hours=low), "$lt": EPOCH + timedelta(hours=high)}
            for filter in (
                {"metadata.n": 1},
                {"metadata.n": 1, "created_at": {"$lte": bounds["$gte"]}},
                {"metadata.n": {"$in": [0, 2]}, "created_at": bounds},
                {"metadata.m": {"$lt": 25}, "created_at": {"$gt": bounds["$lt"]}},
            ):
                for _ in range(3):
                    assert _pages(other, filter, sort) == _pages(store, filter, sort)
            if turn % 2:
                for opened in (store, other):
                    moved = opened.documents.find({"number": 40 + turn}).items[0]
                    opened.documents.delete(moved.id)
                    opened.documents.add(
                        filename=f"new {turn}", created_at=EPOCH + timedelta(hours=high), metadata={"n": 1}
                    )
