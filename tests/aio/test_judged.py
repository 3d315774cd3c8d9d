"""How the asynchronous store is judged: each clause of what is promised about cancellation, fairness and the
end.

The small forms run with all tests; ``DOCSTORE_SOAK=1`` runs as many tasks as the promises name.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from contextvars import Context, ContextVar
from pathlib import Path
from typing import Any, cast

import anyio
import psycopg
import pytest

import docstore
from docstore.aio.calls import Hop, ThreadGroup
from tests.kit.forms import PATIENCE, SOAK

Run = Callable[[Callable[[docstore.AsyncStore], Awaitable[Any]]], Any]
SLOW = {"$and": [{"metadata.text": {"$not": {"$substring": f"zz{n}"}}} for n in range(400)]}
LATE = 0.3 if SOAK else 8.0
"""Seconds that a cancelled read may take to end: the promise, or half of what it would go on for."""


def ours() -> set[str]:
    """Return the names of the library's threads, the timer's aside."""
    names = {one.name for one in threading.enumerate() if one.name.startswith("docstore-")}
    return names - {"docstore-timer"}


@pytest.fixture
def threadless() -> Iterator[None]:
    """No thread of the store is left behind."""
    before = ours()
    yield
    end = time.monotonic() + PATIENCE
    while ours() - before and time.monotonic() < end:
        time.sleep(0.01)
    assert not ours() - before


async def fill(store: docstore.AsyncStore, number: int = 1500) -> None:
    """Add documents that the slow filter takes a quarter of a minute for, on a machine with nothing else."""
    text = "word and word " * 300
    await store.documents.add_many(
        [{"filename": f"{n}", "metadata": {"n": n, "text": f"{n} {text}"}} for n in range(number)]
    )


# -- cancellation ----------------------------------------------------------------------------------


class Work:
    """What tasks do, and what was acknowledged of it."""

    def __init__(self, store: docstore.AsyncStore) -> None:
        self.store = store
        self.added: set[str] = set()
        self.unknown: set[str] = set()

    async def do(self, number: int) -> None:
        """Read, add, add bytes, or add a pair in a transaction."""
        documents = self.store.documents
        match number % 4:
            case 0:
                await documents.find({"metadata.n": {"$gte": number}}, total=True)
            case 1:
                await self.acknowledged(documents.add(filename=f"one {number}"), f"one {number}")
            case 2:
                body = b"x" * 1000
                await self.acknowledged(documents.add(body, filename=f"bytes {number}"), f"bytes {number}")
            case _:
                await self.acknowledged(self.pair(number), f"pair {number} a", f"pair {number} b")

    async def pair(self, number: int) -> None:
        """Add two documents or none."""
        async with self.store.transaction():
            await self.store.documents.add(filename=f"pair {number} a")
            await self.store.documents.count()
            await self.store.documents.add(b"y", filename=f"pair {number} b")

    async def acknowledged(self, work: Awaitable[Any], *names: str) -> None:
        """Note what is done for sure; what was cancelled may have happened."""
        try:
            await work
        except asyncio.CancelledError:
            self.unknown.update(names)
            raise
        self.added.update(names)


async def names(store: docstore.AsyncStore) -> set[str]:
    """Return the names of all documents."""
    return {one.filename async for one in store.documents}


@pytest.mark.usefixtures("threadless")
def test_tasks_cancelled_at_random_leave_nothing(run: Run) -> None:
    """After the last CancelledError nothing changes; what was acknowledged is there, and pairs are whole."""

    async def test(store: docstore.AsyncStore) -> None:
        chance, work = random.Random(5), Work(store)
        for start in range(0, 1500 if SOAK else 120, 12):
            tasks = [asyncio.create_task(work.do(number)) for number in range(start, start + 12)]
            await asyncio.sleep(chance.random() * 0.02)
            for task in chance.sample(tasks, 9):
                task.cancel()
            for done in await asyncio.gather(*tasks, return_exceptions=True):
                assert done is None or isinstance(done, asyncio.CancelledError), done
        found = await names(store)
        await asyncio.sleep(0.1)
        assert found == await names(store)
        assert work.added <= found <= work.added | work.unknown
        assert {name[:-1] + "a" for name in found if name.startswith("pair")} <= found
        assert {name[:-1] + "b" for name in found if name.startswith("pair")} <= found
        await asyncio.wait_for(store.documents.add(filename="after"), PATIENCE)

    run(test)


@pytest.mark.usefixtures("threadless")
def test_connections_stay_within_the_bound(postgres_url: str) -> None:
    """However tasks are cancelled, there are never more connections than the pool's bound, and none after
    close(); with the garbage collector off.
    """

    async def main() -> None:
        chance, most, before = random.Random(7), 0, sockets()  # others may close meanwhile
        store = docstore.open_async(postgres_url, pool_size=3, max_overflow=2)
        work = Work(await store)
        for start in range(0, 3000 if SOAK else 240, 12):
            numbers = [number + (number % 4 == 2) for number in range(start, start + 12)]  # no bytes
            tasks = [asyncio.create_task(work.do(number)) for number in numbers]
            await asyncio.sleep(chance.random() * 0.01)
            most = max(most, len(sockets() - before))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            most = max(most, len(sockets() - before))
        assert 1 <= await store.documents.count() + 1
        assert 1 <= await asyncio.to_thread(connections_of, postgres_url)
        await store.close()
        assert 1 <= most <= 5
        assert not sockets() - before
        end = time.monotonic() + PATIENCE  # a server takes a moment to see that a client has gone
        while left := await asyncio.to_thread(connections_of, postgres_url):
            assert time.monotonic() < end, left

    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()


def sockets() -> set[int]:
    """Return the sockets that this process has open, by inode: connections, half-made ones too."""
    found = set()
    for name in os.listdir("/dev/fd"):
        with suppress(OSError):  # the listing's own is gone
            about = os.fstat(int(name))
            if stat.S_ISSOCK(about.st_mode):
                found.add(about.st_ino)
    return found


def connections_of(url: str) -> int:
    """Return how many other connections there are to a database."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        ).fetchone()
    assert found is not None
    return int(found[0])


def test_a_slow_read_that_is_cancelled_ends(run: Run) -> None:
    """A read in the middle of a long statement, or walk, ends soon after its cancellation; the next one
    works.
    """

    async def test(store: docstore.AsyncStore) -> None:
        await fill(store)
        asked = (store.documents.count(SLOW), store.documents.find(SLOW, total=True))
        for ask in (*asked, store.documents.delete_many(SLOW)):
            task = asyncio.create_task(ask)
            await asyncio.sleep(0.05)
            assert not task.done()
            begun = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert time.monotonic() - begun < LATE
            assert 1 == await store.documents.count({"metadata.n": 7})
        assert 1500 == await store.documents.count()

    run(test)


def test_a_cancelled_read_leaves_its_transaction_usable(run: Run) -> None:
    """Within a transaction the read alone ends; what was written stays, and what comes after is written."""

    async def test(store: docstore.AsyncStore) -> None:
        await fill(store)
        async with store.transaction():
            await store.documents.add(filename="before")
            task = asyncio.create_task(store.documents.count(SLOW))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await store.documents.add(filename="after")
        assert {"before", "after"} <= await names(store)

    run(test)


@pytest.mark.parametrize("url", ["sqlite-file", "postgres"], indirect=True)
def test_a_scope_of_anyio_does_not_spin(run: Run) -> None:
    """A call given up by `move_on_after` lets the loop rest while it ends."""

    async def test(store: docstore.AsyncStore) -> None:
        reading = threading.Event()

        class Source:
            def read(self, amount: int) -> bytes:
                reading.set()
                time.sleep(0.4)  # a source cannot be interrupted: the call ends when it returns
                return b""

        rounds, loop = 0, cast("Any", asyncio.get_running_loop())
        run_once = loop._run_once

        def counted() -> None:
            nonlocal rounds
            rounds += 1
            run_once()

        async def give_up(scope: anyio.CancelScope) -> None:
            while not reading.is_set():
                await asyncio.sleep(0.005)
            scope.cancel()
            loop._run_once = counted

        begun = time.monotonic()
        with anyio.CancelScope() as scope:
            giving_up = asyncio.create_task(give_up(scope), context=Context())
            await store.documents.add(Source(), filename="x")
        assert scope.cancelled_caught
        assert time.monotonic() - begun > 0.3
        assert 1 < rounds < 100  # a spinning loop makes thousands
        await giving_up
        assert 0 == await store.documents.count()

    run(test)


# -- fairness --------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["memory", "sqlite-file"], indirect=True)
def test_waiting_writers_hinder_nobody(run: Run) -> None:
    """While 40 tasks wait to write, the one that writes goes on, and a reader is answered at once."""

    async def test(store: docstore.AsyncStore) -> None:
        first = await store.documents.add(filename="first")
        async with store.transaction():
            await store.documents.add(filename="holder")
            context = Context()
            waiting = [
                asyncio.create_task(store.documents.add(filename=f"{number}"), context=context)
                for number in range(40)
            ]
            await asyncio.sleep(0.1)
            reading = asyncio.create_task(store.documents.get(first.id), context=context)
            assert "first" == (await asyncio.wait_for(reading, PATIENCE)).filename
            await asyncio.wait_for(store.documents.add(filename="again"), PATIENCE)
            assert not any(task.done() for task in waiting)
        await asyncio.gather(*waiting)
        assert 43 == await store.documents.count()

    run(test)


def test_slow_uploads_hinder_no_read(run: Run) -> None:
    """While 16 uploads and more stand still, a `get` and an `add` without bytes are answered."""

    async def test(store: docstore.AsyncStore) -> None:
        first = await store.documents.add(filename="first")
        over = asyncio.Event()

        async def stalling() -> AsyncIterator[bytes]:
            yield b"x"
            await over.wait()

        uploads = [asyncio.create_task(store.documents.add(stalling(), filename="slow")) for _ in range(20)]
        await asyncio.sleep(0.2)
        assert first == await asyncio.wait_for(store.documents.get(first.id), PATIENCE)
        await asyncio.wait_for(store.documents.add(filename="quick"), PATIENCE)
        over.set()
        await asyncio.gather(*uploads)
        assert 22 == await store.documents.count()

    run(test)


def test_calls_are_taken_in_turn(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 64 tasks that ask again and again each call goes to a thread in the order in which they came."""
    asked: list[Hop[Any]] = []
    begun: list[Hop[Any]] = []
    submit, begin = ThreadGroup.submit, Hop.begin

    def submitted(self: ThreadGroup, errand: Any, *, first: bool = False) -> bool:
        asked.append(errand)
        return submit(self, errand, first=first)

    def taken(self: Hop[Any]) -> bool:
        begun.append(self)
        return begin(self)

    async def test(store: docstore.AsyncStore) -> None:
        await fill(store, 50)
        monkeypatch.setattr(ThreadGroup, "submit", submitted)
        monkeypatch.setattr(Hop, "begin", taken)

        async def ask() -> None:
            for number in range(4):
                await store.documents.find({"metadata.n": number}, limit=1)

        await asyncio.gather(*(ask() for _ in range(64)))
        monkeypatch.undo()
        assert 256 == len(asked)
        assert [id(one) for one in asked] == [id(one) for one in begun]

    run(test)


if SOAK:  # times mean something on a quiet machine only

    def test_many_at_once_are_served_alike(run: Run, ticking: Any) -> None:
        """Of 64 tasks at once the slowest wait no longer than thrice the median, and the loop goes on
        meanwhile.
        """

        async def test(store: docstore.AsyncStore) -> None:
            await fill(store, 500)
            await store.documents.find({"metadata.n": 1}, limit=10)  # reads the index for the first time
            took: list[float] = []

            async def ask() -> None:
                for number in range(30):
                    begun = time.perf_counter()
                    await store.documents.find({"metadata.n": number}, limit=10)
                    took.append(time.perf_counter() - begun)

            async with ticking() as longest:
                await asyncio.gather(*(ask() for _ in range(64)))
            took.sort()
            p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
            print(
                f"p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms, the loop {longest(0.99) * 1e3:.1f} ms late"
            )
            assert p99 <= 3 * p50
            assert longest(0.99) <= 0.08

        run(test)


def test_heartbeats_go_before_others(run: Run) -> None:
    """A heartbeat overtakes the writers that wait for a thread."""

    async def test(store: docstore.AsyncStore) -> None:
        await store.documents.add(filename="claimed")
        [claim] = await store.documents.claim()
        done: list[str] = []

        async def note(work: Awaitable[Any], name: str) -> None:
            await work
            done.append(name)

        tasks = [asyncio.create_task(note(store.documents.add(filename=f"{n}"), "write")) for n in range(200)]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(note(claim.heartbeat(600), "beat")))
        await asyncio.gather(*tasks)
        assert done.index("beat") < 150

    run(test)


# -- contexts, loops, the end ----------------------------------------------------------------------

REQUEST: ContextVar[str] = ContextVar("request")


def test_a_call_has_its_callers_context(run: Run) -> None:
    """Callbacks and sources see the context variables of the task that called, in its transaction, too."""

    async def test(store: docstore.AsyncStore) -> None:
        async def add(name: str) -> list[str]:
            REQUEST.set(name)
            seen = []

            class Source:
                def __init__(self) -> None:
                    self.left = [b"x", b""]

                def read(self, amount: int) -> bytes:
                    seen.append(REQUEST.get())
                    return self.left.pop(0)

            await store.documents.add(Source(), filename=name)
            return seen

        async with store.transaction():
            found = await asyncio.gather(add("one"), add("two"))
        assert [{"one"}, {"two"}] == [set(seen) for seen in found]

    run(test)


def test_a_transaction_may_be_left_in_another_context(run: Run) -> None:
    """As asynchronous fixtures do: entered by one task, left by another, it commits."""

    async def test(store: docstore.AsyncStore) -> None:
        block = store.transaction()

        async def enter() -> None:
            await block.__aenter__()
            await store.documents.add(filename="x")

        async def leave() -> None:
            await block.__aexit__(None, None, None)

        await asyncio.create_task(enter())
        await asyncio.create_task(leave())
        assert {"x"} == await names(store)
        await asyncio.wait_for(store.documents.add(filename="y"), PATIENCE)

    run(test)


@pytest.mark.usefixtures("threadless")
def test_closing_ends_what_runs(run: Run) -> None:
    """close() interrupts running calls, rolls an open transaction back, and refuses what comes after."""

    async def test(store: docstore.AsyncStore) -> None:
        await fill(store)
        inside = asyncio.Event()

        async def hold() -> None:
            async with store.transaction():
                await store.documents.add(filename="never")
                inside.set()
                await asyncio.sleep(600)

        # In this order: a database in SQLite's memory has one connection, and no count ends before the close.
        holding = asyncio.create_task(hold())
        await asyncio.wait_for(inside.wait(), PATIENCE)
        running = [asyncio.create_task(store.documents.count(SLOW)) for _ in range(10)]
        await asyncio.sleep(0.05)
        begun = time.monotonic()
        await store.close()
        assert time.monotonic() - begun < LATE
        done = await asyncio.gather(*running, return_exceptions=True)
        assert all(isinstance(one, docstore.StoreClosed) for one in done), done
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)
        with pytest.raises(docstore.StoreClosed):
            await store.documents.count()

    run(test)


@pytest.mark.usefixtures("threadless")
def test_a_loop_that_ends_with_calls_in_flight(url: str, tmp_path: Path) -> None:
    """`asyncio.run` cancels what is in flight; the store goes on in the next loop, whole."""
    store = docstore.open_async(url, blobs=tmp_path / "files")

    async def first() -> None:
        await store
        work = Work(store)
        for number in range(24):
            asyncio.ensure_future(work.do(number))  # noqa: RUF006 - left in flight
        await asyncio.sleep(0.02)

    async def second() -> None:
        found = await names(store)
        assert {name[:-1] + "a" for name in found if name.startswith("pair")} <= found
        await asyncio.wait_for(store.documents.add(filename="after"), PATIENCE)
        await store.close()

    asyncio.run(first())
    asyncio.run(second())


PROGRAM = """
import asyncio, sys, docstore

async def main():
    store = await docstore.open_async({url!r})
    await store.documents.add(filename="kept")
    text = "word and word " * 3000
    await store.documents.add_many([{{"metadata": {{"text": text + str(n)}}}} for n in range(500)])
    slow = {{"$and": [{{"metadata.text": {{"$not": {{"$substring": f"zz{{n}}"}}}}}} for n in range(400)]}}
    task = asyncio.ensure_future(store.documents.count(slow))
    block = store.transaction()
    await block.__aenter__()
    await store.documents.add(filename="never")
    print("ready", flush=True)
    {end}

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("end", ["pass", "await asyncio.sleep(600)"])
def test_a_store_that_is_never_closed(sqlite_url: str, end: str) -> None:
    """A process that ends, or is interrupted by Ctrl-C, with calls under way and a transaction open exits at
    once,
    and leaves the store whole.
    """
    program = PROGRAM.format(url=sqlite_url, end=end)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
        begun = time.monotonic()
        if end != "pass":
            process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert 0 == process.wait(PATIENCE)
        assert time.monotonic() - begun < PATIENCE / 2
    assert ("interrupted\n" if end != "pass" else "") == rest
    with docstore.open(sqlite_url) as store:
        assert (501, 0) == (store.documents.count(), store.documents.count({"filename": "never"}))
        assert store.check().ok
