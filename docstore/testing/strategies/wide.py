"""Wide filters: many alternatives, or many negatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from docstore.errors import FilterError
from docstore.query.evaluator import compile
from docstore.query.fields import decode
from docstore.query.parser import parse
from docstore.testing.strategies.choosing import Chooser
from docstore.testing.strategies.filters import Filter, some_filter
from docstore.testing.strategies.operands import mod, near, plain_list, string_condition
from docstore.testing.strategies.paths import json_path
from docstore.testing.strategies.worlds import World

__all__ = ["wide_filter"]

_SIZES = (3, 9, 17, 40)
_LEAVES_OF = 3
"""So many times the terms that are kept are made, at most: those that nearly all match say nothing."""
_MAKERS: dict[str, Callable[[Chooser, Any], Any]] = {
    "sizes": lambda choose, stored: {"$size": choose.below(6)},
    "remainders": lambda choose, stored: {"$mod": mod(choose, stored)},
    "texts": string_condition,
    "members": lambda choose, stored: {
        choose.pick(("$contains", "$containsAny")): plain_list(choose, stored)
    },
    "equals": lambda choose, stored: {choose.pick(("$eq", "$eq", "$gt", "$lte")): near(choose, stored)},
    "lists": lambda choose, stored: {"$in": plain_list(choose, stored)},
    "elements": lambda choose, stored: {
        "$elemMatch": choose.pick(
            (
                {"$mod": mod(choose, stored)},
                {"$eq": near(choose, stored)},
                {choose.pick(("a", "b", "0")): near(choose, stored)},
            )
        )
    },
    "types": lambda choose, stored: {
        "$type": choose.pick(("number", "string", "array", "null", "object")),
        "$size": choose.below(3),
    },
}


def wide_filter(choose: Chooser, world: World) -> Filter:
    """Return an ``$or``, ``$nor`` or ``$and`` of negatives: up to 40 terms, none that most match."""
    number = choose.pick(_SIZES)
    make = _mixed if choose.one_in(4) else _alike(choose, world)
    terms: list[Filter] = []
    for _ in range(number * _LEAVES_OF):
        term = make(choose, world)
        if len(terms) < number and _is_telling(term, world):
            terms.append(term)
    if not terms:
        return {}
    word = choose.pick(("$or", "$or", "$nor", "$and"))
    return {word: [{"$nor": [term]} for term in terms] if word == "$and" else terms}


def _mixed(choose: Chooser, world: World) -> Filter:
    return some_filter(choose, world, 1)


def _alike(choose: Chooser, world: World) -> Callable[[Chooser, World], Filter]:
    """Return what makes conditions of one or two kinds: on one path, or on many that mostly lead nowhere."""
    kinds = choose.several(lambda: choose.pick(list(_MAKERS)), 2, 1)
    known = [json_path(choose, world) for _ in range(3)]
    ways = choose.below(4)

    def term(choose: Chooser, world: World) -> Filter:
        path, stored = choose.pick(known[: 1 + ways])
        if ways == 2:
            path = f"{path}.p{choose.below(60)}" if choose.below(3) else path
        elif ways == 3:
            path = f"metadata.{choose.pick(('a.', 'b.1.', 'p', ''))}{choose.below(40)}"
        condition = {path: _MAKERS[choose.pick(kinds)](choose, stored)}
        return {**condition, "metadata.b": {"$ne": stored}} if choose.one_in(9) else condition

    return term


def _is_telling(term: Filter, world: World) -> bool:
    """Return whether the language accepts ``term``, and half of the records at most match it."""
    try:
        test = compile(parse(term, world.collection))
    except FilterError:
        return False
    found = sum(test({**decode(world.collection, row), "number": 1}) for row in world.rows)
    return 2 * found <= len(world.rows)
