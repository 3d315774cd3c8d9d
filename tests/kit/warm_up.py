"""Compile the tests and what they import before several workers would each compile the same at once.

``python -m tests.kit.warm_up`` lets two processes collect a half of the folders each: pytest rewrites the
asserts of a module once and keeps the code. Collecting afterwards takes a third of the time: 6 of 18 s.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

__all__ = ["halves", "main"]

TESTS = Path(__file__).parents[1]


def halves() -> tuple[list[Path], list[Path]]:
    """Return the folders with tests in two halves of about as many lines."""
    sizes = {
        folder: sum(path.stat().st_size for path in folder.rglob("*.py"))
        for folder in TESTS.iterdir()
        if folder.is_dir() and any(folder.rglob("test_*.py"))
    }
    first: list[Path] = []
    second: list[Path] = []
    for folder in sorted(sizes, key=lambda one: (-sizes[one], one)):
        lesser = min((first, second), key=lambda half: sum(sizes[one] for one in half))
        lesser.append(folder)
    return first, second


def main() -> int:
    """Collect both halves at once; what is wrong with them, the run itself will say."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--collect-only"]
    none = subprocess.DEVNULL
    started = [
        subprocess.Popen([*command, *map(str, half)], stdout=none, stderr=none) for half in halves() if half
    ]
    for process in started:
        process.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
