"""The command: `python -m benchmarks --size 100k --backend sqlite --workload W2,W3 --out measured/`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import report
from benchmarks.oracle import truths
from benchmarks.places import Place, memory_place, postgres_place, sqlite_place
from benchmarks.running import Result, reading
from benchmarks.workloads import Workload, named

SIZES = {"1k": 1_000, "10k": 10_000, "100k": 100_000, "1M": 1_000_000}
BACKENDS = ("memory", "sqlite", "postgres")


def parser() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    made.add_argument(
        "--size", default="10k", help="documents: 1k, 10k, 100k, 1M, or several with commas (default 10k)"
    )
    made.add_argument(
        "--backend", default="memory,sqlite,postgres", help="which, with commas (default: all three)"
    )
    made.add_argument(
        "--workload", default=None, help="W2, W12 (all of them), W12a …, with commas (default: all)"
    )
    made.add_argument("--rounds", type=int, default=7, help="interleaved rounds (default 7)")
    made.add_argument("--seed", type=int, default=1, help="of the documents (default 1)")
    made.add_argument(
        "--work",
        type=Path,
        default=None,
        help="folder that keeps what is built for the next run (default: a temporary one)",
    )
    made.add_argument(
        "--postgres",
        default=None,
        metavar="URL",
        help="a server to use and keep (default: one of our own, with fsync on)",
    )
    made.add_argument("--fresh", action="store_true", help="build docstore's stores anew")
    made.add_argument(
        "--out",
        type=Path,
        default=None,
        help="folder for report.md and the plots (default: only lines on the terminal)",
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for."""
    options = parser().parse_args(arguments)
    results: list[Result] = []
    with ExitStack() as stack:
        work = options.work or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="docstore-bench-"))
        )
        work.mkdir(parents=True, exist_ok=True)
        for result in measured(options, work, stack):
            results.append(result)
            print(report.line(result), flush=True)
    if options.out is not None:
        print(report.write(results, options.out, "python -m benchmarks " + " ".join(sys.argv[1:])))
    return 0


def measured(options: argparse.Namespace, work: Path, stack: ExitStack) -> Iterator[Result]:
    """Yield one result after another."""
    works = named(options.workload)
    for size in (SIZES[name] for name in options.size.split(",")):
        known = truths(works, size, options.seed, work)
        for backend in options.backend.split(","):
            for content in (False, True):
                chosen = [each for each in works if each.text == content]
                if chosen:
                    yield from _on(backend, size, content, chosen, known, options, work, stack)


def _on(
    backend: str,
    size: int,
    content: bool,
    works: list[Workload],
    known: dict,
    options: argparse.Namespace,
    work: Path,
    stack: ExitStack,
) -> Iterator[Result]:
    with ExitStack() as inner:
        place = inner.enter_context(_place(backend, size, content, options, work, stack))
        if place.built is not None:
            print(
                f"built {backend} {size:,}{' with content' if content else ''}: {place.built * 1e6:.1f} µs a document",
                flush=True,
            )
        yield from reading(place, works, known, size, rounds=options.rounds)


def _place(
    backend: str, size: int, content: bool, options: argparse.Namespace, work: Path, stack: ExitStack
) -> ExitStack[Place]:
    match backend:
        case "memory":
            return memory_place(size, options.seed, content=content)
        case "sqlite":
            return sqlite_place(work, size, options.seed, content=content, fresh=options.fresh)
        case _:
            if options.postgres is None:
                options.postgres = _own_server(stack)
            return postgres_place(options.postgres, size, options.seed, content=content, fresh=options.fresh)


def _own_server(stack: ExitStack) -> str:
    from docstore.testing.servers import PostgresServer

    settings = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "512MB", "max_wal_size": "4GB"}
    return stack.enter_context(PostgresServer(settings)).url()


if __name__ == "__main__":
    sys.exit(main())
