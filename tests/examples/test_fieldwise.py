"""Fieldwise: the seed's request and response, and every field of the body."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

import docstore

PATH = "/api/v1/documents/list"
MEMORY = pytest.mark.parametrize("url", ["memory"], indirect=True)
SEED: dict[str, Any] = {
    "created_at_filter": {"$gte": "2024-01-01T00:00:00", "$lt": "2024-12-31T23:59:59"},
    "document_ids": [1, 2, 3],
    "latest_only": True,
    "limit": 10,
    "metadata_filter": {
        "$and": [
            {"category": "finance"},
            {"tags": {"$contains": ["important"]}},
            {"$or": [{"priority": {"$gt": 2}}, {"status": "active"}]},
        ]
    },
    "offset": 0,
    "sort_field": "last_created_at",
    "sort_order": "desc",
    "updated_at_filter": {"$gte": "2024-01-01T00:00:00", "$lt": "2024-12-31T23:59:59"},
}


def body(client: Any, **asked: Any) -> Any:
    """Return the answer, having looked at the envelope."""
    response = client.post(PATH, json=asked)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert ["success", "data", "error", "meta"] == list(answer)
    assert (True, None, "1.0") == (answer["success"], answer["error"], answer["meta"]["version"])
    assert datetime.fromisoformat(answer["meta"]["timestamp"]).utcoffset() is not None
    return answer["data"]


def names(client: Any, **asked: Any) -> list[str]:
    """Return the names of the documents answered."""
    return [one["file_path"] for one in body(client, **asked)["documents"]]


@pytest.fixture
def library(first: docstore.Store) -> dict[str, int]:
    """Documents that the seed's metadata filter tells apart; their numbers by name."""
    tagged = {"category": "finance", "tags": ["important", "q3"]}
    rows: list[tuple[str, dict[str, Any], str]] = [
        ("high", {**tagged, "priority": 3}, "2024-02-01T00:00:00Z"),
        ("active", {**tagged, "status": "active"}, "2024-03-01T00:00:00Z"),
        ("low", {**tagged, "priority": 2}, "2024-04-01T00:00:00Z"),
        ("other", {"category": "finance", "tags": ["q3"], "priority": 9}, "2024-05-01T00:00:00Z"),
        ("late", {**tagged, "priority": 3}, "2024-12-31T23:59:59Z"),
        ("early", {**tagged, "priority": 3}, "2023-12-31T23:59:59.999999Z"),
    ]
    return {
        name: first.documents.add(filename=name, metadata=metadata, created_at=at).number
        for name, metadata, at in rows
    }


def test_the_filter_of_the_seed(clients: Any, library: dict[str, int]) -> None:
    """The seed's request without its ids: the metadata filter, within the dates, newest first."""
    asked = {name: value for name, value in SEED.items() if name != "document_ids"}
    assert ["active", "high"] == names(clients("fieldwise"), **asked)


def test_the_request_of_the_seed(clients: Any, library: dict[str, int]) -> None:
    """With ids the metadata filter is ignored; the dates are not."""
    ids = [library[name] for name in ("other", "low", "late", "early")]
    data = body(clients("fieldwise"), **{**SEED, "document_ids": ids})
    assert ["other", "low"] == [one["file_path"] for one in data["documents"]]
    assert (2, 0, 10) == (data["total"], data["offset"], data["limit"])


def test_the_response_of_the_seed(clients: Any, first: docstore.Store) -> None:
    """The seed's fields, in its order; instants with Z."""
    document = first.documents.add(
        filename="a.pdf",
        external_id="ext",
        metadata={"a": [1, 1.0, None]},
        content="  the  text ",
        created_at="2023-11-07T05:31:56Z",
        updated_at="2023-11-07T05:31:56.5Z",
    )
    expected = {
        "id": document.number,
        "external_id": "ext",
        "file_path": "a.pdf",
        "document_metadata": {"a": [1, 1.0, None]},
        "created_at": "2023-11-07T05:31:56Z",
        "updated_at": "2023-11-07T05:31:56.500000Z",
        "preview": "the text",
    }
    (shown,) = body(clients("fieldwise"))["documents"]
    assert list(expected.items()) == list(shown.items())


@MEMORY
@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, "name"),
        ({"file_path": "/a/b"}, "/a/b"),
        ({"file_path": ""}, ""),
        ({"file_path": None}, "name"),
        ({"file_path": 5}, "name"),
    ],
)
def test_file_path_is_from_the_metadata(
    clients: Any, first: docstore.Store, metadata: Any, expected: str
) -> None:
    """The metadata's, where it is a text, else the filename."""
    first.documents.add(filename="name", metadata=metadata)
    assert [expected] == names(clients("fieldwise"))


FILTERS = [
    (None, 6),
    ({}, 6),
    ({"priority": {"$gte": 3}, "tags": "important"}, 3),
    ({"tags": {"$containsAny": ["q3", "q4"]}}, 6),
    ({"priority": {"$exists": False}}, 1),
    ({"$nor": [{"priority": 3}]}, 3),
    ({"id": 1}, 0),
    ({"tenant": "acme"}, 0),
    ({"created_at": {"$gte": "2000-01-01"}}, 0),
    ({"metadata": {"$exists": True}}, 0),
    ({"metadata.category": "finance"}, 0),
]


@pytest.mark.usefixtures("library")
def test_a_metadata_filter_is_over_metadata_alone(clients: Any) -> None:
    """Whatever it names is within the metadata; no name of it is a field of the record."""
    for filter, expected in FILTERS:
        assert expected == body(clients("fieldwise"), metadata_filter=filter)["total"]


DATES = [
    ({"$eq": "2024-02-01T00:00:00"}, ["high"]),
    ({"$ne": "2024-02-01", "$lt": "2024-04-01T00:00:00Z"}, ["active", "early"]),
    ({"$gt": "2024-04-01", "$lte": "2024-05-01T00:00:00Z"}, ["other"]),
    ({"$gte": "2024-04-01T02:00:00+02:00", "$lt": "2024-05-01"}, ["low"]),
    ({"$in": ["2024-02-01T00:00:00", "2024-03-01T00:00:00.000000Z", "2000-01-01"]}, ["active", "high"]),
    ({"$nin": ["2024-02-01", "2024-03-01", "2024-04-01"], "$lt": "2024-06-01"}, ["other", "early"]),
    ({"$in": []}, []),
    ({"$lt": "2024-01-01T00:00:00"}, ["early"]),
    ({}, ["late", "other", "low", "active", "high", "early"]),
    (None, ["late", "other", "low", "active", "high", "early"]),
]


@pytest.mark.usefixtures("library")
def test_date_filters(clients: Any) -> None:
    """Every operator, on both dates; naive times and bare dates are UTC."""
    for bounds, expected in DATES:
        assert expected == names(clients("fieldwise"), created_at_filter=bounds)
        assert expected == names(clients("fieldwise"), updated_at_filter=bounds)


@pytest.fixture
def versions(first: docstore.Store) -> list[int]:
    """A document of three versions between two others; the numbers of the versions."""
    first.documents.add(filename="before", created_at="2024-01-02T00:00:00Z")
    numbers = [
        first.documents.add(
            filename=f"v{day}", external_id="x", created_at=f"2024-01-0{day}T00:00:00Z", metadata={"v": day}
        ).number
        for day in (1, 3, 5)
    ]
    first.documents.add(filename="after", created_at="2024-01-04T00:00:00Z")
    return numbers


def test_latest_only(clients: Any, versions: list[int]) -> None:
    """By default the newest versions; all of them without; a document counts if its newest matches."""
    client = clients("fieldwise")
    assert ["v5", "after", "before"] == names(client)
    assert ["v5", "after", "v3", "before", "v1"] == names(client, latest_only=False)
    assert [] == names(client, metadata_filter={"v": 3})
    assert ["v3"] == names(client, metadata_filter={"v": 3}, latest_only=False)


def test_sort_fields(clients: Any, versions: list[int]) -> None:
    """`first_created_at` is that of version 1, `last_created_at` the row's own."""
    client = clients("fieldwise")
    assert ["v5", "before", "after"] == names(client, sort_field="first_created_at", sort_order="asc")
    assert ["before", "after", "v5"] == names(client, sort_field="last_created_at", sort_order="asc")
    assert ["after", "before", "v5"] == names(client, sort_field="first_created_at")
    ties = names(client, sort_field="first_created_at", sort_order="asc", latest_only=False)
    assert ["v1", "v3", "v5", "before", "after"] == ties


def test_ids_override_filter_and_versions_but_not_the_key(
    clients: Any, versions: list[int], second: docstore.Store, stranger: docstore.Store
) -> None:
    """Ids bring old versions, whatever the metadata filter says; never another's document."""
    foreign = [view.documents.add(filename="foreign").number for view in (second, stranger)]
    client, ids = clients("fieldwise"), [*versions, *versions, *foreign, 10**9, 0, -1]
    assert ["v5", "v3", "v1"] == names(client, document_ids=ids)
    assert ["v5", "v3", "v1"] == names(client, document_ids=ids, metadata_filter={"v": 9}, latest_only=True)
    assert ["v3"] == names(client, document_ids=ids, created_at_filter={"$eq": "2024-01-03"})
    assert [] == names(client, document_ids=[])
    assert ["v5", "after", "before"] == names(client, document_ids=None)
    assert ["foreign"] == names(clients("fieldwise", "k2"), document_ids=ids)
    assert ["foreign", "v5", "v3", "v1"] == names(clients("fieldwise", "root"), document_ids=ids)


def test_offset_and_limit(clients: Any, first: docstore.Store) -> None:
    """10 by default, 100 at most; total stays; past the end is empty; ties go by number."""
    first.documents.add_many({"filename": str(n), "created_at": "2024-01-01T00:00:00Z"} for n in range(105))
    client = clients("fieldwise")
    assert [str(n) for n in range(104, 94, -1)] == names(client)
    assert [str(n) for n in range(5)] == names(client, limit=5, sort_order="asc")
    assert 100 == len(names(client, limit=100))
    for offset, expected in ((0, 10), (100, 5), (105, 0), (2**63 - 1, 0)):
        data = body(client, offset=offset)
        assert (expected, 105, offset, 10) == (
            len(data["documents"]), data["total"], data["offset"], data["limit"],
        )  # fmt: skip


WRONG: list[Any] = [
    {"limit": 0}, {"limit": 101}, {"limit": "10"}, {"limit": True}, {"limit": 1.5}, {"limit": None},
    {"offset": -1}, {"offset": "0"}, {"offset": 2**63}, {"offset": False},
    {"sort_field": "created_at"}, {"sort_field": ""}, {"sort_order": "DESC"}, {"sort_order": 1},
    {"latest_only": "true"}, {"latest_only": 1}, {"latest_only": None},
    {"document_ids": [True]}, {"document_ids": ["1"]}, {"document_ids": [1.5]}, {"document_ids": 1},
    {"document_ids": [2**63]}, {"document_ids": list(range(10_001))}, {"document_ids": {"$gt": 0}},
    {"metadata_filter": []}, {"metadata_filter": "x"}, {"metadata_filter": {"$where": "1"}},
    {"metadata_filter": {"a": {"$gt2": 1}}}, {"metadata_filter": {"$and": []}},
    {"metadata_filter": {"$or": {}}},
    {"metadata_filter": {"a": {"$in": 1}}}, {"metadata_filter": {"a": {"$regex": "("}}},
    {"metadata_filter": {"a": 2**64}}, {"metadata_filter": {"a": "\0"}},
    {"metadata_filter": {"a": {"$in": list(range(10_001))}}},
    {"metadata_filter": {"a": {"$gt2": 1}}, "document_ids": [1]},
    {"created_at_filter": {"$foo": "2024-01-01"}}, {"created_at_filter": {"$gte": "yesterday"}},
    {"created_at_filter": {"$gte": 1704067200}}, {"created_at_filter": {"$gte": None}},
    {"created_at_filter": {"$in": "2024-01-01"}}, {"created_at_filter": {"$eq": ["2024-01-01"]}},
    {"created_at_filter": "2024-01-01"}, {"created_at_filter": {"$gte": "2024-02-30T00:00:00"}},
    {"updated_at_filter": {"$exists": True}}, {"updated_at_filter": {"$not": {"$gt": "2024-01-01"}}},
    {"updated_at_filter": {"$gte": "2024-01-01T24:00:00"}},
    [], "x", 1, None,
]  # fmt: skip


def refused(response: Any) -> None:
    """Hold a refusal to the envelope."""
    assert response.status_code == 422, response.text
    answer = response.json()
    assert (False, None) == (answer["success"], answer["data"])
    assert answer["error"]["error_code"] == "VALIDATION_ERROR"
    assert answer["error"]["message"]
    assert answer["meta"]["version"] == "1.0"


@MEMORY
@pytest.mark.parametrize("asked", WRONG, ids=lambda asked: str(asked)[:60])
def test_bad_values_are_422_in_the_envelope(clients: Any, asked: Any) -> None:
    """What the body may not be."""
    refused(clients("fieldwise").post(PATH, json=asked))


@MEMORY
@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"{'a': 1}", b"\xff\xfe", b"\xed\xa0\x80", b'{"limit": 1', b'{"limit": 01}', b"nul",
        b'{"metadata_filter": {"a": "\\ud800"}}', b'{"metadata_filter": {"\\udfff": 1}}',
        b'{"metadata_filter": {"a": {"$\\ud800": 1}}}', b'{"metadata_filter": {"a": NaN}}',
        b'{"metadata_filter": {"a": 1e999}}', b'{"metadata_filter": ' + b"[" * 100_000,
        b'{"metadata_filter": ' + b'{"$not": ' * 20_000 + b"1" + b"}" * 20_001,
        b'{"metadata_filter": ' + b'{"$and": [' * 400 + b'{"a": 1}' + b"]}" * 400 + b"}",
        b'{"offset": ' + b"9" * 5_000 + b"}", b'{"sort_order": "\\ud800"}',
    ],
    ids=range(18),
)  # fmt: skip
def test_malformed_json_is_422_in_the_envelope(clients: Any, text: bytes) -> None:
    """What is no JSON, is too deep, or has what no text and no number can be."""
    refused(clients("fieldwise").post(PATH, content=text, headers={"Content-Type": "application/json"}))


@MEMORY
def test_unknown_fields_are_ignored(clients: Any, first: docstore.Store) -> None:
    """Other fields of the body change nothing; neither does 1.0 for 1."""
    first.documents.add(filename="a")
    assert ["a"] == names(clients("fieldwise"), nonsense={"$where": 1}, tenant="bolt", limit=1.0)


@MEMORY
def test_errors_have_codes(clients: Any) -> None:
    """Paths and methods that are not there, and no key, are told in the envelope."""
    client = clients("fieldwise")
    for response, code in (
        (client.get("/nope"), "RESOURCE_NOT_FOUND"),
        (client.get(PATH), "METHOD_NOT_ALLOWED"),
        (clients("fieldwise", None).post(PATH, json={}), "UNAUTHORIZED"),
    ):
        answer = response.json()
        assert (False, None, code) == (answer["success"], answer["data"], answer["error"]["error_code"])


@MEMORY
def test_a_filter_as_deep_as_the_language_allows(clients: Any, first: docstore.Store) -> None:
    """The application adds nothing to a filter's depth: 16 levels pass, 17 do not."""
    first.documents.add(filename="a", metadata={"a": 1})
    filter: dict[str, Any] = {"a": 1}
    for _ in range(16):
        filter = {"$and": [filter]}
    assert ["a"] == names(
        clients("fieldwise"), metadata_filter=filter, created_at_filter={"$gte": "2000-01-01"}
    )
    refused(clients("fieldwise").post(PATH, json={"metadata_filter": {"$and": [filter]}}))
