"""Open WebUI: the seed's requests and responses, and every parameter."""

from __future__ import annotations

from typing import Any

import pytest

import docstore

MEMORY = pytest.mark.parametrize("url", ["memory"], indirect=True)
DOCUMENT = {
    "id": "550e8400-e29b-41d4-a716-446655440000",
    "filename": "document.pdf",
    "path": "550e8400-e29b-41d4-a716-446655440000_document.pdf",
    "user_id": "1",
    "meta": {"name": "document.pdf", "content_type": "application/pdf", "size": 153600},
    "data": {"status": "completed", "content": "This is the extracted text from the PDF..."},
    "created_at": 1709856000,
    "updated_at": 1709856100,
}
RECORDING = {
    "id": "660e8400-e29b-41d4-a716-446655440001",
    "filename": "recording.mp3",
    "path": "660e8400-e29b-41d4-a716-446655440001_recording.mp3",
    "user_id": "1",
    "meta": {"name": "recording.mp3", "content_type": "audio/mpeg", "size": 2048000},
    "data": {"status": "completed", "content": "Transcribed audio content..."},
    "created_at": 1709857000,
    "updated_at": 1709857200,
}


@pytest.fixture
def seed(first: docstore.Store) -> None:
    """The seed's two files."""
    files: list[tuple[dict[str, Any], str, str]] = [
        (DOCUMENT, "2024-03-08T00:00:00.999999Z", "2024-03-08T00:01:40Z"),
        (RECORDING, "2024-03-08T00:16:40Z", "2024-03-08T00:20:00Z"),
    ]
    for file, created, updated in files:
        first.documents.add(
            id=file["id"],
            filename=file["filename"],
            size=file["meta"]["size"],
            status="completed",
            content=file["data"]["content"],
            created_at=created,
            updated_at=updated,
        )


def without_content(file: dict[str, Any]) -> dict[str, Any]:
    """Return a file as it is listed with content=false."""
    return {**file, "data": {"status": file["data"]["status"]}}


@pytest.mark.usefixtures("seed")
@pytest.mark.parametrize("path", ["/api/files", "/api/files/", "/api/v1/files", "/api/v1/files/"])
def test_the_lists_of_the_seed(clients: Any, path: str) -> None:
    """A bare array, newest first, with the content and without it."""
    client = clients("openwebui")
    assert [RECORDING, DOCUMENT] == client.get(path).json()
    assert [RECORDING, DOCUMENT] == client.get(f"{path}?content=true").json()
    assert list(map(without_content, [RECORDING, DOCUMENT])) == client.get(f"{path}?content=False").json()


@pytest.mark.usefixtures("seed")
@pytest.mark.parametrize("prefix", ["/api/files", "/api/v1/files"])
def test_the_search_of_the_seed(clients: Any, prefix: str) -> None:
    """The seed's search finds the PDF, and its text unless that is switched off."""
    client = clients("openwebui")
    assert [DOCUMENT] == client.get(f"{prefix}/search?filename=*.pdf&skip=0&limit=50").json()
    assert [without_content(DOCUMENT)] == client.get(f"{prefix}/search?filename=*.pdf&content=false").json()


@pytest.mark.usefixtures("seed")
def test_content_off_is_not_read(
    clients: Any, first: docstore.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without content the query itself leaves it out."""
    asked: list[Any] = []
    for name in ("find", "iterate"):
        real = getattr(docstore.store.Documents, name)

        def spy(self: Any, *given: Any, _real: Any = real, **options: Any) -> Any:
            asked.append(set(options["include"]))
            return _real(self, *given, **options)

        monkeypatch.setattr(docstore.store.Documents, name, spy)
    client = clients("openwebui")
    client.get("/api/files?content=false")
    client.get("/api/files/search?filename=*&content=0")
    client.get("/api/files")
    assert [set(), set(), {"content"}] == asked


@pytest.mark.usefixtures("seed")
def test_another_ones_file_is_a_404(clients: Any) -> None:
    """A file is its owner's and the administrators'; for others it is as if it were not there."""
    path = f"/api/v1/files/{DOCUMENT['id']}"
    assert DOCUMENT == clients("openwebui", "k1").get(path).json()
    assert DOCUMENT == clients("openwebui", "root").get(path).json()
    for key in ("k2", "k3"):
        foreign, unknown = (clients("openwebui", key).get(at) for at in (path, "/api/v1/files/nothing"))
        assert 404 == foreign.status_code == unknown.status_code
        assert foreign.json().keys() == unknown.json().keys() == {"detail"}


def test_any_id_can_be_asked_for(clients: Any, first: docstore.Store) -> None:
    """Ids with slashes, blanks and other letters are found; NUL is a 404."""
    for id in ("a/b c", "é%", "?x=1", "search/x"):
        first.documents.add(id=id, filename=id)
        quoted = "".join(f"%{byte:02x}" for byte in id.encode())
        assert id == clients("openwebui").get(f"/api/v1/files/{quoted}").json()["id"]
    assert clients("openwebui").get("/api/v1/files/%00").status_code == 404


NAMES = (
    "a.pdf",
    "A.PDF",
    "x/y.pdf",
    "100%.pdf",
    "1000.pdf",
    "a_b",
    "axb",
    "[ab]",
    "a",
    "b\\c",
    "ÄÖ.txt",
    "straße",
    "ﬁne",
    "🙂",
)


PATTERNS = [
    ("*.pdf", {"a.pdf", "A.PDF", "x/y.pdf", "100%.pdf", "1000.pdf"}),
    ("*.PDF", {"a.pdf", "A.PDF", "x/y.pdf", "100%.pdf", "1000.pdf"}),
    ("*", set(NAMES)),
    ("***", set(NAMES)),
    ("?.pdf", {"a.pdf", "A.PDF"}),
    ("100%.pdf", {"100%.pdf"}),
    ("a_b", {"a_b"}),
    ("a?b", {"a_b", "axb"}),
    ("[ab]", {"[ab]"}),
    ("[*]", {"[ab]"}),
    ("b\\c", {"b\\c"}),
    ("*\\*", {"b\\c"}),
    ("\\*", set()),
    ("äö*", {"ÄÖ.txt"}),
    ("A\u0308O\u0308.TXT", {"ÄÖ.txt"}),
    ("STRASSE", {"straße"}),
    ("FINE", {"ﬁne"}),
    ("?", {"a", "🙂"}),
    ("＊", set()),
    ("pdf", set()),
    ("", set()),
]


def test_a_pattern_is_a_glob_on_the_whole_name(clients: Any, first: docstore.Store) -> None:
    """`*` and `?` are wild, all else is itself, case does not count in any script; `*` crosses `/`."""
    first.documents.add_many({"filename": name} for name in NAMES)
    for pattern, expected in PATTERNS:
        response = clients("openwebui").get("/api/files/search", params={"filename": pattern})
        assert (200 if expected else 404) == response.status_code, pattern
        assert not expected or expected == {file["filename"] for file in response.json()}


def test_search_goes_by_skip_and_limit(clients: Any, first: docstore.Store) -> None:
    """In the list's order, ties by number; a skip past the end finds nothing: 404."""
    for number in range(5):
        first.documents.add(filename=f"{number}.pdf", created_at="2026-01-01T00:00:00Z")
    client, path = clients("openwebui"), "/api/files/search?filename=*.pdf"
    assert ["4.pdf", "3.pdf", "2.pdf", "1.pdf", "0.pdf"] == [
        file["filename"] for file in client.get(path).json()
    ]
    assert ["3.pdf", "2.pdf"] == [file["filename"] for file in client.get(f"{path}&skip=1&limit=2").json()]
    assert [404, 404] == [client.get(f"{path}&skip={skip}").status_code for skip in (5, 2**63 - 1)]


def test_the_default_limit_of_a_search_is_100(clients: Any, first: docstore.Store) -> None:
    """100 without, up to 1,000 with; the list has no limit at all."""
    first.documents.add_many({"filename": f"{number}"} for number in range(1001))
    client = clients("openwebui")
    assert len(client.get("/api/files/search?filename=*").json()) == 100
    assert len(client.get("/api/files/search?filename=*&limit=1000").json()) == 1000
    assert [str(number) for number in range(1000, -1, -1)] == [
        file["filename"] for file in client.get("/api/files?content=false").json()
    ]


@MEMORY
@pytest.mark.parametrize(
    "query",
    [
        "",
        "filename=a&limit=0",
        "filename=a&limit=1001",
        "filename=a&limit=x",
        "filename=a&skip=-1",
        "filename=%00",
        "filename=a&skip=1.5",
        f"filename=a&skip={2**63}",
        "filename=a&content=perhaps",
        f"filename={'x' * 1001}",
    ],
)
def test_bad_values_are_422(clients: Any, query: str) -> None:
    """No pattern, and limits and skips out of range, are refused with a text."""
    response = clients("openwebui").get(f"/api/files/search?{query}")
    assert response.status_code == 422
    assert isinstance(response.json()["detail"], str)


@MEMORY
def test_what_is_not_there(clients: Any, first: docstore.Store) -> None:
    """An empty list is an array; a file without text has no `content`, one without owner no `user_id`."""
    client = clients("openwebui", "root")
    assert client.get("/api/files").json() == []
    first.documents.add(filename="a.pdf", created_at="1969-12-31T23:59:59.5Z")
    (file,) = client.get("/api/files").json()
    assert file["data"] == {"status": "pending"}
    assert (file["created_at"], file["meta"]["size"]) == (-1, None)
