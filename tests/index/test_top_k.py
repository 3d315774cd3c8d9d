"""Windows of an order, cut from the index: what is read and sorted has just the page in it."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest
from docstore_memory.index import MemoryPostings

from docstore.backend import SortKey
from docstore.index import top_k
from docstore.index.bitmap import Bitmap
from docstore.index.extract import indexed_fields
from docstore.index.snapshot import Bulk
from docstore.index.terms import EVERY
from docstore.limits import DEFAULT_LIMITS
from docstore.query.fields import DOCUMENTS, Kind
from docstore.query.sorting import parse_sort, position_of, sort_key_function

FIELDS = {name: DOCUMENTS.column(name).kind is Kind.JSON for name in indexed_fields(DOCUMENTS)}
MANY = 3000


@cache
def records(seed: int) -> dict[int, dict[str, Any]]:
    """Return many records with ties, gaps, and values of every scalar type."""
    chance = random.Random(seed)
    values: list[Any] = [None, True, False, 1, 2.5, -7, "a", "b", "c" * 9]
    return {
        number: {
            "number": number,
            "created_at": chance.choice((5, 6, chance.randrange(1, 10**15))),
            "status": chance.choice(("pending", "failed")),
            "metadata": {
                "rank": chance.randrange(4),
                "mixed": chance.choice(values),
                "score": chance.random(),
                "name": f"{chance.randrange(10**6)}",
                "day": f"2026-0{chance.randrange(1, 9)}-11T10:11:1{chance.randrange(9)}.000000Z",
                **({"some": chance.randrange(9)} if chance.random() < 0.5 else {}),
            },
        }
        for number in range(1, MANY + 1)
    }


@cache
def folded(seed: int) -> Bulk:
    """Return their index."""
    stored = MemoryPostings()
    stored.compact(FIELDS, {}, records(seed))
    return Bulk(FIELDS, stored)


@pytest.mark.parametrize(
    "sort",
    [
        "created_at",
        "-created_at",
        "-number",
        "status",
        ["-status", "-created_at"],
        "metadata.rank",
        "-metadata.rank",
        "metadata.mixed",
        "-metadata.mixed",
        "metadata.score",
        "-metadata.day",
        ["metadata.rank", "-metadata.score"],
        "metadata.some",
        "-metadata.some",
        "metadata.nowhere",
        ["metadata.mixed", "-number"],
        "metadata.name",
    ],
)
def test_a_cut_holds_the_window(sort: Any) -> None:
    """Sorted, less what is to be skipped, the cut begins with the window of the whole order; behind a
    position, too.
    """
    held, source = records(1), folded(1)
    order: tuple[SortKey, ...] = parse_sort(sort, DOCUMENTS, DEFAULT_LIMITS)
    key_of = sort_key_function(order)
    keys = {number: key_of(record) for number, record in held.items()}
    key = keys.__getitem__
    whole = sorted(held, key=key)
    every: Bitmap = source.posting((), EVERY)
    assert top_k.can_cut(order, None, source)
    for offset, limit in ((0, 1), (0, 11), (7, 10), (1499, 20), (MANY - 5, 50), (MANY + 5, 50)):
        cut = top_k.cut(every, order, offset, limit, source)
        if cut is not None:
            read = sorted(cut.members.members, key=key)
            assert whole[offset : offset + limit] == read[cut.skip : cut.skip + limit]
    for place in (0, 10, 1500, MANY - 1):
        position = position_of(held[whole[place]], order)
        assert top_k.can_cut(order, position, source)
        beyond, slack = top_k.after(every, order, position, source)
        cut = top_k.cut(beyond, order, 0, 11 + slack, source)
        if cut is not None:
            behind = [number for number in cut.members.members if key(number) > key(whole[place])]
            assert whole[place + 1 : place + 12] == sorted(behind, key=key)[:11]


@pytest.mark.parametrize("sort", ["created_at", "-metadata.rank", "metadata.nowhere", "status"])
def test_a_cut_is_small_however_many_share_a_value(sort: str) -> None:
    """Of records that share a value, no more are read than the window and a few."""
    source = folded(2)
    order = parse_sort(sort, DOCUMENTS, DEFAULT_LIMITS)
    for offset in (0, 300, 1500):
        cut = top_k.cut(source.posting((), EVERY), order, offset, 10, source)
        assert cut is not None
        assert len(cut.members.members) <= 100


@pytest.mark.parametrize("sort", ["number", "-number"])
@pytest.mark.parametrize("offset", [0, 4990, 5000, 5050, 20_000])
def test_a_window_of_many_numbers_ends_where_they_do(sort: str, offset: int) -> None:
    """Behind the last of them there is nothing, in either direction."""
    many = range(1, 5001)
    order = parse_sort(sort, DOCUMENTS, DEFAULT_LIMITS)
    found = Bitmap.of_integer(sum(1 << number for number in many))
    cut = top_k.cut(found, order, offset, 70, Bulk(FIELDS, MemoryPostings()))
    assert cut is not None
    wanted = (many if sort == "number" else many[::-1])[offset : offset + 70]
    assert (0, sorted(wanted)) == (cut.skip, list(cut.members.members))
