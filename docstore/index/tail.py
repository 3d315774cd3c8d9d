"""Tail: the records that changed since the last compaction. It answers the whole filter by itself.

The last changes lie loose and are put to the evaluator, one look each; where there are more, they are sealed
as a segment, whose terms are sets of places counted from 0, and so short. Segments of like size are merged.
A segment never changes, so its answers hold for good; a record that has changed again is not alive in it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from docstore.concurrency import looked_over
from docstore.index.bitmap import EMPTY, Bitmap, union
from docstore.index.columns import BitSlices, column_of, date_ordinal_of, double_ordinal_of
from docstore.index.extract import Record, TermTree
from docstore.index.search import LeafSearch, MatchSets, exact_sets, match_sets
from docstore.index.terms import DATES, EVERY, MOST_KEYS, WIDTHS
from docstore.query.evaluator import compile as compile_expr
from docstore.query.expr import TRUE, Always, And, Expr, Leaf, Not, Occurs, Or, Path, leaves

# Changes that are put to the evaluator; from here on a segment is quicker.
LOOSE: Final = 128
# So many segments of like size become one.
_MERGED: Final = 4
# Answers that each segment, and each state of the tail, keeps.
_ANSWERS: Final = 64

# Returns a superset of the records that match a leaf on texts; `None`: they are very many.
Texts: TypeAlias = Callable[[Leaf], Bitmap | None]


@dataclass(frozen=True, slots=True)
class RecordView:
    """How an index reads its records.

    Attributes:
        fields: the indexed fields, and whether each is JSON.
        decode: makes of a record what the evaluator reads.
        is_whole: whether that holds whatever a filter can ask for; else the indexed fields alone.
    """

    fields: Mapping[str, bool]
    decode: Callable[[Any], Mapping[str, Any]]
    is_whole: bool

    def reads(self, expr: Expr) -> bool:
        """Return whether a record has all that a condition asks for."""
        return self.is_whole or all(
            not isinstance(leaf, Occurs) and (isinstance(leaf, Always) or leaf.path[0] in self.fields)
            for leaf in leaves(expr)
        )


class TailQuery:
    """A conjunction that is asked of changed records.

    Args:
        terms: all must hold; none: every record.
        key: their :func:`~docstore.index.search.answer_key`.
        reading: how the records are read.
        leaf: answers for one leaf.
        texts: answers for leaves on texts that the records do not hold.
    """

    __slots__ = ("_test", "key", "leaf", "reading", "rest", "terms", "texts")

    def __init__(
        self,
        terms: Sequence[Expr],
        key: str,
        reading: RecordView,
        leaf: LeafSearch,
        texts: Texts | None = None,
    ) -> None:
        self.terms: tuple[Expr, ...] = tuple(terms)
        self.key: str = key
        self.reading: RecordView = reading
        self.leaf: LeafSearch = leaf
        self.texts: Texts | None = texts
        self.rest: tuple[Expr, ...] = tuple(term for term in terms if not reading.reads(term))
        """The terms that the records cannot tell of."""
        self._test: Callable[[Mapping[str, Any]], bool] | None = None

    @property
    def where(self) -> Expr:
        """The conjunction."""
        return self.terms[0] if len(self.terms) == 1 else And(self.terms)

    @property
    def is_kept(self) -> bool:
        """Whether answers hold for good; not where texts come from somewhere else."""
        return not (self.texts is not None and self.rest)

    def holds(self, record: Record) -> bool:
        """Return whether a record matches all terms that it can tell of."""
        if self._test is None:
            rest = self.rest
            told = [term for term in self.terms if not any(term is one for one in rest)]
            self._test = compile_expr(And(tuple(told)) if told else TRUE)
        return self._test(self.reading.decode(record))

    def may_hold(self) -> Callable[[int], bool]:
        """Return a test by number for the terms that need more than the indexed fields."""
        found: list[Bitmap] = []
        for term in self.rest if self.texts is not None else ():
            bits = None if isinstance(term, And | Or | Not) or self.texts is None else self.texts(term)
            found += [] if bits is None else [bits]
        return lambda number: all(number in bits for bits in found)


class Segment:
    """Changed records: a :class:`~docstore.index.search.TermSource` of their places, from 0 on.

    Args:
        fields: the indexed fields, and whether each is JSON.
        records: by number, at least one.
    """

    __slots__ = ("_answers", "_fields", "_posts", "_sorted", "_tree", "numbers", "places", "records")

    def __init__(self, fields: Mapping[str, bool], records: Mapping[int, Record]) -> None:
        self.numbers: list[int] = sorted(records)
        self.places: dict[int, int] = {number: place for place, number in enumerate(self.numbers)}
        self.records: list[Record] = [records[number] for number in self.numbers]
        self._fields = fields
        self._tree: TermTree | None = None
        self._posts: dict[tuple[Path, bytes], Bitmap] = {}
        self._sorted: dict[tuple[Path, bytes], tuple[list[int], list[int]]] = {}
        self._answers: dict[str, tuple[int, int]] = {}

    def __len__(self) -> int:
        """Return the number of records, dead ones too."""
        return len(self.numbers)

    def find(self, question: TailQuery) -> tuple[int, int]:
        """Return the places of records that surely match, and of those that can match, dead ones too."""
        found = self._answers.get(question.key)
        if found is None:
            answer = match_sets(question.where, self, lambda leaf: question.leaf(leaf, self))
            low = answer.lower.integer
            found = low, low if answer.is_exact else answer.upper.integer
            if question.is_kept:
                if len(self._answers) >= _ANSWERS:
                    self._answers.clear()
                self._answers[question.key] = found
        return found

    def numbered(self, places: int) -> list[int]:
        """Return the numbers of the records at some places."""
        numbers = self.numbers
        return [numbers[place] for place in Bitmap.of_integer(places).members]

    def placed(self, numbers: Bitmap) -> Bitmap:
        """Return the places of the records that are among some numbers."""
        return Bitmap.of([place for place, number in enumerate(self.numbers) if number in numbers])

    def alive(self, places: int) -> dict[int, Record]:
        """Return the records at some places by number."""
        return {self.numbers[place]: self.records[place] for place in Bitmap.of_integer(places).members}

    # -- a source ------------------------------------------------------------------------------------------

    @property
    def tree(self) -> TermTree:
        """The terms, by place."""
        if self._tree is None:
            self._tree = TermTree(self._fields, dict(enumerate(self.records)))
        return self._tree

    def has_field(self, name: str) -> bool:
        """Return whether the terms of this field are kept."""
        return name in self._fields

    def posting(self, path: Path, key: bytes) -> Bitmap:
        """Return the places of the records that have the term."""
        if key == EVERY and not path:  # what asks for all of them needs no terms
            return Bitmap.of_integer((1 << len(self.numbers)) - 1)
        place = (path, key)
        found = self._posts.get(place)
        if found is None:
            # an integer: sets of a thousand places are short, and the algebra takes less than on lists
            found = self._posts[place] = Bitmap.of_integer(self.tree.posting(path, key).integer)
        return found

    def postings(self, path: Path, keys: Sequence[bytes]) -> Iterable[Bitmap]:
        """Return the places of the records that have each of the terms."""
        return [self.posting(path, key) for key in keys]

    def any_posting(self, path: Path, keys: Sequence[bytes]) -> Bitmap:
        """Return the places of the records that have any of the terms."""
        found, there = 0, self.tree.root.at(path)
        if there is not None:
            for key in keys:
                if key in there.postings:
                    found |= self.posting(path, key).integer
        return Bitmap.of_integer(found)

    def keys(self, path: Path, first: bytes, end: bytes) -> Sequence[bytes] | None:
        """Return the value keys of a range, ``None`` if there are too many."""
        found = self.tree.keys(path, first, end)
        return sorted(found) if len(found) <= MOST_KEYS else None

    def compare(self, path: Path, column: bytes, ordinal: int) -> tuple[Bitmap, Bitmap, Bitmap]:
        """Return the places in a column with a lesser, the same and a greater value than ``ordinal``."""
        found = self._sorted.get((path, column))
        if found is None:
            found = self._sorted[path, column] = self._sort(path, column)
        ordinals, below = found
        first = bisect_left(ordinals, ordinal)
        last = bisect_right(ordinals, ordinal, first)
        parts = (below[first], below[last] ^ below[first], below[-1] ^ below[last])
        lesser, level, greater = map(Bitmap.of_integer, parts)
        return lesser, level, greater

    def _sort(self, path: Path, column: bytes) -> tuple[list[int], list[int]]:
        """Return a column's ordinals, ascending, and the set of places before each and after the last."""
        node, width = self.tree.root.at(path), WIDTHS[column]
        places, values = ((), b"") if node is None else node.column(column)
        read = date_ordinal_of if column == DATES else double_ordinal_of
        pairs = sorted(
            (read(values[at * width : (at + 1) * width]), place) for at, place in enumerate(places)
        )
        below = [0]
        for _, place in pairs:
            below.append(below[-1] | 1 << place)
        return [found for found, _ in pairs], below

    def column(self, path: Path, column: bytes) -> BitSlices:
        """Return the slices of a column."""
        return column_of(self.tree, path, column)


class Tail:
    """All changes since a compaction, as one reader sees them; immutable.

    Args:
        reading: how records are read.

    Attributes:
        loose: changed records by number that are in no segment.
        segments: the others, each with the places that are alive in it.
        stale: the numbers of all changed records, removed ones too: the bulk does not count there.
    """

    __slots__ = ("_found", "loose", "reading", "segments", "stale")

    def __init__(self, reading: RecordView) -> None:
        self.reading: RecordView = reading
        self.loose: dict[int, Record] = {}
        self.segments: tuple[tuple[Segment, int], ...] = ()
        self.stale: Bitmap = EMPTY
        self._found: dict[str, MatchSets] = {}

    def changed(self, records: Mapping[int, Record | None]) -> Tail:
        """Return the tail with more records changed or added, or, where ``None``, removed."""
        after = Tail(self.reading)
        after.stale = union(self.stale, Bitmap.of(sorted(records)))
        after.loose = {**self.loose}
        segments = list(self.segments)
        for number, record in records.items():
            for at, (segment, alive) in enumerate(segments):
                place = segment.places.get(number)
                if place is not None and alive >> place & 1:
                    segments[at] = (segment, alive ^ (1 << place))
            if record is None:
                after.loose.pop(number, None)
            else:
                after.loose[number] = record
        if len(after.loose) > LOOSE:
            segments.append(_whole(Segment(self.reading.fields, after.loose)))
            after.loose = {}
        segments = [(segment, alive) for segment, alive in segments if alive]
        # Merging like sizes keeps the number of segments logarithmic in the changes.
        while _is_due(segments):
            some, segments = segments[-_MERGED:], segments[:-_MERGED]
            together: dict[int, Record] = {}
            for segment, alive in some:
                together.update(segment.alive(alive))
            segments.append(_whole(Segment(self.reading.fields, together)))
        after.segments = tuple(segments)
        return after

    def records(self) -> dict[int, Record]:
        """Return the changed records that there are by number."""
        found = {**self.loose}
        for segment, alive in self.segments:
            found.update(segment.alive(alive))
        return found

    def record(self, number: int) -> Mapping[str, Any]:
        """Return what the evaluator reads of one of the records."""
        return self.reading.decode(self._kept(number))

    def value(self, number: int, name: str) -> Any:
        """Return a column of one of the records, not JSON: nothing has to be decoded."""
        return self._kept(number).get(name)

    def _kept(self, number: int) -> Record:
        found = self.loose.get(number)
        if found is None:
            segment, place = next(
                (segment, place)
                for segment, alive in self.segments
                if (place := segment.places.get(number)) is not None and alive >> place & 1
            )
            found = segment.records[place]
        return found

    def find(self, question: TailQuery) -> MatchSets:
        """Return the match sets of the changed records. They are kept: a page and its total ask the same."""
        known = self._found.get(question.key)
        if known is None:
            known = self._answer(question)
            if question.is_kept:
                if len(self._found) >= _ANSWERS:
                    self._found.clear()
                self._found[question.key] = known
        return known

    def _answer(self, question: TailQuery) -> MatchSets:
        low: list[int] = []
        unsure: list[int] = []
        for segment, alive in self.segments:
            sure, possible = segment.find(question)
            if sure & alive:
                low += segment.numbered(sure & alive)
            if possible & ~sure & alive:
                unsure += segment.numbered(possible & ~sure & alive)
        loose = looked_over(self.loose.items())
        holding = [number for number, record in loose if question.holds(record)]
        if question.rest:
            may_hold = question.may_hold() if holding else bool
            unsure += filter(may_hold, holding)
        else:
            low += holding
        if not unsure:
            return exact_sets(Bitmap.of(sorted(low)) if low else EMPTY)
        return MatchSets(Bitmap.of(sorted(low)), Bitmap.of(sorted([*low, *unsure])))


def _whole(segment: Segment) -> tuple[Segment, int]:
    """Return a segment with all places alive."""
    return segment, (1 << len(segment)) - 1


def _is_due(segments: Sequence[tuple[Segment, int]]) -> bool:
    """Return whether the last segments are due to be merged: enough of them, and of like size."""
    last = segments[-_MERGED:]
    sizes = [alive.bit_count() for _, alive in last]
    return len(last) == _MERGED and max(sizes) < 2 * _MERGED * min(sizes)
