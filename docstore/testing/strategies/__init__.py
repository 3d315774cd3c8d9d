"""Hypothesis strategies for records and for everything that can be asked about them.

They aim at the corners where engines differ, and draw a question's paths and operands from the records it is
asked about, so that most questions match something: ``worlds()`` makes records, ``filters(world)``,
``sorts(world)`` and ``searches(world)`` ask about them.
"""

from docstore.testing.strategies.asks import asks, searches, sorts
from docstore.testing.strategies.filters import filters
from docstore.testing.strategies.values import KEYS, SCALARS, json_objects, json_values, texts
from docstore.testing.strategies.worlds import World, worlds

__all__ = [
    "KEYS",
    "SCALARS",
    "World",
    "asks",
    "filters",
    "json_objects",
    "json_values",
    "searches",
    "sorts",
    "texts",
    "worlds",
]
