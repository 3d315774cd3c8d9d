"""Connections of Postgres: the engine, the server behind it, its errors, cursors, and a replica's positions.

A position is a place in the primary's write-ahead log, as text. A replica that has replayed the log so far
has all writes up to it. After a write the next read first asks the primary for its position. The replica's
position is read on the connection of the read itself, as one address may lead to several servers.
"""

from __future__ import annotations

import logging
import math
import re
import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Self, TypeVar
from urllib.parse import unquote

import psycopg
import sqlalchemy as sa
from docstore_sql.backend import POOL_LOOK_SECONDS, SQLBackend
from docstore_sql.pool import on_loop
from docstore_sql.session import Session
from psycopg.types.numeric import Int8Dumper

from docstore.errors import BackendError, ReadOnlyStore, StoreBusy

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
# Postgres' own words: the error tells no table in a field of its own.
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


# The settings that our statements are spelled for. The server reports them without being asked.
_SPELLING = {"client_encoding": "UTF8", "standard_conforming_strings": "on"}
T = TypeVar("T")


def connected_within(seconds: float, sleep: Callable[[float], object], connect: Callable[[], T]) -> T:
    """Return a connection, waiting while the server has none free.

    Args:
        seconds: how long to wait; then the error of the last attempt is raised.
        sleep: lets so many seconds pass.
        connect: takes a connection, of the pool or a new one.
    """
    end, pause = time.monotonic() + seconds, 0.01
    while True:
        try:
            return connect()
        except (psycopg.OperationalError, sa.exc.OperationalError) as error:
            left = end - time.monotonic()
            if not is_full(error) or left <= 0:
                raise
        sleep(min(pause, left))
        pause = min(2 * pause, 0.25)


@contextmanager
def spoken(connection: Any) -> Iterator[None]:
    """Have a connection that is not ours take statements as they are written here, and put it back."""
    info = connection.driver_connection.info
    found = {name: info.parameter_status(name) for name in _SPELLING}
    changed = {name: was for name, was in found.items() if was and was != _SPELLING[name]}
    if not changed:
        yield
        return
    cursor = connection.cursor()
    for name in changed:
        cursor.execute("SELECT set_config(%s, %s, false)", (name, _SPELLING[name]))
    try:
        yield
    finally:
        with suppress(psycopg.Error):  # the transaction failed, and takes it back by itself
            for name, was in changed.items():
                cursor.execute("SELECT set_config(%s, %s, false)", (name, was))


def has_ended(driver: Any) -> bool:
    """Return whether the server has closed the connection: then its end is there to read."""
    if driver.closed:
        return True
    if not hasattr(select, "poll"):  # Windows; elsewhere select() refuses descriptors of 1,024 and more
        return bool(select.select([driver.fileno()], [], [], 0)[0])
    poll = select.poll()
    poll.register(driver.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class _BigintDumper(Int8Dumper):
    """Writes an integer into the text of a statement as what a prepared one is given."""

    def quote(self, obj: int) -> bytes:
        """Return it with its type; of ``-1::bigint`` the sign would be applied to the cast."""
        return b"'%d'::bigint" % obj


class PostgresCursor:
    """Cursor that writes the values of a statement which is not prepared into its text.

    So Postgres plans it for its values, although ``plan_cache_mode`` has it plan what is prepared without.

    Args:
        driver: psycopg's connection.
    """

    def __init__(self, driver: psycopg.Connection[Any]) -> None:
        self._prepared: psycopg.Cursor[Any] = driver.cursor()
        self._literal: psycopg.Cursor[Any] = psycopg.ClientCursor(driver)
        self._literal.adapters.register_dumper(int, _BigintDumper)
        self._last = self._prepared

    def execute(self, text: str, values: Sequence[Any] | None = None, *, prepare: bool | None = None) -> Self:
        """Execute one statement, ``prepare`` as psycopg has it; return the cursor."""
        self._last = self._literal if prepare is False else self._prepared
        self._last.execute(text, values, prepare=prepare)
        return self

    @property
    def rowcount(self) -> int:
        """How many rows the last statement wrote or returned."""
        return self._last.rowcount

    def executemany(self, text: str, values: Iterable[Sequence[Any]]) -> None:
        """Execute one statement for each of the values."""
        self._last = self._prepared
        self._last.executemany(text.encode(), values)

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row."""
        row: tuple[Any, ...] | None = self._last.fetchone()
        return row

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows that are left."""
        return self._last.fetchall()

    def copy(self, statement: str) -> AbstractContextManager[psycopg.Copy]:
        """Send rows by COPY."""
        return self._prepared.copy(statement.encode())

    def close(self) -> None:
        """Close the cursor."""
        self._prepared.close()
        self._literal.close()


class PostgresLoopCursor:
    """Cursor on an asynchronous connection of psycopg's, for a session in a thread.

    Each statement is one visit to the connection's loop, which brings all rows along.

    Args:
        driver: psycopg's connection.

    Attributes:
        rowcount: how many rows the last statement wrote or returned.
    """

    def __init__(self, driver: psycopg.AsyncConnection[Any]) -> None:
        self._cursor = driver.cursor()
        self._rows: Iterator[tuple[Any, ...]] = iter(())
        self.rowcount = -1

    def execute(self, text: str, values: Sequence[Any] | None = None, *, prepare: bool | None = None) -> Self:
        """Execute one statement, ``prepare`` as psycopg has it; return the cursor."""
        self._rows = iter(on_loop(self._executed(text, values, prepare)))
        return self

    async def _executed(
        self, text: str, values: Sequence[Any] | None, prepare: bool | None
    ) -> list[tuple[Any, ...]]:
        await self._cursor.execute(text.encode(), values, prepare=prepare)
        self.rowcount = self._cursor.rowcount
        return [] if self._cursor.description is None else await self._cursor.fetchall()

    def executemany(self, text: str, values: Iterable[Sequence[Any]]) -> None:
        """Execute one statement for each of the values."""
        on_loop(self._cursor.executemany(text.encode(), values))
        self.rowcount = self._cursor.rowcount

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row."""
        return next(self._rows, None)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows that are left."""
        return list(self._rows)

    @contextmanager
    def copy(self, statement: str) -> Iterator[_Copy]:
        """Send rows by COPY; an exception in the block sends none."""
        copying = _Copy()
        yield copying
        on_loop(self._copied(statement, copying.rows))

    async def _copied(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        async with self._cursor.copy(statement.encode()) as copy:
            for row in rows:
                await copy.write_row(row)

    def close(self) -> None:
        """Close the cursor."""
        on_loop(self._cursor.close())


class _Copy:
    """The rows of one COPY, collected: a batch is in memory anyway."""

    def __init__(self) -> None:
        self.rows: list[Sequence[Any]] = []

    def write_row(self, row: Sequence[Any]) -> None:
        """Take a row."""
        self.rows.append(row)


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

    def check(self, session: Session) -> None:
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


# -- the server ---

# The oldest major version of Postgres that the tests run on.
OLDEST = 14
# libpq takes several hosts with commas between; SQLAlchemy's URLs take one.
_SEVERAL_HOSTS = re.compile(
    r"(?P<start>[^:/]+://(?:[^/?#@]*@)?)(?P<hosts>[^/?#]*,[^/?#]*)(?P<rest>.*)", re.DOTALL
)
_HOST = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<name>[^:]*))(?::(?P<port>\d*))?\Z")


def _refuse_ended(driver: Any, record: Any, proxy: Any) -> None:
    """Have the pool connect anew if the server has closed this connection."""
    if driver.closed or has_ended(record.driver_connection):
        raise sa.exc.InvalidatePoolError("the server has closed the connection")


def make_engine(url: str, connect_timeout: float, options: dict[str, Any], *, pooled: bool) -> sa.Engine:
    """Return an engine in autocommit that refuses connections which the server has closed."""
    parsed = _parsed(url).set(drivername="postgresql+psycopg")
    given: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "use_native_hstore": False, **options}
    if issubclass(given.get("poolclass") or sa.QueuePool, sa.QueuePool):
        given = {"pool_size": 8, "max_overflow": 8, **given, "pool_timeout": POOL_LOOK_SECONDS}
    # said while connecting, so that what the role's or the environment's settings say never counts
    given["connect_args"] = {**given.get("connect_args", {}), "client_encoding": "utf8"}
    if pooled:
        given["connect_args"]["prepare_threshold"] = None  # no statement is ever prepared
    if "connect_timeout" not in parsed.query:
        given["connect_args"].setdefault("connect_timeout", max(2, math.ceil(connect_timeout)))
    engine = sa.create_engine(parsed, **given)
    sa.event.listen(engine, "checkout", _refuse_ended)
    return engine


def _parsed(url: str) -> sa.URL:
    """Return a URL, of which SQLAlchemy would not read several hosts."""
    found = _SEVERAL_HOSTS.match(url)
    if found is None:
        return sa.make_url(url)
    hosts, ports = [], []
    for one in found["hosts"].split(","):
        host = _HOST.match(one)
        if host is None:
            raise ValueError(f"host {one!r} in the URL: expected name, name:port or [address]:port")
        hosts.append(unquote(host["name"] if host["v6"] is None else host["v6"]))
        ports.append(host["port"] or "")
    query = {"host": ",".join(hosts), **({"port": ",".join(ports)} if any(ports) else {})}
    return sa.make_url(found["start"] + found["rest"]).update_query_dict(query)


def check_server(backend: SQLBackend[Any]) -> None:
    """Refuse a server that is not Postgres as this backend knows it.

    Raises:
        BackendError: it is too old, is another database, or its encoding is not UTF-8.
    """
    asked = "SELECT version(), current_setting('server_version_num')::int, current_setting('server_encoding')"
    try:
        with backend.translated():
            version, number, encoding = backend.with_connection(lambda one: one.exec_driver_sql(asked).one())
    except AssertionError as error:  # SQLAlchemy asks for the version, too, and reads Postgres' alone
        version, number, encoding = str(error), 0, "UTF8"
    if "CockroachDB" in version or not number:
        raise BackendError(f"the server is no PostgreSQL, but says {version!r}: docstore relies on its locks")
    named = re.search(r"PostgreSQL (\d+)", version)
    major = min(number // 10_000, int(named[1]) if named else number)
    if major < OLDEST:
        raise BackendError(
            f"the server is Postgres {major}; docstore needs {OLDEST} or newer: upgrade the server"
        )
    if encoding != "UTF8":
        raise BackendError(
            f"the database's encoding is {encoding}; docstore needs UTF8: CREATE DATABASE … ENCODING 'UTF8'"
        )


_RIGHTS = """
SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')::bool, current_user,
    bool_or(has_any_column_privilege(found, 'INSERT, UPDATE') OR has_table_privilege(found, 'DELETE'))
FROM unnest(ARRAY[to_regclass(%s), to_regclass(%s), to_regclass(%s)]) AS found
"""


def forbidden(backend: SQLBackend[Any]) -> str:
    """Return why a store that is there cannot be written to; ``""``: it can, or there is none."""
    tables = tuple(backend.tables.named(name) for name in ("document", "extraction", "blob"))
    with backend.translated():
        found = backend.with_connection(lambda one: one.exec_driver_sql(_RIGHTS, tables).one())
    standby, reads, role, writes = found
    if standby:
        return "the server is a standby: write to its primary"
    if reads:
        return "default_transaction_read_only is on for this server, database or role"
    return f"the role {role} may only read its tables" if writes is False else ""
