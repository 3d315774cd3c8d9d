"""Too much of anything is refused in milliseconds, before any I/O, whichever call brings it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

import docstore
from docstore.errors import FilterError, FilterTooComplex, InvalidCursor, InvalidSort
from tests.kit.forms import SOAK

DEEP = 100_000
MEGABYTES = 10_000_000
GENEROUS = 1.0
"""Seconds: on an idle machine these take a few milliseconds."""


def nested(word: str, wraps: bool) -> dict[str, Any]:
    """Return a filter of 100,000 levels."""
    filter: Any = {"$exists": True} if not wraps else {"metadata.a": 1}
    for _ in range(DEEP):
        filter = {word: [filter]} if wraps else {word: filter}
    return filter if wraps else {"metadata.a": filter}


def deep_operand(kind: str) -> dict[str, Any]:
    value: Any = 1
    for _ in range(DEEP):
        value = [value] if kind == "array" else {"a": value}
    return {"metadata.a": value}


def itself() -> dict[str, Any]:
    filter: dict[str, Any] = {}
    filter["$and"] = [filter]
    return filter


FILTERS: dict[str, Callable[[], Any]] = {
    "deep $and": lambda: nested("$and", True),
    "deep $nor": lambda: nested("$nor", True),
    "deep $not": lambda: nested("$not", False),
    "deep $elemMatch": lambda: nested("$elemMatch", False),
    "deep array": lambda: deep_operand("array"),
    "deep object": lambda: {"metadata.a": {"$in": [deep_operand("object")["metadata.a"]]}},
    "a filter within itself": itself,
    "a text of 10 MB": lambda: {"metadata.a": "x" * MEGABYTES},
    "a pattern of 10 MB": lambda: {"metadata.a": {"$regex": "x" * MEGABYTES}},
    "a key of 10 MB": lambda: {"metadata." + "x" * MEGABYTES: 1},
    "an unknown field of 10 MB": lambda: {"x" * MEGABYTES: 1},
    "an operator of 10 MB": lambda: {"metadata.a": {"$" + "x" * MEGABYTES: 1}},
    "a path of 5,000,000 steps": lambda: {"metadata" + ".a" * (MEGABYTES // 2): 1},
    "10 MB of predicates": lambda: {f"metadata.key{n}": "x" * 90 for n in range(100_000)},
    "10 MB of filters": lambda: {"$or": [{"metadata.a": "x" * 90} for _ in range(100_000)]},
    "10 MB of values": lambda: {"metadata.a": {"$in": ["x" * 90 for _ in range(100_000)]}},
    "10 MB in an array": lambda: {"metadata.a": ["x" * 90 for _ in range(100_000)]},
    "10 MB in an object": lambda: {"metadata.a": {f"key{n}": "x" * 90 for n in range(100_000)}},
    "10 MB of numbers": lambda: {"metadata.a": {"$all": list(range(1_000_000))}},
    "a number of 10 MB": lambda: {"metadata.a": 1 << (8 * MEGABYTES)},
}
UNKNOWN = ("an unknown field of 10 MB", "an operator of 10 MB", "a number of 10 MB")
"""These may be refused as what they are, too."""


@contextmanager
def soon() -> Iterator[None]:
    begun = time.thread_time()
    yield
    assert time.thread_time() - begun < GENEROUS


@pytest.fixture(params=("memory", "postgres") if SOAK else ("memory",))
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a store: what is refused before any I/O is refused in one place, whatever the backend."""
    return "memory://" if request.param == "memory" else str(request.getfixturevalue("postgres_store_url"))


@pytest.fixture
def closed_to_queries(store: docstore.Store, monkeypatch: pytest.MonkeyPatch) -> docstore.Store:
    """A store on every backend that fails whatever would read or write."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("this must be refused before any I/O")

    monkeypatch.setattr(store._context.backend, "read", refuse)
    monkeypatch.setattr(store._context.backend, "write", refuse)
    return store


def test_filters_that_are_too_deep_or_too_large(closed_to_queries: docstore.Store) -> None:
    """FilterTooComplex from every call that takes a filter, without recursion, without I/O, at once."""
    documents, extractions = closed_to_queries.documents, closed_to_queries.extractions
    for turn, (name, make) in enumerate(FILTERS.items()):
        filter = make()
        expected = FilterError if name in UNKNOWN else FilterTooComplex
        calls: tuple[Callable[[Any], Any], ...] = (
            documents.find, documents.iterate, documents.count, documents.exists, documents.explain,
            documents.delete_many, documents.update_many, lambda it: documents.count_by("status", it),
            lambda it: documents.claim(filter=it), lambda it: documents.find(docstore.under("metadata", it)),
        )  # fmt: skip
        asked = calls if SOAK or turn < 2 else (calls[0], calls[turn % len(calls)], calls[-1 - turn % 7])
        for call in asked:
            with soon(), pytest.raises(expected) as refused:
                call(filter)
            assert len(str(refused.value)) < 2_000, name
        if "metadata" in filter or "$and" in filter or name.startswith("deep"):
            with soon(), pytest.raises(FilterTooComplex):
                extractions.find(filter)


def test_the_error_says_where_and_which_bound(closed_to_queries: docstore.Store) -> None:
    """The bound is named, with what it is, and the place in the filter."""
    with pytest.raises(FilterTooComplex) as refused:
        closed_to_queries.documents.find({"$or": [{"metadata.a": 1}, {"metadata.b": "x" * MEGABYTES}]})
    assert ("operand_bytes", 65_536, "$or/1/metadata.b") == (
        refused.value.bound, refused.value.limit, refused.value.path,
    )  # fmt: skip


def test_searches_ids_sorts_and_cursors_that_are_too_large(closed_to_queries: docstore.Store) -> None:
    """Each has a bound and an error of its own."""
    documents = closed_to_queries.documents
    for search in ("x" * MEGABYTES, '"' * 1_001, "日" * 1_001):
        for call in (documents.find, documents.count, documents.iterate, documents.explain):
            with soon(), pytest.raises(FilterTooComplex):
                call(search=search)  # type: ignore[operator]
    ids: tuple[Any, ...] = ([str(n) for n in range(10_001)], map(str, count()))
    for many in ids:
        with soon(), pytest.raises(FilterTooComplex):
            documents.get_many(many)
    deep: Any = []
    for _ in range(DEEP):
        deep = [deep]
    sorts = ("x" * MEGABYTES, "metadata" + ".a" * DEEP, ["size"] * 100_000, deep, [deep], "-" * MEGABYTES)
    for sort in sorts:
        with soon(), pytest.raises(InvalidSort) as refused:
            documents.find(sort=sort)
        assert len(str(refused.value)) < 2_000
        with soon(), pytest.raises(FilterError):
            documents.count_by(sort)  # type: ignore[arg-type]
    for cursor in ("x" * MEGABYTES, "A" * MEGABYTES, "EI8C" * (MEGABYTES // 4), "é" * MEGABYTES):
        with soon(), pytest.raises(InvalidCursor):
            documents.find(cursor=cursor)
        with soon(), pytest.raises(InvalidCursor):
            documents.iterate(cursor=cursor)


def test_arguments_of_other_types_are_named_errors(closed_to_queries: docstore.Store) -> None:
    """A value of any type and depth where a word, a number or a set is expected is refused by name."""
    deep: Any = []
    for _ in range(DEEP):
        deep = [deep]
    for wrong in (deep, {}, 1.5, b"x", object()):
        for argument in ("limit", "offset", "page", "direction", "total", "latest_only"):
            with pytest.raises(docstore.InvalidPage):
                closed_to_queries.documents.find(**{argument: wrong})
        with pytest.raises(docstore.InvalidPage):
            closed_to_queries.documents.find(include=[wrong])
        with pytest.raises(InvalidSort):
            closed_to_queries.documents.find(sort=[wrong])
        with pytest.raises(docstore.FilterValueError):
            closed_to_queries.documents.get(wrong)
        with pytest.raises(docstore.UnknownField):
            closed_to_queries.documents.count_by(wrong)
        if wrong:
            with pytest.raises(FilterError):
                closed_to_queries.documents.find(search=wrong)
