"""Many terms that ask the same place, compiled to one look at it.

A filter may have hundreds of predicates, and a record may have to answer them all. What asks one path is
decided by which of its predicates hold there (``decided``), what needs one of many things is tried where one
of them holds (``guard``), what lies behind the indexes of one array is one walk of it (``stepped``), texts
and patterns at one path are one search (``one_text``), remainders one look at each number. Nothing here
changes an answer: ``evaluate`` says what terms mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from docstore.query import predicates
from docstore.query.expr import (
    And,
    Compare,
    Contains,
    ElemMatch,
    Exists,
    Expr,
    In,
    Match,
    Mod,
    Not,
    Or,
    Path,
    Regex,
    Size,
    TypeIs,
)
from docstore.query.many.cheapest import cheaper
from docstore.query.many.decided import decided, together
from docstore.query.many.guard import COMPARISONS, REMAINDERS, TEXTS, Kind, guarded
from docstore.query.many.junctions import all_of, any_of
from docstore.query.many.one_text import matches_all, matches_any
from docstore.query.many.sifted import sifted
from docstore.query.many.stepped import Asked, any_by_index, before_index
from docstore.query.predicates import Test
from docstore.query.seeing import RECORDS, Predicate, Root, sees, sees_array, values_at

__all__ = ["Tested", "Together", "negatives"]

_MANY = 8
"""From so many terms on it pays to put them together."""
_TESTED = (Compare, In, Exists, TypeIs, Mod, Regex, Match, Size, Contains, ElemMatch)
Tested: TypeAlias = Compare | In | Exists | TypeIs | Mod | Regex | Match | Size | Contains | ElemMatch
"""Leaves that ask something of the values at a path."""
_Part: TypeAlias = tuple[list[Predicate], Sequence[Expr]]
"""What was put together, and the terms that are left."""


@dataclass(frozen=True, slots=True)
class Together:
    """Compiles the terms of an And or an Or.

    Attributes:
        root: what their paths start from.
        compile: compiles one term by itself.
        test: the test of one leaf, and whether it is put to the elements of an array, too.
    """

    root: Root
    compile: Callable[[Expr], Predicate]
    test: Callable[[Tested], tuple[Test, bool]]

    def conjuncts(self, terms: Sequence[Expr]) -> list[Predicate]:
        """Return what all must hold."""
        found, rest = self._of_one_asked(And, terms)
        patterns, rest = self._of_one_text(rest)
        joint = [term for term in rest if isinstance(term, Or)]
        if len(joint) >= _MANY:
            rest = [term for term in rest if not isinstance(term, Or)]
            patterns.append(self._sifting(And, joint, all_of([*map(self.compile, joint)])))
        others = [*map(self.compile, negatives(rest))]
        return [*others, *found, *patterns] if len(rest) < _MANY else [*found, *others, *patterns]

    def _of_one_text(self, terms: Sequence[Expr]) -> _Part:
        """Put together many texts and patterns that all must match what is at one path of a record."""
        if self.root not in RECORDS or len(terms) < _MANY:
            return [], terms
        by_path, _ = _by_path(terms, (Regex, Match))
        many = [(path, leaves) for path, leaves in by_path if len(leaves) >= _MANY]
        taken = {id(leaf) for _, leaves in many for leaf in leaves}
        found = [_sees_all(path, leaves, all_of([*map(self.compile, leaves)])) for path, leaves in many]
        return found, [term for term in terms if id(term) not in taken]

    def alternatives(self, terms: Sequence[Expr]) -> list[Predicate]:
        """Return of what one must hold."""
        found, rest = self._of_one_asked(Or, terms)
        for stage in (self._needing_one, self._behind_indexes, self._of_one_path):
            compiled, rest = stage(rest)
            found += compiled
        return [*found, *map(self.compile, rest)]

    def _of_one_asked(self, kind: type[And] | type[Or], terms: Sequence[Expr]) -> _Part:
        """Put together what does nothing but ask one path of a record."""
        if self.root not in RECORDS:
            return [], terms
        rest, groups = together(terms)
        stepped = [path for path in groups if before_index(path)] if kind is Or else []
        if len(stepped) >= _MANY:  # one look at the array is better than one for each index
            rest = [*rest, *(term for path in stepped for term in groups.pop(path))]
        return [decided(path, kind(tuple(group))) for path, group in groups.items()], rest

    def _needing_one(self, terms: Sequence[Expr]) -> _Part:
        """Put together what needs one of many things that are asked at once: it is tried where one holds."""
        return self._guarded(terms, (COMPARISONS, REMAINDERS, TEXTS) if self.root in RECORDS else (TEXTS,))

    def _guarded(self, terms: Sequence[Expr], kinds: Sequence[Kind]) -> _Part:
        rest, groups = guarded(terms, kinds)
        found = []
        for group in groups:
            needed = any_of(self.alternatives(group.leaves))
            others = [kind for kind in kinds if not isinstance(group.leaves[0], kind)]
            inner, left = self._guarded(group.terms, others)
            inner += map(self.compile, left)
            found.append(self._sifting(Or, group.terms, all_of([needed, any_of(inner)])))
        return found, rest

    def _sifting(self, kind: type[And] | type[Or], terms: Sequence[Expr], tried: Predicate) -> Predicate:
        """Return the test of whether all, or any, of some terms hold: as is told, or all sifted at once."""
        if self.root not in RECORDS:
            return tried
        return cheaper(tried, lambda: sifted(terms, kind, self.compile))

    def _behind_indexes(self, terms: Sequence[Expr]) -> _Part:
        """Put together what asks something behind the indexes of one array, or needs it among others."""
        if self.root not in RECORDS:
            return [], terms
        rest: list[Expr] = []
        plain: dict[Path, list[Tested]] = {}
        joint: dict[Path, list[tuple[Tested, Expr]]] = {}
        for term in terms:
            to, leaf = _behind_index(term)
            if to is None or leaf is None:
                rest.append(term)
            elif isinstance(term, And):
                joint.setdefault(to, []).append((leaf, term))
            else:
                plain.setdefault(to, []).append(leaf)
        found: list[Predicate] = []
        for to, leaves in plain.items():
            look = self._at_array(to, leaves)
            rest += leaves if look is None else ()
            found += [] if look is None else [look]
        for to, pairs in joint.items():
            look = self._at_array(to, [leaf for leaf, _ in pairs])
            whole = [self.compile(term) for _, term in pairs]
            found += whole if look is None else [all_of([look, any_of(whole)])]
        return found, rest

    def _at_array(self, to: Path, leaves: Sequence[Tested]) -> Predicate | None:
        """Return one look at the array at ``to`` for all that is asked behind it; ``None``: it is little."""
        asked: list[tuple[Asked, Predicate]] = []
        texts: dict[Path, list[Regex | Match]] = {}
        for leaf in leaves:
            if isinstance(leaf, Regex | Match):
                texts.setdefault(leaf.path, []).append(leaf)
            else:
                asked.append(((leaf.path, *self.test(leaf)), self.compile(leaf)))
        for path, group in texts.items():
            test = matches_any(group)
            asked.append(((path, test, True), sees(path, test, self.root)))
        if len(asked) < _MANY:
            return None
        return any_by_index(to, [question for question, _ in asked], [holds for _, holds in asked])

    def _of_one_path(self, terms: Sequence[Expr]) -> _Part:
        """Put together tests of texts, remainders of numbers and members of arrays, each at one path."""
        texts, terms = _by_path(terms, (Regex, Match))
        mods, terms = _by_path(terms, (Mod,))
        members, terms = _by_path(terms, (Contains,))
        return [
            *(sees(path, matches_any(leaves), self.root) for path, leaves in texts),
            *(sees(path, predicates.divides(*leaves), self.root) for path, leaves in mods),
            *(sees_array(path, predicates.has_members(*leaves), self.root) for path, leaves in members),
        ], terms


def negatives(terms: Sequence[Expr]) -> Sequence[Expr]:
    """Return the terms of an And, many that are negative made the negative of one Or."""
    denied = [term.term for term in terms if isinstance(term, Not)]
    if len(denied) < _MANY:
        return terms
    either_of = [inner for term in denied for inner in (term.terms if isinstance(term, Or) else (term,))]
    return [*(term for term in terms if not isinstance(term, Not)), Not(Or(tuple(either_of)))]


def _sees_all(path: Path, leaves: Sequence[Regex | Match], alone: Predicate) -> Predicate:
    """Return the test of whether each leaf holds of a text at its path: at once, where there is one text."""
    whole = matches_all(leaves)

    def run(record: Any) -> bool:
        texts = [value for value in values_at(record, path) if type(value) is str]
        return whole(texts[0]) if len(texts) == 1 else bool(texts) and alone(record)

    return run


def _by_path(
    terms: Sequence[Expr], kinds: tuple[type, ...]
) -> tuple[list[tuple[Path, list[Any]]], list[Expr]]:
    """Return the leaves of some kinds by path, where there are several at one, and the other terms."""
    by_path: dict[Path, list[Any]] = {}
    leaves: list[Any] = [term for term in terms if isinstance(term, kinds)]
    for leaf in leaves:
        by_path.setdefault(leaf.path, []).append(leaf)
    several = [(path, group) for path, group in by_path.items() if len(group) > 1]
    taken = {id(leaf) for _, group in several for leaf in group}
    return several, [term for term in terms if id(term) not in taken]


def _behind_index(term: Expr) -> tuple[Path | None, Tested | None]:
    """Return the path to the array behind an index of which a term, or first in a conjunction, asks, and the
    leaf that does.
    """
    for leaf in term.terms if isinstance(term, And) else (term,):
        if isinstance(leaf, _TESTED) and (to := before_index(leaf.path)):
            return to, leaf
    return None, None
