"""What a query asks, worked out once: how it may be found, the keys of its sets, and the texts of its
statements.

A page that is asked again brings the very same filter and order (:mod:`docstore.listing`), with another
window at most. What was worked out is found by *which* objects those are, and holds on to them, so that no
other object can take their place; expressions are no keys, for ``1`` and ``True`` are equal in Python.
What a query of a shape that was met before asks is bound to its values (:mod:`docstore.query.bind`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from docstore_sql.fragment import Fragment, both

from docstore.backend import Query, Scope
from docstore.index.ordered import is_ordered
from docstore.query.bind import Pieces, Shape, pieces, sample, scalar_json
from docstore.query.expr import Compare, Expr, leaves
from docstore.query.shape import TEXT
from docstore.query.values import INT64_MAX, INT64_MIN
from docstore_sqlite.again import Pages
from docstore_sqlite.declared import has_order
from docstore_sqlite.narrow import answer_key, scoped, uses_index, walkable
from docstore_sqlite.postings import FIELDS

if TYPE_CHECKING:
    from docstore_sqlite.compile import SQLiteCompiler

__all__ = ["Asked", "AskedShape", "asked_of"]

_KEPT = 256
_LONGEST = 4096


@dataclass(slots=True, eq=False)
class Asked:
    """What is the same for all windows of a query.

    Attributes:
        query: the one that it was worked out for.
        terms: the conditions, the scope's among them, that all must hold.
        key: of their sets.
        untimed, untimed_key: the same without those on ``created_at``.
        timed: those on ``created_at``, as a condition.
        span: the least and the most ``created_at`` that they leave; ``None``: they are no range.
        where: all of them, as a condition.
        order: the ORDER BY list.
        is_walkable: whether the index of ``created_at`` has the order.
        is_indexed: whether the index may help; not where a declared one has all of it.
        is_sorted: whether the order is by columns or by a declared index.
        placed: under which key the matches are kept in this order; ``None`` where they are not.
        walks: how many pages were found by walking since all matches were looked for.
        pages: those last asked for, where the matches may be kept in this order.
    """

    query: Query
    terms: tuple[Expr, ...]
    key: str
    untimed: tuple[Expr, ...]
    untimed_key: str
    timed: Fragment | None
    span: tuple[int, int] | None
    order: Fragment
    is_walkable: bool
    is_indexed: bool
    is_sorted: bool
    placed: str | None
    walks: int = 0
    pages: Pages = field(default_factory=Pages)


def asked_of(query: Query, compiler: SQLiteCompiler) -> Asked:
    """Return what ``query`` asks, from what was asked before if it was."""
    place = (id(query.where), id(query.order), id(query.scope), query.offset > 200, query.lock)
    found = compiler.asked.get(place)
    if found is None:
        found = _of_shape(query, compiler) or _asked(query, compiler)
        if _is_short(found):
            if len(compiler.asked) >= _KEPT:
                compiler.asked.clear()
            compiler.asked[place] = found
    return found


@dataclass(frozen=True, slots=True)
class AskedShape:
    """What the queries of one shape ask.

    Attributes:
        shape: their shape; it is held here, so that no other can take its place.
        sample: what the one asks whose values are the samples.
        key, untimed_key: with places for the values, those of the scope behind the filter's.
        untimed: which of the terms those are.
        timed: which values are bound in the condition on ``created_at``.
        spanning: which of the terms are on ``created_at``.
    """

    shape: Shape
    sample: Asked
    key: Pieces
    untimed_key: Pieces
    untimed: tuple[int, ...]
    timed: tuple[int, ...]
    spanning: tuple[int, ...]

    def asked(self, query: Query, values: Sequence[Any]) -> Asked:
        """Return what the query with these values asks."""
        sample, texts, terms = self.sample, list(map(scalar_json, values)), scoped(query)
        key = self.key.filled(texts)
        timed = sample.timed
        return Asked(
            query=query,
            terms=terms,
            key=key,
            untimed=tuple([terms[at] for at in self.untimed]),
            untimed_key=self.untimed_key.filled(texts),
            timed=timed and Fragment(timed.text, tuple([values[at] for at in self.timed])),
            span=sample.span and _span([terms[at] for at in self.spanning]),
            order=sample.order,
            is_walkable=sample.is_walkable,
            is_indexed=sample.is_indexed,
            is_sorted=sample.is_sorted,
            placed=sample.placed and _place(query, key),
        )


def _of_shape(query: Query, compiler: SQLiteCompiler) -> Asked | None:
    """Return what ``query`` asks, where that was worked out for its shape; ``None``: it has none."""
    shaped, scope = query.shaped, query.scope
    if shaped is None or shaped.where is not query.where:
        return None
    confined = (scope.tenant is not None, scope.owner is not None)
    place = (id(shaped.shape), id(query.order), confined, query.offset > 200, query.lock)
    known = compiler.shapes.get(place)
    if known is None:
        if len(compiler.shapes) >= _KEPT:
            compiler.shapes.clear()
        known = compiler.shapes[place] = _asked_shape(query, shaped.shape, compiler)
    return known.asked(query, (*shaped.values, scope.tenant or "", scope.owner or ""))


def _asked_shape(query: Query, shape: Shape, compiler: SQLiteCompiler) -> AskedShape:
    scope = query.scope
    tenant, owner = sample(TEXT), sample(TEXT)
    within = Scope(None if scope.tenant is None else tenant, None if scope.owner is None else owner)
    made = _asked(replace(query, scope=within, where=shape.where, shaped=None), compiler)
    samples = (*shape.samples, tenant, owner)
    texts = [scalar_json(value) for value in samples]
    return AskedShape(
        shape,
        made,
        pieces(made.key, texts),
        pieces(made.untimed_key, texts),
        tuple(at for at, term in enumerate(made.terms) if any(term is one for one in made.untimed)),
        tuple(samples.index(value) for value in made.timed.values) if made.timed else (),
        tuple(at for at, term in enumerate(made.terms) if _is_timed(term)),
    )


def _is_timed(term: Expr) -> bool:
    return isinstance(term, Compare) and term.path == ("created_at",)


def _span(timed: Sequence[Any]) -> tuple[int, int] | None:
    """Return the least and the most whole number that all comparisons leave; ``None``: they are no range."""
    least, most = INT64_MIN, INT64_MAX
    for term in timed:
        value = term.value
        if type(value) is not int:
            return None
        if term.op in ("eq", "gt", "gte"):
            least = max(least, value + (term.op == "gt"))
        if term.op in ("eq", "lt", "lte"):
            most = min(most, value - (term.op == "lt"))
    return least, most


def _place(query: Query, key: str) -> str:
    return f"{query.order[0].path[0]} of {key}"


def _is_short(asked: Asked) -> bool:
    """Return whether it is worth its memory: lists of ids and the like, ten thousand long, are not."""
    if asked.is_indexed:
        return len(asked.key) <= _LONGEST
    return all(
        isinstance(leaf, Compare)
        and (leaf.value is None or isinstance(leaf.value, int) or len(str(leaf.value)) <= _LONGEST)
        for term in asked.terms
        for leaf in leaves(term)
    )


def _asked(query: Query, compiler: SQLiteCompiler) -> Asked:
    terms, declared = scoped(query), compiler.declared
    timed = [term for term in terms if _is_timed(term)]
    untimed = tuple(term for term in terms if not any(term is one for one in timed))
    has_all = bool(declared) and has_order(declared, terms, query.order, query.collection)
    is_sorted = len(query.order[0].path) == 1 or (
        bool(declared) and has_order(declared, (), query.order, query.collection)
    )
    is_indexed = not has_all and uses_index(query, terms, FIELDS[query.collection.name])
    key = answer_key(terms) if is_indexed else ""
    return Asked(
        query=query,
        terms=terms,
        key=key,
        untimed=untimed,
        untimed_key=answer_key(untimed) if is_indexed else "",
        timed=both(map(compiler.where, timed)) if timed else None,
        span=_span(timed),
        order=compiler.order_by(query.order),
        is_walkable=walkable(query.order),
        is_indexed=is_indexed,
        is_sorted=is_sorted,
        placed=_place(query, key) if is_ordered(query.order) else None,
    )
