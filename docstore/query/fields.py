"""The records' fields and their kinds, and rows as records: decoded, or found faulty."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

from pydantic_core import from_json

from docstore.errors import shown
from docstore.mediatypes import FILE_TYPES
from docstore.query.instants import MAX_INSTANT, MIN_INSTANT

STATUSES = ("pending", "processing", "completed", "failed")
CONTENT_STATES = ("none", "partial", "complete")


class Kind(Enum):
    """What a field holds, as the rows at the backend's seam hold it.

    ``TEXT`` and ``CHOICE`` (one of the field's words) are ``str``, ``INTEGER`` an ``int`` within int64,
    ``BOOLEAN`` a ``bool``, ``INSTANT`` an ``int`` of microseconds since 1970-01-01T00:00:00Z, ``JSON`` the
    canonical JSON text of a value (None if there is none).
    """

    TEXT = "text"
    CHOICE = "choice"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    INSTANT = "instant"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record.

    Attributes:
        name: as users write it.
        kind: what it holds.
        nullable: whether it may be ``None``.
        heavy: read only when named in ``include``.
        choices: the words that a ``CHOICE`` may be.
        given: whether callers set it: ``add``, ``put`` and ``update`` take it, and ``$set`` names it.
    """

    name: str
    kind: Kind
    nullable: bool = False
    heavy: bool = False
    choices: tuple[str, ...] = ()
    given: bool = False


@dataclass(frozen=True, slots=True)
class Collection:
    """A kind of record.

    Attributes:
        name: ``documents`` or ``extractions``.
        fields: what users see, by name, in the order that records print them.
        private: what the library keeps beside them in the same row; no filter, sort or record names these,
            rows bring them only when a query's ``include`` does, and the library's own expressions may use
            them.
    """

    name: str
    fields: Mapping[str, Field]
    private: Mapping[str, Field]

    @property
    def given(self) -> tuple[Field, ...]:
        """The fields that callers set."""
        return tuple(field for field in self.fields.values() if field.given)

    def column(self, name: str) -> Field:
        """Return the public or private field of this name.

        Raises:
            KeyError: there is none.
        """
        found = self.fields.get(name)
        return found if found is not None else self.private[name]

    def light(self) -> tuple[str, ...]:
        """Return the names of the fields that every read brings."""
        return tuple(name for name, field in self.fields.items() if not field.heavy)


def _named(fields: Sequence[Field]) -> Mapping[str, Field]:
    return MappingProxyType({field.name: field for field in fields})


def _collection(name: str, *fields: Field, private: Sequence[Field] = ()) -> Collection:
    return Collection(name, _named(fields), _named(private))


# In the order in which records print. A new field also needs a migration for the stores that exist.
DOCUMENTS = _collection(
    "documents",
    Field("id", Kind.TEXT),
    Field("number", Kind.INTEGER),
    Field("external_id", Kind.TEXT, nullable=True, given=True),
    Field("version", Kind.INTEGER),
    Field("is_latest", Kind.BOOLEAN),
    Field("tenant", Kind.TEXT, nullable=True),
    Field("owner", Kind.TEXT, nullable=True, given=True),
    Field("filename", Kind.TEXT, given=True),
    Field("content_type", Kind.TEXT, given=True),
    Field("file_type", Kind.CHOICE, choices=FILE_TYPES),
    Field("size", Kind.INTEGER, nullable=True),
    Field("sha256", Kind.TEXT, nullable=True),
    Field("status", Kind.CHOICE, choices=STATUSES),
    Field("error", Kind.TEXT, nullable=True, given=True),
    Field("attempts", Kind.INTEGER),
    Field("metadata", Kind.JSON, given=True),
    Field("preview", Kind.TEXT, nullable=True, given=True),
    Field("content", Kind.TEXT, nullable=True, heavy=True, given=True),
    Field("content_state", Kind.CHOICE, nullable=True, choices=CONTENT_STATES, given=True),
    Field("content_note", Kind.TEXT, nullable=True, given=True),
    Field("created_at", Kind.INSTANT, given=True),
    Field("updated_at", Kind.INSTANT, given=True),
    Field("first_created_at", Kind.INSTANT),
    Field("processed_at", Kind.INSTANT, nullable=True, given=True),
    Field("expires_at", Kind.INSTANT, nullable=True, given=True),
    Field("revision", Kind.INTEGER),
    private=(
        Field("blob_key", Kind.TEXT, nullable=True, heavy=True),
        Field("fingerprint", Kind.TEXT, nullable=True, heavy=True),
        Field("lease_token", Kind.TEXT, nullable=True, heavy=True),
        Field("lease_worker", Kind.TEXT, nullable=True, heavy=True),
        Field("lease_expires_at", Kind.INSTANT, nullable=True, heavy=True),
    ),
)

EXTRACTIONS = _collection(
    "extractions",
    Field("id", Kind.TEXT),
    Field("number", Kind.INTEGER),
    Field("document_id", Kind.TEXT),
    Field("filename", Kind.TEXT),
    Field("tenant", Kind.TEXT, nullable=True),
    Field("owner", Kind.TEXT, nullable=True),
    Field("status", Kind.CHOICE, choices=STATUSES),
    Field("error", Kind.TEXT, nullable=True),
    Field("results", Kind.JSON, nullable=True),
    Field("needs_review", Kind.BOOLEAN),
    Field("is_reviewed", Kind.BOOLEAN),
    Field("reviewed_at", Kind.INSTANT, nullable=True),
    Field("reviewed_by", Kind.TEXT, nullable=True),
    Field("reviewed_results", Kind.JSON, nullable=True),
    Field("confidence_scores", Kind.JSON, nullable=True),
    Field("review_flags", Kind.JSON, nullable=True),
    Field("metadata", Kind.JSON),
    Field("created_at", Kind.INSTANT),
    Field("updated_at", Kind.INSTANT),
    Field("revision", Kind.INTEGER),
    private=(Field("fingerprint", Kind.TEXT, nullable=True, heavy=True),),
)


def collection_named(name: str) -> Collection:
    """Return the collection of this name.

    Raises:
        KeyError: there is none.
    """
    return {"documents": DOCUMENTS, "extractions": EXTRACTIONS}[name]


JSON_FIELDS = {
    collection.name: tuple(name for name, field in collection.fields.items() if field.kind is Kind.JSON)
    for collection in (DOCUMENTS, EXTRACTIONS)
}
_TYPES: Final[Mapping[Kind, type]] = {
    Kind.TEXT: str,
    Kind.CHOICE: str,
    Kind.INTEGER: int,
    Kind.BOOLEAN: bool,
    Kind.INSTANT: int,
    Kind.JSON: str,
}


def decode(
    collection: Collection, row: Mapping[str, Any], names: Iterable[str] | None = None
) -> dict[str, Any]:
    """Return ``row`` with its JSON fields decoded, or those of ``names``; all else is as rows hold it.

    JSON that somebody broke by hand counts as none: whoever shows the record finds out.
    """
    record = dict(row)
    for name in JSON_FIELDS[collection.name] if names is None else names:
        text = record.get(name)
        if text is not None:
            record[name] = read_json(text)
    return record


def read_json(text: Any) -> dict[str, Any] | None:
    """Return the object that a JSON field holds, or None if it cannot be read."""
    try:
        value = from_json(text)
    except (ValueError, TypeError):
        return None
    return value if type(value) is dict else None


def fault_of(collection: Collection, row: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a row, in words, or None if it can be read."""
    for name, value in row.items():
        fault = value_fault(collection.column(name), value)
        if fault is not None:
            return f"{name}: {fault}"
    return None


def value_fault(field: Field, value: Any) -> str | None:
    """Return what is wrong with the stored value of a field, in words, or None if nothing is."""
    if value is None:
        return None if field.nullable else "there is none"
    fault, kind = type_fault(field, value), field.kind
    if fault is not None:
        return fault
    if kind is Kind.CHOICE and value not in field.choices:
        return f"{shown(value)}, expected one of {', '.join(field.choices)}"
    if kind is Kind.INSTANT and not MIN_INSTANT <= value <= MAX_INSTANT:
        return f"{value} microseconds since 1970 are within no year from 1 to 9999"
    return _json_fault(value) if kind is Kind.JSON else None


def type_fault(field: Field, value: Any) -> str | None:
    """Return in words how a value's type differs from its field's, or None if it does not."""
    expected = _TYPES[field.kind]
    return None if type(value) is expected else f"{type(value).__name__}, expected {expected.__name__}"


def _json_fault(text: str) -> str | None:
    try:
        value = from_json(text)
    except ValueError as wrong:
        return f"no JSON: {wrong}"
    return None if type(value) is dict else f"{type(value).__name__}, expected an object"
