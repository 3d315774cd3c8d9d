"""The pages of a document, of reviews and of the store; each is JSON at the same address."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import docstore
from tests.serve.conftest import HTML, Site


def test_a_document_in_html_and_json(site: Site) -> None:
    """The page shows the metadata, the text with marks, the file, the versions, the extractions."""
    add = site.store.documents.add
    first = add(
        b"a,b\n1,2\n", filename="t.csv", external_id="e", metadata={"n": 1, "deep": {"k": [{"x": 5}]}}
    )
    second = add(b"a,b\n1,3\n", filename="t.csv", external_id="e", metadata={"n": 2})
    site.store.documents.complete(second.id, content="Revenue rose.")
    site.store.extractions.add(second.id, {"total": 12.5}, needs_review=True)
    text = site.page(f"/documents/{second.id}?search=revenue")
    assert "<mark>Revenue</mark> rose." in text
    assert "<td>3</td>" in text
    assert "12.5" in text
    assert f'href="/documents/{second.id}/bytes" download>Download' in text
    assert 'href="/documents?filter=n%3D2"' in text
    beside = site.page(f"/documents/{second.id}?with={first.id}")
    rows = re.findall(r'<tr class="differs"><th scope="row">([\w.]+)', beside)
    assert {"metadata.n", "status", "sha256", "metadata.deep.k"} <= set(rows)
    assert site.json(f"/documents/{second.id}") == site.store.documents.get(second.id).model_dump(mode="json")
    answer = site.client.get(f"/documents/{second.id}/extractions", headers=HTML)
    assert answer.headers["location"] == f"/documents/{second.id}#extractions"
    assert len(site.json(f"/documents/{second.id}/extractions")["items"]) == 1
    assert "Not found" in site.page("/documents/unknown", 404)


def test_an_id_with_slashes_has_a_page(site: Site) -> None:
    """``%2F`` in an id is honoured; the list leads there."""
    site.store.documents.add(b"hello", filename="x.txt", id="a/b?c#d")
    link = re.search(r'<a href="(/documents/[^"]+)">', site.page("/documents"))[1]  # type: ignore[index]
    assert link == "/documents/a%2Fb%3Fc%23d"
    assert "hello" in site.page(link)
    assert site.client.get(f"{link}/bytes").content == b"hello"


def test_bytes_that_are_lost_are_told(site: Site, tmp_path: Any) -> None:
    """A document whose file is gone has a page, that says so."""
    id = site.store.documents.add(b"hello", filename="x.txt").id
    for path in (tmp_path / "files").rglob("*"):
        if path.is_file() and "docstore" not in path.name:
            path.unlink()
    assert "The file cannot be read" in site.page(f"/documents/{id}")


@pytest.fixture
def reviewed(make_site: Callable[..., Site]) -> tuple[Site, list[str]]:
    site = make_site(write=True)
    document = site.store.documents.add(b"text", filename="i.txt")
    results = {
        "vendor": "Acme",
        "total": 1.10,
        "big": 2**60,
        "paid": False,
        "lines": [{"a": 1}],
        "note": "a\nb",
        "none": None,
    }
    ids = [
        site.store.extractions.add(
            document.id, results, confidence_scores={"total": 40, "vendor": 99}, review_below=80
        ).id
        for _ in range(3)
    ]
    return site, ids


def inputs(text: str) -> dict[str, tuple[str, str]]:
    """Return the form's name and value of each result, in their order on the page."""
    found = {}
    for key, name in re.findall(r'<label for="(?P<name>value-\d)"><bdi>(?P<key>[^<]+)', text):
        given = re.search(rf'id="{key}" [^>]*value="([^"]*)"', text) or re.search(
            rf'<textarea id="{key}"[^>]*>\n(.*?)</textarea>', text, re.DOTALL
        )
        assert given is not None
        found[name] = key, html.unescape(given[1])
    return found


def test_a_review_is_saved_and_leads_on(reviewed: tuple[Site, list[str]]) -> None:
    """Flagged results come first; what is not touched stays as it was; then the next one opens."""
    site, ids = reviewed
    assert [one["id"] for one in site.json("/review")["items"]] == ids
    text = site.page(f"/review/{ids[0]}")
    form = inputs(text)
    assert next(iter(form)) == "total"
    assert "confidence 40" in text
    assert 'aria-keyshortcuts="Control+Enter">Accept' in text
    data = {name: value.replace("\n", "\r\n") for name, value in form.values()}
    data |= {"token": site.token(), "revision": "1"}
    answer = site.send(f"/review/{ids[0]}", data)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/review/{ids[1]}")
    saved = site.store.extractions.get(ids[0])
    assert saved.is_reviewed
    assert saved.reviewed_results == saved.results
    changed = data | {form["total"][0]: "2.5", form["vendor"][0]: "Bolt", form["paid"][0]: "true",
                      form["none"][0]: "no JSON"}  # fmt: skip
    assert site.send(f"/review/{ids[1]}", changed).headers["location"] == f"/review/{ids[2]}"
    corrected = site.store.extractions.get(ids[1])
    assert corrected.reviewed_results == {
        **(corrected.results or {}), "total": 2.5, "vendor": "Bolt", "paid": True, "none": "no JSON"
    }  # fmt: skip
    assert site.send(f"/review/{ids[2]}", data).headers["location"] == "/review"
    assert "Nothing waits" in site.page("/review")


def test_a_review_of_what_changed_meanwhile_is_refused(reviewed: tuple[Site, list[str]]) -> None:
    """The form names the revision that it was made from; a missing value is refused, too."""
    site, ids = reviewed
    form = inputs(site.page(f"/review/{ids[0]}"))
    data = dict(form.values()) | {"token": site.token(), "revision": "1"}
    less = {name: value for name, value in data.items() if name != "value-0"}
    assert site.send(f"/review/{ids[0]}", less).status_code == 422
    site.store.extractions.update(ids[0], results={"vendor": "Bolt"})
    assert site.send(f"/review/{ids[0]}", data).status_code == 409
    assert not site.store.extractions.get(ids[0]).is_reviewed


def test_a_review_can_only_be_read_without_write(reviewed: tuple[Site, list[str]]) -> None:
    """Without ``write`` there is no button that saves."""
    site, ids = reviewed
    text = Site(site.store).page(f"/review/{ids[0]}")
    assert "Accept" not in text
    assert "readonly" in text


def test_failed_documents_can_be_tried_again(make_site: Callable[..., Site]) -> None:
    """With ``write`` a failed document's page puts it back into the queue."""
    site = make_site(write=True)
    id = site.store.documents.add(filename="x").id
    site.store.documents.start(id)
    site.store.documents.fail(id, "broken")
    assert "Try again" in site.page(f"/documents/{id}")
    assert site.send(f"/documents/{id}/retry", {"token": site.token()}).status_code == 303
    assert site.store.documents.get(id).status == "pending"


def test_the_store_counts(site: Site) -> None:
    """The store's page counts by status, type and size, groups failures, and says what a check finds."""
    for n in range(6):
        id = site.store.documents.add(
            b"x" * n, filename=f"{n}.txt", created_at=f"2026-0{n + 1}-01T00:00:00Z"
        ).id
        if n < 3:
            site.store.documents.start(id)
        if n < 2:
            site.store.documents.fail(id, "encrypted")
    text = site.page("/store")
    figures = re.findall(r"<strong>(\d+)</strong> <span class=\"status (\w+)", text)
    assert figures == [("3", "pending"), ("1", "processing"), ("0", "completed"), ("2", "failed")]
    assert 'encrypted</bdi></a> <span class="count">2</span>' in text
    assert text.count("<title>2026-") + text.count("<title>2025-") == 6
    links = re.findall(r'href="(/documents\?filter=[^"]+)"', text)
    for link in links:
        site.page(html.unescape(link))
    assert "0 findings" in site.page("/store?check=size")
    stats = site.json("/store")
    assert stats["statuses"] == {"pending": 3, "processing": 1, "completed": 0, "failed": 2}


def test_every_page_on_every_backend(url: str, tmp_path: Path) -> None:
    """The pages show the same, whatever the store is in."""
    with docstore.open(url, blobs=str(tmp_path / "files")) as store:
        site = Site(store)
        document = store.documents.add(b"a,b\n1,2\n", filename="t.csv", metadata={"vendor": "Acme", "n": 1})
        store.documents.add(filename="u.csv", metadata={"vendor": "Bolt", "n": 2})
        store.documents.claim(1, worker="w1")
        extraction = store.extractions.add(document.id, {"total": 1}, needs_review=True)
        listed = site.page("/documents?filter=n%3E0&columns=filename,metadata.vendor&sort=metadata.vendor")
        assert listed.index("Acme") < listed.index("Bolt")
        assert "<h2>vendor</h2>" in listed
        assert "<strong>2</strong>" in listed
        assert "t.csv" in site.page("/documents?search=t.csv&sort=-score")
        assert "<td>2</td>" in site.page(f"/documents/{document.id}")
        assert "t.csv" in site.page(f"/review/{extraction.id}")
        assert "t.csv" in site.page("/review")
        overview = site.page("/store?check=size")
        assert "w1 until" in overview
        assert "0 findings" in overview
        assert "In the database" in site.page("/documents:explain?filter=vendor~A*")
