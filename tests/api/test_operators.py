"""Update operators on a store: under the row's lock, written once, in batches (rules 24 to 26)."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

import docstore
from docstore import UpdateResult
from docstore.writes import edits


def test_operators_change_metadata_and_fields_in_one_revision(store: docstore.Store) -> None:
    """Beside changes by name and new bytes, too."""
    made = store.documents.add(b"old", filename="a", metadata={"n": 1, "log": ["x"]}, content="c")
    changed = store.documents.update(
        made.id, {"$inc": {"metadata.n": 2}, "$set": {"filename": "b"}}, source=b"new", error="e"
    )
    assert ({"n": 3, "log": ["x"]}, "b", "e", 2) == (
        changed.metadata, changed.filename, changed.error, changed.revision,
    )  # fmt: skip
    assert changed == store.documents.get(made.id)
    assert b"new" == store.documents.read_bytes(made.id)
    other = store.documents.update(made.id, {"$set": {"content": "d"}})
    assert (None, "d", 3) == (other.content, other.preview, other.revision)


def test_what_changes_nothing_writes_nothing(store: docstore.Store) -> None:
    """The revision and updated_at stay, whether there is nothing to do or it is so already."""
    made = store.documents.add(metadata={"n": 1, "a": [1]}, filename="f", content="c")
    for operators in (
        {},
        {"$set": {}},
        {"$set": {"metadata.n": 1, "filename": "f", "content": "c"}},
        {"$inc": {"metadata.n": 0}, "$unset": {"metadata.x": 1, "error": 1}},
        {"$addToSet": {"metadata.a": 1}},
        {"$pull": {"metadata.a": 7}, "$max": {"metadata.n": 0}},
    ):
        assert made == store.documents.update(made.id, operators)
        assert (1, 0) == _counts(store.documents.update_many({}, operators))
    assert made == store.documents.get(made.id)
    assert 2 == store.documents.update(made.id, {"$set": {"metadata.n": 1.0}}).revision


def _counts(result: UpdateResult) -> tuple[int, int]:
    return result.matched, result.changed


@pytest.mark.parametrize(
    ("operators", "field"),
    [
        ({"$inc": {"metadata.t": 1}}, "metadata.t"),
        ({"$set": {"metadata.t.x": 1}}, "metadata.t.x"),
        ({"$push": {"metadata.n": 1}, "$set": {"metadata.a": 1}}, "metadata.n"),
        ({"$set": {f"metadata{'.a' * 15}": "x" * 60_000, "metadata.b": ["x" * 60_000] * 17}}, "metadata"),
    ],
)
def test_what_only_the_row_shows_names_it(store: docstore.Store, operators: Any, field: str) -> None:
    """InvalidDocument with the id, and nothing is written."""
    made = store.documents.add(metadata={"n": 1, "t": "x"})
    with pytest.raises(docstore.InvalidDocument, match=made.id) as wrong:
        store.documents.update(made.id, operators)
    assert field == wrong.value.field
    assert made == store.documents.get(made.id)


@pytest.mark.parametrize(
    ("operators", "changes"),
    [
        ({"$inc": {"metadata.n": "1"}}, {}),
        ({"$foo": {}}, {}),
        ([], {}),
        ({"$set": {"filename": 5}}, {}),
        ({"$set": {"metadata.n": 1}}, {"metadata": {}}),
        ({"$set": {"error": "e"}}, {"replace_metadata": {}}),
        ({"$set": {"error": "e"}}, {"error": "f"}),
    ],
)
def test_malformed_operators_are_refused_before_any_io(
    store: docstore.Store, operators: Any, changes: dict[str, Any]
) -> None:
    """A FilterError, even where there is no such document."""
    with pytest.raises(docstore.FilterError):
        store.documents.update("none", operators, **changes)
    with pytest.raises(docstore.FilterError):
        store.documents.update_many({}, operators, **changes)
    with pytest.raises(docstore.FilterError):
        store.extractions.update("none", operators, **changes)


@pytest.mark.parametrize(
    "patch", [{"n": {"$inc": 1}}, {"$inc": {"n": 1}}, {"a": [{"b": {"$push": 1, "$set": 2}}]}]
)
def test_a_merge_patch_holds_no_operators(store: docstore.Store, patch: Any) -> None:
    """Rule 26: the error says how to ask; add and replace_metadata take any keys."""
    made = store.documents.add(metadata=patch)
    assert patch == made.metadata
    for call in (
        lambda: store.documents.update(made.id, metadata=patch),
        lambda: store.documents.update_many({}, metadata=patch),
        lambda: store.documents.complete(made.id, metadata=patch),
    ):
        with pytest.raises(docstore.InvalidDocument, match="give operators by themselves"):
            call()
    assert made == store.documents.get(made.id)
    assert patch == store.documents.update(made.id, replace_metadata=patch).metadata
    mixed = {"a": {"$inc": 1, "b": 2}}
    assert mixed["a"] == store.documents.update(made.id, metadata=mixed).metadata["a"]


def test_extractions_take_operators(store: docstore.Store) -> None:
    """On their metadata and the fields that their update takes."""
    extraction = store.extractions.add(store.documents.add(filename="a").id, {"x": 1}, metadata={"n": 1})
    changed = store.extractions.update(extraction.id, {"$inc": {"metadata.n": 1}, "$unset": {"results": 1}})
    assert ({"n": 2}, None, 2) == (changed.metadata, changed.results, changed.revision)
    assert changed == store.extractions.update(extraction.id, {"$min": {"metadata.n": 5}})


def test_update_many_counts_what_matched_and_what_changed(store: docstore.Store) -> None:
    """As a number it is the former; it survives pickling."""
    store.documents.add_many([{"metadata": {"n": n}} for n in range(5)])
    result = store.documents.update_many({"metadata.n": {"$gte": 2}}, {"$min": {"metadata.n": 3}})
    assert (3, 1) == (result.matched, result.changed)
    assert 3 == int(result)
    assert "UpdateResult(matched=3, changed=1)" == repr(result)
    again = pickle.loads(pickle.dumps(result))
    assert (3, 1, result) == (again.matched, again.changed, again)
    assert result != UpdateResult(3, 2)


@pytest.mark.parametrize("url", ["memory", "postgres"], indirect=True)
def test_an_error_undoes_its_batch_and_says_what_was_done(
    store: docstore.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of a thousand, 40 here, each one commit; within a transaction all is one."""
    assert 1000 == edits.BATCH
    monkeypatch.setattr(edits, "BATCH", 40)
    store.documents.add_many([{"metadata": {"n": 1 if n != 60 else "x"}} for n in range(85)])
    with pytest.raises(docstore.InvalidDocument) as wrong:
        store.documents.update_many({}, {"$inc": {"metadata.n": 1}})
    assert (40, 40) == (wrong.value.matched, wrong.value.changed)
    assert 40 == store.documents.count({"metadata.n": 2})
    with pytest.raises(docstore.InvalidDocument), store.transaction():
        store.documents.update_many({}, {"$inc": {"metadata.n": 1}})
    assert 40 == store.documents.count({"metadata.n": 2})
    result = store.documents.update_many({"metadata.n": {"$type": "number"}}, {"$inc": {"metadata.n": 1}})
    assert (84, 84) == (result.matched, result.changed)
    assert 85 == store.documents.delete_many({})


def test_no_update_is_lost(
    store: docstore.Store, together: Callable[..., None], many: Callable[[int, int], int]
) -> None:
    """Eight threads raise and push on one document, one by one and with update_many."""
    made, each = store.documents.add(metadata={"n": 0, "log": []}), many(12, 200)

    def work(index: int) -> None:
        for turn in range(each):
            operators = {"$inc": {"metadata.n": 1}, "$push": {"metadata.log": f"{index}/{turn}"}}
            if turn % 4:
                store.documents.update(made.id, operators)
            else:
                store.documents.update_many({"id": made.id}, operators)

    together(8, work)
    found = store.documents.get(made.id)
    assert 8 * each == found.metadata["n"]
    assert {f"{index}/{turn}" for index in range(8) for turn in range(each)} == set(found.metadata["log"])
    assert 8 * each == len(found.metadata["log"])
    assert 8 * each + 1 == found.revision
