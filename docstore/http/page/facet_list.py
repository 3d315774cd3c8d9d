"""What stands beside a list: how many match, and the values of chosen fields with their counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

from docstore.backend import Scope
from docstore.errors import QueryTimeout
from docstore.http.page.question import Question, term_for
from docstore.models import FieldInfo
from docstore.store import Store

__all__ = ["Aside", "FacetShown", "KnownFields", "is_small", "patience"]

T = TypeVar("T")

_RECORD_FIELDS = ("status", "file_type", "owner")
_MOST_METADATA = 6
_MOST_VALUES = 24
_SAMPLE = 500
"""Newest documents that the fields of the metadata are looked up in: a list must not read the whole store."""
_KEPT_SECONDS = 30.0
_MOST_SCOPES = 1000
_BUDGET_SECONDS = 0.3
"""What all counts of one page may take together; what is not counted by then says so."""
_SMALL = 20_000
"""Documents up to which nothing takes long: numbers are facets, which no index counts, and only a machine
that is busy makes anybody wait.
"""
_PATIENCE_WITH_SMALL = 10


@dataclass(frozen=True, slots=True)
class FacetShown:
    """A field and its most frequent values.

    Attributes:
        name: of the field, as people write it.
        values: text, count, address that adds the value to the filter or takes it away, whether it is there.
        is_cut: whether there was no time to count them.
    """

    name: str
    values: list[tuple[str, int, str, bool]]
    is_cut: bool = False


def is_small(store: Store) -> bool:
    """Return whether there are so few documents that each may be read."""
    return store.documents.count(latest_only=False, at_most=_SMALL + 1) <= _SMALL


def patience(store: Store, seconds: float) -> float:
    """Return the seconds that a page may spend where it is to spend some on a large store."""
    return seconds * (_PATIENCE_WITH_SMALL if is_small(store) else 1)


class Aside:
    """Counts of one list, worked out when the template comes to them."""

    def __init__(self, store: Store, question: Question, fields: list[FieldInfo]) -> None:
        self._store = store
        self._fields = fields
        self._question = question
        self._ends = 0.0

    def _in_time(self, call: Callable[..., T], *args: Any, **options: Any) -> T | None:
        """Return what a count finds, ``None`` if there is no time for it any more."""
        self._ends = self._ends or time.monotonic() + patience(self._store, _BUDGET_SECONDS)
        left = self._ends - time.monotonic()
        if left <= 0:
            return None
        with suppress(QueryTimeout):
            return call(*args, **self._question.asked, **options, timeout=left)
        return None

    def total(self) -> int | None:
        """Return how many documents match, ``None`` if counting them takes too long."""
        return self._in_time(self._store.documents.count)

    def facets(self) -> Iterator[FacetShown]:
        """Yield the facets, status first."""
        numbers = is_small(self._store)
        chosen = [field.path for field in self._fields if _is_facet(field, numbers=numbers)]
        for path in (*_RECORD_FIELDS, *chosen[:_MOST_METADATA]):
            found = self._in_time(self._store.documents.count_by, path, limit=_MOST_VALUES)
            if found is None:
                yield FacetShown(_name(path), [], is_cut=True)
                continue
            pairs = [pair for pair in found.items() if pair[0] is not None]
            values = [self._value(path, value, count) for value, count in pairs]
            if len(pairs) > 1 or any(is_on for *_, is_on in values):
                yield FacetShown(_name(path), values)

    def _value(self, path: str, value: Any, count: int) -> tuple[str, int, str, bool]:
        plain = value if value is None or isinstance(value, bool | int | float) else str(value)
        term = term_for(path, plain)
        address = self._question.address(filter=self._question.narrowed(term))
        text = str(plain).lower() if isinstance(plain, bool) else str(plain)
        return text, count, address, self._question.has(term)


def _name(path: str) -> str:
    return {"file_type": "type"}.get(path, path.removeprefix("metadata."))


def _is_facet(field: FieldInfo, *, numbers: bool) -> bool:
    """Return whether a field's values say something of several documents each, and can be counted."""
    if field.distinct is None or "object" in field.types:
        return False
    if not numbers and not {"int", "long", "double"}.isdisjoint(field.types):
        return False
    return 1 < field.distinct <= max(12, field.documents // 5)


class KnownFields:
    """The fields that the metadata of the newest documents have, remembered for half a minute by scope."""

    def __init__(self) -> None:
        self._known: dict[Scope, tuple[float, list[FieldInfo]]] = {}
        self._lock = Lock()

    def of(self, store: Store) -> list[FieldInfo]:
        """Return the fields of a view, those of most documents first."""
        with self._lock:
            until, fields = self._known.get(store._scope, (0.0, []))
        if time.monotonic() < until:
            return fields
        seconds = patience(store, _BUDGET_SECONDS)
        try:
            newest = store.documents.find(sort="-number", limit=_SAMPLE, timeout=seconds).items
            since = {"number": {"$gte": newest[-1].number}} if newest else {}
            fields = store.documents.fields(since, limit=60, timeout=seconds)
        except QueryTimeout:
            fields = []
        with self._lock:
            if len(self._known) >= _MOST_SCOPES:
                self._known.clear()
            self._known[store._scope] = time.monotonic() + _KEPT_SECONDS, fields
        return fields
