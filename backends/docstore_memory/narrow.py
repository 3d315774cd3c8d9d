"""From a pushed filter to the records that can match it: the place where indexes come in.

What is returned is a superset of what matches; the evaluator decides on each. Whatever index is added later
answers here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from docstore.query.expr import And, Compare, Expr, In
from docstore.query.fields import Collection
from docstore_memory.records import Record
from docstore_memory.views import View

__all__ = ["Access", "access", "candidates"]

_KEYS = ("number", "id", "document_id", "external_id")


@dataclass(frozen=True, slots=True)
class Access:
    """How candidates are found: the keys of one index, or every record (``index`` is ``None``)."""

    index: str | None = None
    keys: tuple[Any, ...] = ()

    def __str__(self) -> str:
        if self.index is None:
            return "scan every record"
        if len(self.keys) == 1:
            return f"look up {self.index} = {self.keys[0]!r}"
        return f"look up {len(self.keys)} values of {self.index}"


def access(collection: Collection, where: Expr) -> Access:
    """Return the access with the fewest keys that ``where`` allows."""
    options = [option for term in _conjuncts(where) if (option := _keys_of(collection, term)) is not None]
    return min(options, key=lambda option: len(option.keys), default=Access())


def candidates(view: View, collection: Collection, where: Expr) -> list[Record]:
    """Return each record that can match ``where`` once."""
    chosen = access(collection, where)
    if chosen.index is None:
        return view.all(collection)
    found = (record for key in chosen.keys for record in view.find(collection, chosen.index, key))
    return list({record.number: record for record in found}.values())


def _conjuncts(where: Expr) -> Iterator[Expr]:
    """Yield the terms that all must hold."""
    if isinstance(where, And):
        for term in where.terms:
            yield from _conjuncts(term)
    else:
        yield where


def _keys_of(collection: Collection, term: Expr) -> Access | None:
    """Return the index keys that a term asks for, if it does; ``None`` values are in no index."""
    match term:
        case Compare((name,), "eq", value):
            keys: tuple[Any, ...] = (value,)
        case In((name,), values):
            keys = values
        case _:
            return None
    if name not in _KEYS or name not in collection.fields:
        return None
    return Access(name, keys) if all(isinstance(key, str | int | float) for key in keys) else None
