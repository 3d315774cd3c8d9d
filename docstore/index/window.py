"""The window of an order: which of many records come first, decided on the index's columns alone as far as
it can be.

An order whose first key is a column of numbers, or ``number`` itself, can be cut without reading a row: by
bit slices
(:mod:`docstore.index.columns`) or by the sets' own order. Records that share the last value are left for
whoever reads the rows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from docstore.backend import SortKey
from docstore.index import columns
from docstore.index.bits import Bits, intersection, minus, union
from docstore.index.bounds import number_column
from docstore.index.columns import compared, double_ordinal
from docstore.index.keys import NUMBERS
from docstore.index.source import Source

__all__ = ["Cut", "after", "can_cut", "cut"]

_DENSE = 4096


@dataclass(frozen=True, slots=True)
class Cut:
    """Part of an order.

    Attributes:
        members: the records to read and sort.
        skip: how many of them to pass over, once sorted.
    """

    members: Bits
    skip: int


def can_cut(order: Sequence[SortKey], position: Sequence[Any] | None, source: Source) -> bool:
    """Return whether :func:`cut` and :func:`after` may serve ``order``: its first key is ``number``, or in
    a column of numbers.
    """
    path = order[0].path
    if path == ("number",):
        return True
    if len(path) > 1 or path[0] not in COLUMNS or not source.kept(path[0]):
        return False
    return position is None or abs(position[0]) <= _EXACT


_EXACT = 1 << 53
COLUMNS = frozenset({"created_at", "updated_at", "first_created_at", "attempts", "revision", "version"})
"""Record fields that are numbers and never ``None``."""


def after(found: Bits, order: Sequence[SortKey], position: Sequence[Any], source: Source) -> tuple[Bits, int]:
    """Return what of ``found`` can come strictly behind ``position``, and how many of those may not."""
    key, value = order[0], position[0]
    if key.path == ("number",):
        return _beyond(found, key.descending, value), 0
    present = source.post(key.path, NUMBERS)
    slices = number_column(key.path, source)
    lesser, level, greater = compared(slices, NUMBERS, intersection(found, present), double_ordinal(value))
    beyond = union(minus(found, present), lesser if key.descending else greater)
    if order[1].path == ("number",):
        return union(beyond, _beyond(level, order[1].descending, position[1])), 0
    return union(beyond, level), level.count


def _beyond(found: Bits, descending: bool, number: int) -> Bits:
    end = number + (not descending)
    if found.listed:
        at = bisect_left(found.members, end)
        return Bits.of(found.members[:at] if descending else found.members[at:])
    end = min(max(end, 0), found.integer.bit_length())  # a forged cursor may name any number
    below = Bits.of_integer((1 << end) - 1)
    return intersection(found, below) if descending else minus(found, below)


def cut(found: Bits, order: Sequence[SortKey], offset: int, limit: int, source: Source) -> Cut | None:
    """Return a superset, as small as can be, of the records ``offset`` to ``offset + limit`` of ``found``
    in ``order``.

    Returns:
        ``None`` where a value stands beside the column (a number beyond 2^53).
    """
    key = order[0]
    if key.path == ("number",):
        return _by_number(found, key.descending, offset, limit)
    if minus(found, source.post(key.path, NUMBERS)):
        return None
    slices = number_column(key.path, source)
    varying = source.varying(key.path, NUMBERS)
    return Cut(*columns.window(slices, varying, found, offset, limit, largest=key.descending))


def _by_number(found: Bits, descending: bool, offset: int, limit: int) -> Cut:
    if found.listed or found.count <= _DENSE:
        members = found.members
        chosen = (
            members[max(0, len(members) - offset - limit) : max(0, len(members) - offset)]
            if descending
            else (members[offset : offset + limit])
        )
        return Cut(Bits.of(chosen), 0)
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
    members = Bits.of_integer(integer).members
    end = len(members) - offset
    chosen = members[max(0, end - limit) : end] if descending else members[offset : offset + limit]
    return Cut(Bits.of([member + shift for member in chosen]), 0)
