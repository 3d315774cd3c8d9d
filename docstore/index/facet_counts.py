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
from docstore.index.source import Source
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
    if not found.exact or not index.bulk.kept(path[0]) or path[0] == "filename":
        return None
    counted = _counted(index.bulk, found.bulk.low, path)
    if counted is None:
        return None
    changed, loose = found.tail.low, index.tail.loose
    for segment, alive in index.tail.segments:
        matches = intersection(segment.placed(changed), Bits.of_integer(alive))
        more = _counted(segment, matches, path)
        if more is None:
            members = (segment.numbers[place] for place in matches.members)
            more = list(group(map(index.tail.record, members), path).items())
        counted += more
    last = [number for number in loose if number in changed]
    return Facet([*counted, *group(map(index.tail.record, last), path).items()])


def _counted(source: Source, matches: Bits, path: Path) -> list[tuple[Any, int]] | None:
    """Return the values that some records of a source have, and how many; ``None``: facts do not tell."""
    keys = source.keys(path, b"s", b"t")
    if keys is None or len(keys) > MOST_VALUES or _is_hidden(source, matches, path):
        return None
    there = union_all(source.post(path, kind) for kind in KINDS)
    nothing = minus(matches, minus(there, source.post(path, NULL)))  # null, in an array too, or missing
    counted: list[tuple[Any, int]] = [(None, nothing.count)]
    counted += [(flag, intersection(matches, source.post(path, key)).count) for key, flag in _FLAGS]
    counted += [
        (key[1:].decode(), intersection(matches, source.post(path, key)).count) for key in looked_over(keys)
    ]
    return [(value, count) for value, count in counted if count]


_FLAGS: Final = ((TRUE, True), (FALSE, False))


def _is_hidden(source: Source, matches: Bits, path: Path) -> bool:
    """Return whether a match has a value that no posting tells."""
    columns = [source.post((), WILD), source.post(path, NUMBER), source.post(path, DATES)]
    columns += [source.post(path[:at], ARRAY) for at in range(1, len(path))]
    if any(intersection(matches, bits) for bits in columns):
        return True
    long = source.keys(path, b"t", b"u")
    return long is None or (bool(long) and bool(intersection(matches, source.posts(path, long))))
