"""Haystack 2: a document store and a keyword retriever over docstore.

Haystack's ``meta`` is the document's metadata and ``id`` its ``external_id``: two tenants may write one text,
whose id is a hash of it, each in a view of its own. What docstore has no field for (``embedding``,
``sparse_embedding``, ``blob``, ``score``) is kept and given back, but not searched. A document that was not
written by Haystack has its external_id for an id, or its own id where it has none.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from docstore.dialects import from_haystack
from docstore.dialects.terms import metadata_path
from docstore.errors import AlreadyExists, BackendNotInstalled, FilterError
from docstore.integrations.stores import StoreHolder, any_word, in_batches
from docstore.models import Document as Record
from docstore.query.search import score, search_terms
from docstore.store import Store

try:
    from haystack import Document, component, default_from_dict, default_to_dict
    from haystack.document_stores.errors import DuplicateDocumentError
    from haystack.document_stores.types import DuplicatePolicy, FilterPolicy, apply_filter_policy
    from haystack.errors import FilterError as HaystackFilterError
    from haystack.utils import Secret, deserialize_secrets_inplace
except ImportError as _missing:
    raise BackendNotInstalled(
        "docstore.integrations.haystack needs Haystack: run  "
        'python -m pip install "embedded-docstore[haystack]"'
    ) from _missing

__all__ = ["DocstoreDocumentStore", "DocstoreKeywordRetriever"]

_FIELDS = {"id": "external_id", "content": "content"}
_KEPT = ("embedding", "sparse_embedding", "blob", "score")
# The metadata key of what docstore has no field for, as JSON text: one value to the index, not 768.
_KEPT_KEY = "haystack:kept"
_CONTENT = frozenset({"content"})
_MOST_FIELDS = 10_000


class DocstoreDocumentStore:
    """A Haystack ``DocumentStore``, with the asynchronous and the extended operations.

    Args:
        store: an open store, or one of its views; or the URL of one, as text or as a ``Secret``, which a
            pipeline that is written to YAML needs.
        options: of :func:`docstore.open`, with a URL.

    Raises:
        As :func:`docstore.open`.
    """

    def __init__(self, store: Store | str | Secret, **options: Any) -> None:
        self._url, self._options = store, options
        self._holder = StoreHolder(store.resolve_value() if isinstance(store, Secret) else store, options)

    @property
    def store(self) -> Store:
        """The docstore behind this."""
        return self._holder.store

    def close(self) -> None:
        """Close the store if it was opened here, by a URL."""
        self._holder.close()

    def to_dict(self) -> dict[str, Any]:
        """Return the URL and the options.

        Raises:
            ValueError: this was made of an open store, which no pipeline's description can hold.
        """
        if isinstance(self._url, Store):
            raise ValueError(
                "a document store made of an open docstore.Store cannot be written to a pipeline's "
                "description; make it of a URL, or of Secret.from_env_var(...) that holds one"
            )
        url = self._url.to_dict() if isinstance(self._url, Secret) else self._url
        described: dict[str, Any] = default_to_dict(self, store=url, **self._options)
        return described

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> DocstoreDocumentStore:
        """Make the document store that :meth:`to_dict` described."""
        if isinstance(data["init_parameters"]["store"], dict):
            deserialize_secrets_inplace(data["init_parameters"], keys=["store"])
        made: DocstoreDocumentStore = default_from_dict(cls, data)
        return made

    # -- the protocol

    def count_documents(self) -> int:
        """Return the number of documents."""
        return self.store.documents.count()

    def filter_documents(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """Return the documents that match, in the order in which they were added.

        Raises:
            haystack.errors.FilterError: the filter is wrong, or docstore cannot say it.
        """
        with _translated():
            found = self.store.documents.iterate(_filter(filters), include=_CONTENT)
            return [_document(record) for record in found]

    def write_documents(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """Write documents, all or none of them, and return how many were written.

        Args:
            documents: what to write.
            policy: for ids that are there, or twice among the documents; ``NONE`` is ``FAIL``.

        Raises:
            DuplicateDocumentError: an id is there, and the policy is ``FAIL``; nothing is written.
            ValueError: ``documents`` is no list of documents, or one cannot be stored.
        """
        _check_documents(documents)
        if policy == DuplicatePolicy.OVERWRITE:
            self._put(documents, "replace")
            return len(documents)
        first: dict[str, Document] = {}
        for document in documents:
            if first.setdefault(document.id, document) is not document and policy != DuplicatePolicy.SKIP:
                raise DuplicateDocumentError(f"the id {document.id!r} is given twice")
        return self._put(list(first.values()), "skip" if policy == DuplicatePolicy.SKIP else "error")

    def _put(self, documents: Sequence[Document], on_conflict: Any) -> int:
        """Put documents in one commit; return how many were not there before."""
        try:
            with self.store.transaction():
                done = self.store.documents.put_many(map(_row, documents), on_conflict=on_conflict)
                if on_conflict == "error" and done.unchanged:
                    raise DuplicateDocumentError(f"{done.unchanged} of the documents are there already")
        except AlreadyExists as there:
            raise DuplicateDocumentError(str(there)) from there
        return done.added

    def delete_documents(self, document_ids: list[str]) -> None:
        """Delete the documents with these ids; ids that are not there are no error."""
        with self.store.transaction():
            for ids in in_batches(document_ids):
                foreign = {"external_id": None, "id": {"$in": ids}}
                self.store.documents.delete_many({"$or": [{"external_id": {"$in": ids}}, foreign]})

    # -- the extended operations

    def delete_all_documents(self, recreate_index: bool = False) -> None:
        """Delete every document of the store, or of the view that this was made of.

        Args:
            recreate_index: taken as other stores take it; the index is the rows' own and stays right.
        """
        self.store.documents.delete_many({})

    def delete_by_filter(self, filters: dict[str, Any]) -> int:
        """Delete the documents that match; return how many there were.

        Raises:
            haystack.errors.FilterError: the filter is wrong, or docstore cannot say it.
        """
        with _translated():
            return self.store.documents.delete_many(_filter(filters))

    def update_by_filter(self, filters: dict[str, Any], meta: dict[str, Any]) -> int:
        """Set keys of the meta of the documents that match; return how many matched.

        Raises:
            haystack.errors.FilterError: the filter is wrong, or docstore cannot say it.
            ValueError: a value cannot be stored.
        """
        changes = {metadata_path((key,)): value for key, value in meta.items()}
        with _translated():
            return int(self.store.documents.update_many(_filter(filters), {"$set": changes}))

    def count_documents_by_filter(self, filters: dict[str, Any]) -> int:
        """Return how many documents match.

        Raises:
            haystack.errors.FilterError: the filter is wrong, or docstore cannot say it.
        """
        with _translated():
            return self.store.documents.count(_filter(filters))

    def count_unique_metadata_by_filter(
        self, filters: dict[str, Any], metadata_fields: list[str]
    ) -> dict[str, int]:
        """Return how many different values each field has among the documents that match, by field.

        Raises:
            haystack.errors.FilterError: the filter is wrong, or docstore cannot say it.
        """
        found = {name.removeprefix("meta."): self._values(name, filters) for name in metadata_fields}
        return {name: len(values) for name, values in found.items()}

    def get_metadata_fields_info(self) -> dict[str, dict[str, str]]:
        """Return the type of each key of the meta: ``boolean int float keyword``; dots lead into objects."""
        found: dict[str, dict[str, str]] = {}
        for field in self.store.documents.fields(limit=_MOST_FIELDS):
            name = field.path.removeprefix("metadata.")
            types = set(field.types) - {"null"}
            if types and name != _KEPT_KEY:
                found[name] = {"type": _type_name(types)}
        return found

    def get_metadata_field_min_max(self, metadata_field: str) -> dict[str, Any]:
        """Return the ``min`` and ``max`` of a field: of its numbers if there are any, else of its texts.

        Both are ``None`` where there is neither.
        """
        path = _path(metadata_field)
        for kind in ("number", "string"):
            there = {path: {"$type": kind, "$not": {"$type": "array"}}}
            ends = [
                next(self.store.documents.rows([path], there, sort=key, limit=1), None)
                for key in (path, f"-{path}")
            ]
            if ends[0] is not None and ends[1] is not None:
                return {"min": ends[0][path], "max": ends[1][path]}
        return {"min": None, "max": None}

    def get_metadata_field_unique_values(
        self,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: dict[str, Any] | None = None,
    ) -> tuple[list[Any], int]:
        """Return a page of the different values of a field, ordered as text, and how many there are.

        Args:
            metadata_field: with or without ``meta.``.
            search_term: only values in whose text this occurs, in upper or lower case; ``None``: all.
            from_: values to skip.
            size: values to return.
            filters: only of documents that match; ``None``: of all.

        Raises:
            haystack.errors.FilterError: the filter is wrong, or docstore cannot say it.
        """
        wanted = (search_term or "").lower()
        values = [value for value in self._values(metadata_field, filters) if wanted in str(value).lower()]
        values.sort(key=lambda value: (str(value), type(value).__name__))
        return values[from_ : from_ + size], len(values)

    def _values(self, field: str, filters: dict[str, Any] | None) -> list[Any]:
        """Return the different values of a field, lists and objects whole.

        Haystack tells 1 from 1.0, which are one value to docstore's ``distinct``; so the rows are read.
        """
        path = _path(field)
        with _translated():
            there = {"$and": [_filter(filters), {path: {"$exists": True}}]}
            rows = self.store.documents.rows([path], there)
            found = {json.dumps(row[path], sort_keys=True): row[path] for row in rows}
        return [value for value in found.values() if value is not None]

    def search_documents(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int = 10, *, match: str = "any"
    ) -> list[Document]:
        """Return the most relevant documents, the best first, with their ``score``.

        Args:
            query: what is searched.
            filters: only documents that match; ``None``: all.
            top_k: at most so many, 0 to 1,000.
            match: ``"any"`` finds what has any word of the query; ``"all"`` reads it as docstore's search
                does: all of its terms, phrases in quotes, ``-`` before what must not occur.

        Raises:
            haystack.errors.FilterError: the filter is wrong, or docstore cannot say it.
            ValueError: ``match`` is another word, or ``top_k`` is out of range.
        """
        if match not in ("any", "all"):
            raise ValueError(f"match={match!r}; expected 'any' or 'all'")
        search = any_word(query) if match == "any" else query
        terms = search_terms(search)
        if not terms:
            return []
        with _translated():
            page = self.store.documents.find(
                _filter(filters), search=search, sort="-score", limit=top_k, include=_CONTENT
            )
        return [_document(record, score(terms, record.filename, record.content)) for record in page]

    # -- the same, awaited: a thread each

    async def count_documents_async(self) -> int:
        """Do :meth:`count_documents` in a thread."""
        return await asyncio.to_thread(self.count_documents)

    async def filter_documents_async(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """Do :meth:`filter_documents` in a thread."""
        return await asyncio.to_thread(self.filter_documents, filters)

    async def write_documents_async(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """Do :meth:`write_documents` in a thread."""
        return await asyncio.to_thread(self.write_documents, documents, policy)

    async def delete_documents_async(self, document_ids: list[str]) -> None:
        """Do :meth:`delete_documents` in a thread."""
        await asyncio.to_thread(self.delete_documents, document_ids)

    async def delete_all_documents_async(self, recreate_index: bool = False) -> None:
        """Do :meth:`delete_all_documents` in a thread."""
        await asyncio.to_thread(self.delete_all_documents, recreate_index)

    async def delete_by_filter_async(self, filters: dict[str, Any]) -> int:
        """Do :meth:`delete_by_filter` in a thread."""
        return await asyncio.to_thread(self.delete_by_filter, filters)

    async def update_by_filter_async(self, filters: dict[str, Any], meta: dict[str, Any]) -> int:
        """Do :meth:`update_by_filter` in a thread."""
        return await asyncio.to_thread(self.update_by_filter, filters, meta)

    async def count_documents_by_filter_async(self, filters: dict[str, Any]) -> int:
        """Do :meth:`count_documents_by_filter` in a thread."""
        return await asyncio.to_thread(self.count_documents_by_filter, filters)

    async def count_unique_metadata_by_filter_async(
        self, filters: dict[str, Any], metadata_fields: list[str]
    ) -> dict[str, int]:
        """Do :meth:`count_unique_metadata_by_filter` in a thread."""
        return await asyncio.to_thread(self.count_unique_metadata_by_filter, filters, metadata_fields)

    async def get_metadata_fields_info_async(self) -> dict[str, dict[str, str]]:
        """Do :meth:`get_metadata_fields_info` in a thread."""
        return await asyncio.to_thread(self.get_metadata_fields_info)

    async def get_metadata_field_min_max_async(self, metadata_field: str) -> dict[str, Any]:
        """Do :meth:`get_metadata_field_min_max` in a thread."""
        return await asyncio.to_thread(self.get_metadata_field_min_max, metadata_field)

    async def get_metadata_field_unique_values_async(
        self,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: dict[str, Any] | None = None,
    ) -> tuple[list[Any], int]:
        """Do :meth:`get_metadata_field_unique_values` in a thread."""
        return await asyncio.to_thread(
            self.get_metadata_field_unique_values, metadata_field, search_term, from_, size, filters
        )

    async def search_documents_async(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int = 10, *, match: str = "any"
    ) -> list[Document]:
        """Do :meth:`search_documents` in a thread."""
        return await asyncio.to_thread(self.search_documents, query, filters, top_k, match=match)


@component
class DocstoreKeywordRetriever:
    """Retrieve the documents that are most relevant to a query's words, by docstore's score.

    Args:
        document_store: what is searched.
        filters: only documents that match; ``None``: all.
        top_k: at most so many, 1 to 1,000.
        filter_policy: whether the filters of a run take the place of these, or both must match.
        match: as for :meth:`DocstoreDocumentStore.search_documents`.

    Raises:
        TypeError: ``document_store`` is another store.
        ValueError: ``top_k`` is not positive.
    """

    def __init__(
        self,
        document_store: DocstoreDocumentStore,
        filters: dict[str, Any] | None = None,
        top_k: int = 10,
        filter_policy: str | FilterPolicy = FilterPolicy.REPLACE,
        match: str = "any",
    ) -> None:
        if not isinstance(document_store, DocstoreDocumentStore):
            raise TypeError(
                f"document_store is a {type(document_store).__name__}; expected a DocstoreDocumentStore"
            )
        if top_k <= 0:
            raise ValueError(f"top_k={top_k}; expected a positive number")
        self.document_store = document_store
        self.filters = filters
        self.top_k = top_k
        self.filter_policy: FilterPolicy = (
            filter_policy if isinstance(filter_policy, FilterPolicy) else FilterPolicy.from_str(filter_policy)
        )
        self.match = match

    def to_dict(self) -> dict[str, Any]:
        """Return a description that a pipeline can be written with."""
        described: dict[str, Any] = default_to_dict(
            self,
            document_store=self.document_store.to_dict(),
            filters=self.filters,
            top_k=self.top_k,
            filter_policy=self.filter_policy.value,
            match=self.match,
        )
        return described

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> DocstoreKeywordRetriever:
        """Make the retriever that :meth:`to_dict` described."""
        given = data["init_parameters"]
        if isinstance(given["document_store"], dict):
            given["document_store"] = DocstoreDocumentStore.from_dict(given["document_store"])
        made: DocstoreKeywordRetriever = default_from_dict(cls, data)
        return made

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """Return ``{"documents": …}``, the most relevant first.

        Args:
            query: what is searched.
            filters: of this run; what becomes of the retriever's own is its policy.
            top_k: ``None``: the retriever's own.
        """
        wanted = apply_filter_policy(self.filter_policy, self.filters, filters)
        limit = self.top_k if top_k is None else top_k
        return {"documents": self.document_store.search_documents(query, wanted, limit, match=self.match)}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """Do :meth:`run` in a thread."""
        return await asyncio.to_thread(self.run, query, filters, top_k)


def _check_documents(documents: Any) -> None:
    if not isinstance(documents, (list, tuple)) or not all(isinstance(one, Document) for one in documents):
        raise ValueError("write_documents takes a list of haystack Documents")


@contextmanager
def _translated() -> Iterator[None]:
    """Raise a wrong filter as Haystack's error."""
    try:
        yield
    except FilterError as wrong:
        raise HaystackFilterError(str(wrong)) from wrong


def _filter(filters: Mapping[str, Any] | None) -> dict[str, Any]:
    return from_haystack(filters, fields=_FIELDS)


def _path(field: str) -> str:
    """Return the metadata path of a field that is named with or without ``meta.``."""
    return metadata_path(field.removeprefix("meta.").split("."))


def _row(document: Document) -> dict[str, Any]:
    """Return a Haystack document as ``put_many`` takes it."""
    plain = document.to_dict(flatten=False)
    kept = {name: plain[name] for name in _KEPT if plain[name] is not None}
    metadata = {**document.meta, _KEPT_KEY: json.dumps(kept)} if kept else document.meta
    return {
        "external_id": document.id,
        "content": document.content,
        "metadata": metadata,
        "status": "completed",  # whatever has no content is no work for a queue either
        "filename": "",
    }


def _document(record: Record, points: float | None = None) -> Document:
    """Return a record as a Haystack document."""
    meta = dict(record.metadata)
    kept = json.loads(meta.pop(_KEPT_KEY, "{}"))
    if points is not None:
        kept["score"] = points
    document: Document = Document.from_dict(
        {"id": record.external_id or record.id, "content": record.content, "meta": meta, **kept}
    )
    return document


def _type_name(types: set[str]) -> str:
    """Return Haystack's word for the types of a field."""
    if types == {"bool"}:
        return "boolean"
    if types <= {"int", "long"}:
        return "int"
    return "float" if types <= {"int", "long", "double"} else "keyword"
