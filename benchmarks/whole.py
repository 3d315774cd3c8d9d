"""What is measured of whole runs: indexing a folder, importing, memory while reading and writing, bytes in and out."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator

from benchmarks.alone import alone

__all__ = ["WHOLE", "bytes_in_and_out", "importing", "indexing", "streaming"]

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
        (alone("import", "docstore")["seconds"], alone("import", "sqlalchemy,pydantic,fsspec")["seconds"])
        for _ in range(9)
    ]
    ours, theirs = (statistics.median(times) for times in zip(*rounds, strict=True))
    ratios = sorted(a / b for a, b in rounds)
    yield (
        f"import docstore {ours * 1000:.0f} ms; sqlalchemy, pydantic and fsspec {theirs * 1000:.0f} ms; "
        f"×{statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f}), target ≤ 1.25"
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


WHOLE: dict[str, Callable[[int], Iterator[str]]] = {
    "indexing": indexing,
    "import": importing,
    "streaming": streaming,
    "bytes": bytes_in_and_out,
}
