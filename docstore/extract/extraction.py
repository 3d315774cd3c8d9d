"""`extract`, the one entry point: the text of a file, read in a child process within limits.

The child is started when needed, reused, and replaced if it died. :mod:`docstore.extract.child` is its side.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from docstore.errors import shown
from docstore.extract.base import Extracted, ExtractionError, ExtractLimits, Member, Source, State
from docstore.extract.dispatch import Registry, builtin, read
from docstore.mediatypes import content_type_of

if TYPE_CHECKING:
    from docstore.models import Document

__all__ = [
    "ChildAnswer",
    "ask",
    "close_idle",
    "completion_of",
    "extract",
]

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
# A letter for the kind, and the length as four bytes, little-endian: `child.FRAME`.
_FRAME_BYTES = 5
# Each idle child keeps its memory, and four serve as many threads without a start between files.
_MOST_IDLE = 4
# Bytes that are copied at once into the file that the child reads.
_COPIED = 1 << 20
_LIMITS = tuple(limit.name for limit in fields(ExtractLimits))  # asdict() copies, which takes 80 us
_MEMORY_FILE_BYTES = 8 * 1024 * 1024


class ChildAnswer:
    """A child's answer about a file.

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
# Held for moves in `_idle` only: a child is started and ended outside of it, which takes long.
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
            "limits": {name: getattr(limits, name) for name in _LIMITS},
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
    found = source if isinstance(source, (bytes, bytearray, memoryview)) else None
    # Where the system has files in memory, one takes 20 us, and one on disk 100.
    is_short = found is not None and len(found) <= _MEMORY_FILE_BYTES and hasattr(os, "memfd_create")
    with open(os.memfd_create("docstore"), "wb") if is_short else tempfile.TemporaryFile() as copy:
        if isinstance(source, (bytes, bytearray, memoryview)):
            copy.write(source)
        else:
            source.seek(0)
            while chunk := source.read(_COPIED):
                copy.write(chunk)
        copy.flush()
        yield copy.fileno()


_BUILTIN = builtin()


class OpensDocuments(Protocol):
    """The documents of a store, as far as their bytes are read."""

    def open(self, id: str) -> BinaryIO:
        """Open a document's bytes for reading."""


class HasDocuments(Protocol):
    """A store, as far as the bytes of its documents are read."""

    @property
    def documents(self) -> OpensDocuments:
        """The documents."""


def extract(
    source: bytes | str | os.PathLike[str] | BinaryIO,
    *,
    filename: str | None = None,
    content_type: str | None = None,
    limits: ExtractLimits | None = None,
    archives: bool = False,
    registry: Registry | None = None,
    in_process: bool = False,
) -> Extracted:
    """Read the text of a file.

    Arguments:
        source: the bytes, a path, or a seekable binary file object (left open, read from its beginning).
        filename: the name that says what it is; default: the path's own, else none.
        content_type: a MIME type, with `charset=` if you know the encoding; default: what `filename` stands
            for. The first bytes win where they contradict both.
        limits: bounds of CPU time, memory and characters; default `ExtractLimits()`.
        archives: read the members of archives and the attachments of mails, too; the text then has each
            behind its name, and `members` each by itself. Without it their names are the text.
        registry: the extractors to choose from; default the built-in ones.
        in_process: read in this process, where only the bound of characters holds; for tests.

    Returns:
        The text, at most `limits.characters` long, how much of the file's text that is, and why.

    Raises:
        ExtractionError: the reason why there is no text although there should be: not readable, encrypted,
            damaged, a library missing, a bound met before anything was read.
        TypeError: an argument is of another type.

    >>> extract(b"<p>Hello <b>world</b></p>", filename="a.html").text.strip()
    'Hello world'
    """
    if not isinstance(source, bytes | bytearray | str | os.PathLike) and not hasattr(source, "seek"):
        raise TypeError(f"source={shown(source)}: expected bytes, a path or a binary file that can seek")
    for option, value in (("filename", filename), ("content_type", content_type)):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{option}={shown(value)}: expected text or None")
    name = filename if filename is not None else _name(source)
    bounds = limits or ExtractLimits()
    charset = _charset(content_type)
    packed: str | None = ""
    if registry is not None:
        own = {key: one for key, one in registry.extractors.items() if _BUILTIN.find(key) is not one}
        packed = _packed(own)
    if in_process or packed is None:
        return _here(source, name, content_type or "", charset, bounds, archives, registry)
    answer = ask(
        source, filename=name, content_type=content_type or "", charset=charset, archives=archives,
        limits=bounds, extractors=packed,
    )  # fmt: skip
    return _extracted(answer, content_type or content_type_of(name))


def completion_of(
    store: HasDocuments,
    document: Document,
    *,
    limits: ExtractLimits | None = None,
    registry: Registry | None = None,
) -> dict[str, Any]:
    """Read the text of a document's bytes; a handler for `store.documents.process`.

    Arguments:
        store: where the document is.
        document: without bytes it has no text.
        limits: bounds of CPU time, memory and characters; default `ExtractLimits()`.
        registry: the extractors to choose from; default the built-in ones.

    Returns:
        What `complete` takes: `content` (None if there is no text), `content_state` and `content_note`.

    Raises:
        ExtractionError: there should be text, and is none.
        BlobError: the bytes are missing or damaged.
    """
    if document.sha256 is None:
        return {}
    with store.documents.open(document.id) as file:
        found = extract(
            file,
            filename=document.filename,
            content_type=document.content_type,
            limits=limits,
            registry=registry,
        )
    return {"content": found.text or None, "content_state": found.state, "content_note": found.note}


def _here(
    source: Any, name: str, content_type: str, charset: str | None, limits: ExtractLimits, archives: bool,
    registry: Registry | None,
) -> Extracted:  # fmt: skip
    opened = isinstance(source, (str, os.PathLike))
    try:
        stream = open(source, "rb") if opened else io.BytesIO(source) if _is_bytes(source) else source  # noqa: SIM115
    except OSError as wrong:
        raise ExtractionError(f"cannot read the file: {wrong.strerror or wrong}") from wrong
    made: list[str] = []
    read_from = Source(stream, name, content_type, limits, charset, archives)
    try:
        state, note, error = read(read_from, registry, made.append)
    finally:
        if opened:
            stream.close()
    if error is not None:
        raise ExtractionError(error)
    return _made("".join(made), state, note, read_from.content_type, read_from.log.members)


def _extracted(answer: ChildAnswer, content_type: str) -> Extracted:
    text = answer.text.decode("utf-8", "replace")
    answer.text = bytearray()
    ended = answer.ended
    if ended is None:
        if not text.strip():
            raise ExtractionError(f"nothing could be read: {answer.reason}")
        return Extracted(text, "partial", answer.reason, content_type)
    if ended["error"] is not None:
        raise ExtractionError(ended["error"])
    if ended["state"] == "partial" and not text.strip():
        raise ExtractionError(f"nothing could be read: {ended['note']}")
    return _made(text, ended["state"], ended["note"], ended["content_type"], ended["members"])


def _made(
    text: str, state: State, note: str | None, content_type: str, members: Iterable[Iterable[Any]]
) -> Extracted:
    inner = [
        Member(name, Extracted(text[first:last], cast(State, state), note, kind))
        for name, kind, state, note, first, last in members
    ]
    return Extracted(text if text.strip() or state != "none" else "", state, note, content_type, tuple(inner))


def _packed(extractors: dict[str, Any]) -> str | None:
    """Return extractors as text for a child; None if they are not functions at the top of a module."""
    if not extractors:
        return ""
    if any(getattr(one, "__module__", "__main__") == "__main__" for one in extractors.values()):
        return None
    try:
        return b64encode(pickle.dumps(extractors)).decode()
    # Functions of functions and lambdas: the caller runs them in its own process.
    except (pickle.PicklingError, AttributeError, TypeError):
        return None


def _charset(content_type: str | None) -> str | None:
    for parameter in (content_type or "").split(";")[1:]:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset":
            return value.strip().strip("\"'") or None
    return None


def _is_bytes(source: object) -> bool:
    return isinstance(source, (bytes, bytearray, memoryview))


def _name(source: object) -> str:
    return os.path.basename(os.fsdecode(source)) if isinstance(source, (str, os.PathLike)) else ""
