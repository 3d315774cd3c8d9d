"""DocSense: the seed's request and response, and every parameter."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

import docstore

PATH = "/api/v1/documents/get_documents"
# What the seed prints (names shortened), newest first: type, size, created, updated, processed at | filename.
PAGE = """
image 74356 2026-01-13T15:04:27.734333 2026-01-13T15:04:43.164338 2026-01-13T10:04:59.073278 | imagedata.jpg
image 74356 2026-01-13T10:13:40.580211 2026-01-13T10:14:00.437289 2026-01-13T05:14:21.799244 | imagedata.jpg
word 11895 2026-01-13T09:47:05.040731 2026-01-13T09:47:43.108929 2026-01-13T04:48:13.913886 | Frontend Q.docx
excel 1175 2026-01-13T09:47:03.647566 2026-01-13T09:48:25.713416 2026-01-13T04:49:06.013391 | users (test).csv
image 69595 2026-01-12T16:33:29.953386 2026-01-13T09:48:01.836417 2026-01-13T04:48:23.405692 | dash1.PNG
pdf 3114 2026-01-12T15:56:15.070290 2026-01-12T15:57:03.787516 2026-01-12T10:57:35.016477 | sample 1.pdf
word 3267628 2026-01-12T15:19:16.564760 2026-01-12T15:20:25.631330 2026-01-12T10:20:50.280482 | 1.docx
pdf 445075 2026-01-12T15:19:12.973686 2026-01-12T15:23:46.301561 2026-01-12T10:24:08.373816 | 1.pdf
"""
ROWS = [(*line.split(" | ")[0].split(), line.split(" | ")[1]) for line in PAGE.strip().splitlines()]


@pytest.fixture
def seed(first: docstore.Store, store: docstore.Store) -> None:
    """The seed's documents, and older ones up to 61."""
    for number in range(61 - len(ROWS)):
        first.documents.add(filename=f"old {number}", created_at="2025-01-01T00:00:00Z", status="completed")
    for _, size, created, updated, processed, name in reversed(ROWS):
        first.documents.add(
            filename=name,
            size=int(size),
            status="completed",
            content="questions about the frontend" if name == "1.pdf" else None,
            created_at=f"{created}+05:00",
            updated_at=f"{updated}+05:00",
            processed_at=f"{processed}Z",  # in UTC: the seed prints it beside the wrong offset
        )


def get(client: Any, **params: Any) -> Any:
    """Return the answer's result."""
    response = client.get(PATH, params=params)
    assert response.status_code == 200, response.text
    return response.json()["result"]


@pytest.mark.usefixtures("seed")
def test_the_page_of_the_seed(clients: Any) -> None:
    """The seed's first page: envelope, total, fields, order, offset; processed_at at its right instant."""
    response = clients("docsense").get(f"{PATH}?page=1&limit=10&status_filter=completed")
    body = response.json()
    assert (200, "Documents fetched successfully.") == (body["status"], body["message"])
    result = body["result"]
    assert (61, 1, 10, True, 10) == (
        result["total"], result["page"], result["limit"], result["has_more"], len(result["documents"]),
    )  # fmt: skip
    for (kind, size, created, updated, processed, name), shown in zip(
        ROWS, result["documents"], strict=False
    ):
        at = datetime.fromisoformat(processed) + timedelta(hours=5)
        assert shown.pop("id") > 0
        assert shown == {
            "user_id": 1,
            "original_filename": name,
            "file_type": kind,
            "file_size": int(size),
            "status": "completed",
            "industry": None,
            "created_at": f"{created}+05:00",
            "updated_at": f"{updated}+05:00",
            "processed_at": f"{at.isoformat()}+05:00",
            "s3_url": None,
        }


@pytest.mark.usefixtures("seed")
def test_the_search_of_the_seed(clients: Any) -> None:
    """`search` looks into filename and content, together with the status."""
    result = get(clients("docsense"), page=1, limit=10, status_filter="completed", search="frontend")
    assert ["Frontend Q.docx", "1.pdf"] == [one["original_filename"] for one in result["documents"]]
    assert (2, False) == (result["total"], result["has_more"])
    assert get(clients("docsense"), status_filter="failed", search="frontend")["total"] == 0


@pytest.mark.usefixtures("seed")
def test_pages_cut_the_list(clients: Any) -> None:
    """Pages of 7 hold all 61 once; the last has no more, one past it is empty with the same total."""
    client = clients("docsense")
    pages = [get(client, page=number, limit=7) for number in range(1, 11)]
    ids = [one["id"] for page in pages for one in page["documents"]]
    assert len(ids) == len(set(ids)) == 61
    assert [True] * 8 + [False] * 2 == [page["has_more"] for page in pages]
    assert [] == pages[-1]["documents"]
    assert {61} == {page["total"] for page in pages}
    assert [] == get(client, page=2**53, limit=1000)["documents"]


def test_ties_come_newest_number_first(clients: Any, first: docstore.Store) -> None:
    """Documents of one instant are listed by their number, the last first, across pages too."""
    for number in range(5):
        first.documents.add(filename=str(number), created_at="2026-01-01T00:00:00Z")
    client = clients("docsense")
    names = [get(client, page=page, limit=1)["documents"][0]["original_filename"] for page in range(1, 6)]
    assert ["4", "3", "2", "1", "0"] == names


@pytest.mark.parametrize("url", ["memory"], indirect=True)
@pytest.mark.parametrize(
    "query",
    [
        "page=0", "page=-1", "page=x", "page=", "page=1.5", "page=true", "page=99999999999999999999",
        "limit=0", "limit=1001", "limit=-5", "limit=ten", "limit=", f"limit={'9' * 5000}",
        "status_filter=done", "status_filter=Completed", "status_filter=completed%20", "status_filter=",
        f"search={'x' * 1001}",
    ],
)  # fmt: skip
def test_bad_values_are_422_in_the_envelope(clients: Any, query: str) -> None:
    """What is no page, limit or status, and a search that is too long, is refused with `result: null`."""
    response = clients("docsense").get(f"{PATH}?{query}")
    assert response.status_code == 422
    body = response.json()
    assert (422, None) == (body["status"], body["result"])
    assert body["message"]
    assert body.keys() == {"status", "message", "result"}


SEARCHES = ["%00", "%ff%fe", "%F0%9F%98%80", '"', '"-', "-", "*", "OR", "' OR 1=1 --", "%25_"]


def test_any_search_is_answered(clients: Any, first: docstore.Store) -> None:
    """A search is words, whatever characters it has."""
    first.documents.add(filename="a.txt")
    for search in SEARCHES:
        assert clients("docsense").get(f"{PATH}?search={search}").status_code == 200, search


@pytest.mark.parametrize("url", ["memory"], indirect=True)
@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        ("42", 42),
        ("007", 7),
        ("u1", "u1"),
        ("-1", "-1"),
        ("1\n", "1\n"),
        ("٣", "٣"),
        ("1" * 700, int("1" * 700)),
    ],
)
def test_user_id_is_the_owner(store: docstore.Store, clients: Any, owner: str, expected: int | str) -> None:
    """The owner is printed as an integer where it is ASCII digits alone, else as it is."""
    store.documents.add(tenant="acme", owner=owner, filename="a")
    assert [expected] == [one["user_id"] for one in get(clients("docsense", "root"))["documents"]]


@pytest.mark.parametrize("url", ["memory"], indirect=True)
def test_without_an_owner_user_id_is_null(store: docstore.Store, clients: Any) -> None:
    """No owner: null."""
    store.documents.add(tenant="acme", filename="a")
    assert [None] == [one["user_id"] for one in get(clients("docsense", "root"))["documents"]]


@pytest.mark.parametrize("url", ["memory"], indirect=True)
@pytest.mark.parametrize("industry", [None, "health", {"name": "health"}, 5, ""])
def test_industry_is_from_the_metadata(first: docstore.Store, clients: Any, industry: Any) -> None:
    """`industry` is what the metadata has there."""
    first.documents.add(filename="a", metadata={"industry": industry})
    assert [industry] == [one["industry"] for one in get(clients("docsense"))["documents"]]


def test_s3_url_has_nothing_from_a_user(first: docstore.Store, clients: Any) -> None:
    """A document with bytes has a location that names neither file nor owner; one without has none."""
    first.documents.add(b"x", filename="se cret.pdf", id="secret-id")
    first.documents.add(filename="b", size=3, sha256="0" * 64)
    without, having = [one["s3_url"] for one in get(clients("docsense"))["documents"]]
    assert without is None
    assert having
    assert not any(text in having for text in ("se cret", "secret", "acme", ".pdf"))


@pytest.mark.parametrize("url", ["memory"], indirect=True)
@pytest.mark.parametrize(
    ("at", "hours", "expected"),
    [
        ("2026-01-01T00:00:00Z", 5, "2026-01-01T05:00:00+05:00"),
        ("2026-01-01T00:00:00.5Z", -3.5, "2025-12-31T20:30:00.500000-03:30"),
        ("9999-12-31T23:00:00Z", 5, "9999-12-31T23:00:00Z"),
        ("0001-01-01T00:00:00Z", -5, "0001-01-01T00:00:00Z"),
    ],
)
def test_times_have_the_offset(
    first: docstore.Store, clients: Any, at: str, hours: float, expected: str
) -> None:
    """Instants are right and printed at the offset; where the calendar ends, in UTC."""
    first.documents.add(filename="a", created_at=at)
    (shown,) = get(clients("docsense", offset=timedelta(hours=hours)))["documents"]
    assert expected == shown["created_at"]
    assert shown["processed_at"] is None


@pytest.mark.parametrize("url", ["memory"], indirect=True)
def test_other_methods_and_paths_have_the_envelope(clients: Any) -> None:
    """404 and 405 come in the envelope, too."""
    client = clients("docsense")
    for response, status in (
        (client.get("/nope"), 404),
        (client.post(PATH), 405),
        (client.get(PATH + "/"), 404),
    ):
        assert status == response.status_code == response.json()["status"]
