"""Documind: the seed's requests and responses, and every parameter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import docstore

PATH = "/api/v1/data/extractions"
MEMORY = pytest.mark.parametrize("url", ["memory"], indirect=True)
DOCUMENT = "550e8400-e29b-41d4-a716-446655440000"
ITEM = {
    "id": "extr_abc123",
    "document_id": DOCUMENT,
    "original_filename": "invoice-2024-001.pdf",
    "status": "completed",
    "created_at": "2024-01-15T10:30:00Z",
    "updated_at": "2024-01-15T10:35:00Z",
    "needs_review": True,
    "is_reviewed": True,
    "reviewed_at": "2024-01-15T10:35:00Z",
    "reviewed_by": "user_xyz789",
    "results": {"invoice_number": "INV-2024-001", "total_amount": 1250.00},
    "reviewed_results": {"invoice_number": "INV-2024-001", "total_amount": 1275.00},
    "needs_review_metadata": {
        "confidence_scores": {"invoice_number": 95.2, "total_amount": 78.5},
        "review_flags": {"invoice_number": False, "total_amount": True},
    },
}


@pytest.fixture
def seed(first: docstore.Store) -> None:
    """The seed's extraction, reviewed."""
    first.documents.add(id=DOCUMENT, filename="invoice-2024-001.pdf")
    first.extractions.add(
        DOCUMENT,
        {"invoice_number": "INV-2024-001", "total_amount": 1250.00},
        id="extr_abc123",
        confidence_scores={"invoice_number": 95.2, "total_amount": 78.5},
        review_flags={"invoice_number": False, "total_amount": True},
        needs_review=True,
        created_at="2024-01-15T10:30:00Z",
    )
    first.extractions.review(
        "extr_abc123",
        {"invoice_number": "INV-2024-001", "total_amount": 1275.00},
        reviewed_by="user_xyz789",
        reviewed_at="2024-01-15T10:35:00Z",
    )
    first.extractions.update("extr_abc123", updated_at="2024-01-15T10:35:00Z")


@pytest.fixture
def several(first: docstore.Store) -> None:
    """Four extractions of two documents, a day apart, in every state of review."""
    a, b = (first.documents.add(id=name, filename=f"{name}.pdf").id for name in ("a", "b"))
    states: list[tuple[str, str, bool, bool]] = [
        (a, "completed", True, False), (a, "failed", False, False), (b, "pending", True, True),
        (b, "completed", False, True),
    ]  # fmt: skip
    for day, (document, status, needs, reviewed) in enumerate(states, 1):
        at = f"2024-01-0{day}T00:00:00Z"
        made = first.extractions.add(
            document, {}, id=f"e{day}", status=status, needs_review=needs, created_at=at
        )
        if reviewed:
            first.extractions.review(made.id, {"day": day}, reviewed_by="me")
            first.extractions.update(made.id, updated_at=f"2024-02-0{9 - day}T00:00:00Z")


def ids(client: Any, **params: Any) -> list[str]:
    """Return the ids of the items answered, having looked at the envelope."""
    response = client.get(PATH, params=params)
    assert response.status_code == 200, response.text
    body = response.json()
    assert ["items", "total", "skip", "limit"] == list(body)
    return [item["id"] for item in body["items"]]


@pytest.mark.usefixtures("seed")
def test_the_poll_of_the_seed(clients: Any) -> None:
    """The seed's first request and its response, to the letter."""
    body = clients("documind").get(f"{PATH}?document_id={DOCUMENT}&limit=1").json()
    assert {"items": [ITEM], "total": 1, "skip": 0, "limit": 1} == body
    assert list(ITEM) == list(body["items"][0])


ASKED: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["e4", "e3", "e2", "e1"]),
    (
        {"needs_review": "true", "is_reviewed": "false", "sort_by": "created_at", "sort_order": "desc"},
        ["e1"],
    ),
    ({"needs_review": True, "is_reviewed": False}, ["e1"]),
    ({"needs_review": "True", "is_reviewed": "False"}, ["e1"]),
    ({"needs_review": "false"}, ["e4", "e2"]),
    ({"is_reviewed": "true", "created_after": "2024-01-04T00:00:00Z"}, ["e4"]),
    ({"status": "failed", "created_after": "2024-01-01", "sort_by": "created_at"}, ["e2"]),
    ({"document_id": "a"}, ["e2", "e1"]),
    ({"document_id": "A"}, []),
    ({"original_filename": "b.pdf"}, ["e4", "e3"]),
    ({"original_filename": "B.pdf"}, []),
    ({"original_filename": "b"}, []),
    ({"created_after": "2024-01-02T00:00:00Z", "created_before": "2024-01-03T00:00:00Z"}, ["e3", "e2"]),
    ({"created_after": "2024-01-02T00:00:00.000001Z"}, ["e4", "e3"]),
    ({"created_after": "2024-01-02T01:00:00+01:00"}, ["e4", "e3", "e2"]),
    ({"created_after": "2024-01-03T00:00:00"}, ["e4", "e3"]),
    ({"created_before": "2024-01-02"}, ["e2", "e1"]),
    ({"created_after": "2024-01-03", "created_before": "2024-01-02"}, []),
    ({"sort_order": "asc"}, ["e1", "e2", "e3", "e4"]),
    ({"sort_by": "updated_at", "sort_order": "asc"}, ["e1", "e2", "e4", "e3"]),
    ({"sort_by": "status", "sort_order": "asc"}, ["e1", "e4", "e2", "e3"]),
    ({"sort_by": "original_filename"}, ["e4", "e3", "e2", "e1"]),
    ({"skip": 1, "limit": 2}, ["e3", "e2"]),
    ({"skip": 4}, []),
    ({"skip": 2**63 - 1}, []),
    ({"unknown": "x"}, ["e4", "e3", "e2", "e1"]),
]


@pytest.mark.usefixtures("several")
def test_filters_sorts_and_windows(clients: Any) -> None:
    """Each parameter alone and with others."""
    for params, expected in ASKED:
        assert expected == ids(clients("documind"), **params)


@pytest.mark.usefixtures("several")
def test_the_loop_of_the_seed_meets_everything(clients: Any) -> None:
    """Skipping on until a page is short, as the seed's client does, meets each item once; total stays."""
    client, met, skip = clients("documind"), [], 0
    while True:
        body = client.get(PATH, params={"skip": skip, "limit": 3}).json()
        met += [item["id"] for item in body["items"]]
        assert (4, skip, 3) == (body["total"], body["skip"], body["limit"])
        if len(body["items"]) < 3:
            break
        skip += 3
    assert ["e4", "e3", "e2", "e1"] == met


def test_last_24_hours(clients: Any, first: docstore.Store) -> None:
    """The seed's 'yesterday', microseconds and a Z, is read."""
    document = first.documents.add(filename="a")
    first.extractions.add(document.id, {}, id="now")
    first.extractions.add(document.id, {}, id="old", created_at=datetime.now(UTC) - timedelta(days=2))
    yesterday = (datetime.now(UTC) - timedelta(days=1)).replace(tzinfo=None).isoformat() + "Z"
    assert ["now"] == ids(clients("documind"), created_after=yesterday, status="completed", limit=100)


@MEMORY
def test_an_invalid_sort_field_is_named(clients: Any) -> None:
    """400 with the seed's text."""
    for field in ("invalid_field", "number", "filename", "-created_at", ""):
        response = clients("documind").get(PATH, params={"sort_by": field})
        assert response.status_code == 400
        assert {"detail": f"Invalid sort field: {field}"} == response.json()


@MEMORY
@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=x",
        "limit=",
        "skip=-1",
        "skip=x",
        f"skip={2**63}",
        "status=done",
        "status=Completed",
        "status=",
        "needs_review=maybe",
        "needs_review=",
        "is_reviewed=2",
        "sort_order=up",
        "sort_order=DESC",
        "created_after=yesterday",
        "created_after=",
        "created_before=2024-13-01",
        "created_after=2024-01-01T24:00:00Z",
        "created_after=now",
        "created_before=1705276800",
        "created_after=2024-01-01T00:00:00+24:00",
        "document_id=%00",
        "original_filename=%00",
    ],
)
def test_bad_values_are_400(clients: Any, query: str) -> None:
    """What cannot be read or is out of range is 400 with a text."""
    response = clients("documind").get(f"{PATH}?{query}")
    assert response.status_code == 400
    body = response.json()
    assert ["detail"] == list(body)
    assert isinstance(body["detail"], str)


ORGANIZATIONS = [
    ("root", "acme", 200),
    ("root", "bolt", 403),
    ("root", "", 403),
    ("root", "ACME", 403),
    ("k1", "acme", 403),
    ("k1", "bolt", 403),
    ("k3", "bolt", 403),
    ("everything", "acme", 200),
    ("everything", "bolt", 200),
]


@pytest.mark.usefixtures("several")
def test_organizations_are_for_administrators(clients: Any) -> None:
    """An administrator may name its own; another's, and anybody else naming any, is 403."""
    for key, organization, status in ORGANIZATIONS:
        response = clients("documind", key).get(PATH, params={"organization_id": organization})
        assert status == response.status_code
        if status == 403:
            assert {"detail": "You don't have permission to access these extractions"} == response.json()
        else:
            assert (4 if organization == "acme" else 0) == response.json()["total"]


@pytest.mark.usefixtures("several")
def test_a_foreign_document_answers_like_an_unknown_one(clients: Any) -> None:
    """Both are an empty page."""
    client = clients("documind", "k2")
    answers = [client.get(PATH, params={"document_id": id}).json() for id in ("a", "nothing")]
    assert answers[0] == answers[1] == {"items": [], "total": 0, "skip": 0, "limit": 100}


@MEMORY
def test_review_metadata_is_there_where_there_is_some(clients: Any, first: docstore.Store) -> None:
    """Absent without scores and flags; with one of them, just that one."""
    document = first.documents.add(filename="a")
    first.extractions.add(document.id, None, status="pending")
    first.extractions.add(document.id, {}, confidence_scores={"a": 5})
    first.extractions.add(document.id, {}, review_flags={"a": True})
    flagged, scored, plain = clients("documind").get(PATH).json()["items"]
    assert {"review_flags": {"a": True}} == flagged["needs_review_metadata"]
    assert {"confidence_scores": {"a": 5}} == scored["needs_review_metadata"]
    assert "needs_review_metadata" not in plain
    assert (None, None, None, None) == (
        plain["results"], plain["reviewed_results"], plain["reviewed_at"], plain["reviewed_by"],
    )  # fmt: skip
