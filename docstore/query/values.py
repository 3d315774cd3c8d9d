"""JSON values: what is accepted from callers, and what equal, ordered and typed mean (rules 1–5, 12).

``plain`` is the door: documents and operands pass it once, everything behind it holds exact ``None bool int
float str list dict`` and needs no further check.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, tzinfo
from decimal import Decimal
from enum import Enum
from functools import cmp_to_key
from pathlib import PurePath
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from pydantic import BaseModel
from pydantic_core import to_json

from docstore.query.instants import instant_text

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1
_EXPECTED = "null, a boolean, a whole number within 64 bits, a finite number, text, an array or an object"


class NotJson(ValueError):
    """A value that docstore does not store.

    Attributes:
        reason: what is wrong with it.
        expected: what is allowed.
        where: keys and indexes that lead to it from the value that was given.
        too_deep: whether it is the nesting that is wrong.
    """

    def __init__(self, reason: str, expected: str = _EXPECTED, *, too_deep: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.expected = expected
        self.where: tuple[str, ...] = ()
        self.too_deep = too_deep


def plain(
    value: Any,
    *,
    default_timezone: tzinfo | None = None,
    depth: int = 64,
    default: Callable[[Any], Any] | None = None,
) -> Json:
    """Return ``value`` as JSON of Python's own types.

    Subclasses of ``str``, numbers and mappings, and enumerations over JSON types, count by their value;
    tuples are arrays, sets sorted arrays; Pydantic models and dataclasses are objects of their fields;
    ``datetime`` becomes RFC 3339 text in UTC (rule 4), ``date`` ``YYYY-MM-DD``, ``Decimal``, ``UUID`` and
    paths their text; -0.0 becomes 0.0.

    Args:
        value: anything.
        default_timezone: what naive ``datetime`` are in; None makes them an error.
        depth: levels of arrays and objects that are allowed.
        default: as json's: called with a value of another type, returns one that is JSON or becomes it.

    Raises:
        NotJson: the value, or one inside it, is not acceptable; ``where`` leads to it.
    """
    kind = type(value)
    if kind is str:
        return check_text(value)
    if kind is bool or value is None:
        return value
    if kind is int:
        return _integer(value)
    if kind is float:
        return _double(value)
    rules = _Rules(default_timezone, default)
    if kind is dict or kind is list:
        return _composite(value, rules, depth)
    exact = by_value(value)
    if exact is not value:
        return plain(exact, default_timezone=default_timezone, depth=depth, default=default)
    if isinstance(value, datetime):
        return _instant(value, default_timezone)
    if isinstance(value, (Mapping, list, tuple)):
        return _composite(value, rules, depth)
    return _converted(value, rules, depth)


class _Rules(NamedTuple):
    """What values within values are read by."""

    default_timezone: tzinfo | None
    default: Callable[[Any], Any] | None

    def plain(self, value: Any, depth: int) -> Json:
        return plain(value, default_timezone=self.default_timezone, depth=depth, default=self.default)


def _converted(value: Any, rules: _Rules, depth: int) -> Json:
    """Return what people have beside JSON: by its fields, sorted, or as text."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (UUID, PurePath)):
        return check_text(str(value))
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise NotJson(f"the number {value}", "a finite number")
        return str(value)
    if isinstance(value, (set, frozenset)):
        members = [rules.plain(member, depth - 1) for member in value]
        return _composite(sorted(members, key=cmp_to_key(compare)), rules, depth)
    if isinstance(value, BaseModel):
        return _composite(dict(value), rules, depth)
    if is_dataclass(value) and not isinstance(value, type):
        return _composite({field.name: getattr(value, field.name) for field in fields(value)}, rules, depth)
    if rules.default is not None and depth > 0:
        try:
            made = rules.default(value)
        except TypeError:  # as json's hooks refuse
            raise _refusal(value) from None
        return rules.plain(made, depth - 1)
    raise _refusal(value)


def plain_text(value: Any, depth: int = 64) -> bytes | None:
    """Return the JSON text of a value that :func:`plain` would leave as it is: the short way, for most.

    Args:
        value: anything.
        depth: levels of arrays and objects that are allowed.

    Returns:
        The UTF-8 text that ``json.dumps`` writes without spaces, keys in the order given; ``None`` where
        :func:`plain` has to look, to change the value or to refuse it.
    """
    if not _is_plain(value, depth):
        return None
    try:
        text = to_json(value)
    except ValueError:  # a lone surrogate
        return None
    return None if b"\\u0000" in text else text


def _is_plain(value: Any, depth: int) -> bool:
    """Return whether a value holds only Python's own types within bounds.

    Texts are not checked. A float that ``json`` and pydantic_core write differently counts as not plain.
    """
    if depth < 1:
        return False
    if type(value) is dict:
        # Loops instead of generators: all metadata that is stored comes through here.
        for key in value:
            if type(key) is not str:
                return False
        value = value.values()
    elif type(value) is not list:
        return False
    for member in value:
        kind = type(member)
        if kind is str:
            continue
        if kind is int:
            if not INT64_MIN <= member <= INT64_MAX:
                return False
        elif kind is float:
            if not (1e-4 <= member < 1e16 or -1e16 < member <= -1e-4 or repr(member) == "0.0"):
                return False
        elif kind is dict or kind is list:
            if not _is_plain(member, depth - 1):
                return False
        elif kind is not bool and member is not None:
            return False
    return True


def by_value(value: Any) -> Any:
    """Return an enumeration's member, or an instance of a subclass of ``str int float``, by its value.

    Anything else comes back as it is, the same object.
    """
    kind = type(value)
    if kind is str or kind is bool or kind is int or kind is float:
        return value
    if isinstance(value, Enum):
        return by_value(value.value)
    if isinstance(value, str):
        return str.__str__(value)
    # By the base class's own method: a subclass may answer int() and str() as it likes.
    if isinstance(value, int):
        return int.__add__(value, 0)
    if isinstance(value, float):
        return float.__add__(value, 0.0)
    return value


def check_text(text: str) -> str:
    """Return ``text`` if it is Unicode without NUL and lone surrogates.

    Raises:
        NotJson: it is not; the reason names the place.
    """
    if "\0" in text:
        at = text.index("\0")
        raise NotJson(f"text with a NUL at character {at}", "text without NUL and lone surrogates")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as wrong:
            reason = f"text with a lone surrogate at character {wrong.start}"
            raise NotJson(reason, "text without NUL and lone surrogates") from None
    return text


def canonical_json(value: Json) -> str:
    """Return the one JSON text of ``value``: no spaces, keys in code-point order, non-ASCII as itself."""
    return _CANONICAL.encode(value)


_CANONICAL = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def canonical_size(value: Json) -> int:
    """Return the size of ``value`` for the bounds: UTF-8 bytes of its canonical JSON."""
    return len(canonical_json(value).encode("utf-8"))


def equal(a: Json, b: Json) -> bool:
    """Tell whether two JSON values are equal (rules 2, 3, 5): 1 = 1.0, true ≠ 1, objects without order."""
    kind = type(a)
    if kind is dict:
        if type(b) is not dict or len(a) != len(b):
            return False
        return all(key in b and equal(value, b[key]) for key, value in a.items())
    if kind is list:
        return type(b) is list and len(a) == len(b) and all(map(equal, a, b))
    if kind is bool or type(b) is bool:
        return a is b
    return bool(a == b)


def identity(value: Json) -> Hashable:
    """Return a key that two JSON values share exactly when they are equal."""
    kind = type(value)
    if kind is bool:
        return (value,)
    if kind is list:
        return ("list", tuple(map(identity, value)))
    if kind is dict:
        return ("dict", frozenset((key, identity(member)) for key, member in value.items()))
    return value  # type: ignore[no-any-return]


# The order of types (rule 20).
_RANK = {type(None): 0, int: 1, float: 1, str: 2, dict: 3, list: 4, bool: 5}


def compare(a: Json, b: Json) -> int:
    """Order two JSON values: by type as in rule 20, then as in rule 12.

    Returns:
        A negative number, 0 or a positive number. Null, numbers, strings, objects, arrays, booleans, in this
        order.
    """
    rank = _RANK[type(a)]
    if rank != _RANK[type(b)]:
        return rank - _RANK[type(b)]
    if rank == 3:
        return _compare_objects(a, b)
    if rank == 4:
        return _compare_arrays(a, b)
    return 0 if rank == 0 else (a > b) - (a < b)


def type_rank(value: Json) -> int:
    """Return the place of a value's type in the order of types (rule 20): what compares has the same."""
    return _RANK[type(value)]


def type_name(value: Any) -> str:
    """Return what error texts call the type of ``value``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "an array"
    return f"a {type(value).__name__}"


def _compare_arrays(a: list[Json], b: list[Json]) -> int:
    for left, right in zip(a, b, strict=False):
        order = compare(left, right)
        if order:
            return order
    return len(a) - len(b)


def _compare_objects(a: dict[str, Json], b: dict[str, Json]) -> int:
    for left, right in zip(sorted(a), sorted(b), strict=False):
        order = _RANK[type(a[left])] - _RANK[type(b[right])]
        order = order or (left > right) - (left < right) or compare(a[left], b[right])
        if order:
            return order
    return len(a) - len(b)


def _integer(value: int) -> int:
    if INT64_MIN <= value <= INT64_MAX:
        return value
    raise NotJson("a whole number beyond 64 bits", "a whole number from -2^63 to 2^63-1")


def _double(value: float) -> float:
    if math.isfinite(value):
        # Turns -0.0 into 0.0: JSON's text of both must be the same.
        return value + 0.0
    raise NotJson(f"the number {value}", "a finite number")


def _instant(value: datetime, default_timezone: tzinfo | None) -> str:
    try:
        return instant_text(value, default_timezone)
    except ValueError as wrong:
        reason, _, expected = str(wrong).partition("; expected ")
        raise NotJson(reason, expected or "an instant within the years 1 to 9999 of UTC") from None


def _composite(value: Any, rules: _Rules, depth: int) -> Json:
    if depth < 1:
        raise NotJson("arrays and objects nested too deeply", "less nesting", too_deep=True)
    if isinstance(value, Mapping):
        members = {}
        for key, member in value.items():
            name = _key(key)
            members[name] = _member(name, member, rules, depth)
        return members
    return [_member(str(at), member, rules, depth) for at, member in enumerate(value)]


def _member(name: str, member: Any, rules: _Rules, depth: int) -> Json:
    try:
        return rules.plain(member, depth - 1)
    except NotJson as wrong:
        wrong.where = (name, *wrong.where)
        raise


def _key(key: Any) -> str:
    name = by_value(key)
    if not isinstance(name, str):
        raise NotJson(f"a key that is {type_name(name)}", "keys that are text")
    return check_text(name)


def _refusal(value: Any) -> NotJson:
    if isinstance(value, re.Pattern):
        return NotJson(
            "a regular expression", "a plain value; regular expressions stand alone or after $regex and $not"
        )
    return NotJson(f"a value of the type {type(value).__name__}")


Json: TypeAlias = Any
