"""Order against an array or object (rule 12), as SQL: the first element or member decides mostly.

Only what is level so far calls the function that compares from start to end, which costs tens of
microseconds.
"""

from __future__ import annotations

from typing import Any

from docstore_sql.fragment import Fragment
from docstore_sql.tables import Tables

from docstore_postgres.functions import compare_function, rank_of
from docstore_postgres.values import json_of

__all__ = ["sign"]

_DEEPEST = 3


def sign(value: str, operand: Any, tables: Tables, depth: int = 0) -> Fragment:
    """Return an expression below, at or above 0 as ``value`` comes before, with or behind ``operand``.

    Args:
        value: an SQL expression of a ``jsonb`` of the operand's type.
        operand: an array or object.
        tables: whose function compares to the end.
        depth: how many arrays and objects it stands in.
    """
    full = Fragment(f"{compare_function(tables)}({value}, %s::jsonb)", (json_of(operand),))
    if not operand or depth > _DEEPEST:
        return full
    if isinstance(operand, list):
        first = f"({value} -> 0)"
        start = Fragment(f"CASE WHEN jsonb_array_length({value}) = 0 THEN -1 ")
        return _joined(
            start,
            _by_rank(first, operand[0]),
            _head(first, operand[0], full, tables, depth).wrapped("ELSE ", " END"),
        )
    key = min(operand)
    alias = f"h{depth}"
    first = f"({value} -> {alias}.k)"
    by_key = Fragment(f"WHEN {alias}.k <> %s THEN CASE WHEN {alias}.k < %s THEN -1 ELSE 1 END ", (key, key))
    head = _head(first, operand[key], full, tables, depth).wrapped(
        "ELSE ",
        f' END FROM (SELECT min(j.k COLLATE "C") FROM jsonb_object_keys({value}) AS j(k)) AS {alias}(k))',
    )
    start = Fragment(f"(SELECT CASE WHEN {alias}.k IS NULL THEN -1 ")
    return _joined(start, _by_rank(first, operand[key]), by_key, head)


def _by_rank(first: str, operand: Any) -> Fragment:
    """Return the branch for a first value of another type."""
    kind, rank = rank_of(operand)
    before = ", ".join(f"'{name}'" for name in rank)
    sides = f"CASE WHEN jsonb_typeof({first}) IN ({before}) THEN -1 ELSE 1 END" if before else "1"
    return Fragment(f"WHEN jsonb_typeof({first}) <> '{kind}' THEN {sides} ")


def _head(first: str, operand: Any, full: Fragment, tables: Tables, depth: int) -> Fragment:
    """Return the sign by a first value of the same type, and ``full`` where that is level."""
    match operand:
        case None:
            return full
        case str():
            text = f"({first} #>> '{{}}')"
            sides = Fragment(
                f'CASE WHEN {text} COLLATE "C" < %s THEN -1 WHEN {text} <> %s THEN 1 ELSE ',
                (operand, operand),
            )
            return _joined(sides, full.wrapped("", " END"))
        case list() | dict():
            inner = sign(first, operand, tables, depth + 1)
            return _joined(inner.wrapped("coalesce(nullif(", ", 0), "), full.wrapped("", ")"))
        case _:
            text = json_of(operand)
            sides = Fragment(
                f"CASE WHEN {first} < %s::jsonb THEN -1 WHEN {first} > %s::jsonb THEN 1 ELSE ", (text, text)
            )
            return _joined(sides, full.wrapped("", " END"))


def _joined(*parts: Fragment) -> Fragment:
    return Fragment("".join(part.text for part in parts), sum((part.values for part in parts), ()))
