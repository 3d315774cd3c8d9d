"""What the five applications share: who holds a key, errors as answers, instants, the start."""

import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

from fastapi import FastAPI, HTTPException, Query, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, BeforeValidator, StringConstraints

import docstore
from docstore.http import Problem, install_error_handlers

Keys = Mapping[str, Mapping[str, Any]]
Instant = Annotated[datetime, BeforeValidator(lambda value: docstore.instant(value, UTC))]
"""RFC 3339 text as a request has it; without an offset, and a bare date, it is UTC."""

PLAIN = r"^[^\x00]*$"
Text = Annotated[str, StringConstraints(pattern=PLAIN)]
"""What can be a name or an id."""
Offset = Annotated[int, Query(ge=0, le=2**63 - 1)]
"""How many records to skip, as a query parameter."""


class Caller(NamedTuple):
    """Whom a key belongs to: what of the store it works on, its tenant, whether it is an administrator's."""

    store: docstore.Store
    tenant: str | None
    admin: bool


# -- keys ----------------------------------------------------------------------------------------------------


def callers(store: docstore.Store, keys: Keys) -> dict[str, Caller]:
    """Return who holds each key.

    Raises:
        ValueError: a key is empty, or what it opens is misspelt, empty, or everything without being an
            administrator's.
    """
    return {key: _caller(store, key, who, at) for at, (key, who) in enumerate(keys.items(), 1)}


def _caller(store: docstore.Store, key: str, who: Mapping[str, Any], at: int) -> Caller:
    if not key:
        raise ValueError(f"key {at} is empty")
    if not set(who) <= {"tenant", "owner", "admin"}:
        raise ValueError(f"key {at}: expected tenant, owner, admin or some of them, not {who!r}")
    scope, admin = {part: who[part] for part in who if part != "admin"}, who.get("admin", False)
    if not isinstance(admin, bool) or not (scope or admin):
        raise ValueError(f"key {at}: without a tenant and owner it has to be an administrator's: admin=True")
    view = store.scoped(**scope) if scope else _everything(store)  # refuses an empty or untextual part
    if admin and "owner" in scope:
        view = store.scoped(tenant=scope["tenant"]) if "tenant" in scope else _everything(store)
    return Caller(view, scope.get("tenant"), admin)


def _everything(store: docstore.Store) -> docstore.Store:
    try:
        return store.unscoped()
    except docstore.ScopeError:  # it is a view itself: all of that
        return store


def by_header(name: str, known: Mapping[str, Caller], message: str) -> Callable[..., Caller]:
    """Return a dependency that finds the caller by the key in a header; without one it answers 401."""
    scheme = APIKeyHeader(name=name, auto_error=False)

    def caller(key: Annotated[str | None, Security(scheme)]) -> Caller:
        if key is None or key not in known:
            raise HTTPException(401, message)
        return known[key]

    return caller


def by_bearer(known: Mapping[str, Caller], message: str) -> Callable[..., Caller]:
    """Return a dependency that finds the caller by its bearer token; without one it answers 401."""
    scheme = HTTPBearer(auto_error=False)

    def caller(token: Annotated[HTTPAuthorizationCredentials | None, Security(scheme)]) -> Caller:
        if token is None or token.credentials not in known:
            raise HTTPException(401, message, {"WWW-Authenticate": "Bearer"})
        return known[token.credentials]

    return caller


# -- errors --------------------------------------------------------------------------------------------------


def application(
    title: str,
    problem: Callable[[int, str], Mapping[str, Any]],
    model: type[BaseModel],
    *,
    invalid: int = 422,
    down: int = 503,
) -> FastAPI:
    """Return an application that answers every error in its API's own form.

    Args:
        title: of the API.
        problem: makes the body from the status and a text for people.
        model: what such a body looks like, for the OpenAPI document.
        invalid: the status where a request is wrong.
        down: the status where the database or the storage is.
    """
    answers: dict[int | str, dict[str, Any]] = {"4XX": {"model": model}, str(down): {"model": model}}
    app = FastAPI(title=title, redirect_slashes=False, responses=answers)

    def shape(found: Problem) -> tuple[int, Mapping[str, Any]]:
        if found.status >= 500:
            return down, problem(down, "The service is not available, try again later.")
        of_http = found.code is None and found.status != 400  # 400: an unreadable body
        status = found.status if of_http or found.status == 404 else invalid
        return status, problem(status, found.detail)

    install_error_handlers(app, shape)
    return app


# -- starting ------------------------------------------------------------------------------------------------


def from_environment(create_app: Callable[[docstore.Store, Keys], FastAPI]) -> FastAPI:
    """Return the application on the store that the environment names, closed when the server stops.

    ``DOCSTORE_URL`` and ``DOCSTORE_BLOBS`` are as for :func:`docstore.open` (by default
    ``sqlite:///docstore.db`` and no bytes); ``DOCSTORE_KEYS`` is the JSON of ``keys``.
    """
    keys = json.loads(os.environ.get("DOCSTORE_KEYS", "{}"))
    if not isinstance(keys, dict) or not keys:
        raise ValueError('DOCSTORE_KEYS: expected JSON such as {"k1": {"tenant": "acme", "owner": "1"}}')
    url = os.environ.get("DOCSTORE_URL", "sqlite:///docstore.db")
    store = docstore.open(url, blobs=os.environ.get("DOCSTORE_BLOBS"))
    app = create_app(store, keys)

    @asynccontextmanager
    async def closing(app: FastAPI) -> AsyncIterator[None]:
        with store:
            yield

    app.router.lifespan_context = closing
    return app
