"""Plots of a run: one picture a backend, our time beside every reference, on a logarithmic scale."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from benchmarks.running import Result

__all__ = ["plot"]


def plot(results: list[Result], folder: Path) -> list[Path]:
    """Draw the results into PNG files of ``folder``; none, with a line that says so, where matplotlib is missing."""
    if find_spec("matplotlib") is None:
        print("no plots: matplotlib is not installed (dependency group bench)")
        return []
    return [_drawn(results, name, folder) for name in dict.fromkeys((r.backend, r.size) for r in results)]


def _drawn(results: list[Result], name: tuple[str, int], folder: Path) -> Path:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [result for result in results if (result.backend, result.size) == name]
    figure, axes = pyplot.subplots(figsize=(max(6, len(shown) * 0.6), 4.5))
    contenders = dict.fromkeys(contender for result in shown for contender in result.figures)
    for contender in contenders:
        at = [n for n, result in enumerate(shown) if contender in result.figures]
        took = [shown[n].figures[contender].median * 1000 for n in at]
        axes.plot(at, took, "o", label=contender, markersize=9 if contender == "docstore" else 6)
    axes.set_yscale("log")
    axes.set_ylabel("ms a call")
    axes.set_xticks(range(len(shown)), [result.workload for result in shown], rotation=60)
    axes.set_title(f"{name[0]}, {name[1]:,} documents")
    axes.legend(fontsize=8)
    axes.grid(axis="y", alpha=0.3)
    path = folder / f"{name[0]}-{name[1]}.png"
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path
