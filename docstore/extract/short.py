"""Short files of simple kinds, read in the process that asks, with the same result as in a child.

The way to a child and back costs as much as reading some kilobytes. Only what cannot run away is read here:
UTF-8 as it stands or gzipped, a few kilobytes of what has to be parsed, and kinds of files without text.
"""

from __future__ import annotations

import io
import re
import zlib

from docstore.extract.archives import inner_name
from docstore.extract.base import Extracted, ExtractionError, Source
from docstore.extract.decode import is_clean
from docstore.extract.dispatch import builtin, has_reader, kind_of, read
from docstore.extract.markup import html_text, xml_text
from docstore.extract.text import card_text, csv_rows, json_text, plain
from docstore.mediatypes import UNKNOWN, settled_type

__all__ = ["read_short"]

_PLAIN_BYTES = 256 * 1024
# Parsing more takes longer than the way to a child, 0.3 ms, where it can take another processor.
_PARSED_BYTES = 16 * 1024
_PARSED = (html_text, xml_text, csv_rows, json_text, card_text)
_HEAD = 8192
_DECLARES = re.compile(rb"coding|charset", re.IGNORECASE)
_DECLARED_WITHIN = 4096
_BUILTIN = builtin()


def read_short(found: bytes, filename: str) -> Extracted | None:
    """Return what :func:`~docstore.extract.extract` returns for these bytes; None if it is to be asked.

    Raises:
        ExtractionError: the reason why there is no text although there should be.
    """
    if found.startswith(b"\x1f\x8b\x08"):
        inner = _unpacked(found)
        made = _read(inner, inner_name(filename)) if inner else None
        return made and Extracted(made.text, made.state, made.note, "application/gzip")
    # Zips and OLE files have to be looked into to tell what they are.
    return None if found.startswith((b"PK", b"\xd0\xcf\x11\xe0")) else _read(found, filename)


def _unpacked(found: bytes) -> bytes | None:
    """Return what a short gzip holds, None if it is long, damaged or of several members."""
    inflate = zlib.decompressobj(31)
    try:
        inner = inflate.decompress(found, _PLAIN_BYTES + 1)
    except zlib.error:
        return None
    return inner if inflate.eof and not inflate.unused_data else None


def _read(found: bytes, filename: str) -> Extracted | None:
    if not found:
        return None
    kind = settled_type(None, filename, found[:_HEAD])
    if kind != UNKNOWN and _BUILTIN.find(kind) is plain and (text := _as_it_stands(found)):
        return Extracted(text, "complete", None, kind)
    source = Source(io.BytesIO(found), filename, "")
    kind = kind_of(source)
    if has_reader(kind) and not _is_simple(found, kind):
        return None
    pieces: list[str] = []
    state, note, error = read(source, None, pieces.append)
    if error is not None:
        raise ExtractionError(error)
    return Extracted("".join(pieces) if state != "none" else "", state, note, source.content_type)


def _as_it_stands(found: bytes) -> str | None:
    """Return short plain text; None if it is blank, no clean UTF-8, or may declare an encoding."""
    is_odd = len(found) > _PLAIN_BYTES or _DECLARES.search(found, 0, _DECLARED_WITHIN)
    if is_odd or found.startswith(b"\xef\xbb\xbf") or b"\x1b" in found or not is_clean(found):
        return None
    try:
        text = found.decode()
    except UnicodeDecodeError:  # the last character is cut
        return None
    return None if text.isspace() else text


def _is_simple(found: bytes, kind: str) -> bool:
    extractor = _BUILTIN.find(kind)
    most = _PLAIN_BYTES if extractor is plain else _PARSED_BYTES if extractor in _PARSED else 0
    # An entity can make much of little.
    return len(found) <= most and is_clean(found) and b"<!ENTITY" not in found
