"""Stores on every backend with their bytes on every storage, and the two halves they are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import docstore
from docstore.backend import Backend, BlobRow
from docstore.blobs import Blobs
from docstore.testing.servers import S3Server


@dataclass
class Place:
    """An open store, and what maintenance is given."""

    store: docstore.Store
    backend: Backend
    blobs: Blobs

    def rows(self) -> dict[str, BlobRow]:
        with self.backend.read() as reader:
            return {row.key: row for row in reader.blobs()}

    def states(self) -> dict[str, str]:
        return {key: row.state for key, row in self.rows().items()}

    def names(self) -> list[str]:
        return [found.name for found in self.blobs.list()]

    def key(self, size: int) -> str:
        """Return the key of the one live blob of this size."""
        (key,) = [row.key for row in self.rows().values() if row.size == size and row.state == "live"]
        return key

    def insert(self, *rows: BlobRow) -> None:
        with self.backend.write() as writer:
            for row in rows:
                writer.insert_blob(row)


class Meanwhile:
    """A backend or blobs that let something happen before each call of the named methods."""

    def __init__(self, thing: Backend | Blobs, **before: Callable[[], object]) -> None:
        self._thing = thing
        self._before = before

    def __getattr__(self, name: str) -> Any:
        if name in self._before:
            self._before[name]()
        return getattr(self._thing, name)


@pytest.fixture
def meanwhile() -> type[Meanwhile]:
    """Make backends and blobs that let something happen meanwhile."""
    return Meanwhile


@pytest.fixture
def place(url: str, tmp_path: Path) -> Iterator[Place]:
    """An empty store on every backend, its bytes in a folder."""
    blobs = Blobs(tmp_path / "files")
    with docstore.open(url, blobs=blobs) as store:
        yield Place(store, store._context.backend, blobs)


@pytest.fixture(params=["local", "memory", "s3"])
def anywhere(request: pytest.FixtureRequest, sqlite_url: str, tmp_path: Path) -> Iterator[Place]:
    """An empty store on SQLite, its bytes on every storage."""
    match request.param:
        case "local":
            blobs = Blobs(tmp_path / "files")
        case "memory":
            blobs = Blobs("memory://")
        case _:
            blobs = request.getfixturevalue("s3_blobs")
    with docstore.open(sqlite_url, blobs=blobs) as store:
        yield Place(store, store._context.backend, blobs)


@pytest.fixture
def s3_place(sqlite_url: str, s3_blobs: Blobs) -> Iterator[Place]:
    """An empty store on SQLite, its bytes on S3."""
    with docstore.open(sqlite_url, blobs=s3_blobs) as store:
        yield Place(store, store._context.backend, s3_blobs)


@pytest.fixture
def s3_blobs(s3_server: S3Server, s3_options: dict[str, Any]) -> Blobs:
    """Blobs in a bucket that is this test's alone."""
    return Blobs(f"{s3_server.create_bucket(f'test-{uuid4().hex}')}/p", **s3_options)
