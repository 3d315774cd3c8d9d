"""The application's own transaction, joined for a block: which may be joined, and whether it still lasts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from sqlalchemy.util.concurrency import greenlet_spawn

from docstore.concurrency import current
from docstore.errors import BackendError
from docstore_sql.async_connection import LoopConnection, on_loop

__all__ = ["JoinedTransaction"]

_TAKEN = "a Connection, Session, AsyncConnection or AsyncSession of SQLAlchemy's"


class JoinedTransaction:
    """A transaction that the application begins, commits and rolls back.

    Args:
        given: the connection or session that the application joined with.
        dialect: the database of the store, by SQLAlchemy's name.
        drivers: the drivers that a session can use.
        example: a URL of one of them.
        cursor: makes the cursor of an asynchronous driver's connection.

    Attributes:
        connection: the connection that a session runs on.

    Raises:
        TypeError: it cannot be joined, or is of another database or driver.
        BackendError: it is closed.
    """

    def __init__(
        self, given: Any, dialect: str, drivers: tuple[str, ...], example: str, cursor: Callable[[Any], Any]
    ) -> None:
        is_session, is_async = _kind(given)
        if is_async and current().loop is None:
            raise TypeError(f"{type(given).__name__}: join it with a store of docstore.open_async")
        self._given = given.sync_session if is_session and is_async else given
        self._is_session = is_session
        self._is_async = is_async
        self._cursor = cursor
        self.connection: Any = on_loop(self._entered()) if is_async else self._enter()
        found = self._engine_dialect
        if found.name != dialect or found.driver not in drivers:
            raise TypeError(
                f"cannot join a connection of {found.name}+{found.driver} to a store in {dialect}: "
                f"expected one of an engine for {example}"
            )
        self._transaction = self._under_way()

    def check(self) -> None:
        """Raise BackendError if the application has ended the transaction; else tell it of one more call."""
        now = self._under_way()
        if now is None or now is not self._transaction or not now.is_active:
            raise BackendError(
                "the transaction that this block joined was committed or rolled back by the application: "
                "leave the block before that, and join again for what comes after it"
            )
        if self._is_session:  # it makes the savepoint of a begin_nested() when it is asked for its connection
            if self._is_async:
                on_loop(greenlet_spawn(self._given.connection))
            else:
                self._given.connection()

    def _enter(self) -> Any:
        connection = self._given.connection() if self._is_session else self._given
        if not connection.in_transaction():
            connection.begin()
        self._engine_dialect = connection.dialect
        return connection.connection

    async def _entered(self) -> Any:
        given = self._given if not self._is_session else None
        if given is None:
            sync = await greenlet_spawn(self._given.connection)
            driver = (await greenlet_spawn(lambda: sync.connection)).driver_connection
            self._engine_dialect = sync.dialect
            return LoopConnection(driver, self._cursor)
        if not given.in_transaction():
            await given.begin()
        self._engine_dialect = given.dialect
        return LoopConnection((await given.get_raw_connection()).driver_connection, self._cursor)

    def _under_way(self) -> Any:
        """Return the application's transaction, None if it has ended."""
        given = self._given
        if self._is_async and not self._is_session:
            given = given.sync_connection
        if given is None or (not self._is_session and given.closed):
            return None
        return given.get_transaction()


def _kind(given: Any) -> tuple[bool, bool]:
    """Return whether something is a session, and whether it is asynchronous."""
    from sqlalchemy import Connection

    if isinstance(given, Connection):
        return False, False
    orm, aio = sys.modules.get("sqlalchemy.orm"), sys.modules.get("sqlalchemy.ext.asyncio")
    if orm is not None and isinstance(given, orm.Session):
        return True, False
    if aio is not None and isinstance(given, aio.AsyncConnection):
        return False, True
    if aio is not None and isinstance(given, aio.AsyncSession):
        return True, True
    raise TypeError(f"cannot join {type(given).__name__}: expected {_TAKEN}")
