"""Cursors through the store: bound, signed, portable; forged ones move the position and nothing else."""

from __future__ import annotations

import base64
import string
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle
from typing import Any

import pytest

import docstore
from docstore.errors import InvalidCursor
from docstore.query import cursor as cursors
from docstore.query.fields import DOCUMENTS
from docstore.query.sorting import parse_sort

AT = "2026-01-01T00:00:00.00000{}Z"
ALPHABET = string.ascii_letters + string.digits + "-_"
SORTS: tuple[Any, ...] = (
    "-created_at", "number", "-size", "filename", ["is_latest", "-status"], "metadata.a",
    ["-metadata.a", "size"],
)  # fmt: skip


def fill(store: docstore.Store) -> None:
    """Add the same documents, by tens to two owners, to whichever store."""
    values = (None, [], 1, 1.5, "x", "é\u202e", {"k": [1]}, [[2]], True, 2**53 + 1)
    store.documents.add_many([
        {
            "id": f"{owner}-{n}", "filename": f"{n % 3}.txt", "owner": owner, "size": (None, 5, 7)[n % 3],
            "created_at": AT.format(n % 4), "metadata": {"a": value} if n else {},
        }
        for n, value in enumerate(values)
        for owner in ("mine", "others")
    ])  # fmt: skip


@pytest.fixture
def filled(store: docstore.Store) -> docstore.Store:
    """A filled store on every backend, its cursors unsigned."""
    fill(store)
    return store


def ids(page: Any) -> list[str]:
    return [one.id for one in page]


def variants(text: str, step: int) -> Iterator[str]:
    """Yield the cursor with each of its characters replaced, left out and doubled."""
    for at, character in enumerate(text):
        other = ALPHABET[(ALPHABET.index(character) + step + at) % len(ALPHABET)]
        yield text[:at] + (other if other != character else "A" if character != "A" else "B") + text[at + 1 :]
        yield text[:at] + text[at + 1 :]
        yield text[:at] + character + text[at:]
    yield from (text + "A", "A" + text, text + "=", text + "\n", text.swapcase(), text[::-1], "")


def raw_variants(text: str) -> Iterator[str]:
    """Yield the cursor with every one of its bytes changed, in every bit and wholly."""
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    for at in range(len(raw)):
        for change in (*(1 << bit for bit in range(8)), 0xFF):
            changed = raw[:at] + bytes((raw[at] ^ change,)) + raw[at + 1 :]
            yield base64.urlsafe_b64encode(changed).rstrip(b"=").decode()


@pytest.mark.parametrize("sort", SORTS, ids=str)
def test_every_changed_byte_of_a_signed_cursor_is_noticed(url: str, sort: Any) -> None:
    """Whatever is changed, left out or added, find, explain and iterate raise InvalidCursor."""
    with docstore.open(url, cursor_secret="s3cret") as store:
        fill(store)
        text = store.documents.find(sort=sort, limit=3).next_cursor
        assert text is not None
        assert 3 == len(store.documents.find(sort=sort, limit=3, cursor=text))
        for method in (store.documents.find, store.documents.explain, store.documents.iterate):
            for wrong in {*variants(text, 1), *raw_variants(text)} - {text}:
                with pytest.raises(InvalidCursor):
                    method(sort=sort, cursor=wrong)


@pytest.mark.parametrize("sort", SORTS, ids=str)
def test_a_changed_unsigned_cursor_never_reaches_another_scope(filled: docstore.Store, sort: Any) -> None:
    """Any change is InvalidCursor or another position in the same question; nothing else is ever raised."""
    mine = filled.scoped(owner="mine").documents
    text = mine.find({"size": None}, sort=sort, limit=1).next_cursor
    assert text is not None
    passed = 0
    wrongs = sorted({*variants(text, 7), *raw_variants(text)} - {text}, key=str)
    for wrong, direction in zip(wrongs, cycle((None, "next", "prev")), strict=False):
        try:
            page = mine.find({"size": None}, sort=sort, cursor=wrong, direction=direction, total=True)
        except InvalidCursor:
            continue
        passed += 1
        assert {("mine", None)} >= {(one.owner, one.size) for one in page}
        assert 4 == page.total
    assert passed, "the changes that leave a position valid are the point of this test"


FORGED: tuple[tuple[Any, list[tuple[Any, ...]]], ...] = (
    ("number", [(n,) for n in (2**63 - 1, -(2**63), 0, -1)]),
    ("-created_at", [(at, n) for at in (0, -1, 253_402_300_799_999_999) for n in (2**63 - 1, -(2**63))]),
    ("filename", [(name, 1) for name in ("", "\U0010ffff", "'; --", "%s", "x" * 100_000)]),
    ("size", [(size, 2**63 - 1) for size in (None, -(2**63), 2**63 - 1)]),
    ("metadata.a", [(a, -(2**63)) for a in (None, 1e308, -(2**63), "\U0010ffff", {"": {}}, [[[]]], True)]),
    ("-metadata.a", [(a, 2**63 - 1) for a in (None, 5e-324, 2**63 - 1, "", {}, [], False)]),
)  # fmt: skip


@pytest.mark.parametrize(("sort", "positions"), FORGED, ids=lambda it: str(it)[:20])
def test_a_forged_position_is_a_position(
    filled: docstore.Store, sort: Any, positions: list[tuple[Any, ...]]
) -> None:
    """Positions no row ever had, the ends of int64 among them: a page of the scope, and pages from there."""
    mine = filled.scoped(owner="mine").documents
    text = mine.find(sort=sort, limit=1).next_cursor
    assert text is not None
    bound = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))[1:9]
    order = parse_sort(sort, DOCUMENTS, docstore.Limits())
    everything = ids(mine.find(sort=sort, limit=1000))
    for position in positions:
        assert len(order) == len(position)
        forwards = mine.find(sort=sort, limit=1000, cursor=cursors.encode(position, "next", bound))
        backwards = mine.find(sort=sort, limit=1000, cursor=cursors.encode(position, "prev", bound))
        assert everything == ids(backwards) + ids(forwards)
        for empty in (page for page in (forwards, backwards) if not page.items):
            back = mine.find(sort=sort, limit=1000, cursor=empty.prev_cursor or empty.next_cursor)
            assert everything == ids(back)


ELSEWHERE: tuple[dict[str, Any], ...] = (
    {}, {"filter": {"size": 6}}, {"filter": {"size": {"$gt": 5}}}, {"filter": {"size": 5}, "search": "txt"},
    {"filter": {"size": 5}, "sort": "created_at"}, {"filter": {"size": 5}, "sort": ["-created_at", "-size"]},
    {"filter": {"size": 5}, "latest_only": False}, {"filter": {"metadata.a": 5}},
)  # fmt: skip


@pytest.mark.parametrize("secret", [None, "s3cret"])
def test_a_cursor_belongs_to_its_question(secret: str | None) -> None:
    """Another filter, search, sort, ``latest_only``, scope, collection or store's secret: InvalidCursor."""
    with docstore.open("memory://", cursor_secret=secret) as store:
        fill(store)
        text = store.documents.find({"size": 5}, limit=1).next_cursor
        assert 2 == len(store.documents.find({"size": 5}, limit=2, cursor=text))
        assert 2 == len(store.documents.find({"size": {"$eq": 5.0}}, limit=2, cursor=text, search=""))
        for other in ELSEWHERE:
            with pytest.raises(InvalidCursor, match="belongs to another"):
                store.documents.find(**other, cursor=text)
        for view in (store.scoped(owner="mine"), store.scoped(tenant="mine")):
            with pytest.raises(InvalidCursor, match="belongs to another"):
                view.documents.find({"size": 5}, cursor=text)
        with pytest.raises(InvalidCursor, match="belongs to another"):
            store.extractions.find(cursor=store.documents.find(limit=1).next_cursor)
    with docstore.open("memory://", cursor_secret="another") as store, pytest.raises(InvalidCursor):
        store.documents.find({"size": 5}, cursor=text)


def test_secrets_are_rotated(sqlite_url: str) -> None:
    """A new secret signs beside the old one, which stays good until it is taken out."""
    with docstore.open(sqlite_url, cursor_secret="old") as store:
        fill(store)
        text = store.documents.find(limit=5).next_cursor
    with docstore.open(sqlite_url, cursor_secret=["new", "old"]) as store:
        page = store.documents.find(limit=5, cursor=text)
        assert 5 == len(page)
    with docstore.open(sqlite_url, cursor_secret="new") as store:
        assert 5 == len(store.documents.find(limit=5, cursor=page.next_cursor))
        with pytest.raises(InvalidCursor):
            store.documents.find(limit=5, cursor=text)


@pytest.mark.parametrize("secret", [None, "s3cret"])
def test_cursors_are_portable(postgres_store_url: str, secret: str | None) -> None:
    """Stores holding the same documents give out the same cursors, and take one another's."""
    with ExitStack() as stack:
        urls = ("memory://", "sqlite://", postgres_store_url)
        stores = [stack.enter_context(docstore.open(url, cursor_secret=secret)) for url in urls]
        for store in stores:
            fill(store)
        for sort in SORTS:
            cursor = None
            for turn in range(8):
                pages = [store.documents.find(sort=sort, limit=3, cursor=cursor) for store in stores]
                assert 1 == len({tuple(ids(page)) for page in pages}), (sort, turn)
                assert 1 == len({(page.next_cursor, page.prev_cursor) for page in pages}), (sort, turn)
                cursor = pages[turn % 3].next_cursor
                if cursor is None:
                    break
            assert 6 == turn


def test_cursors_are_short(filled: docstore.Store) -> None:
    """A few dozen URL-safe characters, signed or not."""
    text = filled.documents.find(limit=1).next_cursor
    assert text is not None
    assert set(text) <= set(ALPHABET)
    assert len(text) < 50
