"""Haystack 2's filters: comparisons of ``field``, ``operator``, ``value``, joined by AND, OR and NOT.

The rules are those of the protocol ``DocumentStore.filter_documents`` and of Haystack's own evaluator: a
missing field is ``None``; an ordering comparison with ``None`` matches nothing, and one with text asks for a
date; NOT is true where not all of its conditions are.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC as _UTC
from typing import Any

from docstore.dialects.terms import (
    NOTHING,
    Filter,
    Junction,
    Negation,
    Node,
    Test,
    both,
    cannot_say,
    checked,
    date_operand,
    deeper,
    either,
    literal,
    metadata_path,
    neither,
    operand_date,
    read_filter,
    syntax,
    unknown,
    wrong_value,
)
from docstore.query.filter_errors import shown
from docstore.query.instants import parse_instant

__all__ = ["from_haystack", "to_haystack"]

NAME = "Haystack filter"

_COMPARISONS = {
    "==": "$eq",
    "!=": "$ne",
    ">": "$gt",
    ">=": "$gte",
    "<": "$lt",
    "<=": "$lte",
    "in": "$in",
    "not in": "$nin",
}
_BACK = {operator[1:]: name for name, operator in _COMPARISONS.items()}
_LOGIC = ("AND", "OR", "NOT")
# Fields of Haystack's Document beside `meta`. Another name without a dot is a key of `meta`.
_OWN_FIELDS = ("id", "content", "blob", "score", "embedding", "sparse_embedding")


def from_haystack(filters: Mapping[str, Any] | None, *, fields: Mapping[str, str] | None = None) -> Filter:
    """Return a Haystack filter as a filter over the metadata: ``meta.x`` is ``metadata.x``.

    Args:
        filters: a comparison or a logical condition; ``None`` and ``{}`` match everything.
        fields: what Haystack's own fields (``id``, ``content``, …) are called in docstore, for a store
            adapter that keeps them in record fields. ``None``: they are refused.

    Raises:
        FilterError: a condition of the wrong form, an operator or a field that docstore does not have.

    Example:
        >>> from_haystack({"field": "meta.year", "operator": ">=", "value": 2020})
        {'metadata.year': {'$gte': 2020}}
    """
    if not filters and (filters is None or isinstance(filters, Mapping)):
        return {}
    return checked(_condition(filters, dict(fields or {}), "", 0))


def _condition(given: Any, fields: dict[str, str], where: str, depth: int) -> Filter:
    if not isinstance(given, Mapping):
        raise syntax(NAME, shown(given), where, "an object with 'operator' and 'conditions', or 'field'")
    if "operator" not in given:
        raise syntax(NAME, "no 'operator'", where, "'operator' beside 'field' or 'conditions'")
    if "field" in given:
        return _comparison(given, fields, where)
    operator = given["operator"]
    if "conditions" not in given:
        raise syntax(NAME, "no 'conditions'", where, "a list of conditions")
    if operator not in _LOGIC:
        raise unknown(NAME, operator, where, _LOGIC)
    if not isinstance(given["conditions"], (list, tuple)):
        raise syntax(
            NAME, shown(given["conditions"]), f"{where}/conditions".lstrip("/"), "a list of conditions"
        )
    below = deeper(NAME, depth, where)
    parts = [
        _condition(one, fields, f"{where}/conditions/{at}".lstrip("/"), below)
        for at, one in enumerate(given["conditions"])
    ]
    if operator == "AND":
        return both(parts)
    return either(parts) if operator == "OR" else neither([both(parts)])


def _comparison(given: Mapping[str, Any], fields: dict[str, str], where: str) -> Filter:
    field, operator = given["field"], given["operator"]
    if "value" not in given:
        raise syntax(NAME, "no 'value'", where, "'field', 'operator' and 'value'")
    if operator not in _COMPARISONS:
        raise unknown(NAME, operator, where, _COMPARISONS)
    value = given["value"]
    path = _path(field, fields, where)
    if operator in ("in", "not in"):
        if not isinstance(value, list):  # as Haystack has it: its suites want a tuple refused
            raise wrong_value(NAME, f"{shown(value)} with {operator!r}", where, "a list of values")
        return {path: {_COMPARISONS[operator]: [date_operand(one) for one in value]}}
    if operator in ("==", "!="):
        operand = date_operand(value)
        return {
            path: literal(operand)
            if operator == "==" and operand is value
            else {_COMPARISONS[operator]: operand}
        }
    if value is None:
        return dict(NOTHING)
    return {path: {_COMPARISONS[operator]: _ordered(value, operator, where)}}


def _ordered(value: Any, operator: str, where: str) -> Any:
    """Return the operand of an ordering comparison: a number, or text that is a date."""
    if isinstance(value, (list, tuple, Mapping)):
        raise wrong_value(NAME, f"{shown(value)} with {operator!r}", where, "a number or an ISO date")
    if isinstance(value, str):
        try:
            parse_instant(value, _UTC)
        except ValueError:
            raise wrong_value(
                NAME, f"{shown(value)} with {operator!r}", where, "a number or an ISO date"
            ) from None
    return date_operand(value)


def _path(field: Any, fields: dict[str, str], where: str) -> str:
    if not isinstance(field, str) or not field:
        raise syntax(NAME, f"the field {shown(field)}", where, "a name such as 'meta.year'")
    if field in fields:
        return fields[field]
    first, _, rest = field.partition(".")
    if first == "meta" and rest:
        return metadata_path(rest.split("."))
    if first in _OWN_FIELDS or first == "meta":
        raise cannot_say(
            NAME, f"the field {field!r}", where, "name a field of the metadata, as in 'meta.year'"
        )
    return metadata_path(field.split("."))


def to_haystack(filter: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a filter over the metadata as a Haystack filter.

    Args:
        filter: a docstore filter whose fields stand below ``metadata.``; ``None`` and ``{}`` match
            everything.

    Raises:
        FilterError: it holds what Haystack cannot say, such as ``$regex`` or ``$exists``.

    Example:
        >>> to_haystack({"metadata.year": {"$gte": 2020}})
        {'field': 'meta.year', 'operator': '>=', 'value': 2020}
    """
    node = read_filter(NAME, filter)
    return {} if isinstance(node, Junction) and not node.parts else _written(node)


def _written(node: Node) -> dict[str, Any]:
    match node:
        case Junction(kind, parts):
            return {"operator": kind.upper(), "conditions": [_written(part) for part in parts]}
        case Negation(Junction("or", parts)):
            nots = [{"operator": "NOT", "conditions": [_written(part)]} for part in parts]
            return {"operator": "AND", "conditions": nots}
        case Negation(part):
            return {"operator": "NOT", "conditions": [_written(part)]}
        case Test(steps, operator, operand, where):
            return _written_test(steps, operator, operand, where)


def _written_test(steps: tuple[str, ...], operator: str, operand: Any, where: str) -> dict[str, Any]:
    if operator not in _BACK:
        raise cannot_say(NAME, f"${operator}", where)
    if any("." in step for step in steps):
        raise cannot_say(NAME, f"the key {shown('.'.join(steps))}, which holds a dot,", where)
    ordering = operator in ("gt", "gte", "lt", "lte")
    if operator in ("in", "nin"):
        value: Any = [_written_value(one, where) for one in operand]
    else:
        value = _written_value(operand, where)
        if ordering and (value is None or isinstance(value, (list, Mapping))):
            raise cannot_say(NAME, f"${operator} with {shown(value)}", where)
        if ordering and isinstance(value, str):
            _ordered(value, _BACK[operator], where)
    return {"field": ".".join(("meta", *steps)), "operator": _BACK[operator], "value": value}


def _written_value(operand: Any, where: str) -> Any:
    """Return an operand as Haystack holds it: an instant is text with an offset."""
    date = operand_date(operand)
    return operand if date is None else date
