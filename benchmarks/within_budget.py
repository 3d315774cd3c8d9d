"""Whether every accepted query ends within its budget: adversaries and generated filters over 100,000 documents.

    python -m benchmarks within_budget --backend sqlite --timeout 0.5

The documents and the generated filters are those of :mod:`docstore.testing.strategies`. The adversaries are as much as is accepted
of the kinds that no index answers. Each is asked for its first row with a budget of time; it has to be answered, or to be refused
with ``QueryTimeout`` within 100 ms or a tenth more than the budget. Neither makes the store slower for whoever comes next: after
each time-out a page by id is read.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import docstore
from docstore.errors import FilterError, QueryTimeout
from docstore.limits import DEFAULT_LIMITS
from docstore.query.fields import DOCUMENTS
from docstore.testing.strategies import RandomChooser, World
from docstore.testing.strategies.asks import search, sort
from docstore.testing.strategies.filters import some_filter
from docstore.testing.strategies.worlds import document_rows

__all__ = ["Outcome", "adversaries", "asked", "fill", "questions"]

GRACE_SECONDS = 0.1
_SAMPLE = 300
_BATCH = 5_000
_SHOWN = 200


@dataclass(slots=True)
class Outcome:
    """What became of the questions.

    Attributes:
        answered, timed_out, refused: how many of each; a filter beyond the bounds is refused.
        late: what took longer than its budget allows, with its seconds.
        slowest: the slowest that was answered, with its seconds.
        behind: the longest that a page by id took right after a time-out, in seconds.
    """

    answered: int = 0
    timed_out: int = 0
    refused: int = 0
    late: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    slowest: tuple[float, dict[str, Any]] = (0.0, {})
    behind: float = 0.0


def fill(store: docstore.Store, size: int, seed: int) -> World:
    """Put ``size`` generated documents into a store; return a sample of them to ask about."""
    rows = document_rows(RandomChooser(seed), size, size)
    if store.documents.count(latest_only=False) != size:
        for start in range(0, size, _BATCH):
            with store._context.backend.write() as writer:
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


_KINDS: dict[str, Callable[[int], dict[str, Any]]] = {
    "$size": lambda n: {"$size": n + 1000},
    "$mod": lambda n: {"$mod": [n + 1_000_003, 7]},
    "$regex": lambda n: {"$regex": f"[a-q][^u-z]{{{n % 13}}}x{n}"},
    "$iglob": lambda n: {"$iglob": f"*q{n}?[xyz]*w"},
    "$substring": lambda n: {"$substring": f"Q{n}w"},
    "$contains of arrays": lambda n: {"$contains": [[n], {"a": n}]},
    "$gt of objects": lambda n: {"$gt": {"z": n}},
    "$in": lambda n: {"$in": [n + 0.25, [n], {"z": n}]},
    "$elemMatch": lambda n: {"$elemMatch": {"$regex": f"q{n}[xyz]+w"}},
    "$elemMatch of objects": lambda n: {"$elemMatch": {"b": f"q{n}"}},
}
"""Conditions that no index answers, each of as many as are accepted."""


def adversaries() -> Iterator[dict[str, Any]]:
    """Yield filters that are as much as is accepted, and match nothing or nearly nothing."""
    for word in _KINDS:
        is_pattern = "regex" in str(_KINDS[word](0)) or word == "$iglob"
        number = DEFAULT_LIMITS.patterns if is_pattern else DEFAULT_LIMITS.predicates // 2
        for path in ("metadata.a", "metadata.p{}", "metadata.a.{}"):
            terms = [{path.format(n): _KINDS[word](n)} for n in range(number)]
            yield {"filter": {"$or": terms}}
            yield {"filter": {"$nor": terms, "metadata.zz": {"$mod": [1_000_003, 7]}}}
    for field_name in ("filename", "content", "metadata.a"):
        pattern = [{field_name: {"$regex": f"^(.|\n){{0,{200 + n}}}$"}} for n in range(100)]
        yield {"filter": {"$and": [*pattern[:-1], {field_name: {"$regex": "zzq"}}]}}
        yield {"filter": {"$or": [{**one, "size": -n - 1} for n, one in enumerate(pattern)]}}
        yield {"filter": {field_name: {"$regex": "(?:(?:[a-z0-9]|.[a-q]){0,40}|(?:.\\d){0,60}){1,3}$"}}}
    yield {
        "filter": {
            "metadata.a": {"$nin": list(range(10_000))},
            "metadata.b": {"$in": [f"q{n}" for n in range(10_000)]},
        }
    }
    yield {"filter": {"metadata.a": {"$all": [[n] for n in range(500)]}}}
    yield {"search": " ".join(f"q{n}" for n in range(180))}
    yield {"search": "-" + " -".join("abcdefghijklmnopqrstuvwxyz0123456789")}


def asked(store: docstore.Store, asks: Iterator[dict[str, Any]], timeout: float) -> Outcome:
    """Ask for the first row of each with a budget of seconds."""
    outcome = Outcome()
    some = store.documents.find(limit=1).items[0].id
    most = timeout + max(GRACE_SECONDS, timeout / 10)
    for ask in asks:
        begun = time.perf_counter()
        try:
            store.documents.find(**ask, limit=1, timeout=timeout)
            outcome.answered += 1
            outcome.slowest = max(outcome.slowest, (time.perf_counter() - begun, ask), key=lambda pair: pair[0])
        except FilterError:
            outcome.refused += 1
            continue
        except QueryTimeout:
            outcome.timed_out += 1
        seconds = time.perf_counter() - begun
        if seconds > most:
            outcome.late.append((seconds, ask))
        if outcome.timed_out:
            begun = time.perf_counter()
            store.documents.get(some)
            outcome.behind = max(outcome.behind, time.perf_counter() - begun)
    return outcome


@contextmanager
def _store(name: str, work: Path) -> Iterator[docstore.Store]:
    if name == "postgres":
        from docstore.testing.servers import PostgresServer

        with PostgresServer() as server, docstore.open(server.create_database(), slow_query=None) as store:
            yield store
        return
    work.mkdir(parents=True, exist_ok=True)
    url = "memory://" if name == "memory" else f"sqlite:///{work / 'within_budget.db'}"
    with docstore.open(url, slow_query=None) as store:
        yield store


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, and print what became of it; return 1 if a query ended later than its budget allows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks within_budget", description=__doc__)
    parser.add_argument("--backend", choices=("memory", "sqlite", "postgres"), action="append")
    parser.add_argument("--size", type=int, default=100_000, help="documents (default: %(default)s)")
    parser.add_argument("--questions", type=int, default=200, help="filters to generate (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=0.5, help="seconds of each (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of documents and filters (default: %(default)s)")
    parser.add_argument(
        "--work", type=Path, default=Path(".bench"), help="where SQLite's file is kept (default: %(default)s)"
    )
    chosen = parser.parse_args(arguments)
    late = False
    for name in chosen.backend or ("memory", "sqlite", "postgres"):
        with _store(name, chosen.work / f"{chosen.size}-{chosen.seed}") as store:
            world = fill(store, chosen.size, chosen.seed)
            store.documents.find({"metadata.a": 1}, limit=1)
            asks = chain(adversaries(), questions(world, chosen.questions, chosen.seed))
            outcome = asked(store, asks, chosen.timeout)
        print(
            f"{name}: {outcome.answered} answered, {outcome.timed_out} timed out, {outcome.refused} refused, "
            f"{len(outcome.late)} late; the slowest answer {outcome.slowest[0]:.3f} s, "
            f"the slowest get behind a time-out {outcome.behind:.3f} s",
            flush=True,
        )
        for seconds, ask in sorted(outcome.late, key=lambda pair: -pair[0])[:10]:
            print(f"  {seconds:7.3f} s  {str(ask)[:_SHOWN]}", file=sys.stderr)
        late = late or bool(outcome.late)
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
