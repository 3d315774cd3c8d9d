"""Stores and forks."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import docstore
from tests.kit.forms import PATIENCE, SOAK

LATE = 1.0 if SOAK else 30.0
"""Seconds: what is promised, and what a machine that does much else may add."""


def in_child(work: Callable[[], None]) -> int:
    """Run ``work`` in a forked child; return its exit code, 0 if it raised nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and later, where threads are about
        child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.parametrize("kind", ["sqlite_url", "postgres_store_url"])
def test_a_store_goes_on_in_both_processes(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """After a fork parent and child use the same store, each over connections of its own."""
    with docstore.open(request.getfixturevalue(kind), blobs=tmp_path / "files") as store:
        store.documents.add(b"before", filename="before")

        def child() -> None:
            assert ["before"] == [document.filename for document in store.documents.find()]
            for number in range(20):
                store.documents.add(b"child", filename=f"child {number}")

        code = in_child(child)
        assert 0 == code
        for number in range(20):
            store.documents.add(b"parent", filename=f"parent {number}")
        assert 41 == store.documents.count()
        found = store.documents.find({"filename": "child 19"}).items
        assert b"child" == store.documents.read_bytes(found[0].id)


def test_a_fork_within_a_transaction(sqlite_url: str) -> None:
    """A child forked within a transaction cannot use it, and can read anew; the parent's commit is whole."""
    with docstore.open(sqlite_url) as store:

        def child() -> None:
            with pytest.raises(docstore.BackendError, match="fork"):
                store.documents.count()
            anew = docstore.open(sqlite_url)  # closing it would wait for the parent's transaction
            assert 0 == anew.documents.count()

        with store.transaction():
            store.documents.add(filename="parent")
            code = in_child(child)
        assert 0 == code
        assert 1 == store.documents.count()


def test_memory_is_copied(tmp_path: Path) -> None:
    """A store in memory is copied by a fork: what the child adds, the parent does not see."""
    with docstore.open("memory://") as store:
        store.documents.add(filename="before")

        def child() -> None:
            store.documents.add(filename="child")
            assert 2 == store.documents.count()

        assert 0 == in_child(child)
        assert 1 == store.documents.count()


def test_sqlite_in_memory_is_refused_in_the_child() -> None:
    """SQLite's memory does not survive a fork: the child is told so, the parent goes on."""
    with docstore.open("sqlite://") as store:
        store.documents.add(filename="before")

        def child() -> None:
            with pytest.raises(docstore.BackendError, match="fork"):
                store.documents.count()

        assert 0 == in_child(child)
        assert 1 == store.documents.count()


def test_an_asynchronous_store_is_refused_in_the_child(tmp_path: Path) -> None:
    """An event loop does not survive a fork, so an asynchronous store says that each process needs its
    own.
    """
    store = docstore.open_async(f"sqlite:///{tmp_path}/a.db")

    async def ask() -> None:
        with pytest.raises(docstore.BackendError, match="fork"):
            await store.documents.count()

    assert 0 == in_child(lambda: asyncio.run(ask()))


def finished(child: int, seconds: float) -> int | None:
    """Return the exit code of a child; ``None``, and kill it, if it does not end within some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def forked(work: Callable[[], None]) -> int:
    """Fork, and run ``work`` in the child, whose exit code is 0 if that raised nothing; return the child."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    os._exit(1)


@pytest.mark.parametrize("kind", ["memory", "sqlite_url", "postgres_store_url"])
def test_a_fork_out_of_busy_threads(kind: str, request: pytest.FixtureRequest) -> None:
    """While three threads write, a fork takes no longer than their blocks; child and parent go on at once,
    and
    nothing is torn.
    """
    url = "memory://" if kind == "memory" else request.getfixturevalue(kind)
    with docstore.open(url) as store:
        over, done = threading.Event(), [0, 0, 0]

        def write(number: int) -> None:
            while not over.is_set():
                with store.transaction():
                    store.documents.add(filename="a")
                    store.documents.add(filename="b")
                store.documents.update_many({"filename": "a"}, preview=f"{number}")
                done[number] += 1

        def child() -> None:
            before = store.documents.count()
            store.documents.add(filename="child")
            assert before < store.documents.count()

        threads = [threading.Thread(target=write, args=(number,), daemon=True) for number in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(30 if SOAK else 4):
                time.sleep(0.02)
                begun = time.monotonic()
                born = forked(child)
                assert time.monotonic() - begun < LATE
                before = list(done)
                assert 0 == finished(born, LATE)
                end = time.monotonic() + LATE
                while any(map(int.__eq__, before, done)) and time.monotonic() < end:
                    time.sleep(0.005)
                assert not any(map(int.__eq__, before, done))
        finally:
            over.set()
            for thread in threads:
                thread.join(PATIENCE)
        assert store.documents.count({"filename": "a"}) == store.documents.count({"filename": "b"})
        assert store.check().ok


@pytest.mark.parametrize("kind", ["memory", "sqlite_url", "postgres_store_url"])
def test_a_fork_in_the_middle_of_a_long_block(kind: str, request: pytest.FixtureRequest) -> None:
    """Where another thread's transaction goes on, the fork waits a second; the child refuses by name, the
    parent
    works on.
    """
    url = "memory://" if kind == "memory" else request.getfixturevalue(kind)
    with docstore.open(url) as store:
        inside, over = threading.Event(), threading.Event()

        def hold() -> None:
            with store.transaction():
                store.documents.add(filename="held")
                inside.set()
                over.wait(2 * PATIENCE)

        def child() -> None:
            for ask in (store.documents.count, lambda: store.documents.add(filename="x")):
                with pytest.raises(docstore.BackendError, match="forked while another thread"):
                    ask()
            store.close()

        thread = threading.Thread(target=hold)
        thread.start()
        assert inside.wait(PATIENCE)
        begun = time.monotonic()
        born = forked(child)
        assert 0.9 < time.monotonic() - begun < 1 + LATE
        assert 0 == finished(born, LATE)
        over.set()
        thread.join()
        store.documents.add(filename="after")
        assert 2 == store.documents.count()


@pytest.mark.parametrize("kind", ["sqlite_url", "postgres_store_url"])
def test_a_child_leaves_its_parents_transaction_alone(kind: str, request: pytest.FixtureRequest) -> None:
    """A child that is forked within a block, leaves it and closes the store, sends nothing on the parent's
    connection.
    """
    with docstore.open(request.getfixturevalue(kind)) as store:
        block = store.transaction()
        block.__enter__()
        store.documents.add(filename="x")

        def child() -> None:
            with suppress(docstore.BackendError, KeyError):
                block.__exit__(KeyError, KeyError(), None)
            os._exit(0)

        assert 0 == finished(forked(child), PATIENCE)
        store.documents.add(filename="y")
        block.__exit__(None, None, None)
        assert 2 == store.documents.count()
