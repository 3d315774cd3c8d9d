"""Reads from a replica, a server that follows the primary by streaming replication: only once it has replayed
this store's own writes.

A position is a place in the primary's write-ahead log, as text. What was written up to there is on the
replica when it has replayed the log that far. After a write the primary is asked for its position before the
next read; the replica's is asked for on the connection that the read is then done on, as an address may lead
to several servers.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from docstore_postgres.session import PostgresSession

__all__ = ["Behind", "ReplicaPositions"]

_log = logging.getLogger("docstore")
_NOWHERE = "0/0"
# A replica that could not be reached is not tried again for so long.
_AWAY_SECONDS = 1.0
# An application is taken to commit at the latest so long after a joined block.
_JOINED_SECONDS = 60.0


class Behind(Exception):
    """The replica has not replayed what the read must see."""


def _place(text: str) -> int:
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


class ReplicaPositions:
    """What one store must see, and whether its replica may be asked.

    Args:
        ask: returns the primary's position.
    """

    def __init__(self, ask: Callable[[], str]) -> None:
        self._ask = ask
        self._mutex = threading.Lock()
        self._needed = _NOWHERE
        self._written = 0
        self._known = 0
        self._joined_until = 0.0
        self._away_until = 0.0

    def wrote(self, *, joined: bool = False) -> None:
        """Note that something was written; in a joined block its application commits it, later."""
        with self._mutex:
            self._written += 1
            if joined:
                self._joined_until = time.monotonic() + _JOINED_SECONDS

    def see(self, text: str) -> None:
        """Have all reads to come see what was written up to a position."""
        with self._mutex:
            if _place(text) > _place(self._needed):
                self._needed = text

    def now(self) -> str:
        """Return the position that holds all that this store has written."""
        with self._mutex:
            written, is_known = self._written, self._known == self._written
            if is_known and time.monotonic() > self._joined_until:
                return self._needed
        self.see(self._ask())
        with self._mutex:
            self._known = max(self._known, written)
            return self._needed

    def check(self, session: PostgresSession) -> None:
        """Look how far the replica is, on the connection that will be read from.

        Raises:
            Behind: not far enough.
        """
        needed = self.now()
        session.cursor.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (needed,), prepare=True)
        found = session.cursor.fetchone()[0]
        if found is False or (found is None and needed != _NOWHERE):  # NULL: it is no standby, or just began
            raise Behind

    @property
    def is_away(self) -> bool:
        """Whether the replica could not be reached a moment ago."""
        return time.monotonic() < self._away_until

    def went_away(self, error: Exception) -> None:
        """Note that the replica cannot be reached, and warn."""
        if self._away_until == 0.0:
            _log.warning(
                "the replica cannot be read, the primary is read instead: %s", error,
                extra={"docstore_event": "replica_away", "docstore_reason": str(error)[:200]},
            )  # fmt: skip
        self._away_until = time.monotonic() + _AWAY_SECONDS

    def came_back(self) -> None:
        """Note that the replica answers."""
        self._away_until = 0.0
