"""What a condition leaves of a path's order: the intervals of sort bytes that a matching record may stand in.

True of records in which the path reaches one value, or several that sort alike. There each operator asks the
same value, so that a conjunction is an intersection and a negation a complement, missing values included.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from docstore.query.expr import Always, And, Compare, Expr, In, Not, Or, Path
from docstore.query.sorting import order_bytes
from docstore.query.values import Json

__all__ = ["END", "START", "Cut", "Intervals", "intervals"]

Cut: TypeAlias = tuple[bytes, int]
"""A place in the order: just before (0) or just behind (1) what sorts by these bytes."""
START: Cut = (b"", 0)
END: Cut = (b"\xff", 0)
_MOST = 64


@dataclass(frozen=True, slots=True)
class Intervals:
    """Parts of the order.

    Attributes:
        parts: from cut to cut, in order, apart from one another.
        exact: whether every record in them matches, so that all others do not.
    """

    parts: tuple[tuple[Cut, Cut], ...]
    exact: bool = False

    @property
    def is_all(self) -> bool:
        """Whether nothing is left out."""
        return self.parts == ((START, END),)

    def complement(self) -> Intervals:
        """Return all other parts."""
        cuts = [START, *(cut for part in self.parts for cut in part), END]
        return Intervals(_parts(zip(cuts[::2], cuts[1::2], strict=True)), self.exact)

    def meet(self, other: Intervals) -> Intervals:
        """Return what is in both."""
        both = ((max(a, c), min(b, d)) for a, b in self.parts for c, d in other.parts)
        return Intervals(_parts(sorted(both)), self.exact and other.exact)

    def join(self, other: Intervals) -> Intervals:
        """Return what is in one or the other."""
        joined: list[tuple[Cut, Cut]] = []
        for start, end in sorted((*self.parts, *other.parts)):
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        return Intervals(tuple(joined), self.exact and other.exact)


_ALL = Intervals(((START, END),))
_NONE = Intervals((), exact=True)


def _parts(found: Iterable[tuple[Cut, Cut]]) -> tuple[tuple[Cut, Cut], ...]:
    return tuple((start, end) for start, end in found if start < end)


def intervals(expr: Expr, path: Path) -> Intervals:
    """Return where in the order of ``path`` the records are that may match ``expr``."""
    match expr:
        case Always(value):
            return Intervals(_ALL.parts, exact=True) if value else _NONE
        case And(terms):
            found = Intervals(_ALL.parts, exact=True)
            for term in terms:
                found = found.meet(intervals(term, path))
        case Or(terms):
            found = _NONE
            for term in terms:
                found = found.join(intervals(term, path))
        case Not(term):
            inner = intervals(term, path)
            found = inner.complement() if inner.exact else _ALL
        case Compare(asked, op, value) if asked == path:
            found = _compared(op, value)
        case In(asked, values) if asked == path and len(values) <= _MOST:
            found = _NONE
            for value in values:
                found = found.join(_compared("eq", value))
        case _:
            return _ALL
    return found if len(found.parts) <= _MOST else _ALL


def _compared(op: str, value: Json) -> Intervals:
    """Return where values are that compare so; only those of the operand's own type do."""
    if isinstance(value, list | dict):
        return _ALL
    at = order_bytes(value)
    if value is None:  # a path that leads nowhere sorts as null, and does not always count as missing
        return Intervals((((at, 0), (at, 1)),)) if op in ("eq", "gte", "lte") else _NONE
    before, behind = (at, 0), (at, 1)
    first, last = (at[:1], 0), (bytes((at[0] + 1,)), 0)
    part = {
        "eq": (before, behind), "gt": (behind, last), "gte": (before, last), "lt": (first, before),
        "lte": (first, behind),
    }[op]  # fmt: skip
    return Intervals((part,), exact=True)
