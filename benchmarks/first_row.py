"""How long the first row takes, whatever is asked: generated filters over 100,000 documents, the worst of them first.

    python -m benchmarks.first_row --backend sqlite --questions 500

The documents and the filters are those of :mod:`docstore.testing.strategies`: every operator, values of every type on one path,
nested arrays, awkward keys. Each filter is asked for its first row in the default order, then with a sort or a search of its own.
Before them come adversaries: as many predicates as are accepted, of the kinds that no index answers, and hundreds of generated
patterns.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import docstore
from benchmarks.by_hand_postgres import server_clock
from benchmarks.measure import Clock, cpu_clock
from benchmarks.pattern_families import families
from docstore.errors import FilterError
from docstore.limits import DEFAULT_LIMITS
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
_SHOWN = 400
Every: TypeAlias = Callable[..., dict[str, Any]]
"""Returns a question of as many conditions as are accepted: what makes each, the word, predicates of each."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One question, the seconds that its first row took, and how many of them were spent on a processor."""

    seconds: float
    cpu: float
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


_NOTHING = {"metadata.zz": {"$mod": [1_000_003, 7]}}
_KINDS: dict[str, Callable[[int], dict[str, Any]]] = {
    "$size": lambda n: {"$size": n + 1000},
    "$mod": lambda n: {"$mod": [n + 1_000_003, 7]},
    "$type": lambda n: {"$type": ("null", "bool", "long", "array")[n % 4], "$size": n + 50},
    "$regex": lambda n: {"$regex": f"q{n}[xyz]+w"},
    "$substring": lambda n: {"$substring": f"Q{n}w"},
    "$contains": lambda n: {"$contains": [f"Q{n}w", n]},
    "$contains of arrays": lambda n: {"$contains": [[n], {"a": n}]},
    "$eq of arrays": lambda n: {"$eq": [n, f"q{n}"]},
    "$gt of objects": lambda n: {"$gt": {"z": n}},
    "$in": lambda n: {"$in": [n + 0.25, [n], {"z": n}]},
    "$elemMatch of values": lambda n: {"$elemMatch": {"$mod": [n + 1_000_003, 7]}},
    "$elemMatch of patterns": lambda n: {"$elemMatch": {"$regex": f"q{n}[xyz]+w"}},
    "$elemMatch of objects": lambda n: {"$elemMatch": {"b": f"q{n}"}},
}
"""Conditions, the operators of which say how many predicates they are: one, and one within ``$elemMatch``."""


def _of_each_kind(every: Every) -> Iterator[dict[str, Any]]:
    """Yield filters of one kind of condition: on one path, on many, behind one array, and negated."""
    for name, make in _KINDS.items():
        count = 2 if name == "$type" or name.startswith("$elemMatch") else 1
        for path in ("metadata.a", "metadata.p{}", "metadata.a.{}"):
            yield every(lambda n, path=path, make=make: {path.format(n): make(n)}, predicates=count)
            if path != "metadata.a.{}":
                negated = every(
                    lambda n, path=path, make=make: {path.format(n): {"$not": make(n)}}, "$and", count
                )
                yield {"filter": {"$and": [*negated["filter"]["$and"][:-1], _NOTHING]}}
    yield {
        "filter": {"$and": [{"filename": {"$not": {"$regex": f"q{n}x"}}} for n in range(499)] + [_NOTHING]}
    }
    yield {"filter": {"$and": [{f"metadata.a.b.q{n}": None} for n in range(499)] + [_NOTHING]}}
    yield every(lambda n: {"metadata.a": {"$gt": n + 1000, "$lt": n + 1001}}, predicates=2)
    yield every(
        lambda n: {"metadata.a": {"$not": {"$size": n}}, "metadata.b": {"$size": n + 1000}}, predicates=2
    )
    yield every(lambda n: {"metadata.a": {"$ne": f"q{n}"}, "metadata.b": {"$mod": [n + 7, 6]}}, predicates=2)


def adversaries() -> Iterator[dict[str, Any]]:
    """Yield filters that are as much as is accepted, and match nothing or nearly nothing."""
    number = DEFAULT_LIMITS.predicates

    def every(
        make: Callable[[int], dict[str, Any]], word: str = "$or", predicates: int = 1
    ) -> dict[str, Any]:
        return {"filter": {word: [make(n) for n in range(number // predicates)]}}

    for field in ("filename", "metadata.a", "content"):
        yield every(lambda n, field=field: {field: {"$regex": f"q{n}[xyz]+w"}})
        yield every(lambda n, field=field: {field: {"$iglob": f"*q{n}?[xyz]*w"}})
        yield every(lambda n, field=field: {field: {"$isubstring": f"Q{n}w"}})
    yield every(lambda n: {"metadata.a": {"$elemMatch": {"$gt": f"q{n}", "$lt": f"q{n}a"}}}, predicates=3)
    yield every(lambda n: {"metadata.a.b": {"$elemMatch": {"c": n + 0.25}}}, predicates=2)
    yield every(lambda n: {f"metadata.a.{n}.b": {"$gt": n + 0.25}})
    yield every(
        lambda n: (
            {"metadata": {"$gt": {"z": n}, "$lt": {"z": n}}} if n % 2 else {"status": "failed", "size": -n}
        ),
        predicates=2,
    )
    yield every(lambda n: {"metadata.a": {"$mod": [n + 1_000_003, 7]}})
    yield every(lambda n: {"metadata.a": {"$not": {"$lt": f"q{n}"}}}, "$nor")
    yield every(lambda n: {"metadata.a": {"$ne": [n, {"a": n}]}}, "$nor")
    yield every(lambda n: {"metadata.a": {"$size": n + 1000}})
    yield from _of_each_kind(every)
    yield from _of_ranges(every)
    yield from _of_pairs(every)
    for field in ("filename", "content", "external_id", "metadata.a"):
        yield from _of_one_text(field)
    yield {
        "filter": {
            "metadata.a": {"$nin": list(range(10_000))},
            "metadata.b": {"$in": [f"q{n}" for n in range(10_000)]},
        }
    }
    yield {"filter": {"metadata.a": {"$all": [[n] for n in range(500)]}}}
    yield {"search": " ".join(f"q{n}" for n in range(180))}
    yield {"search": "-" + " -".join("abcdefghijklmnopqrstuvwxyz0123456789")}
    yield {"search": "% _ ' ! $ & ( )"}


def _of_ranges(every: Callable[..., dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield hundreds of ranges of one field or path: of texts, most of them different, numbers, objects and arrays."""
    for field in ("filename", "external_id", "content_type", "metadata.a"):
        yield every(lambda n, field=field: {field: {"$gt": f"q{n}", "$lt": f"q{n}a"}}, predicates=2)
    for field in ("metadata", "metadata.a"):
        yield every(lambda n, field=field: {field: {"$gt": {"z": n}, "$lt": {"z": n + 0.1}}}, predicates=2)
    yield every(lambda n: {"metadata.a": {"$gt": [n], "$lt": [n + 0.1]}}, predicates=2)
    yield every(
        lambda n: {"$or": [{"metadata": {"$lt": {"z": n}}}, {"metadata": {"$gte": {"z": n + 0.1}}}]},
        "$and",
        2,
    )
    yield every(lambda n: {"size": {"$mod": [n + 1_000_003, 7]}})


def _of_pairs(every: Callable[..., dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield hundreds of alternatives of which each needs two things, one of them nearly always there."""
    for field in ("filename", "content", "metadata.a"):
        yield every(
            lambda n, field=field: {field: {"$substring": f"qzj{n}"}, "size": {"$gt": n}}, predicates=2
        )
        yield every(
            lambda n, field=field: {field: {"$regex": f"qzj{n}.*x"}, "size": {"$gt": n}}, predicates=2
        )
        yield every(
            lambda n, field=field: {field: {"$iglob": f"*qzj{n}?x*"}, "size": {"$gt": n}}, predicates=2
        )
    yield every(lambda n: {"status": {"$in": ["pending", "failed"]}, "size": -n - 1}, predicates=2)
    yield every(lambda n: {"metadata.a": {"$type": "string"}, "metadata.b": {"$lt": -n - 0.5}}, predicates=2)


def _of_one_text(field: str) -> Iterator[dict[str, Any]]:
    """Yield hundreds of tests of one text that are true of nearly all, with one that fails at the end, among them or beside others;
    and patterns that need very many states together.
    """

    def rare(n: int) -> str:
        return chr(0x4E00 + n)

    nearly: list[Callable[[int], Any]] = [
        lambda n: {field: {"$regex": f"^[^{rare(n)}]*$"}},
        lambda n: {field: {"$regex": f"[^{rare(n)}]"}},
        lambda n: {field: {"$glob": f"*[!{rare(n)}]*"}},
        lambda n: {field: {"$iglob": f"*[!{rare(n)}]"}},
        lambda n: {field: {"$not": {"$substring": rare(n)}}},
        lambda n: {field: {"$not": {"$glob": f"*[{rare(n)}]?*"}}},
    ]
    fails = {field: {"$regex": "zzq"}}
    yield {"filter": {"$and": [*({field: {"$regex": f"^(.|\n){{0,{200 + n}}}$"}} for n in range(499)), fails]}}
    for make in nearly:
        yield {"filter": {"$and": [*(make(n) for n in range(499)), fails]}}
        yield {"filter": {"$and": [*({"$or": [make(n), {"size": -n - 1}]} for n in range(249)), fails]}}
        yield {"filter": {"$or": [{"$and": [make(n), {field: {"$regex": f"{rare(n)}.x"}}]} for n in range(250)]}}
        yield {"filter": {"$or": [{"$and": [make(n), {f"metadata.p{n}": n}]} for n in range(250)]}}
    never: list[Callable[[int], Any]] = [
        lambda n: {"$regex": f"[a-z].{{{n % 20}}}{rare(n)}"},
        lambda n: {"$regex": f"[a-q][^u-z]{{{n % 13}}}x{n}"},
        lambda n: {"$glob": f"*[{rare(n)}]?*"},
        lambda n: {"$iglob": f"[{rare(n)}]*?[x-z]"},
    ]
    for condition in never:
        yield {"filter": {"$or": [{field: condition(n)} for n in range(500)]}}


def slowest(
    store: docstore.Store, clock: Clock, asks: Iterator[dict[str, Any]], keep: int
) -> tuple[int, list[Answer]]:
    """Ask for the first row of each; return how many were accepted, and the slowest by ``clock``."""
    answers: list[Answer] = []
    asked = 0
    for ask in asks:
        begun, spent = time.perf_counter(), clock()
        try:
            store.documents.find(**ask, limit=1)
        except FilterError:
            continue
        asked += 1
        answers.append(Answer(time.perf_counter() - begun, clock() - spent, ask))
        if answers[-1].cpu > ALLOWED:
            print(f"  {answers[-1].cpu:.3f} s: {str(ask)[:_SHOWN]}", file=sys.stderr, flush=True)
        answers = sorted(answers, key=lambda answer: -answer.cpu)[:keep]
    return asked, answers


@contextmanager
def _store(name: str, work: Path) -> Iterator[tuple[docstore.Store, Callable[[], Clock]]]:
    """Open a store; yield it and what makes its clock once it is filled."""
    if name == "postgres":
        import psycopg

        from docstore.testing.servers import PostgresServer

        with PostgresServer() as server:
            url = server.create_database()
            with docstore.open(url, slow_query=None) as store, psycopg.connect(url) as beside:
                yield store, lambda: server_clock(beside)
        return
    work.mkdir(parents=True, exist_ok=True)
    url = "memory://" if name == "memory" else f"sqlite:///{work / 'first_row.db'}"
    with docstore.open(url, slow_query=None) as store:
        yield store, lambda: cpu_clock


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, and print the slowest questions; return 1 if one took longer than is allowed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_row", description=__doc__)
    parser.add_argument("--backend", choices=("memory", "sqlite", "postgres"), action="append")
    parser.add_argument("--size", type=int, default=100_000, help="documents (default: %(default)s)")
    parser.add_argument("--questions", type=int, default=500, help="filters to ask (default: %(default)s)")
    parser.add_argument(
        "--families", type=int, default=130, help="filters of generated patterns (default: %(default)s)"
    )
    parser.add_argument("--only-families", action="store_true", help="ask nothing else")
    parser.add_argument(
        "--seed", type=int, default=1, help="of the documents and the filters (default: %(default)s)"
    )
    parser.add_argument(
        "--work", type=Path, default=Path(".bench"), help="where SQLite's file is kept (default: %(default)s)"
    )
    parser.add_argument("--show", type=int, default=10, help="questions to print (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    late = False
    for name in chosen.backend or ("memory", "sqlite", "postgres"):
        with _store(name, chosen.work / f"{chosen.size}-{chosen.seed}") as (store, clock):
            world = fill(store, chosen.size, chosen.seed)
            store.documents.find({"metadata.a": 1}, limit=1)
            others = chain(adversaries(), questions(world, chosen.questions, chosen.seed))
            asks = chain(families(chosen.families, chosen.seed), () if chosen.only_families else others)
            asked, found = slowest(store, clock(), asks, chosen.show)
        print(
            f"{name}: {asked} questions over {chosen.size:,} documents, the slowest {found[0].cpu:.3f} s of processor"
        )
        for answer in found:
            print(
                f"  {answer.cpu:7.3f} s ({answer.seconds:.3f} s by the clock)  {str(answer.ask)[:_SHOWN]}",
                flush=True,
            )
        late = late or found[0].cpu > ALLOWED
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
