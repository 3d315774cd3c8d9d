"""Rows by column: many new rows, kept as columns for as long as nobody asks for one of them.

Writing many documents goes a column at a time, from what the caller gave to what a database is handed. To
whom that means nothing this is a sequence of rows like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

from docstore.backend import Row

__all__ = ["Rows", "column"]


class Rows(Sequence[Row]):
    """New rows of one collection.

    Args:
        columns: a value for each row, by the column's name; every column, at least one.
    """

    __slots__ = ("columns",)

    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        self.columns: Mapping[str, Sequence[Any]] = columns

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self.columns.values())))

    @overload
    def __getitem__(self, at: int) -> Row: ...

    @overload
    def __getitem__(self, at: slice) -> list[Row]: ...

    def __getitem__(self, at: int | slice) -> Row | list[Row]:
        """Return a row, made anew."""
        if isinstance(at, slice):
            return list(self)[at]
        return {name: values[at] for name, values in self.columns.items()}

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the rows, made anew."""
        names = tuple(self.columns)
        for values in zip(*self.columns.values(), strict=True):
            yield dict(zip(names, values, strict=True))


def column(rows: Sequence[Row], name: str) -> Sequence[Any]:
    """Return one column of rows, which all have it."""
    return rows.columns[name] if isinstance(rows, Rows) else [row[name] for row in rows]
