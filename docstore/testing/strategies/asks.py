"""Sorts, searches, and whole questions: a filter with a search, a sort and a window."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from docstore.query.fields import Kind
from docstore.testing.strategies.filters import Filter, filters
from docstore.testing.strategies.paths import json_paths, written
from docstore.testing.strategies.values import WORDS, texts
from docstore.testing.strategies.worlds import World

__all__ = ["Ask", "asks", "searches", "sorts"]


@dataclass(frozen=True)
class Ask:
    """One question in users' words, the arguments of ``find``."""

    filter: Filter
    search: str | None
    sort: tuple[str, ...]
    limit: int
    offset: int
    latest_only: bool


@st.composite
def sorts(draw: st.DrawFn, world: World) -> tuple[str, ...]:
    """Return up to three sort keys either way; nulls, ties and mixed types are likely."""
    fields = world.collection.fields.values()
    own = [field.name for field in fields if not field.heavy and field.kind is not Kind.JSON]
    paths = st.one_of(st.sampled_from(own), json_paths(world).map(lambda found: written(found[0])))
    keys = draw(st.lists(paths, min_size=1, max_size=3, unique=True))
    return tuple(draw(st.sampled_from(("", "-"))) + key for key in keys)


@st.composite
def searches(draw: st.DrawFn, world: World) -> str:
    """Return a search: words and parts of words of the records, phrases, exclusions, signs, short terms."""
    stored = [text for name in ("filename", "content") for text in world.values(name) if text]
    terms = draw(st.lists(_terms(stored), max_size=3))
    return draw(st.sampled_from((" ", "  ", "\t", "\u3000"))).join(terms)


@st.composite
def _terms(draw: st.DrawFn, stored: list[str]) -> str:
    text = draw(st.one_of(st.sampled_from((*stored, *WORDS)), st.sampled_from(stored or WORDS), texts()))
    start = draw(st.integers(0, len(text)))
    part = text[start : start + draw(st.integers(1, 8))]
    form = draw(st.sampled_from(("{}", "{}", "{}", '"{}"', "-{}", '-"{}"', '"{}', "{}-")))
    return form.format(draw(st.sampled_from((part, text, part.upper(), part.lower()))))


@st.composite
def asks(draw: st.DrawFn, world: World) -> Ask:
    """Return a whole question about the records of a world."""
    size = len(world.rows)
    return Ask(
        filter=draw(filters(world)),
        search=draw(st.one_of(st.none(), st.none(), searches(world))),
        sort=draw(sorts(world)),
        limit=draw(st.integers(0, size + 1)),
        offset=draw(st.sampled_from((0, 0, 1, 2, size, size + 1))),
        latest_only=draw(st.sampled_from((True, False, False))),
    )
