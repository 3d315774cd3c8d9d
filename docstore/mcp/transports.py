"""Ways to a server of tools: over standard input and output, and over streamable HTTP with keys."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

import anyio
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from docstore.access_keys import AccessKey, is_loopback, key_of
from docstore.mcp.server import make_server

__all__ = ["PATH", "http_app", "serve_http", "serve_stdio", "server"]

PATH = "/mcp"
_LARGEST_REQUEST = 1 << 20
_KEY = "docstore_key"


def server(store: Any, *, write: bool = False) -> Server[dict[str, Any]]:
    """Return a server of the Model Context Protocol whose tools look into a store.

    It is the SDK's own ``mcp.server.Server``, for the transports that the SDK has.

    Args:
        store: a Store or AsyncStore; a view confines the tools to its tenant and owner. It is not closed.
        write: offer tools that add documents and change metadata, too. Nothing deletes.
    """
    return make_server(lambda context: store, write=write)


def http_app(
    store: Any, *, keys: Sequence[AccessKey] = (), write: bool = False, host: str = "127.0.0.1"
) -> Starlette:
    """Return an ASGI application that serves the tools over streamable HTTP, at ``/mcp``.

    Each request stands alone: there are no sessions to keep, or to take over.

    Args:
        store: a Store or AsyncStore, not closed.
        keys: who may call, and whose documents they see: ``docstore.access_keys.read_keys`` makes them.
        write: as `server` takes it.
        host: the address that it will listen at. On this machine's own, requests with a foreign ``Host`` or
            ``Origin`` are refused.

    Raises:
        ValueError: ``host`` is reached from other machines, and there are no keys.
        ScopeError: a key is of another tenant or owner than the store.
    """
    if not keys and not is_loopback(host):
        raise ValueError(
            f"{host} is reached from other machines: give a key, --key NAME=SECRET[,tenant=T][,owner=O]"
        )
    views = {key: key.view_of(store) for key in keys}

    def view_of(context: ServerRequestContext[Any, Any]) -> Any:
        if not views:
            return store
        assert context.request is not None  # over HTTP there always is one
        return views[context.request.scope[_KEY]]

    made = make_server(view_of, write=write)
    app = made.streamable_http_app(
        streamable_http_path=PATH, json_response=True, stateless_http=True, host=host,
        max_request_body_size=_LARGEST_REQUEST,
    )  # fmt: skip
    if keys:
        app.add_middleware(_KeysAlone, keys=keys)
    return app


class _KeysAlone:
    """Let in requests that bear a key, and note which; answer 401 to others."""

    def __init__(self, app: ASGIApp, keys: Sequence[AccessKey]) -> None:
        self.app = app
        self.keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] == "http":
            key = key_of(Headers(scope=scope).get("authorization"), self.keys)
            if key is None:
                said = {"error": "send a key that this server knows: Authorization: Bearer SECRET"}
                await JSONResponse(said, 401, {"WWW-Authenticate": "Bearer"})(scope, receive, send)
                return
            scope[_KEY] = key
        await self.app(scope, receive, send)


def serve_stdio(store: Any, *, write: bool = False) -> None:
    """Serve the tools over standard input and output until the input ends."""
    made = server(store, write=write)

    async def run() -> None:
        async with stdio_server() as (reading, writing):
            await made.run(reading, writing, made.create_initialization_options())

    anyio.run(run)


def serve_http(app: Starlette, host: str, port: int, *, said: Callable[[str], None]) -> None:
    """Serve an application of `http_app` until it is interrupted.

    Args:
        app: the application.
        host: the address to listen at.
        port: the port; 0 takes one that is free.
        said: is told the URL once clients can connect.

    Raises:
        OSError: nothing can listen there.
    """
    import uvicorn

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listening:
        shown = f"[{host}]" if ":" in host else host
        said(f"listening at http://{shown}:{listening.getsockname()[1]}{PATH}")
        uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run([listening])
