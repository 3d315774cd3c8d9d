"""Many processes on one store: nobody is refused, nobody starves, nothing is lost."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from functools import partial

import docstore
from tests.kit.crashes import Child

Tell = Callable[[str], None]


def side_by_side(number: int, work: Callable[[int], object]) -> list[str]:
    """Fork so many processes, let them begin once all are ready, and return what each returned, as text."""
    gate, opened = os.pipe()

    def begin(index: int, tell: Tell) -> None:
        os.close(opened)
        tell("ready")
        os.read(gate, 1)  # ends when the parent closes its side
        tell(str(work(index)))

    children: list[Child] = []
    try:
        children.extend(Child(partial(begin, index)) for index in range(number))
        assert ["ready"] * number == [child.told() for child in children]
        os.close(opened)
        told = [child.told() for child in children]
        assert [0] * number == [child.wait() for child in children]
        return [str(text) for text in told]
    finally:
        os.close(gate)
        for child in children:
            child.close()


def write(url: str, name: str, seconds: float) -> str:
    """Write for some seconds; return how much was done, raises of the counter, and the longest wait."""
    with docstore.open(url) as store:
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
                        more = {"n": now.metadata["n"] + 1}
                        try:
                            store.documents.update("counter", if_revision=now.revision, metadata=more)
                            break
                        except docstore.RevisionConflict:
                            continue
            done += 1
            longest = max(longest, time.monotonic() - begun)
    return json.dumps({"done": done, "raised": done // 4, "longest": longest})


def test_eight_processes_share_one_sqlite_file(sqlite_url: str, many: Callable[[int, int], int]) -> None:
    """No `database is locked`; the slowest has at least a fifth of the fastest's share; no raise is lost."""
    with docstore.open(sqlite_url) as store:
        store.documents.add(id="counter", metadata={"n": 0})
    raised, fair = 0, False
    for _ in range(5):  # one of five: the machine may leave a process without a processor for as long
        said = side_by_side(8, lambda index: write(sqlite_url, str(index), many(1, 30)))
        results = [json.loads(output) for output in said]
        print(json.dumps(results))
        raised += sum(result["raised"] for result in results)
        shares = [result["done"] for result in results]
        if fair := 5 * min(shares) >= max(shares):
            break
    assert fair
    with docstore.open(sqlite_url) as store:
        assert raised == store.documents.get("counter").metadata["n"]
        versions = store.documents.versions("e")
        assert list(range(1, len(versions) + 1)) == [one.version for one in versions]


def test_worker_processes_do_everything_once(
    shared: docstore.Store, shared_url: str, many: Callable[[int, int], int]
) -> None:
    """Two processes (long: four) on one queue: each document is completed by one, in one attempt."""
    total, workers = many(60, 1000), many(2, 4)
    shared.documents.add_many([{"filename": str(n)} for n in range(total)])

    def work(index: int) -> int:
        with docstore.open(shared_url) as store:
            report = store.documents.process(lambda document: document.filename, worker=str(index))
        return report.completed

    assert total == sum(map(int, side_by_side(workers, work)))
    assert total == shared.documents.count({"status": "completed", "attempts": 1, "revision": 3})
