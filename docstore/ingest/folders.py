"""Indexed folders: the names they are known by, and the keys of their files.

Nothing is kept beside the documents: each says in ``metadata.source`` which folder it came from (``root``,
its name, and ``root_path``), and the first that is found speaks for the folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from docstore.documents import Documents
from docstore.errors import AlreadyExists, InvalidDocument, shown
from docstore.models import Document

__all__ = ["MOST_KEY_BYTES", "IndexedFolder", "folder_of_file", "indexed_folder", "owned_by", "shard_of"]

# Bytes of a key as it stands; Postgres' unique index on it takes a third of a page, 2,704 bytes, with two
# names before it.
MOST_KEY_BYTES = 800


@dataclass(frozen=True, slots=True)
class IndexedFolder:
    """A folder whose files are in a store.

    Attributes:
        name: what the keys of its files begin with.
        path: absolute, links resolved.
    """

    name: str
    path: str

    def key(self, path: str) -> str:
        """Return the ``external_id`` of the file at a path within the folder, parted by ``/``."""
        return key_of(f"{self.name}/{path}")

    def source(self, path: str) -> dict[str, Any]:
        """Return what ``metadata.source`` says of where a file is."""
        shown = shown_path(path)
        said = {
            "root": self.name,
            "root_path": shown_path(self.path),
            "path": shown,
            "folder": shown.rpartition("/")[0],
        }
        return said if shown == path else {**said, "raw_path": quote(os.fsencode(path))}


def key_of(whole: str) -> str:
    """Return the ``external_id`` of a file, from its folder's name and its path in it."""
    raw = os.fsencode(whole)
    text = shown_path(whole)
    if text == whole and len(raw) <= MOST_KEY_BYTES:
        return whole
    return f"{text.encode()[: MOST_KEY_BYTES - 65].decode(errors='ignore')}#{sha256(raw).hexdigest()}"


def shown_path(path: str) -> str:
    """Return a path as text: a byte that is no UTF-8 becomes ``\\\\xff``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def owned_by(tenant: str | None, owner: str | None) -> dict[str, Any]:
    """Return the filter for documents of exactly this tenant and owner."""
    return {"tenant": tenant, "owner": owner}


def shard_of(key: str, shards: int) -> int:
    """Return the shard that a file belongs to, from 1: the same on every machine."""
    return int.from_bytes(sha256(key.encode()).digest()[:8]) % shards + 1


def indexed_folder(
    documents: Documents, folder: str | os.PathLike[str], name: str | None, owned: Mapping[str, Any]
) -> IndexedFolder:
    """Return the folder by the name that it is known by, or gets.

    Args:
        documents: of the store.
        folder: which; it need not be there.
        name: what it is to be called; ``None``: as before, else like the folder itself. A name that stands
            for a folder which is gone is bound to this one.
        owned: the filter for whose documents count.

    Raises:
        AlreadyExists: the name is another folder's, or the folder has another name.
        InvalidDocument: the name is empty or has a ``/``.
    """
    if name is not None and (not name or "/" in name):
        raise InvalidDocument(f"name={shown(name)}: expected a name for the folder, without /", field="name")
    path = os.path.realpath(folder)
    known = _one(documents, {"metadata.source.root_path": shown_path(path), **owned})
    if known is not None:
        found = str(known.metadata["source"]["root"])
        if name not in (None, found):
            raise AlreadyExists(
                f"{shown_path(path)} is indexed as {found!r} already: leave its name out", id=found
            )
        return IndexedFolder(found, path)
    wanted = shown_path(name or os.path.basename(os.path.abspath(folder)) or "root")
    other = _one(documents, {"metadata.source.root": wanted, **owned})
    if other is None:
        return IndexedFolder(wanted, path)
    before = str(other.metadata["source"]["root_path"])
    if name is None or os.path.exists(before):
        moved = "" if os.path.exists(before) else f"; if that one moved here, say --as {wanted}"
        raise AlreadyExists(
            f"the name {wanted!r} is that of the folder {before}: give this one another, "
            f"--as NAME (name= in Python){moved}",
            id=wanted,
        )
    return IndexedFolder(wanted, path)


def rebind(documents: Documents, folder: IndexedFolder, owned: Mapping[str, Any]) -> None:
    """Tell the documents of a folder that moved where it is now."""
    place = shown_path(folder.path)
    documents.update_many(
        {"metadata.source.root": folder.name, "metadata.source.root_path": {"$ne": place}, **owned},
        metadata={"source": {"root_path": place}},
        touch=False,
    )


def folder_of_file(
    documents: Documents, file: str | os.PathLike[str], name: str | None, owned: Mapping[str, Any]
) -> tuple[IndexedFolder, str]:
    """Return a file's folder and its path there: the nearest known one, else its directory."""
    path = os.path.join(os.path.realpath(os.path.dirname(os.path.abspath(file))), os.path.basename(file))
    around = list(_around(path))
    places = [shown_path(place) for place in around]
    for place in around if name is None else ():
        if _one(documents, {"metadata.source.root_path": {"$in": places}, **owned}) is None:
            break
        if _one(documents, {"metadata.source.root_path": shown_path(place), **owned}) is not None:
            found = indexed_folder(documents, place, None, owned)
            return found, os.path.relpath(path, place).replace(os.sep, "/")
    found = indexed_folder(documents, around[0], name, owned)
    return found, os.path.basename(path)


def _around(path: str) -> Sequence[str]:
    folders = []
    while (parent := os.path.dirname(path)) != path:
        folders.append(parent)
        path = parent
    return folders


def _one(documents: Documents, wanted: Mapping[str, Any]) -> Document | None:
    found = documents.find(dict(wanted), sort="number", limit=1).items
    return found[0] if found else None
