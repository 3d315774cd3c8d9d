"""Sources that are awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import docstore

Run = Callable[[Callable[[docstore.AsyncStore], Awaitable[Any]]], Any]


async def pieces(*given: Any) -> AsyncIterator[Any]:
    """Yield what is given, letting the loop run in between."""
    for piece in given:
        await asyncio.sleep(0)
        if isinstance(piece, Exception):
            raise piece
        yield piece


class Upload:
    """A file whose `read` is a coroutine, as web frameworks have them."""

    filename = "upload.txt"

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def read(self, size: int = -1) -> bytes:
        await asyncio.sleep(0)
        taken, self.body = self.body[:size], self.body[size:]
        return taken


def test_an_async_iterator_is_stored(run: Run) -> None:
    """The pieces of an async iterator become the document's bytes, empty pieces left out."""

    async def test(store: docstore.AsyncStore) -> None:
        document = await store.documents.add(pieces(b"on", b"", bytearray(b"e")), filename="a.txt")
        assert b"one" == await store.documents.read_bytes(document.id)
        assert 3 == document.size

    run(test)


def test_an_upload_is_stored_under_its_name(run: Run) -> None:
    """A file with a coroutine `read` is read to its end; its `filename` names the document."""

    async def test(store: docstore.AsyncStore) -> None:
        document = await store.documents.add(Upload(b"x" * 3_000_000))
        assert ("upload.txt", "text/plain", 3_000_000) == (
            document.filename,
            document.content_type,
            document.size,
        )
        replaced = await store.documents.update(document.id, source=pieces(b"new"))
        assert b"new" == await store.documents.read_bytes(replaced.id)

    run(test)


def test_what_a_source_raises_arrives_unchanged(run: Run) -> None:
    """An exception of an async source is the caller's again, and nothing is stored."""

    async def test(store: docstore.AsyncStore) -> None:
        with pytest.raises(ZeroDivisionError, match="mine"):
            await store.documents.add(pieces(b"x", ZeroDivisionError("mine")), filename="a")
        with pytest.raises(docstore.InvalidDocument, match="str, not bytes"):
            await store.documents.add(pieces(b"x", "text"), filename="a")
        assert 0 == await store.documents.count()

    run(test)


def test_sizes_and_digests_are_checked(run: Run) -> None:
    """A size or sha256 that an async source does not have stores nothing."""

    async def test(store: docstore.AsyncStore) -> None:
        with pytest.raises(docstore.SizeMismatch):
            await store.documents.add(pieces(b"xyz"), filename="a", size=2)
        with pytest.raises(docstore.ChecksumMismatch):
            await store.documents.add(pieces(b"xyz"), filename="a", sha256="0" * 64)
        assert 0 == await store.documents.count()

    run(test)


def test_a_slow_source_does_not_stop_the_loop(run: Run, turning: Any) -> None:
    """While a blocking source is read the loop goes on."""
    went_on: list[bool] = []

    async def test(store: docstore.AsyncStore) -> None:
        async with turning() as goes_on:

            class Slow:
                def read(self, amount: int) -> bytes:
                    went_on.append(goes_on())
                    return b"x" if len(went_on) <= 3 else b""

            document = await store.documents.add(Slow(), filename="a")
        assert 3 == document.size
        assert [True] * 4 == went_on

    run(test)
