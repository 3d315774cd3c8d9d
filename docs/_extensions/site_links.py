"""Check the site that was built: `python docs/_extensions/site_links.py site`.

Every link within the site leads to a file and, with a fragment, to an element of it. Nothing is loaded from
another host: the site works offline, and tells nobody who reads it.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    """The ids of a page, where its links lead, and which files it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what one element is called, links to and loads."""
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.add(given["href"])
        canonical = tag == "link" and given.get("rel") in ("canonical", "prev", "next")
        if tag in _LOADED and _LOADED[tag] in given and not canonical:
            self.loaded.add(given[_LOADED[tag]])


def complaints(site: Path) -> list[str]:
    """Return what is wrong, a line each, in the order of the pages."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}
    found = []
    for path, page in pages.items():
        shown = path.relative_to(site)
        found += [f"{shown}: loads {link}" for link in sorted(page.loaded) if urlsplit(link).netloc]
        for link in sorted(page.links | page.loaded):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.exists():
                found.append(f"{shown}: {link} leads nowhere")
            elif parts.fragment and unquote(parts.fragment) not in pages[target].ids:
                found.append(f"{shown}: {link}: no such place")
    return found


def main() -> int:
    """Print what is wrong; return 1 if anything is."""
    found = complaints(Path(sys.argv[1]).resolve())
    print("\n".join(found) or "every link leads somewhere")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
