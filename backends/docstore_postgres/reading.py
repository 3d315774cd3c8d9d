"""What the sessions of one backend share: filters compiled, and what is remembered of queries."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace

from docstore_sql.compile import Compiler
from docstore_sql.fragment import Fragment

from docstore.backend import Query, SortKey
from docstore.query.bind import Shape, Shaped
from docstore.query.expr import And, Compare, Expr, In, Path, leaves
from docstore_postgres.declared import Declared, Narrowed
from docstore_postgres.drive import Drives, bounds_of, confines, key_of
from docstore_postgres.finding import Finder
from docstore_postgres.intervals import intervals
from docstore_postgres.reach import indexed
from docstore_postgres.slots import Places, Values
from docstore_postgres.sought import sought
from docstore_postgres.usual import Learnt, Usuals

__all__ = ["Apart", "Condition", "Ranged", "Reading"]

_KEPT = 256
_RANGED = (("created_at",), ("number",))
_SLOW = 0.02
"""Seconds from which a page is worth an index."""


@dataclass(slots=True)
class Apart:
    """A filter in two: what an index over metadata, names or contents finds, and the rest.

    Attributes:
        found: that part.
        rest: what is asked of what was found, by no other index.
        ranged: the ranges in the rest that another index could serve.
        rows: how many Postgres expects to be in those; ``None``: not asked yet.
    """

    found: Fragment
    rest: Fragment
    ranged: Fragment
    rows: int | None = None


@dataclass(slots=True)
class Ranged:
    """What a filter implies of the metadata's words, which have an index: of numbers in ranges, of values
    other than the usual ones.

    Attributes:
        condition: that, as the index finds it.
        rows: how many Postgres expects that to be.
    """

    condition: Fragment
    rows: int


@dataclass(slots=True)
class Condition:
    """A filter, compiled.

    Attributes:
        where: what it was compiled from.
        whole: all of it.
        bounds: the part that the order's own index narrows by.
        beyond: the other part.
        prefilters: what an index finds that stands before it.
        found: whether an index finds a superset of it.
        key: what it is remembered by.
        narrowed: what it implies that a declared index finds; ``None``: nothing.
        apart: the same in two, where that is another way; ``None``: it is not.
        ranged: what the index of words finds of it; ``None``: nothing.
        is_ranged_known: whether that was looked at: it is when a walk did not fill a page.
        is_costly: whether finding all matches took long when it was done last.
        texts: statements made for it, their values left open, by what else they depend on; those of one shape
            share them.
        given: the values of the filter, where its shape is known.
        opened: the condition with places for these.
    """

    where: Expr
    whole: Fragment
    bounds: Fragment
    beyond: Fragment
    prefilters: tuple[Fragment, ...]
    found: bool
    key: Hashable
    narrowed: Narrowed | None = None
    apart: Apart | None = None
    ranged: Ranged | None = None
    is_ranged_known: bool = False
    is_costly: bool = False
    texts: dict[Hashable, Fragment] = field(default_factory=dict)
    given: Values | None = None
    opened: Condition | None = None

    def with_places(self) -> Condition:
        """Return what statements are made of: with places for the values of the filter, if there are."""
        return self if self.opened is None else replace(self.opened, is_costly=self.is_costly)

    def look_at_words(
        self, usuals: Callable[[], Usuals], expected: Callable[[Fragment], int]
    ) -> Ranged | None:
        """Return what the index of words finds, given the usual values, which ``expected`` says the rows of;
        it is asked once.
        """
        if not self.is_ranged_known:
            found = sought(self.where, usuals())
            self.ranged = None if found is None else Ranged(found, expected(found))
            self.is_ranged_known = True
        return self.ranged

    def each(self, change: Callable[[Fragment], Fragment]) -> Condition:
        """Return the condition with each of its fragments changed."""
        apart = self.apart
        return replace(
            self,
            whole=change(self.whole),
            bounds=change(self.bounds),
            beyond=change(self.beyond),
            prefilters=tuple(map(change, self.prefilters)),
            apart=apart and Apart(change(apart.found), change(apart.rest), change(apart.ranged)),
        )


@dataclass(slots=True)
class Reading:
    """What the sessions of one backend share.

    Attributes:
        finder: what its indexes find.
        drives: what it remembers of conditions.
        compiled: conditions compiled lately, by the identity of what they were compiled from.
        shapes: those of the shapes met lately, with places for the values; ``None``: it has none.
        declared: the declared indexes, by collection.
        learnt: the usual values in the metadata.
        points: the texts of the statements that read one row by its id.
        orders: of the orders that no index has, how often they were asked for and the seconds that took.
    """

    finder: Finder
    drives: Drives = field(default_factory=Drives)
    compiled: dict[tuple[int, str], Condition] = field(default_factory=dict)
    shapes: dict[tuple[int, str], tuple[Shape, Condition | None]] = field(default_factory=dict)
    declared: dict[str, list[Declared]] = field(default_factory=dict)
    learnt: Learnt = field(default_factory=Learnt)
    points: dict[Hashable, str] = field(default_factory=dict)
    orders: dict[tuple[SortKey, ...], tuple[int, float]] = field(default_factory=dict)

    def note(self, order: tuple[SortKey, ...], seconds: float) -> None:
        """Remember that an order was asked for that no index has."""
        asked, spent = self.orders.get(order, (0, 0.0))
        if asked or len(self.orders) < _KEPT:
            self.orders[order] = (asked + 1, spent + seconds)

    def note_slow(self, query: Query, seconds: float) -> None:
        """Remember the paths of metadata that a declared index would have narrowed a slow query by."""
        if seconds < _SLOW or query.collection.name != "documents":
            return
        asked = {leaf.path for leaf in leaves(query.where) if isinstance(leaf, Compare | In)}
        narrowed = {path for path in asked if path[0] == "metadata" and _is_range(query.where, path)}
        has = {one.keys[0].path for one in self.declared.get("documents", ())}
        for path in sorted(narrowed - has):
            if not indexed(path[1:]):
                self.note((SortKey(path), SortKey(("number",))), seconds)

    def condition(self, query: Query, compiler: Compiler) -> Condition:
        """Return the condition of ``query``, compiled now or lately."""
        name = (id(query.where), query.order[0].path[0])
        known = self.compiled.get(name)
        if known is not None and known.where is query.where:
            return known
        made = self._of_shape(query, compiler) or self._compiled(query, compiler)
        if len(self.compiled) >= _KEPT:
            self.compiled.clear()
        self.compiled[name] = made
        return made

    def _compiled(self, query: Query, compiler: Compiler) -> Condition:
        whole, finder = compiler.where(query.where), self.finder
        bounds, beyond = bounds_of(query)
        return Condition(
            query.where,
            whole,
            compiler.where(bounds),
            compiler.where(beyond),
            tuple(finder.prefilters(query.collection, query.where)),
            finder.finds(query.collection, query.where),
            key_of(whole),
            self._narrowed(query),
            self._apart(query, compiler),
        )

    def _of_shape(self, query: Query, compiler: Compiler) -> Condition | None:
        """Return the condition of a query whose shape is known; ``None`` where it has to be compiled.

        What a declared index finds depends on the values themselves, and nobody's tenant is ``""``.
        """
        shaped = query.shaped
        if shaped is None or shaped.where is not query.where:
            return None
        if "" in shaped.values or self._narrowed(query) is not None:
            return None
        place = (id(shaped.shape), query.order[0].path[0])
        known = self.shapes.get(place)
        if known is None:
            if len(self.shapes) >= _KEPT:
                self.shapes.clear()
            known = self.shapes[place] = (shaped.shape, self._opened(query, shaped, compiler))
        return None if known[1] is None else _bound(known[1], shaped)

    def _opened(self, query: Query, shaped: Shaped, compiler: Compiler) -> Condition | None:
        """Return the condition of a shape, with places for the values of those that have it."""
        sampled = self._compiled(replace(query, where=shaped.shape.where, shaped=None), compiler)
        places = Places(shaped.shape.samples)
        try:
            opened = sampled.each(places.opened)
        except ValueError:
            return None
        usual, again = self._compiled(query, compiler), _bound(opened, shaped)
        same = all(getattr(usual, name) == getattr(again, name) for name in _WORKED_OUT)
        return opened if places.are_complete and same else None

    def _narrowed(self, query: Query) -> Narrowed | None:
        every = (one.narrowed(query.where) for one in self.declared.get(query.collection.name, ()))
        found = [each for each in every if each is not None]
        return next((each for each in found if each.grouped is not None), found[0] if found else None)

    def _apart(self, query: Query, compiler: Compiler) -> Apart | None:
        """Return the filter in two, unless it asks for one owner or tenant, or is all one part."""
        terms = query.where.terms if isinstance(query.where, And) else (query.where,)
        found = tuple(term for term in terms if self.finder.finds(query.collection, term))
        left = [term for term in terms if all(term is not other for other in found)]
        rest = tuple(sorted(left, key=lambda term: not (isinstance(term, Compare) and len(term.path) == 1)))
        compared = [term for term in rest if isinstance(term, Compare)]
        if not found or not rest or any(map(confines, compared)):
            return None
        ranged = tuple(term for term in compared if term.path in _RANGED)
        return Apart(compiler.where(And(found)), compiler.where(And(rest)), compiler.where(And(ranged)))


_WORKED_OUT = ("whole", "bounds", "beyond", "prefilters", "found", "key", "apart", "narrowed")


def _bound(opened: Condition, shaped: Shaped) -> Condition:
    """Return the condition with these values in their places."""
    given = Values(shaped.values)
    made = opened.each(given.put_in)
    made.where, made.key, made.given, made.opened = shaped.where, key_of(made.whole), given, opened
    return made


def _is_range(where: Expr, path: Path) -> bool:
    """Return whether a condition leaves a part of the order of ``path`` that is more than some values."""
    found = intervals(where, path)
    values = all(start[0] == end[0] for start, end in found.parts)
    return not found.is_all and not (found.parts and values)
