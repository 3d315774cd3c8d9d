"""A backend of the least effort: rows in dictionaries, one lock, no query language of its own.

It knows equality of record fields and sorts by whole numbers; the rest is left to the core. Read it as
a starting point: make it right first, then teach ``support`` one kind of predicate after the other.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Collection as Container
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from docstore.backend import (
    EXACT,
    BlobRow,
    BlobState,
    Duplicate,
    Query,
    Row,
    Scope,
    SortKey,
    Support,
    TermSupport,
)  # fmt: skip
from docstore.query.expr import Always, And, Compare, Expr, In, Leaf, Not, Or
from docstore.query.fields import Collection, Kind
from docstore.testing.harness import Harness

__all__ = ["ShelfBackend", "ShelfHarness", "open_backend"]

_EVERYWHERE = Scope()
_KINDS = (Kind.TEXT, Kind.CHOICE, Kind.INTEGER, Kind.BOOLEAN, Kind.INSTANT)


@dataclass
class _Shelves:
    """Everything stored; copied at the beginning of a block and kept or thrown away at its end."""

    rows: dict[str, dict[int, Row]] = field(default_factory=lambda: {"documents": {}, "extractions": {}})
    blobs: dict[str, BlobRow] = field(default_factory=dict)

    def copied(self) -> _Shelves:
        rows = {name: dict(kept) for name, kept in self.rows.items()}
        return _Shelves(rows, dict(self.blobs))


class ShelfBackend:
    """A store in dictionaries. Writers take turns; readers see the last state that was kept."""

    name = "shelf"

    def __init__(self) -> None:
        self._shelves = _Shelves()
        self._turn = threading.Lock()
        self._numbers = {"documents": 0, "extractions": 0}

    def support(self, collection: Collection, leaf: Leaf) -> TermSupport:
        """Run equality and membership of plain fields; leave the rest."""
        match leaf:
            case Always():
                return EXACT
            case Compare((name,), "eq") | In((name,)) if collection.column(name).kind in _KINDS:
                return EXACT
        return TermSupport(Support.UNSUPPORTED, "shelves only know equality of plain fields")

    def sorts(self, collection: Collection, key: SortKey) -> TermSupport:
        """Sort by what is always a whole number."""
        column = collection.column(key.path[0])
        if column.kind in (Kind.INTEGER, Kind.INSTANT) and not column.nullable:
            return EXACT
        return TermSupport(Support.UNSUPPORTED, "shelves only sort by numbers")

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[_Block]:
        """Read what was kept last; a state that was kept never changes."""
        yield _Block(self._shelves, self._numbers)

    @contextmanager
    def write(self) -> Iterator[_Block]:
        """Change a copy, and keep it if nothing went wrong."""
        with self._turn:
            copied = self._shelves.copied()
            yield _Block(copied, self._numbers)
            self._shelves = copied

    def close(self) -> None:
        """Throw everything away."""
        self._shelves = _Shelves()


class _Block:
    def __init__(self, shelves: _Shelves, numbers: dict[str, int]) -> None:
        self._shelves = shelves
        self._numbers = numbers

    def select(self, query: Query) -> Sequence[Row]:
        found = [row for row in self._all(query) if query.after is None or _is_behind(row, query)]
        for key in reversed(query.order):
            found.sort(key=lambda row: row[key.path[0]], reverse=key.descending)
        end = None if query.limit is None else query.offset + query.limit
        names = {*query.collection.light(), *query.include}
        return [{name: row[name] for name in names} for row in found[query.offset : end]]

    def count(self, query: Query, at_most: int | None = None) -> int:
        return len(self._all(query))

    def blobs(
        self, *, states: Container[BlobState] = (), before: int | None = None, after_key: str = "",
        limit: int = 1000, keys: Sequence[str] | None = None, scope: Scope = _EVERYWHERE,
    ) -> Sequence[BlobRow]:  # fmt: skip
        rows = [blob for key, blob in sorted(self._shelves.blobs.items()) if key > after_key]
        rows = [blob for blob in rows if not states or blob.state in states]
        rows = [blob for blob in rows if before is None or blob.at < before]
        rows = [blob for blob in rows if keys is None or blob.key in keys]
        return [blob for blob in rows if _inside(scope, blob.tenant, blob.owner)][:limit]

    def now(self) -> int:
        return time.time_ns() // 1000

    def lock(self, *names: str) -> None:
        pass

    def insert(self, collection: Collection, rows: Sequence[Row]) -> Sequence[int]:
        shelf = self._shelves.rows[collection.name]
        before, numbers = dict(shelf), []
        for row in rows:
            self._numbers[collection.name] += 1
            numbers.append(self._numbers[collection.name])
            shelf[numbers[-1]] = {**copy.copy(row), "number": numbers[-1]}
            if constraint := _taken(shelf, numbers[-1]):
                self._shelves.rows[collection.name] = before
                raise Duplicate(f"{constraint} is taken", constraint=constraint)
        return numbers

    def update(self, collection: Collection, row: Row, changes: Mapping[str, Any]) -> bool:
        shelf, number = self._shelves.rows[collection.name], row["number"]
        before = shelf.get(number)
        if before is None:
            return False
        shelf[number] = {**before, **changes}
        if constraint := _taken(shelf, number):
            shelf[number] = before
            raise Duplicate(f"{constraint} is taken", constraint=constraint)
        return True

    def delete(self, collection: Collection, rows: Sequence[Row]) -> int:
        shelf = self._shelves.rows[collection.name]
        gone = [row for one in rows if (row := shelf.pop(one["number"], None))]
        if collection.name == "documents":
            owners = {(row["tenant"], row["id"]) for row in gone}
            extractions = self._shelves.rows["extractions"]
            for number, row in list(extractions.items()):
                if (row["tenant"], row["document_id"]) in owners:
                    del extractions[number]
        return len(gone)

    def insert_blob(self, blob: BlobRow) -> None:
        self._shelves.blobs[blob.key] = blob

    def update_blob(self, blob: BlobRow, states: Container[BlobState], **changes: Any) -> bool:
        found = self._shelves.blobs.get(blob.key)
        if found is None or found.state not in states:
            return False
        self._shelves.blobs[blob.key] = replace(found, **changes)
        return True

    def delete_blob(self, blob: BlobRow, states: Container[BlobState]) -> bool:
        found = self._shelves.blobs.get(blob.key)
        if found is None or found.state not in states:
            return False
        del self._shelves.blobs[blob.key]
        return True

    def _all(self, query: Query) -> list[Row]:
        rows = list(self._shelves.rows[query.collection.name].values())
        scope = query.scope
        inside = [row for row in rows if _inside(scope, row["tenant"], row["owner"])]
        return [row for row in inside if _holds(query.where, row)]


def _inside(scope: Scope, tenant: str | None, owner: str | None) -> bool:
    return scope.tenant in (None, tenant) and scope.owner in (None, owner)


def _holds(expr: Expr, row: Row) -> bool:
    """Say whether what ``support`` called exact holds of a row."""
    match expr:
        case Always(value):
            return value
        case And(terms):
            return all(_holds(term, row) for term in terms)
        case Or(terms):
            return any(_holds(term, row) for term in terms)
        case Not(term):
            return not _holds(term, row)
        case Compare((name,), "eq", value):
            return bool(row[name] == value)
        case In((name,), values):
            return row[name] in values
    raise TypeError(f"not pushed to shelves: {expr}")


def _is_behind(row: Row, query: Query) -> bool:
    """Compare a row with the position key by key."""
    assert query.after is not None
    for key, value in zip(query.order, query.after, strict=True):
        own = row[key.path[0]]
        if own != value:
            return bool((own < value) if key.descending else (own > value))
    return False


def _taken(shelf: dict[int, Row], number: int) -> str:
    """Return the unique key of this row that another has, too, or nothing."""
    row = shelf[number]
    others = [other for other in shelf.values() if other is not row and other["tenant"] == row["tenant"]]
    if any(other["id"] == row["id"] for other in others):
        return "id"
    if row.get("external_id") is None:
        return ""
    chain = [other for other in others if all(other[name] == row[name] for name in ("owner", "external_id"))]
    versions = {other["version"] for other in chain}
    two_latest = row["is_latest"] and any(other["is_latest"] for other in chain)
    return "version" if two_latest or row["version"] in versions else ""


def open_backend(url: str, **options: Any) -> ShelfBackend:
    """Open an empty shelf: what the entry point names."""
    return ShelfBackend()


class ShelfHarness(Harness):
    """Empty shelves for the conformance suite."""

    def open(self) -> ShelfBackend:
        """Return empty shelves."""
        return ShelfBackend()
