"""update, update_many, delete, delete_many: what changes, what is refused, what is counted."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

import docstore

LONG_AGO = datetime(2001, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"a": 2}, {"a": 2, "b": {"c": 1, "d": [1, 2]}}),
        ({"a": None}, {"b": {"c": 1, "d": [1, 2]}}),
        ({"b": {"c": None, "e": True}}, {"a": 1, "b": {"d": [1, 2], "e": True}}),
        ({"b": {"d": [3]}}, {"a": 1, "b": {"c": 1, "d": [3]}}),
        ({"b": 5}, {"a": 1, "b": 5}),
        ({"new": {"x": {"y": None}}}, {"a": 1, "b": {"c": 1, "d": [1, 2]}, "new": {"x": {}}}),
        ({}, {"a": 1, "b": {"c": 1, "d": [1, 2]}}),
    ],
)
def test_metadata_is_merged_as_rfc_7396_says(
    store: docstore.Store, patch: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Objects merge, None removes, all else replaces."""
    made = store.documents.add(metadata={"a": 1, "b": {"c": 1, "d": [1, 2]}})
    assert expected == store.documents.update(made.id, metadata=patch).metadata
    assert expected == store.documents.get(made.id).metadata


def test_replace_metadata_replaces_it(store: docstore.Store) -> None:
    """The whole of it, None values kept; not beside a patch."""
    made = store.documents.add(metadata={"a": 1})
    assert {"b": None} == store.documents.update(made.id, replace_metadata={"b": None}).metadata
    with pytest.raises(docstore.InvalidDocument):
        store.documents.update(made.id, metadata={}, replace_metadata={})


def test_a_change_raises_the_revision_and_touches(store: docstore.Store) -> None:
    """updated_at moves unless touch=False or it is given; created_at stays."""
    made = store.documents.add(created_at=LONG_AGO)
    quiet = store.documents.update(made.id, touch=False, filename="a.pdf")
    assert (2, LONG_AGO, LONG_AGO) == (quiet.revision, quiet.updated_at, quiet.created_at)
    loud = store.documents.update(made.id, error="e")
    assert loud.updated_at > LONG_AGO
    assert LONG_AGO == store.documents.update(made.id, updated_at=LONG_AGO).updated_at
    assert LONG_AGO == store.documents.update(made.id, processed_at=LONG_AGO).processed_at
    assert None is store.documents.update(made.id, processed_at=None).processed_at


def test_content_brings_its_preview(store: docstore.Store) -> None:
    """Unless one is given; None removes both."""
    made = store.documents.add(metadata={})
    assert "a b" == store.documents.update(made.id, content=" a\n\tb ").preview
    assert "mine" == store.documents.update(made.id, content="other", preview="mine").preview
    assert "other" == store.documents.get(made.id, include={"content"}).content
    gone = store.documents.update(made.id, content=None)
    assert (None, None) == (gone.preview, store.documents.get(made.id, include={"content"}).content)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "completed"},
        {"tenant": "x"},
        {"metadata": None},
        {"metadata": {"x": float("nan")}},
        {"filename": "a\0"},
        {"sha256": "0" * 64},
        {"metdata": {}},
    ],
)
def test_what_cannot_be_changed_is_refused_before_any_io(
    store: docstore.Store, changes: dict[str, Any]
) -> None:
    """InvalidDocument, and the document is as it was; update_many says the same."""
    made = store.documents.add(metadata={"a": 1})
    with pytest.raises(docstore.InvalidDocument):
        store.documents.update(made.id, **changes)
    with pytest.raises(docstore.InvalidDocument):
        store.documents.update_many({}, **changes)
    assert made == store.documents.get(made.id)


def test_if_revision_guards_a_change_and_a_removal(store: docstore.Store) -> None:
    """RevisionConflict carries what was expected and what is; nothing is done."""
    made = store.documents.add(metadata={})
    store.documents.update(made.id, if_revision=1, filename="b")
    for call in (
        lambda: store.documents.update(made.id, if_revision=1, filename="c"),
        lambda: store.documents.delete(made.id, if_revision=1),
    ):
        with pytest.raises(docstore.RevisionConflict) as caught:
            call()
        assert (made.id, 1, 2) == (caught.value.id, caught.value.expected, caught.value.current)
    assert "b" == store.documents.get(made.id).filename
    store.documents.delete(made.id, if_revision=2)
    with pytest.raises(docstore.NotFound):
        store.documents.delete(made.id)


def test_a_counter_raised_through_if_revision_is_exact(
    store: docstore.Store, together: Callable[..., None], many: Callable[[int, int], int]
) -> None:
    """16 threads, each trying again on RevisionConflict: no raise is lost."""
    made, each = store.documents.add(metadata={"n": 0}), many(3, 50)

    def work(index: int) -> None:
        for _ in range(each):
            while True:
                now = store.documents.get(made.id)
                try:
                    store.documents.update(
                        made.id, if_revision=now.revision, metadata={"n": now.metadata["n"] + 1}
                    )
                    break
                except docstore.RevisionConflict:
                    continue

    together(16, work)
    assert 16 * each == store.documents.get(made.id).metadata["n"]


def test_source_replaces_the_bytes(store: docstore.Store) -> None:
    """Size and sha256 are the new bytes'; the name stays; wrong expectations change nothing."""
    made = store.documents.add(b"old", filename="a.txt")
    new = store.documents.update(made.id, source=b"newer", metadata={"a": 1})
    assert (5, "a.txt", {"a": 1}, 2) == (new.size, new.filename, new.metadata, new.revision)
    assert b"newer" == store.documents.read_bytes(made.id)
    with pytest.raises(docstore.SizeMismatch):
        store.documents.update(made.id, source=b"newest", size=1)
    with pytest.raises(docstore.RevisionConflict):
        store.documents.update(made.id, source=b"newest", if_revision=1)
    assert (new, b"newer") == (store.documents.get(made.id), store.documents.read_bytes(made.id))


def test_update_many_changes_every_match_once(store: docstore.Store) -> None:
    """Also where the change moves a document out of the filter, or within it; the count is told."""
    store.documents.add_many([{"filename": f"{n}", "metadata": {"n": n}} for n in range(700)])
    assert 300 == store.documents.update_many(
        {"metadata.n": {"$lt": 300}}, metadata={"n": 1000, "seen": True}
    )
    assert 300 == store.documents.count({"metadata.seen": True, "revision": 2})
    assert 700 == store.documents.update_many({}, metadata={"all": 1})
    assert 0 == store.documents.update_many({"filename": "none"}, metadata={"all": 2})


def test_update_many_is_all_or_nothing(store: docstore.Store) -> None:
    """If one of them cannot take the change, none is changed."""
    store.documents.add_many([{"metadata": {"n": n}} for n in range(10)])
    store.documents.add(metadata={"big": "x" * 1_048_000})
    with pytest.raises(docstore.InvalidDocument):
        store.documents.update_many({}, metadata={"more": "y" * 1000})
    assert 11 == store.documents.count({"revision": 1})


@pytest.mark.parametrize("verb", ["update_many", "delete_many"])
def test_a_filter_must_be_said(store: docstore.Store, verb: str) -> None:
    """None is no filter; {} is everything; a wrong one is refused as everywhere, and plans like any other."""
    store.documents.add(metadata={})
    call = getattr(store.documents, verb)
    with pytest.raises(docstore.FilterSyntaxError):
        call(None)
    with pytest.raises(docstore.UnknownField):
        call({"nope": 1})
    assert store.documents.explain({"metadata.a": 1}, latest_only=False).backend in str(
        store.documents.explain({"metadata.a": 1}, latest_only=False)
    )
    assert 1 == store.documents.count()


def test_delete_many_takes_bytes_and_extractions_along(store: docstore.Store) -> None:
    """The count is told, what does not match stays."""
    kept = store.documents.add(b"kept", filename="k")
    gone = [store.documents.add(b"gone", filename="g") for _ in range(3)]
    for one in (kept, *gone):
        store.extractions.add(one.id, {"a": 1})
    assert 3 == store.documents.delete_many({"filename": "g"})
    assert [kept.id] == [one.id for one in store.documents.iterate()]
    assert [kept.id] == [one.document_id for one in store.extractions.iterate()]
    with pytest.raises(docstore.NotFound):
        store.documents.read_bytes(gone[0].id)


@pytest.mark.parametrize("verb", ["update_many", "delete_many"])
def test_the_many_need_bounded_memory(sqlite_url: str, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held are a batch and what the index compacts at once, 3.5 MB here; all the rows are 12 MB."""
    monkeypatch.setattr("docstore.writes.edits.BATCH", 100)
    monkeypatch.setattr("docstore_sqlite.delta_log.LOGGED_CHANGES", 100)
    with docstore.open(sqlite_url) as store:
        store.documents.add_many([{"metadata": {"text": "x" * 6_000}} for _ in range(1_000)])
        arguments: dict[str, Any] = {"metadata": {"a": 1}} if verb == "update_many" else {}
        tracemalloc.start()
        try:
            assert 1_000 == getattr(store.documents, verb)({}, **arguments)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 6_000_000


@pytest.mark.parametrize("changes", [{"metadata": {}}, {"source": b"other"}], ids=["fields", "bytes"])
def test_an_id_of_several_tenants_is_refused_before_its_revision_is_looked_at(
    store: docstore.Store, changes: dict[str, Any]
) -> None:
    """Rule: of an id that several tenants have, none is changed without saying whose, whatever is changed."""
    for tenant in ("one", "other"):
        store.scoped(tenant=tenant).documents.add(id="same")
    with pytest.raises(docstore.ScopeError):
        store.documents.update("same", if_revision=7, **changes)
