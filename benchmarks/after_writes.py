"""A service's hour: a write, then a question with new values, again and again; and what is pending meanwhile.

`python benchmarks/after_writes.py --size 100000 --backend sqlite` prints CPU milliseconds of the question and of the write
(its folds included), and each question's answer is checked against the evaluator every so often. Nothing is asked twice and
nothing is warmed up. To compare two versions, run it in turns with `PYTHONPATH` at either: the factor line says how fast the
machine is (2,000 reads by key of a small JSON row; 8.5 ms on the machine that the targets are for).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import docstore
from benchmarks.corpus import CATEGORIES, EPOCH, SPAN, TAGS, corpus, instant

clock = time.process_time


def factor() -> float:
    """Return how many times as long a fixed piece of work takes as on the machine of the targets."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, j TEXT)")
    text = json.dumps({"a": 1, "b": ["x", "y"], "c": {"d": "e" * 40}})
    connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, text) for n in range(2_000)])
    best = float("inf")
    for _ in range(7):
        begun = clock()
        for n in range(2_000):
            json.loads(connection.execute("SELECT j FROM t WHERE id = ?", (n,)).fetchone()[0])
        best = min(best, clock() - begun)
    connection.close()
    return best / 0.0085


def question(chance: random.Random) -> dict[str, Any]:
    """Return W2's filter with values of its own."""
    lower = datetime.fromtimestamp((EPOCH + chance.randrange(SPAN // 2)) / 1e6, UTC)
    return {
        "$and": [
            {"metadata.category": chance.choice(CATEGORIES)},
            {"metadata.tags": chance.choice(TAGS)},
            {"$or": [{"metadata.priority": {"$gte": chance.randrange(2, 9)}}, {"metadata.kind": "a"}]},
            {"created_at": {"$gte": lower, "$lt": lower + timedelta(days=chance.randrange(100, 900))}},
        ]
    }


def rows(size: int, seed: int) -> list[dict[str, Any]]:
    """Return documents as `add_many` takes them."""
    return [
        {
            "id": f"d{doc.at}", "filename": doc.filename, "owner": doc.owner, "metadata": doc.metadata,
            "created_at": instant(doc.created),
        }
        for doc in corpus(size, seed)
    ]  # fmt: skip


def write(store: docstore.Store, chance: random.Random, size: int, turn: int) -> None:
    """Change one document, or add one."""
    if turn % 3:
        store.documents.update(
            f"d{chance.randrange(size)}", metadata={"priority": chance.randrange(1, 11), "seen": turn}
        )
        return
    category = chance.choice(CATEGORIES)
    store.documents.add(
        filename=f"new-{turn}.pdf", owner="owner-00",
        metadata={"category": category, "tags": [chance.choice(TAGS)], "priority": 3, "kind": "b"},
    )  # fmt: skip


def check(store: docstore.Store, filter: dict[str, Any], found: Any) -> None:
    """Compare a page and its total with what the evaluator says of every document."""
    matching = [
        document
        for document in store.documents.iterate()
        if docstore.matches(filter, {"metadata": document.metadata, "created_at": document.created_at})
    ]
    matching.sort(key=lambda document: (document.created_at, document.number), reverse=True)
    assert [document.id for document in matching[:10]] == [document.id for document in found.items]
    if found.total is not None:
        assert found.total == len(matching)


def told(name: str, taken: list[float]) -> str:
    """Return mean, median, p99 and worst in milliseconds."""
    ordered = sorted(taken)
    p99 = ordered[int(len(ordered) * 0.99)]
    middle = statistics.median(ordered)
    mean, worst = statistics.mean(ordered), ordered[-1]
    return f"{name:<28} mean {mean * 1e3:7.2f}  p50 {middle * 1e3:7.2f}  p99 {p99 * 1e3:7.2f}  worst {worst * 1e3:7.2f} ms"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=100_000, help="documents (default 100,000)")
    parser.add_argument("--backend", default="sqlite,memory", help="which, with commas (default: sqlite,memory)")
    parser.add_argument("--turns", type=int, default=2_100, help="writes, each followed by a question")
    parser.add_argument("--seed", type=int, default=1, help="of the documents and questions")
    parser.add_argument("--checks", type=int, default=3, help="how many answers are checked")
    options = parser.parse_args()
    print(f"{docstore.__file__}, factor {factor():.2f}")
    for backend in options.backend.split(","):
        with tempfile.TemporaryDirectory() as folder:
            url = "memory://" if backend == "memory" else f"sqlite:///{os.path.join(folder, 'store.db')}"
            run(backend, url, options)


def run(backend: str, url: str, options: argparse.Namespace) -> None:
    """Measure one backend."""
    chance = random.Random(options.seed)
    with docstore.open(url) as store:
        given = rows(options.size, options.seed)
        begun = clock()
        for start in range(0, len(given), 5_000):
            store.documents.add_many(given[start : start + 5_000])
        bulk = (clock() - begun) / options.size
        print(f"{backend}: {options.size} documents, {bulk * 1e6:.0f} µs each")
        if backend != "memory":
            store.close()
            store = docstore.open(url)
        begun = clock()
        store.documents.find(question(chance), limit=10)
        print(f"  first page after opening     {(clock() - begun) * 1e3:.2f} ms")
        taken: dict[str, list[float]] = {"write": [], "page": [], "page and total": []}
        steady: list[float] = []
        for _ in range(200):
            filter = question(chance)
            begun = clock()
            store.documents.find(filter, limit=10)
            steady.append(clock() - begun)
        checked = max(1, options.turns // max(1, options.checks))
        for turn in range(options.turns):
            begun = clock()
            write(store, chance, options.size, turn)
            taken["write"].append(clock() - begun)
            filter, total = question(chance), turn % 4 == 0
            begun = clock()
            found = store.documents.find(filter, limit=10, total=total)
            taken["page and total" if total else "page"].append(clock() - begun)
            if options.checks and turn % checked == checked // 2:
                check(store, filter, found)
        print("  " + told("page, nothing pending", steady))
        for name, times in taken.items():
            print("  " + told(name + ("" if name == "write" else ", after a write"), times))
        store.close()


if __name__ == "__main__":
    main()
