"""Filters in users' words over the records of a world: every operator, operands mostly of what is stored."""

from __future__ import annotations

from typing import Any, TypeAlias

from docstore.query.fields import Kind
from docstore.query.paths import path_text
from docstore.testing.strategies.choosing import Chooser
from docstore.testing.strategies.fields import field_condition
from docstore.testing.strategies.operands import (
    mod,
    near,
    plain_list,
    plain_near,
    plain_or_list,
    string_condition,
    types,
)  # fmt: skip
from docstore.testing.strategies.paths import json_path
from docstore.testing.strategies.values import STEPS
from docstore.testing.strategies.worlds import World

__all__ = ["Filter", "some_filter"]

Filter: TypeAlias = dict[str, Any]
_PLAIN_STEPS = tuple(step for step in STEPS if not step.startswith("$"))


def some_filter(choose: Chooser, world: World, depth: int = 3) -> Filter:
    """Return a filter that the language accepts, logic nested up to ``depth``."""
    kind = choose.below(10) if depth else 0
    if kind < 6:
        return _fields(choose, world, depth)
    if kind == 9:
        return {"$comment": "why", **some_filter(choose, world, depth - 1)}
    terms = choose.several(lambda: some_filter(choose, world, depth - 1), 3, 1)
    beside = _fields(choose, world, depth - 1) if choose.one_in(4) else {}
    return {**beside, ("$or", "$and", "$nor")[kind - 6]: terms}


def _fields(choose: Chooser, world: World, depth: int) -> Filter:
    """Return a filter of up to three fields, one most often, sometimes none."""
    return dict([_field(choose, world, depth) for _ in range(choose.pick((1, 1, 1, 1, 1, 1, 2, 2, 3, 0)))])


def _field(choose: Chooser, world: World, depth: int) -> tuple[str, Any]:
    if not choose.one_in(4):
        path, stored = json_path(choose, world)
        return path, _condition(choose, stored, depth)
    fields = [field for field in world.collection.fields.values() if field.kind is not Kind.JSON]
    field = choose.pick(fields)
    return field.name, field_condition(choose, field, world.values(field.name))


def _condition(choose: Chooser, stored: Any, depth: int) -> Any:
    """Return what may stand beside a JSON path, near a value that is found there."""
    return plain_near(choose, stored) if choose.one_in(5) else _operators(choose, stored, depth)


def _operators(choose: Chooser, stored: Any, depth: int) -> dict[str, Any]:
    """Return an object of one to three operators; ``$options`` has its own ``$regex`` beside it."""
    merged: dict[str, Any] = {}
    for _ in range(choose.pick((1, 1, 1, 1, 2, 2, 3))):
        part = _operator(choose, stored, depth)
        if "$regex" in part:
            merged.pop("$options", None)
        merged.update(part)
    return merged


_FAMILIES = (
    "compare", "order", "order", "list", "exists", "type", "string", "array", "array", "mod", "not",
    "element",
)  # fmt: skip
_APT: dict[type, tuple[str, ...]] = {
    str: ("string", "string", "order", "compare", "list"),
    int: ("order", "mod", "compare", "list"),
    float: ("order", "mod", "compare", "list"),
    list: ("array", "element", "element", "array", "compare", "list"),
    dict: ("compare", "order", "element", "list"),
}
"""Operators by what they look at: those apt for a stored value are taken more often than the rest."""


def _operator(choose: Chooser, stored: Any, depth: int) -> dict[str, Any]:
    apt = _APT.get(type(stored), ("compare", "exists", "list"))
    match choose.pick(_FAMILIES if choose.one_in(3) else apt):
        case "compare":
            return {choose.pick(("$eq", "$ne")): near(choose, stored)}
        case "order":
            return {choose.pick(("$gte", "$gt", "$lt", "$lte")): plain_near(choose, stored)}
        case "list":
            return {choose.pick(("$in", "$nin", "$all")): plain_list(choose, stored)}
        case "exists":
            return {"$exists": choose.pick((True, False, 1, 0, None))}
        case "type":
            return {"$type": types(choose)}
        case "mod":
            return {"$mod": mod(choose, stored)}
        case "string":
            return string_condition(choose, stored)
        case "not" if depth:
            return {"$not": _operators(choose, stored, depth - 1)}
        case "element" if depth:
            return _every_element(choose, stored, depth - 1)
        case _:
            return _array_condition(choose, stored)


def _array_condition(choose: Chooser, stored: Any) -> dict[str, Any]:
    """Return ``$size``, ``$contains`` or ``$containsAny``."""
    if choose.one_in(3):
        return {"$size": choose.pick((len(stored) if isinstance(stored, list) else 1, 0, 1, 2))}
    operand = plain_or_list(choose, stored)
    return {choose.pick(("$contains", "$containsAny")): operand}


def _every_element(choose: Chooser, stored: Any, depth: int) -> dict[str, Any]:
    """Return ``$elemMatch``, alone or in ``$all``."""
    element = choose.pick(stored) if isinstance(stored, list) and stored else stored
    if choose.one_in(4):
        return {"$all": choose.several(lambda: {"$elemMatch": _element(choose, element, depth)}, 2, 1)}
    return {"$elemMatch": _element(choose, element, depth)}


def _element(choose: Chooser, element: Any, depth: int) -> dict[str, Any]:
    """Return the operand of ``$elemMatch``: operators on the element, or a filter over its fields."""
    if not isinstance(element, dict | list) or choose.one_in(5):
        return _operators(choose, element, depth)
    if depth and choose.one_in(4):
        filters = choose.several(lambda: _element_fields(choose, element, depth - 1), 2, 1)
        return {choose.pick(("$or", "$and", "$nor")): filters}
    return _element_fields(choose, element, depth)


def _element_fields(choose: Chooser, element: Any, depth: int) -> dict[str, Any]:
    inner = dict(enumerate(element)) if isinstance(element, list) else element
    stored = [(str(key), value) for key, value in inner.items() if not str(key).startswith("$")]
    made: dict[str, Any] = {}
    for _ in range(choose.pick((1, 1, 2))):
        known = stored and not choose.one_in(5)
        key, value = choose.pick(stored) if known else (choose.pick(_PLAIN_STEPS), 1)
        made[path_text((key,))] = _condition(choose, value, depth)
    return made
