"""A filesystem that fails on purpose: call N, before or after its effect, or with its tail lost, or late.

It wraps any fsspec filesystem. A sweep runs the same action with N = 1, 2, 3, … until no fault fires any
more, and so meets every call once:

>>> number = 1
>>> while True:
...     faults = Faults(number, "after")
...     blobs = faulty_blobs("s3://bucket/prefix", faults, **server.storage_options)
...     ...  # act, expect a named error or success, then look at what is left
...     if not faults.fired:
...         break
...     number += 1
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Container
from errno import EIO
from typing import Any, Literal, TypeAlias

from fsspec.spec import AbstractFileSystem

from docstore.blobs import Blobs, connect, objects_on
from docstore.blobs.objects import Objects

__all__ = ["Fault", "Faults", "faulty_blobs"]

Fault: TypeAlias = Literal["before", "after", "cut", "delay", "late"]


class Faults:
    """Which call fails and how; counts the calls of every filesystem it is given to.

    Args:
        at: the number of the first call that fails, from 1; 0 lets none fail.
        fault: ``before`` raises and does nothing, ``after`` does it and raises, ``cut`` loses the last byte
            that the call writes or reads and raises nothing, ``delay`` waits and then does it, ``late`` does
            it and waits before it answers.
        only: the calls that count, such as ``{"write", "close", "put_object"}``; ``None`` counts all.
        times: how many calls in a row fail.
        seconds: how long ``delay`` and ``late`` wait.
        error: makes what is raised.

    Attributes:
        calls: the names of the calls that were counted, in order.
        fired: how many of them failed.
    """

    def __init__(
        self,
        at: int = 0,
        fault: Fault = "before",
        *,
        only: Container[str] | None = None,
        times: int = 1,
        seconds: float = 0.1,
        error: Callable[[], Exception] = lambda: OSError(EIO, "injected fault"),
    ) -> None:
        self._at = at
        self.fault = fault
        self._only = only
        self._times = times
        self._seconds = seconds
        self.error = error
        self._lock = threading.Lock()
        self.calls: list[str] = []
        self.fired: int = 0

    def call(self, name: str, act: Callable[[Callable[[bytes], bytes]], Any]) -> Any:
        """Count a call and do it, or fail as told.

        Args:
            name: of the call.
            act: does it; it passes the bytes that it writes or reads through the function that it is given.
        """
        fault = self.meet(name)
        if fault == "before":
            raise self.error()
        if fault == "delay":
            time.sleep(self._seconds)
        answer = act(_cut if fault == "cut" else _whole)
        if fault == "after":
            raise self.error()
        if fault == "late":
            time.sleep(self._seconds)
        return answer

    def meet(self, name: str) -> Fault | None:
        """Count a call and return how it is to fail; ``None`` if it is not."""
        if self._only is not None and name not in self._only:
            return None
        with self._lock:
            self.calls.append(name)
            if not self._at or not self._at <= len(self.calls) < self._at + self._times:
                return None
            self.fired += 1
            return self.fault


class _FaultyFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """An fsspec filesystem over another, each of whose calls goes through :class:`Faults`.

    On S3 the requests themselves count, by their names in boto3 (``put_object``, ``head_object``, …).

    Args:
        target: the filesystem that does the work.
        faults: what fails.
    """

    protocol = "faulty"
    cachable = False

    def __init__(self, target: Any, faults: Faults) -> None:
        super().__init__()
        self.target = target
        self.faults = faults

    def __getattr__(self, name: str) -> Any:
        if name != "call_s3" or "target" not in self.__dict__:
            raise AttributeError(name)
        request = self.target.call_s3
        return lambda method, **arguments: self._request(request, method, arguments)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Make folders."""
        self.faults.call("makedirs", lambda _: self.target.makedirs(path, exist_ok=exist_ok))

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        """Open a file whose reads, writes and closing count, too."""
        opened = self.faults.call("open", lambda _: self.target.open(path, mode, **options))
        return _FaultyFile(opened, self.faults)

    def info(self, path: str, **options: Any) -> Any:
        """Describe a file."""
        return self.faults.call("info", lambda _: self.target.info(path, **options))

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        """List a folder."""
        return self.faults.call("ls", lambda _: self.target.ls(path, detail=detail, **options))

    def rm_file(self, path: str) -> None:
        """Remove a file."""
        self.faults.call("rm_file", lambda _: self.target.rm_file(path))

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> Any:
        """Read a range."""

        def act(cut: Callable[[bytes], bytes]) -> bytes:
            return cut(self.target.cat_file(path, start=start, end=end, **options))

        return self.faults.call("cat_file", act)

    def sign(self, path: str, expiration: int = 100, **options: Any) -> Any:
        """Sign a URL."""
        return self.faults.call("sign", lambda _: self.target.sign(path, expiration=expiration, **options))

    def invalidate_cache(self, path: str | None = None) -> None:
        """Forget listings; never fails."""
        self.target.invalidate_cache(path)

    def _request(self, request: Callable[..., Any], method: str, arguments: dict[str, Any]) -> Any:
        def act(cut: Callable[[bytes], bytes]) -> Any:
            if "Body" in arguments:
                return request(method, **{**arguments, "Body": cut(arguments["Body"])})
            return request(method, **arguments)

        return self.faults.call(method, act)


class _FaultyFile:
    """A file of the filesystem."""

    def __init__(self, file: Any, faults: Faults) -> None:
        self._file = file
        self._faults = faults

    def write(self, piece: bytes) -> int:
        self._faults.call("write", lambda cut: self._file.write(cut(piece)))
        return len(piece)

    def read(self, amount: int = -1) -> bytes:
        return bytes(self._faults.call("read", lambda cut: cut(self._file.read(amount))))

    def close(self) -> None:
        self._faults.call("close", lambda _: self._file.close())

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())


class _FaultyBlobs(Blobs):
    """Blobs over a filesystem that fails; see :func:`faulty_blobs`."""

    def __init__(self, url: str, faults: Faults, storage_options: dict[str, Any]) -> None:
        super().__init__(url, **storage_options)
        self._faults = faults

    def _build(self) -> Objects:
        filesystem, root = connect(self._url, self._options, self._requests)
        return objects_on(_FaultyFileSystem(filesystem, self._faults), root, self._requests)


def faulty_blobs(url: str, faults: Faults, **storage_options: Any) -> Blobs:
    """Return blobs on ``url`` whose filesystem's calls go through ``faults``.

    A folder and ``memory://`` are then used as any other fsspec filesystem, not by the way that
    :class:`docstore.Blobs` keeps for them; that one is failed by its steps, see :mod:`docstore.crash_points`.

    Args:
        url: as for :class:`docstore.Blobs`.
        faults: what fails.
        storage_options: of the filesystem at ``url``.
    """
    return _FaultyBlobs(url, faults, storage_options)


def _whole(piece: bytes) -> bytes:
    return piece


def _cut(piece: bytes) -> bytes:
    return piece[:-1]
