"""LlamaIndex: a key-value store, and on it the document store of indexes and ingestion pipelines.

A node's metadata stands below ``metadata.value.__data__.metadata``. Filters of LlamaIndex are read by
:func:`docstore.dialects.from_llama_index`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from docstore.errors import BackendNotInstalled
from docstore.integrations.stores import KeyedValues, StoreHolder
from docstore.models import Document as Record
from docstore.store import Store

try:
    from llama_index.core.schema import BaseNode
    from llama_index.core.storage.docstore.keyval_docstore import KVDocumentStore
    from llama_index.core.storage.kvstore.types import DEFAULT_BATCH_SIZE, DEFAULT_COLLECTION, BaseKVStore
except ImportError as _missing:
    raise BackendNotInstalled(
        "docstore.integrations.llama_index needs LlamaIndex: run  "
        'python -m pip install "embedded-docstore[llama-index]"'
    ) from _missing

__all__ = ["DocstoreDocumentStore", "DocstoreKVStore"]

# A value whose JSON is at most this long is metadata, which filters can name: half of what that may hold.
_INLINE_CHARACTERS = 500_000
# As JSON writes it. Texts out of PDF files hold it, and metadata refuses it.
_NUL = "\\u0000"


class DocstoreKVStore(BaseKVStore):
    """A ``BaseKVStore``: a collection is a namespace, and each key a document.

    Args:
        store: an open store, or one of its views; or the URL of one.
        options: of :func:`docstore.open`, with a URL.
    """

    def __init__(self, store: Store | str, **options: Any) -> None:
        self._holder = StoreHolder(store, options)

    @property
    def store(self) -> Store:
        """The docstore behind this."""
        return self._holder.store

    def close(self) -> None:
        """Close the store if it was opened here, by a URL."""
        self._holder.close()

    def put(self, key: str, val: dict[str, Any], collection: str = DEFAULT_COLLECTION) -> None:
        """Set the value of a key.

        Raises:
            InvalidDocument: it cannot be stored.
        """
        self.put_all([(key, val)], collection)

    def put_all(
        self,
        kv_pairs: list[tuple[str, dict[str, Any]]],
        collection: str = DEFAULT_COLLECTION,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> None:
        """Set the values of keys, all in one commit whatever ``batch_size`` is; of one key the last counts.

        Raises:
            InvalidDocument: a value cannot be stored; none is.
        """
        values = self._values(collection)
        values.put_entries([_entry(values, key, value) for key, value in kv_pairs])

    def get(self, key: str, collection: str = DEFAULT_COLLECTION) -> dict[str, Any] | None:
        """Return the value of a key; ``None`` if it is not there."""
        found = self._values(collection).get([key])
        return _value(found[key]) if key in found else None

    def get_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, dict[str, Any]]:
        """Return all values of a collection by key, in the order in which they were added."""
        return {record.metadata["key"]: _value(record) for record in self._values(collection).find()}

    def delete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """Delete a key; return whether it was there."""
        return bool(self._values(collection).delete([key]))

    async def aput(self, key: str, val: dict[str, Any], collection: str = DEFAULT_COLLECTION) -> None:
        """Do :meth:`put` in a thread."""
        await asyncio.to_thread(self.put, key, val, collection)

    async def aput_all(
        self,
        kv_pairs: list[tuple[str, dict[str, Any]]],
        collection: str = DEFAULT_COLLECTION,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> None:
        """Do :meth:`put_all` in a thread."""
        await asyncio.to_thread(self.put_all, kv_pairs, collection, batch_size)

    async def aget(self, key: str, collection: str = DEFAULT_COLLECTION) -> dict[str, Any] | None:
        """Do :meth:`get` in a thread."""
        return await asyncio.to_thread(self.get, key, collection)

    async def aget_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, dict[str, Any]]:
        """Do :meth:`get_all` in a thread."""
        return await asyncio.to_thread(self.get_all, collection)

    async def adelete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """Do :meth:`delete` in a thread."""
        return await asyncio.to_thread(self.delete, key, collection)

    def _values(self, collection: str) -> KeyedValues:
        return KeyedValues(self.store, "llama_index.kv", collection)


class DocstoreDocumentStore(KVDocumentStore):
    """A ``KVDocumentStore`` on :class:`DocstoreKVStore`, for a ``StorageContext`` or a pipeline's ingestion.

    A call that changes several collections is one commit.

    Args:
        store: an open store, or one of its views; or the URL of one.
        namespace: of the nodes, apart from those of other namespaces; ``None``: LlamaIndex's default.
        options: of :func:`docstore.open`, with a URL.
    """

    def __init__(self, store: Store | str, namespace: str | None = None, **options: Any) -> None:
        self._values = DocstoreKVStore(store, **options)
        super().__init__(self._values, namespace=namespace)

    def close(self) -> None:
        """Close the store if it was opened here, by a URL."""
        self._values.close()

    def add_documents(
        self,
        docs: Sequence[BaseNode],
        allow_update: bool = True,
        batch_size: int | None = None,
        store_text: bool = True,
    ) -> None:
        """Add nodes, all or none of them.

        Args:
            docs: which.
            allow_update: whether nodes that are there are overwritten.
            batch_size: not looked at: all is one commit.
            store_text: whether the nodes themselves are kept, or only their hashes and origins.

        Raises:
            ValueError: a node is there and ``allow_update`` is false, or one cannot be stored.
        """
        with self._values.store.transaction():
            super().add_documents(docs, allow_update, batch_size, store_text)

    async def async_add_documents(
        self,
        docs: Sequence[BaseNode],
        allow_update: bool = True,
        batch_size: int | None = None,
        store_text: bool = True,
    ) -> None:
        """Do :meth:`add_documents` in a thread."""
        await asyncio.to_thread(self.add_documents, docs, allow_update, batch_size, store_text)

    def delete_document(self, doc_id: str, raise_error: bool = True) -> None:
        """Delete a node, and what is noted of it.

        Raises:
            ValueError: it is not there, and ``raise_error`` is true.
        """
        with self._values.store.transaction():
            super().delete_document(doc_id, raise_error)

    async def adelete_document(self, doc_id: str, raise_error: bool = True) -> None:
        """Do :meth:`delete_document` in a thread."""
        await asyncio.to_thread(self.delete_document, doc_id, raise_error)

    def delete_ref_doc(self, ref_doc_id: str, raise_error: bool = True) -> None:
        """Delete a document that nodes were made of, and those nodes.

        Raises:
            ValueError: it is not there, and ``raise_error`` is true.
        """
        with self._values.store.transaction():
            super().delete_ref_doc(ref_doc_id, raise_error)

    async def adelete_ref_doc(self, ref_doc_id: str, raise_error: bool = True) -> None:
        """Do :meth:`delete_ref_doc` in a thread."""
        await asyncio.to_thread(self.delete_ref_doc, ref_doc_id, raise_error)


def _entry(values: KeyedValues, key: str, value: dict[str, Any]) -> dict[str, Any]:
    """Return the document of a value: in its metadata, or as JSON text in its content."""
    text = json.dumps(value)
    if len(text) > _INLINE_CHARACTERS or _NUL in text:
        return values.entry(key, {}, content=text)
    return values.entry(key, {"value": value})


def _value(record: Record) -> dict[str, Any]:
    value: dict[str, Any] = record.metadata["value"] if record.content is None else json.loads(record.content)
    return value
