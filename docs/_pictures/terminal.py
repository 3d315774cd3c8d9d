"""A session of the command as a picture that types itself, made of its transcript."""

from __future__ import annotations

from pathlib import Path

from drawing import Picture

TRANSCRIPT = Path(__file__).parents[2] / "tests" / "cli" / "transcripts" / "80.txt"
SHOWN = (
    "docstore index papers",
    "docstore add letter.txt -m vendor=Acme --id letter",
    "docstore find 'size>10' file_type=text --fields filename,size",
    "docstore count --by file_type",
    "docstore tag letter +important +q3",
    "docstore status",
)
SECONDS_TO_READ = 1.6
WIDTH = 80
_LINE = 19
_STYLE = """
.seen { animation: seen 0.01s linear both; }
@keyframes seen { from { opacity: 0; } to { opacity: 1; } }
@media (prefers-reduced-motion: reduce) { .seen { animation: none; } }
.prompt { fill: #4ade80; }
.typed { fill: #f9fafb; }
.said { fill: #cbd5e1; }
"""


def terminal() -> Picture:
    """Draw the session: a line that is typed, and then its answer."""
    said: dict[str, str] = {}
    for part in TRANSCRIPT.read_text(encoding="utf-8").split("\n\n$ "):
        typed, _, text = part.partition("\n")
        said.setdefault(typed.removeprefix("$ "), text.rstrip("\n"))  # a command that is typed twice: the first
    lines: list[tuple[str, str, float]] = []
    second = 0.0
    for typed in SHOWN:
        lines.append(("typed", typed, second))
        second += 0.5
        lines += [("said", line[:WIDTH], second) for line in said[typed].split("\n")]
        lines.append(("said", "", second))
        second += SECONDS_TO_READ
    lines.pop()
    picture = Picture(740, 46 + _LINE * len(lines) + 16, "A session: index a folder, find, count, tag")
    picture.style += _STYLE
    picture.parts.append(f'<rect width="{picture.width}" height="{picture.height}" rx="10" fill="#111827"/>')
    for at, colour in enumerate(("#f87171", "#fbbf24", "#4ade80")):
        picture.parts.append(f'<circle cx="{22 + at * 20}" cy="20" r="6" fill="{colour}"/>')
    for at, (kind, line, begins) in enumerate(lines):
        y = 56 + at * _LINE
        seen = f'class="seen" style="animation-delay: {begins:.1f}s"' if begins else ""
        picture.parts.append(f"<g {seen}>")
        if kind == "typed":
            picture.text(18, y, "$", size=13.5, kind="code prompt bold")
            picture.text(36, y, line, size=13.5, kind="code typed")
        elif line:
            picture.text(18, y, line, size=13.5, kind="code said")
        picture.parts.append("</g>")
    return picture
