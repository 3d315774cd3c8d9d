"""Keys: who may see what, and what `create_app` refuses; the same in all five applications."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

import docstore

MODULES = ("docsense", "openwebui", "documind", "tensorlake", "fieldwise")
PATHS = {
    "docsense": "/api/v1/documents/get_documents",
    "openwebui": "/api/files",
    "documind": "/api/v1/data/extractions",
    "tensorlake": "/documents/v2/files",
    "fieldwise": "/api/v1/documents/list",
}
NAMES: dict[str, Callable[[Any], list[str]]] = {
    "docsense": lambda body: [one["original_filename"] for one in body["result"]["documents"]],
    "openwebui": lambda body: [one["filename"] for one in body],
    "documind": lambda body: [one["original_filename"] for one in body["items"]],
    "tensorlake": lambda body: [one["file_name"] for one in body["items"]],
    "fieldwise": lambda body: [one["file_path"] for one in body["data"]["documents"]],
}
UNAUTHORIZED: dict[str, Callable[[Any], bool]] = {
    "docsense": lambda body: (
        body == {"status": 401, "message": "API key required for API access", "result": None}
    ),
    "openwebui": lambda body: list(body) == ["detail"],
    "documind": lambda body: list(body) == ["detail"],
    "tensorlake": lambda body: body["code"] == "UNAUTHORIZED" and body.keys() == {"message", "code"},
    "fieldwise": lambda body: not body["success"] and body["error"]["error_code"] == "UNAUTHORIZED",
}


def ask(client: Any, module: str, **options: Any) -> Any:
    """Send the plainest request for a list."""
    if module == "fieldwise":
        return client.post(PATHS[module], json={}, **options)
    return client.get(PATHS[module], **options)


@pytest.fixture
def three(first: docstore.Store, second: docstore.Store, stranger: docstore.Store) -> None:
    """A document and an extraction for each of three owners."""
    for name, view in (("one", first), ("two", second), ("three", stranger)):
        document = view.documents.add(filename=name, status="completed")
        view.extractions.add(document.id, {})


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("k1", ["one"]),
        ("k2", ["two"]),
        ("k3", ["three"]),
        ("root", ["two", "one"]),
        ("everything", ["three", "two", "one"]),
    ],
)
def test_a_key_sees_its_own(clients: Any, module: str, key: str, expected: list[str]) -> None:
    """A key sees its owner's, an administrator's the tenant's, one without a scope everything."""
    response = ask(clients(module, key), module)
    assert response.status_code == 200
    assert expected == NAMES[module](response.json())


@pytest.mark.parametrize("url", ["memory"], indirect=True)
@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(
    "key", [None, "", "K1", "k1 ", "nobody", "k1\x7f", "ключ".encode().decode("latin-1")]
)
def test_no_or_another_key_is_401(clients: Any, module: str, key: str | None) -> None:
    """A missing, empty, misspelt or outlandish key is 401, in the API's own form."""
    if key == "k1 ":  # white space at the end of a header is not part of it
        key = "k 1"
    response = ask(clients(module, None), module, headers=_header(module, key))
    assert response.status_code == 401
    assert UNAUTHORIZED[module](response.json())


def _header(module: str, key: str | None) -> dict[str, bytes]:
    if key is None:
        return {}
    name = "Authorization" if module in ("openwebui", "tensorlake") else "X-API-Key"
    text = f"Bearer {key}" if name == "Authorization" else key
    return {name: text.encode("latin-1")}


@pytest.mark.parametrize("url", ["memory"], indirect=True)
@pytest.mark.parametrize("module", MODULES)
def test_401_comes_before_422(clients: Any, module: str) -> None:
    """Who has no key learns nothing of what is wrong with the request."""
    client = clients(module, None)
    if module == "fieldwise":
        response = client.post(PATHS[module], json={"limit": 0})
    else:
        response = client.get(PATHS[module], params={"limit": "x", "content": "x"})
    assert response.status_code == 401


@pytest.mark.parametrize("url", ["memory"], indirect=True)
@pytest.mark.parametrize("module", ["openwebui", "tensorlake"])
@pytest.mark.parametrize("value", ["k1", "Basic k1", "Bearer", "Bearer ", "Token k1"])
def test_a_token_has_its_scheme(clients: Any, module: str, value: str) -> None:
    """A bearer token without the word, or with another, is 401 and says which scheme is wanted."""
    response = ask(clients(module, None), module, headers={"Authorization": value})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(
    "who",
    [
        {},
        {"admin": False},
        {"tenant": ""},
        {"owner": ""},
        {"tenant": "acme", "owner": ""},
        {"tenant": "", "admin": True},
        {"owner": "", "admin": True},
        {"tenant": None},
        {"tenant": "acme", "owner": None},
        {"tenant": 1},
        {"tenant": "acme", "admin": "false"},
        {"tenant": "acme", "admin": 1},
        {"tenent": "acme"},
        {"tenant": "acme", "role": "admin"},
        {"tenant": "a\0b"},
    ],
)
def test_a_key_that_opens_too_much_is_refused(module: str, who: dict[str, Any]) -> None:
    """An empty, untextual or misspelt part is a ValueError of `create_app`, never everybody."""
    with docstore.open("memory://") as store, pytest.raises(ValueError):
        import_module(f"examples.{module}").create_app(store, {"good": {"tenant": "acme"}, "bad": who})


@pytest.mark.parametrize("module", MODULES)
def test_an_empty_key_is_refused(module: str) -> None:
    """An empty text is no key: an empty header would be one."""
    with docstore.open("memory://") as store, pytest.raises(ValueError):
        import_module(f"examples.{module}").create_app(store, {"": {"tenant": "acme"}})


def test_a_refusal_does_not_print_the_key() -> None:
    """What is wrong with a key is said without the key."""
    from examples.docsense import create_app

    with docstore.open("memory://") as store, pytest.raises(ValueError) as refused:
        create_app(store, {"s3cret": {}})
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("module", MODULES)
def test_a_store_that_needs_scopes_is_served(module: str) -> None:
    """`scope_required=True` stands in nobody's way: every key works on a scope, or says that it means all."""
    from fastapi.testclient import TestClient

    keys = {"k1": {"tenant": "acme"}, "all": {"admin": True}}
    with docstore.open("memory://", scope_required=True) as store:
        app = import_module(f"examples.{module}").create_app(store, keys)
        for key in keys:
            with TestClient(app) as client:
                assert ask(client, module, headers=_header(module, key)).status_code == 200


@pytest.mark.parametrize("module", MODULES)
def test_a_view_stays_a_view(module: str) -> None:
    """On a store that is a tenant's view already, a key without a scope sees that tenant's alone."""
    from fastapi.testclient import TestClient

    with docstore.open("memory://") as store:
        for tenant in ("acme", "bolt"):
            view = store.scoped(tenant=tenant)
            view.extractions.add(view.documents.add(filename=tenant).id, {})
        app = import_module(f"examples.{module}").create_app(
            store.scoped(tenant="acme"), {"all": {"admin": True}}
        )
        with TestClient(app) as client:
            assert ["acme"] == NAMES[module](ask(client, module, headers=_header(module, "all")).json())


@pytest.mark.parametrize("url", ["memory"], indirect=True)
@pytest.mark.parametrize("module", MODULES)
def test_a_database_that_is_away_is_told_in_the_form_of_the_api(
    clients: Any, store: docstore.Store, module: str
) -> None:
    """A store that cannot answer is 503 (in Documind's document: 500), with nothing of its insides."""
    client = clients(module)
    store.close()
    response = ask(client, module) if module != "openwebui" else client.get("/api/files/search?filename=*")
    assert response.status_code == (500 if module == "documind" else 503)
    assert "docstore" not in response.text
    if module == "documind":
        assert response.json() == {"detail": "Failed to retrieve extractions. Please try again later."}


@pytest.mark.parametrize("url", ["memory"], indirect=True)
@pytest.mark.parametrize("module", MODULES)
def test_no_redirects(clients: Any, module: str) -> None:
    """The list answers where the seed prints it; a path that is nobody's is 404, not a redirect."""
    assert ask(clients(module), module).status_code == 200
    assert clients(module).get("/api/v9/nothing/").status_code == 404
