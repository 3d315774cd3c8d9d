"""The routes that read: lists, counts, facets, fields, one record, and the bytes of a document.

Bytes are streamed, whole or a range of them, and never shown as a page of ours.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from anyio import CancelScope
from fastapi import Header, HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from docstore.blobs import attachment
from docstore.errors import StoreBusy
from docstore.filter_type import Filter
from docstore.http.requests import CallersView, View, answered, byte_range, is_known
from docstore.models import Document, Extraction, FieldInfo, Page

__all__ = [
    "Count",
    "FacetValue",
    "all_extractions",
    "count",
    "extraction",
    "extraction_of",
    "facets",
    "fields",
    "get_bytes",
    "get_document",
    "list_documents",
    "list_extractions",
]

# Fields that one request may ask facets of: each is a query of its own.
MAX_FACETS = 10

Search = Annotated[str | None, Query(description="Terms that must all occur.")]
Sort = Annotated[list[str], Query(description="Field paths; - before one sorts descending.")]
Limit = Annotated[int, Query(ge=0, le=1000)]
Offset = Annotated[int, Query(ge=0, le=2**63 - 1)]
PageNumber = Annotated[int | None, Query(ge=1, le=2**53)]
Total = Annotated[
    Annotated[int, Field(ge=1, le=2**53)] | bool,
    Query(description="true counts all that match; a number counts up to it."),
]
Direction = Literal["next", "prev"]
Includes = Annotated[list[Literal["content", "snippet"]], Query()]
Bucket = Literal["day", "month", "year"]


class Count(BaseModel):
    """How many there are."""

    count: int


class FacetValue(BaseModel):
    """A value, and how many records have it."""

    value: Any
    count: int


async def list_documents(
    view: CallersView,
    filter: Filter | None = None,
    search: Search = None,
    sort: Sort = ["-created_at"],  # noqa: B006
    limit: Limit = 50,
    offset: Offset = 0,
    page: PageNumber = None,
    cursor: str | None = None,
    direction: Direction | None = None,
    total: Total = False,
    latest_only: bool = True,
    include: Includes = [],  # noqa: B006
) -> Page[Document]:
    """List the documents that match, a page at a time."""
    found: Page[Document] = await answered(
        view.store.documents.find, filter, search=search, sort=sort, limit=limit, offset=offset, page=page,
        cursor=cursor, direction=direction, total=total, latest_only=latest_only, include=include,
    )  # fmt: skip
    return found


async def count(
    view: CallersView,
    filter: Filter | None = None,
    search: Search = None,
    latest_only: bool = True,
    at_most: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> Count:
    """Count the documents that match."""
    found = await answered(
        view.store.documents.count, filter, search=search, latest_only=latest_only, at_most=at_most
    )
    return Count(count=found)


async def facets(
    view: CallersView,
    field: Annotated[list[str], Query(min_length=1, max_length=MAX_FACETS)],
    filter: Filter | None = None,
    search: Search = None,
    by: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Bucket | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    latest_only: bool = True,
) -> dict[str, list[FacetValue]]:
    """Count the documents that match by their values at each field, most frequent first."""
    found = {}
    for path in field:
        facet = await answered(
            view.store.documents.count_by, path, filter, by=by, search=search, latest_only=latest_only,
            limit=limit,
        )  # fmt: skip
        found[path] = [FacetValue(value=value, count=counted) for value, counted in facet.items()]
    return found


async def fields(
    view: CallersView,
    filter: Filter | None = None,
    prefix: str = "metadata",
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    latest_only: bool = True,
) -> list[FieldInfo]:
    """List the paths that the documents' metadata have."""
    found: list[FieldInfo] = await answered(
        view.store.documents.fields, filter, prefix=prefix, limit=limit, latest_only=latest_only
    )
    return found


async def get_document(
    view: CallersView,
    id: str,
    response: Response,
    include: Annotated[list[Literal["content"]], Query()] = [],  # noqa: B006
) -> Document:
    """Return a document; its ETag is the revision, for If-Match."""
    found: Document = await answered(view.store.documents.get, id, include=include)
    response.headers["ETag"] = f'"{found.revision}"'
    return found


async def all_extractions(
    view: CallersView,
    filter: Filter[Extraction] | None = None,
    search: Search = None,
    sort: Sort = ["-created_at"],  # noqa: B006
    limit: Limit = 50,
    cursor: str | None = None,
    direction: Direction | None = None,
    total: Total = False,
) -> Page[Extraction]:
    """List the extractions of all documents that match, such as those that need a review."""
    found: Page[Extraction] = await answered(
        view.store.extractions.find, filter, search=search, sort=sort, limit=limit, cursor=cursor,
        direction=direction, total=total,
    )  # fmt: skip
    return found


async def list_extractions(
    view: CallersView,
    id: str,
    filter: Filter[Extraction] | None = None,
    sort: Sort = ["-created_at"],  # noqa: B006
    limit: Limit = 50,
    cursor: str | None = None,
    direction: Direction | None = None,
    total: Total = False,
) -> Page[Extraction]:
    """List the extractions of a document."""
    await answered(view.store.documents.get, id)
    own: dict[str, Any] = {"document_id": id}
    found: Page[Extraction] = await answered(
        view.store.extractions.find, {"$and": [own, filter]} if filter else own, sort=sort, limit=limit,
        cursor=cursor, direction=direction, total=total,
    )  # fmt: skip
    return found


async def extraction(view: CallersView, id: str, extraction_id: str, response: Response) -> Extraction:
    """Return an extraction of a document; its ETag is the revision."""
    found: Extraction = await extraction_of(view, id, extraction_id)
    response.headers["ETag"] = f'"{found.revision}"'
    return found


async def extraction_of(view: Any, id: str, extraction_id: str) -> Extraction:
    """Return an extraction that belongs to the document.

    Raises:
        NotFound: there is none in this scope.
        HTTPException: 404, it is another document's.
    """
    found: Extraction = await answered(view.store.extractions.get, extraction_id)
    if found.document_id != id:
        raise HTTPException(404, "the document has no such extraction")
    return found


# Bytes that are read, and sent, at a time.
PIECE_BYTES = 256 << 10
# A document's bytes may be replaced between reading its record and opening them.
_TRIES = 5
# What may stand in a header; another content type was put there by somebody, and is not sent.
_MEDIA_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[\x20-\x7e]+")

Text = Annotated[str | None, Header()]


async def get_bytes(
    view: CallersView,
    request: Request,
    id: str,
    range_: Annotated[str | None, Header(alias="Range")] = None,
    if_range: Text = None,
    if_none_match: Text = None,
) -> Response:
    """Return a document's bytes; the ETag is their sha256, a Range is honoured."""
    document, file = await _opened(view, id)
    is_streaming = False
    try:
        size, tag = document.size or 0, f'"{document.sha256}"'
        headers = {
            "ETag": tag,
            "Accept-Ranges": "bytes",
            # Kept by the browser, asked for each time: who lost the right to a document must not see it.
            "Cache-Control": "private, no-cache",
            "Content-Disposition": attachment(document.filename),
            # A stored HTML file must not run as this site.
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "X-Content-Type-Options": "nosniff",
        }
        if is_known(if_none_match, tag):
            return Response(status_code=304, headers=headers)
        part = byte_range(range_, if_range, tag, size) if request.method == "GET" else None
        start, end = part or (0, size)
        status = 200
        if part is not None:
            status, headers["Content-Range"] = 206, f"bytes {start}-{end - 1}/{size}"
        headers["Content-Length"] = str(end - start)
        headers["Content-Type"] = _content_type(document)
        if request.method == "HEAD":
            return Response(None, status, headers)
        if start:
            await answered(file.seek, start)
        first = await _read(file, min(PIECE_BYTES, end - start))  # broken bytes are told by the status
        if len(first) == end - start:
            return Response(first, status, headers)
        is_streaming = True
        return StreamingResponse(_pieces(file, first, end - start), status, headers)
    finally:
        if not is_streaming:
            await answered(file.close)


async def _opened(view: View, id: str) -> tuple[Document, Any]:
    """Return a document and its open file, of one moment: the tag has to be that of the bytes."""
    documents = view.store.documents
    document: Document = await answered(documents.get, id)
    for _ in range(_TRIES):
        file = await answered(documents.open, id)
        try:
            again: Document = await answered(documents.get, id)
        except BaseException:
            await answered(file.close)
            raise
        # The record is read before and behind the opening: if both are alike, the file is theirs.
        if (again.sha256, again.size) == (document.sha256, document.size):
            return again, file
        await answered(file.close)
        document = again
    raise StoreBusy(f"the bytes of {id!r} change faster than they can be opened")


async def _read(file: Any, amount: int) -> bytes:
    """Return ``amount`` bytes, fewer only at the end."""
    pieces = b""
    while len(pieces) < amount and (piece := await answered(file.read, amount - len(pieces))):
        pieces += piece
    return pieces


async def _pieces(file: Any, first: bytes, amount: int) -> AsyncIterator[bytes]:
    """Yield the bytes, and close the file also where the client went away."""
    try:
        yield first
        left = amount - len(first)
        while left and (piece := await answered(file.read, min(PIECE_BYTES, left))):
            left -= len(piece)
            yield piece
    finally:
        # Closing awaits, and a request that was cancelled would be interrupted there again.
        with CancelScope(shield=True):
            await answered(file.close)


def _content_type(document: Document) -> str:
    """Return the type, if it can be a header."""
    known = document.content_type
    return known if _MEDIA_TYPE.fullmatch(known) else "application/octet-stream"
