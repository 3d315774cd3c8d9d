"""Decide whether bytes are text, and decode them: byte-order mark, UTF-8, what the file declares, Latin.

Below every extractor of a text format. The order is fixed and asks nothing of the host's locale.
"""

from __future__ import annotations

import codecs
import re

from docstore.extract.base import ExtractionError, Source

__all__ = ["decode", "text_of"]

_SAMPLE = 8192
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\b\x1b"))
_DECLARED = re.compile(rb"""(?:coding|charset|encoding)\s*[:=]\s*["']?([-\w.]+)""")
_CHARSETS = re.compile(r"(iso|cp|koi8|mac|euc|shift|big5|gb|johab|tis|utf-(16|32))")


def text_of(source: Source) -> str:
    """Read a source as text, from its beginning as far as the bounds allow.

    Raises:
        ExtractionError: the bytes are not text.
    """
    found, cut = source.start()
    return decode(found, cut=cut)


def decode(found: bytes, *, cut: bool = False) -> str:
    r"""Decode bytes as text.

    A byte-order mark decides; else UTF-16 without one is known by its zero bytes; else UTF-8 is
    tried, then the encoding that the first kilobyte declares (`coding:`, `charset=`, `encoding=`),
    then Windows-1252, then Latin-1, which takes any bytes.

    Arguments:
        found: the bytes.
        cut: whether they were cut off; half a character at the end is then dropped.

    Raises:
        ExtractionError: the bytes are binary (zero bytes or many control characters), or are not
            what their byte-order mark says.
    """
    for mark, encoding in _MARKS:
        if found.startswith(mark):
            return _marked(found[len(mark) :], encoding, cut)
    if b"\0" in found[:_SAMPLE]:
        return _without_mark(found, cut)
    text = _tried(found, "utf-8", cut)
    _refuse_controls(found[:_SAMPLE], share=0.02 if text is None else 0.1)
    for encoding in (*_declared(found), "cp1252"):
        if text is None:
            text = _tried(found, encoding, cut)
    return found.decode("latin-1") if text is None else text


def _tried(found: bytes, encoding: str, cut: bool) -> str | None:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(found, final=not cut)
    except UnicodeError:
        return None


def _marked(found: bytes, encoding: str, cut: bool) -> str:
    text = _tried(found, encoding, cut)
    if text is None:
        raise ExtractionError(f"begins like {encoding.upper()} text but is not; damaged or truncated")
    return text


def _without_mark(found: bytes, cut: bool) -> str:
    """Decode UTF-16 if nearly every other byte is zero, as it is in Latin letters."""
    sample = found[:_SAMPLE]
    even, odd, half = sample[0::2].count(0), sample[1::2].count(0), len(sample) // 2
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    alternate = max(even, odd) > 0.7 * half and min(even, odd) < 0.1 * half
    text = _tried(found, encoding, cut) if alternate else None
    if text is None:
        raise ExtractionError(f"binary, not text: a zero byte at offset {sample.index(0)}")
    return text


def _refuse_controls(sample: bytes, share: float) -> None:
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    if controls > share * len(sample):
        raise ExtractionError(f"binary, not text: {controls} control characters in {len(sample)} bytes")


def _declared(found: bytes) -> list[str]:
    """Return the encoding that the bytes declare, if it is a character set that we decode."""
    match = _DECLARED.search(found[:1024])
    if match is None:
        return []
    try:
        name = codecs.lookup(match[1].decode("ascii")).name
    except (LookupError, ValueError):
        return []
    return [name] if _CHARSETS.match(name) else []
