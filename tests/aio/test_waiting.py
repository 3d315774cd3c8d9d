"""What is waited for, how long, and what a call is told that waited too long or was given up."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context
from pathlib import Path
from typing import Any

import pytest

import docstore
from docstore.aio.calls import Wake
from tests.kit.forms import PATIENCE

LATE = 8.0
"""Seconds that a machine that does much else may add: without the rule it were ten or more."""


@pytest.fixture
def silent_server() -> Iterator[int]:
    """The port of a server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_full_pool_is_waited_for(postgres_store_url: str) -> None:
    """With every connection in a transaction a call waits `pool_timeout` seconds, then StoreBusy names it; a
    budget that ends first is a QueryTimeout that names what it waited for.
    """
    options: dict[str, Any] = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 1.0}
    with docstore.open(postgres_store_url, **options) as store, store.transaction():
        store.documents.add(filename="x")
        told: list[BaseException] = []

        def ask(**timeout: Any) -> None:
            try:
                store.documents.find(**timeout)
            except docstore.BackendError as error:
                told.append(error)

        for timeout in ({}, {"timeout": 0.1}):
            begun = time.monotonic()
            thread = threading.Thread(target=ask, kwargs=timeout)
            thread.start()
            thread.join()
            assert time.monotonic() - begun < 1 + LATE
        assert [docstore.StoreBusy, docstore.QueryTimeout] == [type(one) for one in told]
        assert "pool_timeout" in str(told[0])
        assert "waiting for a connection" in str(told[1])


def test_a_cancelled_call_does_not_wait_for_the_pool(postgres_store_url: str) -> None:
    """A call that waits for a connection ends at once when it is cancelled, and takes none later."""

    async def main() -> None:
        async with docstore.open_async(postgres_store_url, pool_size=2, max_overflow=0) as store:
            async with store.transaction():
                await store.documents.add(filename="x")
                with docstore.open(postgres_store_url) as other:
                    assert 0 == other.documents.count()
                backend = (await store._shell.root()).backend
                held = [await asyncio.to_thread(backend.engine.raw_connection)]  # type: ignore[attr-defined]
                waiting = [asyncio.create_task(store.documents.find(), context=Context()) for _ in range(5)]
                await asyncio.sleep(0.1)
                begun = time.monotonic()
                for task in waiting:
                    task.cancel()
                await asyncio.gather(*waiting, return_exceptions=True)
                assert time.monotonic() - begun < LATE
                await asyncio.to_thread(held[0].close)
            assert 1 == await store.documents.count()

    asyncio.run(main())


def test_a_server_that_does_not_answer(silent_server: int) -> None:
    """Opening a store on one ends after `connect_timeout` seconds."""
    begun = time.monotonic()
    with pytest.raises(docstore.BackendError, match="timeout") as failed:
        docstore.open(f"postgresql://nobody@127.0.0.1:{silent_server}/x", connect_timeout=2)
    assert 1 < time.monotonic() - begun < 3 + LATE
    assert failed.value.retryable


def test_a_cancelled_opening_ends(silent_server: int) -> None:
    """An opening that waits for a server that does not answer can be given up; nothing is left of it."""

    async def main() -> None:
        store = docstore.open_async(f"postgresql://nobody@127.0.0.1:{silent_server}/x", connect_timeout=2)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await store
        await store.close()

    before, begun = set(threading.enumerate()), time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - begun < 3 + LATE
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)
        assert not thread.is_alive()


@contextmanager
def another_program(path: Path) -> Iterator[None]:
    """Hold a SQLite file as a program does that knows nothing of our lock."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


def test_another_programs_lock_is_waited_for(tmp_path: Path) -> None:
    """A writer waits `busy_timeout` seconds for a file that another program holds, then StoreBusy; a
    cancelled one
    ends at once.
    """
    path = tmp_path / "a.db"
    store = docstore.open(f"sqlite:///{path}", busy_timeout=0.2)
    with store, another_program(path), pytest.raises(docstore.StoreBusy):
        store.documents.add(filename="x")

    async def main() -> None:
        async with docstore.open_async(f"sqlite:///{path}") as store:
            with another_program(path):
                begun = time.monotonic()
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await store.documents.add(filename="x")
                assert time.monotonic() - begun < LATE
            await store.documents.add(filename="y")
            assert 1 == await store.documents.count()

    asyncio.run(main())


def test_a_thread_is_waited_for() -> None:
    """A read that finds no thread free waits `pool_timeout` seconds, then StoreBusy names it."""

    async def main() -> None:
        async with docstore.open_async("sqlite://", pool_timeout=0.3) as store:
            text = "word and word " * 300
            await store.documents.add_many(
                [{"metadata": {"text": f"{number} {text}"}} for number in range(1500)]
            )
            slow = {"$and": [{"metadata.text": {"$not": {"$substring": f"zz{n}"}}} for n in range(400)]}
            busy = asyncio.create_task(store.documents.count(slow))
            await asyncio.sleep(0.02)
            begun = time.monotonic()
            with pytest.raises(docstore.StoreBusy, match=r"0\.3 s \(pool_timeout\)"):
                await store.documents.find()
            assert time.monotonic() - begun < 0.3 + LATE
            busy.cancel()
            await asyncio.gather(busy, return_exceptions=True)
            assert 1500 == await store.documents.count()

    asyncio.run(main())


def test_the_one_connection_goes_from_hand_to_hand() -> None:
    """In SQLite's memory a writer gets the connection in its turn, however many reads keep coming."""

    async def main() -> None:
        async with docstore.open_async("sqlite://") as store:
            await store.documents.add_many([{"metadata": {"n": number}} for number in range(300)])
            over = False

            async def read() -> None:
                while not over:
                    await store.documents.count({"metadata.n": {"$mod": [7, 1]}})

            readers = [asyncio.create_task(read()) for _ in range(4)]
            await asyncio.sleep(0.05)
            for number in range(5):
                async with asyncio.timeout(PATIENCE), store.transaction():
                    await store.documents.add(filename=f"{number}")
            over = True
            await asyncio.gather(*readers)
            assert 305 == await store.documents.count()

    asyncio.run(main())


def test_what_a_thread_sets_is_never_lost() -> None:
    """A task goes on if a thread set it before, while or after the task begins to wait, or is cancelled."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        wake = Wake(loop)
        for round in range(300):
            thread = threading.Thread(target=wake.set)
            thread.start()
            if round % 3 == 0:
                thread.join()
            await asyncio.wait_for(asyncio.ensure_future(waited(wake)), PATIENCE)
            thread.join()
            task = asyncio.ensure_future(waited(wake))
            await asyncio.sleep(0)
            task.cancel("why")
            with pytest.raises(asyncio.CancelledError, match="why"):
                await task

    async def waited(wake: Wake) -> None:
        await wake

    asyncio.run(main())
