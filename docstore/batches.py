"""Batches: many new documents, validated a column at a time. Step P0 of the put protocol; no I/O.

What comes out is what :func:`docstore.drafts.draft_document` makes of each document. Where a column is not
plainly right nothing comes out: then the documents are drafted one by one, which settles the matter or
says what is wrong with which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter, itemgetter
from types import NoneType
from typing import Any, Final

from docstore.backend import Rows, Scope
from docstore.checks import KEY_BYTES, Checks, collapsed
from docstore.drafts import BLANK, CHECKED, NAMES, Draft, new_id, stamped
from docstore.encoding import plain_texts
from docstore.errors import InvalidDocument, ScopeError
from docstore.mediatypes import file_type_of, settled_type, types_of
from docstore.query.fields import STATUSES
from docstore.query.instants import from_datetime

__all__ = ["Batch", "draft_batch"]

Column = Sequence[Any]
_SIMPLE: Final = frozenset({dict})
_TEXT: Final = frozenset({str, NoneType})
_AT_ONCE: Final = 256
_DEFAULTS: Final = {"status": "pending"}
_STATUSES: Final = frozenset(STATUSES)
_ZONE: Final = attrgetter("tzinfo")


@dataclass(frozen=True, slots=True)
class Batch:
    """Validated documents without bytes.

    Attributes:
        rows: all columns but the number; ``created_at`` and ``updated_at`` are ``None`` where the clock is to
            set them.
        named: whether the caller gave the id, document by document; ``None``: of none.
    """

    rows: Rows
    named: Sequence[bool] | None

    @property
    def has_versions(self) -> bool:
        """Whether some of them may be versions of others."""
        return set(map(type, self.rows.columns["external_id"])) != {NoneType}

    def drafts(self) -> list[Draft]:
        """Return the same as drafts."""
        named = self.named or [False] * len(self.rows)
        return [Draft(row, None, is_named, False) for row, is_named in zip(self.rows, named, strict=True)]


def draft_batch(
    given: Sequence[Mapping[str, Any]], texts: Sequence[str] | None, scope: Scope, checks: Checks
) -> Batch | None:
    """Validate new documents.

    Args:
        given: the documents, at least one.
        texts: the JSON text of the metadata of each, if that was checked already.
        scope: the scope that they are added in.
        checks: the bounds in force.

    Returns:
        What is to be stored; ``None``: draft them one by one.
    """
    columns = _columns(given)
    if columns is None:
        return None
    if texts is not None:
        columns.pop("metadata", None)
    try:
        tenants, owners = _stamped(columns, scope, len(given))
        checked = {name: _checked(name, columns[name], checks) for name in columns if name in CHECKED}
    except (InvalidDocument, ScopeError):
        return None
    row: dict[str, Column] = {name: [value] * len(given) for name, value in BLANK.items()}
    row |= {"tenant": tenants, "owner": owners, **checked}
    if "updated_at" in checked and any(map(_is_out_of_order, row["created_at"], row["updated_at"])):
        return None
    if any(content is not None and len(content) > checks.limits.content for content in row["content"]):
        return None
    if texts is not None:
        row["metadata"] = texts
    named = [id is not None for id in row["id"]]
    _settle(row)
    return Batch(Rows(row), named if any(named) else None)


def _is_out_of_order(created: int | None, updated: int | None) -> bool:
    return updated is not None and (created is None or updated < created)


def _columns(given: Sequence[Mapping[str, Any]]) -> dict[str, Column] | None:
    """Return what was given, by field; ``None`` where a field is unknown, or is for a single document."""
    names = tuple(given[0])
    if sum(map(len, given)) == len(names) * len(given) and len(names) > 1:
        with suppress(KeyError):
            values = zip(*map(itemgetter(*names), given), strict=True)
            return _known(_with_status(dict(zip(names, values, strict=True))))
    every = dict.fromkeys(name for one in given for name in one)
    if not NAMES.issuperset(every):
        return None
    columns: dict[str, Column] = {
        name: [one.get(name, _DEFAULTS.get(name)) for one in given] for name in every
    }
    if "content" in every and any("status" not in one for one in given):
        columns["status"] = [
            one["status"] if "status" in one else _status_beside(one.get("content")) for one in given
        ]
    return _known(columns)


def _with_status(columns: dict[str, Column]) -> dict[str, Column]:
    """Add what the status is of documents of which nobody said it."""
    if "content" in columns and "status" not in columns:
        columns["status"] = list(map(_status_beside, columns["content"]))
    return columns


def _status_beside(content: Any) -> str:
    return "pending" if content is None else "completed"


def _known(columns: dict[str, Column]) -> dict[str, Column] | None:
    if not NAMES.issuperset(columns):
        return None
    for name in ("source", "dedupe"):
        if set(map(type, columns.pop(name, ()))) - {NoneType}:
            return None
    return columns


def _stamped(columns: Mapping[str, Column], scope: Scope, size: int) -> tuple[Column, Column]:
    """Return the tenants and the owners, each pair of them checked once."""
    nothing = [None] * size
    tenants, owners = columns.get("tenant", nothing), columns.get("owner", nothing)
    if not set(map(type, tenants)) | set(map(type, owners)) <= _TEXT:
        raise ScopeError("not a text")
    made = {pair: stamped(scope, *pair) for pair in set(zip(tenants, owners, strict=True))}
    if all(pair == stamps for pair, stamps in made.items()):
        return tenants, owners
    pairs = [made[pair] for pair in zip(tenants, owners, strict=True)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _checked(name: str, column: Column, checks: Checks) -> Column:
    """Return a column in the form that rows hold: all of it at once, or else value by value.

    Raises:
        InvalidDocument: a value is wrong, which may not be the first thing that is.
    """
    kinds = set(map(type, column))
    if name == "status":
        return _statuses(column, kinds)
    if kinds == {NoneType}:
        return [BLANK[name]] * len(column)
    quick = _QUICK.get(name)
    found = None if quick is None else quick(column, kinds, checks)
    if found is not None:
        return found
    check = CHECKED[name]
    return [BLANK[name] if value is None else check(checks, value) for value in column]


def _statuses(column: Column, kinds: set[type]) -> Column:
    if kinds != {str} or not _STATUSES.issuperset(column):
        raise InvalidDocument("status: not one of the words", field="status")
    return column


def _texts(column: Column, kinds: set[type], least: int, most: int | None) -> Column | None:
    """Return texts if they are ASCII without NUL, and so long."""
    if not kinds <= _TEXT:
        return None
    values = column if NoneType not in kinds else [value for value in column if value is not None]
    together = "".join(values)
    if not together.isascii() or "\0" in together:
        return None
    if most is None:
        return column
    sizes = set(map(len, values))
    return column if min(sizes) >= least and max(sizes) <= most else None


def _instants(column: Column, kinds: set[type], _: Checks) -> Column | None:
    """Return instants if they are all in UTC."""
    if kinds != {datetime} or set(map(id, map(_ZONE, column))) != {id(UTC)}:
        return None
    return list(map(from_datetime, column))


def _objects(column: Column, kinds: set[type], checks: Checks) -> Column | None:
    """Return the texts of objects, some hundred at once; only where one is not plain, one by one."""
    if kinds != _SIMPLE:
        return None
    limits, found = checks.limits, list[str]()
    for start in range(0, len(column), _AT_ONCE):
        some = column[start : start + _AT_ONCE]
        texts = plain_texts(some, limits.metadata_depth, limits.metadata_bytes)
        found += map(checks.metadata, some) if texts is None else texts
    return found


_QUICK: Final[Mapping[str, Callable[[Column, set[type], Checks], Column | None]]] = {
    **dict.fromkeys(
        ("id", "external_id", "content_type"), lambda column, kinds, _: _texts(column, kinds, 1, KEY_BYTES)
    ),
    **dict.fromkeys(
        ("error", "preview", "content_note"), lambda column, kinds, _: _texts(column, kinds, 0, None)
    ),
    "filename": lambda column, kinds, checks: _texts(column, kinds, 0, checks.limits.filename_characters),
    "metadata": _objects,
    **dict.fromkeys(("created_at", "updated_at", "processed_at", "expires_at"), _instants),
}
"""How a column is checked all at once; ``None``: look at each value."""


def _settle(row: dict[str, Column]) -> None:
    """Fill in what follows from the columns given."""
    ids = row["id"]
    if None in ids:
        row["id"] = [new_id() if id is None else id for id in ids]
    filenames = row["filename"] = _or_empty(row["filename"])
    types = row["content_type"]
    if set(types) == {None}:
        row["content_type"], row["file_type"] = zip(*types_of(filenames), strict=True)
    else:
        pairs = list(zip(types, filenames, strict=True))
        row["content_type"] = [settled_type(given, name, b"") for given, name in pairs]
        row["file_type"] = list(map(file_type_of, row["content_type"], filenames))
    contents = row["content"]
    if set(map(type, contents)) != {NoneType}:
        row["preview"] = [
            collapsed(content) if preview is None and content is not None else preview
            for preview, content in zip(row["preview"], contents, strict=True)
        ]
    created = row["first_created_at"] = row["created_at"]
    row["updated_at"] = _or_else(row["updated_at"], created)


def _or_empty(names: Column) -> Column:
    return [name or "" for name in names] if None in names else names


def _or_else(column: Column, other: Column) -> Column:
    """Return a column with what it has not taken from another."""
    kinds = set(map(type, column))
    if NoneType not in kinds:
        return column
    if len(kinds) == 1:
        return other
    return [one if mine is None else mine for mine, one in zip(column, other, strict=True)]
