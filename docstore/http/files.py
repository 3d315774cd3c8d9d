"""The route of a document's bytes: whole or a range of them, streamed, never shown as a page of ours."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

from anyio import CancelScope
from fastapi import Header, Request, Response
from fastapi.responses import StreamingResponse

from docstore.blobs.address import attachment
from docstore.errors import StoreBusy
from docstore.http.access import CallersView, View, answered
from docstore.http.preconditions import byte_range, is_known
from docstore.models import Document

__all__ = ["get_bytes"]

PIECE_BYTES = 256 << 10
_TRIES = 5
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
            "Cache-Control": "private, no-cache",
            "Content-Disposition": attachment(document.filename),
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
        with CancelScope(shield=True):
            await answered(file.close)


def _content_type(document: Document) -> str:
    """Return the type, if it can be a header."""
    known = document.content_type
    return known if _MEDIA_TYPE.fullmatch(known) else "application/octet-stream"
