"""What And, Or and Not come to, given a bit for each leaf: a few steps on numbers, however many they are.

The leaves stand in their order, so that whatever is below a node is one stretch of bits. A node's answer is
written to all of its stretch; nodes of one height, kind and length are answered together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from docstore.query.expr import And, Expr, Not, Or

__all__ = ["comes_to", "stretches", "terms_come_to", "wanted"]

Step: TypeAlias = Callable[[int], int]
_Group: TypeAlias = tuple[int, type[Expr], int]
"""The height of nodes, their kind, and how many leaves are below each."""


def comes_to(expr: Expr) -> Callable[[int], bool]:
    """Return the function that tells what an expression comes to, of the bits of the leaves that hold.

    Args:
        expr: the first leaf's bit is the first.
    """
    steps = _steps([(expr, 0)])

    def run(bits: int) -> bool:
        for step in steps:
            bits = step(bits)
        return bits & 1 != 0

    return run


def terms_come_to(terms: Sequence[Expr]) -> Callable[[int], int]:
    """Return the function that tells what each of some terms comes to: the bit of its first leaf says it."""
    placed = list(stretches(terms))
    steps = _steps(placed)
    firsts = sum(1 << start for _, start in placed)

    def run(bits: int) -> int:
        for step in steps:
            bits = step(bits)
        return bits & firsts

    return run


def wanted(terms: Sequence[Expr]) -> int:
    """Return the leaves that terms want to hold, not to fail: those under an even number of Not."""
    found = at = 0
    stack = [(term, True) for term in reversed(terms)]
    while stack:
        node, holding = stack.pop()
        match node:
            case And(inner) | Or(inner):
                stack.extend((term, holding) for term in reversed(inner))
            case Not(term):
                stack.append((term, not holding))
            case _:
                found |= holding << at
                at += 1
    return found


def stretches(terms: Sequence[Expr]) -> Iterator[tuple[Expr, int]]:
    """Yield terms with the places of their first leaves."""
    start = 0
    for term in terms:
        yield term, start
        start += _width(term)


def _width(expr: Expr) -> int:
    match expr:
        case And(terms) | Or(terms):
            return sum(map(_width, terms))
        case Not(term):
            return _width(term)
    return 1


def _steps(placed: list[tuple[Expr, int]]) -> list[Step]:
    """Return what to do to the bits of the leaves, from the lowest nodes to the highest."""
    groups: dict[_Group, int] = {}
    for expr, start in placed:
        _collect(expr, start, groups)
    return [_step(*group[1:], groups[group]) for group in sorted(groups, key=_order)]


def _order(group: _Group) -> tuple[int, str, int]:
    height, kind, length = group
    return height, kind.__name__, length


def _collect(expr: Expr, start: int, groups: dict[_Group, int]) -> tuple[int, int]:
    """Add the nodes of an expression to their groups; return its height and how many leaves it has."""
    match expr:
        case And(terms) | Or(terms):
            below, width = 0, 0
            for term in terms:
                height, wide = _collect(term, start + width, groups)
                below, width = max(below, height), width + wide
        case Not(term):
            below, width = _collect(term, start, groups)
        case _:
            return 0, 1
    group = (below + 1, type(expr), width)
    groups[group] = groups.get(group, 0) | 1 << start
    return below + 1, width


def _step(kind: type[Expr], length: int, starts: int) -> Step:
    """Return what answers nodes of one kind and length that start at some bits."""
    within = (starts << length) - starts
    if kind is Not:
        return lambda bits: bits ^ within
    shifts = _shifts(length)

    def every(bits: int) -> int:
        found = bits
        for shift in shifts:
            found &= found >> shift
        found &= starts
        return bits ^ bits & within | (found << length) - found

    def some(bits: int) -> int:
        found = bits & within
        for shift in shifts:
            found |= found >> shift
        found &= starts
        return bits | (found << length) - found

    return every if kind is And else some


def _shifts(length: int) -> list[int]:
    """Return by how much to shift so that each first bit has met all of its stretch, and none beyond it."""
    shifts, met = [], 1
    while met < length:
        shifts.append(min(met, length - met))
        met += shifts[-1]
    return shifts
