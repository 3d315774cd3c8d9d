"""The extractor of HTML: the words a reader would see, with the standard library's tokenizer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import unescape
from html.parser import HTMLParser

from docstore.extract.base import Source
from docstore.extract.decode import text_chunks

__all__ = ["html_pieces", "html_text"]

_HIDDEN = frozenset({"script", "style", "template"})
_BLOCK_TAGS = (
    "address article aside blockquote br caption center dd details div dl dt fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 head header hr legend li main nav ol option p pre section select "
    "summary table tbody tfoot thead title tr ul"
)
_BLOCKS = frozenset(_BLOCK_TAGS.split())
_CELLS = frozenset({"td", "th"})
_STEP = 64 * 1024
_LONGEST_TAG = 1 << 20
_COMMENT_END = re.compile("--!?>")
_TAGS = re.compile("<[^>]*>?")
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
        if tag in _HIDDEN:
            self.hidden.append(tag)
        self.verbatim += tag == "pre"
        self._part(tag)
        if tag == "img":
            self.handle_data(" ".join(value for name, value in attrs if name == "alt" and value))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Treat `<x/>` as `<x>`, but never as the start of a hidden part that nothing ends."""
        if tag not in _HIDDEN:
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
