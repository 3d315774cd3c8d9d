"""One document: its page, its file within it, its versions side by side; upload, retry and review.

A browser shows of a file only what its type allows; hostile files do nothing. Extractions have a queue and a
form beside the document, saved by ``extractions.review``.
"""

from __future__ import annotations

import csv
import getpass
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any
from urllib.parse import quote

from fastapi import HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.datastructures import UploadFile

from docstore.errors import DocstoreError
from docstore.http import reading
from docstore.http.page.guard import wants_json
from docstore.http.page.question import term_for
from docstore.http.page.rendering import html_page, shown_as
from docstore.models import Document, Extraction
from docstore.query.paths import path_text
from docstore.store import Store

__all__ = [
    "Answer",
    "Preview",
    "answers_of",
    "branches_of",
    "document_page",
    "extractions_page",
    "preview",
    "preview_of",
    "queue_page",
    "retry",
    "review_page",
    "save",
    "upload",
]

_IMAGES = frozenset(
    f"image/{name}" for name in ("png", "jpeg", "gif", "webp", "avif", "bmp", "svg+xml", "x-icon")
)
_TABLES = {"text/csv": ",", "text/tab-separated-values": "\t"}
_TEXTS = frozenset(
    f"application/{name}"
    for name in ("json", "jsonl", "x-ndjson", "xml", "yaml", "toml", "javascript", "x-sh", "sql", "xhtml+xml")
)
# Bytes of a text or a table that its preview reads; rows and cells that it shows.
_TEXT_BYTES = 64 << 10
_TABLE_BYTES = 256 << 10
_ROWS, _CELLS = 100, 30


@dataclass(frozen=True, slots=True)
class Preview:
    """How a file is shown.

    Attributes:
        kind: ``image pdf audio video text table none missing``; ``missing``: the bytes cannot be read.
        text: of a text file, its beginning; why, if the kind is ``missing``.
        rows: of a table, its first rows, the head first.
        is_cut: whether there is more.
    """

    kind: str
    text: str = ""
    rows: list[list[str]] = field(default_factory=list)
    is_cut: bool = False


def preview_of(store: Store, document: Document) -> Preview:
    """Return how the page shows a document's file.

    HTML, SVG sources and scripts are shown as text or not at all; a picture in SVG runs nothing as an image.
    """
    kind = document.content_type.partition(";")[0].strip().lower()
    if document.sha256 is None or store._context.blobs is None:
        return Preview("none")
    if kind in _IMAGES:
        return Preview("image")
    if kind == "application/pdf":
        return Preview("pdf")
    if kind.startswith(("audio/", "video/")):
        return Preview(kind[:5])
    try:
        if kind in _TABLES:
            text, is_cut = _beginning(store, document, _TABLE_BYTES)
            return _table(text, _TABLES[kind], is_cut)
        if kind.startswith("text/") or kind in _TEXTS or kind.endswith(("+json", "+xml")):
            text, is_cut = _beginning(store, document, _TEXT_BYTES)
            return Preview("text", text, is_cut=is_cut)
    except (DocstoreError, OSError) as error:
        return Preview("missing", getattr(error, "message", None) or str(error))
    return Preview("none")


def _beginning(store: Store, document: Document, most: int) -> tuple[str, bool]:
    with store.documents.open(document.id) as file:
        start = file.read(most)
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return start.decode(encoding, "replace"), (document.size or 0) > most


def _table(text: str, delimiter: str, is_cut: bool) -> Preview:
    if delimiter == "," and text.partition("\n")[0].count(";") > text.partition("\n")[0].count(","):
        delimiter = ";"
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text), delimiter=delimiter):
            if len(rows) > _ROWS:
                return Preview("table", rows=rows, is_cut=True)
            rows.append(row[:_CELLS])
    except csv.Error:
        return Preview("text", text[:_TEXT_BYTES], is_cut=True)
    width = max(map(len, rows), default=0)
    made: Any = [row + [""] * (width - len(row)) for row in rows]
    return Preview("table", rows=made, is_cut=is_cut)


# Characters of the extracted text on its page, and of each side where two versions are compared: comparing
# takes the square of them.
_TEXT_CHARACTERS = 100_000
_COMPARED_CHARACTERS = 20_000
# Keys of the metadata's tree; a browser shows more of them slowly, and a reader none.
_MOST_BRANCHES = 500
_NOT_COMPARED = {"content", "snippet", "id", "number", "version", "is_latest", "revision", "first_created_at"}
_SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"

# Key, value and address that asks for it, the branches below, and how many more there are.
Branch = tuple[str, str | None, str | None, list[Any], int]


def document_page(request: Request, id: str) -> Response:
    """Show a document."""
    store: Store = request.state.docstore.store
    document = store.documents.get(id, include={"content"})
    search = request.query_params.get("search", "")
    versions = store.documents.versions(document.external_id) if document.external_id else []
    other = request.query_params.get("with")
    compared = store.documents.get(other, include={"content"}) if other else None
    extractions = store.extractions.find({"document_id": id}, limit=50)
    text = document.content or ""
    changes = texts = None
    if compared is not None:
        changes = _changes(compared, document)
        texts = [(one.content or "")[:_COMPARED_CHARACTERS] for one in (compared, document)]
    return html_page(
        request, "document.html", document=document, search=search, text=text[:_TEXT_CHARACTERS],
        is_cut=len(text) > _TEXT_CHARACTERS, preview=preview_of(store, document), versions=versions,
        branches=branches_of(document.metadata), compared=compared, extractions=extractions.items,
        changes=changes, texts=texts,
    )  # fmt: skip


def branches_of(metadata: Mapping[str, Any], root: tuple[str, ...] = ("metadata",)) -> list[Branch]:
    """Return metadata as a tree; each plain value with the address of the documents that have it."""
    left = [_MOST_BRANCHES]

    def branch(key: str, value: Any, path: tuple[str, ...], depth: int) -> Branch:
        left[0] -= 1
        if isinstance(value, dict | list) and value and depth < 20:
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            below = []
            for name, one in pairs:
                if left[0] <= 0:
                    break
                at = (*path, str(name)) if isinstance(value, dict) else path
                below.append(branch(str(name) if isinstance(value, dict) else "", one, at, depth + 1))
            return key, None, None, below, len(value) - len(below)
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if isinstance(value, dict | list) or len(text) > 500:
            return key, text[:500], None, [], 0
        return key, text, f"/documents?filter={quote(term_for(path_text(path), value))}", [], 0

    return [branch(key, value, (*root, key), 0) for key, value in metadata.items()]


def _changes(one: Document, other: Document) -> list[tuple[str, str, str, bool]]:
    """Return the fields of two versions, side by side: name, both values, whether they differ."""
    sides = [dict(chain(_flat("", version.model_dump(mode="json", exclude=_NOT_COMPARED))))
             for version in (one, other)]  # fmt: skip
    names = dict.fromkeys(chain(*sides))
    rows = [(name, *(side.get(name, "") for side in sides)) for name in names]
    return [(name, left, right, left != right) for name, left, right in rows if left or right]


def _flat(path: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict) and value:
        return [pair for key, one in value.items() for pair in _flat(f"{path}.{key}" if path else key, one)]
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return [(path, text)]


def extractions_page(id: str) -> Response:
    """Lead to where a document's page shows its extractions."""
    return RedirectResponse(f"/documents/{quote(id, safe='')}#extractions", 303)


async def preview(request: Request, id: str) -> Response:
    """Send a PDF to be shown within the page; every other file is a download alone."""
    ranges = {name: request.headers.get(name) for name in ("range", "if-range", "if-none-match")}
    response = await reading.get_bytes(
        request.state.docstore, request, id, ranges["range"], ranges["if-range"], ranges["if-none-match"]
    )
    if response.headers.get("content-type", "").partition(";")[0] == "application/pdf":
        response.headers["content-disposition"] = "inline"
        response.headers["content-security-policy"] = _SANDBOX
    return response


def upload(request: Request) -> Response:
    """Store the file of the list's form, and show it."""
    form, view = request.state.form, request.state.docstore
    file = form.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        raise HTTPException(422, "file: choose one")
    if file.size is None or file.size > view.max_upload:
        raise HTTPException(413, f"the file has {file.size} bytes; expected at most {view.max_upload}")
    document = view.store.documents.add(
        file.file, filename=file.filename, content_type=file.content_type or None
    )
    return RedirectResponse(f"/documents/{quote(document.id, safe='')}", 303)


def retry(request: Request, id: str) -> Response:
    """Put a failed document back into the queue."""
    request.state.docstore.store.documents.retry(id)
    return RedirectResponse(f"/documents/{quote(id, safe='')}", 303)


# The extractions that people have to look at; the oldest come first.
WAITING = {"needs_review": True, "is_reviewed": False}
# Characters from which a field of a form is a text area.
_LONG = 60
_REVIEWED_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Answer:
    """One result in the form.

    Attributes:
        name: of the form's field.
        key: of the result.
        text: what stands in the field; JSON if ``is_json``.
        is_json: whether the result is no text.
        is_long: whether it needs several lines.
        is_flagged: whether it is doubtful.
        score: with how much confidence it was read, ``None`` if nobody said.
    """

    name: str
    key: str
    text: str
    is_json: bool
    is_long: bool
    is_flagged: bool
    score: float | None


def answers_of(extraction: Extraction) -> list[Answer]:
    """Return the fields of the form, flagged ones first."""
    flags, scores = extraction.review_flags or {}, extraction.confidence_scores or {}
    results = _results(extraction)
    made = []
    for number, (key, value) in enumerate(results.items()):
        is_json = not isinstance(value, str)
        text = json.dumps(value, ensure_ascii=False) if is_json else value
        is_long = "\n" in text or len(text) > _LONG
        flagged, score = bool(flags.get(key)), scores.get(key)
        made.append(Answer(f"value-{number}", key, text, is_json, is_long, flagged, score))
    return sorted(made, key=lambda answer: not answer.is_flagged)


def _results(extraction: Extraction) -> dict[str, Any]:
    reviewed = extraction.reviewed_results
    return dict((extraction.results if reviewed is None else reviewed) or {})


def queue_page(request: Request) -> Response:
    """List the extractions that wait for a review, the oldest first."""
    store: Store = request.state.docstore.store
    cursor = request.query_params.get("cursor") or None
    page = store.extractions.find(WAITING, sort="number", limit=50, cursor=cursor, total=10_000)
    if wants_json(request):
        return JSONResponse(page.model_dump(mode="json"))
    return html_page(request, "queue.html", page=page)


def review_page(request: Request, id: str) -> Response:
    """Show an extraction beside its document."""
    store: Store = request.state.docstore.store
    extraction = store.extractions.get(id)
    if wants_json(request):
        return JSONResponse(extraction.model_dump(mode="json"), headers={"ETag": f'"{extraction.revision}"'})
    document = store.documents.get(extraction.document_id, include={"content"})
    try:
        preview = preview_of(store, document)
    except DocstoreError as error:
        preview = Preview("missing", error.message)
    waiting = store.extractions.count(WAITING, at_most=10_000)
    return html_page(
        request, "review.html", extraction=extraction, document=document, preview=preview,
        answers=answers_of(extraction), waiting=waiting, skip=_next(store, extraction),
        text=(document.content or "")[:_REVIEWED_CHARACTERS],
    )  # fmt: skip


def _next(store: Store, extraction: Extraction) -> str:
    """Return the address of the one that waits behind this, of the first if none does, else of the queue."""
    for beyond in ({"$gt": extraction.number}, {"$lt": extraction.number}):
        found = store.extractions.find({**WAITING, "number": beyond}, sort="number", limit=1).items
        if found:
            return f"/review/{quote(found[0].id, safe='')}"
    return "/review"


def save(request: Request, id: str) -> Response:
    """Write a review down, and go on to the next that waits."""
    form = request.state.form
    store: Store = request.state.docstore.store
    extraction = store.extractions.get(id)
    if form.get("revision") != str(extraction.revision):
        raise HTTPException(409, "somebody changed this extraction meanwhile: load the page again")
    results = _results(extraction)
    for answer in answers_of(extraction):
        sent = form.get(answer.name)
        if not isinstance(sent, str):
            raise HTTPException(422, f"{answer.key[:80]!r}: the form has no value for it")
        results[answer.key] = _value(sent, answer, results[answer.key])
    visitor = request.scope["docstore.visitor"]
    reviewer = visitor.name or visitor.caller.owner or _user()
    store.extractions.review(id, results, reviewed_by=reviewer)
    return RedirectResponse(_next(store, extraction), 303)


def _value(sent: str, answer: Answer, before: Any) -> Any:
    """Return the value that a field was given: what was, if it stands as it was shown; JSON for what is no
    text, or the text if it is no JSON.
    """
    plain = sent.replace("\r\n", "\n")
    if plain == shown_as(answer.text).replace("\r\n", "\n"):
        return before
    if not answer.is_json:
        return plain
    try:
        return json.loads(plain)
    except (ValueError, RecursionError):
        return plain


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have no name for its user
        return "reviewer"
