"""Which document is meant: an id or the unique beginning of one, an external_id, a filename."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from docstore.models import Document
    from docstore.store import Store

__all__ = ["documents_named", "named"]

_EXTERNAL = "external_id:"


def named(store: Store, name: str, *, include: Iterable[str] = (), prefix: int = 1) -> Document:
    """Return the document that is meant.

    Arguments:
        store: where.
        name: an id, `external_id:…`, an external_id, a filename, the beginning of an id, or the number that
            a listing shows; the first that any document has counts.
        include: heavy fields to read.
        prefix: characters that the beginning of an id must have at least.

    Raises:
        click.ClickException: none is; exit status 1.
        click.UsageError: several are.
    """
    for wanted, latest in _ways(name, prefix):
        found = store.documents.find(
            wanted, sort="number", limit=3, latest_only=latest, include=include
        ).items
        if len(found) > 1:
            ids = ", ".join(one.id for one in found)
            raise click.UsageError(f"{name!r} names several documents, such as {ids}: write an id")
        if found:
            return found[0]
    raise click.ClickException(f"there is no document {name!r}; see: docstore find")


def documents_named(store: Store, names: Iterable[str], *, prefix: int = 1) -> list[Document]:
    """Return the documents that are meant, each once, before anything is done with one."""
    found = (named(store, name, prefix=prefix) for name in names)
    return list({document.id: document for document in found}.values())


def _ways(name: str, prefix: int) -> Iterable[tuple[dict[str, Any], bool]]:
    if name.startswith(_EXTERNAL):
        yield {"external_id": name.removeprefix(_EXTERNAL)}, True
        return
    yield {"id": name}, False
    yield {"external_id": name}, True
    yield {"filename": name}, True
    if len(name) >= prefix:
        yield {"id": {"$startsWith": name}}, False
    if name.isascii() and name.isdecimal() and len(name) <= 18:
        yield {"number": int(name)}, False
