"""operator_schema: the filter language as a JSON Schema, for OpenAPI."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from docstore.query.bounds import LOGIC
from docstore.query.fields import Collection, Field, Kind

__all__ = ["OPERATORS", "filter_schema"]

_ANY: dict[str, Any] = {}
_TEXT = {"type": "string"}
_LIST = {"type": "array"}

OPERATORS: dict[str, dict[str, Any]] = {
    "$eq": {**_ANY, "description": "equals; null also matches a missing field"},
    "$ne": {**_ANY, "description": "the complement of $eq"},
    "$gt": {**_ANY, "description": "greater, of the same type"},
    "$gte": {**_ANY, "description": "greater or equal, of the same type"},
    "$lt": {**_ANY, "description": "less, of the same type"},
    "$lte": {**_ANY, "description": "less or equal, of the same type"},
    "$in": {**_LIST, "description": "equals one of these"},
    "$nin": {**_LIST, "description": "the complement of $in"},
    "$exists": {"type": "boolean", "description": "whether the field is there"},
    "$type": {
        "anyOf": [_TEXT, {"type": "integer"}, {**_LIST, "minItems": 1}],
        "description": "the value's type, by alias or code",
    },
    "$size": {"type": "integer", "minimum": 0, "description": "the array's length"},
    "$mod": {**_LIST, "minItems": 2, "maxItems": 2, "description": "[divisor, remainder]"},
    "$all": {**_LIST, "description": "the array has all of these"},
    "$elemMatch": {"type": "object", "description": "one element of the array satisfies all"},
    "$not": {"type": "object", "description": "the complement of these operators"},
    "$regex": {**_TEXT, "description": "RE2 pattern"},
    "$options": {**_TEXT, "pattern": "^[imsxu]*$", "description": "flags of $regex"},
    "$substring": {**_TEXT, "description": "contains, case-sensitive"},
    "$isubstring": {**_TEXT, "description": "contains, folded"},
    "$startsWith": {**_TEXT, "description": "begins with"},
    "$glob": {**_TEXT, "description": "the whole value, with * ? [...]"},
    "$iglob": {**_TEXT, "description": "the whole value, with * ? [...], folded"},
    "$contains": {**_ANY, "description": "the array has this value, or all of these"},
    "$containsAny": {**_ANY, "description": "the array has one of these"},
}
"""The operators below a field and what each takes."""

_KINDS: dict[Kind, dict[str, Any]] = {
    Kind.TEXT: {"type": ["string", "null"]},
    Kind.INTEGER: {"type": ["integer", "null"]},
    Kind.BOOLEAN: {"type": ["boolean", "null"]},
    Kind.INSTANT: {"type": ["string", "null"], "format": "date-time"},
}


def filter_schema(collection: Collection, model: type[BaseModel] | None) -> dict[str, Any]:
    """Return the JSON Schema of a filter. It is stated in full at one place: paths into JSON.

    Args:
        collection: whose fields it names.
        model: of the metadata, whose fields it names instead; ``None``: the collection's.
    """
    schema: dict[str, Any] = {
        "title": "Filter" if model is None else f"Filter[{model.__name__}]",
        "type": "object",
        "description": "A filter in MongoDB's language: field paths with values or operators, and logic.",
        "properties": {**{word: _logic(word) for word in LOGIC}, "$comment": {}},
    }
    properties = schema["properties"]
    if model is not None:
        properties.update((name, _named({})) for name in model.model_fields)
        return {**schema, "additionalProperties": _operand()}
    plain = {name: field for name, field in collection.fields.items() if field.kind is not Kind.JSON}
    properties.update((name, _named(_value_schema(field))) for name, field in plain.items())
    into = "|".join(name for name in collection.fields if name not in plain)
    paths = {f"^({into})(\\..*)?$": _operand()}
    return {**schema, "patternProperties": paths, "additionalProperties": False}


def _value_schema(field: Field) -> dict[str, Any]:
    return {"enum": [*field.choices, None]} if field.kind is Kind.CHOICE else _KINDS[field.kind]


def _logic(word: str) -> dict[str, Any]:
    meaning = {"$and": "all of these filters", "$or": "one of these filters", "$nor": "none of these filters"}
    return {"type": "array", "minItems": 1, "items": {"type": "object"}, "description": meaning[word]}


def _named(value: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of what stands at a named field: a value, or operators by their names."""
    return {"anyOf": [value, {"type": "object", "minProperties": 1, "propertyNames": {"enum": [*OPERATORS]}}]}


def _operand() -> dict[str, Any]:
    """Return the schema of what stands at a path: a value, or operators with what each takes."""
    operators = {"type": "object", "minProperties": 1, "properties": OPERATORS, "additionalProperties": False}
    return {"anyOf": [{}, operators]}
