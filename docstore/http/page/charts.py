"""Plots: the numbers that templates draw as SVG. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Bar", "Columns", "bars", "columns"]

WIDTH, HEIGHT = 960, 120
_GAP = 2


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with its count, and the bar's length in percent of the longest."""

    name: str
    count: int
    term: str
    percent: float


@dataclass(frozen=True, slots=True)
class Columns:
    """Stacked columns.

    Attributes:
        width, height: of the drawing.
        names: of the parts that are stacked.
        rectangles: name of the part, x, y, width, height, and what it says.
        first, last: what the first and the last column are.
        most: the count of the highest.
        rows: label of each column and its counts, for those who do not see the drawing.
    """

    width: int
    height: int
    names: Sequence[str]
    rectangles: list[tuple[str, float, float, float, float, str]]
    first: str
    last: str
    most: int
    rows: list[tuple[str, Sequence[int]]]


def bars(values: Sequence[tuple[str, int, str]]) -> list[Bar]:
    """Return bars for names, counts and the terms that ask for them."""
    most = max((count for _, count, _ in values), default=1)
    return [Bar(name, count, term, round(100 * count / most, 1)) for name, count, term in values]


def columns(labels: Sequence[str], names: Sequence[str], counted: Sequence[Sequence[int]]) -> Columns:
    """Return the rectangles of stacked columns, one for each label."""
    most = max(map(sum, counted), default=0) or 1
    step = WIDTH / max(len(labels), 16)
    rectangles = []
    for place, (label, row) in enumerate(zip(labels, counted, strict=True)):
        top = float(HEIGHT)
        for name, count in zip(names, row, strict=True):
            if count:
                height = max(count / most * HEIGHT, 1.0)
                top -= height
                said = f"{label}: {count:,} {name}"
                rectangles.append((name, round(place * step, 1), round(top, 1), round(step - _GAP, 1),
                                   round(height, 1), said))  # fmt: skip
    return Columns(
        WIDTH, HEIGHT, names, rectangles, labels[0], labels[-1], most,
        [(label, row) for label, row in zip(labels, counted, strict=True) if any(row)],
    )  # fmt: skip
