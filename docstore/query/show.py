"""show: a plan and its predicates as lines for a terminal."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any, assert_never

from docstore.backend import SortKey
from docstore.query.expr import (
    Always,
    And,
    Compare,
    Contains,
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
from docstore.query.paths import path_text

if TYPE_CHECKING:
    from docstore.query.plan import Plan

__all__ = ["show_expr", "show_plan"]

_SIGNS = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_WIDTH = 100
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
            return f"{_path(path)} {_SIGNS[op]} {_value(value)}"
        case In(path, values):
            return f"{_path(path)} in {_values(values)}"
        case Exists(path):
            return f"{_path(path)} exists"
        case TypeIs(path, types):
            return f"{_path(path)} is {' or '.join(sorted(types)) or 'of no type'}"
        case Size(path, length):
            return f"{_path(path)} has size {length}"
        case Mod(path, divisor, remainder):
            return f"{_path(path)} mod {divisor} = {remainder}"
        case Regex(path, pattern, flags):
            return f"{_path(path)} matches /{_short(pattern)}/{flags}"
        case Match(path, kind, text):
            return f"{_path(path)} {kind} {_value(text)}"
        case Contains(path, values, every):
            return f"{_path(path)} contains {'all' if every else 'any'} of {_values(values)}"
        case ElemMatch(path, condition, _):
            return f"{_path(path)} has an element with ({show_expr(condition)})"
        case Occurs(text, _, _, content):
            return f"{_value(text)} occurs in filename{' or content' if content else ''}"
        case _:
            assert_never(leaf)


def _path(path: Path) -> str:
    return path_text(path) if path else "it"


def _value(value: Any) -> str:
    return _short(json.dumps(value, ensure_ascii=False))


def _values(values: tuple[Any, ...]) -> str:
    shown = ", ".join(_value(value) for value in values[:5])
    return f"[{shown}, … {len(values)} in all]" if len(values) > 5 else f"[{shown}]"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _key(key: SortKey) -> str:
    return f"{path_text(key.path)}{' descending' if key.descending else ''}"


def show_plan(plan: Plan) -> str:
    """Return the plan as lines: what runs where and why, the statement, the database's own plan."""
    verdict = "all of it by the backend" if plan.is_pushed and plan.sort_pushed else "partly here, row by row"
    lines = [f"{plan.collection} on {plan.backend}: {verdict}", ""]
    lines += _terms(plan)
    lines += textwrap.wrap(f"pushed     {show_expr(plan.pushed)}", _WIDTH, subsequent_indent=" " * 11)
    if not plan.is_pushed:
        lines += textwrap.wrap(f"residual   {show_expr(plan.residual)}", _WIDTH, subsequent_indent=" " * 11)
    where = "" if plan.sort_pushed else "   (sorted here)"
    lines.append(f"order      {', '.join(map(_key, plan.order))}{where}")
    lines.append(
        f"window     {'limit, offset and count by the backend' if plan.window_pushed else 'cut here'}"
    )
    if plan.statement is not None:
        lines += ["", "statement", *_block(plan.statement)]
        if plan.parameters:
            lines += [
                "parameters",
                *(f"  {at}  {_short(str(value))}" for at, value in enumerate(plan.parameters, 1)),
            ]
    if plan.database_plan:
        lines += ["", "database's plan", *(f"  {line}" for line in plan.database_plan.splitlines())]
    return "\n".join([*lines, *(f"note: {note}" for note in plan.notes)])


def _terms(plan: Plan) -> list[str]:
    if not plan.terms:
        return ["filter     none: every record"]
    rows = [(term.support.value, show_expr(term.expr), term.reason) for term in plan.terms]
    wide = min(max(len(text) for _, text, _ in rows), 70)
    return [f"{support:<11}{text:<{wide}}  {reason}".rstrip() for support, text, reason in rows]


def _block(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
