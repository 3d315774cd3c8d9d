"""Rows in and out: inserting many by one statement, and reading rows as the mappings of the seam.

Binding a value takes a tenth of the time that its whole row takes, and most columns of most documents are
empty. So a value that all rows have stands in the statement as a literal, and columns with equal values
are bound once.

Documents are listed all the time. Their rows are written out as one display of names and values; filling
and correcting a dictionary name by name takes twice as long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from docstore_sql.session import name_columns
from docstore_sql.tables import columns_of

from docstore.backend import Row, column
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, Collection, Kind

__all__ = ["insertion", "rows_of"]

# Few literals, so that there are few statements.
_LITERALS: Final = {None: "NULL", 0: "0", 1: "1"}


def insertion(
    table: str, names: Sequence[str], numbers: Sequence[int], rows: Sequence[Row], *, marks: bool
) -> tuple[str, Iterator[tuple[Any, ...]]]:
    """Return an INSERT statement and its values, row by row.

    Args:
        table: the table as SQL text.
        names: the columns besides the number; the last two are the folds of the filename.
        numbers: the numbers of the rows.
        rows: the rows, at least one.
        marks: whether the fold for search keeps marks.
    """
    *stored, fold_name, search_name = names
    columns = {name: column(rows, name) for name in stored}
    folds = [name_columns(filename, marks=marks) for filename in columns["filename"]]
    folded, columns[search_name] = map(list, zip(*folds, strict=True))
    columns[fold_name] = columns["filename"] if folded == columns["filename"] else folded
    literals = {name: _literal(columns[name]) for name in names}
    bound = [columns[name] for name in names if literals[name] is None]
    # A value that two columns share is bound twice: Python 3.12.0 to 3.12.3 warn of `?1`.
    marked = {name: "?" if literal is None else literal for name, literal in literals.items()}
    if marked["tenant"] == "NULL":
        marked["tenant"] = "''"
    elif None in columns["tenant"]:
        marked["tenant"] = "coalesce(?, '')"
    values = ", ".join(marked[name] for name in names)
    text = f"INSERT INTO {table} (number, {', '.join(names)}) VALUES (?, {values})"
    return text, zip(numbers, *bound, strict=True)


def _literal(values: Sequence[Any]) -> str | None:
    """Return the literal that all rows have in a column, None if the column has to be bound."""
    first = values[0]
    if first is not None and type(first) is not int and type(first) is not bool:
        return None
    text = _LITERALS.get(first)
    return text if text is not None and values.count(first) == len(values) else None


_TRUTH = {0: False, 1: True}
_LIGHT = DOCUMENTS.light()
# The columns that SQLite stores as 0 and 1.
_BOOLEANS = {
    collection.name: tuple(field.name for field in columns_of(collection) if field.kind is Kind.BOOLEAN)
    for collection in (DOCUMENTS, EXTRACTIONS)
}


def rows_of(collection: Collection, names: Sequence[str], fetched: Sequence[Sequence[Any]]) -> list[Row]:
    """Return rows as new dictionaries.

    Args:
        collection: which rows they are.
        names: of the columns that were read.
        fetched: their values.
    """
    if names == _LIGHT:
        return [_document(*values) for values in fetched]
    booleans = [name for name in _BOOLEANS[collection.name] if name in names]
    rows: list[Row] = []
    for values in fetched:
        row = dict(zip(names, values, strict=True))
        if "tenant" in row:
            row["tenant"] = row["tenant"] or None
        for name in booleans:
            if name in row:
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
