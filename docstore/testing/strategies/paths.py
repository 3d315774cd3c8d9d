"""Field paths as users write them: those that are stored, those that nearly are, those that lead nowhere."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from docstore.testing.strategies.values import STEPS, scalars
from docstore.testing.strategies.worlds import World

__all__ = ["json_paths", "written"]


def written(path: tuple[str, ...]) -> str:
    r"""Return a path as users write it: steps joined by dots, ``\.`` and ``\\`` for those in a key."""
    return ".".join(step.replace("\\", "\\\\").replace(".", "\\.") for step in path)


@st.composite
def json_paths(draw: st.DrawFn, world: World) -> tuple[tuple[str, ...], Any]:
    """Return a path into a JSON field of the world's records, and a value to expect there."""
    seen: tuple[tuple[tuple[str, ...], Any], ...] = world.seen
    if seen and draw(st.integers(0, 5)) > 0:
        path, value = draw(st.sampled_from(seen))
        if len(path) <= 8:
            return path, value
    root = draw(st.sampled_from(world.json_fields))
    step = st.one_of(st.sampled_from(("a", "b", "c", "0")), st.sampled_from(STEPS))
    return (root, *draw(st.lists(step, max_size=3))), draw(scalars())
