"""Many requests to a storage: by batches where it takes many at once, and several under way at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from docstore.blobs.objects import Upload

__all__ = ["at_once", "remove_batches"]

S = TypeVar("S")
T = TypeVar("T")
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


def at_once(work: Callable[[S], T], items: Iterable[S], workers: int) -> list[T]:
    """Return what ``work`` makes of each item, in order; several are under way at once. The first failure
    ends it, when what is under way has ended.
    """
    waiting = list(items)
    if workers == 1 or len(waiting) < 2:
        return [work(item) for item in waiting]
    with ThreadPoolExecutor(min(workers, len(waiting)), "docstore-bytes") as threads:
        futures = [threads.submit(work, item) for item in waiting]
        try:
            return [future.result() for future in futures]
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
