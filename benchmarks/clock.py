"""CPU time, and how fast this machine is beside the one that the targets are for."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable

__all__ = ["Clock", "factor"]

Clock = Callable[[], float]
FIXED_WORK_SECONDS = 0.0085
"""CPU seconds of the fixed piece of work on the machine of the targets."""


def factor() -> float:
    """Return how many times as long as on the machine of the targets a fixed piece of work takes.

    It is 2,000 reads by key of a small JSON row from SQLite in memory, each decoded; the best of seven counts.
    """
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, j TEXT)")
    text = json.dumps({"a": 1, "b": ["x", "y"], "c": {"d": "e" * 40}})
    connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, text) for n in range(2_000)])
    best = float("inf")
    for _ in range(7):
        begun = time.process_time()
        for n in range(2_000):
            json.loads(connection.execute("SELECT j FROM t WHERE id = ?", (n,)).fetchone()[0])
        best = min(best, time.process_time() - begun)
    connection.close()
    return best / FIXED_WORK_SECONDS
