"""Inserting many rows in SQLite: by one statement, in which what all rows have alike stands as a literal.

Binding a value takes a tenth of the time that its whole row takes, and most columns of most documents are
empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from docstore.backend import Row
from docstore.query.text import fold
from docstore.rows import column

__all__ = ["insertion"]

_LITERALS: Final = {None: "NULL", 0: "0", 1: "1"}
"""Few, so that there are few statements."""


def insertion(
    table: str, names: Sequence[str], numbers: Sequence[int], rows: Sequence[Row]
) -> tuple[str, Iterator[tuple[Any, ...]]]:
    """Return a statement and what to execute it with, row by row.

    Args:
        table: as SQL text.
        names: the columns beside the number; the last is the folded filename.
        numbers: of the rows.
        rows: at least one.
    """
    columns = {name: column(rows, name) for name in names[:-1]}
    columns[names[-1]] = list(map(fold, columns["filename"]))
    marks = {name: _literal(values) or "?" for name, values in columns.items()}
    bound = [columns[name] for name in names if marks[name] == "?"]
    if marks["tenant"] != "?":
        marks["tenant"] = "''"  # no tenant: a text is never a literal
    elif None in columns["tenant"]:
        marks["tenant"] = "coalesce(?, '')"
    text = f"INSERT INTO {table} (number, {', '.join(names)}) VALUES (?, {', '.join(marks.values())})"
    return text, zip(numbers, *bound, strict=True)


def _literal(values: Sequence[Any]) -> str | None:
    """Return what a column has in all rows, ``None`` if it has to be bound."""
    first = values[0]
    if first is not None and type(first) is not int and type(first) is not bool:
        return None
    text = _LITERALS.get(first)
    return text if text is not None and values.count(first) == len(values) else None
