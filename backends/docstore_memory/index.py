"""The index of one collection in memory: facts folded in bulk, and the commits since, taken up when
somebody asks.

The same algebra as on every backend (:mod:`docstore.index`); what differs is that the bulk is
dictionaries, and that the pieces of
filenames and the words of contents are facts like the others, at the path of the filename.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from docstore.backend import Query
from docstore.index.answers import Bounds
from docstore.index.bits import EMPTY, Bits, intersection, union_all
from docstore.index.bounds import bounds
from docstore.index.facts import indexed_fields
from docstore.index.layers import Layers, Record
from docstore.index.leaves import leaf_bounds
from docstore.index.memory import Folded
from docstore.index.ordered import MOST_ORDERED
from docstore.index.texts import Alternatives, asked
from docstore.query.expr import And, Compare, Expr, Leaf
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, Kind
from docstore.query.wire import expr_to_json

__all__ = ["Index", "Prepared", "conjuncts", "indexes", "prepared"]

_FOLD = 16_384
_NAMES = ("filename",)
_ANSWERS = 256
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a query asks, whatever its window.

    Attributes:
        query: the query.
        terms: what all must hold, the scope's conditions first.
        key: the same as a text.
    """

    query: Query
    terms: tuple[Expr, ...]
    key: str

    def is_for(self, query: Query) -> bool:
        """Return whether it holds for a query."""
        return self.query.where is query.where and self.query.scope == query.scope


def prepared(query: Query) -> Prepared:
    """Return what a query asks, worked out now."""
    parts = (("tenant", query.scope.tenant), ("owner", query.scope.owner))
    scope = [Compare((name,), "eq", value) for name, value in parts if value is not None]
    terms = (*scope, *conjuncts(query.where))
    return Prepared(query, terms, "all " + expr_to_json(And(terms)))


class Index:
    """Which records of a collection match a filter, as far as facts tell. Use it while nothing commits.

    Args:
        collection: whose records.
    """

    def __init__(self, collection: Collection) -> None:
        self.fields = {name: collection.column(name).kind is Kind.JSON for name in indexed_fields(collection)}
        if collection is DOCUMENTS:
            self.fields["filename"] = False
        self._stored = Folded()
        self._layers = Layers(self.fields, self._stored)
        self._before: dict[int, Record | None] = {}
        self._coming: dict[int, Record | None] = {}

    def note(self, before: Mapping[int, Record | None], now: Mapping[int, Record]) -> None:
        """Take up changes of records: as they were (``None``: there was none), and those that there are."""
        for number, old in before.items():
            new = now.get(number)
            if old is not None or new is not None:
                self._before.setdefault(number, old)
                self._coming[number] = new
                if len(self._before) >= _FOLD:
                    self._fold()

    def note_new(self, records: Mapping[int, Record]) -> None:
        """Take up records that there were not before."""
        coming = iter(records.items())
        while some := dict(islice(coming, _FOLD - len(self._before))):
            self._before.update(dict.fromkeys(some))
            self._coming.update(some)
            if len(self._before) >= _FOLD:
                self._fold()

    def layers(self) -> Layers:
        """Return the facts as they are now."""
        if self._coming:
            self._layers = self._layers.changed(self._coming)
            self._coming = {}
        return self._layers

    def _fold(self) -> None:
        folded = {number: record for number, record in self._before.items() if record is not None}
        self._stored.fold(self.fields, folded, self.layers().segments)
        self._before = {}
        self._layers = Layers(self.fields, self._stored)

    def find(self, query: Query) -> Bounds:
        """Return the bounds of a query's scope and filter."""
        terms, key = self._terms(query)
        layers = self.layers()
        answers = layers.answers
        whole: Bounds | None = answers.get(key)
        if whole is not None:
            return whole

        def of(leaf: Leaf) -> Bounds:
            key = expr_to_json(leaf)
            found: Bounds | None = answers.get(key)
            return self._keep(answers, key, self._leaf(leaf, layers)) if found is None else found

        found = bounds(And(terms), layers, of)
        is_kept = found.high.count <= MOST_ORDERED and len(key) <= _LONGEST
        return self._keep(answers, key, found) if is_kept else found

    def order_key(self, query: Query) -> str:
        """Return under which key the matches of a query are kept in its order."""
        return f"{query.order[0].path[0]} of {self._terms(query)[1]}"

    def _terms(self, query: Query) -> tuple[tuple[Expr, ...], str]:
        """Return what all must hold, and the key of that."""
        found = query.prepared
        made = found if isinstance(found, Prepared) and found.is_for(query) else prepared(query)
        return made.terms, made.key

    @staticmethod
    def _keep(answers: dict[str, Bounds], key: str, found: Bounds) -> Bounds:
        if len(answers) >= _ANSWERS:
            answers.pop(next(iter(answers)))
        answers[key] = found
        return found

    def _leaf(self, leaf: Leaf, layers: Layers) -> Bounds:
        alternatives = asked(leaf) if "filename" in self.fields else None
        if alternatives is None:
            return leaf_bounds(leaf, layers)
        key = f"names with {alternatives}"  # many globs may ask for the same
        found: Bounds | None = layers.answers.get(key)
        if found is None:
            found = self._keep(layers.answers, key, Bounds(EMPTY, _texts(alternatives, layers)))
        return found


def _texts(alternatives: Alternatives, layers: Layers) -> Bits:
    """Return the records that have all the tokens of one of the alternatives."""
    found = []
    for tokens in alternatives:
        sets = sorted((_token(token, layers) for token in tokens), key=lambda bits: not bits.listed)
        every = sets[0]
        for bits in sets[1:]:
            every = intersection(every, bits)
        found.append(every)
    return union_all(found)


def _token(token: str, layers: Layers) -> Bits:
    if not token.endswith("*"):
        return layers.post(_NAMES, token.encode())
    first = token[:-1].encode()
    keys = layers.keys(_NAMES, first, first + b"\x7f")
    return layers.posts(_NAMES, keys) if keys is not None else layers.post((), b"\x00")


def conjuncts(where: Expr) -> Iterator[Expr]:
    """Yield the terms that all must hold."""
    if isinstance(where, And):
        for term in where.terms:
            yield from conjuncts(term)
    else:
        yield where


def indexes() -> dict[str, Index]:
    """Return an empty index a collection."""
    return {collection.name: Index(collection) for collection in (DOCUMENTS, EXTRACTIONS)}
