"""extractions.add_many and review_many, documents.retry_many: by batch, whole or not at all."""

from __future__ import annotations

from typing import Any

import pytest

import docstore


@pytest.fixture
def ids(store: docstore.Store) -> list[str]:
    """Three documents."""
    return store.documents.add_many({"filename": f"{n}"} for n in range(3)).ids


def test_extractions_are_added_by_batch(store: docstore.Store, ids: list[str]) -> None:
    """As add does, of documents or their ids; a repeated id is there already."""
    rows: list[dict[str, Any]] = [{"document_id": ids[n % 3], "results": {"n": n}} for n in range(7)]
    rows.append({"document_id": store.documents.get(ids[0]), "id": "mine", "review_below": 50,
                 "confidence_scores": {"x": 10}, "results": None})  # fmt: skip
    told: list[int] = []
    result = store.extractions.add_many(iter(rows), batch_size=3, on_progress=told.append)
    assert (8, 0, [3, 6, 8]) == (result.added, result.existing, told)
    found = store.extractions.get_many(result.ids)
    assert [0, 1, 2, 3, 4, 5, 6] == [one.results["n"] for one in found[:7] if one.results]
    assert ("0", True) == (found[-1].filename, found[-1].needs_review)
    again = store.extractions.add_many([rows[-1], rows[-1]])
    assert (0, 2, ["mine", "mine"]) == (again.added, again.existing, again.ids)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"document_id": "none"}, docstore.NotFound),
        ({}, docstore.InvalidDocument),
        ({"document_id": "x", "nonsense": 1}, docstore.InvalidDocument),
        ({"document_id": "x", "results": 5}, docstore.InvalidDocument),
        (5, docstore.InvalidDocument),
    ],
)
def test_a_bad_one_undoes_its_batch(store: docstore.Store, ids: list[str], bad: Any, error: Any) -> None:
    """The error says which; with on_error="collect" the others are there."""
    rows: list[Any] = [{"document_id": ids[0]}, {"document_id": ids[1]}, bad, {"document_id": ids[2]}]
    with pytest.raises(error) as wrong:
        store.extractions.add_many(rows, batch_size=2)
    assert (2, 2) == (wrong.value.index, store.extractions.count())
    result = store.extractions.add_many(rows, on_error="collect")
    assert ([2], 3, 5) == ([index for index, _ in result.failed], result.added, store.extractions.count())


def test_extractions_belong_to_their_scope(store: docstore.Store) -> None:
    """Another tenant's document is not there; several of one id are refused."""
    for tenant in ("t", "u"):
        store.documents.add(id="d", tenant=tenant, filename="f")
    view = store.scoped(tenant="t")
    assert 1 == view.extractions.add_many([{"document_id": "d"}]).added
    assert 0 == store.scoped(tenant="u").extractions.count()
    with pytest.raises(docstore.ScopeError):
        store.extractions.add_many([{"document_id": "d"}])


def test_reviews_are_written_by_batch(store: docstore.Store, ids: list[str]) -> None:
    """All of one person; an error says which, and how many were done before its batch."""
    made = store.extractions.add_many({"document_id": ids[0], "results": {"n": n}} for n in range(5)).ids
    reviews = [{"id": id, "reviewed_results": {"of": id}} for id in made]
    assert 5 == store.extractions.review_many(iter(reviews), reviewed_by="ann", batch_size=2).matched
    found = store.extractions.get_many(made)
    assert [{"of": id} for id in made] == [one.reviewed_results for one in found]
    assert {"ann"} == {one.reviewed_by for one in found}
    bad = [*reviews[:3], {"id": "none", "reviewed_results": {}}]
    with pytest.raises(docstore.NotFound) as missing:
        store.extractions.review_many(bad, reviewed_by="bob", batch_size=2)
    assert (3, 2) == (missing.value.index, missing.value.matched)
    assert 2 == store.extractions.count({"reviewed_by": "bob"})
    for wrong in ([{"id": made[0]}], [5], [{"id": made[0], "reviewed_results": 5}]):
        with pytest.raises(docstore.InvalidDocument) as refused:
            store.extractions.review_many(wrong, reviewed_by="ann")  # type: ignore[arg-type]
        assert 0 == refused.value.index


def test_many_are_retried(store: docstore.Store) -> None:
    """Failed and completed ones are pending again; the others stay."""
    for status in ("pending", "processing", "completed", "failed", "failed"):
        store.documents.add(filename="f", status=status, error="e" if status == "failed" else None)
    result = store.documents.retry_many({"status": {"$ne": "completed"}})
    assert (4, 2) == (result.matched, result.changed)
    assert {"pending": 3, "processing": 1, "completed": 1} == store.documents.count_by("status")
    assert 0 == store.documents.count({"error": {"$ne": None}})
    assert 1 == store.documents.retry_many({}).changed
    with pytest.raises(docstore.FilterError):
        store.documents.retry_many(None)  # type: ignore[arg-type]
