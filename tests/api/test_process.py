"""process: threads that empty the queue, tell what became of it, and stop when told."""

from __future__ import annotations

import signal
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import docstore
from docstore import Document
from tests.kit.forked import Forked


def test_handlers_return_what_complete_takes(store: docstore.Store) -> None:
    """Content, a mapping of complete's keywords, or nothing."""
    for name in ("content", "mapping", "nothing"):
        store.documents.add(filename=name)
    results: dict[str, Any] = {
        "content": "text",
        "mapping": {"metadata": {"a": 1}, "preview": "p"},
        "nothing": None,
    }
    report = store.documents.process(lambda document: results[document.filename])
    assert (3, 0, 0, 0, ()) == (report.completed, report.failed, report.retried, report.lost, report.errors)
    made = {one.filename: one for one in store.documents.iterate()}
    assert ("text", "p", None) == tuple(made[name].preview for name in ("content", "mapping", "nothing"))
    assert {"a": 1} == made["mapping"].metadata
    assert 3 == store.documents.count({"status": "completed"})


def test_a_handler_that_raises_is_tried_again_and_then_failed(store: docstore.Store) -> None:
    """max_attempts attempts in all; the exception is the error."""
    bad, good = store.documents.add(filename="bad"), store.documents.add(filename="good")
    seen: list[str] = []

    def handle(document: Document) -> str:
        seen.append(document.filename)
        if document.filename == "bad" or seen.count("good") < 2:
            raise ValueError("no\0way")
        return "fine"

    report = store.documents.process(handle, max_attempts=3, retry_delay=0)
    assert (1, 1, 3) == (report.completed, report.failed, report.retried)
    failed = store.documents.get(bad.id)
    assert ("failed", 3, "ValueError: no\N{REPLACEMENT CHARACTER}way") == (
        failed.status,
        failed.attempts,
        failed.error,
    )
    assert ("completed", 2) == (store.documents.get(good.id).status, store.documents.get(good.id).attempts)
    assert (bad.id, failed.error) in report.errors


@pytest.mark.parametrize("result", [3, {"status": "failed"}, {"metadata": []}, {"content": 5}])
def test_a_wrong_result_is_the_handlers_failure(store: docstore.Store, result: Any) -> None:
    """What complete would refuse fails the document, not the run."""
    store.documents.add(metadata={})
    assert 1 == store.documents.process(lambda document: result, max_attempts=1).failed


def test_work_of_dead_workers_is_given_up_after_max_attempts(store: docstore.Store) -> None:
    """A document whose worker died as often as it may is failed without being handled."""
    made = store.documents.add(metadata={})
    for _ in range(2):
        store.documents.claim(lease=1e-6)
    seen: list[str] = []
    report = store.documents.process(lambda document: seen.append(document.id), max_attempts=2)
    assert ([], 0) == (seen, report.completed)
    ended = store.documents.get(made.id)
    assert ("failed", 2) == (ended.status, ended.attempts)
    assert "2 attempts" in (ended.error or "")
    store.documents.retry(made.id)
    assert 1 == store.documents.process(lambda document: None, max_attempts=2).completed


def test_a_slow_handler_keeps_its_lease(store: docstore.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats go on while it runs, and move the lease's end: nobody takes its document over."""
    monkeypatch.setattr("docstore.workers.HEARTBEATS_PER_LEASE", 1200)  # one in 50 ms
    store.documents.add(metadata={})
    taken, ends = list[int](), set[datetime]()

    def handle(document: Document) -> str:
        while len(ends) < 4:
            time.sleep(0.02)
            [held] = store.stats().held
            ends.add(held.expires_at)
            taken.append(len(store.documents.claim()))
        return "done"

    report = store.documents.process(handle, lease=60)
    assert (1, 0, 0) == (report.completed, report.lost, sum(taken))


def test_workers_share_the_queue(store: docstore.Store) -> None:
    """Several threads handle different documents at once; progress counts up one by one."""
    store.documents.add_many([{} for _ in range(12)])
    threads: set[str] = set()
    meeting = threading.Barrier(3, timeout=60)
    progress: list[int] = []

    def handle(document: Document) -> None:
        threads.add(threading.current_thread().name)
        meeting.wait()

    report = store.documents.process(handle, workers=3, on_progress=progress.append)
    assert (12, 3) == (report.completed, len(threads))
    assert list(range(1, 13)) == progress


def test_a_failure_of_progress_arrives_and_loses_nothing(store: docstore.Store) -> None:
    """What was done stays; the rest stays in the queue."""
    store.documents.add_many([{} for _ in range(3)])

    def stop(done: int) -> None:
        raise KeyError("stop")

    with pytest.raises(KeyError):
        store.documents.process(lambda document: None, on_progress=stop)
    assert {"completed": 1, "pending": 2} == store.documents.count_by("status")


def test_process_does_not_run_within_a_transaction(store: docstore.Store) -> None:
    """It commits as it goes."""
    with store.transaction(), pytest.raises(docstore.BackendError):
        store.documents.process(lambda document: None)


@pytest.mark.parametrize(
    "arguments",
    [
        {"workers": 0},
        {"workers": "2"},
        {"max_attempts": 0},
        {"lease": 0},
        {"retry_delay": -1},
        {"retry_delay": "1"},
        {"retry_delay": float("nan")},
        {"poll": 0},
        {"poll": True},
        {"stop": 5},
    ],
)
def test_wrong_arguments_are_refused(store: docstore.Store, arguments: dict[str, Any]) -> None:
    """Before anything is claimed."""
    store.documents.add(metadata={})
    with pytest.raises(docstore.InvalidDocument):
        store.documents.process(lambda document: None, **arguments)
    assert 1 == store.documents.count({"status": "pending"})


def test_ctrl_c_lets_the_handler_finish_and_reports(sqlite_url: str, tmp_path: Path) -> None:
    """The document under way is completed, the rest is pending, and the report says so."""

    def program() -> None:
        def handle(document: docstore.Document) -> str:
            print("handling", flush=True)
            time.sleep(0.5)
            return "done"

        with docstore.open(sqlite_url) as store:
            report = store.documents.process(handle)
        print(report.completed, report.interrupted)

    with docstore.open(sqlite_url) as store:
        store.documents.add_many([{} for _ in range(5)])
        with Forked(program) as worker:
            assert b"handling\n" == worker.output.readline()
            worker.send_signal(signal.SIGINT)
            rest = worker.output.read()
        assert (0, b"1 True\n") == (worker.returncode, rest)
        assert {"completed": 1, "pending": 4} == store.documents.count_by("status")
