"""Rows for the tests of the seam: complete, legal, and alike but for what a test is about."""

from __future__ import annotations

from typing import Any

from docstore.backend import Query, Reader, Row
from docstore.query.expr import Compare
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, Kind

__all__ = ["PLAIN", "columns", "document", "extraction", "ids", "keyed", "one", "stored"]

PLAIN: dict[Kind, Any] = {
    Kind.TEXT: "",
    Kind.INTEGER: 1,
    Kind.BOOLEAN: False,
    Kind.INSTANT: 1_767_225_600_000_000,
    Kind.JSON: "{}",
}
"""What a column holds where a test does not care and it may not be ``None``."""


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
