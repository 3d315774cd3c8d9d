"""The extractor of Jupyter notebooks: what stands in their cells, and the text of what these printed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from docstore.extract.base import Source
from docstore.extract.decode import text_of
from docstore.extract.text import json_text

__all__ = ["notebook_text"]

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
        texts = (written, *map(_output, outputs))
        yield "".join(f"{text.rstrip()}\n" for text in texts if text.strip())


def _cells(notebook: Any) -> Iterator[dict[str, Any]]:
    """Yield the cells, in versions before 4 those of its worksheets."""
    if not isinstance(notebook, dict):
        return
    for sheet in (notebook, *_list(notebook.get("worksheets"))):
        cells = _list(sheet.get("cells")) if isinstance(sheet, dict) else []
        yield from (cell for cell in cells if isinstance(cell, dict))


def _output(output: dict[str, Any]) -> str:
    if "ename" in output:
        return f"{_text(output.get('ename'))}: {_text(output.get('evalue'))}"
    data = output.get("data")
    plain = data.get("text/plain", data.get("text/markdown")) if isinstance(data, dict) else None
    return _COLOURS.sub("", _text(output.get("text", plain)))


def _text(value: Any) -> str:
    if isinstance(value, list):
        parts = [part for part in value if isinstance(part, str)]
        are_lines = any(part.endswith("\n") for part in parts)  # not in the first versions
        return ("" if are_lines else "\n").join(parts)
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
