"""Pages in the order of time, bounds on it among the filter: what a walk of the table finds."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import docstore

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)


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
                expected = _pages(other, filter, sort)
                for _ in range(3):
                    assert expected == _pages(store, filter, sort)
            if turn % 2:
                for opened in (store, other):
                    moved = opened.documents.find({"number": 40 + turn}).items[0]
                    opened.documents.delete(moved.id)
                    opened.documents.add(
                        filename=f"new {turn}", created_at=EPOCH + timedelta(hours=high), metadata={"n": 1}
                    )
