"""The parent's side of the child process: started when needed, reused, replaced if it died."""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from docstore.extract.base import ExtractionError, ExtractLimits

__all__ = ["ChildAnswer", "ask", "close_idle"]

# The child needs the folder `extract` and a few plain modules; importing docstore brings much more. So the
# package is only filled if an extractor of the caller's own asks for something in it, which saves half a
# second of CPU and 20 MB for each child.
_PROGRAM = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
sys.path[:] = {path!r}
spec = spec_from_file_location("docstore", {init!r})
package = sys.modules["docstore"] = module_from_spec(spec)
def fill(name):
    if name.startswith("__") or "__getattr__" not in vars(package):
        raise AttributeError(name)
    del package.__getattr__
    spec.loader.exec_module(package)
    return getattr(package, name)
package.__getattr__ = fill
from docstore.extract.child import main
main({descriptor})
"""
_FRAME_BYTES = 5
_MOST_IDLE = 4
_COPIED = 1 << 20


class ChildAnswer:
    """What a child said of a file.

    Attributes:
        text: UTF-8, as it came.
        ended: how it ended; None if the child died before it said so.
        reason: why it died, in words.
    """

    def __init__(self) -> None:
        self.text: bytearray = bytearray()
        self.ended: dict[str, Any] | None = None
        self.reason = ""


class _Child:
    """A process that reads files, and the socket to it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        init = str(Path(__file__).parents[1] / "__init__.py")
        program = _PROGRAM.format(path=sys.path, init=init, descriptor=theirs.fileno())
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self.channel = ours

    def ask(self, request: bytes, descriptor: int) -> ChildAnswer:
        """Have a file read.

        Raises:
            ConnectionError: the child was gone before it was asked.
        """
        answer = ChildAnswer()
        sent = socket.send_fds(self.channel, [request], [descriptor])
        self.channel.sendall(request[sent:])
        while (head := self._exactly(_FRAME_BYTES)) is not None:
            payload = self._exactly(int.from_bytes(head[1:], "little"))
            if payload is None:
                break
            if head[:1] == b"T":
                answer.text += payload
            else:
                answer.ended = json.loads(payload)
                return answer
        answer.reason = self._death()
        return answer

    def _exactly(self, size: int) -> bytearray | None:
        found = bytearray(size)
        view, at = memoryview(found), 0
        while at < size:
            count = self.channel.recv_into(view[at:])
            if not count:
                return None
            at += count
        return found

    def _death(self) -> str:
        code = self.process.wait()
        if -code in (signal.SIGXCPU, signal.SIGVTALRM):
            return "cut where its time was up"
        name = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return f"cut where its reader ended ({name}), out of memory or by a fault of its own"

    def close(self) -> None:
        """End the process, whatever it does."""
        self.channel.close()
        self.process.kill()
        self.process.wait()


_idle: list[_Child] = []
_lock = threading.Lock()


def close_idle() -> None:
    """End the processes that wait for work."""
    with _lock:
        children, _idle[:] = [*_idle], []
    for child in children:
        child.close()


def _forget() -> None:
    """Leave the children to the process that was forked from: they are its own."""
    global _lock
    _lock = threading.Lock()
    for child in _idle:
        child.channel.close()
        child.process.returncode = 0
    _idle.clear()


atexit.register(close_idle)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def ask(
    source: bytes | str | os.PathLike[str] | BinaryIO,
    *,
    filename: str,
    content_type: str,
    charset: str | None,
    archives: bool,
    limits: ExtractLimits,
    extractors: str,
) -> ChildAnswer:
    """Have a child process read a file.

    Raises:
        ExtractionError: the file cannot be opened, or the system cannot hand it to a child process.
    """
    if not (hasattr(socket, "send_fds") and hasattr(signal, "setitimer")):
        raise ExtractionError(
            "files are read in a child process with bounds of time and memory, which this system does not "
            "have: extract(..., in_process=True) reads them without"
        )
    request = json.dumps(
        {
            "filename": filename.encode("utf-8", "replace").decode(),
            "content_type": content_type,
            "charset": charset,
            "archives": archives,
            "limits": asdict(limits),
            "extractors": extractors,
        }
    )
    with _descriptor(source) as descriptor:
        while True:
            child, is_new = _taken()
            try:
                answer = child.ask(request.encode() + b"\n", descriptor)
            except (ConnectionError, BrokenPipeError):
                child.close()
                if is_new:
                    raise ExtractionError("the process that reads files cannot be started") from None
                continue  # it died idle
            except BaseException:  # Ctrl-C, or a full memory here: its answer would be the next file's
                child.close()
                raise
            break
    _put_back(child, answer)
    return answer


def _taken() -> tuple[_Child, bool]:
    with _lock:
        if _idle:
            return _idle.pop(), False
    try:
        return _Child(), True
    except OSError as wrong:
        raise ExtractionError(f"the process that reads files cannot be started: {wrong}") from wrong


def _put_back(child: _Child, answer: ChildAnswer) -> None:
    keeps = answer.ended is not None and not answer.ended["last"]
    if keeps:
        with _lock:
            keeps = len(_idle) < _MOST_IDLE
            if keeps:
                _idle.append(child)
    if not keeps:
        child.close()


@contextmanager
def _descriptor(source: bytes | str | os.PathLike[str] | BinaryIO) -> Iterator[int]:
    """Open a source as a file that another process can read: a path itself, bytes and streams as a copy."""
    if isinstance(source, (str, os.PathLike)):
        try:
            with open(source, "rb") as file:
                yield file.fileno()
        except OSError as wrong:
            raise ExtractionError(f"cannot read the file: {wrong.strerror or wrong}") from wrong
        return
    with tempfile.TemporaryFile() as copy:
        if isinstance(source, (bytes, bytearray, memoryview)):
            copy.write(source)
        else:
            source.seek(0)
            while chunk := source.read(_COPIED):
                copy.write(chunk)
        copy.flush()
        yield copy.fileno()
