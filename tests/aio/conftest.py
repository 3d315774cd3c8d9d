"""What the tests of the asynchronous shell share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import docstore
from tests.kit.forms import PATIENCE

Test: TypeAlias = Callable[[docstore.AsyncStore], Awaitable[Any]]
Run: TypeAlias = Callable[[Test], Any]


@pytest.fixture
def run(url: str, tmp_path: Path) -> Run:
    """Run a coroutine function with an open store, on every backend, within five minutes."""

    async def opened(test: Test) -> Any:
        async with asyncio.timeout(300), docstore.open_async(url, blobs=tmp_path / "files") as store:
            return await test(store)

    return lambda test: asyncio.run(opened(test))


@pytest.fixture
def turning() -> Callable[[], AbstractAsyncContextManager[Callable[[], bool]]]:
    """Watch the loop for a block; the function it yields waits, in another thread, until the loop has gone
    round twice, and returns whether it has.
    """
    return _turning


@asynccontextmanager
async def _turning() -> AsyncIterator[Callable[[], bool]]:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    def goes_on() -> bool:
        before, end = turns, time.monotonic() + PATIENCE
        while turns < before + 2 and time.monotonic() < end:
            time.sleep(0.001)
        return turns >= before + 2

    task = asyncio.create_task(turn())
    try:
        yield goes_on
    finally:
        task.cancel()


@pytest.fixture
def ticking() -> Callable[[], AbstractAsyncContextManager[Callable[..., float]]]:
    """Watch the loop for a block; the function it yields returns the longest time that nothing else ran."""
    return _ticking


@asynccontextmanager
async def _ticking(seconds: float = 0.005) -> AsyncIterator[Callable[..., float]]:
    """Watch the loop: the function yielded returns the longest time, in seconds, that it let nothing else
    run, or that which a ``share`` of all were no longer than.
    """
    late: list[float] = [0.0]

    async def tick() -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(seconds)
            late.append(loop.time() - before - seconds)

    def longest(share: float = 1.0) -> float:
        return sorted(late)[min(int(len(late) * share), len(late) - 1)]

    task = asyncio.create_task(tick())
    await asyncio.sleep(0)
    try:
        yield longest
    finally:
        task.cancel()
