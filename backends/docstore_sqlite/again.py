"""Pages asked again: the numbers of the rows on a page, for as long as the index shows the same state.

What is on a page follows from the facts alone wherever the sets of its filter are exact. So the numbers that
were found once are right until a change is noted or folded, and a page that is asked again is one statement:
it reads those rows where the index stands as it did, and nothing where it does not. Only numbers are kept;
the rows are read each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from docstore.backend import Query

__all__ = ["LONGEST", "Page", "Pages", "page_text"]

LONGEST = 64
"""Pages of more rows are not kept."""
_WINDOWS = 8


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Attributes:
        numbers: of its rows, in order; never none.
        names: the columns that are read of them.
        text: the statement that reads those, and nothing where the index stands otherwise.
        values: what is bound in it.
    """

    numbers: list[int]
    names: tuple[str, ...]
    text: str
    values: tuple[Any, ...]

    def in_order(self, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return the rows that the statement found in the page's order, in which they are found in fact."""
        at = self.names.index("number")
        if [row[at] for row in rows] == self.numbers:
            return rows
        places = {number: place for place, number in enumerate(self.numbers)}
        return sorted(rows, key=lambda row: places[row[at]])


class Pages:
    """The pages last asked for of one filter in one order, by their windows. Threads may share it."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, ...], Page] = {}

    def get(self, query: Query) -> Page | None:
        """Return the page of a query, ``None`` if it is not kept; a position is of whole numbers here."""
        return self._kept.get((query.offset, query.limit, query.after, query.include))

    def put(self, query: Query, page: Page) -> None:
        """Keep a page, in the place of all others when there are many."""
        if len(self._kept) >= _WINDOWS:
            self._kept.clear()
        self._kept[query.offset, query.limit, query.after, query.include] = page


@lru_cache(maxsize=256)
def page_text(selected: str, table: str, state: tuple[str, str, str], rows: int) -> str:
    """Return the statement that reads so many rows by number, in one state of the index and in no other."""
    marks = ", ".join(["(?)"] * rows)
    generation, last, schemas = state
    return (
        f"WITH page (number) AS (VALUES {marks}) SELECT {selected} FROM page CROSS JOIN {table} AS d "
        f"ON d.number = page.number WHERE {generation} IS ? AND {last} IS ? AND {schemas} = ?"
    )
