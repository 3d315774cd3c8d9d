"""Haystack's own suites on its document store over docstore, every exported class: `nox -s integrations`."""

from __future__ import annotations

from pathlib import Path

import pytest
from haystack import Document, Pipeline
from haystack.dataclasses import ByteStream, SparseEmbedding
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack.errors import FilterError
from haystack.testing import document_store as suites
from haystack.testing import document_store_async as awaited
from haystack.utils import Secret

import docstore
from docstore.integrations.haystack import DocstoreDocumentStore, DocstoreKeywordRetriever


class TestHaystack(
    suites.DocumentStoreBaseExtendedTests,
    suites.CountDocumentsByFilterTest,
    suites.CountUniqueMetadataByFilterTest,
    suites.GetMetadataFieldsInfoTest,
    suites.GetMetadataFieldMinMaxTest,
    suites.GetMetadataFieldUniqueValuesTest,
    awaited.DeleteAllAsyncTest,
    awaited.CountDocumentsAsyncTest,
    awaited.CountDocumentsByFilterAsyncTest,
    awaited.CountUniqueMetadataByFilterAsyncTest,
    awaited.DeleteByFilterAsyncTest,
    awaited.UpdateByFilterAsyncTest,
    awaited.WriteDocumentsAsyncTest,
    awaited.DeleteDocumentsAsyncTest,
    awaited.GetMetadataFieldsInfoAsyncTest,
    awaited.GetMetadataFieldMinMaxAsyncTest,
    awaited.GetMetadataFieldUniqueValuesAsyncTest,
    awaited.FilterDocumentsAsyncTest,
):
    """Every class of the suites; the two cases below are those that each store writes for itself."""

    @pytest.fixture
    def document_store(self, store: docstore.Store) -> DocstoreDocumentStore:
        return DocstoreDocumentStore(store)

    def test_write_documents(self, document_store: DocstoreDocumentStore) -> None:
        """Without a policy an id that is there is refused, and nothing of that call is written."""
        there, new = Document(content="there"), Document(content="new")
        assert 1 == document_store.write_documents([there])
        with pytest.raises(DuplicateDocumentError):
            document_store.write_documents([new, there])
        self.assert_documents_are_equal(document_store.filter_documents(), [there])

    @pytest.mark.asyncio
    async def test_write_documents_async(self, document_store: DocstoreDocumentStore) -> None:
        """The same, awaited."""
        there, new = Document(content="there"), Document(content="new")
        assert 1 == await document_store.write_documents_async([there])
        with pytest.raises(DuplicateDocumentError):
            await document_store.write_documents_async([new, there])
        self.assert_documents_are_equal(await document_store.filter_documents_async(), [there])


class TestOfOurOwn:
    """What the suites do not ask."""

    @pytest.fixture
    def document_store(self, store: docstore.Store) -> DocstoreDocumentStore:
        return DocstoreDocumentStore(store)

    def test_documents_come_back_whole(self, document_store: DocstoreDocumentStore) -> None:
        """Content and no content, bytes, vectors and nested meta are what they were."""
        given = [
            Document(content="", meta={"a": {"b": [1, 1.5, None, True]}, "$inc": 1, "a.b": "dotted"}),
            Document(blob=ByteStream(b"\x00\xff", mime_type="image/png"), meta={"content": "in the meta"}),
            Document(
                content="x",
                embedding=[0.1, 1 / 3, 1e-300],
                sparse_embedding=SparseEmbedding(indices=[1, 5], values=[0.5, 0.25]),
                score=0.75,
            ),
        ]
        document_store.write_documents(given)
        assert given == document_store.filter_documents()

    def test_the_fields_beside_meta_are_filtered(self, document_store: DocstoreDocumentStore) -> None:
        """``id`` and ``content`` are what a filter may name; what is kept without a field is refused."""
        one, two = Document(content="one"), Document(content="two")
        document_store.write_documents([one, two])
        by_id = {"field": "id", "operator": "in", "value": [two.id]}
        assert [two] == document_store.filter_documents(by_id)
        assert [one] == document_store.filter_documents(
            {"field": "content", "operator": "==", "value": "one"}
        )
        with pytest.raises(FilterError, match="embedding"):
            document_store.filter_documents({"field": "embedding", "operator": "==", "value": None})

    def test_one_text_of_two_tenants_is_two_documents(self, store: docstore.Store) -> None:
        """The id is a hash of the content: neither tenant sees, overwrites or deletes the other's."""
        first, second = (DocstoreDocumentStore(store.scoped(tenant=name)) for name in ("acme", "bolt"))
        same = Document(content="the same")
        assert [1, 1] == [one.write_documents([same], DuplicatePolicy.FAIL) for one in (first, second)]
        first.delete_all_documents()
        assert [[], [same]] == [one.filter_documents() for one in (first, second)]

    def test_documents_of_others_have_an_id(self, store: docstore.Store) -> None:
        """What was added to the store by itself is found, and deleted by the id that it is given with."""
        named = store.documents.add(filename="a.txt", content="a", external_id="reports/a")
        plain = store.documents.add(filename="b.txt", content="b")
        document_store = DocstoreDocumentStore(store)
        assert [named.external_id, plain.id] == [one.id for one in document_store.filter_documents()]
        document_store.delete_documents([plain.id])
        assert ["reports/a"] == [one.id for one in document_store.filter_documents()]

    def test_ids_given_twice(self, document_store: DocstoreDocumentStore) -> None:
        """FAIL refuses them, SKIP keeps the first, OVERWRITE the last."""
        twice = [Document(id="1", content="first"), Document(id="1", content="last")]
        with pytest.raises(DuplicateDocumentError):
            document_store.write_documents(twice, DuplicatePolicy.FAIL)
        assert 1 == document_store.write_documents(twice, DuplicatePolicy.SKIP)
        assert ["first"] == [one.content for one in document_store.filter_documents()]
        assert 2 == document_store.write_documents(twice, DuplicatePolicy.OVERWRITE)
        assert ["last"] == [one.content for one in document_store.filter_documents()]

    def test_the_retriever_ranks(self, document_store: DocstoreDocumentStore) -> None:
        """Any word of a question counts, the best document comes first and has a score; filters narrow."""
        texts = ["Lisbon lies in Portugal", "Porto, Porto in Portugal", "Oslo"]
        document_store.write_documents(
            [Document(content=text, meta={"n": n}) for n, text in enumerate(texts)]
        )
        retriever = DocstoreKeywordRetriever(document_store, top_k=2)
        found = retriever.run("What or where is Porto?")["documents"]
        assert ["Porto, Porto in Portugal"] == [one.content for one in found]
        both = retriever.run("Porto Portugal")["documents"]
        assert [1, 0] == [one.meta["n"] for one in both]
        assert both[0].score > both[1].score > 0
        narrowed = retriever.run("Portugal", {"field": "meta.n", "operator": "==", "value": 0})
        assert [0] == [one.meta["n"] for one in narrowed["documents"]]
        assert [] == retriever.run("?")["documents"]
        exactly = DocstoreKeywordRetriever(document_store, match="all").run('"in Portugal" -Porto')
        assert [0] == [one.meta["n"] for one in exactly["documents"]]

    async def test_the_retriever_awaited(self, document_store: DocstoreDocumentStore) -> None:
        """``run_async`` finds what ``run`` finds."""
        document_store.write_documents([Document(content="Oslo")])
        retriever = DocstoreKeywordRetriever(document_store)
        assert retriever.run("Oslo") == await retriever.run_async("Oslo")

    def test_dates_have_bounds_as_text(self, document_store: DocstoreDocumentStore) -> None:
        """The least and the greatest of texts are the texts themselves; without values there is neither."""
        document_store.write_documents(
            [Document(content=day, meta={"day": day}) for day in ("2024-02-01", "2023-01-01")]
        )
        assert {"min": "2023-01-01", "max": "2024-02-01"} == document_store.get_metadata_field_min_max(
            "meta.day"
        )
        assert {"min": None, "max": None} == document_store.get_metadata_field_min_max("none")


def test_pipelines_are_written_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store made of a URL or a secret is described by it, without the secret; an open one is not."""
    url = f"sqlite:///{tmp_path}/haystack.db"
    monkeypatch.setenv("DOCUMENTS", url)
    for store in (url, Secret.from_env_var("DOCUMENTS")):
        document_store = DocstoreDocumentStore(store, query_timeout=5.0)
        document_store.write_documents([Document(content="Oslo")], DuplicatePolicy.OVERWRITE)
        pipeline = Pipeline()
        pipeline.add_component("retriever", DocstoreKeywordRetriever(document_store, filter_policy="merge"))
        described = pipeline.dumps()
        document_store.close()
        assert (url in described) == (store is url)
        again = Pipeline.loads(described, unsafe=True)
        found = again.run({"retriever": {"query": "oslo"}})["retriever"]["documents"]
        assert ["Oslo"] == [one.content for one in found]
        again.get_component("retriever").document_store.close()
    with docstore.open("memory://") as opened, pytest.raises(ValueError, match="Secret"):
        DocstoreDocumentStore(opened).to_dict()
