"""A workload as a call on a store of docstore."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import docstore
from benchmarks.oracle import PAGE, Truth
from benchmarks.workloads import Workload

__all__ = ["ask", "expected", "is_right"]


def ask(work: Workload, store: docstore.Store, truth: Truth) -> Callable[[], Any]:
    """Return the call; what it needs beforehand, a cursor or an id, is fetched now."""
    documents = store.documents
    words = {"search": work.search} if work.search else {}

    def page(**window: Any) -> Any:
        return documents.find(work.filter, limit=PAGE, **words, **window)

    match work.kind:
        case "page":
            return lambda: page().items
        case "total":
            return lambda: page(total=True)
        case "count":
            return lambda: documents.count(work.filter, **words)
        case "offset":
            return lambda: page(offset=truth.depth).items
        case "cursor":
            cursor = page(offset=truth.depth - PAGE).next_cursor
            return lambda: page(cursor=cursor).items
        case "get":
            id = documents.find({"number": 4242}, limit=1).items[0].id
            return lambda: documents.get(id)


def expected(work: Workload, truth: Truth) -> Any:
    """Return what the answer has to be, in the form of :func:`is_right`."""
    match work.kind:
        case "page":
            return truth.newest
        case "total":
            return (truth.newest, truth.count)
        case "count":
            return truth.count
        case "offset" | "cursor":
            return truth.deep
        case "get":
            return "-0004241."


def is_right(work: Workload, answer: Any, truth: Truth) -> bool:
    """Say whether an answer, of docstore or made by hand, is the oracle's."""
    wanted = expected(work, truth)
    if work.kind == "get":
        return wanted in getattr(answer, "filename", answer)
    if work.kind == "total" and not isinstance(answer, tuple):
        answer = (_names(answer.items), answer.total)
    return bool((_names(answer) if isinstance(answer, list) else answer) == wanted)


def _names(items: list[Any]) -> list[str]:
    return [getattr(item, "filename", item) for item in items]
