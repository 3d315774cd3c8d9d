"""The list of documents: the page, how many match by chosen fields, its export, and how it is found."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import urlencode

from fastapi import HTTPException, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from docstore.backend import Scope
from docstore.collection.summaries import columns_of
from docstore.errors import FilterError, InvalidCursor, InvalidPage, InvalidSort, QueryTimeout
from docstore.http.page.question import Complaint, Question, complaint_of, term_for
from docstore.http.page.rendering import html_page, streamed_page
from docstore.http.requests import Caller
from docstore.models import Document, FieldInfo
from docstore.query.explain import show_expr
from docstore.query.fields import DOCUMENTS
from docstore.store import Store

__all__ = [
    "Aside",
    "FacetShown",
    "KnownFields",
    "explain_page",
    "export",
    "is_small",
    "list_page",
    "patience",
]

T = TypeVar("T")

_RECORD_FIELDS = ("status", "file_type", "owner")
# Facets of metadata beside those of the record's own fields, and values of each that are shown.
_MOST_METADATA = 6
_MOST_VALUES = 24
# Newest documents that the fields of the metadata are looked up in: a list must not read the whole store.
_SAMPLE = 500
# Seconds that the names of facets are believed, and scopes that they are kept for.
_KEPT_SECONDS = 30.0
_MOST_SCOPES = 1000
# What all counts of one page may take together; what is not counted by then says so.
_BUDGET_SECONDS = 0.3
# Documents up to which nothing takes long: numbers are facets, which no index counts, and only a machine that
# is busy makes anybody wait.
_SMALL = 20_000
# So many times longer a small store may take: a machine that is busy is no reason to leave counts out.
_PATIENCE_WITH_SMALL = 10


@dataclass(frozen=True, slots=True)
class FacetShown:
    """A field and its most frequent values.

    Attributes:
        name: of the field, as people write it.
        values: text, count, address that adds the value to the filter or takes it away, whether it is there.
        is_cut: whether there was no time to count them.
    """

    name: str
    values: list[tuple[str, int, str, bool]]
    is_cut: bool = False


def is_small(store: Store) -> bool:
    """Return whether there are so few documents that each may be read."""
    return store.documents.count(latest_only=False, at_most=_SMALL + 1) <= _SMALL


def patience(store: Store, seconds: float) -> float:
    """Return the seconds that a page may spend where it is to spend some on a large store."""
    return seconds * (_PATIENCE_WITH_SMALL if is_small(store) else 1)


class Aside:
    """Counts of one list, worked out when the template comes to them."""

    def __init__(self, store: Store, question: Question, fields: list[FieldInfo]) -> None:
        self._store = store
        self._fields = fields
        self._question = question
        self._ends = 0.0

    def _in_time(self, call: Callable[..., T], *args: Any, **options: Any) -> T | None:
        """Return what a count finds, ``None`` if there is no time for it any more."""
        self._ends = self._ends or time.monotonic() + patience(self._store, _BUDGET_SECONDS)
        left = self._ends - time.monotonic()
        if left <= 0:
            return None
        # The page is shown without the number, and offers to wait for it.
        with suppress(QueryTimeout):
            return call(*args, **self._question.asked, **options, timeout=left)
        return None

    def total(self) -> int | None:
        """Return how many documents match, ``None`` if counting them takes too long."""
        return self._in_time(self._store.documents.count)

    def facets(self) -> Iterator[FacetShown]:
        """Yield the facets, status first."""
        numbers = is_small(self._store)
        chosen = [field.path for field in self._fields if _is_facet(field, numbers=numbers)]
        for path in (*_RECORD_FIELDS, *chosen[:_MOST_METADATA]):
            found = self._in_time(self._store.documents.count_by, path, limit=_MOST_VALUES)
            if found is None:
                yield FacetShown(_name(path), [], is_cut=True)
                continue
            pairs = [pair for pair in found.items() if pair[0] is not None]
            values = [self._value(path, value, count) for value, count in pairs]
            if len(pairs) > 1 or any(is_on for *_, is_on in values):
                yield FacetShown(_name(path), values)

    def _value(self, path: str, value: Any, count: int) -> tuple[str, int, str, bool]:
        plain = value if value is None or isinstance(value, bool | int | float) else str(value)
        term = term_for(path, plain)
        address = self._question.address(filter=self._question.narrowed(term))
        text = str(plain).lower() if isinstance(plain, bool) else str(plain)
        return text, count, address, self._question.has(term)


def _name(path: str) -> str:
    return {"file_type": "type"}.get(path, path.removeprefix("metadata."))


def _is_facet(field: FieldInfo, *, numbers: bool) -> bool:
    """Return whether a field's values say something of several documents each, and can be counted."""
    if field.distinct is None or "object" in field.types:
        return False
    if not numbers and not {"int", "long", "double"}.isdisjoint(field.types):
        return False
    return 1 < field.distinct <= max(12, field.documents // 5)


class KnownFields:
    """The fields that the metadata of the newest documents have, remembered for half a minute by scope."""

    def __init__(self) -> None:
        self._known: dict[Scope, tuple[float, list[FieldInfo]]] = {}
        # Not held while the store is asked: two pages may ask the same, none waits for another.
        self._lock = Lock()

    def of(self, store: Store) -> list[FieldInfo]:
        """Return the fields of a view, those of most documents first."""
        with self._lock:
            until, fields = self._known.get(store._scope, (0.0, []))
        if time.monotonic() < until:
            return fields
        seconds = patience(store, _BUDGET_SECONDS)
        try:
            newest = store.documents.find(sort="-number", limit=_SAMPLE, timeout=seconds).items
            since = {"number": {"$gte": newest[-1].number}} if newest else {}
            fields = store.documents.fields(since, limit=60, timeout=seconds)
        except QueryTimeout:
            fields = []
        with self._lock:
            if len(self._known) >= _MOST_SCOPES:
                self._known.clear()
            self._known[store._scope] = time.monotonic() + _KEPT_SECONDS, fields
        return fields


_NAMES = {"filename": "name", "file_type": "type", "created_at": "created", "updated_at": "updated"}
_NUMERIC = ("size", "number", "version", "attempts", "revision")
_FORMATS = {
    "csv": ("text/csv; charset=utf-8", "documents.csv"),
    "jsonl": ("application/jsonl", "documents.jsonl"),
    "arrow": ("application/vnd.apache.arrow.stream", "documents.arrow"),
}
# Documents of an export that are read, and sent, at a time.
_BATCH = 500
# What a list may take unless its address says that it is waited for.
_MOMENT_SECONDS = 0.6


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the list.

    Attributes:
        path, name: its field, and what its head says.
        sorted_by: ``ascending``, ``descending`` or ``none``.
        address: of the list sorted by it, the other way round if it is already.
        is_number: whether it is set to the right.
    """

    path: str
    name: str
    sorted_by: str
    address: str
    is_number: bool


def list_page(request: Request) -> Response:
    """Show the documents that an address asks for."""
    store: Store = request.state.docstore.store
    settings = request.app.state.page
    given = request.query_params.multi_items()
    question = Question.read(given)
    complaint, page, columns = _found(store, question)
    if complaint is None and any(not value.strip() for _, value in given) | _is_moot(given, question):
        return RedirectResponse(question.address(), 303)
    scope = _scope(request.state.docstore.caller)
    fields = settings.fields.of(store)
    paths = [field.path for field in fields]
    choices = [name for name, field in DOCUMENTS.fields.items() if not field.heavy and name != "metadata"]
    copied = []
    if complaint is None:
        base = str(request.base_url).rstrip("/")
        copied = [
            ("Python", question.as_python(settings.place, settings.blobs, scope)),
            ("curl", question.as_curl(base, with_key=settings.has_keys)),
            ("Command line", question.as_command(settings.place, settings.blobs, scope)),
        ]
    return streamed_page(
        request, "list.html", question=question, page=page,
        complaint=complaint, columns=columns, rows=_rows(store, question, page), copied=copied,
        choices=list(dict.fromkeys((*choices, *paths, *question.columns))),
        aside=Aside(store, question, fields),
        exports=_exports(question), max_upload=settings.max_upload,
        next=page and page.next_cursor and question.address(cursor=page.next_cursor),
        previous=page and page.prev_cursor and question.address(cursor=page.prev_cursor),
    )  # fmt: skip


def _found(store: Store, question: Question) -> tuple[Complaint | None, Any, list[Column]]:
    """Return what is wrong with a question, or its page; and the columns."""
    include = {"snippet"} if question.search else set[str]()
    bounded: dict[str, Any] = {} if question.waits else {"timeout": patience(store, _MOMENT_SECONDS)}
    try:
        if question.error is not None:
            raise question.error
        columns_of(question.columns, DOCUMENTS, store._context.limits, "columns")
        page = store.documents.find(
            **question.asked, sort=list(question.sort), limit=question.limit, cursor=question.cursor or None,
            include=include, **bounded,
        )  # fmt: skip
    except QueryTimeout as error:
        if question.waits:
            raise
        text = f"This list takes more than a moment. {error.message[:1].upper()}{error.message[1:]}"
        return Complaint(text, is_slow=True), None, []
    except FilterError as error:
        return complaint_of(question.filter, error), None, []
    except (InvalidSort, InvalidPage, InvalidCursor) as error:
        return Complaint(error.message), None, []
    return None, page, [_column(question, path) for path in question.columns]


def _is_moot(given: Sequence[tuple[str, str]], question: Question) -> bool:
    """Return whether an address asks for an order by score, and searches nothing."""
    return ("sort", "-score") in given and not question.search


def _column(question: Question, path: str) -> Column:
    is_number = path in _NUMERIC
    first = question.sort[0]
    sorted_by = {path: "ascending", f"-{path}": "descending"}.get(first, "none")
    falls_first = is_number or path.endswith("_at")
    after = f"-{path}" if sorted_by == "ascending" or (sorted_by == "none" and falls_first) else path
    name = _NAMES.get(path) or path.removeprefix("metadata.").replace("_", " ")
    return Column(path, name[:1].upper() + name[1:], sorted_by, question.address(sort=(after,)), is_number)


def _rows(store: Store, question: Question, page: Any) -> list[tuple[Document, list[Any]]]:
    """Return each document with the values of the chosen columns."""
    if page is None:
        return []
    extra = [path for path in question.columns if path not in Document.model_fields]
    if not extra or not page.items:
        return [(one, [getattr(one, path, None) for path in question.columns]) for one in page.items]
    numbers = [one.number for one in page.items]
    rows = store.documents.rows(
        ["number", *extra], {"number": {"$in": numbers}}, latest_only=False, limit=len(numbers)
    )
    found = {row["number"]: row for row in rows}
    return [
        (one, [found.get(one.number, {}).get(path) if path in extra else getattr(one, path, None)
               for path in question.columns])
        for one in page.items
    ]  # fmt: skip


def _scope(caller: Caller) -> dict[str, str]:
    parts = {"tenant": caller.tenant, "owner": caller.owner}
    return {name: value for name, value in parts.items() if value is not None}


def _exports(question: Question) -> list[tuple[str, str]]:
    names = {"csv": "CSV", "jsonl": "JSON Lines", "arrow": "Arrow"}
    pairs = replace(question, cursor="").pairs()
    return [
        (names[name], f"/documents:export?{urlencode([*pairs, ('format', name)])}") for name in _FORMATS
        if name != "arrow" or find_spec("pyarrow") is not None
    ]  # fmt: skip


# -- export ------------------------------------------------------------------------------------------


def export(request: Request) -> Response:
    """Send all documents that match, in the order of the list."""
    name = request.query_params.get("format", "csv")
    if name not in _FORMATS:
        raise HTTPException(422, f"format: expected one of {', '.join(_FORMATS)}, not {name[:80]!r}")
    if name == "arrow" and find_spec("pyarrow") is None:
        raise HTTPException(501, 'Arrow needs pyarrow: pip install "embedded-docstore[arrow]"')
    visitor = request.scope["docstore.visitor"]
    request.app.state.page.expensive.spend(visitor.name)
    store: Store = request.state.docstore.store
    question = Question.read(request.query_params.multi_items())
    if question.error is not None:
        raise question.error
    fields = ["id", *question.columns]
    asked = {**question.asked, "sort": list(question.sort)}
    store.documents.find(**asked, limit=0)  # what is wrong is told by the status
    pieces: Iterator[Any]
    if name == "jsonl":
        documents = store.documents.iterate(**asked, batch_size=_BATCH)
        pieces = (f"{one.model_dump_json(exclude={'content', 'snippet'})}\n" for one in documents)
    elif name == "csv":
        pieces = _csv(fields, store.documents.rows(fields, **asked))
    else:
        pieces = iter([_arrow(store.documents.to_arrow(fields, **asked))])
    kind, filename = _FORMATS[name]
    disposition = f'attachment; filename="{filename}"'
    return StreamingResponse(_batched(pieces), media_type=kind, headers={"Content-Disposition": disposition})


def _csv(fields: Sequence[str], rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    line = io.StringIO()
    writer = csv.writer(line)
    writer.writerow(fields)
    for one in rows:
        writer.writerow([_cell(one[field]) for field in fields])
        yield line.getvalue()
        line.seek(0)
        line.truncate()
    yield line.getvalue()


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, str | float) or type(value) is int:
        return value
    return value.isoformat() if hasattr(value, "isoformat") else json.dumps(value, ensure_ascii=False)


def _arrow(table: Any) -> bytes:
    import pyarrow

    sink = io.BytesIO()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _batched(pieces: Iterator[Any]) -> Iterator[Any]:
    """Join small pieces: each that is sent is a turn of a thread."""
    made: list[Any] = []
    for piece in pieces:
        made.append(piece)
        if len(made) >= _BATCH:
            yield type(piece)().join(made)
            made = []
    if made:
        yield type(made[0])().join(made)


# -- explain -----------------------------------------------------------------------------------------


def explain_page(request: Request) -> Response:
    """Show how a list is found: what the database does, and what is checked again."""
    request.app.state.page.expensive.spend(request.scope["docstore.visitor"].name)
    store: Store = request.state.docstore.store
    question = Question.read(request.query_params.multi_items())
    if question.error is not None:
        raise question.error
    plan = store.documents.explain(**question.asked, sort=list(question.sort), limit=question.limit)
    terms = [(show_expr(term.expr), term.support.value, term.reason) for term in plan.terms]
    return html_page(request, "explain.html", question=question, plan=plan, terms=terms)
