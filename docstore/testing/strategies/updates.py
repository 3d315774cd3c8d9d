"""Update operators over the records of a world, each mostly on paths and values that are stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from docstore.query.paths import path_text
from docstore.query.updates import OPERATORS
from docstore.testing.strategies.choosing import Chooser
from docstore.testing.strategies.operands import near, plain_list, plain_near
from docstore.testing.strategies.paths import json_path
from docstore.testing.strategies.values import NUMBERS, text, value
from docstore.testing.strategies.worlds import World

__all__ = ["operators"]

_KINDS: dict[str, type | tuple[type, ...]] = {
    "$inc": (int, float), "$mul": (int, float), "$push": list, "$addToSet": list, "$pull": list, "$pop": list,
}  # fmt: skip
"""What an operator asks of the value at its path."""


def operators(choose: Chooser, world: World) -> dict[str, dict[str, Any]]:
    """Return one to three operators; some do not go with the records, or with each other."""
    made: dict[str, dict[str, Any]] = {}
    for _ in range(1 + choose.below(3)):
        word = choose.pick(OPERATORS)
        if word in ("$set", "$unset") and choose.one_in(8):
            made.setdefault("$set", {})[choose.pick(("filename", "error"))] = text(choose)
            continue
        path, stored = _place(choose, world, word)
        made.setdefault(word, {})[path] = _OPERANDS[word](choose, world, stored)
    return made


def _place(choose: Chooser, world: World, word: str) -> tuple[str, Any]:
    """Return a path below the metadata, with the kind of value that the operator asks for most often."""
    below = [(path, held) for path, held in world.seen if path[0] == "metadata" and len(path) > 1]
    kind = _KINDS.get(word, object)
    fitting = [(path, held) for path, held in below if isinstance(held, kind) and type(held) is not bool]
    if (fitting or below) and not choose.one_in(5):
        path, held = choose.pick(fitting or below)
        return path_text(path), held
    path_as_text, held = json_path(choose, world)
    return "metadata." + path_as_text.partition(".")[2], held


def _pushed(choose: Chooser, world: World, stored: Any) -> Any:
    values = plain_list(choose, stored)
    if choose.one_in(3):
        return value(choose, 2)
    made: dict[str, Any] = {"$each": values}
    for word in ("$position", "$slice"):
        if choose.below(2):
            made[word] = choose.pick((0, 1, -1, 2, -3, 100))
    return made


def _pulled(choose: Chooser, world: World, stored: Any) -> Any:
    element = choose.pick(stored) if isinstance(stored, list) and stored else stored
    match choose.below(4):
        case 0:
            return {"$in": plain_list(choose, stored)}
        case 1:
            return {choose.pick(("$gt", "$lte", "$ne", "$eq")): plain_near(choose, element)}
        case _:
            return plain_near(choose, element)


_OPERANDS: dict[str, Callable[[Chooser, World, Any], Any]] = {
    "$set": lambda choose, world, stored: near(choose, stored),
    "$unset": lambda choose, world, stored: "",
    "$inc": lambda choose, world, stored: choose.pick(NUMBERS),
    "$mul": lambda choose, world, stored: choose.pick(NUMBERS),
    "$min": lambda choose, world, stored: near(choose, stored),
    "$max": lambda choose, world, stored: near(choose, stored),
    "$rename": lambda choose, world, stored: _place(choose, world, "$rename")[0],
    "$push": _pushed,
    "$addToSet": lambda choose, world, stored: {"$each": plain_list(choose, stored)},
    "$pull": _pulled,
    "$pop": lambda choose, world, stored: choose.pick((1, -1)),
}
