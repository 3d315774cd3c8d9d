"""Declared indexes: ``create_index``, ``drop_index`` and ``advise``, the same for every backend.

Every path is indexed anyway (:mod:`docstore.index`). A declared index keeps the documents in one order, for
sorting and ranges on large stores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from docstore.backend import SortKey
from docstore.errors import BackendError, InvalidSort
from docstore.limits import Limits
from docstore.query.fields import DOCUMENTS, Collection
from docstore.query.paths import path_text
from docstore.query.sorting import parse_sort

__all__ = [
    "Advice",
    "DeclaresIndexes",
    "advise",
    "create_index",
    "declared",
    "drop_index",
    "fields_of",
    "index_keys",
]

_REASON = "sorted or chosen by these, and no index has the order"


@dataclass(frozen=True, slots=True)
class Advice:
    """An index that would have helped, by the queries seen since the store was opened.

    Attributes:
        fields: what to give to ``create_index``.
        queries: how many queries it would have helped.
        seconds: how long those took altogether; nearly all of it would be saved.
        reason: what they have in common.
    """

    fields: tuple[str, ...]
    queries: int
    seconds: float
    reason: str


@runtime_checkable
class DeclaresIndexes(Protocol):
    """A backend that keeps declared indexes (optional)."""

    def create_index(self, collection: Collection, keys: Sequence[SortKey]) -> bool:
        """Make an index of records in the order of ``keys``, then ``number``; return whether it is new."""

    def drop_index(self, collection: Collection, keys: Sequence[SortKey]) -> bool:
        """Remove it; return whether it was there."""

    def indexes(self, collection: Collection) -> list[tuple[SortKey, ...]]:
        """Return the keys of each declared index, in the order of their making."""

    def seen_orders(self, collection: Collection) -> dict[tuple[SortKey, ...], tuple[int, float]]:
        """Return, of the orders that no index had, how often each was asked for and the seconds that took."""


def index_keys(fields: Sequence[Any], limits: Limits) -> tuple[SortKey, ...]:
    """Return the keys that ``create_index(*fields)`` names.

    Raises:
        InvalidSort: none is given, or one cannot be sorted by.
    """
    if not fields:
        raise InvalidSort("create_index() needs a field path, such as 'metadata.priority'")
    order = parse_sort(list(fields), DOCUMENTS, limits)
    return order if order[-1].path != ("number",) or fields[-1] in ("number", "-number") else order[:-1]


def fields_of(keys: Sequence[SortKey]) -> tuple[str, ...]:
    """Return keys as users write them."""
    return tuple(("-" if key.descending else "") + path_text(key.path) for key in keys)


def create_index(backend: Any, fields: Sequence[Any], limits: Limits) -> bool:
    """Make a declared index; see :meth:`docstore.Store.create_index`."""
    return _declaring(backend).create_index(DOCUMENTS, index_keys(fields, limits))


def drop_index(backend: Any, fields: Sequence[Any], limits: Limits) -> bool:
    """Remove a declared index; see :meth:`docstore.Store.drop_index`."""
    return _declaring(backend).drop_index(DOCUMENTS, index_keys(fields, limits))


def declared(backend: Any) -> list[tuple[str, ...]]:
    """Return the fields of each declared index."""
    return (
        [fields_of(keys) for keys in backend.indexes(DOCUMENTS)]
        if isinstance(backend, DeclaresIndexes)
        else []
    )


def advise(backend: Any) -> list[Advice]:
    """Return the indexes that would have helped, the one that would have saved most time first."""
    if not isinstance(backend, DeclaresIndexes):
        return []
    advice = [
        Advice(fields_of(keys[:-1] or keys), queries, seconds, _REASON)
        for keys, (queries, seconds) in backend.seen_orders(DOCUMENTS).items()
    ]
    return sorted(advice, key=lambda one: -one.seconds)


def _declaring(backend: Any) -> DeclaresIndexes:
    if not isinstance(backend, DeclaresIndexes):
        raise BackendError(f"the {backend.name} backend keeps no declared indexes")
    return backend
