"""Counts by value from the facts: a popcount for each text, boolean and null at a path.

Numbers and dates stand in columns, long texts by a digest, and arrays on the way hide what is behind them:
where a match has such, whoever reads the records counts.
"""

from __future__ import annotations

from typing import Any, Final

from docstore.concurrency import looked_over
from docstore.index.bits import Bits, intersection, minus, union_all
from docstore.index.facts import WILD
from docstore.index.keys import ARRAY, DATES, FALSE, KINDS, NULL, NUMBER, TRUE
from docstore.index.snapshot import Answer, Snapshot
from docstore.query.expr import Path
from docstore.query.facets import Facet, group

__all__ = ["count_by"]

MOST_VALUES: Final = 4_096
"""Texts at a path that are counted one by one; each takes as long as reading a few records."""


def count_by(index: Snapshot, found: Answer, path: Path) -> Facet | None:
    """Return how many of the records that match have each value at a path; ``None``: facts do not tell.

    Args:
        index: the index.
        found: what it says of the filter.
        path: into one of its fields.
    """
    bulk, matches = index.bulk, found.bulk.low
    if not found.exact or not bulk.kept(path[0]) or path[0] == "filename" or _is_hidden(index, matches, path):
        return None
    keys = bulk.keys(path, b"s", b"t")
    if keys is None or len(keys) > MOST_VALUES:
        return None
    there = union_all(bulk.post(path, kind) for kind in KINDS)
    nothing = minus(matches, minus(there, bulk.post(path, NULL))).count  # null, in an array too, or missing
    counted: list[tuple[Any, int]] = [(None, nothing)]
    counted += [(flag, _among(matches, bulk.post(path, key))) for key, flag in _FLAGS]
    counted += [(key[1:].decode(), _among(matches, bulk.post(path, key))) for key in looked_over(keys)]
    changed = group(map(index.tail.record, found.tail.low.members), path)
    return Facet([*((value, count) for value, count in counted if count), *changed.items()])


_FLAGS: Final = ((TRUE, True), (FALSE, False))


def _among(matches: Bits, having: Bits) -> int:
    return intersection(matches, having).count


def _is_hidden(index: Snapshot, matches: Bits, path: Path) -> bool:
    """Return whether a match of the bulk has a value that no posting tells."""
    bulk = index.bulk
    columns = [bulk.post((), WILD), bulk.post(path, NUMBER), bulk.post(path, DATES)]
    columns += [bulk.post(path[:at], ARRAY) for at in range(1, len(path))]
    if any(intersection(matches, bits) for bits in columns):
        return True
    long = bulk.keys(path, b"t", b"u")
    return long is None or (bool(long) and bool(intersection(matches, bulk.posts(path, long))))
