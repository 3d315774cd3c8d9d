"""Tests through a PgBouncer: only where the nox session ``pgbouncer`` asks for them, as it is no wheel."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from docstore.testing.servers import PostgresServer
from docstore.testing.servers.postgres import PgBouncer

collect_ignore_glob = [] if os.environ.get("DOCSTORE_PGBOUNCER") else ["test_*.py"]


@pytest.fixture(scope="session")
def transaction_pooler(postgres_server: PostgresServer) -> Iterator[PgBouncer]:
    """One that gives each transaction another session."""
    with PgBouncer(postgres_server, "transaction") as pooler:
        yield pooler
