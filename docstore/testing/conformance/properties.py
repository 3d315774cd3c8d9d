"""One language, one answer: generated questions over generated records, against the evaluator.

Each function checks one rule on one generated case; ``suite`` makes a test of each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from docstore.backend import Backend, Query, Scope, Support
from docstore.errors import NotFound
from docstore.limits import DEFAULT_LIMITS
from docstore.models import Page
from docstore.query.expr import TRUE, Not, leaves
from docstore.query.facets import facet_path, group, in_order, shown_value
from docstore.query.fields import DOCUMENTS, Collection
from docstore.query.optimizer import normalize
from docstore.store import Store
from docstore.testing.conformance.cases import AskCase, CountCase, FilterCase, ScopeCase, ValueCase, WalkCase
from docstore.testing.conformance.oracle import fill
from docstore.testing.strategies.asks import Ask

__all__ = [
    "check_counts_by",
    "check_cursors",
    "check_filters",
    "check_leaves",
    "check_pages",
    "check_scopes",
    "check_updates",
    "check_values",
]


_MARK = "docstore conformance mark"
"""A key that no generated document has."""
_MOST_REVISIONS = 1_000_000


def check_leaves(backend: Backend, store: Store, case: FilterCase) -> None:
    """What a backend calls exact is exact, also under a negation; what it calls inexact is a superset."""
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
    for ask in case.asks:
        everything = oracle.ordered(oracle.asked(ask), ask.sort)
        page = records.find(**_arguments(ask), limit=ask.limit, offset=ask.offset, total=True)
        assert everything[ask.offset : ask.offset + ask.limit] == _ids(page), ask
        assert len(everything) == page.total, ask
        assert page.total_is_exact, ask
        assert (ask.limit > 0 and ask.offset + ask.limit < len(everything)) == page.has_more, ask


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
    for ask in case.asks:
        expected = oracle.ordered(oracle.asked(ask), ask.sort, scope)
        page = records.find(**_arguments(ask), limit=1000, total=True)
        assert expected == _ids(page), (scope, ask)
        assert len(expected) == page.total, (scope, ask)
        pages = _pages(records, _arguments(ask), 1, len(expected) + 1)
        assert expected == [id for page in pages for id in _ids(page)], (scope, ask)
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
    # an update counts the revision on, and a world may hold the greatest one that fits
    rows = tuple({**row, "revision": min(row["revision"], _MOST_REVISIONS)} for row in case.world.rows)
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
