"""Many processes on one store: nobody is refused, nobody starves, nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack

import docstore

_WRITER = """
import json, sys, time, docstore
url, name, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
with docstore.open(url) as store:
    counter = store.documents.get("counter")
    print("ready", flush=True)
    sys.stdin.readline()
    done, longest, end = 0, 0.0, time.monotonic() + seconds
    while (begun := time.monotonic()) < end:
        match done % 4:
            case 0:
                made = store.documents.add(filename=name, external_id="e", metadata={"n": done})
            case 1:
                store.documents.update(made.id, metadata={"m": 1})
            case 2:
                store.documents.start(made.id)
            case 3:
                while True:
                    now = store.documents.get("counter")
                    try:
                        store.documents.update(
                            "counter", if_revision=now.revision, metadata={"n": now.metadata["n"] + 1}
                        )
                        break
                    except docstore.RevisionConflict:
                        continue
        done += 1
        longest = max(longest, time.monotonic() - begun)
    print(json.dumps({"done": done, "raised": done // 4, "longest": longest}), flush=True)
"""


def side_by_side(commands: list[list[str]]) -> list[tuple[str, str]]:
    """Start processes, let them begin once all are ready, and return what each printed and complained of."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with ExitStack() as stack:
        started = [stack.enter_context(subprocess.Popen(command, text=True, **pipes)) for command in commands]
        stack.callback(lambda: [process.kill() for process in started])
        for process in started:
            assert process.stdout is not None
            assert process.stderr is not None
            line = process.stdout.readline()
            assert "ready\n" == line, process.stderr.read()
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        return [process.communicate() for process in started]


def test_eight_processes_share_one_sqlite_file(sqlite_url: str, many: Callable[[int, int], int]) -> None:
    """No `database is locked`; the slowest has at least a fifth of the fastest's share; no raise is lost."""
    with docstore.open(sqlite_url) as store:
        store.documents.add(id="counter", metadata={"n": 0})
    command = [sys.executable, "-c", _WRITER, sqlite_url]
    said = side_by_side([[*command, str(n), str(many(2, 30))] for n in range(8)])
    assert [""] * 8 == [errors for _, errors in said]
    results = [json.loads(output) for output, _ in said]
    print(json.dumps(results))
    shares = [result["done"] for result in results]
    assert 5 * min(shares) >= max(shares)
    with docstore.open(sqlite_url) as store:
        assert sum(result["raised"] for result in results) == store.documents.get("counter").metadata["n"]
        versions = store.documents.versions("e")
        assert list(range(1, len(versions) + 1)) == [one.version for one in versions]


_WORKER = """
import sys, docstore
with docstore.open(sys.argv[1]) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    print(store.documents.process(lambda document: document.filename, worker=sys.argv[2]).completed,
    flush=True)
"""


def test_worker_processes_do_everything_once(
    shared: docstore.Store, shared_url: str, many: Callable[[int, int], int]
) -> None:
    """Two processes (long: four) on one queue: each document is completed by one, in one attempt."""
    total, workers = many(60, 1000), many(2, 4)
    shared.documents.add_many([{"filename": str(n)} for n in range(total)])
    said = side_by_side([[sys.executable, "-c", _WORKER, shared_url, str(n)] for n in range(workers)])
    assert [""] * workers == [errors for _, errors in said]
    assert total == sum(int(output) for output, _ in said)
    assert total == shared.documents.count({"status": "completed", "attempts": 1, "revision": 3})
