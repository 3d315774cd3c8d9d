"""What a service pays: new values in every question, nothing warmed up, somebody's writes between, answers checked.

    python -m benchmarks service --size 100k --json measured/service.json --docs docs/performance.md

Every engine gets the same documents, the same writes and the same questions of :mod:`benchmarks.questions`; each answer, ours and
the one by hand, is compared with the right one. Times are CPU of this process and of the database's for clients, divided by how
much slower this machine is than the one of the targets (:mod:`benchmarks.clock`); ratios are taken as they are. The states:

* ``quiet``: after the bulk load, nothing was written since;
* ``1``, ``100``, ``1,000``: so many changes are pending, and one more is written right before each question.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import docstore
from benchmarks.by_hand import PostgresByHand, SQLiteByHand, database
from benchmarks.clock import factor
from benchmarks.corpus import SPAN, Doc, corpus, new_document
from benchmarks.questions import ROWS, TEXT_ROWS, W2, Oracle, Question, arrays

__all__ = ["Options", "Taken", "WrongAnswer", "measure", "table"]

_BATCH = 5_000
_SINGLES = 60
SETTINGS = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "512MB", "max_wal_size": "4GB"}
STATES = ("quiet", "1", "100", "1,000")
TARGETS: dict[tuple[str, str], tuple[str, float]] = {
    **{(row, engine): ("ms", most) for row, most in (("W2", 1), ("W3", 2), ("W4b", 1), ("W4c", 1)) for engine in ("memory", "sqlite")},
    **{(row, engine): ("ms", 5) for row in ("W8a", "W8b", "W9a", "W9b", "W9c", "W9d") for engine in ("memory", "sqlite", "postgres")},
    **{(f"W12{letter}", engine): ("ms", 20) for letter in "abcdefghij" for engine in ("memory", "sqlite", "postgres")},
    ("W5", "memory"): ("ms", 0.5), ("W5", "sqlite"): ("ms", 0.6), ("W5", "postgres"): ("× by hand + 0.1 ms", 2),
    ("W6", "memory"): ("ms", 0.3), ("W6", "sqlite"): ("ms", 0.3), ("W6", "postgres"): ("× by hand", 1.5),
    ("W2", "postgres"): ("× by hand + 0.1 ms", 1.5), ("W3", "postgres"): ("× by hand", 1.3),
    ("W4a", "sqlite"): ("ms more", 0.2), ("W4a", "postgres"): ("ms more", 0.3), ("W4b", "postgres"): ("ms", 3),
    ("W7", "sqlite"): ("× by hand", 3), ("W7", "postgres"): ("ms more", 0.1),
    ("count_by", "postgres"): ("× by hand", 1.5), ("count_by n", "postgres"): ("× by hand", 1.5),
    ("W1 bulk", "memory"): ("ms", 0.045), ("W1 bulk", "sqlite"): ("× by hand", 5), ("W1 bulk", "postgres"): ("× by hand", 3.5),
    ("W1 one", "sqlite"): ("× by hand", 3), ("W1 one", "postgres"): ("× by hand", 3),
    ("W10", "sqlite"): ("× by hand", 3), ("W10", "postgres"): ("× by hand", 3),
    ("opened", "sqlite"): ("ms", 2),
    **{(f"async {row}", "sqlite"): ("× sync", 2) for row in ("W2", "W4a", "W7")},
    **{(f"async {row}", "postgres"): ("× sync", 1.4) for row in ("W2", "W4a", "W7")},
    **{(row, engine): ("ms", most) for row in ("array all", "array facet") for engine, most in (("memory", 500), ("sqlite", 500), ("postgres", 1_000))},
}  # fmt: skip
TITLES = {
    "W1 one": "one document and commit", "W10": "the status of one and commit", "write": "a write, folds included",
}  # fmt: skip


def target(row: str, engine: str, state: str, size: int) -> tuple[str, float] | None:
    """Return the unit and the most that a row may take; None if nothing is asked of it."""
    if row.startswith("count_by") and engine != "postgres":
        kind, most = "ms", 10.0 if size <= 100_000 else 60.0
    elif (row, engine) in TARGETS:
        kind, most = TARGETS[row, engine]
    else:
        return None
    if row == "opened":
        return kind, most if state == "opened" else 35.0
    if state not in STATES[1:] or row in TEXT_NAMES:
        return kind, most
    return kind, most * (1.2 if engine == "postgres" else 2)


TEXT_NAMES = ("W8a", "W8b", "W9a", "W9b", "W9c", "W9d")
"""Rows whose target holds right after changes, too."""


class WrongAnswer(Exception):
    """Somebody answered other than is right."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured.

    Attributes:
        size: documents, at least 200.
        quiet: questions of each row while nothing is pending.
        pending: questions of each row in each state with changes pending.
        turns: of a write and W2's page, for the steady state.
        engines: which.
        seed: of documents and questions.
        server: URL of a Postgres server; None: one of our own is started.
    """

    size: int = 100_000
    quiet: int = 9
    pending: int = 5
    turns: int = 2_100
    engines: tuple[str, ...] = ("memory", "sqlite", "postgres")
    seed: int = 1
    server: str | None = None


@dataclass(slots=True)
class Taken:
    """What one row took on one engine in one state.

    Attributes:
        ours, by_hand: CPU seconds of each call, scaled to the machine of the targets; beside the asynchronous store it is the
            blocking one that stands for the hand.
    """

    row: str
    title: str
    engine: str
    state: str
    size: int
    ours: list[float] = field(default_factory=list)
    by_hand: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        """How many times as long as by hand; None without a reference."""
        return statistics.median(self.ours) / statistics.median(self.by_hand) if self.by_hand else None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one. Right after a write it is twice as much, on Postgres 1.2 times."""
        asked = target(self.row, self.engine, self.state, self.size)
        if asked is None:
            return None
        kind, most = asked
        ours = statistics.median(self.ours) * 1e3
        hand = statistics.median(self.by_hand) * 1e3 if self.by_hand else 0.0
        if kind == "ms":
            return ours <= most
        return ours - hand <= most if kind == "ms more" else ours <= most * hand + (0.1 if "+" in kind else 0)

    def summary(self) -> dict[str, Any]:
        """Return medians in milliseconds, and how it stands to its target."""
        asked = target(self.row, self.engine, self.state, self.size)
        ordered = sorted(self.ours)
        return {
            "row": self.row, "title": self.title, "engine": self.engine, "state": self.state, "documents": self.size,
            "calls": len(ordered), "median": _ms(statistics.median(ordered)), "mean": _ms(statistics.mean(ordered)),
            "first": _ms(self.ours[0]), "p99": _ms(ordered[int(len(ordered) * 0.99)]), "worst": _ms(ordered[-1]),
            "by hand": _ms(statistics.median(self.by_hand)) if self.by_hand else None,
            "ratio": None if self.ratio is None else round(self.ratio, 2),
            "target": None if asked is None else f"≤ {asked[1]:g} {asked[0]}", "met": self.met,
        }  # fmt: skip


def _ms(seconds: float) -> float:
    return float(f"{seconds * 1e3:.4g}")


@dataclass(frozen=True, slots=True)
class Change:
    """One write: a document that is added, changed or started, as it is afterwards."""

    kind: str
    doc: Doc


@dataclass(frozen=True, slots=True)
class Step:
    """A write, or a question, in a state."""

    state: str
    do: Change | Question


def steps(options: Options) -> Iterator[Step]:
    """Yield writes and questions in the order in which every engine gets them; each answer is of its moment."""
    chance = random.Random(options.seed)
    oracle = Oracle(list(corpus(options.size, options.seed)), chance)
    for _ in range(3):
        yield Step("opened", replace(W2(oracle), row="opened", title="W2 right after opening"))
    for _ in range(options.quiet):
        yield from (Step("quiet", row(oracle)) for row in ROWS)
    written = 0
    for state in STATES[1:]:
        most = min(int(state.replace(",", "")), options.size)
        until = min(most, 1_010 - options.pending * len(ROWS)) if most > 1 else 0
        while written < until:
            written += 1
            yield Step("between", change(oracle))
        for _ in range(options.pending):
            for row in ROWS:
                written += 1
                yield Step("between", change(oracle))
                yield Step(state, row(oracle))
    yield from (Step("opened, 1,000", replace(W2(oracle), row="opened", title="W2 right after opening")) for _ in range(3))
    for _ in range(options.turns):
        yield Step("write", change(oracle))
        yield Step("steady", replace(W2(oracle), row="steady", title="2,100 × a write, then W2"))
    pending = [doc for doc in oracle.docs if doc.status == "pending"]
    for doc in chance.sample(pending, min(_SINGLES, len(pending))):
        yield Step("W1 one", Change("add", _newcomer(oracle)))
        doc.status = "processing"
        yield Step("W10", Change("start", replace(doc)))
    yield from (Step("async", replace(row(oracle), row=name)) for row in ASYNC for name in [f"async {row(oracle).row}"] * (4 * options.quiet))


ASYNC = (W2, ROWS[3], ROWS[8])
"""A page by the index, an owner's page, a get."""


def change(oracle: Oracle) -> Change:
    """Change one document of three in three, or add one."""
    chance = oracle.chance
    if chance.randrange(3) == 0:
        return Change("add", _newcomer(oracle))
    doc = chance.choice(oracle.docs)
    doc.metadata = {**doc.metadata, "priority": 1 + chance.randrange(10), "seen": chance.randrange(1_000_000)}
    return Change("change", replace(doc))


def _newcomer(oracle: Oracle) -> Doc:
    (made,) = corpus(1, oracle.chance.getrandbits(32))
    at, newest = len(oracle.docs), oracle.order[-1].created
    made.at, made.created = at, newest + 1 + oracle.chance.randrange(SPAN // 1_000_000)
    made.filename = made.filename.replace("-0000000.", f"-{at:07d}.")
    made.metadata["era"] = "late"
    oracle.add(made)
    return replace(made)


class Engine:
    """A store, what stands beside it by hand, and a clock for both."""

    hand: SQLiteByHand | PostgresByHand | None = None

    def __init__(self, name: str, url: str, folder: Path) -> None:
        self.name, self.url = name, url
        if name == "sqlite":
            self.hand = SQLiteByHand(folder / "hand.db")
        elif name == "postgres":
            self.hand = PostgresByHand(url)
        self.store = docstore.open(url)

    def clock(self) -> Callable[[], float]:
        """Return a clock of CPU seconds, the server's as it is now included."""
        return self.hand.clock() if isinstance(self.hand, PostgresByHand) else time.process_time

    def reopen(self) -> None:
        """Open the store anew, where it does not live in this process alone."""
        if self.name != "memory":
            self.store.close()
            self.store = docstore.open(self.url)

    def close(self) -> None:
        """Close the store and what is beside it."""
        self.store.close()
        if self.hand is not None:
            self.hand.close()

    def write(self, one: Change, hand: bool) -> None:
        """Write to the store, or by hand."""
        if hand:
            assert self.hand is not None
            calls: dict[str, Callable[[Doc], None]] = {
                "add": lambda doc: self.hand.insert([doc]), "change": self.hand.change, "start": self.hand.start,  # type: ignore[union-attr]
            }  # fmt: skip
            calls[one.kind](one.doc)
        elif one.kind == "add":
            self.store.documents.add(None, **new_document(one.doc))
        elif one.kind == "change":
            held = one.doc.metadata
            self.store.documents.update(one.doc.id, metadata={"priority": held["priority"], "seen": held["seen"]})
        else:
            self.store.documents.start(one.doc.id)


class Run:
    """One engine's run through the steps."""

    def __init__(self, engine: Engine, options: Options) -> None:
        self.engine, self.options = engine, options
        self.taken: dict[tuple[str, str], Taken] = {}
        self._factor = factor()

    def note(self, row: str, title: str, state: str, ours: float, hand: float | None = None) -> None:
        """Take down what a call took, scaled."""
        found = self.taken.setdefault(
            (row, state), Taken(row, title, self.engine.name, state, self.options.size)
        )
        found.ours.append(ours / self._factor)
        if hand is not None:
            found.by_hand.append(hand / self._factor)

    def load(self, *, content: bool = False) -> None:
        """Add all documents, 5,000 at a time, in turns with the same by hand."""
        docs = list(corpus(self.options.size, self.options.seed))
        hand = None if content else self.engine.hand
        for start in range(0, len(docs), _BATCH):
            part = docs[start : start + _BATCH]
            given = [new_document(doc, content=content) for doc in part]
            clock = self.engine.clock()
            begun = clock()
            self.engine.store.documents.add_many(given, batch_size=_BATCH)
            ours = clock() - begun
            begun = clock()
            if hand is not None:
                hand.insert(part)
            theirs = (clock() - begun) / len(part) if hand is not None else None
            row = "W1 bulk" if not content else "W1 bulk, with content"
            self.note(row, "bulk, a document", "quiet", ours / len(part), theirs)

    def ask(self, state: str, question: Question) -> None:
        """Ask the store, and by hand, in turns; check both."""
        engine = self.engine
        if question.row == "opened":
            engine.reopen()
        prepared = question.prepare(engine.store)
        hand = engine.hand.ask(question) if engine.hand is not None else None
        clock = engine.clock()
        begun = clock()
        answer = question.ask(engine.store, prepared)
        ours = clock() - begun
        theirs = None
        if hand is not None:
            begun = clock()
            found = hand()
            theirs = clock() - begun
            if not question.is_right(found):
                raise WrongAnswer(f"{question.row} by hand on {engine.name}: {found!r}, not {question.expected!r}")
        if not question.is_right(answer):
            raise WrongAnswer(f"{question.row} on {engine.name} ({state}): {answer!r}, not {question.expected!r}")
        self.note(question.row, question.title, state, ours, theirs)

    def write(self, state: str, one: Change) -> None:
        """Write to both, and take down what a single write takes."""
        engine = self.engine
        clock = engine.clock()
        begun = clock()
        engine.write(one, hand=False)
        ours = clock() - begun
        if engine.hand is None:
            if state != "between":
                self.note(state, TITLES[state], "quiet", ours)
            return
        begun = clock()
        engine.write(one, hand=True)
        theirs = clock() - begun
        if state in ("W1 one", "W10"):
            self.note(state, TITLES[state], "quiet", ours, theirs)
        elif state == "write":
            self.note(state, TITLES[state], "quiet", ours)

    def follow(self, script: Sequence[Step]) -> None:
        """Take all steps; the machine's speed is measured before each state."""
        state = ""
        for step in script:
            if step.state not in (state, "between", "write", "W1 one"):  # these alternate with others
                state = step.state
                self._factor = factor()
            if isinstance(step.do, Change):
                self.write(step.state, step.do)
            elif step.state != "async":
                self.ask(step.state, step.do)

    def wait(self, script: Sequence[Step]) -> None:
        """Ask through the asynchronous store, in turns with the blocking one, then 64 pages at once."""
        questions = [step.do for step in script if step.state == "async" and isinstance(step.do, Question)]
        asyncio.run(self._waited(questions))

    async def _waited(self, questions: list[Question]) -> None:
        engine = self.engine
        async with docstore.open_async(engine.url) as store:
            for place, question in enumerate(questions):
                clock = engine.clock()
                begun = clock()
                if place % 2:
                    answer = question.ask(engine.store, None)
                else:
                    answer = await question.ask(store, None)  # type: ignore[arg-type]
                took = clock() - begun
                if not question.is_right(answer):
                    raise WrongAnswer(f"{question.row} on {engine.name}: {answer!r}, not {question.expected!r}")
                if place % 2 == 0:
                    self.note(question.row, question.title, "quiet", took)
                else:
                    self.taken[question.row, "quiet"].by_hand.append(took / self._factor)

            async def one(question: Question) -> float:
                begun = time.perf_counter()
                await question.ask(store, None)  # type: ignore[arg-type]
                return time.perf_counter() - begun

            pages = [question for question in questions if "W2" in question.row]
            for took in await asyncio.gather(*(one(pages[n % len(pages)]) for n in range(64))):
                self.note("async 64", "64 pages at once, wall clock", "quiet", took)

    def array(self) -> None:
        """Ask about one document with a very long array."""
        size = min(150_000, self.options.size + self.options.size // 2)
        added = self.engine.store.documents.add(None, filename="long", metadata={"items": list(range(size))})
        for question in arrays(random.Random(self.options.seed), size, added.id):
            self.ask("quiet", question)

    def texts(self) -> None:
        """Ask for words in the content, also right after 8,000 changes (fewer where there are fewer documents)."""
        chance, size = random.Random(self.options.seed), self.options.size
        oracle = Oracle(list(corpus(size, self.options.seed)), chance, content=True)
        self.load(content=True)
        for _ in range(self.options.quiet):
            for row in TEXT_ROWS:
                self.ask("quiet", row(oracle))
        more = [new_document(_newcomer(oracle), content=True) for _ in range(min(8_000, size // 12))]
        self.engine.store.documents.add_many(more)
        for _ in range(self.options.pending):
            for row in TEXT_ROWS:
                self.ask("1,000", row(oracle))


def measure(options: Options, say: Callable[[str], None] = print) -> list[Taken]:
    """Measure all that the options say; return one figure for each row, engine and state.

    Raises:
        WrongAnswer: docstore, or what is written by hand, answered wrong.
    """
    begun = time.perf_counter()
    script = list(steps(options))
    say(f"{len(script):,} steps over {options.size:,} documents, worked out in {time.perf_counter() - begun:.0f} s")
    taken: list[Taken] = []
    with ExitStack() as stack:
        server = cache(lambda: options.server or _server(stack))
        for name in options.engines:
            for content in (False, True):
                begun = time.perf_counter()
                with tempfile.TemporaryDirectory(prefix="docstore-bench-") as folder:
                    run = Run(_engine(name, Path(folder), server, content), options)
                    try:
                        _go(run, script, content)
                    finally:
                        run.engine.close()
                taken += run.taken.values()
                what = "with content" if content else "without content"
                say(f"{name}, {what}: {time.perf_counter() - begun:.0f} s, machine × {run._factor:.2f}")
    return taken


def _go(run: Run, script: Sequence[Step], content: bool) -> None:
    if content:
        run.texts()
        return
    run.load()
    if run.engine.hand is not None:
        run.engine.hand.declare()
    run.follow(script)
    if run.engine.name != "memory":
        run.wait(script)
    run.array()


def _server(stack: ExitStack) -> str:
    from docstore.testing.servers import PostgresServer

    return stack.enter_context(PostgresServer(SETTINGS)).url()


def _engine(name: str, folder: Path, server: Callable[[], str], content: bool) -> Engine:
    match name:
        case "memory":
            return Engine(name, "memory://", folder)
        case "sqlite":
            return Engine(name, f"sqlite:///{folder / 'store.db'}", folder)
        case _:
            return Engine(name, database(server(), f"bench_{'text' if content else 'plain'}", fresh=True), folder)


def table(taken: Sequence[Taken]) -> str:
    """Return the figures as Markdown: medians in milliseconds, a row for each row of the targets."""
    engines = list(dict.fromkeys(one.engine for one in taken))
    lines = [
        "| | | " + " | ".join(f"{engine}: quiet · 1 · 100 · 1,000 pending | by hand | target" for engine in engines) + " |",
        "|---|---|" + "--:|--:|---|" * len(engines),
    ]
    for row in dict.fromkeys(one.row for one in taken):
        title = next(one.title for one in taken if one.row == row)
        cells = [_cells([one for one in taken if one.row == row and one.engine == engine]) for engine in engines]
        lines.append(f"| {row} | {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cells(found: list[Taken]) -> str:
    if not found:
        return " | | "
    figures = " · ".join(f"{_ms(statistics.median(one.ours)):.3g}" for one in found)
    if found[0].row in ("steady", "write", "async 64"):
        spread = found[0].summary()
        figures = f"mean {spread['mean']:.3g}, p50 {spread['median']:.3g}, p99 {spread['p99']:.3g}, worst {spread['worst']:.3g}"
    first = found[0].summary()
    hand = "" if first["by hand"] is None else f"{first['by hand']:.3g} (×{first['ratio']:.2f})"
    verdicts = {one.met for one in found} - {None}
    target = "" if first["target"] is None else f"{first['target']}: {'met' if verdicts == {True} else '**missed**'}"
    return f"{figures} | {hand} | {target}"


def write_docs(path: Path, size: int, text: str) -> None:
    """Put a table between its marks in a page; the marks are there already.

    Raises:
        SystemExit: they are not.
    """
    begin, end = f"<!-- service {size} begin -->", f"<!-- service {size} end -->"
    page = path.read_text(encoding="utf-8")
    if begin not in page or end not in page:
        raise SystemExit(f"{path}: expected the lines {begin} and {end} around the table")
    before, after = page[: page.index(begin) + len(begin)], page[page.index(end) :]
    path.write_text(f"{before}\n\n{text.rstrip()}\n\n{after}", encoding="utf-8")


SIZES = {"200": 200, "2k": 2_000, "20k": 20_000, "100k": 100_000, "1M": 1_000_000}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if an answer was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks service", description=__doc__)
    say = parser.add_argument
    say("--size", default="20k", choices=SIZES, help="documents (default: %(default)s)")
    say("--engine", action="append", choices=("memory", "sqlite", "postgres"), help="only this one; may be repeated")
    say("--quiet", type=int, default=9, help="questions a row while nothing is pending (default: %(default)s)")
    say("--pending", type=int, default=5, help="questions a row in each other state (default: %(default)s)")
    say("--turns", type=int, default=2_100, help="writes, each followed by W2 (default: %(default)s)")
    say("--seed", type=int, default=1, help="of documents and questions (default: %(default)s)")
    say("--postgres", metavar="URL", help="a server to use (default: one of our own, fsync on)")
    say("--json", type=Path, metavar="FILE", help="where the figures are written to")
    say("--docs", type=Path, metavar="PAGE", help="the page whose table of this size is replaced")
    chosen = parser.parse_args(arguments)
    engines = tuple(chosen.engine or ("memory", "sqlite", "postgres"))
    options = Options(
        SIZES[chosen.size], chosen.quiet, chosen.pending, chosen.turns, engines, chosen.seed, chosen.postgres
    )
    try:
        taken = measure(options, lambda line: print(line, file=sys.stderr, flush=True))
    except WrongAnswer as error:
        print(error, file=sys.stderr)
        return 1
    if chosen.json:
        machine = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.machine()}"
        figures = {"machine": machine, "documents": options.size, "rows": [one.summary() for one in taken]}
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(json.dumps(figures, indent=1, ensure_ascii=False), encoding="utf-8")
    if chosen.docs:
        write_docs(chosen.docs, options.size, table(taken))
    print(table(taken))
    return 0


if __name__ == "__main__":
    sys.exit(main())
