"""Dispatch: find out what a file is, choose its extractor, and read the files within it.

Runs in the child process (`child`), or in the caller's process if the caller asks for that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

from docstore.extract.base import Bound, ExtractionError, Log, Source, State
from docstore.extract.compressed import archive_members, inner_name, member_names, unpacked
from docstore.extract.decode import is_text
from docstore.extract.legacy import OLE, ole_type
from docstore.extract.mail import parts_of
from docstore.extract.ooxml import main_kind
from docstore.extract.registry import Registry, builtin
from docstore.mediatypes import (
    UNKNOWN,
    contradicts,
    declared_type,
    is_text_type,
    magic_type,
    settled_type,
)

__all__ = ["Outcome", "pieces", "read"]

_HEAD = 8192
_DEPTH = 4
_COMPRESSED_WORDS = (
    "application/gzip application/x-bzip2 application/x-xz application/x-lzma application/zstd"
)
_COMPRESSED = frozenset(_COMPRESSED_WORDS.split())
_ARCHIVES = frozenset(("application/zip", "application/x-tar", "application/java-archive"))
_MAILS = frozenset(("message/rfc822", "application/mbox"))
_BINARY = re.compile(
    "application/(?:pdf|zip|msword|vnd|x-ole|gzip|x-bzip2|x-xz|zstd|epub|x-tar|java-archive)|image/(?!svg|x-)|audio/|video/"
)
_SURROGATES = re.compile("[\ud800-\udfff\0]")
_HEADER = re.compile(
    rb"(?:Return-Path|Received|Delivered-To|MIME-Version|Message-ID|From|To|Subject|Date|Reply-To|Sender|"
    rb"Content-Type|X-[\w-]+|DKIM-Signature|List-Id|Cc|In-Reply-To|References):[ \t]*\S",
    re.IGNORECASE,
)
_BUILTIN = builtin()

Outcome = tuple[State, str | None, str | None]
"""State, note, and the reason why there is no text where there should be some."""


def read(source: Source, registry: Registry | None, emit: Callable[[str], object]) -> Outcome:
    """Read a file and hand on its text piece by piece, each as soon as it is there.

    Whatever an extractor or a library below it raises becomes a note, or the reason why there is no text.
    """
    log, limit = source.log, source.limits.characters
    has_text = False
    reason = None
    try:
        for piece in pieces(source, registry):
            text = _SURROGATES.sub("\ufffd", piece)
            room = limit - log.characters
            has_text = has_text or (not text[:room].isspace() and bool(text))
            emit(text[:room])
            log.characters += min(len(text), room)
            if len(text) > room:
                source.lost(f"cut at {limit:,} characters")
                break
    except ExtractionError as wrong:
        reason = wrong.message
    except Bound as met:
        source.lost(str(met))
    except MemoryError:
        source.lost(f"cut where it took more than {source.limits.memory:,} bytes of memory")
    except OSError as wrong:
        reason = f"cannot read the file: {wrong.strerror or wrong}"
    except Exception as wrong:  # a library's own: whatever it is, it is this file's reason
        said = " ".join(str(wrong).split())[:300]
        reason = (
            f"cannot read as {source.content_type}; damaged or truncated? ({type(wrong).__name__}: {said})"
        )
    return outcome(log, has_text, reason)


def outcome(log: Log, has_text: bool, reason: str | None) -> Outcome:
    """Return the state that follows from what was found out."""
    if has_text:
        if reason is not None:
            log.is_partial = True
            log.remark(f"a part of the file could not be read: {reason}")
        return ("partial" if log.is_partial else "complete"), "; ".join(log.notes) or None, None
    if reason is None and log.is_partial:
        reason = f"nothing could be read: {'; '.join(log.notes)}"
    return "none", "; ".join(log.notes) or "no text in the file", reason


def pieces(source: Source, registry: Registry | None = None) -> Iterator[str]:
    """Yield the text of a file in pieces, by the extractor for what it is.

    Raises:
        ExtractionError: there is no text where there should be some.
    """
    source.pieces = pieces
    kind = source.content_type = _kind(source)
    if not source.head(1):
        source.remark("the file is empty (0 bytes)")
        return
    extractor = registry.find(kind) if registry is not None else None
    if extractor is not None and extractor is not _BUILTIN.find(kind):
        yield from _yielded(extractor(source))
    elif kind in _COMPRESSED:
        yield from _through(source, registry)
    elif kind in _ARCHIVES:
        yield from _archive(source, registry) if source.archives else member_names(source)
    else:
        yield from _single(source, kind, registry or _BUILTIN)
        if source.archives and kind in _MAILS and source.depth < _DEPTH:
            for name, content_type, found in parts_of(source):
                yield from _member(source, name, found, content_type, registry)


def _single(source: Source, kind: str, registry: Registry) -> Iterator[str]:
    extractor = registry.find(kind)
    if extractor is None:
        source.remark(_unread(kind))
    elif is_text_type(kind) and not is_text(source.head(_HEAD), source.charset):
        source.remark("no text in the file: its bytes are binary")
    else:
        yield from _yielded(extractor(source))


def _yielded(text: str | Iterable[str]) -> Iterable[str]:
    return [text] if isinstance(text, str) else text


def _unread(kind: str) -> str:
    family = kind.partition("/")[0]
    if family in ("image", "audio", "video", "font") or kind in (UNKNOWN, OLE):
        return f"no text in this kind of file ({kind})"
    return f"no extractor for {kind}; add one by Registry.register({kind!r}, …) and give extract(registry=)"


def _through(source: Source, registry: Registry | None) -> Iterator[str]:
    """Read a compressed file as what it holds."""
    if source.depth >= _DEPTH:
        source.lost("compressed more than four times over")
        return
    with unpacked(source) as stream:
        yield from pieces(source.within(stream, inner_name(source.filename)), registry)


def _archive(source: Source, registry: Registry | None) -> Iterator[str]:
    """Yield the names of an archive's members, each with its text behind."""
    for name, open_member in archive_members(source):
        yield f"{name}\n"
        if source.depth >= _DEPTH:
            source.lost("archives more than four times within one another")
            continue
        stream = open_member()
        if stream is None:
            source.lost(f"a part of the file could not be read: {name}")
            continue
        with stream:
            yield from _member(source, name, stream, None, registry)


def _member(
    source: Source, name: str, found: bytes | BinaryIO, content_type: str | None, registry: Registry | None
) -> Iterator[str]:
    """Yield the text of a file within a file, and note it as a member; a bad one costs itself alone."""
    inner = source.within(found, name, content_type or "")
    log = inner.log = Log(characters=source.log.characters)
    first = source.log.characters
    has_text, reason = False, None
    try:
        for piece in pieces(inner, registry):
            has_text = has_text or (not piece.isspace() and bool(piece))
            yield piece
    except ExtractionError as wrong:
        reason = wrong.message
    except Exception as wrong:
        reason = f"{type(wrong).__name__}: {wrong}"
    state, note, failure = outcome(log, has_text, reason)
    source.log.members.append(
        (name, inner.content_type, state, failure or note, first, source.log.characters)
    )
    if failure is not None or log.is_partial:
        source.lost(f"a part of the file could not be read: {name}: {failure or note}")
    yield "\n"


def _kind(source: Source) -> str:
    """Decide what a file is: what is declared, its name, its first bytes, and what stands in it."""
    head = source.head(_HEAD)
    kind = settled_type(source.content_type, source.filename, head).partition(";")[0].strip().lower()
    magic = magic_type(head)
    if magic is not None and magic.startswith("application/") and head[:2] == b"PK":
        return _zip_kind(source, kind)
    if magic == "application/x-ole-storage" and (kind == magic or _BINARY.match(kind)):
        found = ole_type(source)
        return found if found != OLE else (kind if kind != magic else OLE)
    if magic is not None:
        return kind
    if b"%PDF-" in head[:1024] and kind == "application/pdf":
        return kind
    silent = declared_type(source.content_type, source.filename) == UNKNOWN
    if (silent or _BINARY.match(kind)) and head and is_text(head, source.charset):
        return _text_kind(head, kind)
    return kind


def _zip_kind(source: Source, kind: str) -> str:
    """Look into a zip where it is not clear what is in it."""
    if kind != "application/zip" and not contradicts(kind, "application/zip") and kind in _BUILTIN.extractors:
        return kind
    return main_kind(source) or (kind if kind in _BUILTIN.extractors else "application/zip")


def _text_kind(head: bytes, told: str) -> str:
    """Name what text is whose name says nothing, or lies."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = head.decode("utf-16", "replace").lstrip("\ufeff \t\r\n").encode()
    lower = text[:2048].lower()
    if lower.startswith((b"<?xml", b"<svg", b"<!doctype svg")):
        if b"<html" in lower:
            return "application/xhtml+xml"
        if b"<svg" in lower:
            return "image/svg+xml"
        if b"office:document" in lower:
            return "application/vnd.oasis.opendocument.text-flat-xml"
        return "text/xml"
    if re.match(
        rb"(?:<!--.*?-->\s*)*<(?:!doctype html|html|head|body|table|meta|title|script|div|p|style)\b",
        lower,
        re.DOTALL,
    ):
        return "text/html"
    if re.match(rb'\{\s*["}]|\[\s*[\[{"\]]', text):
        is_notebook = b'"nbformat"' in text or (b'"cells"' in text and b'"cell_type"' in text)
        return "application/x-ipynb+json" if is_notebook else "application/json"
    if lower.startswith(b"begin:vcard"):
        return "text/vcard"
    if lower.startswith(b"begin:vcalendar"):
        return "text/calendar"
    lines = text.split(b"\n", 12)
    if len([line for line in lines[:12] if _HEADER.match(line)]) >= 2 and (
        _HEADER.match(lines[0]) or lines[0].startswith(b"From ")
    ):
        return "application/mbox" if lines[0].startswith(b"From ") else "message/rfc822"
    if "excel" in told or "spreadsheet" in told:
        return "text/csv"
    is_plausible = told in (UNKNOWN, "application/msword", "application/rtf")  # README.doc of old
    return "text/plain" if is_plausible else told
