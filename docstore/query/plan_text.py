"""plan_text: a plan as lines for a terminal, 80 to 120 columns wide."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from docstore.backend import SortKey, Support
from docstore.query.paths import path_text
from docstore.query.show import shortened, show_expr

if TYPE_CHECKING:
    from docstore.query.plan import Plan, PlanTerm

__all__ = ["plan_text"]

_LABEL = 10
_LONGEST_LINE = 2_000
_LABELS = {Support.EXACT: "exact", Support.INEXACT: "inexact", Support.UNSUPPORTED: "residual"}
_CLAUSES = re.compile(r"\(|\)| (?=FROM |CROSS JOIN |WHERE |ORDER BY |LIMIT )| (?=AND )")


def plan_text(plan: Plan) -> str:
    """Return the plan as lines: what runs where and why, the statement, the database's own plan."""
    width = min(max(shutil.get_terminal_size((100, 24)).columns, 80), 120)
    parts = (_query(plan, width), _predicates(plan, width), _statement(plan, width), _database(plan, width))
    blocks = ("\n".join(lines) for lines in parts if lines)
    verdict = "all of it by the backend" if plan.is_pushed and plan.sort_pushed else "partly here, row by row"
    return "\n\n".join((f"{plan.collection} on {plan.backend}: {verdict}", *blocks))


def _query(plan: Plan, width: int) -> list[str]:
    """Return the condition, the order and the window, each with who does it."""
    lines = _labelled("filter" if plan.is_pushed else "pushed", show_expr(plan.pushed), width)
    if not plan.is_pushed:
        lines += _labelled("residual", show_expr(plan.residual), width)
    lines += _labelled("order", ", ".join(map(_key, plan.order)), width)
    unindexed = plan.unindexed()
    lines += _labelled("no index", "; ".join(unindexed), width) if unindexed else []
    lines += [line for reason in plan.sort_reasons for line in _labelled("", f"here: {reason}", width)]
    window = "limit, offset and count by the backend" if plan.window_pushed else "cut here"
    return [*lines, *_labelled("window", window, width)]


def _predicates(plan: Plan, width: int) -> list[str]:
    lines = [line for term in plan.terms for line in _predicate(term, width)]
    return ["predicates", *lines] if lines else []


def _predicate(term: PlanTerm, width: int) -> Iterator[str]:
    shown = textwrap.wrap(show_expr(term.expr), width - _LABEL - 2) or [""]
    yield f"  {_LABELS[term.support]:<{_LABEL}}{shown[0]}"
    rest = [*shown[1:], *textwrap.wrap(term.reason, width - _LABEL - 4, initial_indent="— ")]
    yield from (f"  {'':<{_LABEL}}{line}" for line in rest)


def _statement(plan: Plan, width: int) -> list[str]:
    if plan.statement is None:
        return []
    lines = ["statement", *_wrapped(_clauses(plan.statement), width)]
    if not plan.parameters:
        return lines
    wide = len(str(len(plan.parameters)))
    bound = [f"  {at:>{wide}}  {shortened(repr(value))}" for at, value in enumerate(plan.parameters, 1)]
    return [*lines, "", "parameters", *bound]


def _clauses(statement: str) -> list[str]:
    """Return the statement's clauses as lines of their own, and the terms of its condition."""
    depth, begun, lines = 0, 0, []
    for found in _CLAUSES.finditer(statement):
        if found[0] in "()" and found[0]:
            depth += 1 if found[0] == "(" else -1
            continue
        if depth > (1 if statement.startswith("AND ", found.end()) else 0):
            continue
        lines.append(statement[begun : found.start()])
        begun = found.end()
    lines.append(statement[begun:])
    return [line for text in lines for line in text.splitlines()]


def _database(plan: Plan, width: int) -> list[str]:
    lines = _labelled("note", "; ".join(plan.notes), width) if plan.notes else []
    if plan.database_plan:
        lines = ["database's plan", *_wrapped(plan.database_plan.splitlines(), width), *lines]
    return lines


def _wrapped(lines: list[str], width: int) -> list[str]:
    """Return lines two columns in, the long ones broken and the rest of them four columns further in."""
    found: list[str] = []
    for line in lines:
        text = line.lstrip()
        if len(text) > _LONGEST_LINE:
            text = f"{text[:_LONGEST_LINE]} … {len(text) - _LONGEST_LINE:,} characters more"
        indent = "  " + " " * min(len(line) - len(text), width // 2)
        found += textwrap.wrap(
            text, width, initial_indent=indent, subsequent_indent=indent + "    ", break_on_hyphens=False
        )
    return found


def _labelled(label: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=f"{label:<{_LABEL}}",
        subsequent_indent=" " * _LABEL,
        break_on_hyphens=False,
    )


def _key(key: SortKey) -> str:
    return f"{path_text(key.path)}{' descending' if key.descending else ''}"
