"""How long a request waits: 99th percentiles of the blocking and the asynchronous store, the same page asked for side by side."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import docstore
from benchmarks.corpus import corpus, new_document
from benchmarks.workloads import seed_filter

__all__ = ["waiting"]

_DOCUMENTS, _REQUESTS, _AT_ONCE = 10_000, 400, 8


def waiting(url: str | None) -> Iterator[str]:
    """Ask for the second workload's page, eight at once, on SQLite and on ``url`` (a fresh database)."""
    with tempfile.TemporaryDirectory() as folder:
        for place in [f"sqlite:///{folder}/store.db", *([url] if url else [])]:
            with docstore.open(place) as store:
                store.documents.add_many(new_document(doc) for doc in corpus(_DOCUMENTS, 1))
                blocking = _blocking(store)
            asynchronous = asyncio.run(_asynchronous(place))
            yield (
                f"{place.partition(':')[0]}, {_AT_ONCE} requests at once, wall clock: blocking (threads) {_shown(blocking)}; "
                f"asynchronous {_shown(asynchronous)}; p99 ×{_p99(asynchronous) / _p99(blocking):.2f}"
            )


def _blocking(store: docstore.Store) -> list[float]:
    asked = seed_filter()

    def ask(_: int) -> float:
        begun = time.perf_counter()
        store.documents.find(asked, limit=10)
        return time.perf_counter() - begun

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(ask, range(_AT_ONCE)))
        return list(pool.map(ask, range(_REQUESTS)))


async def _asynchronous(url: str) -> list[float]:
    asked, turns = seed_filter(), asyncio.Semaphore(_AT_ONCE)
    async with docstore.open_async(url) as store:

        async def ask() -> float:
            async with turns:
                begun = time.perf_counter()
                await store.documents.find(asked, limit=10)
                return time.perf_counter() - begun

        await asyncio.gather(*(ask() for _ in range(_AT_ONCE)))
        return list(await asyncio.gather(*(ask() for _ in range(_REQUESTS))))


def _p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[98]


def _shown(times: list[float]) -> str:
    return f"p50 {statistics.median(times) * 1000:.2f} ms, p99 {_p99(times) * 1000:.2f} ms"
