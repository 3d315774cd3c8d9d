"""Dispatch: find out what a file is, choose its extractor from the registry, and read the files within it.

Runs in the child process (`child`), or in the caller's process if the caller asks for that.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from docstore.errors import shown
from docstore.extract.archives import archive_members, inner_name, member_names, unpacked
from docstore.extract.base import Bound, ExtractionError, Extractor, Log, Source, State
from docstore.extract.decode import is_text
from docstore.extract.legacy import OLE, legacy_text, ole_type, rtf_text
from docstore.extract.mail import mail_text, mailbox_text, parts_of
from docstore.extract.markup import html_text, xml_text
from docstore.extract.ooxml import main_kind, office_text
from docstore.extract.opendocument import epub_text, flat_text, opendocument_text
from docstore.extract.pdf import pdf_text
from docstore.extract.text import card_text, csv_rows, json_text, notebook_text, plain
from docstore.extract.tnef import TNEF, tnef_attachments, tnef_text
from docstore.mediatypes import (
    UNKNOWN,
    contradicts,
    declared_type,
    is_text_type,
    magic_type,
    settled_type,
)

__all__ = [
    "Outcome",
    "Registry",
    "bare_type",
    "builtin",
    "has_attachments",
    "has_reader",
    "kind_of",
    "pieces",
    "read",
]

_OOXML = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."
_READ: tuple[tuple[Extractor, str], ...] = (
    (plain, "text/*"),
    (html_text, "text/html application/xhtml+xml"),
    (csv_rows, "text/csv text/tab-separated-values"),
    (json_text, "application/json application/x-ndjson *+json"),
    (xml_text, "text/xml application/xml *+xml"),
    (card_text, "text/vcard text/calendar"),
    (notebook_text, "application/x-ipynb+json"),
    (mail_text, "message/rfc822"),
    (mailbox_text, "application/mbox"),
    (tnef_text, TNEF),
    (pdf_text, "application/pdf"),
    (rtf_text, "application/rtf"),
    (epub_text, "application/epub+zip"),
    (
        office_text,
        f"{_OOXML}wordprocessingml.document {_OOXML}wordprocessingml.template {_OOXML}spreadsheetml.sheet "
        f"{_OOXML}spreadsheetml.template {_OOXML}presentationml.presentation {_OOXML}presentationml.template "
        f"{_OOXML}presentationml.slideshow "
        "application/vnd.ms-word.document.macroenabled.12 application/vnd.ms-word.template.macroenabled.12 "
        "application/vnd.ms-excel.sheet.macroenabled.12 application/vnd.ms-excel.template.macroenabled.12 "
        "application/vnd.ms-excel.addin.macroenabled.12 "
        "application/vnd.ms-powerpoint.presentation.macroenabled.12 "
        "application/vnd.ms-powerpoint.slideshow.macroenabled.12 "
        "application/vnd.ms-powerpoint.template.macroenabled.12",
    ),
    (
        opendocument_text,
        " ".join(
            f"{_ODF}{kind}"
            for kind in [
                "text",
                "text-template",
                "text-master",
                "text-web",
                "spreadsheet",
                "spreadsheet-template",
                "presentation",
                "presentation-template",
                "graphics",
                "graphics-template",
                "chart",
                "formula",
            ]
        ),
    ),
    (flat_text, f"{_ODF}text-flat-xml {_ODF}spreadsheet-flat-xml {_ODF}presentation-flat-xml"),
    (
        legacy_text,
        "application/msword application/vnd.ms-excel application/vnd.ms-powerpoint "
        "application/vnd.ms-outlook application/vnd.ms-excel.sheet.binary.macroenabled.12",
    ),
    (
        plain,
        "application/yaml application/x-yaml application/toml application/javascript "
        "application/x-javascript application/x-sh application/sql application/graphql "
        "application/x-pem-file application/postscript application/xml-dtd",
    ),
)


@dataclass(slots=True)
class Registry:
    """Extractors by content type.

    A name is a whole MIME type (`application/pdf`), a family (`text/*`) or a suffix (`*+json`); they
    are asked in this order.
    """

    extractors: dict[str, Extractor] = field(default_factory=dict)

    def register(self, content_type: str, extractor: Extractor) -> None:
        """Let an extractor read a content type; it takes the place of the one before it.

        Arguments:
            content_type: `application/pdf`, `text/*` or `*+json`; case does not count.
            extractor: called with one `Source`. A function at the top of a module runs in the child process
                as the built-in ones do; any other runs in this process, unbounded.

        Raises:
            ValueError: a content type without `/` or `+`.
        """
        if "/" not in content_type and not content_type.startswith("*+"):
            raise ValueError(
                f"content type {shown(content_type)}: expected a MIME type, 'text/*' or '*+json'"
            )
        self.extractors[content_type.lower()] = extractor

    def find(self, content_type: str) -> Extractor | None:
        """Return the extractor of a content type (parameters and case do not count), or None."""
        bare = bare_type(content_type)
        names = (bare, f"*+{bare.rpartition('+')[2]}" if "+" in bare else "", f"{bare.partition('/')[0]}/*")
        return next((self.extractors[name] for name in names if name in self.extractors), None)


def builtin() -> Registry:
    """Build a registry of all extractors that come with docstore; change it as you like.

    PDF and the old binary Office formats need the extra `extract`; without it their extractors raise an
    `ExtractionError` that names the command to install it.
    """
    return Registry({name: extractor for extractor, names in _READ for name in names.split()})


def bare_type(content_type: str) -> str:
    """Return a MIME type in lower case, without parameters."""
    return content_type.partition(";")[0].strip().lower()


# As many bytes as the decoder samples: both judge the same beginning.
_HEAD = 8192
# A file within a file within … : bounds archives that contain themselves.
_DEPTH = 4
_COMPRESSED_WORDS = (
    "application/gzip application/x-bzip2 application/x-xz application/x-lzma application/zstd"
)
_COMPRESSED = frozenset(_COMPRESSED_WORDS.split())
_ARCHIVES = frozenset(("application/zip", "application/x-tar", "application/java-archive"))
# How the attachments of a message are found: name, declared type and bytes of each.
_ATTACHMENTS: dict[str, Callable[[Source], Iterable[tuple[str, str | None, bytes]]]] = {
    "message/rfc822": parts_of,
    "application/mbox": parts_of,
    TNEF: tnef_attachments,
}
_BINARY = re.compile(
    "application/(?:pdf|zip|msword|vnd|x-ole|gzip|x-bzip2|x-xz|zstd|epub|x-tar|java-archive)|image/(?!svg|x-)|audio/|video/"
)
# What no stored text may have: a lone surrogate, and NUL.
_SURROGATES = re.compile("[\ud800-\udfff\0]")
_HEADER = re.compile(
    rb"(?:Return-Path|Received|Delivered-To|MIME-Version|Message-ID|From|To|Subject|Date|Reply-To|Sender|"
    rb"Content-Type|X-[\w-]+|DKIM-Signature|List-Id|Cc|In-Reply-To|References):[ \t]*\S",
    re.IGNORECASE,
)
_BUILTIN = builtin()

# State, note, and the reason why there is no text where there should be some.
Outcome = tuple[State, str | None, str | None]


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
    kind = source.content_type = kind_of(source)
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
        if source.archives and kind in _ATTACHMENTS and source.depth < _DEPTH:
            for name, content_type, found in _ATTACHMENTS[kind](source):
                yield from _member(source, name, found, content_type, registry)


def _single(source: Source, kind: str, registry: Registry) -> Iterator[str]:
    extractor = registry.find(kind)
    if extractor is None:
        source.remark(_unread(kind))
    elif is_text_type(kind) and not is_text(source.head(_HEAD), source.charset):
        source.remark("no text in the file: its bytes are binary")
    else:
        yield from _yielded(extractor(source))


def has_attachments(kind: str) -> bool:
    """Tell whether files of this type are messages, which can have files attached."""
    return kind in _ATTACHMENTS


def has_reader(kind: str) -> bool:
    """Tell whether files of this type are opened at all: by an extractor, or to look for others in them."""
    return _BUILTIN.find(kind) is not None or kind in _COMPRESSED or kind in _ARCHIVES


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


def kind_of(source: Source) -> str:
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
        # Atomic: comments can be parted in 2^n ways.
        rb"(?>(?:<!--.*?-->\s*)*)<(?:!doctype html|html|head|body|table|meta|title|script|div|p|style)\b",
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
    if told == "application/pdf" and re.search(rb"\bobj\b|\bxref\b", head):
        return told  # one without its header: damaged, not plain text
    is_plausible = told in (UNKNOWN, "application/msword", "application/rtf")  # README.doc of old
    return "text/plain" if is_plausible or _is_utf8(head) else told


def _is_utf8(head: bytes) -> bool:
    """Tell whether the first bytes of a file are UTF-8; the last character may be cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
