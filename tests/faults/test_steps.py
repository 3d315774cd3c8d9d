"""Every step of every protocol, killed by os._exit: what is left is the state before or after, and heals."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import docstore
from docstore.blobs.s3 import SMALL
from docstore.crash_points import STEPS, hooked
from tests.kit.crashes import crashed_at

State = dict[str, bytes]
LARGE = b"x" * (SMALL + 11_000)
"""More than S3 takes in one request."""


def state_of(store: docstore.Store) -> State:
    """Return every document's bytes."""
    return {one.id: store.documents.read_bytes(one.id) for one in store.documents.iterate()}


def begin(store: docstore.Store) -> None:
    """Leave something for each protocol to do: documents, dead bytes, a stale intent, a swept row, an
    orphan.
    """
    store.documents.add(b"kept", id="kept", filename="kept")
    store.documents.add(b"old", id="old", filename="old")
    backend, blobs = store._context.backend, store._context.bytes()
    store.documents.delete(store.documents.add(b"swept", filename="swept").id)
    store.collect()
    store.documents.delete(store.documents.add(b"dead", filename="dead").id)
    for key, kept in (("aa/bb/aabb" + "0" * 28, True), ("aa/bb/aabb" + "1" * 28, False)):
        blobs.write(key, [b"intent"])
        if kept:
            with backend.write() as writer:
                writer.insert_blob(docstore.backend.BlobRow(key, at=1))


def add(store: docstore.Store) -> None:
    store.documents.add(b"new", id="new", filename="new")


def add_large(store: docstore.Store) -> None:
    store.documents.add(LARGE, id="new", filename="new")


def replace(store: docstore.Store) -> None:
    store.documents.update("old", source=b"other")


def delete(store: docstore.Store) -> None:
    store.documents.delete("old")


def together(store: docstore.Store) -> None:
    with store.transaction():
        store.documents.add(b"new", id="new", filename="new")
        store.documents.update("kept", source=b"changed")
        store.documents.delete("old")


def collect(store: docstore.Store) -> None:
    store.collect(0)


BEFORE: State = {"kept": b"kept", "old": b"old"}
WORKS: dict[str, tuple[Callable[[docstore.Store], None], State]] = {
    "add": (add, {**BEFORE, "new": b"new"}),
    "add large": (add_large, {**BEFORE, "new": LARGE}),
    "replace": (replace, {**BEFORE, "old": b"other"}),
    "delete": (delete, {"kept": b"kept"}),
    "together": (together, {"kept": b"changed", "new": b"new"}),
    "collect": (collect, BEFORE),
}
DONE = ("P4.2", "P5", "D2")
"""Steps after a commit: what was done is there. Within a transaction they come with its own commit."""


def reaching(ground: Any, name: str) -> list[str]:
    """Return the steps that a work reaches, each once for each time, by doing it."""
    seen: list[str] = []
    with ground.open() as store:
        begin(store)
        with hooked(seen.append):
            WORKS[name][0](store)
    return seen


SHORT = {
    "sqlite-local": {"add", "together", "collect"},
    "sqlite-s3": {"add large"},
    "postgres-local": {"together"},
    "postgres-s3": set(),
}
"""What the short form kills where: of large objects while their bytes go out, of a transaction after that, as
an add alone is killed while its bytes are written. The long form kills everything everywhere, each time that
a step is reached.
"""
LONG = os.environ.get("DOCSTORE_FAULTS") == "long"


@pytest.mark.parametrize(
    ("ground", "name"),
    [(place, name) for place in SHORT for name in WORKS if LONG or name in SHORT[place]],
    indirect=["ground"],
)
def test_killed_at_every_step(ground: Any, name: str) -> None:
    """For each time that a step is reached: before or after, never between; then healed by a collection."""
    work, after = WORKS[name]
    seen = reaching(ground, name)
    with ground.open() as store:
        store.documents.delete_many({})
        assert [] == ground.heal(store)
        begin(store)
    assert set(seen) <= set(STEPS)

    def run() -> None:
        work(ground.open())

    for at, step in enumerate(seen):
        is_other = {"add large": not step.startswith("P3"), "together": step.startswith(("P0", "P3"))}
        if not LONG and (step in seen[:at] or is_other.get(name)):
            continue
        assert crashed_at(step, run, time=seen[: at + 1].count(step))
        with ground.open() as store:
            assert [] == ground.heal(store)
            found = state_of(store)
            store.documents.delete_many({})
            if LONG or step == seen[-1]:  # what a deletion leaves, the next turn's healing would find, too
                assert [] == ground.heal(store)
            begin(store)
        assert found in (BEFORE, after), step
        if step in DONE and (name != "together" or step == "P4.2"):
            assert after == found, step


def test_every_step_is_killed_somewhere(sqlite_url: str, tmp_path: Path) -> None:
    """The works above reach all steps there are."""
    reached: list[str] = []
    for name, (work, _) in WORKS.items():
        with docstore.open(f"{sqlite_url}-{name.replace(' ', '')}", blobs=tmp_path / name) as store:
            begin(store)
            with hooked(reached.append):
                work(store)
    assert set(STEPS) == set(reached)


class Died(BaseException):
    """A death that memory survives."""


@pytest.mark.parametrize(
    ("url", "name"), [*(("memory", name) for name in WORKS), ("sqlite", "together")], indirect=["url"]
)
def test_memory_is_left_before_or_after(url: str, name: str) -> None:
    """What dies with its process cannot be killed: a death of the thread at each step leaves before or
    after.
    """
    work, after = WORKS[name]
    at = 0
    while True:
        with docstore.open(url, blobs="memory://") as store:
            store.documents.delete_many({})
            begin(store)
            left = [at]

            def die(step: str, left: list[int] = left) -> None:
                left[0] -= 1
                if left[0] == -1:
                    raise Died(step)

            try:
                with hooked(die):
                    work(store)
            except Died:
                pass
            else:
                break
            store.collect(0)
            store.collect(0)
            assert () == store.check("hash", grace=0).findings
            assert state_of(store) in (BEFORE, after)
            store.documents.delete_many({})
            store.collect(0)
            store.collect(0)
        at += 1
    assert at > 0
