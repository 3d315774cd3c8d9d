"""The page over an SQLite store in memory, asked as a browser asks, or a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

import docstore
from docstore.access_keys import read_keys
from docstore.http.page.application import application

HTML = {"accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
JSON = {"accept": "application/json"}
MAX_UPLOAD = 100_000


class Site:
    """The application's client, and the store behind it."""

    def __init__(self, store: Any, **options: Any) -> None:
        keys = read_keys(options.pop("keys", ()))
        self.store = store
        app = application(store, keys=keys, max_upload=MAX_UPLOAD, **options)
        self.client = TestClient(app, base_url="http://127.0.0.1:8000", follow_redirects=False)

    def page(self, path: str, status: int = 200, **options: Any) -> str:
        """Return what a browser is sent."""
        answer = self.client.get(path, headers=HTML | options.pop("headers", {}), **options)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"].startswith("text/html")
        return answer.text

    def json(self, path: str, status: int = 200, **options: Any) -> Any:
        answer = self.client.get(path, headers=JSON | options.pop("headers", {}), **options)
        assert answer.status_code == status, answer.text
        return answer.json()

    def token(self) -> str:
        """Return the token that the forms of this session carry."""
        text = self.page("/documents")
        return text.partition('name="token" value="')[2].partition('"')[0]

    def send(self, path: str, data: dict[str, str], **options: Any) -> httpx.Response:
        """Send a form as a browser does."""
        return self.client.post(path, data=data, headers=HTML | options.pop("headers", {}), **options)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Any]:
    with docstore.open("sqlite://", blobs=str(tmp_path / "files")) as opened:
        yield opened


@pytest.fixture
def site(store: Any) -> Site:
    """The page as it is without options: to read."""
    return Site(store)


@pytest.fixture
def make_site(store: Any) -> Callable[..., Site]:
    return lambda **options: Site(store, **options)
