"""Hints: what to call instead, where somebody tries a method that other libraries have."""

from __future__ import annotations

from typing import Final

__all__ = ["missing"]

_COLLECTION: Final = {
    "all": "iterate() yields all, find() a page of them",
    "aggregate": "count_by(), distinct() and bounds() sum up; rows() and to_arrow() hand over columns",
    "bulk_write": "add_many(), put_many() and update_many() write many at once",
    "contains": "find({'metadata.tags': 'x'}) and exists(…) ask",
    "count_documents": "count(filter) counts",
    "create": "add() stores a document",
    "create_index": "store.create_index('metadata.n') makes an index",
    "delete_one": "delete(id) removes one document",
    "estimated_document_count": "count() counts",
    "fetch": "get(id) returns one, find() a page of them",
    "filter": "find(filter) lists",
    "find_by_id": "get(id) returns one",
    "find_many": "find(filter) lists a page, iterate(filter) all",
    "find_one_and_update": "update(id, {…}) changes one and returns it as it is then",
    "first": "find_one(filter) returns the first",
    "get_by_id": "get(id) returns one",
    "get_or_create": "put(external_id=…, on_conflict='skip') does",
    "insert": "add() stores a document, put() one that may be there",
    "insert_all": "add_many() stores many",
    "insert_many": "add_many() stores many",
    "insert_one": "add() stores a document",
    "list": "find(filter) lists a page, iterate(filter) all",
    "lookup": "find_one(filter) returns the first, get(id) one",
    "one": "find_one(filter) returns the first",
    "patch": "update(id, metadata={…}) merges a patch",
    "query": "find(filter) lists",
    "replace": "put(id=…) replaces a document",
    "replace_one": "put(id=…) replaces a document",
    "rows_where": "rows(fields, filter) yields them",
    "save": "put() stores a document that may be there",
    "search": "find(search='words') searches",
    "select": "find(filter) lists, rows(fields, filter) yields columns",
    "update_one": "update(id, {…}) changes one document",
    "upsert": "put() stores a document that may be there",
    "upsert_all": "put_many() stores many that may be there",
    "upsert_many": "put_many() stores many that may be there",
    "where": "find(filter) lists",
    "to_df": "to_arrow().to_pandas() makes a data frame",
    "to_pandas": "to_arrow().to_pandas() makes a data frame",
    "to_dict": "rows(fields) yields dictionaries",
}
_STORE: Final = {
    "add": "store.documents.add(metadata={}) stores a document",
    "add_many": "store.documents.add_many() stores many",
    "all": "store.documents.iterate() yields all",
    "collection": "store.documents and store.extractions are the collections",
    "commit": "each call commits; store.transaction() makes several one commit",
    "count": "store.documents.count() counts",
    "delete": "store.documents.delete(id) removes a document",
    "find": "store.documents.find() lists",
    "find_one": "store.documents.find_one() returns the first",
    "get": "store.documents.get(id) returns one",
    "insert": "store.documents.add(metadata={}) stores a document",
    "iterate": "store.documents.iterate() yields all",
    "put": "store.documents.put() stores a document that may be there",
    "query": "store.documents.find() lists",
    "search": "store.documents.find(search='words') searches",
    "session": "store.transaction() makes several calls one commit, store.join(session) takes part in yours",
    "table": "store.documents and store.extractions are the collections",
    "update": "store.documents.update(id, …) changes a document",
    "upsert": "store.documents.put() stores a document that may be there",
}


def missing(owner: object, name: str, *, of_store: bool = False) -> AttributeError:
    """Return the error for an attribute that is not there; it names what is, where that is known."""
    hint = (_STORE if of_store else _COLLECTION).get(name)
    text = f"{type(owner).__name__!r} object has no attribute {name!r}"
    return AttributeError(f"{text}: {hint}" if hint else text, name=name, obj=owner)
