"""Shapes: a filter without its values.

Between the call and parse. :func:`apart` takes scalar operands out of a filter; what is left tells its
shape, and what was worked out for one filter of a shape is bound to the values of the next
(:mod:`docstore.query.bind`). It knows no more of the language than that takes, and checks nothing: what is
wrong with a filter is found on the ordinary way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, Kind

__all__ = [
    "DOUBLE",
    "INSTANT",
    "INSTANT_TEXT",
    "LEAST",
    "MOMENT",
    "TEXT",
    "WHOLE",
    "Apart",
    "apart",
    "put_back",
]

LEAST = 4_096
"""Bytes that a text operand must be allowed, for a filter taken apart to be within all bounds on size."""
_DEEPEST = 12
_MOST = 48
"""Values that are taken out of one filter at most."""
_MOST_LISTED = 16
_LONGEST = 1_000
"""Characters of a text that is taken out."""
WHOLE, DOUBLE, TEXT, MOMENT, INSTANT_TEXT, INSTANT = 1j, 2j, 3j, 4j, 5j, 6j
"""Marks: what stands for a value of a type; a filter that holds a complex number of its own is an error."""
_COMPARED = frozenset({"$eq", "$ne", "$gt", "$gte", "$lt", "$lte"})
_LISTED = frozenset({"$in", "$nin", "$contains", "$containsAny"})
_LOGIC = frozenset({"$and", "$or", "$nor"})
Taken: TypeAlias = Mapping[type, complex]
_ANY: Taken = {int: WHOLE, float: DOUBLE, str: TEXT, datetime: MOMENT}
_TAKEN: dict[Kind, Taken] = {
    Kind.JSON: _ANY,
    Kind.TEXT: {str: TEXT},
    Kind.INTEGER: {int: WHOLE},
    Kind.INSTANT: {str: INSTANT_TEXT, datetime: INSTANT},
}
"""The types of the values that are taken out, and their marks; parse decides by no more than these."""
_FIELDS: dict[str, dict[str, Taken]] = {
    collection.name: {field.name: _TAKEN.get(field.kind, {}) for field in collection.fields.values()}
    for collection in (DOCUMENTS, EXTRACTIONS)
}


@dataclass(frozen=True, slots=True)
class Apart:
    """A filter taken apart.

    Attributes:
        frame: the filter, with a mark of its type in the place of each value that was taken out.
        values: those, as they were given, in order.
    """

    frame: Any
    values: tuple[Any, ...]


class _Unshaped(Exception):
    """The filter is larger, deeper or of other types than is worth it."""


def apart(filter: Any, collection: Collection) -> Apart | None:
    """Take the values out of ``filter``.

    Args:
        filter: as the caller gave it.
        collection: whose fields the top-level names are.

    Returns:
        ``None`` where nothing can be taken out, or where it is no filter of plain Python objects.
    """
    values: list[Any] = []
    try:
        frame = _filter(filter, _FIELDS.get(collection.name, {}), values, 0)
    except _Unshaped:
        return None
    return Apart(frame, tuple(values)) if 0 < len(values) <= _MOST else None


def put_back(frame: Any, value: Callable[[complex], Any]) -> Any:
    """Return a filter again: ``value`` says what stands in the place of each mark, in order."""
    kind = type(frame)
    if kind is complex:
        return value(frame)
    if kind is dict:
        return {key: put_back(member, value) for key, member in frame.items()}
    return [put_back(member, value) for member in frame] if kind is list else frame


def _filter(filter: Any, fields: Mapping[str, Taken], values: list[Any], depth: int) -> Any:
    if type(filter) is not dict or depth > _DEEPEST or len(values) > _MOST:
        raise _Unshaped
    frame = {}
    for key, operand in filter.items():
        if type(key) is not str:
            raise _Unshaped
        if key in _LOGIC:
            if type(operand) is not list:
                raise _Unshaped
            frame[key] = [_filter(branch, fields, values, depth + 1) for branch in operand]
        elif key[:1] == "$":
            frame[key] = operand
        else:
            frame[key] = _condition(operand, fields.get(key, _ANY), values, depth)
    return frame


def _condition(operand: Any, taken: Taken, values: list[Any], depth: int) -> Any:
    if type(operand) is not dict:
        return _scalar(operand, taken, values)
    first = next(iter(operand), None)
    return _operators(operand, taken, values, depth) if type(first) is str and first[:1] == "$" else operand


def _operators(operators: Any, taken: Taken, values: list[Any], depth: int) -> Any:
    if depth > _DEEPEST:
        raise _Unshaped
    frame = {}
    for word, operand in operators.items():
        if word in _COMPARED:
            operand = _scalar(operand, taken, values)
        elif word in _LISTED:
            if type(operand) is list and len(operand) <= _MOST_LISTED:
                operand = [_scalar(value, taken, values) for value in operand]
        elif word == "$not" and type(operand) is dict:
            operand = _operators(operand, taken, values, depth + 1)
        elif word == "$elemMatch" and type(operand) is dict:
            operand = _element(operand, values, depth + 1)
        frame[word] = operand
    return frame


def _element(operand: Any, values: list[Any], depth: int) -> Any:
    first = next(iter(operand), "")
    if type(first) is not str:
        raise _Unshaped
    if first[:1] == "$" and first not in _LOGIC:
        return _operators(operand, _ANY, values, depth)
    return _filter(operand, {}, values, depth)


def _scalar(value: Any, taken: Taken, values: list[Any]) -> Any:
    """Take a value out, and return the mark that stands for it; what is not taken out stays."""
    kind = type(value)
    mark = taken.get(kind)
    if mark is None:
        return value
    if kind is str and len(value) > _LONGEST:
        raise _Unshaped
    values.append(value)
    return mark
