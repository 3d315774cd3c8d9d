"""How requests are taken: who is calling, conditions and ranges (RFC 9110), and the class of our routes.

The caller is a scope, and the store is confined to it. Conditions are If-Match, If-None-Match and If-Range.
The class takes ids with slashes and bodies within bounds, and answers errors as problem details.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Coroutine, MutableMapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote, unquote

from fastapi import Depends, HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.routing import Match

from docstore.aio.store import AsyncStore
from docstore.errors import RevisionConflict
from docstore.http.problems import ANSWERED, problem_of
from docstore.store import Store
from docstore.validation import scope_text

__all__ = [
    "FIELDS_BYTES",
    "Caller",
    "CallersView",
    "StoreRoute",
    "View",
    "answered",
    "binding",
    "byte_range",
    "is_known",
    "revision_asked",
]


@dataclass(frozen=True, slots=True)
class Caller:
    """The scope of a request: this tenant's and owner's documents.

    Args:
        tenant, owner: non-empty texts. ``None`` confines no further than the store that the router was given;
            with neither, that is all of it (a store opened with ``scope_required=True`` refuses).

    Raises:
        ScopeError: a part is empty or no text.
    """

    tenant: str | None = None
    owner: str | None = None

    def __post_init__(self) -> None:
        """Check both parts."""
        for name in ("tenant", "owner"):
            if getattr(self, name) is not None:
                scope_text(name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class View:
    """The store as the handlers of one request see it.

    Attributes:
        store: confined to the caller; blocking or asynchronous.
        caller: who asks.
        max_upload: bytes of a file, at most.
    """

    store: Any
    caller: Caller
    max_upload: int


def binding(store: Any, caller: Callable[..., Any], max_upload: int) -> Callable[..., Any]:
    """Return the dependency of all routes that finds the caller and confines the store.

    Args:
        store: a Store, an AsyncStore, or a dependency that returns one.
        caller: a dependency that returns a :class:`Caller`.
        max_upload: bytes of a file, at most.

    Raises:
        TypeError: one of the two is of another type.
    """
    if not callable(caller):
        raise TypeError(f"caller: expected a dependency that returns a Caller, not {type(caller).__name__}")
    if isinstance(store, Store | AsyncStore):
        known = store

        async def source() -> Any:
            return known
    elif callable(store):
        source = store
    else:
        kind = type(store).__name__
        raise TypeError(f"store: expected a Store, an AsyncStore or a dependency, not {kind}")

    held_by, asked_by = Depends(source), Depends(caller)

    async def bind(request: Request, held: Any = held_by, who: Any = asked_by) -> None:
        if not isinstance(who, Caller):
            raise TypeError(f"the caller dependency returned {type(who).__name__}; expected a Caller")
        parts = {"tenant": who.tenant, "owner": who.owner}
        given = {name: value for name, value in parts.items() if value is not None}
        request.state.docstore = View(held.scoped(**given) if given else held, who, max_upload)

    return bind


async def _bound(request: Request) -> View:
    view: View = request.state.docstore
    return view


# The view that `binding` made for this request.
CallersView = Annotated[View, Depends(_bound)]


async def answered(method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a method of either store: a coroutine function is awaited, another runs in a thread."""
    if inspect.iscoroutinefunction(method):
        return await method(*args, **kwargs)
    return await run_in_threadpool(method, *args, **kwargs)


# RFC 9110: an entity tag, weak or strong; and a range of bytes, either end of which may be missing.
_TAG = re.compile(r'(W/)?"([^"]*)"')
_RANGE = re.compile(r"bytes=([0-9]{0,30})-([0-9]{0,30})", re.ASCII | re.IGNORECASE)


async def revision_asked(if_match: str | None, get: Callable[..., Any], id: str) -> int | None:
    """Return the revision that ``If-Match`` asks for, ``None`` for any.

    Args:
        if_match: the header: a revision, with quotes or without, a list of them, or ``*``.
        get: of the collection.
        id: of the record.

    Raises:
        NotFound: there is no such record.
        RevisionConflict: the header names no revision, or several and none is the record's.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    revisions = _revisions(if_match)
    if len(revisions) == 1:
        return revisions.pop()
    current: int = (await answered(get, id)).revision
    if current in revisions:
        return current
    raise RevisionConflict(
        f"the document has revision {current}; If-Match asks for another", id=id, expected=0, current=current
    )


def _revisions(text: str) -> set[int]:
    """Return the revisions that are named; a weak tag is none, as the comparison is strong."""
    named = {text.strip()} | {tag for weak, tag in _TAG.findall(text) if not weak}
    return {int(one) for one in named if re.fullmatch("[0-9]{1,18}", one, re.ASCII)}


def is_known(if_none_match: str | None, tag: str) -> bool:
    """Return whether ``If-None-Match`` names this tag, given with its quotes."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag.strip('"') in {one for _, one in _TAG.findall(if_none_match)}


def byte_range(asked: str | None, if_range: str | None, tag: str, size: int) -> tuple[int, int] | None:
    """Return the first byte asked for and the one behind the last, ``None`` for all of them.

    Several ranges, other units and malformed ones are answered with the whole, as the standard allows.

    Raises:
        HTTPException: 416, no such byte is there.
    """
    found = _RANGE.fullmatch(asked.strip()) if asked is not None else None
    if found is None or (if_range is not None and if_range.strip() != tag):
        return None
    first, last = found.groups()
    if not first and not last:
        return None
    if first and last and int(first) > int(last):
        return None
    if first:
        start, end = int(first), min(int(last) + 1, size) if last else size
    else:
        start, end = max(0, size - int(last)), size
    if start >= size or start >= end:
        raise HTTPException(
            416, f"the file has {size} bytes; none is in the range", {"Content-Range": f"bytes */{size}"}
        )
    return start, end


Scope = MutableMapping[str, Any]
Handle = Callable[[Request], Coroutine[Any, Any, Response]]
# Bytes that a JSON body, or what an upload has beside its file, may have: eight times the bound of metadata,
# as JSON may be spelled at length.
FIELDS_BYTES = 8 << 20


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
