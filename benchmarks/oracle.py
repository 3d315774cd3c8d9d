"""The right answers, by plain Python over the documents one after another: newest ten and how many, for every workload."""

from __future__ import annotations

import heapq
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.corpus import corpus
from benchmarks.workloads import Workload

__all__ = ["PAGE", "Truth", "depth_of", "truths"]

PAGE = 10


@dataclass(frozen=True, slots=True)
class Truth:
    """What a workload's answer is.

    Attributes:
        count: how many documents match.
        newest: filenames of the first page.
        deep: filenames of the page at :func:`depth_of`.
        depth: how deep that is.
    """

    count: int
    newest: list[str]
    deep: list[str]
    depth: int


def depth_of(size: int) -> int:
    """Return how many documents lie before the deep page: 10,000 of a million, a hundredth of fewer."""
    return size // 100


def truths(works: Sequence[Workload], size: int, seed: int, folder: Path) -> dict[str, Truth]:
    """Return the answers, remembered in a file of ``folder`` because the documents never change."""
    kept = folder / f"truths-{size}-{seed}.json"
    known = (
        {name: Truth(**found) for name, found in json.loads(kept.read_text()).items()}
        if kept.exists()
        else {}
    )
    missing = [work for work in works if work.name not in known]
    if missing:
        known |= _computed(missing, size, seed)
        kept.write_text(json.dumps({name: asdict(truth) for name, truth in known.items()}))
    return known


def _computed(works: Sequence[Workload], size: int, seed: int) -> dict[str, Truth]:
    found: dict[str, list[tuple[int, int, str]]] = {work.name: [] for work in works}
    counts = dict.fromkeys(found, 0)
    tests = [(work.test, work.name, found[work.name]) for work in works]
    depth = depth_of(size) + PAGE
    for doc in corpus(size, seed):
        for test, name, heap in tests:
            if test(doc):
                counts[name] += 1
                entry = (doc.created, doc.at, doc.filename)
                if len(heap) < depth:
                    heapq.heappush(heap, entry)
                elif entry > heap[0]:
                    heapq.heapreplace(heap, entry)
    return {name: _truth(counts[name], heap, depth_of(size)) for name, heap in found.items()}


def _truth(count: int, heap: list[tuple[int, int, str]], depth: int) -> Truth:
    names = [filename for _, _, filename in sorted(heap, reverse=True)]
    return Truth(count, names[:PAGE], names[depth : depth + PAGE], depth)
