"""JSON values as ``jsonb`` beside the canonical text: numbers exact, folded strings at hand.

``jsonb`` reads a number as the decimal that is written. A large double is therefore written as the whole
number that it is, so that Postgres compares what the evaluator compares. A double with a fraction is the
shortest decimal that reads back as it.

Value terms: each number is also a word of a tsvector, the path and the first 24 bits of the double that
sorts by its bits, in hexadecimal. A range is a few beginnings of words that cover it::

    PPPPPXXXXXX  a number X at the path P, whatever arrays are on the way
    PPPPPdXXXXXXXX  an instant X at the path P (rule 4), cut to 134 s
    PPPPPs, PPPPPds  several there, so that two bounds may be met by two of them
    PPPPPt, PPPPPdt  too many there to be words of their own
    u            too many paths: nothing of the record is a word
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, TypeAlias
from zlib import crc32

from docstore.query.expr import Compare
from docstore.query.instants import MIN_INSTANT, metadata_instant
from docstore.query.text import fold

__all__ = [
    "INSTANT",
    "INSTANT_DIGITS",
    "LARGE",
    "LAST_TERM",
    "NUMBER_DIGITS",
    "TOO_MANY_PATHS",
    "TermSpan",
    "array_text",
    "ascii_lower",
    "cover",
    "index_folds",
    "index_json",
    "instant_term",
    "is_plain",
    "json_of",
    "number_of",
    "span",
    "start_of",
    "value_terms",
]

# From this number on Python's `repr` and JSON texts write a double with an exponent.
LARGE = 1e16
_MAY_BE_LARGE = re.compile(r"\d[eE]\+?\d")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?[eE]\+?\d+')
_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def index_json(text: str) -> str:
    """Return a JSON text in which every double of 1e16 and beyond is written as the whole number that it is.

    Args:
        text: a JSON text whose doubles are written as Python's ``repr`` does.
    """
    return text if _MAY_BE_LARGE.search(text) is None else _TOKEN.sub(_exact_token, text)


def _exact_token(found: re.Match[str]) -> str:
    token = found.group()
    return token if token.startswith('"') else number_of(float(token))


def number_of(value: int | float) -> str:
    """Return the number as a decimal that is exact for whole numbers and the shortest ``repr`` for others."""
    return str(int(value)) if value == int(value) else repr(value)


def json_of(value: Any) -> str:
    """Return the JSON text of a value, as :func:`index_json` writes it."""
    if type(value) is str:
        return encode_basestring(value)
    return index_json(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def array_text(texts: Sequence[str]) -> str:
    """Return texts that hold no control characters, as JSON texts do not, as an SQL array's text.

    psycopg quotes a list text by text, which takes ten times as long.
    """
    return "{" + json.dumps(texts, ensure_ascii=False)[1:-1] + "}"


def ascii_lower(text: str) -> str:
    """Return ``text`` with A–Z lowered and nothing else changed, as ``lower`` does under collation "C"."""
    return text.translate(_ASCII_LOWER)


def is_plain(text: str) -> bool:
    """Return whether a JSON text holds nothing but ASCII, for sure."""
    return text.isascii() and "\\u" not in text


def index_folds(text: str) -> str | None:
    """Return the folds that Postgres cannot make itself, as a JSON object from string to folded string.

    It holds the strings among the values of ``text`` whose fold is more than A–Z lowered. Keys are not
    values.

    Args:
        text: a JSON text.

    Returns:
        The JSON text of the object; None if there is no such string, as in any text of ASCII alone.
    """
    if is_plain(text):
        return None
    folds = {string: fold(string) for string in set(_strings(json.loads(text))) if not string.isascii()}
    kept = {string: folded for string, folded in folds.items() if folded != ascii_lower(string)}
    return json.dumps(kept, ensure_ascii=False) if kept else None


def _strings(value: Any) -> Iterator[str]:
    stack = [value]
    while stack:
        match stack.pop():
            case str() as string:
                yield string
            case dict() as members:
                stack.extend(members.values())
            case list() as elements:
                stack.extend(elements)


# The term of a record with numbers at too many paths.
TOO_MANY_PATHS = "u"
# Behind the path of an instant's term, before its digits.
INSTANT = "d"
_PER_PATH, _PATHS = 8, 256
NUMBER_DIGITS = 6
# Instants are cut to 2 ** 27 microseconds, 134 s: the years 1 to 9999 take eight hexadecimal digits then.
INSTANT_DIGITS, _INSTANT_SHIFT = 8, 27
# The last number term, without its path.
LAST_TERM = 16**NUMBER_DIGITS - 1
_pack = struct.Struct(">d").pack
_TURNED = bytes(range(255, -1, -1))
_RANGES = frozenset(("gt", "gte", "lt", "lte"))
# The first and the last number term of a range, without the path, as whole numbers.
TermSpan: TypeAlias = tuple[int, int]


def value_terms(record: dict[str, Any]) -> tuple[list[str], bool]:
    """Return the terms of the numbers and instants in a JSON object, and whether a number is ``LARGE``."""
    numbers, instants = _gathered(record)
    terms: list[str] = []
    most = 0.0
    for path, values in numbers.items():
        if len(values) == 1:
            (value,) = values
            most = max(most, value, -value)
            terms.append(_start_of(path) + _digits(value))
        else:
            most = max(most, *map(abs, values))
            terms += _terms_of(_start_of(path), {_digits(value) for value in values}, len(values))
    for path, moments in instants.items():
        ends = {f"{instant_term(at):0{INSTANT_DIGITS}x}" for at in moments}
        terms += _terms_of(_start_of(path) + INSTANT, ends, len(moments))
    return terms if len(numbers) + len(instants) <= _PATHS else [TOO_MANY_PATHS], most >= LARGE


def _terms_of(start: str, ends: set[str], count: int) -> list[str]:
    """Return the terms of the values at a path, marked where there are several."""
    if count == 1:
        return [start + ends.pop()]
    if len(ends) > _PER_PATH:
        return [f"{start}s", f"{start}t"]
    return [f"{start}s", *(start + end for end in ends)]


def _gathered(record: dict[str, Any]) -> tuple[dict[str, list[float]], dict[str, list[int]]]:
    """Return the numbers and the instants in an object by their paths, each key with a NUL behind it."""
    numbers: dict[str, list[float]] = {}
    instants: dict[str, list[int]] = {}
    left: list[tuple[Any, str]] = [(record, "")]
    for value, path in left:
        if type(value) is list:
            for inner in value:
                kind = type(inner)
                if kind is str:
                    if inner[4:5] == "-" and (at := metadata_instant(inner)) is not None:
                        instants.setdefault(path, []).append(at)
                elif kind is int or kind is float:
                    numbers.setdefault(path, []).append(inner)
                elif kind is dict or kind is list:
                    left.append((inner, path))
            continue
        for key, inner in value.items():
            kind = type(inner)
            if kind is str:
                if inner[4:5] == "-" and (at := metadata_instant(inner)) is not None:
                    instants.setdefault(f"{path}{key}\0", []).append(at)
            elif kind is int or kind is float:
                numbers.setdefault(f"{path}{key}\0", []).append(inner)
            elif kind is dict or kind is list:
                left.append((inner, f"{path}{key}\0"))
    return numbers, instants


@lru_cache(maxsize=4_096)
def _start_of(path: str) -> str:
    """Return the prefix of the terms of a path.

    Paths may share a prefix; terms of the other path are then found, too, and rechecked.
    """
    return f"{crc32(path.encode('utf-8', 'surrogatepass')) & 0xFFFFF:05x}"


def _digits(number: float) -> str:
    """Return the first bits of a number's double, turned so that they sort as the numbers do."""
    if number > 0:
        return _pack(-number)[:3].hex()
    if number == 0:
        return "800000"
    return _pack(number)[:3].translate(_TURNED).hex()


# -- ranges ------------------------------------------------------------------------------------------------


def start_of(path: Iterable[str]) -> str:
    """Return the prefix of the number terms at a path."""
    return _start_of("".join(f"{key}\0" for key in path))


def span(term: Compare) -> TermSpan | None:
    """Return the number terms that a comparison leaves, its bound included; None if it compares no number."""
    if term.op not in _RANGES or type(term.value) not in (int, float):
        return None
    at = int(_digits(term.value), 16)
    return (at, LAST_TERM) if term.op in ("gt", "gte") else (0, at)


def instant_term(at: int) -> int:
    """Return the number of the term of an instant, microseconds since 1970."""
    return (at - MIN_INSTANT) >> _INSTANT_SHIFT


def cover(first: int, last: int, digits: int = NUMBER_DIGITS) -> Iterator[str]:
    """Yield beginnings that all words from ``first`` to ``last`` have, and no others, those that are not
    whole with ``:*``.
    """
    size, width = 1, digits
    while first <= last:
        if width and first % (size * 16) == 0 and first + size * 16 - 1 <= last:
            size, width = size * 16, width - 1
            continue
        if first + size - 1 > last:
            size, width = size // 16, width + 1
            continue
        yield f"{first // size:0{width}x}" + (":*" if width < digits else "") if width else ":*"
        first += size
