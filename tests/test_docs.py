"""docs/: every Python example runs as a reader would type it; links and the table of contents are whole.

The blocks of a page run in order, as one module, in one empty folder. An address that begins with
``postgresql://`` is replaced by that of an empty database. A block with a title, such as ``test_reports.py``,
is a file that pytest runs. The README has tests of its own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(page.name for page in DOCS.glob("*.md"))
BLOCK = re.compile(r'^```python(?: title="([^"]+)")?\n(.*?)^```', re.MULTILINE | re.DOTALL)
POSTGRES = re.compile(r"postgresql://[^\s\"']+")


def blocks(page: str) -> list[tuple[int, str | None, str]]:
    """Return the lines before, the title and the text of each Python block of a page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [(text.count("\n", 0, found.start(2)), *found.groups()) for found in BLOCK.finditer(text)]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)])
def test_examples_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> None:
    """Every block runs after those before it, and its assertions hold."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT))
    page_module = ModuleType(f"docs_{page.removesuffix('.md').replace('-', '_')}")
    monkeypatch.setitem(sys.modules, page_module.__name__, page_module)
    for line, title, text in blocks(page):
        if title is not None:
            run_pytest(title, text)
            continue
        if POSTGRES.search(text):
            url = request.getfixturevalue("postgres_url")
            text = POSTGRES.sub(lambda _: url, text)  # noqa: B023
        code = compile("\n" * line + text, str(DOCS / page), "exec", dont_inherit=True)
        exec(code, page_module.__dict__)


def run_pytest(name: str, text: str) -> None:
    """Run a file of tests as a reader would: with docstore's fixtures, and nothing of this tree's."""
    Path(name).write_text(text, encoding="utf-8")
    asked = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "docstore.testing.plugin",
        "--rootdir=.",
        "-c",
        os.devnull,
        name,
    ]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ran = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "passed" in ran.stdout


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Every relative link leads to a file, and its fragment to a heading of it."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        name, _, fragment = link.partition("#")
        target = (DOCS / name) if name else DOCS / page
        assert target.exists(), f"{page}: {link}"
        assert not fragment or fragment in headings(target), f"{page}: {link}"


def headings(page: Path) -> set[str]:
    """Return the fragments of a page's headings."""
    found = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip()) for title in found}


def test_every_page_is_in_the_table_of_contents() -> None:
    """zensical.toml names each page once, and no page that is not there."""
    project = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    named = [page for entry in project["nav"] for page in entry.values()]
    assert PAGES == sorted(named)
