"""Many machines that put documents into one store: a part a task, with Dask or Ray.

A part may be tried again, as both do when a worker dies: the ids of its documents follow from the run, the
part and the row, so that what is there already is not added twice. Each worker opens the store once.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import cache
from typing import Any

import docstore

__all__ = ["add_part", "with_dask", "with_ray"]


@cache
def opened(url: str) -> docstore.Store:
    """Return this process' store: one for all of its tasks, of few connections."""
    options = {"pool_size": 2, "max_overflow": 2} if url.startswith("postgresql") else {}
    return docstore.open(url, **options)


def add_part(url: str, run: str, part: int, rows: Sequence[dict[str, Any]]) -> int:
    """Add the documents of a part; return how many of them were not there yet."""
    named = [{**row, "id": str(uuid.uuid5(uuid.UUID(run), f"{part}/{at}"))} for at, row in enumerate(rows)]
    return opened(url).documents.add_many(named).added


def with_dask(client: Any, url: str, run: str, parts: Sequence[Sequence[dict[str, Any]]]) -> int:
    """Add parts by a Dask client's workers; return how many documents were added."""
    count = len(parts)
    tasks = client.map(add_part, [url] * count, [run] * count, range(count), parts, pure=False, retries=3)
    return sum(client.gather(tasks))


def with_ray(url: str, run: str, parts: Sequence[Sequence[dict[str, Any]]]) -> int:
    """Add parts by Ray's workers; return how many documents were added."""
    import ray

    task = ray.remote(max_retries=3, retry_exceptions=True)(add_part)
    return sum(ray.get([task.remote(url, run, part, rows) for part, rows in enumerate(parts)]))
