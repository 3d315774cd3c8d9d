"""Extractions: their fields, thresholds and review, and how they follow their document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

import docstore

SCORES = {"number": 95.2, "total": 78.5, "date": 80}
RESULTS = {"number": "INV-1", "total": 1250.0, "date": None}


@pytest.fixture
def document(store: docstore.Store) -> docstore.Document:
    """A document that has an owner."""
    return store.documents.add(filename="invoice.pdf", tenant="t", owner="o")


def test_an_extraction_is_its_documents(store: docstore.Store, document: docstore.Document) -> None:
    """Filename, tenant and owner are the document's; defaults are the documented ones."""
    made = store.extractions.add(document.id, RESULTS)
    assert ("invoice.pdf", "t", "o", document.id) == (
        made.filename,
        made.tenant,
        made.owner,
        made.document_id,
    )
    assert ("completed", RESULTS, False, False, 1) == (
        made.status, made.results, made.needs_review, made.is_reviewed, made.revision,
    )  # fmt: skip
    assert made == store.extractions.get(made.id)
    assert [made] == store.extractions.find(
        {"document_id": document.id, "results.total": {"$gt": 1000}}
    ).items


def test_the_filename_follows_a_rename(store: docstore.Store, document: docstore.Document) -> None:
    """Of this document's extractions, by update and by update_many; nothing else of them moves."""
    made = store.extractions.add(document.id, RESULTS)
    other = store.extractions.add(store.documents.add(filename="other").id)
    store.documents.update(document.id, filename="renamed.pdf")
    assert made.model_copy(update={"filename": "renamed.pdf"}) == store.extractions.get(made.id)
    store.documents.update_many({"id": document.id}, filename="again.pdf")
    assert ["again.pdf", "other"] == [one.filename for one in store.extractions.iterate()]
    assert other == store.extractions.get(other.id)


def test_an_extraction_goes_when_its_document_goes(
    store: docstore.Store, document: docstore.Document
) -> None:
    """By delete and by delete_many; a new one for a missing document is refused."""
    store.extractions.add(document.id, RESULTS)
    store.documents.delete(document.id)
    assert 0 == store.extractions.count()
    with pytest.raises(docstore.NotFound):
        store.extractions.add(document.id, RESULTS)


def test_a_threshold_sets_flags_and_the_need_of_a_review(
    store: docstore.Store, document: docstore.Document
) -> None:
    """Every scored field has a flag, true where it is below; equal is not below."""
    made = store.extractions.add(document.id, RESULTS, confidence_scores=SCORES, review_below=80)
    assert {"number": False, "total": True, "date": False} == made.review_flags
    assert (True, SCORES) == (made.needs_review, made.confidence_scores)
    fine = store.extractions.add(document.id, RESULTS, confidence_scores=SCORES, review_below=50)
    assert (False, {"number": False, "total": False, "date": False}) == (fine.needs_review, fine.review_flags)
    told = store.extractions.add(document.id, confidence_scores=SCORES, review_below=80, needs_review=False)
    assert (False, True) == (told.needs_review, (told.review_flags or {})["total"])
    given = store.extractions.add(
        document.id, confidence_scores=SCORES, review_below=50, review_flags={"number": True, "x": False}
    )
    assert {"number": True, "total": False, "date": False, "x": False} == given.review_flags
    assert given.needs_review
    assert [made.id, given.id] == [one.id for one in store.extractions.iterate({"needs_review": True})]


def test_a_review_writes_four_fields_and_leaves_the_results(
    store: docstore.Store, document: docstore.Document
) -> None:
    """is_reviewed, reviewed_at, reviewed_by, reviewed_results, and updated_at, in one revision."""
    made = store.extractions.add(
        document.id, RESULTS, confidence_scores=SCORES, review_below=80, created_at="2020-01-01T00:00:00Z"
    )
    right = {**RESULTS, "total": 1275.0}
    seen = store.extractions.review(made.id, right, reviewed_by="user_1")
    changed = {name for name in made.model_dump() if getattr(made, name) != getattr(seen, name)}
    assert {
        "is_reviewed",
        "reviewed_at",
        "reviewed_by",
        "reviewed_results",
        "updated_at",
        "revision",
    } == changed
    assert (True, "user_1", right, RESULTS, 2) == (
        seen.is_reviewed, seen.reviewed_by, seen.reviewed_results, seen.results, seen.revision,
    )  # fmt: skip
    assert seen.reviewed_at == seen.updated_at
    when = datetime(2026, 1, 2, tzinfo=UTC)
    assert (
        when == store.extractions.review(made.id, right, reviewed_by="user_2", reviewed_at=when).reviewed_at
    )


def test_status_steps_of_an_extraction(store: docstore.Store, document: docstore.Document) -> None:
    """start, complete and fail as on documents; complete brings results and thresholds."""
    made = store.extractions.add(document.id, status="pending")
    assert "processing" == store.extractions.start(made.id).status
    done = store.extractions.complete(
        made.id, RESULTS, confidence_scores=SCORES, review_below=90, metadata={"m": 1}
    )
    assert ("completed", RESULTS, True, {"m": 1}) == (
        done.status,
        done.results,
        done.needs_review,
        done.metadata,
    )
    for call in (store.extractions.start, lambda id: store.extractions.fail(id, "x")):
        with pytest.raises(docstore.InvalidTransition):
            call(made.id)
    failed = store.extractions.fail(store.extractions.add(document.id, status="pending").id, "why")
    assert ("failed", "why", None) == (failed.status, failed.error, failed.results)


def test_update_changes_the_fields_and_the_doubts(store: docstore.Store, document: docstore.Document) -> None:
    """Scores and a threshold make flags anew; metadata is merged; if_revision guards."""
    made = store.extractions.add(document.id, RESULTS, metadata={"a": 1}, confidence_scores=SCORES)
    assert (None, False) == (made.review_flags, made.needs_review)
    changed = store.extractions.update(made.id, review_below=90, metadata={"b": 2})
    assert ({"number": False, "total": True, "date": True}, True, {"a": 1, "b": 2}) == (
        changed.review_flags, changed.needs_review, changed.metadata,
    )  # fmt: skip
    cleared = store.extractions.update(made.id, review_flags=None, confidence_scores=None, results={"new": 1})
    assert (None, None, False, {"new": 1}) == (
        cleared.review_flags, cleared.confidence_scores, cleared.needs_review, cleared.results,
    )  # fmt: skip
    with pytest.raises(docstore.RevisionConflict):
        store.extractions.update(made.id, if_revision=1, needs_review=True)
    assert store.extractions.update(made.id, if_revision=3, needs_review=True).needs_review


@pytest.mark.parametrize(
    "arguments",
    [
        {"results": []},
        {"results": "text"},
        {"results": {"x": float("inf")}},
        {"confidence_scores": {"a": "high"}},
        {"confidence_scores": {"a": True}},
        {"review_flags": {"a": 1}},
        {"review_below": "80"},
        {"needs_review": "yes"},
        {"status": "done"},
        {"metadata": []},
        {"id": ""},
    ],
)
def test_what_cannot_be_stored_is_refused(
    store: docstore.Store, document: docstore.Document, arguments: dict[str, Any]
) -> None:
    """InvalidDocument, and nothing is there."""
    with pytest.raises(docstore.InvalidDocument):
        store.extractions.add(document.id, **arguments)
    assert 0 == store.extractions.count()


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "failed"},
        {"filename": "x"},
        {"reviewed_by": "x"},
        {"results": []},
        {"nope": 1},
        {"metadata": None},
    ],
)
def test_what_update_cannot_change_is_refused(
    store: docstore.Store, document: docstore.Document, changes: dict[str, Any]
) -> None:
    """InvalidDocument, and nothing is changed."""
    made = store.extractions.add(document.id, RESULTS)
    with pytest.raises(docstore.InvalidDocument):
        store.extractions.update(made.id, **changes)
    assert made == store.extractions.get(made.id)


def test_an_extraction_id_given_again(store: docstore.Store, document: docstore.Document) -> None:
    """The same arguments return what is there; others are AlreadyExists."""
    made = store.extractions.add(document.id, RESULTS, id="x")
    assert made == store.extractions.add(document.id, RESULTS, id="x")
    with pytest.raises(docstore.AlreadyExists):
        store.extractions.add(document.id, {}, id="x")
    store.extractions.delete("x")
    with pytest.raises(docstore.NotFound):
        store.extractions.delete("x")
