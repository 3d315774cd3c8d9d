"""The routes that write: upload, patch, delete, extractions, review; and those of workers.

Workers take documents out of the queue, and say what became of them by the claim's token.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

from fastapi import Header, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import FormData, UploadFile

from docstore.aio.store import AsyncStore
from docstore.aio.workers import AsyncClaim
from docstore.errors import AlreadyExists
from docstore.filter_type import Filter
from docstore.http.reading import extraction_of
from docstore.http.requests import FIELDS_BYTES, CallersView, View, answered, revision_asked
from docstore.models import Document, Extraction
from docstore.workers import Claim

__all__ = [
    "UPLOAD_BODY",
    "add_extraction",
    "claim",
    "complete",
    "delete",
    "fail",
    "heartbeat",
    "patch",
    "release",
    "review",
    "upload",
]

# Of an Idempotency-Key; a hash of it is the document's id.
MAX_KEY_CHARACTERS = 255
_UPLOAD_FIELDS = ("file", "metadata", "external_id")

# The body of an upload, for OpenAPI: the handler reads it itself, once it knows who is calling.
UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "metadata": {"type": "object", "description": "A JSON object."},
                        "external_id": {
                            "type": "string",
                            "description": "Your name for the document; again makes the next version.",
                        },
                    },
                },
                "encoding": {"metadata": {"contentType": "application/json"}},
            }
        },
    }
}

IfMatch = Annotated[str | None, Header(description="The revision, as the ETag has it; another is 412.")]
Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Changes(BaseModel):
    """Changes to a document; a field that is left out stays."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    filename: str = ""
    content_type: str = ""
    metadata: dict[str, Any] = Field({}, description="An RFC 7396 merge patch: null removes a key.")
    replace_metadata: dict[str, Any] = Field({}, description="The whole of the metadata.")
    content: str | None = None
    preview: str | None = None
    external_id: str | None = None
    expires_at: Instant | None = None


class NewExtraction(BaseModel):
    """An extraction to add."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    results: dict[str, Any] | None = None
    id: str | None = None
    confidence_scores: dict[str, float] | None = None
    review_flags: dict[str, bool] | None = None
    review_below: float | None = None
    needs_review: bool | None = None
    metadata: dict[str, Any] | None = None


class Review(BaseModel):
    """A person's review."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    reviewed_results: dict[str, Any]
    reviewed_by: str | None = Field(None, description="Who; by default the caller's owner.")


async def upload(
    view: CallersView,
    request: Request,
    response: Response,
    idempotency_key: Annotated[
        str | None, Header(description="The same key again is the same document; with other bytes it is 409.")
    ] = None,
) -> Document:
    """Store a file, streamed."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise HTTPException(415, "expected multipart/form-data with the fields file and metadata")
    async with request.form(max_files=1, max_fields=2, max_part_size=FIELDS_BYTES) as form:
        file, fields = _fields(form, view.max_upload)
        if idempotency_key is not None:
            fields["id"] = _id_for(view, idempotency_key)
        try:
            document: Document = await answered(
                view.store.documents.add, file.file, filename=file.filename or "",
                content_type=file.content_type or None, **fields,
            )  # fmt: skip
        except AlreadyExists:
            if idempotency_key is None:
                raise
            raise HTTPException(
                409, "this Idempotency-Key was used with another file, metadata or external_id"
            ) from None
    response.headers["Location"] = f"{request.url.path}/{quote(document.id, safe='')}"
    response.headers["ETag"] = f'"{document.revision}"'
    return document


def _fields(form: FormData, max_upload: int) -> tuple[UploadFile, dict[str, Any]]:
    """Return the file of an upload, and what ``add`` takes of its other fields."""
    names = [name for name, _ in form.multi_items()]
    for name in names:
        if name not in _UPLOAD_FIELDS or names.count(name) > 1:
            told = ", ".join(_UPLOAD_FIELDS)
            raise HTTPException(422, f"{name[:80]!r}: expected each of the fields {told} once at most")
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise HTTPException(422, "file: expected a file with a filename")
    if file.size is None or file.size > max_upload:
        raise HTTPException(413, f"the file has {file.size} bytes; expected at most {max_upload}")
    fields: dict[str, Any] = {}
    metadata, external_id = form.get("metadata"), form.get("external_id")
    if isinstance(metadata, str):
        fields["metadata"] = _object("metadata", metadata)
    if isinstance(external_id, str):
        fields["external_id"] = external_id
    if isinstance(metadata, UploadFile) or isinstance(external_id, UploadFile):
        raise HTTPException(422, "expected only the field file to be a file")
    return file, fields


def _object(name: str, text: str) -> dict[str, Any]:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HTTPException(422, f"{name}: no JSON: {error}") from None
    if not isinstance(read, dict):
        raise HTTPException(422, f"{name}: expected a JSON object, not {type(read).__name__}")
    return read


def _id_for(view: View, key: str) -> str:
    """Return the id that stands for an idempotency key in the caller's scope.

    ``add`` returns the document that has it if all else is equal, and refuses if not.
    """
    if not 0 < len(key) <= MAX_KEY_CHARACTERS:
        raise HTTPException(422, f"Idempotency-Key: expected 1 to {MAX_KEY_CHARACTERS} characters")
    scope = view.store._scope
    text = json.dumps(["docstore.http", scope.tenant, scope.owner, key])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


async def patch(
    view: CallersView, id: str, changes: Changes, response: Response, if_match: IfMatch = None
) -> Document:
    """Change a document's fields."""
    documents = view.store.documents
    revision = await revision_asked(if_match, documents.get, id)
    given = changes.model_dump(exclude_unset=True)
    document: Document = await answered(documents.update, id, if_revision=revision, **given)
    response.headers["ETag"] = f'"{document.revision}"'
    return document


async def delete(view: CallersView, id: str, if_match: IfMatch = None) -> None:
    """Remove a document, its extractions and its bytes."""
    revision = await revision_asked(if_match, view.store.documents.get, id)
    await answered(view.store.documents.delete, id, if_revision=revision)


async def add_extraction(
    view: CallersView, request: Request, id: str, extraction: NewExtraction, response: Response
) -> Extraction:
    """Store what was read out of a document."""
    given = extraction.model_dump(exclude_unset=True)
    made: Extraction = await answered(view.store.extractions.add, id, **given)
    response.headers["Location"] = f"{request.url.path}/{quote(made.id, safe='')}"
    response.headers["ETag"] = f'"{made.revision}"'
    return made


async def review(view: CallersView, id: str, extraction_id: str, review: Review) -> Extraction:
    """Write down a person's review of an extraction."""
    await extraction_of(view, id, extraction_id)
    reviewer = view.caller.owner if review.reviewed_by is None else review.reviewed_by
    if reviewer is None:
        raise HTTPException(422, "reviewed_by: expected a name, as the caller has no owner")
    reviewed: Extraction = await answered(
        view.store.extractions.review, extraction_id, review.reviewed_results, reviewed_by=reviewer
    )
    return reviewed


# A day is the longest lease that a request may ask for.
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class ClaimRequest(BaseModel):
    """A request for documents of the queue; ``lease`` is in seconds."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=1000)] = 1
    filter: Filter | None = None
    lease: Seconds = 300.0
    worker: str | None = None
    max_attempts: Annotated[int | None, Field(ge=1, le=2**31 - 1)] = None


class Claimed(BaseModel):
    """A document that the caller alone holds until ``expires_at``; the token is what proves it."""

    document: Document
    token: str
    expires_at: datetime


class Held(BaseModel):
    """The token of a claim."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    token: str


class Beat(Held):
    """A claim, and the seconds from now that it is to be held."""

    lease: Seconds = 300.0


class Completed(Held):
    """A claim, and what was found."""

    content: str | None = None
    preview: str | None = None
    metadata: dict[str, Any] | None = None


class Failed(Held):
    """A claim, and what went wrong."""

    error: str


class Released(Held):
    """A claim, and what went wrong, if anything did."""

    error: str | None = None


class Lease(BaseModel):
    """When a lease ends."""

    expires_at: datetime


async def claim(view: CallersView, asked: ClaimRequest) -> list[Claimed]:
    """Take pending documents for a while: the oldest first, each for one caller alone."""
    claims = await answered(
        view.store.documents.claim, asked.limit, filter=asked.filter, lease=asked.lease, worker=asked.worker,
        max_attempts=asked.max_attempts,
    )  # fmt: skip
    return [Claimed(document=one.document, token=one.token, expires_at=one.expires_at) for one in claims]


async def heartbeat(view: CallersView, id: str, beat: Beat) -> Lease:
    """Let the lease of a claim end later."""
    held = await _claim(view, id, beat.token)
    return Lease(expires_at=await answered(held.heartbeat, beat.lease))


async def complete(view: CallersView, id: str, completed: Completed) -> Document:
    """Finish a claimed document."""
    held = await _claim(view, id, completed.token)
    document: Document = await answered(
        held.complete, **completed.model_dump(exclude_unset=True, exclude={"token"})
    )
    return document


async def fail(view: CallersView, id: str, failed: Failed) -> Document:
    """Give a claimed document up."""
    held = await _claim(view, id, failed.token)
    document: Document = await answered(held.fail, failed.error)
    return document


async def release(view: CallersView, id: str, released: Released) -> Document:
    """Give a claimed document back to the queue."""
    held = await _claim(view, id, released.token)
    document: Document = await answered(held.release, released.error)
    return document


async def _claim(view: View, id: str, token: str) -> Claim | AsyncClaim:
    """Return the claim that a token stands for; whether it holds, the store says when it is used.

    Raises:
        NotFound: there is no such document in this scope.
    """
    documents = view.store.documents
    document: Document = await answered(documents.get, id)
    if isinstance(view.store, AsyncStore):
        queue = await documents._blocking()
        return AsyncClaim(documents._shell, Claim(document, token, document.updated_at, 0.0, queue._queue))
    return Claim(document, token, document.updated_at, 0.0, documents._queue)
