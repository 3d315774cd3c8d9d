"""Removing many objects: by requests that take many at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from docstore.blobs.objects import Upload
from docstore.blobs.thread_pool import at_once

__all__ = ["remove_batches"]

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
