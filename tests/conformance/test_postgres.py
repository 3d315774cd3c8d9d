"""The Postgres backend keeps every promise of the seam."""

import pytest
from docstore_postgres import open_backend

from docstore.backend import Backend
from docstore.testing.conformance import Harness, conformance_suite
from tests.kit.databases import Databases, PooledStore


class PostgresHarness(Harness):
    databases: Databases

    def __init__(self) -> None:
        self._stores: dict[int, PooledStore] = {}

    def open(self) -> Backend:
        store = self.databases.take_store()
        backend = open_backend(store.url)
        self._stores[id(backend)] = store
        return backend

    def close(self, backend: Backend) -> None:
        backend.close()
        self.databases.give_store_back(self._stores.pop(id(backend)))


@pytest.fixture(scope="module", autouse=True)
def _databases(databases: Databases) -> None:
    PostgresHarness.databases = databases


TestPostgres = conformance_suite(PostgresHarness, examples=6)
