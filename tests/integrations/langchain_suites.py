"""LangChain's standard suites, record managers' rules and self-query on docstore: `nox -s integrations`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.indexing import InMemoryRecordManager, aindex, index
from langchain_core.structured_query import Comparator, Comparison, Operation, Operator, StructuredQuery
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_tests.integration_tests import (
    BaseStoreAsyncTests,
    BaseStoreSyncTests,
    RetrieversIntegrationTests,
)

import docstore
from docstore.dialects import from_langchain, to_langchain
from docstore.errors import BlobsNotConfigured, FilterError
from docstore.integrations.langchain import (
    DocstoreByteStore,
    DocstoreJsonStore,
    DocstoreLoader,
    DocstoreRecordManager,
    DocstoreRetriever,
    DocstoreTranslator,
)


class _Bytes:
    @pytest.fixture
    def kv_store(self, store: docstore.Store) -> DocstoreByteStore:
        return DocstoreByteStore(store)

    @pytest.fixture
    def three_values(self) -> tuple[bytes, bytes, bytes]:
        return b"", b"\x00\xff", b"large" * 20_000


class TestBytes(_Bytes, BaseStoreSyncTests[bytes]):
    """The suite of blocking key-value stores, on bytes."""


class TestBytesAwaited(_Bytes, BaseStoreAsyncTests[bytes]):
    """The suite of asynchronous key-value stores, on bytes."""


class _Json:
    @pytest.fixture
    def kv_store(self, store: docstore.Store) -> DocstoreJsonStore:
        return DocstoreJsonStore(store)

    @pytest.fixture
    def three_values(self) -> tuple[Any, Any, Any]:
        return {"a": [1, 1.5, {"$b": None}]}, "text", [True, 2**53 + 1]


class TestJson(_Json, BaseStoreSyncTests[Any]):
    """The suite of blocking key-value stores, on JSON."""


class TestJsonAwaited(_Json, BaseStoreAsyncTests[Any]):
    """The suite of asynchronous key-value stores, on JSON."""


class TestRetriever(RetrieversIntegrationTests):
    """The suite of retrievers."""

    @pytest.fixture(autouse=True)
    def _filled(self, store: docstore.Store) -> None:
        for n in range(4):
            store.documents.add(filename=f"{n}.txt", content=f"Porto, {n} times", metadata={"n": n})
        self.store = store

    @property
    def retriever_constructor(self) -> type[DocstoreRetriever]:
        return DocstoreRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"store": self.store}

    @property
    def retriever_query_example(self) -> str:
        return "Where is Porto?"


def test_keys_are_any_text(store: docstore.Store) -> None:
    """Long, empty and strange keys are kept apart, and found by their beginnings."""
    values = DocstoreJsonStore(store)
    keys = ["", "a", "a%", "a_", "a/b", "x" * 5_000, 'quo"te\\', "é", "%"]
    values.mset([(key, n) for n, key in enumerate(keys)])
    assert list(range(len(keys))) == values.mget(keys)
    assert keys == list(values.yield_keys())
    for prefix in ("a", "a%", "x" * 4_000, 'quo"', ""):
        assert [key for key in keys if key.startswith(prefix)] == list(values.yield_keys(prefix=prefix))


def test_namespaces_and_kinds_are_apart(store: docstore.Store) -> None:
    """One key of two namespaces, and of two kinds of values, is as many values."""
    kept = [
        DocstoreJsonStore(store, namespace="one"),
        DocstoreJsonStore(store, namespace="two"),
        DocstoreByteStore(store, namespace="one"),
    ]
    for values, value in zip(kept, [1, 2, b"3"], strict=True):
        values.mset([("key", value)])
    kept[0].mdelete(["key"])
    assert [[None], [2], [b"3"]] == [values.mget(["key"]) for values in kept]
    assert [[], ["key"], ["key"]] == [list(values.yield_keys()) for values in kept]


def test_a_pair_that_cannot_be_stored_stores_none(store: docstore.Store) -> None:
    """``mset`` is one commit, and of one key twice the last counts."""
    values = DocstoreJsonStore(store)
    values.mset([("a", 1), ("a", 2)])
    with pytest.raises(docstore.errors.InvalidDocument):
        values.mset([("a", 3), ("b", float("nan"))])
    assert [2, None] == values.mget(["a", "b"])


def test_large_bytes_need_a_place(tmp_path: Path) -> None:
    """By a URL without ``blobs=`` small values are kept, and a large one is refused by name."""
    values = DocstoreByteStore("memory://")
    values.mset([("small", b"1")])
    with pytest.raises(BlobsNotConfigured):
        values.mset([("large", bytes(100_000))])
    assert [b"1", None] == values.mget(["small", "large"])
    values.close()
    with_bytes = DocstoreByteStore("memory://", blobs=str(tmp_path))
    with_bytes.mset([("large", bytes(100_000))])
    assert [bytes(100_000)] == with_bytes.mget(["large"])
    with_bytes.close()


class TestRecordManager:
    """The rules of a record manager."""

    @pytest.fixture
    def manager(self, store: docstore.Store) -> DocstoreRecordManager:
        made = DocstoreRecordManager("tests/one", store)
        made.create_schema()
        return made

    def test_update_notes_keys(self, manager: DocstoreRecordManager, store: docstore.Store) -> None:
        """A key that is noted exists, once, in its namespace alone."""
        manager.update(["a", "b"])
        manager.update(["b", "c"])
        assert ["a", "b", "c"] == manager.list_keys()
        assert [True, False, True] == manager.exists(["c", "none", "a"])
        assert [] == DocstoreRecordManager("tests", store).list_keys()
        manager.delete_keys(["a", "none"])
        assert ["b", "c"] == manager.list_keys()

    def test_times_and_groups_choose(self, manager: DocstoreRecordManager) -> None:
        """``before`` and ``after`` leave out their own moment; an update moves the time and the group."""
        for time, keys, groups in (
            (10.0, ["a", "b"], ["x", None]),
            (20.5, ["c"], ["y"]),
            (30.0, ["a"], ["y"]),
        ):
            with patch.object(manager, "get_time", return_value=time):
                manager.update(keys, group_ids=groups)
        assert ["b"] == manager.list_keys(before=20.5)
        assert ["a"] == manager.list_keys(after=20.5)
        assert ["c"] == manager.list_keys(after=10.0, before=30.0)
        assert ["a", "c"] == manager.list_keys(group_ids=["y"])
        assert [] == manager.list_keys(group_ids=["x"])
        assert ["a", "b"] == manager.list_keys(limit=2)

    def test_wrong_calls_are_refused(self, manager: DocstoreRecordManager) -> None:
        """A group is asked for each key; a time that is ahead of the clock is refused; nothing is noted."""
        with pytest.raises(ValueError, match="group_ids"):
            manager.update(["a", "b"], group_ids=["x"])
        with pytest.raises(ValueError, match="time_at_least"):
            manager.update(["a"], time_at_least=manager.get_time() + 3600)
        assert [] == manager.list_keys()
        manager.update(["a"], time_at_least=manager.get_time())
        assert ["a"] == manager.list_keys()

    def test_time_never_stands_before_a_key(self, manager: DocstoreRecordManager) -> None:
        """What is noted after the time was asked is never before that time."""
        before = manager.get_time()
        manager.update(["a"])
        assert [] == manager.list_keys(before=before)
        assert ["a"] == manager.list_keys(before=manager.get_time() + 1)

    @pytest.mark.parametrize("awaited", [False, True])
    @pytest.mark.parametrize("cleanup", [None, "incremental", "full", "scoped_full"])
    def test_indexing_is_as_with_the_manager_in_memory(
        self, manager: DocstoreRecordManager, cleanup: Any, awaited: bool
    ) -> None:
        """LangChain's ``index`` adds, skips and deletes the same documents as with its own manager."""
        theirs = InMemoryRecordManager("tests")
        theirs.create_schema()
        vectors = [InMemoryVectorStore(DeterministicFakeEmbedding(size=3)) for _ in range(2)]
        told: list[list[Any]] = [[], []]
        rounds = [["a", "b", "c"], ["a", "b2"], ["c", "d"], []]
        for texts in rounds:
            given = [Document(text, metadata={"source": text[0]}) for text in texts]
            for which, records in enumerate((manager, theirs)):
                asked: dict[str, Any] = {
                    "cleanup": cleanup,
                    "source_id_key": "source",
                    "batch_size": 2,
                    "key_encoder": "sha256",
                }
                if awaited:
                    done = asyncio.run(aindex(given, records, vectors[which], **asked))
                else:
                    done = index(given, records, vectors[which], **asked)
                told[which].append((done, sorted(one["text"] for one in vectors[which].store.values())))
        assert told[0] == told[1]


def test_the_loader_reads_what_matches(store: docstore.Store) -> None:
    """Content, metadata and id of the documents that match, in the order asked, one after the other."""
    docs = [
        store.documents.add(filename=f"{n}.txt", content=f"text {n}", metadata={"n": n, "tags": ["x"]})
        for n in range(3)
    ]
    empty = store.documents.add(filename="none.pdf", metadata={"n": 9, "source": "elsewhere"})
    loader = DocstoreLoader(store, filter={"metadata.n": {"$gte": 1}}, sort="-metadata.n")
    first = next(loader.lazy_load())
    assert ("", empty.id, "elsewhere") == (first.page_content, first.id, first.metadata["source"])
    found = loader.load()
    assert [empty.id, docs[2].id, docs[1].id] == [one.id for one in found]
    assert Document("text 2", id=docs[2].id, metadata={"source": "2.txt", "n": 2, "tags": ["x"]}) == found[1]
    assert found == asyncio.run(loader.aload())
    with pytest.raises(FilterError):
        DocstoreLoader(store, filter={"n": 1}).load()


def test_the_retriever_filters(store: docstore.Store) -> None:
    """A filter of its own, or of a call, narrows what is found; ``match="all"`` asks for every term."""
    for n, text in enumerate(["Porto in Portugal", "Porto, Porto", "Oslo"]):
        store.documents.add(filename=f"{n}", content=text, metadata={"n": n})
    retriever = DocstoreRetriever(store=store, filter={"metadata.n": {"$gt": 0}})
    assert [1] == [one.metadata["n"] for one in retriever.invoke("Porto?")]
    assert [1, 0] == [one.metadata["n"] for one in retriever.invoke("Porto?", filter={})]
    assert [2] == [one.metadata["n"] for one in asyncio.run(retriever.ainvoke("oslo or bergen", k=1))]
    assert [] == retriever.invoke("?!")
    exactly = DocstoreRetriever(store=store, match="all")
    assert [0] == [one.metadata["n"] for one in exactly.invoke("porto portugal")]


def test_the_translator_translates() -> None:
    """The three visits give a filter, and a structured query its text and what to search it with."""
    translator = DocstoreTranslator()
    old = Comparison(Comparator.LT, "year", 2000)
    both = Operation(Operator.AND, [old, Comparison(Comparator.EQ, "genre", "drama")])
    assert {"metadata.year": {"$lt": 2000}} == translator.visit_comparison(old)
    assert {"$and": [{"metadata.year": {"$lt": 2000}}, {"metadata.genre": "drama"}]} == both.accept(
        translator
    )
    query = StructuredQuery(query="love", filter=both)
    assert ("love", {"filter": both.accept(translator)}) == translator.visit_structured_query(query)
    assert ("love", {}) == translator.visit_structured_query(StructuredQuery(query="love", filter=None))


def directives() -> list[Any]:
    """Every comparator and operator of LangChain's own."""
    values: dict[Comparator, Any] = {
        Comparator.IN: ["a", 1],
        Comparator.NIN: [None, "b"],
        Comparator.LIKE: "a%_b*",
        Comparator.CONTAIN: "part",
    }
    plain = [Comparison(comparator, "a.b", values.get(comparator, 5)) for comparator in Comparator]
    dated = Comparison(Comparator.GTE, "day", {"type": "datetime", "datetime": "2024-01-01T00:00:00Z"})
    joined = [Operation(operator, plain[:2]) for operator in (Operator.AND, Operator.OR)]
    return [*plain, dated, *joined, Operation(Operator.NOT, [joined[1]])]


@pytest.mark.parametrize("directive", directives(), ids=str)
def test_directives_come_back(directive: Any) -> None:
    """``to_langchain`` gives LangChain's objects, and what they mean is the filter that they came from."""
    filter = from_langchain(directive)
    back = to_langchain(filter)
    assert filter == from_langchain(back)
    assert type(directive) is type(back) or directive.comparator == Comparator.NE
