"""The records that users hold: frozen Pydantic models, made from the backend's rows in one place.

All instants are aware UTC datetimes with microseconds; rows hold them as ``int`` microseconds. Rows hold JSON
fields as text.
"""

from __future__ import annotations

import html
import inspect
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypedDict, TypeVar, overload

from pydantic import VERSION, BaseModel, ConfigDict, Field, TypeAdapter
from pydantic_core import from_json, to_json

from docstore.errors import UnreadableRecord, shown
from docstore.query.fields import DOCUMENTS, EXTRACTIONS, JSON_FIELDS, Collection, Kind, fault_of, type_fault
from docstore.query.instants import to_datetime

__all__ = [
    "Document",
    "DocumentFields",
    "Extraction",
    "FieldInfo",
    "NewDocument",
    "Page",
    "Status",
    "ValuePage",
    "given_fields",
    "page_from",
    "page_line",
    "page_table",
    "readable",
    "record_card",
    "record_from",
    "record_line",
    "records_from",
    "unreadable",
    "with_fields",
]

T = TypeVar("T")
M = TypeVar("M")
F = TypeVar("F", bound=Callable[..., Any])
Row = dict[str, Any]

# Models are built when they are first validated or written out, which takes 40 of the 550 ms that a short
# command takes. Before 2.14 threads could break each other's, and a record within another model's Any.
_BUILT_LATER = tuple(map(int, VERSION.split(".")[:2])) >= (2, 14)


class Status(StrEnum):
    """The processing status of a document or extraction.

    Example:
        >>> docstore.Status.PENDING == "pending"
        True
    """

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class _Record(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", defer_build=_BUILT_LATER)

    def __repr__(self) -> str:
        """Show what tells it from others, on a line."""
        return record_line(self)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Show all its fields as a card, in a notebook."""
        return record_card(self)

    def metadata_as(self, model: type[M]) -> M:
        """Return the metadata as a Pydantic model, a dataclass or any other type that Pydantic reads.

        A model's fields are found by their names, by which a model given as metadata is stored, and by their
        aliases. Pydantic before 2.11 finds them as the model is configured.

        Raises:
            pydantic.ValidationError: it does not fit.

        Example:
            >>> document.metadata_as(Invoice).total
            1.5
        """
        metadata: dict[str, Any] = getattr(self, "metadata", {})
        return TypeAdapter(model).validate_json(to_json(metadata), **_BY_NAME_TOO)


_BY_NAME_TOO: dict[str, Any] = (
    {"by_alias": True, "by_name": True}
    if "by_name" in inspect.signature(TypeAdapter.validate_json).parameters
    else {}
)


class Document(_Record):
    """One version of a document.

    Attributes:
        id: UUIDv7 unless the caller gave one; unique in its tenant.
        number: unique in the store, increasing, never reused.
        external_id: the caller's name for the document over its versions, or ``None``.
        version: 1 for the first with this ``external_id``, then 2 …
        is_latest: whether no newer version exists.
        tenant, owner: the scope it belongs to, ``None`` for none.
        filename: stored verbatim.
        content_type: MIME type.
        file_type: one of ``pdf word excel powerpoint image audio video text html json archive other``.
        size: bytes, ``None`` without bytes.
        sha256: hex, ``None`` without bytes.
        status: where it stands.
        error: why it failed, or ``None``.
        attempts: how often it was started or claimed.
        metadata: free-form JSON.
        preview: the first characters of the content, or ``None``.
        content_state: ``none``, ``partial`` or ``complete``: how much of the file's text ``content`` holds;
            ``None`` if nobody looked.
        content_note: why the content is not complete, in one sentence, or ``None``.
        content: the extracted text; ``None`` unless there is one and ``include={"content"}`` asked for it.
        snippet: up to 200 characters of the content around the place where the search's terms stand together;
            ``None`` unless there is a content and ``include={"snippet"}`` asked for it.
        created_at, updated_at: instants.
        first_created_at: ``created_at`` of version 1.
        processed_at: when it was completed, or ``None``.
        expires_at: from when on ``store.collect()`` deletes it; ``None``: never.
        revision: 1, and one more with every change.

    Example:
        >>> document = store.documents.add("report.pdf", metadata={"category": "finance"})
        >>> document.filename, document.file_type, document.metadata["category"]
        ('report.pdf', 'pdf', 'finance')
    """

    id: str
    number: int
    external_id: str | None = None
    version: int = 1
    is_latest: bool = True
    tenant: str | None = None
    owner: str | None = None
    filename: str
    content_type: str
    file_type: str
    size: int | None = None
    sha256: str | None = None
    status: Status
    error: str | None = None
    attempts: int = 0
    metadata: dict[str, Any] = Field(default_factory=dict)
    preview: str | None = None
    content: str | None = None
    snippet: str | None = None
    content_state: str | None = None
    content_note: str | None = None
    created_at: datetime
    updated_at: datetime
    first_created_at: datetime
    processed_at: datetime | None = None
    expires_at: datetime | None = None
    revision: int = 1


class Extraction(_Record):
    """Data read out of a document, and its review by a person.

    Attributes:
        id: UUIDv7 unless the caller gave one; unique in its tenant.
        number: unique among extractions, increasing, never reused.
        document_id, filename, tenant, owner: its document's.
        status, error: as on a document.
        results: the extracted fields, or ``None``.
        needs_review: whether a person should look at it.
        is_reviewed, reviewed_at, reviewed_by, reviewed_results: the review, once there is one.
        confidence_scores: a score a field, or ``None``.
        review_flags: which fields are doubtful, or ``None``.
        metadata: free-form JSON.
        created_at, updated_at: instants.
        revision: 1, and one more with every change.

    Example:
        >>> document = store.documents.add("report.pdf")
        >>> extraction = store.extractions.add(document, {"total": 12.5})
        >>> extraction.document_id == document.id
        True
    """

    id: str
    number: int
    document_id: str
    filename: str
    tenant: str | None = None
    owner: str | None = None
    status: Status
    error: str | None = None
    results: dict[str, Any] | None = None
    needs_review: bool = False
    is_reviewed: bool = False
    reviewed_at: datetime | None = None
    reviewed_by: str | None = None
    reviewed_results: dict[str, Any] | None = None
    confidence_scores: dict[str, float] | None = None
    review_flags: dict[str, bool] | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime
    updated_at: datetime
    revision: int = 1


class NewDocument(BaseModel):
    """A document to add: the keywords of :meth:`Documents.add`, and ``source``.

    Example:
        >>> new = docstore.NewDocument(source="report.pdf", metadata={"category": "finance"})
        >>> store.documents.add_many([new]).added
        1
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, defer_build=_BUILT_LATER
    )

    source: Any = None
    filename: str | None = None
    content_type: str | None = None
    metadata: Any = None
    id: str | None = None
    external_id: str | None = None
    tenant: str | None = None
    owner: str | None = None
    status: str = "pending"
    error: str | None = None
    content: str | None = None
    preview: str | None = None
    content_state: str | None = None
    content_note: str | None = None
    created_at: Any = None
    updated_at: Any = None
    processed_at: Any = None
    expires_at: Any = None
    sha256: str | None = None
    size: int | None = None
    dedupe: str | None = None


class DocumentFields(TypedDict, total=False):
    """The keywords that ``add`` and ``put`` share; one that is ``None`` is as if it were left out."""

    filename: str | None
    content_type: str | None
    metadata: Any
    id: str | None
    external_id: str | None
    tenant: str | None
    owner: str | None
    status: str | None
    error: str | None
    content: str | None
    preview: str | None
    content_state: str | None
    content_note: str | None
    created_at: Any
    updated_at: Any
    processed_at: Any
    expires_at: Any
    sha256: str | None
    size: int | None
    dedupe: str | None


_DOCUMENT_FIELDS = frozenset(DocumentFields.__annotations__)


def with_fields(fields: type) -> Callable[[F], F]:
    """Return a decorator that spells out ``**fields`` in a function's signature, for ``help`` and editors."""

    def decorated(function: F) -> F:
        own = inspect.signature(function)
        named = [one for one in own.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        keyword = inspect.Parameter.KEYWORD_ONLY
        spelled = [
            inspect.Parameter(name, keyword, default=None, annotation=getattr(of, "__forward_arg__", of))
            for name, of in fields.__annotations__.items()
        ]
        function.__signature__ = own.replace(parameters=[*named, *spelled])  # type: ignore[attr-defined]
        return function

    return decorated


def given_fields(call: str, source: Any, fields: DocumentFields) -> dict[str, Any]:
    """Return the keywords of ``add`` or ``put`` that say something, ``source`` among them.

    Raises:
        TypeError: there is no such keyword.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    if not _DOCUMENT_FIELDS.issuperset(fields):
        unknown = next(name for name in fields if name not in _DOCUMENT_FIELDS)
        raise TypeError(f"{call}() got an unexpected keyword argument {unknown!r}")
    if source is not None:
        given["source"] = source
    return given


class Page(BaseModel, Generic[T]):
    """One page of a listing: iterable, with a length, and fit to be a FastAPI response model.

    Attributes:
        items: the records, in the order asked for.
        limit: as asked.
        offset: as asked, or what ``page`` comes to; ``None`` on a page reached by a cursor.
        page: as asked, else ``None``.
        total: how many records match, where asked for.
        total_is_exact: false only if ``total`` was capped and there are more.
        has_more: whether records follow; true just where ``next_cursor`` is not ``None``.
        next_cursor: forwards from behind the last item, or ``None``.
        prev_cursor: backwards from before the first item, or ``None``.
        ranked: how many records were ranked, with ``sort="-score"``; else ``None``.

    Example:
        >>> added = store.documents.add_many({"filename": f"{n}.txt"} for n in range(3))
        >>> page = store.documents.find(limit=2, total=True)
        >>> len(page), page.total, page.has_more
        (2, 3, True)
        >>> [document.filename for document in store.documents.find(limit=2, cursor=page.next_cursor)]
        ['0.txt']
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, defer_build=_BUILT_LATER)

    items: list[T]
    limit: int
    offset: int | None = None
    page: int | None = None
    total: int | None = None
    total_is_exact: bool = True
    has_more: bool = False
    next_cursor: str | None = None
    prev_cursor: str | None = None
    ranked: int | None = None

    def __iter__(self) -> Iterator[T]:  # type: ignore[override]
        """Iterate over the items."""
        return iter(self.items)

    def __len__(self) -> int:
        """Return the number of items: an empty page is false."""
        return len(self.items)

    @overload
    def __getitem__(self, at: int) -> T: ...

    @overload
    def __getitem__(self, at: slice) -> list[T]: ...

    def __getitem__(self, at: int | slice) -> T | list[T]:
        """Return an item, or a list of some."""
        return self.items[at]

    def __contains__(self, item: object) -> bool:
        """Return whether an item is on the page."""
        return item in self.items

    def __reversed__(self) -> Iterator[T]:
        """Iterate over the items from the last to the first."""
        return reversed(self.items)

    def index(self, item: T, start: int = 0, stop: int = sys.maxsize) -> int:
        """Return the place of an item.

        Raises:
            ValueError: it is not on the page.
        """
        return self.items.index(item, start, stop)

    def count(self, item: T) -> int:
        """Return how often an item is on the page."""
        return self.items.count(item)

    def __repr__(self) -> str:
        """Show how many there are."""
        return page_line(self)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Show the page as a table, in a notebook."""
        return page_table(self)


Sequence.register(Page)


class ValuePage(BaseModel):
    """One page of the different values at a path: a sequence of (value, count) pairs.

    Attributes:
        items: the pairs, the most frequent first.
        offset, limit: as asked.
        total: how many different values there are.

    Example:
        >>> document = store.documents.add(metadata={"tags": ["a", "b"]})
        >>> page = store.documents.distinct("metadata.tags")
        >>> list(page), page.total
        ([('a', 1), ('b', 1)], 2)
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, defer_build=_BUILT_LATER)

    items: list[tuple[Any, int]]
    offset: int
    limit: int
    total: int

    def __iter__(self) -> Iterator[tuple[Any, int]]:  # type: ignore[override]
        """Iterate over the pairs."""
        return iter(self.items)

    def __len__(self) -> int:
        """Return the number of pairs: an empty page is false."""
        return len(self.items)

    @overload
    def __getitem__(self, at: int) -> tuple[Any, int]: ...

    @overload
    def __getitem__(self, at: slice) -> list[tuple[Any, int]]: ...

    def __getitem__(self, at: int | slice) -> tuple[Any, int] | list[tuple[Any, int]]:
        """Return a pair, or a list of some."""
        return self.items[at]

    def __repr__(self) -> str:
        """Show how many there are."""
        return f"<ValuePage: {len(self.items)} of {self.total} values>"

    __str__ = __repr__


class FieldInfo(BaseModel):
    """One path below a JSON field.

    Attributes:
        path: as filters write it.
        types: what is found there: aliases of ``$type``, numbers as ``int``, ``long`` or ``double``; for an
            array ``array`` and the types of its elements.
        documents: how many records have it.
        distinct: how many different values there are, ``None`` if that is not known cheaply.
        examples: some of the values.

    Example:
        >>> document = store.documents.add(metadata={"amount": 12.5})
        >>> field = store.documents.fields()[0]
        >>> field.path, field.types, field.documents
        ('metadata.amount', ('double',), 1)
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, defer_build=_BUILT_LATER)

    path: str
    types: tuple[str, ...]
    documents: int
    distinct: int | None = None
    examples: tuple[Any, ...] = ()


# Combinations of types that have been checked; a caller with more begins anew rather than grow.
_MOST_KNOWN = 4096
_EPOCH = to_datetime(0)
_STATUS = {status.value: status for status in Status}
_PAGE_FIELDS = set(Page.model_fields)


# What a model keeps, set past its own `__setattr__`.
_hold, _hold_set, _hold_extra, _hold_private = (
    vars(BaseModel)[name].__set__
    for name in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
)


def _check_types(collection: Collection, row: Mapping[str, Any]) -> None:
    """Refuse a row with a value of another type than its field's, or none where there must be one."""
    for name, value in row.items():
        field = collection.column(name)
        if value is None and not field.nullable:
            raise unreadable(collection, row, f"{name}: there is none")
        if value is not None and (fault := type_fault(field, value)) is not None:
            raise unreadable(collection, row, f"{name}: {fault}")


def _filler(collection: Collection, model: type[BaseModel], heavy: Sequence[str]) -> Callable[[Any], Any]:
    """Return what turns rows of one kind, new ones that nobody else holds, into records."""
    json_fields = JSON_FIELDS[collection.name]
    instants = tuple(name for name, field in collection.fields.items() if field.kind is Kind.INSTANT)
    choices = tuple(
        (name, frozenset((*field.choices, *((None,) if field.nullable else ()))))
        for name, field in collection.fields.items()
        if field.kind is Kind.CHOICE and name != "status"
    )
    names, new = set(collection.fields), model.__new__
    known: set[tuple[type, ...]] = set()  # types that whole rows had: a few, as few columns may be None

    def fill(values: dict[str, Any]) -> Any:
        # Types are checked once for each combination: pages of rows have a few of them.
        if (kinds := tuple(map(type, values.values()))) not in known:
            _check_types(collection, values)
            if len(known) >= _MOST_KNOWN:
                known.clear()
            known.add(kinds)
        try:
            for name in heavy:
                if name not in values:
                    values[name] = None
            for name in json_fields:
                text = values[name]
                if text is not None:
                    object = from_json(text)
                    if type(object) is not dict:
                        raise ValueError(name)
                    values[name] = object
            last, moment = 0, _EPOCH
            for name in instants:
                at = values[name]
                if at is not None:
                    if at != last:  # most records have one instant, several times
                        last, moment = at, _EPOCH + timedelta(0, 0, at)
                    values[name] = moment
            values["status"] = _STATUS[values["status"]]
            for name, words in choices:
                if values[name] not in words:
                    raise ValueError(name)
            # Past pydantic's validation: what was validated when it was written is only filled in.
            made = new(model)
            _hold(made, values)
            _hold_set(made, names.copy())
            _hold_extra(made, None)
            _hold_private(made, None)
            return made
        except (ValueError, TypeError, KeyError, OverflowError) as wrong:
            left = {name: value for name, value in values.items() if type(value) not in (dict, datetime)}
            raise unreadable(collection, values, fault_of(collection, left) or str(wrong)) from wrong

    return fill


_FILLERS = {
    "documents": _filler(DOCUMENTS, Document, ("content", "snippet")),
    "extractions": _filler(EXTRACTIONS, Extraction, ()),
}


def record_from(collection: Collection, row: Mapping[str, Any]) -> Any:
    """Return the record for a backend's row; its private columns are left out.

    The row comes from our own store and was validated on its way in, so the model is filled without
    validating it again. What is looked at is whether it still is what was written.

    Raises:
        UnreadableRecord: it is not.
    """
    return _FILLERS[collection.name]({name: row[name] for name in collection.fields if name in row})


def records_from(collection: Collection, rows: Sequence[dict[str, Any]]) -> list[Any]:
    """Return the records for rows, in order.

    Args:
        collection: which rows they are.
        rows: as a backend gives them; they stay as they are.

    Raises:
        UnreadableRecord: one of them is not as docstore writes rows.
    """
    fill = _FILLERS[collection.name]
    return [fill({**row}) for row in rows]


def unreadable(collection: Collection, row: Mapping[str, Any], reason: str) -> UnreadableRecord:
    """Return the error for a row that is no record."""
    noun, id = collection.name.rstrip("s"), row.get("id")
    return UnreadableRecord(
        f"{noun} {shown(id)} (number {row.get('number')}) cannot be read: {reason}; it was changed by hand or"
        " damaged: correct the row, or delete it",
        id=id if isinstance(id, str) else None,
        reason=reason,
    )


def readable(collection: Collection, row: Row) -> Row:
    """Return a row that is as docstore writes rows.

    Raises:
        UnreadableRecord: it is not.
    """
    readable_record(collection, row)
    return row


def readable_record(collection: Collection, row: Row) -> Any:
    """Return the record of a row that is as docstore writes rows, private columns and all.

    Raises:
        UnreadableRecord: it is not.
    """
    try:  # as for a record, which knows the types of most rows at one look
        return record_from(collection, row)
    except UnreadableRecord:
        fault = fault_of(collection, row)
        if fault is None:
            raise
        raise unreadable(collection, row, fault) from None


def record_with(collection: Collection, record: Any, columns: Mapping[str, Any]) -> Any:
    """Return a record with columns as they were just written; those that are no fields of it are left out."""
    model: Any = type(record)
    values = {**vars(record)}
    for name, value in columns.items():
        if name in values:
            kind = collection.fields[name].kind
            if name == "status":
                value = _STATUS[value]
            elif value is not None and kind is Kind.INSTANT:
                value = _EPOCH + timedelta(0, 0, value)
            elif value is not None and kind is Kind.JSON:
                value = from_json(value)
            values[name] = value
    made = model.__new__(model)
    _hold(made, values)
    _hold_set(made, set(collection.fields))
    _hold_extra(made, None)
    _hold_private(made, None)
    return made


def page_from(values: dict[str, Any]) -> Page[Any]:
    """Return the page that has these values, one for each field."""
    made: Page[Any] = Page.__new__(Page)
    _hold(made, values)
    _hold_set(made, _PAGE_FIELDS.copy())
    _hold_extra(made, None)
    _hold_private(made, None)
    return made


# Characters of a text in a line.
_WIDTH = 40
# Characters of a value in a notebook's table.
_CELL = 120
_COLUMNS = ("number", "filename", "status", "metadata", "results", "created_at")
_STYLE = "text-align:left;vertical-align:top"


def record_line(record: Any) -> str:
    """Return what tells a record from others."""
    name = type(record).__name__
    parts = [f"#{record.number}", _cut(repr(record.filename), _WIDTH), str(record.status.value)]
    if getattr(record, "version", 1) > 1:
        parts.append(f"version {record.version}")
    return f"<{name} {' '.join(parts)} id={_cut(record.id, _WIDTH)!r}>"


def page_line(page: Any) -> str:
    """Return how many records are on a page, of how many."""
    kind = type(page.items[0]).__name__ if page.items else "record"
    noun = kind.lower() + ("" if len(page.items) == 1 else "s")
    total = "" if page.total is None else f" of {page.total}{'' if page.total_is_exact else ' or more'}"
    return f"<Page: {len(page.items)} {noun}{total}{', more follow' if page.has_more else ''}>"


def page_table(page: Any) -> str:
    """Return a page as an HTML table of its main columns."""
    names = [name for name in _COLUMNS if page.items and hasattr(page.items[0], name)]
    head = "".join(f'<th style="{_STYLE}">{name}</th>' for name in names)
    rows = (
        "".join(f'<td style="{_STYLE}">{_cell(getattr(item, name, None), _CELL)}</td>' for name in names)
        for item in page.items
    )
    return f"<p>{html.escape(page_line(page))}</p>{_table(head, rows)}"


def record_card(record: Any) -> str:
    """Return all fields of a record that are not empty as an HTML table."""
    fields = {name: getattr(record, name) for name in type(record).model_fields}
    rows = (
        f'<th style="{_STYLE}">{name}</th><td style="{_STYLE}">{_cell(value, 10 * _CELL)}</td>'
        for name, value in fields.items()
        if value is not None
    )
    return f"<p>{html.escape(record_line(record))}</p>{_table('', rows)}"


def _table(head: str, rows: Iterable[str]) -> str:
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>"


def _cell(value: Any, width: int) -> str:
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, datetime):
        value = value.isoformat(sep=" ", timespec="seconds")
    return html.escape(_cut("" if value is None else str(value), width))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
