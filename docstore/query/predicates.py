"""The tests that leaves put to one value: each returns a function of a value seen, or of ``MISSING``.

``evaluate`` decides which values these are asked of. Every test is a closure over its operand and does no
more than it must: SQLite calls them for each row.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from operator import ge, gt, le, lt
from typing import Any, TypeAlias

from docstore.query.expr import All, Compare, Contains, In, Json, Match, Mod, TypeIs
from docstore.query.glob import matcher
from docstore.query.instants import metadata_instant
from docstore.query.paths import MISSING
from docstore.query.regex import searcher
from docstore.query.text import fold
from docstore.query.values import INT64_MAX, INT64_MIN, compare, equal, identity

__all__ = [
    "Test",
    "comparison",
    "divides",
    "exists",
    "has_every",
    "has_members",
    "has_size",
    "has_type",
    "is_among",
    "is_during",
    "json_type",
    "matches_regex",
    "matches_text",
]

Test: TypeAlias = Callable[[Any], bool]
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}


def comparison(leaf: Compare) -> Test:
    """Return the test of ``$eq $gt $gte $lt $lte`` (rules 11, 12)."""
    operand = leaf.value
    if operand is None:
        return _never if leaf.op in ("gt", "lt") else _is_null
    if leaf.op == "eq":
        return _equality(operand)
    return _ordering(_ORDERS[leaf.op], operand)


def _never(value: Any) -> bool:
    return False


def _is_null(value: Any) -> bool:
    return value is None or value is MISSING


def _equality(operand: Json) -> Test:
    kind = type(operand)
    if kind is str:
        return lambda value: value == operand
    if kind is bool:
        return lambda value: value is operand
    if kind is int or kind is float:
        return lambda value: value == operand and type(value) is not bool
    return lambda value: type(value) is kind and equal(value, operand)


def _ordering(holds: Callable[[Any, Any], bool], operand: Json) -> Test:
    kind = type(operand)
    if kind is int or kind is float:
        return lambda value: (type(value) is int or type(value) is float) and holds(value, operand)
    if kind is str or kind is bool:
        return lambda value: type(value) is kind and holds(value, operand)
    return lambda value: type(value) is kind and holds(compare(value, operand), 0)


def is_among(leaf: In) -> Test:
    """Return the test of ``$in`` (rule 13)."""
    null = None in leaf.values
    bools = frozenset(value for value in leaf.values if type(value) is bool)
    scalars = frozenset(value for value in leaf.values if type(value) in (int, float, str))
    composites = frozenset(identity(value) for value in leaf.values if type(value) in (list, dict))

    def test(value: Any) -> bool:
        kind = type(value)
        if kind is str or kind is int or kind is float:
            return value in scalars
        if kind is bool:
            return value in bools
        if kind is list or kind is dict:
            return bool(composites) and identity(value) in composites
        return null

    return test


def has_every(leaf: All) -> Callable[[Iterable[Any]], bool]:
    """Return the test of ``$all`` of scalars (rule 16) on all the values that are seen."""
    wanted = frozenset(map(identity, leaf.values))
    return lambda values: wanted.issubset(
        [identity(value) for value in values if type(value) is not list and type(value) is not dict]
    )


def is_during(spans: Sequence[tuple[int, int]]) -> Test:
    """Return the test of a comparison with an instant (rule 4): a text that is one, within a span."""
    if len(spans) == 1:
        ((first, last),) = spans
        return lambda value: (at := metadata_instant(value)) is not None and first <= at <= last
    starts = [first for first, _ in spans]

    def test(value: Any) -> bool:
        at = metadata_instant(value)
        if at is None:
            return False
        place = bisect_right(starts, at)
        return place > 0 and at <= spans[place - 1][1]

    return test


def exists(value: Any) -> bool:
    """Tell whether a value is there at all (rule 14)."""
    return value is not MISSING


def has_type(leaf: TypeIs) -> Test:
    """Return the test of ``$type`` (rule 15). ``date`` matches nothing here: no JSON value is one."""
    types = leaf.types
    plain = {type(None): "null", bool: "bool", str: "string", list: "array", dict: "object"}
    kinds = frozenset(kind for kind, name in plain.items() if name in types)
    numbers = types & {"number", "int", "long", "double"}
    if not numbers:
        return lambda value: type(value) in kinds
    if "number" in numbers:
        kinds |= {int, float}
        return lambda value: type(value) in kinds
    return lambda value: (
        type(value) in kinds or (type(value) in (int, float) and _number_type(value) in numbers)
    )


def json_type(value: Json) -> str:
    """Return the alias of a value's type (rule 15), numbers by their value."""
    if type(value) is int or type(value) is float:
        return _number_type(value)
    return {type(None): "null", bool: "bool", str: "string", list: "array", dict: "object"}[type(value)]


def _number_type(value: float) -> str:
    if value % 1 or not INT64_MIN <= value <= INT64_MAX:
        return "double"
    return "int" if -(2**31) <= value < 2**31 else "long"


def has_size(length: int) -> Test:
    """Return the test of ``$size`` on an array (rule 16)."""
    return lambda value: type(value) is list and len(value) == length


def divides(leaf: Mod) -> Test:
    """Return the test of ``$mod`` (rule 16): the value truncated to int64; one beyond it never matches."""
    divisor, remainder = abs(leaf.divisor), leaf.remainder

    def test(value: Any) -> bool:
        if type(value) is not int and type(value) is not float:
            return False
        whole = int(value)
        if not INT64_MIN <= whole <= INT64_MAX:
            return False
        return (whole % divisor if whole >= 0 else -(-whole % divisor)) == remainder

    return test


def matches_regex(pattern: str, flags: str) -> Test:
    """Return the test of ``$regex`` (rule 18)."""
    search = searcher(pattern, flags)
    return lambda value: type(value) is str and search(value)


def matches_text(leaf: Match) -> Test:
    """Return the test of the string operators beyond MongoDB's."""
    text = leaf.text
    match leaf.kind:
        case "substring":
            return lambda value: type(value) is str and text in value
        case "isubstring":
            folded = fold(text)
            return lambda value: type(value) is str and folded in fold(value)
        case "starts_with":
            return lambda value: type(value) is str and value.startswith(text)
        case "glob" | "iglob":
            whole = matcher(text, folded=leaf.kind == "iglob")
            return lambda value: type(value) is str and whole(value)


def has_members(leaf: Contains) -> Test:
    """Return the test of ``$contains`` and ``$containsAny`` on an array."""
    wanted = frozenset(map(identity, leaf.values))
    if leaf.instants:
        moments = frozenset(leaf.instants)
        return lambda value: (
            type(value) is list
            and wanted.issubset(map(identity, value))
            and moments.issubset(map(metadata_instant, value))
        )
    if leaf.every:
        return lambda value: type(value) is list and wanted.issubset(map(identity, value))
    return lambda value: type(value) is list and not wanted.isdisjoint(map(identity, value))
