"""Query strings as list APIs have them: ``kind=report&year[gte]=2020&tag[in]=a,b``.

A value is a JSON scalar if it is one (``5``, ``true``, ``null``, ``"5"`` for the text), else text as it
stands. A field given twice means one of its values. Lists are separated by commas; a value that holds one
stands in double quotes. All conditions must hold; there is no other logic.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from docstore.dialects.terms import (
    Filter,
    Junction,
    Negation,
    Node,
    Test,
    both,
    cannot_say,
    checked,
    date_operand,
    literal,
    operand_date,
    read_filter,
    syntax,
    unknown,
    wrong_value,
)
from docstore.query.filter_errors import shown
from docstore.query.paths import path_text

__all__ = ["from_query_string", "to_query_string"]

NAME = "query string"

_LISTS = {"in": "$in", "nin": "$nin", "contains_any": "$containsAny"}
_TEXTS = {
    "glob": "$glob",
    "startsWith": "$startsWith",
    "substring": "$substring",
    "isubstring": "$isubstring",
}
_ORDERING = ("gt", "gte", "lt", "lte")
_OPERATORS = ("eq", "ne", *_ORDERING, "in", "nin", "exists", "contains", "contains_any", *_TEXTS)
_FIELD = re.compile(r"(?s)(.*?)(?:\[([^\[\]]*)\])?")
_ITEM = re.compile(r'\s*("(?:[^"\\]|\\.)*")\s*(?:,|\Z)|([^,]*)(?:,|\Z)')


def from_query_string(query: str | Mapping[str, Any] | Iterable[tuple[str, str]]) -> Filter:
    """Return a query string as a filter over the metadata; dots in a field are steps.

    Args:
        query: the text behind the ``?`` (which may stand before it), or what a framework made of it: a
            mapping of field to value or list of values, or pairs. Empty: everything matches.

    Raises:
        FilterError: an operator that is none of ``eq ne gt gte lt lte in nin exists contains contains_any
            glob startsWith substring isubstring``, or a value that it does not take.

    Example:
        >>> from_query_string("kind=report&year[gte]=2020")
        {'$and': [{'metadata.kind': 'report'}, {'metadata.year': {'$gte': 2020}}]}
    """
    given: dict[tuple[str, str], list[str]] = {}
    for name, value in _pairs(query):
        found = _FIELD.fullmatch(name)
        field, operator = found.groups() if found else (name, None)
        if not field:
            raise syntax(NAME, f"the field {shown(name)}", name, "a name such as  year  or  year[gte]")
        operator = "eq" if operator is None else operator
        if operator not in _OPERATORS:
            raise unknown(NAME, operator, name, _OPERATORS)
        given.setdefault((field, operator), []).append(value)
    parts: list[Filter] = []
    for (field, operator), values in given.items():
        parts += _conditions(field, operator, values)
    return checked(both(parts))


def _pairs(query: Any) -> Iterable[tuple[str, str]]:
    if isinstance(query, str):
        return parse_qsl(query.removeprefix("?"), keep_blank_values=True)
    items = query.multi_items() if hasattr(query, "multi_items") else getattr(query, "items", lambda: query)()
    if not isinstance(items, Iterable):
        raise syntax(NAME, shown(query), "", "text, a mapping, or pairs of name and value")
    pairs: list[tuple[str, str]] = []
    for pair in items:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise syntax(NAME, shown(pair), "", "pairs of name and value")
        name, value = pair
        for one in value if isinstance(value, (list, tuple)) else (value,):
            if not isinstance(name, str) or not isinstance(one, str):
                raise syntax(
                    NAME, f"{shown(name)} with {shown(one)}", str(name), "texts, as a query string has them"
                )
            pairs.append((name, one))
    return pairs


def _conditions(field: str, operator: str, values: list[str]) -> list[Filter]:
    path = f"metadata.{field}"
    where = field if operator == "eq" else f"{field}[{operator}]"
    if operator == "eq":
        operands = [_value(one) for one in values]
        return [{path: literal(operands[0]) if len(operands) == 1 else {"$in": operands}}]
    if operator in _LISTS:
        return [{path: {_LISTS[operator]: [one for value in values for one in _list(value)]}}]
    return [_condition(path, operator, one, where) for one in values]


def _condition(path: str, operator: str, text: str, where: str) -> Filter:
    if operator in _TEXTS:
        return {path: {_TEXTS[operator]: _unquoted(text)}}
    if operator == "exists":
        if text not in ("true", "false"):
            raise wrong_value(NAME, shown(text), where, "true or false")
        return {path: {"$exists": text == "true"}}
    if operator == "contains":
        items = _list(text)
        return {path: {"$contains": items[0] if len(items) == 1 else items}}
    operand = _value(text)
    if operator in _ORDERING and operand is None:
        raise wrong_value(NAME, "null", where, "a value to compare with")
    return {path: {f"${operator}": operand}}


def _value(text: str) -> Any:
    """Return the JSON scalar that a text is, the instant that it names with its offset, or the text."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return date_operand(text)
    if isinstance(value, (dict, list)) or text != text.strip():
        return text
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _list(text: str) -> list[Any]:
    """Return the values of a list: split at its commas, but for those in double quotes."""
    values: list[Any] = []
    at = 0
    while at <= len(text):
        found = _ITEM.match(text, at)
        assert found is not None, "the second branch matches anything"
        values.append(_value(found[1] if found[1] is not None else found[2]))
        if not found[0].endswith(",") or found.end() == at:
            break
        at = found.end()
    return values if text else []


def _unquoted(text: str) -> str:
    """Return a text operand: what stands in double quotes as JSON reads it, else as it is."""
    value = _value(text) if text.startswith('"') else text
    return value if isinstance(value, str) else text


def to_query_string(filter: Mapping[str, Any] | None) -> str:
    """Return a filter over the metadata as a query string, percent-encoded, without ``?``.

    Raises:
        FilterError: it holds what a query string cannot say: ``$or``, most of ``$not``, ``$regex``, arrays
            and objects as operands.

    Example:
        >>> to_query_string({"metadata.kind": "report", "metadata.year": {"$gte": 2020}})
        'kind=report&year%5Bgte%5D=2020'
    """
    pairs = _written(read_filter(NAME, filter))
    fields = [field for field, _ in pairs if not field.endswith("]")]
    for field in fields:
        if fields.count(field) > 1:
            raise cannot_say(
                NAME, f"two equalities of {shown(field)}", "", "given twice it means either value"
            )
    return urlencode(pairs)


def _written(node: Node) -> list[tuple[str, str]]:
    match node:
        case Junction("and", parts):
            return [pair for part in parts for pair in _written(part)]
        case Junction(_, _, where) | Negation(_, where):
            raise cannot_say(NAME, "a disjunction" if isinstance(node, Junction) else "a negation", where)
        case Test(steps, operator, operand, where):
            return [_written_test(path_text(steps), operator, operand, where)]


def _written_test(field: str, operator: str, operand: Any, where: str) -> tuple[str, str]:
    name = {"containsAny": "contains_any"}.get(operator, operator)
    if name not in _OPERATORS:
        raise cannot_say(NAME, f"${operator}", where)
    if field.endswith("]") or not field:
        raise cannot_say(NAME, f"the field {shown(field)}", where)
    if name in _LISTS or (name == "contains" and isinstance(operand, (list, tuple))):
        items = operand if isinstance(operand, (list, tuple)) else [operand]
        text = ",".join(_text(one, where, in_list=True) for one in items)
    elif name == "exists":
        text = "true" if operand not in (None, False, 0) else "false"
    elif name in _TEXTS:
        text = json.dumps(operand, ensure_ascii=False) if operand.startswith('"') else operand
    else:
        text = _text(operand, where, in_list=name == "contains")
    return (field if name == "eq" else f"{field}[{name}]", text)


def _text(operand: Any, where: str, *, in_list: bool = False) -> str:
    date = operand_date(operand)
    if date is not None:
        return date
    if isinstance(operand, (list, tuple, Mapping)):
        raise cannot_say(NAME, shown(operand), where, "a query string holds scalars")
    if not isinstance(operand, str):
        return json.dumps(operand)
    plain = _value(operand) == operand and isinstance(_value(operand), str)
    if plain and not (
        in_list and ("," in operand or '"' in operand or operand != operand.strip() or not operand)
    ):
        return operand
    return json.dumps(operand, ensure_ascii=False)
