"""Orders of our own: the order of given ids (``sort="given"``), and relevance (``sort="-score"``)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeAlias

from docstore.backend import Reader, Row, SortKey, SortValue, capabilities_of
from docstore.context.collection_view import Listing
from docstore.errors import InvalidSort
from docstore.query import executor
from docstore.query.cursor import Way
from docstore.query.expr import And, In, Occurs
from docstore.query.planner import normalize
from docstore.query.search import score
from docstore.query.values import by_value

__all__ = [
    "GIVEN",
    "GivenOrder",
    "PageRows",
    "Position",
    "RankedOrder",
    "cut_of",
    "given_bound",
    "given_ids",
    "ranked_bound",
]

Position: TypeAlias = tuple[SortValue, ...]
GIVEN = "given"
# Ids of one statement; a page of few rows asks for as many, since some may be filtered out.
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class PageRows:
    """The rows of one page, and the positions before and behind it, where there is a way on."""

    rows: list[Row]
    prev: Position | None = None
    next: Position | None = None


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

    def cut(self, reader: Reader, offset: int, limit: int) -> tuple[PageRows, int]:
        """Return the page behind an offset, and how many records there are."""
        found = self.all(reader)
        return self._cut(found, offset, min(offset + limit, len(found))), len(found)

    def cut_from(self, reader: Reader, position: Position, way: Way, limit: int) -> tuple[PageRows, int]:
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
        rows = executor.rows(reader, self.listing.plan, query)
        found = [((places[row["id"]], row["number"]), row) for row in rows if row["id"] in places]
        return sorted(found, key=lambda pair: pair[0])

    @staticmethod
    def _cut(
        found: Sequence[tuple[Position, Row]], first: int, end: int, came_from: Position | None = None
    ) -> PageRows:
        cut = cut_of([at for at, _ in found], first, end, came_from)
        return replace(cut, rows=[row for _, row in found[first:end]])


def cut_of(found: Sequence[Position], first: int, end: int, came_from: Position | None = None) -> PageRows:
    """Return the cut, its rows left to the caller, from one place to another among all positions in order.

    Args:
        found: all positions, ascending; their last values are whole numbers.
        first, end: the places.
        came_from: the position of the cursor that led here, to which an empty page leads back.
    """
    if first >= end:
        return PageRows([], prev=came_from)
    before = found[first]
    return PageRows(
        [],
        prev=(*before[:-1], before[-1] - 1) if first else None,
        next=found[end - 1] if end < len(found) else None,
    )


# Records whose contents are held at once: a content may have 50,000,000 characters.
_SCORED_AT_ONCE = 250
_FOUND = frozenset({"number"})
# The columns that finding and scoring need, beside the content or its words.
_SCORED = frozenset({"number", "filename", "created_at"})
# Scores have nine decimals; as whole numbers they fit a cursor.
_SCORE_DIGITS = 10**9


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
        # With a residual the core reads whole rows anyway, so that nothing is gained by asking for few
        # columns.
        narrow = plan.window_pushed and not plan.is_careful
        light = replace(
            query, limit=self.most, include=query.include - {"content"} if plan.is_pushed else query.include,
            only=_FOUND if narrow and "content" in query.collection.fields else None,
        )  # fmt: skip
        rows = executor.rows(reader, plan, light)
        if "content" not in query.collection.fields:
            return sorted(map(self._position, rows))
        stored = narrow and capabilities_of(reader).reads_words and all(term.words for term in self.terms)
        read = "words" if stored else "content"
        include = query.include if stored else query.include | {read}
        found: list[Position] = []
        for start in range(0, len(rows), _SCORED_AT_ONCE):
            numbers = tuple(row["number"] for row in rows[start : start + _SCORED_AT_ONCE])
            scored = self._numbered(reader, numbers, include, _SCORED | {read} if narrow else None)
            found += map(self._position, scored)
        return sorted(found)

    def cut(self, reader: Reader, offset: int, limit: int) -> tuple[PageRows, int]:
        """Return the page behind an offset, and how many records are ranked."""
        found = self.positions(reader)
        return self._cut(reader, found, offset, min(offset + limit, len(found))), len(found)

    def cut_from(self, reader: Reader, position: Position, way: Way, limit: int) -> tuple[PageRows, int]:
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
        filename, created = _text(row["filename"]) or "", row["created_at"]
        stored = (_text(row["words"]) or "") if "words" in row else None
        # A row that was broken by hand gets a place too: it is left out, with a warning, when it is read.
        points = score(self.terms, filename, _text(row.get("content")), stored=stored)
        # As whole numbers, which a cursor holds exactly.
        return -round(points * _SCORE_DIGITS), -(created if isinstance(created, int) else 0), -row["number"]

    def _cut(
        self, reader: Reader, found: list[Position], first: int, end: int, came_from: Position | None = None
    ) -> PageRows:
        cut = cut_of(found, first, end, came_from)
        return replace(cut, rows=self._rows(reader, found[first:end]))

    def _rows(self, reader: Reader, found: Sequence[Position]) -> list[Row]:
        """Return the records at positions, in their order."""
        if not found:
            return []
        places = {-at[-1]: place for place, at in enumerate(found)}
        rows = self._numbered(reader, tuple(places), self.listing.query.include)
        return sorted(rows, key=lambda row: places[row["number"]])

    def _numbered(
        self,
        reader: Reader,
        numbers: tuple[int, ...],
        include: frozenset[str],
        only: frozenset[str] | None = None,
    ) -> list[Row]:
        """Return the records with these numbers, all of which this snapshot has found already."""
        query = replace(self.listing.query, where=In(("number",), numbers), include=include, only=only)
        return executor.rows(reader, self.listing.plan, query)
