"""LangChain's structured queries: ``Comparison``, ``Operation`` and ``StructuredQuery`` of the self-query.

The objects are read by their attributes, so LangChain need not be installed; ``to_langchain`` makes its
objects and imports it. LangChain leaves the meaning of ``contain`` and ``like`` to the store: here
``contain`` is true of an array that holds the value and of text that holds it as a part, and ``like`` is
SQL's, with ``%`` for any run of characters, ``_`` for one, and a backslash before either for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

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
    deeper,
    either,
    held,
    holding,
    literal,
    neither,
    operand_date,
    read_filter,
    syntax,
    unknown,
    wrong_value,
)
from docstore.errors import BackendNotInstalled
from docstore.query.filter_errors import shown
from docstore.query.paths import path_text

if TYPE_CHECKING:
    from langchain_core.structured_query import FilterDirective

__all__ = ["from_langchain", "to_langchain"]

NAME = "LangChain filter"

_COMPARATORS = ("eq", "ne", "gt", "gte", "lt", "lte", "contain", "like", "in", "nin")
_OPERATORS = ("and", "or", "not")
_GLOB_SPECIAL = frozenset("*?[]\\")


def from_langchain(query: Any) -> Filter:
    """Return a structured query as a filter over the metadata; dots in an attribute are steps.

    Args:
        query: a ``FilterDirective`` (``Comparison`` or ``Operation``), or a ``StructuredQuery``, whose text
            and limit are left to the caller. ``None`` matches everything.

    Raises:
        FilterError: a comparator, an operator or a value that docstore does not have.

    Example:
        >>> from langchain_core.structured_query import Comparator, Comparison
        >>> from_langchain(Comparison(Comparator.GTE, "year", 2020))
        {'metadata.year': {'$gte': 2020}}
    """
    if hasattr(query, "query") and hasattr(query, "filter"):
        query = query.filter
    return {} if query is None else checked(_directive(query, "", 0))


def _directive(given: Any, where: str, depth: int) -> Filter:
    if hasattr(given, "comparator") and hasattr(given, "attribute") and hasattr(given, "value"):
        return _comparison(_word(given.comparator), given.attribute, given.value, where or "comparison")
    if not (hasattr(given, "operator") and hasattr(given, "arguments")):
        raise syntax(
            NAME, f"a {type(given).__name__}", where, "a Comparison, an Operation or a StructuredQuery"
        )
    operator = _word(given.operator)
    if operator not in _OPERATORS:
        raise unknown(NAME, operator, where, _OPERATORS)
    below = deeper(NAME, depth, where)
    parts = [
        _directive(one, f"{where}/{operator}/{at}".lstrip("/"), below)
        for at, one in enumerate(given.arguments)
    ]
    if not parts or (operator == "not" and len(parts) > 1):
        expected = "one argument" if operator == "not" else "at least one argument"
        raise syntax(NAME, f"{operator!r} of {len(parts)} arguments", where, expected)
    if operator == "and":
        return both(parts)
    return either(parts) if operator == "or" else neither(parts)


def _word(name: Any) -> Any:
    """Return the text of an enumeration's member."""
    return getattr(name, "value", name)


def _comparison(comparator: Any, attribute: Any, value: Any, where: str) -> Filter:
    if comparator not in _COMPARATORS:
        raise unknown(NAME, comparator, where, _COMPARATORS)
    if not isinstance(attribute, str) or not attribute:
        raise syntax(NAME, f"the attribute {shown(attribute)}", where, "the name of a metadata field")
    path = f"metadata.{attribute}"
    if comparator in ("in", "nin"):
        if not isinstance(value, (list, tuple)):
            raise wrong_value(NAME, f"{shown(value)} with {comparator!r}", where, "a list of values")
        return {path: {f"${comparator}": [_operand(one, where) for one in value]}}
    if comparator == "like":
        if not isinstance(value, str):
            raise wrong_value(NAME, f"{shown(value)} with 'like'", where, "a pattern with % and _")
        return {path: {"$glob": _glob(value)}}
    operand = _operand(value, where)
    if comparator == "contain":
        return holding(path, operand)
    if comparator == "eq":
        return {path: literal(operand)} if operand is value else {path: {"$eq": operand}}
    if comparator != "ne" and operand is None:
        raise wrong_value(NAME, f"None with {comparator!r}", where, "a value to compare with")
    return {path: {f"${comparator}": operand}}


def _operand(value: Any, where: str) -> Any:
    """Return a value; a date as the query's parser makes them is read: ``{"type": "date", "date": …}``."""
    if isinstance(value, Mapping) and value.get("type") in ("date", "datetime"):
        text = value.get(value["type"])
        if not isinstance(text, str):
            raise wrong_value(NAME, f"a {value['type']} without its text", where, "ISO text")
        return date_operand(text)
    if isinstance(value, date) and not hasattr(value, "utcoffset"):
        return value.isoformat()
    return date_operand(value)


def _glob(pattern: str) -> str:
    """Return a LIKE pattern as a glob."""
    out: list[str] = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            character = next(characters, "\\")
            out.append(f"\\{character}" if character in _GLOB_SPECIAL else character)
        elif character == "%":
            out.append("*")
        elif character == "_":
            out.append("?")
        else:
            out.append(f"\\{character}" if character in _GLOB_SPECIAL else character)
    return "".join(out)


def to_langchain(filter: Mapping[str, Any] | None) -> FilterDirective | None:
    """Return a filter over the metadata as a ``FilterDirective``; ``None`` for one that matches everything.

    Raises:
        FilterError: it holds what a structured query cannot say, such as ``$regex`` or ``$exists``.
        BackendNotInstalled: langchain-core is not installed.
    """
    try:
        from langchain_core import structured_query
    except ImportError as missing:
        raise BackendNotInstalled(
            'to_langchain needs langchain-core: run  pip install "langchain-core"'
        ) from missing
    node = read_filter(NAME, filter)
    return None if isinstance(node, Junction) and not node.parts else _written(node, structured_query)


def _written(node: Node, module: Any) -> FilterDirective:
    found = held(node)
    match found or node:
        case Junction(kind, parts):
            made = module.Operation(module.Operator(kind), [_written(part, module) for part in parts])
        case Negation(part):
            made = module.Operation(module.Operator.NOT, [_written(part, module)])
        case Test(steps, operator, operand, where):
            if found or (operator == "contains" and not isinstance(operand, (str, list, tuple, Mapping))):
                operator = "contain"
            elif operator == "glob" and isinstance(operand, str):
                operator, operand = "like", _like(operand, where)
            if operator not in _COMPARATORS:
                raise cannot_say(NAME, f"${operator}", where)
            name = path_text(steps)
            made = module.Comparison(module.Comparator(operator), name, _written_value(operand, operator))
    directive: FilterDirective = made
    return directive


def _like(glob: str, where: str) -> str:
    """Return a glob as a LIKE pattern."""
    out: list[str] = []
    characters = iter(glob)
    for character in characters:
        if character == "[":
            raise cannot_say(NAME, "a class of characters in a glob", where)
        if character in "*?":
            out.append("%" if character == "*" else "_")
            continue
        if character == "\\":
            character = next(characters, "\\")
        out.append(f"\\{character}" if character in "%_\\" else character)
    return "".join(out)


def _written_value(operand: Any, comparator: str) -> Any:
    if comparator in ("in", "nin"):
        return [_written_value(one, "eq") for one in operand]
    text = operand_date(operand)
    return operand if text is None else {"type": "datetime", "datetime": text}
