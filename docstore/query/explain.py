"""Words for an Expr: how ``explain`` and error texts show a condition."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

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
)
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Kind
from docstore.query.instants import MAX_INSTANT, MIN_INSTANT, format_instant
from docstore.query.paths import path_text

_SIGNS = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_WORDS = {
    "substring": "has the substring",
    "isubstring": "has (case aside) the substring",
    "starts_with": "starts with",
    "glob": "is like",
    "iglob": "is (case aside) like",
}
_INSTANTS = frozenset(
    (field.name,)
    for collection in (DOCUMENTS, EXTRACTIONS)
    for field in (*collection.fields.values(), *collection.private.values())
    if field.kind is Kind.INSTANT
)
# Characters of a value in a line.
_LONGEST_VALUE = 60


def show_expr(expr: Expr) -> str:
    """Return ``expr`` on one line, long values shortened."""
    match expr:
        case And(terms):
            return " and ".join(_grouped(term) for term in terms) or "true"
        case Or(terms):
            return " or ".join(_grouped(term) for term in terms) or "false"
        case Not(term):
            return f"not {_grouped(term)}"
        case _:
            return _show_leaf(expr)


def _grouped(expr: Expr) -> str:
    text = show_expr(expr)
    return f"({text})" if isinstance(expr, And | Or) and len(expr.terms) > 1 else text


def _show_leaf(leaf: Leaf) -> str:
    match leaf:
        case Always(value):
            return "true" if value else "false"
        case Compare(path, op, value):
            return f"{_path(path)} {_SIGNS[op]} {_value(value, path)}"
        case In(path, values):
            return f"{_path(path)} in {_values(values, path)}"
        case All(path, values):
            return f"{_path(path)} has all of {_values(values)}"
        case Exists(path):
            return f"{_path(path)} exists"
        case TypeIs(path, types):
            return f"{_path(path)} is {' or '.join(sorted(types)) or 'of no type'}"
        case Size(path, length):
            return f"{_path(path)} has size {length}"
        case During(path, spans):
            return f"{_path(path)} is {_spans(spans)}"
        case Mod(path, divisor, remainder):
            return f"{_path(path)} mod {divisor} = {remainder}"
        case Regex(path, pattern, flags):
            return f"{_path(path)} matches /{shortened(pattern)}/{flags}"
        case Match(path, kind, text):
            return f"{_path(path)} {_WORDS[kind]} {_value(text)}"
        case Contains(path, values, every, instants):
            shown = _values((*values, *map(format_instant, instants)))
            return f"{_path(path)} contains {'all' if every else 'any'} of {shown}"
        case ElemMatch(path, condition, _):
            return f"{_path(path)} has an element with ({show_expr(condition)})"
        case Occurs(text, _, _, content, _):
            return f"{_value(text)} occurs in filename{' or content' if content else ''}"
        case _:  # a leaf without words of its own: its name and values
            operands = tuple(getattr(leaf, one.name) for one in fields(leaf) if one.name != "path")
            return f"{_path(leaf.path)} {type(leaf).__name__} {_values(operands)}"


def _spans(spans: tuple[tuple[int, int], ...]) -> str:
    """Return what instants must be: ``at``, ``from``, ``until``, both included."""
    shown = []
    for first, last in spans[:3]:
        if first == last:
            shown.append(f"at {format_instant(first)}")
            continue
        start = "" if first == MIN_INSTANT else f"from {format_instant(first)}"
        end = "" if last == MAX_INSTANT else f"until {format_instant(last)}"
        shown.append(" ".join(filter(None, (start, end))) or "an instant")
    return " or ".join(shown) + (f" or … {len(spans):,} in all" if len(spans) > 3 else "")


def _path(path: Path) -> str:
    return path_text(path) if path else "it"


def _value(value: Any, path: Path = ()) -> str:
    if path in _INSTANTS and isinstance(value, int):
        return format_instant(value)
    return shortened(json.dumps(value, ensure_ascii=False))


def _values(values: tuple[Any, ...], path: Path = ()) -> str:
    # The first five tell what a list is about.
    shown = ", ".join(_value(value, path) for value in values[:5])
    return f"[{shown}, … {len(values):,} in all]" if len(values) > 5 else f"[{shown}]"


def shortened(text: str) -> str:
    """Return ``text``, cut at 60 characters."""
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"
