"""The modules that a call goes through: what `find`, `add` and `claim` touch on their way, on each backend.

A module is on the way if one of its functions is called; a change of module is a call or a return that leaves
one module of ours for another. Modules that are imported on the way are not counted for being imported.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import docstore
from tests.kit.structure import installed

__all__ = ["Route", "routes", "traced"]


@dataclass
class Route:
    """What a call went through.

    Attributes:
        modules: the full names of the modules, in the order they were first entered.
        changes: how often the call went from one of them to another.
    """

    modules: dict[str, None] = field(default_factory=dict)
    changes: int = 0

    def __str__(self) -> str:
        """Return both counts."""
        return f"{len(self.modules)} ({self.changes})"


@contextmanager
def traced() -> Iterator[Route]:
    """Note every module of ours that is called within the block, by this thread and those it starts."""
    names = {str(path): name for name, path in installed().items()}
    route, last = Route(), ""

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal last
        if event not in ("call", "return") or frame.f_code.co_name == "<module>":
            return
        seen = frame if event == "call" else frame.f_back
        name = names.get(seen.f_code.co_filename) if seen is not None else None
        if name is not None and name != last:
            if event == "call":
                route.modules.setdefault(name)
            route.changes += bool(last)
            last = name

    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield route
    finally:
        sys.setprofile(before)
        threading.setprofile(None)


def _filter(number: int) -> dict[str, Any]:
    return {"status": "completed", "metadata.year": {"$gte": 2000 + number}, "metadata.tags": "a"}


def walk(url: str, files: Path) -> Iterator[tuple[str, Route]]:
    """Yield the routes of one backend: a first `find`, another, the same again, `add`, `claim`."""
    source = files / "source.txt"
    source.write_text("some text")
    with docstore.open(url, blobs=str(files / "bytes")) as store:
        store.documents.add_many(
            {"filename": f"{year}.txt", "metadata": {"year": year, "tags": ["a", "b"]}, "status": "completed"}
            for year in range(2000, 2050)
        )
    with docstore.open(url, blobs=str(files / "bytes")) as store:
        yield from (
            (name, _route(call))
            for name, call in (
                ("`find`, first", lambda: store.documents.find(_filter(1))),
                ("`find`, new values", lambda: store.documents.find(_filter(2))),
                ("`find`, repeated", lambda: store.documents.find(_filter(2))),
                ("`add(path)`", lambda: store.documents.add(source, status="pending")),
                ("`claim`", lambda: store.documents.claim(worker="one")),
            )
        )


def _route(call: Callable[[], object]) -> Route:
    with traced() as route:
        call()
    return route


def routes() -> Iterator[tuple[str, str]]:
    """Yield rows of the table: a way, and its modules (changes of module) on memory, SQLite and Postgres."""
    from docstore.testing.servers import PostgresServer

    found: dict[str, list[str]] = {}
    with PostgresServer() as server:
        for url in ("memory://", "", server.create_database()):
            with tempfile.TemporaryDirectory() as place:
                for way, route in walk(url or f"sqlite:///{place}/store.db", Path(place)):
                    found.setdefault(way, []).append(str(route))
    for way, each in found.items():
        yield f"modules (changes) on the way of {way}: memory, SQLite, Postgres", ", ".join(each)
