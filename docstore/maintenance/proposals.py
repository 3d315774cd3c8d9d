"""What repair could do about one finding, before it is decided whether to do it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Proposal", "Verb", "keep"]

Verb: TypeAlias = Literal["restore", "copy", "quarantine", "bury", "sweep", "rebuild", "keep"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """One step of repair.

    Attributes:
        verb: what it is called, see :class:`~docstore.maintenance.reports.Action`.
        detail: why, for people.
        act: does it and returns whether it was still needed; ``None`` where there is nothing to do.
        removes: whether it takes away something that may be of use.
    """

    verb: Verb
    detail: str
    act: Callable[[], bool] | None = None
    removes: bool = False


def keep(detail: str) -> Proposal:
    """Return the proposal to do nothing."""
    return Proposal("keep", detail)
