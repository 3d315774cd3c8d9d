"""Planner: the normal form of a filter, and its Plan: what the backend runs, and what the evaluator.

The normal form is flat and has no constants, double negations or repetitions. It matches the same records.

Each leaf is *exact*, *inexact* (a superset) or *unsupported* in the backend's own word. Pushed is the
strongest condition made of exact and inexact leaves that every match fulfils; the residual is what still has
to be looked at, row by row.
"""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Protocol, TypeAlias

from docstore.concurrency import looked_over
from docstore.query.explain import shortened, show_expr
from docstore.query.expr import (
    FALSE,
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
    Not,
    Occurs,
    Or,
    Regex,
    Size,
    SortKey,
    Support,
    TermSupport,
    TypeIs,
    expr_to_json,
    leaves,
)
from docstore.query.fields import Collection
from docstore.query.paths import path_text
from docstore.query.patterns import joined_patterns
from docstore.query.values import compare, identity, type_rank


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


# Columns that the labels of a printed plan take.
_LABEL = 10
# Characters after which a line of SQL or of the database's plan is cut: a list of ids may have 10,000.
_LONGEST_LINE = 2_000
# Users read "residual": all of the predicate is left to the evaluator.
_LABELS = {Support.EXACT: "exact", Support.INEXACT: "inexact", Support.UNSUPPORTED: "residual"}
# Where a statement is broken into lines: at its clauses outside of brackets, and at AND one level deeper, as
# a whole condition stands in brackets.
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


# -- the normal form -------------------------------------------------------------------------------


def normalize(expr: Expr) -> Expr:
    """Return an Expr that matches just what ``expr`` does, in its tidiest form.

    ``And`` within ``And`` and ``Or`` within ``Or`` are flattened, ``TRUE`` and ``FALSE`` are worked out,
    ``Not(Not(x))`` is ``x``, a group of one is its term, terms and list values that come twice are kept once,
    of many bounds of one kind on one path the deciding one; alternatives for an element of one array are
    one ``ElemMatch``, and negative alternatives one ``Not``. Of one path, alternative equalities are one
    ``In``, alternative patterns with equal options one pattern, and several ``Not`` the ``Not`` of an ``Or``.
    Idempotent.
    """
    match expr:
        case And(terms):
            return _group(And, map(normalize, terms))
        case Or(terms):
            return _group(Or, map(normalize, terms))
        case Not(term):
            return _negation(normalize(term))
        case _:
            return _leaf(expr)


def conjunction(terms: Iterable[Expr]) -> Expr:
    """Return the normalized ``And`` of terms that are normalized already."""
    return _group(And, terms)


def _negation(term: Expr) -> Expr:
    match term:
        case Always(value):
            return Always(not value)
        case Not(inner):
            return inner
        case _:
            return Not(term)


def _group(kind: type[And] | type[Or], terms: Iterable[Expr]) -> Expr:
    """Return the ``And`` or ``Or`` of normalized terms."""
    is_and = kind is And
    found: list[Expr] = []
    for term in terms:
        if type(term) is Always:
            # FALSE decides an And, TRUE an Or; the other constant says nothing there.
            if term.value is not is_and:
                return term
        elif type(term) is kind:
            found += term.terms
        else:
            found.append(term)
    # Rewrites compare terms with each other; most conjunctions have nothing to compare.
    if _may_meet(found):
        found = _bounded(_once(found), strictest=is_and)
        found = _merged(found, _denied_path, _neither) if is_and else _merged(found, _alternative, _either)
    if len(found) == 1:
        return found[0]
    return kind(tuple(found)) if found else Always(is_and)


def _may_meet(terms: list[Expr]) -> bool:
    """Tell whether two terms share a path, or a kind that has none: only then a rewrite can apply."""
    places: set[object] = set()
    for term in terms:
        kind = type(term)
        places.add(kind if kind in _WITHOUT_PATH else term.path)  # type: ignore[union-attr]
    return len(places) < len(terms)


_WITHOUT_PATH = frozenset({And, Or, Not, Occurs, Always})


def _once(terms: list[Expr]) -> list[Expr]:
    """Return the terms without repetitions: only those that are alike at a glance are written out."""
    glances = {(type(term), getattr(term, "path", None), getattr(term, "op", None)) for term in terms}
    if len(glances) == len(terms):
        return terms
    kept: dict[str, Expr] = {}
    for term in terms:
        kept.setdefault(expr_to_json(term), term)
    return list(kept.values())


def _bounded(terms: list[Expr], *, strictest: bool) -> list[Expr]:
    """Return the terms with one lower and one upper bound for each path and type (rule 12) at most.

    A value that is above the highest of some bounds is above them all, whichever values (rule 9) the others
    were met by; and what is above any of them is above the lowest.
    """
    # Bounds are keyed by what they bound, all else by its place: a tuple never equals a number.
    kept: dict[tuple[object, ...] | int, Expr] = {}
    for at, term in enumerate(terms):
        if isinstance(term, Compare) and term.op != "eq":
            is_lower = term.op in ("gt", "gte")
            key = (term.path, is_lower, type_rank(term.value))
            other = kept.get(key)
            if isinstance(other, Compare):
                kept[key] = _deciding(other, term, highest=is_lower is strictest, strictest=strictest)
            else:
                kept[key] = term
        else:
            kept[at] = term
    return list(kept.values())


def _deciding(one: Compare, other: Compare, *, highest: bool, strictest: bool) -> Compare:
    order = compare(one.value, other.value)
    if order == 0:
        return one if (one.op in ("gt", "lt")) is strictest else other
    return one if (order > 0) is highest else other


def _merged(
    terms: list[Expr], place: Callable[[Expr], Hashable], join: Callable[[list[Any]], list[Expr]]
) -> list[Expr]:
    """Join the terms that ``place`` puts at one place; a term whose place is None stays by itself."""
    groups: dict[Hashable, list[Expr]] = {}
    for at, term in enumerate(terms):
        key = place(term)
        groups.setdefault(at if key is None else key, []).append(term)
    if len(groups) == len(terms):
        return terms
    return [term for some in groups.values() for term in (some if len(some) == 1 else join(some))]


def _alternative(term: Expr) -> Hashable:
    """Return the key that alternatives which can be joined with ``term`` share; None if none can.

    Equality with an array or object stays apart: an index finds those by what is inside. A pattern with
    ``\\Q`` may quote up to its very end, whatever stands behind it.
    """
    match term:
        case ElemMatch(path, _, of):
            return ElemMatch, path, of
        case Not():
            return Not
        case Compare(path, "eq", value) if not isinstance(value, list | dict):
            return In, path
        case In(path, values) if not any(isinstance(value, list | dict) for value in values):
            return In, path
        case Regex(path, pattern, flags) if r"\Q" not in pattern:
            return Regex, path, flags
        case _:
            return None


def _either(terms: list[Any]) -> list[Expr]:
    """Join alternatives: an element for this or for that is an element for this or that; not this or not that
    is not both; to equal one or the other is to be in a list; RE2 reads a text once for many patterns.
    """
    match terms[0]:
        case ElemMatch(path, _, of):
            return [normalize(ElemMatch(path, Or(tuple(term.condition for term in terms)), of))]
        case Not():
            return [_negation(normalize(And(tuple(term.term for term in terms))))]
        case Regex(path, _, flags):
            joined = joined_patterns([term.pattern for term in terms], flags)
            return terms if joined is None else [Regex(path, joined, flags)]
        case first:
            each = (term.values if isinstance(term, In) else (term.value,) for term in terms)
            return [_leaf(In(first.path, tuple(chain.from_iterable(each))))]


def _denied_path(term: Expr) -> Hashable:
    """Return the one path under a ``Not``; None if there are several, or ``term`` is no ``Not``."""
    if not isinstance(term, Not):
        return None
    paths = {None if isinstance(leaf, Always | Occurs) else leaf.path for leaf in leaves(term)}
    return paths.pop() if len(paths) == 1 else None


def _neither(terms: list[Any]) -> list[Expr]:
    """Join negatives: neither this nor that is not either."""
    return [_negation(normalize(Or(tuple(term.term for term in terms))))]


def _leaf(leaf: Leaf) -> Leaf:
    match leaf:
        case In(path, values):
            return _membership(In(path, _distinct(values)))
        case All(path, values):
            kept = _distinct(values)
            return All(path, kept) if len(kept) > 1 else Compare(path, "eq", kept[0])
        case Contains(path, values, every, instants):
            return Contains(path, _distinct(values), every, instants) if every or values else FALSE
        case ElemMatch(path, condition, of):
            inner = normalize(condition)
            return FALSE if inner == FALSE else ElemMatch(path, inner, of)
        case Compare(path, op, None) if op != "eq":
            return FALSE if op in ("gt", "lt") else Compare(path, "eq", None)
        case TypeIs(_, types):
            return leaf if types else FALSE
        case _:
            return leaf


def _membership(leaf: In) -> Leaf:
    if not leaf.values:
        return FALSE
    return leaf if len(leaf.values) > 1 else Compare(leaf.path, "eq", leaf.values[0])


def _distinct(values: tuple[object, ...]) -> tuple[object, ...]:
    kept: dict[object, object] = {}
    for value in looked_over(values):
        kept.setdefault(identity(value), value)
    return tuple(kept.values())


# -- the plan of a backend -------------------------------------------------------------------------


class Planned(Protocol):
    """What the planner asks of a backend."""

    @property
    def name(self) -> str:
        """A short name for plans."""

    def support(self, collection: Collection, leaf: Leaf) -> TermSupport:
        """Say how far the backend runs a leaf."""

    def sorts(self, collection: Collection, key: SortKey) -> TermSupport:
        """Say whether the backend orders by a key."""


# The backend's word on a leaf.
LeafSupport: TypeAlias = Callable[[Leaf], TermSupport]


def make_plan(backend: Planned, collection: Collection, expr: Expr, order: Sequence[SortKey]) -> Plan:
    """Split a normalized ``expr`` into what ``backend`` runs and what is left."""
    every = tuple(leaves(expr))
    supports = [backend.support(collection, leaf) for leaf in every]
    # One key that the backend cannot order by is enough: then the core sorts by all of them.
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
        # A limit below a residual would count rows that the residual drops.
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
    # not (a or b) is (not a) and (not b): the exact half can be pushed by itself.
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
