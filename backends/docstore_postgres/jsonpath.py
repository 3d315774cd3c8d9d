"""JSON values as ``jsonb`` beside the canonical text: numbers exact, folded strings at hand.

``jsonb`` reads a number as the decimal that is written. A large double is therefore written as the whole
number that it is, so that Postgres compares what the evaluator compares. A double with a fraction is the
shortest decimal that reads back as it.

Value terms: each number is also a word of a tsvector, the path and the first 24 bits of the double that sorts
by its bits, in hexadecimal. A range is a few beginnings of words that cover it::

    PPPPPXXXXXX  a number X at the path P, whatever arrays are on the way
    PPPPPdXXXXXXXX  an instant X at the path P (rule 4), cut to 134 s
    PPPPPs, PPPPPds  several there, so that two bounds may be met by two of them
    PPPPPt, PPPPPdt  too many there to be words of their own
    u            too many paths: nothing of the record is a word

SQL/JSON path text, and the traversal of paths in ``jsonb`` (rules 6 to 9).

Every path is lax: a member step opens an array, one level, and tries its elements that are objects. That is
rule 6 as long as the step is no decimal index. A filter ``? (…)`` opens an array, too, so that ``@`` stands
for the elements. Every test asks for the type, because a comparison would open an inner array once more.

``$."a"."b" == "x"`` opens an array once at the end, which is rule 8 for a scalar operand. Deeper arrays and
other types compare as unknown, and unknown is not true.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any, TypeAlias
from zlib import crc32

from docstore_sql.compiler import Fragment, either, joined

from docstore.query.expr import Compare, Path
from docstore.query.instants import MIN_INSTANT, metadata_instant
from docstore.query.text import fold

# From this number on Python's `repr` and JSON texts write a double with an exponent.
LARGE = 1e16
# Only a token with an exponent may be a double of 1e16 and beyond, and most texts have none.
_MAY_BE_LARGE = re.compile(r"\d[eE]\+?\d")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?[eE]\+?\d+')
# By ASCII alone: what lower() does to other letters is the database's business.
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
# Terms of one path, and paths of one record: beyond them one word stands for all, which every query looks
# for.
_PER_PATH, _PATHS = 8, 256
# Hex digits of a number in a term: 2^24 steps from the least to the greatest double.
NUMBER_DIGITS = 6
# Instants are cut to 2 ** 27 microseconds, 134 s: the years 1 to 9999 take eight hexadecimal digits then.
INSTANT_DIGITS, _INSTANT_SHIFT = 8, 27
# The last number term, without its path.
LAST_TERM = 16**NUMBER_DIGITS - 1
_pack = struct.Struct(">d").pack
# The bits of a negative double sort the other way round; turned, all doubles sort by their bytes.
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
    """Yield beginnings that only the words of a range have; those that are not whole end with ``:*``."""
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


# A step that may be an array's index (rule 8).
_INDEX = re.compile(r"(?:0|[1-9][0-9]*)\Z")
_SYMBOLS = {"eq": "==", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_INT64 = (-(2**63), 2**63 - 1)
_WHOLE = "@.floor() == @"
# The types of whole numbers are those of the evaluator: "int" has 32 bits, "long" has 64.
_NARROW = "@ >= -2147483648 && @ <= 2147483647"
_WIDE = f"@ >= {_INT64[0]} && @ <= {_INT64[1]}"
_NUMBER = '@.type() == "number"'
_TYPES = {
    "null": '@.type() == "null"',
    "bool": '@.type() == "boolean"',
    "number": _NUMBER,
    "string": '@.type() == "string"',
    "object": '@.type() == "object"',
    "int": f"({_NUMBER} && {_NARROW} && {_WHOLE})",
    "long": f"({_NUMBER} && {_WIDE} && !({_NARROW}) && {_WHOLE})",
    "double": f"({_NUMBER} && !({_WIDE} && {_WHOLE}))",
}


def quoted(text: str) -> str:
    """Return ``text`` as a string of the path language, whose escapes are JSON's."""
    return encode_basestring_ascii(text)


def is_index(step: str) -> bool:
    """Return whether ``step`` is a decimal index without leading zeros."""
    return _INDEX.match(step) is not None


def reached(path: Sequence[str]) -> str:
    """Return the path text of ``path``, which has no index among its steps; it leads to arrays as a whole."""
    return "$" + "".join(f".{quoted(step)}" for step in path)


def exists(path: Sequence[str], test: str | None = None) -> str:
    """Return the predicate that something satisfying ``test`` is reached; the test opens a last array."""
    return f"exists({reached(path)} ? ({test}))" if test else f"exists({reached(path)})"


def missing(path: Sequence[str], start: int = 0) -> str:
    """Return the predicate that ``path`` leads nowhere from some object or scalar that stands on it (rule 9).

    Args:
        path: has no index among its steps but, perhaps, the last.
        start: the first step to look at; those before it are known to be there.
    """
    parts = []
    for at in range(start, len(path)):
        before = reached(path[:at])
        parts.append(f'exists({before} ? (@.type() == "object" && !exists(@.{quoted(path[at])})))')
        if at:
            parts.append(f'exists({before}.type() ? (@ != "object" && @ != "array"))')
    return any_of(parts)


def any_of(parts: Iterable[str]) -> str:
    """Return the disjunction of predicates, of which there is at least one."""
    return " || ".join(parts)


def compared(op: str, value: Any) -> str | None:
    """Return the test of one element against a scalar (rules 11, 12); ``None`` if nothing satisfies it."""
    match value:
        case None:
            return _TYPES["null"] if op in ("eq", "gte", "lte") else None
        case bool():
            return _compared_bool(op, value)
        case int() | float():
            return f"({_NUMBER} && @ {_SYMBOLS[op]} {number_of(value)})"
        case _:
            return f"({_TYPES['string']} && @ {_SYMBOLS[op]} {quoted(value)})"


def _compared_bool(op: str, value: bool) -> str | None:
    held = {
        "eq": (value,),
        "gte": {value, True},
        "lte": {value, False},
        "gt": {True} - {value},
        "lt": {False} - {value},
    }[op]
    tests = [f"@ == {'true' if each else 'false'}" for each in (False, True) if each in held]
    return f"({_TYPES['bool']} && ({any_of(tests)}))" if tests else None


def typed(types: Iterable[str]) -> str | None:
    """Return the test for one of these types, arrays aside (rule 15); ``None`` if nothing is of them."""
    tests = [_TYPES[name] for name in sorted(types) if name in _TYPES]
    return f"({any_of(tests)})" if tests else None


def modulo(divisor: int, remainder: int) -> str:
    """Return the test of ``$mod`` (rule 16): the number truncated, the sign of the dividend."""
    up = f"@ < 0 && @.ceiling() % {divisor} == {remainder}"
    down = f"@ >= 0 && @.floor() % {divisor} == {remainder}"
    return f"({truncates('@')} && ({up} || {down}))"


def truncates(value: str) -> str:
    """Return the test that ``value``, ``@`` or ``$``, is a number that is within int64 when truncated."""
    return f'{value}.type() == "number" && {value} > {_INT64[0] - 1} && {value} < {_INT64[1] + 1}'


def starts_with(text: str) -> str:
    """Return the test that an element is a string that begins with ``text``."""
    return f"({_TYPES['string']} && @ starts with {quoted(text)})"


# `jsonb -> integer` takes 32 bits; no array is longer.
_LARGEST_INDEX = 2**31 - 1
_SCALAR = '$.type() != "object" && $.type() != "array"'
_LACKS = '(exists($ ? (@.type() == "object" && !exists(@.{0}))))'


@dataclass(frozen=True, slots=True)
class JsonRoot:
    """The start of paths: an object, or any value for the path ``()``.

    Attributes:
        text: the SQL expression of a ``jsonb``.
        depth: how many ElemMatch it stands within; aliases are numbered by it.
        nullable: whether the expression can be NULL: then every path is missing.
        whole: whether the path ``()`` is the value itself, an array not opened: an element under an
            ElemMatch of values.
        folds: the SQL expression of the record's folds (see ``index_folds``).
    """

    text: str
    depth: int = 0
    nullable: bool = False
    whole: bool = False
    folds: str = "NULL::jsonb"


def indexed(path: Sequence[str]) -> bool:
    """Return whether a step of ``path`` can be an index; the first, on an object, is a key anyway."""
    return any(map(is_index, path[1:]))


def tested(value: str, predicate: str) -> Fragment:
    """Return ``value`` fulfilling a predicate of the path language."""
    return Fragment(f"{value} @@ %s::jsonpath", (predicate,))


def ends(root: JsonRoot, path: Path) -> Fragment:
    """Return a FROM item ``e<depth>(v, i)``: each value that ``path`` leads to, and if it stays whole."""
    alias = f"e{root.depth}(v, i)"
    if not path and root.whole:
        return Fragment(f"(SELECT {root.text}, true) AS {alias}")
    if not indexed(path):
        return Fragment(
            f"(SELECT jsonb_path_query({root.text}, %s::jsonpath), false) AS {alias}",
            (reached(path),),
        )
    chain, last, at_end = _chain(root, path)
    unopened = f"{last}.i" if at_end else "false"
    return Fragment(f"(SELECT {last}.v, {unopened} FROM {chain.text}) AS {alias}", chain.values)


def _chain(root: JsonRoot, path: Path) -> tuple[Fragment, str, bool]:
    """Return FROM items along ``path``, the alias of the last, and whether an index was its step."""
    parts: list[Fragment] = []
    value = root.text
    at = 0
    by_index = False
    while at < len(path):
        alias = f"r{root.depth}_{len(parts)}"
        lateral = "LATERAL " if parts else ""
        by_index = at > 0 and is_index(path[at])
        if by_index:
            parts.append(_index_step(value, path[at]).wrapped("LATERAL (", f") AS {alias}(v, i)"))
            at += 1
        else:
            stop = next((n for n in range(max(at, 1), len(path)) if is_index(path[n])), len(path))
            steps = reached(path[at:stop])
            parts.append(
                Fragment(f"{lateral}jsonb_path_query({value}, %s::jsonpath) AS {alias}(v)", (steps,))
            )
            at = stop
        value = f"{alias}.v"
    return joined(" CROSS JOIN ", parts), value.removesuffix(".v"), by_index


def _index_step(value: str, step: str) -> Fragment:
    """Return the two ends of an index step: the member of that name, the element at that place."""
    member = Fragment(f"SELECT jsonb_path_query({value}, %s::jsonpath), false", (reached((step,)),))
    if int(step) > _LARGEST_INDEX:
        return member
    there = f"jsonb_typeof({value}) = 'array' AND {value} -> %s::int IS NOT NULL"
    element = Fragment(f"SELECT {value} -> %s::int, true WHERE {there}", (int(step), int(step)))
    return joined(" UNION ALL ", (member, element))


def is_missing(root: JsonRoot, path: Path) -> Fragment:
    """Return the condition that ``path`` leads nowhere at some place (rule 9)."""
    parts = [Fragment(f"{root.text} IS NULL")] if root.nullable else []
    if not path:
        return either(parts)
    plain = next((at for at in range(1, len(path)) if is_index(path[at])), len(path))
    parts.append(tested(root.text, missing(path[: plain + 1])))
    parts += [_missing_behind(root, path, at) for at in range(plain + 1, len(path))]
    return either(parts)


def _missing_behind(root: JsonRoot, path: Path, at: int) -> Fragment:
    """Return that the step at ``at`` leads nowhere; a scalar reached by an index is not stepped from."""
    chain, last, by_index = _chain(root, path[:at])
    lacks = _LACKS.format(quoted(path[at]))
    stepped = tested(f"{last}.v", f"{lacks} || ({_SCALAR})")
    if by_index:
        unstepped = tested(f"{last}.v", lacks)
        stepped = joined(" ELSE ", (unstepped.wrapped(f"CASE WHEN {last}.i THEN "), stepped)).wrapped(
            "", " END"
        )
    return joined(" WHERE ", (chain, stepped)).wrapped("EXISTS (SELECT 1 FROM ", ")")


# Conditions that end so are merged: their predicates are one, and GIN answers one jsonpath by one scan.
_TEST = " @@ %s::jsonpath"


def scalar_comparison(root: JsonRoot, path: Path, op: str, value: Any) -> str | None:
    """Return the predicate that a value seen compares with a scalar; None if one predicate cannot say it."""
    if not path or root.whole or indexed(path):
        return None
    literal = literal_of(op, value)
    return None if literal is None else f"({reached(path)} {_SYMBOLS[op]} {literal})"


def scalar_membership(root: JsonRoot, path: Path, values: Sequence[Any]) -> str | None:
    """Return the predicate that a value seen is one of these scalars; None if one predicate cannot say it."""
    if not path or root.whole or indexed(path) or not values:
        return None
    literals = [literal_of("eq", value) for value in values]
    return None if None in literals else membership(path, [each for each in literals if each is not None])


def membership(path: Path, literals: Iterable[str]) -> str:
    """Return the predicate that a value seen at a path without indexes is one of some literals."""
    start = f"({reached(path)} == "
    return "(" + " || ".join(f"{start}{literal})" for literal in literals) + ")"


def literal_of(op: str, value: Any) -> str | None:
    """Return the literal that ``op`` compares with in the path language, None if it compares otherwise."""
    if type(value) is str:  # first: there may be a thousand
        return encode_basestring_ascii(value)
    match value:
        case bool():
            return ("true" if value else "false") if op == "eq" else None
        case int() | float():
            return number_of(value)
        case _:
            return None


def merged(parts: Iterable[Fragment], symbol: str) -> list[Fragment]:
    """Return conditions with those that test one column by one predicate each made one.

    Args:
        parts: the conditions, to be joined by AND or OR.
        symbol: ``&&`` or ``||``, the same in the path language.
    """
    kept: list[Fragment] = []
    tests: dict[str, list[str]] = {}
    for part in parts:
        if part.text.endswith(_TEST) and len(part.values) == 1 and " " not in part.text.removesuffix(_TEST):
            if part.text not in tests:
                kept.append(part)
            tests.setdefault(part.text, []).append(part.values[0])
        else:
            kept.append(part)
    return [_joined(part, tests.get(part.text, ()), symbol) for part in kept]


def _joined(part: Fragment, predicates: Sequence[str], symbol: str) -> Fragment:
    if len(predicates) < 2:
        return part
    return Fragment(part.text, (f" {symbol} ".join(f"({predicate})" for predicate in predicates),))
