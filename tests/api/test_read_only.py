"""A store opened for reading alone: every read works, every write is ReadOnlyStore before any I/O."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import docstore
from docstore.aio import AsyncStore
from docstore.aio.documents import AsyncDocuments
from docstore.aio.extractions import AsyncExtractions
from docstore.documents import Documents
from docstore.extractions import Extractions
from docstore.store import Store

pytestmark = pytest.mark.filterwarnings("error")


class Untouched:
    """A source that must not be read."""

    def read(self, size: int = -1) -> bytes:
        raise AssertionError("the source was read")

    def seek(self, *where: int) -> int:
        raise AssertionError("the source was moved")


_DOCUMENTS: dict[str, Callable[[Any, str], Any]] = {
    "add": lambda documents, id: documents.add(Untouched(), filename="a.txt"),
    "add_many": lambda documents, id: documents.add_many([{"filename": "a", "content": "b"}]),
    "put": lambda documents, id: documents.put(Untouched(), external_id="a"),
    "put_many": lambda documents, id: documents.put_many([{"id": "a", "content": "b"}]),
    "update": lambda documents, id: documents.update(id, metadata={"a": 1}),
    "update_many": lambda documents, id: documents.update_many({}, metadata={"a": 1}),
    "delete": lambda documents, id: documents.delete(id),
    "delete_many": lambda documents, id: documents.delete_many({}),
    "start": lambda documents, id: documents.start(id),
    "complete": lambda documents, id: documents.complete(id, content="text"),
    "fail": lambda documents, id: documents.fail(id, "why"),
    "retry": lambda documents, id: documents.retry(id),
    "retry_many": lambda documents, id: documents.retry_many({}),
    "claim": lambda documents, id: documents.claim(),
    "process": lambda documents, id: documents.process(lambda document: None),
}
_EXTRACTIONS: dict[str, Callable[[Any, str], Any]] = {
    "add": lambda extractions, id: extractions.add(id, {"a": 1}),
    "add_many": lambda extractions, id: extractions.add_many([{"document_id": id}]),
    "review_many": lambda extractions, id: extractions.review_many([], reviewed_by="me"),
    "update_many": lambda extractions, id: extractions.update_many({}, metadata={"a": 1}),
    "delete_many": lambda extractions, id: extractions.delete_many({}),
    "retry": lambda extractions, id: extractions.retry(id),
    "retry_many": lambda extractions, id: extractions.retry_many({}),
    "start": lambda extractions, id: extractions.start(id),
    "complete": lambda extractions, id: extractions.complete(id, {"a": 1}),
    "fail": lambda extractions, id: extractions.fail(id, "why"),
    "update": lambda extractions, id: extractions.update(id, metadata={"a": 1}),
    "delete": lambda extractions, id: extractions.delete(id),
    "review": lambda extractions, id: extractions.review(id, {"a": 1}, reviewed_by="me"),
}
_STORE: dict[str, Callable[[Any, Any], Any]] = {
    "repair": lambda store, report: store.repair(report, dry_run=False),
    "collect": lambda store, report: store.collect(0),
    "erase": lambda store, report: store.erase(tenant="a"),
    "adopt_blobs": lambda store, report: store.adopt_blobs(),
    "create_index": lambda store, report: store.create_index("metadata.a"),
    "drop_index": lambda store, report: store.drop_index("metadata.a"),
    "transaction": lambda store, report: store.transaction(),
    "join": lambda store, report: store.join(object()),
}
_READS_RECORDS = {
    "find", "find_one", "iterate", "count", "count_by", "exists", "get", "get_many", "explain", "fields",
    "distinct", "bounds", "rows", "to_arrow",
}  # fmt: skip
_READS: dict[type[object], set[str]] = {
    Documents: _READS_RECORDS
    | {"versions", "get_by_external_id", "open", "read_bytes", "download", "url", "locations"},
    Extractions: _READS_RECORDS,
    Store: {"check", "stats", "indexes", "advise", "scoped", "unscoped", "close", "backup", "position"},
}


@pytest.mark.parametrize(
    ("kind", "writes"), [(Documents, _DOCUMENTS), (Extractions, _EXTRACTIONS), (Store, _STORE)]
)
def test_every_public_method_is_known_to_read_or_to_write(kind: type[object], writes: dict[str, Any]) -> None:
    """A new method is put among the reads or the writes of this module, and so is tested here."""
    public = {name for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_")}
    assert public <= _READS[kind] | writes.keys()


@pytest.fixture
def opened(store: docstore.Store, tmp_path: Any) -> tuple[Store, Store]:
    """A store that holds something, and the same one opened for reading alone."""
    document = store.documents.add(b"one", filename="one.txt", content="one", metadata={"a": 1}, tenant="a")
    store.extractions.add(document.id, {"a": 1})
    backend = store._context.backend
    return store, docstore.open(backend, blobs=str(tmp_path / "files"), read_only=True)


def test_every_write_is_refused(opened: tuple[Store, Store]) -> None:
    """Each call that would change the store raises ReadOnlyStore, whatever its arguments; nothing changes."""
    store, reader = opened
    before = [*store.documents.iterate(), *store.extractions.iterate()]
    document, extraction = store.documents.find().items[0].id, store.extractions.find().items[0].id
    report = reader.check()
    for view in (reader, reader.scoped(tenant="a")):
        for name, call in _of(Documents, _DOCUMENTS):
            with pytest.raises(docstore.ReadOnlyStore, match=f"^{name} would change"):
                call(view.documents, document)
        for name, call in _of(Extractions, _EXTRACTIONS):
            with pytest.raises(docstore.ReadOnlyStore, match=f"^{name} would change"):
                call(view.extractions, extraction)
        for name, call in _of(Store, _STORE):
            with pytest.raises(docstore.ReadOnlyStore, match=f"^{name} would change") as refused:
                _entered(call(view, report))
            assert refused.value.reason == "it was opened with read_only=True"
    assert [*store.documents.iterate(), *store.extractions.iterate()] == before


def _of(
    kind: type, writes: dict[str, Callable[[Any, Any], Any]]
) -> list[tuple[str, Callable[[Any, Any], Any]]]:
    """Return the writes that the class has."""
    return [(name, call) for name, call in writes.items() if hasattr(kind, name)]


def _entered(block: Any) -> None:
    with block:
        raise AssertionError("a block was entered")


def test_a_claim_cannot_be_ended_through_it(opened: tuple[Store, Store]) -> None:
    """Not even by a claim that another store took."""
    store, reader = opened
    store.documents.add(filename="b.txt", status="pending", content="b")
    claim = store.documents.claim()[0]
    claim._queue = reader.documents._queue
    for step in (lambda: claim.complete(content="x"), lambda: claim.fail("y"), claim.heartbeat):
        with pytest.raises(docstore.ReadOnlyStore):
            step()


def test_every_read_works(opened: tuple[Store, Store], tmp_path: Any) -> None:
    """What only reads answers as the store that may write does, bytes and a dry repair included."""
    store, reader = opened
    document = store.documents.find().items[0]
    assert reader.documents.find({"metadata.a": 1}, search="one", total=True).total == 1
    assert reader.documents.read_bytes(document.id) == b"one"
    reader.documents.download(document.id, tmp_path / "copy.txt")
    assert (tmp_path / "copy.txt").read_bytes() == b"one"
    assert list(reader.documents.iterate()) == list(store.documents.iterate())
    assert list(reader.extractions.iterate()) == list(store.extractions.iterate())
    assert reader.documents.count_by("status") == store.documents.count_by("status")
    assert reader.documents.explain({"metadata.a": 1}) == store.documents.explain({"metadata.a": 1})
    assert reader.check("hash").ok
    assert reader.repair(reader.check()).dry_run
    assert reader.stats() == store.stats()
    assert reader.indexes() == []
    assert reader.advise() == store.advise()
    with docstore.open("memory://", blobs=str(tmp_path / "other")) as target:
        assert docstore.copy(reader, target).ok
        with pytest.raises(docstore.ReadOnlyStore):
            docstore.copy(target, reader)


def test_the_asynchronous_store_refuses_alike(sqlite_url: str) -> None:
    """open_async takes read_only, and its writes raise the same."""

    async def calls() -> None:
        with docstore.open(sqlite_url) as made:
            document = made.documents.add(filename="a", content="b")
            extraction = made.extractions.add(document.id, {"a": 1})
        async with docstore.open_async(sqlite_url, read_only=True) as store:
            assert await store.documents.count() == 1
            for name, call in _of(AsyncDocuments, _DOCUMENTS):
                await _refused(name, call(store.documents, document.id))
            for name, call in _of(AsyncExtractions, _EXTRACTIONS):
                await _refused(name, call(store.extractions, extraction.id))
            report = await store.check()
            for name, call in _of(AsyncStore, _STORE):
                made_of = call(store, report)
                await _refused(name, made_of if inspect.isawaitable(made_of) else made_of.__aenter__())

    asyncio.run(calls())


async def _refused(name: str, call: Awaitable[Any]) -> None:
    with pytest.raises(docstore.ReadOnlyStore, match=f"^{name} would change"):
        await call


def test_nothing_is_made_by_opening(tmp_path: Any) -> None:
    """Where there is no store, read_only makes none and says so."""
    with pytest.raises(docstore.UpgradeNeeded):
        docstore.open(f"sqlite:///{tmp_path}/none.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_the_error_survives_pickling() -> None:
    """With its reason, as every error does."""
    error = docstore.ReadOnlyStore("add would change it", reason="a standby")
    assert pickle.loads(pickle.dumps(error)).reason == "a standby"


def test_the_option_is_checked() -> None:
    """Anything but True and False is refused by name."""
    with pytest.raises(ValueError, match="read_only='yes'"):
        docstore.open("memory://", read_only="yes")  # type: ignore[arg-type]
