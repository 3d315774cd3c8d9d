"""Tensorlake: the seed's request and response, cursors both ways, uploads."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

import docstore

PATH = "/documents/v2/files"
MEMORY = pytest.mark.parametrize("url", ["memory"], indirect=True)
SHA = "d3242c5c1d369d233fa65183bdd4c486eba109ceb13490ed291384eaffbe743b"


def names(page: Any) -> list[str]:
    """Return the names on a page."""
    return [item["file_name"] for item in page["items"]]


def get(client: Any, **params: Any) -> Any:
    """Return a page, having looked at the rules for its cursors."""
    response = client.get(PATH, params=params)
    assert response.status_code == 200, response.text
    page = response.json()
    assert ["items", "has_more", "next_cursor", "prev_cursor"] == list(page)
    assert page["has_more"] is (page["next_cursor"] is not None)
    return page


@pytest.fixture
def seven(first: docstore.Store) -> list[str]:
    """Seven files, four of one instant; their names as they are listed."""
    for number in range(7):
        at = "2024-01-02T00:00:00Z" if 1 < number < 6 else f"2024-01-0{1 if number < 2 else 3}T00:00:00Z"
        first.documents.add(filename=f"File {number}.txt", created_at=at)
    return [f"File {number}.txt" for number in (6, 5, 4, 3, 2, 1, 0)]


def test_the_response_of_the_seed(clients: Any, first: docstore.Store) -> None:
    """The seed's file, to the letter."""
    first.documents.add(
        id="file_12345",
        filename="example.pdf",
        size=100000,
        sha256=SHA,
        created_at="2023-10-01T12:00:00Z",
        metadata={"priority": "high", "source": "email"},
    )
    expected = {
        "items": [
            {
                "file_id": "file_12345",
                "file_name": "example.pdf",
                "mime_type": "application/pdf",
                "file_size": 100000,
                "checksum_sha256": SHA,
                "created_at": "2023-10-01T12:00:00Z",
                "labels": {"priority": "high", "source": "email"},
            }
        ],
        "has_more": False,
        "next_cursor": None,
        "prev_cursor": None,
    }
    assert expected == get(clients("tensorlake"))


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_cursors_go_forwards_and_back(clients: Any, seven: list[str], limit: int) -> None:
    """Every file once on the way down, ties included, and the same pages on the way back."""
    client = clients("tensorlake")
    pages = [get(client, limit=limit)]
    while pages[-1]["next_cursor"]:
        pages.append(get(client, limit=limit, cursor=pages[-1]["next_cursor"], direction="next"))
    assert seven == [name for page in pages for name in names(page)]
    assert pages[0]["prev_cursor"] is None
    back = [pages[-1]]
    while back[-1]["prev_cursor"]:
        back.append(get(client, limit=limit, cursor=back[-1]["prev_cursor"], direction="prev"))
    assert [names(page) for page in reversed(pages)] == [names(page) for page in back]
    assert back[-1]["prev_cursor"] is None
    assert [page["has_more"] for page in reversed(pages)] == [page["has_more"] for page in back]


def test_direction_overrides_the_way_of_a_cursor(clients: Any, seven: list[str]) -> None:
    """`prev` from a page's next_cursor gives that page; without a direction a cursor goes its own way."""
    client = clients("tensorlake")
    page = get(client, limit=3)
    second = get(client, limit=3, cursor=page["next_cursor"])
    assert seven[3:6] == names(second)
    assert seven[:3] == names(get(client, limit=3, cursor=page["next_cursor"], direction="prev"))
    assert seven[:3] == names(get(client, limit=3, cursor=second["prev_cursor"]))
    assert (
        seven[:3]
        == names(get(client, limit=3, direction="prev"))
        == names(get(client, limit=3, direction="next"))
    )


def test_what_comes_between_pages_loses_nothing(
    clients: Any, seven: list[str], first: docstore.Store
) -> None:
    """A file that is added or removed between two pages does not move the others."""
    client = clients("tensorlake")
    page = get(client, limit=3)
    first.documents.add(filename="new")
    first.documents.delete(page["items"][2]["file_id"])
    assert seven[3:] == names(get(client, limit=10, cursor=page["next_cursor"]))


def test_limits(clients: Any, first: docstore.Store) -> None:
    """25 by default; 0 is none and no way on; more than 1,000 is read as 1,000."""
    first.documents.add_many({"filename": f"{number}"} for number in range(1001))
    client = clients("tensorlake")
    assert len(get(client)["items"]) == 25
    assert get(client, limit=0) == {"items": [], "has_more": False, "next_cursor": None, "prev_cursor": None}
    for limit in (1000, 1001, 10**30):
        page = get(client, limit=limit)
        assert (1000, True) == (len(page["items"]), page["has_more"])


FILTERED: list[tuple[dict[str, str], list[int]]] = [
    ({"file_name": "File"}, [6, 5, 4, 3, 2, 1, 0]),
    ({"file_name": "file"}, []),
    ({"file_name": ""}, [6, 5, 4, 3, 2, 1, 0]),
    ({"file_name": "5.t"}, [5]),
    ({"filename": "5.t"}, [5]),
    ({"file_name": "%"}, []),
    ({"file_name": "*"}, []),
    ({"file_name": "e_5"}, []),
    ({"created_after": "2024-01-02T00:00:00Z", "created_before": "2024-01-02T00:00:00Z"}, [5, 4, 3, 2]),
    ({"created_after": "2024-01-02T00:00:00.000001Z"}, [6]),
    ({"created_after": "2024-01-02T01:00:00+01:00", "file_name": "6"}, [6]),
    ({"created_before": "2024-01-01"}, [1, 0]),
    ({"created_before": "2024-01-01T00:00:00"}, [1, 0]),
]


@pytest.mark.usefixtures("seven")
def test_filters(clients: Any) -> None:
    """A case-sensitive substring, and inclusive bounds of time."""
    for params, expected in FILTERED:
        page = get(clients("tensorlake"), **params)
        assert [f"File {number}.txt" for number in expected] == names(page), params


@pytest.mark.usefixtures("seven")
def test_a_cursor_belongs_to_its_list(clients: Any) -> None:
    """Another's cursor, one of another filter, and garbage are 400."""
    cursor = get(clients("tensorlake"), limit=2)["next_cursor"]
    client = clients("tensorlake")
    bad = [
        {"cursor": text}
        for text in ("", "x", cursor[:-1], cursor + "A", cursor[::-1], "\0", "é", "🙂", "A" * 5000)
    ]
    for params in [*bad, {"cursor": cursor, "file_name": "File"}]:
        response = client.get(PATH, params=params)
        assert response.status_code == 400
        assert {"message", "code"} == response.json().keys()
    assert clients("tensorlake", "k2").get(PATH, params={"cursor": cursor}).status_code == 400


@MEMORY
@pytest.mark.parametrize(
    "query",
    [
        "limit=-1", "limit=x", "limit=", "direction=up", "direction=", "created_after=now", "created_after=",
        "created_before=2024-02-30T00:00:00Z", "file_name=%00",
    ],
)  # fmt: skip
def test_bad_values_are_4xx(clients: Any, query: str) -> None:
    """What cannot be read is an error with a message and a code."""
    response = clients("tensorlake").get(f"{PATH}?{query}")
    assert response.status_code == 400
    assert {"message", "code"} == response.json().keys()


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_upload_is_listed(clients: Any, first: docstore.Store, method: str) -> None:
    """Bytes, name, labels, sha256: what went in is what is listed, and what the store has."""
    client, content = clients("tensorlake"), b"\x00\xff" * 100_000
    sent = {"labels": json.dumps({"source": "email", "ключ": "значение"})}
    response = client.request(method, PATH, files={"file": ("Отчёт 1.pdf", content)}, data=sent)
    assert response.status_code == 200
    (item,) = get(client)["items"]
    assert {"file_id": item["file_id"], "created_at": item["created_at"]} == response.json()
    assert {
        "file_id": item["file_id"],
        "file_name": "Отчёт 1.pdf",
        "mime_type": "application/pdf",
        "file_size": 200_000,
        "checksum_sha256": hashlib.sha256(content).hexdigest(),
        "created_at": item["created_at"],
        "labels": {"source": "email", "ключ": "значение"},
    } == item
    assert content == first.documents.read_bytes(item["file_id"])


def test_the_same_bytes_have_the_same_id(clients: Any) -> None:
    """Uploaded again by the same key, under any name, they are the same file; another's are another."""

    def upload(key: str, name: str, content: bytes) -> str:
        answer = clients("tensorlake", key).post(PATH, files={"file": (name, content)})
        return str(answer.json()["file_id"])

    once = upload("k1", "a.txt", b"same")
    assert once == upload("k1", "a.txt", b"same") == upload("k1", "b.txt", b"same")
    others = {upload("k1", "a.txt", b"other"), upload("k2", "a.txt", b"same"), upload("k3", "a.txt", b"same")}
    assert len(others | {once}) == 4
    assert names(get(clients("tensorlake"))) == ["a.txt", "a.txt"]


@pytest.mark.parametrize("url", ["memory"], indirect=True)
@pytest.mark.parametrize(
    "labels",
    ["", "x", "[]", "1", "null", '{"a": 1}', '{"a": null}', '{"a": {"b": "c"}}', "[" * 100_000,
     '{"a": "\\u0000"}',
     '{"a": "\\ud800"}', '{"a": NaN}', '{"' + "a" * 2_000_000 + '": ""}'],
    ids=range(13),
)  # fmt: skip
def test_bad_labels_store_nothing(clients: Any, store: docstore.Store, labels: str) -> None:
    """Labels that are no object of strings are 400, and nothing is stored."""
    client = clients("tensorlake")
    response = client.post(PATH, files={"file": ("a.txt", b"x")}, data={"labels": labels})
    if labels == "":  # FastAPI reads an empty field as a missing one
        assert response.status_code == 200
        return
    assert response.status_code == 400
    assert {"message", "code"} == response.json().keys()
    assert store.documents.count() == 0


@MEMORY
def test_bad_uploads_are_4xx(clients: Any, store: docstore.Store) -> None:
    """No file, a file that is a text, another kind of body, a name that is too long."""
    client = clients("tensorlake")
    responses = [
        client.post(PATH),
        client.post(PATH, data={"file": "text"}),
        client.post(PATH, json={"file": "x"}),
        client.post(PATH, content=b"x", headers={"Content-Type": "multipart/form-data"}),
        client.post(PATH, content=b"x", headers={"Content-Type": "multipart/form-data; boundary=b"}),
        client.post(PATH, files={"file": ("x" * 1025, b"x")}),
    ]
    assert [400] * 6 == [response.status_code for response in responses]
    assert all({"message", "code"} == response.json().keys() for response in responses)
    assert store.documents.count() == 0


def test_empty_files_are_files(clients: Any) -> None:
    """No bytes are bytes, too."""
    client = clients("tensorlake")
    assert client.post(PATH, files={"file": ("empty.txt", b"")}).status_code == 200
    (item,) = get(client)["items"]
    assert (0, hashlib.sha256(b"").hexdigest()) == (item["file_size"], item["checksum_sha256"])


def test_deleting(clients: Any, first: docstore.Store) -> None:
    """One's own goes, once; another's is a 404 and stays; any id can be named."""
    file = first.documents.add(b"x", filename="a", id="a/b c").id
    path = f"{PATH}/a/b%20c"
    assert [404, 404, 204, 404] == [
        clients("tensorlake", key).delete(path).status_code for key in ("k2", "k3", "k1", "k1")
    ]
    assert not first.documents.exists({"id": file})
    assert clients("tensorlake").delete(f"{PATH}/%00").status_code == 404


@MEMORY
def test_the_sdk_finds_its_own_names(clients: Any, seven: list[str]) -> None:
    """The vendor's SDK, known by its User-Agent, is answered with its own names beside the documented."""
    client = clients("tensorlake")
    page = client.get(f"{PATH}?limit=2", headers={"User-Agent": "tensorlake-rust-sdk/0.5.152"}).json()
    assert (page["has_more"], page["next_cursor"]) == (page["hasMore"], page["nextCursor"])
    assert seven[:2] == names(page) == [item["name"] for item in page["items"]]
