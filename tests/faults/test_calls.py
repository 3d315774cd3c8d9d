"""Every call to the database and to the storage fails in turn: before, after, never between; then all works
again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import docstore
from docstore.errors import DocstoreError
from docstore.testing.faulty_backend import FaultyBackend
from docstore.testing.faulty_filesystem import Fault, Faults, faulty_blobs

LONG = os.environ.get("DOCSTORE_FAULTS") == "long"
"""The long form sweeps every work everywhere. The short form sweeps some, and the faults before and
after a call each have every third call, those that cut every second.
"""
FIRST_AND_STRIDE = {
    "before": (1, 1 if LONG else 3),
    "after": (1, 1) if LONG else (2, 3),
    "cut": (1, 1 if LONG else 2),
}
OLD, NEW = b"old bytes", b"new"
Work = Callable[[docstore.Store], object]


def together(store: docstore.Store) -> None:
    with store.transaction():
        store.documents.add(NEW, id="new")
        store.documents.update("a", source=NEW)
        store.documents.delete("b")


WORKS: dict[str, tuple[Work, dict[str, bytes]]] = {
    "add": (lambda store: store.documents.add(NEW, id="new"), {"a": OLD, "b": OLD, "new": NEW}),
    "replace": (lambda store: store.documents.update("a", source=NEW), {"a": NEW, "b": OLD}),
    "delete": (lambda store: store.documents.delete("b"), {"a": OLD}),
    "together": (together, {"a": NEW, "new": NEW}),
    "collect": (lambda store: store.collect(0), {"a": OLD, "b": OLD}),
    "check": (lambda store: store.check("hash"), {"a": OLD, "b": OLD}),
}


def begin(store: docstore.Store) -> None:
    """Begin with two documents, and something to collect."""
    store.documents.delete_many({})
    store.collect(0)
    store.collect(0)
    for id in ("a", "b", "c"):
        store.documents.add(OLD, id=id)
    store.documents.delete("c")


def look(store: docstore.Store, after: dict[str, bytes], returned: bool) -> None:
    """Compare with the state before or after, heal, and find nothing wrong."""
    found = {one.id: store.documents.read_bytes(one.id) for one in store.documents.iterate()}
    assert found in ([after] if returned else [after, {"a": OLD, "b": OLD}])
    store.collect(0)
    store.collect(0)
    assert () == store.check("hash", grace=0).findings
    assert len(found) == len(list(store._context.bytes().list()))


def tried(work: Work, store: docstore.Store) -> bool:
    """Return whether the work returned; anything but a named error passes through."""
    try:
        work(store)
    except DocstoreError:
        return False
    return True


BACKENDS = {
    "memory": WORKS if LONG else ("together", "collect", "check"),
    "sqlite": WORKS if LONG else (),
    "sqlite-file": WORKS if LONG else ("together",),
    "postgres": WORKS if LONG else ("together",),
}
STORAGES = {
    "folder": WORKS if LONG else ("together", "collect"),
    "memory": WORKS if LONG else ("replace",),
    "s3": ("replace", "collect", "together") if LONG else ("replace",),
}


@pytest.mark.parametrize("fault", ["before", "after"])
@pytest.mark.parametrize(
    ("url", "name"), [(one, name) for one, names in BACKENDS.items() for name in names], indirect=["url"]
)
def test_every_call_to_the_database(url: str, name: str, fault: Fault, tmp_path: Path) -> None:
    """Each read, write, begin and commit fails once: what returns was done, and a named error left before or
    after.
    """
    work, after = WORKS[name]
    first, stride = FIRST_AND_STRIDE[fault]
    number, fired = first - stride, 1
    with docstore.open(url, blobs=tmp_path / "files") as plain:
        while fired:
            number += stride
            begin(plain)
            faults = Faults(number, fault)
            broken = FaultyBackend(plain._context.backend, faults)
            returned = tried(work, docstore.open(broken, blobs=tmp_path / "files"))
            fired = faults.fired
            look(plain, after, returned)
    assert number > 3


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_cut_commit_is_found_out(url: str, fault: Fault, tmp_path: Path) -> None:
    """A commit of unknown outcome is looked up: add, replace and delete return, and are done once."""
    with docstore.open(url, blobs=tmp_path / "files") as plain:
        for name in ("add", "replace", "delete"):
            work, after = WORKS[name]
            begin(plain)
            faults = Faults(1 if name == "delete" else 2, fault, only={"commit"})
            assert tried(
                work, docstore.open(FaultyBackend(plain._context.backend, faults), blobs=tmp_path / "files")
            )
            assert 1 == faults.fired
            look(plain, after, True)


@pytest.mark.parametrize("fault", ["before", "after", "cut"])
@pytest.mark.parametrize("place", STORAGES)
def test_every_call_to_the_storage(
    place: str, fault: Fault, tmp_path: Path, s3_blobs: Callable[..., docstore.Blobs]
) -> None:
    """Each open, write, close, request … fails once, or loses a byte, in every work."""
    if place == "s3":
        base = s3_blobs()
    else:
        base = docstore.Blobs(f"memory://{tmp_path.name}" if place == "memory" else tmp_path / "files")
    for name in STORAGES[place]:
        first, stride = FIRST_AND_STRIDE[fault]
        number, fired = first - stride, 1
        while fired:
            number += stride
            url = f"{base._url}/{name}/{number}"  # a place of its own: a folder keeps its empty folders
            fired = one_fails(url, base._options, Faults(number, fault), *WORKS[name])
        assert number > first or name == "delete"


def one_fails(url: str, options: dict[str, Any], faults: Faults, work: Work, after: dict[str, bytes]) -> int:
    """Let one call of a work fail, look at what is left, and return whether there was such a call."""
    with docstore.open("memory://", blobs=docstore.Blobs(url, **options)) as plain:
        begin(plain)
        store = docstore.open(plain._context.backend, blobs=faulty_blobs(url, faults, **options))
        returned = tried(work, store)
        look(plain, after, returned)
    return faults.fired


def test_what_the_faulty_backend_leaves_alone(tmp_path: Path) -> None:
    """Without a fault it is the backend: indexes, transactions, grouping; it cannot cut, and a delay only
    waits.
    """
    with docstore.open("memory://", blobs=tmp_path) as plain:
        faults = Faults(1, "delay", times=1000)
        store = docstore.open(FaultyBackend(plain._context.backend, faults, seconds=0.0), blobs=tmp_path)
        with store.transaction():
            made = store.documents.add(b"x", metadata={"a": 1})
            with pytest.raises(docstore.NotFound):
                store.documents.delete("none")
        assert {1: 1} == dict(store.documents.count_by("metadata.a"))
        assert hashlib.sha256(b"x").hexdigest() == store.documents.get(made.id).sha256
        assert store.check().ok
        assert faults.fired > 5
        with pytest.raises(ValueError, match="cut"):
            FaultyBackend(plain._context.backend, Faults(1, "cut"))


def test_the_ledger_counts_what_was_lost(tmp_path: Path) -> None:
    """The judge of the kill loops: each kind of fault is counted, so that 0 means 0."""
    import json

    from tests.kit.ledger import Ledger

    digest = hashlib.sha256(b"x").hexdigest()
    with docstore.open("memory://", blobs=tmp_path) as store:
        for id in ("kept", "extra", "half", "missing", "flipped"):
            store.documents.add(b"x", id=id)
        ledger = Ledger()
        lines: list[Any] = [["try", {id: digest}] for id in ("kept", "lost", "missing", "flipped")]
        ledger.read([json.dumps(line) for try_ in lines for line in (try_, ["done"])])
        ledger.read([json.dumps(["try", {"half": digest, "other half": digest}])])
        keys = {row["id"]: row["blob_key"] for row in rows(store)}
        blobs = store._context.bytes()
        blobs.delete(keys["missing"])
        blobs.delete(keys["flipped"])
        blobs.write(keys["flipped"], [b"y"])
        blobs.write("README", [b"not ours"])
        ledger.look_after(store)
        ledger.compare(store)
    assert (3, 1, 1, 1, 1) == ledger.tally.faults[:5]
    assert "a document nobody added: extra" in ledger.tally.problems


def rows(store: docstore.Store) -> Any:
    from docstore.backend import Query
    from docstore.query.fields import DOCUMENTS

    with store._context.backend.read() as reader:
        return reader.select(Query(DOCUMENTS, include=frozenset({"blob_key"})))
