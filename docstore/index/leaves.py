"""What the facts say of one leaf of a filter.

What makes a leaf inexact: operands that are arrays or objects, ``$elemMatch``, numeric steps and nulls behind
arrays, tests of texts where there are too many different ones, and wild records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, assert_never

from docstore.concurrency import looked_over
from docstore.index.answers import Bounds, between, exactly, intersected, united
from docstore.index.bits import EMPTY, Bits, intersection, minus, union, union_all
from docstore.index.columns import date_ordinal, double_ordinal, equal_to_any
from docstore.index.facts import EVERY, WILD
from docstore.index.keys import (
    ARRAY,
    DATES,
    FALSE,
    KINDS,
    NULL,
    NUMBER,
    NUMBERS,
    OBJECT,
    STRING,
    TRUE,
    is_dated,
    number_key,
    size_key,
    text_key,
    text_of,
)  # fmt: skip
from docstore.index.ranges import ordered, slices
from docstore.index.source import Source
from docstore.query import evaluator
from docstore.query.expr import (
    All,
    Always,
    And,
    Compare,
    Contains,
    During,
    ElemMatch,
    Exists,
    Expr,
    In,
    Leaf,
    Match,
    Mod,
    Not,
    Occurs,
    Or,
    Path,
    Regex,
    Size,
    TypeIs,
)  # fmt: skip
from docstore.query.instants import text_spans
from docstore.query.paths import index_step

__all__ = ["doubted", "leaf_bounds", "texts_passing"]


def leaf_bounds(leaf: Leaf, source: Source) -> Bounds:
    """Return what ``source`` says of one leaf."""
    if isinstance(leaf, Always):
        return exactly(source.post((), EVERY) if leaf.value else EMPTY)
    if isinstance(leaf, Occurs) or leaf.path[0] == "filename" or not source.kept(leaf.path[0]):
        return Bounds(EMPTY, source.post((), EVERY))
    return doubted(_seen(leaf, source), leaf.path, source)


def doubted(found: Bounds, path: Path, source: Source) -> Bounds:
    """Leave to the evaluator the records whose facts do not tell."""
    doubtful = union(_indexed(path, source), source.post((), WILD))
    if not doubtful:
        return found
    low = minus(found.low, doubtful)
    return Bounds(low, union(found.high, doubtful))


def _indexed(path: Path, source: Source) -> Bits:
    """Return the records with an array where ``path`` has a step that may be an index: facts do not cover
    those.
    """
    return union_all(
        source.post(path[:at], ARRAY) for at in range(1, len(path)) if index_step(path[at]) is not None
    )


def _seen(leaf: Any, source: Source) -> Bounds:
    match leaf:
        case Compare(path, "eq", value):
            return _equal(path, (value,), source)
        case Compare():
            return ordered(leaf, source)
        case In(path, values):
            return _equal(path, values, source)
        case All(path, values):
            return _every(path, values, source)
        case Exists(path):
            return exactly(_exists(path, source))
        case TypeIs(path, types):
            return _typed(path, types, source)
        case During(path, spans):
            return _during(path, spans, source)
        case Size(path, length):
            return exactly(source.post(path, size_key(length)))
        case Mod(path):
            return Bounds(EMPTY, source.post(path, NUMBER))
        case Regex(path, pattern, flags):
            return texts_passing(path, evaluator.matches_regex(pattern, flags), b"", source)
        case Match(path, kind, text):
            start = text.encode() if kind == "starts_with" else b""
            return texts_passing(path, evaluator.matches_text(leaf), start, source)
        case Contains(path, values, every):
            return _contains(path, values, every, source)
        case ElemMatch(path, condition, of):
            return Bounds(
                EMPTY, intersection(source.post(path, ARRAY), _element(path, condition, of, source))
            )
        case _:
            assert_never(leaf)


def _exists(path: Path, source: Source) -> Bits:
    return union_all(source.post(path, kind) for kind in KINDS)


def _null(path: Path, source: Source) -> Bounds:
    """Null or missing (rules 9 and 11): what is behind an array needs a look, where something lacks the
    path.
    """
    every = source.post((), EVERY)
    arrays = union_all(source.post(path[:at], ARRAY) for at in range(1, len(path)))
    null = source.post(path, NULL)
    missing = minus(every, _exists(path, source))
    if not arrays:
        return exactly(union(null, missing))
    return between(union(null, minus(missing, arrays)), arrays)


def _equal(path: Path, values: Sequence[Any], source: Source) -> Bounds:
    keys: list[bytes] = []
    numbers: list[int] = []
    dates: list[str] = []
    parts: list[Bounds] = []
    for value in looked_over(values):
        kind = type(value)
        if kind is str:
            keys.append(text_key(value))
            if is_dated(value):
                dates.append(value)
        elif kind is bool:
            keys.append(TRUE if value else FALSE)
        elif kind is int or kind is float:
            keys.append(number_key(value))
            if float(value) == value:
                numbers.append(double_ordinal(value))
        elif value is None:
            parts.append(_null(path, source))
        else:
            parts.append(Bounds(EMPTY, source.post(path, ARRAY if kind is list else OBJECT)))
    if keys:
        parts.append(exactly(source.post(path, keys[0]) if len(keys) == 1 else source.posts(path, keys)))
    if numbers:
        parts.append(exactly(_in_column(path, NUMBERS, numbers, source)))
    for whole in (True, False):
        texts = [text for text in dates if (len(text.encode()) < 16) is whole]
        if texts:
            found = _in_column(path, DATES, [date_ordinal(text) for text in texts], source)
            parts.append(exactly(found) if whole else Bounds(EMPTY, found))
    return parts[0] if len(parts) == 1 else united([part for part in parts if part.high] or [exactly(EMPTY)])


def _during(path: Path, spans: Sequence[tuple[int, int]], source: Source) -> Bounds:
    """Return the records with texts that may be instants within the spans, by how such texts begin."""
    parts = []
    for first, last in text_spans(spans):
        after = ordered(Compare(path, "gte", first), source)
        parts.append(
            after.high
            if last is None
            else intersection(after.high, ordered(Compare(path, "lt", last), source).high)
        )
    return Bounds(EMPTY, union_all(parts))


def _every(path: Path, values: Sequence[Any], source: Source) -> Bounds:
    """Return the records that have each of the values."""
    parts: list[Bounds] = []
    for value in values:
        parts.append(_equal(path, (value,), source))
        if not parts[-1].high:
            return exactly(EMPTY)
    return intersected(parts, source)


def _in_column(path: Path, column: bytes, ordinals: Sequence[int], source: Source) -> Bits:
    present = source.post(path, column)
    if not present:
        return EMPTY
    return equal_to_any(slices(path, column, source), column, present, ordinals)


def texts_passing(path: Path, test: Callable[[Any], bool], start: bytes, source: Source) -> Bounds:
    """Ask a test of texts of each different text."""
    dated = source.post(path, DATES)
    long = source.keys(path, b"t", b"u")
    short = source.keys(path, b"s" + start, b"s" + start + b"\xff" if start else b"t")
    if short is None or long is None:
        return Bounds(EMPTY, source.post(path, STRING))
    fitting = [key for key in looked_over(short) if test(text_of(key))]
    low = source.posts(path, fitting) if fitting else EMPTY
    likely = [key for key in long if key[1:25].startswith(start[:24])]
    rest = union(dated, source.posts(path, likely)) if likely else dated
    return between(low, rest)


def _typed(path: Path, types: frozenset[str], source: Source) -> Bounds:
    kinds = {
        "null": (NULL,),
        "bool": (FALSE, TRUE),
        "string": (STRING,),
        "array": (ARRAY,),
        "object": (OBJECT,),
    }
    keys = [key for name, found in kinds.items() if name in types for key in found]
    numeric = types & {"number", "int", "long", "double", "date"}
    found = union_all(source.post(path, key) for key in keys)
    if not numeric:
        return exactly(found)
    if "number" in types and len(path) > 1:
        return exactly(union(found, source.post(path, NUMBER)))
    return between(found, source.post(path, NUMBER))


def _contains(path: Path, values: Sequence[Any], every: bool, source: Source) -> Bounds:
    arrays = source.post(path, ARRAY)
    parts = [_equal(path, (value,), source).high for value in values]
    if every:
        found = arrays
        for part in parts:
            found = intersection(found, part)
        return Bounds(EMPTY, found)
    return Bounds(EMPTY, intersection(arrays, union_all(parts)))


def _element(path: Path, condition: Expr, of: str, source: Source) -> Bits:
    """Return the records in which an element may satisfy ``condition``: each positive leaf is asked of the
    array's own path.
    """
    match condition:
        case And(terms):
            found = source.post((), EVERY)
            for term in terms:
                found = intersection(found, _element(path, term, of, source))
            return found
        case Or(terms):
            return union_all(_element(path, term, of, source) for term in terms)
        case Not() | Always() | Occurs():
            return source.post((), EVERY)
        case _:
            if of == "records" and index_step(condition.path[0]) is not None:
                return source.post((), EVERY)
            if of == "values" and isinstance(condition, (Contains, Size, ElemMatch)):
                return source.post((), EVERY)  # of arrays within arrays there are no facts
            return leaf_bounds(_moved(condition, path), source).high


def _moved(leaf: Any, path: Path) -> Any:
    return replace(leaf, path=(*path, *leaf.path))
