"""Peers: other embedded stores with a MongoDB-like or Python query, on one filter shaped as W2's, in turns with docstore.

    python -m benchmarks peers --size 10000

They hold the same documents, and their answers are checked. One that is not installed is left out, with a line that says so.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any

import docstore
from benchmarks.corpus import EPOCH, SPAN, Doc, corpus, new_document, rfc3339
from benchmarks.questions import PAGE

__all__ = ["PEERS", "peers"]

Ask = Callable[[], list[str]]
HALF = EPOCH + SPAN // 2
"""Half of all documents were created from here on."""
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


def _ours(url: str, docs: list[Doc]) -> Ask:
    store = docstore.open(url)
    store.documents.add_many(new_document(doc) for doc in docs)
    filter = {
        "$and": [
            {"metadata.category": "finance"},
            {"metadata.tags": "important"},
            {"$or": [{"metadata.priority": {"$gte": 8}}, {"metadata.author.department": "audit"}]},
        ],
        "created_at": {"$gte": rfc3339(HALF)},
    }
    return lambda: [document.filename for document in store.documents.find(filter, limit=PAGE).items]


def _right(docs: list[Doc]) -> list[str]:
    def matches(doc: Doc) -> bool:
        held = doc.metadata
        either = held["priority"] >= 8 or held["author"]["department"] == "audit"
        return held["category"] == "finance" and "important" in held["tags"] and either and doc.created >= HALF

    found = sorted(filter(matches, docs), key=lambda doc: (doc.created, doc.at), reverse=True)
    return [doc.filename for doc in found[:PAGE]]


def main(arguments: Sequence[str]) -> int:
    """Ask all of them in turns, five rounds, and print the median of each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks peers", description=__doc__)
    parser.add_argument("--size", type=int, default=10_000, help="documents (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    docs = list(corpus(chosen.size, 1))
    right = _right(docs)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        calls = {f"docstore, {url.partition(':')[0]}": _ours(url, docs) for url in ("memory://", f"sqlite:///{folder}/s.db")}
        for name, found in peers(docs):
            if isinstance(found, str):
                print(f"{name} is left out: {found}")
            elif (answer := found()) != right:
                print(f"{name} is left out: it answered {answer[:3]}…, right is {right[:3]}…")
            else:
                calls[name] = found
        taken: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(5):
            for name, call in calls.items():
                begun = time.process_time()
                call()
                taken[name].append(time.process_time() - begun)
    for name, times in taken.items():
        print(f"{name:20} {statistics.median(times) * 1e3:9.3f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
