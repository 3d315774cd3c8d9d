"""One run: every workload on one backend, its answer checked, its time beside what was written by hand."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks import by_hand_postgres, by_hand_sqlite
from benchmarks.asking import ask, is_right
from benchmarks.measure import Figure, interleaved, ratio
from benchmarks.oracle import Truth
from benchmarks.places import Place
from benchmarks.workloads import Workload

__all__ = ["LIBRARY", "Result", "WrongAnswer", "reading"]

LIBRARY = "docstore"
ALLOWED = {"memory": 0.0, "sqlite": 60e-6, "postgres": 100e-6}
"""Seconds of library on top of a hand-written page, which the targets allow."""
ALLOWED_CURSOR = 30e-6
_UNITS = {"ms": 1e3, "µs": 1e6}


class WrongAnswer(Exception):
    """A contender answered other than the oracle."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one workload took on one backend.

    Attributes:
        workload, title, backend, size: what was measured.
        figures: seconds a call, by contender; ``docstore`` is ours.
        target: what is asked: a number and the reference's name, or ``ms``.
        unit: what the figures are.
    """

    workload: str
    title: str
    backend: str
    size: int
    figures: dict[str, Figure]
    target: tuple[float, str] | None = None
    allowed: float = 0.0
    notes: str = field(default="")

    @property
    def ours(self) -> Figure:
        """Our own figure."""
        return self.figures[LIBRARY]

    def ratio_to(self, reference: str) -> tuple[float, float, float]:
        """Return our time as a multiple of a reference's: median, least, most."""
        return ratio(self.ours, self.figures[reference])

    @property
    def met(self) -> bool | None:
        """Whether the target is met; ``None`` if there is none, or no such reference."""
        if self.target is None:
            return None
        number, reference = self.target
        if reference in _UNITS:
            return self.ours.median * _UNITS[reference] <= number
        if reference not in self.figures:
            return None
        pairs = zip(self.ours.rounds, self.figures[reference].rounds, strict=False)
        return statistics.median(one - number * other for one, other in pairs) <= self.allowed


def reading(
    place: Place,
    works: Sequence[Workload],
    truths: dict[str, Truth],
    size: int,
    *,
    rounds: int,
    by_hand: bool = True,
) -> Iterator[Result]:
    """Measure the workloads on a place, one after another."""
    for work in works:
        truth = truths[work.name]
        calls: dict[str, Callable[[], object]] = {LIBRARY: ask(work, place.store, truth)}
        if by_hand and place.name == "sqlite":
            calls |= by_hand_sqlite.references(work, place.hands, truth)
        if by_hand and place.name == "postgres":
            calls |= by_hand_postgres.references(work, place.hands, truth)
        for name, call in calls.items():
            if not is_right(work, answer := call(), truth):
                raise WrongAnswer(
                    f"{work.name} on {place.name}: {name} answered {answer!r}, the oracle {truth!r}"
                )
        figures = interleaved(calls, rounds=rounds, clock=place.clock)
        allowed = ALLOWED[place.name] + (ALLOWED_CURSOR if work.kind == "cursor" else 0.0)
        yield Result(work.name, work.title, place.name, size, figures, work.target.get(place.name), allowed)
