"""decode: from a backend's row to the mapping that the evaluator and the sort order read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import from_json

from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, Kind

__all__ = ["JSON_FIELDS", "decode"]

JSON_FIELDS = {
    collection.name: tuple(name for name, field in collection.fields.items() if field.kind is Kind.JSON)
    for collection in (DOCUMENTS, EXTRACTIONS)
}


def decode(
    collection: Collection, row: Mapping[str, Any], names: Iterable[str] | None = None
) -> dict[str, Any]:
    """Return ``row`` with its JSON fields decoded, or those of ``names``; all else is as rows hold it."""
    record = dict(row)
    for name in JSON_FIELDS[collection.name] if names is None else names:
        text = record.get(name)
        if text is not None:
            record[name] = from_json(text)
    return record
