"""How a store in Postgres grows: bytes a document and the work of each step at several sizes, fitted; and the model of
docs/scale.md, a hundred million documents on one server and a billion on eight nodes.

Documents are those of the corpus, of Zipf-distributed tenants (s = 1), with text in every fifth. Steps are measured in buffers
of 8 KiB that the server touches, which others on the machine do not change, and in milliseconds, which they do. 10k and 100k
take about two minutes on an idle machine of two cores, 1M half an hour and 2 GB of disk.

    python -m benchmarks scale --sizes 10k,100k
    python -m benchmarks scale --writers 1,2 --documents 20000
    python -m benchmarks scale --sizes 10k,100k,1M --partitions 16 --json scale.json
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import sqlalchemy as sa

import docstore
from benchmarks.by_hand import server_clock
from benchmarks.corpus import corpus, new_document
from docstore.testing.servers import PostgresServer

__all__ = ["growth", "main", "spread"]

TENANTS = 10_000
_TEXT_IN_ONE_OF = 5
_REPEATS = 15
_GIB = 1 << 30
_SIZES = """
SELECT sum(pg_table_size(relid)), sum(pg_indexes_size(relid)), coalesce(sum(btree), 0)
FROM pg_stat_user_tables LEFT JOIN LATERAL (
    SELECT sum(pg_relation_size(indexrelid)) AS btree FROM pg_index JOIN pg_class AS i ON i.oid = indexrelid
    JOIN pg_am ON pg_am.oid = relam WHERE indrelid = relid AND amname = 'btree') AS b ON true
"""
_BATCH = 500
_WAITS = """
SELECT wait_event_type, wait_event FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active'
"""
_BLOCKS = """
SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = current_database()
"""


def zipf(chance: random.Random, tenants: int = TENANTS) -> Callable[[], str]:
    """Return what draws the name of a tenant, the k-th of which has a k-th of the first one's documents."""
    weights = list(accumulate(1 / rank for rank in range(1, tenants + 1)))
    names = range(tenants)
    return lambda: f"t{chance.choices(names, cum_weights=weights)[0]:05d}"


def spread(shards: int, nodes: int, tenants: int = TENANTS, seeds: int = 25) -> tuple[float, float]:
    """Return the heaviest shard, and the heaviest node after the shards were moved between them, as multiples of the average;
    medians over several hashes.
    """
    weights = [1 / rank for rank in range(1, tenants + 1)]
    heaviest, balanced = [], []
    for seed in range(seeds):
        chance = random.Random(seed)
        loads = [0.0] * shards
        for weight in weights:
            loads[chance.randrange(shards)] += weight
        held = [0.0] * nodes
        for load in sorted(loads, reverse=True):  # the greatest first, each to the emptiest node
            held[held.index(min(held))] += load
        heaviest.append(max(loads) / (sum(loads) / shards))
        balanced.append(max(held) / (sum(held) / nodes))
    return statistics.median(heaviest), statistics.median(balanced)


def growth(sizes: Sequence[int], values: Sequence[float]) -> tuple[float, float]:
    """Return a and b of the a · n^b that is nearest to some values, by least squares over their logarithms; b is 0 where there
    is one size.
    """
    xs, ys = [math.log(size) for size in sizes], [math.log(max(value, 1e-9)) for value in values]
    if len(xs) < 2:
        return values[0], 0.0
    x, y = statistics.fmean(xs), statistics.fmean(ys)
    b = sum((one - x) * (other - y) for one, other in zip(xs, ys, strict=True)) / sum((one - x) ** 2 for one in xs)
    return math.exp(y - b * x), b


def fill(url: str, size: int, partitions: int | None) -> float:
    """Make a store of so many documents; return the seconds that took."""
    tenant = zipf(random.Random(1))
    with docstore.open(url, partitions=partitions) as store:
        begun = time.perf_counter()
        docs = corpus(size)
        while some := list(islice(docs, 1_000)):
            rows = [new_document(doc, content=doc.at % _TEXT_IN_ONE_OF == 0) for doc in some]
            store.documents.add_many([{**row, "tenant": tenant()} for row in rows])
        return time.perf_counter() - begun


def steps(store: docstore.Store, chance: random.Random, size: int) -> dict[str, Callable[[], object]]:
    """Return the calls that are measured, each with values of its own whenever it is made."""
    draw = zipf(chance)

    def documents() -> Any:
        return store.scoped(tenant=draw()).documents

    return {
        "a tenant's page": lambda: documents().find(limit=20),
        "a tenant's page of one kind": lambda: documents().find({"metadata.kind": "a"}, limit=20),
        "a tenant's search": lambda: documents().find(search=chance.choice(["budget", "risk"]), limit=20),
        "everybody's page of one kind": lambda: store.documents.find({"metadata.kind": "a"}, limit=20),
        "a rare word": lambda: store.documents.find(search=f"ticket{chance.randrange(10_000):05d}", limit=20),
        "a record by its id": lambda: store.documents.get(f"d{chance.randrange(size):08d}"),
        "a claim": lambda: store.documents.claim(1),
        "a document added": lambda: documents().add(metadata={"n": 1}),
    }


def measured(url: str, size: int) -> dict[str, dict[str, float]]:
    """Return the buffers and milliseconds of each step, medians."""
    found: dict[str, dict[str, float]] = {}
    with docstore.open(url) as store, psycopg.connect(url, autocommit=True) as looking:

        def blocks() -> int:
            """Return the buffers touched so far; every session says so when it comes to rest."""
            with store._context.backend.read() as session:
                session.cursor.execute("SELECT pg_stat_force_next_flush()")  # type: ignore[attr-defined]
            row = looking.execute(_BLOCKS).fetchone()
            assert row is not None
            return int(row[0])

        for name, call in steps(store, random.Random(2), size).items():
            call()
            call()
            buffers, seconds = [], []
            for _ in range(_REPEATS):
                before, begun = blocks(), time.perf_counter()
                call()
                seconds.append(time.perf_counter() - begun)
                buffers.append(blocks() - before)
            found[name] = {"buffers": statistics.median(buffers), "ms": 1_000 * statistics.median(seconds)}
    return found


class Written(NamedTuple):
    """What some processes took to put documents in.

    Attributes:
        rate: documents a second, on the wall's clock.
        cpu: milliseconds of CPU a document, of the processes and of their sessions in the server.
        waits: the share of looks at a busy session that found it waiting for a lock, by the lock's name.
    """

    rate: float
    cpu: float
    waits: dict[str, float]


def _put(url: str, name: str, count: int, begin: Any, spent: Any) -> None:
    """Put documents that each begin a chain, in batches of 500, once all are told to begin."""
    with docstore.open(url) as store:
        store.documents.count()
        rows = [{"external_id": f"{name}-{n}", "filename": f"{n}.txt", "metadata": {"n": n}} for n in range(count)]
        begin.wait()
        before = time.process_time()
        for start in range(0, count, _BATCH):
            store.documents.add_many(rows[start : start + _BATCH])
        spent.put(time.process_time() - before)
        begin.wait()  # its sessions are read before they end


def written(url: str, processes: int, documents: int) -> Written:
    """Put documents with an external id into an empty store by several processes at once."""
    docstore.open(url).close()
    context = multiprocessing.get_context("spawn")
    begin, spent = context.Barrier(processes + 1), context.Queue()
    each = documents // processes
    working = [
        context.Process(target=_put, args=(url, f"p{n}", each, begin, spent)) for n in range(processes)
    ]
    for process in working:
        process.start()
    waits: Counter[str] = Counter()
    with psycopg.connect(url, autocommit=True) as looking:
        begin.wait()
        begun, clock = time.perf_counter(), server_clock(looking)
        before, here, done = clock(), time.process_time(), 0.0
        for _ in working:
            while spent.empty():
                waits.update(f"{kind or 'none'} {name or ''}".strip() for kind, name in looking.execute(_WAITS))
                time.sleep(0.005)
            done += spent.get()
        seconds = time.perf_counter() - begun
        done += clock() - before - (time.process_time() - here)
        begin.wait()
    for process in working:
        process.join()
    looks = max(1, waits.total())
    locks = {name: count / looks for name, count in waits.items() if name.startswith(("Lock", "LWLock"))}
    return Written(each * processes / seconds, 1_000 * done / (each * processes), locks)


def writers(server: PostgresServer, counts: Sequence[int], documents: int) -> str:
    """Return the table of what one process and several put in: documents a second, CPU, waits for locks."""
    lines = ["| processes | documents/s | of one | CPU ms a document | waiting for locks |", "|--:|--:|--:|--:|---|"]
    first = 0.0
    for count in counts:
        taken = []
        for _ in range(3):
            url = sa.make_url(server.create_database()).render_as_string(hide_password=False)
            taken.append(written(url, count, documents))
            server.drop_database(url)
        best = max(taken, key=lambda one: one.rate)
        first = first or best.rate
        waits = ", ".join(f"{name} {share:.1%}" for name, share in best.waits.items() if share >= 0.001)
        lines.append(f"| {count} | {best.rate:,.0f} | {best.rate / first:.2f} | {best.cpu:.2f} | {waits or 'never'} |")
    return "\n".join(lines)


def sizes_of(url: str, size: int) -> dict[str, float]:
    """Return bytes a document: all, those of indexes, and those of b-trees among them."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        tables, indexes, btrees = (float(one) for one in connection.execute(_SIZES).fetchone() or ())
    return {"bytes": (tables + indexes) / size, "indexes": indexes / size, "btrees": btrees / size}


def model(sizes: dict[int, dict[str, float]], added: dict[int, float]) -> list[str]:
    """Return the table of the model: one Postgres of 10^8 documents, and Citus of 10^9 on 8 nodes."""
    largest = max(sizes)
    each, rate = sizes[largest], added[largest]
    heaviest, balanced = spread(32, 8)
    rows = [("documents a node", 1e8, 1e9 / 8 * balanced)]
    lines = ["| | 100 M, one Postgres | 1 G, Citus of 8 nodes, each |", "|---|---|---|"]
    lines += [f"| {name} | {one / 1e6:,.0f} M | {other / 1e6:,.0f} M |" for name, one, other in rows]
    for name, size in (("storage", each["bytes"]), ("its indexes", each["indexes"]), ("b-trees, to be held in memory", each["btrees"])):
        one, other = (size * count / _GIB for count in (rows[0][1], rows[0][2]))
        lines.append(f"| {name} | {one:,.0f} GiB | {other:,.0f} GiB |")
    lines.append(f"| added by one process at {rate:,.0f}/s, by 8 at 60 % each | {1e8 / rate / 3600 / 4.8:,.1f} h | |")
    lines.append(f"| heaviest of 32 shards; heaviest of 8 nodes after they were moved | | {heaviest:.1f}, {balanced:.2f} × the average |")
    return lines


def report(results: dict[int, dict[str, dict[str, float]]], sizes: dict[int, dict[str, float]], added: dict[int, float]) -> str:
    """Return the tables, as Markdown."""
    every = sorted(results)
    lines = ["| | " + " | ".join(f"{size:,}" for size in every) + " | buffers grow as | at 100 M |", "|---|" + "---|" * (len(every) + 2)]
    for name in results[every[0]]:
        cells = [f"{results[size][name]['buffers']:,.0f} buffers, {results[size][name]['ms']:.1f} ms" for size in every]
        a, b = growth(every, [results[size][name]["buffers"] for size in every])
        lines.append(f"| {name} | {' | '.join(cells)} | n^{b:.2f} | {a * 1e8**b:,.0f} |")
    for name, key in (("bytes a document", "bytes"), ("of these indexes", "indexes"), ("of these b-trees", "btrees")):
        lines.append(f"| {name} | " + " | ".join(f"{sizes[size][key]:,.0f}" for size in every) + " | | |")
    lines.append("| documents added a second | " + " | ".join(f"{added[size]:,.0f}" for size in every) + " | | |")
    return "\n".join([*lines, "", *model(sizes, added)])


def main(arguments: Sequence[str]) -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks scale", description=__doc__)
    parser.add_argument("--sizes", default="10k,100k", help="documents, such as 10k,100k,1M")
    parser.add_argument("--partitions", type=int, default=None, help="hash partitions of the tables")
    parser.add_argument("--json", type=Path, default=None, help="write what was measured there, too")
    parser.add_argument("--writers", default=None, help="instead: put documents in by so many processes, such as 1,2")
    parser.add_argument("--documents", type=int, default=20_000, help="of --writers")
    asked = parser.parse_args(list(arguments))
    if asked.writers:
        with PostgresServer() as server:
            print(writers(server, [int(text) for text in asked.writers.split(",")], asked.documents))
        return 0
    units = {"k": 1_000, "M": 1_000_000}
    wanted = [int(text.rstrip("kM")) * units.get(text[-1], 1) for text in asked.sizes.split(",")]
    results: dict[int, dict[str, dict[str, float]]] = {}
    sizes: dict[int, dict[str, float]] = {}
    added: dict[int, float] = {}
    with PostgresServer() as server:
        for size in wanted:
            url = sa.make_url(server.create_database()).render_as_string(hide_password=False)
            added[size] = size / fill(url, size, asked.partitions)
            sizes[size] = sizes_of(url, size)
            results[size] = measured(url, size)
            server.drop_database(url)
    print(report(results, sizes, added))
    if asked.json:
        asked.json.write_text(json.dumps({"steps": results, "bytes": sizes, "added": added}, indent=1), encoding="utf-8")
    return 0
