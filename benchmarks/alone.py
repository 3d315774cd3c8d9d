"""What has to be measured in a process of its own: time to import, and memory at its peak.

`python -m benchmarks.alone TASK ARGUMENT…` does one task and prints what it took as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["alone"]

ROOT = Path(__file__).resolve().parent.parent


def alone(task: str, *arguments: object) -> dict[str, float]:
    """Run a task in a fresh interpreter and return what it printed."""
    command = [sys.executable, "-m", "benchmarks.alone", task, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def memory(name: str = "VmHWM") -> int:
    """Return this process' memory in bytes: VmHWM at its peak, VmRSS now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {name} in /proc/self/status")


def _import(modules: str) -> dict[str, float]:
    begun = time.process_time()
    for name in modules.split(","):
        __import__(name)
    return {"seconds": time.process_time() - begun}


def _ingest(url: str, size: str, metadata: str = "1") -> dict[str, float]:
    import docstore
    from benchmarks.corpus import corpus, new_document

    with docstore.open(url) as store:
        store.documents.count()
        start, begun = memory("VmRSS"), time.process_time()
        rows = (new_document(doc, metadata=metadata == "1") for doc in corpus(int(size), 1))
        store.documents.add_many(rows)
        took = time.process_time() - begun
        return {"start": start, "peak": memory(), "now": memory("VmRSS"), "seconds": took}


def _iterate(url: str) -> dict[str, float]:
    import docstore

    with docstore.open(url) as store:
        start, begun = memory("VmRSS"), time.process_time()
        seen = sum(1 for _ in store.documents.iterate())
        return {"start": start, "peak": memory(), "seen": seen, "seconds": time.process_time() - begun}


def _bytes(megabytes: str) -> dict[str, float]:
    import docstore

    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/big", "wb") as big:
        big.writelines(os.urandom(1 << 20) for _ in range(int(megabytes)))
        big.flush()
        with docstore.open(f"sqlite:///{folder}/store.db", blobs=f"{folder}/blobs") as store:
            store.documents.add(b"first", filename="first")
            start = memory("VmRSS")
            begun = time.perf_counter()
            document = store.documents.add(big.name)
            inwards = time.perf_counter() - begun
            after_in = memory()
            store.documents.download(document.id, f"{folder}/back")
            return {
                "start": start, "in": after_in - start, "out": memory() - start,
                "seconds_in": inwards, "seconds_out": time.perf_counter() - begun - inwards,
            }  # fmt: skip


def _index(count: str) -> dict[str, float]:
    """Index small files, and say how fast and how large: at every tenth, and at the peak."""
    import docstore
    from docstore.ingest import index_folder

    with tempfile.TemporaryDirectory() as folder:
        make_files(Path(folder, "files"), int(count))
        with docstore.open(f"sqlite:///{folder}/store.db", blobs=f"{folder}/blobs") as store:
            start, seen = memory("VmRSS"), [0]
            marks: list[int] = []

            def on_event(_: Any) -> None:
                seen[0] += 1
                if seen[0] % (int(count) // 10) == 0:
                    marks.append(memory("VmRSS"))

            begun, cpu = time.perf_counter(), time.process_time()
            outcome = index_folder(store, f"{folder}/files", on_event=on_event).counts
            took, spent = time.perf_counter() - begun, time.process_time() - cpu
            assert outcome["added"] == int(count), outcome
            return {
                "start": start, "peak": memory(), "seconds": took, "cpu": spent,
                **{f"at_{(n + 1) * 10}%": mark for n, mark in enumerate(marks)},
            }  # fmt: skip


def make_files(folder: Path, count: int) -> None:
    """Write small text files, a hundred in a folder, of 1 kB on average."""
    from benchmarks.corpus import content_of, corpus

    for doc in corpus(count, 1):
        place = folder / f"{doc.at // 100:04d}"
        if doc.at % 100 == 0:
            place.mkdir(parents=True)
        (place / f"{doc.filename.split('.')[0]}.txt").write_text((content_of(doc) + "\n") * (1 + doc.at % 9))


TASKS: dict[str, Callable[..., dict[str, float]]] = {
    "import": _import,
    "ingest": _ingest,
    "iterate": _iterate,
    "bytes": _bytes,
    "index": _index,
}

if __name__ == "__main__":
    print(json.dumps(TASKS[sys.argv[1]](*sys.argv[2:])))
