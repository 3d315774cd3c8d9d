r"""Fieldwise: documents by a MongoDB-style filter over their metadata, by dates, with versions and previews.

DOCSTORE_KEYS='{"k1": {"tenant": "acme", "owner": "1"}}' uvicorn --factory examples.fieldwise:main

curl -H 'X-API-Key: k1' -H 'Content-Type: application/json' http://127.0.0.1:8000/api/v1/documents/list \
  -d '{"metadata_filter": {"tags": {"$contains": ["q3"]}}, "updated_at_filter": {"$gte": "2024-01-01"}}'
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, with_config
from typing_extensions import TypedDict

import docstore
from examples._shared import Caller, Instant, Keys, application, by_header, callers, from_environment

CODES = {401: "UNAUTHORIZED", 404: "RESOURCE_NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 422: "VALIDATION_ERROR"}
SORTS = {"first_created_at": "first_created_at", "last_created_at": "created_at"}
WHOLE = BeforeValidator(lambda at: int(at) if isinstance(at, float) and at % 1 == 0 else at)
"""In JSON, 1 and 1.0 are the same number."""
DateFilter = TypedDict(
    "DateFilter",
    {
        "$eq": Instant,
        "$ne": Instant,
        "$gt": Instant,
        "$lt": Instant,
        "$gte": Instant,
        "$lte": Instant,
        "$in": list[Instant],
        "$nin": list[Instant],
    },
    total=False,
)
with_config(ConfigDict(extra="forbid"))(DateFilter)


class Asked(BaseModel):
    """The body of a request; fields that it does not know are ignored."""

    model_config = ConfigDict(strict=True)

    document_ids: list[Annotated[int, Field(ge=-(2**63), le=2**63 - 1), WHOLE]] | None = None
    metadata_filter: dict[str, Any] | None = None
    created_at_filter: DateFilter | None = None
    updated_at_filter: DateFilter | None = None
    offset: Annotated[int, Field(ge=0, le=2**63 - 1), WHOLE] = 0
    limit: Annotated[int, Field(ge=1, le=100), WHOLE] = 10
    sort_field: Literal["first_created_at", "last_created_at"] = "last_created_at"
    sort_order: Literal["asc", "desc"] = "desc"
    latest_only: bool = True


class Document(BaseModel):
    """A document as the API prints it."""

    id: int
    external_id: str | None
    file_path: str
    document_metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    preview: str | None


class Listing(BaseModel):
    """A page of documents."""

    documents: list[Document]
    total: int
    offset: int
    limit: int


class Error(BaseModel):
    """What went wrong."""

    error_code: str
    message: str


class Meta(BaseModel):
    """When the answer was made."""

    timestamp: datetime
    version: str = "1.0"


class Envelope(BaseModel):
    """Every answer of the API."""

    success: bool
    data: Listing | None
    error: Error | None
    meta: Meta


def create_app(store: docstore.Store, keys: Keys) -> FastAPI:
    """Return the application on ``store``; ``keys`` says who holds which API key."""
    caller = by_header("X-API-Key", callers(store, keys), "Missing or unknown API key")
    app = application("Fieldwise", _problem, Envelope)

    @app.post("/api/v1/documents/list")
    def list_documents(who: Annotated[Caller, Depends(caller)], asked: Asked) -> Envelope:
        filter = docstore.under("metadata", asked.metadata_filter)  # checked also where it is overridden
        if asked.document_ids is not None:
            filter = {"number": {"$in": asked.document_ids}}
        dates = {"created_at": asked.created_at_filter, "updated_at": asked.updated_at_filter}
        found = who.store.documents.find(
            filter | {name: bounds for name, bounds in dates.items() if bounds},
            sort=("-" if asked.sort_order == "desc" else "") + SORTS[asked.sort_field],
            offset=asked.offset,
            limit=asked.limit,
            total=True,
            latest_only=asked.latest_only and asked.document_ids is None,
        )
        shown = [_shown(document) for document in found]
        data = Listing(documents=shown, total=found.total or 0, offset=asked.offset, limit=asked.limit)
        return Envelope(success=True, data=data, error=None, meta=_meta())

    return app


def _shown(document: docstore.Document) -> Document:
    path = document.metadata.get("file_path")
    return Document(
        id=document.number,
        external_id=document.external_id,
        file_path=path if isinstance(path, str) else document.filename,
        document_metadata=document.metadata,
        created_at=document.created_at,
        updated_at=document.updated_at,
        preview=document.preview,
    )


def _meta() -> Meta:
    return Meta(timestamp=datetime.now(UTC))


def _problem(status: int, message: str) -> dict[str, Any]:
    error = Error(error_code=CODES.get(status, "ERROR"), message=message)
    return Envelope(success=False, data=None, error=error, meta=_meta()).model_dump(mode="json")


def main() -> FastAPI:
    """Return the application that the environment describes, for ``uvicorn --factory``."""
    return from_environment(create_app)
