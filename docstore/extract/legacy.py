"""Extractors of the formats before Office's XML: RTF, and by kreuzberg the binary ones and Outlook's
messages.

Of RTF comes the text in the code pages of its fonts, without pictures, field codes and deletions.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from docstore.extract.base import ExtractionError, Source, missing
from docstore.extract.decode import Encoding, codec_of
from docstore.extract.text import batched

__all__ = [
    "OLE",
    "legacy_text",
    "ole_type",
    "rtf_text",
]

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\(.)|([{}])|[\r\n]+|([^\\{}\r\n]+)", re.DOTALL
)
# RTF writes pictures as hexadecimal digits, so that whole files are far larger than their text.
_MOST_BYTES = 256 * 1024 * 1024
# Open groups at once: each keeps a state, and a file of braces would take all memory.
_MOST_GROUPS = 10_000
_HIDDEN_WORDS = (
    b"fonttbl colortbl stylesheet info pict object objdata objalias objsect themedata "
    b"colorschememapping datastore latentstyles listtable listoverridetable rsidtbl generator filetbl "
    b"revtbl fldinst listtext pntext pnseclvl xmlnstbl mmathPr wgrffmtfilter passwordhash datafield "
    b"formfield bkmkstart bkmkend nonshppict blipuid panose falt private userprops docvar upr "
    b"background picprop sp pgptbl ftnsep ftnsepc ftncn aftnsep aftnsepc aftncn atrfstart atrfend "
    b"atnref atndate atntime atnparent xe tc rxe bxe ixe protusertbl"
)
_HIDDEN = frozenset(_HIDDEN_WORDS.split())
_SHOWN_WORDS = (
    b"shptxt shpinst shp ud annotation atnid atnauthor footnote header headerl headerr headerf footer "
    b"footerl footerr footerf fldrslt shprslt moMath mr mt"
)
_SHOWN = frozenset(_SHOWN_WORDS.split())
_BREAKS = {
    b"par": "\n", b"line": "\n", b"page": "\n", b"sect": "\n", b"column": "\n", b"row": "\n",
    b"nestrow": "\n", b"tab": "\t", b"cell": "\t", b"nestcell": "\t", b"emdash": "—", b"endash": "–",
    b"bullet": "•", b"lquote": "‘", b"rquote": "’", b"ldblquote": "“", b"rdblquote": "”", b"emspace": " ",
    b"enspace": " ",
}  # fmt: skip
_SYMBOLS = {b"~": "\xa0", b"_": "-", b"\n": "\n", b"\r": "\n", b"\t": "\t"}
_CODE_PAGES = {b"mac": "mac-roman", b"pc": "cp437", b"pca": "cp850"}
_CHARSETS = {
    77: "mac-roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gb18030", 136: "big5hkscs",
    161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251",
    222: "cp874", 238: "cp1250", 255: "cp437",
}  # fmt: skip


def rtf_text(source: Source) -> Iterator[str]:
    r"""Yield the text: `\'xx` by the font's code page, `\u` as Unicode, a paragraph a line.

    Raises:
        ExtractionError: no RTF.
    """
    source.stream.seek(0)
    found = source.stream.read(_MOST_BYTES)
    if not found.lstrip()[:5].startswith(b"{\\rtf"):
        raise ExtractionError("no RTF: it does not begin with {\\rtf")
    if len(found) == _MOST_BYTES:
        source.lost(f"cut at {_MOST_BYTES:,} bytes")
    return batched(_RtfReader(found, source).text())


@dataclass(frozen=True, slots=True)
class _State:
    """Settings of a group for its text."""

    is_hidden: bool = False
    is_deleted: bool = False
    font: int | None = None
    fallback: int = 1
    in_fonts: bool = False


class _RtfReader:
    """Walks the tokens of an RTF file."""

    def __init__(self, found: bytes, source: Source) -> None:
        self._found, self._source = found, source
        self._at = 0
        self._codec = "cp1252"
        self._fonts: dict[int, str] = {}  # the codecs of those with a character set of their own
        self._font = self._default_font = 0
        self._state = _State()
        self._outer: list[_State] = []
        self._is_first = self._is_starred = False  # in a group, and behind its \*
        self._skips = 0  # characters that stand in for a \u
        self._high = 0  # the first half of a surrogate pair
        self._held = bytearray()  # bytes of one encoding, whose characters may have two of them

    def text(self) -> Iterator[str]:
        """Yield the text."""
        while match := _TOKEN.match(self._found, self._at):
            self._at = match.end()
            word, number, byte, symbol, brace, plain = match.groups()
            if brace is not None:
                yield self._flushed()
                if not self._grouped(brace):
                    return
            elif symbol == b"*":
                self._is_starred = True
            elif word is not None:
                yield self._said(word, None if number is None else int(number))
                self._is_first = False
            else:
                self._is_first = self._is_first and not (byte or symbol or (plain or b"").strip())
                if symbol is not None and symbol not in b"\\{}":
                    yield self._flushed() + (_SYMBOLS.get(symbol, "") if self._is_shown else "")
                else:
                    self._keep(bytes((int(byte, 16),)) if byte else symbol or plain or b"")
        yield self._flushed()
        if self._outer:
            self._source.lost("the file is cut off; what is left of it was read")

    @property
    def _is_shown(self) -> bool:
        return not (self._state.is_hidden or self._state.is_deleted)

    def _keep(self, found: bytes) -> None:
        dropped = min(self._skips, len(found))
        self._skips -= dropped
        if self._is_shown:
            self._held += found[dropped:]

    def _flushed(self) -> str:
        if not self._held:
            return ""
        font = self._default_font if self._state.font is None else self._state.font
        text = Encoding(self._fonts.get(font, self._codec)).decode(bytes(self._held))
        self._held.clear()
        return text

    def _grouped(self, brace: bytes) -> bool:
        """Enter or leave a group; false behind the last."""
        if brace == b"}":
            self._state = self._outer.pop() if self._outer else self._state
            return bool(self._outer)
        self._outer.append(self._state)
        self._is_first, self._is_starred = True, False
        if len(self._outer) > _MOST_GROUPS:
            self._source.lost("a part of the file could not be read: groups too deep")
            return False
        return True

    def _said(self, word: bytes, value: int | None) -> str:
        """Follow a control word; return the text that it stands for, what came before it included."""
        if self._is_first and (word in _HIDDEN or (self._is_starred and word not in _SHOWN)):
            self._state = replace(self._state, is_hidden=True, in_fonts=word == b"fonttbl")
        elif word == b"bin":
            self._at += max(value or 0, 0)
        elif word == b"u" and value is not None:
            return self._flushed() + self._character(value % 65536)
        elif word in _BREAKS:
            return self._flushed() + (_BREAKS[word] if self._is_shown else "")
        elif word in (b"f", b"plain", b"deleted"):
            text = self._flushed()
            if word == b"f":
                self._font = value or 0
                self._state = replace(self._state, font=value)
            else:
                is_deleted = word == b"deleted" and value != 0
                font = self._state.font if word == b"deleted" else None
                self._state = replace(self._state, is_deleted=is_deleted, font=font)
            return text
        else:
            self._set(word, value)
        return ""

    def _character(self, unit: int) -> str:
        self._skips = self._state.fallback
        if 0xD800 <= unit < 0xDC00:
            self._high = unit
            return ""
        code = unit - 0xF000 if 0xF020 <= unit <= 0xF0FF else unit  # a symbol font's place of a character
        if 0xDC00 <= unit < 0xE000:
            code = 0x10000 + (self._high - 0xD800) * 0x400 + unit - 0xDC00 if self._high else 0xFFFD
            self._high = 0
        return chr(code) if self._is_shown else ""

    def _set(self, word: bytes, value: int | None) -> None:
        """Set what text is decoded by."""
        if word == b"uc":
            self._state = replace(self._state, fallback=max(value or 0, 0))
        elif word == b"ansicpg" and value:
            self._codec = codec_of(f"cp{value}") or self._codec
        elif word in _CODE_PAGES:
            self._codec = _CODE_PAGES[word]
        elif word == b"deff":
            self._default_font = value or 0
        elif word == b"fcharset" and self._state.in_fonts and value in _CHARSETS:
            self._fonts[self._font] = _CHARSETS[value]
        elif word == b"cpg" and self._state.in_fonts and value:
            self._fonts[self._font] = codec_of(f"cp{value}") or self._codec


OLE = "application/x-ole-storage"
_KINDS = {
    "WordDocument": "application/msword",
    "Workbook": "application/vnd.ms-excel",
    "Book": "application/vnd.ms-excel",
    "PowerPoint Document": "application/vnd.ms-powerpoint",
    "__properties_version1.0": "application/vnd.ms-outlook",
}
# A chain of sectors may lead in a circle.
_MOST_DIRECTORY_SECTORS = 256


def ole_type(source: Source) -> str:
    """Return what an OLE file is by the streams in it: Word, Excel, PowerPoint, Outlook, else `OLE`.

    Raises:
        ExtractionError: it is an encrypted Office file.
    """
    names = set(_stream_names(source))
    if "EncryptedPackage" in names:
        raise ExtractionError("the file is encrypted and needs a password")
    return next((kind for name, kind in _KINDS.items() if name in names), OLE)


def _stream_names(source: Source) -> Iterator[str]:
    """Yield the names in an OLE file's directory, whose sectors are chained by the allocation table."""
    header = source.head(512)
    if len(header) < 512:
        return
    size = 1 << max(9, min(header[30], 16))
    tables = struct.unpack("<109I", header[76:])
    sector: int = struct.unpack_from("<I", header, 48)[0]
    for _ in range(_MOST_DIRECTORY_SECTORS):
        source.stream.seek((sector + 1) * size)
        found = source.stream.read(size)
        for at in range(0, len(found) - 127, 128):
            length = struct.unpack_from("<H", found, at + 64)[0]
            yield found[at : at + max(min(length, 64) - 2, 0)].decode("utf-16-le", "replace")
        table, place = divmod(sector, size // 4)
        if table >= len(tables) or tables[table] > 0xFFFFFFF0:
            return
        source.stream.seek((tables[table] + 1) * size + 4 * place)
        entry = source.stream.read(4)
        if len(entry) < 4 or (sector := struct.unpack("<I", entry)[0]) > 0xFFFFFFF0:
            return


def legacy_text(source: Source) -> Iterator[str]:
    """Yield the text of a `.doc`, `.xls`, `.ppt`, `.msg` or `.xlsb` file.

    Raises:
        ExtractionError: kreuzberg is not installed, or cannot read the file.
    """
    try:
        from kreuzberg import ExtractionConfig, extract_bytes_sync
    except ImportError:
        raise missing(source.content_type, "kreuzberg") from None
    source.stream.seek(0)
    result = extract_bytes_sync(
        source.stream.read(), source.content_type, ExtractionConfig(use_cache=False, output_format="plain")
    )
    yield result.content
