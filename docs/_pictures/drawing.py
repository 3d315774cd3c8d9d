"""Boxes, arrows and words as SVG, readable on light and on dark pages.

A picture has a background of its own, so that it does not matter what a page's colours are. It follows the
reader's `prefers-color-scheme`.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_STYLE = """
svg { --paper: #ffffff; --ink: #1f2937; --quiet: #5b6472; --line: #6b7280; --blue: #dbeafe;
  --blue-edge: #2563eb; --green: #dcfce7; --green-edge: #15803d; --amber: #fef3c7;
  --amber-edge: #b45309; --red: #fee2e2; --red-edge: #b91c1c; --plain: #f3f4f6; --plain-edge: #6b7280; }
@media (prefers-color-scheme: dark) { svg { --paper: #16181d; --ink: #e5e7eb; --quiet: #a3acba;
  --line: #9ca3af; --blue: #172f5c; --blue-edge: #60a5fa; --green: #12381f; --green-edge: #4ade80;
  --amber: #42300c; --amber-edge: #fbbf24; --red: #451616; --red-edge: #f87171; --plain: #23272f;
  --plain-edge: #9ca3af; } }
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: var(--ink); }
.code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.quiet { fill: var(--quiet); }
.bold { font-weight: 600; }
.line { stroke: var(--line); stroke-width: 1.6; fill: none; }
.dashed { stroke-dasharray: 5 4; }
"""
KINDS = ("plain", "blue", "green", "amber", "red")


class Picture:
    """A picture of a fixed size, in units of about a pixel at its full width."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self.parts: list[str] = []
        self.style = _STYLE

    def text(
        self, x: float, y: float, words: str, *, size: float = 14, middle: bool = False, kind: str = ""
    ) -> None:
        """Write one line; `y` is its baseline, `kind` some of the words code, quiet and bold."""
        anchor = ' text-anchor="middle"' if middle else ""
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" class="{kind}"{anchor} xml:space="preserve">'
            f"{escape(words)}</text>"
        )

    def box(
        self, x: float, y: float, w: float, h: float, lines: str | Iterable[str] = (), *,
        kind: str = "plain", size: float = 14, dashed: bool = False,
    ) -> None:  # fmt: skip
        """Draw a box with lines of text in its middle: the first one bold, `code` in backquotes."""
        lines = [lines] if isinstance(lines, str) else list(lines)
        more = ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="7" style="fill: var(--{kind}); '
            f'stroke: var(--{kind}-edge); stroke-width: 1.4"{more}/>'
        )
        step = size * 1.4
        top = y + h / 2 - step * (len(lines) - 1) / 2 + size * 0.36
        for at, line in enumerate(lines):
            is_code = line[:1] == "`" == line[-1:]
            style = f"{'code ' if is_code else ''}{'bold' if at == 0 and not is_code else ''}"
            shown = line.strip("`") if is_code else line
            self.text(x + w / 2, top + at * step, shown, size=size - (at > 0), middle=True, kind=style.strip())

    def arrow(
        self, *points: tuple[float, float], label: str = "", at: tuple[float, float] | None = None,
        dashed: bool = False, kind: str = "quiet", size: float = 12.5,
    ) -> None:  # fmt: skip
        """Draw an arrow through the points, with a label at its middle, or where `at` says."""
        path = " L".join(f"{x:g} {y:g}" for x, y in points)
        look = "line dashed" if dashed else "line"
        self.parts.append(f'<path class="{look}" d="M{path}" marker-end="url(#head)"/>')
        if label:
            (x1, y1), (x2, y2) = points[0], points[-1]
            x, y = at or ((x1 + x2) / 2, (y1 + y2) / 2 - 7)
            self.text(x, y, label, size=size, middle=True, kind=kind)

    def line(self, x1: float, y1: float, x2: float, y2: float, *, dashed: bool = False) -> None:
        """Draw a line without a head."""
        look = "line dashed" if dashed else "line"
        self.parts.append(f'<path class="{look}" d="M{x1:g} {y1:g} L{x2:g} {y2:g}"/>')

    def svg(self) -> str:
        """Return the file's text."""
        body = "\n".join(self.parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" role="img" aria-label="{escape(self.title)}">\n'
            f"<title>{escape(self.title)}</title>\n<style>{self.style}</style>\n"
            '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
            'orient="auto-start-reverse"><path d="M0 0 L10 5 L0 10 z" style="fill: var(--line)"/></marker></defs>\n'
            f'<rect width="100%" height="100%" rx="10" style="fill: var(--paper)"/>\n{body}\n</svg>\n'
        )
