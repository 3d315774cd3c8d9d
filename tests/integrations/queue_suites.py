"""docs/task-queues.md: its workers of Celery and Dramatiq are killed in the middle, and resumed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import docstore

PAGE = Path(__file__).parents[2] / "docs" / "task-queues.md"
BLOCK = re.compile(r'^```py title="(.+?)"\n(.*?)^```', re.MULTILINE | re.DOTALL)
DOCUMENTS = 4
SLOW = """
import pathlib, time
import {tasks}

def text_of(document):
    with open("begun", "a") as log:
        log.write(document.filename + chr(10))
    time.sleep(0.2 if pathlib.Path("killed").exists() else 60)
    return "the text of " + document.filename

{tasks}.LEASE = 1.0
{tasks}.text_of = text_of
"""
CELERY = (
    SLOW.format(tasks="celery_tasks")
    + """
from celery_tasks import app

app.conf.update(
    broker_transport_options=dict(data_folder_in="in", data_folder_out="in", control_folder="control"),
    beat_schedule=dict(sweep=dict(task="library.sweep", schedule=0.5)),
)
"""
)
DRAMATIQ = """
import time
import dramatiq
from dramatiq.brokers.stub import StubBroker

broker = StubBroker()
dramatiq.set_broker(broker)
{slow}
broker.emit_after("process_boot")
worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=50)
worker.start()
while True:
    dramatiq_tasks.sweep.send()
    time.sleep(0.5)
""".replace("{slow}", SLOW.format(tasks="dramatiq_tasks"))
QUIET = (
    "--pool",
    "solo",
    "--without-gossip",
    "--without-mingle",
    "--without-heartbeat",
    "--loglevel",
    "ERROR",
)
WORKERS = {
    "celery": ["-m", "celery", "-A", "slow", "worker", "--beat", "--schedule", "beat", *QUIET],
    "dramatiq": ["slow.py"],
}


@pytest.fixture(params=WORKERS)
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], subprocess.Popen[bytes]]:
    """Write the page's programs into a folder, with a store; return what starts a worker there."""
    for name, program in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        (tmp_path / name).write_text(program)
    (tmp_path / "slow.py").write_text(CELERY if request.param == "celery" else DRAMATIQ)
    for folder in ("in", "control"):
        (tmp_path / folder).mkdir()
    environment = {**os.environ, "BROKER": "filesystem://", "DOCSTORE_URL": f"sqlite:///{tmp_path}/docs.db"}

    def started() -> subprocess.Popen[bytes]:
        command = [sys.executable, *WORKERS[request.param]]
        return subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True)

    return started


def until(is_so: Callable[[], bool], worker: subprocess.Popen[bytes]) -> None:
    """Wait until something is so; fail if the worker ends before."""
    ends = time.monotonic() + 60
    while not is_so():
        assert worker.poll() is None, "the worker ended"
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_a_killed_worker_is_resumed(start: Callable[[], subprocess.Popen[bytes]], tmp_path: Path) -> None:
    """The document that a killed worker had is done by the next one; the others at the first attempt."""
    begun = tmp_path / "begun"
    with docstore.open(f"sqlite:///{tmp_path}/docs.db") as store:
        store.documents.add_many([{"filename": f"{n}.txt"} for n in range(DOCUMENTS)])
        first = start()
        until(begun.exists, first)
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        lost = begun.read_text().split()
        assert len(lost) == 1
        (tmp_path / "killed").touch()
        second = start()
        try:
            until(lambda: store.documents.count({"status": "completed"}) == DOCUMENTS, second)
        finally:
            os.killpg(second.pid, signal.SIGKILL)
            second.wait()
        attempts = {one.filename: one.attempts for one in store.documents}
    assert attempts == {f"{n}.txt": 2 if f"{n}.txt" in lost else 1 for n in range(DOCUMENTS)}
    assert sorted(begun.read_text().split()) == sorted([*attempts, *lost])
