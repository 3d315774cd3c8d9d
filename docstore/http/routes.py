"""The table of routes, and the router made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Response

from docstore.aio.store import AsyncStore
from docstore.http import reading, writing
from docstore.http.problems import Problem
from docstore.http.requests import FIELDS_BYTES, StoreRoute, binding
from docstore.store import Store

__all__ = ["MAX_UPLOAD_BYTES", "router"]

# Unless the application says otherwise.
MAX_UPLOAD_BYTES = 100_000_000
_ONE = "/{id}"
_EXTRACTION = "/{id}/extractions/{extraction_id}"
# Boundaries and headers of an upload's parts.
_FRAMING_BYTES = 64 << 10

_READS: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("", reading.list_documents),
    (":count", reading.count),
    (":facets", reading.facets),
    (":fields", reading.fields),
    (":extractions", reading.all_extractions),
    (_ONE, reading.get_document),
    (_ONE + "/extractions", reading.list_extractions),
    (_EXTRACTION, reading.extraction),
)
_WRITES: tuple[tuple[str, str, int, Callable[..., Any]], ...] = (
    ("POST", ":claims", 200, writing.claim),
    ("PATCH", _ONE, 200, writing.patch),
    ("DELETE", _ONE, 204, writing.delete),
    ("POST", _ONE + "/extractions", 201, writing.add_extraction),
    ("POST", _EXTRACTION + "/review", 200, writing.review),
    ("POST", _ONE + "/claim:heartbeat", 200, writing.heartbeat),
    ("POST", _ONE + "/claim:complete", 200, writing.complete),
    ("POST", _ONE + "/claim:fail", 200, writing.fail),
    ("POST", _ONE + "/claim:release", 200, writing.release),
)
_PROBLEM: dict[str, Any] = {
    "description": "What is wrong",
    "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
}
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The bytes", "content": {"application/octet-stream": {}}},
    206: {"description": "A range of them", "content": {"application/octet-stream": {}}},
    304: {"description": "The caller has them"},
}


def router(
    store: Store | AsyncStore | Callable[..., Any],
    caller: Callable[..., Any],
    write: bool = False,
    prefix: str = "/documents",
    max_upload: int = MAX_UPLOAD_BYTES,
) -> APIRouter:
    """Return a router that lists, gets and, if asked, writes the documents of a store.

    Every request works on what its caller may see: another tenant's id is 404. Errors are problem details
    (RFC 9457), whatever handlers the application has.

    Args:
        store: a Store or an AsyncStore, which stays open as long as the application runs; or a FastAPI
            dependency that returns one.
        caller: a FastAPI dependency that returns the :class:`Caller`, or raises an HTTPException (401).
        write: whether documents may be added, changed, removed, claimed and reviewed; else that is 403.
        prefix: of the addresses, beginning with a slash and not ending with one.
        max_upload: bytes of an uploaded file, at most; more is 413. It is spooled on disk while it arrives.

    Returns:
        A router for ``app.include_router``.

    Raises:
        TypeError: ``store`` or ``caller`` is of another type.
        ValueError: ``prefix`` or ``max_upload`` is out of range.

    Example:
        >>> app.include_router(router(store, caller=who, write=True))
    """
    if not prefix.startswith("/") or prefix.endswith("/"):
        raise ValueError(f"prefix: expected a path such as '/documents', not {prefix!r}")
    if type(max_upload) is not int or max_upload < 1:
        raise ValueError(f"max_upload: expected a number of bytes from 1 on, not {max_upload!r}")

    class UploadRoute(StoreRoute):
        body_bytes = max_upload + FIELDS_BYTES + _FRAMING_BYTES

    made = APIRouter(
        route_class=StoreRoute,
        dependencies=[Depends(binding(store, caller, max_upload))],
        responses={"4XX": _PROBLEM, "5XX": _PROBLEM},
        tags=["documents"],
    )
    for path, handler in _READS:
        made.add_api_route(prefix + path, handler, methods=["GET"])
    content = prefix + _ONE + "/bytes"
    for method in ("GET", "HEAD"):
        made.add_api_route(
            content, reading.get_bytes, methods=[method], responses=_BYTES, response_model=None,
            response_class=Response, include_in_schema=method == "GET",
        )  # fmt: skip
    if not write:
        for method, path in [("POST", ""), *((method, path) for method, path, _, _ in _WRITES)]:
            made.add_api_route(prefix + path, _read_only, methods=[method], include_in_schema=False)
        return made
    made.add_api_route(
        prefix,
        writing.upload,
        methods=["POST"],
        status_code=201,
        openapi_extra=writing.UPLOAD_BODY,
        route_class_override=UploadRoute,
    )
    for method, path, status, handler in _WRITES:
        bodiless: dict[str, Any] = {"response_model": None} if status == 204 else {}
        made.add_api_route(prefix + path, handler, methods=[method], status_code=status, **bodiless)
    return made


def _read_only() -> None:
    raise HTTPException(403, "these documents can only be read here")
