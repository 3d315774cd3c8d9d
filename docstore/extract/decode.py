"""Text encodings: which one bytes are in, and how they are decoded.

Below every extractor of text. The order is that of the WHATWG's Encoding Standard where that says something:
byte-order mark, ISO-2022 escapes, what the caller or the file declares, UTF-8, then detection by chardet. It
asks nothing of the host's locale.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from docstore.extract.base import ExtractionError, Source

__all__ = ["Encoding", "codec_of", "decode", "is_clean", "is_text", "text_chunks", "text_of"]

# First bytes by which text is told from binary: Git looks at 8,000.
_SAMPLE = 8192
# HTML asks for a declaration within 1,024 bytes, but licences and comments stand before many.
_DECLARED_WITHIN = 4096
# chardet's time grows with what it reads; only lines that are not ASCII are handed to it.
_DETECTED_BYTES = 64 * 1024
_LEAST_CONFIDENCE = 0.1  # below it chardet's answers were wrong more often than windows-1252
# Below it the guess is told: an encoding that was guessed wrong reads as nonsense.
_SURE_CONFIDENCE = 0.5
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Tab, line ends, form feed, backspace and escape (ISO 2022, colours of terminals) occur in texts.
_CONTROLS = bytes(set(range(1, 32)) - set(b"\t\n\v\f\r\b\x1b")) + b"\x7f"
_UNCLEAN = b"\0" + _CONTROLS
# Taken out, they leave the bytes that say something of the encoding.
_LOW = bytes(range(128))
# What announces ISO-2022's Japanese, Korean and Chinese sets.
_ESCAPES = re.compile(rb"\x1b(?:\$[@B]|\(J|\(I|\$\)C|\$\(D)")
_KOREAN = b"\x1b$)C"
# How files declare their encoding: HTML, XML, CSS, programs (Python and Emacs alike), and PO files.
_META = re.compile(rb"""<meta\s[^>]*?charset\s*=\s*["']?\s*([-\w.:]+)""", re.IGNORECASE)
_XML = re.compile(rb"""\s*<\?xml\s[^>]*?encoding\s*=\s*["']([-\w.:]+)["']""")
_CSS = re.compile(rb'@charset "([-\w.:]+)"')
_CODING = re.compile(rb"^[ \t\f]*[#/;%*\"'.-].*?coding[:=][ \t]*([-\w.]+)", re.MULTILINE)
_PO = re.compile(rb'"Content-Type:[^"\n]*?charset=([-\w.:]+)', re.IGNORECASE)

# The labels of the WHATWG's Encoding Standard by the codec that reads them; further labels of other
# registries (cp437, mac_latin2 …) are looked up among Python's codecs.
_LABELS = {
    "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8",
    "cp866": "866 cp866 csibm866 ibm866",
    "iso8859-2": "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2",
    "iso8859-3": "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3",
    "iso8859-4": "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4",
    "iso8859-5": "csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 "
    "iso_8859-5:1988",
    "iso8859-6": "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e "
    "iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987",
    "iso8859-7": "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597 "
    "iso_8859-7 iso_8859-7:1987 sun_eu_greek",
    "iso8859-8": "csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 iso88598 "
    "iso_8859-8 iso_8859-8:1988 visual csiso88598i iso-8859-8-i logical",
    "iso8859-10": "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6",
    "iso8859-13": "iso-8859-13 iso8859-13 iso885913",
    "iso8859-14": "iso-8859-14 iso8859-14 iso885914",
    "iso8859-15": "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9",
    "iso8859-16": "iso-8859-16",
    "koi8-r": "cskoi8r koi koi8 koi8-r koi8_r",
    "koi8-u": "koi8-ru koi8-u",
    "mac-roman": "csmacintosh mac macintosh x-mac-roman",
    "mac-cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "cp874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874",
    "cp1250": "cp1250 windows-1250 x-cp1250",
    "cp1251": "cp1251 windows-1251 x-cp1251",
    "cp1252": "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 "
    "iso_8859-1 iso_8859-1:1987 l1 latin1 latin-1 us-ascii windows-1252 x-cp1252",
    "cp1253": "cp1253 windows-1253 x-cp1253",
    "cp1254": "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 "
    "latin5 windows-1254 x-cp1254",
    "cp1255": "cp1255 windows-1255 x-cp1255",
    "cp1256": "cp1256 windows-1256 x-cp1256",
    "cp1257": "cp1257 windows-1257 x-cp1257",
    "cp1258": "cp1258 windows-1258 x-cp1258",
    "gb18030": "chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk gb18030 cp936 "
    "euc-cn",
    "hz": "hz-gb-2312",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5 cp950",
    "euc-jp": "cseucpkdfmtjapanese euc-jp eucjp x-euc-jp",
    "iso2022-jp": "csiso2022jp iso-2022-jp",
    "cp932": "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis",
    "cp949": "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 "
    "windows-949 uhc cp949",
    "iso2022-kr": "csiso2022kr iso-2022-kr",
    "utf-16-be": "unicodefffe utf-16be",
    "utf-16-le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
}
_CODECS = {label: codec for codec, labels in _LABELS.items() for label in labels.split()}
# What is detected: with further DOS and EBCDIC code pages short Latin texts are taken for Hebrew.
_DETECTED = tuple(codec for codec in _LABELS if not codec.startswith(("utf", "iso2022")))
_OTHER = re.compile(r"(iso|cp|koi8|mac|euc|shift|big5|gb|johab|tis|ptcp|kz1048|hz|utf-(7|8|16|32))")


class Decoder(Protocol):
    """Decodes bytes piece by piece."""

    def decode(self, found: bytes, final: bool = ...) -> str:
        """Return the text of the next bytes."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """A codec for bytes, and how sure it is.

    Attributes:
        codec: the name of one of Python's codecs, or `iso2022-jp`.
        skip: bytes of the byte-order mark.
        note: None, or why the text is uncertain.
    """

    codec: str
    skip: int = 0
    note: str | None = None

    def decoder(self) -> Decoder:
        """Return a decoder that begins anew; bytes that it cannot read become U+FFFD."""
        if self.codec == "iso2022-jp":
            return _Iso2022Jp()
        return codecs.getincrementaldecoder(self.codec)("docstore-web")

    def decode(self, found: bytes) -> str:
        """Return the text of bytes, their mark included."""
        return self.decoder().decode(found[self.skip :], True)


def codec_of(label: str) -> str | None:
    """Return the codec for an encoding's label by the WHATWG's rules, else Python's; None if unknown."""
    label = label.strip("\t\n\f\r \"'").lower()
    found = _CODECS.get(label) or _CODECS.get(label.replace("_", "-"))
    if found is None:
        try:
            name = codecs.lookup(label).name
        # A label may hold a null, which `lookup` refuses by ValueError.
        except (LookupError, ValueError):
            return None
        found = _CODECS.get(name) or (name if _OTHER.match(name) else None)
    return found


def text_of(source: Source) -> str:
    """Read a source as text, as much as the bounds allow.

    Raises:
        ExtractionError: the bytes are not text.
    """
    return "".join(text_chunks(source))


def text_chunks(source: Source) -> Iterator[str]:
    """Yield a source's text in pieces; what is uncertain is noted on the source.

    Raises:
        ExtractionError: the bytes are not text.
    """
    encoding = _encoding(source)
    if encoding.note is not None:
        source.lost(encoding.note)
    decoder = encoding.decoder()
    for chunk in source.chunks(encoding.skip):
        yield decoder.decode(chunk)
    yield decoder.decode(b"", True)


def decode(found: bytes, charset: str | None = None, content_type: str = "") -> str:
    """Return the text of bytes that are known to be text."""
    encoding = _marked(found) or _escaped([found])
    encoding = encoding or _told(found, charset, content_type, "") or _guessed([found])
    return encoding.decode(found)


def is_text(head: bytes, charset: str | None = None) -> bool:
    """Tell whether the first bytes of a file are text in some encoding; `charset` is the caller's."""
    if is_clean(head):
        return True
    return (_marked(head) or _utf16(head) or _wide(head, charset)) is not None or not _controls(
        head[:_SAMPLE]
    )


def is_clean(found: bytes) -> bool:
    """Tell whether bytes are UTF-8 without control characters; the last character may be cut."""
    if len(found.translate(None, _UNCLEAN)) < len(found):
        return False
    try:
        return found.isascii() or bool(codecs.utf_8_decode(found, "strict", False))
    except UnicodeDecodeError:
        return False


def _wide(head: bytes, charset: str | None) -> Encoding | None:
    """Return UTF-16 or UTF-32 if the caller declares it and the bytes fit."""
    codec = codec_of(charset) if charset else None
    if codec is None or not codec.startswith(("utf-16", "utf-32")):
        return None
    return Encoding(codec) if _fits(codec, head) else None


def _encoding(source: Source) -> Encoding:
    head = source.head(_SAMPLE)
    clean = is_clean(head)
    found = _marked(head) or (None if clean else _utf16(head)) or _wide(head, source.charset)
    if found is not None:
        return found
    problem = None if clean else _controls(head)
    if problem is not None:
        raise ExtractionError(f"binary, not text: {problem}")
    return (
        _escaped(source.chunks())
        or _told(head, source.charset, source.content_type, source.filename)
        or _guessed(source.chunks())
    )


def _marked(head: bytes) -> Encoding | None:
    for mark, codec in _MARKS:
        if head.startswith(mark):
            return Encoding(codec, len(mark))
    if _KOREAN in head and head.isascii():  # shifts by control characters, which no other text holds
        return Encoding("iso2022-kr")
    return None


def _utf16(head: bytes) -> Encoding | None:
    """Recognize UTF-16 without a mark: nearly every other byte is zero, as it is in Latin letters."""
    sample = head[:_SAMPLE]
    if b"\0" not in sample:
        return _utf16_of_other_scripts(sample)
    even, odd, half = sample[0::2].count(0), sample[1::2].count(0), len(sample) // 2
    if not (max(even, odd) > 0.7 * half and min(even, odd) < 0.1 * half and half > 1):
        return _utf16_of_other_scripts(sample)
    encoding = Encoding("utf-16-le" if odd > even else "utf-16-be")
    return None if "\ufffd" in encoding.decode(sample[: len(sample) & ~1])[:-1] else encoding


def _utf16_of_other_scripts(sample: bytes) -> Encoding | None:
    """Recognize UTF-16 of letters beyond Latin: bytes that are no other text, and all characters of one order
    of bytes are printable, most of them letters, nine in ten of at most three scripts (as far as blocks of
    4,096 tell: Han fills six of them, Hangul four).
    """
    whole = sample[: len(sample) & ~1]
    if len(whole) < 64 or _controls(sample) is None:
        return None
    for codec in ("utf-16-le", "utf-16-be"):
        try:
            text = codecs.getincrementaldecoder(codec)().decode(whole)  # may end within a pair
        except UnicodeDecodeError:
            continue
        scripts = Counter("0123444444AAAAEF"[ord(letter) >> 12 & 15] for letter in text)
        common = sum(count for _, count in scripts.most_common(3))
        is_plain = all(letter.isprintable() or letter in "\t\n\r\u3000" for letter in text)
        letters = sum(map(str.isalpha, text))
        if is_plain and common >= 0.9 * len(text) and letters > 0.6 * len(text):
            return Encoding(codec)
    return None


def _controls(sample: bytes) -> str | None:
    """Return what shows that bytes are binary, None if they are text.

    Single NULs stand in text, too: between the names of a list, in a log of a crashed machine. Two in a row
    do not, but at the end, where text was filled up to a block.
    """
    sample = sample.rstrip(b"\0") if len(sample) < _SAMPLE else sample
    zeros = sample.count(0)
    if b"\0\0" in sample or 4 * zeros > len(sample):
        return f"zero bytes at offset {sample.index(0)}"
    controls = len(sample) - zeros - len(sample.translate(None, _CONTROLS))
    is_utf8 = _bad_share([sample]) is not None
    if controls > (0.1 if is_utf8 else 0.02) * len(sample) or (zeros and not is_utf8):
        return f"{controls + zeros} control characters in {len(sample)} bytes"
    return None


def _escaped(chunks: Iterable[bytes]) -> Encoding | None:
    """Recognize ISO-2022 by its escapes: seven bits, and so valid UTF-8."""
    first = next(iter(chunks), b"")
    match = _ESCAPES.search(first)
    if match is None or not first.isascii():
        return None
    return Encoding("iso2022-kr" if match[0] == _KOREAN else "iso2022-jp")


def _told(head: bytes, charset: str | None, content_type: str, filename: str) -> Encoding | None:
    """Return the encoding that the caller or the file declares, unless the bytes contradict it."""
    for label in (charset, _declared(head[:_DECLARED_WITHIN], content_type, filename)):
        codec = codec_of(label) if label else None
        if codec is None:
            continue
        if label is not charset and codec.startswith("utf-16"):
            codec = "utf-8"  # the Standard's rule: what was read as ASCII so far is not UTF-16
        if codec == "utf-8" or not _fits(codec, head):
            continue  # UTF-8 is looked at next in any case
        return Encoding(codec)
    return None


def _fits(codec: str, head: bytes) -> bool:
    """Tell whether bytes can be in an encoding: at most a tenth of those that are not ASCII are wrong."""
    high = len(head.translate(None, _LOW))
    wrong = Encoding(codec).decoder().decode(head).count("\N{REPLACEMENT CHARACTER}")
    return wrong <= 0.1 * high or not high


def _declared(head: bytes, content_type: str, filename: str) -> str | None:
    match = _XML.match(head)
    if match is None and ("html" in content_type or content_type in ("", "text/xml", "application/xml")):
        match = _META.search(head)
    if match is None and content_type == "text/css":
        match = _CSS.match(head)
    if match is None and content_type.startswith("text/x-"):
        match = _CODING.search(head[:1024])
    if match is None and filename.lower().endswith((".po", ".pot")):
        match = _PO.search(head)
    return match[1].decode("ascii", "replace") if match else None


def _guessed(chunks: Iterable[bytes]) -> Encoding:
    """Return UTF-8 if at least nine tenths of the bytes that are not ASCII fit it, else what chardet says."""
    lines: list[bytes] = []
    if _bad_share(chunks, lines) is not None:
        return Encoding("utf-8")
    try:
        from chardet import detect
    except ImportError:
        return Encoding("cp1252", note="encoding unknown, read as windows-1252; chardet is not installed")
    answer = detect(b"\n".join(lines), include_encodings=_DETECTED)
    codec = codec_of(answer["encoding"] or "")
    confidence = answer["confidence"] or 0.0
    if codec is None or codec == "utf-8" or confidence < _LEAST_CONFIDENCE:
        return Encoding("cp1252", note="encoding unknown, read as windows-1252")
    note = None if confidence >= _SURE_CONFIDENCE else f"encoding uncertain, read as {answer['encoding']}"
    return Encoding(codec, note=note)


def _bad_share(chunks: Iterable[bytes], lines: list[bytes] | None = None) -> float | None:
    """Return the share of bytes beyond ASCII that do not fit UTF-8; None if that is more than a tenth.

    Arguments:
        chunks: the bytes.
        lines: gets the lines that hold such bytes, until there are enough to detect an encoding.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    high = bad = size = 0
    for chunk in chunks:
        if chunk.isascii() and not decoder.getstate()[0]:
            continue
        high += len(chunk.translate(None, _LOW))
        text = decoder.decode(chunk)
        bad += _escaped_bytes(text)
        if lines is not None and size < _DETECTED_BYTES:
            some = [line for line in chunk.split(b"\n") if not line.isascii()]
            lines += some
            size += sum(map(len, some))
    bad += _escaped_bytes(decoder.decode(b"", lines is not None))  # a sample ends within a character
    if lines:
        lines[:] = [b"\n".join(lines)[:_DETECTED_BYTES]]
    return bad / max(high, 1) if 10 * bad <= high else None


def _escaped_bytes(text: str) -> int:
    """Return how many bytes did not fit UTF-8, of a text decoded by `surrogateescape`."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return sum(map(len, re.findall("[\udc80-\udcff]+", text)))
    return 0


def _web(error: UnicodeError) -> tuple[str, int]:
    """Decode by the WHATWG's indexes what Python's codecs leave out of an encoding."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    found, start, name = error.object, error.start, error.encoding.replace("_", "-")
    pair = found[start : start + 2]
    if name == "euc-jp" and len(pair) == 2 and min(pair) >= 0xA1:  # rows 13 and 89 to 119: ① and 髙
        return _jis(pair), start + 2
    if name == "big5hkscs" and len(pair) == 2:
        # Windows' code page has characters that Hong Kong's standard leaves out.
        try:
            return pair.decode("cp950"), start + 2
        except UnicodeDecodeError:
            pass
    if found[start] == 0x80 and name in ("gb18030", "gbk"):
        return "€", start + 1
    if 0x80 <= found[start] < 0xA0 and (name == "charmap" or name.startswith("cp")) and name != "cp932":
        return chr(found[start]), start + 1
    return "\N{REPLACEMENT CHARACTER}", max(start + 1, error.end)


def _jis(pair: bytes) -> str:
    """Decode two bytes of EUC-JP by the index that Shift_JIS shares with it."""
    row, cell = pair[0] - 0xA1, pair[1] - 0xA1
    lead = row // 2 + (0x81 if row < 62 else 0xC1)
    trail = cell + 0x9F if row % 2 else cell + 0x40 + (cell >= 63)
    try:
        return bytes((lead, trail)).decode("cp932")
    except UnicodeDecodeError:
        return "\N{REPLACEMENT CHARACTER}"


codecs.register_error("docstore-web", _web)


class _Iso2022Jp:
    """ISO-2022-JP with the characters of NEC and IBM, and half-width kana, as the Standard has it."""

    def __init__(self) -> None:
        self._mode = b"(B"
        self._rest = b""

    def decode(self, found: bytes, final: bool = False) -> str:
        """Return the text of the next bytes; half a character waits for the next call."""
        found = self._rest + found
        self._rest = b""
        if not final and (at := found.rfind(b"\x1b")) >= 0 and len(found) - at < 4:
            found, self._rest = found[:at], found[at:]
        made: list[str] = []
        first, *others = found.split(b"\x1b")
        made.append(self._part(first, final or bool(others)))
        for number, part in enumerate(others, 1):
            size = 3 if part.startswith((b"$(D", b"$)C")) else 2
            self._mode = part[:size]
            made.append(self._part(part[size:], final or number < len(others)))
        return "".join(made)

    def _part(self, part: bytes, whole: bool) -> str:
        if self._mode in (b"$B", b"$@"):
            if len(part) % 2 and not whole:
                part, self._rest = part[:-1], part[-1:] + self._rest
            lines = bytes(byte | 0x80 if 0x21 <= byte <= 0x7E else byte for byte in part)
            return lines.decode("euc-jp", "docstore-web")
        if self._mode == b"(I":
            return bytes(byte | 0x80 if 0x21 <= byte <= 0x5F else byte for byte in part).decode(
                "cp932", "replace"
            )
        return part.decode("ascii", "replace")
