"""Drafts: new documents, validated one by one or by column, not yet rows (P0). No I/O."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from operator import attrgetter, itemgetter
from types import NoneType
from typing import Any, Final, TypeAlias

from pydantic_core import to_json

from docstore.backend import Rows, Scope
from docstore.blobs.streams import ByteSource
from docstore.errors import InvalidDocument, ScopeError, shown
from docstore.mediatypes import file_type_of, settled_type, types_of
from docstore.models import NewDocument
from docstore.query.fields import DOCUMENTS, STATUSES, Field, Kind
from docstore.query.instants import from_datetime
from docstore.validation import KEY_BYTES, Checks, check_order, collapsed, plain_texts, scope_text
from docstore.writes.results import placed

if sys.version_info >= (3, 14):
    from uuid import uuid7
else:
    from uuid_utils import uuid7

__all__ = [
    "BLANK",
    "CHECKED",
    "NAMES",
    "Batch",
    "Draft",
    "Intake",
    "Key",
    "draft_batch",
    "draft_document",
    "given_values",
    "new_id",
    "stamped",
]

# The fields that may be given.
NAMES: Final = frozenset(NewDocument.model_fields)


# Enough for the marks of every type that is told by its first bytes (tar's stands at 257).
_HEAD_BYTES: Final = 4096


Key: TypeAlias = tuple[str | None, ...]


@dataclass(slots=True)
class Draft:
    """A new document: its row so far, and the bytes it is to have.

    Attributes:
        row: every column but the number; ``created_at`` and ``updated_at`` are ``None`` where the clock is to
            set them.
        source: the bytes as given, or ``None``.
        named: whether the caller gave the id, so that a repeated add is recognised.
        dedupe: whether a document with the same bytes in the same scope stands in.
        given: the fields that the caller gave.
    """

    row: dict[str, Any]
    source: Any
    named: bool
    dedupe: bool
    given: frozenset[str]

    @property
    def key(self) -> Key:
        """What it is put by: tenant and id, or the version chain."""
        row = self.row
        if self.named:
            return ("id", row["tenant"], row["id"])
        return ("chain", row["tenant"], row["owner"], row["external_id"])

    def named_after(self, source: ByteSource, checks: Checks) -> None:
        """Take the filename from where the bytes come from, if the caller gave none."""
        if self.row["filename"] is None:
            self.row["filename"] = checks.filename(source.filename or "")
        said = self.row["size"]  # a source is read one byte beyond what was said of it, at most
        self.typed(source.head(_HEAD_BYTES if said is None else min(_HEAD_BYTES, said + 1)))

    def typed(self, head: bytes = b"") -> None:
        """Settle what follows from the filename and the first bytes."""
        row = self.row
        row["filename"] = row["filename"] or ""
        row["content_type"] = settled_type(row["content_type"], row["filename"], head)
        row["file_type"] = file_type_of(row["content_type"], row["filename"])

    def fingerprint(self) -> str | None:
        """Return a digest of all that the caller asked for, with the bytes' size and sha256; ``None`` without
        an id or external_id of theirs.
        """
        if not self.named and self.row["external_id"] is None:
            return None
        if self.named:
            return _digest(_ASKED, _values_asked(self.row))
        return _digest(_ASKED_BESIDE_ID, [self.row[name] for name in _ASKED_BESIDE_ID])


def _digest(names: Sequence[str], values: Sequence[Any]) -> str:
    """Return the digest of what was asked, as JSON in the order of the names."""
    return hashlib.blake2b(to_json(dict(zip(names, values, strict=True))), digest_size=16).hexdigest()


_NOT_ASKED = {
    "version",
    "is_latest",
    "attempts",
    "first_created_at",
    "revision",
    "file_type",
    "blob_key",
    "fingerprint",
    "lease_token",
    "lease_worker",
    "lease_expires_at",
}


def new_id() -> str:
    """Return a fresh UUIDv7 as text."""
    return str(uuid7())


def stamped(scope: Scope, tenant: Any, owner: Any) -> tuple[str | None, str | None]:
    """Return the tenant and owner that a new record gets in ``scope``.

    Raises:
        ScopeError: one was given against the scope.
    """
    if tenant is None and owner is None:
        return scope.tenant, scope.owner
    made = []
    for name, given, fixed in (("tenant", tenant, scope.tenant), ("owner", owner, scope.owner)):
        if given is not None:
            scope_text(name, given)
            if fixed is not None and given != fixed:
                raise ScopeError(f"{name}={shown(given)}: this store is confined to {name}={shown(fixed)}")
        made.append(fixed if fixed is not None else given)
    return made[0], made[1]


def draft_document(given: NewDocument | Mapping[str, Any], scope: Scope, checks: Checks) -> Draft:
    """Validate a new document.

    Raises:
        InvalidDocument: a field is unknown, of the wrong type, or out of its bounds.
        ScopeError: its tenant or owner is against the scope.
    """
    values = given_values(given)
    get = values.get
    row = BLANK.copy()
    row["tenant"], row["owner"] = stamped(scope, get("tenant"), get("owner"))
    names: list[str] = []
    for name, value in values.items():
        if value is not None:
            names.append(name)
        elif name != "status":
            continue
        check = CHECKED.get(name)
        if check is not None:
            row[name] = check(checks, value)
    if "status" not in values and row["content"] is not None:
        row["status"] = "completed"
    named = row["id"] is not None
    checks.cut_content(row)
    _settle(row)
    source, dedupe = get("source"), get("dedupe")
    if dedupe is not None and dedupe != "sha256":
        raise InvalidDocument(f"dedupe: {shown(dedupe)}; expected 'sha256' or None", field="dedupe")
    draft = Draft(row, source, named, dedupe is not None, frozenset(names))
    if source is None:
        draft.typed()
    return draft


def _names(given: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the fields that were given."""
    return frozenset([name for name, value in given.items() if value is not None])


def _settle(row: dict[str, Any]) -> None:
    """Fill in what follows from the fields given."""
    if row["id"] is None:
        row["id"] = new_id()
    if row["preview"] is None and row["content"] is not None:
        row["preview"] = collapsed(row["content"])
    row["first_created_at"] = row["created_at"]
    if row["updated_at"] is None:
        row["updated_at"] = row["created_at"]
    check_order(row["created_at"], row["updated_at"])


_FIRST: Final[Mapping[str, Any]] = {
    "version": 1, "is_latest": True, "status": "pending", "attempts": 0, "metadata": "{}", "revision": 1,
}  # fmt: skip
# The row of a document of which nothing was said.
BLANK: Final[dict[str, Any]] = {
    name: _FIRST.get(name) for name in (*DOCUMENTS.fields, *DOCUMENTS.private) if name != "number"
}


# What a fingerprint is made of, sorted.
_ASKED: Final = tuple(sorted(BLANK.keys() - _NOT_ASKED))
_ASKED_BESIDE_ID: Final = tuple(name for name in _ASKED if name != "id")
_values_asked = itemgetter(*_ASKED)


def _check_of(field: Field) -> Callable[[Checks, Any], Any]:
    """Return how a field is checked that has no bounds but those of its kind."""
    name = field.name
    match field.kind:
        case Kind.INSTANT:
            return lambda checks, value: checks.instant(name, value)
        case Kind.CHOICE:
            return lambda checks, value: checks.choice(name, value, field.choices)
        case _:
            return lambda checks, value: checks.text(name, value)


# How each field is checked, and brought into the form that rows hold.
CHECKED: Final[Mapping[str, Callable[[Checks, Any], Any]]] = {
    **{field.name: _check_of(field) for field in DOCUMENTS.given if field.name != "owner"},
    "id": lambda checks, value: checks.key("id", value),
    "external_id": lambda checks, value: checks.key("external_id", value),
    "filename": Checks.filename,
    "content_type": lambda checks, value: checks.key("content_type", value),
    "content": Checks.content,
    "size": Checks.size,
    "sha256": Checks.sha256,
    "status": Checks.status,
    "metadata": Checks.metadata,
}


def given_values(given: NewDocument | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of a new document that the caller gave.

    Raises:
        InvalidDocument: it is no document, or has a field that there is not.
    """
    if isinstance(given, NewDocument):
        return {name: getattr(given, name) for name in given.model_fields_set}
    if type(given) is not dict and not isinstance(given, Mapping):
        raise InvalidDocument(
            f"expected a NewDocument or a mapping of add's keywords, not {type(given).__name__}"
        )
    if not NAMES.issuperset(given):
        for name in (name for name in given if name not in NAMES):
            raise InvalidDocument(
                f"unknown field {shown(name)}: expected {', '.join(sorted(NAMES))}", field=str(name)
            )
    return given


Column = Sequence[Any]
_SIMPLE: Final = frozenset({dict})
_TEXT: Final = frozenset({str, NoneType})
# Metadata are written to JSON together, which is faster; in parts, so that a wrong one is soon found.
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
        given: the documents as they were given.
    """

    rows: Rows
    named: Sequence[bool] | None
    given: Sequence[Mapping[str, Any]]

    @property
    def has_versions(self) -> bool:
        """Whether some of them may be versions of others."""
        return set(map(type, self.rows.columns["external_id"])) != {NoneType}

    def fingerprints(self) -> list[str | None]:
        """Return the fingerprint of each, as its draft makes it; for a batch without versions."""
        values = zip(*(self.rows.columns[name] for name in _ASKED), strict=True)
        return [
            _digest(_ASKED, asked) if is_named else None
            for is_named, asked in zip(self.named or [False] * len(self.rows), values, strict=True)
        ]

    def drafts(self) -> list[Draft]:
        """Return the same as drafts."""
        named = self.named or [False] * len(self.rows)
        names = map(_names, self.given)
        each = zip(self.rows, named, names, strict=True)
        return [Draft(row, None, is_named, False, fields) for row, is_named, fields in each]


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
        The validated batch; ``None``: draft them one by one.
    """
    columns = _columns(given)
    if columns is None:
        return None
    if texts is not None:
        columns.pop("metadata", None)
    try:
        tenants, owners = _stamped(columns, scope, len(given))
        checked = {name: _checked(name, columns[name], checks) for name in columns if name in CHECKED}
    # Something is wrong somewhere: the long way finds the first of it, and says where.
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
    _settle_columns(row)
    return Batch(Rows(row), named if any(named) else None, given)


def _is_out_of_order(created: int | None, updated: int | None) -> bool:
    return updated is not None and (created is None or updated < created)


def _columns(given: Sequence[Mapping[str, Any]]) -> dict[str, Column] | None:
    """Return what was given, by field; ``None`` where a field is unknown, or is for a single document."""
    names = tuple(given[0])
    if sum(map(len, given)) == len(names) * len(given) and len(names) > 1:
        # As many fields, but others: the documents do not have the same ones.
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


def _plain(column: Column, kinds: set[type], _: Checks) -> Column | None:
    """Return texts of any length."""
    return _texts(column, kinds, 0, None)


# How a column is checked all at once; `None`: look at each value.
_QUICK: Final[Mapping[str, Callable[[Column, set[type], Checks], Column | None]]] = {
    **{
        field.name: _instants if field.kind is Kind.INSTANT else _plain
        for field in DOCUMENTS.given
        if field.kind in (Kind.INSTANT, Kind.TEXT) and not field.heavy
    },
    **dict.fromkeys(
        ("id", "external_id", "content_type"), lambda column, kinds, _: _texts(column, kinds, 1, KEY_BYTES)
    ),
    "filename": lambda column, kinds, checks: _texts(column, kinds, 0, checks.limits.filename_characters),
    "metadata": _objects,
}


def _settle_columns(row: dict[str, Column]) -> None:
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


_FEW = 8


class Intake:
    """The documents of one call, taken a batch at a time and validated.

    Args:
        scope: that they are written in.
        checks: the bounds in force.
        documents: as the caller gave them.
        check: what else is looked at in each; the batches are then of drafts.
        is_plain: whether a batch need not be taken apart for ``check``.
    """

    def __init__(
        self,
        scope: Scope,
        checks: Checks,
        documents: Iterable[Any],
        check: Callable[[Draft], object] | None = None,
        is_plain: Callable[[Batch], bool] | None = None,
    ) -> None:
        self._scope, self._checks, self._check = scope, checks, check
        self._is_plain = is_plain or (lambda batch: check is None)
        self._coming = iter(documents)
        self._is_listed = type(documents) in (list, tuple)
        self.first: int = 0
        """The place of the next document."""

    def take(self, size: int) -> Batch | list[Draft]:
        """Take the next documents; none if there are no more.

        Raises:
            InvalidDocument, ScopeError: one is wrong; the error says at which place.
        """
        return self._listed(size) if self._is_listed else self._passing(size)

    def numbered(self, size: int) -> Batch | list[tuple[int, Draft]]:
        """Take the next documents: a plain batch, or drafts, each with its place."""
        first, batch = self.first, self.take(size)
        return batch if isinstance(batch, Batch) else list(enumerate(batch, first))

    def _listed(self, size: int) -> Batch | list[Draft]:
        """Take documents that are all there already."""
        given = list(islice(self._coming, size))
        batch = self._together([_fields(one) for one in given], None)
        return self._told(self._drafts(given) if batch is None else batch)

    def _passing(self, size: int) -> Batch | list[Draft]:
        """Take documents of an iterator as each is when it comes: it may be the same object every time."""
        given: list[dict[str, Any]] = []
        texts: list[str] = []
        others: list[Any] = []
        try:
            for one in islice(self._coming, size):
                fields = _fields(one)
                text = _metadata_text(fields, self._checks) if type(fields) is dict else None
                if text is None:
                    others.append(one)
                    break
                given.append(fields.copy())
                texts.append(text)
        except Exception:
            self._drafts(given, texts)  # what is wrong with one that came before is told first
            raise
        if others:
            rest = islice(self._coming, size - len(given) - 1)
            return self._told(self._drafts(chain(others, rest), before=self._drafts(given, texts)))
        batch = self._together(given, texts)
        return self._told(self._drafts(given, texts) if batch is None else batch)

    def _together(self, given: list[Any], texts: list[str] | None) -> Batch | None:
        if len(given) < _FEW or set(map(type, given)) != {dict}:
            return None
        return draft_batch(given, texts, self._scope, self._checks)

    def _told(self, batch: Batch | list[Draft]) -> Batch | list[Draft]:
        """Count a batch; one with versions of other documents as drafts."""
        found = batch
        if isinstance(batch, Batch) and (batch.has_versions or not self._is_plain(batch)):
            found = batch.drafts()
            for at, draft in enumerate(found):
                self._checked(draft, at)
        self.first += len(found.rows if isinstance(found, Batch) else found)
        return found

    def _drafts(
        self, given: Iterable[Any], texts: Sequence[str] | None = None, before: Sequence[Draft] = ()
    ) -> list[Draft]:
        """Validate documents one by one; of those with ``texts`` the metadata is known."""
        drafts = list(before)
        for at, one in enumerate(given):
            drafts.append(self._draft(one if texts is None else {**one, "metadata": None}, len(drafts)))
            if texts is not None:
                drafts[-1].row["metadata"] = texts[at]
        return drafts

    def _draft(self, given: NewDocument | Mapping[str, Any], at: int) -> Draft:
        try:
            draft = draft_document(given, self._scope, self._checks)
        except (InvalidDocument, ScopeError) as wrong:
            raise placed(wrong, "document", self.first + at) from wrong
        return self._checked(draft, at)

    def _checked(self, draft: Draft, at: int) -> Draft:
        try:
            if self._check is not None:
                self._check(draft)
        except InvalidDocument as wrong:
            raise placed(wrong, "document", self.first + at) from wrong
        return draft


def _fields(given: Any) -> Any:
    """Return what was given, as a dictionary of what the caller said if it can be one."""
    if type(given) is not NewDocument:
        return given
    return {name: getattr(given, name) for name in given.model_fields_set}


def _metadata_text(given: Mapping[str, Any], checks: Checks) -> str | None:
    """Return the text of the metadata of a document; ``None`` if it is wrong."""
    metadata = given.get("metadata")
    try:
        return "{}" if metadata is None else checks.metadata(metadata)
    # The long way, which takes one document after another, raises it with its place.
    except InvalidDocument:
        return None
