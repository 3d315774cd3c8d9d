"""Receiving extractions: they follow their documents, as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from docstore.backend import Query, Row, Writer
from docstore.errors import AlreadyExists, shown
from docstore.query.expr import In
from docstore.query.fields import DOCUMENTS, EXTRACTIONS
from docstore.store import Store
from docstore.transfer.rows import COMPARED, PRIVATE, Key, differing, exactly, found_by_id, key_of

__all__ = ["Annexed", "receive_extractions"]

_IDENTITY = ("id", "tenant", "document_id")


@dataclass(slots=True)
class Annexed:
    """What became of a batch of extractions."""

    added: int = 0
    existing: int = 0
    replaced: int = 0
    skipped: int = 0


def receive_extractions(target: Store, rows: Sequence[Row], *, replace: bool) -> Annexed:
    """Write extractions in one transaction; those whose document is not in the target's scope are skipped.

    Raises:
        AlreadyExists: an id is taken by another extraction; nothing of the batch is kept.
    """
    return target._root.written(lambda writer: _write(target, writer, rows, replace), recognises=True)


def _write(target: Store, writer: Writer, rows: Sequence[Row], replace: bool) -> Annexed:
    annexed, fresh = Annexed(), list[Row]()
    documents = _documents(target, writer, rows)
    held = found_by_id(target, writer, EXTRACTIONS, [row["id"] for row in rows])
    for row in rows:
        found = held.get(key_of(row))
        columns = {name: row.get(name) for name in (*COMPARED["extractions"], *PRIVATE["extractions"])}
        if (row["tenant"], row["document_id"]) not in documents:
            annexed.skipped += 1
        elif found is None:
            fresh.append(columns)
        elif _is_same(row, found, replace):
            annexed.existing += 1
        else:
            changes = {name: value for name, value in columns.items() if name not in _IDENTITY}
            writer.update(EXTRACTIONS, found["number"], changes)
            annexed.replaced += 1
    if fresh:
        writer.insert(EXTRACTIONS, fresh)
    annexed.added = len(fresh)
    return annexed


def _is_same(row: Row, found: Row, replace: bool) -> bool:
    fields = differing(EXTRACTIONS, row, found)
    if fields and (not replace or not set(fields).isdisjoint(_IDENTITY)):
        raise AlreadyExists(
            f"the target has another extraction with the id {shown(row['id'])}: {', '.join(fields)} differ",
            id=row["id"],
        )
    return not fields


def _documents(target: Store, writer: Writer, rows: Sequence[Row]) -> set[Key]:
    """Return those documents of the extractions that the target has, locked, so that none goes meanwhile."""
    ids = tuple(dict.fromkeys(row["document_id"] for row in rows))
    query = Query(DOCUMENTS, target._scope, In(("id",), ids), lock="wait")
    return {key_of(row) for row in exactly(target._root.backend, writer, query)}
