"""Sorts, searches, and whole questions: a filter with a search, a sort and a window."""

from __future__ import annotations

from dataclasses import dataclass

from docstore.query.fields import Kind
from docstore.testing.strategies.choosing import Chooser
from docstore.testing.strategies.filters import Filter, some_filter
from docstore.testing.strategies.paths import json_path
from docstore.testing.strategies.values import WORDS, text
from docstore.testing.strategies.worlds import World

__all__ = ["Ask", "ask", "search", "sort"]


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
