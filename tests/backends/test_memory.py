"""The backend in memory: what it promises beyond the seam, which the conformance suite is for."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from docstore_memory import MemoryBackend, open_backend

import docstore
from docstore.backend import Query
from docstore.errors import StoreBusy
from docstore.query.evaluator import compile as compile_expr
from docstore.query.expr import TRUE, And, Compare, Expr, In, Or
from docstore.query.fields import DOCUMENTS
from docstore.testing.conformance.rows import document, ids, keyed, one


def _filled(size: int = 5) -> MemoryBackend:
    backend = MemoryBackend()
    with backend.write() as writer:
        writer.insert(DOCUMENTS, [document(f"{n}") for n in range(size)])
    return backend


def test_a_store_starts_in_under_a_millisecond() -> None:
    """Of CPU, the best of ten; five on a machine that is slow and busy."""
    taken = []
    for _ in range(10):
        start = time.thread_time()
        MemoryBackend()
        taken.append(time.thread_time() - start)
    assert min(taken) < 0.005


@pytest.mark.parametrize("url", ["memory://", "memory:", "memory:///"])
def test_each_store_is_its_own(url: str) -> None:
    """Two stores of one URL share nothing."""
    first, second = open_backend(url), open_backend(url)
    with first.write() as writer:
        writer.insert(DOCUMENTS, [document("a")])
    with second.read() as reader:
        assert ids(reader) == []


@pytest.mark.parametrize("url", ["memory://name", "memory:///a"])
def test_a_store_in_memory_has_no_name(url: str) -> None:
    """A name would promise that another store can be opened by it."""
    with pytest.raises(ValueError, match="no name"):
        open_backend(url)


def test_a_writer_waits_for_the_one_before_for_so_long() -> None:
    """Behind a block that does not end StoreBusy comes after ``busy_timeout``; it may be tried again."""
    backend = MemoryBackend(busy_timeout=0.05)
    raised: list[StoreBusy] = []

    def write() -> None:
        try:
            with backend.write():
                pass
        except StoreBusy as busy:
            raised.append(busy)

    with backend.write():
        other = threading.Thread(target=write)
        other.start()
        other.join(30)
    assert [busy.retryable for busy in raised] == [True]
    with backend.write() as writer:
        assert ids(writer) == []


def test_readers_do_not_wait_for_a_writer() -> None:
    """Within a write block another thread, and this one, read what was before it."""
    backend = _filled()
    seen: list[Any] = []

    def look() -> None:
        with backend.read(snapshot=True) as reader:
            seen.append(ids(reader))

    with backend.write() as writer:
        writer.insert(DOCUMENTS, [document("new")])
        other = threading.Thread(target=look)
        other.start()
        other.join(30)
        look()
    assert seen == [["0", "1", "2", "3", "4"]] * 2


def test_a_snapshot_outlives_many_commits() -> None:
    """Rows that were added, changed, removed, changed back and added again since are as they were."""
    backend = _filled()
    with backend.read(snapshot=True) as reader:
        for _ in range(3):
            with backend.write() as writer:
                numbers = [row["number"] for row in writer.select(Query(DOCUMENTS))]
                writer.delete(DOCUMENTS, [keyed(n) for n in numbers[:1]])
                writer.update(DOCUMENTS, keyed(numbers[1]), {"id": "changed"})
                writer.update(DOCUMENTS, keyed(numbers[1]), {"id": f"{numbers[1]}x"})
                writer.insert(DOCUMENTS, [document(f"new{numbers[-1]}")])
            assert ids(reader) == ["0", "1", "2", "3", "4"]
            assert ids(reader, where=one("id", "0")) == ["0"]
            assert ids(reader, where=one("id", "changed")) == []
            assert reader.count(Query(DOCUMENTS)) == 5
    with backend.read(snapshot=True) as reader:
        assert "0" not in ids(reader)


@pytest.mark.parametrize(
    ("where", "how"),
    [
        (TRUE, "index: 5 match, 0 need a recheck,"),
        (one("id", "3"), "look up id = '3'"),
        (one("number", 2), "look up number = 2"),
        (In(("id",), ("1", "2", "9")), "look up 3 values of id"),
        (And((one("status", "pending"), And((one("id", "3"), one("size", None))))), "look up id = '3'"),
        (And((In(("id",), ("1", "3")), one("external_id", "x"))), "look up external_id = 'x'"),
        (one("external_id", None), "index: 5 match, 0 need a recheck,"),
        (Or((one("id", "3"), one("id", "4"))), "index: 2 match, 0 need a recheck,"),
        (Compare(("id",), "gt", "3"), "index: 1 match, 0 need a recheck,"),
    ],
)
def test_rows_are_looked_up_by_their_keys(where: Expr, how: str) -> None:
    """A key that must hold is looked up, the rarest first; what is in no index is not asked of one."""
    with _filled().read() as reader:
        explained = reader.explain(Query(DOCUMENTS, where=where))  # type: ignore[attr-defined]
    assert explained.text.splitlines()[0] == f"{how} of 5 documents"


def test_a_look_up_does_not_look_at_every_row() -> None:
    """A hundred gets among 20,000 rows take less than twenty scans."""
    backend = _filled(20_000)
    with backend.read() as reader:
        start = time.thread_time()
        for n in range(100):
            assert ids(reader, where=one("id", f"{n * 7}")) == [f"{n * 7}"]
        looked_up = time.thread_time() - start
        start = time.thread_time()
        assert reader.count(Query(DOCUMENTS, where=Compare(("id",), "gte", ""))) == 20_000
        scanned = time.thread_time() - start
    assert looked_up < scanned * 20


def test_a_rolled_back_number_is_gone_for_good() -> None:
    """Whoever saw it in the block that failed never meets another row by it."""
    backend = MemoryBackend()
    numbers: list[int] = []

    def fail() -> None:
        with backend.write() as writer:
            numbers.extend(writer.insert(DOCUMENTS, [document("a")]))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with backend.write() as writer:
        numbers.extend(writer.insert(DOCUMENTS, [document("a")]))
    assert numbers[0] < numbers[1]


@pytest.mark.parametrize(("year", "most"), [(2025, 300), (2300, 60)])
def test_a_page_looks_no_further_than_to_its_end(
    year: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what the index leaves open, the records that come first are looked at; each once where none matches.

    Odd instants beyond 2255 are not whole in a double, so that the index does not order them.
    """
    looked: list[str] = []

    def compiled(expr: Any) -> Any:
        test = compile_expr(expr)
        return lambda facts: looked.append(facts["filename"]) or test(facts)

    monkeypatch.setattr("docstore_memory.backend.compile_expr", compiled)
    monkeypatch.setattr("docstore_memory.state.compile_expr", compiled)
    monkeypatch.setattr("docstore_memory.state._LAST_ROUND", 400)
    with docstore.open("memory://") as store:
        store.documents.add_many(
            {"filename": f"{n}", "created_at": datetime(year, 1, 1, 0, 0, 0, 1, UTC) + timedelta(seconds=n)}
            for n in range(2_000)
        )
        found = store.documents.find({"filename": {"$regex": "[05]$"}}, limit=10)
        assert [f"{n}" for n in range(1_995, 1_945, -5)] == [one.filename for one in found.items]
        assert len(looked) <= most
        looked.clear()
        assert [] == store.documents.find({"filename": {"$regex": "^[a-c]"}}, limit=10).items
        assert 2_000 == len(looked) == len(set(looked))
