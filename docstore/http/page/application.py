"""The application of ``docstore serve``, and the server that listens for it until it is interrupted.

The page's routes stand before the router's, and the guard around both.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from starlette.routing import Match
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from docstore.access_keys import AccessKey, is_loopback
from docstore.errors import BackendError
from docstore.http.page import documents, listing, overview
from docstore.http.page.guard import Guard, Rate, caller_of, wants_html, wants_json
from docstore.http.page.listing import KnownFields
from docstore.http.page.overview import SlowQueries
from docstore.http.page.rendering import STATIC, error_page, login_page
from docstore.http.problems import install_error_handlers, problem_of
from docstore.http.requests import FIELDS_BYTES, Handle, StoreRoute, binding
from docstore.http.routes import MAX_UPLOAD_BYTES, router
from docstore.store import Store

__all__ = [
    "Settings",
    "application",
    "serve",
]

# What a form of the page has beside a file.
_FORM_BYTES = 64 << 10
# For each key: what takes long must not be asked in a loop.
_EXPENSIVE_A_MINUTE = 30
# Addresses below the router's prefix that it does not have.
_ONLY_HERE = ("/documents:export", "/documents:explain", "/documents/{id}/preview")

Handler = Callable[..., Any]


@dataclass(slots=True)
class Settings:
    """Settings of the pages: where their store is, and what they may do.

    Attributes:
        place, blobs: its URLs as people may see them, without passwords.
        write: whether it may be changed.
        max_upload: bytes of a file, at most.
        has_keys: whether callers need keys.
        expensive: bounds exports, checks and plans.
        fields: of the metadata, as far as they are known.
        slow: the slow queries since the start.
    """

    place: str
    blobs: str
    write: bool
    max_upload: int
    has_keys: bool
    expensive: Rate = field(default_factory=lambda: Rate(_EXPENSIVE_A_MINUTE, "exports, checks and plans"))
    fields: KnownFields = field(default_factory=KnownFields)
    slow: SlowQueries = field(default_factory=SlowQueries)


def application(
    store: Store,
    *,
    place: str = "",
    blobs: str = "",
    write: bool = False,
    keys: Sequence[AccessKey] = (),
    host: str = "127.0.0.1",
    port: int = 8000,
    hosts: Iterable[str] = (),
    max_upload: int = MAX_UPLOAD_BYTES,
) -> ASGIApp:
    """Return the page over a store, as an ASGI application.

    Args:
        store: stays open as long as the application runs.
        place, blobs: its URLs as people may see them.
        write: whether anything may be changed.
        keys: of callers; without any everybody who reaches the server sees all of it.
        host, port: where it listens.
        hosts: further names that it is reached by.
        max_upload: bytes of a file, at most.

    Raises:
        ValueError: ``host`` is reached from other machines, and there are no keys.
    """
    if not keys and not is_loopback(host):
        raise ValueError(
            f"{host} is reached from other machines: give every caller a key, --key NAME=SECRET[,tenant=T]"
            "[,owner=O] or DOCSTORE_KEYS, or listen at 127.0.0.1"
        )
    app = FastAPI(title="docstore", docs_url=None, redoc_url=None)
    app.state.page = Settings(place, blobs, write, max_upload, bool(keys))
    app.state.page.slow.listen()
    install_error_handlers(app)
    for status in (404, 405):
        app.add_exception_handler(status, _refused)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.include_router(_pages(store, max_upload))
    app.include_router(router(store, caller_of, write=write, max_upload=max_upload))
    known = {host, "localhost", "127.0.0.1", "::1", *hosts} if is_loopback(host) else {host, "*", *hosts}
    return Guard(app, hosts=known, keys=keys, write=write, cookie=f"docstore_{port}")


class _PageRoute(StoreRoute):
    """A route of the page: left to the router where JSON is asked for; its errors are pages for browsers."""

    def matches(self, scope: Any) -> tuple[Match, Any]:
        """Leave to the router what it answers in JSON: the addresses of documents."""
        if scope["type"] == "http" and self.path.startswith("/documents"):
            request = Request(scope)
            is_page = wants_html(request) if request.method == "POST" else not wants_json(request)
            if not is_page and self.path not in _ONLY_HERE:
                return Match.NONE, {}
        return super().matches(scope)

    def refusal(self, request: Request, error: Exception) -> Response:
        """Return the error as those who ask want it."""
        return _refused(request, error)


class _FormRoute(_PageRoute):
    """A route that a form of the page is sent to: the form carries the session's token."""

    async def answer(self, handle: Handle, request: Request) -> Response:
        """Read the form, and refuse it without the token."""
        async with request.form(max_files=1, max_part_size=FIELDS_BYTES) as form:
            token = request.scope["docstore.visitor"].token
            if token and request.scope["path"] != "/login":
                sent = form.get("token")
                if not isinstance(sent, str) or not hmac.compare_digest(sent.encode(), token.encode()):
                    raise HTTPException(
                        403, "the form carries no token of this session: load its page again, and send it"
                    )
            request.state.form = form
            return await handle(request)


def _pages(store: Store, max_upload: int) -> APIRouter:
    class FileFormRoute(_FormRoute):
        body_bytes = max_upload + _FORM_BYTES

    made = APIRouter(
        route_class=_PageRoute,
        dependencies=[Depends(binding(store, caller_of, max_upload))],
        include_in_schema=False,
    )
    reads: dict[str, Handler] = {
        "/": _home,
        "/documents": listing.list_page,
        "/documents:export": listing.export,
        "/documents:explain": listing.explain_page,
        "/documents/{id}": documents.document_page,
        "/documents/{id}/preview": documents.preview,
        "/documents/{id}/extractions": documents.extractions_page,
        "/review": documents.queue_page,
        "/review/{id}": documents.review_page,
        "/store": overview.store_page,
        "/login": _login_form,
    }
    forms: dict[str, tuple[type[StoreRoute], Handler]] = {
        "/documents": (FileFormRoute, documents.upload),
        "/documents/{id}/retry": (_FormRoute, documents.retry),
        "/review/{id}": (_FormRoute, documents.save),
        "/login": (_FormRoute, _login),
        "/logout": (_FormRoute, _logout),
    }
    for path, handler in reads.items():
        made.add_api_route(path, handler, methods=["GET", "HEAD"], response_model=None)
    for path, (route, handler) in forms.items():
        made.add_api_route(path, handler, methods=["POST"], response_model=None, route_class_override=route)
    return made


def _refused(request: Request, error: Exception) -> Response:
    """Return the answer to an error: a page to those who ask for HTML by name, else a problem."""
    response = problem_of(error)
    if not wants_html(request):
        return response
    detail = json.loads(bytes(response.body))["detail"]
    return error_page(request, response.status_code, detail, _kept(response))


def _kept(response: Response) -> dict[str, str]:
    """Return the headers of a problem that hold for a page that says the same."""
    return {name: value for name, value in response.headers.items() if not name.startswith("content-")}


def _home() -> Response:
    return RedirectResponse("/documents", 303)


def _login_form(request: Request) -> Response:
    return login_page(request, _local(request.query_params.get("then", "/")), "", 200)


def _login(request: Request) -> Response:
    """Begin a session with a key."""
    form = request.state.form
    then = _local(str(form.get("then", "/")))
    cookie = request.scope["docstore.sign_in"](request, str(form.get("key", "")))
    if cookie is None:
        return login_page(request, then, "There is no such key.", 401)
    response = RedirectResponse(then, 303)
    response.raw_headers.append((b"set-cookie", cookie))
    return response


def _logout(request: Request) -> Response:
    """End a session."""
    response = RedirectResponse("/login", 303)
    response.raw_headers.append((b"set-cookie", request.scope["docstore.sign_out"]()))
    return response


def _local(address: str) -> str:
    """Return an address of this server's, ``/`` instead of any other."""
    return address if address.startswith("/") and address[1:2] not in ("/", "\\") else "/"


def serve(
    store: Store, *, host: str, port: int, keys: Sequence[AccessKey], hosts: Sequence[str], write: bool,
    max_upload: int, place: str, blobs: str, said: Callable[[str], None], opens: bool,
) -> None:  # fmt: skip
    """Serve the page until it is interrupted.

    Args:
        store: stays open meanwhile.
        host, port: where to listen; port 0 is any that is free.
        keys, hosts, write, max_upload: as for :func:`~docstore.http.page.application.application`.
        place, blobs: the store's URLs; a password in them is not shown.
        said: told the address, once there is one.
        opens: whether a browser is opened.

    Raises:
        ValueError: other machines reach ``host``, and there are no keys.
        BackendError: the address is taken, or not this machine's.
    """
    listener = _listener(host, port)
    port = listener.getsockname()[1]
    with listener:
        app = application(
            store, place=_without_password(place), blobs=_without_password(blobs), write=write, keys=keys,
            host=host, port=port, hosts=hosts, max_upload=max_upload,
        )  # fmt: skip
        shown = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{port}/documents"
        said(f"{address}  to read{' and write' if write else ''}; Ctrl-C ends")
        if opens and _has_screen():
            threading.Timer(0.5, webbrowser.open, [address]).start()
        config = uvicorn.Config(
            app, log_level="warning", server_header=False, proxy_headers=False, lifespan="off",
            timeout_graceful_shutdown=5,
        )  # fmt: skip
        uvicorn.Server(config).run(sockets=[listener])


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise BackendError(f"cannot listen at {host}:{port}: {error.strerror or error}") from error


def _has_screen() -> bool:
    """Return whether a window can open: a browser within the terminal would take it from the server."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _without_password(url: str) -> str:
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", url)
