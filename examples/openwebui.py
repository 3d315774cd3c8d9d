"""Open WebUI: all of a user's files as a bare array, with or without their text; a search by a glob.

DOCSTORE_KEYS='{"k1": {"tenant": "acme", "owner": "user123"}}' uvicorn --factory examples.openwebui:main

curl -H 'Authorization: Bearer k1' 'http://127.0.0.1:8000/api/files?content=false'
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

import docstore
from examples._shared import Caller, Keys, Offset, Text, application, by_bearer, callers, from_environment

PREFIXES = ("/api/files", "/api/v1/files")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Meta(BaseModel):
    """What a file is."""

    name: str
    content_type: str
    size: int | None


class Contents(BaseModel):
    """How far a file was read; ``content`` is there where it was asked for and there is one."""

    status: docstore.Status
    content: str | None = None


class File(BaseModel):
    """A file as the API prints it; its instants are seconds since 1970."""

    id: str
    filename: str
    path: str
    user_id: str | None
    meta: Meta
    data: Contents
    created_at: int
    updated_at: int


class Problem(BaseModel):
    """An error."""

    detail: str


def create_app(store: docstore.Store, keys: Keys) -> FastAPI:
    """Return the application on ``store``; ``keys`` says who holds which token."""
    caller = by_bearer(callers(store, keys), "Not authenticated")
    app = application("Open WebUI", lambda status, message: {"detail": message}, Problem)

    def list_files(who: Annotated[Caller, Depends(caller)], content: bool = True) -> StreamingResponse:
        found = who.store.documents.iterate(sort="-created_at", include=_heavy(content))
        return StreamingResponse(_array(map(_shown, found)), media_type="application/json")

    def search_files(
        who: Annotated[Caller, Depends(caller)],
        filename: Text,
        skip: Offset = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        content: bool = True,
    ) -> list[File]:
        ordinary = re.sub(r"([\\\[])", r"\\\1", filename)  # of a glob's wildcards the API has * and ? alone
        wanted = {"filename": {"$iglob": ordinary}}
        found = who.store.documents.find(wanted, offset=skip, limit=limit, include=_heavy(content))
        if not found.items:
            raise HTTPException(404, "No files match this pattern")
        return [_shown(document) for document in found]

    def get_file(who: Annotated[Caller, Depends(caller)], id: str) -> File:
        return _shown(who.store.documents.get(id, include={"content"}))

    sparse: dict[str, Any] = {"response_model_exclude_unset": True}
    for prefix in PREFIXES:
        for path in (prefix, f"{prefix}/"):
            app.get(path, response_model=list[File], **sparse)(list_files)
        app.get(f"{prefix}/search", **sparse)(search_files)
        app.get(f"{prefix}/{{id:path}}", **sparse)(get_file)
    return app


def _heavy(content: bool) -> set[str]:
    return {"content"} if content else set()


def _array(files: Iterator[File]) -> Iterator[str]:
    """Yield a JSON array piece by piece, so that its length costs no memory."""
    start = "["
    while piece := list(islice(files, 500)):
        yield start + ",".join(file.model_dump_json(exclude_unset=True) for file in piece)
        start = ","
    yield "[]" if start == "[" else "]"


def _shown(document: docstore.Document) -> File:
    text = {} if document.content is None else {"content": document.content}
    return File(
        id=document.id,
        filename=document.filename,
        path=f"{document.id}_{document.filename}",
        user_id=document.owner,
        meta=Meta(name=document.filename, content_type=document.content_type, size=document.size),
        data=Contents(status=document.status, **text),
        created_at=(document.created_at - EPOCH) // timedelta(seconds=1),
        updated_at=(document.updated_at - EPOCH) // timedelta(seconds=1),
    )


def main() -> FastAPI:
    """Return the application that the environment describes, for ``uvicorn --factory``."""
    return from_environment(create_app)
