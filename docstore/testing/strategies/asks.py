"""Sorts, searches, whole questions (a filter with a search, a sort and a window), and update operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from docstore.query.fields import Kind
from docstore.query.paths import path_text
from docstore.query.updates import OPERATORS
from docstore.testing.strategies.filters import Filter, near, plain_list, plain_near, some_filter
from docstore.testing.strategies.values import NUMBERS, WORDS, Chooser, text, value
from docstore.testing.strategies.worlds import World, json_path

__all__ = [
    "Ask",
    "ask",
    "operators",
    "search",
    "sort",
]


@dataclass(frozen=True)
class Ask:
    """One question in users' words, the arguments of ``find``."""

    filter: Filter
    search: str | None
    sort: tuple[str, ...]
    limit: int
    offset: int
    latest_only: bool


def sort(choose: Chooser, world: World) -> tuple[str, ...]:
    """Return up to three sort keys over fields and JSON paths, either way; ties and mixed types abound."""
    fields = world.collection.fields.values()
    own = [field.name for field in fields if not field.heavy and field.kind is not Kind.JSON]
    keys = choose.several(lambda: json_path(choose, world)[0] if choose.below(2) else choose.pick(own), 3, 1)
    return tuple(choose.pick(("", "-")) + key for key in dict.fromkeys(keys))


def search(choose: Chooser, world: World) -> str:
    """Return a search: words and parts of words of the records, phrases, exclusions, short terms."""
    stored = [held for name in ("filename", "content") for held in world.values(name) if held]
    terms = [_term(choose, stored) for _ in range(choose.pick((1, 1, 1, 2, 2, 3, 0)))]
    return choose.pick((" ", "  ", "\t", "\u3000")).join(terms)


def _term(choose: Chooser, stored: list[str]) -> str:
    whole = choose.pick(stored) if stored and not choose.one_in(4) else choose.pick(WORDS)
    if choose.one_in(8):
        whole = text(choose)
    start = choose.below(len(whole) + 1) if choose.one_in(3) else 0
    part = whole[start : start + 1 + choose.below(8)]
    form = choose.pick(("{}", "{}", "{}", '"{}"', '"{}"', "-{}", '-"{}"', '"{}', "{}-"))
    return form.format(choose.pick((part, whole, part.upper(), part.lower())))


def ask(choose: Chooser, world: World) -> Ask:
    """Return a whole question about the records of a world."""
    size = len(world.rows)
    return Ask(
        filter=some_filter(choose, world) if choose.below(3) else {},
        search=search(choose, world) if choose.one_in(3) else None,
        sort=sort(choose, world),
        limit=size + 1 - choose.below(size + 2),
        offset=choose.pick((0, 0, 1, 2, size, size + 1)),
        latest_only=choose.one_in(3),
    )


# What an operator asks of the value at its path.
_KINDS: dict[str, type | tuple[type, ...]] = {
    "$inc": (int, float), "$mul": (int, float), "$push": list, "$addToSet": list, "$pull": list, "$pop": list,
}  # fmt: skip


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
