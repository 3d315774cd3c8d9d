"""The numbers in the metadata as words of a tsvector: what ranges are found by with nothing declared.

A GIN index over ``jsonb`` has no order. Its sibling over a tsvector finds words by their beginnings; so each
number is a word of the path and the first 24 bits of the double that sorts by its bits, in hexadecimal, and a
range is some beginnings that cover it. What they find is a superset, and looked at again::

    PPPPPXXXXXX  a number X at the path P, whatever arrays are on the way
    PPPPPs       several numbers there, so that two bounds may be met by two of them
    PPPPPt       too many there to be words of their own
    u            too many paths: none of the record's numbers is a word
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias
from zlib import crc32

from docstore_sql.fragment import Fragment

from docstore.query.expr import And, Compare, ElemMatch, Expr, Or, Path
from docstore_postgres.reach import indexed
from docstore_postgres.values import LARGE

__all__ = ["index_numbers", "ranged"]

_PER_PATH, _PATHS, _MOST_SPANS = 8, 256, 16
_DIGITS = 6
_LAST = 16**_DIGITS - 1
_pack = struct.Struct(">d").pack
_TURNED = bytes(range(255, -1, -1))
_RANGES = frozenset(("gt", "gte", "lt", "lte"))
Span: TypeAlias = tuple[int, int]
"""The first and the last of the numbers' words, without the path, as whole numbers."""


def index_numbers(record: dict[str, Any]) -> tuple[str | None, bool]:
    """Return the words for the numbers in a JSON object, as the text of a tsvector (``None``: there are
    none), and whether one of the numbers is ``LARGE`` or beyond.
    """
    found = _gathered(record)
    if not found:
        return None, False
    words: list[str] = []
    most = 0.0
    for path, numbers in found.items():
        if len(numbers) == 1:
            (number,) = numbers
            most = max(most, number, -number)
            words.append(_word_of(path) + _digits(number))
        else:
            most = max(most, *map(abs, numbers))
            words += _several(_word_of(path), numbers)
    return " ".join(words) if len(found) <= _PATHS else "u", most >= LARGE


def _several(start: str, numbers: Iterable[float]) -> list[str]:
    ends = {_digits(number) for number in numbers}
    if len(ends) > _PER_PATH:
        return [f"{start}s", f"{start}t"]
    return [f"{start}s", *(start + end for end in ends)]


def _gathered(record: dict[str, Any]) -> dict[str, list[float]]:
    """Return the numbers in an object by their paths, each key with a NUL behind it, as no key has one."""
    found: dict[str, list[float]] = {}
    left: list[tuple[Any, str]] = [(record, "")]
    for value, path in left:
        if type(value) is list:
            for inner in value:
                kind = type(inner)
                if kind is int or kind is float:
                    found.setdefault(path, []).append(inner)
                elif kind is dict or kind is list:
                    left.append((inner, path))
            continue
        for key, inner in value.items():
            kind = type(inner)
            if kind is str:
                continue
            if kind is int or kind is float:
                found.setdefault(f"{path}{key}\0", []).append(inner)
            elif kind is dict or kind is list:
                left.append((inner, f"{path}{key}\0"))
    return found


@lru_cache(maxsize=4_096)
def _word_of(path: str) -> str:
    """Return what the words of a path begin with; those of others that begin alike are found, too."""
    return f"{crc32(path.encode('utf-8', 'surrogatepass')) & 0xFFFFF:05x}"


def _digits(number: float) -> str:
    """Return the first bits of a number's double, turned so that they sort as the numbers do."""
    if number > 0:
        return _pack(-number)[:3].hex()
    if number == 0:
        return "800000"
    return _pack(number)[:3].translate(_TURNED).hex()


# -- ranges ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """What a part of a filter implies: that a number stands in one of some spans.

    Attributes:
        spans: with what the words of the path begin with, and the mark of the records that are found, too.
        width: how much of all numbers they are: of several parts the one to look for is the narrowest.
    """

    spans: tuple[tuple[str, str, Span], ...]
    width: int

    def words(self) -> Iterator[str]:
        """Yield the words to look for, those that only begin so with ``:*``."""
        for start, mark, (first, last) in self.spans:
            yield start + mark
            for end in _cover(first, last):
                yield start + end


def ranged(where: Expr) -> Fragment | None:
    """Return what a condition implies of the numbers in the metadata, for their index; ``None``: nothing."""
    part = _implied(where, ())
    if part is None or len(part.spans) > _MOST_SPANS:
        return None
    words = dict.fromkeys((*part.words(), "u"))
    return Fragment("d.metadata_numbers @@ %s::tsquery", (" | ".join(words),))


def _implied(expr: Expr, base: Path) -> _Part | None:
    match expr:
        case Or(terms):
            found = [_implied(term, base) for term in terms]
            parts = [part for part in found if part is not None]
            if not parts or len(parts) < len(found):
                return None
            spans = tuple(span for part in parts for span in part.spans)
            return _Part(spans, sum(part.width for part in parts))
        case And(terms):
            return min(_of_all(terms, base), key=lambda part: part.width, default=None)
        case ElemMatch(path, condition):
            return _implied(condition, (*base, *path))
        case Compare():
            return min(_of_all((expr,), base), key=lambda part: part.width, default=None)
        case _:
            return None


def _of_all(terms: Iterable[Expr], base: Path) -> Iterator[_Part]:
    """Yield what each term of a conjunction implies, all the bounds of one path together."""
    bounds: dict[Path, list[Span]] = {}
    for term in terms:
        if isinstance(term, Compare):
            span, path = _span(term), (*base, *term.path)
            if span is not None and _is_indexed(path):
                bounds.setdefault(path, []).append(span)
        elif (part := _implied(term, base)) is not None:
            yield part
    for path, spans in bounds.items():
        start = _word_of("".join(f"{key}\0" for key in path[1:]))
        first, last = max(span[0] for span in spans), min(span[1] for span in spans)
        mark = "s" if len(spans) > 1 else "t"
        yield _Part(((start, mark, (first, last)),), max(last - first + 1, 0))


def _is_indexed(path: Path) -> bool:
    return path[0] == "metadata" and len(path) > 1 and not indexed(path[1:])


def _span(term: Compare) -> Span | None:
    """Return the words that a comparison leaves, a bound's own among them."""
    if term.op not in _RANGES or type(term.value) not in (int, float):
        return None
    at = int(_digits(term.value), 16)
    return (at, _LAST) if term.op in ("gt", "gte") else (0, at)


def _cover(first: int, last: int) -> Iterator[str]:
    """Yield beginnings that all words from ``first`` to ``last`` have, and no others."""
    size = 1
    width = _DIGITS
    while first <= last:
        if width and first % (size * 16) == 0 and first + size * 16 - 1 <= last:
            size, width = size * 16, width - 1
            continue
        if first + size - 1 > last:
            size, width = size // 16, width + 1
            continue
        yield f"{first // size:0{width}x}" + (":*" if width < _DIGITS else "") if width else ":*"
        first += size
