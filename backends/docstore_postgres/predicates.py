"""Conditions that are one predicate of the path language, and their union.

``$."a"."b" == "x"`` opens an array once at the end, which is rule 8 for a scalar operand: what is nested
deeper, or of another type, compares as unknown, and unknown is not true. Predicates on one column that SQL
would join by AND or OR are joined within the path language instead: Postgres then reads the document once,
and the GIN index sees the whole of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from docstore_sql.fragment import Fragment

from docstore.query.expr import Path
from docstore_postgres import jsonpath
from docstore_postgres.reach import Root, indexed
from docstore_postgres.values import number_of

__all__ = ["among", "compared", "merged"]

_SYMBOLS = {"eq": "==", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_TEST = " @@ %s::jsonpath"


def compared(root: Root, path: Path, op: str, value: Any) -> str | None:
    """Return the predicate that a value seen compares with a scalar; ``None``: it takes more than one."""
    if not path or root.whole or indexed(path):
        return None
    literal = _literal(op, value)
    return None if literal is None else f"({jsonpath.reached(path)} {_SYMBOLS[op]} {literal})"


def among(root: Root, path: Path, values: Sequence[Any]) -> str | None:
    """Return the predicate that a value seen is one of these scalars; ``None``: it takes more than one."""
    tests = [compared(root, path, "eq", value) for value in values]
    plain = [test for test in tests if test is not None]
    return f"({jsonpath.any_of(plain)})" if plain and len(plain) == len(tests) else None


def _literal(op: str, value: Any) -> str | None:
    match value:
        case bool():
            return ("true" if value else "false") if op == "eq" else None
        case int() | float():
            return number_of(value)
        case str():
            return jsonpath.quoted(value)
        case _:
            return None


def merged(parts: Iterable[Fragment], symbol: str) -> list[Fragment]:
    """Return conditions with those that test one column by one predicate each made one.

    Args:
        parts: the conditions, to be joined by AND or OR.
        symbol: ``&&`` or ``||``, the same in the path language.
    """
    kept: list[Fragment] = []
    tests: dict[str, list[str]] = {}
    for part in parts:
        if part.text.endswith(_TEST) and len(part.values) == 1 and " " not in part.text.removesuffix(_TEST):
            if part.text not in tests:
                kept.append(part)
            tests.setdefault(part.text, []).append(part.values[0])
        else:
            kept.append(part)
    return [_joined(part, tests.get(part.text, ()), symbol) for part in kept]


def _joined(part: Fragment, predicates: Sequence[str], symbol: str) -> Fragment:
    if len(predicates) < 2:
        return part
    return Fragment(part.text, (f" {symbol} ".join(f"({predicate})" for predicate in predicates),))
