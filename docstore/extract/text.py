"""Extractors of formats that are text already: plain text, Markdown, source code, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

from docstore.extract.base import Source
from docstore.extract.decode import text_of

__all__ = ["csv_rows", "json_rows", "json_text", "plain"]


def plain(source: Source) -> str:
    """Return the file as it is: plain text, Markdown, source code, XML, YAML and the like.

    Raises:
        ExtractionError: the bytes are not text.
    """
    return text_of(source)


def csv_rows(source: Source) -> Iterator[str]:
    """Yield one line a row, its cells parted by tabs, quotes removed.

    The delimiter is the one of `, ; tab |` that the first line has most of. What is no CSV (an open
    quote over more than the csv module's bound) is yielded as it stands.

    Raises:
        ExtractionError: the bytes are not text.
    """
    text = text_of(source)
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
        lines = ["\t".join(row) + "\n" for row in rows]
    except csv.Error:
        lines = [text]
    yield from lines


def _delimiter(text: str) -> str:
    first = text[:4096].partition("\n")[0]
    return max(",;\t|", key=first.count)


def json_text(source: Source) -> Iterator[str]:
    r"""Yield the keys and values of JSON, `key: value` a line, strings with their escapes resolved.

    So a search finds the words that stand there, also those that JSON writes as `\u00e9` or parts by
    `\n`. What is not quite JSON (comments, a cut end) is yielded as it stands.

    Raises:
        ExtractionError: the bytes are not text.
    """
    text = text_of(source)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        yield text
    else:
        yield from _json_lines(value)


def json_rows(source: Source) -> Iterator[str]:
    """Yield JSON Lines as `json_text` does each of them; a line that is no JSON as it stands.

    Raises:
        ExtractionError: the bytes are not text.
    """
    for line in text_of(source).splitlines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            yield f"{line}\n"
        else:
            yield from _json_lines(value)


def _json_lines(value: object) -> Iterator[str]:
    """Walk a value without recursion: it may be nested as deep as the parser allows."""
    pending = [_children(value) or iter([("", value)])]
    while pending:
        key, below = next(pending[-1], (None, None))
        if key is None:
            pending.pop()
            continue
        children = _children(below)
        if children is None:
            yield f"{key}{_scalar(below)}\n"
        else:
            pending.append(children)
            yield f"{key}\n" if key else ""


def _children(value: object) -> Iterator[tuple[str, object]] | None:
    if isinstance(value, dict):
        return ((f"{key}: ", below) for key, below in value.items())
    if isinstance(value, list):
        return (("", below) for below in value)
    return None


def _scalar(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
