"""Reading by the index: from a query to the rows to look at, and how they are found.

The filter's sets come first (:mod:`docstore.index.bounds`). Then, in this order:

*list*: few matches are sorted by their values, or read and sorted.
*walk*: along the rows on the index of ``created_at``, from where bounds on it begin, a bit test a row, for as
many rows as a page's worth of frequent matches needs; where matches are frequent that fills the page, and
nothing was counted or sorted.
*order*: what was cut very often until the next fold is sorted and kept; further pages are taken from there.
*cut*: the window's rows are picked out by bit slices, wherever they lie; the number of matches, their place
in the order and the depth of the page hardly count.
*scan*: what is left (many matches in an order by JSON paths) is SQLite's, with a bit test a row.

What the sets leave open is put to the evaluator in the same statement. No choice changes the answer.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from math import isqrt

from docstore.backend import Query, SortKey
from docstore.index.texts import asked
from docstore.query.expr import TRUE, Always, And, Compare, Expr, In, Leaf, Occurs, expr_to_json, leaves

__all__ = [
    "LISTED",
    "WALK_MOST",
    "Way",
    "answer_key",
    "scoped",
    "uses_index",
    "walk_length",
    "walkable",
]

LISTED = 4000
"""Up to so many matches are read and sorted without further ado."""

_KEYS = frozenset({"id", "number", "document_id", "external_id", "sha256", "blob_key"})
_WALK_LEAST, WALK_MOST = 512, 8192


@dataclass(frozen=True, slots=True)
class Way:
    """How the rows of a query are found; shown by ``explain``.

    Attributes:
        kind: ``walk``, ``order``, ``cut``, ``rounds``, ``list`` or ``scan``.
        sure: how many surely match, where counted.
        unsure: how many the evaluator has to look at, where counted.
    """

    kind: str
    sure: int | None = None
    unsure: int | None = None

    def __str__(self) -> str:
        """Return this as a remark of ``explain``."""
        if self.kind == "order":
            return "index: the matches are kept in this order"
        if self.sure is None:
            return "index: walk the first rows of the order, a bit test each"
        look = f", {self.unsure} to be looked at" if self.unsure else ""
        how = {
            "rounds": "cut by bit slices and looked at in rounds",
            "cut": "cut by bit slices",
            "list": "read and sorted",
            "scan": "a bit test for each row in order",
        }[self.kind]
        return f"index: {self.sure} match{look}; {how}"


def conjuncts(where: Expr) -> tuple[Expr, ...]:
    """Return the terms that all must hold."""
    if where == TRUE:
        return ()
    return where.terms if isinstance(where, And) else (where,)


def scoped(query: Query) -> tuple[Expr, ...]:
    """Return the terms of the filter and of the scope."""
    parts = (("tenant", query.scope.tenant), ("owner", query.scope.owner))
    scope = tuple(Compare((name,), "eq", value) for name, value in parts if value is not None)
    return (*scope, *conjuncts(query.where))


def uses_index(terms: Sequence[Expr], kept: Container[str]) -> bool:
    """Return whether the index may help: a term is about facts, and none asks for rows by a key that SQLite
    has an index on.
    """
    helps = False
    for term in terms:
        if (
            isinstance(term, In | Compare)
            and len(term.path) == 1
            and term.path[0] in _KEYS
            and (isinstance(term, In) or (term.op == "eq" and term.value is not None))
        ):
            return False
        helps = helps or any(_is_of_facts(leaf, kept) for leaf in leaves(term))
    return helps


def _is_of_facts(leaf: Leaf, kept: Container[str]) -> bool:
    if isinstance(leaf, Occurs):
        return True
    return not isinstance(leaf, Always) and (leaf.path[0] in kept or asked(leaf) is not None)


def answer_key(terms: Sequence[Expr]) -> str:
    """Return the key under which the answer for a conjunction is kept."""
    return "".join(map(expr_to_json, terms))


def walkable(order: Sequence[SortKey]) -> bool:
    """Return whether SQLite's index of ``created_at`` has this order."""
    paths = tuple(key.path for key in order)
    return paths == (("created_at",), ("number",)) and order[0].descending == order[1].descending


def walk_length(wanted: int, total: int) -> int:
    """Return how many rows to walk before giving up: about the root of wanted times all."""
    return min(WALK_MOST, max(_WALK_LEAST, isqrt(max(wanted, 1) * max(total, 1)) // 2))
