"""Declared indexes: records in an order of fields and metadata paths.

The expression of the index and that of a query come from :func:`key_expression`, both with the path as a
literal: SQLite takes an index only where the texts are the same. A user's words are in it as hexadecimal
digits, never as themselves. A database with such an index can be written to only where ``docstore_order``
is registered, which is on every connection of this library.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from docstore_sql.tables import Tables

from docstore.backend import SortKey
from docstore.query.expr import Compare, Expr
from docstore.query.fields import Collection, Kind, read_json
from docstore.query.sorting import order_bytes, sort_value


def key_expression(key: SortKey, collection: Collection, alias: str = "") -> str:
    """Return the sort expression of a key as SQL text; a JSON path is a call of ``docstore_order``."""
    name = key.path[0]
    if collection.column(name).kind is not Kind.JSON:
        return f"{alias}{name}"
    said = json.dumps([list(key.path), key.largest], ensure_ascii=False).encode()
    return f"docstore_order(X'{said.hex()}', {alias}{name})"


@lru_cache(maxsize=512)
def _order_of(said: bytes) -> Callable[[str | None], bytes]:
    path, largest = json.loads(said)
    key = SortKey(tuple(path), largest=largest)

    def order(text: str | None) -> bytes:
        return order_bytes(sort_value({path[0]: None if text is None else read_json(text)}, key))

    return order


def register_order(connection: Any) -> None:
    """Register on a raw connection the function in indexes over JSON paths."""
    connection.create_function(
        "docstore_order", 2, lambda said, text: _order_of(said)(text), deterministic=True
    )


def _name(tables: Tables, collection: Collection, keys: Sequence[SortKey]) -> str:
    said = json.dumps([[list(key.path), key.descending, key.largest] for key in keys])
    return f"{tables.prefix}{collection.name}_declared_{blake2b(said.encode(), digest_size=8).hexdigest()}"


def _setting(collection: Collection) -> str:
    return f"indexes of {collection.name}"


def read(cursor: Any, tables: Tables, collection: Collection) -> list[tuple[SortKey, ...]]:
    """Return the keys of each declared index."""
    cursor.execute(f"SELECT value FROM {tables.setting} WHERE name = ?", (_setting(collection),))
    found = cursor.fetchone()
    return [] if found is None else keys_of(found[0])


def keys_of(text: str) -> list[tuple[SortKey, ...]]:
    """Return the keys of each declared index of a collection from the text of the store's setting."""
    listed = json.loads(text)
    return [tuple(SortKey(tuple(path), down, largest) for path, down, largest in keys) for keys in listed]


def statement(tables: Tables, collection: Collection, keys: Sequence[SortKey]) -> str:
    """Return the statement that makes an index."""
    parts = [
        key_expression(replace(key, descending=False), collection) + (" DESC" if key.descending else "")
        for key in keys
    ]
    parts.append("number" + (" DESC" if keys[-1].descending else ""))
    name = _name(tables, collection, keys)
    return f'CREATE INDEX IF NOT EXISTS "{name}" ON {tables.of(collection)} ({", ".join(parts)})'


def create(cursor: Any, tables: Tables, collection: Collection, keys: Sequence[SortKey]) -> bool:
    """Make an index, in the writer's transaction; return whether it is new."""
    known = read(cursor, tables, collection)
    if tuple(keys) in known:
        return False
    cursor.execute(statement(tables, collection, keys))
    _write(cursor, tables, collection, [*known, tuple(keys)])
    return True


def drop(cursor: Any, tables: Tables, collection: Collection, keys: Sequence[SortKey]) -> bool:
    """Remove an index, in the writer's transaction; return whether it was there."""
    known = read(cursor, tables, collection)
    if tuple(keys) not in known:
        return False
    cursor.execute(f'DROP INDEX IF EXISTS "{_name(tables, collection, keys)}"')
    _write(cursor, tables, collection, [one for one in known if one != tuple(keys)])
    return True


def _write(cursor: Any, tables: Tables, collection: Collection, known: Sequence[Sequence[SortKey]]) -> None:
    said = json.dumps([[[list(key.path), key.descending, key.largest] for key in keys] for keys in known])
    cursor.execute(
        f"INSERT INTO {tables.setting} (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET "
        "value = excluded.value",
        (_setting(collection), said),
    )


def has_order(
    indexes: Sequence[Sequence[SortKey]],
    terms: Sequence[Expr],
    order: Sequence[SortKey],
    collection: Collection,
) -> bool:
    """Return whether a declared index begins with equalities among ``terms`` and goes on in ``order``.

    Terms besides those equalities and ``is_latest`` speak against it: many rows in order might be passed
    over.
    """
    equal = {
        term.path
        for term in terms
        if isinstance(term, Compare) and term.op == "eq" and term.value is not None
    }
    scalar = {path for path in equal if len(path) == 1 and collection.column(path[0]).kind is not Kind.JSON}
    for keys in indexes:
        fixed = 0
        while fixed < len(keys) and keys[fixed].path in scalar:
            fixed += 1
        used = {key.path for key in keys[:fixed]} | {("is_latest",)}
        if all(getattr(term, "path", None) in used for term in terms) and _follows(keys[fixed:], order):
            return True
    return False


def _follows(keys: Sequence[SortKey], order: Sequence[SortKey]) -> bool:
    """Return whether index keys, then ``number``, have the order, forwards or backwards."""
    wanted = [key for key in order if key.path != ("number",)]
    if (
        not keys
        or len(keys) != len(wanted)
        or any(k.path != w.path or k.largest != w.largest for k, w in zip(keys, wanted, strict=True))
    ):
        return False
    turned = {k.descending != w.descending for k, w in zip(keys, wanted, strict=True)}
    last = order[-1].descending != keys[-1].descending
    return turned == {last}
