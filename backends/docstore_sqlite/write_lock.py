"""Write lock: one writer at a time, in turn, over threads and processes.

SQLite's own waiting polls and starves; this lock hands over in order. Threads queue up. Processes pass a
turnstile and a gate, two bytes of a side file. Only the process in the turnstile may wait for the gate, so
a process that leaves the gate queues again behind it. POSIX locks belong to the process: a process has one
WriteLock a file, shared by all stores on it. A fork starts with none held.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from docstore.concurrency import FairLock, sleep
from docstore.errors import BackendError, StoreBusy

__all__ = ["WriteLock", "lock_of"]

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: SQLite's own lock serialises processes
    fcntl = None  # type: ignore[assignment]


_TURNSTILE, _GATE = 0, 1


class WriteLock:
    """A fair lock for the writers of one SQLite file.

    Args:
        path: the side file; ``None`` for a database that only this process can see.
    """

    def __init__(self, path: str | None) -> None:
        self.path = path
        self._file: int | None = None
        self._threads = FairLock()

    @contextmanager
    def held(self, timeout: float) -> Iterator[None]:
        """Hold the lock for a block.

        Args:
            timeout: seconds to wait for it.

        Raises:
            StoreBusy: others held it for longer than the timeout.
            BackendError: the side file cannot be made.
        """
        deadline = time.monotonic() + timeout
        if not self._threads.acquire(timeout):
            raise _busy()
        try:
            self._enter_process(deadline)
            try:
                yield
            finally:
                self._leave_process()
        finally:
            self._threads.release()

    def after_fork(self) -> None:
        """Begin with nobody holding or waiting: a forked child inherits no lock."""
        self._threads.forget()

    def _enter_process(self, deadline: float) -> None:
        if self.path is None or fcntl is None:
            return
        while True:
            if self._file is None:
                self._file = self._opened(self.path)
            try:
                self._take(_TURNSTILE, deadline)
                self._take(_GATE, deadline)
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _TURNSTILE)
            if self._is_there(self.path, self._file):
                return
            os.close(self._file)  # somebody removed it: others queue at another file by now
            self._file = None

    @staticmethod
    def _opened(path: str) -> int:
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise BackendError(
                f"{path}, the file that writers queue at, cannot be opened ({error.strerror}): give its "
                "folder write permission, or open the store with read_only=True"
            ) from error

    @staticmethod
    def _is_there(path: str, file: int) -> bool:
        try:
            return os.path.samestat(os.stat(path), os.fstat(file))
        except FileNotFoundError:
            return False

    def _take(self, which: int, deadline: float) -> None:
        assert self._file is not None
        pause = 0.0001
        while True:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, which)
                return
            except (BlockingIOError, PermissionError):
                if time.monotonic() >= deadline:
                    raise _busy() from None
            sleep(pause)
            pause = min(pause * 2, 0.002)

    def _leave_process(self) -> None:
        if self._file is not None and fcntl is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _GATE)


def _busy() -> StoreBusy:
    return StoreBusy("other writers kept the store for longer than the busy timeout; try again later")


_locks: dict[str, WriteLock] = {}
_locks_mutex = threading.Lock()


def lock_of(database: str | None) -> WriteLock:
    """Return the process's lock for the database file at this path; ``None`` is a database of one store
    alone.
    """
    if database is None:
        return WriteLock(None)
    path = os.path.realpath(database) + "-lock"
    with _locks_mutex:
        return _locks.setdefault(path, WriteLock(path))


def _after_fork() -> None:
    global _locks_mutex
    _locks_mutex = threading.Lock()
    for lock in _locks.values():
        lock.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
