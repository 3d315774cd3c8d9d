"""Filter → sets: which records surely match (*low*) and which can match at all (*high*).

Most predicates are exact, both sets are one: ``leaves`` says which are not, ``answers`` how sets are put
together. Where they differ, the records between them are for the evaluator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from docstore.concurrency import check
from docstore.index.answers import Bounds, exactly, intersected, united
from docstore.index.bits import EMPTY, Bits, minus, union_all
from docstore.index.facts import EVERY
from docstore.index.keys import ARRAY
from docstore.index.leaves import doubted, leaf_bounds
from docstore.index.ranges import texts_within
from docstore.index.source import Source
from docstore.query.expr import And, Compare, Expr, Leaf, Match, Not, Or, Path, Regex, leaves

__all__ = ["bounds"]

Answer: TypeAlias = Callable[[Leaf], Bounds]
"""Says of one leaf what the facts say."""


def bounds(expr: Expr, source: Source, leaf: Answer | None = None) -> Bounds:
    """Return what ``source`` says of ``expr``.

    Args:
        expr: normalized.
        source: the facts.
        leaf: answers for one leaf, where a caller keeps the answers; ``None`` works each out.
    """
    return _bounds(expr, source, leaf or (lambda given: leaf_bounds(given, source)))


def _bounds(expr: Expr, source: Source, one: Answer) -> Bounds:
    match expr:
        case And(terms):
            return _conjunction(terms, source, one)
        case Or(terms):
            return united([_bounds(term, source, one) for term in terms])
        case Not(term):
            inner, every = _bounds(term, source, one), source.post((), EVERY)
            low = minus(every, inner.high)
            return exactly(low) if inner.exact else Bounds(low, minus(every, inner.low))
        case _:
            check()
            return one(expr)


def _conjunction(terms: Sequence[Expr], source: Source, one: Answer) -> Bounds:
    """Return what ``source`` says of an And; texts are gone through last, and not where nothing is left."""
    parts, rest = _text_ranges(terms, source)
    for term in sorted(rest, key=_reads_texts):
        parts.append(_bounds(term, source, one))
        if not parts[-1].high:
            return exactly(EMPTY)
    return intersected(parts, source)


def _text_ranges(terms: Sequence[Expr], source: Source) -> tuple[list[Bounds], Sequence[Expr]]:
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
