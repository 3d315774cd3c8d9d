"""Two callers never see or touch each other's documents, by any address, method or parameter."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import docstore
from docstore.http import Caller, router

BODIES: dict[str, Any] = {
    "claim:heartbeat": {"token": "T"},
    "claim:complete": {"token": "T"},
    "claim:fail": {"token": "T", "error": "x"},
    "claim:release": {"token": "T"},
    "review": {"reviewed_results": {"stolen": True}},
    "extractions": {"results": {"stolen": True}},
}


BOLTS = ("sync-memory", "async-sqlite-file", "sync-postgres")
"""Where a stranger of another tenant asks; elsewhere it is one of the same."""


def test_a_strangers_id_is_404_everywhere(site: Any, request: pytest.FixtureRequest) -> None:
    """Every operation that names an id answers another scope's with 404, as an unknown one, and changes
    nothing: another tenant's, and another owner's.
    """
    stranger = "bolt" if request.node.callspec.id in BOLTS else "bob"
    id = site.upload(b"secret", "secret.txt", metadata={"k": "secret"}).json()["id"]
    extraction = site.ask("POST", f"/documents/{id}/extractions", json={"results": {"a": 1}}).json()["id"]
    (claim,) = site.ask("POST", "/documents:claims", json={}).json()
    before = site.get(f"/documents/{id}").json()
    other = site.as_(stranger)
    asked = 0
    for path, item in site.client.get("/openapi.json").json()["paths"].items():
        for method in item:
            if "{id}" not in path:
                continue
            body = BODIES.get(path.rpartition("/")[2], {"filename": "stolen"})
            if body.get("token"):
                body = body | {"token": claim["token"]}
            options = {} if method in ("get", "delete") else {"json": body}
            at = path.replace("{id}", id).replace("{extraction_id}", extraction)
            answer = other.ask(method.upper(), at, **options)
            assert answer.status_code == 404, (method, path, answer.text)
            assert "secret" not in answer.text
            unknown = other.ask(
                method.upper(), path.replace("{id}", "u").replace("{extraction_id}", "u"), **options
            )
            assert unknown.status_code == 404
            asked += 1
    assert asked == 12
    assert site.get(f"/documents/{id}").json() == before
    (kept,) = site.get(f"/documents/{id}/extractions").json()["items"]
    assert (kept["id"], kept["is_reviewed"]) == (extraction, False)


def test_lists_show_ones_own(site: Any) -> None:
    """Lists, counts, facets, fields and claims hold nothing of another scope, whatever the filter."""
    id = site.upload(b"secret", "secret.txt", metadata={"k": "secret"}).json()["id"]
    site.ask("POST", f"/documents/{id}/extractions", json={"results": {"a": "secret"}})
    hostile = {"$or": [{"tenant": "acme"}, {"owner": "ada"}, {"id": id}, {"status": "pending"}]}
    for stranger in ("bolt", "bob"):
        for path in ("/documents", "/documents:count", "/documents:facets", "/documents:fields"):
            for filter in ({}, hostile):
                params = {"filter": json.dumps(filter), "field": ["metadata.k", "filename"]}
                answer = site.as_(stranger).get(path, params=params)
                assert answer.status_code == 200
                assert "secret" not in answer.text
        assert site.as_(stranger).get("/documents:count").json() == {"count": 0}
        assert site.as_(stranger).get("/documents:extractions").json()["items"] == []
        assert site.as_(stranger).ask("POST", "/documents:claims", json={"limit": 9}).json() == []
    assert site.as_("acme").get("/documents:count").json() == {"count": 1}
    assert site.as_("all").get("/documents:count").json() == {"count": 1}


def test_a_cursor_is_its_scopes(site: Any) -> None:
    """A cursor of one caller's is refused to another."""
    for n in range(2):
        site.upload(bytes([n]))
        site.as_("bob").upload(bytes([n]))
    cursor = site.get("/documents?limit=1").json()["next_cursor"]
    assert site.get("/documents", params={"limit": 1, "cursor": cursor}).status_code == 200
    refused = site.as_("bob").get("/documents", params={"limit": 1, "cursor": cursor})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_cursor")


def test_without_a_caller_there_is_no_answer(site: Any) -> None:
    """What the dependency raises is answered as a problem, its headers kept, before a body is read."""
    for path, item in site.client.get("/openapi.json").json()["paths"].items():
        for method in item:
            answer = site.as_("nobody").ask(method.upper(), path, json={"token": "t"})
            expected = (401,) if method in ("get", "delete") or path == "/documents" else (401, 422)
            assert answer.status_code in expected, (method, path)
    answer = site.as_("nobody").get("/documents")
    assert (answer.json()["detail"], answer.headers["www-authenticate"]) == ("who are you?", "Bearer")


def test_a_caller_never_widens(memory: Any) -> None:
    """A confined store stays confined; one that requires a scope refuses a caller without one; an empty
    scope is refused, not ignored.
    """
    memory.upload()
    required = docstore.open("memory://", scope_required=True)
    for store, who, status in [
        (memory.store.scoped(tenant="bolt"), Caller("acme"), 403),
        (required, Caller(), 403),
        (required, Caller("acme"), 200),
    ]:
        app = FastAPI()
        app.include_router(router(store, lambda who=who: who))
        with TestClient(app) as client:
            assert client.get("/documents").status_code == status
    required.close()
    for wrong in ("", 1, b"acme"):
        with pytest.raises(docstore.ScopeError):
            Caller(wrong)  # type: ignore[arg-type]
