"""Filters in users' words over the records of a world: every operator, operands mostly of what is stored."""

from __future__ import annotations

from typing import Any, TypeAlias

from hypothesis import strategies as st

from docstore.query.fields import Kind
from docstore.testing.strategies.fields import field_conditions
from docstore.testing.strategies.operands import (
    list_operands,
    mods,
    near,
    plain_operands,
    string_conditions,
    type_operands,
)
from docstore.testing.strategies.paths import json_paths, written
from docstore.testing.strategies.values import STEPS
from docstore.testing.strategies.worlds import World

__all__ = ["Filter", "filters"]

Filter: TypeAlias = dict[str, Any]


@st.composite
def filters(draw: st.DrawFn, world: World, *, depth: int = 3) -> Filter:
    """Return a filter that the language accepts, logic nested up to ``depth``."""
    kind = draw(st.integers(0, 9)) if depth else 0
    if kind < 6:
        return draw(_fields(world, depth))
    if kind == 9:
        return {"$comment": draw(st.sampled_from(("why", ""))), **draw(filters(world, depth=depth - 1))}
    word = ("$and", "$or", "$nor")[kind - 6]
    terms = draw(st.lists(filters(world, depth=depth - 1), min_size=1, max_size=3))
    return {**(draw(_fields(world, depth - 1)) if draw(st.integers(0, 3)) == 0 else {}), word: terms}


@st.composite
def _fields(draw: st.DrawFn, world: World, depth: int) -> Filter:
    """Return a filter of up to three fields, one most often, sometimes none."""
    size = draw(st.sampled_from((1, 1, 1, 1, 2, 2, 3, 0)))
    return dict([draw(_field(world, depth)) for _ in range(size)])


@st.composite
def _field(draw: st.DrawFn, world: World, depth: int) -> tuple[str, Any]:
    if draw(st.integers(0, 3)):
        path, value = draw(json_paths(world))
        return written(path), draw(_condition(value, depth))
    fields = [field for field in world.collection.fields.values() if field.kind is not Kind.JSON]
    field = draw(st.sampled_from(fields))
    return field.name, draw(field_conditions(field, world.values(field.name)))


@st.composite
def _condition(draw: st.DrawFn, value: Any, depth: int) -> Any:
    """Return what may stand beside a JSON path, near a value that is found there."""
    if draw(st.integers(0, 4)) == 0:
        return draw(plain_operands(value))
    return draw(_operators(value, depth))


@st.composite
def _operators(draw: st.DrawFn, value: Any, depth: int) -> dict[str, Any]:
    """Return an object of one to three operators."""
    most = draw(st.sampled_from((1, 1, 1, 2, 3)))
    parts = draw(st.lists(_operator(value, depth), min_size=1, max_size=most))
    return {word: operand for part in parts for word, operand in part.items() if _alone(word, part, parts)}


def _alone(word: str, part: dict[str, Any], parts: list[dict[str, Any]]) -> bool:
    """Return whether ``$options`` has its own ``$regex`` beside it: the last part that names one."""
    return word not in ("$regex", "$options") or part is next(p for p in reversed(parts) if "$regex" in p)


@st.composite
def _operator(draw: st.DrawFn, value: Any, depth: int) -> dict[str, Any]:
    strategies: list[st.SearchStrategy[dict[str, Any]]] = [
        _word(("$eq", "$ne"), near(value)),
        _word(("$gt", "$gte", "$lt", "$lte"), plain_operands(value)),
        _word(("$in", "$nin", "$all"), list_operands(value)),
        _word(("$exists",), st.sampled_from((True, False, 1, 0, None))),
        _word(("$type",), type_operands()),
        _word(("$size",), st.sampled_from((len(value) if isinstance(value, list) else 1, 0, 1, 2))),
        _word(("$mod",), mods()),
        string_conditions(value),
        _word(("$contains", "$containsAny"), st.one_of(list_operands(value), near(value).filter(_no_words))),
    ]
    if depth:
        one = _element(value[0] if isinstance(value, list) and value else value, depth - 1)
        strategies += [
            _word(("$not",), _operators(value, depth - 1)),
            _word(("$elemMatch",), one),
            _word(("$all",), st.lists(_word(("$elemMatch",), one), min_size=1, max_size=2)),
        ]
    return draw(st.one_of(strategies))


def _no_words(value: Any) -> bool:
    return not (isinstance(value, dict) and next(iter(value), "").startswith("$"))


def _word(words: tuple[str, ...], operands: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda word, operand: {word: operand}, st.sampled_from(words), operands)


@st.composite
def _element(draw: st.DrawFn, element: Any, depth: int) -> dict[str, Any]:
    """Return the operand of ``$elemMatch``: operators on the element, or a filter over its fields."""
    if not isinstance(element, dict | list) or draw(st.integers(0, 4)) == 0:
        return draw(_operators(element, depth))
    filters = [dict(fields) for fields in draw(_element_filters(element, depth))]
    if depth and draw(st.integers(0, 3)) == 0:
        return {draw(st.sampled_from(("$or", "$and", "$nor"))): filters}
    return filters[0]


def _element_filters(element: Any, depth: int) -> st.SearchStrategy[list[list[tuple[str, Any]]]]:
    return st.lists(st.lists(_element_field(element, depth), min_size=1, max_size=2), min_size=1, max_size=2)


@st.composite
def _element_field(draw: st.DrawFn, element: Any, depth: int) -> tuple[str, Any]:
    inner = dict(enumerate(element)) if isinstance(element, list) else element
    stored = [(str(key), value) for key, value in inner.items() if not str(key).startswith("$")]
    fresh = st.tuples(st.sampled_from([step for step in STEPS if not step.startswith("$")]), st.just(1))
    key, value = draw(st.one_of(st.sampled_from(stored), fresh) if stored else fresh)
    return written((key,)), draw(_condition(value, depth))
