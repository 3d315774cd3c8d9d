"""Errors are problem details, of the router and, with the handlers, of a whole application."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import docstore
from docstore.http import Caller, install_error_handlers, router


def test_a_filters_error_says_where(site: Any) -> None:
    """A wrong filter is 422 with the path into it, and what may have been meant."""
    wrong = {"$and": [{"status": "pending"}, {"metadata.n": {"$gte2": 1}}]}
    answer = site.get("/documents", params={"filter": json.dumps(wrong)})
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert (problem["status"], problem["type"], problem["code"]) == (422, "about:blank", "unknown_operator")
    assert (problem["path"], problem["suggestion"]) == ("$and/1/metadata.n/$gte2", "$gte")
    deep: Any = {"a": 1}
    for _ in range(20):
        deep = {"$and": [deep]}
    assert "path" in site.get("/documents:count", params={"filter": json.dumps(deep)}).json()
    claimed = site.ask("POST", "/documents:claims", json={"filter": wrong})
    assert (claimed.status_code, claimed.json()["path"]) == (422, "$and/1/metadata.n/$gte2")


@pytest.mark.parametrize(
    "query",
    ["filter=nojson", "filter=[]", "sort=nofield", "limit=1001", "limit=-1", "limit=x", "cursor=x",
     "offset=1&page=2", "direction=next", "total=0.5", "include=bytes",
     'filter={"tags":1}', 'filter={"metadata.a":"\\ud800"}'],
)  # fmt: skip
def test_a_wrong_question_is_422(memory: Any, query: str) -> None:
    """What find refuses is 422 with a readable problem."""
    answer = memory.get(f"/documents?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["detail"]


@pytest.mark.parametrize("query", ["", "field=", "field=nofield", "field=-status", "field=metadata.n&by=0"])
def test_a_wrong_facet_is_422(memory: Any, query: str) -> None:
    """A facet without a field, or of none, is refused."""
    assert memory.get(f"/documents:facets?{query}").status_code == 422


ERRORS = {
    docstore.FilterSyntaxError("x", path="a/b"): 422,
    docstore.InvalidDocument("x"): 422,
    docstore.NotFound("x"): 404,
    docstore.AlreadyExists("x"): 409,
    docstore.InvalidTransition("x"): 409,
    docstore.LeaseLost("x"): 409,
    docstore.RevisionConflict("x", current=3): 412,
    docstore.ScopeError("x"): 403,
    docstore.ReadOnlyStore("x"): 403,
    docstore.BlobsNotConfigured("x"): 501,
    docstore.QueryTimeout("x"): 503,
}
DOWN = (docstore.BlobCorrupt("secret"), docstore.StoreClosed("secret"), docstore.BackendError("secret"))


@pytest.mark.parametrize("error", [*ERRORS, *DOWN], ids=lambda error: type(error).__name__)
def test_the_table_of_errors(error: docstore.DocstoreError) -> None:
    """With the handlers each error of any route has its status; what the database said is not told."""
    app = FastAPI()
    install_error_handlers(app)

    @app.get("/")
    def fail() -> None:
        raise error

    with TestClient(app) as client:
        answer = client.get("/")
        assert client.get("/nowhere").json()["status"] == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status_code == answer.json()["status"] == ERRORS.get(error, 503)
    assert "secret" not in answer.text
    if isinstance(error, docstore.FilterError):
        assert answer.json()["path"] == "a/b"


def test_busy_says_when_to_come_again() -> None:
    """A failure that may pass carries Retry-After."""
    app = FastAPI()
    install_error_handlers(app)

    @app.get("/")
    def fail() -> None:
        raise docstore.StoreBusy("x")

    with TestClient(app) as client:
        assert client.get("/").headers["retry-after"] == "1"


def test_the_router_answers_without_the_handlers() -> None:
    """Problems are the router's own, whatever the application does; other routes keep theirs."""
    app = FastAPI()
    with docstore.open("memory://") as store:
        app.include_router(router(store, lambda: Caller("acme")), prefix="/api")
        with TestClient(app) as client:
            answer = client.get("/api/documents/u")
            assert answer.headers["content-type"] == "application/problem+json"
            assert client.get("/nowhere").headers["content-type"] == "application/json"


def test_wrong_arguments_are_refused_when_the_router_is_made() -> None:
    """A store, caller, prefix or limit of the wrong kind is an error where it is written."""
    with docstore.open("memory://") as store:
        for wrong in ({"store": "memory://"}, {"caller": Caller("acme")}):
            with pytest.raises(TypeError):
                router(**({"store": store, "caller": Caller} | wrong))
        for wrong in (
            {"prefix": ""},
            {"prefix": "x"},
            {"prefix": "/x/"},
            {"max_upload": 0},
            {"max_upload": True},
        ):
            with pytest.raises(ValueError):
                router(store, Caller, **wrong)
