"""psycopg's exceptions as docstore's errors: the one place."""

from __future__ import annotations

import re

import psycopg
import sqlalchemy as sa

from docstore.errors import BackendError, ReadOnlyStore, StoreBusy

__all__ = ["is_full", "translated"]

_BUSY = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.TooManyConnections,
)
_NOT_PREPARED = (
    psycopg.errors.InvalidSqlStatementName,
    psycopg.errors.DuplicatePreparedStatement,
    psycopg.errors.ProtocolViolation,  # another statement of the name that wants other parameters
)
# The server undid this transaction for the sake of another.
_TRANSIENT = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)
# The messages of a server or a pooler with no connection free: at connect psycopg 3 gives no SQLSTATE.
_FULL = re.compile(
    r"too many (clients|connections)|remaining connection slots|no more connections allowed|max client conn",
    re.IGNORECASE,
)
_DENIED = re.compile(r"permission denied for (?P<kind>\w+) (?P<name>.+)")
# The rights that a store needs on each kind of object.
_GRANTS = {
    "table": "SELECT, INSERT, UPDATE, DELETE ON",
    "relation": "SELECT, INSERT, UPDATE, DELETE ON",
    "sequence": "USAGE, SELECT, UPDATE ON SEQUENCE",
    "function": "EXECUTE ON FUNCTION",
    "schema": "USAGE, CREATE ON SCHEMA",
    "database": "CONNECT, CREATE, TEMPORARY ON DATABASE",
}
# SQLSTATEs of a connection that failed, and of a server that stops, starts or crashed.
_AWAY = ("08", "57P")


def translated(error: Exception) -> BackendError | None:
    """Return the BackendError for an error of the driver or the pool, None for others."""
    cause = getattr(error, "orig", None) or error
    if isinstance(error, sa.exc.TimeoutError):
        return StoreBusy(f"Postgres: no connection came free: {error}")
    if not isinstance(cause, psycopg.Error):
        return BackendError(f"Postgres: {cause}") if isinstance(error, sa.exc.SQLAlchemyError) else None
    text = str(cause).strip()
    if isinstance(cause, _BUSY) or is_full(error):
        return StoreBusy(f"Postgres: {text}", transient=isinstance(cause, _TRANSIENT))
    if isinstance(cause, psycopg.errors.InsufficientPrivilege):
        return BackendError(f"Postgres: {text}: {_right_missing(cause)}")
    if isinstance(cause, psycopg.errors.InvalidSchemaName):
        advice = "name one that exists with schema=, or GRANT USAGE, CREATE ON SCHEMA <it> TO <this role>"
        return BackendError(f"Postgres: {text}: {advice}")
    if isinstance(cause, psycopg.errors.ReadOnlySqlTransaction) or _is_standby(cause):
        return ReadOnlyStore(f"Postgres: {text}: write to the primary", reason=text)
    if isinstance(cause, _NOT_PREPARED):
        advice = "a pooler gives each transaction another session: open the store with pooled=True"
        return BackendError(f"Postgres: {text}: {advice}")
    state = cause.sqlstate
    away = isinstance(cause, psycopg.OperationalError) and (state is None or state.startswith(_AWAY))
    full = isinstance(cause, psycopg.errors.DiskFull)  # until somebody makes room
    return BackendError(f"Postgres: {text}", retryable=away or full)


def _is_standby(cause: psycopg.Error) -> bool:
    """Return whether a write block was refused by a server in recovery: it begins READ WRITE."""
    where = cause.diag.source_function  # the text is in the server's language
    return isinstance(cause, psycopg.errors.FeatureNotSupported) and where == "call_bool_check_hook"


def is_full(error: BaseException) -> bool:
    """Return whether a connection could not be made because the server has none free."""
    cause = getattr(error, "orig", None) or error
    return isinstance(cause, psycopg.errors.TooManyConnections) or (
        isinstance(cause, psycopg.OperationalError)
        and cause.sqlstate is None
        and _FULL.search(str(cause)) is not None
    )


def _right_missing(error: psycopg.Error) -> str:
    """Return the advice for a right that the role lacks."""
    page = "docs/postgres.md lists what a role needs"
    if error.diag.source_function == "ExecWithCheckOptions":  # the same in all languages of the server
        return f"a policy of row-level security refuses the row: is the connection set to this tenant? {page}"
    found = _DENIED.match(error.diag.message_primary or "")
    if found is None or found["kind"] not in _GRANTS:
        return f"do this as the owner of the tables, or grant it to this role; {page}"
    return f"as their owner run  GRANT {_GRANTS[found['kind']]} {found['name']} TO <this role>; {page}"
