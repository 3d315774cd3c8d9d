"""Parity: generated records, updates and questions, run by several backends, compared with the evaluator.

The long form of the conformance suite's comparison: chance instead of Hypothesis, many questions to each set
of records, so that hundreds of thousands of (records, filter) pairs take minutes. ``python -m
tests.kit.parity --help`` runs it on every first-party backend; the same seed asks the same.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, TypeAlias

import docstore
from docstore.backend import Backend, Query
from docstore.errors import DocstoreError, FilterError
from docstore.limits import DEFAULT_LIMITS
from docstore.query import executor
from docstore.query.fields import DOCUMENTS, Collection
from docstore.query.parser import parse
from docstore.query.planner import make_plan, normalize
from docstore.query.sorting import parse_sort
from docstore.query.updates import Unfit, parse_update
from docstore.registry import open_backend
from docstore.testing.conformance.properties import (
    AskCase,
    FilterCase,
    ask_case,
    string_case,
    themed_case,
    wide_case,
)
from docstore.testing.conformance.rows import Oracle, fill, read_also
from docstore.testing.strategies import RandomChooser
from docstore.testing.strategies.asks import Ask, ask, operators
from docstore.testing.strategies.filters import THEMES
from docstore.testing.strategies.values import Chooser
from docstore.testing.strategies.worlds import World, world

__all__ = ["Difference", "Tally", "compare", "first_party"]

_ASKS = 32
_QUESTIONS_A_CHANGE = 3


@dataclass(frozen=True)
class Change:
    """Update operators, and which documents they change: the arguments of ``update_many``."""

    filter: dict[str, Any]
    operators: dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """One wrong answer: the seed that makes the records and the question, and both answers."""

    backend: str
    seed: int
    ask: Ask | Change
    expected: Any
    actual: Any

    def __str__(self) -> str:
        """Return the case as lines to start from."""
        answers = f"  expected {self.expected}\n  actual   {self.actual}"
        return f"{self.backend}, seed {self.seed}: {self.ask}\n{answers}"


@dataclass
class Tally:
    """What a comparison found.

    Attributes:
        pairs: questions asked, each on its own set of records.
        changes: updates by operators between them, and how many of them changed a document.
        pushed: of them, how many each backend ran with an empty residual.
        differences: the wrong answers.
    """

    pairs: int = 0
    changes: int = 0
    changing: int = 0
    pushed: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)

    def __str__(self) -> str:
        """Return the counts as a line a backend."""
        lines = [
            f"{self.pairs} (records, filter) pairs, {self.changes} updates ({self.changing} of which changed "
            f"documents), {len(self.differences)} differences"
        ]
        for name, pushed in self.pushed.items():
            lines.append(f"{name:<22} empty residual: {pushed / max(self.pairs, 1):7.2%}")
        return "\n".join(lines)


def compare(
    backends: Mapping[str, Backend],
    pairs: int,
    seed: int,
    *,
    on_progress: Callable[[Tally], object] | None = None,
) -> Tally:
    """Ask every backend ``pairs`` questions and compare its answers and counts with the evaluator's.

    Args:
        backends: by name; whatever they hold is removed.
        pairs: questions to ask, at least 1.
        seed: of the first set of records; each further one has the next.
        on_progress: called after each set of records.
    """
    tally = Tally(pushed=dict.fromkeys(backends, 0))
    stores = {name: docstore.open(backend) for name, backend in backends.items()}
    while tally.pairs < pairs:
        choose = RandomChooser(seed)
        case = _case(choose)
        case = replace(case, world=_revisable(case.world))
        oracles = {name: fill(backend, case.world) for name, backend in backends.items()}
        oracle = next(iter(oracles.values()))
        for place, question in enumerate(case.asks[: pairs - tally.pairs]):
            if not _accepted(question, case.world.collection):
                continue
            if place % _QUESTIONS_A_CHANGE == _QUESTIONS_A_CHANGE - 1 and case.world.collection is DOCUMENTS:
                chosen = choose.pick((question.filter, {}, {"version": 1}))
                change = Change(chosen, operators(choose, case.world))
                _change(stores, oracle, change, seed, tally)
            tally.pairs += 1
            expected = _expected(oracle, question)
            for name, backend in backends.items():
                _ask(backend, name, oracle, question, expected, seed, tally)
        seed += 1
        if on_progress is not None:
            on_progress(tally)
    return tally


def _case(choose: Chooser) -> AskCase:
    """Return records and questions of one of the suite's kinds, most of them whole questions about
    anything.
    """
    kind = choose.below(4)
    if kind < 2:
        records = world(choose, size=10)
        return AskCase(records, [ask(choose, records) for _ in range(_ASKS)])
    if kind == 2:
        case = ask_case(choose)
        return AskCase(case.world, case.asks + [ask(choose, case.world) for _ in range(_ASKS)])
    narrow = _narrow_case(choose)
    size = len(narrow.world.rows)
    sort = ("-created_at",) if size % 2 else ("number",)
    asks = [Ask(chosen, None, sort, 1000, 0, False) for chosen in narrow.filters]
    return AskCase(narrow.world, asks)


def _revisable(records: World) -> World:
    """Return the records, their revisions small enough to be counted on."""
    rows = tuple({**row, "revision": min(row["revision"], 2**31)} for row in records.rows)
    return replace(records, rows=rows)


def _narrow_case(choose: Chooser) -> FilterCase:
    """Return records and filters of one kind: of a theme, of texts, of many alternatives."""
    kind = choose.below(5)
    if kind < 2:
        return themed_case(choose, choose.pick(list(THEMES)))
    return string_case(choose) if kind < 4 else wide_case(choose)


def _change(
    stores: Mapping[str, docstore.Store], oracle: Oracle, change: Change, seed: int, tally: Tally
) -> None:
    """Update the documents that match, in every store and in the oracle's records, and compare all metadata.

    What an operator makes is said by the pure function; that it reaches each store's rows and index, that an
    error undoes it, and that what changes nothing is not written, is compared.
    """
    try:
        update = parse_update(
            change.operators, DOCUMENTS, {"filename": False, "error": True}, limits=DEFAULT_LIMITS
        )
    except FilterError:
        return  # two on one path, or no operand of this operator
    chosen = oracle.matching(oracle.parsed(change.filter))
    before = {record["id"]: _held(record) for record in chosen}
    after: list[dict[str, Any]] = []
    expected: tuple[int, int] | str
    try:
        after = [
            {**record, **update.fields, "metadata": update.apply(deepcopy(record["metadata"]))}
            for record in chosen
        ]
        expected = len(chosen), sum(_held(record) != before[record["id"]] for record in after)
    except Unfit:
        expected = "InvalidDocument"
    if isinstance(expected, tuple):
        for record, made in zip(chosen, after, strict=True):
            if _held(made) != before[record["id"]]:
                made["revision"] += 1
                made["updated_at"] = max(made["updated_at"], made["created_at"])
                record.update(made)
        tally.changing += bool(expected[1])
    tally.changes += 1
    every = sorted(_held(record) for record in oracle.records)
    for name, store in stores.items():
        actual: tuple[int, int] | str
        try:
            done = store.documents.update_many(change.filter, change.operators, touch=False)
            actual = done.matched, done.changed
        except DocstoreError as wrong:
            actual = type(wrong).__name__
        held = sorted(_held(vars(document)) for document in store.documents.iterate(latest_only=False))
        if (expected, every) != (actual, held):
            tally.differences.append(Difference(name, seed, change, (expected, every), (actual, held)))


def _held(record: Mapping[str, Any]) -> str:
    """Return what operators may have changed, with the types of all numbers."""
    return repr([record[name] for name in ("id", "filename", "error", "metadata")])


def _accepted(question: Ask, collection: Collection) -> bool:
    """Return whether the language has this filter; chance also puts operators where only values may be."""
    try:
        parse(question.filter, collection)
    except FilterError:
        return False
    return True


Answer: TypeAlias = tuple[list[str], int]
"""The ids of a page, and the total."""


def _expected(oracle: Oracle, question: Ask) -> Answer:
    """Return the evaluator's answer: ids, the same for all backends, whatever numbers they gave."""
    every = oracle.ordered(oracle.asked(question), question.sort)
    return every[question.offset : question.offset + question.limit], len(every)


def _ask(
    backend: Backend, name: str, oracle: Oracle, question: Ask, expected: Answer, seed: int, tally: Tally
) -> None:
    actual: Answer | str
    try:
        pushed, actual = _answer(backend, oracle.collection, question, oracle.asked(question))
        tally.pushed[name] += pushed
    except DocstoreError as error:
        actual = f"{type(error).__name__}: {error}"
    if actual != expected:
        tally.differences.append(Difference(name, seed, question, expected, actual))


def _answer(backend: Backend, collection: Collection, question: Ask, expr: Any) -> tuple[bool, Answer]:
    """Run one question as the store does; return whether all was pushed, the ids of its page, and the
    total.
    """
    order = parse_sort(list(question.sort), collection, DEFAULT_LIMITS)
    plan = make_plan(backend, collection, normalize(expr), order)
    query = Query(collection, where=plan.pushed, order=order, include=read_also(collection, plan.residual))
    with backend.read(snapshot=True) as reader:
        total = executor.count(reader, plan, query)
        if not question.limit:
            return plan.is_pushed, ([], total)
        page = replace(query, offset=question.offset, limit=question.limit)
        return plan.is_pushed, ([row["id"] for row in executor.rows(reader, plan, page)], total)


@contextmanager
def _small_segments() -> Iterator[None]:
    """Have the indexes hold the few records of a world: they would all be loose, and evaluated one by one."""
    small = (("docstore.index.tail", "LOOSE", 2), ("docstore_sqlite.delta_log", "LOGGED_CHANGES", 8))
    before = [(import_module(module), name, value) for module, name, value in small]
    kept = [getattr(module, name) for module, name, _ in before]
    for module, name, value in before:
        setattr(module, name, value)
    try:
        yield
    finally:
        for (module, name, _), value in zip(before, kept, strict=True):
            setattr(module, name, value)


@contextmanager
def first_party(names: Sequence[str] = ()) -> Iterator[dict[str, Backend]]:
    """Open the first-party backends on empty stores, Postgres on a server of its own; close them at the end.

    Args:
        names: of ``memory``, ``sqlite``, ``pysqlite3`` (the newest SQLite library) and ``postgres``; none:
            all of them.

    Raises:
        ImportError: a package that one of them needs is missing.
    """
    with ExitStack() as stack:
        stack.enter_context(_small_segments())
        opened: dict[str, Backend] = {}
        for name in names or ("memory", "sqlite", "pysqlite3", "postgres"):
            backend = _OPENERS[name](stack)
            stack.callback(backend.close)
            opened[name] = backend
        yield opened


def _open_pysqlite3(stack: ExitStack) -> Backend:
    newest = import_module("pysqlite3.dbapi2")
    return open_backend("sqlite://", module=newest)


def _open_postgres(stack: ExitStack) -> Backend:
    from docstore.testing.servers import PostgresServer

    server = stack.enter_context(PostgresServer())
    return open_backend(server.create_database())


_OPENERS: dict[str, Callable[[ExitStack], Backend]] = {
    "memory": lambda stack: open_backend("memory://"),
    "sqlite": lambda stack: open_backend("sqlite://"),
    "pysqlite3": _open_pysqlite3,
    "postgres": _open_postgres,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison from the command line; return 1 if there is a difference."""
    parser = argparse.ArgumentParser(prog="python -m tests.kit.parity", description=__doc__)
    parser.add_argument("--pairs", type=int, default=200_000, help="questions to ask (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the first records (default: %(default)s)")
    parser.add_argument(
        "--backend", action="append", choices=list(_OPENERS), help="only this one; may be repeated"
    )
    parser.add_argument("--show", type=int, default=10, help="differences to print (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    with first_party(chosen.backend or ()) as backends:
        tally = compare(backends, chosen.pairs, chosen.seed, on_progress=_progress)
    for difference in tally.differences[: chosen.show]:
        print(difference)
    print(f"seed {chosen.seed}: {tally}")
    return 1 if tally.differences else 0


def _progress(tally: Tally) -> None:
    if sys.stderr.isatty():
        print(f"\r{tally.pairs} pairs, {len(tally.differences)} differences", end="", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
