"""W1, W10 and W11: what writing takes beside the same by hand, and what the index takes on disk."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count, islice
from pathlib import Path
from typing import Any

import docstore
from benchmarks import by_hand_postgres, by_hand_sqlite
from benchmarks.alone import alone
from benchmarks.corpus import Doc, corpus, new_document
from benchmarks.measure import Clock, Figure, cpu_clock, interleaved, wall_clock
from benchmarks.running import LIBRARY, Result

__all__ = ["WRITING", "writing"]

WRITING = ("W1a", "W1b", "W10", "W11")
_BULK, _SINGLE = 10_000, 40
TARGETS = {
    ("W1a", "memory"): (20, "µs"), ("W1a", "sqlite"): (2.5, "A"), ("W1a", "postgres"): (2, "COPY with GIN"),
    ("W1b", "sqlite"): (1.5, "A"), ("W1b", "postgres"): (1.5, "by hand"),
    ("W10", "sqlite"): (2, "A"), ("W10", "postgres"): (2, "by hand"),
}  # fmt: skip


def writing(backend: str, names: set[str], rounds: int, server: Callable[[], str]) -> Iterator[Result]:
    """Measure what writing takes on one backend."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        side = SIDES[backend](stack, Path(folder), server)
        docs = list(corpus(_BULK, 7))
        if "W1a" in names:
            figures = _per_document(side.bulk(docs, rounds))
            yield _result("W1a", f"bulk, {_BULK:,} documents at a time, a document", backend, figures)
        if "W1b" in names:
            yield _result("W1b", "one document and commit, wall clock", backend, side.single(docs, rounds))
        if "W10" in names:
            yield _result(
                "W10", "status of one document and commit, wall clock", backend, side.status(docs, rounds)
            )


def _per_document(figures: dict[str, Figure]) -> dict[str, Figure]:
    return {name: Figure(tuple(took / _BULK for took in figure.rounds)) for name, figure in figures.items()}


def _result(work: str, title: str, backend: str, figures: dict[str, Figure]) -> Result:
    return Result(work, title, backend, _BULK, figures, TARGETS.get((work, backend)))


class Side:
    """One backend and what is written by hand beside it."""

    reference: str | None = None
    clock: Clock = staticmethod(cpu_clock)

    def __init__(self, stack: ExitStack, folder: Path, server: Callable[[], str]) -> None:
        self.folder, self.serial = folder, count()
        self.store = stack.enter_context(docstore.open(self.url(server)))
        self.store.documents.count()
        self.connect(stack)

    def url(self, server: Callable[[], str]) -> str:
        """Return where the store is."""
        return "memory://"

    def connect(self, stack: ExitStack) -> None:
        """Open what stands beside the store."""

    def by_hand(self, docs: list[Doc]) -> dict[str, Callable[[], object]]:
        """Return the bulk load by hand."""
        return {}

    def one_by_hand(self, doc: Doc) -> None:
        """Insert one document by hand."""

    def status_by_hand(self, number: int) -> None:
        """Set one status by hand."""

    def bulk(self, docs: list[Doc], rounds: int) -> dict[str, Figure]:
        """Time bulk loads, each into what the loads before left and in one commit, as by hand; and by commits of
        the default size.
        """
        rows = [new_document(doc) for doc in docs]
        add = self.store.documents.add_many
        calls: dict[str, Callable[[], object]] = {
            LIBRARY: lambda: add(rows, batch_size=_BULK),
            "1,000 a commit": lambda: add(rows),
        }
        return interleaved(calls | self.by_hand(docs), rounds=rounds, clock=self.clock, budget=60)

    def single(self, docs: list[Doc], rounds: int) -> dict[str, Figure]:
        """Time single additions, each committed."""
        ours, theirs = iter(docs * 9), iter(docs * 9)

        def add() -> None:
            row = new_document(next(ours))
            self.store.documents.add(None, **row)

        calls: dict[str, Callable[[], object]] = {LIBRARY: lambda: [add() for _ in range(_SINGLE)]}
        if self.reference:
            calls[self.reference] = lambda: [self.one_by_hand(next(theirs)) for _ in range(_SINGLE)]
        return _each(interleaved(calls, rounds=rounds, clock=wall_clock))

    def status(self, docs: list[Doc], rounds: int) -> dict[str, Figure]:
        """Time changes of status, each committed."""
        ready = ({**new_document(doc), "status": "pending", "error": None} for doc in docs * 3)
        ids = iter(self.store.documents.add_many(islice(ready, 20_000)).ids)
        numbers = count(1)
        calls: dict[str, Callable[[], object]] = {
            LIBRARY: lambda: [self.store.documents.start(next(ids)) for _ in range(_SINGLE)]
        }
        if self.reference:
            calls[self.reference] = lambda: [self.status_by_hand(next(numbers)) for _ in range(_SINGLE)]
        return _each(interleaved(calls, rounds=rounds, clock=wall_clock))


def _each(figures: dict[str, Figure]) -> dict[str, Figure]:
    return {name: Figure(tuple(took / _SINGLE for took in figure.rounds)) for name, figure in figures.items()}


class SQLiteSide(Side):
    """SQLite, beside A."""

    reference = "A"

    def url(self, server: Callable[[], str]) -> str:
        return f"sqlite:///{self.folder}/store.db"

    def connect(self, stack: ExitStack) -> None:
        self.hand = sqlite3.connect(self.folder / "hand.db", isolation_level=None)
        stack.callback(self.hand.close)
        by_hand_sqlite.tables(self.hand)

    def by_hand(self, docs: list[Doc]) -> dict[str, Callable[[], object]]:
        return {"A": lambda: by_hand_sqlite.insert_many(self.hand, docs)}

    def one_by_hand(self, doc: Doc) -> None:
        by_hand_sqlite.insert_one(self.hand, doc)

    def status_by_hand(self, number: int) -> None:
        self.hand.execute("UPDATE doc SET status = 'processing' WHERE seq = ?", (number,))


class PostgresSide(Side):
    """Postgres, beside one table with GIN and b-trees."""

    reference = "by hand"

    def url(self, server: Callable[[], str]) -> str:
        self.where = by_hand_postgres.database(server(), "bench_writing", fresh=True)
        return self.where

    def connect(self, stack: ExitStack) -> None:
        import psycopg

        self.hand = stack.enter_context(psycopg.connect(self.where, autocommit=True))
        self.hand.execute(f"CREATE TABLE hand {by_hand_postgres.TABLE}".encode())
        for statement in by_hand_postgres.INDEXES:
            self.hand.execute(statement.encode())
        self.clock = by_hand_postgres.server_clock(self.hand)

    def by_hand(self, docs: list[Doc]) -> dict[str, Callable[[], object]]:
        def copy() -> None:
            start = next(self.serial) * _BULK
            for doc in docs:
                doc.at = start + doc.at % _BULK
            by_hand_postgres.copy_hand(self.hand, iter(docs))

        return {"COPY with GIN": copy}

    def one_by_hand(self, doc: Doc) -> None:
        doc.at = 1_000_000_000 + next(self.serial)
        by_hand_postgres.insert_one(self.hand, doc)

    def status_by_hand(self, number: int) -> None:
        self.hand.execute("UPDATE hand SET status = 'processing' WHERE seq = %s", (number,))


SIDES: dict[str, type[Side]] = {"memory": Side, "sqlite": SQLiteSide, "postgres": PostgresSide}


def sizes(size: int) -> Iterator[str]:
    """Say what all metadata takes beside its own text, on disk for SQLite and in memory (W11)."""
    text = (
        sum(
            len(json.dumps(doc.metadata, ensure_ascii=False, separators=(",", ":")))
            for doc in corpus(size, 1)
        )
        / size
    )
    with tempfile.TemporaryDirectory() as folder:
        taken: dict[str, list[Any]] = {}
        for metadata in "01":
            alone("ingest", f"sqlite:///{folder}/{metadata}.db", size, metadata)
            files = sum(path.stat().st_size for path in Path(folder).glob(f"{metadata}.db*"))
            held = alone("ingest", "memory://", size, metadata)
            taken[metadata] = [files / size, (held["now"] - held["start"]) / size]
    for name, target, (empty, full) in zip(
        ("SQLite, on disk", "memory"), (60, 200), zip(*taken.values(), strict=True), strict=True
    ):
        yield (
            f"W11 {size:,} documents, {name}: {full - empty - text:.0f} B a document for the index of its metadata "
            f"({full:.0f} with, {empty:.0f} without, {text:.0f} of JSON text), target ≤ {target}"
        )
