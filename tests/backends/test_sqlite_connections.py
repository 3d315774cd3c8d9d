"""Idle connections of the SQLite backend: a few, whole, and closed with the store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from docstore_sqlite import SQLiteBackend, open_backend

from docstore.backend import Query
from docstore.errors import BackendError
from docstore.query.fields import DOCUMENTS


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[SQLiteBackend]:
    """Open an empty store in a file."""
    opened = open_backend(f"sqlite:///{tmp_path}/store.db")
    yield opened
    opened.close()


def driver(session: Any) -> sqlite3.Connection:
    """Return the connection below a session."""
    found: sqlite3.Connection = session.connection.driver_connection
    return found


def test_one_reader_after_another_has_the_same_connection(backend: SQLiteBackend) -> None:
    """A block gives its connection back for the next one, a writing one too."""
    with backend.read() as first:
        pass
    with backend.write() as second:
        pass
    with backend.read(snapshot=True) as third:
        pass
    assert driver(first) is driver(second) is driver(third)


def test_readers_beyond_those_kept_come_from_the_pool(backend: SQLiteBackend) -> None:
    """Twenty readers at once each have a connection of their own."""
    together = Barrier(20)

    def read(_: int) -> int:
        with backend.read(snapshot=True) as session:
            assert [] == session.select(Query(DOCUMENTS))
            together.wait(timeout=60)
            return id(driver(session))

    with ThreadPoolExecutor(20) as threads:
        assert 20 == len(set(threads.map(read, range(20))))


def test_a_block_that_fails_leaves_nothing_under_way(backend: SQLiteBackend) -> None:
    """The next block begins without a transaction, whatever ended the one before."""
    with pytest.raises(BackendError, match="no such table"), backend.read(snapshot=True) as session:
        session.cursor.execute("SELECT 1 FROM elsewhere")
    with pytest.raises(ZeroDivisionError), backend.read(snapshot=True):
        raise ZeroDivisionError
    with backend.read() as session:
        assert not driver(session).in_transaction
        assert [] == session.select(Query(DOCUMENTS))


def test_a_connection_that_broke_is_replaced(backend: SQLiteBackend) -> None:
    """A connection that cannot be rolled back is not used again."""

    def break_it() -> None:
        with backend.read(snapshot=True) as session:
            driver(session).close()
            session.select(Query(DOCUMENTS))

    with pytest.raises(BackendError):
        break_it()
    with backend.read(snapshot=True) as session:
        assert [] == session.select(Query(DOCUMENTS))


def test_closing_closes_them(tmp_path: Path) -> None:
    """None is left open, one that is in use is closed when its block ends."""
    backend = open_backend(f"sqlite:///{tmp_path}/store.db")
    with backend.read() as first, backend.read() as second:
        drivers = [driver(first), driver(second)]
    with backend.read() as busy:
        drivers.append(driver(busy))
        backend.close()
        assert [] == busy.select(Query(DOCUMENTS))
    for one in drivers:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            one.execute("SELECT 1")


def test_an_engine_with_a_pool_of_its_own_settings_is_left_to_it(tmp_path: Path) -> None:
    """Who says how many connections there are to be gets no others."""
    backend = open_backend(f"sqlite:///{tmp_path}/store.db", pool_size=1, max_overflow=0)
    with backend.read():
        assert 1 == backend.engine.pool.checkedout()  # type: ignore[attr-defined]
    backend.close()


@pytest.mark.parametrize("size", [0, 1 << 20])
def test_the_file_is_read_through_memory_where_that_is_asked_for(tmp_path: Path, size: int) -> None:
    """By every connection, up to so many bytes; 0 reads the usual way."""
    opened = open_backend(f"sqlite:///{tmp_path}/store.db", mmap_size=size)
    with opened.read() as session, opened.read() as another:
        for each in (session, another):
            assert (size,) == driver(each).execute("PRAGMA mmap_size").fetchone()
    opened.close()


def test_a_database_in_memory_outlives_an_interrupted_write() -> None:
    """SQLite rolls back by itself where an INSERT is interrupted; the one connection stays open."""
    opened = open_backend("sqlite://")

    def write() -> None:
        with opened.write() as writer:
            driver(writer).set_progress_handler(lambda: 1, 1)
            try:
                writer.set_setting("a", "1")
            finally:
                driver(writer).set_progress_handler(None, 0)

    with pytest.raises(BackendError, match="interrupted"):
        write()
    with opened.read() as reader:
        assert [] == reader.select(Query(DOCUMENTS))
    with opened.write() as writer:
        assert writer.setting("a") is None
        writer.set_setting("a", "2")
    opened.close()
