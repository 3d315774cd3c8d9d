"""Extractors of OpenDocument (text, sheets, slides, drawings; zipped or flat) and of EPUB."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from urllib.parse import unquote

from docstore.extract.archives import Package
from docstore.extract.base import ExtractionError, Source
from docstore.extract.decode import decode, text_chunks
from docstore.extract.markup import XmlHandler, html_pieces, parse_xml

__all__ = ["epub_text", "flat_text", "opendocument_text"]

_PARAGRAPHS = frozenset(("text:p", "text:h"))
_SKIPPED_WORDS = "text:tracked-changes text:ruby-text math:annotation office:forms office:scripts"
_SKIPPED = frozenset(_SKIPPED_WORDS.split())
_PREFIX = re.compile(r".*[:/]([a-z]+)(?::1\.0|/MathML)?\Z")


def _short(name: str) -> str:
    uri, _, local = name.rpartition(" ")
    if uri.endswith("MathML"):
        return f"math:{local}"
    match = _PREFIX.match(uri)
    return f"{match[1]}:{local}" if match else local


def _value(attributes: dict[str, str]) -> str:
    """Return the value of a cell: a date, a time, a truth, a text or a number."""
    named = {_short(name).rpartition(":")[2]: value for name, value in attributes.items()}
    for kind in ("string-value", "date-value", "time-value", "boolean-value", "value"):
        if kind in named:
            return named[kind]
    return ""


class _OpenDocumentFlow(XmlHandler):
    """Paragraphs a line each, rows of tables a line each; repeated and empty cells and rows once."""

    def __init__(self, within: frozenset[str] = frozenset()) -> None:
        """Keep what stands within these elements alone, or all, if there are none."""
        super().__init__()
        self._within = within
        self._inside = 0
        self._skipped = 0
        self._paragraphs = 0
        self._math = 0
        self._rows: list[list[str]] = []
        self._cells: list[dict[str, str]] = []
        self._outer: list[list[str]] = []
        self._sink = self.found

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Enter an element."""
        if self._skipped:
            self._skipped += 1
            return
        key = _short(name)
        self._inside += key in self._within
        if key in _SKIPPED:
            self._skipped = 1
        elif key in _PARAGRAPHS:
            self._paragraphs += 1
        elif key.startswith("math:"):
            self._math += 1
        elif key in ("text:tab", "text:line-break", "text:s"):
            self._keep({"text:tab": "\t", "text:line-break": "\n"}.get(key, " ") if self._paragraphs else "")
        elif key in ("table:table-cell", "table:covered-table-cell"):
            self._outer.append(self._sink)
            self._sink = []
            self._cells.append(attributes)
        elif key == "table:table-row":
            self._rows.append([])

    def end(self, name: str) -> None:
        """Leave an element."""
        if self._skipped:
            self._skipped -= 1
            return
        key = _short(name)
        self._inside -= key in self._within
        if key in _PARAGRAPHS and self._paragraphs:
            self._paragraphs -= 1
            self._keep("\n")
        elif key.startswith("math:") and self._math:
            self._math -= 1
            self._keep("" if self._math else "\n")
        elif key in ("table:table-cell", "table:covered-table-cell") and self._outer:
            cell = self._cells.pop()
            # Some programs write a number without the paragraph that shows it.
            text = " ".join("".join(self._sink).split("\n")).strip() or _value(cell)
            self._sink = self._outer.pop()
            if text and self._rows:
                self._rows[-1].append(text)
        elif key == "table:table-row" and self._rows:
            row = self._rows.pop()
            self._keep("\t".join(row) + "\n" if row else "")

    def data(self, text: str) -> None:
        """Keep the text of paragraphs and formulas."""
        if (self._paragraphs or self._math) and not self._skipped:
            self._keep(text.replace("\n", " "))

    def finish(self) -> None:
        """Keep what cells hold that were never closed."""
        for row in self._rows:
            self.found.append("\t".join(row))
        for sink in (*self._outer[1:], self._sink) if self._outer else ():
            self.found += sink

    def _keep(self, text: str) -> None:
        if self._inside or not self._within:
            self._sink.append(text)


_HEADINGS = frozenset(
    f"style:{word}"
    for word in ["header", "header-left", "header-first", "footer", "footer-left", "footer-first"]
)


def opendocument_text(source: Source) -> Iterator[str]:
    """Yield the text of an OpenDocument file: its body, headers and footers, formulas and charts in it.

    Raises:
        ExtractionError: no such file, or encrypted.
    """
    package = Package(source)
    if b"encryption-data" in package.read("meta-inf/manifest.xml"):
        raise ExtractionError("the file is encrypted and needs a password")
    if "content.xml" not in package and "styles.xml" not in package:  # a template may be styles alone
        raise ExtractionError("a zip, but not an OpenDocument file")
    yield from package.walk("content.xml", _OpenDocumentFlow())
    yield from package.walk("styles.xml", _OpenDocumentFlow(_HEADINGS))
    for name in package.names():
        if re.fullmatch(r"[^/]+/content\.xml", name):
            yield from package.walk(name, _OpenDocumentFlow())


def flat_text(source: Source) -> Iterator[str]:
    """Yield the text of an OpenDocument file that is one XML file.

    Raises:
        ExtractionError: the bytes are not text, or the XML declares entities.
    """
    return parse_xml(text_chunks(source), _OpenDocumentFlow(), source, source.filename or "the file")


class _Spine(XmlHandler):
    """The chapters of a book in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.items: dict[str, str] = {}
        self.order: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Note a file of the book, or its place."""
        local = name.rpartition(" ")[2]
        if local == "item" and ("html" in attributes.get("media-type", "") or "href" in attributes):
            self.items[attributes.get("id", "")] = attributes.get("href", "")
        elif local == "itemref":
            self.order.append(attributes.get("idref", ""))


class _Container(XmlHandler):
    """The books in a container; the first counts."""

    def __init__(self) -> None:
        super().__init__()
        self.books: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Note a book."""
        if name.rpartition(" ")[2] == "rootfile":
            self.books.append(attributes.get("full-path", ""))


def epub_text(source: Source) -> Iterator[str]:
    """Yield the chapters of a book in the order of its spine.

    Raises:
        ExtractionError: no such file, or none of its chapters is there.
    """
    package = Package(source)
    container, spine = _Container(), _Spine()
    for _ in package.walk("meta-inf/container.xml", container):
        pass
    book = next((name for name in container.books if name in package), "")
    for _ in package.walk(book, spine):
        pass
    folder = posixpath.dirname(book)
    places = [spine.items[id] for id in spine.order if id in spine.items]
    names = [posixpath.normpath(posixpath.join(folder, unquote(place))).lower() for place in places]
    if not any(name in package for name in names):
        names = sorted(name for name in package.names() if re.search(r"\.x?html?\Z", name))
    locked = package.read("meta-inf/encryption.xml").decode("utf-8", "replace").lower()
    for name in dict.fromkeys(names):
        if f'"{name}"' in unquote(locked):
            source.lost(f"a part of the file could not be read: {name} is encrypted")
        elif name in package:
            yield from html_pieces(
                [decode(package.read(name, 1 << 27), content_type="application/xhtml+xml")]
            )
        else:
            source.lost(f"a part of the file could not be read: {name} is missing")
