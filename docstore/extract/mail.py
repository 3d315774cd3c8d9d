"""Extractors of mail: one message (`.eml`), and mailboxes (`.mbox`)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from email import message_from_binary_file, message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.policy import compat32
from typing import Any

from docstore.extract.base import ExtractionError, Source
from docstore.extract.decode import decode
from docstore.extract.markup import html_pieces
from docstore.extract.tnef import TNEF
from docstore.mediatypes import ALIASES

__all__ = ["mail_text", "mailbox_text", "parts_of"]

_HEADERS = ("Subject", "From", "To", "Cc", "Date")
# Declared by programs that know nothing of the text: bytes above 0x7F contradict them.
_NO_CHARSET = frozenset(["us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit", "x-unknown", "binary"])
_UNSEEN = frozenset(("text/css", "text/javascript", "text/x-amp-html"))
_REPORTS = frozenset(("message/delivery-status", "message/disposition-notification"))
# Bounds mails that were made to be nested without end.
_DEPTH = 10
_BOUNDARY_WITHIN = 1 << 20  # bytes in which a boundary that is nowhere declared must stand twice
# A message of an mbox is parsed whole, in memory.
_MAIL_BYTES = 64 * 1024 * 1024


def mail_text(source: Source) -> Iterator[str]:
    """Yield the headers that a reader sees, the text of the message, and the names of its attachments."""
    source.stream.seek(0)
    yield from _message(message_from_binary_file(source.stream, policy=compat32), source)


def mailbox_text(source: Source) -> Iterator[str]:
    """Yield every message of a mailbox as `mail_text` does; one that cannot be read costs itself alone."""
    for number, found in enumerate(_messages(source), 1):
        try:
            yield from _message(message_from_bytes(found, policy=compat32), source)
        except Exception as wrong:
            source.lost(f"a part of the file could not be read: message {number}: {wrong}")
        yield "\n"


def _messages(source: Source) -> Iterator[bytes]:
    source.stream.seek(0)
    held: list[bytes] = []
    size = 0
    is_after_blank = True
    for line in source.stream:
        if is_after_blank and line.startswith(b"From "):
            if held:
                yield b"".join(held)
            held, size = [], 0
        elif size < _MAIL_BYTES:
            held.append(line[1:] if re.match(rb">+From ", line) else line)
            size += len(line)
        else:
            source.lost(f"a message was cut at {_MAIL_BYTES:,} bytes")
        is_after_blank = line in (b"\n", b"\r\n")
    if held:
        yield b"".join(held)


def _message(message: Message, source: Source, depth: int = 0) -> Iterator[str]:
    """Yield a message's headers, then its parts in order."""
    for name in _HEADERS:
        values = [_header(value) for value in message.get_all(name, [])]
        yield "".join(f"{name}: {value}\n" for value in values if value)
    yield "\n"
    yield from _part(message, source, depth)


def _part(part: Message, source: Source, depth: int) -> Iterator[str]:
    kind = part.get_content_type()
    filename = _filename(part)
    payload: Any = part.get_payload()
    if depth > _DEPTH:
        source.lost(f"a part of the file could not be read: mails within mails, more than {_DEPTH}")
    elif kind == "message/rfc822" and isinstance(payload, list):
        for inner in payload:
            yield from _message(_unpacked(part, inner), source, depth + 1)
    elif kind in _REPORTS and isinstance(payload, list):
        for inner in payload:
            yield "".join(f"{name}: {_header(value)}\n" for name, value in inner.items()) + "\n"
    elif isinstance(payload, list):
        chosen = _alternative(payload) if kind == "multipart/alternative" else payload
        for inner in chosen:
            yield from _part(inner, source, depth + 1)
    elif ALIASES.get(kind, kind) == TNEF:  # Outlook's winmail.dat
        yield from _outlook(part, filename, source)
    elif _is_attachment(part, filename):
        yield f"{filename or kind}\n"
    elif kind == "text/html":
        yield from html_pieces([decode(_bytes(part), _charset(part), kind)])
        yield "\n"
    elif part.get_content_maintype() == "multipart":
        yield from _unparted(part, source, depth)
    elif part.get_content_maintype() == "text" and kind not in _UNSEEN:
        yield _unflowed(part, decode(_bytes(part), _charset(part), kind)) + "\n"


def _outlook(part: Message, filename: str, source: Source) -> Iterator[str]:
    """Yield what Outlook packed beside or in place of a mail's text; damaged it costs itself alone."""
    try:
        yield from source.pieces(source.within(_bytes(part), filename, TNEF))
    except ExtractionError as wrong:
        source.lost(f"a part of the file could not be read: {filename}: {wrong.message}")


def _unparted(part: Message, source: Source, depth: int) -> Iterator[str]:
    """Yield the parts of a mail that declares another boundary than it has, or none; else its text."""
    found = _bytes(part)
    lines = (line.rstrip() for line in found[:_BOUNDARY_WITHIN].splitlines())
    names = Counter(line[2:].removesuffix(b"--") for line in lines if re.match(rb"--[^\s-]", line))
    boundary = next((name for name, count in names.items() if count > 1), None)
    if boundary is None:
        yield decode(found) + "\n"
        return
    head = b'Content-Type: multipart/mixed; boundary="' + boundary.replace(b'"', b'\\"') + b'"\n\n'
    made = message_from_bytes(head + found, policy=compat32)
    if not made.is_multipart():
        yield decode(found) + "\n"
        return
    yield decode((made.preamble or "").encode("ascii", "surrogateescape")) + "\n"
    yield from _part(made, source, depth + 1)


def _unpacked(part: Message, inner: Message) -> Message:
    """Return a message within a message, which some programs pack though they must not (RFC 2046, 5.2.1)."""
    packing = str(part.get("content-transfer-encoding", "")).strip().lower()
    if inner.keys() or packing not in ("base64", "quoted-printable"):
        return inner
    inner["Content-Transfer-Encoding"] = packing
    return message_from_bytes(_bytes(inner), policy=compat32)


def _unflowed(part: Message, text: str) -> str:
    """Join the lines of a paragraph that was sent as format=flowed (RFC 3676)."""
    if str(part.get_param("format", "")).lower() != "flowed":
        return text
    drops_blank = str(part.get_param("delsp", "")).lower() == "yes"
    made: list[str] = []
    before: str | None = None  # the quote marks of a line that goes on
    for line in text.splitlines():
        quotes = line[: len(line) - len(line.lstrip(">"))]
        rest = line[len(quotes) :].removeprefix(" ")
        goes_on = rest.endswith(" ") and rest != "-- "
        shown = rest[:-1] if goes_on and drops_blank else rest
        if before == quotes and rest != "-- ":
            made[-1] += shown
        else:
            made.append(f"{quotes} {shown}" if quotes else shown)
        before = quotes if goes_on else None
    return "\n".join(made) + "\n"


def parts_of(source: Source) -> Iterator[tuple[str, str, bytes]]:
    """Yield the attachments of a message: name, content type and bytes."""
    source.stream.seek(0)
    for part in message_from_binary_file(source.stream, policy=compat32).walk():
        filename = _filename(part)
        if not part.is_multipart() and _is_attachment(part, filename):
            yield filename or part.get_content_type(), part.get_content_type(), _bytes(part)


def _is_attachment(part: Message, filename: str) -> bool:
    """Tell whether a part is shown by its name alone; text is shown itself unless the mail says otherwise."""
    is_inline = part.get_content_disposition() != "attachment" and part.get_content_maintype() == "text"
    return (bool(filename) and not is_inline) or part.get_content_disposition() == "attachment"


def _alternative(parts: list[Message]) -> list[Message]:
    """Choose the plain text that says something, else the HTML, and keep what is neither."""
    texts = [part for part in parts if part.get_content_type() == "text/plain" and _bytes(part).strip()]
    if texts:
        return texts[:1]
    shown = [
        part for part in parts
        if part.get_content_type() == "text/html" or part.get_content_maintype() == "multipart"
    ]  # fmt: skip
    return shown[-1:] if shown else parts


def _filename(part: Message) -> str:
    name = part.get_param("filename", None, "content-disposition") or part.get_param("name")
    if isinstance(name, tuple):  # RFC 2231: charset, language, value
        charset, _, value = name
        return decode(value.encode("latin-1", "replace"), charset)
    return _header(name) if name else ""


def _charset(part: Message) -> str | None:
    found = part.get_param("charset")
    charset = found[2] if isinstance(found, tuple) else found
    return None if str(charset).strip().lower() in _NO_CHARSET else charset


def _bytes(part: Message) -> bytes:
    payload: Any = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _header(value: Any) -> str:
    """Decode a header: encoded words, and raw bytes, which the parser keeps as surrogates."""
    text = str(value) if isinstance(value, str) else _raw(value)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = decode(text.encode("utf-8", "surrogateescape"))
    try:
        parts = decode_header(text)
    # A broken encoded word is shown as it stands.
    except (HeaderParseError, ValueError):
        parts = [(text, None)]
    made = "".join(part if isinstance(part, str) else decode(part, charset) for part, charset in parts)
    return " ".join(made.split())


def _raw(value: Any) -> str:
    """Return the text of a header with raw bytes, which Python wraps into an object of its own."""
    return "".join(
        part if isinstance(part, str) else part.decode("utf-8", "surrogateescape")
        for part, _ in decode_header(value)
    )
