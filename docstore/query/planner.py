"""Planner: from a normalized filter to a Plan, what the backend runs and what is left to the evaluator.

Each leaf is *exact*, *inexact* (a superset) or *unsupported* in the backend's own word. Pushed is the
strongest condition made of exact and inexact leaves that every match fulfils; the residual is what still has
to be looked at, row by row.
"""

from __future__ import annotations

import json
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, TypeAlias

from docstore.query.expr import (
    TRUE,
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
    SortKey,
    Support,
    TermSupport,
    TypeIs,
    leaves,
)
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, Kind
from docstore.query.instants import MAX_INSTANT, MIN_INSTANT, format_instant
from docstore.query.optimizer import normalize
from docstore.query.paths import path_text


@dataclass(frozen=True, slots=True)
class PlanTerm:
    """One predicate of the filter, and how it is run.

    Attributes:
        expr: the predicate.
        support: ``exact``, ``inexact`` (run by the backend, then rechecked) or ``unsupported`` (residual: all
            of it is left to the evaluator). A predicate that the backend could run by itself is less than
            exact where it stands under an ``$or`` or ``$nor`` with one that the backend cannot.
        reason: why, where it is not exact.
    """

    expr: Leaf
    support: Support
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a query is run; ``str(plan)`` is made to be read in a terminal.

    Attributes:
        collection: ``documents`` or ``extractions``.
        backend: the backend's name.
        pushed: the condition that the backend runs.
        residual: the condition left to the evaluator; TRUE if there is none.
        terms: every predicate and how it is run.
        order: the sort keys.
        window_pushed: whether limit, offset and count are the backend's, which they are where the residual is
            TRUE and the order is the backend's.
        sort_pushed: whether the backend orders the rows.
        sort_reasons: the keys that it cannot order by, and why.
        statement: what the backend would run, or ``None`` if it cannot show it.
        parameters: the statement's bound values.
        database_plan: the database's own plan, or ``None``.
        notes: remarks, such as an index that would help.

    Example:
        >>> plan = store.documents.explain({"metadata.amount": {"$gt": 10}})
        >>> plan.is_pushed
        True
    """

    collection: str
    backend: str
    pushed: Expr
    residual: Expr
    terms: tuple[PlanTerm, ...] = ()
    order: tuple[SortKey, ...] = ()
    window_pushed: bool = True
    sort_pushed: bool = True
    sort_reasons: tuple[str, ...] = ()
    statement: str | None = None
    parameters: tuple[Any, ...] = ()
    database_plan: str | None = None
    notes: tuple[str, ...] = field(default=())
    is_careful: bool = field(default=False, repr=False, compare=False)
    """Whether each row is looked at before it counts, as some cannot be read."""

    @property
    def is_pushed(self) -> bool:
        """Whether the backend runs all of it."""
        return self.residual == TRUE

    def reasons(self) -> tuple[str, ...]:
        """Return the predicates that the backend does not run exactly, and why."""
        return tuple(
            f"{show_expr(term.expr)}: {term.reason or 'not run by the backend'}"
            for term in self.terms
            if term.support is not Support.EXACT
        )

    def unindexed(self) -> tuple[str, ...]:
        """Return the predicates that no index serves, so that rows are looked at one by one for them."""
        return tuple(
            show_expr(term.expr)
            for term in self.terms
            if term.support is Support.UNSUPPORTED or not _is_indexable(term.expr)
        )

    def __str__(self) -> str:
        """Return the plan as lines for a terminal, as wide as the terminal is (80 to 120 columns)."""
        return plan_text(self)


def _is_indexable(leaf: Leaf) -> bool:
    """Return whether an index of some backend can narrow a leaf."""
    match leaf:
        case Match(path, kind):
            return kind == "starts_with" or path == ("filename",)
        case ElemMatch(_, condition):
            return any(map(_is_indexable, leaves(condition)))
        case Occurs(_, words):
            return bool(words)
        case Compare() | In() | All() | Exists() | TypeIs() | Size() | Contains() | During():
            return leaf.path[:1] != ("content",)
        case _:
            return isinstance(leaf, Always)


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
    shown = ", ".join(_value(value, path) for value in values[:5])
    return f"[{shown}, … {len(values):,} in all]" if len(values) > 5 else f"[{shown}]"


def shortened(text: str) -> str:
    """Return ``text``, cut at 60 characters."""
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


class Planned(Protocol):
    """What the planner asks of a backend."""

    @property
    def name(self) -> str:
        """A short name for plans."""

    def support(self, collection: Collection, leaf: Leaf) -> TermSupport:
        """Say how far the backend runs a leaf."""

    def sorts(self, collection: Collection, key: SortKey) -> TermSupport:
        """Say whether the backend orders by a key."""


LeafSupport: TypeAlias = Callable[[Leaf], TermSupport]
"""The backend's word on a leaf."""


def make_plan(backend: Planned, collection: Collection, expr: Expr, order: Sequence[SortKey]) -> Plan:
    """Split a normalized ``expr`` into what ``backend`` runs and what is left."""
    every = tuple(leaves(expr))
    supports = [backend.support(collection, leaf) for leaf in every]
    unsorted = _sort_reasons(backend, collection, order)
    # The short way, for nearly every query: all is pushed as it stands.
    if all(answer.support is Support.EXACT for answer in supports):
        terms = tuple(
            PlanTerm(leaf, Support.EXACT, answer.reason) for leaf, answer in zip(every, supports, strict=True)
        )
        return Plan(
            collection.name, backend.name, expr, TRUE, terms, tuple(order),
            window_pushed=not unsorted, sort_pushed=not unsorted, sort_reasons=unsorted,
        )  # fmt: skip

    def support_of(leaf: Leaf) -> TermSupport:
        return backend.support(collection, leaf)

    conjuncts = tuple(
        part
        for term in (expr.terms if isinstance(expr, And) else (expr,))
        for part in _split_negation(term, support_of)
    )
    left = tuple(term for term in conjuncts if not _is_exact(term, support_of))
    return Plan(
        collection=collection.name,
        backend=backend.name,
        pushed=normalize(And(tuple(_project(term, support_of) for term in conjuncts))),
        residual=normalize(And(left)),
        terms=tuple(term for conjunct in conjuncts for term in _terms(conjunct, support_of)),
        order=tuple(order),
        window_pushed=False,
        sort_pushed=not unsorted,
        sort_reasons=unsorted,
    )


def _split_negation(term: Expr, support_of: LeafSupport) -> tuple[Expr, ...]:
    """Return neither-this-nor-that as two conjuncts where the backend runs one of the two exactly."""
    if not (isinstance(term, Not) and isinstance(term.term, Or)):
        return (term,)
    exact = tuple(one for one in term.term.terms if _is_exact(one, support_of))
    rest = tuple(one for one in term.term.terms if not _is_exact(one, support_of))
    return (Not(Or(exact)), Not(Or(rest))) if exact and rest else (term,)


def _sort_reasons(backend: Planned, collection: Collection, order: Sequence[SortKey]) -> tuple[str, ...]:
    """Return the keys that the backend cannot order by, and why."""
    supports = [(key, backend.sorts(collection, key)) for key in order]
    return tuple(
        f"sort by {path_text(key.path)}: {answer.reason or 'not run by the backend'}"
        for key, answer in supports
        if answer.support is not Support.EXACT
    )


def _terms(conjunct: Expr, support_of: LeafSupport) -> Iterator[PlanTerm]:
    """Yield how each leaf is run. An exact leaf may still need a recheck because of its siblings."""
    if _is_exact(conjunct, support_of):
        for leaf in leaves(conjunct):
            yield PlanTerm(leaf, Support.EXACT, support_of(leaf).reason)
        return
    for leaf, narrows in _narrowing(conjunct, support_of):
        answer = support_of(leaf)
        if answer.support is not Support.EXACT and narrows == (answer.support is Support.INEXACT):
            yield PlanTerm(leaf, answer.support, answer.reason)
        elif narrows:
            yield PlanTerm(leaf, Support.INEXACT, "exact, but checked again with what stands beside it")
        else:
            yield PlanTerm(leaf, Support.UNSUPPORTED, "of no use without what stands beside it")


def _narrowing(expr: Expr, support_of: LeafSupport) -> Iterator[tuple[Leaf, bool]]:
    """Yield each leaf with whether it is in what :func:`_project` leaves of ``expr``."""
    match expr:
        case And(terms):
            for term in terms:
                yield from _narrowing(term, support_of)
        case Or(terms):
            useless = any(normalize(_project(term, support_of)) == TRUE for term in terms)
            for term in terms:
                inner = _narrowing(term, support_of)
                yield from ((leaf, narrows and not useless) for leaf, narrows in inner)
        case Not(term):
            yield from ((leaf, _is_exact(term, support_of)) for leaf in leaves(term))
        case _:
            yield expr, support_of(expr).support is not Support.UNSUPPORTED


def _is_exact(expr: Expr, support_of: LeafSupport) -> bool:
    return all(support_of(leaf).support is Support.EXACT for leaf in leaves(expr))


def _project(expr: Expr, support_of: LeafSupport) -> Expr:
    """Return the strongest superset of ``expr`` that the backend can run.

    A negative is pushed only if all under it is exact: the complement of a superset is no superset.
    """
    match expr:
        case And(terms):
            return And(tuple(_project(term, support_of) for term in terms))
        case Or(terms):
            return Or(tuple(_project(term, support_of) for term in terms))
        case Not():
            return expr if _is_exact(expr, support_of) else TRUE
        case _:
            return TRUE if support_of(expr).support is Support.UNSUPPORTED else expr
