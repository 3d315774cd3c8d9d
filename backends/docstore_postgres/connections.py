"""Connections of Postgres: waiting for a full server, the spelling of statements, a server that has gone."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa

from docstore_postgres.errors import is_full

__all__ = ["connected_within", "has_ended", "spoken"]

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
