"""`extract`, the one entry point: the text of a file, read in a child process within limits."""

from __future__ import annotations

import io
import os
import pickle
from base64 import b64encode
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from docstore.extract.base import Extracted, ExtractionError, ExtractLimits, Member, Source, State
from docstore.extract.dispatch import read
from docstore.extract.process import ChildAnswer, ask
from docstore.extract.registry import Registry, builtin
from docstore.mediatypes import content_type_of

if TYPE_CHECKING:
    from docstore.models import Document

__all__ = ["completion_of", "extract"]

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

    >>> extract(b"<p>Hello <b>world</b></p>", filename="a.html").text.strip()
    'Hello world'
    """
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
