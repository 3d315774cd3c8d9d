"""Memory backend: the state, its writers' turns, and how a change becomes visible.

A writer's changes lie over the state until its block ends. Then, in one step that no reader sees in
between, open snapshots keep the records that they saw, and the state takes the changes. Readers never wait
for a writer's block.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from uuid import uuid4

from docstore.backend import EXACT, Capabilities, Query, Reader, SortKey, TermSupport, Writer
from docstore.concurrency import FairLock, Gate
from docstore.query.expr import Leaf
from docstore.query.fields import Collection
from docstore_memory.index import MemoryPrepared, prepared
from docstore_memory.mvcc import MemoryState, Overlay, StateView
from docstore_memory.session import MemoryReader, MemoryWriter, Sequences

__all__ = ["MemoryBackend", "open_backend"]


class MemoryBackend:
    """A backend whose rows live and die with this object. Every thread of the process may use it.

    Args:
        busy_timeout: seconds that a writer waits for the one before it, at least 0.
        pool_timeout: seconds that a call of an AsyncStore waits for a thread.
        search_marks: whether a search keeps marks.
    """

    name = "memory"

    def __init__(
        self, *, busy_timeout: float = 10.0, pool_timeout: float = 10.0, search_marks: bool = False
    ) -> None:
        self.capabilities = Capabilities(pool_timeout=pool_timeout)
        self._busy_timeout = busy_timeout
        self._state = MemoryState()
        self._counters = Sequences(settings={"store_id": uuid4().hex}, search_marks=search_marks)
        self._declared: dict[str, list[tuple[SortKey, ...]]] = {}
        self._snapshots: dict[int, Overlay] = {}
        self._mutex = Lock()
        self._turn = FairLock()
        self._gate = Gate()

    def support(self, collection: Collection, leaf: Leaf) -> TermSupport:
        """Call every leaf exact: the evaluator runs them all."""
        return EXACT

    def prepare(self, query: Query) -> MemoryPrepared:
        """Return the terms of a query, which do not depend on its window."""
        return prepared(query)

    def sorts(self, collection: Collection, key: SortKey) -> TermSupport:
        """Call every sort key exact."""
        return EXACT

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Reader]:
        """Open a block for reading; ``snapshot=True`` where several reads must see one state."""
        with self._gate:
            yield from self._reading(snapshot)

    def _reading(self, snapshot: bool) -> Iterator[Reader]:
        if not snapshot:
            yield MemoryReader(StateView(self._state), self._mutex, self._counters)
            return
        kept = Overlay()
        with self._mutex:
            self._snapshots[id(kept)] = kept
        try:
            yield MemoryReader(StateView(self._state, kept), self._mutex, self._counters)
        finally:
            with self._mutex:
                del self._snapshots[id(kept)]

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """Open a block for writing, committed when it ends without an exception.

        Raises:
            StoreBusy: another block went on for longer than ``busy_timeout``.
        """
        self._gate.check()
        with self._turn.held(self._busy_timeout), self._gate:
            changes = Overlay()
            yield MemoryWriter(StateView(self._state, changes), self._mutex, self._counters)
            self._commit(changes)

    def close(self) -> None:
        """Forget everything."""
        if self._gate.is_torn:  # nobody is there who would let go of the lock
            return
        with self._mutex:
            self._state = MemoryState()

    # -- indexes -----------------------------------------------------------------------------------

    def create_index(self, collection: Collection, keys: Sequence[SortKey]) -> bool:
        """Note a declared index; return whether it is new. In memory every path is indexed anyway, and
        this changes nothing.
        """
        known = self._declared.setdefault(collection.name, [])
        if tuple(keys) in known:
            return False
        known.append(tuple(keys))
        return True

    def drop_index(self, collection: Collection, keys: Sequence[SortKey]) -> bool:
        """Forget a declared index; return whether it was there."""
        known = self._declared.get(collection.name, [])
        if tuple(keys) not in known:
            return False
        known.remove(tuple(keys))
        return True

    def indexes(self, collection: Collection) -> list[tuple[SortKey, ...]]:
        """Return the keys of each declared index."""
        return list(self._declared.get(collection.name, ()))

    def seen_orders(self, collection: Collection) -> dict[tuple[SortKey, ...], tuple[int, float]]:
        """Return no order: none would be faster for an index being declared."""
        return {}

    def _commit(self, changes: Overlay) -> None:
        with self._mutex:
            for kept in self._snapshots.values():
                kept.keep(self._state, changes)
            changes.apply(self._state)


def open_backend(
    url: str = "memory://",
    *,
    busy_timeout: float = 10.0,
    pool_timeout: float = 10.0,
    search_marks: bool = False,
) -> MemoryBackend:
    """Return a fresh, empty store in memory: the entry point of the scheme ``memory``.

    Args:
        url: ``memory://``; nothing may follow, no two stores share their rows.
        busy_timeout: seconds that a writer waits for the one before it.
        pool_timeout: seconds that a call of an AsyncStore waits for a thread.
        search_marks: whether a search keeps marks; either is answered by the same index.

    Raises:
        ValueError: the URL names something.
    """
    if url.removeprefix("memory:").strip("/"):
        raise ValueError(f"{url!r}: a store in memory has no name; write memory://")
    return MemoryBackend(
        busy_timeout=busy_timeout, pool_timeout=pool_timeout, search_marks=search_marks
    )
