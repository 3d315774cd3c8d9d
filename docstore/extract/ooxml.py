"""The extractor of Word, PowerPoint and Excel: a walk over the parts that can be reached, and their elements.

What a reader of the file sees is kept: runs in whatever they are wrapped, text boxes once, tables, formulas,
headers, footers, notes, comments, charts, SmartArt. Not seen are deletions, field codes, ruby above its base,
the fallback beside a choice, and what layouts, masters and themes say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache

from docstore.extract.archives import Package, Relation
from docstore.extract.base import ExtractionError, Source
from docstore.extract.markup import XmlHandler
from docstore.extract.text import batched

__all__ = ["main_kind", "office_text"]

_UNSEEN_WORDS = (
    "theme themeoverride slidelayout slidemaster notesmaster handoutmaster glossarydocument package "
    "oleobject image video audio media font styles styleswitheffects settings websettings fonttable "
    "numbering customxml customxmlprops core-properties extended-properties custom-properties hyperlink "
    "printersettings vbaproject wordvbadata keymapcustomizations attachedtoolbars diagramlayout "
    "diagramquickstyle diagramcolors diagramdrawing calcchain externallink externallinkpath tablestyles "
    "presprops viewprops commentauthors author authors person people thumbnail tags pivottable "
    "pivotcachedefinition pivotcacherecords querytable connections chartstyle chartcolorstyle ctrlprop "
    "control activexcontrolbinary vmldrawing table slide slidemasters commentsextended commentsids "
    "commentsextensible sharedstrings worksheet chartsheet xmlmaps digital-signature origin signature "
    "slideupdateinfo attachedtemplate documenttasks revisioninfo"
)
_UNSEEN = frozenset(_UNSEEN_WORDS.split())
_TEXT_WORDS = "w:t m:t a:t c:v cx:pt cx:v p:text s:t tc:text"
_TEXT = frozenset(_TEXT_WORDS.split())
_SKIPPED_WORDS = "w:del w:moveFrom w:rt s:rPh c:f cx:f c:formatCode s:authors"
_SKIPPED = frozenset(_SKIPPED_WORDS.split())
_PARAGRAPHS_WORDS = "w:p a:p c:v cx:pt cx:v p:text s:comment tc:threadedComment m:oMathPara"
_PARAGRAPHS = frozenset(_PARAGRAPHS_WORDS.split())
_ROWS, _CELLS = frozenset(("w:tr", "a:tr")), frozenset(("w:tc", "a:tc"))
_BREAKS = {"w:br": "\n", "w:cr": "\n", "a:br": "\n", "w:tab": "\t", "w:ptab": "\t", "w:noBreakHyphen": "-"}
# Within a table cell the text of a whole document may come as millions of small strings.
_HELD_PIECES = 4096


@lru_cache(maxsize=4096)
def _short(name: str) -> str:
    """Return an element's name with the usual prefix, the same in "Strict" files as in others."""
    uri, _, local = name.rpartition(" ")
    for part, prefix in (
        ("wordprocessingml", "w:"), ("word/2003/wordml", "w:"), ("presentationml", "p:"),
        ("threadedcomments", "tc:"), ("spreadsheetml", "s:"), ("chartex", "cx:"),
        ("drawingml/2006/chart", "c:"),
        ("drawingml/chart", "c:"), ("drawingml", "a:"), ("/math", "m:"), ("markup-compatibility", "mc:"),
    ):  # fmt: skip
        if part in uri and "diagram" not in uri:
            return prefix + local
    return local


class _WordFlow(XmlHandler):
    """Running text of Word and DrawingML: paragraphs a line each, rows of tables a line each."""

    def __init__(self) -> None:
        super().__init__()
        self._sink = self.found  # of the cell that is open, else of the part
        self._outer: list[list[str]] = []
        self._rows: list[list[str]] = []
        self._skipped = 0
        self._reads = 0
        self._chosen: list[bool] = []
        self._fields: list[bool] = []  # fields that are open: whether they are at their code
        self._codes: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Enter an element."""
        if self._skipped:
            self._skipped += 1
            return
        key = _short(name)
        if key in _TEXT:
            self._reads += 1
        elif key in _SKIPPED:
            self._skipped = 1
        elif key in _BREAKS:
            if key != "w:tab" or not attributes:  # with attributes it is a tab stop
                self._keep(_BREAKS[key])
        elif key in _CELLS:
            self._outer.append(self._sink)
            self._sink = []
        elif key in _ROWS:
            self._rows.append([])
        elif key == "mc:AlternateContent":
            self._chosen.append(False)
        elif key in ("mc:Choice", "mc:Fallback") and self._chosen:
            self._skipped = int(self._chosen[-1])
            self._chosen[-1] = True
        elif key == "w:fldChar":
            self._field(_value(attributes, "fldCharType"))
        elif key == "w:sym":
            self._symbol(_value(attributes, "char"))
        elif key == "textpath":  # WordArt keeps its text in an attribute
            self._keep(f"{attributes.get('string', '')}\n")

    def end(self, name: str) -> None:
        """Leave an element."""
        if self._skipped:
            self._skipped -= 1
            return
        key = _short(name)
        if key in _TEXT:
            self._reads -= 1
        if key in _PARAGRAPHS:
            self._keep("\n")
            if len(self._sink) > _HELD_PIECES and self._outer:
                self._sink[:] = ["".join(self._sink)]
        elif key in _CELLS and self._outer:
            text = " ".join("".join(self._sink).split("\n")).strip()
            self._sink = self._outer.pop()
            if self._rows:
                self._rows[-1].append(text)
            else:
                self._keep(text)
        elif key in _ROWS and self._rows:
            line = "\t".join(self._rows.pop()).strip("\t")
            self._keep(f"{line}\n" if line else "")
        elif key == "mc:AlternateContent" and self._chosen:
            self._chosen.pop()

    def data(self, text: str) -> None:
        """Keep the text of runs."""
        if self._reads and not self._skipped:
            self._keep(text)

    def finish(self) -> None:
        """Keep what cells and fields hold that were never closed."""
        for row in self._rows:
            self.found.append("\t".join(row))
        for sink in (*self._outer[1:], self._sink) if self._outer else ():
            self.found += sink
        self.found += self._codes if self._fields else []

    def _keep(self, text: str) -> None:
        if True in self._fields:
            self._codes.append(text)
        else:
            self._sink.append(text)

    def _field(self, kind: str) -> None:
        if kind == "begin":
            self._fields.append(True)
        elif kind == "separate" and self._fields:
            self._fields[-1] = False
        elif kind == "end" and self._fields:
            self._fields.pop()
            if not self._fields:
                self._codes.clear()

    def _symbol(self, code: str) -> None:
        try:
            character = chr(int(code, 16))
        except (ValueError, OverflowError):
            return
        if not "\ue000" <= character <= "\uf8ff" and not "\ud800" <= character <= "\udfff":
            self._keep(character)  # private ones are pictures of a font


def _value(attributes: dict[str, str], local: str) -> str:
    return next((value for name, value in attributes.items() if name.rpartition(" ")[2] == local), "")


def office_text(source: Source) -> Iterator[str]:
    """Yield the text of a Word, PowerPoint or Excel file, macro files, templates and "Strict" ones included.

    Raises:
        ExtractionError: no such file, or encrypted.
    """
    package = Package(source)
    main = _main_part(package)
    if main is None:
        raise ExtractionError("a zip, but not a Word, PowerPoint or Excel file")
    kind, name = main
    if kind == "excel":
        return batched(_Workbook(package, name).text())
    return _walked(package, name, is_slides=kind == "powerpoint")


_TYPES = {
    "word": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "excel": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "powerpoint": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}


def main_kind(source: Source) -> str | None:
    """Return what a zip is by what is in it: an Office or OpenDocument file, a book; None for any other."""
    try:
        package = Package(Source(source.stream, source.filename, "", source.limits))
    except ExtractionError:
        return None
    said = package.read("mimetype", 200).decode("ascii", "replace").strip()
    if said.startswith(("application/vnd.oasis.opendocument.", "application/epub")):
        return said
    if "[content_types].xml" in package or "_rels/.rels" in package:
        main = _main_part(package)
        return None if main is None else _TYPES[main[0]]
    if "meta-inf/container.xml" in package:
        return "application/epub+zip"
    is_opendocument = "content.xml" in package and "meta-inf/manifest.xml" in package
    return "application/vnd.oasis.opendocument.text" if is_opendocument else None


def _main_part(package: Package) -> tuple[str, str] | None:
    targets = [relation.target for relation in package.relations("") if relation.kind == "officedocument"]
    types = package.read("[content_types].xml").decode("utf-8", "replace").lower()
    for name in (*targets, "word/document.xml", "ppt/presentation.xml", "xl/workbook.xml"):
        if name not in package:
            continue
        declared = re.search(rf'partname="/{re.escape(name)}"[^>]*', types)
        reverse = re.search(rf'<override[^>]*contenttype="([^"]*)"[^>]*partname="/{re.escape(name)}"', types)
        said = (declared[0] if declared else "") + (reverse[1] if reverse else "")
        for kind, words in (
            ("word", ("wordprocessingml", "ms-word")),
            ("powerpoint", ("presentationml", "ms-powerpoint")),
            ("excel", ("spreadsheetml", "ms-excel")),
        ):
            if any(word in said for word in words):
                return kind, name
        folder = {"word": "word", "ppt": "powerpoint", "xl": "excel"}.get(name.partition("/")[0])
        if folder is not None:
            return folder, name
    return None


def _walked(package: Package, main: str, *, is_slides: bool) -> Iterator[str]:
    """Yield the text of the main part and of all parts that it leads to, each once; slides in their order."""
    relations = package.relations(main)
    if is_slides:
        order = _Slides()
        for _ in package.walk(main, order):
            pass
        place = {id: number for number, id in enumerate(order.ids)}
        slides = [relation for relation in relations if relation.kind == "slide"]
        if not relations:  # lost with the rest of a damaged file
            names = [name for name in package.names() if re.fullmatch(r"ppt/slides/[^/]+\.xml", name)]
            slides = [Relation("", "slide", name) for name in sorted(names, key=_number)]
        slides.sort(key=lambda relation: place.get(relation.id, len(place)))
        names = [relation.target for relation in slides]
    else:
        names = [main]
    seen = {main, *names}
    for name in names:
        yield from package.walk(name, _WordFlow())
        yield from followed(package, name, seen)
    yield from followed(package, main, seen)
    if not relations and not is_slides:
        for name in ("footnotes", "endnotes", "comments", "header1", "footer1"):
            yield from package.walk(f"word/{name}.xml", _WordFlow())


def _number(name: str) -> int:
    return int("".join(re.findall(r"\d+", name))[-9:] or 0)


def followed(package: Package, name: str, seen: set[str]) -> Iterator[str]:
    """Yield the text of the parts that a part leads to, and those that these lead to."""
    pending = package.relations(name)[::-1]
    while pending:
        relation = pending.pop()
        if relation.target in seen or relation.kind in _UNSEEN:
            continue
        seen.add(relation.target)
        if relation.kind == "afchunk":
            yield from _embedded(package, relation.target)
        elif relation.target.endswith(".xml"):
            yield from package.walk(relation.target, _WordFlow())
            pending += package.relations(relation.target)[::-1]


def _embedded(package: Package, name: str) -> Iterator[str]:
    """Yield the text of a whole file that Word shows in place: HTML, RTF, another Word file."""
    inner = package.source.within(package.read(name), name)
    try:
        yield from inner.pieces(inner)
    except ExtractionError as wrong:
        package.source.lost(f"a part of the file could not be read: {name}: {wrong.message}")


class _Slides(XmlHandler):
    """The slides' ids in the order that they are shown in."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Note a slide."""
        if _short(name) == "p:sldId":
            self.ids += [value for key, value in attributes.items() if key.endswith(" id")]


class _Book(XmlHandler):
    """A workbook's sheets, and whether its days are counted from 1904."""

    def __init__(self) -> None:
        super().__init__()
        self.sheets: list[tuple[str, str]] = []
        self.is_1904 = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Note a sheet."""
        match _short(name):
            case "s:sheet":
                id = next((value for key, value in attributes.items() if key.endswith(" id")), "")
                self.sheets.append((attributes.get("name", ""), id))
            case "s:workbookPr":
                self.is_1904 = attributes.get("date1904") in ("1", "true")


class _Strings(XmlHandler):
    """The strings that a workbook's cells share."""

    def __init__(self) -> None:
        super().__init__()
        self.strings: list[str] = []
        self._parts: list[str] = []
        self._reads = False
        self._phonetic = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Enter a string, its runs, or what is written above it."""
        match _short(name):
            case "s:t":
                self._reads = not self._phonetic
            case "s:rPh":
                self._phonetic = True

    def end(self, name: str) -> None:
        """Keep a string."""
        match _short(name):
            case "s:t":
                self._reads = False
            case "s:rPh":
                self._phonetic = False
            case "s:si":
                self.strings.append(_unescaped("".join(self._parts)))
                self._parts.clear()

    def data(self, text: str) -> None:
        """Keep a part of a string."""
        if self._reads:
            self._parts.append(text)


class _Styles(XmlHandler):
    """Which of the cells' styles show a number as a date or time, as hours that passed, or in percent."""

    def __init__(self) -> None:
        super().__init__()
        self.shown_as: dict[str, str] = {}
        self._formats: dict[str, str] = {}
        self._in_cells = False
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Note a format or a style."""
        match _short(name):
            case "s:numFmt":
                self._formats[attributes.get("numFmtId", "")] = _shown_as(attributes.get("formatCode", ""))
            case "s:cellXfs":
                self._in_cells = True
            case "s:xf" if self._in_cells:
                format = attributes.get("numFmtId", "0")
                self.shown_as[str(self._count)] = self._formats.get(format, _BUILTIN_FORMATS.get(format, ""))
                self._count += 1

    def end(self, name: str) -> None:
        """Leave the cells' styles."""
        self._in_cells = self._in_cells and _short(name) != "s:cellXfs"


# ECMA-376, 18.8.30: built-in number formats; many are dates or times, those of East Asia included.
_BUILTIN_FORMATS = {
    **{str(n): "date" for n in (*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59))},
    "9": "percent", "10": "percent", "46": "elapsed",
}


def _shown_as(code: str) -> str:
    """Return what a number format shows: a date, elapsed time (elapsed), percent, or a plain number ('')."""
    code = re.sub(r'"[^"]*"|\\.', "", code).lower()
    if re.search(r"\[(?:h+|m+|s+)\]", code):
        return "elapsed"
    code = re.sub(r"\[[^\]]*\]", "", code)
    if re.search("[ymdhs]", code) and "general" not in code:
        return "date"
    return "percent" if "%" in code else ""


class _Sheet(XmlHandler):
    """The cells of a sheet, a row a line, and what its pages are headed by."""

    def __init__(self, strings: list[str], shown_as: dict[str, str], is_1904: bool) -> None:
        super().__init__()
        self._strings, self._shown_as, self._is_1904 = strings, shown_as, is_1904
        self._cells: list[str] = []
        self._parts: list[str] = []
        self._reads = False
        self._phonetic = False
        self._kind: str | None = None
        self._style: str | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Enter a cell or its value."""
        key = _short(name)
        if key == "s:c":
            self._kind, self._style = attributes.get("t"), attributes.get("s")
        elif key == "s:v" or (key == "s:t" and not self._phonetic) or key in _HEADINGS:
            self._reads = True
        elif key == "s:rPh":
            self._phonetic = True

    def end(self, name: str) -> None:
        """Keep a cell, a row or a heading."""
        key = _short(name)
        if key == "s:c":
            if self._parts:
                value = self._shown("".join(self._parts))
                self._parts.clear()
                if value:
                    self._cells.append(value.replace("\n", " ") if "\n" in value else value)
        elif key == "s:row":
            self._row()
        elif key in ("s:v", "s:t"):
            self._reads = False
        elif key == "s:rPh":
            self._phonetic = False
        elif key in _HEADINGS:
            text = re.sub(r'&(?:"[^"]*"|K[0-9A-Fa-f]{6}|\d+|[A-Za-z])', " ", "".join(self._parts))
            self.found.append(text.replace("&&", "&").strip() + "\n")
            self._parts.clear()
            self._reads = False

    def data(self, text: str) -> None:
        """Keep a part of a value."""
        if self._reads:
            self._parts.append(text)

    def finish(self) -> None:
        """Keep a row that was never closed."""
        self._row()

    def _row(self) -> None:
        if self._cells:
            self.found.append("\t".join(self._cells) + "\n")
            self._cells.clear()

    def _shown(self, value: str) -> str:
        match self._kind:
            case "s":
                try:
                    return self._strings[int(value)]
                except (ValueError, IndexError):
                    return ""
            case "str" | "inlineStr":
                return _unescaped(value)
            case "b":
                return "TRUE" if value.strip() in ("1", "true") else "FALSE"
            case "e" | "d":
                return value
            case _:
                return self._number(value)

    def _number(self, value: str) -> str:
        shown_as = self._shown_as.get(self._style or "")
        if shown_as == "date":
            return _date(value, self._is_1904)
        if value.isdigit() and not shown_as:
            return value
        try:
            number = float(value)
            if shown_as == "elapsed":
                minutes, seconds = divmod(round(abs(number) * 86_400), 60)
                return f"{'-' * (number < 0)}{minutes // 60}:{minutes % 60:02}:{seconds:02}"
        except (ValueError, OverflowError):
            return value
        if shown_as == "percent":
            return f"{number * 100:.10g}%"
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


_HEADINGS_WORDS = "s:oddHeader s:evenHeader s:firstHeader s:oddFooter s:evenFooter s:firstFooter"
_HEADINGS = frozenset(_HEADINGS_WORDS.split())


def _date(value: str, is_1904: bool) -> str:
    """Return a day's number as Excel shows it: a date, a time, or both."""
    try:
        days = float(value)
        first = datetime(1904, 1, 1) if is_1904 else datetime(1899, 12, 30)  # noqa: DTZ001 - no zone is stored
        moment = first + timedelta(seconds=round(days * 86_400))
    except (ValueError, OverflowError):
        return value
    if 0 <= days < 1:
        return moment.strftime("%H:%M:%S")
    return moment.strftime("%Y-%m-%d" if days == int(days) else "%Y-%m-%d %H:%M:%S")


def _unescaped(text: str) -> str:
    """Resolve `_x000D_`, which stands for a character that XML cannot hold."""
    if "_x" not in text:
        return text
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), text)


class _Workbook:
    """A workbook and the parts that it leads to."""

    def __init__(self, package: Package, name: str) -> None:
        self._package, self._name = package, name

    def text(self) -> Iterator[str]:
        """Yield each sheet's name, its cells, then its comments, drawings and charts."""
        package, name = self._package, self._name
        book, strings, styles = _Book(), _Strings(), _Styles()
        relations = package.relations(name)
        targets = {relation.kind: relation.target for relation in relations}
        folder = name.rpartition("/")[0]
        for part, handler in (
            (name, book),
            (targets.get("sharedstrings", f"{folder}/sharedstrings.xml"), strings),
            (targets.get("styles", f"{folder}/styles.xml"), styles),
        ):
            for _ in package.walk(part, handler):
                pass
        by_id = {relation.id: relation.target for relation in relations}
        sheets = [(title, by_id[id]) for title, id in book.sheets if id in by_id]
        listed = {target for _, target in sheets}
        sheets += [
            ("", part)
            for part in sorted(package.names(), key=lambda part: (_number(part), part))
            if re.fullmatch(r"[^/]*/(?:work|chart)sheets/[^/]+\.xml", part) and part not in listed
        ] if not sheets else []  # fmt: skip
        seen = {name, *(part for _, part in sheets)}
        for title, part in sheets:
            yield f"{title}\n" if title else ""
            yield from package.walk(part, _Sheet(strings.strings, styles.shown_as, book.is_1904))
            yield from followed(package, part, seen)
            yield "\n"
