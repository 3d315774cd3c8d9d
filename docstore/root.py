"""Root: what all views of one open store share: the backend, the bytes, the bounds, and the transaction in
force.

Reads and writes enter the backend here and nowhere else, so that a transaction is joined, a closed store is
refused and a lost race is tried again in one place.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import tzinfo
from typing import TypeVar

from docstore.backend import Backend, Duplicate, Reader, Writer
from docstore.blobs import Blobs
from docstore.errors import BackendError, BlobsNotConfigured, StoreBusy, StoreClosed
from docstore.limits import Limits

__all__ = ["Root"]

T = TypeVar("T")
_TRIES = 8


class Root:
    """The shared state of an open store.

    Args:
        backend: where rows are.
        blobs: where bytes are, or ``None``.
        limits: the bounds in force.
        default_timezone: of naive times; ``None`` refuses them.
        secrets: keys that sign cursors: the first signs, all verify; empty: cursors are unsigned.
        scope_required: whether the unscoped root refuses to be used.
    """

    def __init__(
        self,
        backend: Backend,
        blobs: Blobs | None,
        *,
        limits: Limits,
        default_timezone: tzinfo | None,
        secrets: tuple[bytes, ...],
        scope_required: bool,
    ) -> None:
        self.backend = backend
        self.blobs = blobs
        self.limits = limits
        self.default_timezone = default_timezone
        self.secrets = secrets
        self.scope_required = scope_required
        self.closed = False
        self.single_writer: bool = getattr(backend, "single_writer", True)
        self._current: ContextVar[Writer | None] = ContextVar("docstore_transaction", default=None)

    def check_open(self) -> None:
        """Raise StoreClosed if the store was closed."""
        if self.closed:
            raise StoreClosed("this store was closed: open it again with docstore.open(...)")

    def bytes(self) -> Blobs:
        """Return where bytes are.

        Raises:
            BlobsNotConfigured: the store was opened without.
        """
        if self.blobs is None:
            raise BlobsNotConfigured(
                "this store keeps no bytes: open it with blobs=, such as docstore.open(url, blobs='./files')"
            )
        return self.blobs

    # -- blocks ------------------------------------------------------------------------------------

    @property
    def in_transaction(self) -> bool:
        """Whether the caller is within ``store.transaction()`` or a joined connection."""
        return self._current.get() is not None

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Reader]:
        """Open a block for reading, or read within the transaction in force."""
        self.check_open()
        current = self._current.get()
        if current is not None:
            yield current
            return
        with self.backend.read(snapshot=snapshot) as reader:
            yield reader

    @contextmanager
    def write(self) -> Iterator[Writer]:
        """Open a block for writing, or write within the transaction in force."""
        self.check_open()
        current = self._current.get()
        if current is not None:
            yield current
            return
        with self.backend.write() as writer:
            yield writer

    @contextmanager
    def apart(self) -> Iterator[Writer]:
        """Open a block for writing that commits by itself, where the backend has room for it beside the
        transaction in force.

        A backend with a single writer has not; the transaction itself then keeps others out until it ends.
        """
        self.check_open()
        if self.in_transaction and self.single_writer:
            with self.write() as writer:
                yield writer
            return
        with self.backend.write() as writer:
            yield writer

    def written(self, work: Callable[[Writer], T]) -> T:
        """Run ``work`` in a write block and return its result; a lost race is run again, a few times.

        Raises:
            StoreBusy: others won every time.
        """
        if self.in_transaction:
            with self.write() as writer:
                return work(writer)
        for attempt in range(_TRIES):
            try:
                with self.write() as writer:
                    return work(writer)
            except Duplicate as lost:
                if attempt == _TRIES - 1:
                    raise StoreBusy(f"lost to other writers {_TRIES} times: {lost}") from lost
            except BackendError as failed:
                if not getattr(failed, "transient", False) or attempt == _TRIES - 1:
                    raise
            time.sleep(random.uniform(0, 0.002 * 2**attempt))
        raise AssertionError("unreachable")

    @contextmanager
    def transaction(self, block: Callable[[], object] | None = None) -> Iterator[Writer]:
        """Make one write block the transaction in force for what this thread or task calls within."""
        if self._current.get() is not None:
            with self.write() as writer:
                yield writer
            return
        with self.backend.write() as writer, self.within(writer):
            yield writer

    @contextmanager
    def within(self, writer: Writer) -> Iterator[None]:
        """Make ``writer`` the transaction in force for a block."""
        token = self._current.set(writer)
        try:
            yield
        finally:
            self._current.reset(token)

    def close(self) -> None:
        """Close the backend; idempotent."""
        if not self.closed:
            self.closed = True
            self.backend.close()
