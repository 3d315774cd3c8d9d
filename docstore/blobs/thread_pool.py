"""A pool of threads for one call, which ends with the call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from docstore.blobs.objects import Upload
from docstore.concurrency import Call, check, current, working_on

__all__ = [
    "ThreadPool",
    "at_once",
    "remove_batches",
]

S = TypeVar("S")
T = TypeVar("T")
_LOOK_SECONDS = 0.05
"""How often a call that may be given up looks whether it was, while its threads work."""


class ThreadPool:
    """Threads of the call under way. Leaving the block waits for them; on an error they are given up first:
    each ends at its next look at whether it is over.

    Args:
        most: how many there are at most, from 1.
    """

    def __init__(self, most: int) -> None:
        self._threads = ThreadPoolExecutor(most, "docstore-bytes")
        self._calls: list[Call] = []
        self._futures: list[Future[object]] = []

    def submit(self, work: Callable[[S], T], item: S) -> Future[T]:
        """Have a thread do something."""
        call = Call()
        self._calls.append(call)

        def run() -> T:
            with working_on(call):
                call.check()
                return work(item)

        future = self._threads.submit(run)
        self._futures.append(future)  # type: ignore[arg-type]
        return future

    def finish(self) -> None:
        """Wait for all that was submitted.

        Raises:
            Exception: the first failure, in the order of submitting; the others are given up.
            Cancelled, QueryTimeout: the call was over before.
        """
        pending: Sequence[Future[object]] = self._futures
        while pending:
            timeout = _LOOK_SECONDS if current().is_bounded else None
            done, left = wait(pending, timeout=timeout, return_when=FIRST_EXCEPTION)
            check()
            failed = [future for future in self._futures if future in done and future.exception()]
            if failed:
                failed[0].result()
            pending = list(left)

    def __enter__(self) -> ThreadPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is not None:
            for call in self._calls:
                call.cancel()
        self._threads.shutdown(wait=True, cancel_futures=kind is not None)


def at_once(work: Callable[[S], T], items: Iterable[S], workers: int) -> list[T]:
    """Return what ``work`` makes of each item, in order.

    Args:
        work: called with each item, in threads where there are several items and workers.
        items: of which it makes something.
        workers: how many items are under way at once.

    Raises:
        Exception: the first failure; what was not begun then is left out.
    """
    waiting = list(items)
    if workers == 1 or len(waiting) < 2:
        return [work(item) for item in waiting]
    with ThreadPool(min(workers, len(waiting))) as threads:
        futures = [threads.submit(work, item) for item in waiting]
        threads.finish()
        return [future.result() for future in futures]


_KEYS_A_BATCH = 300


def remove_batches(
    remove_many: Callable[[Sequence[str], Mapping[str, Sequence[Upload]]], dict[str, Exception]],
    keys: Sequence[str],
    uploads: Mapping[str, Sequence[Upload]],
    workers: int,
) -> dict[str, Exception]:
    """Remove objects some hundred at once; return what kept some from being removed, by key."""
    batches = [keys[at : at + _KEYS_A_BATCH] for at in range(0, len(keys), _KEYS_A_BATCH)]
    answers = at_once(lambda batch: remove_many(batch, uploads), batches, workers)
    return {key: error for answer in answers for key, error in answer.items()}
