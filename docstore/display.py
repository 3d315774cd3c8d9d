"""How records and pages show themselves: a line in a terminal, a table or a card in a notebook. Pure."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

__all__ = ["page_line", "page_table", "record_card", "record_line"]

_WIDTH = 40
"""Characters of a text in a line."""
_CELL = 120
_COLUMNS = ("number", "filename", "status", "metadata", "results", "created_at")
_STYLE = "text-align:left;vertical-align:top"


def record_line(record: Any) -> str:
    """Return what tells a record from others."""
    name = type(record).__name__
    parts = [f"#{record.number}", _cut(repr(record.filename), _WIDTH), str(record.status.value)]
    if getattr(record, "version", 1) > 1:
        parts.append(f"version {record.version}")
    return f"<{name} {' '.join(parts)} id={_cut(record.id, _WIDTH)!r}>"


def page_line(page: Any) -> str:
    """Return how many records are on a page, of how many."""
    kind = type(page.items[0]).__name__ if page.items else "record"
    noun = kind.lower() + ("" if len(page.items) == 1 else "s")
    total = "" if page.total is None else f" of {page.total}{'' if page.total_is_exact else ' or more'}"
    return f"<Page: {len(page.items)} {noun}{total}{', more follow' if page.has_more else ''}>"


def page_table(page: Any) -> str:
    """Return a page as an HTML table of its main columns."""
    names = [name for name in _COLUMNS if page.items and hasattr(page.items[0], name)]
    head = "".join(f'<th style="{_STYLE}">{name}</th>' for name in names)
    rows = (
        "".join(f'<td style="{_STYLE}">{_cell(getattr(item, name, None), _CELL)}</td>' for name in names)
        for item in page.items
    )
    return f"<p>{html.escape(page_line(page))}</p>{_table(head, rows)}"


def record_card(record: Any) -> str:
    """Return all fields of a record that are not empty as an HTML table."""
    fields = {name: getattr(record, name) for name in type(record).model_fields}
    rows = (
        f'<th style="{_STYLE}">{name}</th><td style="{_STYLE}">{_cell(value, 10 * _CELL)}</td>'
        for name, value in fields.items()
        if value is not None
    )
    return f"<p>{html.escape(record_line(record))}</p>{_table('', rows)}"


def _table(head: str, rows: Iterable[str]) -> str:
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>"


def _cell(value: Any, width: int) -> str:
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, datetime):
        value = value.isoformat(sep=" ", timespec="seconds")
    return html.escape(_cut("" if value is None else str(value), width))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
