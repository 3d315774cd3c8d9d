"""``sort="given"``: the order of the ids in a filter's top-level ``{"id": {"$in": […]}}``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from docstore.backend import Reader, Row, SortKey
from docstore.errors import InvalidSort
from docstore.listing import Cut, Listing, Position
from docstore.query import run
from docstore.query.cursor import Way
from docstore.query.expr import And, In
from docstore.query.normalize import normalize
from docstore.query.values import by_value

__all__ = ["GIVEN", "GivenOrder", "cut_of", "given_bound", "given_ids"]

GIVEN = "given"
_AT_ONCE = 1000


def given_ids(filter: Any) -> list[str]:
    """Return the different ids that a filter lists, in its order.

    Raises:
        InvalidSort: it lists none at its top.
    """
    condition = filter.get("id") if isinstance(filter, Mapping) else None
    ids = condition.get("$in") if isinstance(condition, Mapping) else None
    if not isinstance(ids, (list, tuple)):
        raise InvalidSort(
            "sort='given' keeps the order of a list of ids; expected {'id': {'$in': […]}} at the top of the "
            "filter",
            field=GIVEN,
        )
    texts = (by_value(id) for id in ids)
    return list(dict.fromkeys(text for text in texts if isinstance(text, str)))


def given_bound(bound: bytes, ids: Sequence[str]) -> bytes:
    """Return what cursors are bound to: the query, and the order of the ids."""
    said = bound + "\0".join(ids).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(said, digest_size=len(bound), person=b"docstore given").digest()


@dataclass(frozen=True, slots=True)
class GivenOrder:
    """The records of a listing in the order of ids.

    A position is the place of an id and the number of a record that has it: several tenants may each have
    one.
    """

    listing: Listing
    ids: Sequence[str]

    ORDER: ClassVar = (SortKey(("number",)), SortKey(("number",)))
    """What cursors take positions for: two whole numbers."""

    def all(self, reader: Reader) -> list[tuple[Position, Row]]:
        """Return all records with their positions, in order."""
        return self._among(reader, 0, len(self.ids))

    def cut(self, reader: Reader, offset: int, limit: int) -> tuple[Cut, int]:
        """Return the page behind an offset, and how many records there are."""
        found = self.all(reader)
        return self._cut(found, offset, min(offset + limit, len(found))), len(found)

    def cut_from(self, reader: Reader, position: Position, way: Way, limit: int) -> tuple[Cut, int]:
        """Return the page behind a position, or before it, and how many records there are."""
        found = self.all(reader)
        behind = sum(1 for at, _ in found if at <= position)
        if way == "next":
            return self._cut(found, behind, min(behind + limit, len(found)), position), len(found)
        return self._cut(found, max(behind - limit, 0), behind, position), len(found)

    def batch(self, reader: Reader, start: Position | None, size: int) -> list[Row]:
        """Return at most ``size`` records behind a position."""
        rows: list[Row] = []
        first = 0 if start is None else start[0]
        while len(rows) < size and first < len(self.ids):
            found = self._among(reader, first, min(first + max(size, _AT_ONCE), len(self.ids)))
            rows += [row for at, row in found if start is None or at > start]
            first += max(size, _AT_ONCE)
        return rows[:size]

    def position(self, row: Row) -> Position:
        """Return the position behind a record."""
        return self.ids.index(row["id"]), row["number"]

    def _among(self, reader: Reader, first: int, end: int) -> list[tuple[Position, Row]]:
        places = {id: first + at for at, id in enumerate(self.ids[first:end])}
        query = self.listing.query
        if first or end < len(self.ids):
            query = replace(query, where=normalize(And((query.where, In(("id",), tuple(places))))))
        rows = run.rows(reader, self.listing.plan, query)
        found = [((places[row["id"]], row["number"]), row) for row in rows if row["id"] in places]
        return sorted(found, key=lambda pair: pair[0])

    @staticmethod
    def _cut(
        found: Sequence[tuple[Position, Row]], first: int, end: int, came_from: Position | None = None
    ) -> Cut:
        cut = cut_of([at for at, _ in found], first, end, came_from)
        return replace(cut, rows=[row for _, row in found[first:end]])


def cut_of(found: Sequence[Position], first: int, end: int, came_from: Position | None = None) -> Cut:
    """Return the cut, its rows left to the caller, from one place to another among all positions in order.

    Args:
        found: all positions, ascending; their last values are whole numbers.
        first, end: the places.
        came_from: the position of the cursor that led here, to which an empty page leads back.
    """
    if first >= end:
        return Cut([], prev=came_from)
    before = found[first]
    return Cut(
        [],
        prev=(*before[:-1], before[-1] - 1) if first else None,
        next=found[end - 1] if end < len(found) else None,
    )
