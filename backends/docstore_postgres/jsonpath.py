"""Pieces of SQL/JSON path text, each bound as a value when it is whole.

All paths are lax: a member step opens an array, one level, and tries its elements that are objects, which is
rule 6 as long as the step is no decimal index. A filter ``? (…)`` opens an array, too, so that ``@`` stands
for the elements; the types are asked for in every test, because a comparison would open what is inside once
more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from docstore_postgres.values import number_of

__all__ = [
    "any_of",
    "compared",
    "exists",
    "is_index",
    "missing",
    "modulo",
    "quoted",
    "reached",
    "starts_with",
    "truncates",
    "typed",
]

_INDEX = re.compile(r"(?:0|[1-9][0-9]*)\Z")
_PLAIN = re.compile(r"[^A-Za-z0-9_ ]")
_SYMBOLS = {"eq": "==", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_INT64 = (-(2**63), 2**63 - 1)
_WHOLE = "@.floor() == @"
_NARROW = "@ >= -2147483648 && @ <= 2147483647"
_WIDE = f"@ >= {_INT64[0]} && @ <= {_INT64[1]}"
_NUMBER = '@.type() == "number"'
_TYPES = {
    "null": '@.type() == "null"',
    "bool": '@.type() == "boolean"',
    "number": _NUMBER,
    "string": '@.type() == "string"',
    "object": '@.type() == "object"',
    "int": f"({_NUMBER} && {_NARROW} && {_WHOLE})",
    "long": f"({_NUMBER} && {_WIDE} && !({_NARROW}) && {_WHOLE})",
    "double": f"({_NUMBER} && !({_WIDE} && {_WHOLE}))",
}


def quoted(text: str) -> str:
    """Return ``text`` as a string of the path language; all but plain characters are escapes."""
    return f'"{_PLAIN.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    units = found.group().encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def is_index(step: str) -> bool:
    """Return whether ``step`` is a decimal index without leading zeros."""
    return _INDEX.match(step) is not None


def reached(path: Sequence[str]) -> str:
    """Return the path to what ``path``, which has no index among its steps, leads to: an array as a whole."""
    return "$" + "".join(f".{quoted(step)}" for step in path)


def exists(path: Sequence[str], test: str | None = None) -> str:
    """Return the predicate that something satisfying ``test`` is reached; the test opens a last array."""
    return f"exists({reached(path)} ? ({test}))" if test else f"exists({reached(path)})"


def missing(path: Sequence[str], start: int = 0) -> str:
    """Return the predicate that ``path`` leads nowhere from some object or scalar that stands on it (rule 9).

    Args:
        path: has no index among its steps but, perhaps, the last.
        start: the first step to look at; those before it are known to be there.
    """
    parts = []
    for at in range(start, len(path)):
        before = reached(path[:at])
        parts.append(f'exists({before} ? (@.type() == "object" && !exists(@.{quoted(path[at])})))')
        if at:
            parts.append(f'exists({before}.type() ? (@ != "object" && @ != "array"))')
    return any_of(parts)


def any_of(parts: Iterable[str]) -> str:
    """Return the disjunction of predicates, of which there is at least one."""
    return " || ".join(parts)


def compared(op: str, value: Any) -> str | None:
    """Return the test of one element against a scalar (rules 11, 12); ``None`` if nothing satisfies it."""
    match value:
        case None:
            return _TYPES["null"] if op in ("eq", "gte", "lte") else None
        case bool():
            return _compared_bool(op, value)
        case int() | float():
            return f"({_NUMBER} && @ {_SYMBOLS[op]} {number_of(value)})"
        case _:
            return f"({_TYPES['string']} && @ {_SYMBOLS[op]} {quoted(value)})"


def _compared_bool(op: str, value: bool) -> str | None:
    held = {
        "eq": (value,),
        "gte": {value, True},
        "lte": {value, False},
        "gt": {True} - {value},
        "lt": {False} - {value},
    }[op]
    tests = [f"@ == {'true' if each else 'false'}" for each in (False, True) if each in held]
    return f"({_TYPES['bool']} && ({any_of(tests)}))" if tests else None


def typed(types: Iterable[str]) -> str | None:
    """Return the test for one of these types, arrays aside (rule 15); ``None`` if nothing is of them."""
    tests = [_TYPES[name] for name in sorted(types) if name in _TYPES]
    return f"({any_of(tests)})" if tests else None


def modulo(divisor: int, remainder: int) -> str:
    """Return the test of ``$mod`` (rule 16): the number truncated, the sign of the dividend."""
    up = f"@ < 0 && @.ceiling() % {divisor} == {remainder}"
    down = f"@ >= 0 && @.floor() % {divisor} == {remainder}"
    return f"({truncates('@')} && ({up} || {down}))"


def truncates(value: str) -> str:
    """Return the test that ``value``, ``@`` or ``$``, is a number that is within int64 when truncated."""
    return f'{value}.type() == "number" && {value} > {_INT64[0] - 1} && {value} < {_INT64[1] + 1}'


def starts_with(text: str) -> str:
    """Return the test that an element is a string that begins with ``text``."""
    return f"({_TYPES['string']} && @ starts with {quoted(text)})"
