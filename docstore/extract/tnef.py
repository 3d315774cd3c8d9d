"""Extractor of TNEF (`winmail.dat`), in which Outlook packs a message and its attachments.

The format is that of Microsoft's MS-OXTNEF: attributes with checksums, two of which hold lists of MAPI
properties. Lengths are compared with the bytes that are left before anything is read by them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import cast

from docstore.extract.base import ExtractionError, Source
from docstore.extract.decode import codec_of, decode

__all__ = ["TNEF", "tnef_attachments", "tnef_text"]

TNEF = "application/vnd.ms-tnef"
_MARK = b"\x78\x9f\x3e\x22"
# A message is held in memory, and mail servers take no longer ones.
_MOST_BYTES = 64 * 1024 * 1024
_SUBJECT, _BODY, _CODE_PAGE, _MESSAGE_PROPERTIES = 0x8004, 0x800C, 0x9007, 0x9003
_NEW_ATTACHMENT, _ATTACHMENT_NAME, _ATTACHMENT_DATA, _ATTACHMENT_PROPERTIES = 0x9002, 0x8010, 0x800F, 0x9005
_FIXED_BYTES = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 0xA: 4, 0xB: 4, 0x14: 8, 0x40: 8, 0x48: 16}
_TEXT, _WIDE_TEXT, _BINARY, _OBJECT = 0x1E, 0x1F, 0x102, 0xD
_BODY_TEXT, _BODY_RTF, _BODY_HTML, _TITLE, _LONG_NAME = 0x1000, 0x1009, 0x1013, 0x37, 0x3707
# What every compressed RTF begins to copy from (MS-OXRTFCP, 2.1.3.1).
_DICTIONARY = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans "
    rb"SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0" + b"\r\n" + rb"\par "
    rb"\pard\plain\f0\fs20\b\i\u\tab\tx"
)
_Values = dict[int, bytes | str]


def tnef_text(source: Source) -> Iterator[str]:
    """Yield the subject, the text of the message, and the names of its attachments.

    Raises:
        ExtractionError: no TNEF, or nothing of it can be read.
    """
    message, attachments = _read(source)
    if subject := _shown(message.get(_TITLE)):
        yield f"Subject: {subject}\n\n"
    html, rtf = message.get(_BODY_HTML), message.get(_BODY_RTF)
    if body := _shown(message.get(_BODY_TEXT)):
        yield body.rstrip() + "\n"
    elif html:
        page = html.encode("utf-8", "replace") if isinstance(html, str) else html
        yield from source.pieces(source.within(page, "", "text/html"))
        yield "\n"
    elif isinstance(rtf, bytes):
        try:
            yield from source.pieces(source.within(_unpacked(rtf), "", "application/rtf"))
        except ExtractionError as wrong:
            source.lost(f"a part of the file could not be read: the message: {wrong.message}")
        yield "\n"
    for name, _ in attachments:
        yield f"{name}\n"


def tnef_attachments(source: Source) -> Iterator[tuple[str, None, bytes]]:
    """Yield the attachments: name, no content type, and bytes."""
    for name, found in _read(source)[1]:
        yield name, None, found


def _shown(value: bytes | str | None) -> str:
    return value if isinstance(value, str) else decode(value) if value else ""


def _read(source: Source) -> tuple[_Values, list[tuple[str, bytes]]]:
    source.stream.seek(0)
    found = source.stream.read(_MOST_BYTES)
    if not found.startswith(_MARK):
        raise ExtractionError("no TNEF: it does not begin with its signature")
    message: _Values = {}
    attachments: list[tuple[str, bytes]] = []
    charset: str | None = None
    at = 6
    while at + 9 <= len(found):
        _, attribute, size = struct.unpack_from("<BII", found, at)
        value, at = found[at + 9 : at + 9 + size], at + 11 + size
        kind = attribute & 0xFFFF
        if at > len(found):
            source.lost("damaged or truncated: the last attribute is not whole")
        if kind == _CODE_PAGE and len(value) >= 4:
            charset = codec_of(f"cp{int.from_bytes(value[:4], 'little')}")
        elif kind in (_SUBJECT, _BODY):
            message.setdefault(_TITLE if kind == _SUBJECT else _BODY_TEXT, _string(value, charset))
        elif kind == _MESSAGE_PROPERTIES:
            message.update(_properties(value, charset, source))
        elif kind == _NEW_ATTACHMENT:
            attachments.append(("attachment", b""))
        elif attachments and kind == _ATTACHMENT_NAME:
            attachments[-1] = (_string(value, charset) or attachments[-1][0], attachments[-1][1])
        elif attachments and kind == _ATTACHMENT_DATA:
            attachments[-1] = (attachments[-1][0], value)
        elif attachments and kind == _ATTACHMENT_PROPERTIES:
            name = _shown(_properties(value, charset, source).get(_LONG_NAME))
            attachments[-1] = (name or attachments[-1][0], attachments[-1][1])
    if found[at:].strip(b"\0\r\n "):
        source.lost("damaged or truncated: the last attribute is not whole")
    return message, attachments


def _string(value: bytes, charset: str | None) -> str:
    return decode(value.partition(b"\0")[0], charset)


def _properties(found: bytes, charset: str | None, source: Source) -> _Values:
    """Return the texts and bytes among MAPI properties, by their number; what follows damage is noted."""
    made: _Values = {}
    try:
        count, at = cast(int, struct.unpack_from("<I", found)[0]), 4
        for _ in range(count):
            kind, number = struct.unpack_from("<HH", found, at)
            at = _past_name(found, at + 4) if number & 0x8000 else at + 4
            values, at = _values(found, at, kind)
            if values and kind & 0xFFF == _TEXT:
                made[number] = _string(values[0], charset)
            elif values and kind & 0xFFF == _WIDE_TEXT:
                made[number] = values[0].decode("utf-16-le", "replace").partition("\0")[0]
            elif values:
                made[number] = values[0]
            if at > len(found) + 3:  # the padding of the last may be missing
                raise ValueError("cut off")
    except (struct.error, ValueError):
        source.lost("a part of the file could not be read: damaged properties")
    return made


def _past_name(found: bytes, at: int) -> int:
    """Return where the value of a named property begins: behind a GUID, and a number or a text."""
    kind, size = struct.unpack_from("<II", found, at + 16)
    return at + 24 + (-(-size // 4) * 4 if kind else 0)


def _values(found: bytes, at: int, kind: int) -> tuple[list[bytes], int]:
    """Return a property's values if they are texts or bytes, and where they end."""
    base = kind & 0xFFF
    is_long = base in (_TEXT, _WIDE_TEXT, _BINARY, _OBJECT)
    count = 1
    if kind & 0x1000 or is_long:
        count, at = struct.unpack_from("<I", found, at)[0], at + 4
    if not is_long:
        if base not in _FIXED_BYTES:
            raise ValueError(f"unknown type {base:#x}")
        return [], at + count * _FIXED_BYTES[base]
    values: list[bytes] = []
    for _ in range(count):
        size = struct.unpack_from("<I", found, at)[0]
        values.append(found[at + 4 : at + 4 + size])
        at += 4 + -(-size // 4) * 4
    return values, at


def _unpacked(found: bytes) -> bytes:
    """Return RTF that was compressed by MS-OXRTFCP, as far as it goes."""
    if found[8:12] == b"MELA":
        return found[16:]
    if found[8:12] != b"LZFu":
        raise ExtractionError("no compressed RTF")
    made = bytearray(_DICTIONARY)
    most = len(_DICTIONARY) + min(int.from_bytes(found[4:8], "little"), _MOST_BYTES)
    at = 16
    while at < len(found) and len(made) < most:
        flags, at = found[at], at + 1
        for bit in range(8):
            if not flags >> bit & 1:
                made += found[at : at + 1]
                at += 1
                continue
            pair = int.from_bytes(found[at : at + 2], "big")
            at += 2
            # Offsets count in a ring of 4,096 bytes; one that is where the next byte goes is the end.
            back = (len(made) - (pair >> 4)) % 4096
            if at > len(found) or back == 0 or back > len(made):
                return bytes(made[len(_DICTIONARY) : most])
            for _ in range((pair & 15) + 2):
                made.append(made[-back])
    return bytes(made[len(_DICTIONARY) : most])
