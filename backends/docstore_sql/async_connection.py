"""Connections of an application's event loop, as a session in a thread uses them: statement by statement."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from docstore.concurrency import Cancelled, current
from docstore.errors import BackendError, QueryTimeout

__all__ = ["LoopConnection", "on_loop"]

T = TypeVar("T")
# How often a waiting thread looks whether the loop is still there.
_SLICE_SECONDS = 0.05


def on_loop(
    coroutine: Coroutine[Any, Any, T], abandon: Callable[[T], Coroutine[Any, Any, object]] | None = None
) -> T:
    """Run a coroutine on the event loop of this thread's caller, and wait for it.

    Args:
        coroutine: the coroutine.
        abandon: handles its result if the call is given up meanwhile; None to wait for the end.

    Raises:
        BackendError: the loop is gone, or there is none.
    """
    call = current()
    if call.loop is None or call.loop.is_closed():
        coroutine.close()
        raise BackendError(
            "this connection belongs to an event loop that is gone: join it in open_async(...)"
        )
    future = asyncio.run_coroutine_threadsafe(coroutine, call.loop)
    while True:
        try:
            return future.result(timeout=_SLICE_SECONDS)
        except TimeoutError:
            if future.done():
                raise
        if call.loop.is_closed():
            raise BackendError("the event loop of this connection has been closed meanwhile")
        if abandon is not None:
            try:
                call.check("a connection")
            except (Cancelled, QueryTimeout):
                future.add_done_callback(lambda done: _abandoned(done, abandon))
                raise


def _abandoned(done: Future[T], abandon: Callable[[T], Coroutine[Any, Any, object]]) -> None:
    """Give back, on the loop, a connection that no call waits for any more."""
    if not done.cancelled() and done.exception() is None:
        task = asyncio.ensure_future(abandon(done.result()))
        _abandoning.add(task)
        task.add_done_callback(_abandoning.discard)


# Tasks under way: a loop holds its tasks only weakly.
_abandoning: set[asyncio.Future[object]] = set()


class LoopConnection:
    """A connection of an event loop, with the attributes that a session uses.

    Args:
        driver: the driver's own asynchronous connection.
        cursor: makes the cursor that a session's statements run on.
        owner: the SQLAlchemy ``AsyncConnection`` to close in the end; None if the application closes it.

    Attributes:
        driver_connection, dbapi_connection: the driver's own.
        info: notes about the connection.
    """

    def __init__(self, driver: Any, cursor: Callable[[Any], Any], owner: Any = None) -> None:
        self.driver_connection = self.dbapi_connection = driver
        self.info: dict[str, Any] = {}
        self._cursor = cursor
        self._owner = owner

    @classmethod
    def taken_from(cls, engine: Any, cursor: Callable[[Any], Any]) -> LoopConnection:
        """Take a connection out of the pool of an AsyncEngine."""

        async def take() -> tuple[Any, Any]:
            owner = await engine.connect()
            return owner, (await owner.get_raw_connection()).driver_connection

        owner, driver = on_loop(take(), lambda taken: taken[0].close())
        return cls(driver, cursor, owner)

    def cursor(self) -> Any:
        """Return a cursor."""
        return self._cursor(self.driver_connection)

    def close(self) -> None:
        """Give it back."""
        if self._owner is not None:
            on_loop(self._owner.close())

    def invalidate(self) -> None:
        """Have the pool close it, as its state is unknown."""
        if self._owner is not None:
            on_loop(self._owner.invalidate())
