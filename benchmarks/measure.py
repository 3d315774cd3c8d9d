"""Interleaved measurement: all contenders in turn, round after round, so that what else the machine does hits all alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Clock", "Figure", "cpu_clock", "interleaved", "ratio", "wall_clock"]

Clock = Callable[[], float]
wall_clock: Clock = time.perf_counter
cpu_clock: Clock = time.thread_time
_ENOUGH = 0.004
"""Seconds that one turn of a contender should take: shorter calls are repeated within the turn."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What a contender took: seconds a call in each round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the rounds, in seconds a call."""
        return statistics.median(self.rounds)

    def __str__(self) -> str:
        return f"{self.median * 1000:.3f} ms"


def interleaved(
    contenders: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 7,
    clock: Clock = cpu_clock,
    budget: float = 20.0,
) -> dict[str, Figure]:
    """Time every contender in every round; at least three rounds, no new one once ``budget`` wall seconds have passed."""
    repeats = {name: _repeats(call, clock) for name, call in contenders.items()}
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    started = time.perf_counter()
    gc.collect()
    gc.disable()
    try:
        for done in range(rounds):
            if done >= 3 and time.perf_counter() - started > budget:
                break
            for name, call in contenders.items():
                taken[name].append(_turn(call, repeats[name], clock))
    finally:
        gc.enable()
    return {name: Figure(tuple(times)) for name, times in taken.items()}


def _turn(call: Callable[[], object], repeats: int, clock: Clock) -> float:
    begun = clock()
    for _ in range(repeats):
        call()
    return (clock() - begun) / repeats


def _repeats(call: Callable[[], object], clock: Clock) -> int:
    call()
    took = min(_turn(call, 1, clock), _turn(call, 1, clock))
    return max(1, min(200, int(_ENOUGH / max(took, 1e-6))))


def ratio(one: Figure, other: Figure) -> tuple[float, float, float]:
    """Return how many times as long ``one`` takes as ``other``: the median of the rounds' ratios, the least and the most."""
    pairs = [a / b for a, b in zip(one.rounds, other.rounds, strict=False) if b > 0] or [float("nan")]
    return statistics.median(pairs), min(pairs), max(pairs)
