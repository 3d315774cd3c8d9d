"""Whole runs: indexing a folder, importing, memory while reading and writing, bytes in and out, what the index takes.

python -m benchmarks whole --size 100000 indexing import streaming bytes index_size
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.alone import alone
from benchmarks.corpus import corpus

__all__ = ["WHOLE", "bytes_in_and_out", "importing", "index_size", "indexing", "streaming"]

MB = 1 << 20


def indexing(size: int) -> Iterator[str]:
    """Index 2,000, 10,000 and 20,000 small files, the folder's name for `docstore index`."""
    for count in (2_000, 10_000, 20_000):
        found = alone("index", count)
        marks = " ".join(f"{found[name] / MB:.0f}" for name in found if name.startswith("at_"))
        yield (
            f"indexing {count:,} files: {count / found['seconds']:.0f} files/s ({found['cpu'] / count * 1e6:.0f} µs of CPU a file), "
            f"{found['start'] / MB:.0f} MB before, {found['peak'] / MB:.0f} MB at the peak; each tenth: {marks}"
        )


def importing(size: int) -> Iterator[str]:
    """Import docstore beside what it stands on."""
    rounds = [
        (alone("import", "docstore.store")["seconds"], alone("import", "sqlalchemy,pydantic,fsspec")["seconds"])
        for _ in range(9)
    ]
    ours, theirs = (statistics.median(times) for times in zip(*rounds, strict=True))
    ratios = sorted(a / b for a, b in rounds)
    yield (
        f"import docstore.store {ours * 1000:.0f} ms; sqlalchemy, pydantic and fsspec {theirs * 1000:.0f} ms; "
        f"×{statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f}), target ≤ 1"
    )


def streaming(size: int) -> Iterator[str]:
    """Load and iterate, and look at the memory."""
    for count in sorted({size // 10, size}):
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{folder}/store.db"
            loaded = alone("ingest", url, count)
            walked = alone("iterate", url)
        yield (
            f"{count:,} documents on SQLite: loading peaks at {loaded['peak'] / MB:.0f} MB, "
            f"iterating at {walked['peak'] / MB:.0f} MB (target ≤ 192)"
        )


def bytes_in_and_out(size: int) -> Iterator[str]:
    """Take in a file of a gigabyte, and give it out."""
    found = alone("bytes", 1024)
    yield (
        f"1 GB in: {found['in'] / MB:.0f} MB more, {found['seconds_in']:.1f} s; "
        f"out: {found['out'] / MB:.0f} MB more, {found['seconds_out']:.1f} s (target ≤ 64 MB)"
    )


def index_size(size: int) -> Iterator[str]:
    """Say what all metadata takes beside its own text, on disk for SQLite and in memory (W11)."""
    texts = (json.dumps(doc.metadata, ensure_ascii=False, separators=(",", ":")) for doc in corpus(size, 1))
    text = sum(map(len, texts)) / size
    taken: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for metadata in "01":
            alone("ingest", f"sqlite:///{folder}/{metadata}.db", size, metadata)
            files = sum(path.stat().st_size for path in Path(folder).glob(f"{metadata}.db*"))
            held = alone("ingest", "memory://", size, metadata)
            taken.append((files / size, (held["now"] - held["start"]) / size))
    for name, target, empty, full in zip(("SQLite, on disk", "memory"), (60, 200), *taken, strict=True):
        yield (
            f"W11 {size:,} documents, {name}: {full - empty - text:.0f} B a document for the index of its metadata "
            f"({full:.0f} with, {empty:.0f} without, {text:.0f} of JSON text), target ≤ {target}"
        )


WHOLE: dict[str, Callable[[int], Iterator[str]]] = {
    "indexing": indexing,
    "import": importing,
    "streaming": streaming,
    "bytes": bytes_in_and_out,
    "index_size": index_size,
}


def main(arguments: Sequence[str]) -> int:
    """Measure what is named, or all of it, and print a line for each figure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks whole", description=__doc__)
    parser.add_argument("--size", type=int, default=100_000, help="documents (default: %(default)s)")
    parser.add_argument("name", nargs="*", choices=(*WHOLE, []), help="what to measure (default: all)")
    chosen = parser.parse_args(arguments)
    for name in chosen.name or WHOLE:
        for line in WHOLE[name](chosen.size):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
