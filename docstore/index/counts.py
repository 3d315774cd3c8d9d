"""Counts: how many records have each value at a path, by postings and slices; a few records are left to read.

Texts, booleans and null are counted by popcount. Numbers are parted by the slices that tell them apart; where
that makes many parts, they are turned back into doubles. What no term tells, such as a long text or null
behind an array, is left: the caller reads those records.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from docstore.index.bitmap import EMPTY, Bitmap, difference, intersection, union, union_all
from docstore.index.columns import ValuesByRecord, double_of_ordinal, number_of
from docstore.index.search import TermSource
from docstore.index.snapshot import IndexMatches, Snapshot
from docstore.index.terms import (
    ARRAY,
    DATES,
    FALSE,
    KINDS,
    NULL,
    NUMBER,
    NUMBERS,
    OVERSIZED,
    STRING,
    TRUE,
    UTC_DATES,
    WHOLE_FLOATS,
    WIDTHS,
    float_key,
    is_dated,
    text_of,
)
from docstore.query.expr import Path
from docstore.query.facets import Bucket, group
from docstore.query.paths import index_step

# Up to so many different values for each record that has some are counted one by one: a value takes a quarter
# of the time that it takes to read a record.
VALUES_PER_RECORD: Final = 4
# From so many parts on, turning a column back into doubles is quicker: 20 ms for 100,000 records.
_MOST_PARTS: Final = 256
_FLAGS: Final = ((TRUE, True), (FALSE, False))
# The kinds of values that have keys, the columns that some of them are in instead, and the keys.
_KEYED: Final = {"numbers": (NUMBER, NUMBERS, b"n", b"o"), "texts": (STRING, DATES, b"s", b"t")}


@dataclass(frozen=True, slots=True)
class Counted:
    """What an index counts.

    Attributes:
        pairs: values, or buckets, each with a number of records; one may be there several times.
        left: the matching records of the bulk that are not counted: they have to be read.
        unsure: the records that can match and are not counted: they have to be put to the filter, too.
    """

    pairs: list[tuple[Any, int]]
    left: Bitmap
    unsure: Bitmap = EMPTY


def count_by(
    index: Snapshot, found: IndexMatches, path: Path, bucket: Bucket | None = None
) -> Counted | None:
    """Count the matching records by each value at a path, or each bucket; None if terms cannot tell.

    Args:
        index: the index.
        found: what it says of the filter.
        path: into one of its fields.
        bucket: puts values together; None counts each by itself.
    """
    if not index.bulk.has_field(path[0]) or path[0] == "filename":
        return None
    of_texts = bucket is not None and bucket.text_bytes > 0 and index.bulk.fields[path[0]]
    whole = _counted(index.bulk, found.bulk.lower, path, bucket, of_texts)
    pairs, changed = whole.pairs, found.tail.lower
    read: list[int] = [number for number in index.tail.loose if number in changed]
    for segment, alive in index.tail.segments:
        matches = intersection(segment.placed(changed), Bitmap.of_integer(alive))
        part = _counted(segment, matches, path, bucket, of_texts)
        pairs += part.pairs
        read += [segment.numbers[at] for at in part.left.members]
    pairs += group(map(index.tail.record, read), path, bucket).pairs()
    return Counted(pairs, whole.left, union(found.bulk.recheck, found.tail.recheck))


def _counted(
    source: TermSource, matches: Bitmap, path: Path, bucket: Bucket | None, of_texts: bool
) -> Counted:
    """Count some records of a source."""
    left = _left(source, matches, path, bucket, of_texts)
    keys: dict[str, Sequence[bytes]] = {"numbers": (), "texts": ()}
    for name, (kind, column, first, end) in _KEYED.items():
        if bucket is not None and of_texts is (name == "numbers"):
            continue
        having = intersection(matches, difference(source.posting(path, kind), source.posting(path, column)))
        found = source.keys(path, first, end) if having else ()
        if found is None or len(found) > VALUES_PER_RECORD * having.count:
            left = union(left, having)
        else:
            keys[name] = found
    matches = difference(matches, left)
    if of_texts:
        assert bucket is not None
        pairs = _instants(source, matches, path, keys["texts"], bucket)
    else:
        pairs = _numbers(source, matches, path, keys["numbers"], bucket)
    if bucket is not None:
        pairs = [pair for pair in pairs if pair[0] is not None]
    else:
        pairs += _texts(source, matches, path, keys["texts"])
        pairs += [(flag, _count(matches, source.posting(path, key))) for key, flag in _FLAGS]
        pairs.append((None, _count_nothing(source, matches, path)))
    return Counted([pair for pair in pairs if pair[1]], left)


def _left(source: TermSource, matches: Bitmap, path: Path, bucket: Bucket | None, of_texts: bool) -> Bitmap:
    """Return the matches with a value that no term tells."""
    # Whether an element lacks the rest of the path, and so counts as null, no term says (rule 9).
    steps = [at for at in range(1, len(path)) if bucket is None or index_step(path[at]) is not None]
    kept = [source.posting((), OVERSIZED)] if len(path) > 1 else []
    kept += [source.posting(path[:at], ARRAY) for at in steps]
    if of_texts:
        utc = source.posting(path, UTC_DATES)
        kept.append(difference(source.posting(path, DATES), utc))
        among = intersection(matches, utc)
        if bucket is not None and bucket.only_ends and among:
            # Sixteen bytes tell the first and the last minute. Whoever is in it is read.
            slices = source.column(path, DATES)
            kept += [slices.extreme(among, largest=largest)[1] for largest in (False, True)]
    elif bucket is None:
        # Texts that begin like dates are known by sixteen bytes: all of a shorter one, and it ends in zeros.
        dates = source.column(path, DATES)
        kept += [bits for bit, bits in dates.varying if bit <= 0xFF]
        kept += [dates.present] if dates.base & 0xFF else []
        long = source.keys(path, b"t", b"u")
        kept.append(matches if long is None else source.any_posting(path, long) if long else EMPTY)
    return union_all(intersection(matches, bits) for bits in kept if bits)


def _count(matches: Bitmap, bits: Bitmap) -> int:
    return intersection(matches, bits).count


def _count_nothing(source: TermSource, matches: Bitmap, path: Path) -> int:
    """Count the records with null, in an array too, or without the path."""
    there = union_all(source.posting(path, kind) for kind in KINDS)
    return difference(matches, difference(there, source.posting(path, NULL))).count


def _keyed(
    source: TermSource, matches: Bitmap, path: Path, keys: Sequence[bytes]
) -> Iterator[tuple[bytes, Bitmap]]:
    """Yield value keys with the matches that have each."""
    for key, bits in zip(keys, source.postings(path, keys), strict=True):
        if level := intersection(matches, bits):
            yield key, level


def _in_buckets(pairs: Iterable[tuple[Any, Bitmap]], bucket: Bucket) -> list[tuple[Any, int]]:
    """Count values by bucket: a record counts once for a bucket, however many values it has in it."""
    having: dict[Any, Bitmap] = {}
    for value, level in pairs:
        place = bucket(value)
        having[place] = union(having.get(place, EMPTY), level)
    return [(place, level.count) for place, level in having.items()]


def _texts(source: TermSource, matches: Bitmap, path: Path, keys: Sequence[bytes]) -> list[tuple[Any, int]]:
    keyed = _keyed(source, matches, path, keys)
    dated = _dates(source, matches, path, WIDTHS[DATES])
    return [(text_of(key), level.count) for key, level in keyed] + dated


def _instants(
    source: TermSource, matches: Bitmap, path: Path, keys: Sequence[bytes], bucket: Bucket
) -> list[tuple[Any, int]]:
    """Count texts that are instants; those of the column are all in UTC and begin with their day."""
    keyed = _keyed(source, matches, path, keys)
    texts = ((text, level) for key, level in keyed if (text := text_of(key)) is not None and is_dated(text))
    several = _in_buckets(texts, bucket)
    if bucket.only_ends:
        return several
    size = bucket.text_bytes
    days = [(text + "0001-01-01"[size:], count) for text, count in _dates(source, matches, path, size)]
    return [(bucket(text), count) for text, count in days] + several


def _numbers(
    source: TermSource, matches: Bitmap, path: Path, keys: Sequence[bytes], bucket: Bucket | None
) -> list[tuple[Any, int]]:
    """Count numbers: those of the column, of which a record has one, and those of arrays."""
    among = intersection(matches, source.posting(path, NUMBERS))
    floats, is_field = source.posting(path, WHOLE_FLOATS), len(path) == 1

    def is_one(least: int, most: int) -> bool:
        return bucket is not None and _has_one_bucket(bucket, least, most, is_field)

    if bucket is not None and bucket.only_ends:
        slices, rest = source.column(path, NUMBERS), EMPTY
        parts = [slices.extreme(among, largest=largest) for largest in (False, True)] if among else []
    else:
        parts, rest = _parts(source, path, NUMBERS, among, is_one)
    pairs: list[tuple[Any, int]] = []
    for ordinal, level in parts:
        with_float = intersection(level, floats)
        value = double_of_ordinal(ordinal)
        whole = math.ceil(value) if is_field or value.is_integer() else value
        pairs += [(whole, level.count - with_float.count), (value, with_float.count)]
    if rest:
        values = ValuesByRecord(source.column(path, NUMBERS))
        with_float = intersection(rest, floats)
        for some, is_float in ((with_float, True), (difference(rest, with_float), False)):
            counts = Counter(values.of(some.members))
            doubles = map(double_of_ordinal, counts)
            found = doubles if is_float else (int(one) if one.is_integer() else one for one in doubles)
            pairs += zip(found, counts.values(), strict=True)
    keyed = _keyed(source, matches, path, keys)
    several = [pair for key, level in keyed for pair in _typed(key, level, source, path)]
    if bucket is None:
        return pairs + [(value, level.count) for value, level in several]
    return [(bucket(value), count) for value, count in pairs if count] + _in_buckets(several, bucket)


def _typed(key: bytes, level: Bitmap, source: TermSource, path: Path) -> list[tuple[Any, Bitmap]]:
    """Return the number of a key, whole or a float, with its records; 1 and 1.0 are one to count."""
    value = number_of(key)
    if type(value) is float:
        return [(value, level)]
    as_float = intersection(level, source.posting(path, float_key(key)))
    return [(value, difference(level, as_float)), (float(value), as_float)] if as_float else [(value, level)]


def _has_one_bucket(bucket: Bucket, least: int, most: int, is_field: bool) -> bool:
    """Return whether all values between two ordinals are in one bucket, as whole numbers and as floats."""
    first, last = double_of_ordinal(least), double_of_ordinal(most)
    try:
        whole = (math.ceil(first), math.floor(last))
        # Buckets ascend with the values of a type: if both ends are in one, all between are.
        keys = {bucket(value) for value in (whole if is_field else (*whole, first, last))}
    except (OverflowError, ValueError):  # infinite, or no instant
        return False
    return len(keys) == 1 and whole[0] <= whole[1]


# -- columns -----------------------------------------------------------------------------------------------


def _parts(
    source: TermSource, path: Path, column: bytes, among: Bitmap, is_one: Callable[[int, int], bool]
) -> tuple[list[tuple[int, Bitmap]], Bitmap]:
    """Part records by the slices of their column until each part is one.

    Args:
        source: the terms.
        path, column: the column.
        among: records in it.
        is_one: whether all ordinals between two belong together; equal ones always do.

    Returns:
        The least ordinal that each part can have, and its records; and the records that were left when there
        were too many parts.
    """
    if not among:
        return [], EMPTY
    slices, is_listed = source.column(path, column), among.is_listed
    # What the slices behind a place can still add to an ordinal.
    rests = [0]
    for bit, _ in reversed(slices.varying):
        rests.append(rests[-1] | bit)
    rests.reverse()
    parts: list[tuple[int, Bitmap]] = []
    stack = [(among, 0, slices.base)]
    while stack:
        if len(parts) + len(stack) > _MOST_PARTS and not is_listed:
            return parts, union_all(level for level, _, _ in stack)
        level, place, least = stack.pop()
        while rests[place] and not is_one(least, least | rests[place]):
            bit, bits = slices.varying[place]
            place += 1
            # Of a short list of 2,000 an intersection takes 0.4 ms, of integers 5 µs.
            ones = intersection(level, bits) if is_listed else Bitmap.of_integer(level.integer & bits.integer)
            if not ones:
                continue
            rest = difference(level, ones) if is_listed else Bitmap.of_integer(level.integer ^ ones.integer)
            if rest:
                stack.append((rest, place, least))
            level, least = ones, least | bit
        parts.append((least, level))
    return parts, EMPTY


def _dates(source: TermSource, matches: Bitmap, path: Path, size: int) -> list[tuple[str, int]]:
    """Count the texts of the column of dates by so many of their first bytes."""
    among = intersection(matches, source.posting(path, DATES))
    shift = 8 * (WIDTHS[DATES] - size)
    parts, rest = _parts(source, path, DATES, among, lambda least, most: least >> shift == most >> shift)
    counts = Counter[int]()
    for ordinal, level in parts:
        counts[ordinal >> shift] += level.count
    if rest:
        slices = source.column(path, DATES)
        high, low = (ValuesByRecord(slices, bits).of(rest.members) for bits in (64, 0))
        for (first, last), count in Counter(zip(high, low, strict=True)).items():
            counts[(first << 64 | last) >> shift] += count
    texts = (ordinal.to_bytes(size, "big").rstrip(b"\0").decode(errors="ignore") for ordinal in counts)
    return list(zip(texts, counts.values(), strict=True))
