"""What a condition on a JSON path requires, in the path language, for the GIN index.

A condition that walks arrays in SQL cannot use the index; one that it implies can, and stands before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from docstore_sql.fragment import TRUE, Fragment

from docstore.query.expr import And, Compare, Contains, ElemMatch, Expr, In, Path
from docstore_postgres import jsonpath
from docstore_postgres.reach import Root, indexed, tested

__all__ = ["element", "equality", "inside", "members", "one_of", "required"]

_MOST = 8
"""Implied conditions that are written at most."""
_FEW = 64


def required(root: Root, path: Path, predicates: Iterator[str]) -> Fragment:
    """Return up to eight implied predicates at ``path``; TRUE within an element or behind an index."""
    if root.depth or indexed(path):
        return TRUE
    kept = [predicate for predicate, _ in zip(predicates, range(_MOST), strict=False)]
    return tested(root.text, " && ".join(kept)) if kept else TRUE


def one_of(values: Sequence[Any]) -> str | None:
    """Return the test that an element equals one of these scalars, none null; ``None``: there are none."""
    tests = [test for value in values if (test := jsonpath.compared("eq", value)) is not None]
    return f"({jsonpath.any_of(tests)})" if tests else None


def equality(path: Path, value: Any) -> str:
    """Return the predicate that a scalar, no null, is seen at a path without indexes."""
    return jsonpath.exists(path, jsonpath.compared("eq", value))


def inside(path: Path, value: Any) -> Iterator[str]:
    """Yield what equality with an array or object implies: its scalars at their keys."""
    members = value.items() if isinstance(value, dict) else ((None, element) for element in value)
    for key, member in members:
        test = None if member is None or isinstance(member, list | dict) else jsonpath.compared("eq", member)
        if test is not None:
            steps = f".{jsonpath.quoted(key)}" if key is not None else "[*]"
            yield f"exists({jsonpath.reached(path)}{steps} ? ({test}))"


def members(leaf: Contains) -> list[str] | None:
    """Return tests of the path language that are, each of some element, what ``leaf`` asks of an array.

    ``None`` where arrays or objects are wanted, which the path language does not compare, or too many
    scalars.
    """
    if len(leaf.values) > _FEW or any(isinstance(value, list | dict) for value in leaf.values):
        return None
    tests = [test for value in leaf.values if (test := jsonpath.compared("eq", value)) is not None]
    return tests if leaf.every else [jsonpath.any_of(tests)] if tests else None


def element(path: Path, leaf: ElemMatch) -> Iterator[str]:
    """Yield what ``$elemMatch`` implies: every equality with a scalar that its element has to fulfil."""
    for term in _conjuncts(leaf.condition):
        test = _equality(term)
        if test is not None:
            inner = term.path if isinstance(term, Compare | In) else ()
            if leaf.of == "values" or not any(map(jsonpath.is_index, inner)):
                yield jsonpath.exists((*path, *inner), test)


def _conjuncts(expr: Expr) -> Iterator[Expr]:
    stack = [expr]
    while stack:
        node = stack.pop()
        if isinstance(node, And):
            stack.extend(reversed(node.terms))
        else:
            yield node


def _equality(term: Expr) -> str | None:
    match term:
        case Compare(_, "eq", value) if value is not None and not isinstance(value, list | dict):
            return jsonpath.compared("eq", value)
        case In(_, values) if len(values) <= _FEW and all(
            value is not None and not isinstance(value, list | dict) for value in values
        ):
            return one_of(values)
        case _:
            return None
