"""Import plain records, JSON Lines or CSV, into a store."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, BinaryIO, Literal

from docstore.errors import InvalidDocument
from docstore.store import Store
from docstore.transfer.rows import look_after

__all__ = [
    "RecordsReport",
    "import_records",
    "is_export",
]

# Records of one commit: what fails before it names the line that it stopped at.
_BATCH = 1000
_MOST_VALUE = 2**31 - 1  # characters of a value of CSV
# What is a field of a document; all else is its metadata.
_FIELDS = frozenset(
    {
        "id", "external_id", "filename", "content_type", "status", "error", "content", "preview",
        "created_at", "updated_at", "processed_at", "expires_at", "sha256", "size", "tenant", "owner",
    }
)  # fmt: skip


@dataclass(slots=True)
class RecordsReport:
    """The result of an import of plain records.

    Attributes:
        added, replaced, unchanged: how many documents were.
        failed: the line of each record that could not be stored, from 1, and why.
    """

    added: int = 0
    replaced: int = 0
    unchanged: int = 0
    failed: list[tuple[int, Exception]] = field(default_factory=list)


def is_export(beginning: bytes) -> bool:
    """Return whether a stream that begins so is what :func:`export_lines` writes."""
    line = beginning.split(b"\n", 1)[0]
    try:
        found = json.loads(line)
    except ValueError:
        return False
    return isinstance(found, dict) and found.keys() == {"docstore", "bytes"}


def import_records(
    store: Store, file: BinaryIO, *, form: Literal["jsonl", "csv"] = "jsonl", key: str | None = None
) -> RecordsReport:
    """Add each record as a document, in batches, each one commit.

    A field of the record that is one of a document (``filename``, ``external_id``, ``content``, …) becomes
    that, an object ``metadata`` and all else its metadata. Of CSV all values are text, and an empty one is
    none.

    Args:
        store: where to.
        file: a binary file in UTF-8; it is not closed.
        form: ``jsonl``, a JSON object a line; ``csv``, with a header, separated by commas, semicolons or
            tabs.
        key: the field that is the ``external_id``, too: what is there under it is replaced if it is another.
            ``None``: every record is added anew.

    Returns:
        How many were added and replaced, and which could not be.

    Raises:
        InvalidDocument: a line is no JSON object, or there is no header; the batches before stay.
    """
    look_after("import", store, writes=True)
    report = RecordsReport()
    records = _of_csv(file) if form == "csv" else _of_lines(file)
    numbered = enumerate(records, 2 if form == "csv" else 1)
    while some := list(islice(numbered, _BATCH)):
        drafts = [_draft(record, key, line) for line, record in some]
        if key is None:
            added = store.documents.add_many(drafts, on_error="collect")
            report.added += len(added.ids)
            failed = added.failed
        else:
            put = store.documents.put_many(drafts, on_conflict="replace", on_error="collect")
            report.added, report.replaced = report.added + put.added, report.replaced + put.replaced
            report.unchanged += put.unchanged
            failed = put.failed
        report.failed += [(some[index][0], error) for index, error in failed]
    return report


def _draft(record: Mapping[str, Any], key: str | None, line: int) -> dict[str, Any]:
    metadata = record.get("metadata")
    inner = dict(metadata) if isinstance(metadata, Mapping) else {}
    for name, value in record.items():
        if name not in _FIELDS and not (name == "metadata" and isinstance(metadata, Mapping)):
            inner[name] = value
    made = {name: value for name, value in record.items() if name in _FIELDS and value is not None}
    if key is not None:
        found = record.get(key)
        if found is None or isinstance(found, dict | list):
            raise InvalidDocument(f"line {line}: no value in the field {key!r}, which is the key", index=line)
        made["external_id"] = str(found)
    if "content" in made:
        made.setdefault("status", "completed")
    return {**made, "metadata": inner}


def _of_lines(file: BinaryIO) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as wrong:
            raise InvalidDocument(f"line {number}: no JSON: {wrong}", index=number) from None
        if not isinstance(record, dict):
            raise InvalidDocument(f"line {number}: expected a JSON object", index=number)
        yield record


def _of_csv(file: BinaryIO) -> Iterator[dict[str, Any]]:
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        header = text.readline()
        separator = max(",;\t", key=header.count)
        names = next(csv.reader([header], delimiter=separator), [])
        if not any(names):
            raise InvalidDocument("line 1: expected a header, the names of the fields", index=1)
        for row in _rows(csv.reader(text, delimiter=separator)):
            yield {name: value for name, value in zip(names, row, strict=False) if name and value != ""}
    except UnicodeDecodeError as wrong:
        raise InvalidDocument(f"no UTF-8 text ({wrong.reason}): save it as UTF-8 first") from None
    finally:
        text.detach()


def _rows(reader: Any) -> Iterator[list[str]]:
    """Yield the rows of a reader of CSV, with values of any length: a content is longer than csv allows."""
    while True:
        allowed = csv.field_size_limit(_MOST_VALUE)
        try:
            row = next(reader, None)
        except csv.Error as wrong:
            raise InvalidDocument(f"line {reader.line_num}: no CSV: {wrong}", index=reader.line_num) from None
        finally:
            csv.field_size_limit(allowed)
        if row is None:
            return
        yield row
