"""A backend that fails on purpose: call N, before or after its effect, or late.

It stands before any other backend. Each read and write within a block counts as a call, and so do opening a
block (``read``, ``begin``) and its ``commit``, whose failure leaves the outcome unknown, as a connection does
that is lost meanwhile. A sweep runs the same action with N = 1, 2, 3, … until no fault fires any more:

>>> number = 1
>>> while True:
...     faults = Faults(number, "after")
...     with docstore.open(FaultyBackend(backend, faults)) as store:
...         ...  # act, expect a named error or success, then look at what is left
...     if not faults.fired:
...         break
...     number += 1

The backend below is not closed by that: it is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Collection as Container
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

from docstore.backend import (
    ANYWHERE,
    Backend,
    BlobRow,
    BlobState,
    Capabilities,
    CountsBy,
    KeepsClock,
    KeepsSettings,
    Nests,
    Query,
    Reader,
    Row,
    Scope,
    SeesAll,
    SetsSettings,
    SortKey,
    TermSupport,
    Translates,
    Writer,
    capabilities_of,
)
from docstore.concurrency import sleep
from docstore.errors import BackendError
from docstore.maintenance import ChecksIndexes, Compacts, KeepsValues
from docstore.query.expr import Leaf, Path
from docstore.query.fields import Collection
from docstore.testing.faulty_filesystem import Faults

__all__ = ["FaultyBackend"]

T = TypeVar("T")


class FaultyBackend:
    """A backend before another, each of whose calls goes through faults.

    Args:
        target: does the work. Closing this one leaves it open.
        faults: which call fails and how: ``before``, ``after``, ``delay`` or ``late``. What it raises is a
            BackendError, ``outcome_unknown`` at a ``commit``; the error that the faults would make is its
            cause.
        seconds: how long ``delay`` and ``late`` wait; a task can be cancelled meanwhile.

    Raises:
        ValueError: the faults are to ``cut``, which only bytes can be.
    """

    def __init__(self, target: Backend, faults: Faults, *, seconds: float = 0.1) -> None:
        if faults.fault == "cut":
            raise ValueError("fault='cut': a backend's calls fail before or after their effect, or are late")
        self.target = target
        self.faults = faults
        self.seconds = seconds
        self.name: str = target.name
        self.capabilities: Capabilities = capabilities_of(target)
        self.sleep: Callable[[float], None] = sleep

    def support(self, collection: Collection, leaf: Leaf) -> TermSupport:
        """Say how far the backend runs ``leaf``; never fails."""
        return self.target.support(collection, leaf)

    def sorts(self, collection: Collection, key: SortKey) -> TermSupport:
        """Say whether the backend orders by ``key``; never fails."""
        return self.target.sorts(collection, key)

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Reader]:
        """Open a block for reading."""
        with self.failing("read"), self.target.read(snapshot=snapshot) as reader:
            yield _FaultyReader(self, reader)

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """Open a block for writing; its commit fails ``before`` by being undone."""
        fault = None
        with self.failing("begin"), self.target.write() as writer:
            yield _FaultyNest(self, writer) if isinstance(writer, Nests) else _FaultyWriter(self, writer)
            # Within the block: a fault before the commit is an exception that undoes it.
            fault = self.faults.meet("commit")
            if fault == "before":
                raise self.failure("commit")
            if fault == "delay":
                self.sleep(self.seconds)
        # Behind the block: it is committed, and the caller hears that nobody knows.
        if fault == "after":
            raise self.failure("commit")
        if fault == "late":
            self.sleep(self.seconds)

    def translated(self) -> AbstractContextManager[None]:
        """Translate the engine's errors, if the backend does."""
        return self.target.translated() if isinstance(self.target, Translates) else nullcontext()

    def check_indexes(
        self, unreadable: Mapping[str, Container[int]] = {}
    ) -> Iterable[tuple[str | None, str]]:
        """Check the backend's indexes, if it has some; never fails."""
        return self.target.check_indexes(unreadable) if isinstance(self.target, ChecksIndexes) else ()

    def rebuild_indexes(self) -> None:
        """Rebuild the backend's indexes, if it has some; never fails."""
        if isinstance(self.target, ChecksIndexes):
            self.target.rebuild_indexes()

    def compact(self) -> None:
        """Fold and merge what has gathered in the backend's indexes, if it has some; never fails."""
        if isinstance(self.target, Compacts):
            self.target.compact()

    def forget_values(self) -> None:
        """Forget the values that no document has, if the backend keeps some; never fails."""
        if isinstance(self.target, KeepsValues):
            self.target.forget_values()

    def close(self) -> None:
        """Do nothing: the backend below is the caller's."""

    def call(self, name: str, act: Callable[[], T]) -> T:
        """Count a call and do it, or fail as told."""
        fault = self.faults.meet(name)
        if fault == "before":
            raise self.failure(name)
        if fault == "delay":
            self.sleep(self.seconds)
        answer = act()
        if fault == "after":
            raise self.failure(name)
        if fault == "late":
            self.sleep(self.seconds)
        return answer

    def failure(self, name: str) -> BackendError:
        """Return the error of a call that fails on purpose."""
        failed = BackendError(f"injected fault at {name}", retryable=True, outcome_unknown=name == "commit")
        failed.__cause__ = self.faults.error()
        return failed

    @contextmanager
    def failing(self, name: str) -> Iterator[None]:
        """Fail at the opening of a block; there is nothing to undo there, so after it is as before it."""
        self.call(name, lambda: None)
        yield


class _FaultyReader:
    """Reads of one block."""

    def __init__(self, backend: FaultyBackend, reader: Reader) -> None:
        self._backend = backend
        self._reader = reader

    def select(self, query: Query) -> Sequence[Row]:
        return self._backend.call("select", lambda: self._reader.select(query))

    def count(self, query: Query, at_most: int | None = None) -> int:
        return self._backend.call("count", lambda: self._reader.count(query, at_most))

    def count_by(self, query: Query, path: Path) -> Mapping[Any, int] | None:
        reader = self._reader
        if not isinstance(reader, CountsBy):
            return None
        return self._backend.call("count_by", lambda: reader.count_by(query, path))

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
            "blobs",
            lambda: self._reader.blobs(
                states=states, before=before, after_key=after_key, limit=limit, keys=keys, scope=scope
            ),
        )

    def setting(self, name: str) -> str | None:
        reader = self._reader
        if not isinstance(reader, KeepsSettings):
            return None
        return self._backend.call("setting", lambda: reader.setting(name))

    def hidden(self) -> str:
        reader = self._reader
        return self._backend.call("hidden", reader.hidden) if isinstance(reader, SeesAll) else ""


class _FaultyWriter(_FaultyReader):
    """Reads and writes of one block."""

    def __init__(self, backend: FaultyBackend, writer: Writer) -> None:
        super().__init__(backend, writer)
        self._writer = writer

    def now(self) -> int:
        return self._backend.call("now", self._writer.now)

    def kept_now(self) -> int:
        writer = self._writer
        return self._backend.call("now", writer.kept_now if isinstance(writer, KeepsClock) else writer.now)

    def lock(self, *names: str) -> None:
        self._backend.call("lock", lambda: self._writer.lock(*names))

    def insert(self, collection: Collection, rows: Sequence[Row]) -> Sequence[int]:
        return self._backend.call("insert", lambda: self._writer.insert(collection, rows))

    def update(self, collection: Collection, row: Row, changes: Mapping[str, Any]) -> bool:
        return self._backend.call("update", lambda: self._writer.update(collection, row, changes))

    def delete(self, collection: Collection, rows: Sequence[Row]) -> int:
        return self._backend.call("delete", lambda: self._writer.delete(collection, rows))

    def set_setting(self, name: str, value: str) -> None:
        writer = self._writer
        assert isinstance(writer, SetsSettings)
        self._backend.call("set_setting", lambda: writer.set_setting(name, value))

    def insert_blob(self, blob: BlobRow) -> None:
        self._backend.call("insert_blob", lambda: self._writer.insert_blob(blob))

    def update_blob(self, blob: BlobRow, states: Container[BlobState], **changes: Any) -> bool:
        return self._backend.call("update_blob", lambda: self._writer.update_blob(blob, states, **changes))

    def delete_blob(self, blob: BlobRow, states: Container[BlobState]) -> bool:
        return self._backend.call("delete_blob", lambda: self._writer.delete_blob(blob, states))


class _FaultyNest(_FaultyWriter):
    """A writer that can undo a part of its block."""

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        assert isinstance(self._writer, Nests)
        with self._writer.savepoint():
            yield
