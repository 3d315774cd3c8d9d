"""Top-k: which of many records come first in an order, decided on the terms as far as they can decide.

A sort key parts the records into groups that follow one another (rule 20): those without a value, numbers,
texts, objects, false, true. Numbers are cut by bit slices, texts value by value; records that share a value
are cut by the next key, in the end by ``number``. So a page costs the same wherever it lies and however many
share a value. Arrays above all are left to whoever reads the rows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from docstore.index.bitmap import EMPTY, Bitmap, difference, intersection, union, union_all
from docstore.index.columns import BitSlices, date_ordinal, double_ordinal
from docstore.index.search import TermSource
from docstore.index.terms import (
    ARRAY,
    DATES,
    FALSE,
    NUMBER,
    NUMBERS,
    OBJECT,
    OVERSIZED,
    STRING,
    TRUE,
    WIDTHS,
    is_dated,
    text_key,
)
from docstore.query.expr import EMPTY_ARRAY, Compare, Expr, Path, SortKey
from docstore.query.values import INT64_MAX, INT64_MIN

# Candidates up to which a cut is worth it: they are read and sorted.
_DENSE = 4096
# Whole numbers up to here are doubles, which the column holds.
_EXACT = 1 << 53
# Different texts at a path that are ordered by their keys.
_MOST_TEXTS = 2000
_NEVER_NONE = frozenset({"created_at", "updated_at", "first_created_at", "attempts", "revision", "version"})
# The kinds of values in ascending order, behind what has none.
_GROUPS = (NUMBER, STRING, OBJECT, FALSE, TRUE)


@dataclass(frozen=True, slots=True)
class TopK:
    """Part of an order.

    Attributes:
        members: the records to read and sort.
        skip: how many of them to pass over, once sorted.
    """

    members: Bitmap
    skip: int


def is_ordered(order: Sequence[SortKey]) -> bool:
    """Return whether ``order`` is by a column that always holds a whole number, then by ``number``, both in
    one direction.
    """
    return (
        len(order) == 2
        and len(order[0].path) == 1
        and order[0].path[0] in _NEVER_NONE
        and order[1].path == ("number",)
        and order[0].descending == order[1].descending
    )


@dataclass(frozen=True, slots=True)
class OrderBounds:
    """Conditions on the column that an order is by, taken out of a conjunction.

    They are not asked of sets: a page begins at the first and is cut off behind the last.

    Attributes:
        rest: the other conditions.
        start: the position that the order begins behind, None for its beginning.
        first, last: the least and the greatest value that counts.
        descending: the direction of the order.
    """

    rest: tuple[Expr, ...]
    start: tuple[int, int] | None
    first: int
    last: int
    descending: bool

    def behind(self, after: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        """Return the position of a page behind another position, or behind none."""
        if self.start is None or after is None:
            return self.start if after is None else after
        if after[0] is None:
            return after if self.descending else self.start
        return min(self.start, after) if self.descending else max(self.start, after)

    def holds(self, value: Any) -> bool:
        """Return whether a value counts."""
        return type(value) is int and self.first <= value <= self.last


def order_bounds(terms: Sequence[Expr], order: Sequence[SortKey]) -> OrderBounds | None:
    """Take the conditions on an order's column out of a conjunction; None without any."""
    if not is_ordered(order):
        return None
    path, descending = order[0].path, order[0].descending
    bounds = [term for term in terms if isinstance(term, Compare) and term.path == path]
    if not bounds or not all(type(term.value) is int for term in bounds):
        return None
    first, last = INT64_MIN, INT64_MAX
    for term in bounds:
        if term.op in ("eq", "gt", "gte"):
            first = max(first, term.value + (term.op == "gt"))
        if term.op in ("eq", "lt", "lte"):
            last = min(last, term.value - (term.op == "lt"))
    start = None
    if descending and last < INT64_MAX:
        start = (last, INT64_MAX)
    elif not descending and first > INT64_MIN:
        start = (first, INT64_MIN)
    rest = tuple(term for term in terms if not any(term is one for one in bounds))
    return OrderBounds(rest, start, first, last, descending)


def can_cut(order: Sequence[SortKey], position: Sequence[Any] | None, source: TermSource) -> bool:
    """Return whether :func:`cut` and :func:`after` may serve ``order``, as far as the first key tells."""
    path = order[0].path
    if path == ("number",):
        return True
    if path == ("filename",) or not source.has_field(path[0]) or _has_arrays(path, source):
        return False
    value = None if position is None else position[0]
    if value is EMPTY_ARRAY or isinstance(value, list | dict):
        return False
    return not isinstance(value, int | float) or isinstance(value, bool) or abs(value) <= _EXACT


def _has_arrays(path: Path, source: TermSource) -> bool:
    if path[0] in _NEVER_NONE:
        return False
    return bool(source.posting((), OVERSIZED)) or any(
        source.posting(path[:at], ARRAY) for at in range(1, len(path) + 1)
    )


def _groups(found: Bitmap, path: Path, source: TermSource) -> Iterator[tuple[bytes, Bitmap]]:
    """Yield ``found`` in ascending groups, each with the kind of its values; ``b""``: none."""
    parts = [(kind, intersection(found, source.posting(path, kind))) for kind in _GROUPS]
    yield b"", difference(found, union_all(bits for _, bits in parts))
    yield from parts


def after(
    found: Bitmap, order: Sequence[SortKey], position: Sequence[Any], source: TermSource
) -> tuple[Bitmap, int]:
    """Return what of ``found`` can come strictly behind ``position``, and how many of those may not.

    The first key of ``order`` is one that :func:`can_cut` allows.
    """
    key, value = order[0], position[0]
    if key.path == ("number",):
        return _beyond(found, key.descending, value), 0
    kind, beyond, group = _kind(value), list[Bitmap](), found
    if not (kind == NUMBER and len(key.path) == 1 and key.path[0] in _NEVER_NONE):
        groups = list(_groups(found, key.path, source))
        at = [group for group, _ in groups].index(kind)
        group, rest = groups[at][1], groups[:at] if key.descending else groups[at + 1 :]
        beyond = [bits for _, bits in rest]
    parted = _parted(group, kind, key.path, value, source)
    if parted is None:
        return union_all((*beyond, group)), group.count
    lesser, level, greater = parted
    beyond.append(lesser if key.descending else greater)
    if not level or (kind == STRING and level.count > 1 and not _is_one(level, key.path, value, source)):
        return union_all((*beyond, level)), level.count
    if not can_cut(order[1:], position[1:], source):
        return union_all((*beyond, level)), level.count
    inner, slack = after(level, order[1:], position[1:], source)
    return union_all((*beyond, inner)), slack


def _kind(value: Any) -> bytes:
    if isinstance(value, bool):
        return TRUE if value else FALSE
    if isinstance(value, str):
        return STRING
    return b"" if value is None else NUMBER


def _parted(
    group: Bitmap, kind: bytes, path: Path, value: Any, source: TermSource
) -> tuple[Bitmap, Bitmap, Bitmap] | None:
    """Split a group into the records before, level with, and behind a value of its kind.

    None if terms cannot order the group.
    """
    if kind == NUMBER:
        column = source.posting(path, NUMBERS)
        lesser, level, greater = source.column(path, NUMBERS).compare(
            double_ordinal(value), intersection(group, column)
        )
        beside = difference(group, column)
        return (union(lesser, beside), level, union(greater, beside)) if beside else (lesser, level, greater)
    if kind != STRING:
        return EMPTY, group, EMPTY
    keys = _texts(path, source)
    dates = intersection(group, source.posting(path, DATES))
    if keys is None:
        return None
    lesser, level, greater = source.column(path, DATES).compare(date_ordinal(value), dates)
    sought = text_key(value)
    low, high = [key for key in keys if key < sought], [key for key in keys if key > sought]
    return (
        union(lesser, intersection(group, source.any_posting(path, low))),
        union(level, intersection(group, source.posting(path, sought))),
        union(greater, intersection(group, source.any_posting(path, high))),
    )


def _is_one(level: Bitmap, path: Path, value: str, source: TermSource) -> bool:
    """Return whether all of ``level`` have just this text, not only one that begins like it."""
    return not is_dated(value) or len(value.encode()) < WIDTHS[DATES]


def _texts(path: Path, source: TermSource) -> Sequence[bytes] | None:
    """Return the keys of the texts at a path; None if they are many, or too long to order."""
    keys = source.keys(path, b"s", b"u")
    if keys is None or len(keys) > _MOST_TEXTS or any(key[:1] == b"t" for key in keys):
        return None
    return keys


def _beyond(found: Bitmap, descending: bool, number: int) -> Bitmap:
    end = number + (not descending)
    if found.is_listed:
        at = bisect_left(found.members, end)
        return Bitmap.of(found.members[:at] if descending else found.members[at:])
    # A forged cursor may name any number: an unbounded shift would take all memory.
    end = min(max(end, 0), found.integer.bit_length())
    below = Bitmap.of_integer((1 << end) - 1)
    return intersection(found, below) if descending else difference(found, below)


def cut(found: Bitmap, order: Sequence[SortKey], offset: int, limit: int, source: TermSource) -> TopK | None:
    """Return a small superset of the records ``offset`` to ``offset + limit`` in ``order``.

    The first key of ``order`` is one that :func:`can_cut` allows.

    Returns:
        ``None`` where the terms do not order the records well enough.
    """
    key = order[0]
    if key.path == ("number",):
        return _by_number(found, key.descending, offset, limit)
    if found.is_listed and found.count <= _enough(limit):
        return TopK(found, offset)
    if len(key.path) == 1 and key.path[0] in _NEVER_NONE:
        return _cut_group(found, NUMBER, order, offset, limit, source)
    groups = list(_groups(found, key.path, source))
    taken: list[Bitmap] = []
    skip: int | None = None
    for kind, bits in reversed(groups) if key.descending else groups:
        count = bits.count
        if offset >= count:
            offset -= count
            continue
        part = _cut_group(bits, kind, order, offset, min(limit, count - offset), source)
        if part is None:
            return None
        taken.append(part.members)
        skip = part.skip if skip is None else skip
        limit -= count - offset
        offset = 0
        if limit <= 0:
            break
    return TopK(union_all(taken), skip or 0)


def _cut_group(
    bits: Bitmap, kind: bytes, order: Sequence[SortKey], offset: int, limit: int, source: TermSource
) -> TopK | None:
    key = order[0]
    if kind == NUMBER:
        if difference(bits, source.posting(key.path, NUMBERS)):
            return None

        def tie(level: Bitmap, offset: int, limit: int) -> tuple[Bitmap, int]:
            part = _cut_level(level, order, offset, limit, source)
            return part.members, part.skip

        slices = source.column(key.path, NUMBERS)
        return TopK(*cut_slices(slices, bits, offset, limit, tie, largest=key.descending))
    if kind == STRING:
        return _cut_texts(bits, order, offset, limit, source)
    if kind == OBJECT:
        return TopK(bits, offset) if bits.count <= _DENSE else None
    return _cut_level(bits, order, offset, limit, source)


def _cut_level(level: Bitmap, order: Sequence[SortKey], offset: int, limit: int, source: TermSource) -> TopK:
    """TopK records that share the first key's value by the next; where that cannot be, all are left."""
    part = cut(level, order[1:], offset, limit, source) if can_cut(order[1:], None, source) else None
    return TopK(level, offset) if part is None else part


def _cut_texts(
    bits: Bitmap, order: Sequence[SortKey], offset: int, limit: int, source: TermSource
) -> TopK | None:
    key = order[0]
    if bits.count <= 4 * limit + offset:
        return TopK(bits, offset)
    keys = _texts(key.path, source)
    dates = intersection(bits, source.posting(key.path, DATES))
    if keys is None or (dates and keys):
        return TopK(bits, offset) if bits.count <= _DENSE else None
    if dates:
        slices = source.column(key.path, DATES)
        return TopK(*cut_slices(slices, bits, offset, limit, _all_of, largest=key.descending))
    taken: list[Bitmap] = []
    skip: int | None = None
    for text in reversed(keys) if key.descending else keys:
        level = intersection(bits, source.posting(key.path, text))
        if offset >= level.count:
            offset -= level.count
            continue
        part = _cut_level(level, order, offset, min(limit, level.count - offset), source)
        taken.append(part.members)
        skip = part.skip if skip is None else skip
        limit -= level.count - offset
        offset = 0
        if limit <= 0:
            break
    return TopK(union_all(taken), skip or 0)


def _all_of(level: Bitmap, offset: int, limit: int) -> tuple[Bitmap, int]:
    return level, offset


def _by_number(found: Bitmap, descending: bool, offset: int, limit: int) -> TopK:
    if found.is_listed or found.count <= _DENSE:
        members = found.members
        chosen = (
            members[max(0, len(members) - offset - limit) : max(0, len(members) - offset)]
            if descending
            else (members[offset : offset + limit])
        )
        return TopK(Bitmap.of(chosen), 0)
    integer, shift = found.integer, 0
    while (wide := integer.bit_length()) > 1024:
        half = wide // 2
        upper, lower = integer >> half, integer & ((1 << half) - 1)
        first, second = (upper, lower) if descending else (lower, upper)
        count = first.bit_count()
        if count >= offset + limit:
            integer = first
            shift += half if descending else 0
        elif count <= offset:
            integer, offset = second, offset - count
            shift += 0 if descending else half
        else:
            break
    members = Bitmap.of_integer(integer).members
    end = max(0, len(members) - offset)
    chosen = members[max(0, end - limit) : end] if descending else members[offset : offset + limit]
    return TopK(Bitmap.of([member + shift for member in chosen]), 0)


# What cuts records that share a value: of these, from an offset, so many; returns what to sort and how many
# to skip.
Tie = Callable[[Bitmap, int, int], tuple[Bitmap, int]]
# So many of a set's lowest numbers are counted first: a set of frequent matches is not counted to its end.
_EARLY_BITS: Final = (1 << 14, 1 << 17)


def cut_slices(
    slices: BitSlices, among: Bitmap, offset: int, limit: int, tie: Tie, *, largest: bool
) -> tuple[Bitmap, int]:
    """Return candidates for ``offset`` to ``offset + limit`` by value, and how many to skip.

    Args:
        slices: the column; all of ``among`` have a value in it.
        among: the records.
        offset, limit: the window, in the order of the values.
        tie: cuts what no slice tells apart.
        largest: the greatest values come first.

    Returns:
        Few more than ``limit`` records, as far as ``tie`` can tell them apart. They stand without gaps in
        the order: whoever sorts them and skips has the window.
    """
    return _window(slices, 0, among.integer, among.count, offset, limit, tie, largest)


def _window(
    slices: BitSlices,
    place: int,
    level: int,
    total: int | None,
    offset: int,
    limit: int,
    tie: Tie,
    largest: bool,
) -> tuple[Bitmap, int]:
    """Do so with the slices from a place on; ``total`` is the number of records, where it is known."""
    end, begun, taken, skip = offset + limit, EMPTY, 0, 0  # those taken come before the rest of ``level``
    for at in range(place, len(slices.varying)):
        if total is not None and total <= _enough(end - offset):
            return union(begun, Bitmap.of_integer(taken | level)), skip + offset
        ones = level & slices.varying[at][1].integer
        if not ones or ones == level:
            continue
        first = ones if largest else level ^ ones
        count = _count_to(first, end)
        if end <= count:
            level, total = first, count if count < 2 * end else None
            continue
        if offset == 0:
            taken |= first
        elif offset < count:
            begun, skip = _window(slices, at + 1, first, count, offset, count - offset, tie, largest)
        level ^= first
        offset, end = max(0, offset - count), end - count
        total = None if total is None else total - count
    rest, skipped = tie(Bitmap.of_integer(level), offset, end - offset)
    return union(begun, union(Bitmap.of_integer(taken), rest)), skip + skipped


def _enough(limit: int) -> int:
    """Return how many records may be left: to leave out another takes longer than to sort it."""
    return limit + (limit >> 3) + 1


def _count_to(integer: int, enough: int) -> int:
    """Return the number of bits that are 1; where it is more than ``enough``, perhaps of a part only."""
    for bits in _EARLY_BITS:
        if bits < integer.bit_length():
            found = (integer & ((1 << bits) - 1)).bit_count()
            if found >= enough:
                return found
    return integer.bit_count()
