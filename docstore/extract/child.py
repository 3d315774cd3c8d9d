"""The child process: reads files one at a time, within limits of CPU time and memory.

`process` starts it with a socket, and it ends when the socket is closed. A request is one JSON line with the
file's descriptor beside it. Answers are frames: a letter, a length, UTF-8. `T` is a piece of text, `D` (JSON)
says how it ended.
"""

from __future__ import annotations

import json
import pickle
import resource
import signal
import socket
import struct
import sys
from base64 import b64decode
from math import ceil
from typing import Any

from docstore.extract.base import Bound, ExtractLimits, Source
from docstore.extract.dispatch import Registry, read

__all__ = ["FRAME", "main"]

FRAME = struct.Struct("<cI")
_GRACE_SECONDS = 0.25  # a library that does not return to Python by then is killed
_LATE = "cut where its time was up"
# An allocator seldom gives back what a large file took, so that the next file begins in a new process.
_RECYCLED_BYTES = 384 * 1024 * 1024
# What libraries leak, however little, ends with the process.
_FILES = 2000


def main(descriptor: int) -> None:
    """Serve requests until the socket is closed, or this process has grown."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    signal.signal(signal.SIGPROF, _Clock.strike)
    channel = socket.socket(fileno=descriptor)
    for _ in range(_FILES):
        line, descriptors = _request(channel)
        if not line:
            return
        asked = json.loads(line)
        with open(descriptors[0], "rb") as stream:
            ended = _answer(asked, stream, channel)
        _send(channel, b"D", json.dumps({**ended, "last": _has_grown()}).encode())
        if _has_grown():
            return


def _request(channel: socket.socket) -> tuple[bytes, list[int]]:
    line, descriptors, _, _ = socket.recv_fds(channel, 65536, 4)
    while line and not line.endswith(b"\n"):
        more = channel.recv(65536)
        if not more:
            return b"", descriptors
        line += more
    return line, descriptors


def _answer(asked: dict[str, Any], stream: Any, channel: socket.socket) -> dict[str, Any]:
    limits = ExtractLimits(**asked["limits"])
    source = Source(
        stream, asked["filename"], asked["content_type"], limits, asked["charset"], asked["archives"]
    )
    _bound(limits)
    try:
        try:
            registry = Registry(pickle.loads(b64decode(asked["extractors"]))) if asked["extractors"] else None
            state, note, error = read(source, registry, lambda text: _hand_on(channel, text))
        finally:
            _unbound()
    except (Bound, MemoryError) as met:  # in the last moment
        state, note, error = "partial", str(met) or "out of memory", None
    except Exception as wrong:
        state, note, error = "none", None, f"an extractor cannot be imported: {wrong}"
    return {
        "state": state,
        "note": note,
        "error": error,
        "content_type": source.content_type,
        "members": source.log.members,
    }


def _hand_on(channel: socket.socket, text: str) -> None:
    _send(channel, b"T", text.encode())
    if _Clock.is_up:
        raise Bound(_LATE)


def _send(channel: socket.socket, letter: bytes, payload: bytes) -> None:
    channel.sendall(FRAME.pack(letter, len(payload)) + payload)


class _Clock:
    """The CPU seconds of a file: when they are up the piece at hand may end, soon after none may."""

    seconds = 0.0
    is_up = False

    @classmethod
    def start(cls, seconds: float) -> None:
        """Let the time of a file begin."""
        cls.seconds, cls.is_up = seconds, False
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_VIRTUAL, 1.3 * seconds + _GRACE_SECONDS)  # by default it ends us

    @classmethod
    def strike(cls, *_: object) -> None:
        """Note that the time is up; raise `Bound` the second time."""
        if cls.is_up:
            raise Bound(_LATE)
        cls.is_up = True
        signal.setitimer(signal.ITIMER_PROF, 0.15 * cls.seconds + 0.1)


def _bound(limits: ExtractLimits) -> None:
    """Set the bounds of one file."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = ceil(used.ru_utime + used.ru_stime + 1.3 * limits.seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
    if sys.platform.startswith("linux"):  # elsewhere the bound is not kept, or counts what is shared
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory, resource.RLIM_INFINITY))
    _Clock.start(limits.seconds)


def _unbound() -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    if sys.platform.startswith("linux"):
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _has_grown() -> bool:
    """Return whether this process once held so much memory that another is better for the next file."""
    return _peak_bytes() > _RECYCLED_BYTES


def _peak_bytes() -> int:
    """Return the most memory that this process has held.

    ``ru_maxrss`` counts the parent's at the fork, too: a large program would start a process for every file.
    Linux' own count begins with this program.
    """
    try:
        with open("/proc/self/status", "rb") as status:
            found = next(line for line in status if line.startswith(b"VmHWM:"))
        return int(found.split()[1]) * 1024
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
