"""The Postgres backend keeps every promise of the seam."""

import os

import pytest
from docstore_postgres import open_backend

from docstore.backend import Backend
from docstore.testing.conformance import Harness, conformance_suite
from docstore.testing.servers import PostgresServer

PARTITIONS = int(os.environ.get("DOCSTORE_PARTITIONS", "0")) or None


class PostgresHarness(Harness):
    server: PostgresServer

    def __init__(self) -> None:
        self._spare: list[str] = []
        self._urls: dict[int, str] = {}

    def open(self) -> Backend:
        url = self._spare.pop() if self._spare else self.server.create_database()
        backend = open_backend(url, partitions=PARTITIONS)
        self._urls[id(backend)] = url
        return backend

    def close(self, backend: Backend) -> None:
        backend.close()
        url = self._urls.pop(id(backend))
        self.server.clear_database(url)
        self._spare.append(url)

    def finish(self) -> None:
        for url in self._spare:
            self.server.drop_database(url)


@pytest.fixture(scope="module", autouse=True)
def _server(postgres_server: PostgresServer) -> None:
    PostgresHarness.server = postgres_server


TestPostgres = conformance_suite(PostgresHarness, examples=6)
