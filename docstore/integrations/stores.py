"""Common to the adapters: the store they stand on, values by namespace and key, a search for any word."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import docstore
from docstore.limits import DEFAULT_LIMITS
from docstore.models import Document
from docstore.query.text import words
from docstore.store import Store

__all__ = ["KeyedValues", "StoreHolder", "any_word", "in_batches"]

_CONTENT = frozenset({"content"})
# Well within the bound on a list; one statement stays short.
_IDS_A_QUERY = 1_000
# Of a key, as the filename that people see.
_SHOWN_CHARACTERS = 200


class StoreHolder:
    """The store that an adapter was given, or opened by a URL; what it opened it closes."""

    def __init__(self, store: Store | str, options: Mapping[str, Any]) -> None:
        if isinstance(store, Store) and options:
            names = ", ".join(sorted(options))
            raise TypeError(f"{names}: options of a store that is open; pass them with a URL")
        self.owned: bool = not isinstance(store, Store)
        self.store: Store = store if isinstance(store, Store) else docstore.open(store, **options)

    def close(self) -> None:
        """Close the store if this opened it."""
        if self.owned:
            self.store.close()


class KeyedValues:
    """JSON metadata by key, within one namespace of a store: one document a key, named by a hash of both.

    Args:
        store: where.
        kind: whose values these are, such as ``"langchain.bytes"``; other kinds are never seen.
        namespace: of the keys; the same key in another one is another value.
    """

    def __init__(self, store: Store, kind: str, namespace: str) -> None:
        self.store = store
        self.kind = kind
        self.namespace = namespace

    def name(self, key: str) -> str:
        """Return the external_id of a key's document: keys may be longer than an external_id."""
        if not isinstance(key, str):
            raise TypeError(f"a key that is {type(key).__name__}; expected text")
        named = json.dumps([self.kind, self.namespace, key])
        return hashlib.sha256(named.encode()).hexdigest()

    def entry(self, key: str, metadata: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
        """Return the document of a key, as ``put_many`` takes it."""
        return {
            "external_id": self.name(key),
            "filename": key[:_SHOWN_CHARACTERS],
            "status": "completed",
            "metadata": {"kind": self.kind, "namespace": self.namespace, "key": key, **metadata},
            **fields,
        }

    def put(self, entries: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Set the metadata of keys; of one key twice the last counts. All of it is one commit."""
        self.put_entries([self.entry(key, metadata) for key, metadata in entries])

    def put_entries(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Put documents that :meth:`entry` made, in one commit."""
        if entries:
            last = {entry["external_id"]: entry for entry in entries}
            with self.store.transaction():
                self.store.documents.put_many(list(last.values()))

    def get(self, keys: Iterable[str]) -> dict[str, Document]:
        """Return the documents of those keys that there are, by key."""
        found: dict[str, Document] = {}
        for names in in_batches(map(self.name, keys)):
            page = self.store.documents.find(
                {"external_id": {"$in": names}}, limit=len(names), include=_CONTENT
            )
            found.update((document.metadata["key"], document) for document in page)
        return found

    def delete(self, keys: Iterable[str]) -> int:
        """Delete keys and return how many there were."""
        batches = in_batches(map(self.name, keys))
        return sum(self.store.documents.delete_many({"external_id": {"$in": names}}) for names in batches)

    def where(self, *conditions: Mapping[str, Any]) -> dict[str, Any]:
        """Return the filter of this namespace's documents that meet conditions."""
        mine = {"metadata.kind": self.kind, "metadata.namespace": self.namespace}
        return {"$and": [mine, *conditions]}

    def find(self, *conditions: Mapping[str, Any]) -> Iterator[Document]:
        """Yield this namespace's documents that meet conditions, in the order in which they were added."""
        return self.store.documents.iterate(self.where(*conditions), include=_CONTENT)

    def keys(self, *conditions: Mapping[str, Any], limit: int | None = None) -> Iterator[str]:
        """Yield the keys whose documents meet conditions, in the order in which they were added."""
        for row in self.store.documents.rows(["metadata.key"], self.where(*conditions), limit=limit):
            yield row["metadata.key"]


def in_batches(names: Iterable[str]) -> Iterator[list[str]]:
    """Yield different names in lists of at most 1,000, as many as a page holds."""
    unique = list(dict.fromkeys(names))
    for start in range(0, len(unique), _IDS_A_QUERY):
        yield unique[start : start + _IDS_A_QUERY]


def any_word(text: str) -> str:
    """Return the search for documents with any word of a text; ``""`` if it has none.

    docstore's own search asks for all of them, which a question put in a sentence seldom finds. A text longer
    than a search may be is cut at a word.
    """
    search = ""
    for word in dict.fromkeys(words(text.lower())):  # in lower case "or" is a word and no operator
        longer = f"{search} OR {word}" if search else word
        if len(longer) > DEFAULT_LIMITS.search_characters:
            break
        search = longer
    return search
