"""XML and HTML: one parser for all formats made of XML, plain XML's text, and the words of a web page.

The parser of XML has no entities and fetches nothing. HTML is read by the standard library's tokenizer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import unescape
from html.entities import html5
from html.parser import HTMLParser
from pyexpat import ExpatError, ParserCreate
from typing import Any

from docstore.extract.base import ExtractionError, Source
from docstore.extract.decode import text_chunks
from docstore.extract.text import batched

__all__ = [
    "XmlHandler",
    "html_pieces",
    "html_text",
    "parse_xml",
    "xml_text",
]

_TAG = re.compile(r"<!\[CDATA\[|\]\]>|<[^>]*(?:>|\Z)", re.DOTALL)
_COMMENT = re.compile("<!--.*?-->", re.DOTALL)
_DECLARATION = re.compile(r"\ufeff?\s*<\?xml[^>]*\?>")
# A longer entity, or one made of others, is how a small file becomes gigabytes (billion laughs).
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
        yield _outside_tags(ready)
        held += chunk
    yield _outside_tags(held)


def _outside_tags(text: str) -> str:
    ended = text.rfind("-->") + 3 if "-->" in text else 0  # a search for what never comes, at each comment
    return unescape(_TAG.sub(" ", _COMMENT.sub(" ", text[:ended]) + text[ended:]))


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


_UNSEEN = frozenset({"script", "style", "template"})
_BLOCK_TAGS = (
    "address article aside blockquote br caption center dd details div dl dt fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 head header hr legend li main nav ol option p pre section select "
    "summary table tbody tfoot thead title tr ul"
)
_BLOCKS = frozenset(_BLOCK_TAGS.split())
_CELLS = frozenset({"td", "th"})
# The parser looks for a tag's end from its beginning in each feed: small steps keep that short.
_STEP = 64 * 1024
# Longer than any tag with an embedded picture; what nothing ends must not be held for ever.
_LONGEST_TAG = 1 << 20
_COMMENT_END = re.compile("--!?>")
_TAGS = re.compile("<[^>]*>?")
# Runs of blanks are one, as a browser shows them; so are empty lines.
_BLANKS = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n[ \n]*")


class _HtmlReader(HTMLParser):
    """Collects text, a line for each block, without what is never shown."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.hidden: list[str] = []
        self.verbatim = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a new line, a cell, a hidden part, or the words of a picture."""
        if tag in _UNSEEN:
            self.hidden.append(tag)
        self.verbatim += tag == "pre"
        self._part(tag)
        if tag == "img":
            self.handle_data(" ".join(value for name, value in attrs if name == "alt" and value))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Treat `<x/>` as `<x>`, but never as the start of a hidden part that nothing ends."""
        if tag not in _UNSEEN:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """Note the end of a block or a hidden part."""
        if self.hidden and tag == self.hidden[-1]:
            self.hidden.pop()
        self.verbatim = max(self.verbatim - (tag == "pre"), 0)
        self._part(tag)

    def handle_data(self, data: str) -> None:
        """Keep text that is shown."""
        if not self.hidden:
            self.found.append(data if self.verbatim else data.replace("\n", " "))

    def _part(self, tag: str) -> None:
        if not self.hidden and tag in _BLOCKS:
            self.found.append("\n")
        elif not self.hidden and tag in _CELLS:
            self.found.append(" ")

    def take(self) -> str:
        """Return what was collected since the last call."""
        text = "".join(self.found)
        self.found.clear()
        return text


def html_text(source: Source) -> Iterator[str]:
    """Yield the visible text of an HTML page: title, text and alternative texts of pictures, a block a line.

    Raises:
        ExtractionError: the bytes are not text.
    """
    return html_pieces(text_chunks(source))


def html_pieces(chunks: Iterable[str]) -> Iterator[str]:
    """Yield the visible text of HTML that comes in pieces."""
    reader = _HtmlReader()
    held = ""
    for chunk in chunks:
        for at in range(0, len(chunk), _STEP):
            held = _unfinished(reader, held + chunk[at : at + _STEP])
            piece = _tidy(reader.take())
            if piece:
                yield piece
    yield _tidy(reader.take() + ("" if reader.hidden else _rest(reader.rawdata)))


def _unfinished(reader: _HtmlReader, text: str) -> str:
    """Feed the tokenizer, but never what it would only hold and search again with every piece.

    Returns:
        What is to be fed together with the next piece: the end of a script or comment that goes on.
    """
    while text:
        rest = reader.rawdata
        if reader.cdata_elem is not None:
            inside: re.Pattern[str] | None = re.compile(f"</{reader.cdata_elem}", re.IGNORECASE)
        else:
            inside = _COMMENT_END if rest.startswith("<!--") else None
        if inside is None:
            if len(rest) > _LONGEST_TAG:  # a tag that nothing ends: its text is lost, what follows is not
                reader.rawdata = ""
                reader.handle_data(_rest(rest))
            reader.feed(text)
            return ""
        end = inside.search(text)
        if end is None:
            return text[-16:]
        reader.feed(text[end.start() :])
        return ""
    return ""


def _rest(unread: str) -> str:
    """Return the text of what the tokenizer waits to see the end of.

    Its own `close` would try every `<` in it again, in time that grows with the square of the length.
    """
    if unread.startswith("<!--"):
        return ""
    return unescape(_TAGS.sub(" ", unread)).replace("\n", " ")


def _tidy(text: str) -> str:
    """Collapse blanks to one, and empty lines to none."""
    return _LINES.sub("\n", _BLANKS.sub(" ", text))
