"""The command: `python -m benchmarks --size 100k --backend sqlite --workload W2,W3 --out measured/`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import cache
from pathlib import Path

from benchmarks import by_hand_postgres, plots, report
from benchmarks.asking import ask
from benchmarks.corpus import corpus
from benchmarks.latency import waiting
from benchmarks.measure import interleaved
from benchmarks.oracle import Truth, truths
from benchmarks.peers import peers
from benchmarks.places import Place, memory_place, postgres_place, sqlite_place
from benchmarks.running import LIBRARY, Result, reading
from benchmarks.whole import WHOLE
from benchmarks.workloads import Workload, named
from benchmarks.writing import WRITING, sizes, writing

SIZES = {"1k": 1_000, "10k": 10_000, "100k": 100_000, "1M": 1_000_000}
OTHERS = ("async", "peers", *WHOLE)
SETTINGS = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "512MB", "max_wal_size": "4GB"}


def parser() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    say = made.add_argument
    say("--size", default="10k", help="documents: 1k, 10k, 100k, 1M, or several with commas (default 10k)")
    say("--backend", default="memory,sqlite,postgres", help="which, with commas (default: all three)")
    say(
        "--workload",
        default=None,
        help=f"W2, W12 (its whole family), W12a, {', '.join(OTHERS)} (default: all W)",
    )
    say("--rounds", type=int, default=7, help="interleaved rounds (default 7)")
    say("--seed", type=int, default=1, help="of the documents (default 1)")
    say("--work", type=Path, default=None, help="folder to keep what is built in (default: a temporary one)")
    say("--postgres", default=None, metavar="URL", help="a server to use (default: one of our own, fsync on)")
    say("--fresh", action="store_true", help="build docstore's stores anew")
    say(
        "--out",
        type=Path,
        default=None,
        help="folder for report.md and the plots (default: the terminal alone)",
    )
    return made


class Run:
    """One run of the command: its options, and what it keeps open until it ends."""

    def __init__(self, options: argparse.Namespace, stack: ExitStack) -> None:
        self.options, self.stack = options, stack
        self.work = options.work or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="docstore-bench-"))
        )
        self.work.mkdir(parents=True, exist_ok=True)
        self.sizes = [SIZES[name] for name in options.size.split(",")]
        self.backends = options.backend.split(",")
        self.server = cache(self._server)

    def _server(self) -> str:
        """Return the URL of the Postgres server, started if none was given."""
        from docstore.testing.servers import PostgresServer

        return self.options.postgres or self.stack.enter_context(PostgresServer(SETTINGS)).url()

    def results(self) -> Iterator[Result | str]:
        """Yield one figure after another: results of workloads, and lines of what has no reference."""
        wanted = None if self.options.workload is None else set(self.options.workload.split(","))
        works = named(self.options.workload)
        for size in self.sizes:
            known = truths(works, size, self.options.seed, self.work)
            for backend in self.backends:
                yield from self._reading(backend, size, works, known)
        writes = {name for name in WRITING if wanted is None or name in wanted or name.rstrip("ab") in wanted}
        for backend in self.backends if writes - {"W11"} else ():
            yield from writing(backend, writes, self.options.rounds, self.server)
        if "W11" in writes:
            yield from sizes(min(max(self.sizes), 100_000))
        for name in OTHERS if wanted else ():
            if name in wanted:
                yield from self._other(name)

    def _reading(
        self, backend: str, size: int, works: list[Workload], known: dict[str, Truth]
    ) -> Iterator[Result | str]:
        for content in (False, True):
            chosen = [each for each in works if each.text == content]
            if not chosen:
                continue
            with self._place(backend, size, content) as place:
                if place.built is not None:
                    what = " with content" if content else ""
                    yield f"loading {size:,} documents{what} into {backend}: {place.built * 1e6:.1f} µs of wall clock each"
                yield from reading(place, chosen, known, size, rounds=self.options.rounds)

    def _place(self, backend: str, size: int, content: bool) -> AbstractContextManager[Place]:
        seed, fresh = self.options.seed, self.options.fresh
        match backend:
            case "memory":
                return memory_place(size, seed, content=content)
            case "sqlite":
                return sqlite_place(self.work, size, seed, content=content, fresh=fresh)
            case _:
                return postgres_place(self.server(), size, seed, content=content, fresh=fresh)

    def _other(self, name: str) -> Iterator[Result | str]:
        if name == "peers":
            for size in self.sizes:
                yield from self._peers(size)
        elif name == "async":
            yield from waiting(by_hand_postgres.database(self.server(), "bench_async", fresh=True))
        else:
            for size in self.sizes:
                yield from WHOLE[name](size)

    def _peers(self, size: int) -> Iterator[Result | str]:
        """Compare the second workload's page with peers', all in one process."""
        (work,) = named("W2")
        truth = truths([work], size, self.options.seed, self.work)["W2"]
        calls: dict[str, Callable[[], object]] = {}
        with memory_place(size, self.options.seed, content=False) as memory, ExitStack() as stack:
            calls[LIBRARY] = ask(work, memory.store, truth)
            place = stack.enter_context(self._place("sqlite", size, False))
            calls["docstore on SQLite"] = ask(work, place.store, truth)
            for name, found in peers(list(corpus(size, self.options.seed))):
                if isinstance(found, str):
                    yield f"peer {name} is left out: {found}"
                elif (answer := found()) != truth.newest:
                    yield f"peer {name} is left out: it answered {answer[:3]}…, the oracle {truth.newest[:3]}…"
                else:
                    calls[name] = found
            figures = interleaved(calls, rounds=3, budget=120)
        yield Result("W2", "beside peers", "memory", size, figures)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for."""
    options = parser().parse_args(arguments)
    results: list[Result] = []
    lines: list[str] = []
    with ExitStack() as stack:
        for found in Run(options, stack).results():
            if isinstance(found, Result):
                results.append(found)
                print(report.line(found), flush=True)
            else:
                lines.append(found)
                print(found, flush=True)
    if options.out is not None:
        command = "python -m benchmarks " + " ".join(sys.argv[1:] if arguments is None else arguments)
        print(report.write(results, lines, options.out, command))
        plots.plot(results, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
