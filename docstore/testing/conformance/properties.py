"""One language, one answer: generated questions over generated records, against the evaluator.

A case is records and several questions on them, so that filling a store pays. Each ``check_…`` function
checks one rule on one case; ``suite`` makes a test of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from docstore.backend import Backend, Query, Scope, Support
from docstore.errors import NotFound
from docstore.limits import DEFAULT_LIMITS
from docstore.models import Page
from docstore.query.expr import TRUE, Not, leaves
from docstore.query.facets import facet_path, group, in_order, shown_value
from docstore.query.fields import DOCUMENTS, Collection
from docstore.query.paths import path_text
from docstore.query.planner import normalize
from docstore.query.values import plain
from docstore.store import Store
from docstore.testing.conformance.rows import fill
from docstore.testing.strategies.asks import Ask, ask, search
from docstore.testing.strategies.filters import (
    THEMES,
    Filter,
    some_filter,
    string_condition,
    themed,
    wide_filter,
)
from docstore.testing.strategies.values import Chooser, some_object
from docstore.testing.strategies.worlds import World, json_path, world

__all__ = [
    "AskCase",
    "CountCase",
    "FilterCase",
    "ScopeCase",
    "ValueCase",
    "WalkCase",
    "ask_case",
    "check_counts_by",
    "check_cursors",
    "check_filters",
    "check_leaves",
    "check_pages",
    "check_scopes",
    "check_updates",
    "check_values",
    "count_case",
    "filter_case",
    "scope_case",
    "search_case",
    "string_case",
    "themed_case",
    "value_case",
    "walk_case",
    "wide_case",
]


@dataclass(frozen=True)
class FilterCase:
    """Records and filters over them."""

    world: World
    filters: list[Filter]


@dataclass(frozen=True)
class AskCase:
    """Records and whole questions about them."""

    world: World
    asks: list[Ask]


@dataclass(frozen=True)
class ScopeCase:
    """Records, a scope of at least one part, and questions within it."""

    world: World
    tenant: str | None
    owner: str | None
    asks: list[Ask]


@dataclass(frozen=True)
class WalkCase:
    """Records and a question whose pages are walked."""

    world: World
    ask: Ask


@dataclass(frozen=True)
class CountCase:
    """Records, a filter, and a path to count by."""

    world: World
    filter: Filter
    field: str


@dataclass(frozen=True)
class ValueCase:
    """Metadata, and how it is stored."""

    metadata: dict[str, Any]

    @property
    def expected(self) -> Any:
        """The metadata as it comes back: -0.0 is 0.0."""
        return plain(self.metadata)


def filter_case(choose: Chooser) -> FilterCase:
    """Return records with up to six filters."""
    records = world(choose)
    return FilterCase(records, choose.several(lambda: some_filter(choose, records), 6, 1))


def themed_case(choose: Chooser, theme: str) -> FilterCase:
    """Return records with values of one theme, that engines confuse, and filters that tell them apart."""
    return FilterCase(*themed(choose, theme))


def string_case(choose: Chooser) -> FilterCase:
    """Return records with conditions on texts, one each: substrings, globs, patterns."""
    records = world(choose)
    texts = [(path_text(path), value) for path, value in records.seen if isinstance(value, str)]
    texts += [("filename", value) for value in records.values("filename")]

    def searched() -> Filter:
        path, value = choose.pick(texts or [("filename", "")])
        return {path: string_condition(choose, value)}

    return FilterCase(records, choose.several(searched, 8, 4))


def wide_case(choose: Chooser) -> FilterCase:
    """Return records with filters of many alternatives each."""
    records = world(choose, size=12)
    return FilterCase(records, [wide_filter(choose, records) for _ in range(8)])


def search_case(choose: Chooser) -> AskCase:
    """Return records with up to eight searches."""
    records = world(choose)

    def searched() -> Ask:
        return Ask({}, search(choose, records), ("number",), 1000, 0, False)

    return AskCase(records, choose.several(searched, 8, 4))


def ask_case(choose: Chooser) -> AskCase:
    """Return records with up to four questions."""
    records = world(choose)
    return AskCase(records, choose.several(lambda: ask(choose, records), 4, 1))


def walk_case(choose: Chooser) -> WalkCase:
    """Return records with a question that most of them answer."""
    if choose.below(2):
        records, _ = themed(choose, choose.pick(list(THEMES)))
        keys = ("metadata.a", "-metadata.a", "filename", "-filename", "size", "-size")
        sort = tuple(choose.several(lambda: choose.pick(keys), 2, 1))
        return WalkCase(records, Ask({}, None, sort, 1, 0, False))
    records = world(choose)
    question = ask(choose, records)
    if choose.below(3):
        question = Ask({}, None, question.sort, 1, 0, False)
    return WalkCase(records, question)


def scope_case(choose: Chooser) -> ScopeCase:
    """Return records, a scope that some of them are in, and up to three questions."""
    records = world(choose)
    tenant, owner = choose.pick((("t", None), ("T", None), (None, "o"), ("t", "o"), ("t%", "o'")))
    return ScopeCase(records, tenant, owner, choose.several(lambda: ask(choose, records), 3, 1))


def count_case(choose: Chooser) -> CountCase:
    """Return records, a filter, and a path that they have values at."""
    records = world(choose)
    own = choose.pick(("status", "filename", "tenant", "owner", "revision"))
    path = json_path(choose, records)[0] if choose.below(4) else own
    return CountCase(records, some_filter(choose, records) if choose.one_in(3) else {}, path)


def value_case(choose: Chooser) -> ValueCase:
    """Return metadata of every kind of value."""
    return ValueCase(some_object(choose, 5, 6))


# A key that no generated document has.
_MARK = "docstore conformance mark"
# No test writes to a record more often.
_MOST_REVISIONS = 1_000_000


def check_leaves(backend: Backend, store: Store, case: FilterCase) -> None:
    """Check that leaves called exact are exact, also negated, and that inexact ones find a superset."""
    oracle = fill(backend, case.world)
    with backend.read() as reader:
        for filter in case.filters:
            for leaf in leaves(normalize(oracle.parsed(filter))):
                expected = oracle.ids(leaf)
                support = backend.support(oracle.collection, leaf).support
                if support is Support.UNSUPPORTED:
                    continue
                actual = [row["id"] for row in reader.select(Query(oracle.collection, where=leaf))]
                if support is Support.INEXACT:
                    assert set(expected) <= set(actual), leaf
                    continue
                assert expected == actual, leaf
                others = [row["id"] for row in reader.select(Query(oracle.collection, where=Not(leaf)))]
                assert oracle.ids(Not(leaf)) == others, Not(leaf)
                assert len(expected) == reader.count(Query(oracle.collection, where=leaf)), leaf


def check_filters(backend: Backend, store: Store, case: FilterCase) -> None:
    """Every filter finds, counts and tells to exist what the evaluator says, no more and no less."""
    oracle = fill(backend, case.world)
    records = _records(store, oracle.collection)
    for filter in case.filters:
        expected = oracle.ids(oracle.parsed(filter))
        found = records.find(filter, sort="number", limit=1000, latest_only=False)
        assert expected == _ids(found), filter
        assert len(expected) == records.count(filter, latest_only=False), filter
        assert bool(expected) == records.exists(filter, latest_only=False), filter
        assert expected == _ids(records.iterate(filter, latest_only=False, batch_size=2)), filter


def check_pages(backend: Backend, store: Store, case: AskCase) -> None:
    """Filter, search, ``latest_only``, sort, limit, offset and total together give the page that they say."""
    oracle = fill(backend, case.world)
    records = _records(store, oracle.collection)
    for question in case.asks:
        everything = oracle.ordered(oracle.asked(question), question.sort)
        page = records.find(**_arguments(question), limit=question.limit, offset=question.offset, total=True)
        end = question.offset + question.limit
        assert everything[question.offset : end] == _ids(page), question
        assert len(everything) == page.total, question
        assert page.total_is_exact, question
        assert (question.limit > 0 and end < len(everything)) == page.has_more, question


def check_cursors(backend: Backend, store: Store, case: WalkCase) -> None:
    """A walk by cursor, at any limit, meets every row once and in order, forwards and back again."""
    oracle = fill(backend, case.world)
    records = _records(store, oracle.collection)
    expected = oracle.ordered(oracle.asked(case.ask), case.ask.sort)
    arguments = _arguments(case.ask)
    for limit in range(1, len(expected) + 2):
        pages = _pages(records, arguments, limit, len(expected) + 1)
        assert expected == [id for page in pages for id in _ids(page)], (limit, case.ask)
        assert pages[0].prev_cursor is None, (limit, case.ask)
        for before, page in zip(reversed(pages[:-1]), reversed(pages[1:]), strict=True):
            back = records.find(**arguments, limit=limit, cursor=page.prev_cursor)
            assert _ids(before) == _ids(back), (limit, case.ask)


def check_scopes(backend: Backend, store: Store, case: ScopeCase) -> None:
    """A scope sees its own records whatever is asked; another's id is one that does not exist."""
    oracle = fill(backend, case.world)
    scope = Scope(case.tenant, case.owner)
    parts = {"tenant": scope.tenant, "owner": scope.owner}
    scoped = store.scoped(**{name: part for name, part in parts.items() if part is not None})
    records = _records(scoped, oracle.collection)
    inside = set(oracle.ids(TRUE, scope))
    for question in case.asks:
        expected = oracle.ordered(oracle.asked(question), question.sort, scope)
        page = records.find(**_arguments(question), limit=1000, total=True)
        assert expected == _ids(page), (scope, question)
        assert len(expected) == page.total, (scope, question)
        pages = _pages(records, _arguments(question), 1, len(expected) + 1)
        assert expected == [id for page in pages for id in _ids(page)], (scope, question)
    for record in oracle.records:
        try:
            found = records.get(record["id"]).id in inside
        except NotFound:
            found = record["id"] not in inside
        assert found, (scope, record["id"])


def check_counts_by(backend: Backend, store: Store, case: CountCase) -> None:
    """``count_by`` counts the matching records by each scalar at the path, most frequent first."""
    oracle = fill(backend, case.world)
    path = facet_path(case.field, oracle.collection, DEFAULT_LIMITS)
    show = shown_value(path, oracle.collection)
    pairs = in_order(group(oracle.matching(oracle.parsed(case.filter)), path))[:1000]
    expected = [(show(value), count) for value, count in pairs]
    records = _records(store, oracle.collection)
    actual = records.count_by(case.field, case.filter, latest_only=False, limit=1000)
    assert expected == list(actual.items()), (case.field, case.filter)
    assert [type(value) is bool for value, _ in expected] == [type(value) is bool for value in actual]


def check_updates(backend: Backend, store: Store, case: FilterCase) -> None:
    """A change by a filter reaches the documents that match, and is found and undone by other questions."""
    if case.world.collection is not DOCUMENTS:
        return
    # An update counts the revision on, and mends a change before the creation: a world may hold the greatest
    # revision that fits, and any times.
    rows = tuple(
        {
            **row,
            "revision": min(row["revision"], _MOST_REVISIONS),
            "updated_at": max(row["updated_at"], row["created_at"]),
        }
        for row in case.world.rows
    )
    oracle = fill(backend, replace(case.world, rows=rows))
    for filter in case.filters[:2]:
        expected = oracle.ids(oracle.parsed(filter))
        mark = {"$set": {f"metadata.{_MARK}": {"n": 1}}}
        once = store.documents.update_many(filter, mark, touch=False)
        again = store.documents.update_many({f"metadata.{_MARK}.n": 1}, mark, touch=False)
        assert (len(expected), len(expected)) == (once.matched, once.changed), filter
        assert (len(expected), 0) == (again.matched, again.changed), filter
        marked = {f"metadata.{_MARK}.n": {"$gte": 1}}
        assert expected == _ids(store.documents.find(marked, sort="number", limit=1000, latest_only=False))
        undo = {"$unset": {f"metadata.{_MARK}": ""}}
        assert len(expected) == store.documents.update_many(marked, undo, touch=False).changed, filter
        assert expected == _ids(store.documents.find(filter, sort="number", limit=1000, latest_only=False)), (
            filter
        )


def check_values(backend: Backend, store: Store, case: ValueCase) -> None:
    """Metadata comes back with every type and every character that it was added with."""
    added = store.documents.add(None, filename="values", metadata=case.metadata)
    (found,) = store.documents.find({"id": added.id}).items
    for document in (added, found, store.documents.get(added.id)):
        assert repr(case.expected) == repr(document.metadata)
    store.documents.delete(added.id)


def _arguments(ask: Ask) -> dict[str, Any]:
    """Return what ``find`` is given for a question, its window aside."""
    return {
        "filter": ask.filter,
        "search": ask.search,
        "sort": list(ask.sort),
        "latest_only": ask.latest_only,
    }


def _pages(records: Any, arguments: dict[str, Any], limit: int, most: int) -> list[Page[Any]]:
    """Return the pages of a walk by cursor; more than ``most`` are none."""
    pages = [records.find(**arguments, limit=limit)]
    while pages[-1].next_cursor is not None:
        pages.append(records.find(**arguments, limit=limit, cursor=pages[-1].next_cursor))
        assert len(pages) <= most, (limit, arguments)
    return pages


def _ids(records: Iterable[Any]) -> list[str]:
    return [record.id for record in records]


def _records(store: Store, collection: Collection) -> Any:
    return getattr(store, collection.name)
