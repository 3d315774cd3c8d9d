"""LlamaIndex's metadata filters: ``MetadataFilters`` of ``MetadataFilter``, by key, operator and value.

The rules are those of LlamaIndex's own evaluator for simple vector stores: metadata is flat, so a dot in a
key belongs to it; a missing key satisfies ``!=`` and ``nin`` alone; ``contains`` is true of an array that
holds the value and of text that holds it as a part; the condition ``not`` is true where no filter is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from docstore.dialects.terms import (
    ARRAY,
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
    held,
    holding,
    literal,
    metadata_path,
    neither,
    operand_date,
    read_filter,
    syntax,
    unknown,
    wrong_value,
)
from docstore.errors import BackendNotInstalled
from docstore.query.filter_errors import shown

if TYPE_CHECKING:
    from llama_index.core.vector_stores import MetadataFilters

__all__ = ["from_llama_index", "to_llama_index"]

NAME = "LlamaIndex filter"

_OPERATORS = (
    "==",
    "!=",
    ">",
    ">=",
    "<",
    "<=",
    "in",
    "nin",
    "any",
    "all",
    "text_match",
    "text_match_insensitive",
    "contains",
    "is_empty",
)
_CONDITIONS = ("and", "or", "not")
_ORDERING = {">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte"}
_LISTS = {"in": "$in", "nin": "$nin", "any": "$containsAny", "all": "$contains"}
_BACK = {
    "eq": "==",
    "ne": "!=",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "in": "in",
    "nin": "nin",
    "containsAny": "any",
    "substring": "text_match",
    "isubstring": "text_match_insensitive",
}


def from_llama_index(filters: Any) -> Filter:
    """Return metadata filters as a filter over the metadata. A key is one key: its dots are no steps.

    Args:
        filters: ``MetadataFilters``, a ``MetadataFilter``, or mappings of the same shape. ``None``, and
            filters without a member, match everything.

    Raises:
        FilterError: an operator, a condition or a value that docstore does not have.

    Example:
        >>> from_llama_index({"filters": [{"key": "year", "value": 2020, "operator": ">="}]})
        {'metadata.year': {'$gte': 2020}}
    """
    return {} if filters is None else checked(_member(filters, "", 0))


def _member(given: Any, where: str, depth: int) -> Filter:
    if _part(given, "key") is not _ABSENT:
        return _comparison(given, where)
    members = _part(given, "filters")
    if not isinstance(members, (list, tuple)):
        raise syntax(NAME, f"a {type(given).__name__}", where, "MetadataFilters or a MetadataFilter")
    condition = _word(_part(given, "condition", "and")) or "and"
    if condition not in _CONDITIONS:
        raise unknown(NAME, condition, f"{where}/condition".lstrip("/"), _CONDITIONS)
    if not members:
        return {}
    below = deeper(NAME, depth, where)
    parts = [_member(one, f"{where}/filters/{at}".lstrip("/"), below) for at, one in enumerate(members)]
    if condition == "and":
        return both(parts)
    return either(parts) if condition == "or" else neither(parts)


_ABSENT = object()


def _part(given: Any, name: str, default: Any = _ABSENT) -> Any:
    """Return an attribute, or the member of a mapping."""
    return given.get(name, default) if isinstance(given, Mapping) else getattr(given, name, default)


def _word(name: Any) -> Any:
    return getattr(name, "value", name)


def _comparison(given: Any, where: str) -> Filter:
    key, value = _part(given, "key"), _part(given, "value", None)
    operator = _word(_part(given, "operator", "=="))
    if not isinstance(key, str):
        raise syntax(NAME, f"the key {shown(key)}", where, "text")
    if operator not in _OPERATORS:
        raise unknown(NAME, operator, where, _OPERATORS)
    path = metadata_path((key,))
    if operator == "is_empty":
        scalar = {path: {"$in": [None, ""], "$not": dict(ARRAY)}}
        return {"$or": [scalar, {path: {"$size": 0}}]}
    if value is None:
        raise wrong_value(NAME, f"no value with {operator!r}", where, "a value (or the operator 'is_empty')")
    if operator in _LISTS:
        if not isinstance(value, (list, tuple)):
            raise wrong_value(NAME, f"{shown(value)} with {operator!r}", where, "a list of values")
        return {path: {_LISTS[operator]: list(value)}}
    if operator in _ORDERING:
        if isinstance(value, (list, tuple, Mapping)):
            raise wrong_value(NAME, f"{shown(value)} with {operator!r}", where, "a number or text")
        return {path: {_ORDERING[operator]: date_operand(value)}}
    if operator in ("text_match", "text_match_insensitive"):
        if not isinstance(value, str):
            raise wrong_value(NAME, f"{shown(value)} with {operator!r}", where, "text")
        return {path: {"$substring" if operator == "text_match" else "$isubstring": value}}
    if operator == "contains":
        return holding(path, value)
    return {path: literal(value)} if operator == "==" else {path: {"$ne": value}}


def to_llama_index(filter: Mapping[str, Any] | None) -> MetadataFilters:
    """Return a filter over the metadata as ``MetadataFilters``; without members it matches everything.

    Raises:
        FilterError: it holds what LlamaIndex cannot say, such as ``$regex``, nested keys or instants.
        BackendNotInstalled: llama-index-core is not installed.
    """
    try:
        from llama_index.core import vector_stores
    except ImportError as missing:
        raise BackendNotInstalled(
            'to_llama_index needs llama-index-core: run  pip install "llama-index-core"'
        ) from missing
    written = _written(read_filter(NAME, filter), vector_stores)
    if isinstance(written, vector_stores.MetadataFilters):
        return written
    return vector_stores.MetadataFilters(filters=[written])


def _written(node: Node, module: Any) -> Any:
    found = held(node)
    match found or node:
        case Junction(_, (Junction() | Test(), Test(steps, "size", 0))) if _is_empty(node, steps):
            return module.MetadataFilter(key=steps[0], value=None, operator="is_empty")
        case Junction(kind, parts):
            return module.MetadataFilters(filters=[_written(part, module) for part in parts], condition=kind)
        case Negation(Junction("or", parts)):
            return module.MetadataFilters(filters=[_written(part, module) for part in parts], condition="not")
        case Negation(part):
            return module.MetadataFilters(filters=[_written(part, module)], condition="not")
        case Test(steps, operator, operand, where):
            return _written_test(
                steps, "contains" if found else operator, operand, bool(found), where, module
            )


def _is_empty(node: Node, steps: tuple[str, ...]) -> bool:
    """Return whether the node is what ``is_empty`` is translated to."""
    wanted = read_filter(NAME, _comparison({"key": steps[0], "operator": "is_empty"}, ""))
    return len(steps) == 1 and _plain(node) == _plain(wanted)


def _plain(node: Node) -> Any:
    """Return a node without its places."""
    match node:
        case Junction(kind, parts):
            return kind, tuple(map(_plain, parts))
        case Negation(part):
            return "not", _plain(part)
        case Test(steps, operator, operand, _):
            return steps, operator, operand


def _written_test(
    steps: tuple[str, ...], operator: str, operand: Any, is_held: bool, where: str, module: Any
) -> Any:
    if len(steps) > 1:
        raise cannot_say(
            NAME, f"the nested path {shown('.'.join(steps))}", where, "LlamaIndex' metadata is flat"
        )
    if operand_date(operand) is not None:
        raise cannot_say(NAME, "an instant", where, "LlamaIndex compares text and numbers alone")
    if operator == "contains" and not is_held:
        wanted = "all" if isinstance(operand, (list, tuple)) else "contains"
        if wanted == "contains" and isinstance(operand, str):
            operand, wanted = [operand], "all"
    else:
        wanted = "contains" if is_held else _BACK.get(operator, "")
    if not wanted or operand is None or isinstance(operand, (bool, Mapping)):
        what = f"${operator}" if not wanted else f"${operator} with {shown(operand)}"
        raise cannot_say(NAME, what, where)
    if wanted == "any" and not isinstance(operand, (list, tuple)):
        operand = [operand]
    try:
        return module.MetadataFilter(key=steps[0], value=operand, operator=wanted)
    except ValueError:
        raise cannot_say(NAME, f"${operator} with {shown(operand)}", where) from None
