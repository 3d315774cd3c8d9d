"""Bind: from what was worked out for one filter of a shape to the same for other values.

Where a value ends up in an Expr, and in whatever text a backend makes of one, is found with *samples*: values
that occur nowhere else. A filter is read with samples in the place of its own values, and where a sample
comes out, any value of its type belongs. That holds as long as nothing is decided by the values themselves;
:func:`binder_of` and :meth:`Binder.stored` refuse what might be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from json.encoder import encode_basestring
from operator import itemgetter
from random import Random
from typing import Any, TypeAlias

from docstore.query.expr import And, Compare, Contains, ElemMatch, Expr, In, Json, Not, Or, Path, leaves
from docstore.query.instants import parse_instant
from docstore.query.shape import DOUBLE, INSTANT, INSTANT_TEXT, TEXT, WHOLE
from docstore.query.values import plain

__all__ = [
    "Binder",
    "Pieces",
    "Sampled",
    "Shape",
    "Shaped",
    "binder_of",
    "pieces",
    "sample",
    "scalar_json",
    "stored",
]

Values: TypeAlias = tuple[Json, ...]
_chance = Random()


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What the filters of one shape have in common; each is itself only, so that it can be a key.

    Attributes:
        where: the condition with samples in the place of values.
        samples: those, in the order of the values.
    """

    where: Expr
    samples: Values


@dataclass(frozen=True, slots=True, eq=False)
class Shaped:
    """A condition, and the values that make it of its shape.

    Attributes:
        shape: what it shares with others.
        where: the condition itself: what is said here of another does not hold.
        values: those in the place of the shape's samples.
    """

    shape: Shape
    where: Expr
    values: Values


def sample(mark: complex) -> Any:
    """Return a value as a caller might give it, for a place that has this mark: another with each call."""
    if mark == WHOLE:
        return _chance.randrange(2**41, 2**52)
    if mark == DOUBLE:
        return _chance.randrange(2**30, 2**31) + _chance.randrange(1, 2**20) / 2**20
    if mark == TEXT:
        return f"v{_chance.getrandbits(80):020x}"
    at = datetime(2100, 1, 1, tzinfo=UTC) + timedelta(microseconds=_chance.randrange(1, 2**50))
    return at.isoformat() if mark == INSTANT_TEXT else at


def stored(mark: complex, value: Any, default_timezone: tzinfo | None) -> Json:
    """Return a value as the Expr holds it.

    Raises:
        ValueError: it is not accepted.
    """
    if mark in (INSTANT, INSTANT_TEXT):
        return parse_instant(value, default_timezone)
    return plain(value, default_timezone=default_timezone)


def scalar_json(value: Json) -> str:
    """Return the canonical JSON text of a text or number."""
    return encode_basestring(value) if type(value) is str else repr(value)


# -- texts -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pieces:
    """A text with places in it.

    Attributes:
        start: what is before the first place.
        rest: of each place which value it is, and what follows it.
    """

    start: str
    rest: tuple[tuple[int, str], ...]

    def filled(self, texts: Sequence[str]) -> str:
        """Return the text with the values, written out already, in their places."""
        parts = [self.start]
        for at, text in self.rest:
            parts += (texts[at], text)
        return "".join(parts)


def pieces(text: str, marks: Sequence[str]) -> Pieces:
    """Return ``text`` taken apart at the samples in it, written out as they are there."""
    if not marks:
        return Pieces(text, ())
    found = re.split("(" + "|".join(map(re.escape, sorted(marks, key=len, reverse=True))) + ")", text)
    return Pieces(
        found[0], tuple((marks.index(m), after) for m, after in zip(found[1::2], found[2::2], strict=True))
    )


# -- expressions -----------------------------------------------------------------------------------


class Binder:
    """Makes conditions of one shape.

    Args:
        shape: the shape.
        marks: of what type each value is.
        alike: groups of values that are asked of one path, and must differ for the shape to be the same.
        default_timezone: what naive times are in; ``None``: they are not accepted.
    """

    __slots__ = ("_alike", "_build", "_default_timezone", "_marks", "shape")

    def __init__(
        self,
        shape: Shape,
        marks: Sequence[complex],
        alike: Sequence[Sequence[int]],
        default_timezone: tzinfo | None,
    ) -> None:
        self.shape: Shape = shape
        self._marks = tuple(marks)
        self._alike = tuple(alike)
        self._default_timezone = default_timezone
        self._build = _building(shape.where, Sampled(shape.samples))

    def stored(self, values: Sequence[Any]) -> Values | None:
        """Return values as they were given as the Expr holds them; ``None`` where one is not accepted, or
        where they are so alike that the condition would be another.
        """
        zone = self._default_timezone
        try:
            found = tuple(
                [stored(mark, value, zone) for mark, value in zip(self._marks, values, strict=True)]
            )
        except ValueError:
            return None
        for group in self._alike:
            if len({found[at] for at in group}) < len(group):
                return None
        return found

    def bound(self, values: Values) -> Shaped:
        """Return the condition with these values."""
        where = self.shape.where if self._build is None else self._build(values)
        return Shaped(self.shape, where, values)


def binder_of(
    shape: Shape, marks: Sequence[complex], others: Sequence[Expr], default_timezone: tzinfo | None
) -> Binder | None:
    """Return what binds values to a shape.

    Args:
        shape: the shape; its condition is normalized.
        marks: of what type each value is.
        others: further conditions made of the same filter.
        default_timezone: what naive times are in.

    Returns:
        ``None`` where values may decide what the condition is: one of two bounds was left out, or a value
        stands beside a constant that it may be equal to.
    """
    sampled = Sampled(shape.samples)
    paths: dict[Path, set[int]] = {}
    constant: set[Path] = set()
    for path, value in _scalars(shape.where):
        at = sampled.place(value)
        if at is not None:
            paths.setdefault(path, set()).add(at)
        elif value is not None and type(value) is not bool:
            constant.add(path)
    every = set(range(len(shape.samples)))
    for expr in (shape.where, *others):
        if {sampled.place(value) for _, value in _scalars(expr)} - {None} != every:
            return None
    if not constant.isdisjoint(paths):
        return None
    alike = [sorted(group) for group in paths.values() if len(group) > 1]
    return Binder(shape, marks, alike, default_timezone)


class Sampled:
    """Which sample a value is.

    Args:
        samples: the samples, no two alike.
    """

    def __init__(self, samples: Sequence[Json]) -> None:
        self._places = {(type(value), value): at for at, value in enumerate(samples)}

    def place(self, value: Json) -> int | None:
        """Return the place of a sample, ``None`` for any other value."""
        kind = type(value)
        return self._places.get((kind, value)) if kind in (int, float, str) else None


def _scalars(expr: Expr) -> Iterator[tuple[Path, Json]]:
    """Yield the values that are asked of a path by comparison, with the path; within ElemMatch, too."""
    for leaf in leaves(expr):
        match leaf:
            case Compare(path, _, value):
                yield path, value
            case In(path, values) | Contains(path, values):
                yield from ((path, value) for value in values)
            case ElemMatch(_, condition):
                yield from _scalars(condition)


_Building: TypeAlias = Callable[[Values], Any]


def _building(expr: Expr, sampled: Sampled) -> _Building | None:
    """Return what makes ``expr`` of values; ``None`` where none of them is in it."""
    match expr:
        case And(terms) | Or(terms):
            return _of(type(expr), _each([_building(term, sampled) for term in terms], terms))
        case Not(term):
            return _of(Not, _building(term, sampled))
        case Compare(path, op, value):
            at = sampled.place(value)
            return None if at is None else lambda values: Compare(path, op, values[at])
        case In(path, listed):
            return _of(lambda made: In(path, made), _listed(listed, sampled))
        case Contains(path, listed, every):
            return _of(lambda made: Contains(path, made, every), _listed(listed, sampled))
        case ElemMatch(path, condition, of):
            return _of(lambda made: ElemMatch(path, made, of), _building(condition, sampled))
        case _:
            return None


def _of(kind: Callable[[Any], Expr], inner: _Building | None) -> _Building | None:
    return None if inner is None else lambda values: kind(inner(values))


def _listed(listed: Values, sampled: Sampled) -> _Building | None:
    places = [sampled.place(value) for value in listed]
    return _each([None if at is None else itemgetter(at) for at in places], listed)


def _each(made: Sequence[_Building | None], constant: Sequence[Any]) -> _Building | None:
    """Return what makes all parts, those without values as they are."""
    if all(one is None for one in made):
        return None
    parts = tuple(zip(made, constant, strict=True))
    return lambda values: tuple([same if make is None else make(values) for make, same in parts])
