"""``sort="-score"``: the newest records that match a search, the most relevant first (rule 22a)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from docstore.backend import Reader, Row, SortKey
from docstore.errors import InvalidSort
from docstore.given_order import cut_of
from docstore.listing import Cut, Listing, Position
from docstore.query import run
from docstore.query.cursor import Way
from docstore.query.expr import In, Occurs
from docstore.query.relevance import score
from docstore.query.values import by_value

__all__ = ["NEWEST", "RankedOrder", "is_ranked", "ranked_bound"]

NEWEST = "-created_at"
"""The order in which records are taken for ranking."""
_SCORED_AT_ONCE = 100
"""Records whose contents are held at once: a content may have 50,000,000 characters."""
_SCORE_DIGITS = 10**9
"""Scores have nine decimals; as whole numbers they fit a cursor."""


def is_ranked(sort: Any, search: Any) -> bool:
    """Return whether a sort asks for relevance.

    Raises:
        InvalidSort: it does, without a search, ascending, or together with other keys.
    """
    keys = sort if isinstance(sort, (list, tuple)) else (sort,)
    names = [_spelled(key) for key in keys]
    if not any(name in ("score", "-score") for name in names if isinstance(name, str)):
        return False
    if names != ["-score"]:
        raise InvalidSort(
            f"sort={sort!r}: relevance is sorted by descending, and alone; write sort='-score'", field="score"
        )
    if not isinstance(search, str) or not search.strip():
        raise InvalidSort("sort='-score' orders by how well a search is met; give search= too", field="score")
    return True


def _spelled(key: Any) -> Any:
    if isinstance(key, (list, tuple)) and len(key) == 2:
        return f"-{by_value(key[0])}" if key[1] == -1 else by_value(key[0])
    return by_value(key)


def ranked_bound(bound: bytes) -> bytes:
    """Return what cursors are bound to: the query, and that its answers are ranked."""
    return hashlib.blake2b(bound, digest_size=len(bound), person=b"docstore ranked").digest()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


@dataclass(frozen=True, slots=True)
class RankedOrder:
    """The records of a listing by relevance.

    A position is the score, ``created_at`` and ``number`` of a record, all negative, so that what comes first
    is least.

    Attributes:
        listing: in the order of ``NEWEST``.
        terms: what the search asks for.
        most: how many records are ranked at most: the newest.
        known: the positions of the numbers that a walk has handed out last.
    """

    listing: Listing
    terms: Sequence[Occurs]
    most: int
    known: dict[int, Position] = field(default_factory=dict)

    ORDER: ClassVar = (SortKey(("number",)),) * 3
    """What cursors take positions for: three whole numbers."""

    def positions(self, reader: Reader) -> list[Position]:
        """Return the positions of all records that are ranked, in order."""
        plan, query = self.listing.plan, self.listing.query
        light = replace(
            query, limit=self.most, include=query.include - {"content"} if plan.is_pushed else query.include
        )
        rows = run.rows(reader, plan, light)
        if "content" not in query.collection.fields:
            return sorted(map(self._position, rows))
        found: list[Position] = []
        for start in range(0, len(rows), _SCORED_AT_ONCE):
            numbers = tuple(row["number"] for row in rows[start : start + _SCORED_AT_ONCE])
            found += map(self._position, self._numbered(reader, numbers, query.include | {"content"}))
        return sorted(found)

    def cut(self, reader: Reader, offset: int, limit: int) -> tuple[Cut, int]:
        """Return the page behind an offset, and how many records are ranked."""
        found = self.positions(reader)
        return self._cut(reader, found, offset, min(offset + limit, len(found))), len(found)

    def cut_from(self, reader: Reader, position: Position, way: Way, limit: int) -> tuple[Cut, int]:
        """Return the page behind a position, or before it, and how many records are ranked."""
        found = self.positions(reader)
        passed = sum(1 for at in found if at <= position)
        first, end = (passed, passed + limit) if way == "next" else (passed - limit, passed)
        return self._cut(reader, found, max(first, 0), min(end, len(found)), position), len(found)

    def batch(self, reader: Reader, start: Position | None, size: int) -> list[Row]:
        """Return at most ``size`` records behind a position."""
        found = [at for at in self.positions(reader) if start is None or at > start][:size]
        self.known.clear()
        self.known.update((-at[-1], at) for at in found)
        return self._rows(reader, found)

    def position(self, row: Row) -> Position:
        """Return the position behind a record of the last batch."""
        return self.known[row["number"]]

    def _position(self, row: Mapping[str, Any]) -> Position:
        filename, content, created = row["filename"], row.get("content"), row["created_at"]
        # A row that was broken by hand gets a place too: it is left out, with a warning, when it is read.
        points = score(self.terms, _text(filename) or "", _text(content))
        return -round(points * _SCORE_DIGITS), -(created if isinstance(created, int) else 0), -row["number"]

    def _cut(
        self, reader: Reader, found: list[Position], first: int, end: int, came_from: Position | None = None
    ) -> Cut:
        cut = cut_of(found, first, end, came_from)
        return replace(cut, rows=self._rows(reader, found[first:end]))

    def _rows(self, reader: Reader, found: Sequence[Position]) -> list[Row]:
        """Return the records at positions, in their order."""
        if not found:
            return []
        places = {-at[-1]: place for place, at in enumerate(found)}
        rows = self._numbered(reader, tuple(places), self.listing.query.include)
        return sorted(rows, key=lambda row: places[row["number"]])

    def _numbered(self, reader: Reader, numbers: tuple[int, ...], include: frozenset[str]) -> list[Row]:
        """Return the records with these numbers, all of which this snapshot has found already."""
        query = replace(self.listing.query, where=In(("number",), numbers), include=include)
        return run.rows(reader, self.listing.plan, query)
