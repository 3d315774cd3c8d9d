"""Somebody's Citus in the place of the tests' own Postgres: ``DOCSTORE_CITUS`` names its coordinator."""

from __future__ import annotations

from uuid import uuid4

import sqlalchemy as sa

from docstore.testing.servers import PostgresServer

__all__ = ["CitusServer"]


class CitusServer(PostgresServer):
    """A coordinator that holds shards itself. Each test has a database of its own there.

    Args:
        url: of any database of it, with the right to make others.
    """

    def __init__(self, url: str) -> None:
        self._coordinator = sa.make_url(url)

    def __enter__(self) -> CitusServer:
        """Return it: it runs already."""
        return self

    def close(self) -> None:
        """Leave it running."""

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database."""
        return self._coordinator.set(database=database).render_as_string(hide_password=False)

    def create_database(self, *, template: str = "template0") -> str:
        """Create a database with Citus in it and return its URL."""
        name = f"test_{uuid4().hex}"
        self._make(name, template)
        return self.url(name)

    def clear_database(self, url: str) -> None:
        """Make a database anew: what Citus keeps of its tables is not in its schema alone."""
        name = sa.make_url(url).database or ""
        self.drop_database(url)
        self._make(name, "template0")

    def _make(self, name: str, template: str) -> None:
        place = self._coordinator
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        found = f"SELECT citus_set_coordinator_host('{place.host}', {place.port or 5432})"
        self.execute("CREATE EXTENSION citus", found, database=name)
