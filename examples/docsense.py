r"""DocSense: a page of documents by number, with a total, filtered by status and searched.

DOCSTORE_KEYS='{"k1": {"tenant": "acme", "owner": "1"}}' uvicorn --factory examples.docsense:main

curl -H 'x-api-key: k1' \
  'http://127.0.0.1:8000/api/v1/documents/get_documents?page=1&limit=10&status_filter=completed&search=frontend'
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query
from pydantic import BaseModel

import docstore
from examples._shared import Caller, Keys, application, by_header, callers, from_environment


class Document(BaseModel):
    """A document as the API prints it."""

    id: int
    user_id: int | str | None
    original_filename: str
    file_type: str
    file_size: int | None
    status: docstore.Status
    industry: Any
    created_at: datetime
    updated_at: datetime
    processed_at: datetime | None
    s3_url: str | None


class Listing(BaseModel):
    """A page of documents."""

    total: int
    page: int
    limit: int
    has_more: bool
    documents: list[Document]


class Envelope(BaseModel):
    """Every answer of the API."""

    status: int
    message: str
    result: Listing | None


def create_app(store: docstore.Store, keys: Keys, *, offset: timedelta = timedelta(hours=5)) -> FastAPI:
    """Return the application.

    Args:
        store: where the documents are.
        keys: who holds which API key.
        offset: from UTC, in which times are printed; less than a day.
    """
    zone = timezone(offset)
    caller = by_header("x-api-key", callers(store, keys), "API key required for API access")
    app = application("DocSense", _problem, Envelope)

    @app.get("/api/v1/documents/get_documents")
    def get_documents(
        who: Annotated[Caller, Depends(caller)],
        page: Annotated[int, Query(ge=1, le=2**53)] = 1,
        limit: Annotated[int, Query(ge=1, le=1000)] = 10,
        status_filter: docstore.Status | None = None,
        search: str | None = None,
    ) -> Envelope:
        wanted = {"status": status_filter} if status_filter else {}
        found = who.store.documents.find(wanted, search=search, page=page, limit=limit, total=True)
        places = who.store.documents.locations(document.id for document in found)
        result = Listing(
            total=found.total or 0,
            page=page,
            limit=limit,
            has_more=found.has_more,
            documents=[_shown(document, zone, places) for document in found],
        )
        return Envelope(status=200, message="Documents fetched successfully.", result=result)

    return app


def _shown(document: docstore.Document, zone: timezone, places: Mapping[str, str]) -> Document:
    return Document(
        id=document.number,
        user_id=_user(document.owner),
        original_filename=document.filename,
        file_type=document.file_type,
        file_size=document.size,
        status=document.status,
        industry=document.metadata.get("industry"),
        created_at=_local(document.created_at, zone),
        updated_at=_local(document.updated_at, zone),
        processed_at=document.processed_at and _local(document.processed_at, zone),
        s3_url=places.get(document.id),
    )


def _user(owner: str | None) -> int | str | None:
    return int(owner) if owner and re.fullmatch("[0-9]+", owner) else owner


def _local(at: datetime, zone: timezone) -> datetime:
    try:
        return at.astimezone(zone)
    except OverflowError:  # the last hours of the year 9999
        return at


def _problem(status: int, message: str) -> dict[str, Any]:
    return {"status": status, "message": message, "result": None}


def main() -> FastAPI:
    """Return the application that the environment describes, for ``uvicorn --factory``."""
    return from_environment(create_app)
