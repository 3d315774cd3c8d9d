"""The routes that write: upload, patch, delete, extractions, review."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

from fastapi import Header, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import FormData, UploadFile

from docstore.errors import AlreadyExists
from docstore.http.access import CallersView, View, answered
from docstore.http.preconditions import revision_asked
from docstore.http.reading import extraction_of
from docstore.http.routing import FIELDS_BYTES
from docstore.models import Document, Extraction

__all__ = ["UPLOAD_BODY", "add_extraction", "delete", "patch", "review", "upload"]

MAX_KEY_CHARACTERS = 255
_UPLOAD_FIELDS = ("file", "metadata", "external_id")

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
"""The body of an upload, for OpenAPI: the handler reads it itself, once it knows who is calling."""

IfMatch = Annotated[str | None, Header(description="The revision, as the ETag has it; another is 412.")]
Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Changes(BaseModel):
    """What to change; what is left out stays."""

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
    """What was read out of a document."""

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
