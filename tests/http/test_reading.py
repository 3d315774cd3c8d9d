"""Lists, counts, facets, fields and single documents over HTTP are what the store says."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest


def test_a_list_is_a_page(site: Any) -> None:
    """Filter, search, sort, total and cursors are find's; the answer is the page's JSON."""
    for n in range(5):
        assert site.upload(b"x", f"{n}.txt", metadata={"n": n}).status_code == 201
    asked = {
        "filter": json.dumps({"metadata.n": {"$gte": 1}}),
        "sort": "-metadata.n",
        "limit": 3,
        "total": "true",
    }
    first = site.get("/documents", params=asked).json()
    assert [one["metadata"]["n"] for one in first["items"]] == [4, 3, 2]
    assert (first["total"], first["has_more"]) == (4, True)
    second = site.get("/documents", params=asked | {"cursor": first["next_cursor"]}).json()
    assert [one["metadata"]["n"] for one in second["items"]] == [1]
    back = site.get("/documents", params=asked | {"cursor": second["prev_cursor"]}).json()
    assert back["items"] == first["items"]
    assert site.get("/documents", params={"search": "3.txt"}).json()["items"][0]["filename"] == "3.txt"
    capped = site.get("/documents", params={"total": 2}).json()
    assert (capped["total"], capped["total_is_exact"]) == (2, False)


def test_counts_facets_and_fields(site: Any) -> None:
    """``:count``, ``:facets`` and ``:fields`` stand beside the ids, and take the filter."""
    for n in (1, 1, True):
        site.upload(b"x", metadata={"n": n})
    assert site.get("/documents:count").json() == {"count": 3}
    assert site.get("/documents:count", params={"filter": '{"metadata.n": 1}'}).json() == {"count": 2}
    found = site.get("/documents:facets", params={"field": ["metadata.n", "status"]}).json()
    assert found["metadata.n"] == [{"value": 1, "count": 2}, {"value": True, "count": 1}]
    assert found["status"] == [{"value": "pending", "count": 3}]
    (field,) = site.get("/documents:fields").json()
    assert (field["path"], field["documents"]) == ("metadata.n", 3)


@pytest.mark.parametrize(
    "id", ["a/b", "a/b/bytes", "50%", "%2F", ":count", "a b?c#d", "ключ", "x/extractions", "/"]
)
def test_ids_are_free_text(memory: Any, id: str) -> None:
    """Any id is one segment of the address, encoded; what it holds is no part of the route."""
    memory.store.documents.add(b"bytes", id=id, tenant="acme", owner="ada")
    address = f"/documents/{quote(id, safe='')}"
    assert memory.get(address).json()["id"] == id
    assert memory.get(f"{address}/bytes").content == b"bytes"
    assert memory.get(f"{address}/extractions").json()["items"] == []


def test_an_encoded_slash_is_honoured(site: Any) -> None:
    """``a%2Fbytes`` is the document ``a/bytes``, not the bytes of ``a``."""
    site.call(site.store.documents.add, b"1", id="a", tenant="acme", owner="ada")
    site.call(site.store.documents.add, b"2", id="a/bytes", tenant="acme", owner="ada")
    assert site.get("/documents/a%2Fbytes").json()["id"] == "a/bytes"
    assert site.get("/documents/a/bytes").content == b"1"


def test_content_where_it_is_asked_for(site: Any) -> None:
    """``include=content`` gives the content, and only that does."""
    id = site.upload(b"x").json()["id"]
    assert site.ask("PATCH", f"/documents/{id}", json={"content": "words"}).status_code == 200
    assert site.get(f"/documents/{id}").json()["content"] is None
    assert site.get(f"/documents/{id}", params={"include": "content"}).json()["content"] == "words"
