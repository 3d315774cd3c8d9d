"""Pages by the rules of the API, compared with a plain model over chance sequences of moves."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

import docstore

Key = tuple[Any, ...]
Way = Literal["next", "prev"]


@dataclass(frozen=True)
class Gap:
    """A cursor of the model: just before or just behind a key, whether or not a row is there."""

    key: Key
    behind: bool
    way: Way

    def place(self, keys: Sequence[Key]) -> int:
        """Return how many keys are before it."""
        at = bisect_left(keys, self.key)
        return at + (self.behind and at < len(keys) and keys[at] == self.key)


@dataclass(frozen=True)
class Listed:
    """What a page is to be."""

    keys: list[Key]
    next: Gap | None
    prev: Gap | None


@dataclass
class Listing:
    """Rows by their keys, in order: whatever stands for a row is its key, the tie-break last."""

    keys: list[Key] = field(default_factory=list)

    def at(self, offset: int, limit: int) -> Listed:
        """Return the page behind ``offset`` rows."""
        shown = self.keys[offset : offset + limit]
        more = offset + limit < len(self.keys) and limit > 0
        return Listed(shown, _behind(shown) if more else None, _before(shown) if shown and offset else None)

    def on(self, gap: Gap, way: Way | None, limit: int) -> Listed:
        """Return the page that begins, or backwards ends, at a gap."""
        place, way = gap.place(self.keys), way or gap.way
        if not limit:
            return Listed([], None, None)
        if way == "next":
            shown = self.keys[place : place + limit]
            if not shown:
                return Listed([], None, Gap(gap.key, gap.behind, "prev"))
            return Listed(shown, _behind(shown) if place + limit < len(self.keys) else None, _before(shown))
        shown = self.keys[max(0, place - limit) : place]
        if not shown:
            return Listed([], Gap(gap.key, gap.behind, "next"), None)
        return Listed(
            shown,
            _behind(shown) if place < len(self.keys) else None,
            _before(shown) if place > limit else None,
        )


def _behind(shown: list[Key]) -> Gap:
    return Gap(shown[-1], True, "next")


def _before(shown: list[Key]) -> Gap:
    return Gap(shown[0], False, "prev")


SIZES = (None, 1, 1, 1, 2, 2, 3)
"""Mostly ties and nothing at all."""


class Walker:
    """A store and its model, moved over side by side."""

    def __init__(self, store: docstore.Store, chance: random.Random, sort: str) -> None:
        self.documents = store.documents
        self.chance = chance
        self.sort = sort
        self.model = Listing()
        self.names: dict[Any, str] = {}
        self.cursors: dict[Gap, str] = {}

    def key(self, document: docstore.Document) -> tuple[Any, ...]:
        """Return what the model sorts the document by: ``None`` is first ascending and last descending."""
        size = -1 if document.size is None else document.size
        ascending = (size, document.number)
        return ascending if self.sort == "size" else tuple(-part for part in ascending)

    def add(self, many: int) -> None:
        for _ in range(many):
            made = self.documents.add(None, filename="f", size=self.chance.choice(SIZES))
            self.names[self.key(made)] = made.id
        self.model.keys = sorted(self.names)

    def remove(self, many: int) -> None:
        for key in self.chance.sample(self.model.keys, min(many, len(self.model.keys))):
            self.documents.delete(self.names.pop(key))
        self.model.keys = sorted(self.names)

    def compare(self, expected: Listed, page: docstore.Page[docstore.Document], about: object) -> None:
        """Check a page against the model's and remember the cursors of both."""
        assert [self.names[key] for key in expected.keys] == [one.id for one in page.items], about
        assert page.has_more is (page.next_cursor is not None), about
        assert list(page) == page.items
        assert len(page) == len(page.items)
        for gap, cursor in ((expected.next, page.next_cursor), (expected.prev, page.prev_cursor)):
            assert (gap is None) == (cursor is None), (about, gap)
            if gap is not None and cursor is not None:
                assert self.cursors.setdefault(gap, cursor) == cursor, about

    def step(self) -> None:
        """Take one page, by offset, page number or a cursor of before, and compare."""
        limit = self.chance.choice((0, 1, 2, 3, 5, 100))
        total = self.chance.choice((False, True, 0, 2, len(self.model.keys), 1000))
        ask: dict[str, Any] = {"sort": self.sort, "limit": limit, "total": total}
        match self.chance.choice(("offset", "page", "cursor", "cursor", "cursor")):
            case "cursor" if self.cursors:
                gap = self.chance.choice(list(self.cursors))
                way = self.chance.choice((None, None, "next", "prev"))
                page = self.documents.find(**ask, cursor=self.cursors[gap], direction=way)
                expected = self.model.on(gap, way, limit)
                assert (None, None) == (page.offset, page.page)
                about: object = (gap, way, limit)
            case "page":
                number = self.chance.choice((1, 2, 3))
                page = self.documents.find(**ask, page=number)
                expected = self.model.at((number - 1) * limit, limit)
                assert ((number - 1) * limit, number) == (page.offset, page.page)
                about = (number, limit)
            case _:
                offset = self.chance.choice((0, 0, 1, 4, len(self.model.keys), 1000))
                page = self.documents.find(**ask, offset=offset)
                expected = self.model.at(offset, limit)
                assert (offset, None) == (page.offset, page.page)
                about = (offset, limit)
        self.compare(expected, page, about)
        assert limit == page.limit
        self.check_total(page, total)

    def check_total(self, page: docstore.Page[docstore.Document], total: bool | int) -> None:
        there = len(self.model.keys)
        if total is False:
            assert (None, True) == (page.total, page.total_is_exact)
        elif total is True:
            assert (there, True) == (page.total, page.total_is_exact)
        else:
            assert (min(there, total), there <= total) == (page.total, page.total_is_exact)


@pytest.mark.parametrize("sort", ["size", "-size"])
def test_pages_are_those_of_the_model(store: docstore.Store, sort: str) -> None:
    """Items, cursors, ``has_more``, offset, page, totals: the rules, whichever way one came."""
    walker = Walker(store, random.Random(sort), sort)
    walker.add(12)
    for _ in range(60):
        walker.step()


def test_pages_are_those_of_the_model_while_rows_come_and_go(store: docstore.Store) -> None:
    """A cursor is a position: it holds where the rows around it, and its own, are gone."""
    walker = Walker(store, random.Random(3), "-size")
    walker.add(9)
    for _ in range(12):
        walker.remove(walker.chance.choice((0, 1, 3)))
        walker.add(walker.chance.choice((0, 0, 1, 3)))
        for _ in range(6):
            walker.step()


def test_the_way_back_from_a_page_that_became_empty(store: docstore.Store) -> None:
    """An empty page that a cursor reached has the way back alone; any other has none."""
    ids = [store.documents.add(None, filename=str(n)).id for n in range(4)]
    first = store.documents.find(sort="number", limit=2)
    second = store.documents.find(sort="number", limit=2, cursor=first.next_cursor)
    for id in ids[2:]:
        store.documents.delete(id)
    empty = store.documents.find(sort="number", limit=2, cursor=first.next_cursor)
    assert ([], False, None) == (empty.items, empty.has_more, empty.next_cursor)
    back = store.documents.find(sort="number", limit=2, cursor=empty.prev_cursor)
    assert (ids[:2], None, False) == ([one.id for one in back], back.prev_cursor, back.has_more)
    for id in ids[:2]:
        store.documents.delete(id)
    before = store.documents.find(sort="number", limit=2, cursor=second.prev_cursor)
    assert ([], None) == (before.items, before.prev_cursor)
    new = store.documents.add(None, filename="new").id
    assert [new] == [one.id for one in store.documents.find(sort="number", cursor=before.next_cursor)]
    for nothing in (store.documents.find({"status": "failed"}), store.documents.find(offset=9)):
        assert ([], None, None, False) == (
            nothing.items, nothing.next_cursor, nothing.prev_cursor, nothing.has_more
        )  # fmt: skip


def test_no_items_still_a_total(store: docstore.Store) -> None:
    """``limit=0`` brings no items and no cursors, by whichever way it is asked, and counts all the same."""
    for n in range(3):
        store.documents.add(None, filename=str(n))
    cursor = store.documents.find(limit=1).next_cursor
    for ask in ({}, {"offset": 1}, {"page": 2}, {"cursor": cursor}, {"cursor": cursor, "direction": "prev"}):
        page = store.documents.find(limit=0, total=True, **ask)
        assert ([], 3, True) == (page.items, page.total, page.total_is_exact)
        assert (False, None, None) == (page.has_more, page.next_cursor, page.prev_cursor)


WRONG = [
    {"limit": -1}, {"limit": 1001}, {"limit": True}, {"limit": 1.0}, {"limit": "5"}, {"limit": None},
    {"offset": -1}, {"offset": None}, {"offset": 2**63}, {"page": 0}, {"page": -1}, {"page": True},
    {"page": 2**62, "limit": 1000}, {"offset": 1, "page": 1}, {"offset": 1, "cursor": "x"},
    {"page": 1, "cursor": "x"}, {"direction": "next"}, {"direction": "up", "cursor": "x"}, {"cursor": 5},
    {"cursor": b"x"}, {"total": -1}, {"total": "yes"}, {"total": None}, {"total": 1.5},
    {"include": "content"}, {"include": {"nothing"}}, {"include": 5},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_wrong_windows_are_refused(wrong: dict[str, Any]) -> None:
    """Values and types out of bounds, and two ways of saying where, are InvalidPage."""
    with docstore.open("memory://") as store:
        for records in (store.documents, store.extractions):
            for method in (records.find, records.explain):
                with pytest.raises(docstore.InvalidPage):
                    method(**wrong)


def test_an_offset_of_nothing_goes_with_a_cursor(store: docstore.Store) -> None:
    """At most one of a *non-zero* offset, page, and cursor: a zero offset says nothing."""
    for n in range(3):
        store.documents.add(None, filename=str(n))
    cursor = store.documents.find(limit=1, offset=0).next_cursor
    assert 2 == len(store.documents.find(offset=0, cursor=cursor))
    assert 3 == len(store.documents.find(offset=0, page=1))
