"""Operands near a stored value: itself, its neighbours, its likeness in another type, or another value."""

from __future__ import annotations

import re
from typing import Any

from docstore.query.instants import MAX_INSTANT, MIN_INSTANT, metadata_instant, to_datetime
from docstore.testing.strategies.choosing import Chooser
from docstore.testing.strategies.values import INSTANTS, scalar, text, value

__all__ = ["mod", "near", "plain_list", "plain_near", "plain_or_list", "string_condition", "types"]

_TYPES = (
    "null", "bool", "number", "string", "array", "object", "int", "long", "double", "date", "decimal",
    "objectId", "binData", "regex", "timestamp", 10, 8, 2, 4, 3, 16, 18, 1, 9, 7, -1, 127,
)  # fmt: skip
_PATTERNS = (
    ".", "^.$", "^$", "", "a|b", "[a-c]+", r"^\d+$", r"\bab\b", "(?i)A", "x*", r"\w+", r"\S", "^.{2,3}$", "é",
    "[^a]", r"\.", "(a)(b)?", "^a", "b$", "a.b", "%", "_",
)  # fmt: skip
_SIGNS = ("%", "_", "*", "?", "[a]", "\\", ".", "$", "^", "'", '"', "a%", "_b", "%%", "")
_GLOBS = ("*", "[a-z]*", "[!a]*", "[]]*", "[z-a]", "[a", "\\", "*\\", "[!]", "*%*", "_*", "?", "??*", "")


def _neighbours(stored: Any) -> list[Any]:
    """Return what an engine may take for a value: another type's likeness, the next number, a case."""
    match stored:
        case bool():
            return [not stored, int(stored), str(stored).lower()]
        case int():
            beside = [number for number in (stored - 1, stored + 1) if -(2**63) <= number < 2**63]
            return [float(stored), stored == 1, str(stored), *beside]
        case float():
            whole = [int(stored)] if stored.is_integer() and abs(stored) < 2**63 else []
            return [stored / 2, str(stored), *whole]
        case str():
            return [stored.swapcase(), stored[:-1], stored + "a", [stored]]
        case list():
            return [stored[:-1], stored[::-1], [stored], *stored]
        case dict():
            return [dict(reversed(stored.items())), {}, {**stored, "zz": 1}, *stored.values()]
    return [False, 0, "", "null", [None], []]


def _moments(choose: Chooser, stored: Any) -> list[Any]:
    """Return instants near one that is stored as text, spelled as a filter may spell them."""
    at = metadata_instant(stored)
    if at is None:
        at = metadata_instant(choose.pick(INSTANTS))
    assert at is not None
    beside = [near for near in (at - 1, at, at + 1) if MIN_INSTANT <= near <= MAX_INSTANT]
    moments = [to_datetime(near) for near in beside]
    return [*moments, {"$date": moments[0]}, {"$date": choose.pick(INSTANTS)}, {"$date": at // 1000}]


def near(choose: Chooser, stored: Any) -> Any:
    """Return a stored value itself half of the time, else a neighbour or anything."""
    if choose.one_in(3) and (metadata_instant(stored) is not None or choose.one_in(16)):
        return choose.pick(_moments(choose, stored))
    match choose.below(8):
        case 4 | 5:
            return choose.pick(_neighbours(stored))
        case 6:
            return scalar(choose)
        case 7:
            return value(choose, 2)
        case _:
            return stored


def plain_near(choose: Chooser, stored: Any) -> Any:
    """Return an operand in which no operator can be read."""
    made = near(choose, stored)
    return {} if _has_word(made) else made


def _has_word(operand: Any) -> bool:
    if not isinstance(operand, dict) or list(operand) == ["$date"]:
        return False
    return bool(next(iter(operand), "").startswith("$"))


def plain_list(choose: Chooser, stored: Any) -> list[Any]:
    """Return up to three operands; of an array, some of its elements often."""
    if isinstance(stored, list) and stored and choose.below(2):
        return _plain(choose.several(lambda: choose.pick(stored), 3))
    return choose.several(lambda: plain_near(choose, stored), 3)


def plain_or_list(choose: Chooser, stored: Any) -> Any:
    """Return one operand or several; an array that stands alone is read as several."""
    operand = plain_list(choose, stored) if choose.below(3) else plain_near(choose, stored)
    return _plain(operand) if isinstance(operand, list) else operand


def _plain(operands: list[Any]) -> list[Any]:
    return [operand for operand in operands if not _has_word(operand)]


def types(choose: Chooser) -> Any:
    """Return one alias or code of ``$type``, or a few."""
    if choose.one_in(3):
        return choose.several(lambda: choose.pick(_TYPES), 3, 1)
    return choose.pick(_TYPES)


def mod(choose: Chooser, stored: Any) -> list[Any]:
    """Return a divisor and a remainder, the stored number's own often; fractions are truncated."""
    divisor = choose.pick((2, 1, 3, -3, 2.0, 2.9, 10, 2**53, 2**63 - 1, -(2**63)))
    if isinstance(stored, int) and not choose.one_in(4):
        return [divisor, abs(stored) % abs(int(divisor)) * (-1 if stored < 0 else 1)]
    return [divisor, choose.pick((0, 1, -1, 2, 1.5, 0.0))]


def string_condition(choose: Chooser, stored: Any) -> dict[str, Any]:
    """Return one operator on strings, its text or pattern made from a part of a stored one."""
    whole = stored if isinstance(stored, str) else text(choose)
    start = choose.below(len(whole) + 1)
    part = choose.pick(_SIGNS) if choose.one_in(5) else whole[start : start + choose.below(5)]
    word = choose.pick(("$substring", "$isubstring", "$startsWith", "$glob", "$iglob", "$regex"))
    if word == "$regex":
        return _regex(choose, part)
    if word in ("$glob", "$iglob"):
        return {word: _glob(choose, whole, part)}
    return {word: choose.pick((part, whole, part.swapcase(), whole[:1], whole[:2], whole[-1:]))}


def _glob(choose: Chooser, whole: str, part: str) -> str:
    plain = re.sub(r"([*?\[\\])", r"\\\1", part)
    inside = (f"*{plain}*", f"*{plain.swapcase()}*", f"{plain}*", f"*{plain}", f"?{plain}*", f"[{part}]*")
    return choose.pick((*inside, whole, part, "?" * len(whole), choose.pick(_GLOBS)))


def _regex(choose: Chooser, part: str) -> dict[str, Any]:
    quoted = re.escape(part) if part.isascii() and part.isprintable() else "a"
    made = (quoted, f"^{quoted}", f"{quoted}$", f"^{quoted}$", quoted.swapcase() if quoted.isalpha() else ".")
    pattern = choose.pick((*made, choose.pick(_PATTERNS), choose.pick(_PATTERNS)))
    options = choose.pick((None, "i", "m", "s", "ims", "", "x", "i"))
    return {"$regex": pattern} if options is None else {"$regex": pattern, "$options": options}
