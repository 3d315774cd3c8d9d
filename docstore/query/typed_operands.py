"""Operands checked and converted by the type of a model's field: text for a datetime is the instant it
names.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import Enum
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin
from uuid import UUID

from docstore.errors import shown
from docstore.query.bounds import is_instant, is_operators, of_records
from docstore.query.complaints import Where, bad_value
from docstore.query.instants import metadata_instant
from docstore.query.values import by_value

__all__ = ["typed_operand"]

_COMPARISONS: Final = frozenset({"$eq", "$ne", "$gt", "$gte", "$lt", "$lte"})
_LISTS: Final = frozenset({"$in", "$nin", "$all", "$contains", "$containsAny"})
_EXPECTED: Final = {
    "text": "text",
    "number": "a number",
    "bool": "true or false",
    "instant": "a datetime, or text such as '2026-01-31T09:30:00Z' or '2026-01-31'",
}
_CONTAINERS: Final = (list, tuple, set, frozenset, Union, UnionType)


def typed_operand(operand: Any, annotation: Any, where: Where) -> Any:
    """Return what stands beside a field, checked and converted by its annotation.

    Raises:
        FilterValueError: an operand that the field cannot hold.
    """
    kinds = _kinds(annotation)
    return operand if kinds is None else _condition(operand, kinds, where)


def _condition(operand: Any, kinds: frozenset[str], where: Where) -> Any:
    if not is_operators(operand):
        return _value(operand, kinds, where)
    made: dict[Any, Any] = {}
    for given, value in operand.items():
        word, here = by_value(given), (*where, str(given))
        if word in _COMPARISONS:
            made[given] = _value(value, kinds, here)
        elif word in _LISTS and isinstance(value, (list, tuple)):
            made[given] = [_listed(one, kinds, (*here, str(at))) for at, one in enumerate(value)]
        elif word in ("$contains", "$containsAny"):
            made[given] = _value(value, kinds, here)
        elif word == "$not" or (
            word == "$elemMatch" and isinstance(value, Mapping) and not of_records(value)
        ):
            made[given] = _condition(value, kinds, here) if is_operators(value) else value
        else:
            made[given] = value
    return made


def _listed(value: Any, kinds: frozenset[str], where: Where) -> Any:
    return value if is_operators(value) else _value(value, kinds, where)


def _value(given: Any, kinds: frozenset[str], where: Where) -> Any:
    value = given if isinstance(given, date) else by_value(given)
    if (
        value is None
        or isinstance(value, (list, tuple))
        or (isinstance(value, Mapping) and not is_instant(value))
    ):
        return given
    if isinstance(value, date) or is_instant(value):
        fits = "instant" in kinds
    elif isinstance(value, bool):
        fits = "bool" in kinds
    elif isinstance(value, (int, float)):
        fits = "number" in kinds
    elif isinstance(value, str):
        if "text" not in kinds and "instant" in kinds and metadata_instant(value) is not None:
            return {"$date": value}
        fits = "text" in kinds
    else:
        return given
    if fits:
        return given
    raise bad_value(where, shown(given), " or ".join(_EXPECTED[kind] for kind in sorted(kinds)))


def _kinds(annotation: Any) -> frozenset[str] | None:
    """Return what values a field may hold, its containers aside; ``None``: anything."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    if origin is Literal:
        return _all_kinds([type(by_value(value)) for value in get_args(annotation)])
    if origin in _CONTAINERS:
        return _all_kinds([one for one in get_args(annotation) if one is not Ellipsis])
    if not isinstance(annotation, type):
        return None
    if annotation is NoneType:
        return frozenset()
    if issubclass(annotation, Enum):
        return _all_kinds([type(by_value(member)) for member in annotation])
    for kind, types in (
        ("bool", (bool,)),
        ("number", (int, float)),
        ("text", (str, UUID, PurePath)),
        ("instant", (date,)),
    ):
        if issubclass(annotation, types):
            return frozenset({kind})
    return None


def _all_kinds(annotations: list[Any]) -> frozenset[str] | None:
    found: frozenset[str] = frozenset()
    for annotation in annotations:
        kinds = _kinds(annotation)
        if kinds is None:
            return None
        found |= kinds
    return found or None
