"""Hostile names, metadata and files do nothing on the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

import pytest

from docstore.http.page.rendering import marked
from tests.serve.conftest import HTML, JSON, Site

SCRIPT = "<script>alert(1)</script>"
NAMES = [
    f"{SCRIPT}.txt", '"><img src=x onerror=alert(1)>', "javascript:alert(1)", "../../etc/passwd",
    "{{ 7001*7001 }}{% x %}", "evil\u202etxt.exe", "a\r\nSet-Cookie: x=1", "a/b%2Fc", "\x07\x1b[2J", "",
]  # fmt: skip
HOSTILE = re.compile(
    r"<script(?! src=\"/static)|<img src=x|onerror=alert\(1\)>|href=\"javascript:", re.IGNORECASE
)


def test_names_and_metadata_are_text(make_site: Callable[..., Site]) -> None:
    """Whatever a name, a key, a value, an error or a result holds stands on every page as text."""
    site = make_site(write=True)
    pages = ["/documents", "/documents?search=word&sort=-score", "/review", "/store", "/store?check=size",
             "/documents?columns=metadata.k,filename", "/documents:explain?search=word"]  # fmt: skip
    for place, name in enumerate(NAMES):
        metadata = {"k": name, f"k{name}": [name, {name: name}], "javascript": "javascript:alert(1)"}
        document = site.store.documents.add(
            b"bytes", filename=name, id=name or "id", metadata=metadata, external_id=f"x{name}"
        )
        if place % 2:
            site.store.documents.start(document.id)
            site.store.documents.fail(document.id, f"why {name}")
        else:
            site.store.documents.complete(document.id, content=f"word {name}")
        extraction = site.store.extractions.add(
            document.id,
            {f"r{name}": name, "n": {name: 1}},
            review_flags={f"r{name}": True},
            needs_review=True,
        )
        address = f"/documents/{quote(document.id, safe='')}"
        assert site.json(address)["filename"] == name
        pages += [address, f"/review/{extraction.id}"]
    for path in pages:
        text = site.page(path)
        assert not HOSTILE.search(text), path
        assert "49014001" not in text
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\u202a-\u202e\u2066-\u2069]", text), path
    listed = re.findall(r'<td data-name="Name"[^>]*>\s*<a href="([^"]+)"', site.page("/documents"))
    assert len(listed) == len(NAMES)
    for link in listed:
        site.page(link)


def test_every_value_leads_to_its_documents(site: Site) -> None:
    """A value that is clicked asks for the documents that have it, whatever it is."""
    values = [
        "a b",
        'q"q',
        "=",
        "5",
        "null",
        "{",
        5,
        1.5,
        True,
        None,
        "",
        "x" * 200,
        "é\n",
        "*",
        "-",
        "a=b c",
    ]
    for place, value in enumerate(values):
        site.store.documents.add(
            filename=f"{place}", metadata={"v": value, "a.b": value, "status": value}, id=f"d{place}"
        )
    for place, value in enumerate(values):
        links = re.findall(r'class="value" href="([^"]+)"', site.page(f"/documents/d{place}"))
        assert len(links) == 3
        for link in links:
            found = site.json(link.replace("&amp;", "&"))["items"]
            assert [one["id"] for one in found] == [f"d{place}"], (value, link)


FILES = {
    "page.html": (b"<script>alert(1)</script>", "text/html"),
    "drawing.svg": (
        b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "image/svg+xml",
    ),
    "x.xhtml": (
        b'<html xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></html>',
        "application/xhtml+xml",
    ),
    "a.js": (b"alert(1)", "text/javascript"),
    "t.csv": (b"<script>alert(1)</script>,=cmd()\n<b>,2", "text/csv"),
    "d.xml": (b"<?xml version='1.0'?><x><script>alert(1)</script></x>", "application/xml"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_run_nothing(site: Site, name: str) -> None:
    """A file is a download in a sandbox, its type not guessed; on the page it is text or a picture."""
    content, kind = FILES[name]
    id = site.store.documents.add(content, filename=name, content_type=kind).id
    for path in (f"/documents/{id}/bytes", f"/documents/{id}/preview"):
        for accept in (HTML, JSON):
            answer = site.client.get(path, headers=accept)
            assert answer.content == content
            assert answer.headers["content-disposition"].startswith("attachment")
            assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
            assert answer.headers["x-content-type-options"] == "nosniff"
    text = site.page(f"/documents/{id}")
    assert not HOSTILE.search(text)
    assert "<iframe" not in text
    assert ("alert(1)" in text) == (name != "drawing.svg")


def test_a_pdf_alone_is_shown_in_place(site: Site) -> None:
    """Only what is a PDF by its bytes is sent to be shown; a page that says it is one stays a download."""
    pdf = site.store.documents.add(b"%PDF-1.4\n", filename="a.pdf").id
    fake = site.store.documents.add(
        b"<script>alert(1)</script>", filename="b.pdf", content_type="text/html"
    ).id
    answer = site.client.get(f"/documents/{pdf}/preview", headers=HTML)
    assert answer.headers["content-disposition"] == "inline"
    assert "script-src" not in answer.headers["content-security-policy"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    answer = site.client.get(f"/documents/{fake}/preview", headers=HTML)
    assert answer.headers["content-type"].startswith("application/pdf") or (
        answer.headers["content-disposition"].startswith("attachment")
    )
    assert not answer.headers["content-type"].startswith("text/html") or "sandbox" in answer.headers[
        "content-security-policy"]  # fmt: skip


def test_marks_escape() -> None:
    """What a search marks is escaped around and within the marks."""
    assert marked("<b>one</b> & two", "one two") == (
        "&lt;b&gt;<mark>one</mark>&lt;/b&gt; &amp; <mark>two</mark>"
    )
    assert marked("<i>", "") == "&lt;i&gt;"
