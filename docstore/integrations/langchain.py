"""LangChain: key-value stores, a record manager, a document loader, a retriever and a self-query translator.

Keys are kept apart by namespace: one store may hold the bytes, the JSON and the records of several.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from docstore.dialects import from_langchain
from docstore.errors import BackendNotInstalled
from docstore.integrations.stores import KeyedValues, StoreHolder, any_word
from docstore.models import Document as Record
from docstore.query.search import search_terms
from docstore.store import Store

try:
    from langchain_core.document_loaders import BaseLoader
    from langchain_core.documents import Document
    from langchain_core.indexing import RecordManager
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import run_in_executor
    from langchain_core.stores import BaseStore
    from langchain_core.structured_query import (
        Comparator,
        Comparison,
        Operation,
        Operator,
        StructuredQuery,
        Visitor,
    )
    from pydantic import field_validator
except ImportError as _missing:
    raise BackendNotInstalled(
        "docstore.integrations.langchain needs LangChain: run  "
        'python -m pip install "embedded-docstore[langchain]"'
    ) from _missing

__all__ = [
    "DocstoreByteStore",
    "DocstoreJsonStore",
    "DocstoreLoader",
    "DocstoreRecordManager",
    "DocstoreRetriever",
    "DocstoreTranslator",
]

# Values up to this many bytes are kept in the row, where one query reads many; larger ones in a file. Well
# below the mebibyte that metadata may have, and above a vector of 4,096 numbers written as JSON.
_INLINE_BYTES = 65_536
_CONTENT = frozenset({"content"})


class _KeyValueStore(BaseStore[str, Any]):
    """Values by key, one document each.

    Args:
        store: an open store, or one of its views; or the URL of one.
        namespace: of the keys; the same key in another one is another value.
        options: of :func:`docstore.open`, with a URL.
    """

    _kind: str

    def __init__(self, store: Store | str, *, namespace: str = "", **options: Any) -> None:
        self._holder = StoreHolder(store, options)
        self._values = KeyedValues(self._holder.store, self._kind, namespace)

    def close(self) -> None:
        """Close the store if it was opened here, by a URL."""
        self._holder.close()

    def mget(self, keys: Sequence[str]) -> list[Any]:
        """Return the values of keys, in their order; ``None`` for a key that is not there."""
        found = {key: self._read(document) for key, document in self._values.get(keys).items()}
        return [found.get(key) for key in keys]

    def mset(self, key_value_pairs: Sequence[tuple[str, Any]]) -> None:
        """Set values, all or none of them; of one key twice the last counts.

        Raises:
            InvalidDocument: a value cannot be stored.
        """
        self._values.put_entries([self._entry(key, value) for key, value in key_value_pairs])

    def mdelete(self, keys: Sequence[str]) -> None:
        """Delete keys; those that are not there are no error."""
        self._values.delete(keys)

    def yield_keys(self, *, prefix: str | None = None) -> Iterator[str]:
        """Yield the keys that begin with ``prefix`` (``None``: all), those added first first."""
        yield from self._values.keys({"metadata.key": {"$startsWith": prefix}} if prefix else {})

    def _entry(self, key: str, value: Any) -> dict[str, Any]:
        return self._values.entry(key, {"value": value})

    def _read(self, document: Record) -> Any:
        return document.metadata["value"]


class DocstoreJsonStore(_KeyValueStore):
    """A ``BaseStore`` of JSON values: numbers, text, lists, objects, as metadata may hold them."""

    _kind = "langchain.json"


class DocstoreByteStore(_KeyValueStore):
    """A ``ByteStore``, for ``CacheBackedEmbeddings`` or ``create_kv_docstore``.

    Values of more than 65,536 bytes go where the store's bytes go, so the store needs ``blobs=`` for them.
    """

    _kind = "langchain.bytes"

    def _entry(self, key: str, value: bytes) -> dict[str, Any]:
        if not isinstance(value, bytes):
            raise TypeError(f"the value of {key!r} is a {type(value).__name__}; expected bytes")
        if len(value) > _INLINE_BYTES:
            return self._values.entry(key, {}, source=value)
        return self._values.entry(key, {"value": base64.b64encode(value).decode()})

    def _read(self, document: Record) -> bytes:
        if document.size is not None:
            return self._values.store.documents.read_bytes(document.id)
        return base64.b64decode(document.metadata["value"])


class DocstoreRecordManager(RecordManager):
    """A ``RecordManager`` for LangChain's indexing API: when each key was written last, and its group.

    Args:
        namespace: of the keys.
        store: an open store, or one of its views; or the URL of one.
        options: of :func:`docstore.open`, with a URL.
    """

    def __init__(self, namespace: str, store: Store | str, **options: Any) -> None:
        super().__init__(namespace)
        self._holder = StoreHolder(store, options)
        self._values = KeyedValues(self._holder.store, "langchain.record", namespace)
        self._clock = KeyedValues(self._holder.store, "langchain.clock", namespace)

    def close(self) -> None:
        """Close the store if it was opened here, by a URL."""
        self._holder.close()

    def create_schema(self) -> None:
        """Do nothing: the store made its tables when it was opened."""

    async def acreate_schema(self) -> None:
        """Do nothing, as :meth:`create_schema`."""

    def get_time(self) -> float:
        """Return the store's time, in seconds since 1970: one clock for all of its processes.

        It is the time of a write to a document that is there for this.
        """
        tick = self._clock.entry("clock", {"tick": uuid.uuid4().hex})
        return self._clock.store.documents.put(**tick).document.updated_at.timestamp()

    async def aget_time(self) -> float:
        """Do :meth:`get_time` in a thread."""
        now: float = await run_in_executor(None, self.get_time)
        return now

    def update(
        self,
        keys: Sequence[str],
        *,
        group_ids: Sequence[str | None] | None = None,
        time_at_least: float | None = None,
    ) -> None:
        """Note that keys were written now, all in one commit.

        Args:
            keys: which.
            group_ids: their groups, one a key; ``None``: no group.
            time_at_least: seconds since 1970 that the store's clock must have reached; ``None``: any.

        Raises:
            ValueError: the numbers of keys and groups differ, or the clock is behind ``time_at_least``.
        """
        groups = [None] * len(keys) if group_ids is None else list(group_ids)
        if len(groups) != len(keys):
            raise ValueError(f"{len(keys)} keys and {len(groups)} group_ids; expected one a key")
        now = self.get_time()
        if time_at_least is not None and time_at_least > now:
            raise ValueError(f"time_at_least={time_at_least} is ahead of the store's time, {now}")
        self._values.put(
            (key, {"group_id": group, "time": now}) for key, group in zip(keys, groups, strict=True)
        )

    async def aupdate(
        self,
        keys: Sequence[str],
        *,
        group_ids: Sequence[str | None] | None = None,
        time_at_least: float | None = None,
    ) -> None:
        """Do :meth:`update` in a thread."""
        await run_in_executor(None, self.update, keys, group_ids=group_ids, time_at_least=time_at_least)

    def exists(self, keys: Sequence[str]) -> list[bool]:
        """Return whether each key is there."""
        found = self._values.get(keys)
        return [key in found for key in keys]

    async def aexists(self, keys: Sequence[str]) -> list[bool]:
        """Do :meth:`exists` in a thread."""
        there: list[bool] = await run_in_executor(None, self.exists, keys)
        return there

    def list_keys(
        self,
        *,
        before: float | None = None,
        after: float | None = None,
        group_ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[str]:
        """Return keys in the order in which they were first written.

        Args:
            before, after: only those written before or after this, both exclusive, in seconds since 1970.
            group_ids: only those of these groups; ``None`` or none: of all.
            limit: at most so many; ``None`` or 0: all.
        """
        times = {name: time for name, time in (("$lt", before), ("$gt", after)) if time is not None}
        conditions: list[dict[str, Any]] = [{"metadata.time": times}] if times else []
        if group_ids:
            conditions.append({"metadata.group_id": {"$in": list(group_ids)}})
        return list(self._values.keys(*conditions, limit=limit or None))

    async def alist_keys(
        self,
        *,
        before: float | None = None,
        after: float | None = None,
        group_ids: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[str]:
        """Do :meth:`list_keys` in a thread."""
        listed: list[str] = await run_in_executor(
            None, self.list_keys, before=before, after=after, group_ids=group_ids, limit=limit
        )
        return listed

    def delete_keys(self, keys: Sequence[str]) -> None:
        """Delete keys; those that are not there are no error."""
        self._values.delete(keys)

    async def adelete_keys(self, keys: Sequence[str]) -> None:
        """Do :meth:`delete_keys` in a thread."""
        await run_in_executor(None, self.delete_keys, keys)


class DocstoreLoader(BaseLoader):
    """A document loader: the documents of a store that match, read as they are asked for.

    ``page_content`` is the content (``""`` if there is none), ``id`` the document's, ``metadata`` its
    metadata, with its filename as ``source`` unless it has one.

    Args:
        store: an open store, or one of its views; or the URL of one.
        filter: docstore's, which documents; ``None``: all.
        search: only documents in which this is found; ``None``: all.
        sort: a field path, ``-`` before it for descending.
        options: of :func:`docstore.open`, with a URL.
    """

    def __init__(
        self,
        store: Store | str,
        filter: Mapping[str, Any] | None = None,
        *,
        search: str | None = None,
        sort: str = "number",
        **options: Any,
    ) -> None:
        self._holder = StoreHolder(store, options)
        self._asked: dict[str, Any] = {"filter": filter, "search": search, "sort": sort}

    def close(self) -> None:
        """Close the store if it was opened here, by a URL."""
        self._holder.close()

    def lazy_load(self) -> Iterator[Document]:
        """Yield the documents, in constant memory.

        Raises:
            FilterError: the filter or the search is wrong.
        """
        for record in self._holder.store.documents.iterate(**self._asked, include=_CONTENT):
            yield _document(record)


class DocstoreRetriever(BaseRetriever):
    """A retriever of the documents most relevant to a query's words, by docstore's score.

    Args:
        store: an open store, or one of its views; or the URL of one.
        k: at most so many documents, 0 to 1,000.
        filter: docstore's, only documents that match; ``None``: all.
        match: ``"any"`` finds what has any word of the query; ``"all"`` reads it as docstore's search does:
            all of its terms, phrases in quotes, ``-`` before what must not occur.

    ``invoke`` takes ``k`` and ``filter`` as well, in the place of these.
    """

    store: Any
    k: int = 4
    filter: dict[str, Any] | None = None
    match: Literal["any", "all"] = "any"

    @field_validator("store")
    @classmethod
    def _opened(cls, given: Any) -> Store:
        return StoreHolder(given, {}).store

    def _get_relevant_documents(
        self, query: str, *, run_manager: Any, k: int | None = None, filter: dict[str, Any] | None = None
    ) -> list[Document]:
        search = any_word(query) if self.match == "any" else query
        if not search_terms(search):
            return []
        found = self.store.documents.find(
            self.filter if filter is None else filter,
            search=search,
            sort="-score",
            limit=self.k if k is None else k,
            include=_CONTENT,
        )
        return [_document(record) for record in found]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: Any, k: int | None = None, filter: dict[str, Any] | None = None
    ) -> list[Document]:
        found: list[Document] = await run_in_executor(
            None,
            self._get_relevant_documents,
            query,
            run_manager=run_manager.get_sync(),
            k=k,
            filter=filter,
        )
        return found


class DocstoreTranslator(Visitor):
    """A translator for ``SelfQueryRetriever``: structured queries to docstore filters over the metadata."""

    allowed_comparators: Sequence[Comparator] | None = tuple(Comparator)
    allowed_operators: Sequence[Operator] | None = tuple(Operator)

    def visit_operation(self, operation: Operation) -> dict[str, Any]:
        """Return the filter of an operation.

        Raises:
            FilterError: docstore cannot say it.
        """
        return from_langchain(operation)

    def visit_comparison(self, comparison: Comparison) -> dict[str, Any]:
        """Return the filter of a comparison.

        Raises:
            FilterError: docstore cannot say it.
        """
        return from_langchain(comparison)

    def visit_structured_query(self, structured_query: StructuredQuery) -> tuple[str, dict[str, Any]]:
        """Return the query's text, and the ``filter`` to search it with, if it has one.

        Raises:
            FilterError: docstore cannot say it.
        """
        found = from_langchain(structured_query)
        return structured_query.query, {"filter": found} if found else {}


def _document(record: Record) -> Document:
    metadata = {"source": record.filename or record.id, **record.metadata}
    return Document(page_content=record.content or "", metadata=metadata, id=record.id)
