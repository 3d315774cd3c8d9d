"""Hypothesis strategies for records and for everything that can be asked about them.

They aim at the corners where engines differ, and draw a question's paths and operands from the records it is
asked about, so that most questions match something: ``worlds()`` makes records, ``filters(world)``,
``sorts(world)`` and ``searches(world)`` ask about them, ``updates(world)`` changes them.

Underneath are plain functions over a :class:`~docstore.testing.strategies.values.Chooser`; with a
``RandomChooser(seed)`` they make many cases in little time.
"""

from __future__ import annotations

from typing import Any, TypeVar

from hypothesis import strategies as st

from docstore.query.fields import Collection
from docstore.testing.strategies.asks import Ask, ask, operators, search, sort
from docstore.testing.strategies.filters import Filter, some_filter
from docstore.testing.strategies.values import Chooser, DrawnChooser, RandomChooser, some_object, text, value
from docstore.testing.strategies.worlds import World, world

__all__ = [
    "Ask",
    "Chooser",
    "RandomChooser",
    "World",
    "asks",
    "choosers",
    "filters",
    "json_objects",
    "json_values",
    "searches",
    "sorts",
    "texts",
    "updates",
    "worlds",
]

T = TypeVar("T")


@st.composite
def choosers(draw: st.DrawFn) -> Chooser:
    """Return what makes Hypothesis' choices; only for use within the strategy that drew it."""
    return DrawnChooser(draw)


def texts() -> st.SearchStrategy[str]:
    """Return texts without NUL and surrogates, mostly from a pool of awkward ones."""
    return choosers().map(text)


def json_values() -> st.SearchStrategy[Any]:
    """Return JSON values of every type and mixture."""
    return choosers().map(value)


def json_objects() -> st.SearchStrategy[dict[str, Any]]:
    """Return JSON objects such as metadata."""
    return choosers().map(lambda choose: some_object(choose, size=4))


def worlds(collection: Collection | None = None, *, size: int = 8) -> st.SearchStrategy[World]:
    """Return records of a collection (``None``: of either), up to ``size`` of them."""
    return choosers().map(lambda choose: world(choose, collection, size=size))


def filters(over: World) -> st.SearchStrategy[Filter]:
    """Return filters over the records of a world that the language accepts."""
    return choosers().map(lambda choose: some_filter(choose, over))


def sorts(over: World) -> st.SearchStrategy[tuple[str, ...]]:
    """Return sorts by up to three fields and paths of the records of a world."""
    return choosers().map(lambda choose: sort(choose, over))


def searches(over: World) -> st.SearchStrategy[str]:
    """Return searches over the records of a world."""
    return choosers().map(lambda choose: search(choose, over))


def asks(over: World) -> st.SearchStrategy[Ask]:
    """Return whole questions about the records of a world: filter, search, sort and window."""
    return choosers().map(lambda choose: ask(choose, over))


def updates(over: World) -> st.SearchStrategy[dict[str, Any]]:
    """Return update operators over the records of a world; the language refuses some of them."""
    return choosers().map(lambda choose: operators(choose, over))
