"""Database file: the meaning of its URL, the access it allows, whether it is still the same, and its writers.

SQLite goes on with a file that was moved or removed as if nothing had happened. Beside a file that was put
in its place it would read the write-ahead log of the one before. So one ``stat`` looks at the file before a
block, and every connection is made by a URI with the access that is allowed.

There is one writer at a time, in turn, over threads and processes. SQLite's own waiting polls and starves;
the write lock hands over in order. Threads queue up. Processes pass a turnstile and a gate, two bytes of a
side file. Only the process in the turnstile may wait for the gate, so a process that leaves the gate queues
again behind it. POSIX locks belong to the process: a process has one WriteLock a file, shared by all stores
on it. A fork starts with none held.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePath
from urllib.parse import quote, unquote

import sqlalchemy as sa

from docstore.concurrency import FairLock, sleep
from docstore.errors import BackendError, StoreBusy

# The arguments that SQLAlchemy hands on to sqlite3.connect.
_DRIVER = frozenset({"timeout", "isolation_level", "detect_types", "check_same_thread", "cached_statements"})
_OURS = frozenset({"mode", "immutable", "uri"})
_MODES = ("ro", "rw", "rwc", "memory")
_YES, _NO = ("1", "yes", "true", "on"), ("0", "no", "false", "off")


class DatabaseFile:
    """The file of a database.

    Args:
        path: absolute; ``None`` in memory.
        read_only: why nothing can be written, in words; ``""`` finds out.
        immutable: whether the URL says that nobody changes the file.
        creates: whether a connection may make the file; the backend takes that back once the store is open.
    """

    def __init__(
        self, path: str | None, *, read_only: str = "", immutable: bool = False, creates: bool = True
    ) -> None:
        self.path = path
        self.real = "" if path is None else os.path.realpath(path)
        self.read_only = read_only or _forbidden(self.real)
        self.creates = creates
        # True if the last connection reads the file without the files beside it, as none can be made there.
        self.is_still = False
        self._immutable = immutable
        self._seen: tuple[object, ...] | None = None
        self._log: tuple[int, int] | None = None

    # -- connecting --------------------------------------------------------------------------------

    def uri(self) -> str:
        """Return the URI of a connection.

        Raises:
            BackendError: a log beside the file cannot be read, so that commits would be missing.
        """
        assert self.path is not None
        address = f"file:{quote(os.fsencode(PurePath(self.path).as_posix()))}"
        if not self.read_only:
            return f"{address}?mode={'rwc' if self.creates else 'rw'}"
        self.is_still = self._is_read_alone()
        return f"{address}?mode=ro{'&immutable=1' if self.is_still else ''}"

    def _is_read_alone(self) -> bool:
        """Return whether the file is read without the log beside it, as SQLite can make no file there."""
        log, journal = _size(f"{self.real}-wal"), _size(f"{self.real}-journal")
        makes = not self._immutable and _may_write(os.path.dirname(self.real))
        if makes:
            return False
        if log and not os.access(f"{self.real}-wal", os.R_OK):
            raise self._unreadable("-wal", "it may not be read")
        if journal:
            raise self._unreadable("-journal", "it has to be rolled back first, which takes writing")
        if self._immutable and log:
            raise self._unreadable("-wal", "immutable=1 leaves it out")
        if log is not None and not self._immutable and _size(f"{self.real}-shm") is not None:
            return False  # SQLite reads both without writing
        if log:
            raise self._unreadable("-wal", "its index (-shm) is missing and cannot be made here")
        return True

    def _unreadable(self, what: str, why: str) -> BackendError:
        return BackendError(
            f"SQLite: commits of {self.path} are in {self.real}{what}, and {why}: open the store once where "
            "it may be written, or copy all its files to a folder that may"
        )

    # -- the same file -----------------------------------------------------------------------------

    def settle(self) -> None:
        """Take the file that is there now for the store's."""
        if self.path is not None:
            self.creates = False
            self._seen = self._look()
            self._log = _identity(f"{self.real}-wal")

    def has_changed(self) -> bool:
        """Return whether another file is there now than the one that was opened.

        Raises:
            BackendError: none is.
        """
        return self._seen is not None and self._look() != self._seen

    def _look(self) -> tuple[object, ...]:
        assert self.path is not None
        try:
            found = os.stat(self.path)
        except OSError as error:
            raise BackendError(
                f"SQLite: the database {self.path} is not there any more ({error.strerror}): it was moved or "
                "removed under the open store; put it back, or open the store where it is",
                retryable=True,
            ) from error
        if not self.is_still:
            return found.st_dev, found.st_ino
        # Without the log beside it a file may change by anything: so a writer's first sign counts.
        log = _size(f"{self.real}-wal")
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size, log is not None

    @property
    def log_is_old(self) -> bool:
        """Whether the log beside the file belongs to the file before."""
        return self._log is not None and _identity(f"{self.real}-wal") == self._log

    def remove_log(self) -> None:
        """Remove an old log, empty by now, and its index."""
        if self.log_is_old and not _size(f"{self.real}-wal"):
            for what in ("-wal", "-shm"):
                with suppress(OSError):
                    os.unlink(f"{self.real}{what}")


def database_file_of(url: sa.URL, *, read_only: bool = False) -> tuple[DatabaseFile, sa.URL]:
    """Return where the database of a URL is, and the URL for the engine.

    Raises:
        BackendError: the URL asks for something that is not taken here.
    """
    query = {name: text if isinstance(text, str) else text[-1] for name, text in url.query.items()}
    unknown = sorted(query.keys() - _DRIVER - _OURS)
    if unknown:
        raise BackendError(
            f"the SQLite URL says {unknown[0]}={query[unknown[0]]!r}: expected mode=ro, rw, rwc or memory, "
            f"immutable=1, uri=true, or one of {', '.join(sorted(_DRIVER))}"
        )
    mode = query.get("mode", "rwc")
    if mode not in _MODES:
        raise BackendError(f"the SQLite URL says mode={mode!r}: expected {', '.join(_MODES)}")
    immutable = _flag("immutable", query)
    _flag("uri", query)
    name = _path_of(url.database or "")
    rest = {key: text for key, text in query.items() if key in _DRIVER}
    if name in ("", ":memory:") or mode == "memory":
        return DatabaseFile(None), url.set(database=None, query=rest)
    said = "it was opened with read_only=True" if read_only else ""
    if mode == "ro" or immutable:
        said = said or f"its URL says {'mode=ro' if mode == 'ro' else 'immutable=1'}"
    path = os.path.abspath(name)
    # By its kind alone: to open and close the file here would drop SQLite's locks of this process on it.
    if os.path.exists(path) and not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "no file"
        raise BackendError(
            f"SQLite: {path} is {kind}: name the file of a store, or one that is not there yet"
        )
    creates = mode == "rwc" and not said
    return DatabaseFile(path, read_only=said, immutable=immutable, creates=creates), url.set(
        database=path, query=rest
    )


def _path_of(name: str) -> str:
    """Return the path that a URL's database names; after ``file:`` it is an address itself."""
    if not name.startswith("file:"):
        return name
    text = name[len("file:") :].partition("#")[0].partition("?")[0]
    if text.startswith("//"):
        host, slash, rest = text[2:].partition("/")
        if host not in ("", "localhost"):
            raise BackendError(f"the SQLite URL {name!r} names the host {host!r}: expected a local path")
        text = slash + rest
    return unquote(text)


def _flag(name: str, query: dict[str, str]) -> bool:
    word = query.get(name, "0").lower()
    if word not in _YES + _NO:
        raise BackendError(f"the SQLite URL says {name}={query[name]!r}: expected {name}=1 or {name}=0")
    return word in _YES


def _forbidden(path: str) -> str:
    """Return why a database that is there cannot be written to; ``""``: it can, or there is none."""
    if not path or not os.path.exists(path):
        return ""
    folder = os.path.dirname(path)
    if _is_read_only_medium(path):
        return f"{path} is on a medium that can only be read"
    if not _may_write(path):
        return f"the file {path} may not be written to"
    beside = [f"{path}{what}" for what in ("-wal", "-shm", "-lock")]
    if not _may_write(folder) and not all(map(_may_write, beside)):
        return f"the folder {folder} may not be written to"
    return ""


def why_not_opened(path: str) -> str:
    """Return what to add to SQLite's "unable to open database file"; ``""``: nothing is known."""
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        return f"; the folder {folder} does not exist: create it first"
    if os.path.exists(path):
        return "" if os.access(path, os.R_OK) else "; it may not be read: ask its owner for the right"
    return "" if _may_write(folder) else f"; the folder {folder} may not be written to: name another file"


def _is_read_only_medium(path: str) -> bool:
    if not hasattr(os, "statvfs"):  # pragma: no cover - Windows
        return False
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _may_write(path: str) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _size(path: str) -> int | None:
    """Return how many bytes a file has, ``None`` if there is none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


# -- write lock ------------------------------------------------------------------------------------

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: SQLite's own lock serialises processes
    fcntl = None  # type: ignore[assignment]


# The two bytes of the side file that are locked, always in this order. Closing any descriptor of the file
# would drop the locks of the whole process (POSIX): the file stays open once it is.
_TURNSTILE, _GATE = 0, 1


class WriteLock:
    """A fair lock for the writers of one SQLite file.

    Args:
        path: the side file; ``None`` for a database that only this process can see.
    """

    def __init__(self, path: str | None) -> None:
        self.path = path
        self._file: int | None = None
        self._identity: tuple[int, int] | None = None
        self._threads = FairLock()

    @property
    def is_there(self) -> bool:
        """Whether the side file was made."""
        return self.path is not None and os.path.exists(self.path)

    @contextmanager
    def held(self, timeout: float) -> Iterator[None]:
        """Hold the lock for a block; see :meth:`take`."""
        self.take(timeout)
        try:
            yield
        finally:
            self.release()

    def take(self, timeout: float) -> None:
        """Take the lock.

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
        except BaseException:
            self._threads.release()
            raise

    def release(self) -> None:
        """Let the next one have the lock."""
        try:
            if self._file is not None and fcntl is not None:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _GATE)
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
                found = os.fstat(self._file)
                self._identity = found.st_dev, found.st_ino
            try:
                try:  # both at once, which nobody in the turnstile allows
                    fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 2, _TURNSTILE)
                except (BlockingIOError, PermissionError):
                    self._take(_TURNSTILE, deadline)
                    self._take(_GATE, deadline)
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _TURNSTILE)
            if _identity(self.path) == self._identity:
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

    def _take(self, which: int, deadline: float) -> None:
        assert self._file is not None
        pause = 0.0001  # seconds: fcntl waits without an end or not at all, so it is asked again
        while True:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, which)
                return
            except (BlockingIOError, PermissionError):
                if time.monotonic() >= deadline:
                    raise _busy() from None
            sleep(pause)
            pause = min(pause * 2, 0.002)


def _busy() -> StoreBusy:
    return StoreBusy("other writers kept the store for longer than the busy timeout; try again later")


_locks: dict[str, WriteLock] = {}
_locks_mutex = threading.Lock()


def lock_of(database: str | None) -> WriteLock:
    """Return the process's lock for the database file at this path; None: a database of one store."""
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
