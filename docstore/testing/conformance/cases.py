"""What one generated test is about: records, and several questions on them, so that filling a store pays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from docstore.query.paths import path_text
from docstore.query.values import plain
from docstore.testing.strategies.asks import Ask, ask, search
from docstore.testing.strategies.choosing import Chooser
from docstore.testing.strategies.filters import Filter, some_filter
from docstore.testing.strategies.operands import string_condition
from docstore.testing.strategies.paths import json_path
from docstore.testing.strategies.themes import THEMES, themed
from docstore.testing.strategies.values import some_object
from docstore.testing.strategies.wide import wide_filter
from docstore.testing.strategies.worlds import World, world

__all__ = [
    "AskCase",
    "CountCase",
    "FilterCase",
    "ScopeCase",
    "ValueCase",
    "WalkCase",
    "ask_case",
    "count_case",
    "filter_case",
    "scope_case",
    "search_case",
    "string_case",
    "themed_case",
    "value_case",
    "walk_case",
    "wide_case",
]


@dataclass(frozen=True)
class FilterCase:
    """Records and filters over them."""

    world: World
    filters: list[Filter]


@dataclass(frozen=True)
class AskCase:
    """Records and whole questions about them."""

    world: World
    asks: list[Ask]


@dataclass(frozen=True)
class ScopeCase:
    """Records, a scope of at least one part, and questions within it."""

    world: World
    tenant: str | None
    owner: str | None
    asks: list[Ask]


@dataclass(frozen=True)
class WalkCase:
    """Records and a question whose pages are walked."""

    world: World
    ask: Ask


@dataclass(frozen=True)
class CountCase:
    """Records, a filter, and a path to count by."""

    world: World
    filter: Filter
    field: str


@dataclass(frozen=True)
class ValueCase:
    """Metadata, and how it is stored."""

    metadata: dict[str, Any]

    @property
    def expected(self) -> Any:
        """The metadata as it comes back: -0.0 is 0.0."""
        return plain(self.metadata)


def filter_case(choose: Chooser) -> FilterCase:
    """Return records with up to six filters."""
    records = world(choose)
    return FilterCase(records, choose.several(lambda: some_filter(choose, records), 6, 1))


def themed_case(choose: Chooser, theme: str) -> FilterCase:
    """Return records with values of one theme, that engines confuse, and filters that tell them apart."""
    return FilterCase(*themed(choose, theme))


def string_case(choose: Chooser) -> FilterCase:
    """Return records with conditions on texts, one each: substrings, globs, patterns."""
    records = world(choose)
    texts = [(path_text(path), value) for path, value in records.seen if isinstance(value, str)]
    texts += [("filename", value) for value in records.values("filename")]

    def searched() -> Filter:
        path, value = choose.pick(texts or [("filename", "")])
        return {path: string_condition(choose, value)}

    return FilterCase(records, choose.several(searched, 8, 4))


def wide_case(choose: Chooser) -> FilterCase:
    """Return records with filters of many alternatives each."""
    records = world(choose, size=12)
    return FilterCase(records, [wide_filter(choose, records) for _ in range(8)])


def search_case(choose: Chooser) -> AskCase:
    """Return records with up to eight searches."""
    records = world(choose)

    def searched() -> Ask:
        return Ask({}, search(choose, records), ("number",), 1000, 0, False)

    return AskCase(records, choose.several(searched, 8, 4))


def ask_case(choose: Chooser) -> AskCase:
    """Return records with up to four questions."""
    records = world(choose)
    return AskCase(records, choose.several(lambda: ask(choose, records), 4, 1))


def walk_case(choose: Chooser) -> WalkCase:
    """Return records with a question that most of them answer."""
    if choose.below(2):
        records, _ = themed(choose, choose.pick(list(THEMES)))
        keys = ("metadata.a", "-metadata.a", "filename", "-filename", "size", "-size")
        sort = tuple(choose.several(lambda: choose.pick(keys), 2, 1))
        return WalkCase(records, Ask({}, None, sort, 1, 0, False))
    records = world(choose)
    question = ask(choose, records)
    if choose.below(3):
        question = Ask({}, None, question.sort, 1, 0, False)
    return WalkCase(records, question)


def scope_case(choose: Chooser) -> ScopeCase:
    """Return records, a scope that some of them are in, and up to three questions."""
    records = world(choose)
    tenant, owner = choose.pick((("t", None), ("T", None), (None, "o"), ("t", "o"), ("t%", "o'")))
    return ScopeCase(records, tenant, owner, choose.several(lambda: ask(choose, records), 3, 1))


def count_case(choose: Chooser) -> CountCase:
    """Return records, a filter, and a path that they have values at."""
    records = world(choose)
    own = choose.pick(("status", "filename", "tenant", "owner", "revision"))
    path = json_path(choose, records)[0] if choose.below(4) else own
    return CountCase(records, some_filter(choose, records) if choose.one_in(3) else {}, path)


def value_case(choose: Chooser) -> ValueCase:
    """Return metadata of every kind of value."""
    return ValueCase(some_object(choose, 5, 6))
