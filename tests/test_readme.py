"""The README's Python blocks, run in order in one empty folder as a reader would type them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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


def test_links_lead_somewhere() -> None:
    """Every relative link of README.md leads to a file in the tree."""
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert [link for link in links if not (ROOT / link).exists()] == []
