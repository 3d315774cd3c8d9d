"""Extractors of formats that are text already: plain text, Markdown, source code, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

from docstore.extract.base import Source
from docstore.extract.decode import text_of

__all__ = ["csv_rows", "json_text", "plain"]


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


def json_text(source: Source) -> str:
    r"""Return JSON with its escapes resolved (`\u00e9` becomes é), so that a search finds the words.

    JSON Lines, and what is not quite JSON (comments, a cut end), is returned as it stands.

    Raises:
        ExtractionError: the bytes are not text.
    """
    text = text_of(source)
    if "\\" not in text:
        return text
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=1)
    except (ValueError, RecursionError):
        return text
