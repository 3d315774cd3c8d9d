"""What the page of `docstore serve` costs: the first byte of each list beside its `find`, and the whole page.

    python -m benchmarks page --size 100k
    python -m benchmarks page --store library.db

CPU time in milliseconds, the median of turns in which both are asked one after the other; the first turn, which
loads templates and indexes, is left out. Wall-clock time of the whole page is told, too: on a machine that others
use it means little.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import docstore
from docstore.http.page.application import application

WORDS = ["revenue", "rose", "profit", "annual", "report", "invoice", "total", "contract", "audit", "budget", "board", "meeting", "minutes", "plan"]
LISTS: dict[str, dict[str, Any]] = {
    "/documents": {},
    "/documents?filter=vendor%3D%22Vendor+7%22": {"filter": {"metadata.vendor": "Vendor 7"}},
    "/documents?filter=status%3Dfailed+year%3E2010": {
        "filter": {"$and": [{"status": "failed"}, {"metadata.year": {"$gt": 2010}}]}
    },
    "/documents?search=revenue+audit": {"search": "revenue audit", "include": {"snippet"}},
    "/documents?search=revenue+audit&sort=-score": {
        "search": "revenue audit", "sort": "-score", "include": {"snippet"},
    },
}  # fmt: skip
PAGES = ("/store", "/review", "/documents:explain?filter=year%3D2005")


def main(arguments: list[str]) -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks page", description=__doc__)
    parser.add_argument("--size", default="20k", help="documents to make: 20k, 100k, 1M")
    parser.add_argument("--store", help="an SQLite file that such a run has made with --keep")
    parser.add_argument("--keep", help="make the store in this file")
    parser.add_argument("--turns", type=int, default=7)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        path = asked.store or asked.keep or f"{folder}/library.db"
        if asked.store is None:
            with docstore.open(f"sqlite:///{path}", blobs=None) as store:
                store.documents.add_many(documents(asked.size))
        with docstore.open(f"sqlite:///{path}", blobs=None, read_only=True) as store:
            measure(store, asked.turns)
    return 0


def documents(size: str) -> Iterator[docstore.NewDocument]:
    """Yield documents with metadata of several kinds and a few words of text."""
    count = int(size.lower().replace("k", "000").replace("m", "000000"))
    chance = random.Random(1)
    for number in range(count):
        yield docstore.NewDocument(
            filename=f"{chance.choice(WORDS)}-{number}.{chance.choice(('pdf', 'docx', 'csv', 'txt'))}",
            metadata={
                "vendor": f"Vendor {chance.randrange(200)}", "year": 2000 + chance.randrange(27),
                "amount": round(chance.random() * 1000, 2), "tags": chance.sample(WORDS, 2),
                "paid": chance.random() < 0.5, "project": {"code": f"P{chance.randrange(1000)}"},
            },
            owner=chance.choice(("ada", "bob", "cy")), content=" ".join(chance.choices(WORDS, k=12)),
            status=chance.choice(("completed",) * 8 + ("pending", "failed")),
            created_at=f"20{chance.randrange(20, 27)}-{chance.randrange(1, 13):02}-{chance.randrange(1, 28):02}T10:00:00Z",
        )  # fmt: skip


def measure(store: Any, turns: int) -> None:
    """Print what `find`, the first byte and the whole of each page cost."""
    app = application(store)
    print(f"{store.documents.count():,} documents; CPU ms: find, first byte, whole page; wall ms: whole page")
    for address, question in LISTS.items():
        rows = [(cpu(lambda q=question: store.documents.find(**q)), *page(app, address)) for _ in range(turns)]
        print_row(address, rows[1:])
    one = f"/documents/{store.documents.find(limit=1)[0].id}"
    for address in (*PAGES, one):
        print_row(address, [(float("nan"), *page(app, address)) for _ in range(turns)][1:])


def print_row(address: str, rows: list[tuple[float, ...]]) -> None:
    middle = [statistics.median(column) for column in zip(*rows, strict=True)]
    print(*(f"{1000 * value:9.1f}" for value in middle), address)


def cpu(call: Callable[[], Any]) -> float:
    begun = time.process_time()
    call()
    return time.process_time() - begun


def page(app: Any, address: str) -> tuple[float, float, float]:
    """Return the seconds of CPU to the first byte and to the last, and those on the clock."""
    path, _, query = address.partition("?")
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": path, "raw_path": path.encode(),
        "query_string": query.encode(), "root_path": "", "scheme": "http", "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 1), "headers": [(b"host", b"127.0.0.1:8000"), (b"accept", b"text/html")],
    }  # fmt: skip
    first: list[float] = []
    status: list[int] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])
        elif not first and message.get("body"):
            first.append(time.process_time())

    begun, clock = time.process_time(), time.perf_counter()
    asyncio.run(app(scope, receive, send))
    assert status == [200], (address, status)
    return first[0] - begun, time.process_time() - begun, time.perf_counter() - clock
