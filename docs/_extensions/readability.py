"""Measure the language of the pages: `python docs/_extensions/readability.py [PAGE…]`.

A sentence ends with a full stop, a question mark or an exclamation mark. Code, tables and headings are left
out; code within a sentence is one word. Ends with 1 if a page is beyond a bound, and prints its longest
sentences.
"""

from __future__ import annotations

import re
import statistics
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "ARCHITECTURE.md")
MEDIAN = 16
NINETY_FIVE = 28

_FENCE = re.compile(r"^( *)(```|~~~).*?^\1\2[^\n]*$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_ITEM = re.compile(r"^\s*(?:[-*+]|\d+\.)\s+")
_END = re.compile(r"(?<=[.!?])[\"'”)*]*\s+(?=[\"'“(*`\[]*[A-Z0-9`$_\[])")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|vs|cf)\.")


class Measure(NamedTuple):
    """How long the sentences of a page are, in words."""

    median: float
    ninety_five: int
    odd: list[str]
    longest: list[str]

    @property
    def is_readable(self) -> bool:
        """Whether the page is within the bounds."""
        return self.median <= MEDIAN and self.ninety_five <= NINETY_FIVE and not self.odd


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs and the list items of a page, each on one line, without code and tables."""
    text = _COMMENT.sub("", _FENCE.sub("\n\n", text))
    found: list[str] = [""]
    for line in text.split("\n"):
        stripped = line.strip()
        if not stripped or stripped.startswith(("#", "|", ":::", "!!!", "<", "[^")):
            found.append("")
        elif _ITEM.match(line):
            found.append(_ITEM.sub("", line))
        else:
            found[-1] = f"{found[-1]} {stripped}"
    return [paragraph.strip() for paragraph in found if paragraph.strip()]


def plain(paragraph: str) -> str:
    """Return a paragraph as it is read: links as their texts, code as one word."""
    paragraph = re.sub(r"``?[^`]+``?", "Code", paragraph)
    paragraph = re.sub(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])?", r"\1", paragraph)
    return _ABBREVIATION.sub(lambda found: found.group().replace(".", ""), paragraph.replace("**", ""))


def sentences(text: str) -> list[str]:
    """Return the sentences of a page, as they are read."""
    return [part for paragraph in paragraphs(text) for part in _END.split(plain(paragraph)) if part]


def measure(text: str) -> Measure:
    """Measure a page; one without a sentence is as short as can be."""
    read = sentences(text) or [""]
    lengths = sorted(len(sentence.split()) for sentence in read)
    odd = [one for one in read if re.match(r"What\b", one.strip("\"'*( ")) and not one.rstrip("\"'*) ").endswith("?")]
    longest = sorted(read, key=lambda one: -len(one.split()))[:8]
    place = min(len(lengths) - 1, int(len(lengths) * 0.95))
    return Measure(statistics.median(lengths), lengths[place], odd, longest)


def main() -> int:
    """Print a line for each page, and the sentences to mend; return 1 if there are any."""
    given = [Path(name).resolve() for name in sys.argv[1:]]
    paths = given or [*(ROOT / page for page in PAGES if (ROOT / page).exists()), *sorted(ROOT.glob("docs/*.md"))]
    failed = False
    for path in paths:
        found = measure(path.read_text(encoding="utf-8"))
        print(f"{found.median:5.1f} {found.ninety_five:4} {'' if found.is_readable else '!':1} {path.relative_to(ROOT)}")
        if not found.is_readable:
            failed = True
            shown = [*found.odd, *(one for one in found.longest if len(one.split()) > NINETY_FIVE or given)]
            print("".join(f"             {len(one.split())}: {one}\n" for one in shown), end="")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
