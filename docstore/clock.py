"""The clock of a store: it never goes backwards, and time passes whatever the wall clock does.

A wall clock may be set ahead and back, by hand or by a time server that corrects it. A store that took its
highest reading for the time would stand still until that moment came again, and no lease would end meanwhile.
So where a reading lies behind what was told before, the clock goes on from there, as fast as a monotonic one.
"""

from __future__ import annotations

import threading
import time

from docstore.concurrency import forgets_at_fork

__all__ = ["Clock"]


class Clock:
    """Microseconds since the epoch, as one process tells them for one store."""

    def __init__(self) -> None:
        self._last = 0
        self._told_at = 0
        self._is_ahead = False
        self.forget()
        forgets_at_fork(self)

    def forget(self) -> None:
        """Take a lock that nobody holds."""
        self._mutex = threading.Lock()

    def now(self, wall: int | None = None) -> int:
        """Return the time.

        Args:
            wall: a reading of the clock that the store goes by; ``None``: this machine's.
        """
        read = time.time_ns() // 1000 if wall is None else wall
        with self._mutex:
            passed = self._passed()
            self._is_ahead = read < self._last
            return self._tell(passed if self._is_ahead else read)

    def go_on(self, told: int, told_when: int, wall: int | None = None) -> int:
        """Return the time in a store that was told one before, maybe by another process.

        Args:
            told: the instant that the store remembers.
            told_when: what the wall clock said then.
            wall: as for :meth:`now`.
        """
        read = time.time_ns() // 1000 if wall is None else wall
        self.now(read)
        with self._mutex:
            since = told + max(0, read - told_when)
            if since > self._last:
                self._is_ahead = True
                return self._tell(since)
            return self._last

    def at_least(self) -> int:
        """Return an instant that no reading to come may be before: the last one, or where the clock stands
        that is ahead of the wall's.
        """
        with self._mutex:
            return self._tell(self._passed()) if self._is_ahead else self._last

    def _passed(self) -> int:
        return self._last + max(0, time.monotonic_ns() // 1000 - self._told_at)

    def _tell(self, instant: int) -> int:
        self._last, self._told_at = max(self._last, instant), time.monotonic_ns() // 1000
        return self._last
