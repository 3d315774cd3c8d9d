"""LlamaIndex's stores over docstore beside its own in memory: `nox -s integrations`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import StorageContext, SummaryIndex
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import BaseNode, Document, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.storage.docstore.keyval_docstore import KVDocumentStore
from llama_index.core.storage.index_store.keyval_index_store import KVIndexStore
from llama_index.core.storage.kvstore.simple_kvstore import SimpleKVStore
from llama_index.core.vector_stores import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

import docstore
from docstore.dialects import from_llama_index, to_llama_index
from docstore.errors import InvalidDocument
from docstore.integrations.llama_index import DocstoreDocumentStore, DocstoreKVStore


@pytest.fixture
def values(store: docstore.Store) -> DocstoreKVStore:
    return DocstoreKVStore(store)


@pytest.fixture
def nodes(store: docstore.Store) -> DocstoreDocumentStore:
    return DocstoreDocumentStore(store)


def test_values_are_as_in_memory(values: DocstoreKVStore) -> None:
    """Each method gives what LlamaIndex's own store gives, of each collection."""
    theirs = SimpleKVStore()
    for kept in (values, theirs):
        kept.put("a", {"n": 1})
        kept.put("a", {"n": 2, "deep": {"list": [1, 1.5, None, {"$x": ""}]}})
        kept.put("b", {})
        kept.put("a", {"other": True}, collection="second")
    for collection in ("data", "second", "none"):
        assert theirs.get_all(collection) == values.get_all(collection)
        for key in ("a", "b", "c"):
            assert theirs.get(key, collection) == values.get(key, collection)
    for key in ("a", "a", "c"):
        assert theirs.delete(key) == values.delete(key)
    assert theirs.get_all() == values.get_all()
    assert {"a": {"other": True}} == values.get_all("second")


def test_the_awaited_methods(values: DocstoreKVStore) -> None:
    """The awaited methods do what the others do."""

    async def run() -> None:
        await values.aput("a", {"n": 1})
        await values.aput_all([("b", {"n": 2}), ("b", {"n": 3})], batch_size=10)
        assert {"n": 3} == await values.aget("b")
        assert [True, False] == [await values.adelete("a"), await values.adelete("a")]
        assert {"b": {"n": 3}} == await values.aget_all()

    asyncio.run(run())


def test_many_pairs_are_one_commit(values: DocstoreKVStore) -> None:
    """A pair that cannot be stored stores none."""
    with pytest.raises(InvalidDocument):
        values.put_all([("a", {"n": 1}), ("b", {"n": float("nan")})])
    assert {} == values.get_all()


def test_long_and_odd_values_are_whole(values: DocstoreKVStore) -> None:
    """Texts beyond what metadata holds, and with NUL, come back as they were; a short one replaces them."""
    given = {"long": {"text": "é" * 700_000}, "nul": {"text": "a\0b\\u0000"}, "small": {"text": "a"}}
    values.put_all(list(given.items()))
    assert given == values.get_all()
    values.put("long", {"text": "short"})
    assert {"text": "short"} == values.get("long")


def example() -> list[BaseNode]:
    """Return two nodes of one document, and one of its own."""
    made: list[BaseNode] = [TextNode(text=f"text {n}", id_=f"n{n}", metadata={"n": n}) for n in range(3)]
    for node in made[:2]:
        node.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id="doc")
    return made


def told(kept: KVDocumentStore) -> dict[str, Any]:
    """Return all that a document store says of its nodes."""
    infos = kept.get_all_ref_doc_info() or {}
    return {
        "docs": {key: node.to_dict() for key, node in kept.docs.items()},
        "hashes": kept.get_all_document_hashes(),
        "refs": {key: (info.node_ids, info.metadata) for key, info in infos.items()},
        "there": [kept.document_exists(key) for key in ("n0", "n1", "none")],
        "of doc": kept.ref_doc_exists("doc"),
    }


@pytest.mark.parametrize("awaited", [False, True])
def test_nodes_are_as_in_memory(nodes: DocstoreDocumentStore, awaited: bool) -> None:
    """Adding, hashing, deleting a node and a document leave what LlamaIndex's own blocking methods leave.

    Its awaited ones forget to take a deleted node out of its document's list.
    """
    theirs = SimpleDocumentStore()

    async def step(kept: KVDocumentStore, number: int, awaited: bool) -> None:
        steps: list[tuple[Any, Any, tuple[Any, ...]]] = [
            (kept.add_documents, kept.async_add_documents, (example(),)),
            (kept.set_document_hash, kept.aset_document_hash, ("n2", "hash")),
            (kept.delete_document, kept.adelete_document, ("n0",)),
            (kept.add_documents, kept.async_add_documents, ([TextNode(text="new", id_="n2")],)),
            (kept.delete_ref_doc, kept.adelete_ref_doc, ("doc",)),
            (kept.delete_document, kept.adelete_document, ("none", False)),
        ]
        plain, waited, arguments = steps[number]
        if awaited:
            await waited(*arguments)
        else:
            plain(*arguments)

    for number in range(6):
        asyncio.run(step(nodes, number, awaited))
        asyncio.run(step(theirs, number, awaited=False))
        assert told(theirs) == told(nodes), number


def test_refused_nodes_leave_nothing(nodes: DocstoreDocumentStore) -> None:
    """A node that is there, without leave to update, undoes the whole call; what is missing is an error."""
    nodes.add_documents(example()[2:])
    before = told(nodes)
    with pytest.raises(ValueError, match="n2"):
        nodes.add_documents(example(), allow_update=False)
    with pytest.raises(InvalidDocument):
        nodes.add_documents([*example()[:2], TextNode(text="x", metadata={"n": 2**70})])
    assert before == told(nodes)
    with pytest.raises(ValueError, match="none"):
        nodes.get_document("none")
    with pytest.raises(ValueError, match="none"):
        nodes.delete_document("none")
    assert nodes.get_document("none", raise_error=False) is None


def test_namespaces_and_tenants_are_apart(store: docstore.Store) -> None:
    """One node of two namespaces, and of two tenants, is as many nodes."""
    kept = [
        DocstoreDocumentStore(store, "one"),
        DocstoreDocumentStore(store, "two"),
        DocstoreDocumentStore(store.scoped(tenant="acme"), "one"),
        DocstoreDocumentStore(store.scoped(tenant="bolt"), "one"),
    ]
    for which in (0, 1, 2, 3):
        kept[which].add_documents([TextNode(text=str(which), id_=f"{which}")])
    assert [{"1"}, {"2"}, {"3"}] == [set(one.docs) for one in kept[1:]]


def test_the_ingestion_pipeline_skips_what_it_had(nodes: DocstoreDocumentStore) -> None:
    """The same documents again give no nodes, a changed one gives its own, as with the store in memory."""

    def pipeline(kept: Any) -> IngestionPipeline:
        return IngestionPipeline(
            transformations=[SentenceSplitter(chunk_size=64, chunk_overlap=0)],
            docstore=kept,
            docstore_strategy=DocstoreStrategy.DUPLICATES_ONLY,
            disable_cache=True,
        )

    rounds = [["one", "two"], ["one", "two"], ["one", "two, changed"], ["three"]]
    mine, theirs = pipeline(nodes), pipeline(SimpleDocumentStore())
    for texts in rounds:
        given = [Document(text=text, doc_id=text[:3]) for text in texts]
        made = [sorted(node.text for node in one.run(documents=given)) for one in (mine, theirs)]
        assert made[0] == made[1]
        assert asyncio.run(mine.arun(documents=given)) == []


def test_an_index_is_kept_and_loaded(tmp_path: Path) -> None:
    """A ``StorageContext`` on a URL holds nodes and indexes, which another process finds by their ids."""
    url = f"sqlite:///{tmp_path}/llama.db"

    def context() -> tuple[StorageContext, list[Any]]:
        documents, values = DocstoreDocumentStore(url), DocstoreKVStore(url)
        made = StorageContext.from_defaults(docstore=documents, index_store=KVIndexStore(values))
        return made, [documents, values]

    first, opened = context()
    index = SummaryIndex([TextNode(text="figs", id_="1")], storage_context=first)
    for one in opened:
        one.close()
    second, opened = context()
    (struct,) = second.index_store.index_structs()
    assert index.index_id == struct.index_id
    assert ["figs"] == [node.text for node in second.docstore.get_nodes(struct.nodes)]
    for one in opened:
        one.close()


def filters() -> list[MetadataFilters]:
    """Every operator and condition of LlamaIndex that both sides can say."""
    lists = {FilterOperator.IN, FilterOperator.NIN, FilterOperator.ANY, FilterOperator.ALL}
    texts = {FilterOperator.CONTAINS, FilterOperator.TEXT_MATCH, FilterOperator.TEXT_MATCH_INSENSITIVE}
    plain = []
    for operator in FilterOperator:
        value: Any = ["a", "b"] if operator in lists else "a" if operator in texts else 5
        value = None if operator == FilterOperator.IS_EMPTY else value
        plain.append(MetadataFilter(key="a.b", value=value, operator=operator))
    joined = [MetadataFilters(filters=plain[:3], condition=condition) for condition in FilterCondition]
    nested = MetadataFilters(filters=[plain[0], joined[1]], condition=FilterCondition.AND)
    return [*(MetadataFilters(filters=[one]) for one in plain), *joined, nested]


@pytest.mark.parametrize("given", filters(), ids=repr)
def test_filters_come_back(given: MetadataFilters) -> None:
    """``to_llama_index`` gives LlamaIndex's objects, and what they mean is the filter that they came from."""
    filter = from_llama_index(given)
    back = to_llama_index(filter)
    assert isinstance(back, MetadataFilters)
    assert filter == from_llama_index(back)
