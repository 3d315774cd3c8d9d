"""What psycopg raises, as docstore's errors: the one place."""

from __future__ import annotations

import psycopg
import sqlalchemy as sa

from docstore.errors import BackendError, StoreBusy

__all__ = ["translated"]

_BUSY = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.TooManyConnections,
)
_TRANSIENT = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)
"""The server undid this transaction for another's sake."""
_AWAY = ("08", "57P")
"""SQLSTATEs of a connection that failed, and of a server that stops, starts or crashed."""


def translated(error: Exception) -> BackendError | None:
    """Return the BackendError for what the driver or the pool raised; ``None`` if neither did."""
    cause = getattr(error, "orig", None) or error
    if isinstance(error, sa.exc.TimeoutError):
        return StoreBusy(f"Postgres: no connection came free: {error}")
    if not isinstance(cause, psycopg.Error):
        return BackendError(f"Postgres: {cause}") if isinstance(error, sa.exc.SQLAlchemyError) else None
    text = str(cause).strip()
    if isinstance(cause, _BUSY):
        return StoreBusy(f"Postgres: {text}", transient=isinstance(cause, _TRANSIENT))
    state = cause.sqlstate
    away = isinstance(cause, psycopg.OperationalError) and (state is None or state.startswith(_AWAY))
    full = isinstance(cause, psycopg.errors.DiskFull)  # until somebody makes room
    return BackendError(f"Postgres: {text}", retryable=away or full)
