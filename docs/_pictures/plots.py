"""Bars and curves of what `benchmarks` measured, from the JSON beside this file."""

from __future__ import annotations

import json
import math
from pathlib import Path

from drawing import Picture

MEASURED = Path(__file__).parent / "measured"
_KINDS = {"memory": "green", "sqlite": "blue", "postgresql": "amber"}


def _figure(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}" if value >= 1 else f"{value:.2f}"


def peers() -> Picture:
    """A page of one filter, beside other embedded stores: bars on a logarithmic scale."""
    measured = json.loads((MEASURED / "peers.json").read_text(encoding="utf-8"))
    bars = sorted(measured["milliseconds"].items(), key=lambda bar: bar[1])
    picture = Picture(760, 92 + len(bars) * 34, measured["title"])
    picture.text(20, 30, measured["title"], size=14.5, kind="bold")
    picture.text(20, 50, f"{measured['unit']}, logarithmic scale; less is better", size=12.5, kind="quiet")
    least, most = bars[0][1] / 2, bars[-1][1]
    for at, (name, value) in enumerate(bars):
        y = 66 + at * 34
        length = 440 * math.log(value / least) / math.log(most / least)
        picture.text(20, y + 19, name, size=13.5, kind="bold" if name.startswith("docstore") else "")
        picture.box(200, y + 2, length, 24, kind="blue" if name.startswith("docstore") else "plain")
        picture.text(208 + length, y + 19, f"{_figure(value)} ms", size=13)
    picture.text(20, picture.height - 10, measured["where"], size=11.5, kind="quiet")
    return picture


def growth() -> Picture:
    """Milliseconds of a call over the number of documents, both logarithmic; a panel for each backend."""
    measured = json.loads((MEASURED / "growth.json").read_text(encoding="utf-8"))
    sizes = measured["sizes"]
    panels = measured["milliseconds"]
    values = [value for lines in panels.values() for line in lines.values() for value in line]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    picture = Picture(820, 400, measured["title"])
    picture.text(20, 28, measured["title"], size=14.5, kind="bold")
    picture.text(20, 47, "CPU milliseconds of a call; a flat line costs the same at any size", size=12.5, kind="quiet")
    width = (picture.width - 40) / len(panels)
    top, bottom = 84, 330
    for place, (backend, lines) in enumerate(panels.items()):
        left = 56 + place * width
        right = left + width - 92
        picture.text(left, 72, backend, size=13.5, kind="bold")
        for power in range(low, high + 1):
            y = bottom - (bottom - top) * (power - low) / (high - low)
            picture.line(left, y, right, y, dashed=True)
            if not place:
                picture.text(16, y + 4, f"{10.0**power:g}", size=11.5, kind="quiet")
        for at, size in enumerate(sizes):
            x = left + (right - left) * at / (len(sizes) - 1)
            picture.text(x, bottom + 18, f"{size // 1000:,}k" if size < 10**6 else "1M", size=11.5, middle=True, kind="quiet")
        ends: list[float] = []
        for name, line in sorted(lines.items(), key=lambda item: item[1][-1]):
            points = [
                (left + (right - left) * at / (len(sizes) - 1),
                 bottom - (bottom - top) * (math.log10(value) - low) / (high - low))
                for at, value in enumerate(line)
            ]  # fmt: skip
            drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            edge = f"var(--{_KINDS.get(backend, 'plain')}-edge)"
            picture.parts.append(f'<polyline points="{drawn}" style="fill: none; stroke: {edge}; stroke-width: 2"/>')
            for x, y in points:
                picture.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" style="fill: {edge}"/>')
            y = points[-1][1] + 4
            while any(abs(y - other) < 13 for other in ends):
                y -= 1
            ends.append(y)
            picture.text(right + 7, y, name, size=11.5)
    picture.text(20, picture.height - 34, measured["what"], size=11.5, kind="quiet")
    picture.text(20, picture.height - 14, measured["where"], size=11.5, kind="quiet")
    return picture
