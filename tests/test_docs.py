"""docs/: every Python example runs as a reader would type it; links and the table of contents are whole.

The blocks of a page run in order, as one module, in one empty folder. An address that begins with
``postgresql://`` is replaced by that of an empty database. A block with a title is a file of that name;
pytest runs it if it begins with ``test_``. The README has tests of its own.
"""

from __future__ import annotations

import json
import os
import re
import runpy
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
SITE = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
WIDEST = 88
POSTGRES = re.compile(r"postgresql(\+\w+)?://[^\s\"']+")


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
            Path(title).write_text(text, encoding="utf-8")
            if title.startswith("test_"):
                run_pytest(title)
            continue
        if POSTGRES.search(text):
            url = request.getfixturevalue("postgres_url")
            text = POSTGRES.sub(lambda found: url.replace(":", f"{found[1] or ''}:", 1), text)  # noqa: B023
        code = compile("\n" * line + text, str(DOCS / page), "exec", dont_inherit=True)
        exec(code, page_module.__dict__)


def run_pytest(name: str) -> None:
    """Run a file of tests as a reader would: with docstore's fixtures, and nothing of this tree's."""
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


def test_pictures_are_up_to_date() -> None:
    """Else run: python docs/_pictures/make.py"""
    asked = [sys.executable, str(DOCS / "_pictures" / "make.py"), "--check"]
    ran = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


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


def pages_of(nav: list[dict[str, Any]]) -> list[str]:
    """Return the pages of a table of contents, its groups opened."""
    named: list[str] = []
    for entry in nav:
        for target in entry.values():
            named += [target] if isinstance(target, str) else pages_of(target)
    return named


def test_every_page_is_in_the_table_of_contents() -> None:
    """zensical.toml names each page once, and no page that is not there."""
    assert sorted(pages_of(SITE["nav"])) == PAGES


def test_the_site_has_four_groups() -> None:
    """A home page, and the groups of a reader who learns, does, looks up and looks below."""
    titles = [title for entry in SITE["nav"] for title in entry]
    assert titles == ["Home", "Learn", "Guides", "Reference", "Under the hood"]


def test_versions_of_the_site_stand_side_by_side(tmp_path: Path) -> None:
    """The newest by number is the latest; a version published again replaces itself."""
    script = runpy.run_path(str(ROOT / "docs" / "_extensions" / "versions.py"))
    site, pages = tmp_path / "site", tmp_path / "pages"
    site.mkdir()
    for text, version in (("old", "0.9"), ("new", "0.10"), ("mended", "0.9")):
        (site / "index.html").write_text(text)
        versions = script["publish"](site, pages, version)
    assert versions == ["0.10", "0.9"]
    told = json.loads((pages / "versions.json").read_text())
    assert [(one["version"], one["aliases"]) for one in told] == [("0.10", ["latest"]), ("0.9", [])]
    assert (pages / "0.9" / "index.html").read_text() == "mended"
    assert "url=0.10/" in (pages / "index.html").read_text()
    assert SITE["extra"]["version"]["provider"] == "mike"  # whose form of versions.json the header reads
    with pytest.raises(SystemExit, match="expected major and minor"):
        script["publish"](site, pages, "../x")


def test_addresses_are_those_of_the_package() -> None:
    """The repository and the site are named in pyproject.toml; the site's configuration agrees."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert SITE["repo_url"] == project["urls"]["Source"]
    assert SITE["site_url"] == project["urls"]["Documentation"]
    version = project["version"]
    assert SITE["site_name"] == f"docstore {version.rpartition('.')[0]}"
    assert f"docstore {version} " in SITE["copyright"]


@pytest.mark.parametrize("page", PAGES)
def test_code_fits_a_screen(page: str) -> None:
    """No line of code in a page is longer than 88 characters."""
    text = (DOCS / page).read_text(encoding="utf-8")
    fences = re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL)
    assert [line for fence in fences for line in fence.split("\n") if len(line) > WIDEST] == []
