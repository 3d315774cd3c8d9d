"""Rows: what SQLite hands over, as the mappings that the core reads.

Documents are listed all the time, so that theirs are written out: a display of names and values is made at
once, while a dictionary that is filled and corrected name by name takes twice as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from docstore_sql.tables import columns_of

from docstore.backend import Row
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, Kind

__all__ = ["rows_of"]

_TRUTH = {0: False, 1: True}
_LIGHT = DOCUMENTS.light()
_BOOLEANS = {
    collection.name: tuple(field.name for field in columns_of(collection) if field.kind is Kind.BOOLEAN)
    for collection in (DOCUMENTS, EXTRACTIONS)
}
"""The columns that SQLite keeps as 0 and 1."""


def rows_of(collection: Collection, names: Sequence[str], fetched: Sequence[Sequence[Any]]) -> list[Row]:
    """Return rows as new dictionaries.

    Args:
        collection: which rows they are.
        names: of the columns that were read.
        fetched: their values.
    """
    if names == _LIGHT:
        return [_document(*values) for values in fetched]
    booleans = _BOOLEANS[collection.name]
    rows: list[Row] = []
    for values in fetched:
        row = dict(zip(names, values, strict=True))
        row["tenant"] = row["tenant"] or None
        for name in booleans:
            row[name] = _TRUTH.get(row[name], row[name])
        rows.append(row)
    return rows


def _document(
    id: Any, number: Any, external_id: Any, version: Any, is_latest: Any, tenant: Any, owner: Any,
    filename: Any, content_type: Any, file_type: Any, size: Any, sha256: Any, status: Any, error: Any,
    attempts: Any, metadata: Any, preview: Any, content_state: Any, content_note: Any,
    created_at: Any, updated_at: Any, first_created_at: Any,
    processed_at: Any, expires_at: Any, revision: Any,
) -> Row:  # fmt: skip
    """Return a document's row; its columns are those of :data:`_LIGHT`."""
    return {
        "id": id, "number": number, "external_id": external_id, "version": version,
        "is_latest": is_latest == 1 if is_latest in _TRUTH else is_latest,
        "tenant": tenant or None, "owner": owner, "filename": filename,
        "content_type": content_type, "file_type": file_type, "size": size, "sha256": sha256,
        "status": status, "error": error, "attempts": attempts, "metadata": metadata, "preview": preview,
        "content_state": content_state, "content_note": content_note,
        "created_at": created_at, "updated_at": updated_at, "first_created_at": first_created_at,
        "processed_at": processed_at, "expires_at": expires_at, "revision": revision,
    }  # fmt: skip
