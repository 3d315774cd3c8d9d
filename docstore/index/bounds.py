"""Filter → sets: which records surely match (*low*) and which can match at all (*high*).

Most predicates are exact, both sets are one: ``leaves`` says which are not, ``answers`` how sets are put
together. Where they differ, the records between them are for the evaluator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from docstore.index.answers import Bounds, exactly, intersected, united
from docstore.index.bits import EMPTY, Bits, intersection, minus, union, union_all
from docstore.index.facts import EVERY
from docstore.index.keys import ARRAY, STRING
from docstore.index.leaves import doubted, leaf_bounds, texts_passing
from docstore.index.ranges import texts_within
from docstore.index.source import Source
from docstore.query.expr import (
    Always,
    And,
    Compare,
    ElemMatch,
    Expr,
    Leaf,
    Match,
    Not,
    Occurs,
    Or,
    Path,
    Regex,
    leaves,
)
from docstore.query.many.one_text import matches_all, matches_any

__all__ = ["bounds"]

_MANY = 8
"""So many tests of one path's texts are made at once; fewer are answered one by one, and the answers kept."""
_MOST_LOOKS = 50_000
"""Looks at different texts, one for each test; beyond, the tests are left to the evaluator."""
Answer: TypeAlias = Callable[[Leaf], Bounds]
"""Says of one leaf what the facts say."""


def bounds(expr: Expr, source: Source, leaf: Answer | None = None) -> Bounds:
    """Return what ``source`` says of ``expr``.

    Args:
        expr: normalized.
        source: the facts.
        leaf: answers for one leaf, where a caller keeps the answers; ``None`` works each out.
    """
    one = leaf or (lambda given: leaf_bounds(given, source))
    texts = sum(len(_texts_in(given)) for given in leaves(expr))
    return _bounds(expr, source, _sparing(one, texts, source) if texts > _MANY else one)


def _sparing(one: Answer, texts: int, source: Source) -> Answer:
    """Leave tests of texts to the evaluator where they are many and the texts are: it decides many at once.

    Args:
        one: answers for one leaf.
        texts: how many such tests there are.
        source: the facts.
    """

    def is_spared(path: Path) -> bool:
        keys = source.keys(path, b"s", b"t") if source.kept(path[0]) and path[0] != "filename" else ()
        return keys is not None and len(keys) * texts > _MOST_LOOKS

    def answer(leaf: Leaf) -> Bounds:
        if isinstance(leaf, Always | Occurs) or not any(map(is_spared, _texts_in(leaf))):
            return one(leaf)
        kind = ARRAY if isinstance(leaf, ElemMatch) else STRING
        return doubted(Bounds(EMPTY, source.post(leaf.path, kind)), leaf.path, source)

    return answer


def _texts_in(leaf: Leaf) -> list[Path]:
    """Return the paths of the tests of texts that a leaf makes, of an array's elements too."""
    if isinstance(leaf, Regex | Match):
        return [leaf.path]
    if not isinstance(leaf, ElemMatch):
        return []
    inner = (path for each in leaves(leaf.condition) for path in _texts_in(each))
    return [(*leaf.path, *path) for path in inner]


def _bounds(expr: Expr, source: Source, one: Answer) -> Bounds:
    match expr:
        case And(terms):
            return _conjunction(terms, source, one)
        case Or(terms):
            texts, others = _texts_of(terms, source, _matching_any)
            return united([*texts, *(_bounds(term, source, one) for term in others)])
        case Not(term):
            inner, every = _bounds(term, source, one), source.post((), EVERY)
            low = minus(every, inner.high)
            return exactly(low) if inner.exact else Bounds(low, minus(every, inner.low))
        case _:
            return one(expr)


def _conjunction(terms: Sequence[Expr], source: Source, one: Answer) -> Bounds:
    """Return what ``source`` says of an And; texts are gone through last, and not where nothing is left."""
    parts, rest = _ranges_of(terms, source)
    reading: list[Expr] = []
    for term in rest:
        if _reads_texts(term):
            reading.append(term)
            continue
        parts.append(_bounds(term, source, one))
        if not parts[-1].high:
            return exactly(EMPTY)
    texts, others = _texts_of(reading, source, _matching_all)
    return intersected([*parts, *texts, *(_bounds(term, source, one) for term in others)], source)


def _ranges_of(terms: Sequence[Expr], source: Source) -> tuple[list[Bounds], Sequence[Expr]]:
    """Answer several bounds on one text at once, where no record has two; return the answers, and the other
    terms.
    """
    by_path: dict[Path, list[Compare]] = {}
    for term in terms:
        if isinstance(term, Compare) and term.op != "eq" and type(term.value) is str:
            by_path.setdefault(term.path, []).append(term)
    found: list[Bounds] = []
    taken: set[int] = set()
    for path, asked in by_path.items():
        if len(asked) > 1 and path[0] != "filename" and source.kept(path[0]) and not _arrays(path, source):
            found.append(doubted(texts_within(asked, source), path, source))
            taken.update(map(id, asked))
    return found, [term for term in terms if id(term) not in taken] if taken else terms


def _arrays(path: Path, source: Source) -> Bits:
    """Return the records that may have several values at a path."""
    return union_all(source.post(path[:at], ARRAY) for at in range(1, len(path) + 1))


def _reads_texts(expr: Expr) -> bool:
    return any(isinstance(leaf, Regex | Match) for leaf in leaves(expr))


def _texts_of(
    terms: Sequence[Expr], source: Source, answer: Callable[[Path, list[Regex | Match], Source], Bounds]
) -> tuple[list[Bounds], list[Expr]]:
    """Answer tests of the texts at one path at once where they are many; return the answers, and the other
    terms.
    """
    tests: dict[Path, list[Regex | Match]] = {}
    others: list[Expr] = []
    for term in terms:
        if isinstance(term, Regex | Match) and term.path[0] != "filename" and source.kept(term.path[0]):
            tests.setdefault(term.path, []).append(term)
        else:
            others.append(term)
    found: list[Bounds] = []
    for path, asked in tests.items():
        if len(asked) < _MANY:
            others += asked
        else:
            found.append(doubted(answer(path, asked, source), path, source))
    return found, others


def _matching_any(path: Path, leaves: list[Regex | Match], source: Source) -> Bounds:
    return texts_passing(path, matches_any(leaves), b"", source)


def _matching_all(path: Path, leaves: list[Regex | Match], source: Source) -> Bounds:
    """Answer for leaves that must all hold: of one text, or each of another one where there is an array."""
    found = texts_passing(path, matches_all(leaves), b"", source)
    several = intersection(_arrays(path, source), source.post(path, STRING))
    return Bounds(found.low, union(found.high, several)) if several else found
