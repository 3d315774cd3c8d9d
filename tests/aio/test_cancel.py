"""Cancellation: nothing is left behind, wherever it strikes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import Context
from pathlib import Path
from threading import Event
from typing import Any

import pytest

import docstore
from docstore.crash_points import hooked
from tests.kit.forms import PATIENCE, SOAK

Run = Callable[[Callable[[docstore.AsyncStore], Awaitable[Any]]], Any]

STEPS = ("P0", "P2", "P3.1", "P3.2", "P3.3", "P3.4", "P3.5", "P4.1")


def idle(store: docstore.AsyncStore) -> bool:
    """Whether no connection of the store's pool is in use."""
    root = store._shell._context
    assert root is not None
    engine = getattr(root.backend, "engine", None)
    if engine is None or not hasattr(engine.pool, "checkedout"):
        return True
    at_hand = getattr(root.backend, "_idle", None)
    waiting = 0 if at_hand is None else len(at_hand._waiting)
    return bool(engine.pool.checkedout() == waiting)


def files(folder: Path) -> list[Path]:
    """Return the files below a folder, temporary ones included."""
    return [path for path in folder.rglob("[!.]*") if path.is_file()] if folder.exists() else []


async def accounted(store: docstore.AsyncStore, folder: Path, *, live: int) -> bool:
    """Whether so many blobs are live and have a file, and each other file is dead, for the collector to
    take.
    """
    root = await store._shell.root()

    def rows() -> dict[str, str]:
        with root.backend.read() as reader:
            return {blob.key: blob.state for blob in reader.blobs()}

    states = await store._shell.run("read", rows)
    kept = {str(path.relative_to(folder)) for path in files(folder)}
    known = {key for key, state in states.items() if state in ("live", "dead")}
    living = {key for key, state in states.items() if state == "live"}
    return live == len(living) and living <= kept <= known


async def cancelled(task: asyncio.Task[Any]) -> bool:
    """Wait for a task; return whether it ended cancelled."""
    await asyncio.wait((task,))
    return task.cancelled()


@pytest.mark.parametrize("after", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55] if SOAK else [0, 2, 5, 13, 34])
def test_a_cancelled_add_is_whole_or_absent(run: Run, tmp_path: Path, after: int) -> None:
    """Cancelled after so many rounds of the loop, an add has left nothing visible, no byte and no
    connection.
    """

    async def test(store: docstore.AsyncStore) -> None:
        await store
        task = asyncio.create_task(store.documents.add(b"x" * 100_000, filename="x"))
        for _ in range(after):
            await asyncio.sleep(0)
        task.cancel()
        gone = await cancelled(task)
        found = await store.documents.find()
        assert gone or len(found) == 1
        for document in found:
            assert 100_000 == len(await store.documents.read_bytes(document.id))
        assert await accounted(store, tmp_path / "files", live=len(found))
        assert idle(store)
        await store.documents.add(b"y", filename="y")

    run(test)


@pytest.mark.parametrize("step", STEPS)
def test_a_cancellation_at_each_step(run: Run, tmp_path: Path, step: str) -> None:
    """Cancelled at a step of the put protocol, an add leaves no document, no file and no lock."""

    async def test(store: docstore.AsyncStore) -> None:
        await store
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(store.documents.add(b"x" * 3_000_000, filename="x"))

        def cancel_at(reached: str) -> None:
            if reached == step:
                loop.call_soon_threadsafe(task.cancel)
                Event().wait(0.05 if step.startswith("P3") else 0)

        with hooked(cancel_at):
            gone = await cancelled(task)
        count = await store.documents.count()
        assert (gone, count) in ((True, 0), (True, 1), (False, 1))
        assert await accounted(store, tmp_path / "files", live=count)
        assert idle(store)
        await asyncio.wait_for(store.documents.add(b"y", filename="y"), PATIENCE)

    run(test)


def test_a_cancellation_that_is_repeated(run: Run) -> None:
    """Cancelled over and over, as some frameworks do, a transaction is still rolled back and its lock
    released.
    """

    async def test(store: docstore.AsyncStore) -> None:
        inside = asyncio.Event()

        async def work() -> None:
            async with store.transaction():
                await store.documents.add(filename="x")
                inside.set()
                await asyncio.sleep(600)

        task = asyncio.create_task(work())
        await inside.wait()
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
        assert task.cancelled()
        assert idle(store)
        assert 0 == await store.documents.count()
        await asyncio.wait_for(store.documents.add(filename="y"), PATIENCE)

    run(test)


def test_a_cancelled_source(run: Run, tmp_path: Path) -> None:
    """An add whose source stalls ends at once when it is cancelled, and leaves no byte."""

    async def test(store: docstore.AsyncStore) -> None:
        stalled = asyncio.Event()

        async def source() -> AsyncIterator[bytes]:
            yield b"x" * 10
            stalled.set()
            await asyncio.sleep(600)
            yield b"never"

        task = asyncio.create_task(store.documents.add(source(), filename="x"))
        await stalled.wait()
        task.cancel()
        async with asyncio.timeout(PATIENCE):
            assert await cancelled(task)
        assert 0 == await store.documents.count()
        assert [] == files(tmp_path / "files")
        assert idle(store)

    run(test)


def test_a_writer_cancelled_in_line_passes_its_turn(run: Run) -> None:
    """A writer that is cancelled while it waits for its turn holds nobody up."""

    async def test(store: docstore.AsyncStore) -> None:
        async with store.transaction():
            await store.documents.add(filename="holder")
            context = Context()
            waiting = [
                asyncio.create_task(store.documents.add(filename=f"{number}"), context=context)
                for number in range(6)
            ]
            await asyncio.sleep(0.1)
            for task in waiting[::2]:
                task.cancel()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        kept = sum(isinstance(one, docstore.Document) for one in done)
        assert kept >= 3
        assert kept + 1 <= await store.documents.count() <= 7
        assert idle(store)

    run(test)


def test_many_finds_cancelled_at_random(run: Run) -> None:
    """Of a hundred finds half are cancelled; the pool is whole afterwards and the other half answered."""

    async def test(store: docstore.AsyncStore) -> None:
        await store.documents.add(filename="x")
        tasks = [asyncio.create_task(store.documents.find()) for _ in range(100)]
        for number, task in enumerate(tasks):
            if number % 2:
                task.cancel()
            if number % 7 == 0:
                await asyncio.sleep(0.001)
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(len(page) == 1 for page in done[::2])  # type: ignore[arg-type]
        assert idle(store)

    run(test)


def test_nothing_is_lost_wherever_a_find_is_cancelled(run: Run) -> None:
    """A find cancelled after any number of rounds of the loop loses neither its connection nor any data."""

    async def test(store: docstore.AsyncStore) -> None:
        await store.documents.add(filename="x")
        for rounds in range(60):
            task = asyncio.create_task(store.documents.find({"metadata.n": None}, total=True))
            for _ in range(rounds):
                await asyncio.sleep(0.0002 if rounds % 2 else 0)
            task.cancel()
            await cancelled(task)
            assert 1 == await store.documents.count()
        assert idle(store)

    run(test)


def test_a_long_query_is_interrupted(tmp_path: Path) -> None:
    """A query of SQLite that takes a quarter of a minute ends soon after its task was cancelled."""

    async def main() -> None:
        async with docstore.open_async(f"sqlite:///{tmp_path}/a.db") as store:
            await store.documents.add_many(
                {"filename": f"{number}", "metadata": {"text": f"{number} " + "a" * 4000}}
                for number in range(1500)
            )
            slow = {"$nor": [{"metadata.text": {"$substring": f"zz{n}"}} for n in range(400)]}
            begun = asyncio.get_running_loop().time()
            task = asyncio.create_task(store.documents.count(slow))
            await asyncio.sleep(0.02)
            task.cancel()
            assert await cancelled(task)
            assert asyncio.get_running_loop().time() - begun < 8
            assert 1500 == await store.documents.count()

    asyncio.run(main())


def test_a_timeout_frees_what_was_opened(run: Run) -> None:
    """A transaction entered under a timeout that has run out does not stay open."""

    async def test(store: docstore.AsyncStore) -> None:
        await store
        for milliseconds in (0.0, 0.1, 0.5, 1, 2, 4):
            try:
                async with asyncio.timeout(milliseconds / 1000), store.transaction():
                    await store.documents.add(filename="x")
                    await asyncio.sleep(1)
            except TimeoutError:
                pass
        assert idle(store)
        assert 0 == await store.documents.count()
        await asyncio.wait_for(store.documents.add(filename="y"), PATIENCE)

    run(test)
