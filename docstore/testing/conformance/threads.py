"""Promises about several threads: writers take turns or lose by name; a blob row goes one way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from docstore.backend import Backend, BlobRow, BlobState, Query
from docstore.query.fields import DOCUMENTS
from docstore.testing.conformance.rows import document, ids, keyed, one

__all__ = ["Thread", "ThreadPromises", "together"]

_PATIENCE = 60.0  # seconds until a test is taken to hang


class Thread:
    """A thread that runs at once and hands what it raised to whoever joins it."""

    def __init__(self, run: Callable[[], Any]) -> None:
        self._run = run
        self._raised: BaseException | None = None
        self._thread = threading.Thread(target=self._catch, daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Give it time; it may go on for longer."""
        self._thread.join(seconds)

    def join(self) -> None:
        """Wait for its end and raise what it raised."""
        self._thread.join(_PATIENCE)
        assert not self._thread.is_alive(), "a thread waits for something that does not come"
        if self._raised is not None:
            raise self._raised

    def _catch(self) -> None:
        try:
            self._run()
        except BaseException as raised:
            self._raised = raised


def together(*runs: Callable[[], Any]) -> None:
    """Run all of these at the same time, and raise what the first of them raised."""
    gate = threading.Barrier(len(runs), timeout=_PATIENCE)

    def at_the_gate(run: Callable[[], Any]) -> Callable[[], None]:
        def go() -> None:
            gate.wait()
            run()

        return go

    for thread in [Thread(at_the_gate(run)) for run in runs]:
        thread.join()


class ThreadPromises:
    """The promises of ``write`` and ``lock`` where several threads write."""

    def test_a_lock_keeps_read_and_write_together(self, backend: Backend) -> None:
        """Blocks that lock the same name take turns: no update of one is lost by another."""
        with backend.write() as writer:
            (number,) = writer.insert(DOCUMENTS, [document("a", attempts=0)])

        def count_up() -> None:
            for _ in range(10):
                with backend.write() as writer:
                    writer.lock("a", "b")
                    row = writer.select(Query(DOCUMENTS, where=one("id", "a")))[0]
                    time.sleep(0.001)
                    writer.update(DOCUMENTS, keyed(number), {"attempts": row["attempts"] + 1})

        together(*[count_up] * 4)
        with backend.read() as reader:
            assert reader.select(Query(DOCUMENTS))[0]["attempts"] == 40

    def test_rows_are_locked_by_a_select(self, backend: Backend) -> None:
        """``lock="wait"`` keeps other writers from the rows it brings until the block ends."""
        with backend.write() as writer:
            (number,) = writer.insert(DOCUMENTS, [document("a", attempts=0)])

        def count_up() -> None:
            for _ in range(10):
                with backend.write() as writer:
                    row = writer.select(Query(DOCUMENTS, where=one("id", "a"), lock="wait"))[0]
                    time.sleep(0.001)
                    writer.update(DOCUMENTS, keyed(number), {"attempts": row["attempts"] + 1})

        together(*[count_up] * 4)
        with backend.read() as reader:
            assert reader.select(Query(DOCUMENTS))[0]["attempts"] == 40

    def test_no_two_take_the_same_rows(self, backend: Backend) -> None:
        """With ``lock="skip"`` every pending row is taken by exactly one of several writers."""
        with backend.write() as writer:
            writer.insert(DOCUMENTS, [document(f"{n:02}", status="pending") for n in range(20)])
        taken: list[str] = []

        def take() -> None:
            while True:
                with backend.write() as writer:
                    pending = Query(DOCUMENTS, where=one("status", "pending"))
                    rows = writer.select(replace(pending, limit=3, lock="skip"))
                    for row in rows:
                        writer.update(DOCUMENTS, row, {"status": "processing"})
                    left = writer.count(pending)
                taken.extend(row["id"] for row in rows)
                if not rows and not left:
                    return

        together(*[take] * 4)
        assert [f"{n:02}" for n in range(20)] == sorted(taken)

    def test_inserts_of_many_threads(self, backend: Backend) -> None:
        """Each keeps its rows and gets numbers of its own."""
        numbers: list[int] = []

        def insert(name: str) -> Callable[[], None]:
            def run() -> None:
                for n in range(10):
                    with backend.write() as writer:
                        numbers.extend(writer.insert(DOCUMENTS, [document(f"{name}{n}")]))

            return run

        together(*map(insert, "abcd"))
        assert len(set(numbers)) == 40
        with backend.read() as reader:
            assert {f"{name}{n}" for name in "abcd" for n in range(10)} == set(ids(reader))

    def test_one_of_two_wins_a_blob_row(self, backend: Backend) -> None:
        """Of a commit and a collection that both leave ``pending``, exactly one succeeds."""
        won: list[str] = []

        def leave(key: str, state: BlobState) -> Callable[[], None]:
            def run() -> None:
                with backend.write() as writer:
                    done = writer.update_blob(BlobRow(key), ["pending"], state=state)
                    time.sleep(0.001)
                if done:
                    won.append(f"{key} {state}")

            return run

        for n in range(10):
            key = f"key{n}"
            with backend.write() as writer:
                writer.insert_blob(BlobRow(key))
            together(leave(key, "live"), leave(key, "dead"))
        assert [f"key{n}" for n in range(10)] == [text.split()[0] for text in won]
        with backend.read() as reader:
            assert sorted(won) == [f"{blob.key} {blob.state}" for blob in reader.blobs()]
