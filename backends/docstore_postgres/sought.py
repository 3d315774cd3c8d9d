"""Which words of the metadata's tsvector the matches of a condition have: a superset of them, to be looked at
again.

They are words of numbers, for ranges (``numbers``), and of records that lack a usual value, for what such a
value does not fulfil (``usual``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from docstore_sql.fragment import Fragment

from docstore.query.expr import And, Compare, ElemMatch, Expr, Or, Path
from docstore_postgres.numbers import LAST, TOO_MANY, Span, cover, span, start_of
from docstore_postgres.reach import indexed
from docstore_postgres.usual import NOTHING, Usual, Usuals

__all__ = ["sought"]

_MOST = 16
"""Spans and usual values that are looked for at once."""
_UNUSUAL = LAST // 8
"""What a usual value's absence counts for where it stands beside a range of numbers."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What a part of a filter implies: that a number stands in one of some spans, or that one of some usual
    values is not there.

    Attributes:
        width: how much of all numbers the spans are: of several parts the one to look for is the narrowest.
        spans: with what the words of the path begin with, and the mark of the records that are found, too.
        usuals: the usual values.
    """

    width: int
    spans: tuple[tuple[str, str, Span], ...] = ()
    usuals: tuple[Usual, ...] = ()

    def words(self) -> Iterator[str]:
        """Yield the words to look for, those that only begin so with ``:*``."""
        for start, mark, (first, last) in self.spans:
            yield start + mark
            for end in cover(first, last):
                yield start + end
        if self.spans:
            yield TOO_MANY
        for usual in self.usuals:
            yield from usual.sought()


def sought(where: Expr, usuals: Usuals = NOTHING) -> Fragment | None:
    """Return what a condition implies of the metadata's words, for their index; ``None``: nothing."""
    part = _implied(where, (), usuals)
    if part is None or len(part.spans) + len(part.usuals) > _MOST:
        return None
    words = dict.fromkeys(part.words())
    found = Fragment("d.metadata_words @@ %s::tsquery", (" | ".join(words),))
    return found.wrapped("(", " OR d.tenant <> '')") if part.usuals else found


def _implied(expr: Expr, base: Path, usuals: Usuals) -> _Part | None:
    """Return what a condition on what stands at ``base`` implies."""
    unusual = None if base else usuals.implied(expr)
    if unusual is not None:
        return _Part(_UNUSUAL, usuals=(unusual,))
    match expr:
        case Or(terms):
            each = [_implied(term, base, usuals) for term in terms]
            found = [part for part in each if part is not None]
            return _any_of(found) if found and len(found) == len(each) else None
        case And(terms):
            parts = [*_ranges(terms, base), *(_implied(term, base, usuals) for term in terms)]
            found = [part for part in parts if part is not None]
            return min(found, key=lambda part: part.width, default=None)
        case ElemMatch(path, condition):
            return _implied(condition, (*base, *path), usuals)
        case Compare():
            return next(_ranges((expr,), base), None)
        case _:
            return None


def _any_of(parts: Sequence[_Part]) -> _Part:
    """Return what is implied where one of some parts is."""
    return _Part(
        sum(part.width for part in parts),
        tuple(one for part in parts for one in part.spans),
        tuple(one for part in parts for one in part.usuals),
    )


def _ranges(terms: Iterable[Expr], base: Path) -> Iterator[_Part]:
    """Yield what the bounds on numbers in a conjunction imply, all those of one path together."""
    bounds: dict[Path, list[Span]] = {}
    for term in terms:
        if isinstance(term, Compare) and (found := span(term)) is not None:
            bounds.setdefault((*base, *term.path), []).append(found)
    for path, spans in bounds.items():
        if _is_indexed(path):
            first, last = max(one[0] for one in spans), min(one[1] for one in spans)
            mark = "s" if len(spans) > 1 else "t"
            yield _Part(max(last - first + 1, 0), ((start_of(path[1:]), mark, (first, last)),))


def _is_indexed(path: Path) -> bool:
    return path[0] == "metadata" and len(path) > 1 and not indexed(path[1:])
