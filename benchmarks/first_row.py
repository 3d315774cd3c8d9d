"""How long the first row takes, whatever is asked: generated filters over 100,000 documents, the worst of them first.

    python -m benchmarks.first_row --backend sqlite --questions 500

The documents and the filters are those of :mod:`docstore.testing.strategies`: every operator, values of every type on one path,
nested arrays, awkward keys. Each filter is asked for its first row in the default order, then with a sort or a search of its own.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docstore
from docstore.errors import FilterError
from docstore.query.fields import DOCUMENTS
from docstore.testing.strategies import RandomChooser, World
from docstore.testing.strategies.asks import search, sort
from docstore.testing.strategies.filters import some_filter
from docstore.testing.strategies.worlds import document_rows

__all__ = ["Answer", "fill", "questions", "slowest"]

ALLOWED = 2.0
"""Seconds that no accepted filter may take to its first row."""
_SAMPLE = 300
_BATCH = 5_000


@dataclass(frozen=True, slots=True)
class Answer:
    """One question and the seconds that its first row took."""

    seconds: float
    ask: dict[str, Any]


def fill(store: docstore.Store, size: int, seed: int) -> World:
    """Put ``size`` generated documents into a store; return a sample of them to ask about."""
    rows = document_rows(RandomChooser(seed), size, size)
    if store.documents.count(latest_only=False) != size:
        for start in range(0, size, _BATCH):
            with store._root.backend.write() as writer:
                writer.insert(DOCUMENTS, rows[start : start + _BATCH])
    return World(DOCUMENTS, rows[:_SAMPLE])


def questions(world: World, number: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield what ``find`` is asked: each filter by itself, every other with a sort or a search."""
    choose = RandomChooser(seed)
    for turn in range(number):
        filter = some_filter(choose, world)
        yield {"filter": filter}
        if turn % 4 == 1:
            yield {"filter": filter, "sort": list(sort(choose, world))}
        if turn % 4 == 3:
            yield {"filter": filter, "search": search(choose, world)}


def slowest(store: docstore.Store, asks: Iterator[dict[str, Any]], keep: int) -> tuple[int, list[Answer]]:
    """Ask for the first row of each; return how many were accepted, and the slowest."""
    answers: list[Answer] = []
    asked = 0
    for ask in asks:
        begun = time.perf_counter()
        try:
            store.documents.find(**ask, limit=1)
        except FilterError:
            continue
        asked += 1
        answers.append(Answer(time.perf_counter() - begun, ask))
        answers = sorted(answers, key=lambda answer: -answer.seconds)[:keep]
    return asked, answers


@contextmanager
def _store(name: str, work: Path) -> Iterator[docstore.Store]:
    if name == "postgres":
        from docstore.testing.servers import PostgresServer

        with PostgresServer() as server, docstore.open(server.create_database()) as store:
            yield store
        return
    work.mkdir(parents=True, exist_ok=True)
    with docstore.open("memory://" if name == "memory" else f"sqlite:///{work / 'first_row.db'}") as store:
        yield store


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, and print the slowest questions; return 1 if one took longer than is allowed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_row", description=__doc__)
    parser.add_argument("--backend", choices=("memory", "sqlite", "postgres"), action="append")
    parser.add_argument("--size", type=int, default=100_000, help="documents (default: %(default)s)")
    parser.add_argument("--questions", type=int, default=500, help="filters to ask (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the documents and the filters (default: %(default)s)")
    parser.add_argument("--work", type=Path, default=Path(".bench"), help="where SQLite's file is kept (default: %(default)s)")
    parser.add_argument("--show", type=int, default=10, help="questions to print (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    late = False
    for name in chosen.backend or ("memory", "sqlite", "postgres"):
        with _store(name, chosen.work / f"{chosen.size}-{chosen.seed}") as store:
            world = fill(store, chosen.size, chosen.seed)
            asked, found = slowest(store, questions(world, chosen.questions, chosen.seed), chosen.show)
        print(f"{name}: {asked} questions over {chosen.size:,} documents, the slowest {found[0].seconds:.3f} s")
        for answer in found:
            print(f"  {answer.seconds:7.3f} s  {answer.ask}")
        late = late or found[0].seconds > ALLOWED
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
