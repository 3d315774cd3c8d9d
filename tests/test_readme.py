"""README.md and its neighbours: its blocks run in order as a reader would type them; links; language."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import docstore

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_python_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block runs after those before it, in the same namespace, and its assertions hold."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "readme"}
    blocks = list(BLOCK.finditer(README))
    assert blocks, "README.md has no ```python block"
    for block in blocks:
        line = README.count("\n", 0, block.start(1))
        code = compile("\n" * line + block.group(1), "README.md", "exec")
        exec(code, namespace)


def test_sessions_named_in_the_readme_exist() -> None:
    """`nox -s NAME` in README.md names a session of noxfile.py."""
    noxfile = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    sessions = set(re.findall(r"^@nox\.session.*\ndef (\w+)", noxfile, re.MULTILINE))
    assert set(re.findall(r"nox -s (\w+)", README)) - sessions == set()


def links(name: str) -> list[str]:
    """Return where the links and pictures of a page lead."""
    return re.findall(r"\]\(([^)\s]+)\)", (ROOT / name).read_text(encoding="utf-8"))


def test_links_are_absolute() -> None:
    """The README is shown on pages that have no other file of this tree."""
    assert [link for link in links("README.md") if not link.startswith("https://")] == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "ARCHITECTURE.md"])
def test_links_lead_somewhere(name: str) -> None:
    """Links to the repository lead to a file in the tree, those to the site to a page, with its heading."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    source = urls["Source"]
    raw = source.replace("https://github.com", "https://raw.githubusercontent.com")
    for link in links(name):
        target, _, fragment = link.partition("#")
        for start in (f"{source}/blob/main/", f"{source}/tree/main/", f"{raw}/main/"):
            target = target.removeprefix(start)
        site = urls["Documentation"]
        if target.startswith(site):
            target = f"docs/{target.removeprefix(site) or 'index.md'}".replace(".html", ".md")
        if "://" not in target:
            assert (ROOT / target).exists(), link
            assert not fragment or fragment in headings(ROOT / target), link


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_files_that_are_named_exist(name: str) -> None:
    """A path in backquotes is one of the tree, from its top or below docstore/ or backends/."""
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", (ROOT / name).read_text(encoding="utf-8"))
    assert named
    installed = Path(docstore.__file__).parents[1]  # where the wheel's tests run, without the tree
    places = (ROOT, ROOT / "docstore", ROOT / "backends", installed, installed / "docstore")
    paths = [(path, path.removeprefix("backends/")) for path in named]
    missing = [one for one in paths if not any((place / path).exists() for place in places for path in one)]
    assert not missing


def headings(page: Path) -> set[str]:
    """Return the fragments of a page's headings."""
    found = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip()) for title in found}


def test_sentences_are_short() -> None:
    """Half of a page's sentences have 16 words at most, 95 in a hundred 28; none begins with "What" unless
    it asks: python docs/_extensions/readability.py
    """
    asked = [sys.executable, str(ROOT / "docs" / "_extensions" / "readability.py")]
    ran = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
