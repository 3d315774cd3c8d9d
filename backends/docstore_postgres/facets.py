"""Counts by a path into JSON: Postgres groups the values, and equal arrays are opened once.

An array on the way, or at the end, is one group together with its depth. Each value seen in it then counts
for as many records as have that array.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from docstore_sql.fragment import Fragment

from docstore.query.expr import Path
from docstore.query.facets import Facet, values_at

__all__ = ["counted", "grouped"]

# From this number on `jsonb` does not tell a whole number from a double.
_AMBIGUOUS_FROM = 10**16


def grouped(path: Path, source: Fragment) -> Fragment:
    """Return the statement that groups rows by the value at a path.

    Args:
        path: a JSON field and at least one step.
        source: ``FROM … WHERE …``, with the alias ``d``.

    Returns:
        A statement for the value and the number of rows of each group. The value is NULL where the path
        leads nowhere, ``[depth, array]`` where it meets an array.
    """
    steps, last = path[1:], len(path) - 1
    reached = [f"(d.{path[0]}_json{' -> %s::text' * at})" for at in range(last + 1)]
    cases = [
        f"WHEN jsonb_typeof({value}) = 'array' THEN jsonb_build_array({at}, {value})"
        for at, value in enumerate(reached)
    ]
    values = tuple(step for at in range(last + 1) for step in steps[:at] * 2) + steps
    start = f"SELECT CASE {' '.join(cases)} ELSE {reached[last]} END, count(*)"
    return Fragment(f"{start}{source.text} GROUP BY 1", values + source.values)


def counted(path: Path, groups: Iterable[tuple[Any, int]]) -> Facet | None:
    """Return the counts of all groups, None if the type of a number is not certain.

    Args:
        path: as for :func:`grouped`.
        groups: the rows of its statement.
    """
    pairs: list[tuple[Any, int]] = []
    for found, rows in groups:
        values = _opened(path, *found) if isinstance(found, list) else [found]
        for value in values:
            if type(value) is int and abs(value) >= _AMBIGUOUS_FROM:
                return None
            if not isinstance(value, dict):
                pairs.append((value, rows))
    return Facet(pairs)


def _opened(path: Path, depth: int, array: list[Any]) -> list[Any]:
    """Return the different values seen at a path in a record with this array at some depth of it."""
    value: Any = array
    for step in reversed(path[1 : depth + 1]):
        value = {step: value}
    return values_at({path[0]: value}, path)
