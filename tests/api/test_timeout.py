"""The budget of a read: what counts, what is raised, and that the store works on."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import docstore
from tests.kit.forms import PATIENCE


def slow(patterns: int = 400, word: str = "zz") -> dict[str, Any]:
    """Return a filter that no index serves: some 5 µs for each pattern and document.

    Answers are kept by predicate: a filter of another ``word`` has none that was asked before.
    """
    return {"$and": [{"metadata.text": {"$not": {"$substring": f"{word}{n}"}}} for n in range(patterns)]}


SLOW = slow()
BUDGET = 0.02
MANY = 600
"""Documents that `SLOW` takes five seconds for: 250 times the budget."""
LATE = 3.0
"""Seconds that a time-out may take on a machine that does much else."""


def fill(store: docstore.Store, number: int = MANY, words: int = 300) -> None:
    """Add documents that the slow filter takes long for."""
    text = "word and word " * words
    store.documents.add_many(
        {"filename": f"{n}", "metadata": {"n": n, "text": f"{n} {text}"}} for n in range(number)
    )


@pytest.fixture
def filled(store: docstore.Store) -> docstore.Store:
    """A store on every backend with documents in it."""
    fill(store)
    return store


def asks(store: Any) -> dict[str, Callable[..., Any]]:
    """Return every way to ask that takes a timeout."""
    documents = store.documents
    return {
        "find": lambda filter, **options: documents.find(filter, total=True, **options),
        "count": documents.count,
        "count_by": lambda filter, **options: documents.count_by("metadata.n", filter, **options),
        "update_many": lambda filter, **options: documents.update_many(filter, preview="x", **options),
        "delete_many": documents.delete_many,
        "claim": lambda filter, **options: documents.claim(1000, filter=filter, **options),
    }


def test_every_read_ends_within_its_budget(filled: docstore.Store) -> None:
    """Each read with a timeout raises QueryTimeout soon after it; the next call is answered."""
    for name, ask in asks(filled).items():
        begun = time.monotonic()
        with pytest.raises(docstore.QueryTimeout, match=r"0\.02 s") as late:
            ask(SLOW, timeout=BUDGET)
        assert time.monotonic() - begun < BUDGET + LATE, name
        assert isinstance(late.value, TimeoutError)
        assert (False, BUDGET) == (late.value.retryable, late.value.budget)
        assert 1 == filled.documents.count({"metadata.n": 7}), name
    assert {"pending": MANY} == filled.documents.count_by("status")


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let seconds pass by the clock that budgets go by."""
    now, passed = time.monotonic, [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now() + passed[0])

    def let_pass(seconds: float) -> None:
        passed[0] += seconds

    return let_pass


def test_a_batch_of_a_walk_has_the_budget(filled: docstore.Store, pass_time: Callable[[float], None]) -> None:
    """`iterate` counts by batch, so that a long walk of quick batches goes on."""
    with pytest.raises(docstore.QueryTimeout):
        next(filled.documents.iterate(SLOW, batch_size=1000, timeout=BUDGET))
    walk = filled.documents.iterate(batch_size=100, timeout=60)
    seen = 0
    for _ in walk:
        seen += 1
        pass_time(1)
    assert MANY == seen


def test_the_error_names_what_no_index_serves(filled: docstore.Store) -> None:
    """A time-out's text and attribute, and `explain`, name the predicates without an index, and no others."""
    asked = {"metadata.n": {"$gt": -1}, **SLOW}
    with pytest.raises(docstore.QueryTimeout, match=r"no index serves metadata\.text") as late:
        filled.documents.find(asked, sort="metadata.text", total=True, timeout=BUDGET)
    assert 400 == len(late.value.predicates)
    assert not any("metadata.n" in predicate for predicate in late.value.predicates)
    plan = filled.documents.explain({"metadata.n": 1, "metadata.text": {"$regex": "x"}})
    assert ("metadata.text" in plan.unindexed()[0], len(plan.unindexed())) == (True, 1)
    assert "no index" in str(plan)


def test_the_store_has_a_budget_of_its_own(url: str) -> None:
    """`query_timeout=` holds where a call says nothing, `timeout=` overrides it, and `None` lifts it."""
    with docstore.open(url, query_timeout=0.02) as store:
        fill(store, 160, words=60)
        with pytest.raises(docstore.QueryTimeout):
            store.documents.count(slow(300))
        assert 160 == store.documents.count(slow(300), timeout=600)
        with pytest.raises(docstore.QueryTimeout):
            store.documents.update_many(slow(300, "yy"), preview="x")
        assert 160 == store.documents.count(slow(300, "xx"), timeout=None)


@pytest.mark.parametrize("wrong", [0, -1, "1", True, float("nan")])
def test_a_wrong_timeout_is_refused(wrong: Any) -> None:
    """A timeout is a number of seconds more than 0, or None."""
    with docstore.open("memory://") as store, pytest.raises(docstore.InvalidPage, match="timeout"):
        store.documents.find(timeout=wrong)
    with pytest.raises(ValueError, match="query_timeout"):
        docstore.open("memory://", query_timeout=wrong)


def test_a_transaction_goes_on_after_a_time_out(filled: docstore.Store) -> None:
    """A read that is interrupted within a transaction leaves what was written before it."""
    with filled.transaction():
        added = filled.documents.add(filename="before")
        for ask in ("find", "count", "update_many", "claim"):
            with pytest.raises(docstore.QueryTimeout):
                asks(filled)[ask](SLOW, timeout=BUDGET)
        filled.documents.update(added.id, filename="after")
    assert "after" == filled.documents.get(added.id).filename
    assert MANY + 1 == filled.documents.count()


def test_a_late_interrupt_hits_nobody(filled: docstore.Store) -> None:
    """After many time-outs in several threads every quick read is answered, and none is interrupted."""

    def ask(number: int) -> None:
        with pytest.raises(docstore.QueryTimeout):
            filled.documents.count(SLOW, timeout=0.001 + number % 7 / 300)
        for _ in range(5):
            assert 1 == filled.documents.count({"metadata.n": number})
            assert number == filled.documents.find({"metadata.n": number}).items[0].metadata["n"]

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(ask, range(12)))


@pytest.mark.parametrize("url", ["memory", "sqlite-file"], indirect=True)
def test_waiting_for_a_turn_counts(store: docstore.Store) -> None:
    """The turn to write is waited for out of the budget of what is to be found, and the error says so."""
    store.documents.add(filename="x")
    with Held(store):
        begun = time.monotonic()
        with pytest.raises(docstore.QueryTimeout, match="waiting for the turn to write"):
            store.documents.update_many({}, preview="x", timeout=0.1)
        with pytest.raises(docstore.QueryTimeout, match="waiting for the turn to write"):
            store.documents.claim(timeout=0.1)
        assert time.monotonic() - begun < PATIENCE / 2
    assert 1 == store.documents.update_many({}, preview="x", timeout=PATIENCE).matched


class Held:
    """Another thread's transaction, open for the time of a block."""

    def __init__(self, store: docstore.Store) -> None:
        self._store = store
        self._begun, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold)

    def _hold(self) -> None:
        with self._store.transaction():
            self._begun.set()
            self._over.wait(PATIENCE)

    def __enter__(self) -> None:
        self._thread.start()
        assert self._begun.wait(PATIENCE)

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()


def test_batches_that_were_committed_stay(
    store: docstore.Store, pass_time: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All finding of one `update_many` has one budget; past it the error counts what earlier batches did."""
    from docstore.concurrency import check
    from docstore.query import executor

    store.documents.add_many({"filename": f"{number}"} for number in range(6))
    monkeypatch.setattr("docstore.writes.edits.BATCH", 2)
    rows = executor.rows

    def slow_rows(*asked: Any) -> list[Any]:
        found = rows(*asked)
        pass_time(150)
        check()
        return found

    monkeypatch.setattr(executor, "rows", slow_rows)
    with pytest.raises(docstore.QueryTimeout, match="earlier batches stay: 4 documents") as late:
        store.documents.update_many({}, preview="seen", timeout=430)
    monkeypatch.undo()
    assert (4, 4) == (late.value.matched, late.value.changed)
    assert 4 == store.documents.count({"preview": "seen"})


def test_the_asynchronous_store_has_the_same_budget(url: str) -> None:
    """Every read of an AsyncStore ends within its budget, waiting for a thread included."""

    async def main() -> None:
        async with docstore.open_async(url) as store:
            await store.documents.add_many(
                {"filename": f"{n}", "metadata": {"n": n, "text": f"{n} " + "word and word " * 300}}
                for n in range(MANY)
            )
            for ask in asks(store).values():
                with pytest.raises(docstore.QueryTimeout):
                    await ask(SLOW, timeout=BUDGET)
            begun = time.monotonic()
            done = await asyncio.gather(
                *(store.documents.count(SLOW, timeout=0.2) for _ in range(24)), return_exceptions=True
            )
            assert all(isinstance(one, docstore.QueryTimeout) for one in done), done
            assert time.monotonic() - begun < 0.2 + 6 * LATE
            assert 1 == await store.documents.count({"metadata.n": 7})

    asyncio.run(main())
