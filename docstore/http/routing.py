"""The routes' class: ids with slashes, bodies within bounds, errors as problem details."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, MutableMapping
from typing import Any
from urllib.parse import quote, unquote

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.routing import Match

from docstore.http.problems import ANSWERED, problem_of

__all__ = ["FIELDS_BYTES", "StoreRoute"]

Scope = MutableMapping[str, Any]
Handle = Callable[[Request], Coroutine[Any, Any, Response]]
FIELDS_BYTES = 8 << 20
"""Bytes that a JSON body, or what an upload has beside its file, may have: eight times the bound of metadata,
as JSON may be spelled at length.
"""


class StoreRoute(APIRoute):
    """A route of the store's: what a segment of the path encodes is one value, ``%2F`` included.

    Attributes:
        body_bytes: of a request's body, at most; more is 413, also where no length was told.
    """

    body_bytes: int = FIELDS_BYTES

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match the path as it was sent: servers hand on a decoded one, in which ``%2F`` is a slash."""
        if scope["type"] != "http":
            return super().matches(scope)
        match, child = super().matches({**scope, "path": _encoded(scope), "root_path": "", "path_params": {}})
        if match is not Match.NONE:
            own = {name: _decoded(value) for name, value in child["path_params"].items()}
            child["path_params"] = {**scope.get("path_params", {}), **own}
        return match, child

    def get_route_handler(self) -> Handle:
        """Return FastAPI's handler, its body bounded and its errors answered."""
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            try:
                return await self.answer(handle, _bounded(request, self.body_bytes))
            except ANSWERED as error:
                return self.refusal(request, error)

        return bounded

    async def answer(self, handle: Handle, request: Request) -> Response:
        """Return what FastAPI's handler answers to a request whose body is bounded."""
        return await handle(request)

    def refusal(self, request: Request, error: Exception) -> Response:
        """Return the answer to one of the errors in ``ANSWERED``."""
        return problem_of(error)


def _encoded(scope: Scope) -> str:
    """Return the path below ``root_path`` with ``/`` and ``%`` of each segment encoded, and nothing else."""
    path, root = scope["path"], scope.get("root_path", "").rstrip("/")
    raw = (scope.get("raw_path") or b"").decode("ascii", "replace")
    if path not in (unquote(raw), unquote(unquote(raw))):  # twice: as Starlette's TestClient does
        raw = quote(path)  # no server told it, or something in between changed the path
    segments = [unquote(segment) for segment in raw.split("/")]
    if root and (path == root or path.startswith(root + "/")):
        for at in range(len(segments), 0, -1):
            if "/".join(segments[:at]) == root:
                segments = ["", *segments[at:]]
                break
    return "/".join(segment.replace("%", "%25").replace("/", "%2F") for segment in segments)


def _decoded(value: Any) -> Any:
    return value.replace("%2F", "/").replace("%25", "%") if isinstance(value, str) else value


def _bounded(request: Request, most: int) -> Request:
    """Return the request with a body that ends in an error beyond ``most`` bytes."""
    told = request.headers.get("content-length", "")
    if told.isascii() and told.isdigit() and int(told[:20]) > most:
        raise _too_large(most)
    received = 0

    async def receive() -> Any:
        nonlocal received
        message = await request.receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > most:
                raise _too_large(most)
        return message

    return Request(request.scope, receive)


def _too_large(most: int) -> HTTPException:
    told = f"the body is too large; expected at most {most} bytes"
    return HTTPException(413, told, {"Connection": "close"})
