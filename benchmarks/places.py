"""Where what is measured lies: stores of docstore and tables made by hand, built once a size and kept in the work folder."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docstore
from benchmarks import by_hand_postgres, by_hand_sqlite
from benchmarks.corpus import corpus, new_document
from benchmarks.measure import Clock, cpu_clock

__all__ = ["Place", "load", "memory_place", "postgres_place", "sqlite_place"]


@dataclass(slots=True)
class Place:
    """One backend with the documents in it, and what stands beside it.

    Attributes:
        name: ``memory``, ``sqlite`` or ``postgres``.
        store: docstore's own.
        hands: connections to what was made by hand, by schema.
        clock: CPU seconds of this thread and, where there is one, of the server.
        built: seconds that docstore took to load a document, if it was loaded now.
    """

    name: str
    store: docstore.Store
    hands: dict[str, Any] = field(default_factory=dict)
    clock: Clock = cpu_clock
    built: float | None = None


def load(
    store: docstore.Store, size: int, seed: int, *, content: bool = False, metadata: bool = True
) -> float:
    """Put the documents into a store; return the seconds of it, the generator's own taken off."""
    begun = time.perf_counter()
    for doc in corpus(size, seed):
        new_document(doc, content=content, metadata=metadata)
    generated = time.perf_counter() - begun
    begun = time.perf_counter()
    store.documents.add_many(
        (new_document(doc, content=content, metadata=metadata) for doc in corpus(size, seed)),
        batch_size=5_000,
    )
    return time.perf_counter() - begun - generated


@contextmanager
def memory_place(size: int, seed: int, *, content: bool) -> Iterator[Place]:
    """Open a store in memory with the documents in it."""
    with docstore.open("memory://") as store:
        took = load(store, size, seed, content=content)
        yield Place("memory", store, built=took / size)


@contextmanager
def sqlite_place(work: Path, size: int, seed: int, *, content: bool, fresh: bool) -> Iterator[Place]:
    """Open a store in a file, with A and B beside it."""
    folder = work / f"sqlite-{size}-{seed}{'-text' if content else ''}"
    if fresh:
        shutil.rmtree(folder / "store", ignore_errors=True)
    built = _once(
        folder / "store", lambda made: _build_store(f"sqlite:///{made}/store.db", size, seed, content)
    )
    for schema in ("A", "B"):
        _once(
            folder / schema,
            lambda made, schema=schema: by_hand_sqlite.build(
                made / "hand.db", schema, corpus(size, seed), content
            ),
        )
    hands = {
        schema: sqlite3.connect(folder / schema / "hand.db", isolation_level=None) for schema in ("A", "B")
    }
    for connection in hands.values():
        by_hand_sqlite.prepare(connection)
    try:
        with docstore.open(f"sqlite:///{folder}/store/store.db") as store:
            yield Place("sqlite", store, hands, built=None if built is None else built / size)
    finally:
        for connection in hands.values():
            connection.close()


def _once(folder: Path, build: Callable[[Path], Any]) -> Any:
    """Build what belongs into a folder, unless it stands there; a half-built one never does."""
    if folder.exists():
        return None
    making = folder.with_name(folder.name + ".making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    made = build(making)
    making.rename(folder)
    return made


def _build_store(url: str, size: int, seed: int, content: bool) -> float:
    with docstore.open(url) as store:
        return load(store, size, seed, content=content)


@contextmanager
def postgres_place(server: str, size: int, seed: int, *, content: bool, fresh: bool) -> Iterator[Place]:
    """Open a store in a database of ``server``, with a table made by hand beside it."""
    import psycopg

    name = f"bench_{size}_{seed}{'_text' if content else ''}"
    url = by_hand_postgres.database(server, name, fresh=fresh)
    with psycopg.connect(url, autocommit=True) as hand:
        built = None
        if not by_hand_postgres.is_built(hand):
            built = _build_store(url, size, seed, content)
            by_hand_postgres.build(hand, corpus(size, seed), content)
        by_hand_postgres.prepare(hand)
        with docstore.open(url) as store:
            store.documents.find({}, limit=1)
            clock = by_hand_postgres.server_clock(hand)
            yield Place("postgres", store, {"hand": hand}, clock, None if built is None else built / size)
