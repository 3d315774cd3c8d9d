"""Chroma's ``where``: one key to a value or to one operator, joined by ``$and`` and ``$or``.

Metadata of Chroma is flat, with numbers, text and booleans as values, and arrays of these; a dot in a key
belongs to it. ``$ne``, ``$nin`` and ``$not_contains`` are true where the key is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from docstore.dialects.terms import (
    Filter,
    Junction,
    Negation,
    Node,
    Test,
    both,
    cannot_say,
    checked,
    deeper,
    either,
    metadata_path,
    operand_date,
    read_filter,
    syntax,
    unknown,
    wrong_value,
)
from docstore.query.filter_errors import shown

__all__ = ["from_chroma", "to_chroma"]

NAME = "Chroma filter"

_OPERATORS = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$contains", "$not_contains")
_ORDERING = ("$gt", "$gte", "$lt", "$lte")
_OPPOSITES = {
    "eq": "ne",
    "ne": "eq",
    "in": "nin",
    "nin": "in",
    "contains": "not_contains",
}


def from_chroma(where: Mapping[str, Any] | None) -> Filter:
    """Return a Chroma ``where`` as a filter over the metadata. A key is one key: its dots are no steps.

    Args:
        where: the filter; ``None`` and ``{}`` match everything. ``#id`` and ``#document`` are refused:
            ``get_many`` and a search ask for these.

    Raises:
        FilterError: a form, an operator or a value that Chroma does not take.

    Example:
        >>> from_chroma({"$and": [{"year": {"$gte": 2020}}, {"kind": "report"}]})
        {'$and': [{'metadata.year': {'$gte': 2020}}, {'metadata.kind': 'report'}]}
    """
    return {} if where is None or where == {} else checked(_where(where, "", 0))


def _where(given: Any, where: str, depth: int) -> Filter:
    if not isinstance(given, Mapping) or len(given) != 1:
        found = f"{len(given)} keys" if isinstance(given, Mapping) else shown(given)
        raise syntax(NAME, found, where, "an object with one key (join several with $and)")
    ((key, operand),) = given.items()
    if not isinstance(key, str):
        raise syntax(NAME, f"the key {shown(key)}", where, "text")
    here = f"{where}/{key}".lstrip("/")
    if key in ("$and", "$or"):
        if not isinstance(operand, (list, tuple)) or not operand:
            raise syntax(NAME, shown(operand), here, "a list of filters")
        below = deeper(NAME, depth, where)
        parts = [_where(one, f"{here}/{at}", below) for at, one in enumerate(operand)]
        return both(parts) if key == "$and" else either(parts)
    if key.startswith("$"):
        raise unknown(NAME, key, here, ("$and", "$or"))
    if key.startswith("#"):
        raise cannot_say(NAME, f"the field {key!r}", here, "use search= for the text and get_many for ids")
    return _comparison(key, operand, here)


def _comparison(key: str, operand: Any, where: str) -> Filter:
    path = metadata_path((key,))
    if not isinstance(operand, Mapping):
        return {path: _scalar(operand, where)}
    if len(operand) != 1:
        raise syntax(NAME, f"{len(operand)} operators", where, "one operator (join several with $and)")
    ((operator, value),) = operand.items()
    here = f"{where}/{operator}"
    if operator not in _OPERATORS:
        raise unknown(NAME, operator, here, _OPERATORS)
    if operator in ("$in", "$nin"):
        if not isinstance(value, (list, tuple)) or not value:
            raise wrong_value(NAME, shown(value), here, "a list of at least one value")
        return {path: {operator: [_scalar(one, here) for one in value]}}
    if operator in _ORDERING and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise wrong_value(NAME, f"{shown(value)} with {operator!r}", here, "a number")
    scalar = _scalar(value, here)
    if operator == "$not_contains":
        return {path: {"$not": {"$contains": scalar}}}
    return {path: {operator: scalar}}


def _scalar(value: Any, where: str) -> Any:
    if not isinstance(value, (str, int, float, bool)):
        raise wrong_value(NAME, shown(value), where, "text, a number, true or false")
    return value


def to_chroma(filter: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a filter over the metadata as a Chroma ``where``; ``None`` for one that matches everything.

    Raises:
        FilterError: it holds what Chroma cannot say, such as ``$regex``, ``$exists``, null or nested keys.

    Example:
        >>> to_chroma({"metadata.year": {"$gte": 2020, "$lt": 2030}})
        {'$and': [{'year': {'$gte': 2020}}, {'year': {'$lt': 2030}}]}
    """
    node = read_filter(NAME, filter)
    return None if isinstance(node, Junction) and not node.parts else _written(node, negated=False)


def _written(node: Node, *, negated: bool) -> dict[str, Any]:
    """Return a node as Chroma has it. Chroma has no negation of a whole: it is pushed down to the tests."""
    match node:
        case Negation(part):
            return _written(part, negated=not negated)
        case Junction(kind, parts):
            flipped = {"and": "or", "or": "and"}[kind] if negated else kind
            return {f"${flipped}": [_written(part, negated=negated) for part in parts]}
        case Test(steps, operator, operand, where):
            return _written_test(steps, operator, operand, where, negated)


def _written_test(
    steps: tuple[str, ...], operator: str, operand: Any, where: str, negated: bool
) -> dict[str, Any]:
    if len(steps) > 1 or steps[0].startswith(("$", "#")):
        raise cannot_say(NAME, f"the path {shown('.'.join(steps))}", where, "Chroma's metadata is flat")
    if operand_date(operand) is not None:
        raise cannot_say(NAME, "an instant", where, "Chroma compares numbers, text and booleans alone")
    if negated:
        if operator not in _OPPOSITES:
            raise cannot_say(NAME, f"the negation of ${operator}", where)
        operator = _OPPOSITES[operator]
    if f"${operator}" not in _OPERATORS:
        raise cannot_say(NAME, f"${operator}", where)
    written = {steps[0]: {f"${operator}": list(operand) if isinstance(operand, tuple) else operand}}
    try:
        _comparison(steps[0], written[steps[0]], where)
    except ValueError:
        raise cannot_say(NAME, f"${operator} with {shown(operand)}", where) from None
    return written
