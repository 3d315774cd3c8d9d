"""Operands near a stored value: itself, its neighbours, its likeness in another type, or another value."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st

from docstore.testing.strategies.values import json_values, scalars, texts

__all__ = ["list_operands", "mods", "near", "plain_operands", "string_conditions", "type_operands"]

_TYPES = (
    "null", "bool", "number", "string", "array", "object", "int", "long", "double", "date", "decimal",
    "objectId", "binData", "regex", "timestamp", 10, 8, 2, 4, 3, 16, 18, 1, 9, 7, -1, 127,
)  # fmt: skip


def _neighbours(value: Any) -> list[Any]:
    """Return what an engine may take for ``value``: another type's likeness, the next number, a case."""
    match value:
        case bool():
            return [not value, int(value), str(value).lower()]
        case int():
            beside = [number for number in (value - 1, value + 1) if -(2**63) <= number < 2**63]
            return [float(value), value == 1, str(value), *beside]
        case float():
            whole = [int(value)] if value.is_integer() and abs(value) < 2**63 else []
            return [*whole, value / 2, str(value)]
        case str():
            return [value.swapcase(), value[:-1], value + "a", [value]]
        case list():
            return [*value, [value], value[:-1], value[::-1]]
        case dict():
            return [*value.values(), {**value, "zz": 1}, dict(reversed(value.items())), {}]
    return [False, 0, "", "null", [None], []]


def near(value: Any) -> st.SearchStrategy[Any]:
    """Return ``value`` often, then its neighbours, then anything."""
    same = st.just(value)
    return st.one_of(same, same, st.sampled_from(_neighbours(value) or [value]), scalars(), json_values(3))


def _has_word(value: Any) -> bool:
    return isinstance(value, dict) and next(iter(value), "").startswith("$")


def plain_operands(value: Any) -> st.SearchStrategy[Any]:
    """Return operands in which no operator can be read."""
    return near(value).filter(lambda operand: not _has_word(operand))


def list_operands(value: Any) -> st.SearchStrategy[list[Any]]:
    """Return lists of up to four operands; of an array, parts of it often."""
    some = st.lists(plain_operands(value), max_size=4)
    if isinstance(value, list) and value:
        return st.one_of(some, st.lists(st.sampled_from(value), max_size=3).map(_without_words))
    return some


def _without_words(values: list[Any]) -> list[Any]:
    return [value for value in values if not _has_word(value)]


def type_operands() -> st.SearchStrategy[Any]:
    """Return one alias or code of ``$type``, or a few."""
    one = st.sampled_from(_TYPES)
    return st.one_of(one, st.lists(one, min_size=1, max_size=3))


def mods() -> st.SearchStrategy[list[Any]]:
    """Return divisor and remainder, fractions that are truncated among them."""
    divisors = st.sampled_from((1, 2, 3, -3, 2.0, 2.9, 10, 2**53, 2**63 - 1, -(2**63)))
    return st.tuples(divisors, st.sampled_from((0, 1, -1, 2, 1.5, 0.0))).map(list)


@st.composite
def string_conditions(draw: st.DrawFn, value: Any) -> dict[str, Any]:
    """Return one operator on strings, its text or pattern made from a part of ``value``."""
    text = value if isinstance(value, str) else draw(texts())
    start = draw(st.integers(0, len(text)))
    part = text[start : start + draw(st.integers(0, 4))]
    word = draw(st.sampled_from(("$substring", "$isubstring", "$startsWith", "$glob", "$iglob", "$regex")))
    if word == "$regex":
        return draw(_regexes(part))
    if word in ("$glob", "$iglob"):
        return {word: draw(_globs(text, part))}
    return {word: draw(st.sampled_from((part, text, part.swapcase(), text[:1], text[-1:])))}


def _globs(text: str, part: str) -> st.SearchStrategy[str]:
    plain = re.sub(r"([*?\[\\])", r"\\\1", part)
    return st.sampled_from(
        (
            f"*{plain}*", f"{plain}*", f"*{plain}", plain, "*", "?" * len(text), f"?{plain}*", text, part,
            "[a-z]*", "[!a]*", "[]]*", "[z-a]", "[a", "\\", "*\\", "[!]", f"[{part}]*", "*%*", "_*",
        )
    )  # fmt: skip


@st.composite
def _regexes(draw: st.DrawFn, part: str) -> dict[str, Any]:
    quoted = re.escape(part) if part.isascii() and part.isprintable() else "a"
    pattern = draw(
        st.sampled_from(
            (
                quoted, f"^{quoted}", f"{quoted}$", f"^{quoted}$", ".", "^.$", "^$", "", "a|b", "[a-c]+",
                r"^\d+$", r"\bab\b", "(?i)A", "x*", r"\w+", r"\S", "^.{2,3}$", "é", "[^a]", r"\.", "(a)(b)?",
                "^a", "b$", "a.b", "%", "_",
            )
        )
    )  # fmt: skip
    options = draw(st.sampled_from((None, None, "i", "m", "s", "ims", "", "x", "i")))
    return {"$regex": pattern} if options is None else {"$regex": pattern, "$options": options}
