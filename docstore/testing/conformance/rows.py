"""Rows for the tests of the seam, the answers that are expected about them, and a backend to ask.

The expected answers come from the core's evaluator and order, run over plain records in a list. A backend is
asked as the core asks it: only for what it judged that it can run, the rest is evaluated here. So the tests
hold for a backend of any capabilities, and still reach what it claims to run itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

from docstore.backend import Backend, Query, Reader, Row, Scope, Writer
from docstore.limits import DEFAULT_LIMITS
from docstore.query import executor
from docstore.query.evaluator import matches
from docstore.query.expr import And, Compare, Expr, Leaf, asked_fields
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, Kind, decode
from docstore.query.parser import parse
from docstore.query.planner import Plan, make_plan, normalize
from docstore.query.search import parse_search
from docstore.query.sorting import parse_sort, sort_key_function
from docstore.testing.strategies.asks import Ask
from docstore.testing.strategies.worlds import World

__all__ = [
    "PLAIN",
    "Judged",
    "Oracle",
    "columns",
    "document",
    "extraction",
    "fill",
    "ids",
    "keyed",
    "one",
    "read_also",
    "stored",
]


class Judged:
    """A backend whose readers and writers answer every query, with its own judgements for the rest.

    Args:
        backend: what is asked.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Reader]:
        """Open a block for reading."""
        with self.backend.read(snapshot=snapshot) as reader:
            yield cast(Reader, _Planned(self.backend, reader))

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """Open a block for writing."""
        with self.backend.write() as writer:
            yield cast(Writer, _Planned(self.backend, writer))


class _Planned:
    """A reader or writer that plans selects and counts, and is the backend's own in everything else."""

    def __init__(self, backend: Backend, inner: Reader) -> None:
        self._backend = backend
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def select(self, query: Query) -> Sequence[Row]:
        return executor.rows(self._inner, *self._planned(query))

    def count(self, query: Query, at_most: int | None = None) -> int:
        return executor.count(self._inner, *self._planned(query), at_most)

    def _planned(self, query: Query) -> tuple[Plan, Query]:
        """Return the plan and what to fetch for it: what it pushes, and heavy fields for its residual."""
        plan = make_plan(self._backend, query.collection, normalize(query.where), query.order)
        include = query.include | read_also(query.collection, plan.residual)
        return plan, replace(query, where=plan.pushed, include=include)


def read_also(collection: Collection, residual: Expr) -> frozenset[str]:
    """Return the heavy fields that have to be read to evaluate a residual."""
    return frozenset(name for name in asked_fields(residual) if collection.column(name).heavy)


# What a column holds where a test does not care and it may not be `None`.
PLAIN: dict[Kind, Any] = {
    Kind.TEXT: "",
    Kind.INTEGER: 1,
    Kind.BOOLEAN: False,
    Kind.INSTANT: 1_767_225_600_000_000,
    Kind.JSON: "{}",
}


def columns(collection: Collection) -> tuple[str, ...]:
    """Return the names of every column, private ones included."""
    return (*collection.fields, *collection.private)


def document(id: str, **changes: Any) -> Row:
    """Return a document's row with these columns, the only version of its own chain."""
    return {**_plain(DOCUMENTS), "id": id, "filename": f"{id}.txt", "is_latest": True, **changes}


def extraction(id: str, document_id: str, **changes: Any) -> Row:
    """Return an extraction's row with these columns."""
    return {**_plain(EXTRACTIONS), "id": id, "document_id": document_id, **changes}


def _plain(collection: Collection) -> Row:
    fields = [collection.column(name) for name in columns(collection) if name != "number"]
    return {
        field.name: None if field.nullable else field.choices[0] if field.choices else PLAIN[field.kind]
        for field in fields
    }


def keyed(number: int, tenant: str | None = None) -> Row:
    """Return what a writer knows a row by."""
    return {"number": number, "tenant": tenant}


def one(name: str, value: Any) -> Compare:
    """Return the filter for one field's equality."""
    return Compare((name,), "eq", value)


def ids(reader: Reader, collection: Collection = DOCUMENTS, **query: Any) -> list[str]:
    """Return the ids that a query brings, in its order."""
    return [row["id"] for row in reader.select(Query(collection, **query))]


def stored(reader: Reader, collection: Collection = DOCUMENTS, **query: Any) -> list[Row]:
    """Return the rows that a query brings with every column, as plain dictionaries."""
    everything = Query(collection, include=frozenset(columns(collection)), **query)
    return [dict(row) for row in reader.select(everything)]


_EVERYWHERE = Scope()


def fill(backend: Backend, world: World) -> Oracle:
    """Make the world's records all that the store holds, and return what knows the answers about them."""
    with backend.write() as writer:
        for collection in (EXTRACTIONS, DOCUMENTS):
            left = writer.select(Query(collection))
            writer.delete(collection, left)
        writer.insert(DOCUMENTS, world.documents)
        numbers = writer.insert(world.collection, world.rows)
    return Oracle(world.collection, world.rows, numbers)


class Oracle:
    """Answers by looking at every record.

    Args:
        collection: the records' kind.
        rows: what was inserted.
        numbers: what was returned for them.
    """

    def __init__(self, collection: Collection, rows: Sequence[Row], numbers: Sequence[int]) -> None:
        self.collection = collection
        numbered = ({**row, "number": number} for row, number in zip(rows, numbers, strict=True))
        self.records: list[dict[str, Any]] = [decode(collection, row) for row in numbered]

    def parsed(self, filter: dict[str, Any]) -> Expr:
        """Return a filter in users' words as the core reads it."""
        return parse(filter, self.collection)

    def asked(self, ask: Ask) -> Expr:
        """Return all that a question asks of a record: filter, search and ``latest_only``."""
        terms = [self.parsed(ask.filter), parse_search(ask.search, self.collection, DEFAULT_LIMITS)]
        if ask.latest_only and self.collection is DOCUMENTS:
            terms.append(Compare(("is_latest",), "eq", True))
        return And(tuple(terms))

    def matching(self, expr: Expr | Leaf, scope: Scope = _EVERYWHERE) -> list[dict[str, Any]]:
        """Return the records that match, in the order of their numbers."""
        return [record for record in self.records if _within(record, scope) and matches(expr, record)]

    def ids(self, expr: Expr | Leaf, scope: Scope = _EVERYWHERE) -> list[str]:
        """Return the ids of the records that match, in the order of their numbers."""
        return [record["id"] for record in self.matching(expr, scope)]

    def ordered(self, expr: Expr, sort: Sequence[str], scope: Scope = _EVERYWHERE) -> list[str]:
        """Return the ids of the records that match, in the order asked for."""
        order = parse_sort(list(sort), self.collection, DEFAULT_LIMITS)
        return [record["id"] for record in sorted(self.matching(expr, scope), key=sort_key_function(order))]


def _within(record: dict[str, Any], scope: Scope) -> bool:
    return scope.tenant in (None, record["tenant"]) and scope.owner in (None, record["owner"])
