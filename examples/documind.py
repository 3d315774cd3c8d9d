r"""Documind: extractions and how far their review is, by any mix of filters, sorted, by skip and limit.

DOCSTORE_KEYS='{"k1": {"tenant": "acme", "owner": "1"}}' uvicorn --factory examples.documind:main

curl -H 'X-API-Key: k1' \
  'http://127.0.0.1:8000/api/v1/data/extractions?needs_review=true&is_reviewed=false&sort_order=asc'
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, HTTPException, Query
from pydantic import BaseModel, WithJsonSchema

import docstore
from examples._shared import (
    Caller,
    Instant,
    Keys,
    Offset,
    Text,
    application,
    by_header,
    callers,
    from_environment,
)

SORTS = {name: name for name in ("created_at", "updated_at", "status")} | {"original_filename": "filename"}
FORBIDDEN = "You don't have permission to access these extractions"


class Extraction(BaseModel):
    """An extraction as the API prints it; ``needs_review_metadata`` is there where there is any."""

    id: str
    document_id: str
    original_filename: str
    status: docstore.Status
    created_at: datetime
    updated_at: datetime
    needs_review: bool
    is_reviewed: bool
    reviewed_at: datetime | None
    reviewed_by: str | None
    results: dict[str, Any] | None
    reviewed_results: dict[str, Any] | None
    needs_review_metadata: dict[str, Any] = {}


class Listing(BaseModel):
    """A page of extractions."""

    items: list[Extraction]
    total: int
    skip: int
    limit: int


class Problem(BaseModel):
    """An error."""

    detail: str


def create_app(store: docstore.Store, keys: Keys) -> FastAPI:
    """Return the application on ``store``; ``keys`` says who holds which API key."""
    caller = by_header("X-API-Key", callers(store, keys), "Invalid or missing API key")
    app = application("Documind", _problem, Problem, invalid=400, down=500)

    @app.get("/api/v1/data/extractions", response_model_exclude_unset=True)
    def list_extractions(
        who: Annotated[Caller, Depends(caller)],
        document_id: Text | None = None,
        status: docstore.Status | None = None,
        needs_review: bool | None = None,
        is_reviewed: bool | None = None,
        original_filename: Text | None = None,
        created_after: Instant | None = None,
        created_before: Instant | None = None,
        organization_id: Text | None = None,
        sort_by: Annotated[str, WithJsonSchema({"enum": list(SORTS)})] = "created_at",
        sort_order: Literal["asc", "desc"] = "desc",
        skip: Offset = 0,
        limit: Annotated[int, Query(ge=1, le=100)] = 100,
    ) -> Listing:
        if sort_by not in SORTS:
            raise HTTPException(400, f"Invalid sort field: {sort_by}")
        wanted = {
            "document_id": document_id,
            "status": status,
            "needs_review": needs_review,
            "is_reviewed": is_reviewed,
            "filename": original_filename,
        }
        filter: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
        bounds = {"$gte": created_after, "$lte": created_before}
        if given := {operator: at for operator, at in bounds.items() if at is not None}:
            filter["created_at"] = given
        extractions = _organization(who, organization_id).extractions
        sort = ("-" if sort_order == "desc" else "") + SORTS[sort_by]
        found = extractions.find(filter, sort=sort, offset=skip, limit=limit, total=True)
        return Listing(items=[_shown(one) for one in found], total=found.total or 0, skip=skip, limit=limit)

    return app


def _organization(who: Caller, organization: str | None) -> docstore.Store:
    """Return what is asked about: the caller's own, or the organization that an administrator names."""
    if organization is None:
        return who.store
    if not who.admin or who.tenant not in (None, organization):
        raise HTTPException(403, FORBIDDEN)
    return who.store.scoped(tenant=organization)


def _shown(extraction: docstore.Extraction) -> Extraction:
    review = {"confidence_scores": extraction.confidence_scores, "review_flags": extraction.review_flags}
    there = {name: value for name, value in review.items() if value is not None}
    return Extraction(
        id=extraction.id,
        document_id=extraction.document_id,
        original_filename=extraction.filename,
        status=extraction.status,
        created_at=extraction.created_at,
        updated_at=extraction.updated_at,
        needs_review=extraction.needs_review,
        is_reviewed=extraction.is_reviewed,
        reviewed_at=extraction.reviewed_at,
        reviewed_by=extraction.reviewed_by,
        results=extraction.results,
        reviewed_results=extraction.reviewed_results,
        **({"needs_review_metadata": there} if there else {}),
    )


def _problem(status: int, message: str) -> dict[str, Any]:
    return {"detail": "Failed to retrieve extractions. Please try again later." if status == 500 else message}


def main() -> FastAPI:
    """Return the application that the environment describes, for ``uvicorn --factory``."""
    return from_environment(create_app)
