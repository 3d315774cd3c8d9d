"""decode: from a backend's row to the mapping that the evaluator and the sort order read, and what is wrong
with a row that cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic_core import from_json

from docstore.errors import shown
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, Field, Kind
from docstore.query.instants import MAX_INSTANT, MIN_INSTANT

__all__ = ["JSON_FIELDS", "decode", "fault_of", "read_json", "type_fault", "value_fault"]

JSON_FIELDS = {
    collection.name: tuple(name for name, field in collection.fields.items() if field.kind is Kind.JSON)
    for collection in (DOCUMENTS, EXTRACTIONS)
}
_TYPES: Final[Mapping[Kind, type]] = {
    Kind.TEXT: str,
    Kind.CHOICE: str,
    Kind.INTEGER: int,
    Kind.BOOLEAN: bool,
    Kind.INSTANT: int,
    Kind.JSON: str,
}


def decode(
    collection: Collection, row: Mapping[str, Any], names: Iterable[str] | None = None
) -> dict[str, Any]:
    """Return ``row`` with its JSON fields decoded, or those of ``names``; all else is as rows hold it.

    JSON that somebody broke by hand counts as none: whoever shows the record finds out.
    """
    record = dict(row)
    for name in JSON_FIELDS[collection.name] if names is None else names:
        text = record.get(name)
        if text is not None:
            record[name] = read_json(text)
    return record


def read_json(text: Any) -> dict[str, Any] | None:
    """Return the object that a JSON field holds; ``None`` if it cannot be read."""
    try:
        value = from_json(text)
    except (ValueError, TypeError):
        return None
    return value if type(value) is dict else None


def fault_of(collection: Collection, row: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a row, in words; ``None``: it can be read."""
    for name, value in row.items():
        fault = value_fault(collection.column(name), value)
        if fault is not None:
            return f"{name}: {fault}"
    return None


def value_fault(field: Field, value: Any) -> str | None:
    """Return what is wrong with the stored value of a field, in words; ``None``: nothing."""
    if value is None:
        return None if field.nullable else "there is none"
    fault, kind = type_fault(field, value), field.kind
    if fault is not None:
        return fault
    if kind is Kind.CHOICE and value not in field.choices:
        return f"{shown(value)}, expected one of {', '.join(field.choices)}"
    if kind is Kind.INSTANT and not MIN_INSTANT <= value <= MAX_INSTANT:
        return f"{value} microseconds since 1970 are within no year from 1 to 9999"
    return _json_fault(value) if kind is Kind.JSON else None


def type_fault(field: Field, value: Any) -> str | None:
    """Return that a value is of another type than its field's, in words; ``None``: it is of that."""
    expected = _TYPES[field.kind]
    return None if type(value) is expected else f"{type(value).__name__}, expected {expected.__name__}"


def _json_fault(text: str) -> str | None:
    try:
        value = from_json(text)
    except ValueError as wrong:
        return f"no JSON: {wrong}"
    return None if type(value) is dict else f"{type(value).__name__}, expected an object"
