"""One application on whichever store the test has: every backend, blocking and asynchronous."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI, Header, HTTPException
from fastapi.testclient import TestClient

import docstore
from docstore.http import Caller, install_error_handlers, router

MAX_UPLOAD = 300_000
CALLERS = {
    "ada": Caller("acme", "ada"),
    "bob": Caller("acme", "bob"),
    "acme": Caller("acme"),
    "bolt": Caller("bolt"),
    "all": Caller(),
}


@dataclass
class Site:
    """An application's client and the store behind it."""

    client: Any
    store: Any
    headers: dict[str, str] = field(default_factory=lambda: {"x-key": "ada"})

    def as_(self, key: str) -> Site:
        """Return the same site, asked by another caller."""
        return Site(self.client, self.store, {"x-key": key})

    def ask(self, method: str, path: str, /, **options: Any) -> httpx.Response:
        headers = self.headers | options.pop("headers", {})
        response: httpx.Response = self.client.request(method, path, headers=headers, **options)
        return response

    def get(self, path: str, /, **options: Any) -> httpx.Response:
        return self.ask("GET", path, **options)

    def upload(self, content: bytes = b"hello", name: str = "a.txt", **options: Any) -> httpx.Response:
        """Upload a file; ``metadata=`` is its metadata."""
        data = {"metadata": json.dumps(options.pop("metadata"))} if "metadata" in options else {}
        return self.ask("POST", "/documents", files={"file": (name, content)}, data=data, **options)

    def call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a method of the store's, awaited where it has to be."""
        work = partial(method, *args, **kwargs)
        return self.client.portal.call(work) if isinstance(self.store, docstore.AsyncStore) else work()


_store: list[Any] = []


def caller(x_key: Annotated[str, Header()] = "") -> Caller:
    if x_key not in CALLERS:
        raise HTTPException(401, "who are you?", {"WWW-Authenticate": "Bearer"})
    return CALLERS[x_key]


@pytest.fixture(scope="session")
def application() -> FastAPI:
    """An application that is made once: its store is a dependency."""
    app = FastAPI()
    install_error_handlers(app)
    app.include_router(router(lambda: _store[0], caller, write=True, max_upload=MAX_UPLOAD))
    return app


@pytest.fixture(params=("memory", "sqlite-file", "postgres"))
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store."""
    names = {"sqlite-file": "sqlite_url", "postgres": "postgres_store_url"}
    name = names.get(request.param)
    return "memory://" if name is None else str(request.getfixturevalue(name))


@pytest.fixture(params=("sync", "async"))
def site(request: pytest.FixtureRequest, url: str, tmp_path: Path, application: FastAPI) -> Iterator[Site]:
    """The application on every backend, blocking and asynchronous."""
    blobs = str(tmp_path / "files")
    with TestClient(application) as client:
        store: Any = (docstore.open if request.param == "sync" else docstore.open_async)(url, blobs=blobs)
        _store[:] = [store]
        site = Site(client, store)
        yield site
        site.call(store.close)


@pytest.fixture
def memory(application: FastAPI, tmp_path: Path) -> Iterator[Site]:
    """The application on a blocking store in memory, for what no backend has a part in."""
    with (
        TestClient(application) as client,
        docstore.open("memory://", blobs=str(tmp_path / "files")) as store,
    ):
        _store[:] = [store]
        yield Site(client, store)
