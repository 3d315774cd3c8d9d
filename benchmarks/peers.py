"""Peers: other embedded stores with a MongoDB-like or Python query, on the second workload's filter.

They hold the same documents. One that is not installed is left out, with a line that says so.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

from benchmarks.corpus import Doc
from benchmarks.oracle import PAGE
from benchmarks.workloads import HALF

__all__ = ["PEERS", "peers"]

Ask = Callable[[], list[str]]
_MONGO = {
    "$and": [
        {"category": "finance"},
        {"tags": "important"},
        {"$or": [{"priority": {"$gte": 8}}, {"author.department": "audit"}]},
        {"created": {"$gte": HALF}},
    ]
}


def _flat(docs: list[Doc]) -> list[dict[str, Any]]:
    return [{**doc.metadata, "filename": doc.filename, "created": doc.created, "at": doc.at} for doc in docs]


def _mongomock(docs: list[Doc]) -> Ask:
    import mongomock

    kept = mongomock.MongoClient().db.docs
    kept.insert_many(_flat(docs))
    return lambda: [
        row["filename"] for row in kept.find(_MONGO).sort([("created", -1), ("at", -1)]).limit(PAGE)
    ]


def _tinydb(docs: list[Doc]) -> Ask:
    from tinydb import TinyDB, where
    from tinydb.storages import MemoryStorage

    kept = TinyDB(storage=MemoryStorage)
    kept.insert_multiple(_flat(docs))
    either = (where("priority") >= 8) | (where("author")["department"] == "audit")
    asked = (
        (where("category") == "finance")
        & where("tags").any(["important"])
        & either
        & (where("created") >= HALF)
    )

    def ask() -> list[str]:
        kept.clear_cache()
        found = sorted(kept.search(asked), key=lambda row: (row["created"], row["at"]), reverse=True)
        return [row["filename"] for row in found[:PAGE]]

    return ask


def _montydb(docs: list[Doc]) -> Ask:
    from montydb import MontyClient

    kept = MontyClient(":memory:").db.docs
    kept.insert_many(_flat(docs))
    return lambda: [
        row["filename"] for row in kept.find(_MONGO).sort([("created", -1), ("at", -1)]).limit(PAGE)
    ]


def _neosqlite(docs: list[Doc]) -> Ask:
    import neosqlite

    kept = neosqlite.Connection(tempfile.mkdtemp() + "/peer.db").docs
    kept.insert_many(_flat(docs))
    return lambda: [
        row["filename"] for row in kept.find(_MONGO).sort([("created", -1), ("at", -1)]).limit(PAGE)
    ]


def _chromadb(docs: list[Doc]) -> Ask:
    import chromadb

    kept = chromadb.EphemeralClient().create_collection("docs")
    for start in range(0, len(docs), 5_000):
        part = docs[start : start + 5_000]
        kept.add(
            ids=[doc.filename for doc in part],
            embeddings=[[0.0]] * len(part),
            metadatas=[_scalars(doc) for doc in part],
        )
    either = {"$or": [{"priority": {"$gte": 8}}, {"department": "audit"}]}
    asked = {
        "$and": [{"category": "finance"}, {"important": True}, either, {"created": {"$gte": HALF / 1e6}}]
    }

    def ask() -> list[str]:
        found = kept.get(where=asked, include=["metadatas"])
        order = sorted(zip(found["metadatas"], found["ids"], strict=True), key=lambda row: -row[0]["created"])
        return [name for _, name in order[:PAGE]]

    return ask


def _scalars(doc: Doc) -> dict[str, Any]:
    held = doc.metadata
    return {
        "category": held["category"], "important": "important" in held["tags"], "priority": held["priority"],
        "department": held["author"]["department"], "created": doc.created / 1e6,
    }  # fmt: skip


PEERS: dict[str, Callable[[list[Doc]], Ask]] = {
    "mongomock": _mongomock,
    "tinydb": _tinydb,
    "montydb": _montydb,
    "neosqlite": _neosqlite,
    "chromadb": _chromadb,
}


def peers(docs: list[Doc]) -> Iterator[tuple[str, Ask | str]]:
    """Yield each peer with the documents in it, or why it is left out."""
    for name, build in PEERS.items():
        if find_spec(name) is None:
            yield name, "not installed"
            continue
        try:
            yield name, build(docs)
        except Exception as error:
            yield name, f"{type(error).__name__}: {str(error)[:200]}"
