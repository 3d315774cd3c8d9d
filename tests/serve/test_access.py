"""What the page refuses, by name: writes, hosts, keys, tokens, bodies; two keys see their own alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from docstore.http.page.application import application
from docstore.http.page.guard import Rate
from tests.serve.conftest import HTML, JSON, MAX_UPLOAD, Site

ADA, BOB = {"authorization": "Bearer s1"}, {"authorization": "Bearer s2"}
KEYS = ("ada=s1,tenant=acme", "bob=s2,tenant=bolt,owner=bob")


@pytest.mark.parametrize("accept", [HTML, JSON])
def test_nothing_is_written_without_write(site: Site, accept: dict[str, str]) -> None:
    """Without ``write`` every method that writes is refused at every address, and nothing changes."""
    id = site.store.documents.add(b"x", filename="x.txt").id
    for path in ("/documents", f"/documents/{id}", f"/documents/{id}/extractions", f"/documents/{id}/retry",
                 "/documents:claims", "/review/x", "/store", f"/documents/{id}/claim:complete"):  # fmt: skip
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            answer = site.client.request(method, path, headers=accept)
            assert answer.status_code == 403
            assert "--write" in answer.text
    assert [one.id for one in site.store.documents.find()] == [id]


def test_a_write_carries_the_token_of_its_session(make_site: Callable[..., Site]) -> None:
    """A form without the token, with another's or from another site is refused; with it the file is there."""
    site, other = make_site(write=True), make_site(write=True)
    token = site.token()
    files = {"file": ("a.txt", b"hello")}
    for data, headers in [
        ({}, {}), ({"token": "x"}, {}), ({"token": other.token()}, {}),
        ({"token": token}, {"origin": "http://evil.example"}),
    ]:  # fmt: skip
        answer = site.send("/documents", data, files=files, headers=headers)
        assert answer.status_code == 403
        assert "token" in answer.text or "another site" in answer.text
    assert site.client.post("/documents", files=files, headers=JSON).status_code == 403
    assert site.store.documents.count() == 0
    assert site.send("/documents", {"token": token}, files=files).status_code == 303
    sent = site.client.post("/documents", files=files, headers=JSON | {"x-docstore-token": token})
    assert sent.status_code == 201
    assert site.store.documents.count() == 2


def test_a_body_over_the_limit_is_cut(make_site: Callable[..., Site]) -> None:
    """A file, and a form, over the limit is 413, whether or not its length is told."""
    site = make_site(write=True)
    token, big = site.token(), b"x" * (MAX_UPLOAD + 1)
    assert site.send("/documents", {"token": token}, files={"file": ("a", big)}).status_code == 413

    def pieces() -> Any:
        for _ in range(20):
            yield big

    kind = {"content-type": "multipart/form-data; boundary=b"}
    answer = site.client.post("/documents", content=pieces(), headers=HTML | kind)
    assert answer.status_code == 413
    assert site.store.documents.count() == 0


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[", "10.0.0.1"])
def test_a_foreign_host_is_refused_by_name(site: Site, host: str) -> None:
    """A Host header that is not this machine's is refused: a name of others may have been bound to it."""
    answer = site.client.get("/documents", headers=JSON | {"host": host})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert repr(host) in answer.json()["detail"]


@pytest.mark.parametrize("host", ["localhost:9", "127.0.0.1", "[::1]:8000", "docs.example"])
def test_own_hosts_are_served(make_site: Callable[..., Site], host: str) -> None:
    """Names of this machine are served with any port, and those that were allowed."""
    site = make_site(hosts=["docs.example"])
    assert site.client.get("/documents", headers=JSON | {"host": host}).status_code == 200


def test_other_addresses_need_keys(store: Any) -> None:
    """What other machines reach has keys, or is not made; there every IP address may be the host."""
    for host in ("0.0.0.0", "::", "192.0.2.1", "docs.example"):
        with pytest.raises(ValueError, match="--key NAME=SECRET"):
            application(store, host=host)
    site = Site(store, keys=KEYS, host="0.0.0.0")
    assert site.client.get("/documents", headers=JSON | ADA | {"host": "192.0.2.1:8000"}).status_code == 200
    assert site.client.get("/documents", headers=JSON | ADA | {"host": "evil.example"}).status_code == 400


def test_two_keys_never_see_each_other(make_site: Callable[..., Site]) -> None:
    """Nothing of another tenant's is at any address, whatever is asked; its id is as unknown as any."""
    site = make_site(keys=KEYS, write=True)
    acme = site.store.scoped(tenant="acme")
    document = acme.documents.add(b"a secret", filename="secret.txt", metadata={"k": "secret"}, id="x1")
    acme.documents.complete(document.id, content="secret words")
    extraction = acme.extractions.add(document.id, {"k": "secret"}, needs_review=True)
    hostile = '{"$or": [{"tenant": "acme"}, {"id": "x1"}, {"status": "completed"}]}'
    lists = [
        "/documents", "/documents?search=words&sort=-score", "/documents:explain", "/store",
        "/store?check=size", "/documents:export?format=csv", "/documents:export?format=jsonl", "/review",
    ]  # fmt: skip
    for path in lists:
        for headers in (HTML, JSON):
            asked = {"filter": hostile} if path.startswith("/documents") else {}
            url = str(site.client.build_request("GET", path).url.copy_merge_params(asked))
            answer = site.client.get(url, headers=headers | BOB)
            assert answer.status_code == 200, (path, answer.text)
            assert "secret" not in answer.text, (path, answer.text)
    own = [f"/documents/{document.id}{rest}" for rest in ("", "/bytes", "/preview", "/extractions")]
    for path in (*own[:3], f"/review/{extraction.id}"):
        for headers in (HTML, JSON):
            assert site.client.get(path, headers=headers | BOB).status_code == 404
            assert site.client.get(path, headers=headers | ADA).status_code == 200
    for path in (f"/documents/{document.id}/retry", f"/review/{extraction.id}"):
        form = {"revision": str(extraction.revision), "value-0": "stolen"}
        assert site.send(path, form, headers=BOB).status_code == 404
    mine = site.store.scoped(tenant="bolt").documents.add(b"mine", filename="mine.txt")
    assert site.client.get(f"/documents/{mine.id}?with={document.id}", headers=HTML | ADA).status_code == 404
    assert acme.extractions.get(extraction.id) == extraction


def test_a_wrong_key_is_401(make_site: Callable[..., Site]) -> None:
    """Without a key, and with a wrong one, there is 401 at every address: a form for browsers, a problem for
    programs; the style sheet alone is open.
    """
    site = make_site(keys=KEYS)
    for path in (
        "/",
        "/documents",
        "/documents/x",
        "/documents/x/bytes",
        "/review",
        "/store",
        "/openapi.json",
    ):
        for headers in ({}, {"authorization": "Bearer s"}, {"authorization": "Basic s1"}):
            answer = site.client.get(path, headers=JSON | headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert 'type="password"' in site.page(path, 401)
    assert site.client.get("/static/style.css").status_code == 200


def test_a_browser_signs_in_with_a_key(make_site: Callable[..., Site]) -> None:
    """A key begins a session in a cookie that scripts and other sites do not get; it sees what it may."""
    site = make_site(keys=KEYS, write=True)
    site.store.scoped(tenant="acme").documents.add(filename="acme.txt")
    site.store.scoped(tenant="bolt", owner="bob").documents.add(filename="bolt.txt")
    assert site.send("/login", {"key": "wrong"}).status_code == 401
    answer = site.send("/login", {"key": "s2", "then": "//evil.example/"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    text = site.page("/documents")
    assert "bolt.txt" in text
    assert "acme.txt" not in text
    assert site.send("/documents", {}, files={"file": ("a", b"a")}).status_code == 403
    assert site.send("/documents", {"token": site.token()}, files={"file": ("a", b"a")}).status_code == 303
    assert site.send("/logout", {}).status_code == 403
    assert site.send("/logout", {"token": site.token()}).status_code == 303
    site.page("/documents", 401)


def test_guessing_keys_is_slow(make_site: Callable[..., Site]) -> None:
    """After ten wrong keys within a minute there is 429, with the time to wait."""
    site = make_site(keys=KEYS)
    assert [site.send("/login", {"key": "x"}).status_code for _ in range(10)] == [401] * 10
    answer = site.send("/login", {"key": "x"})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 61


def test_expensive_calls_are_bounded(site: Site) -> None:
    """Exports, checks and plans beyond so many a minute are 429."""
    statuses = [site.client.get("/documents:export", headers=JSON).status_code for _ in range(31)]
    assert statuses == [200] * 30 + [429]
    assert site.client.get("/store?check=size", headers=HTML).status_code == 429
    rate = Rate(1, "x")
    rate.spend("a")
    rate.spend("b")


def test_pages_carry_the_policy(site: Site) -> None:
    """Every answer forbids inline script, foreign hosts, frames of others and guessing of types."""
    id = site.store.documents.add(b"x", filename="x.txt").id
    for path in ("/documents", f"/documents/{id}", "/store", "/review", "/nothing", "/static/page.js"):
        headers = site.client.get(path, headers=HTML).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers
