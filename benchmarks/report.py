"""Results as text: a line each while they come, a Markdown table at the end."""

from __future__ import annotations

import platform
import sqlite3
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.running import LIBRARY, Result

__all__ = ["line", "markdown", "write"]


def line(result: Result) -> str:
    """Return one result as a line."""
    beside = [
        f"{name} {_figure(result, name)} (×{result.ratio_to(name)[0]:.2f})"
        for name in result.figures
        if name != LIBRARY
    ]
    verdict = {True: "met", False: "MISSED", None: ""}[result.met]
    return "  ".join(
        [
            f"{result.workload:5}",
            f"{result.backend:8}",
            f"{result.size:>9,}",
            f"{_figure(result, LIBRARY):>12}",
            *beside,
            _target(result),
            verdict,
        ]
    ).rstrip()


def _figure(result: Result, name: str) -> str:
    took = result.figures[name].median * 1000
    return f"{took:.3f} ms" if took >= 0.1 else f"{took * 1000:.1f} µs"


def _target(result: Result) -> str:
    if result.target is None:
        return ""
    number, reference = result.target
    return f"≤ {number:g} {reference}" if reference in ("ms", "µs") else f"≤ {number:g} × {reference}"


def markdown(results: Iterable[Result]) -> str:
    """Return the results as a table."""
    rows = [
        "| workload | | backend | documents | docstore | by hand: time, ratio (least–most) | target | |",
        "|---|---|---|--:|--:|---|---|---|",
    ]
    for result in results:
        beside = []
        for name in result.figures:
            if name != LIBRARY:
                middle, least, most = result.ratio_to(name)
                beside.append(f"{name} {_figure(result, name)}, ×{middle:.2f} ({least:.2f}–{most:.2f})")
        verdict = {True: "met", False: "**missed**", None: ""}[result.met]
        cells = (result.workload, result.title + (f" ({result.notes})" if result.notes else ""), result.backend, f"{result.size:,}",
                 _figure(result, LIBRARY), "<br>".join(beside), _target(result), verdict)  # fmt: skip
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def write(results: list[Result], lines: list[str], folder: Path, command: str) -> Path:
    """Write the report into a folder; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "report.md"
    machine = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.machine()}, {sys.platform}"
    notes = "".join(f"- {each}\n" for each in lines)
    path.write_text(
        f"# Measurements\n\n`{command}`\n\n{machine}\n\n{markdown(results)}\n{notes}", encoding="utf-8"
    )
    return path
