"""Extractors of vCard and iCalendar: the values of their properties, unfolded and decoded."""

from __future__ import annotations

import quopri
import re
from collections.abc import Iterator

from docstore.extract.base import Source
from docstore.extract.decode import decode, text_chunks
from docstore.extract.text import batched, lines_of

__all__ = ["card_text"]

_LINE = re.compile(r"\s*(?:[\w-]+\.)?([\w-]+)((?:;[^:\";]*(?:\"[^\"]*\"[^:\";]*)*)*):(.*)", re.DOTALL)
_SILENT_WORDS = (
    "BEGIN END VERSION PRODID UID REV PHOTO LOGO SOUND KEY SOURCE CALSCALE METHOD DTSTAMP SEQUENCE "
    "TRANSP CLASS CREATED LAST-MODIFIED RRULE EXDATE RDATE TRIGGER ACTION TZOFFSETFROM TZOFFSETTO TZURL "
    "PRIORITY"
)
_SILENT = frozenset(_SILENT_WORDS.split())
_ESCAPE = re.compile(r"\\([nN\\,;:])")
_VALUE_CHARACTERS = 1 << 20


def card_text(source: Source) -> Iterator[str]:
    """Yield the values that people wrote, a line each; not those of pictures, ids and rules.

    Raises:
        ExtractionError: the bytes are not text.
    """
    return batched(value + "\n" for value in _values(source) if value.strip())


def _values(source: Source) -> Iterator[str]:
    for line in _unfolded(source):
        match = _LINE.match(line)
        if match is None:
            yield line.strip()
            continue
        name, parameters, value = match[1].upper(), match[2].upper(), match[3].rstrip("\r\n")
        if name in _SILENT or "ENCODING=B" in parameters or value.startswith("data:"):
            continue
        if "QUOTED-PRINTABLE" in parameters:
            charset = re.search(r"CHARSET=\"?([-\w.:]+)", parameters)
            value = decode(quopri.decodestring(value.encode("utf-8")), charset[1] if charset else None)
        value = re.sub(r"(?<!\\);+", " ", value) if name in ("N", "ADR", "ORG") else value
        if name in ("ATTENDEE", "ORGANIZER"):
            called = re.search(r'CN=(?:"([^"]*)"|([^";:]+))', match[2], re.IGNORECASE)
            address = re.sub("^mailto:", "", value, flags=re.IGNORECASE)
            value = f"{(called[1] or called[2]) if called else ''} {address}"
        yield _ESCAPE.sub(lambda found: "\n" if found[1] in "nN" else found[1], value).strip()


def _unfolded(source: Source) -> Iterator[str]:
    """Join the lines that begin with a blank, and those of quoted-printable that end with `=`."""
    held = ""
    for line in lines_of(text_chunks(source)):
        bare = line.rstrip("\r\n")
        if held and len(held) < _VALUE_CHARACTERS and bare[:1] in (" ", "\t"):
            held += bare[1:]
        elif held.endswith("=") and "QUOTED-PRINTABLE" in held.partition(":")[0].upper():
            held = held[:-1] + bare
        else:
            if held:
                yield held
            held = bare
    if held:
        yield held
