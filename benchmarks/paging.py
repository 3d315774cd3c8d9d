"""A page far behind, reached by cursor, beside the first: of all documents, and of one owner's of one status.

    python -m benchmarks.paging --size 1M --backend sqlite,postgres

Each page is of ten, newest first, and the cursors to the pages before and behind it are read with it. The contenders take
turns, as everywhere here; a ratio allows the cursors' 0.03 ms (see ``docs/performance.md``), and is printed without, too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import docstore
from benchmarks.__main__ import SETTINGS, SIZES
from benchmarks.measure import Figure, interleaved, ratio
from benchmarks.places import Place, postgres_place, sqlite_place
from benchmarks.workloads import OWNED

__all__ = ["Asked", "cursor_to", "pages"]

_LIMIT = 10
_FAR = 1_000
_ALLOWED = 0.00003
"""Seconds that cursors may take."""
Asked = dict[str, Any]


def cursor_to(store: docstore.Store, filter: Asked, page: int) -> str:
    """Return the cursor of a page, by walking there in steps of many rows."""
    left = (page - 1) * _LIMIT
    cursor: str | None = None
    while left:
        step = min(left, 1_000)
        found = store.documents.find(filter, limit=step, cursor=cursor)
        assert found.next_cursor is not None, f"the documents end before page {page}"
        cursor, left = found.next_cursor, left - step
    assert cursor is not None
    return cursor


def pages(store: docstore.Store, filter: Asked) -> dict[str, Callable[[], object]]:
    """Return what asks for the first page, the second and one far behind."""
    cursors = {
        "page 1": None,
        "page 2": cursor_to(store, filter, 2),
        "page 1,000": cursor_to(store, filter, _FAR),
    }

    def ask(cursor: str | None) -> Callable[[], object]:
        def call() -> object:
            page = store.documents.find(filter, limit=_LIMIT, cursor=cursor)
            assert len(page.items) == _LIMIT
            return page.next_cursor, page.prev_cursor

        return call

    return {name: ask(cursor) for name, cursor in cursors.items()}


def lines(place: Place, rounds: int) -> Iterator[str]:
    """Yield a line for all documents and one for one owner's of one status."""
    for name, filter in (("all", {}), ("one owner, one status", OWNED)):
        figures = interleaved(pages(place.store, filter), rounds=rounds, clock=place.clock, budget=60)
        first, far = figures["page 1"], figures["page 1,000"]
        shown = "  ".join(f"{name} {figure}" for name, figure in figures.items())
        yield f"{place.name:8}  {name:22}  {shown}  ×{ratio(far, first)[0]:.2f}, ×{_allowed(far, first):.2f} less 0.03 ms"


def _allowed(far: Figure, first: Figure) -> float:
    return ratio(Figure(tuple(each - _ALLOWED for each in far.rounds)), first)[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paging", description=__doc__)
    parser.add_argument("--size", default="1M", choices=SIZES, help="documents (default %(default)s)")
    parser.add_argument("--backend", default="sqlite,postgres", help="which, with commas (default: both)")
    parser.add_argument("--rounds", type=int, default=15, help="interleaved rounds (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the documents (default %(default)s)")
    parser.add_argument(
        "--work", type=Path, help="folder to keep SQLite's files in (default: a temporary one)"
    )
    parser.add_argument(
        "--postgres", metavar="URL", help="a server to use (default: one of our own, fsync on)"
    )
    chosen = parser.parse_args(arguments)
    size = SIZES[chosen.size]
    for backend in chosen.backend.split(","):
        with ExitStack() as stack:
            if backend == "sqlite":
                work = chosen.work or Path(
                    stack.enter_context(tempfile.TemporaryDirectory(prefix="docstore-bench-"))
                )
                place = stack.enter_context(sqlite_place(work, size, chosen.seed, content=False, fresh=False))
            else:
                from docstore.testing.servers import PostgresServer

                server = chosen.postgres or stack.enter_context(PostgresServer(SETTINGS)).url()
                place = stack.enter_context(
                    postgres_place(server, size, chosen.seed, content=False, fresh=False)
                )
            for line in lines(place, chosen.rounds):
                print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
