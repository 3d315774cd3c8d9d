"""docs/frameworks.md: its programs run, in order, each by itself: `nox -s integrations`."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "frameworks.md"
PROGRAMS = re.findall(r"^```py\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_programs_run(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader who types a program sees it end, its assertions true."""
    monkeypatch.chdir(tmp_path)
    exec(compile(PROGRAMS[number], f"{PAGE}:{number}", "exec"), ModuleType("program").__dict__)


def test_there_is_one_for_each_framework() -> None:
    """The page shows every module."""
    shown = set(re.findall(r"from docstore\.integrations\.(\w+) import", "".join(PROGRAMS)))
    assert {"haystack", "langchain", "langgraph", "llama_index"} == shown
