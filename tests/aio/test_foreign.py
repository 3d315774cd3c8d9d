"""A backend that knows nothing of event loops, in the asynchronous store: its calls run in threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from docstore_sqlite import SQLiteBackend
from docstore_sqlite import open_backend as open_sqlite

import docstore
from docstore.backend import Backend, Reader, Writer


class Slow:
    """A third party's backend: blocking, slow, and each block of it bound to one thread."""

    name = "slow"

    def __init__(self, below: SQLiteBackend) -> None:
        self._below = below
        self.support, self.sorts = below.support, below.sorts
        self.threads: set[int] = set()
        self.blocks: list[tuple[int, int]] = []
        self.before: Callable[[], object] = lambda: time.sleep(0.02)

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Reader]:
        """Open a block for reading, slowly."""
        self.threads.add(threading.get_ident())
        self.before()
        with self._below.read(snapshot=snapshot) as reader:
            yield reader

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """Open a block for writing; it notes the threads that it begins and ends in."""
        begun = threading.get_ident()
        self.threads.add(begun)
        try:
            with self._below.write() as writer:
                yield writer
        finally:
            self.blocks.append((begun, threading.get_ident()))

    def close(self) -> None:
        """Close what is below."""
        self._below.close()


@pytest.fixture
def backend(tmp_path: Path) -> Slow:
    """A slow backend over an SQLite file."""
    made = Slow(open_sqlite(f"sqlite:///{tmp_path}/slow.db"))
    assert isinstance(made, Backend)
    return made


def test_its_calls_run_in_threads(
    backend: Slow, tmp_path: Path, turning: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything works, no call runs on the loop's thread, and the loop goes on meanwhile."""
    went_on: list[bool] = []

    async def main() -> None:
        async with docstore.open_async(backend, blobs=tmp_path / "files") as store:
            document = await store.documents.add(b"bytes", filename="x")
            async with turning() as goes_on:
                monkeypatch.setattr(backend, "before", lambda: went_on.append(goes_on()))
                pages = await asyncio.gather(*(store.documents.find() for _ in range(10)))
                monkeypatch.undo()
            assert len(went_on) >= 10
            assert all(went_on)
            assert [[document]] * 10 == [page.items for page in pages]
            assert b"bytes" == await store.documents.read_bytes(document.id)
            assert threading.get_ident() not in backend.threads

    asyncio.run(main())


def test_a_transaction_stays_in_one_thread(backend: Slow) -> None:
    """A block of it begins and ends in one thread, and is kept or undone as a whole."""

    async def main() -> None:
        async with docstore.open_async(backend) as store:
            async with store.transaction():
                await store.documents.add(filename="1")
                await store.documents.add(filename="2")
                assert 2 == await store.documents.count()
            with pytest.raises(KeyError):  # noqa: PT012
                async with store.transaction():
                    await store.documents.add(filename="3")
                    raise KeyError
            assert 2 == await store.documents.count()
        assert backend.blocks
        assert all(begun == ended for begun, ended in backend.blocks)

    asyncio.run(main())
