"""One document: its page, its file within it, its versions side by side; upload and retry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import chain
from typing import Any
from urllib.parse import quote

from fastapi import HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import UploadFile

from docstore.http import files
from docstore.http.page.preview import preview_of
from docstore.http.page.question import term_for
from docstore.http.page.rendering import html_page
from docstore.models import Document
from docstore.query.paths import path_text
from docstore.store import Store

__all__ = ["branches_of", "document_page", "extractions_page", "preview", "retry", "upload"]

_TEXT_CHARACTERS = 100_000
_COMPARED_CHARACTERS = 20_000
_MOST_BRANCHES = 500
_NOT_COMPARED = {"content", "snippet", "id", "number", "version", "is_latest", "revision", "first_created_at"}
_SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"

Branch = tuple[str, str | None, str | None, list[Any], int]
"""Key, value and address that asks for it, the branches below, and how many more there are."""


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
    response = await files.get_bytes(
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
