"""What every question must be answered: the core's evaluator and order, run over plain records in a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from docstore.backend import Backend, Query, Row, Scope
from docstore.limits import DEFAULT_LIMITS
from docstore.query.evaluator import matches
from docstore.query.expr import And, Compare, Expr, Leaf
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, decode
from docstore.query.parser import parse
from docstore.query.search import parse_search
from docstore.query.sorting import parse_sort, sort_key_function
from docstore.testing.strategies.asks import Ask
from docstore.testing.strategies.worlds import World

__all__ = ["Oracle", "fill"]

_EVERYWHERE = Scope()


def fill(backend: Backend, world: World) -> Oracle:
    """Make the world's records all that the store holds, and return what knows the answers about them."""
    with backend.write() as writer:
        for collection in (EXTRACTIONS, DOCUMENTS):
            left = writer.select(Query(collection))
            writer.delete(collection, left)
        writer.insert(DOCUMENTS, world.documents)
        numbers = writer.insert(world.collection, world.rows)
    return Oracle(world.collection, world.rows, numbers)


class Oracle:
    """Answers by looking at every record.

    Args:
        collection: the records' kind.
        rows: what was inserted.
        numbers: what was returned for them.
    """

    def __init__(self, collection: Collection, rows: Sequence[Row], numbers: Sequence[int]) -> None:
        self.collection = collection
        numbered = ({**row, "number": number} for row, number in zip(rows, numbers, strict=True))
        self.records: list[dict[str, Any]] = [decode(collection, row) for row in numbered]

    def parsed(self, filter: dict[str, Any]) -> Expr:
        """Return a filter in users' words as the core reads it."""
        return parse(filter, self.collection)

    def asked(self, ask: Ask) -> Expr:
        """Return all that a question asks of a record: filter, search and ``latest_only``."""
        terms = [self.parsed(ask.filter), parse_search(ask.search, self.collection, DEFAULT_LIMITS)]
        if ask.latest_only and self.collection is DOCUMENTS:
            terms.append(Compare(("is_latest",), "eq", True))
        return And(tuple(terms))

    def matching(self, expr: Expr | Leaf, scope: Scope = _EVERYWHERE) -> list[dict[str, Any]]:
        """Return the records that match, in the order of their numbers."""
        return [record for record in self.records if _within(record, scope) and matches(expr, record)]

    def ids(self, expr: Expr | Leaf, scope: Scope = _EVERYWHERE) -> list[str]:
        """Return the ids of the records that match, in the order of their numbers."""
        return [record["id"] for record in self.matching(expr, scope)]

    def ordered(self, expr: Expr, sort: Sequence[str], scope: Scope = _EVERYWHERE) -> list[str]:
        """Return the ids of the records that match, in the order asked for."""
        order = parse_sort(list(sort), self.collection, DEFAULT_LIMITS)
        return [record["id"] for record in sorted(self.matching(expr, scope), key=sort_key_function(order))]


def _within(record: dict[str, Any], scope: Scope) -> bool:
    return scope.tenant in (None, record["tenant"]) and scope.owner in (None, record["owner"])
