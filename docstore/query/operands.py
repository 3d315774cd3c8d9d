"""Operands: from what a caller wrote to what a field stores (SEMANTICS, "Record fields").

A JSON path takes any JSON value; a record field only its own type, and ``None``.

Errors say what is wrong, where in the filter, what was expected, and what was perhaps meant. The functions
for them return the error; the caller raises it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from difflib import get_close_matches
from typing import Any, Literal, TypeAlias

from docstore import errors
from docstore.errors import (
    FilterError,
    FilterSyntaxError,
    FilterTooComplex,
    FilterValueError,
    UnknownField,
    UnknownOperator,
)
from docstore.limits import Limits
from docstore.mediatypes import UNKNOWN, content_type_of, file_type_of
from docstore.query.expr import FALSE, Compare, During, Exists, Expr, Path
from docstore.query.fields import Collection, Kind
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

Where: TypeAlias = tuple[str, ...]
"""Keys and list indexes from the top of the filter to what an error is about."""

_LONGEST_GUESSED = 64
SLIP = 0.8
"""How alike a slip and the name that was meant are: ``staus`` and ``status``, not ``tags`` and ``status``."""


def shown(value: Any) -> str:
    """Return a short text for ``value`` in an error: its literal if it is a small scalar, else its type."""
    return (
        errors.shown(value)
        if value is None or isinstance(value, str | bool | int | float)
        else type_name(value)
    )


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the one of ``known`` that ``word`` was perhaps meant to be, or ``None``. Case is nothing.

    Args:
        word: what was written.
        known: what there is.
        cutoff: how alike they must be, from 0 to 1.
    """
    if len(word) > _LONGEST_GUESSED:
        return None
    plain = {name.lower().replace("_", ""): name for name in known}
    found = get_close_matches(word.lower().replace("_", ""), plain, n=1, cutoff=cutoff)
    return plain[found[0]] if found else None


def bad_syntax(where: Where, what: str, expected: str) -> FilterError:
    """Return FilterSyntaxError."""
    return _error(FilterSyntaxError, where, what, f"; expected {expected}")


def bad_value(where: Where, what: str, expected: str) -> FilterError:
    """Return FilterValueError."""
    return _error(FilterValueError, where, what, f"; expected {expected}", expected=expected)


def too_complex(where: Where, what: str, bound: str, limit: int) -> FilterError:
    """Return FilterTooComplex for the bound named ``bound``, whose value is ``limit``."""
    return _error(
        FilterTooComplex, where, what, f"; the limit {bound} is {limit:,}", bound=bound, limit=limit
    )


def unknown_operator(where: Where, operator: str, known: Iterable[str], place: str) -> FilterError:
    """Return UnknownOperator; ``known`` are those that stand in such a place, which ``place`` names."""
    guess = nearest(operator, known)
    meant = f"; did you mean {guess!r}?" if guess else f"; expected {place}"
    what = f"unknown operator {shown(operator)}"
    return _error(UnknownOperator, where, what, meant, operator=operator, suggestion=guess)


def unknown_field(
    where: Where, field: str, known: Iterable[str], what: str, hint: str, below: str | None = None
) -> FilterError:
    """Return UnknownField.

    Args:
        where: its place in the filter.
        field: the name as written.
        known: the names that there are; the nearest is suggested.
        what: what is wrong.
        hint: said if no name is near.
        below: the path that the field would be in the metadata. It is suggested unless a name is very near.
    """
    guess = nearest(field, known, SLIP if below else 0.6) or below
    meant = f"; did you mean {guess!r}?" if guess else f"; {hint}"
    return _error(UnknownField, where, what, meant, field=field, suggestion=guess)


def _error(kind: type[FilterError], where: Where, what: str, rest: str, **attributes: Any) -> FilterError:
    path = "/".join(where)
    at = f"at {errors.shown_path(where)}" if path else "at the top of the filter"
    return kind(f"{what} {at}{rest}", path=path, **attributes)


LOGIC = ("$and", "$or", "$nor")
"""The words before lists of filters."""


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
        is_text = isinstance(by_value(inner), str) or isinstance(inner, date)
        return _instant(rules, inner, place) if is_text else _dated(rules, inner, place)
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
    if not INT64_MIN <= operand <= INT64_MAX:
        return Exists(target.path) if above == (operand < 0) else FALSE
    return (
        Compare(target.path, "gt", math.floor(operand))
        if above
        else Compare(target.path, "lt", math.ceil(operand))
    )
