"""Inserting many rows in SQLite: by one statement, in which what all rows have alike stands as a literal,
and what several columns have alike is bound once.

Binding a value takes a tenth of the time that its whole row takes, and most columns of most documents are
empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from docstore_sql.session import name_columns

from docstore.backend import Row, column

__all__ = ["insertion"]

_LITERALS: Final = {None: "NULL", 0: "0", 1: "1"}
"""Few, so that there are few statements."""


def insertion(
    table: str, names: Sequence[str], numbers: Sequence[int], rows: Sequence[Row], *, marks: bool
) -> tuple[str, Iterator[tuple[Any, ...]]]:
    """Return a statement and what to execute it with, row by row.

    Args:
        table: as SQL text.
        names: the columns beside the number; the last two are the folds of the filename.
        numbers: of the rows.
        rows: at least one.
        marks: whether the fold for search keeps marks.
    """
    *stored, fold_name, search_name = names
    columns = {name: column(rows, name) for name in stored}
    folds = [name_columns(filename, marks=marks) for filename in columns["filename"]]
    folded, columns[search_name] = map(list, zip(*folds, strict=True))
    columns[fold_name] = columns["filename"] if folded == columns["filename"] else folded
    bound: list[Sequence[Any]] = [numbers]
    places: dict[int, int] = {}
    places_of = {}
    for name, values in columns.items():
        mark = _literal(values)
        if mark is None:
            if id(values) not in places:
                bound.append(values)
                places[id(values)] = len(bound)
            mark = f"?{places[id(values)]}"
        places_of[name] = mark
    if places_of["tenant"] == "NULL":
        places_of["tenant"] = "''"
    elif None in columns["tenant"]:
        places_of["tenant"] = f"coalesce({places_of['tenant']}, '')"
    values = ", ".join(places_of[name] for name in names)
    text = f"INSERT INTO {table} (number, {', '.join(names)}) VALUES (?1, {values})"
    return text, zip(*bound, strict=True)


def _literal(values: Sequence[Any]) -> str | None:
    """Return what a column has in all rows, ``None`` if it has to be bound."""
    first = values[0]
    if first is not None and type(first) is not int and type(first) is not bool:
        return None
    text = _LITERALS.get(first)
    return text if text is not None and values.count(first) == len(values) else None
