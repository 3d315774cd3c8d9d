"""Stores and forks."""

from __future__ import annotations

import asyncio
import os
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import docstore


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


@pytest.mark.parametrize("kind", ["sqlite_url", "postgres_url"])
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
