"""Uploads, changes, removals, extractions, reviews and claims over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import docstore
from docstore.http import Caller, router


def test_an_upload_is_a_document(site: Any) -> None:
    """201, where it is, and the scope of its caller."""
    made = site.upload(b"hello", "r.txt", metadata={"n": 1})
    document = made.json()
    assert made.status_code == 201
    assert site.get(made.headers["location"]).json() == document
    assert (document["tenant"], document["owner"]) == ("acme", "ada")
    assert (document["filename"], document["size"], document["metadata"]) == ("r.txt", 5, {"n": 1})


def test_an_idempotency_key_is_one_document(site: Any) -> None:
    """The same key again is the same document, with other bytes or metadata 409."""
    key = {"Idempotency-Key": "k"}
    first = site.upload(b"1", headers=key)
    assert site.upload(b"1", headers=key).json()["id"] == first.json()["id"]
    assert site.upload(b"2", headers=key).status_code == 409
    assert site.upload(b"1", metadata={"n": 1}, headers=key).status_code == 409
    assert site.upload(b"1", headers={"Idempotency-Key": "l"}).json()["id"] != first.json()["id"]
    for other in ("bob", "bolt"):
        assert site.as_(other).upload(b"2", headers=key).status_code == 201
    assert site.get("/documents:count").json() == {"count": 2}


def test_an_upload_has_a_limit(site: Any) -> None:
    """A file of the limit is taken, one byte more is 413, whether or not a length was told."""
    assert site.upload(b"x" * 300_000).status_code == 201
    assert site.upload(b"x" * 300_001).status_code == 413
    pieces = (b"x" * 500_000 for _ in range(100))
    told = {"content-type": "multipart/form-data; boundary=b"}
    body = [b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n', *pieces]
    assert site.ask("POST", "/documents", content=iter(body), headers=told).status_code == 413
    assert site.get("/documents:count").json() == {"count": 1}


def test_a_body_has_a_limit(memory: Any) -> None:
    """A JSON body beyond the bound is 413 before it is read."""
    id = memory.upload().json()["id"]
    told = {"content-type": "application/json"}
    body = b'{"content": "' + b"x" * (9 << 20) + b'"}'
    assert memory.ask("PATCH", f"/documents/{id}", content=body, headers=told).status_code == 413
    pieces = iter([body[: 1 << 20]] * 9)
    assert memory.ask("PATCH", f"/documents/{id}", content=pieces, headers=told).status_code == 413


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"json": {}}, 415),
        ({"files": {"other": ("a", b"1")}}, 422),
        ({"files": {"file": ("a", b"1")}, "data": {"metadata": "no JSON"}}, 422),
        ({"files": {"file": ("a", b"1")}, "data": {"metadata": "[1]"}}, 422),
        ({"files": {"file": ("a", b"1")}, "data": {"metadata": '{"n": NaN}'}}, 422),
        ({"files": {"file": ("a", b"1")}, "data": {"metadata": '{"a": "\\ud800"}'}}, 422),
        ({"files": {"file": ("a", b"1")}, "data": {"metadata": "[" * 100_000}}, 422),
        ({"files": {"file": ("a", b"1")}, "data": {"metadata": ["{}", "{}"]}}, 422),
        ({"files": {"file": ("a", b"1")}, "data": {"owner": "bob"}}, 422),
        ({"data": {"file": "text"}, "files": {"metadata": ("m", b"{}")}}, 422),
        ({"files": [("file", ("a", b"1")), ("file", ("b", b"2"))]}, 400),
        ({"content": b"--", "headers": {"content-type": "multipart/form-data"}}, 400),
        ({"content": b"--b\r\nno", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 422),
        ({"files": {"file": ("a", b"1")}, "headers": {"Idempotency-Key": ""}}, 422),
        ({"files": {"file": ("a", b"1")}, "headers": {"Idempotency-Key": "k" * 256}}, 422),
    ],
)
def test_a_wrong_upload_is_refused(memory: Any, options: dict[str, Any], status: int) -> None:
    """What is no upload is refused with a problem, and nothing is stored."""
    answer = memory.ask("POST", "/documents", **options)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert len(memory.store.documents) == 0


def test_a_change_asks_for_its_revision(site: Any) -> None:
    """If-Match is the revision, as the ETag has it; another is 412 and changes nothing."""
    made = site.upload(metadata={"a": 1, "b": 2})
    at, tag = f"/documents/{made.json()['id']}", made.headers["etag"]
    assert site.get(at).headers["etag"] == tag == '"1"'
    changed = site.ask("PATCH", at, json={"metadata": {"a": None}}, headers={"If-Match": tag})
    assert (changed.json()["metadata"], changed.headers["etag"]) == ({"b": 2}, '"2"')
    for stale in (tag, "1", 'W/"2"', "nonsense", '"7", "8"'):
        for method, options in (("PATCH", {"json": {"filename": "x"}}), ("DELETE", {})):
            refused = site.ask(method, at, headers={"If-Match": stale}, **options)
            assert (refused.status_code, refused.json()["current"]) == (412, 2), stale
    assert site.get(at).json()["filename"] == "a.txt"
    assert site.ask("PATCH", at, json={"filename": "x"}, headers={"If-Match": '"1", "2"'}).status_code == 200
    assert site.ask("DELETE", at, headers={"If-Match": "3"}).status_code == 204
    assert site.get(at).status_code == 404


@pytest.mark.parametrize(
    "body", [{"owner": "bob"}, {"tenant": "x"}, {"status": "failed"}, {"metadata": 1}, []]
)
def test_other_fields_are_not_changed(memory: Any, body: Any) -> None:
    """What may not be changed over HTTP is 422."""
    at = f"/documents/{memory.upload().json()['id']}"
    assert memory.ask("PATCH", at, json=body).status_code == 422


def test_extractions_and_their_review(site: Any) -> None:
    """An extraction is added to its document, listed, found in the queue, and reviewed."""
    at = f"/documents/{site.upload().json()['id']}/extractions"
    made = site.ask(
        "POST", at, json={"results": {"n": 1}, "confidence_scores": {"n": 20}, "review_below": 80}
    )
    assert made.status_code == 201
    assert made.json()["needs_review"]
    queue = {"filter": json.dumps({"needs_review": True, "is_reviewed": False})}
    assert site.get("/documents:extractions", params=queue).json()["items"] == [made.json()]
    assert site.get(at, params=queue).json()["items"] == [made.json()]
    one = made.headers["location"]
    reviewed = site.ask("POST", f"{one}/review", json={"reviewed_results": {"n": 2}}).json()
    assert (reviewed["reviewed_results"], reviewed["reviewed_by"]) == ({"n": 2}, "ada")
    assert site.get(one).json() == reviewed
    assert site.get("/documents:extractions", params=queue).json()["items"] == []
    other = site.upload(b"other").json()["id"]
    assert site.get(f"/documents/{other}/extractions/{reviewed['id']}").status_code == 404
    assert site.as_("acme").ask("POST", f"{one}/review", json={"reviewed_results": {}}).status_code == 422


def test_claims(site: Any) -> None:
    """A claim is exclusive, its token finishes it once, a wrong or used token is 409."""
    ids = [site.upload(bytes([n])).json()["id"] for n in range(4)]
    claims = site.ask("POST", "/documents:claims", json={"limit": 9, "worker": "w"}).json()
    assert [one["document"]["id"] for one in claims] == ids
    assert site.ask("POST", "/documents:claims", json={}).json() == []

    def say(at: int, verb: str, **body: Any) -> Any:
        return site.ask(
            "POST", f"/documents/{ids[at]}/claim:{verb}", json={"token": claims[at]["token"], **body}
        )

    assert say(0, "heartbeat", lease=9000).json()["expires_at"] > claims[0]["expires_at"]
    assert say(0, "complete", content="text", metadata={"n": 1}).json()["status"] == "completed"
    assert say(0, "complete").status_code == 409
    assert say(1, "fail", error="no").json()["error"] == "no"
    assert say(2, "release").json()["status"] == "pending"
    assert say(3, "fail", error="no", token="wrong").status_code == 409
    assert (
        site.as_("bolt")
        .ask("POST", f"/documents/{ids[3]}/claim:fail", json={"token": "t", "error": ""})
        .status_code
        == 404
    )


def test_without_write_nothing_is_written(memory: Any) -> None:
    """Every write is 403 where ``write`` was not said, after the caller was asked who they are."""
    id = memory.upload().json()["id"]
    extraction = memory.store.extractions.add(id, {}).id
    app = FastAPI()
    app.include_router(router(memory.store, lambda: Caller("acme")))
    writes = [path for path, item in _paths(memory) for method in item if method not in ("get", "head")]
    assert len(writes) == 10
    with TestClient(app) as client:
        for path, item in _paths(memory):
            for method in set(item) - {"get", "head"}:
                at = path.replace("{id}", id).replace("{extraction_id}", extraction)
                assert client.request(method, at, json={}).status_code == 403, (method, path)
        assert {
            method for _, item in client.get("/openapi.json").json()["paths"].items() for method in item
        } == {"get"}
    before = memory.store.documents.get(id)
    assert (before.revision, memory.store.extractions.get(extraction).revision) == (1, 1)


def _paths(site: Any) -> list[tuple[str, dict[str, Any]]]:
    return list(site.client.get("/openapi.json").json()["paths"].items())


def test_a_read_only_store_refuses(tmp_path: Any) -> None:
    """A store that was opened to be read is 403, too."""
    url = f"sqlite:///{tmp_path / 'd.db'}"
    docstore.open(url).close()
    app = FastAPI()
    with docstore.open(url, read_only=True) as store:
        app.include_router(router(store, lambda: Caller(), write=True))
        with TestClient(app) as client:
            assert client.post("/documents:claims", json={}).status_code == 403
