"""A session for the asynchronous shell: each call of the core is one visit to the thread of its connection.

aiosqlite keeps a connection in a thread of its own. A query of this backend is several short statements, and
visiting that thread for each costs more than they do; so the blocking session itself lives in the thread,
and a
whole ``select`` or ``insert`` is sent there at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Collection as Container
from contextlib import suppress
from functools import partial
from typing import Any, ParamSpec, TypeVar

from docstore_sql.compile import Compiler
from docstore_sql.tables import Tables
from sqlalchemy.util.concurrency import await_only

from docstore.backend import ANYWHERE, BlobRow, BlobState, Query, Row, Scope, SortKey, Statement
from docstore.clock import Clock
from docstore.query.expr import Path
from docstore.query.fields import Collection
from docstore_sqlite.kept import Raw
from docstore_sqlite.postings import Shared
from docstore_sqlite.session import SQLiteSession

__all__ = ["ThreadedSession", "in_its_thread", "put_right"]

P = ParamSpec("P")
T = TypeVar("T")


def in_its_thread(connection: Any, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``work`` in the thread of a connection of aiosqlite's, and let other tasks run meanwhile.

    Args:
        connection: from the pool of an AsyncEngine's synchronous side.
        work: whatever has to be done there.
    """
    return await_only(_visit(connection.driver_connection, partial(work, *args, **kwargs)))


async def _visit(driver: Any, work: Callable[[], T]) -> T:
    """Wait for ``work``. A cancellation interrupts its statement, and arrives when the thread is done."""
    # aiosqlite has no public call for this; every one of its methods is made of it.
    task: asyncio.Task[T] = asyncio.ensure_future(driver._execute(work))
    try:
        await asyncio.wait((task,))
    except asyncio.CancelledError:
        while not task.done():
            driver._conn.interrupt()
            with suppress(asyncio.CancelledError):
                await asyncio.wait((task,), timeout=0.05)
        if not task.cancelled():
            task.exception()
        raise
    return task.result()


def put_right(connection: Any) -> None:
    """Roll back what a cancelled call left open on a connection that goes back to the pool."""
    driver = connection.driver_connection
    if driver is not None and driver.in_transaction:
        in_its_thread(connection, driver._conn.rollback)


class _Cursor:
    """Executes single statements in the session's thread: BEGIN, COMMIT, ROLLBACK, SAVEPOINT."""

    def __init__(self, session: ThreadedSession) -> None:
        self._session = session

    def execute(self, text: str) -> None:
        """Execute one statement."""
        self._session.visit(_execute, self._session.inner, text)


class ThreadedSession(SQLiteSession):
    """A :class:`SQLiteSession` whose calls happen in the thread of its connection.

    Args:
        connection: from the pool of an AsyncEngine's synchronous side.
        tables, compilers, shared, clock: as for the session itself.

    Attributes:
        inner: the session in the thread.
    """

    def __init__(
        self,
        connection: Any,
        tables: Tables,
        compilers: Mapping[str, Compiler],
        shared: Mapping[str, Shared] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.connection = connection
        driver = connection.driver_connection
        self.inner: SQLiteSession = self.visit(_begin, driver, tables, compilers, shared, clock)
        self.indexed = self.inner.indexed
        self.tally = self.inner.tally
        self.cursor = _Cursor(self)
        self.tables = tables
        self.compilers = compilers

    def visit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` in the connection's thread."""
        return in_its_thread(self.connection, work, *args, **kwargs)

    def select(self, query: Query) -> list[Row]:
        """Return the rows of ``query`` in its order."""
        return self.visit(self.inner.select, query)

    def count(self, query: Query, at_most: int | None = None) -> int:
        """Count the rows of ``query``, up to ``at_most``."""
        return self.visit(self.inner.count, query, at_most)

    def count_by(self, query: Query, path: Path) -> Mapping[Any, int] | None:
        """Count by a column, ``None`` where the core has to."""
        return self.visit(self.inner.count_by, query, path)

    def create_index(self, collection: Collection, keys: Sequence[SortKey]) -> bool:
        """Make a declared index; return whether it is new."""
        return self.visit(self.inner.create_index, collection, keys)

    def drop_index(self, collection: Collection, keys: Sequence[SortKey]) -> bool:
        """Remove a declared index; return whether it was there."""
        return self.visit(self.inner.drop_index, collection, keys)

    def indexes(self, collection: Collection) -> list[tuple[SortKey, ...]]:
        """Return the keys of each declared index."""
        return self.visit(self.inner.indexes, collection)

    def index_differences(self) -> list[str]:
        """Return how the index differs from the rows, in words; none: it is right."""
        return self.visit(self.inner.index_differences)

    def rebuild_index(self) -> None:
        """Make the index anew from the rows."""
        self.visit(self.inner.rebuild_index)

    def is_noted(self) -> bool:
        """Return whether any change is noted and not yet folded into the index."""
        return self.visit(self.inner.is_noted)

    def fold_all(self) -> None:
        """Fold every noted change into the index."""
        self.visit(self.inner.fold_all)

    def merge_texts(self, *, begin: bool) -> bool:
        """Merge a part of the text index; return whether more is left."""
        return self.visit(self.inner.merge_texts, begin=begin)

    def is_alone(self) -> bool:
        """Return whether all tables of the database are this store's."""
        return self.visit(self.inner.is_alone)

    def vacuum(self) -> None:
        """Write the whole file anew. Call outside of a transaction."""
        self.visit(self.inner.vacuum)

    def setting(self, name: str) -> str | None:
        """Return one of the store's own settings, ``None`` where it was never set."""
        return self.visit(self.inner.setting, name)

    def set_setting(self, name: str, value: str) -> None:
        """Set one of the store's own settings."""
        self.visit(self.inner.set_setting, name, value)

    def checkpoint(self) -> None:
        """Take the WAL over into the file and empty it, as far as no reader needs it."""
        self.visit(self.inner.checkpoint)

    def explain(self, query: Query) -> Statement:
        """Return the statement of ``query`` and the plan for it."""
        return self.visit(self.inner.explain, query)

    def blobs(
        self,
        *,
        states: Container[BlobState] = (),
        before: int | None = None,
        after_key: str = "",
        limit: int = 1000,
        keys: Sequence[str] | None = None,
        scope: Scope = ANYWHERE,
    ) -> list[BlobRow]:
        """Return blob rows ordered by key."""
        return self.visit(
            self.inner.blobs,
            states=states,
            before=before,
            after_key=after_key,
            limit=limit,
            keys=keys,
            scope=scope,
        )

    def insert(self, collection: Collection, rows: Sequence[Row]) -> list[int]:
        """Add rows; return their numbers."""
        return self.visit(self.inner.insert, collection, rows)

    def update(self, collection: Collection, number: int, changes: Mapping[str, Any]) -> bool:
        """Set columns of one row; return whether it exists."""
        return self.visit(self.inner.update, collection, number, changes)

    def delete(self, collection: Collection, numbers: Sequence[int]) -> int:
        """Remove rows; return how many there were."""
        return self.visit(self.inner.delete, collection, numbers)

    def insert_blob(self, blob: BlobRow) -> None:
        """Add a blob row."""
        self.visit(self.inner.insert_blob, blob)

    def update_blob(self, key: str, states: Container[BlobState], **changes: Any) -> bool:
        """Set fields of a blob row if its state is among ``states``; return whether it was."""
        return self.visit(self.inner.update_blob, key, states, **changes)

    def delete_blob(self, key: str, states: Container[BlobState]) -> bool:
        """Remove a blob row if its state is among ``states``; return whether it was."""
        return self.visit(self.inner.delete_blob, key, states)

    def kept_now(self) -> int:
        """Return the clock that is kept in the store."""
        return self.visit(self.inner.kept_now)


def _begin(
    driver: Any,
    tables: Tables,
    compilers: Mapping[str, Compiler],
    shared: Mapping[str, Shared] | None,
    clock: Clock | None,
) -> SQLiteSession:
    return SQLiteSession(Raw(driver._conn), tables, compilers, shared, clock)


def _execute(session: SQLiteSession, text: str) -> None:
    session.cursor.execute(text)
