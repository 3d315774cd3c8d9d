"""What the tests of the applications share: where they are imported from, keys, a client for each."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

import docstore

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

KEYS: dict[str, dict[str, Any]] = {
    "k1": {"tenant": "acme", "owner": "1"},
    "k2": {"tenant": "acme", "owner": "2"},
    "k3": {"tenant": "bolt", "owner": "1"},
    "root": {"tenant": "acme", "admin": True},
    "everything": {"admin": True},
}
Client = httpx.Client
Clients = Callable[..., Client]


def headers(module: str, key: str) -> dict[str, str]:
    """Return the header that carries a key in one of the APIs."""
    if module in ("openwebui", "tensorlake"):
        return {"Authorization": f"Bearer {key}"}
    return {"x-api-key" if module == "docsense" else "X-API-Key": key}


class Standing:
    """The store of whichever test runs, or a view of it: to make an application takes longer than most tests.

    Args:
        stores: its first is that store.
        view: what of it.
    """

    def __init__(
        self, stores: list[docstore.Store], view: Callable[[docstore.Store], docstore.Store] = lambda it: it
    ) -> None:
        self._stores = stores
        self._view = view

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view(self._stores[0]), name)

    def scoped(self, **scope: str) -> Standing:
        return Standing(self._stores, lambda store: self._view(store).scoped(**scope))

    def unscoped(self) -> Standing:
        return Standing(self._stores, lambda store: self._view(store).unscoped())


@pytest.fixture(scope="session")
def _stores() -> list[docstore.Store]:
    """The store of the test that runs."""
    return []


@pytest.fixture(scope="session")
def _made(_stores: list[docstore.Store]) -> Callable[..., Any]:
    """Make an application, each once."""

    @functools.cache
    def made(module: str, **options: Any) -> Any:
        return import_module(f"examples.{module}").create_app(Standing(_stores), KEYS, **options)

    return made


@pytest.fixture
def clients(
    store: docstore.Store, _stores: list[docstore.Store], _made: Callable[..., Any]
) -> Iterator[Clients]:
    """Open a client of an application on the test's store: its module, and the key it sends or ``None``."""
    _stores[:] = [store]
    with ExitStack() as opened:

        def client(module: str, key: str | None = "k1", **options: Any) -> Client:
            app = _made(module, **options)
            sent = {} if key is None else headers(module, key)
            made = TestClient(app, headers=sent, follow_redirects=False)
            opened.callback(made.close)
            return made  # type: ignore[return-value]

        yield client


@pytest.fixture
def first(store: docstore.Store) -> docstore.Store:
    """What the key ``k1`` works on."""
    return store.scoped(tenant="acme", owner="1")


@pytest.fixture
def second(store: docstore.Store) -> docstore.Store:
    """What the key ``k2`` works on: another owner of the same tenant."""
    return store.scoped(tenant="acme", owner="2")


@pytest.fixture
def stranger(store: docstore.Store) -> docstore.Store:
    """What the key ``k3`` works on: an owner of the same name in another tenant."""
    return store.scoped(tenant="bolt", owner="1")
