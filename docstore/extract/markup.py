"""XML: the parser of all formats made of it, without entities or anything fetched, and plain XML's text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import unescape
from html.entities import html5
from pyexpat import ExpatError, ParserCreate
from typing import Any

from docstore.extract.base import ExtractionError, Source
from docstore.extract.decode import text_chunks
from docstore.extract.text import batched

__all__ = ["XmlHandler", "parse_xml", "xml_text"]

_TAG = re.compile(r"<!--.*?-->|<!\[CDATA\[|\]\]>|<[^>]*(?:>|\Z)", re.DOTALL)
_DECLARATION = re.compile(r"\ufeff?\s*<\?xml[^>]*\?>")
_ENTITY_CHARACTERS = 4096
_HIDDEN = frozenset({"script", "style", "metadata"})  # of SVG


class XmlHandler:
    """A walker over XML; what it finds it keeps in `found` until it is taken."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Enter an element; its name is `namespace name`, or the name alone."""

    def end(self, name: str) -> None:
        """Leave an element."""

    def data(self, text: str) -> None:
        """Meet text."""

    def finish(self) -> None:
        """Keep what is still held back, at the end."""

    def take(self) -> str:
        """Return what was found since the last call."""
        text = "".join(self.found)
        self.found.clear()
        return text


def parse_xml(
    chunks: Iterable[str], handler: XmlHandler, source: Source, what: str, *, is_free: bool = False
) -> Iterator[str]:
    """Walk XML and yield what the handler found, piece by piece.

    Of malformed XML the text outside of tags is yielded from there on.

    Arguments:
        chunks: the file, decoded.
        handler: the walker.
        source: gets the notes of what was lost.
        what: the part's name, for the notes.
        is_free: whether any XML is meant: names stand as they are written, with their prefix, and the file
            may declare entities, of which those of plain text are read and others left out.

    Raises:
        ExtractionError: it declares entities, and may not.
    """
    parser = _parser(handler, source, what, is_free)
    fed, rest = 0, iter(chunks)
    for chunk in rest:
        text = chunk if fed else _without_declaration(chunk)
        data = text.encode("utf-8", "replace")
        try:
            parser.Parse(data)
        except ExpatError as wrong:
            parser.buffer_text = False  # hands on what it holds
            at = _before_tag(data, max(0, min(parser.ErrorByteIndex - fed, len(data))))
            yield from _malformed(
                handler, source, f"{what}: {wrong}", data[at:].decode("utf-8", "replace"), rest
            )
            return
        fed += len(data)
        piece = handler.take()
        if piece:
            yield piece
    try:
        parser.Parse(b"", True)
    except ExpatError as wrong:
        yield from _malformed(handler, source, f"{what}: {wrong}", "", rest)
    else:
        handler.finish()
        yield handler.take()


def _without_declaration(text: str) -> str:
    """Return XML without the declaration of its encoding, which was decoded already."""
    match = _DECLARATION.match(text)
    return text[match.end() if match else 0 :].lstrip("\ufeff \t\r\n")


def _before_tag(data: bytes, at: int) -> int:
    """Return where the tag begins that `at` is in, else `at`."""
    opened = data.rfind(b"<", 0, at)
    return opened if opened > data.rfind(b">", 0, at) else at


def _parser(handler: XmlHandler, source: Source, what: str, is_free: bool) -> Any:
    values: dict[str, str] = {}

    def declare(name: str, is_parameter: bool, value: str | None, *rest: Any) -> None:
        if not is_free:
            raise ExtractionError(f"{what} declares entities, which is refused")
        if value is not None and len(value) <= _ENTITY_CHARACTERS and not set(value) & {"&", "<"}:
            values.setdefault(name, value)

    def refer(name: str, is_parameter: bool) -> None:
        value = values.get(name, html5.get(f"{name};"))
        if is_parameter:
            return
        if value is None:
            source.lost(f"a part of the file could not be read: {what}: the entity {name!r}")
        handler.data(value or " ")

    def external(context: str | None, *_: Any) -> int:
        if context is not None:  # None: an external DTD, of which nothing is wanted
            source.lost(f"a part of the file could not be read: {what}: an external entity is not fetched")
        return 1

    parser: Any = ParserCreate(namespace_separator=None if is_free else " ")
    parser.buffer_text = True
    parser.StartElementHandler = handler.start
    parser.EndElementHandler = handler.end
    parser.CharacterDataHandler = handler.data
    parser.EntityDeclHandler = declare
    parser.SkippedEntityHandler = refer
    parser.DefaultHandler = lambda data: None  # where there is one expat hands on entities unexpanded
    parser.ExternalEntityRefHandler = external
    parser.UseForeignDTD(True)  # so that a name without a declaration (&nbsp;) is no error
    return parser


def _malformed(
    handler: XmlHandler, source: Source, reason: str, text: str, rest: Iterator[str]
) -> Iterator[str]:
    """Yield what the handler found before, and from there on what stands outside of tags."""
    source.lost(f"a part of the file could not be read: {reason}")
    handler.finish()
    yield handler.take()
    held = text
    for chunk in (*rest, ""):
        end = held.rfind("<")
        ready, held = (
            (held, "") if not chunk or end < 0 or len(held) - end > 1 << 20 else (held[:end], held[end:])
        )
        yield unescape(_TAG.sub(" ", ready))
        held += chunk
    yield unescape(_TAG.sub(" ", held))


class _Text(XmlHandler):
    """Text nodes, a line each; what stands within a sentence (`Hel<b>lo</b>`) parts no word."""

    def __init__(self) -> None:
        super().__init__()
        self._has_text = [False]
        self._hidden = 0
        self._is_svg: bool | None = None
        self._needs_break = False
        self._was_end = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Begin a line, unless there is text before the element in the one around it."""
        local = name.rpartition(":")[2]
        self._is_svg = local == "svg" if self._is_svg is None else self._is_svg
        self._hidden += self._hidden > 0 or (self._is_svg and local in _HIDDEN)
        if not self._has_text[-1]:
            self._needs_break, self._was_end = True, False
        self._has_text.append(False)

    def end(self, name: str) -> None:
        """End a line, unless there is text beside the element in the one around it."""
        self._hidden -= self._hidden > 0
        had_text = self._has_text.pop()
        if not self._has_text:
            self._has_text.append(False)
        if had_text and not self._has_text[-1]:
            self._needs_break, self._was_end = True, True

    def data(self, text: str) -> None:
        """Keep text; right behind an element's end it goes on with that element's line."""
        if self._hidden:
            return
        if text.isspace():
            if self._has_text[-1] and not self._needs_break:
                self.found.append(text)
            self._was_end = False
            return
        if self._needs_break:
            goes_on = self._was_end and not text[0].isspace()
            self.found.append("" if goes_on else "\n")
            self._needs_break = False
        self._has_text[-1] = True
        self.found.append(text)


def xml_text(source: Source) -> Iterator[str]:
    """Yield the text nodes of XML or SVG, entities decoded, without tags, attributes and comments.

    Raises:
        ExtractionError: the bytes are not text.
    """
    pieces = parse_xml(text_chunks(source), _Text(), source, source.filename or "XML", is_free=True)
    return batched(_without_lead(pieces))


def _without_lead(pieces: Iterator[str]) -> Iterator[str]:
    leading = True
    for piece in pieces:
        text = piece.lstrip() if leading else piece
        leading = leading and not text
        yield text
