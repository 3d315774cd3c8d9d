"""Operators on one field: one specification each, with its reader, its meaning and its JSON Schema.

A reader makes an Expr of what a caller wrote (SEMANTICS, "Record fields"): a JSON path takes any JSON value,
a record field only its own type, and ``None``. ``parser`` knows the operators that hold others (``$not``,
``$elemMatch``, ``$all``) and the logic; this module knows the rest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import Any, Literal, TypeAlias

from docstore.concurrency import looked_over
from docstore.limits import Limits
from docstore.mediatypes import UNKNOWN, content_type_of, file_type_of
from docstore.query import patterns
from docstore.query.expr import (
    FALSE,
    Compare,
    Contains,
    During,
    ElemMatch,
    Exists,
    Expr,
    In,
    Match,
    Mod,
    Not,
    Or,
    Path,
    Regex,
    Size,
    TypeIs,
)
from docstore.query.fields import Collection, Kind
from docstore.query.filter_errors import Where, bad_syntax, bad_value, shown, too_complex
from docstore.query.instants import (
    MAX_INSTANT,
    MIN_INSTANT,
    from_datetime,
    metadata_instant,
    parse_instant,
    to_datetime,
)
from docstore.query.values import (
    INT64_MAX,
    INT64_MIN,
    Json,
    NotJson,
    by_value,
    canonical_size,
    check_text,
    plain,
    type_name,
)

# -- operands --------------------------------------------------------------------------------------

# The words before lists of filters.
LOGIC = ("$and", "$or", "$nor")


def is_operators(value: Any) -> bool:
    """Tell whether ``value`` is a set of operators: an object whose first key begins with ``$`` (rule 10),
    but for ``{"$date": …}``, which is an instant (rule 4).
    """
    if type(value) is not dict and not isinstance(value, Mapping):
        return False
    for first in value:
        word = by_value(first)
        return isinstance(word, str) and word[:1] == "$" and not (word == "$date" and len(value) == 1)
    return False


def is_instant(value: Any) -> bool:
    """Tell whether ``value`` is ``{"$date": …}``: an instant, and no set of operators (rule 4)."""
    return isinstance(value, Mapping) and len(value) == 1 and by_value(next(iter(value))) == "$date"


def of_records(condition: Mapping[Any, Any]) -> bool:
    """Tell whether the operand of ``$elemMatch`` is a filter over an element's fields (else: operators)."""
    return not is_operators(condition) or by_value(next(iter(condition))) in (*LOGIC, "$comment")


Op: TypeAlias = Literal["eq", "gt", "gte", "lt", "lte"]


@dataclass(frozen=True, slots=True)
class Rules:
    """What one parse goes by.

    Attributes:
        collection: whose fields are the top-level names; ``None``: any name, any JSON.
        limits: the bounds.
        default_timezone: what naive times are in; None makes them an error.
    """

    collection: Collection | None
    limits: Limits
    default_timezone: tzinfo | None


@dataclass(frozen=True, slots=True)
class Target:
    """What operators apply to.

    Attributes:
        path: the steps, ``()`` for an array's element itself.
        kind: what the record's field holds; ``JSON`` for everything free.
        choices: the words that a ``CHOICE`` may be.
    """

    path: Path
    kind: Kind = Kind.JSON
    choices: tuple[str, ...] = ()

    @property
    def is_json(self) -> bool:
        """Whether any JSON value may be there."""
        return self.kind is Kind.JSON


@dataclass(frozen=True, slots=True)
class Moment:
    """An operand that is an instant: microseconds since 1970-01-01T00:00:00Z."""

    at: int


_ALLOWED = {
    Kind.TEXT: "text",
    Kind.INTEGER: "a whole number within 64 bits",
    Kind.BOOLEAN: "true or false",
    Kind.INSTANT: "an aware datetime or RFC 3339 text such as '2026-01-31T09:30:00Z'",
}


def json_operand(rules: Rules, value: Any, where: Where) -> Json:
    """Return an operand against metadata as plain JSON; ``datetime`` become text (rule 4).

    Raises:
        FilterValueError: it is not JSON.
        FilterTooComplex: it is too large or too deep.
    """
    limits = rules.limits
    if not isinstance(value, str):
        _refuse_inner_instants(value, where)
    try:
        operand = plain(value, default_timezone=rules.default_timezone, depth=limits.operand_depth)
    except NotJson as wrong:
        if wrong.too_deep:
            raise too_complex(
                where, "an operand nested too deeply", "operand_depth", limits.operand_depth
            ) from None
        raise bad_value((*where, *wrong.where), wrong.reason, wrong.expected) from None
    if isinstance(operand, (list, dict)) and canonical_size(operand) > limits.operand_bytes:
        raise too_complex(where, "an operand too large", "operand_bytes", limits.operand_bytes)
    return operand


def _refuse_inner_instants(value: Any, where: Where) -> None:
    """Refuse instants within an array or object, where they could only be compared as text."""
    # A stack of our own: operands may be nested as deep as the bounds allow.
    below: list[tuple[Any, Where, int]] = [(value, where, 0)]
    while below:
        inner, place, depth = below.pop()
        if depth and (isinstance(inner, date) or is_instant(inner)):
            raise bad_value(place, "an instant within an array or object", "instants by themselves")
        if isinstance(inner, Mapping):
            below += [(member, (*place, str(name)[:100]), depth + 1) for name, member in inner.items()]
        elif isinstance(inner, (list, tuple)):
            below += [(member, (*place, str(at)), depth + 1) for at, member in enumerate(inner)]


def _moment(rules: Rules, value: Any, where: Where) -> Moment | None:
    """Return an operand that is an instant: a ``datetime``, a ``date`` or ``{"$date": …}``.

    Returns:
        None if the operand is no instant.

    Raises:
        FilterValueError: it is one that does not exist, or a naive time without a ``default_timezone``.
    """
    if is_instant(value):
        return Moment(_dated(rules, next(iter(value.values())), (*where, "$date")))
    return Moment(_dated(rules, value, where)) if isinstance(value, date) else None


def _dated(rules: Rules, value: Any, where: Where) -> int:
    given = value if isinstance(value, date) else by_value(value)
    if isinstance(given, datetime):
        return _instant(rules, given, where)
    if isinstance(given, date):
        return from_datetime(datetime(given.year, given.month, given.day, tzinfo=UTC))
    if isinstance(given, (int, float)) and not isinstance(given, bool) and given == given // 1:
        at = int(given) * 1000
        if MIN_INSTANT <= at <= MAX_INSTANT:
            return at
    if isinstance(given, str):
        at_once = metadata_instant(given)
        if at_once is not None:
            return at_once
        local = metadata_instant(given + "Z")
        if local is not None:  # a time without offset
            return _instant(rules, to_datetime(local).replace(tzinfo=None), where)
    expected = "a datetime, text such as '2026-01-31T09:30:00Z', or whole milliseconds since 1970"
    raise bad_value(where, shown(given), expected)


def spans_of(op: Op, at: int) -> tuple[tuple[int, int], ...]:
    """Return the spans of instants that a comparison with one leaves, none if there is no such instant."""
    first, last = {
        "eq": (at, at),
        "gt": (at + 1, MAX_INSTANT),
        "gte": (at, MAX_INSTANT),
        "lt": (MIN_INSTANT, at - 1),
        "lte": (MIN_INSTANT, at),
    }[op]
    return ((first, last),) if first <= last else ()


def text_operand(value: Any, where: Where, expected: str = "text") -> str:
    """Return an operand that must be text.

    Raises:
        FilterValueError: it is not, or holds NUL or lone surrogates.
    """
    text = by_value(value)
    if not isinstance(text, str):
        raise bad_value(where, shown(text), expected)
    try:
        return check_text(text)
    except NotJson as wrong:
        raise bad_value(where, wrong.reason, wrong.expected) from None


def whole_number(value: Any, where: Where, expected: str, *, truncate: bool = False) -> int:
    """Return an operand that must be a whole number within int64, 2.0 included.

    Args:
        value: the operand.
        where: its place.
        expected: for the error.
        truncate: cut off a fraction instead of refusing it.

    Raises:
        FilterValueError: it is none.
    """
    number = by_value(value)
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise bad_value(where, shown(number), expected)
    if isinstance(number, float) and not math.isfinite(number):
        raise bad_value(where, shown(number), expected)
    whole = int(number)
    if (whole != number and not truncate) or not INT64_MIN <= whole <= INT64_MAX:
        raise bad_value(where, shown(number), expected)
    return whole


def field_operand(rules: Rules, target: Target, value: Any, where: Where) -> Json:
    """Return an operand as ``target`` stores it: any JSON, or the field's own type; ``None`` always. On a
    JSON path an instant comes back as a :class:`Moment`.

    On a number field a float that no stored number equals comes back as the float it is.

    Raises:
        FilterValueError: it is of the wrong type.
        FilterTooComplex: it is too large or too deep.
    """
    if target.is_json:
        moment = None if type(value) is str else _moment(rules, value, where)
        return json_operand(rules, value, where) if moment is None else moment
    if target.kind is Kind.INSTANT and is_instant(value):
        inner, place = next(iter(value.values())), (*where, "$date")
        text = by_value(inner)
        # A day begins in the store's zone here, as in other operands of a record field.
        is_day = type(inner) is date or (isinstance(text, str) and len(text) == len("2026-01-31"))
        return _instant(rules, inner, place) if is_day else _dated(rules, inner, place)
    operand = by_value(value)
    if operand is None:
        return None
    match target.kind:
        case Kind.TEXT:
            return text_operand(operand, where, _ALLOWED[Kind.TEXT])
        case Kind.CHOICE:
            return _choice(target, operand, where)
        case Kind.BOOLEAN if isinstance(operand, bool):
            return operand
        case Kind.INTEGER if isinstance(operand, (int, float)) and not isinstance(operand, bool):
            return _number(operand, where)
        case Kind.INSTANT if isinstance(operand, (str, date)):
            return _instant(rules, operand, where)
    said = f"{shown(operand)} against a field of kind {target.kind.value}"
    raise bad_value(where, said, _ALLOWED[target.kind])


def _choice(target: Target, operand: Any, where: Where) -> str:
    if isinstance(operand, str) and operand in target.choices:
        return operand
    expected = f"one of {', '.join(map(repr, target.choices))}"
    if target.path == ("file_type",) and isinstance(operand, str):
        kind = _type_word_of(operand)
        expected += "" if kind is None else f" ({operand} files are file_type {kind!r})"
    raise bad_value(where, f"{shown(operand)} against a field of {len(target.choices)} words", expected)


def _type_word_of(suffix: str) -> str | None:
    """Return the file type that files with this suffix have, None for an unknown suffix."""
    content_type = content_type_of(f"x.{suffix.lower().removeprefix('.')}")
    return None if content_type == UNKNOWN else file_type_of(content_type, "")


def _number(number: int | float, where: Where) -> int | float:
    if isinstance(number, int) and not INT64_MIN <= number <= INT64_MAX:
        raise bad_value(where, "a whole number beyond 64 bits", _ALLOWED[Kind.INTEGER])
    if not math.isfinite(number):
        raise bad_value(where, shown(number), _ALLOWED[Kind.INTEGER])
    whole = int(number)
    return whole if whole == number and INT64_MIN <= whole <= INT64_MAX else number


def _instant(rules: Rules, value: Any, where: Where) -> int:
    try:
        return parse_instant(value, rules.default_timezone)
    except ValueError as wrong:
        reason, _, expected = str(wrong).partition("; expected ")
        raise bad_value(where, reason, expected or _ALLOWED[Kind.INSTANT]) from None


def compare_field(target: Target, op: Op, operand: Json) -> Expr:
    """Return the comparison with ``operand``, which :func:`field_operand` made.

    Null is worked out (rule 11), and so is a float that a number field cannot hold: the whole number next to
    it does.
    """
    if operand is None:
        return FALSE if op in ("gt", "lt") else Compare(target.path, "eq", None)
    if isinstance(operand, Moment):
        spans = spans_of(op, operand.at)
        return During(target.path, spans) if spans else FALSE
    if target.kind is not Kind.INTEGER or not isinstance(operand, float):
        return Compare(target.path, op, operand)
    if op == "eq":
        return FALSE
    above = op in ("gt", "gte")
    # Beyond int64 it lies above, or below, every stored number: all of them match, or none.
    if not INT64_MIN <= operand <= INT64_MAX:
        return Exists(target.path) if above == (operand < 0) else FALSE
    return (
        Compare(target.path, "gt", math.floor(operand))
        if above
        else Compare(target.path, "lt", math.ceil(operand))
    )


# -- readers ---------------------------------------------------------------------------------------

# Makes an Expr of an operator's operand, which stands at a place in the filter.
Reader: TypeAlias = Callable[[Rules, Target, Any, Where], Expr]


def plain_value(rules: Rules, target: Target, value: Any, where: Where) -> Expr:
    """Read ``{field: value}`` and ``$eq`` (rule 10)."""
    return compare_field(target, "eq", field_operand(rules, target, value, where))


def array_only(target: Target, where: Where) -> None:
    """Refuse an array operator on a record field that holds a single value.

    Raises:
        FilterValueError: ``target`` is such a field.
    """
    if not target.is_json:
        what = f"an array operator on {target.path[0]!r}, a {target.kind.value} field"
        raise bad_value(where, what, "a path into metadata or another JSON field")


def list_operand(value: Any, where: Where, expected: str = "an array of values") -> list[Any]:
    """Return an operand that must be an array; tuples count.

    Raises:
        FilterValueError: it is none.
    """
    if not isinstance(value, (list, tuple)):
        raise bad_value(where, shown(value), expected)
    return list(value)


def _no_operators(value: Any, where: Where) -> None:
    if is_operators(value):
        raise bad_value(
            where, f"the operator {shown(next(iter(value)))} within a list of values", "plain values"
        )


def _comparison(op: Op) -> Reader:
    def read(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
        if target.kind in (Kind.JSON, Kind.INTEGER) and isinstance(operand, float) and math.isinf(operand):
            return _open_bound(target, op, operand)
        return compare_field(target, op, field_operand(rules, target, operand, where))

    return read


def _open_bound(target: Target, op: Op, operand: float) -> Expr:
    """Read a bound of plus or minus infinity (rule 2): numbers are finite, so all or none are within."""
    if (op in ("gt", "gte")) is (operand > 0):
        return FALSE
    return TypeIs(target.path, frozenset({"number"})) if target.is_json else Exists(target.path)


def _not_equal(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
    return Not(plain_value(rules, target, operand, where))


def _in(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
    values: list[Json] = []
    moments: list[int] = []
    for at, value in enumerate(looked_over(list_operand(operand, where))):
        here = (*where, str(at))
        _no_operators(value, here)
        member = field_operand(rules, target, value, here)
        if isinstance(member, Moment):
            moments.append(member.at)
        # On a number field a float that came back as it is equals no stored number.
        elif target.is_json or not isinstance(member, float):
            values.append(member)
    among: Expr = In(target.path, tuple(values)) if values else FALSE
    if not moments:
        return among
    at_one = During(target.path, tuple((at, at) for at in sorted(set(moments))))
    return Or((among, at_one)) if values else at_one


def _not_in(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
    return Not(_in(rules, target, operand, where))


def _exists(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
    wanted = by_value(operand)
    yes = not (wanted is None or (isinstance(wanted, (bool, int, float)) and wanted == 0))
    return Exists(target.path) if yes else Not(Exists(target.path))


# BSON's codes and names of types. JSON has few of them: the others are accepted, and match nothing.
_CODES = {
    -1: "minKey",
    1: "double",
    2: "string",
    3: "object",
    4: "array",
    5: "binData",
    6: "undefined",
    7: "objectId",
    8: "bool",
    9: "date",
    10: "null",
    11: "regex",
    12: "dbPointer",
    13: "javascript",
    14: "symbol",
    15: "javascriptWithScope",
    16: "int",
    17: "timestamp",
    18: "long",
    19: "decimal",
    127: "maxKey",
}
_ALIASES = frozenset(_CODES.values()) | {"number"}
_JSON_TYPES = frozenset({"null", "bool", "number", "string", "array", "object", "int", "long", "double"})
_TYPES_EXPECTED = "one of null bool number string array object int long double date, a BSON alias or code"


def _type(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
    if isinstance(operand, (list, tuple)):
        if not operand:
            raise bad_value(where, "an empty array", "at least one type")
        names = {_alias(value, (*where, str(at))) for at, value in enumerate(operand)}
    else:
        names = {_alias(operand, where)}
    return _type_of_field(target, names)


def _alias(value: Any, where: Where) -> str:
    name = by_value(value)
    if isinstance(name, (int, float)) and not isinstance(name, bool) and name in _CODES:
        return _CODES[int(name)]
    if not isinstance(name, str) or name not in _ALIASES:
        raise bad_value(where, f"unknown type {shown(name)}", _TYPES_EXPECTED)
    return name


_KIND_TYPES = {Kind.TEXT: "string", Kind.CHOICE: "string", Kind.BOOLEAN: "bool", Kind.INSTANT: "date"}


def _type_of_field(target: Target, names: set[str]) -> Expr:
    """Read ``$type`` on a field: a record field's type is known, only null and a number's size are open."""
    if target.is_json:
        types = frozenset(names) & _JSON_TYPES
        return TypeIs(target.path, types) if types else FALSE
    if target.kind is Kind.INTEGER:
        if "number" in names or {"int", "long"} <= names:
            return Exists(target.path)
        types = frozenset(names) & {"int", "long"}
        return TypeIs(target.path, types) if types else FALSE
    return Exists(target.path) if _KIND_TYPES[target.kind] in names else FALSE


# No array in a document of a mebibyte is longer.
_LARGEST_SIZE = 2**31 - 1


def _size(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
    array_only(target, where)
    expected = f"a whole number from 0 to {_LARGEST_SIZE}"
    length = whole_number(operand, where, expected)
    if not 0 <= length <= _LARGEST_SIZE:
        raise bad_value(where, str(length), expected)
    return Size(target.path, length)


def _mod(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
    if target.kind not in (Kind.JSON, Kind.INTEGER):
        raise bad_value(
            where, f"$mod on a {target.kind.value} field", "a number field or a path into metadata"
        )
    expected = "[divisor, remainder], two numbers within 64 bits"
    numbers = list_operand(operand, where, expected)
    if len(numbers) != 2:
        raise bad_value(where, f"an array of {len(numbers)}", expected)
    divisor, remainder = (
        whole_number(number, (*where, str(at)), "a number within 64 bits", truncate=True)
        for at, number in enumerate(numbers)
    )
    if divisor == 0:
        raise bad_value((*where, "0"), "the divisor 0", "a divisor other than 0")
    return Mod(target.path, divisor, remainder)


def _text_only(target: Target, where: Where) -> None:
    if target.kind not in (Kind.JSON, Kind.TEXT, Kind.CHOICE):
        what = f"a text operator on {target.path[0]!r}, a {target.kind.value} field"
        raise bad_value(where, what, "a text field or a path into metadata")


def _match(kind: Literal["substring", "isubstring", "starts_with", "glob", "iglob"]) -> Reader:
    def read(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
        _text_only(target, where)
        return Match(target.path, kind, text_operand(operand, where))

    return read


def _contains(every: bool) -> Reader:
    def read(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
        array_only(target, where)
        listed = isinstance(operand, (list, tuple))
        places = [(*where, str(at)) for at in range(len(operand))] if listed else [where]
        values: list[Json] = []
        moments: list[int] = []
        for value, here in zip(operand if listed else [operand], places, strict=True):
            _no_operators(value, here)
            member = field_operand(rules, target, value, here)
            if isinstance(member, Moment):
                moments.append(member.at)
            else:
                values.append(member)
        if not moments:
            return Contains(target.path, tuple(values), every) if every or values else FALSE
        instants = tuple(sorted(set(moments)))
        if every:
            return Contains(target.path, tuple(values), every, instants)
        at_one = During((), tuple((at, at) for at in instants))
        element = ElemMatch(target.path, at_one, "values")
        return Or((Contains(target.path, tuple(values), every), element)) if values else element

    return read


def read_regex(
    rules: Rules, target: Target, pattern: Any, where: Where, siblings: Mapping[Any, Any] | None = None
) -> Expr:
    """Read ``$regex`` with the ``$options`` among its ``siblings``, or a compiled pattern alone (rule 18).

    Raises:
        FilterValueError: it is no pattern, RE2 refuses it, an option is unknown, or google-re2 is not
            installed.
        FilterTooComplex: RE2 makes too many instructions of the pattern.
    """
    _text_only(target, where)
    text, options = _pattern(pattern, where)
    if siblings is not None and "$options" in siblings:
        place = (*where[:-1], "$options")
        given = text_operand(siblings["$options"], place, "letters of i, m, s, x, u")
        if given and options:
            raise bad_value(place, "options beside a compiled pattern that has its own", "them in one place")
        options = given or options
    try:
        prepared = patterns.prepare(text, options)
    except patterns.BadPattern as wrong:
        raise bad_value(
            where, str(wrong), "a regular expression in RE2 syntax, options of i m s x u"
        ) from None
    size, limit = patterns.instructions(*prepared), rules.limits.pattern_instructions
    if size > limit:
        raise too_complex(where, f"a pattern of {size:,} instructions", "pattern_instructions", limit)
    return Regex(target.path, *prepared)


def _pattern(pattern: Any, where: Where) -> tuple[str, str]:
    if not isinstance(pattern, re.Pattern):
        return text_operand(pattern, where, "a regular expression as text"), ""
    try:
        text, options = patterns.from_compiled(pattern)
    except patterns.BadPattern as wrong:
        raise bad_value(where, str(wrong), "a regular expression in RE2 syntax") from None
    return text_operand(text, where), options


def _options(rules: Rules, target: Target, operand: Any, where: Where) -> Expr:
    raise bad_syntax(where, f"$options ({type_name(operand)}) without $regex", "$regex beside it")


# An operand: one value, an array of values, a pattern, operators of its own, or anything else.
Operand: TypeAlias = Literal["value", "values", "pattern", "operators", "other"]

_TEXT = {"type": "string"}
_LIST = {"type": "array"}
_TYPES = {"anyOf": [_TEXT, {"type": "integer"}, {**_LIST, "minItems": 1}]}


@dataclass(frozen=True, slots=True)
class Operator:
    """The specification of one operator: how it is read, and its JSON Schema.

    Attributes:
        meaning: a few words for the schema.
        operand: what kind of operand it takes; bounds and the types of models go by it.
        schema: the JSON Schema of the operand.
        read: makes an Expr of the operand. None if the parser reads it: it holds operators, or looks at those
            beside it.
    """

    meaning: str
    operand: Operand
    schema: Mapping[str, Any]
    read: Reader | None


# The operators that stand below a field.
OPERATORS: dict[str, Operator] = {
    "$eq": Operator("equals; null also matches a missing field", "value", {}, plain_value),
    "$ne": Operator("the complement of $eq", "value", {}, _not_equal),
    "$gt": Operator("greater, of the same type", "value", {}, _comparison("gt")),
    "$gte": Operator("greater or equal, of the same type", "value", {}, _comparison("gte")),
    "$lt": Operator("less, of the same type", "value", {}, _comparison("lt")),
    "$lte": Operator("less or equal, of the same type", "value", {}, _comparison("lte")),
    "$in": Operator("equals one of these", "values", _LIST, _in),
    "$nin": Operator("the complement of $in", "values", _LIST, _not_in),
    "$exists": Operator("whether the field is there", "other", {"type": "boolean"}, _exists),
    "$type": Operator("the value's type, by alias or code", "other", _TYPES, _type),
    "$size": Operator("the array's length", "other", {"type": "integer", "minimum": 0}, _size),
    "$mod": Operator("[divisor, remainder]", "other", {**_LIST, "minItems": 2, "maxItems": 2}, _mod),
    "$all": Operator("the array has all of these", "values", _LIST, None),
    "$elemMatch": Operator("one element of the array satisfies all", "operators", {"type": "object"}, None),
    "$not": Operator("the complement of these operators", "operators", {"type": "object"}, None),
    "$regex": Operator("RE2 pattern", "pattern", _TEXT, None),
    "$options": Operator("flags of $regex", "other", {**_TEXT, "pattern": "^[imsxu]*$"}, _options),
    "$substring": Operator("contains, case-sensitive", "other", _TEXT, _match("substring")),
    "$isubstring": Operator("contains, folded", "other", _TEXT, _match("isubstring")),
    "$startsWith": Operator("begins with", "other", _TEXT, _match("starts_with")),
    "$glob": Operator("the whole value, with * ? [...]", "pattern", _TEXT, _match("glob")),
    "$iglob": Operator("the whole value, with * ? [...], folded", "pattern", _TEXT, _match("iglob")),
    "$contains": Operator("the array has this value, or all of these", "values", {}, _contains(True)),
    "$containsAny": Operator("the array has one of these", "values", {}, _contains(False)),
}


def words_with(*operands: Operand) -> tuple[str, ...]:
    """Return the operators that take one of some kinds of operand."""
    return tuple(word for word, operator in OPERATORS.items() if operator.operand in operands)
