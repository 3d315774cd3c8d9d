"""Extractors of formats that are text already: plain text, source code, CSV, JSON, notebooks, vCard,
iCalendar.
"""

from __future__ import annotations

import codecs
import csv
import json
import quopri
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from json import JSONDecodeError
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import IO, Any, BinaryIO, cast

from docstore.extract.base import Source
from docstore.extract.decode import decode, text_chunks, text_of

__all__ = [
    "batched",
    "card_text",
    "csv_rows",
    "json_text",
    "lines_of",
    "notebook_text",
    "plain",
]

# Pieces are handed on through a socket: small ones would cost more than the reading.
_PIECE = 16 * 1024
_QUOTED_CHARACTERS = 256 * 1024  # a quote that is open for longer is no quote
# A string that is still open after so much is damage, not text.
_STRING_CHARACTERS = 1 << 24
# Bytes read at once.
_CHUNK = 256 * 1024
_SEPARATORS = ",;\t|"


def plain(source: Source) -> Iterator[str]:
    """Yield the file as it is: plain text, Markdown, source code, YAML and the like.

    Raises:
        ExtractionError: the bytes are not text.
    """
    return text_chunks(source)


def batched(pieces: Iterable[str], size: int = _PIECE) -> Iterator[str]:
    """Join small pieces to some kilobytes, so that handing them on costs little."""
    kept: list[str] = []
    length = 0
    try:
        for piece in pieces:
            kept.append(piece)
            length += len(piece)
            if length >= size:
                yield "".join(kept)
                kept.clear()
                length = 0
    except Exception:
        if kept:  # what was read before the bad piece stays
            yield "".join(kept)
        raise
    yield "".join(kept)


def lines_of(chunks: Iterable[str]) -> Iterator[str]:
    """Yield lines with their ends; a line of more than a megabyte comes in parts."""
    rest = ""
    for chunk in chunks:
        rest += chunk
        *lines, rest = rest.splitlines(keepends=True) or [""]
        yield from lines
        if len(rest) > 1 << 20:
            yield rest
            rest = ""
    if rest:
        yield rest


def csv_rows(source: Source) -> Iterator[str]:
    """Yield one line a row, its cells parted by tabs, quotes removed, empty cells at both ends left out.

    The delimiter is the one of `, ; tab |` that parts the first rows most evenly, outside of quotes. A quote
    that nothing ends is an ordinary character.

    Raises:
        ExtractionError: the bytes are not text.
    """
    return batched(_csv_lines(text_chunks(source)))


def _csv_lines(chunks: Iterable[str]) -> Iterator[str]:
    lines = _newlines(chunks)
    first: list[str] = []
    for line in lines:
        first.append(line)
        if len(first) == 20 or sum(map(len, first)) > _PIECE:
            break
    if first and re.fullmatch(r"sep=.\r?\n?", first[0]):  # Excel's own hint
        delimiter = first.pop(0)[4]
    else:
        delimiter = _delimiter("".join(first))
    for row, is_quoted in _logical(_both(first, lines), delimiter):
        if not is_quoted:
            cells = row.rstrip("\n").split(delimiter)
        else:
            try:
                cells = next(csv.reader([row], delimiter=delimiter, skipinitialspace=True), [])
            except csv.Error:
                cells = [row.rstrip("\n")]
        yield (
            "\t".join(cell.replace("\n", " ") if "\n" in cell else cell for cell in cells).strip("\t") + "\n"
        )


def _both(first: list[str], rest: Iterator[str]) -> Iterator[str]:
    yield from first
    yield from rest


def _newlines(chunks: Iterable[str]) -> Iterator[str]:
    """Yield lines that end with a line feed, a carriage return or both, and with no other character."""
    rest = ""
    for chunk in chunks:
        rest += chunk
        if "\r" in rest:
            held = rest[-1] == "\r"
            rest = (rest[:-1] if held else rest).replace("\r\n", "\n").replace("\r", "\n") + "\r" * held
        *lines, rest = rest.split("\n")
        for line in lines:
            yield line + "\n"
        if len(rest) > 1 << 20:
            yield rest
            rest = ""
    if rest:
        yield rest.rstrip("\r")


def _logical(lines: Iterator[str], delimiter: str) -> Iterator[tuple[str, bool]]:
    """Yield rows, those joined whose quoted cells hold line ends, and whether they have quoted cells."""
    begins = re.compile(rf'(?:\A|{re.escape(delimiter)})\s*"')
    for line in lines:
        if '"' not in line or not begins.search(line):
            yield line, False
            continue
        held, size, quotes = [line], len(line), line.count('"')
        while quotes % 2 and size <= _QUOTED_CHARACTERS and (more := next(lines, None)) is not None:
            held.append(more)
            size += len(more)
            quotes += more.count('"')
        if quotes % 2:
            yield from ((one, False) for one in held)
        else:
            yield "".join(held), True


def _delimiter(text: str) -> str:
    """Return the separator that parts the first rows most evenly, what stands in quotes left aside."""
    bare = re.sub(r'"(?:[^"]|"")*(?:"|\Z)', "", text)
    lines = [line for line in bare.split("\n") if line.strip(" ")] or [""]  # of quoted cells tabs alone stay

    def worth(separator: str) -> tuple[int, int]:
        counts = [line.count(separator) for line in lines]
        usual = max(set(counts), key=counts.count)
        return (counts.count(usual) if usual else 0, sum(counts))

    return max(_SEPARATORS, key=worth)


_TOKEN = re.compile(r'[ \t\r\n]*(?:([{}\[\],:])|(")|([^\s{}\[\],:"]+))')
_LITERAL = re.compile(r"(?:-?\d[\d.eE+-]*|true|false|null|NaN|-?Infinity)\Z")


def json_text(source: Source) -> Iterator[str]:
    r"""Yield the keys and values of JSON or JSON Lines, `key: value` a line, with their escapes resolved.

    So a search finds the words that stand there, also those that JSON writes as `\u00e9` or parts by `\n`. A
    key that stands twice keeps both its values. Nothing is built of it, so that memory does not grow with the
    file. What is not quite JSON (comments, a cut end) is yielded as it stands.

    Raises:
        ExtractionError: the bytes are not text.
    """
    return batched(_json_lines(text_chunks(source)))


def _json_lines(chunks: Iterator[str]) -> Iterator[str]:
    text, at, ended = "", 0, False
    key: str | None = None
    is_key = False
    nested: list[str] = []
    while True:
        match = _TOKEN.match(text, at)
        word, end = (None, len(text)) if match is None else _word(text, match, ended)
        if end == len(text) and not ended:
            more = list(islice(chunks, 1 + (len(text) - at) // _CHUNK))  # twice as much: never quadratic
            ended = not more
            text, at = text[at:] + "".join(more), 0
            continue
        if match is None:
            return
        at = end
        if word is None:
            mark = match[1]
            if mark in "{[":
                if key is not None:
                    yield f"{key}: \n"
                nested.append(mark)
            elif mark in "}]" and nested:
                nested.pop()
            key = key if mark == ":" else None
            is_key = bool(nested) and nested[-1] == "{" and mark in "{,"
        elif is_key and match[2]:
            key, is_key = word, False
        else:
            yield f"{word}\n" if key is None else f"{key}: {word}\n"
            key = None


def _word(text: str, match: re.Match[str], ended: bool) -> tuple[str | None, int]:
    """Return a string or literal and where it ends, None for a mark; the text's end if more must be read.

    What is no JSON (a comment, a word) is taken as it stands up to the end of its line, a string that nothing
    ends, too.
    """
    if match[1]:
        return None, match.end()
    if match[2]:
        try:
            word, end = scanstring(text, match.end(), False)
        except JSONDecodeError:
            if not ended and len(text) - match.end() < _STRING_CHARACTERS:
                return "", len(text)
        else:
            return word, end
    elif _LITERAL.match(match[3]):
        return match[3], match.end()
    end = text.find("\n", match.end())
    end = len(text) if end < 0 else end
    return text[match.end() if match[2] else match.start(3) : end].rstrip(), end


_SHOWN = ("text/plain", "text/markdown", "text/latex")
# Terminals' colours, which notebooks keep in outputs.
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def notebook_text(source: Source) -> Iterator[str]:
    """Yield a notebook's sources and outputs of text, a cell a piece; what is no notebook is read as JSON.

    Raises:
        ExtractionError: the bytes are not text.
    """
    try:
        notebook = json.loads(text_of(source))
    except (ValueError, RecursionError):
        source.lost("not a whole notebook, read as JSON")
        yield from json_text(source)
        return
    for cell in _cells(notebook):
        written = _text(cell.get("source", cell.get("input")))
        outputs = [one for one in _list(cell.get("outputs")) if isinstance(one, dict)]
        texts = (written, *(_output(one, source) for one in outputs))
        yield "".join(f"{text.rstrip()}\n" for text in texts if text.strip())


def _cells(notebook: Any) -> Iterator[dict[str, Any]]:
    """Yield the cells, in versions before 4 those of its worksheets."""
    if not isinstance(notebook, dict):
        return
    for sheet in (notebook, *_list(notebook.get("worksheets"))):
        cells = _list(sheet.get("cells")) if isinstance(sheet, dict) else []
        yield from (cell for cell in cells if isinstance(cell, dict))


def _output(output: dict[str, Any], source: Source) -> str:
    if "ename" in output:
        return f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}"
    data = output.get("data")
    found = data if isinstance(data, dict) else {}
    shown = next((found[kind] for kind in _SHOWN if kind in found), None)
    if shown is None and "text/html" in found:
        page = codecs.BOM_UTF8 + _text(found["text/html"]).encode("utf-8", "replace")
        return "".join(source.pieces(source.within(page, "", "text/html")))
    return _COLOURS.sub("", _text(output.get("text", shown)))


def _text(value: Any) -> str:
    if isinstance(value, list):
        parts = [part for part in value if isinstance(part, str)]
        are_lines = any(part.endswith("\n") for part in parts)  # not in the first versions
        return ("" if are_lines else "\n").join(parts)
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


_LINE = re.compile(r"\s*(?:[\w-]+\.)?([\w-]+)((?:;[^:\";]*(?:\"[^\"]*\"[^:\";]*)*)*):(.*)", re.DOTALL)
_SILENT_WORDS = (
    "BEGIN END VERSION PRODID UID REV PHOTO LOGO SOUND KEY SOURCE CALSCALE METHOD DTSTAMP SEQUENCE "
    "TRANSP CLASS CREATED LAST-MODIFIED RRULE EXDATE RDATE TRIGGER ACTION TZOFFSETFROM TZOFFSETTO TZURL "
    "PRIORITY"
)
_SILENT = frozenset(_SILENT_WORDS.split())
# RFC 5545 and 6350 write a line feed, a comma and a semicolon of a value so.
_ESCAPE = re.compile(r"\\([nN\\,;:])")
# A folded value, such as a photograph in a card, is cut here.
_VALUE_CHARACTERS = 1 << 20
# Both fold lines by bytes, and may cut a character of UTF-8 in two.
_CUT_CHARACTER = re.compile(rb"([\x80-\xff])\r?\n[ \t](?=[\x80-\xbf])")
# A longer calendar is joined on disk.
_IN_MEMORY = 8 * 1024 * 1024


def card_text(source: Source) -> Iterator[str]:
    """Yield the values that people wrote, a line each; not those of pictures, ids and rules.

    Raises:
        ExtractionError: the bytes are not text.
    """
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as joined:
        if b"\0" not in source.head():
            _join_characters(source, joined)
            source = replace(source, stream=cast(BinaryIO, joined))
        yield from batched(value + "\n" for value in _values(source) if value.strip())


def _join_characters(source: Source, joined: IO[bytes]) -> None:
    """Write a file without the folds within a character: lines are counted in bytes (RFC 5545, 3.1)."""
    held = b""
    for chunk in source.chunks():
        found = _CUT_CHARACTER.sub(rb"\1", held + chunk)
        joined.write(found[:-4])
        held = found[-4:]
    joined.write(held)


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
    held, size, is_quoted = [""], 0, False
    for line in lines_of(text_chunks(source)):
        bare = line.rstrip("\r\n")
        goes_on = size < _VALUE_CHARACTERS and bool(held[0])
        if goes_on and bare[:1] in (" ", "\t"):
            held.append(bare[1:])
        elif goes_on and is_quoted and held[-1].endswith("="):
            held[-1] = held[-1][:-1]
            held.append(bare)
        else:
            yield "".join(held)
            held, size, is_quoted = [bare], 0, "QUOTED-PRINTABLE" in bare.partition(":")[0].upper()
        size += len(bare)
    yield "".join(held)
