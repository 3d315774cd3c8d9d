"""The backends that the tools are tried on."""

from __future__ import annotations

import pytest


@pytest.fixture(params=("memory", "sqlite-file", "postgres"))
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store."""
    names = {"sqlite-file": "sqlite_url", "postgres": "postgres_store_url"}
    name = names.get(request.param)
    return "memory://" if name is None else str(request.getfixturevalue(name))
