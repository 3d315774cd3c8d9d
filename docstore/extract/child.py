"""The process that reads files, one at a time, within bounds of CPU time and memory.

Started by `process` with a socket, ends when that is closed. A request is one JSON line with the file's
descriptor beside it. Answers are frames: a letter, a length, UTF-8. `T` is a piece of text, `D` (JSON) how it
ended.
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
from docstore.extract.dispatch import read
from docstore.extract.registry import Registry

__all__ = ["FRAME", "main"]

FRAME = struct.Struct("<cI")
_GRACE_SECONDS = 0.25  # a library that does not return to Python by then is killed
_RECYCLED_BYTES = 384 * 1024 * 1024
_FILES = 2000


def main(descriptor: int) -> None:
    """Serve requests until the socket is closed, or this process has grown."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    signal.signal(signal.SIGPROF, _out_of_time)
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
            state, note, error = read(source, registry, lambda text: _send(channel, b"T", text.encode()))
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


def _send(channel: socket.socket, letter: bytes, payload: bytes) -> None:
    channel.sendall(FRAME.pack(letter, len(payload)) + payload)


def _out_of_time(*_: object) -> None:
    raise Bound("cut where its time was up")


def _bound(limits: ExtractLimits) -> None:
    """Set the bounds: a signal that Python turns into `Bound`, a later one that kills, and the memory."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = used.ru_utime + used.ru_stime + limits.seconds
    resource.setrlimit(resource.RLIMIT_CPU, (ceil(seconds) + 1, resource.RLIM_INFINITY))  # whole seconds
    if sys.platform.startswith("linux"):  # elsewhere the bound is not kept, or counts what is shared
        resource.setrlimit(resource.RLIMIT_AS, (limits.memory, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_PROF, limits.seconds)
    signal.setitimer(signal.ITIMER_VIRTUAL, 1.05 * limits.seconds + _GRACE_SECONDS)  # by default it ends us


def _unbound() -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    if sys.platform.startswith("linux"):
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _has_grown() -> bool:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit > _RECYCLED_BYTES
