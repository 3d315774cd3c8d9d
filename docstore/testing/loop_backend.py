"""LoopBackend: a backend of the asynchronous shell behind the blocking seam, so that one suite tests both
shells.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Collection as Container
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from threading import Thread
from typing import Any, ParamSpec, TypeVar

from docstore.aio.bridge import LoopWaits, drive
from docstore.backend import (
    ANYWHERE,
    Backend,
    BlobRow,
    BlobState,
    CountsBy,
    Explains,
    Judgement,
    KeepsClock,
    Nests,
    Query,
    Reader,
    Row,
    Scope,
    SortKey,
    Statement,
    Translates,
    Writer,
)
from docstore.query.expr import Leaf, Path
from docstore.query.fields import Collection
from docstore.registry import open_backend

__all__ = ["LoopBackend"]

P = ParamSpec("P")
T = TypeVar("T")


class LoopBackend:
    """A backend as ``docstore.open_async`` has it, on an event loop of its own, called from anywhere.

    Every call of the seam is a coroutine on that loop, run by the same bridge as the calls of an
    ``AsyncStore``.

    Args:
        url: as for :func:`docstore.open_async`.
        options: the backend's own.
    """

    def __init__(self, url: Any, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="docstore-loop", daemon=True)
        self._thread.start()
        try:
            self.target: Backend = self.call(partial(open_backend, url, LoopWaits(), **options))
        except BaseException:
            self._stop()
            raise
        self.name: str = self.target.name
        self.single_writer: bool = getattr(self.target, "single_writer", True)

    def call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call of the target on the loop and wait for it."""
        coroutine = drive(partial(work, *args, **kwargs))
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def judge(self, collection: Collection, leaf: Leaf) -> Judgement:
        """Say how far the target runs ``leaf``."""
        return self.target.judge(collection, leaf)

    def sorts(self, collection: Collection, key: SortKey) -> Judgement:
        """Say whether the target orders by ``key``."""
        return self.target.sorts(collection, key)

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Reader]:
        """Open a block for reading."""
        with self._block(self.target.read(snapshot=snapshot)) as reader:
            yield _LoopReader(self, reader)

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """Open a block for writing."""
        with self._block(self.target.write()) as writer:
            yield _LoopNest(self, writer) if isinstance(writer, Nests) else _LoopWriter(self, writer)

    def translated(self) -> AbstractContextManager[None]:
        """Translate the engine's errors, if the target does."""
        return self.target.translated() if isinstance(self.target, Translates) else nullcontext()

    def close(self) -> None:
        """Close the target and end the loop."""
        self.call(self.target.close)
        self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @contextmanager
    def _block(self, manager: AbstractContextManager[T]) -> Iterator[T]:
        """Enter and leave a block of the target's on the loop."""
        entered = self.call(manager.__enter__)
        try:
            yield entered
        except BaseException as failed:
            if not self.call(manager.__exit__, type(failed), failed, failed.__traceback__):
                raise
        else:
            self.call(manager.__exit__, None, None, None)

    def part(self, manager: AbstractContextManager[None]) -> AbstractContextManager[None]:
        """Enter and leave a part of a block on the loop."""
        return self._block(manager)


class _LoopReader:
    """Reads of one block."""

    def __init__(self, backend: LoopBackend, reader: Reader) -> None:
        self._backend = backend
        self._reader = reader

    def select(self, query: Query) -> Sequence[Row]:
        return self._backend.call(self._reader.select, query)

    def count(self, query: Query, at_most: int | None = None) -> int:
        return self._backend.call(self._reader.count, query, at_most)

    def count_by(self, query: Query, path: Path) -> Mapping[Any, int] | None:
        assert isinstance(self._reader, CountsBy)
        return self._backend.call(self._reader.count_by, query, path)

    def explain(self, query: Query) -> Statement:
        assert isinstance(self._reader, Explains)
        return self._backend.call(self._reader.explain, query)

    def blobs(
        self,
        *,
        states: Container[BlobState] = (),
        before: int | None = None,
        after_key: str = "",
        limit: int = 1000,
        keys: Sequence[str] | None = None,
        scope: Scope = ANYWHERE,
    ) -> Sequence[BlobRow]:
        return self._backend.call(
            self._reader.blobs, states=states, before=before, after_key=after_key, limit=limit, keys=keys,
            scope=scope,
        )  # fmt: skip


class _LoopWriter(_LoopReader):
    """Reads and writes of one block."""

    def __init__(self, backend: LoopBackend, writer: Writer) -> None:
        super().__init__(backend, writer)
        self._writer = writer

    def now(self) -> int:
        return self._backend.call(self._writer.now)

    def kept_now(self) -> int:
        writer = self._writer
        return self._backend.call(writer.kept_now if isinstance(writer, KeepsClock) else writer.now)

    def lock(self, *names: str) -> None:
        self._backend.call(self._writer.lock, *names)

    def insert(self, collection: Collection, rows: Sequence[Row]) -> Sequence[int]:
        return self._backend.call(self._writer.insert, collection, rows)

    def update(self, collection: Collection, number: int, changes: Mapping[str, Any]) -> bool:
        return self._backend.call(self._writer.update, collection, number, changes)

    def delete(self, collection: Collection, numbers: Sequence[int]) -> int:
        return self._backend.call(self._writer.delete, collection, numbers)

    def insert_blob(self, blob: BlobRow) -> None:
        self._backend.call(self._writer.insert_blob, blob)

    def update_blob(self, key: str, states: Container[BlobState], **changes: Any) -> bool:
        return self._backend.call(self._writer.update_blob, key, states, **changes)

    def delete_blob(self, key: str, states: Container[BlobState]) -> bool:
        return self._backend.call(self._writer.delete_blob, key, states)


class _LoopNest(_LoopWriter):
    """A writer that can undo a part of its block."""

    def savepoint(self) -> AbstractContextManager[None]:
        assert isinstance(self._writer, Nests)
        return self._backend.part(self._writer.savepoint())
