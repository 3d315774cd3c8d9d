"""Field paths as users write them: those that are stored, those that nearly are, those that lead nowhere."""

from __future__ import annotations

from typing import Any

from docstore.query.paths import path_text
from docstore.testing.strategies.choosing import Chooser
from docstore.testing.strategies.values import PLAIN_KEYS, STEPS, scalar
from docstore.testing.strategies.worlds import World

__all__ = ["json_path"]

_LONGEST = 8


def json_path(choose: Chooser, world: World) -> tuple[str, Any]:
    """Return a path into a JSON field of the world's records, and a value to expect there."""
    if world.seen and not choose.one_in(6):
        path, value = choose.pick(world.seen)
        if len(path) <= _LONGEST:
            return path_text(path), value
    steps = choose.several(lambda: choose.pick(STEPS if choose.one_in(3) else (*PLAIN_KEYS, "0")), 3)
    return path_text((choose.pick(world.json_fields), *steps)), scalar(choose)
