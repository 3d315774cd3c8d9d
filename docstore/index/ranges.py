"""Ranges of one path's values by its facts: of numbers and dates by columns of bits, of texts by keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from docstore.index.answers import Bounds, between, exactly, intersected, united
from docstore.index.bits import EMPTY, Bits, minus, union, union_all
from docstore.index.columns import double_ordinal, slice_key
from docstore.index.keys import (
    ARRAY,
    DATES,
    FALSE,
    NUMBER,
    NUMBERS,
    OBJECT,
    STRING,
    TRUE,
    number_key,
)  # fmt: skip
from docstore.index.source import Source
from docstore.query import evaluator
from docstore.query.expr import Compare, Path

__all__ = ["ordered", "slices", "texts_within"]

_Keys: TypeAlias = tuple[bytes, bytes]
"""Value keys from the first on, before the second."""


def slices(path: Path, column: bytes, source: Source) -> Callable[[int], Bits]:
    """Return what reads the slices of a column of a path."""
    return lambda at: source.post(path, slice_key(column, at))


def ordered(leaf: Compare, source: Source) -> Bounds:
    """Return what the facts say of ``$gt $gte $lt $lte`` (rule 12)."""
    value, path, kind = leaf.value, leaf.path, type(leaf.value)
    if kind is bool:
        held = [key for key, one in ((FALSE, False), (TRUE, True)) if evaluator.comparison(leaf)(one)]
        return exactly(union_all(source.post(path, key) for key in held))
    if kind is int or kind is float:
        return united([_number_range(leaf, source), _key_range(leaf, number_key(value), b"n", source)])
    if kind is str:
        return united([_date_range(leaf, source), _text_range(leaf, source)])
    return Bounds(EMPTY, source.post(path, ARRAY if kind is list else OBJECT))


def _number_range(leaf: Compare, source: Source) -> Bounds:
    present = source.post(leaf.path, NUMBERS)
    if not present:
        return exactly(EMPTY)
    nearest = float(leaf.value)
    lesser, level, greater = source.compared(leaf.path, NUMBERS, double_ordinal(nearest))
    found = greater if leaf.op in ("gt", "gte") else lesser
    beside = (nearest > leaf.value) - (nearest < leaf.value)
    holds = leaf.op in ("gte", "lte") if not beside else (beside > 0) is (leaf.op in ("gt", "gte"))
    return exactly(union(found, level) if holds else found)


def _date_range(leaf: Compare, source: Source) -> Bounds:
    present = source.post(leaf.path, DATES)
    if not present:
        return exactly(EMPTY)
    start = leaf.value[:16].encode()[:16]
    ordinal = int.from_bytes(start.ljust(16, b"\0"), "big")
    lesser, level, greater = source.compared(leaf.path, DATES, ordinal)
    found = greater if leaf.op in ("gt", "gte") else lesser
    if len(leaf.value.encode()) < 16:
        return exactly(union(found, level) if leaf.op in ("gte", "lte") else found)
    return between(found, level)


def _key_range(leaf: Compare, key: bytes, kind: bytes, source: Source) -> Bounds:
    """Return the records with a value key in the range."""
    return _keys_within(leaf.path, kind, _wanted(leaf, key, kind), source)


def _wanted(leaf: Compare, key: bytes, kind: bytes) -> _Keys:
    """Return the keys of a kind that a bound leaves, given that of its operand."""
    after = key + b"\0" if leaf.op in ("gt", "lte") else key
    return (after, bytes((kind[0] + 1,))) if leaf.op in ("gt", "gte") else (kind, after)


def _keys_within(path: Path, kind: bytes, wanted: _Keys, source: Source) -> Bounds:
    """Return the records with a value key in a range; where there are too many keys, all that have keys of
    the kind are unsure.
    """
    found = _run(path, wanted, source)
    if found is None:
        kinds = (NUMBER, NUMBERS) if kind == b"n" else (STRING, DATES)
        return Bounds(EMPTY, _beside(path, *kinds, source))
    return exactly(found)


def texts_within(leaves: Sequence[Compare], source: Source) -> Bounds:
    """Return what the facts say of several bounds on the one text that a record has at their path.

    Args:
        leaves: all with a text and one path, at which no record has two values.
        source: the facts.
    """
    ranges = [_wanted(leaf, b"s" + leaf.value.encode(), b"s") for leaf in leaves]
    wanted = max(first for first, _ in ranges), min(end for _, end in ranges)
    return united(
        [
            _keys_within(leaves[0].path, b"s", wanted, source),
            intersected([_date_range(leaf, source) for leaf in leaves], source),
            intersected([_long_range(leaf, source) for leaf in leaves], source),
        ]
    )


def _text_range(leaf: Compare, source: Source) -> Bounds:
    short = _key_range(leaf, b"s" + leaf.value.encode(), b"s", source)
    return united([short, _long_range(leaf, source)])


def _long_range(leaf: Compare, source: Source) -> Bounds:
    """Return the records with a text in the range that is too long to be a key whole."""
    encoded = leaf.value.encode()
    start = b"t" + encoded[:24]
    behind = start + b"\xff" * 17 if len(encoded) >= 24 else start
    level = _run(leaf.path, (start, behind), source)
    rest = (behind, b"u") if leaf.op in ("gt", "gte") else (b"t", start)
    sure = _run(leaf.path, rest, source)
    if level is None or sure is None:
        return Bounds(EMPTY, _beside(leaf.path, STRING, DATES, source))
    return between(sure, level)


def _run(path: Path, wanted: _Keys, source: Source) -> Bits | None:
    """Return the records with a value key in a range; ``None`` where there are too many keys."""
    if wanted[0] >= wanted[1]:
        return EMPTY
    keys = source.keys(path, *wanted)
    return None if keys is None else source.posts(path, keys)


def _beside(path: Path, kind: bytes, column: bytes, source: Source) -> Bits:
    """Return the records of a kind that are not in its column."""
    return minus(source.post(path, kind), source.post(path, column))
