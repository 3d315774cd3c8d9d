"""Reads from a replica that follows the primary by streaming replication: never before this store's own
writes.

A position is a place in the primary's write-ahead log, as text. A replica that has replayed the log so far
has all writes up to it. After a write the next read first asks the primary for its position. The replica's
position is read on the connection of the read itself, as one address may lead to several servers.
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
    """The position that reads must not fall behind, and whether the replica may be used.

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
        """Let no later read see less than the log holds up to a position."""
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
