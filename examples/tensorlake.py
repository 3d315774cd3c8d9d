r"""Tensorlake: uploads, and files in pages that go by cursors, forwards and back.

DOCSTORE_BLOBS=./files DOCSTORE_KEYS='{"k1": {"tenant": "acme"}}' uvicorn --factory examples.tensorlake:main

curl -H 'Authorization: Bearer k1' -F file=@README.md -F 'labels={"source": "email"}' \
  http://127.0.0.1:8000/documents/v2/files
curl -H 'Authorization: Bearer k1' 'http://127.0.0.1:8000/documents/v2/files?limit=2'

The vendor's Python SDK (0.5.152) sends ``filename`` where the API document says ``file_name``, and reads
camelCase names: it is known by its User-Agent, and finds those beside the documented ones.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Form, Header, Query, UploadFile
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Json, WithJsonSchema

import docstore
from examples._shared import (
    PLAIN,
    Caller,
    Instant,
    Keys,
    Text,
    application,
    by_bearer,
    callers,
    from_environment,
)

PATH = "/documents/v2/files"
MOST = 1000
NONE: dict[str, str] = {}
Labels = Annotated[
    Json[dict[Text, Text]],
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"pattern": PLAIN},
            "additionalProperties": {"type": "string", "pattern": PLAIN},
        }
    ),
]
"""A JSON object of strings, in a form's field."""
FOR_SDK = {
    "id": "file_id",
    "name": "file_name",
    "mimeType": "mime_type",
    "fileSize": "file_size",
    "createdAt": "created_at",
    "updatedAt": "created_at",
}


class File(BaseModel):
    """A file as the API prints it."""

    file_id: str
    file_name: str
    mime_type: str
    file_size: int | None
    checksum_sha256: str | None
    created_at: datetime
    labels: dict[str, Any]


class Files(BaseModel):
    """A page of files."""

    items: list[File]
    has_more: bool
    next_cursor: str | None
    prev_cursor: str | None


class Uploaded(BaseModel):
    """What an upload is answered with."""

    file_id: str
    created_at: datetime


class Problem(BaseModel):
    """An error."""

    message: str
    code: str


def create_app(store: docstore.Store, keys: Keys) -> FastAPI:
    """Return the application on ``store``; ``keys`` is who holds which token. Uploads need its ``blobs=``."""
    caller = by_bearer(callers(store, keys), "Missing or unknown token")
    app = application("Tensorlake", _problem, Problem, invalid=400)

    @app.get(PATH, response_model=Files)
    def list_files(
        who: Annotated[Caller, Depends(caller)],
        cursor: str | None = None,
        direction: Literal["next", "prev"] | None = None,
        limit: Annotated[int, Query(ge=0)] = 25,
        file_name: Text | None = None,
        filename: Annotated[Text | None, Query(include_in_schema=False)] = None,
        created_after: Instant | None = None,
        created_before: Instant | None = None,
        user_agent: Annotated[str, Header(include_in_schema=False)] = "",
    ) -> Any:
        part = filename if file_name is None else file_name
        filter: dict[str, Any] = {"filename": {"$substring": part}} if part is not None else {}
        bounds = {"$gte": created_after, "$lte": created_before}
        if given := {operator: at for operator, at in bounds.items() if at is not None}:
            filter["created_at"] = given
        way = direction if cursor is not None else None
        found = who.store.documents.find(filter, cursor=cursor, direction=way, limit=min(limit, MOST))
        page = Files(
            items=[_shown(document) for document in found],
            has_more=found.has_more,
            next_cursor=found.next_cursor,
            prev_cursor=found.prev_cursor,
        )
        return _for_sdk(page) if user_agent.startswith("tensorlake-") else page

    @app.put(PATH)
    @app.post(PATH)
    def upload(
        who: Annotated[Caller, Depends(caller)], file: UploadFile, labels: Annotated[Labels, Form()] = NONE
    ) -> Uploaded:
        document = who.store.documents.add(
            file.file,
            filename=file.filename or "",
            content_type=file.content_type or None,
            metadata=labels,
            dedupe="sha256",
        )
        return Uploaded(file_id=document.id, created_at=document.created_at)

    @app.delete(PATH + "/{file_id:path}", status_code=204)
    def delete(who: Annotated[Caller, Depends(caller)], file_id: str) -> None:
        who.store.documents.delete(file_id)

    return app


def _shown(document: docstore.Document) -> File:
    return File(
        file_id=document.id,
        file_name=document.filename,
        mime_type=document.content_type,
        file_size=document.size,
        checksum_sha256=document.sha256,
        created_at=document.created_at,
        labels=document.metadata,
    )


def _for_sdk(page: Files) -> JSONResponse:
    body = page.model_dump(mode="json")
    for item in body["items"]:
        item |= {name: item[documented] for name, documented in FOR_SDK.items()}
    body |= {"hasMore": page.has_more, "nextCursor": page.next_cursor, "prevCursor": page.prev_cursor}
    return JSONResponse(body)


def _problem(status: int, message: str) -> dict[str, str]:
    codes = {401: "UNAUTHORIZED", 404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 503: "UNAVAILABLE"}
    return {"message": message, "code": codes.get(status, "INVALID_REQUEST")}


def main() -> FastAPI:
    """Return the application that the environment describes, for ``uvicorn --factory``."""
    return from_environment(create_app)
