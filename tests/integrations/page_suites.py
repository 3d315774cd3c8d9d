"""The pages on frameworks: their programs run, in order, each by itself: `nox -s integrations`."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"
MODULES = {
    "haystack": "haystack",
    "langchain": "langchain",
    "langgraph": "langgraph",
    "llama-index": "llama_index",
}
PROGRAMS = [
    (page, program)
    for page in ("frameworks", *MODULES)
    for program in re.findall(
        r"^```py\n(.*?)^```", (DOCS / f"{page}.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
]


@pytest.mark.parametrize(("page", "program"), PROGRAMS, ids=[page for page, _ in PROGRAMS])
def test_programs_run(page: str, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader who types a program sees it end, its assertions true."""
    monkeypatch.chdir(tmp_path)
    exec(compile(program, f"{page}.md", "exec"), ModuleType("program").__dict__)


def test_each_page_shows_its_module() -> None:
    """A page has a program that imports the module."""
    for page, module in MODULES.items():
        assert any(
            f"docstore.integrations.{module} import" in text for name, text in PROGRAMS if name == page
        )
