"""put, put_many and add_many(on_error="collect"): what is there afterwards, and what is said of it."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import docstore
from docstore import Document
from tests.kit.statements import record_statements


def kept(document: Document) -> tuple[Any, ...]:
    return document.id, document.number, document.created_at, document.first_created_at, document.version


@pytest.mark.parametrize("key", [{"id": "k"}, {"external_id": "k"}])
def test_replace_keeps_the_document_and_replaces_all_else(store: docstore.Store, key: dict[str, Any]) -> None:
    """Bytes included: without a source they go. What is put again as it was writes nothing."""
    put = store.documents.put
    first = put(b"one", filename="a.txt", metadata={"a": 1, "b": 2}, content="text", error="e", **key)
    assert "added" == first.outcome
    again = put(b"one", filename="a.txt", metadata={"b": 2, "a": 1}, content="text", error="e", **key)
    assert ("unchanged", first.document) == (again.outcome, again.document)
    second = put(b"two", metadata={"c": 3}, **key)
    assert ("replaced", kept(first.document)) == (second.outcome, kept(second.document))
    stored = store.documents.get(first.document.id, include={"content"})
    assert ("", {"c": 3}, None, None, None, "pending", 2) == (
        stored.filename, stored.metadata, stored.content, stored.preview, stored.error, stored.status,
        stored.revision,
    )  # fmt: skip
    assert b"two" == store.documents.read_bytes(stored.id)
    third = put(metadata={"c": 3}, **key)
    assert ("replaced", None, None) == (third.outcome, third.document.size, third.document.sha256)
    with pytest.raises(docstore.BlobMissing):
        store.documents.read_bytes(stored.id)
    assert 1 == store.documents.count(latest_only=False)
    assert store.check(grace=0).ok or {"stale_dead"} == {one.kind for one in store.check(grace=0).findings}


def test_what_a_worker_did_is_no_difference(store: docstore.Store) -> None:
    """A document put again after it was completed is unchanged; one that was changed by hand is put right."""
    put = store.documents.put
    made = put(b"one", external_id="k", filename="a.txt", metadata={"a": 1}).document
    done = store.documents.complete(made.id, content="text")
    again = put(b"one", external_id="k", filename="a.txt", metadata={"a": 1})
    assert ("unchanged", done) == (again.outcome, again.document)
    store.documents.update(made.id, {"$set": {"metadata.a": 2}})
    right = put(b"one", external_id="k", filename="a.txt", metadata={"a": 1})
    assert ("replaced", {"a": 1}, "pending", 0) == (
        right.outcome, right.document.metadata, right.document.status, right.document.attempts,
    )  # fmt: skip
    store.documents.claim()
    assert "replaced" == put(b"two", external_id="k").outcome
    assert 1 == len(store.documents.claim())


def test_merge_sets_what_was_given(store: docstore.Store) -> None:
    """Metadata by RFC 7396; all else stays, bytes included."""
    put = store.documents.put
    made = put(b"one", id="k", filename="a.txt", metadata={"a": {"x": 1}, "b": 2}, content="text").document
    merged = put(id="k", metadata={"a": {"y": 2}, "b": None}, error="e", on_conflict="merge")
    assert ("merged", {"a": {"x": 1, "y": 2}}, "a.txt", "e", made.status) == (
        merged.outcome, merged.document.metadata, merged.document.filename, merged.document.error,
        merged.document.status,
    )  # fmt: skip
    assert "text" == store.documents.get("k", include={"content"}).content
    assert "unchanged" == put(b"one", id="k", metadata={"a": {"x": 1}}, on_conflict="merge").outcome
    assert "merged" == put(b"two", id="k", on_conflict="merge").outcome
    assert b"two" == store.documents.read_bytes("k")
    with pytest.raises(docstore.InvalidDocument, match="operators"):
        put(id="k", metadata={"n": {"$inc": 1}}, on_conflict="merge")


def test_version_skip_and_error(store: docstore.Store) -> None:
    """A next version where it differs; left alone whatever it is; refused where it differs."""
    put = store.documents.put
    assert "added" == put(b"one", external_id="k", on_conflict="version").outcome
    assert "unchanged" == put(b"one", external_id="k", on_conflict="version").outcome
    second = put(b"two", external_id="k", on_conflict="version")
    assert ("versioned", 2, True) == (second.outcome, second.document.version, second.document.is_latest)
    assert [False, True] == [one.is_latest for one in store.documents.versions("k")]
    skipped = put(Path("nowhere-at-all"), external_id="k", on_conflict="skip")
    assert ("skipped", second.document) == (skipped.outcome, skipped.document)
    assert "unchanged" == put(b"two", external_id="k", on_conflict="error").outcome
    with pytest.raises(docstore.AlreadyExists) as wrong:
        put(b"three", external_id="k", on_conflict="error")
    assert second.document.id == wrong.value.id
    assert second.document == store.documents.get(second.document.id)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"id": "a", "external_id": "b"},
        {"id": "a", "on_conflict": "version"},
        {"id": "a", "on_conflict": "update"},
        {"id": "a", "metadata": {"x": float("nan")}},
        {"dedupe": "sha256"},
    ],
)
def test_what_cannot_be_put(store: docstore.Store, given: dict[str, Any]) -> None:
    """InvalidDocument, before any I/O."""
    with pytest.raises(docstore.InvalidDocument):
        store.documents.put(**given)
    assert 0 == store.documents.count()


def test_dedupe_without_a_key(store: docstore.Store) -> None:
    """The outcome is skipped where the bytes were there."""
    first = store.documents.put(b"one", dedupe="sha256")
    second = store.documents.put(b"one", filename="b", dedupe="sha256")
    assert ("added", "skipped", first.document) == (first.outcome, second.outcome, second.document)


def test_keys_belong_to_their_scope(store: docstore.Store) -> None:
    """An external_id is its owner's, an id its tenant's: another owner's document is never touched."""
    ann, bob = store.scoped(tenant="t", owner="ann"), store.scoped(tenant="t", owner="bob")
    assert "added" == ann.documents.put(external_id="k", metadata={"n": 1}).outcome
    assert "added" == bob.documents.put(external_id="k", metadata={"n": 2}).outcome
    assert "added" == store.scoped(tenant="u").documents.put(id="i").outcome
    assert "added" == ann.documents.put(id="i", metadata={"n": 1}).outcome
    with pytest.raises(docstore.AlreadyExists):
        bob.documents.put(id="i", metadata={"n": 2})
    whole = store.scoped(tenant="t").documents.put(b"x", id="i", metadata={"n": 3})
    assert ("replaced", "ann") == (whole.outcome, whole.document.owner)
    assert 1 == store.erase(tenant="t", owner="ann").blobs


def test_putters_of_one_key_make_one_document(
    store: docstore.Store, together: Callable[..., None], many: Callable[[int, int], int]
) -> None:
    """Eight at once, with bytes and without, by either key; the last one is what is there."""
    outcomes: list[str] = []
    rounds = many(1, 20)

    def work(index: int) -> None:
        source = b"%d" % index if index % 2 else None
        for turn in range(rounds):
            given: dict[str, Any] = {"source": source, "metadata": {"n": index}}
            outcomes.append(store.documents.put(external_id=f"e{turn}", **given).outcome)
            outcomes.append(store.documents.put(id=f"i{turn}", **given).outcome)

    together(8, work)
    assert ["added"] * 2 * rounds + ["replaced"] * 14 * rounds == sorted(outcomes)
    assert 2 * rounds == store.documents.count(latest_only=False)
    for document in store.documents.iterate():
        n = document.metadata["n"]
        assert 8 == document.revision
        if n % 2:
            assert b"%d" % n == store.documents.read_bytes(document.id)


def test_put_many_counts_outcomes(store: docstore.Store) -> None:
    """Of one key twice the last wins; a second call writes only what differs."""
    rows = [{"external_id": f"{n}", "metadata": {"n": n}} for n in range(50)]
    result = store.documents.put_many([{"external_id": "7", "metadata": {"n": -1}}, *rows], batch_size=60)
    assert (50, 51, ()) == (result.added, len(result.ids), result.failed)
    assert result.ids[0] == result.ids[8] == store.documents.get_by_external_id("7").id
    assert {"n": 7} == store.documents.get_by_external_id("7").metadata
    rows[3] = {"external_id": "3", "metadata": {"n": 33}}
    again = store.documents.put_many(iter([*rows, {"id": "new"}]), batch_size=20)
    assert (1, 1, 49) == (again.added, again.replaced, again.unchanged)
    assert "PutResult(added=1, replaced=1, unchanged=49, failed=0)" == str(again)
    assert 50 == store.documents.put_many(rows, on_conflict="skip").skipped
    assert 51 == store.documents.count(latest_only=False)
    with pytest.raises(docstore.InvalidDocument) as wrong:
        store.documents.put_many([{"id": "a"}, {"filename": "b"}])
    assert 1 == wrong.value.index


@pytest.mark.parametrize("mode", ["replace", "merge", "skip", "error"])
def test_a_batch_is_put_as_its_documents_are(store: docstore.Store, mode: Any) -> None:
    """Documents with ids: new ones alone, then the same and changed ones among new ones, by an iterator."""
    first: list[dict[str, Any]]
    first = [{"id": f"{n}", "filename": f"{n}.txt", "metadata": {"n": n}} for n in range(20)]
    changed: list[dict[str, Any]]
    changed = [] if mode == "error" else [{**row, "owner": "o", "metadata": {"m": 1}} for row in first[10:]]
    one, many = (store.scoped(tenant=name).documents for name in ("one", "many"))
    second: list[dict[str, Any]] = [*first[:10], *changed, *({"id": f"new{n}"} for n in range(10))]
    for rows in (first, second):
        alone = Counter(one.put(**row, on_conflict=mode).outcome for row in rows)
        together = many.put_many(iter(rows), on_conflict=mode)
        counted = {name: getattr(together, name) for name in alone}
        assert (alone, [row["id"] for row in rows]) == (counted, together.ids)
    assert [_told(document) for document in one] == [_told(document) for document in many]


def _told(document: Document) -> dict[str, Any]:
    """Return what a record says, but for what the clock and the tenant make of it."""
    chance = {"tenant", "number", "created_at", "first_created_at", "updated_at"}
    return document.model_dump(exclude=chance)


def test_of_an_id_twice_in_a_batch_the_last_wins(store: docstore.Store) -> None:
    """It is one document, added once."""
    result = store.documents.put_many([{"id": f"{n % 10}", "filename": f"{n}"} for n in range(11)])
    assert (10, 11, "10") == (result.added, len(result.ids), store.documents.get("0").filename)


def _mixed() -> Iterator[dict[str, Any]]:
    yield {"id": "taken", "metadata": {"n": 1}}
    yield {"id": "a", "source": "/no/such/file"}
    yield {"id": "b", "source": io.BytesIO(b"once")}
    yield {"id": "c", "metadata": {"x": float("nan")}}
    yield {"id": "d", "unknown": 1}
    yield {"id": "e", "source": io.BytesIO(b"x"), "size": 2}
    yield {"id": "f", "source": b"bytes"}


@pytest.mark.parametrize("verb", ["add_many", "put_many"])
def test_failures_are_collected(store: docstore.Store, verb: str) -> None:
    """Each with its place and error; the others are stored, each source read once."""
    store.documents.add(id="taken")
    more = {"on_conflict": "error"} if verb == "put_many" else {}
    result = getattr(store.documents, verb)(_mixed(), on_error="collect", **more)
    assert ["b", "f"] == result.ids
    assert [0, 1, 3, 4, 5] == [index for index, _ in result.failed]
    assert [docstore.AlreadyExists, docstore.InvalidDocument, docstore.SizeMismatch] == [
        type(result.failed[at][1]) for at in (0, 2, 4)
    ]
    assert 3 == result.failed[2][1].index
    assert (b"once", b"bytes") == tuple(map(store.documents.read_bytes, ("b", "f")))
    assert "failed=5)" in repr(result)
    with pytest.raises(docstore.InvalidDocument):
        getattr(store.documents, verb)([], on_error="ignore")


def test_put_in_a_transaction_is_undone_with_it(store: docstore.Store) -> None:
    """Row and bytes are as they were."""
    made = store.documents.put(b"one", id="k").document

    def fail() -> None:
        with store.transaction():
            store.documents.put(b"two", id="k", metadata={"n": 1})
            store.documents.put(b"new", external_id="e")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert made == store.documents.get("k")
    assert (b"one", 1) == (store.documents.read_bytes("k"), store.documents.count())


@pytest.mark.parametrize("key", ["id", "external_id"])
def test_many_are_written_by_a_few_statements(
    store: docstore.Store, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Putting, updating, claiming and deleting take no statement for each document, whoever owns them."""
    if store._context.backend.name == "memory":
        return
    statements = record_statements(monkeypatch)
    calls: list[Callable[[list[dict[str, Any]]], object]] = [
        lambda rows: store.documents.put_many(rows),
        lambda rows: store.documents.put_many(
            [{**row, "filename": "x", "status": "failed", "metadata": {"n": n}} for n, row in enumerate(rows)]
        ),
        lambda rows: store.documents.put_many(
            [{**row, "metadata": {"m": 1}} for row in rows], on_conflict="merge"
        ),
        lambda rows: store.documents.update_many({}, metadata={"a": 1}),
        lambda rows: store.documents.update_many({}, {"$inc": {"metadata.n": 1}}),
        lambda rows: store.documents.update_many({}, content="text"),
        lambda rows: store.documents.retry_many({}),
        lambda rows: store.documents.claim(1_000),
        lambda rows: store.documents.delete_many({}),
    ]
    taken: dict[int, list[int]] = {}
    for size in (20, 60):
        rows = [{key: f"{size}-{n}", "owner": f"o{n}"} for n in range(size)]
        for call in calls:
            statements.clear()
            call(rows)
            # SQLite's index of texts takes documents one by one
            taken.setdefault(size, []).append(sum("_text" not in text for text, _ in statements))
    assert all(more < few + 10 for few, more in zip(taken[20], taken[60], strict=True)), taken
