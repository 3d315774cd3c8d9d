"""JSON Lines: one store in one stream of text, a record a line.

::

    {"docstore": 1, "bytes": "inline"}                        the first line: the format, and where bytes are
    {"document": {"id": …, "stored": true, …}}                all fields but number, in the order of numbers
    {"bytes": "…"}                                            base64, at most a mebibyte, of the document
    above {"extraction": {"id": …, "document_id": …, …}}            after all documents
    {"end": {"documents": 1, "extractions": 1, …}}            the last line, with the fingerprint

``bytes`` is ``inline``, ``beside`` (files named by their sha256 in a folder beside) or ``none``. Instants
are RFC 3339 text. Private columns that are kept (see :mod:`docstore.transfer.rows`) stand below ``private``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from docstore.backend import Row
from docstore.errors import InvalidDocument, shown
from docstore.query.fields import DOCUMENTS, Collection, Field, Kind
from docstore.query.instants import format_instant
from docstore.transfer.rows import COMPARED, PRIVATE
from docstore.validation import Checks, check_order, scope_text

__all__ = [
    "FORMAT",
    "BytesPlace",
    "decode_line",
    "encode_line",
    "record_of",
    "row_of",
]

FORMAT = 1
BytesPlace = Literal["inline", "beside", "none"]
_COUNTERS = ("version", "revision", "attempts")
_MOST_COUNTED = 2**53
"""Far from where int64 ends, so that one more always is a number, too."""
_KEYS = ("id", "external_id", "content_type", "document_id")


def encode_line(value: Mapping[str, Any]) -> bytes:
    """Return one line of a stream."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def decode_line(line: bytes, at: int) -> dict[str, Any]:
    """Return what a line holds: an object of one or a few names.

    Raises:
        InvalidDocument: it is no JSON object.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as wrong:
        raise InvalidDocument(f"line {at}: no JSON: {wrong}", index=at) from None
    if not isinstance(value, dict):
        raise InvalidDocument(f"line {at}: {type(value).__name__}; expected an object", index=at)
    return value


def record_of(collection: Collection, row: Row) -> dict[str, Any]:
    """Return a row as a line holds it."""
    record = {name: _shown(collection.column(name), row[name]) for name in COMPARED[collection.name]}
    private = {name: row.get(name) for name in PRIVATE[collection.name] if row.get(name) is not None}
    if private:
        record["private"] = {name: _shown(collection.column(name), value) for name, value in private.items()}
    if collection is DOCUMENTS:
        record["stored"] = row["blob_key"] is not None
    return record


def _shown(field: Field, value: Any) -> Any:
    if value is None:
        return None
    if field.kind is Kind.JSON:
        return json.loads(value)
    return format_instant(value) if field.kind is Kind.INSTANT else value


def row_of(collection: Collection, record: Any, checks: Checks, at: int) -> Row:
    """Return the row that a line holds, every value checked as if a caller had given it.

    Raises:
        InvalidDocument: a field is missing, unknown or cannot be stored; it names the line.
        ScopeError: a tenant or owner is none.
    """
    if not isinstance(record, dict):
        raise InvalidDocument(f"line {at}: {type(record).__name__}; expected a record", index=at)
    private = record.get("private", {})
    if not isinstance(private, dict):
        raise InvalidDocument(f"line {at}: private: expected an object", index=at, field="private")
    given = {**private, **{name: value for name, value in record.items() if name != "private"}}
    given.pop("stored", None)
    names = (*COMPARED[collection.name], *PRIVATE[collection.name])
    if unknown := given.keys() - set(names):
        raise InvalidDocument(f"line {at}: unknown field {shown(min(unknown))}", index=at, field=min(unknown))
    try:
        row = {name: _checked(collection.column(name), given.get(name), checks) for name in names}
        check_order(row["created_at"], row["updated_at"])
        return row
    except InvalidDocument as wrong:
        raise InvalidDocument(f"line {at}: {wrong.message}", index=at, field=wrong.field) from None


def _checked(field: Field, value: Any, checks: Checks) -> Any:
    name = field.name
    if value is None:
        if field.nullable:
            return None
        raise InvalidDocument(f"{name} is missing", field=name)
    if name in ("tenant", "owner"):
        return scope_text(name, value)
    if field.kind is Kind.TEXT:
        return _text(name, value, checks)
    if field.kind is Kind.JSON:
        return checks.json(name, value)
    if name in _COUNTERS:
        return _counter(name, value)
    by_kind = {Kind.BOOLEAN: checks.flag, Kind.INSTANT: checks.instant, Kind.INTEGER: checks.whole}
    if field.kind is Kind.CHOICE:
        return checks.choice(name, value, field.choices)
    return by_kind[field.kind](name, value)


def _counter(name: str, value: Any) -> int:
    """Return a number that goes on being counted up."""
    least = 0 if name == "attempts" else 1
    if type(value) is not int or not least <= value <= _MOST_COUNTED:
        raise InvalidDocument(
            f"{name}: {value!r}; expected a whole number from {least} to {_MOST_COUNTED:,}", field=name
        )
    return value


def _text(name: str, value: Any, checks: Checks) -> str:
    if name in _KEYS:
        return checks.key(name, value)
    if name in ("filename", "content", "sha256"):
        check = {"filename": checks.filename, "content": checks.content, "sha256": checks.sha256}[name]
        return check(value)
    return checks.text(name, value)
